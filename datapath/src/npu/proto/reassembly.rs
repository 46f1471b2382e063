// SPDX-License-Identifier: GPL-2.0

//! Which bytes beyond RCV.NXT the receive ring already holds.

use crate::units::{Bytes, SeqNum};
use crate::wire::options::{SackBlock, SackBlocks};

/// Up to `N` disjoint intervals, in order; the payload itself lies in the receive ring.
///
/// # Invariants
///
/// The first `len` intervals are not empty, sorted, and neither overlap nor touch.
#[derive(Clone, Copy, Debug)]
pub struct Reassembly<const N: usize> {
    intervals: [SackBlock; N],
    len: u8,
}

/// There is no interval left for what arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl<const N: usize> Reassembly<N> {
    /// Holding nothing.
    pub const fn new() -> Self {
        const { assert!(N > 0 && N <= 64) };
        let zero = SackBlock {
            start: SeqNum::new(0),
            end: SeqNum::new(0),
        };
        Self {
            intervals: [zero; N],
            len: 0,
        }
    }

    /// Whether nothing is held.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The intervals, in order.
    pub fn intervals(&self) -> &[SackBlock] {
        self.intervals.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Adds the bytes from `start` up to `end`, which comes after it.
    ///
    /// Nothing already held is ever given up: it may have been reported to the peer (RFC 2018, section 8).
    pub fn insert(&mut self, start: SeqNum, end: SeqNum) -> Result<(), Full> {
        let held = self.intervals();
        // Those from `first` up to `last` overlap or touch the new bytes.
        let first = held.iter().take_while(|i| i.end.before(start)).count();
        let last = held.iter().take_while(|i| !i.start.after(end)).count();
        let mut merged = SackBlock { start, end };
        if let Some(touched @ [lowest, ..]) = held.get(first..last) {
            merged.start = start.min(lowest.start);
            merged.end = touched.iter().fold(end, |end, i| end.max(i.end));
        }
        let len = held.len();
        if first == last {
            if len == N {
                return Err(Full);
            }
            self.intervals.copy_within(first..len, first + 1);
            self.len += 1;
        } else {
            self.intervals.copy_within(last..len, first + 1);
            self.len -= (last - first - 1) as u8;
        }
        if let Some(slot) = self.intervals.get_mut(first) {
            *slot = merged;
        }
        Ok(())
    }

    /// Takes out what adjoins or lies before `next`; returns how far the bytes held reach from there.
    pub fn take_until(&mut self, next: SeqNum) -> SeqNum {
        let held = self.intervals();
        let taken = held.iter().take_while(|i| !i.start.after(next)).count();
        let end = held.iter().take(taken).fold(next, |end, i| end.max(i.end));
        let len = held.len();
        self.intervals.copy_within(taken..len, 0);
        self.len -= taken as u8;
        end
    }

    /// The intervals as SACK blocks; the one that holds `newest` comes first.
    //= https://www.rfc-editor.org/rfc/rfc2018#section-4
    //# The first SACK block (i.e., the one immediately following the
    //# kind and length fields in the option) MUST specify the contiguous
    //# block of data containing the segment which triggered this ACK,
    //# unless that segment advanced the Acknowledgment Number field in
    //# the header.
    pub fn sack(&self, newest: SeqNum) -> SackBlocks {
        let holds = |i: &&SackBlock| newest.in_window(i.start, i.end.bytes_since(i.start));
        let mut out = SackBlocks::default();
        self.intervals()
            .iter()
            .filter(holds)
            .for_each(|i| out.push(*i));
        self.intervals()
            .iter()
            .filter(|i| !holds(i))
            .for_each(|i| out.push(*i));
        out
    }

    /// Bytes held.
    pub fn bytes(&self) -> Bytes {
        self.intervals()
            .iter()
            .fold(Bytes::ZERO, |sum, i| sum + i.end.bytes_since(i.start))
    }
}

impl<const N: usize> Default for Reassembly<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn seq(n: u32) -> SeqNum {
        SeqNum::new(n)
    }

    fn held<const N: usize>(r: &Reassembly<N>) -> Vec<(u32, u32)> {
        r.intervals()
            .iter()
            .map(|i| (i.start.get(), i.end.get()))
            .collect()
    }

    #[test]
    fn insert__sorts_and_merges() {
        let mut r = Reassembly::<4>::new();
        for (start, end) in [(30, 40), (10, 20), (50, 60), (70, 80)] {
            r.insert(seq(start), seq(end)).unwrap();
        }
        assert_eq!(held(&r), [(10, 20), (30, 40), (50, 60), (70, 80)]);
        assert_eq!(r.insert(seq(90), seq(91)), Err(Full));
        r.insert(seq(80), seq(85)).unwrap();
        r.insert(seq(20), seq(30)).unwrap();
        assert_eq!(held(&r), [(10, 40), (50, 60), (70, 85)]);
        r.insert(seq(5), seq(100)).unwrap();
        assert_eq!(held(&r), [(5, 100)]);
    }

    #[test]
    fn take_until__stops_at_hole() {
        let mut r = Reassembly::<4>::new();
        for (start, end) in [(10, 20), (25, 40), (50, 60)] {
            r.insert(seq(start), seq(end)).unwrap();
        }
        assert_eq!(r.take_until(seq(9)), seq(9));
        assert_eq!(r.take_until(seq(10)), seq(20));
        assert_eq!(r.take_until(seq(30)), seq(40));
        assert_eq!(held(&r), [(50, 60)]);
    }

    #[test]
    fn sack__newest_first() {
        let mut r = Reassembly::<4>::new();
        for (start, end) in [(10, 20), (30, 40), (50, 60), (70, 80)] {
            r.insert(seq(start), seq(end)).unwrap();
        }
        let starts: Vec<u32> = r.sack(seq(55)).iter().map(|b| b.start.get()).collect();
        assert_eq!(starts, [50, 10, 30]);
    }

    proptest! {
        /// Against a set of bytes.
        #[test]
        fn insert__equals_model(isn: u32, ops in prop::collection::vec((0u32..200, 1u32..40, any::<bool>()), 1..60)) {
            let mut r = Reassembly::<4>::new();
            let mut model = [false; 1000];
            let mut next = 0u32;
            for (at, len, advance) in ops {
                if advance {
                    next = (next + len / 4).min(250);
                    while model[next as usize] { next += 1; }
                    model[..next as usize].fill(false);
                    let end = r.take_until(seq(isn.wrapping_add(next)));
                    prop_assert_eq!(end, seq(isn.wrapping_add(next)));
                } else {
                    let start = at.max(next + 1);
                    let span = start as usize..(start + len) as usize;
                    let result = r.insert(seq(isn.wrapping_add(start)), seq(isn.wrapping_add(start + len)));
                    if result.is_ok() {
                        model[span].fill(true);
                    } else {
                        prop_assert_eq!(r.intervals().len(), 4);
                        let near = start as usize - 1..(start + len) as usize + 1;
                        prop_assert!(model[near].iter().all(|held| !held));
                    }
                }
                let bytes = model.iter().filter(|held| **held).count();
                prop_assert_eq!(r.bytes(), Bytes(bytes as u32));
                for i in r.intervals() {
                    let start = i.start.get().wrapping_sub(isn) as usize;
                    let end = i.end.get().wrapping_sub(isn) as usize;
                    prop_assert!(model[start..end].iter().all(|held| *held));
                    prop_assert!(!model[start - 1] && !model[end]);
                }
            }
        }
    }
}
