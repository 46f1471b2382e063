// SPDX-License-Identifier: GPL-2.0
//! Contexts: the queues by which connections are told what to do, and tell what happened.

use super::{
    nic::Nic,
    queue::{Status, Submission},
    registers::{Bell, QueueNumber},
    table::Table,
    Request,
};
use crate::{
    driver::device::counters::Counter,
    net::{
        clock,
        context::{new_bh_spinlock, BhDisabled, BhSpinLock, HardIrq},
        device_abi::{self as abi, Command, ContextSetup, Notification},
        dma::{full_barrier, Ring},
    },
};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    processor::cpu_relax,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc,
    },
};

/// A context.
#[pin_data]
pub(super) struct Context {
    nic: Arc<Nic>,
    pub(super) number: u16,
    queue: QueueNumber,
    vector: u16,
    cq: Ring<Notification>,
    status: Status,
    #[pin]
    commands: BhSpinLock<Submission<Command>>,
    /// The next notification; whoever takes notifications in has it locked, before all other locks.
    #[pin]
    head: BhSpinLock<u32>,
    /// Times that polling has come to an end.
    rounds: Atomic<u32>,
    counters: Counters,
}

/// What a context counts.
struct Counters {
    notifications: Counter,
    /// Of connections that are gone.
    stale: Counter,
    /// That contradict what the driver knows.
    wrong: Counter,
    /// Commands for which there was no room.
    lost: Counter,
}

/// Reads a counter of a context.
type Get = fn(&Context) -> u64;

/// Names of the counters of contexts.
pub(super) const COUNTERS: [(&str, Get); 4] = [
    ("notifications", |context| {
        context.counters.notifications.get()
    }),
    ("stale-notifications", |context| {
        context.counters.stale.get()
    }),
    ("wrong-notifications", |context| {
        context.counters.wrong.get()
    }),
    ("lost-commands", |context| context.counters.lost.get()),
];

impl Context {
    const SQ_ENTRIES: u32 = 1024;
    const CQ_ENTRIES: u32 = 1024;

    /// Most notifications taken in by an interrupt.
    const AT_ONCE: u32 = 4;

    /// How long the device may execute nothing while there is no room for a command, in microseconds.
    const PATIENCE_US: u64 = 1_000_000;

