// SPDX-License-Identifier: GPL-2.0
//! Moving a live TCP connection out of the kernel's TCP, and back.
//!
//! What `TCP_REPAIR` does, taken at one moment: see `rust/helpers/tcp_repair.c` for why not by its socket options, and
//! `rust/helpers/tcp_thaw.c` for the way back.
//!
//! C header: [`include/linux/tcp.h`](srctree/include/linux/tcp.h)

use super::{bindings as b, buffer::PayloadBuffer, ksocket::InnerSocket, skbuff::SkBuff};
use core::{
    mem::ManuallyDrop,
    ptr::{self, NonNull},
};
use kernel::{
    error::{to_result, Error},
    ffi::c_int,
    prelude::*,
    sync::Arc,
};

/// What all frozen sockets share; exists once, as long as the module.
///
/// # Invariants
///
/// The filter of frozen sockets exists.
pub(crate) struct Freezer(());

impl Freezer {
    /// Makes it; the module does so once, before there are connections.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: No requirements.
        to_result(unsafe { b::toe_helper_tcp_filter_init() })?;
        // INVARIANT: Just made.
        Ok(Self(()))
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_tcp_filter_exit() }
    }
}

/// Why a connection can't be moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// It isn't in ESTABLISHED or CLOSE_WAIT, or its sending side was shut.
    NotEstablished,
    /// Data was queued or sent and isn't acknowledged.
    UnsentData,
    /// Urgent data was received.
    UrgentData,
    /// Segments are signed (TCP-MD5, TCP-AO).
    Signature,
    /// Another layer sits on TCP (TLS, PSP).
    UpperLayer,
    /// It is a subflow of MPTCP.
    Mptcp,
    /// Its timestamps count microseconds.
    MicrosecondTimestamps,
    /// Accurate ECN feedback was negotiated.
    AccurateEcn,
    /// A program filters what the socket receives.
    Filter,
    /// IP options, or a minimum TTL, are set.
    IpOptions,
    /// IPsec applies to it.
    Ipsec,
    /// There is no route to the peer.
    NoRoute,
}

impl Obstacle {
    fn from_raw(obstacle: c_int) -> Result<(), Self> {
        Err(match obstacle as b::toe_tcp_obstacle {
            b::toe_tcp_obstacle_TOE_TCP_MOVABLE => return Ok(()),
            b::toe_tcp_obstacle_TOE_TCP_UNSENT_DATA => Self::UnsentData,
            b::toe_tcp_obstacle_TOE_TCP_URGENT_DATA => Self::UrgentData,
            b::toe_tcp_obstacle_TOE_TCP_SIGNATURE => Self::Signature,
            b::toe_tcp_obstacle_TOE_TCP_ULP => Self::UpperLayer,
            b::toe_tcp_obstacle_TOE_TCP_MPTCP => Self::Mptcp,
            b::toe_tcp_obstacle_TOE_TCP_MICROSECOND_TIMESTAMPS => Self::MicrosecondTimestamps,
            b::toe_tcp_obstacle_TOE_TCP_ACCURATE_ECN => Self::AccurateEcn,
            b::toe_tcp_obstacle_TOE_TCP_FILTER => Self::Filter,
            b::toe_tcp_obstacle_TOE_TCP_IP_OPTIONS => Self::IpOptions,
            b::toe_tcp_obstacle_TOE_TCP_IPSEC => Self::Ipsec,
            b::toe_tcp_obstacle_TOE_TCP_NO_ROUTE => Self::NoRoute,
            _ => Self::NotEstablished,
        })
    }
}

/// The local and the remote address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AddrPair {
    /// IPv4.
    V4([u8; 4], [u8; 4]),
    /// IPv6.
    V6([u8; 16], [u8; 16]),
}

/// A connection's state at one moment.
pub(crate) struct Snapshot(b::toe_tcp_snapshot);

/// Field accessors that do nothing but read.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $($(#[$doc])* pub(crate) fn $name(&self) -> $type { self.0.$name })*
    };
}

