// SPDX-License-Identifier: GPL-2.0
//! The NIC as such: reset, versions and features, and what it can do.

use super::{
    admin::{Admin, Event, Failure, Request, Values},
    fault::{Fault, Faults},
    registers::{QueueNumber, Registers},
};
use crate::net::{
    clock,
    device_abi::{self as abi, reg},
    dma::{Binding, Plain},
    errno::EPROTO,
    netdev::MacAddress,
    pci::{forbid_dma, permit_dma},
};
use core::ffi::CStr;
use kernel::{
    device::{Bound, Device},
    pci, pr_warn_once,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed},
        Arc,
    },
};

/// What the NIC can do, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Contexts.
    pub(super) contexts: u32,
    /// Pairs of raw-frame queues.
    pub(super) pairs: u32,
    /// Connections, claims included.
    pub(super) connections: u32,
    /// Entries of a ring.
    pub(super) entries: u32,
    /// Bytes of an IP packet.
    pub(super) mtu: u32,
    /// Payload bytes of a frame that the NIC cuts.
    pub(super) tso: u32,
    /// The address it came with.
    pub(super) address: MacAddress,
    /// Features in use, `TOE_F_*`.
    pub(super) features: u64,
}

impl Limits {
    /// Whether a NIC can be like that.
    fn possible(&self) -> bool {
        let numbers = 1..=u32::from(u16::MAX);
        numbers.contains(&self.contexts)
            && numbers.contains(&self.pairs)
            && self.connections != 0
            && self.entries.is_power_of_two()
            && self.entries >= abi::MIN_MAX_ENTRIES
            && self.address[0] & 1 == 0
            && self.address != MacAddress::default()
    }

    /// Whether all of `features` are in use.
    pub(super) fn has(&self, features: u64) -> bool {
        self.features & features == features
    }
}

/// The NIC.
#[pin_data]
pub(super) struct Nic {
    pub(super) registers: Registers,
    pub(super) binding: Binding,
    pub(super) limits: Limits,
    #[pin]
    admin: Admin,
    link: Atomic<bool>,
    /// Resets so far: handles are of one generation.
    generation: Atomic<u32>,
    /// What was first found to be wrong with it, by its number from 1 on: nothing that it says is believed until it was reset.
    accused: Atomic<u32>,
    pub(super) faults: Faults,
    /// It mustn't access memory, for it could not be reset.
    cut_off: Atomic<bool>,
    /// Interrupts of the admin queue.
    interrupts: Atomic<u32>,
}

impl Nic {
    /// What this driver makes use of.
    const WANTED: u64 = abi::F_NPU
        | abi::F_IPV6
        | abi::F_SACK
        | abi::F_ECN
        | abi::F_RX_CSUM
        | abi::F_TX_CSUM
        | abi::F_TSO
        | abi::F_RSS
        | abi::F_RX_FILTER;

    /// Vector of the admin queue.
    pub(super) const ADMIN_VECTOR: u16 = 0;

