// SPDX-License-Identifier: GPL-2.0
//! The TOE NIC: its PCI driver, its netdev, and the offload device that it is.
//!
//! See `Documentation/device-interface.rst` for the interface.

mod admin;
mod commands;
mod connection;
mod context;
mod convert;
mod device;
mod ethtool;
mod fault;
mod filter;
mod known;
mod message;
mod nic;
mod pair;
mod port;
mod queue;
mod record;
mod recovery;
mod registers;
mod self_test;
mod steering;
mod table;

use super::{Offer, DEVICES};
use crate::driver::WORK;
use crate::net::{
    compat::IdInfo,
    context::{rcu_barrier, HardIrq},
    interrupt::{self, Handler, Vectors},
    netdev::{Netdev, Registration},
    netdevice::Rtnl,
    pci::{allow_dma, Sleep},
};
use admin::Request;
use context::Context;
use device::Offload;
use filter::Filter;
use kernel::{
    device::Core,
    impl_has_work, new_work, pci, pr_warn_once,
    prelude::*,
    sync::{atomic::Atomic, Arc},
    workqueue::{Work, WorkItem},
};
use nic::Nic;
use pair::Pair;
use port::{PollInterrupt, Port};
use recovery::{Looking, Recovery};
use steering::Steering;

/// The driver.
pub(crate) struct ToeNic;

/// What is kept of a NIC while the driver has it; dropped from the first to the last.
pub(crate) struct Bound {
    _looking: Looking,
    _offer: Offer,
    netdev: Registration<Port>,
    _offload: Detached,
    _interrupts: KVec<interrupt::Registration>,
}

/// Resets the NIC when it is dropped, and frees what it may have written to before.
struct Detached(Arc<Offload>);

impl Drop for Detached {
    fn drop(&mut self) {
        {
            // Nobody sets the NIC up again after it was reset here.
            let _rtnl = Rtnl::lock();
            drop(self.0.netdev.lock().take());
            if self.0.nic.reset().is_err() {
                pr_warn_once!("a NIC doesn't reset\n");
                self.0.nic.cut_off();
            }
            self.0.clear_graveyard();
        }
        // Connections that were taken off are freed a while later, and their memory is mapped for a device that has a driver.
        if !self.0.wait_until_empty() {
            // The last of them would free the NIC's registers where that can't sleep: rather lost.
            core::mem::forget(self.0.clone());
        }
        rcu_barrier();
    }
}

/// The admin queue's interrupt: has the admin queue looked at where that may sleep.
#[pin_data]
struct AdminInterrupt {
    dev: Arc<Netdev<Port>>,
    #[pin]
    work: Work<AdminInterrupt>,
}

impl_has_work! {
    impl HasWork<Self> for AdminInterrupt { self.work }
}

impl WorkItem for AdminInterrupt {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.dev.nic.listen();
        this.dev.set_carrier(this.dev.nic.link());
    }
}

/// Has work done for the interrupt.
struct AdminHandler(Arc<AdminInterrupt>);

impl Handler for AdminHandler {
    fn interrupt(&self, _irq: &HardIrq) {
        self.0.dev.nic.interrupted();
        if let Some(queue) = WORK.get() {
            // Err: it is queued already.
            let _ = queue.enqueue(self.0.clone());
        }
    }
}

impl ToeNic {
    /// Most pairs of raw-frame queues.
    const MAX_PAIRS: u32 = ethtool::MAX_PAIRS as u32;

    /// Most contexts.
    const MAX_CONTEXTS: u32 = 8;

    /// Entries of raw-frame queues.
    const PAIR_ENTRIES: u32 = 512;

    fn bind(dev: &pci::Device<Core<'_>>) -> Result<Bound> {
        dev.enable_device_mem()?;
        dev.set_master();
        allow_dma(dev)?;
        let nic = Nic::new(dev)?;
        let limits = nic.limits;
        let pairs = limits
            .pairs
            .min(Self::MAX_PAIRS)
            .min(kernel::cpu::nr_cpu_ids());
        let contexts = limits
            .contexts
            .min(Self::MAX_CONTEXTS)
            .min(kernel::cpu::nr_cpu_ids());
        if pairs == 0 || contexts == 0 {
            return Err(ENODEV);
        }
        let polls = (pairs + contexts) as u16;
        let vectors = Vectors::new(dev, 1 + u32::from(polls))?;
        let entries = Self::PAIR_ENTRIES.min(limits.entries);
        let mut list = KVec::new();
        for number in 0..contexts as u16 {
            let vector = 1 + pairs as u16 + number;
            let context = Context::new(nic.clone(), dev.as_ref(), number, vector)?;
            list.push(context, GFP_KERNEL)?;
        }
        let offload = Offload::new(nic.clone(), list)?;
        let detached = Detached(offload.clone());
        let mut port = Port {
            nic: nic.clone(),
            pairs: KVec::new(),
            offload: offload.clone(),
            filter: Filter::new(nic.clone())?,
            steering: Steering::new(nic.clone())?,
            moderation: Atomic::new(0),
            recovery: Recovery::new(dev.as_ref(), offload.clone())?,
        };
        for number in 0..pairs as u16 {
            let pair = Pair::new(nic.clone(), dev.as_ref(), number, 1 + number, entries)?;
            port.pairs.push(pair, GFP_KERNEL)?;
        }
        let config = port.config();
        let netdev = Netdev::new(dev.as_ref(), &config, Ok(port))?;

        let mut interrupts = KVec::new();
        let owner = netdev.clone();
        let admin = Arc::pin_init(
            pin_init!(AdminInterrupt {
                dev: owner,
                work <- new_work!("AdminInterrupt::work"),
            }),
            GFP_KERNEL,
        )?;
        let admin = Arc::new(AdminHandler(admin), GFP_KERNEL)?;
        interrupts.push(vectors.request(0, c"toe-admin", admin)?, GFP_KERNEL)?;
        for poll in 0..polls {
            let handler = PollInterrupt {
                dev: netdev.clone(),
                poll,
            };
            let handler = Arc::new(handler, GFP_KERNEL)?;
            let interrupt = vectors.request(1 + u32::from(poll), c"toe-queue", handler)?;
            interrupts.push(interrupt, GFP_KERNEL)?;
        }
        nic.enable()?;
        for context in &offload.contexts {
            context.open()?;
        }
        *offload.netdev.lock() = Some(netdev.clone());
        let offer = DEVICES.get().ok_or(ENODEV)?.offer(offload)?;
        let registration = Registration::new(netdev.clone())?;
        let looking = netdev.recovery.start()?;
        Ok(Bound {
            _looking: looking,
            _offer: offer,
            netdev: registration,
            _offload: detached,
            _interrupts: interrupts,
        })
    }
}

impl pci::Driver for ToeNic {
    type IdInfo = ();
    type Data<'bound> = Bound;

    const ID_TABLE: pci::IdTable<()> = &crate::TOE_NIC_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _id: IdInfo<'bound, ()>,
    ) -> impl PinInit<Bound, Error> + 'bound {
        Self::bind(dev)
    }
}

impl Sleep for ToeNic {
    fn suspend(bound: Pin<&Bound>) -> Result {
        bound.netdev.recovery.suspend();
        Ok(())
    }

    fn resume(bound: Pin<&Bound>) -> Result {
        bound.netdev.recovery.resume()
    }
}
