// SPDX-License-Identifier: GPL-2.0

//! Protocol: the only stage that must see a connection's work in order and one at a time.
//!
//! - [`rx()`]: a received segment;
//! - [`tx()`]: the next segment to transmit, if any may be sent;
//! - [`host_control()`]: requests of the application and the control plane.

pub mod reassembly;

mod ack;
mod control;
mod receive;
mod transmit;

#[cfg(test)]
mod tests;

pub use control::{host_control, HcOut};
pub use receive::{rx, RxFlags, RxOut};
pub use transmit::tx;

use super::meta::{AckMeta, Features, Params, TcpMeta};
use super::state::{ProtoFlags, ProtoState};
use crate::units::{Bytes, Micros, SeqNum};
use crate::wire::options::{SackBlocks, Timestamps};
use crate::wire::tcp::Flags;

/// What the control plane's per-connection timer should wait for. Read it when the timer fires, or when
/// an executor's [`Outcome`](super::inline::Outcome) asks for it: nothing needs re-arming per segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timers {
    /// Something is in flight: when the retransmission timer was last (re)started (RFC 6298, section 5).
    pub retransmit: Option<Micros>,
    /// An acknowledgment is delayed: since when.
    pub delayed_ack: Option<Micros>,
    /// Something waits to be sent, nothing is in flight, and only the peer's window, the sender's silly window
    /// avoidance or cork holds it back: persist (RFC 9293, section 3.8.6.1).
    pub persist: bool,
}

/// What a RST, SYN or other punted segment is to be judged by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiveWindow {
    /// RCV.NXT.
    pub nxt: SeqNum,
    /// RCV.WND.
    pub wnd: Bytes,
}

/// What to do about a RST (RFC 5961, section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RstVerdict {
    /// Exactly RCV.NXT: reset the connection.
    Reset,
    /// In the window: send a challenge ACK.
    Challenge,
    /// Outside: ignore it.
    Ignore,
}

impl ReceiveWindow {
    /// Judges a RST by its sequence number.
    //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
    //# If the RST bit is set and the sequence number exactly matches the
    //# next expected sequence number (RCV.NXT), then TCP MUST reset the
    //# connection.
    pub fn judge_rst(&self, seq: SeqNum) -> RstVerdict {
        if seq == self.nxt {
            RstVerdict::Reset
        } else if seq.in_window(self.nxt, self.wnd) {
            RstVerdict::Challenge
        } else {
            RstVerdict::Ignore
        }
    }
}

/// The RST of an abort, with the sequence number the peer expects.
pub fn reset<const N: usize>(state: &mut ProtoState<N>, params: &Params, now: Micros) -> AckMeta {
    let mut meta = state.acknowledge(params, now, state.rcv_nxt);
    meta.tcp.flags = Flags::RST | Flags::ACK;
    meta.sack = SackBlocks::default();
    meta
}

impl<const N: usize> ProtoState<N> {
    /// Bytes (and FIN) sent and not acknowledged, counting from the last retransmission reset.
    #[inline]
    pub fn flight(&self) -> Bytes {
        self.snd_nxt.bytes_since(self.snd_una)
    }

    /// RCV.NXT and the window.
    pub fn receive_window(&self) -> ReceiveWindow {
        ReceiveWindow {
            nxt: self.rcv_nxt,
            wnd: self.rx_end.bytes_since(self.rcv_nxt),
        }
    }

    /// SND.NXT as of a RST or other segment made by the control plane: past everything sent.
    pub fn snd_max(&self) -> SeqNum {
        self.snd_max
    }

    /// Whether our FIN was acknowledged.
    pub fn fin_acked(&self) -> bool {
        self.flags.has(ProtoFlags::FIN_ACKED)
    }

    /// Whether the peer's FIN was received, and all data before it.
    pub fn fin_received(&self) -> bool {
        self.flags.has(ProtoFlags::FIN_RECEIVED)
    }

