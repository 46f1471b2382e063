// SPDX-License-Identifier: GPL-2.0
//! bind, listen, connect, accept: the inner socket's work, up to the hand-over.

use super::{may_be_handed_over, wakeup::Forward, Phase, ToeSocket};
use crate::{
    driver::control::{fallback::Reason, Connection},
    net::{
        context::BhDisabled,
        errno::{EALREADY, ECONNRESET, EINPROGRESS, EOPNOTSUPP},
        ksocket::InnerSocket,
        msg::MsgFlags,
        sock::{PollEvents, Sock, SockGuard},
        sock_slot::SocketSlot,
        sockaddr::SockAddr,
        uapi,
    },
};
use kernel::{ffi::c_int, prelude::*, sync::Arc};

impl ToeSocket {
    /// The inner socket for an address of `family`: another one than before if that is the first address this socket sees.
    fn inner_for(sock: &Sock<Self>, family: c_int) -> Result<Arc<InnerSocket>> {
        let this = sock.data();
        let inner = this.inner()?;
        if !this.replay.undecided() || (family != uapi::AF_INET && family != uapi::AF_INET6) {
            return Ok(inner);
        }
        if inner.sk().family() == family {
            return Ok(inner);
        }
        let inner = InnerSocket::new(sock, family)?;
        this.replay.onto(&inner)?;
        let old = this.inner.lock(&BhDisabled::new()).replace(inner.clone());
        drop(old);
        Ok(inner)
    }

    pub(super) fn bind(sock: &Sock<Self>, addr: &SockAddr) -> Result {
        let _guard = sock.lock();
        Self::inner_for(sock, addr.family())?.bind(addr)?;
        sock.data().replay.decide();
        Ok(())
    }

    pub(super) fn listen(sock: &Sock<Self>, backlog: c_int) -> Result {
        let _guard = sock.lock();
        let this = sock.data();
        let inner = this.inner()?;
        inner.listen(backlog)?;
        this.replay.decide();
        if this.phase() != Phase::Listening {
            this.set_phase(Phase::Listening);
            sock.set_state(uapi::TCP_LISTEN);
            inner.set_events(Arc::new(Forward::new(sock), GFP_KERNEL)?);
            Self::list(sock);
        }
        Ok(())
    }

    pub(super) fn connect(sock: &Sock<Self>, addr: &SockAddr, nonblock: bool) -> Result {
        let this = sock.data();
        if this.connection.is_filled() {
            return Self::connect_again(sock, addr);
        }
        let inner = {
            let _guard = sock.lock();
            let inner = Self::inner_for(sock, addr.family())?;
            if this.phase() == Phase::Idle {
                inner.set_events(Arc::new(Forward::new(sock), GFP_KERNEL)?);
                this.set_phase(Phase::Connecting);
                this.replay.decide();
                Self::list(sock);
            }
            inner
        };
        // The outer socket stays unlocked meanwhile: connecting can take minutes.
        match inner.connect(addr, nonblock) {
            Ok(()) => {
                Self::established(sock);
                Ok(())
            }
            // Under way; how it ends, poll() and SO_ERROR will tell.
            Err(e) if e == EINPROGRESS.into() || e == EALREADY.into() => Err(e),
            Err(e) => {
                let _guard = sock.lock();
                if this.phase() == Phase::Connecting && inner.sk().state() == uapi::TCP_CLOSE {
                    this.set_phase(Phase::Idle);
                }
                sock.take_error().and(Err(e))
            }
        }
    }

    /// `connect()` on a socket that is or was offloaded.
    fn connect_again(sock: &Sock<Self>, addr: &SockAddr) -> Result {
        let guard = sock.lock();
        let this = sock.data();
        let Some(connection) = this.connection.get(&guard) else {
            drop(guard);
            return this.inner()?.connect(addr, true);
        };
        if addr.family() == uapi::AF_UNSPEC {
            if !connection.stream().closed() {
                connection.abort();
                sock.report_error(ECONNRESET.into());
            }
            this.set_phase(Phase::Disconnected);
            return Ok(());
        }
        match this.phase() {
            Phase::Disconnected => Err(EOPNOTSUPP.into()),
            // The first call after a non-blocking one learns that it has succeeded.
            _ => this.inner()?.connect(addr, true),
        }
    }

    pub(super) fn accepted(sock: &Sock<Self>) {
        let this = sock.data();
        this.replay.decide();
        if let (Ok(inner), Ok(events)) = (this.inner(), Arc::new(Forward::new(sock), GFP_KERNEL)) {
            inner.set_events(events);
        }
        Self::list(sock);
        Self::established(sock);
    }

    /// Decides who serves the connection once the inner socket is established. Sleeps; may be called more than once.
    pub(super) fn established(sock: &Sock<Self>) {
        let mut guard = sock.lock();
        let this = sock.data();
        let Ok(inner) = this.inner() else { return };
        if this.phase() != Phase::Connecting || !may_be_handed_over(&inner) {
            return;
        }
        if let Err(reason) = Self::offload(sock, &mut guard, &inner) {
            Self::fall_back(&this, reason);
        }
        sock.set_state(uapi::TCP_ESTABLISHED);
        // Before the lock is given up: who was woken by what came afterwards isn't to be woken once more.
        sock.wake(PollEvents::OUT | PollEvents::IN);
    }

    /// Hands the connection over to a device, if that is possible.
    pub(super) fn offload(
        sock: &Sock<Self>,
        guard: &mut SockGuard<'_>,
        inner: &Arc<InnerSocket>,
    ) -> Result<(), Reason> {
        let this = sock.data();
        let room = SocketSlot::reserve()?;
        let connection = Connection::hand_over(inner, sock.into())?;
        Self::set_liveness(sock, &connection);
        this.connection.fill(guard, room, connection);
        this.set_phase(Phase::Offloaded);
        Ok(())
    }

    /// Before data moves on a socket that isn't known to be connected: waits for a `connect()` under way, as TCP does,
    /// and for the hand-over after it.
    ///
    /// # Errors
    ///
    /// `EAGAIN` where waiting is not wanted, or as [`SockGuard::wait_until`](crate::net::sock::SockGuard::wait_until).
    pub(super) fn established_before(sock: &Sock<Self>, flags: MsgFlags) -> Result {
        let this = sock.data();
        if this.phase() != Phase::Connecting {
            return Ok(());
        }
        Self::established(sock);
        let mut timeout = sock.send_timeout(flags.intersects(MsgFlags::DONTWAIT));
        let mut guard = sock.lock();
        guard.wait_until(&mut timeout, || {
            this.phase() != Phase::Connecting
                || sock.has_error()
                || this
                    .inner()
                    .map_or(true, |inner| inner.sk().state() == uapi::TCP_CLOSE)
        })
    }
}
