// SPDX-License-Identifier: GPL-2.0
//! The socket family: what a program sees of AF_TOE.
//!
//! Every socket owns an inner kernel TCP socket, which binds, listens, accepts and connects. Once that one is established
//! its connection is handed over to an offload device, and the bytes go through payload buffers; where that isn't
//! possible, or the device is lost, the inner socket serves the connection (fallback).

mod connect;
mod hand_back;
mod info;
mod io;
mod options;
mod release;
mod returning;
mod sockets;
pub(crate) mod stream;
mod wakeup;

use crate::{
    driver::control::{fallback::Reason, Connection},
    net::{
        compat::THIS_MODULE,
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        errno::{ENOTCONN, EOPNOTSUPP},
        family::{Family, Registration, StreamSocket},
        ksocket::InnerSocket,
        msg::{MsgFlags, RecvMsg, SendMsg},
        sock::{AnySock, PollEvents, Shut, Sock},
        sock_slot::SocketSlot,
        sockaddr::SockAddr,
        sockopt::{GetOpt, SetOpt},
        uapi,
    },
};
use core::mem::size_of;
use kernel::{
    error::Error,
    ffi::{c_int, c_uint},
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        rcu, Arc,
    },
    uaccess::{UserPtr, UserSlice},
};
use options::Replay;
pub(crate) use returning::device_appeared;
pub(crate) use sockets::{Carrier, Sockets, SOCKETS};

/// How far a socket has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Neither connected nor listening.
    Idle,
    /// `connect()` is under way, or done but not handed over yet.
    Connecting,
    /// `listen()` was called.
    Listening,
    /// Connected; the inner socket serves the connection.
    Fallback,
    /// Connected; a device serves the connection.
    Offloaded,
    /// Was connected, until the program connected it to nobody.
    Disconnected,
    /// Closed by the program.
    Released,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Idle,
        Self::Connecting,
        Self::Listening,
        Self::Fallback,
        Self::Offloaded,
        Self::Disconnected,
        Self::Released,
    ];
}

/// The Rust part of an AF_TOE socket.
///
/// `phase` and `inner` change under the socket's lock only; anybody may read them.
#[pin_data]
pub(crate) struct ToeSocket {
    phase: Atomic<u32>,
    #[pin]
    inner: BhSpinLock<Option<Arc<InnerSocket>>>,
    /// Filled in [`Phase::Offloaded`], and until the socket is gone if the connection ends then.
    connection: SocketSlot<Connection>,
    /// Why it is [`Phase::Fallback`]; one more than the reason's place in [`Reason::ALL`].
    reason: Atomic<u32>,
    /// The connection was handed back, and may return to a device.
    handed_back: Atomic<bool>,
    /// Calls in which it is still to be tried whether it can.
    attempts: Atomic<u32>,
    /// By which it is listed, 0 if it isn't.
    number: Atomic<u64>,
    #[pin]
    replay: Replay,
}

static FAMILY: Family<ToeSocket> = Family::new(c"TOE", uapi::IPPROTO_TOE, &THIS_MODULE);

/// Makes the family known to the socket layer, under the number `pf`; errors as [`Registration::new`].
pub(crate) fn register(pf: c_int) -> Result<Registration<ToeSocket>> {
    Registration::new(pf)
}

/// How far one who serves a connection has brought a call of the program's.
enum Call {
    /// To its end.
    Done(Result<usize>),
    /// So many bytes; the connection goes on elsewhere, and the call with it.
    Moved(usize),
}

/// What a call returns that moved `before` bytes and then ended in `result`.
fn after(before: usize, result: Result<usize>) -> Result<usize> {
    match result {
        Ok(n) => Ok(before + n),
        Err(_) if before > 0 => Ok(before),
        error => error,
    }
}

impl ToeSocket {
    fn phase(&self) -> Phase {
        Phase::ALL
            .get(self.phase.load(Acquire) as usize)
            .copied()
            .unwrap_or(Phase::Idle)
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Release);
    }

    /// The inner socket; `ENOTCONN` when the program has closed this one.
    fn inner(&self) -> Result<Arc<InnerSocket>> {
        let inner = self.inner.lock(&BhDisabled::new()).clone();
        inner.ok_or_else(|| ENOTCONN.into())
    }
}

