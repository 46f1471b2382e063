// SPDX-License-Identifier: GPL-2.0
//! Contexts: the queues by which connections are told what to do, and tell what happened.

use super::{
    commands::Commands,
    device::Offload,
    fault::Fault,
    nic::Nic,
    queue::Status,
    registers::{Bell, QueueNumber, NO_INTERRUPT},
    table::{Cookie, Entry, Table, Whose},
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
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
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
    commands: BhSpinLock<Commands>,
    /// Connections wait for room for commands.
    crowded: Atomic<bool>,
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
    /// Commands for which there was no room at first.
    waited: Counter,
}

/// Reads a counter of a context.
type Get = fn(&Context) -> u64;

/// Names of the counters of contexts.
pub(super) const COUNTERS: [(&str, Get); 3] = [
    ("notifications", |context| {
        context.counters.notifications.get()
    }),
    ("stale-notifications", |context| {
        context.counters.stale.get()
    }),
    ("waited-commands", |context| context.counters.waited.get()),
];

impl Context {
    const SQ_ENTRIES: u32 = 1024;
    const CQ_ENTRIES: u32 = 1024;

    /// Most notifications taken in by an interrupt.
    const AT_ONCE: u32 = 4;

    /// The context `number`, which interrupts by `vector`. It is the device's after [`open`](Self::open) only.
    pub(super) fn new(
        nic: Arc<Nic>,
        dev: &Device<Bound>,
        number: u16,
        vector: u16,
    ) -> Result<Arc<Self>> {
        let queue = nic.context_queue(number);
        let entries = |wanted: u32| wanted.min(nic.limits.entries);
        let commands = Commands::new(dev, entries(Self::SQ_ENTRIES), Offload::most(&nic))?;
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
                crowded: Atomic::new(false),
                head <- new_bh_spinlock!(0, "Context::head"),
                rounds: Atomic::new(0),
                counters: Counters {
                    notifications: Counter::new(),
                    stale: Counter::new(),
                    waited: Counter::new(),
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
            self.crowded.store(false, Relaxed);
            self.status.clear();
            ContextSetup {
                sq: commands.sq.ring().address(),
                cq: self.cq.address(),
                status: self.status.address(),
                sq_entries: commands.sq.ring().entries(),
                cq_entries: self.cq.entries(),
                vector: self.vector,
                flags: abi::CONTEXT_PRIVILEGED,
                ..ContextSetup::default()
            }
        };
        registers.ring(self.queue, Bell::SubmissionTail, 0);
        registers.ring(self.queue, Bell::SubmissionArm, NO_INTERRUPT);
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

    /// Has the device execute a command of the connection with this cookie. If there is no room this returns `false`, and the
    /// connection is told to go on when there is.
    #[inline]
    pub(super) fn submit(&self, command: &Command, cookie: Cookie, bh: &BhDisabled) -> bool {
        let commands = &mut *self.commands.lock(bh);
        if commands.sq.room() == 0 && !self.make_room(commands, cookie) {
            return false;
        }
        commands.sq.push(command);
        if !(commands.sq).submit(&self.nic.registers, self.queue, &self.status) {
            self.nic.accuse(Fault::Heads);
        }
        true
    }

    /// Looks whether the device, which answers, goes on with what it was told.
    pub(super) fn look(&self) {
        let bh = BhDisabled::new();
        let mut commands = self.commands.lock(&bh);
        if self.advance(&mut commands) && commands.is_stuck(clock::now_us()) {
            self.nic.accuse(Fault::Stuck);
        }
    }

    /// Takes in how far the device is with commands; returns whether that can be.
    fn advance(&self, commands: &mut Commands) -> bool {
        let advanced = if self.status.stopped() {
            Err(Fault::Stopped)
        } else {
            commands.sq.advance(&self.status).map_err(|_| Fault::Heads)
        };
        advanced.map_err(|fault| self.nic.accuse(fault)).is_ok()
    }

    /// Whether there is room for a command now. If not, the connection with this cookie waits for it.
    #[cold]
    fn make_room(&self, commands: &mut Commands, cookie: Cookie) -> bool {
        if !self.advance(commands) {
            // A reset is to come, after which the device knows nothing of the connection.
            return false;
        }
        if commands.sq.room() != 0 {
            return true;
        }
        self.counters.waited.add(1);
        commands.waiting.add(cookie);
        self.crowded.store(true, Relaxed);
        self.arm_for_room(commands)
    }

    /// Asks for an interrupt when there is room; returns whether there is already.
    fn arm_for_room(&self, commands: &mut Commands) -> bool {
        let index = commands.half_executed();
        (self.nic.registers).ring(self.queue, Bell::SubmissionArm, index);
        full_barrier();
        self.advance(commands) && commands.sq.room() != 0
    }

    /// Has the connections that wait go on, as long as there is room.
    #[cold]
    fn go_on(&self, table: &Table, bh: &BhDisabled) {
        while let Some(cookie) = self.next_waiting(bh) {
            // Whoever has the cookie by now: nothing happens to one that doesn't wait. One for which there is no room again
            // waits again.
            if let Some(entry) = table.get(cookie, bh) {
                let _ = entry.connection.go_on(bh);
            }
        }
    }

    /// The connection whose turn it is, if there is one and room.
    fn next_waiting(&self, bh: &BhDisabled) -> Option<Cookie> {
        let commands = &mut *self.commands.lock(bh);
        if !self.advance(commands) {
            return None;
        }
        if commands.sq.room() == 0 && !self.arm_for_room(commands) {
            return None;
        }
        let cookie = commands.waiting.take();
        self.crowded.store(cookie.is_some(), Relaxed);
        cookie
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
            if self.nic.is_accused() {
                continue;
            }
            match table.find(notification.cookie, notification.connection, bh) {
                Whose::Known(Entry { connection, events }) => {
                    if connection.notified(&**events, &notification, bh).is_err() {
                        self.nic.accuse(Fault::Notifications);
                    }
                }
                Whose::Late => self.counters.stale.add(1),
                Whose::Nobody => self.nic.accuse(Fault::Notifications),
            }
        }
        if done != 0 {
            self.counters.notifications.add(u64::from(done));
        }
        if self.crowded.load(Relaxed) {
            self.go_on(table, bh);
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
        if self.nic.is_accused() || self.crowded.load(Relaxed) {
            return false;
        }
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
            let whose = table.find(notification.cookie, notification.connection, irq);
            let taken = match whose {
                Whose::Known(Entry { connection, events }) => {
                    head.wrapping_sub(start) < Self::AT_ONCE
                        && connection.moved(&**events, &notification, irq)
                }
                Whose::Late | Whose::Nobody => false,
            };
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