    /// The context `number`, which interrupts by `vector`. It is the device's after [`open`](Self::open) only.
    pub(super) fn new(
        nic: Arc<Nic>,
        dev: &Device<Bound>,
        number: u16,
        vector: u16,
    ) -> Result<Arc<Self>> {
        let queue = nic.context_queue(number);
        let entries = |wanted: u32| wanted.min(nic.limits.entries);
        let commands = Submission::new(dev, entries(Self::SQ_ENTRIES))?;
        let cq = Ring::new(dev, entries(Self::CQ_ENTRIES))?;
        Arc::pin_init(
            try_pin_init!(Self {
                nic,
                number,
                queue,
                vector,
                cq,
                status: Status::new(dev)?,
                commands <- new_bh_spinlock!(commands, "Context::commands"),
                head <- new_bh_spinlock!(0, "Context::head"),
                rounds: Atomic::new(0),
                counters: Counters {
                    notifications: Counter::new(),
                    stale: Counter::new(),
                    wrong: Counter::new(),
                    lost: Counter::new(),
                },
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Gives the queues to the device. May sleep.
    pub(super) fn open(&self) -> Result {
        let registers = &self.nic.registers;
        let setup = {
            let bh = BhDisabled::new();
            let mut head = self.head.lock(&bh);
            self.cq.clear();
            *head = 0;
            drop(head);
            let mut commands = self.commands.lock(&bh);
            commands.clear();
            ContextSetup {
                sq: commands.ring().address(),
                cq: self.cq.address(),
                status: self.status.address(),
                sq_entries: commands.ring().entries(),
                cq_entries: self.cq.entries(),
                vector: self.vector,
                flags: abi::CONTEXT_PRIVILEGED,
                ..ContextSetup::default()
            }
        };
        self.status.clear();
        registers.ring(self.queue, Bell::SubmissionTail, 0);
        registers.ring(self.queue, Bell::CompletionHead, 0);
        registers.ring(self.queue, Bell::CompletionArm, 0);
        self.nic.execute_with(
            Request {
                op: abi::ADMIN_CREATE_CONTEXT,
                target: u32::from(self.number),
                ..Request::default()
            },
            &setup,
        )?;
        Ok(())
    }

    /// Has the device execute a command.
    #[inline]
    pub(super) fn submit(&self, command: &Command, bh: &BhDisabled) {
        let mut commands = self.commands.lock(bh);
        if commands.room() == 0 && !self.make_room(&mut commands) {
            // Nobody gives the command again: the connection must come off the device.
            self.nic.accuse();
            self.counters.lost.add(1);
            return;
        }
        commands.push(command);
        commands.submit(&self.nic.registers, self.queue, &self.status);
    }

    /// Waits for room for a command; returns whether there is some.
    #[cold]
    fn make_room(&self, commands: &mut Submission<Command>) -> bool {
        let start = clock::now_us();
        loop {
            if commands.advance(&self.status).is_err() || self.status.stopped() {
                return false;
            }
            if commands.room() != 0 {
                return true;
            }
            if self.nic.is_accused() || clock::now_us() - start > Self::PATIENCE_US {
                return false;
            }
            cpu_relax();
        }
    }

    /// Takes in up to `budget` notifications of connections in `table`; returns how many.
    pub(super) fn poll(&self, table: &Table, budget: u32, bh: &BhDisabled) -> u32 {
        let mut head = self.head.lock(bh);
        let mut done = 0;
        while done < budget {
            let Some(notification) = self.cq.read_new(*head) else {
                break;
            };
            *head = head.wrapping_add(1);
            done += 1;
            match table.find(notification.cookie, bh) {
                Some(entry) if entry.connection.handle() == notification.connection => {
                    let told = entry.connection.notified(&*entry.events, &notification, bh);
                    if told.is_err() {
                        self.counters.wrong.add(1);
                        self.nic.accuse();
                    }
                }
                _ => self.counters.stale.add(1),
            }
        }
        if done != 0 {
            self.counters.notifications.add(u64::from(done));
        }
        // Else the next interrupt is asked for, which says so, too.
        if done == budget && done != 0 {
            self.nic
                .registers
                .ring(self.queue, Bell::CompletionHead, *head);
        }
        done
    }

    /// Takes in what the interrupt was raised for, if that is little and doesn't have to wait for anybody, and asks for
    /// the next one; else returns `false`, and there is to be polled.
    ///
    /// A program that waits for one reply is so woken without a softirq in between.
    pub(super) fn interrupted(&self, table: &Table, irq: &HardIrq) -> bool {
        let Some(mut head) = self.head.try_lock(irq) else {
            return false;
        };
        let start = *head;
        let mut armed = false;
        loop {
            let Some(notification) = self.cq.read_new(*head) else {
                if armed {
                    break;
                }
                self.arm(*head);
                armed = true;
                continue;
            };
            // An index that is written already doesn't interrupt.
            armed = false;
            let taken = head.wrapping_sub(start) < Self::AT_ONCE
                && table
                    .find(notification.cookie, irq)
                    .filter(|entry| entry.connection.handle() == notification.connection)
                    .is_some_and(|entry| {
                        entry.connection.moved(&*entry.events, &notification, irq)
                    });
            if !taken {
                break;
            }
            *head = head.wrapping_add(1);
        }
        self.counters
            .notifications
            .add(u64::from(head.wrapping_sub(start)));
        armed
    }

    /// Asks for an interrupt at notification `head`, the first that wasn't taken in. Look at the ring once more.
    #[inline]
    fn arm(&self, head: u32) {
        let bells = [Bell::CompletionHead, Bell::CompletionArm];
        self.nic.registers.ring_both(self.queue, bells, head);
        full_barrier();
    }

    /// Asks for an interrupt at the next notification; returns whether there is one already.
    pub(super) fn rearm(&self) -> bool {
        self.rounds.fetch_add(1, Release);
        let bh = BhDisabled::new();
        let head = self.head.lock(&bh);
        self.arm(*head);
        self.cq.read_new(*head).is_some()
    }

    /// Times that polling has come to an end so far.
    pub(super) fn rounds(&self) -> u32 {
        self.rounds.load(Acquire)
    }
}