impl StreamSocket for ToeSocket {
    type Accepted = Arc<InnerSocket>;

    fn family() -> &'static Family<Self> {
        &FAMILY
    }

    fn new(sk: &AnySock, accepted: Option<Arc<InnerSocket>>) -> impl PinInit<Self, Error> {
        let phase = if accepted.is_some() {
            Phase::Connecting
        } else {
            Phase::Idle
        };
        let inner = match accepted {
            Some(inner) => Ok(inner),
            // AF_TOE learns from the first address whether it is to be AF_INET6.
            None if sk.family() == uapi::AF_INET6 => InnerSocket::new(sk, uapi::AF_INET6),
            None => InnerSocket::new(sk, uapi::AF_INET),
        };
        try_pin_init!(Self {
            phase: Atomic::new(phase as u32),
            inner <- {
                let inner = inner?;
                new_bh_spinlock!(Some(inner), "ToeSocket::inner")
            },
            connection: SocketSlot::new(sk),
            reason: Atomic::new(0),
            handed_back: Atomic::new(false),
            attempts: Atomic::new(0),
            number: Atomic::new(0),
            replay <- Replay::new(sk.family() == uapi::AF_TOE),
        })
    }

    fn release(sock: &Sock<Self>) {
        Self::close(sock);
    }

    fn bind(sock: &Sock<Self>, addr: &SockAddr) -> Result {
        Self::bind(sock, addr)
    }

    fn connect(sock: &Sock<Self>, addr: &SockAddr, nonblock: bool) -> Result {
        Self::connect(sock, addr, nonblock)
    }

    fn listen(sock: &Sock<Self>, backlog: c_int) -> Result {
        Self::listen(sock, backlog)
    }

    fn accept(sock: &Sock<Self>, nonblock: bool) -> Result<Arc<InnerSocket>> {
        sock.data().inner()?.accept(nonblock)
    }

    fn accepted(sock: &Sock<Self>) {
        Self::accepted(sock);
    }

    fn name(sock: &Sock<Self>, peer: bool) -> Result<SockAddr> {
        sock.data().inner()?.name(peer)
    }

    fn poll(sock: &Sock<Self>) -> PollEvents {
        Self::poll(sock)
    }

    fn ioctl(sock: &Sock<Self>, cmd: c_uint, arg: usize) -> Result<c_int> {
        let this = sock.data();
        if let Some(connection) = this.connection.share() {
            if let Some(answer) = queue_length(&connection, cmd) {
                let address = UserPtr::from_addr(arg);
                UserSlice::new(address, size_of::<c_int>())
                    .writer()
                    .write(&answer)?;
                return Ok(0);
            }
        }
        this.inner()?.ioctl(cmd, arg)
    }

    fn shutdown(sock: &Sock<Self>, shut: Shut) -> Result {
        Self::shut(sock, shut)
    }

    fn setsockopt(sock: &Sock<Self>, level: c_int, name: c_int, value: &SetOpt) -> Result {
        Self::set_option(sock, level, name, value)
    }

    fn getsockopt(sock: &Sock<Self>, level: c_int, name: c_int, value: &mut GetOpt) -> Result {
        let this = sock.data();
        let inner = this.inner()?;
        if (level, name) == (uapi::SOL_TCP, uapi::TCP_INFO) {
            if let Some(connection) = this.connection.share() {
                return value.write(info::tcp_info(&connection, &inner)?.as_bytes());
            }
        }
        inner.getsockopt(level, name, value)
    }

    fn sendmsg(sock: &Sock<Self>, msg: &mut SendMsg<'_>) -> Result<usize> {
        if msg.flags().intersects(MsgFlags::FASTOPEN) {
            return Err(EOPNOTSUPP.into());
        }
        let this = sock.data();
        if !this.connection.is_filled() {
            Self::established_before(sock, msg.flags())?;
        }
        let mut before = 0;
        loop {
            let call = if this.connection.is_filled() {
                Self::send(sock, msg)
            } else if this.handed_back.load(Relaxed) {
                Self::send_handed_back(sock, msg)
            } else {
                Call::Done(Self::send_inner(sock, msg))
            };
            match call {
                Call::Done(result) => return after(before, result),
                Call::Moved(sent) => before += sent,
            }
        }
    }

    fn recvmsg(sock: &Sock<Self>, msg: &mut RecvMsg<'_>) -> Result<usize> {
        let this = sock.data();
        if !this.connection.is_filled() {
            Self::established_before(sock, msg.flags())?;
        }
        let to_the_end =
            msg.flags().intersects(MsgFlags::WAITALL) && !msg.flags().intersects(MsgFlags::PEEK);
        let mut before = 0;
        loop {
            let call = if this.connection.is_filled() {
                Self::receive(sock, msg)
            } else if this.handed_back.load(Relaxed) {
                Self::receive_handed_back(sock, msg)
            } else {
                Call::Done(Self::receive_inner(sock, msg))
            };
            match call {
                Call::Done(result) => return after(before, result),
                Call::Moved(received) => before += received,
            }
            if before > 0 && !to_the_end {
                return Ok(before);
            }
        }
    }
}

