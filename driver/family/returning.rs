// SPDX-License-Identifier: GPL-2.0
//! Connections that were handed back to the kernel's TCP, and return to a device.
//!
//! A connection is handed over when nothing is sent that isn't acknowledged. So when a device appears it is waited for
//! that a little, with the program's calls held off; and if that was in vain, it is tried in some calls to come.
//!
//! Until then the inner socket is used with the outer one locked, and is never waited in: who waits must see that the
//! connection has gone elsewhere.

use super::{Call, Phase, Sockets, ToeSocket, SOCKETS};
use crate::{
    driver::{control::fallback::Reason, WORK},
    net::{
        ksocket::InnerSocket,
        msg::{MsgFlags, RecvMsg, SendMsg},
        sock::{Sock, SockGuard, Timeout},
    },
};
use kernel::{
    prelude::*,
    sync::{aref::ARef, atomic::Relaxed},
    time::{delay::fsleep, Delta},
};

/// Calls of a program in which a return is tried, after a device appeared.
const ATTEMPTS: u32 = 64;

/// How long to wait for what was sent to be acknowledged: so often, and so many milliseconds each time.
const DRAIN_STEPS: u32 = 200;
const DRAIN_STEP_MS: i64 = 2;

/// There is a device where there was none, or one has recovered: connections that were handed back may return.
pub(crate) fn device_appeared() {
    if let (Some(work), Some(_)) = (WORK.get(), SOCKETS.get()) {
        // Without memory they stay where they are.
        let _ = work.try_spawn(GFP_KERNEL, || {
            if let Some(sockets) = SOCKETS.get() {
                call_back(&sockets);
            }
        });
    }
}

/// Has all that were handed back return.
fn call_back(sockets: &Sockets) {
    let mut from = 0;
    while let Some((number, sock)) = sockets.at_or_after(from) {
        from = number + 1;
        if sock.data().is_handed_back() {
            sock.data().attempts.store(ATTEMPTS, Relaxed);
            let sock: ARef<Sock<ToeSocket>> = sock;
            if let Some(work) = WORK.get() {
                let _ = work.try_spawn(GFP_KERNEL, move || ToeSocket::come_back(&sock));
            }
        }
    }
}

impl ToeSocket {
    /// Whether the inner socket serves a connection that a device had.
    fn is_handed_back(&self) -> bool {
        self.handed_back.load(Relaxed) && self.phase() == Phase::Fallback
    }

    /// Returns to a device, if what was sent is acknowledged soon. Sleeps.
    fn come_back(sock: &Sock<Self>) {
        let mut guard = sock.lock();
        for _ in 0..DRAIN_STEPS {
            match Self::return_to_device(sock, &mut guard) {
                Err(Reason::UnsentData) => fsleep(Delta::from_millis(DRAIN_STEP_MS)),
                _ => return,
            }
        }
    }

    /// Returns to a device now.
    fn return_to_device(sock: &Sock<Self>, guard: &mut SockGuard<'_>) -> Result<(), Reason> {
        let this = sock.data();
        if !this.is_handed_back() {
            return Err(Reason::NotEstablished);
        }
        let inner = this.inner().map_err(|_| Reason::NotEstablished)?;
        let result = Self::offload(sock, guard, &inner);
        match result {
            // Who waits for the inner socket goes on with the device.
            Ok(()) => sock.wake_all(),
            // It may be otherwise the next time.
            Err(Reason::UnsentData | Reason::NoNeighbour) => {}
            Err(_) => this.attempts.store(0, Relaxed),
        }
        result
    }

    /// Whether the connection is a device's by now, or can become one's in this call.
    fn has_returned(sock: &Sock<Self>, guard: &mut SockGuard<'_>) -> bool {
        let this = sock.data();
        let attempts = this.attempts.load(Relaxed);
        if attempts > 0 && !this.connection.is_filled() {
            this.attempts.store(attempts - 1, Relaxed);
            let _ = Self::return_to_device(sock, guard);
        }
        this.connection.is_filled()
    }

    /// Calls the inner socket until it no longer would block, waiting in between, in a call of the program's that has
    /// moved `before` bytes.
    ///
    /// # Errors
    ///
    /// How the program's call ends or goes on, if the inner socket moved nothing more.
    fn call_inner(
        sock: &Sock<Self>,
        guard: &mut SockGuard<'_>,
        timeout: &mut Timeout,
        before: usize,
        mut call: impl FnMut(&InnerSocket) -> Result<usize>,
    ) -> Result<usize, Call> {
        if Self::has_returned(sock, guard) {
            return Err(Call::Moved(before));
        }
        let this = sock.data();
        let inner = this.inner().map_err(|e| Call::Done(Err(e)))?;
        let mut result = Err(EAGAIN);
        let waited = guard.wait_until(timeout, || {
            if !this.connection.is_filled() {
                result = call(&inner);
            }
            this.connection.is_filled() || result != Err(EAGAIN)
        });
        match (waited, result) {
            (Ok(()), Ok(n)) => Ok(n),
            (Ok(()), Err(EAGAIN)) => Err(Call::Moved(before)),
            _ if before > 0 => Err(Call::Done(Ok(before))),
            (Err(e), _) => Err(Call::Done(Err(e))),
            (Ok(()), result) => Err(Call::Done(Self::own_error_first(sock, result))),
        }
    }

    /// `sendmsg(2)` by the inner socket.
    pub(super) fn send_handed_back(sock: &Sock<Self>, msg: &mut SendMsg<'_>) -> Call {
        let mut timeout = sock.send_timeout(msg.flags().intersects(MsgFlags::DONTWAIT));
        let mut guard = sock.lock();
        let mut sent = 0;
        loop {
            let call = |inner: &InnerSocket| inner.sendmsg_now(msg);
            match Self::call_inner(sock, &mut guard, &mut timeout, sent, call) {
                Ok(n) => sent += n,
                Err(call) => return call,
            }
            if msg.iter().is_empty() {
                return Call::Done(Ok(sent));
            }
        }
    }

    /// `recvmsg(2)` by the inner socket.
    pub(super) fn receive_handed_back(sock: &Sock<Self>, msg: &mut RecvMsg<'_>) -> Call {
        let flags = msg.flags();
        let to_the_end = flags.intersects(MsgFlags::WAITALL) && !flags.intersects(MsgFlags::PEEK);
        let mut timeout = sock.recv_timeout(flags.intersects(MsgFlags::DONTWAIT));
        let mut guard = sock.lock();
        let mut received = 0;
        loop {
            let call = |inner: &InnerSocket| inner.recvmsg_now(msg);
            let n = match Self::call_inner(sock, &mut guard, &mut timeout, received, call) {
                Ok(n) => n,
                Err(call) => return call,
            };
            received += n;
            msg.received(n);
            // An end of stream may be one that an error brought about.
            if received == 0 && msg.len() > 0 {
                return Call::Done(sock.take_error().map(|()| 0));
            }
            if n == 0 || !to_the_end || msg.len() == 0 {
                return Call::Done(Ok(received));
            }
        }
    }
}
