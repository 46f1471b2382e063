// SPDX-License-Identifier: GPL-2.0
//! What all queues have in common: a ring that the host fills, and the status block the device keeps of it.

use super::registers::{Bell, QueueNumber, Registers};
use crate::net::{
    device_abi::{QueueStatus, QUEUE_NEED_KICK, QUEUE_STOPPED},
    dma::{DmaMemory, Plain, Ring},
};
use core::mem::offset_of;
use kernel::{
    device::{Bound, Device},
    prelude::*,
};

/// The block in which the device says how far it is.
pub(super) struct Status(DmaMemory);

impl Status {
    pub(super) fn new(dev: &Device<Bound>) -> Result<Self> {
        Ok(Self(DmaMemory::new(dev, size_of::<QueueStatus>())?))
    }

    pub(super) fn address(&self) -> u64 {
        self.0.address()
    }

    /// First entry not done, and the flags.
    #[inline]
    fn head_and_flags(&self) -> (u32, u32) {
        const _: () =
            assert!(offset_of!(QueueStatus, sq_head) == 0 && offset_of!(QueueStatus, flags) == 4);
        // Can't fail: the offset is that of the block.
        let word = self.0.acquire(0).unwrap_or_default();
        (word as u32, (word >> 32) as u32)
    }

    /// First entry not done.
    #[inline]
    pub(super) fn head(&self) -> u32 {
        self.head_and_flags().0
    }

    /// Whether the device may not be looking at the queue's doorbell page.
    #[inline]
    pub(super) fn needs_kick(&self) -> bool {
        self.head_and_flags().1 & QUEUE_NEED_KICK != 0
    }

    /// Whether the device has stopped the queue for an error.
    pub(super) fn stopped(&self) -> bool {
        self.head_and_flags().1 & QUEUE_STOPPED != 0
    }

    /// For a queue that is to be created anew.
    pub(super) fn clear(&self) {
        // Can't fail: it is as long as the block.
        let _ = self.0.write(0, &[0u64; size_of::<QueueStatus>() / 8]);
    }
}

/// A ring that the host fills and the device empties.
pub(super) struct Submission<T> {
    ring: Ring<T>,
    tail: u32,
    head: u32,
}

impl<T: Plain> Submission<T> {
    pub(super) fn new(dev: &Device<Bound>, entries: u32) -> Result<Self> {
        Ok(Self {
            ring: Ring::new(dev, entries)?,
            tail: 0,
            head: 0,
        })
    }

    pub(super) fn ring(&self) -> &Ring<T> {
        &self.ring
    }

    /// Uses only so many entries, for a queue that is to be created anew. Errors as of [`Ring::set_entries`].
    pub(super) fn set_entries(&mut self, entries: u32) -> Result {
        self.ring.set_entries(entries)
    }

    /// Entries submitted so far.
    #[inline]
    pub(super) fn tail(&self) -> u32 {
        self.tail
    }

    /// Entries done, as far as it was asked.
    #[inline]
    pub(super) fn head(&self) -> u32 {
        self.head
    }

    /// Entries that can be submitted.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        self.ring.entries() - self.tail.wrapping_sub(self.head)
    }

    /// Takes in how far the device is; `EIO` if that can't be.
    #[inline]
    pub(super) fn advance(&mut self, status: &Status) -> Result {
        let head = status.head();
        if !self.may_be_at(head) {
            return Err(EIO);
        }
        self.head = head;
        Ok(())
    }

    /// Whether the device can have done what is before `head`, and no more.
    #[inline]
    fn may_be_at(&self, head: u32) -> bool {
        self.tail.wrapping_sub(head) <= self.tail.wrapping_sub(self.head)
    }

    /// Adds an entry, for which there must be room.
    #[inline]
    pub(super) fn push(&mut self, entry: &T) {
        debug_assert!(self.room() > 0);
        self.ring.write(self.tail, entry);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Has the device execute what was added; returns whether it can be where it says it is.
    #[inline]
    pub(super) fn submit(
        &self,
        registers: &Registers,
        queue: QueueNumber,
        status: &Status,
    ) -> bool {
        let mut right = true;
        registers.ring(queue, Bell::SubmissionTail, self.tail);
        registers.kick(queue, || {
            let (head, flags) = status.head_and_flags();
            right = self.may_be_at(head);
            flags & QUEUE_NEED_KICK != 0
        });
        right
    }

    /// For a queue that is to be created anew.
    pub(super) fn clear(&mut self) {
        self.tail = 0;
        self.head = 0;
    }
}
