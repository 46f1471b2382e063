// SPDX-License-Identifier: GPL-2.0

//! A wire to another NIC model: a UNIX socket that keeps frames apart.

use super::EtherPort;
use anyhow::{Context, Result};
use rustix::net::{
    accept_with, bind, connect, listen, recv, send, socket_with, sockopt, AddressFamily, RecvFlags,
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

/// Bytes, as the kernel counts them, that may be under way: a flight of jumbo frames takes twice what is in them.
const BUFFER: usize = 8 << 20;

/// Has `socket` send as much as it can at once.
fn widen(socket: &OwnedFd) {
    if sockopt::set_socket_send_buffer_size_force(socket, BUFFER).is_err() {
        // Without privileges it is what the system allows everyone; more is lost then.
        let _ = sockopt::set_socket_send_buffer_size(socket, BUFFER);
    }
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
            widen(&peer);
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
                    self.peer.iter().for_each(widen);
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

#[cfg(test)]
mod tests {
    use super::super::MAX_FRAME;
    use super::*;

    #[test]
    fn send__a_flight_of_jumbo_frames_each_way() {
        let path = std::env::temp_dir().join(format!("toe-nic-{}.wire", std::process::id()));
        let mut ends = [&path; 2].map(|path| WirePort::open(path).unwrap());
        assert!(ends.iter_mut().all(|end| end.is_up()));
        for (from, to) in [(0, 1), (1, 0)] {
            // More than a socket's buffer usually holds.
            for n in 0..20 {
                ends[from].send(&[n; MAX_FRAME]).unwrap();
            }
            let mut frame = [0; MAX_FRAME + 1];
            for n in 0..20 {
                assert_eq!(ends[to].receive(&mut frame).unwrap(), Some(MAX_FRAME));
                assert_eq!(frame[..MAX_FRAME], [n; MAX_FRAME]);
            }
            assert_eq!(ends[to].receive(&mut frame).unwrap(), None);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
