// SPDX-License-Identifier: GPL-2.0
//! A context's commands, and the connections that wait for room for theirs.

use super::{queue::Submission, table::Cookie};
use crate::net::device_abi::Command;
use kernel::{
    bitmap::BitmapVec,
    device::{Bound, Device},
    prelude::*,
};

/// What a device is told through a context.
pub(super) struct Commands {
    pub(super) sq: Submission<Command>,
    /// Who waits for room.
    pub(super) waiting: Waiting,
    /// How far the device was at the last look, if something was left to be done, and since when, in microseconds.
    left: Option<(u32, u64)>,
}

impl Commands {
    /// How long the device may execute nothing of what it was told, in microseconds.
    const PATIENCE_US: u64 = 1_000_000;

    /// No commands, of up to `connections`. `ENOMEM` if there is no memory.
    pub(super) fn new(dev: &Device<Bound>, entries: u32, connections: u32) -> Result<Self> {
        Ok(Self {
            sq: Submission::new(dev, entries)?,
            waiting: Waiting::new(connections)?,
            left: None,
        })
    }

    /// For a queue that is to be created anew.
    pub(super) fn clear(&mut self) {
        self.sq.clear();
        while self.waiting.take().is_some() {}
        self.left = None;
    }

    /// Whether the device was where it is now for too long, although something is left to be done.
    pub(super) fn is_stuck(&mut self, now_us: u64) -> bool {
        let head = self.sq.head();
        let since = match self.left {
            Some((before, since)) if before == head => since,
            _ => now_us,
        };
        self.left = (self.sq.tail() != head).then_some((head, since));
        now_us - since > Self::PATIENCE_US
    }

    /// The index that the device has moved past once it has executed half of a full ring.
    pub(super) fn half_executed(&self) -> u32 {
        let half = self.sq.ring().entries() / 2;
        self.sq.tail().wrapping_sub(half)
    }
}

/// Connections that wait, each once.
pub(super) struct Waiting {
    /// By cookie.
    cookies: BitmapVec,
    /// Whose turn it was last.
    last: usize,
}

impl Waiting {
    /// None of up to `connections`. `ENOMEM` if there is no memory.
    fn new(connections: u32) -> Result<Self> {
        Ok(Self {
            cookies: BitmapVec::new(connections as usize, GFP_KERNEL)?,
            last: 0,
        })
    }

    /// Adds the connection with this cookie.
    pub(super) fn add(&mut self, cookie: Cookie) {
        self.cookies.set_bit(cookie.0 as usize);
    }

    /// Takes out the one whose turn it is: all get theirs before one has it twice.
    pub(super) fn take(&mut self) -> Option<Cookie> {
        let after = self.cookies.next_bit(self.last);
        self.last = after.or_else(|| self.cookies.next_bit(0))?;
        self.cookies.clear_bit(self.last);
        Some(Cookie(self.last as u32))
    }
}

#[kernel::macros::kunit_tests(toe_pci_commands)]
mod tests {
    use super::{Cookie, Waiting};
    use kernel::prelude::*;

    #[test]
    fn all_get_their_turn() -> Result {
        let mut waiting = Waiting::new(100)?;
        assert_eq!(waiting.take(), None);
        for cookie in [99, 3, 64, 3] {
            waiting.add(Cookie(cookie));
        }
        assert_eq!(waiting.take(), Some(Cookie(3)));
        // Not before the others that wait already.
        waiting.add(Cookie(2));
        for cookie in [64, 99, 2] {
            assert_eq!(waiting.take(), Some(Cookie(cookie)));
        }
        assert_eq!(waiting.take(), None);
        Ok(())
    }
}
