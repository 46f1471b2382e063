// SPDX-License-Identifier: GPL-2.0

//! The next segment to transmit: how much may be sent, and its place in the stream.

use crate::npu::meta::{Features, Params, TxMeta};
use crate::npu::state::{ProtoFlags, ProtoState};
use crate::units::{Bytes, Micros, SeqNum};
use crate::wire::tcp::Flags;

/// What may be sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    len: Bytes,
    fin: bool,
    /// Nothing remains in the transmit ring after it.
    last: bool,
}

/// Takes the next segment to transmit, or nothing if windows, Nagle's algorithm or lack of data forbid it.
///
/// The segment may be up to `tx_max` bytes long: several segments for the device to cut.
#[inline]
pub fn tx<const N: usize>(
    state: &mut ProtoState<N>,
    params: &Params,
    now: Micros,
) -> Option<TxMeta> {
    if !state.has_unsent() {
        return None;
    }
    let Some(plan) = state.plan(params) else {
        state.note_cwnd_limited(params);
        return None;
    };
    let seq = state.snd_nxt;
    let end = seq + plan.len + Bytes(u32::from(plan.fin));
    let retransmitted = state.snd_max.bytes_since(seq).min(plan.len);
    let fresh = end.after(state.snd_max);
    if seq == state.snd_una {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.1) Every time a packet containing data is sent (including a
        //# retransmission), if the timer is not running, start it running
        //# so that it will expire after RTO seconds
        state.rto_base = now;
    }
    if seq == state.snd_max && !state.flags.has(ProtoFlags::TIMING) {
        state.flags.insert(ProtoFlags::TIMING);
        state.timed_end = end;
        state.timed_at = now;
    }
    if plan.len < params.mss || (plan.last && plan.len > params.mss) {
        state.small_end = end;
    }
    if state.flags.has(ProtoFlags::ACK_OWED) {
        // The application answers what it receives: acknowledgments can ride on its answers.
        state.quick_acks = 0;
    }
    state.snd_nxt = end;
    state.snd_max = state.snd_max.max(end);
    if state.flags.has(ProtoFlags::RECOVERY) {
        state.advance_resent(seq, end);
    }
    let mut flags = Flags::NONE
        .with(Flags::FIN, plan.fin)
        .with(Flags::PSH, plan.last);
    if fresh && state.flags.has(ProtoFlags::CWR_OWED) {
        state.flags.remove(ProtoFlags::CWR_OWED);
        flags = flags | Flags::CWR;
    }
    state.flags.remove(ProtoFlags::FORCE);
    let mut tcp = state.header(params, seq, flags, now);
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
    //# This document specifies ECN-capable TCP implementations MUST NOT set
    //# either ECT codepoint (ECT(0) or ECT(1)) in the IP header for
    //# retransmitted data packets
    tcp.ect = params.features.has(Features::ECN) && retransmitted.is_zero() && !plan.len.is_zero();
    Some(TxMeta {
        tcp,
        pos: state.tx_map.pos(seq),
        len: plan.len,
        retransmitted,
    })
}

impl<const N: usize> ProtoState<N> {
    /// Whether [`tx()`] has something to send.
    #[inline]
    pub fn can_send(&self, params: &Params) -> bool {
        self.has_unsent() && self.plan(params).is_some()
    }

    #[inline]
    fn plan(&self, params: &Params) -> Option<Plan> {
        let unsent = self.tx_end.bytes_since(self.snd_nxt);
        let flight = self.flight();
        let mut usable = self.snd_wnd.min(self.congestion_window(params)) - flight;
        if self.filling_hole() {
            usable = usable.min(self.hole_end.bytes_since(self.snd_nxt));
        }
        let mut len = unsent.min(usable).min(params.tx_burst);
        let fin_queued = self.flags.has(ProtoFlags::FIN_QUEUED);
        let mut last = len == unsent;
        if !last && len > params.mss {
            len -= len.beyond_multiple_of(params.mss);
        } else if len < params.mss && !self.small_allowed(params, len, last) {
            return None;
        } else if last && len > params.mss && !self.small_allowed(params, len, last) {
            let partial = len.beyond_multiple_of(params.mss);
            len -= partial;
            last = partial.is_zero();
        }
        let fin = last
            && fin_queued
            && self.tx_end.before(self.snd_una + self.snd_wnd)
            && (!self.filling_hole() || self.tx_end.before(self.hole_end));
        if len.is_zero() && !fin {
            return None;
        }
        Some(Plan { len, fin, last })
    }

    /// Whether only the hole at SND.UNA is to be sent again: the peer holds what follows.
    #[inline]
    fn filling_hole(&self) -> bool {
        self.flags.has(ProtoFlags::HOLE) && self.flags.has(ProtoFlags::RECOVERY)
    }

    /// Remembers what recovery has sent again; after a hole goes on with what was never sent.
    fn advance_resent(&mut self, seq: SeqNum, end: SeqNum) {
        if seq.before(self.recover) {
            self.resent_end = end;
        }
        if self.filling_hole() && !end.before(self.hole_end) {
            self.flags.remove(ProtoFlags::HOLE);
            self.snd_nxt = self.snd_max;
        }
    }

    /// Whether a segment less than full-sized may be sent; `last` if it empties the ring.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.4
    //# A TCP implementation SHOULD implement the Nagle algorithm to coalesce
    //# short segments (SHLD-7).
    #[inline]
    fn small_allowed(&self, params: &Params, len: Bytes, last: bool) -> bool {
        if self.flags.has(ProtoFlags::FORCE) {
            return true;
        }
        if self.snd_nxt.before(self.snd_max) {
            let to_end = !(self.snd_nxt + len).before(self.snd_max);
            return last || to_end || self.filling_hole() || self.flight().is_zero();
        }
        // Minshall's variant, as in Linux: only an earlier small segment in flight holds this one back.
        let nagle = params.features.has(Features::NODELAY) || !self.small_end.after(self.snd_una);
        if last {
            let corked = params.features.has(Features::CORK);
            return self.flags.has(ProtoFlags::FIN_QUEUED) || (nagle && !corked);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
        //# (3)  or if at least a fraction Fs of the maximum window can be
        //#      sent, i.e., if:
        //#          [SND.NXT = SND.UNA and]
        //#             min(D,U) >= Fs * Max(SND.WND);
        nagle && len.0 >= self.max_snd_wnd.0 / 2
    }

    /// Remembers, for the congestion report, that only the congestion window held data back.
    #[inline]
    fn note_cwnd_limited(&mut self, params: &Params) {
        if self.flight() + params.mss > params.cwnd {
            self.flags.insert(ProtoFlags::CWND_LIMITED);
        }
    }
}