    /// Bytes in the transmit ring: not acknowledged or not sent.
    #[inline]
    pub fn tx_queued(&self) -> Bytes {
        self.tx_end.bytes_since(self.snd_una)
    }

    /// Bytes in the receive ring the application may read.
    #[inline]
    pub fn rx_readable(&self, params: &Params) -> Bytes {
        params.rx_size - self.rx_end.bytes_since(self.rcv_nxt)
    }

    /// What to wait for.
    pub fn timers(&self) -> Timers {
        let in_flight = self.snd_nxt != self.snd_una;
        Timers {
            retransmit: in_flight.then_some(self.rto_base),
            delayed_ack: self
                .flags
                .has(ProtoFlags::ACK_OWED)
                .then_some(self.ack_owed_at),
            persist: !in_flight && self.has_unsent(),
        }
    }

    /// Whether data or FIN waits to be sent, allowed or not.
    #[inline]
    pub(super) fn has_unsent(&self) -> bool {
        self.snd_nxt != self.stream_end()
    }

    /// SND.NXT when everything is sent.
    #[inline]
    pub(super) fn stream_end(&self) -> SeqNum {
        self.tx_end + Bytes(u32::from(self.flags.has(ProtoFlags::FIN_QUEUED)))
    }

    /// Header fields of the next segment; with it, everything received so far is acknowledged.
    #[inline]
    pub(super) fn header(
        &mut self,
        params: &Params,
        seq: SeqNum,
        flags: Flags,
        now: Micros,
    ) -> TcpMeta {
        let window = self.offer_window(params);
        self.last_ack_sent = self.rcv_nxt;
        self.flags.remove(ProtoFlags::ACK_OWED);
        let timestamps = params
            .features
            .has(Features::TIMESTAMPS)
            .then(|| Timestamps {
                val: now.timestamp(params.ts_offset),
                ecr: self.ts_recent,
            });
        TcpMeta {
            seq,
            ack: self.rcv_nxt,
            window,
            flags: (flags | Flags::ACK).with(Flags::ECE, self.flags.has(ProtoFlags::ECHO)),
            ect: false,
            timestamps,
        }
    }

    /// A segment without payload that acknowledges everything received so far.
    pub(super) fn acknowledge(&mut self, params: &Params, now: Micros, newest: SeqNum) -> AckMeta {
        let seq = self.ack_seq(params);
        let sack = if self.ooo.is_empty() || !params.features.has(Features::SACK) {
            SackBlocks::default()
        } else {
            self.ooo.sack(newest)
        };
        AckMeta {
            tcp: self.header(params, seq, Flags::NONE, now),
            sack,
        }
    }

    /// Sequence number of segments without payload: SND.NXT as it was before any retransmission reset, but not beyond
    /// the peer's window, or the peer would not accept it.
    ///
    /// Less than a unit beyond, the peer has rounded away itself (as in `tcp_acceptable_seq()`): what it has received is
    /// then past that edge, and two ends that both kept to theirs would never accept each other's segments again.
    fn ack_seq(&self, params: &Params) -> SeqNum {
        let edge = self.snd_una + self.snd_wnd;
        if self.snd_max.bytes_since(edge) < params.snd_scale.unit() {
            return self.snd_max;
        }
        edge.max(self.snd_una)
    }

    /// The window field to send.
    #[inline]
    fn offer_window(&mut self, params: &Params) -> u16 {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.2
        //# The suggested SWS avoidance algorithm for the receiver is to keep
        //# RCV.NXT+RCV.WND fixed until the reduction satisfies:
        if self.rx_end.bytes_since(self.rcv_adv) >= params.window_step {
            let most = self.rcv_nxt + params.rcv_scale.expand(u16::MAX);
            self.rcv_adv = self.rx_end.min(most);
        }
        params
            .rcv_scale
            .field(self.rcv_adv.bytes_since(self.rcv_nxt))
    }
}
