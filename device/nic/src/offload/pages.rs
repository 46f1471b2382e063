// SPDX-License-Identifier: GPL-2.0

//! Payload buffers: rings made of pages of the host's memory.

use crate::memory::{Memory, Unreachable};
use datapath::npu::meta::RingSlice;

/// A ring of bytes.
pub struct PageRing {
    pages: Vec<u64>,
    shift: u32,
}

/// Why a list of pages makes no ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadPages {
    /// The pages' size is none that can be.
    Shift,
    /// The list or a page can't be reached or is not aligned.
    Address,
}

impl PageRing {
    /// The ring of `size` bytes, a power of two, whose pages are listed at `list`.
    pub fn new(memory: &Memory, list: u64, size: u32, shift: u8) -> Result<Self, BadPages> {
        if shift < 12
            || 1u64
                .checked_shl(shift.into())
                .is_none_or(|page| page > size.into())
        {
            return Err(BadPages::Shift);
        }
        if list % 8 != 0 {
            return Err(BadPages::Address);
        }
        let mut bytes = vec![0; (size >> shift) as usize * 8];
        memory
            .read_bytes(list, &mut bytes)
            .map_err(|_| BadPages::Address)?;
        let pages: Vec<u64> = bytes
            .chunks_exact(8)
            .filter_map(|chunk| chunk.first_chunk())
            .map(|chunk| u64::from_le_bytes(*chunk))
            .collect();
        let page = 1u64 << shift;
        if pages
            .iter()
            .any(|address| address % page != 0 || !memory.reachable(*address, page))
        {
            return Err(BadPages::Address);
        }
        Ok(Self {
            pages,
            shift: shift.into(),
        })
    }

    /// Calls `f` with the address of each piece of `len` bytes at `offset`, and what of those bytes it is.
    fn pieces(
        &self,
        mut offset: usize,
        len: usize,
        mut f: impl FnMut(u64, std::ops::Range<usize>) -> Result<(), Unreachable>,
    ) -> Result<(), Unreachable> {
        let page = 1usize << self.shift;
        let mut from = 0;
        while from < len {
            let base = self.pages.get(offset >> self.shift).ok_or(Unreachable)?;
            let within = offset & (page - 1);
            let to = len.min(from + page - within);
            f(base + within as u64, from..to)?;
            offset += to - from;
            from = to;
        }
        Ok(())
    }

    /// Copies `bytes` to a slice of the ring that is as long.
    pub fn write(&self, memory: &Memory, to: &RingSlice, bytes: &[u8]) -> Result<(), Unreachable> {
        let (offset, first, _) = to.parts();
        let (head, tail) = bytes.split_at(first.min(bytes.len()));
        self.pieces(offset, head.len(), |address, range| {
            memory.write_bytes(address, &head[range])
        })?;
        self.pieces(0, tail.len(), |address, range| {
            memory.write_bytes(address, &tail[range])
        })
    }

    /// Copies a slice of the ring to `bytes`, which is as long.
    pub fn read(
        &self,
        memory: &Memory,
        from: &RingSlice,
        bytes: &mut [u8],
    ) -> Result<(), Unreachable> {
        let (offset, first, _) = from.parts();
        let (head, tail) = bytes.split_at_mut(first.min(bytes.len()));
        self.pieces(offset, head.len(), |address, range| {
            memory.read_bytes(address, &mut head[range])
        })?;
        self.pieces(0, tail.len(), |address, range| {
            memory.read_bytes(address, &mut tail[range])
        })
    }
}
