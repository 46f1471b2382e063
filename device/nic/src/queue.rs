// SPDX-License-Identifier: GPL-2.0

//! Queues (section 4 of the interface): rings, indices, need-kick, interrupts, errors.

use crate::{
    host::Host,
    layout::{doorbell, Error, MIN_ENTRIES, NO_VECTOR, PAGE_SIZE, QUEUE_NEED_KICK, QUEUE_STOPPED},
    memory::{full_barrier, Unreachable},
    nonsense::Garble,
};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, Immutable, IntoBytes};

impl From<Unreachable> for Error {
    fn from(_: Unreachable) -> Self {
        Self::Address
    }
}

/// A ring in the host's memory.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    address: u64,
    entries: u32,
    entry_size: u64,
}

/// Why a ring is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRing {
    /// Its length.
    Entries,
    /// It isn't aligned, or can't be reached.
    Address,
}

impl Ring {
    /// A ring of `T`s at `address`, no longer than `max`.
    pub fn new<T>(host: &Host, address: u64, entries: u32, max: u32) -> Result<Self, BadRing> {
        if !entries.is_power_of_two() || !(MIN_ENTRIES..=max).contains(&entries) {
            return Err(BadRing::Entries);
        }
        let entry_size = size_of::<T>() as u64;
        let size = u64::from(entries) * entry_size;
        if address % 64 != 0 || !host.memory.reachable(address, size) {
            return Err(BadRing::Address);
        }
        Ok(Self {
            address,
            entries,
            entry_size,
        })
    }

    /// How many entries it has.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    fn at(&self, index: u32) -> u64 {
        self.address + u64::from(index & (self.entries - 1)) * self.entry_size
    }

    /// The entry `index`.
    pub fn read<T: FromBytes + IntoBytes>(&self, host: &Host, index: u32) -> Result<T, Error> {
        Ok(host.memory.read(self.at(index))?)
    }

    /// The phase that entry `index` has when it is new.
    fn phase(&self, index: u32) -> u8 {
        u8::from((index / self.entries) & 1 == 0)
    }
}

/// An entry that ends with a phase byte.
pub trait Phased: IntoBytes + Immutable + Garble {
    /// Sets it.
    fn set_phase(&mut self, phase: u8);
}

macro_rules! phased {
    ($($name:ident),+) => {
        $(impl Phased for crate::layout::$name {
            fn set_phase(&mut self, phase: u8) {
                self.phase = phase;
            }
        })+
    };
}

phased!(AdminCompletion, Notification, RxCompletion);

/// When to interrupt for one of a queue's indices.
#[derive(Clone, Copy, Debug, Default)]
struct Armed {
    /// What the index was when this was looked at last.
    seen: u32,
    /// When the interrupt is raised at the latest.
    deadline: Option<Instant>,
}

impl Armed {
    /// Whether to interrupt now that the index is `index`, and the host has armed `arm` and consumed what is before `head`.
    fn check(&mut self, index: u32, arm: u32, head: u32, usecs: u32, now: Instant) -> bool {
        let crossed = index.wrapping_sub(arm).wrapping_sub(1) < index.wrapping_sub(self.seen);
        let ahead = arm.wrapping_sub(index) < u32::MAX / 2;
        let moved = index != self.seen;
        self.seen = index;
        if crossed && usecs == 0 {
            self.deadline = None;
            return true;
        }
        if crossed || (ahead && moved && usecs != 0 && index != head) {
            let after = now + Duration::from_micros(u64::from(usecs));
            self.deadline = Some(self.deadline.unwrap_or(after));
        }
        match self.deadline {
            Some(deadline) if deadline <= now => {
                self.deadline = None;
                index != head
            }
            _ => false,
        }
    }
}

/// What all kinds of queues have.
pub struct Queue {
    number: u32,
    status: u64,
    vector: u16,
    /// Moderation of interrupts.
    pub usecs: u32,
    sq_head: u32,
    sq_written: u32,
    cq_tail: u32,
    sq_armed: Armed,
    cq_armed: Armed,
    stopped: bool,
    need_kick: bool,
}

