// SPDX-License-Identifier: GPL-2.0

//! What travels between stages, and between the data-path and its environment: always by value.

use crate::units::{Bytes, Micros, SeqNum, StreamPos};
use crate::wire::options::{SackBlock, SackBlocks, Timestamps};
use crate::wire::tcp::Flags;

macro_rules! bit_set {
    ($(#[$meta:meta])* $name:ident: $repr:ty { $($(#[$bmeta:meta])* $bit:ident = $value:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[repr(transparent)]
        pub struct $name($repr);

        impl $name {
            /// No bit.
            pub const NONE: Self = Self(0);
            $($(#[$bmeta])* pub const $bit: Self = Self($value);)+

            /// Whether any bit of `other` is set.
            #[inline]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Whether no bit is set.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The bits of either.
            #[inline]
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Sets the bits of `other`.
            #[inline]
            pub fn insert(&mut self, other: Self) {
                self.0 |= other.0;
            }

            /// Clears the bits of `other`.
            #[inline]
            pub fn remove(&mut self, other: Self) {
                self.0 &= !other.0;
            }

            /// Sets or clears the bits of `other`.
            #[inline]
            pub fn set(&mut self, other: Self, on: bool) {
                if on {
                    self.insert(other);
                } else {
                    self.remove(other);
                }
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;

            #[inline]
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

pub(super) use bit_set;

bit_set! {
    /// How a connection's protocol stage behaves.
    Features: u8 {
        /// Timestamps were negotiated (RFC 7323).
        TIMESTAMPS = 1,
        /// ECN was negotiated (RFC 3168).
        ECN = 2,
        /// ECN feedback mirrors every segment's mark (RFC 8257) instead of latching until CWR. Needs `ECN`.
        ACCURATE_ECN = 4,
        /// The peer permits SACK (RFC 2018), and we report what we hold out of order.
        SACK = 8,
        /// Small segments don't wait for acknowledgments (TCP_NODELAY).
        NODELAY = 16,
        /// Partial segments wait for more data or FIN (TCP_CORK, MSG_MORE).
        CORK = 32,
        /// What may be sent is not sent at once, but when the [flow scheduler](super::scheduler) says so, which may take
        /// long: acknowledgments that are due don't wait for it.
        PACED = 64,
    }
}

/// What the protocol stage needs to know of a connection's constants and control-plane settings; the
/// pre-processing stage sends it along with each item of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// Payload bytes of a full-sized segment we send, options already subtracted.
    pub mss: Bytes,
    /// Most payload bytes handed to the device at once; more than `mss` if it cuts segments itself (TSO).
    pub tx_max: Bytes,
    /// Most payload bytes actually handed over at once: less than `tx_max` while `cwnd` is small, so that a loss
    /// leaves something to be acknowledged.
    pub tx_burst: Bytes,
    /// Congestion window, set by the control plane.
    pub cwnd: Bytes,
    /// Size of the receive ring.
    pub rx_size: Bytes,
    /// Size of the transmit ring.
    pub tx_size: Bytes,
    /// Least step by which the right edge of the offered window moves (RFC 9293, section 3.8.6.2.2).
    pub window_step: Bytes,
    /// Added to our millisecond clock in TSval.
    pub ts_offset: u32,
    /// Scale of the windows the peer sends.
    pub snd_scale: crate::units::WindowScale,
    /// Scale of the windows we send.
    pub rcv_scale: crate::units::WindowScale,
    /// Options and modes.
    pub features: Features,
}

impl Params {
    /// Sets the congestion window; one MSS at least.
    pub fn set_cwnd(&mut self, cwnd: Bytes) {
        self.cwnd = cwnd.max(self.mss);
        let share = Bytes(self.cwnd.0 / 4);
        let burst = (share - share.beyond_multiple_of(self.mss)).max(self.mss);
        self.tx_burst = burst.min(self.tx_max);
    }
}

/// A received segment as later stages see it: the header summary (chapter 4, section 4.3.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK.
    pub ack: SeqNum,
    /// Where the payload begins, in bytes from the IP header's start.
    pub payload_offset: u32,
    /// Length of the payload: several MSS if the receiver coalesces (GRO, LRO).
    pub payload_len: Bytes,
    /// The window field, not scaled.
    pub window: u16,
    /// The control bits.
    pub flags: Flags,
    /// Whether the IP header says congestion was experienced.
    pub ce: bool,
    /// The timestamps option.
    pub timestamps: Option<Timestamps>,
    /// First block of the SACK option.
    pub sack: Option<SackBlock>,
}

bit_set! {
    /// What else a [`HostControl`] request asks for.
    Command: u8 {
        /// The transmit stream ends after the bytes added so far.
        FIN = 1,
        /// Retransmission timeout: go back to SND.UNA and send again from there.
        RETRANSMIT = 2,
        /// Acknowledge now: the delayed-ACK timer, or a challenge ACK.
        ACK_NOW = 4,
        /// Persist timer, or the end of cork's patience: send what the window takes regardless of segment size, or
        /// else a probe without data.
        PROBE = 8,
        /// Keepalive: a segment the peer must answer.
        KEEPALIVE = 16,
        /// Transmit what is allowed now (after the congestion window or a mode changed; implied by the others).
        KICK = 32,
    }
}

/// A host-control request (chapter 4, section 4.3.1.1); several may be batched into one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HostControl {
    /// Bytes the application appended to the transmit ring.
    pub tx_added: Bytes,
    /// Bytes the application consumed from the receive ring.
    pub rx_freed: Bytes,
    /// Further commands, executed after those bytes are accounted for.
    pub commands: Command,
}

/// Why a host-control request was refused; nothing of it was executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostControlError {
    /// More bytes added than the transmit ring has room for.
    TxOverflow,
    /// More bytes freed than the receive ring holds.
    RxUnderflow,
    /// Bytes added after FIN.
    AfterFin,
}

bit_set! {
    /// What happened, for the socket and the control plane.
    Events: u16 {
        /// The peer's stream ended: FIN arrived, and all data before it.
        PEER_FIN = 1,
        /// Our FIN was acknowledged, and all data before it.
        FIN_ACKED = 2,
        /// Three duplicate ACKs: retransmission began.
        FAST_RETRANSMIT = 4,
        /// The peer's window opened from zero.
        WINDOW_OPENED = 8,
    }
}

/// What congestion control needs, over the bytes acknowledged since the last report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CongestionReport {
    /// Bytes newly acknowledged.
    pub acked: Bytes,
    /// Of those, bytes acknowledged by segments carrying ECN-Echo.
    pub ecn: Bytes,
    /// Fast retransmits begun.
    pub fast_retransmits: u32,
    /// Bytes sent and not acknowledged, before any retransmission reset.
    pub flight: Bytes,
    /// Whether the congestion window held data back in the meantime.
    pub cwnd_limited: bool,
    /// Smoothed round-trip time (RFC 6298's SRTT); zero before the first sample.
    pub srtt: Micros,
    /// The latest round-trip time sample; zero before the first.
    pub rtt: Micros,
}

/// A message to the owner of the connection's context queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notification {
    /// The owner's name for the connection.
    pub cookie: u64,
    /// The context queue.
    pub context: u16,
    /// What happened.
    pub events: Events,
    /// Bytes newly readable.
    pub rx_bytes: Bytes,
    /// Bytes of the transmit ring freed: acknowledged by the peer.
    pub tx_acked: Bytes,
    /// Once per window of data in which there is something to learn, and at each fast retransmit.
    pub report: Option<CongestionReport>,
}

impl Notification {
    /// Whether there is nothing to tell.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.rx_bytes.is_zero()
            && self.tx_acked.is_zero()
            && self.report.is_none()
    }
}

