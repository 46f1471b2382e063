// SPDX-License-Identifier: GPL-2.0

//! A TAP interface of the machine the model runs on: its kernel's own TCP is the peer.

use super::EtherPort;
use anyhow::{Context, Result};
use rustix::fd::AsFd;
use std::{io, os::fd::BorrowedFd};
use tappers::{Interface, Tap};

/// The TAP.
pub struct TapPort(Tap);

impl TapPort {
    /// Attaches to the interface `name`, made if there is none.
    pub fn open(name: &str) -> Result<Self> {
        let open = || -> io::Result<Tap> {
            let mut tap = Tap::new_named(Interface::new(name)?)?;
            tap.set_nonblocking(true)?;
            Ok(tap)
        };
        let tap = open().with_context(|| {
            format!("TAP {name}: not to be had; it needs CAP_NET_ADMIN and /dev/net/tun")
        })?;
        Ok(Self(tap))
    }
}

impl EtherPort for TapPort {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.recv(frame) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame).map(|_| ())
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn is_up(&mut self) -> bool {
        true
    }
}
