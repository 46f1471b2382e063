// SPDX-License-Identifier: GPL-2.0

//! Where frames go to and come from.

pub mod memory;
pub mod pcap;
pub mod shape;
pub mod shaper;
pub mod tap;
pub mod wire;

use shape::Shape;
use std::{io, os::fd::BorrowedFd, time::Instant};

/// Bytes of the longest frame that is received: a jumbo frame with a tag, and some more.
pub const MAX_FRAME: usize = 9216;

/// An Ethernet port.
pub trait EtherPort: Send {
    /// Takes a frame that has arrived; returns its length, or nothing if there is none. Of one that is longer than
    /// `frame` the beginning is taken.
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>>;

    /// Sends a frame. `WouldBlock` if the other side is slow: it is lost.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;

    /// What becomes readable when a frame arrives.
    fn readable(&self) -> Option<BorrowedFd<'_>>;

    /// Whether there is another side.
    fn is_up(&mut self) -> bool;

    /// Does what is due by `now`; returns when to call this again.
    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        None
    }

    /// There is nothing to do for a while.
    fn rest(&mut self) {}

    /// Gives the link a shape, if it can have one.
    fn set_shape(&mut self, _shape: &Shape) {}
}

impl EtherPort for Box<dyn EtherPort> {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        (**self).receive(frame)
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        (**self).send(frame)
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        (**self).readable()
    }

    fn is_up(&mut self) -> bool {
        (**self).is_up()
    }

    fn tick(&mut self, now: Instant) -> Option<Instant> {
        (**self).tick(now)
    }

    fn rest(&mut self) {
        (**self).rest();
    }

    fn set_shape(&mut self, shape: &Shape) {
        (**self).set_shape(shape);
    }
}
