// SPDX-License-Identifier: GPL-2.0

//! A wire to another NIC model: a UNIX socket that keeps frames apart.

use super::EtherPort;
use anyhow::{Context, Result};
use rustix::net::{
    accept_with, bind, connect, listen, recv, send, socket_with, AddressFamily, RecvFlags,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// One end of a wire. Whoever comes second connects to whoever came first; if one end goes, the other waits for it.
pub struct WirePort {
    address: SocketAddrUnix,
    listener: Option<OwnedFd>,
    peer: Option<OwnedFd>,
}

fn socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

impl WirePort {
    /// The end of the wire at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let named = || format!("wire {}", path.display());
        let mut port = Self {
            address: SocketAddrUnix::new(path).with_context(named)?,
            listener: None,
            peer: None,
        };
        if !port.connect().with_context(named)? {
            // Whoever listened there is gone.
            let _ = std::fs::remove_file(path);
            let listener = socket().with_context(named)?;
            bind(&listener, &port.address).with_context(named)?;
            listen(&listener, 1).with_context(named)?;
            port.listener = Some(listener);
        }
        Ok(port)
    }

    fn connect(&mut self) -> io::Result<bool> {
        let peer = socket()?;
        let connected = connect(&peer, &self.address).is_ok();
        if connected {
            self.peer = Some(peer);
        }
        Ok(connected)
    }

    fn peer(&mut self) -> Option<&OwnedFd> {
        if self.peer.is_none() {
            match &self.listener {
                Some(listener) => {
                    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                    self.peer = accept_with(listener, flags).ok();
                }
                None => {
                    self.connect().ok()?;
                }
            }
        }
        self.peer.as_ref()
    }
}

impl EtherPort for WirePort {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(peer) = self.peer() else {
            return Ok(None);
        };
        match recv(peer, frame, RecvFlags::empty()) {
            Ok((_, 0)) => {
                self.peer = None;
                Ok(None)
            }
            Ok((_, len)) => Ok(Some(len)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(_) => {
                self.peer = None;
                Ok(None)
            }
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let Some(peer) = self.peer() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        send(peer, frame, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.peer
            .as_ref()
            .or(self.listener.as_ref())
            .map(|fd| fd.as_fd())
    }

    fn is_up(&mut self) -> bool {
        self.peer().is_some()
    }
}