impl Queue {
    /// The queue `number` with its status block at `status`, which is written.
    pub fn new(
        host: &Host,
        number: u32,
        status: u64,
        vector: u16,
        usecs: u32,
    ) -> Result<Self, BadRing> {
        if status % 64 != 0 || !host.memory.reachable(status, 64) {
            return Err(BadRing::Address);
        }
        let queue = Self {
            number,
            status,
            vector,
            usecs,
            sq_head: 0,
            sq_written: 0,
            cq_tail: 0,
            sq_armed: Armed::default(),
            cq_armed: Armed::default(),
            stopped: false,
            need_kick: false,
        };
        for offset in 0..4 {
            host.memory
                .store(status + offset * 4, 0)
                .map_err(|_| BadRing::Address)?;
        }
        Ok(queue)
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it was stopped for an error.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Index of the first entry not done.
    pub fn sq_head(&self) -> u32 {
        self.sq_head
    }

    #[inline]
    fn doorbell(&self, host: &Host, offset: u64) -> u32 {
        host.doorbells
            .load(u64::from(self.number) * PAGE_SIZE + offset)
    }

    /// Entries submitted and not done.
    #[inline]
    pub fn submitted(&self, host: &Host, ring: &Ring) -> Result<u32, Error> {
        let count = self
            .doorbell(host, doorbell::SQ_TAIL)
            .wrapping_sub(self.sq_head);
        if count > ring.entries {
            return Err(Error::Tail);
        }
        Ok(count)
    }

    /// Buffers posted beyond the index `head`.
    pub fn posted(&self, host: &Host, ring: &Ring, head: u32) -> Result<u32, Error> {
        let count = self.doorbell(host, doorbell::RQ_TAIL).wrapping_sub(head);
        if count > ring.entries {
            return Err(Error::Tail);
        }
        Ok(count)
    }

    /// `count` more entries are done.
    pub fn done(&mut self, count: u32) {
        self.sq_head = self.sq_head.wrapping_add(count);
    }

    /// How many entries of the completion ring can be written.
    #[inline]
    pub fn room(&self, host: &Host, ring: &Ring) -> Result<u32, Error> {
        let unconsumed = self
            .cq_tail
            .wrapping_sub(self.doorbell(host, doorbell::CQ_HEAD));
        ring.entries.checked_sub(unconsumed).ok_or(Error::Head)
    }

    /// Writes an entry of the completion ring, in which there is room.
    pub fn complete<T: Phased>(
        &mut self,
        host: &Host,
        ring: &Ring,
        mut entry: T,
    ) -> Result<(), Error> {
        entry.set_phase(ring.phase(self.cq_tail));
        host.nonsense.garble(&mut entry);
        host.memory.write_ordered(ring.at(self.cq_tail), &entry)?;
        self.cq_tail = self.cq_tail.wrapping_add(1);
        Ok(())
    }

    /// Writes what was done to the status block, and raises the interrupt that is due. Returns when to look again.
    pub fn publish(&mut self, host: &Host, now: Instant) -> Result<Option<Instant>, Error> {
        if self.stopped {
            return Ok(None);
        }
        if self.sq_written != self.sq_head {
            let head = host.nonsense.index(self.sq_head);
            host.memory.store(self.status, head)?;
            self.sq_written = self.sq_head;
            if let Some(flags) = host.nonsense.flags() {
                host.memory.store(self.status + 4, flags)?;
            }
        } else if self.cq_armed.seen == self.cq_tail && self.cq_armed.deadline.is_none() {
            return Ok(None);
        }
        full_barrier();
        let sq_arm = self.doorbell(host, doorbell::SQ_ARM);
        let cq_arm = self.doorbell(host, doorbell::CQ_ARM);
        let cq_head = self.doorbell(host, doorbell::CQ_HEAD);
        let sq = self.sq_armed.check(self.sq_head, sq_arm, sq_arm, 0, now);
        let cq = self
            .cq_armed
            .check(self.cq_tail, cq_arm, cq_head, self.usecs, now);
        if sq || cq {
            host.vectors.raise(self.vector);
        }
        Ok(self.cq_armed.deadline)
    }

    /// Stops the queue for an error at its first entry not done.
    pub fn stop(&mut self, host: &Host, error: Error) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        let words = [
            (8, error as u32),
            (12, self.sq_head),
            (0, self.sq_head),
            (4, QUEUE_STOPPED),
        ];
        for (offset, value) in words {
            // If the status block can't be reached, nothing is left to tell the host with but the admin queue.
            let _ = host.memory.store(self.status + offset, value);
        }
        if self.vector != NO_VECTOR {
            host.vectors.raise(self.vector);
        }
    }

    /// Asks to be kicked from now on, or no longer.
    pub fn set_need_kick(&mut self, host: &Host, on: bool) {
        if self.stopped || self.need_kick == on {
            return;
        }
        self.need_kick = on;
        let flags = if on { QUEUE_NEED_KICK } else { 0 };
        // An unreachable status block shows when something is done the next time.
        let _ = host.memory.store(self.status + 4, flags);
    }
}