/// Accessors of what C has as 0 or 1.
macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* pub(crate) fn $name(&self) -> bool { self.0.$name != 0 })*
    };
}

impl Snapshot {
    fields! {
        /// SND.UNA.
        snd_una: u32;
        /// SND.NXT.
        snd_nxt: u32;
        /// SND.WND in bytes.
        snd_wnd: u32;
        /// The largest SND.WND there was, in bytes.
        max_window: u32;
        /// SND.WL1.
        snd_wl1: u32;
        /// RCV.NXT.
        rcv_nxt: u32;
        /// RCV.WND as last offered, in bytes from RCV.NXT.
        rcv_wnd: u32;
        /// Bytes received and not read, a FIN not counted.
        unread: u32;
        /// What is added to the millisecond clock in TSval.
        ts_offset: u32;
        /// TS.Recent.
        ts_recent: u32;
        /// Payload bytes of a full-sized segment that is sent.
        mss: u32;
        /// Payload bytes of a full-sized segment that is received, as far as is known.
        rcv_mss: u32;
        /// SRTT in microseconds; 0 before the first sample.
        srtt_us: u32;
        /// RTTVAR in microseconds.
        rttvar_us: u32;
        /// `SO_MARK`.
        mark: u32;
        /// `SO_PRIORITY`.
        priority: u32;
        /// Our port.
        local_port: u16;
        /// The peer's port.
        remote_port: u16;
        /// Shift count of the windows the peer sends.
        snd_wscale: u8;
        /// Shift count of the windows we send.
        rcv_wscale: u8;
        /// Segments that are still to be acknowledged at once.
        quick_acks: u8;
    }

    flags! {
        /// The peer's FIN was received.
        fin_received;
        /// Timestamps were negotiated.
        timestamps;
        /// SACK was negotiated.
        sack;
        /// ECN was negotiated (RFC 3168).
        ecn;
        /// Window scaling was negotiated.
        wscale_ok;
        /// Something received isn't acknowledged yet.
        ack_owed;
        /// `TCP_NODELAY` is set.
        nodelay;
        /// `TCP_CORK` is set.
        cork;
    }

    /// The addresses. IPv4 on an IPv6 socket is IPv4.
    pub(crate) fn addresses(&self) -> AddrPair {
        let (local, remote) = (self.0.local_addr, self.0.remote_addr);
        if self.0.ipv6 != 0 {
            return AddrPair::V6(local, remote);
        }
        let [l0, l1, l2, l3, ..] = local;
        let [r0, r1, r2, r3, ..] = remote;
        AddrPair::V4([l0, l1, l2, l3], [r0, r1, r2, r3])
    }

    /// The name of the congestion control in use.
    pub(crate) fn congestion(&self) -> &[u8] {
        let name = &self.0.congestion;
        let len = name.iter().position(|&c| c == 0).unwrap_or(name.len());
        name.get(..len).unwrap_or(name)
    }
}

/// A connection that is being moved: its socket is locked, nothing happens to it.
///
/// Dropping it leaves the socket as it was.
///
/// # Invariants
///
/// `inner` is locked by `lock_sock()`.
pub(crate) struct Moving<'a> {
    inner: &'a Arc<InnerSocket>,
    snapshot: Snapshot,
}

impl<'a> Moving<'a> {
    /// Locks the socket and takes the connection's state; may sleep.
    ///
    /// # Errors
    ///
    /// Why the connection can't be moved.
    pub(crate) fn new(inner: &'a Arc<InnerSocket>) -> Result<Self, Obstacle> {
        // SAFETY: The socket is valid.
        unsafe { b::toe_helper_lock_sock(inner.sk().as_ptr()) };
        // INVARIANT: Just locked.
        let mut moving = Self {
            inner,
            snapshot: Snapshot(b::toe_tcp_snapshot::default()),
        };
        moving.refresh()?;
        Ok(moving)
    }

