// SPDX-License-Identifier: GPL-2.0

//! Where frames go to and come from.

pub mod memory;
pub mod tap;
pub mod wire;

use std::{io, os::fd::BorrowedFd};

/// Bytes of the longest frame a port may give: jumbo frames, with a tag.
pub const MAX_FRAME: usize = 9216;

/// An Ethernet port.
pub trait EtherPort: Send {
    /// Takes a frame that has arrived; returns its length, or nothing if there is none.
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>>;

    /// Sends a frame. `WouldBlock` if the other side is slow: it is lost.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;

    /// What becomes readable when a frame arrives.
    fn readable(&self) -> Option<BorrowedFd<'_>>;

    /// Whether there is another side.
    fn is_up(&mut self) -> bool;
}