    /// Finds out what NIC `dev` is, after a reset.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it doesn't speak this interface, `EIO` if it doesn't answer.
    pub(super) fn new(dev: &pci::Device<Bound>) -> Result<Arc<Self>> {
        let registers = Registers::new(dev)?;
        if registers.read(reg::MAGIC) != abi::MAGIC {
            dev_err!(dev, "not a TOE NIC\n");
            return Err(ENODEV);
        }
        registers.reset()?;
        let limits = Self::limits(&registers);
        if !limits.possible() {
            dev_err!(dev, "a TOE NIC that can't be\n");
            return Err(ENODEV);
        }
        let parent: &Device<Bound> = dev.as_ref();
        Arc::pin_init(
            try_pin_init!(Self {
                registers,
                binding: Binding::new(parent)?,
                limits,
                admin <- Admin::new(parent),
                link: Atomic::new(false),
                generation: Atomic::new(0),
                accused: Atomic::new(0),
                faults: Faults::new(),
                cut_off: Atomic::new(false),
                interrupts: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )
    }

    fn limits(registers: &Registers) -> Limits {
        let [a, b, c, d] = registers.read(reg::MAC_LO).to_le_bytes();
        let [e, f, ..] = registers.read(reg::MAC_HI).to_le_bytes();
        Limits {
            contexts: registers.read(reg::MAX_CONTEXTS),
            pairs: registers.read(reg::MAX_QUEUE_PAIRS),
            connections: registers.read(reg::MAX_CONNECTIONS),
            entries: registers.read(reg::MAX_ENTRIES),
            mtu: registers.read(reg::MAX_MTU),
            tso: registers.read(reg::MAX_TSO),
            address: [a, b, c, d, e, f],
            features: registers.read64(reg::FEATURES_LO) & Self::WANTED,
        }
    }

    /// What the NIC can do, read anew.
    pub(super) fn limits_now(&self) -> Limits {
        Self::limits(&self.registers)
    }

    /// The admin queue's interrupt was raised.
    pub(super) fn interrupted(&self) {
        self.interrupts.fetch_add(1, Relaxed);
    }

    /// Times that it was raised.
    pub(super) fn interrupts(&self) -> u32 {
        self.interrupts.load(Relaxed)
    }

    /// Enables the NIC, which was reset: negotiates version and features, and sets its clock. May sleep.
    ///
    /// # Errors
    ///
    /// `EPROTO` if there is no version both sides speak, `EIO` if the NIC doesn't do as it is asked.
    pub(super) fn enable(&self) -> Result {
        let registers = &self.registers;
        let oldest = registers.read(reg::VERSION_OLDEST);
        let newest = registers.read(reg::VERSION);
        let version = newest.min(abi::VERSION_CURRENT);
        // Minor versions only add.
        if version < oldest || version >> 16 != abi::VERSION_CURRENT >> 16 {
            return Err(EPROTO.into());
        }
        registers.write(reg::VERSION_USED, version);
        registers.write64(reg::FEATURES_USED_LO, self.limits.features);
        self.admin.configure(registers, Self::ADMIN_VECTOR);
        registers.write(reg::CONTROL, abi::CONTROL_ENABLE);
        let status =
            registers.wait(|status| status & (abi::STATUS_READY | abi::STATUS_FAILED) != 0)?;
        if status & abi::STATUS_FAILED != 0 {
            pr_err!(
                "NIC can't be enabled: error {}\n",
                registers.read(reg::ERROR)
            );
            self.admin.give_up();
            return Err(EIO);
        }
        self.link.store(status & abi::STATUS_LINK != 0, Relaxed);
        self.set_time()?;
        Ok(())
    }

    /// Resets the NIC, which forgets all memory and connections. May sleep.
    pub(super) fn reset(&self) -> Result {
        self.admin.give_up();
        self.registers.reset()?;
        if self.cut_off.xchg(false, Relaxed) {
            permit_dma(&self.binding);
        }
        // Only now: who sees this takes it that no memory is the NIC's.
        self.generation.fetch_add(1, Full);
        self.accused.store(0, Relaxed);
        Ok(())
    }

    /// Takes memory and connections from a NIC that doesn't reset.
    pub(super) fn cut_off(&self) {
        forbid_dma(&self.binding);
        self.cut_off.store(true, Relaxed);
        self.generation.fetch_add(1, Full);
    }

    /// The NIC is in the wrong, and will be reset.
    #[cold]
    pub(super) fn accuse(&self, fault: Fault) {
        self.faults.count(fault);
        // The first one stays.
        let _ = self.accused.cmpxchg(0, 1 + fault as u32, Relaxed);
    }

    /// What is wrong with the NIC, if anything is.
    pub(super) fn accusation(&self) -> Option<&'static CStr> {
        let first = self.accused.load(Relaxed).checked_sub(1)?;
        let mut all = Fault::ALL.iter();
        all.find(|(fault, ..)| *fault as u32 == first)
            .map(|(_, _, why)| *why)
    }

    /// Whether the NIC is in the wrong.
    #[inline]
    pub(super) fn is_accused(&self) -> bool {
        self.accused.load(Relaxed) != 0
    }

    /// Looks whether the NIC, which was enabled, says that it is well.
    pub(super) fn look(&self) -> Result<(), Fault> {
        let status = self.registers.read(reg::STATUS);
        match status & !abi::STATUS_LINK {
            _ if status == u32::MAX => Err(Fault::Gone),
            abi::STATUS_READY => Ok(()),
            state if state & !abi::STATUS_READY == abi::STATUS_FAILED => Err(Fault::Failed),
            _ => Err(Fault::Registers),
        }
    }

    /// Takes in that a command about a connection failed: one that the NIC can't refuse is the NIC's failure.
    pub(super) fn judge(&self, failure: Failure) {
        if let Failure::Refused(
            abi::STATUS_BAD_OP | abi::STATUS_NOT_FOUND | abi::STATUS_WRONG_STATE,
        ) = failure
        {
            self.accuse(Fault::Answers);
        }
    }

    /// Which generation handles that are given now are of.
    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Acquire)
    }

    /// Sets the NIC's clock to the data-path's on this side.
    pub(super) fn set_time(&self) -> Result<(), Failure> {
        let now = clock::now_us();
        self.execute(Request {
            op: abi::ADMIN_SET_TIME,
            args: [now as u32, (now >> 32) as u32],
            ..Request::default()
        })
        .map(|_| ())
    }

    /// Has the NIC send frames of up to `mtu` bytes and a header, until it is reset. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the NIC refuses it, `EIO` if it doesn't answer.
    pub(super) fn set_mtu(&self, mtu: u32) -> Result {
        self.execute(Request {
            op: abi::ADMIN_SET_MTU,
            args: [mtu, 0],
            ..Request::default()
        })?;
        Ok(())
    }

    /// Executes an admin command. May sleep, as the next ones.
    pub(super) fn execute(&self, request: Request) -> Result<Values, Failure> {
        self.admin
            .execute(&self.registers, request, &mut |event| self.event(event))
    }

    /// Executes an admin command about a handle of `generation`, unless that is over.
    pub(super) fn execute_in(&self, generation: u32, request: Request) -> Result<Values, Failure> {
        if generation != self.generation() {
            return Err(Failure::Unasked);
        }
        self.execute(request)
    }

    /// Executes an admin command that reads `input`.
    pub(super) fn execute_with<I: Plain>(
        &self,
        request: Request,
        input: &I,
    ) -> Result<Values, Failure> {
        self.admin
            .execute_with(&self.registers, request, input, &mut |event| {
                self.event(event)
            })
    }

    /// Executes an admin command that writes an `O`.
    pub(super) fn execute_for<O: Plain>(&self, request: Request) -> Result<(Values, O), Failure> {
        self.admin
            .execute_for(&self.registers, request, &mut |event| self.event(event))
    }

    /// Takes in what the NIC tells by itself. May sleep.
    pub(super) fn listen(&self) {
        self.admin
            .drain(&self.registers, &mut |event| self.event(event));
    }

    fn event(&self, event: Event) {
        match event {
            Event::Link { up } => self.link.store(up, Relaxed),
            Event::QueueStopped { queue, error } => {
                self.accuse(Fault::Stopped);
                pr_warn_once!("NIC stopped queue {queue}: error {error}\n");
            }
            Event::Wrong(fault) => self.accuse(fault),
        }
    }

    /// Whether there is a link.
    pub(super) fn link(&self) -> bool {
        self.link.load(Relaxed)
    }

    /// The queue of a pair.
    pub(super) fn pair_queue(&self, pair: u16) -> QueueNumber {
        QueueNumber(1 + self.limits.contexts + u32::from(pair))
    }

    /// The queue of a context.
    pub(super) fn context_queue(&self, context: u16) -> QueueNumber {
        QueueNumber(1 + u32::from(context))
    }
}
