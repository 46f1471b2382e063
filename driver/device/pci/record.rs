// SPDX-License-Identifier: GPL-2.0
//! Records: what a NIC keeps the host told of a connection's state.

use crate::net::{
    device_abi::{Counters, RecordCopy, RecordLayout},
    dma::{Binding, DmaMemory},
};
use core::mem::offset_of;
use kernel::prelude::*;

/// A connection's record.
pub(super) struct Record(DmaMemory);

impl Record {
    /// Attempts to read a copy that the NIC doesn't write to at the same time.
    const ATTEMPTS: u32 = 8;

    /// An empty record. `ENOMEM` if there is no memory, `ENODEV` if the NIC is gone.
    pub(super) fn new(binding: &Binding) -> Result<Self> {
        Ok(Self(DmaMemory::new_atomic(
            binding,
            size_of::<RecordLayout>(),
        )?))
    }

    pub(super) fn address(&self) -> u64 {
        self.0.address()
    }

    /// The version at the end of copy `number`; what is read later is not older.
    #[inline]
    fn end(&self, number: usize) -> u32 {
        const END: usize = offset_of!(RecordCopy, end) & !7;
        // Can't fail: it lies in the record.
        let word = self.0.acquire(number * size_of::<RecordCopy>() + END);
        (word.unwrap_or_default() >> 32) as u32
    }

    /// Copy `number`, if it is whole and of the version `end`.
    fn copy(&self, number: usize, end: u32) -> Option<RecordCopy> {
        let offset = number * size_of::<RecordCopy>();
        let copy: RecordCopy = self.0.read(offset).ok()?;
        // The beginning is read after the rest.
        let begin = self.0.acquire(offset).ok()? as u32;
        (begin == end && end != 0 && copy.end == end).then_some(copy)
    }

    /// The newest whole copy that `check` finds right, and whether there was one that it didn't. `None` if there is none
    /// yet, or the NIC never stops writing.
    pub(super) fn read(&self, check: impl Fn(&RecordCopy) -> Result) -> (Option<RecordCopy>, bool) {
        let mut wrong = false;
        for _ in 0..Self::ATTEMPTS {
            let ends = [self.end(0), self.end(1)];
            let newer = usize::from((ends[1].wrapping_sub(ends[0]) as i32) > 0);
            for number in [newer, 1 - newer] {
                let Some(copy) = self.copy(number, ends[number]) else {
                    continue;
                };
                if check(&copy).is_ok() {
                    return (Some(copy), wrong);
                }
                wrong = true;
            }
        }
        (None, wrong)
    }

    /// The counters. Each is what it was at some moment.
    pub(super) fn counters(&self) -> Counters {
        // Can't fail: it lies in the record.
        self.0
            .read(offset_of!(RecordLayout, counters))
            .unwrap_or_default()
    }
}