    /// Takes the state again, with all that has reached the socket by now. Errors as [`Moving::new`]; may sleep.
    pub(crate) fn refresh(&mut self) -> Result<(), Obstacle> {
        let snapshot = &mut self.snapshot.0;
        // SAFETY: A TCP socket, locked by the type invariant; all of `snapshot` is written.
        Obstacle::from_raw(unsafe {
            b::toe_helper_tcp_snapshot(self.inner.sk().as_ptr(), snapshot)
        })
    }

    /// The connection's state.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Calls `copy` with each segment that was received and not read: the packet, where its unread payload begins in it,
    /// and the payload's length. They come in the stream's order; their lengths add up to [`Snapshot::unread`].
    pub(crate) fn received(&self, mut copy: impl FnMut(&SkBuff, usize, usize) -> Result) -> Result {
        let mut skb = ptr::null_mut();
        loop {
            let (mut offset, mut len) = (0, 0);
            // SAFETY: The socket is locked by the type invariant, so that `skb` still is in its queue.
            skb = unsafe {
                b::toe_helper_tcp_received(self.inner.sk().as_ptr(), skb, &mut offset, &mut len)
            };
            let Some(packet) = NonNull::new(skb) else {
                return Ok(());
            };
            // SAFETY: The packet stays in the queue, which keeps its reference: it is lent, and never dropped here.
            let packet = ManuallyDrop::new(unsafe { SkBuff::from_raw(packet) });
            copy(&packet, offset as usize, len as usize)?;
        }
    }

    /// Freezes the socket: another data-path has the connection now. Segments that arrived since [`Moving::new`] go
    /// through the network stack once more, for that data-path.
    pub(crate) fn commit(self) -> Frozen {
        // SAFETY: Locked by the type invariant, since the snapshot.
        unsafe { b::toe_helper_tcp_freeze(self.inner.sk().as_ptr()) };
        // INVARIANT: Just frozen.
        Frozen(self.inner.clone())
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        // SAFETY: Locked by the type invariant.
        unsafe { b::release_sock(self.inner.sk().as_ptr()) }
    }
}

/// A socket whose connection has been moved elsewhere: it keeps addresses, ports and route, drops what reaches it and
/// sends nothing. When the last reference to the [`InnerSocket`] goes, it is closed without a word.
///
/// # Invariants
///
/// The socket was frozen by [`Moving::commit`].
pub(crate) struct Frozen(Arc<InnerSocket>);

impl Frozen {
    /// The socket.
    pub(crate) fn inner(&self) -> &Arc<InnerSocket> {
        &self.0
    }

    /// Tells the socket how far the connection is, by SND.UNA, SND.NXT and RCV.NXT: ICMP errors about other segments it
    /// ignores.
    pub(crate) fn sync(&self, snd_una: u32, snd_nxt: u32, rcv_nxt: u32) {
        // SAFETY: The socket is valid; frozen, it uses these for nothing else.
        unsafe { b::toe_helper_tcp_sync(self.0.sk().as_ptr(), snd_una, snd_nxt, rcv_nxt) }
    }

    /// The error that ICMP hinted at since the connection was established, if any.
    pub(crate) fn soft_error(&self) -> Option<Error> {
        // SAFETY: The socket is valid.
        to_result(-unsafe { b::toe_helper_tcp_soft_error(self.0.sk().as_ptr()) }).err()
    }

    /// Ends the connection without a word, and gives addresses and port back. May sleep.
    pub(crate) fn disconnect(&self) {
        // SAFETY: The socket is valid.
        unsafe { b::toe_helper_tcp_disconnect(self.0.sk().as_ptr()) }
    }

    /// Leaves the rest to the kernel's TCP once the last reference goes: TIME_WAIT, or if the peer's FIN is still missing
    /// FIN_WAIT_2 without an owner.
    pub(crate) fn time_wait(&self, state: TimeWait) {
        self.0.end_in(state);
    }
}

/// Bytes of a ring.
#[derive(Clone, Copy)]
pub(crate) struct RingBytes<'a> {
    /// The ring.
    pub(crate) ring: &'a PayloadBuffer,
    /// Position of the first.
    pub(crate) pos: u32,
    /// How many.
    pub(crate) len: u32,
}