impl ToeSocket {
    /// The inner socket serves the connection from now on.
    fn fall_back(this: &Self, reason: Reason) {
        reason.count();
        this.reason.store(reason as u32 + 1, Relaxed);
        this.set_phase(Phase::Fallback);
    }

    /// Why the inner socket serves the connection.
    fn reason(&self) -> Option<Reason> {
        let at = self.reason.load(Relaxed).checked_sub(1)?;
        Reason::ALL.get(at as usize).copied()
    }

    /// `sendmsg(2)` by the inner socket.
    fn send_inner(sock: &Sock<Self>, msg: &mut SendMsg<'_>) -> Result<usize> {
        let sent = sock.data().inner()?.sendmsg(msg);
        Self::own_error_first(sock, sent)
    }

    /// `recvmsg(2)` by the inner socket.
    fn receive_inner(sock: &Sock<Self>, msg: &mut RecvMsg<'_>) -> Result<usize> {
        match sock.data().inner()?.recvmsg(msg) {
            // An end of stream that an error brought about.
            Ok(0) if msg.len() > 0 => sock.take_error().map(|()| 0),
            received => Self::own_error_first(sock, received),
        }
    }

    /// `result` of the inner socket, whose errors have been moved to the outer one as they arose.
    fn own_error_first(sock: &Sock<Self>, result: Result<usize>) -> Result<usize> {
        result.or_else(|e| sock.take_error().and(Err(e)))
    }

    /// What is ready.
    fn poll(sock: &Sock<Self>) -> PollEvents {
        let this = sock.data();
        if let Some(connection) = this.connection.read(&rcu::read_lock()) {
            return Self::poll_offloaded(sock, connection.stream());
        }
        let Ok(inner) = this.inner() else {
            return PollEvents::HUP;
        };
        let mut events = inner.poll();
        if this.phase() == Phase::Connecting && may_be_handed_over(&inner) {
            // Not the program's to use yet; the hand-over wakes whoever waits.
            events = PollEvents::default();
        }
        if sock.has_error() {
            events |= PollEvents::ERR;
        }
        events
    }
}

/// The answer to an `ioctl(2)` about the queues of an offloaded connection (tcp(7)); `None` if `cmd` is another.
fn queue_length(connection: &Connection, cmd: c_uint) -> Option<c_int> {
    let stream = connection.stream();
    let length = match cmd {
        uapi::TIOCINQ => stream.readable(),
        uapi::TIOCOUTQ => stream.unacknowledged(),
        uapi::SIOCOUTQNSD => {
            let send = connection.offload()?.config()?.send;
            stream.unacknowledged() - send.nxt.bytes_since(send.una).as_usize()
        }
        // There is no urgent data.
        uapi::SIOCATMARK => 0,
        _ => return None,
    };
    Some(length as c_int)
}

/// Whether the inner socket is in a state that a connection can be handed over in.
fn may_be_handed_over(inner: &InnerSocket) -> bool {
    matches!(
        inner.sk().state(),
        uapi::TCP_ESTABLISHED | uapi::TCP_CLOSE_WAIT
    )
}