/// A piece of a payload ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingSlice {
    /// The ring's base as configured: an address or a handle, opaque here.
    pub base: u64,
    /// The ring's size: a power of two.
    pub size: Bytes,
    /// Position of the first byte.
    pub pos: StreamPos,
    /// Length; at most `size`.
    pub len: Bytes,
}

impl RingSlice {
    /// Offset and length of the piece up to the ring's end, then length of the rest, from offset zero.
    #[inline]
    pub const fn parts(&self) -> (usize, usize, usize) {
        let offset = self.pos.0 & self.size.0.wrapping_sub(1);
        let to_end = self.size.0.wrapping_sub(offset);
        let first = if self.len.0 < to_end {
            self.len.0
        } else {
            to_end
        };
        (
            offset as usize,
            first as usize,
            (self.len.0 - first) as usize,
        )
    }
}

/// Received payload on its way to the receive buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxPayload {
    /// Where its first byte goes.
    pub pos: StreamPos,
    /// Where its first byte is, in bytes from the IP header's start.
    pub segment_offset: u32,
    /// How many bytes.
    pub len: Bytes,
}

/// TCP header fields as the protocol stage decided them: a snapshot of its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpMeta {
    /// Sequence number.
    pub seq: SeqNum,
    /// Acknowledgment number.
    pub ack: SeqNum,
    /// Window field.
    pub window: u16,
    /// Control bits.
    pub flags: Flags,
    /// Whether the IP header says ECN-capable transport.
    pub ect: bool,
    /// The timestamps option.
    pub timestamps: Option<Timestamps>,
}

/// An acknowledgment, probe or keepalive: a segment without payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckMeta {
    /// Header fields.
    pub tcp: TcpMeta,
    /// The SACK option.
    pub sack: SackBlocks,
}

/// A segment with payload (or FIN), or several in one if longer than the MSS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxMeta {
    /// Header fields.
    pub tcp: TcpMeta,
    /// Position of the payload in the transmit stream.
    pub pos: StreamPos,
    /// Its length.
    pub len: Bytes,
    /// Bytes of it that were sent before.
    pub retransmitted: Bytes,
}