impl RingBytes<'_> {
    fn parts(&self) -> Result<b::toe_bytes> {
        let [first, second] = self.ring.parts(self.pos, self.len as usize)?;
        Ok(b::toe_bytes {
            part: [first.0, second.0],
            len: [first.1, second.1],
        })
    }
}

/// The state that the kernel's TCP goes on with.
pub(crate) struct Resumption<'a> {
    /// SND.UNA; past our FIN if that was acknowledged.
    pub(crate) snd_una: u32,
    /// SND.WND in bytes.
    pub(crate) snd_wnd: u32,
    /// The largest SND.WND there was, in bytes.
    pub(crate) max_window: u32,
    /// SND.WL1.
    pub(crate) snd_wl1: u32,
    /// RCV.NXT; past the peer's FIN if that was received.
    pub(crate) rcv_nxt: u32,
    /// RCV.WND as last offered, in bytes from RCV.NXT.
    pub(crate) rcv_wnd: u32,
    /// TS.Recent.
    pub(crate) ts_recent: u32,
    /// SRTT in microseconds; 0 before the first sample.
    pub(crate) srtt_us: u32,
    /// RTTVAR in microseconds.
    pub(crate) rttvar_us: u32,
    /// Congestion window in segments.
    pub(crate) cwnd: u32,
    /// Slow start threshold in segments, if there is one.
    pub(crate) ssthresh: Option<u32>,
    /// `TCP_*`: ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, CLOSING or LAST_ACK.
    pub(crate) state: c_int,
    /// The peer's FIN was received.
    pub(crate) fin_received: bool,
    /// Our FIN may have been sent, after `unacknowledged`, and wasn't acknowledged.
    pub(crate) fin_unacknowledged: bool,
    /// Bytes before RCV.NXT that weren't read.
    pub(crate) unread: RingBytes<'a>,
    /// Bytes from SND.UNA on. Any of them may have been sent.
    pub(crate) unacknowledged: RingBytes<'a>,
}

impl Frozen {
    /// Has the kernel's TCP go on with the connection. The bytes are copied. Sleeps; for kernel threads.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` if the socket's connection has been ended, say by `ss --kill`; `ENOMEM` if there is no memory, and
    /// the connection is reset then.
    pub(crate) fn thaw(self, from: &Resumption<'_>) -> Result<Arc<InnerSocket>> {
        let raw = b::toe_tcp_resumption {
            snd_una: from.snd_una,
            snd_wnd: from.snd_wnd,
            max_window: from.max_window,
            snd_wl1: from.snd_wl1,
            rcv_nxt: from.rcv_nxt,
            rcv_wnd: from.rcv_wnd,
            ts_recent: from.ts_recent,
            srtt_us: from.srtt_us,
            rttvar_us: from.rttvar_us,
            cwnd: from.cwnd,
            ssthresh: from.ssthresh.unwrap_or(0),
            state: from.state as u8,
            fin_received: from.fin_received.into(),
            fin_unacked: from.fin_unacknowledged.into(),
            unread: from.unread.parts()?,
            unacked: from.unacknowledged.parts()?,
        };
        // SAFETY: The socket is valid, and frozen by the type invariant; both rings outlive the call.
        to_result(unsafe { b::toe_helper_tcp_thaw(self.0.sock_ptr(), &raw) })?;
        Ok(self.0)
    }
}

/// What the kernel's TCP needs to know of a connection in TIME_WAIT or FIN_WAIT_2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeWait {
    /// SND.NXT; our FIN was acknowledged.
    pub(crate) snd_nxt: u32,
    /// RCV.NXT.
    pub(crate) rcv_nxt: u32,
    /// TS.Recent.
    pub(crate) ts_recent: u32,
    /// The peer's FIN was received: TIME_WAIT.
    pub(crate) fin_received: bool,
    /// How long the state lasts, in seconds; at most 60.
    pub(crate) seconds: u8,
}
