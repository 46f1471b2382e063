// SPDX-License-Identifier: GPL-2.0

//! A received segment: acceptability, reassembly, and whether to acknowledge it at once.

use super::ack::Acked;
use crate::npu::meta::{AckMeta, Events, Features, Params, RxPayload, Summary};
use crate::npu::state::{ProtoFlags, ProtoState};
use crate::reason::DropReason;
use crate::units::{Bytes, Micros, SeqNum};
use crate::wire::tcp::Flags;

/// How long TS.Recent stays valid (RFC 7323, section 5.5).
const PAWS_IDLE: Micros = Micros(24 * 24 * 3600 * 1_000_000);
/// Least time between two answers to segments that carry nothing acceptable (RFC 5961, section 7).
const CHALLENGE_INTERVAL: Micros = Micros(500_000);

crate::npu::meta::bit_set! {
    /// Facts about a received segment for the later stages.
    RxFlags: u8 {
        /// A congestion report is due.
        REPORT = 1,
        /// For the report: the congestion window held data back.
        CWND_LIMITED = 2,
        /// It was a duplicate ACK.
        DUP_ACK = 4,
        /// Its payload was ahead of a hole.
        OUT_OF_ORDER = 8,
        /// It carried a congestion mark.
        CE = 16,
        /// The connection has something to transmit: schedule it.
        CAN_SEND = 32,
        /// Payload was discarded, or the whole segment dropped.
        DISCARDED = 64,
        /// It carried ECN-Echo.
        ECHO = 128,
    }
}

/// What the protocol stage made of a segment: a snapshot for the later stages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxOut {
    /// Payload to be written to the receive ring before anything else happens.
    pub write: Option<RxPayload>,
    /// An acknowledgment to be sent at once.
    pub ack: Option<AckMeta>,
    /// Bytes newly readable.
    pub delivered: Bytes,
    /// Bytes newly acknowledged by the peer.
    pub acked: Bytes,
    /// Of those, with ECN-Echo.
    pub ecn: Bytes,
    /// Bytes in flight before the segment arrived.
    pub flight: Bytes,
    /// Payload bytes not used.
    pub discarded: Bytes,
    /// A round-trip time sample.
    pub rtt: Option<Micros>,
    /// What else happened.
    pub events: Events,
    /// Further facts.
    pub flags: RxFlags,
    /// Why the segment was dropped, if it was.
    pub dropped: Option<DropReason>,
}

/// Whether a segment's payload must be acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ack {
    /// It carried nothing.
    None,
    /// Soon.
    Delayed,
    /// Now, by whatever is sent.
    Prompt,
    /// Now, by a segment that carries nothing else: the peer counts those.
    Bare,
}

/// What became of a segment's payload and FIN.
#[derive(Clone, Copy)]
struct Taken {
    write: Option<RxPayload>,
    delivered: Bytes,
    discarded: Bytes,
    events: Events,
    flags: RxFlags,
    ack: Ack,
}

impl Taken {
    const NOTHING: Self = Self {
        write: None,
        delivered: Bytes::ZERO,
        discarded: Bytes::ZERO,
        events: Events::NONE,
        flags: RxFlags::NONE,
        ack: Ack::None,
    };
}

/// Processes a segment of an established connection.
#[inline]
pub fn rx<const N: usize>(
    state: &mut ProtoState<N>,
    params: &Params,
    seg: &Summary,
    now: Micros,
) -> RxOut {
    let acked = match state.accept(params, seg, now) {
        Ok(acked) => acked,
        Err(reason) => return state.reject(params, seg, now, reason),
    };
    let taken = if seg.payload_len.is_zero() && !seg.flags.has(Flags::FIN) {
        Taken::NOTHING
    } else {
        state.receive(params, seg)
    };
    let mut flags = acked.flags | taken.flags;
    let can_send = state.can_send(params);
    flags.set(RxFlags::CAN_SEND, can_send);
    let mut ack = None;
    match taken.ack {
        Ack::None => {}
        Ack::Prompt if !can_send || params.features.has(Features::PACED) => {
            ack = Some(state.acknowledge(params, now, seg.seq));
        }
        Ack::Bare => ack = Some(state.acknowledge(params, now, seg.seq)),
        // Either what is sent right after this carries it, or the timer sends it.
        Ack::Delayed | Ack::Prompt => state.owe_ack(now),
    }
    RxOut {
        write: taken.write,
        ack,
        delivered: taken.delivered,
        acked: acked.bytes,
        ecn: acked.ecn,
        flight: acked.flight,
        discarded: taken.discarded,
        rtt: acked.rtt,
        events: acked.events | taken.events,
        flags,
        dropped: None,
    }
}

impl<const N: usize> ProtoState<N> {
    /// Checks timestamp, sequence number and acknowledgment, in the order of RFC 9293, section 3.10.7.4.
    #[inline]
    fn accept(&mut self, params: &Params, seg: &Summary, now: Micros) -> Result<Acked, DropReason> {
        if params.features.has(Features::TIMESTAMPS) {
            self.check_timestamp(seg, now)?;
        }
        // As Linux does, pure acknowledgments are taken back to the last one we sent: reordering alone must not make
        // them unacceptable.
        let end = seg.seq + seg.payload_len + Bytes(u32::from(seg.flags.has(Flags::FIN)));
        if end.before(self.last_ack_sent) || seg.seq.after(self.rx_end) {
            return Err(DropReason::OutOfWindow);
        }
        let acked = self.process_ack(params, seg, now)?;
        //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
        //# (2)  If:
        //#          SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent
        //#      then SEG.TSval is copied to TS.Recent; otherwise, it is
        //#      ignored.
        if let Some(ts) = seg.timestamps {
            if !ts.val.before(self.ts_recent) && !seg.seq.after(self.last_ack_sent) {
                self.ts_recent = ts.val;
                self.ts_recent_at = now;
            }
        }
        Ok(acked)
    }

    #[inline]
    fn check_timestamp(&self, seg: &Summary, now: Micros) -> Result<(), DropReason> {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //# If a non-<RST> segment is received without a
        //# TSopt, a TCP SHOULD silently drop the segment.
        let ts = seg.timestamps.ok_or(DropReason::NoTimestamp)?;
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
        //# R1)  If there is a Timestamps option in the arriving segment,
        //#      SEG.TSval < TS.Recent, TS.Recent is valid (see later
        //#      discussion), and if the RST bit is not set, then treat the
        //#      arriving segment as not acceptable:
        if ts.val.before(self.ts_recent) && now.since(self.ts_recent_at) < PAWS_IDLE {
            return Err(DropReason::Paws);
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If an incoming segment is not acceptable, an acknowledgment should
    //# be sent in reply
    #[cold]
    fn reject(&mut self, params: &Params, seg: &Summary, now: Micros, reason: DropReason) -> RxOut {
        let answer = self.is_answered(seg, now, reason);
        RxOut {
            write: None,
            ack: answer.then(|| self.acknowledge(params, now, seg.seq)),
            delivered: Bytes::ZERO,
            acked: Bytes::ZERO,
            ecn: Bytes::ZERO,
            flight: Bytes::ZERO,
            discarded: seg.payload_len,
            rtt: None,
            events: Events::NONE,
            flags: RxFlags::DISCARDED,
            dropped: Some(reason),
        }
    }

    /// Whether a segment that is not acceptable is answered.
    fn is_answered(&mut self, seg: &Summary, now: Micros, reason: DropReason) -> bool {
        if reason == DropReason::NoTimestamp {
            return false;
        }
        let carries = !seg.payload_len.is_zero() || seg.flags.has(Flags::FIN);
        if carries && matches!(reason, DropReason::OutOfWindow | DropReason::Paws) {
            return true;
        }
        if self
            .challenged_at
            .is_some_and(|at| now.since(at) < CHALLENGE_INTERVAL)
        {
            return false;
        }
        self.challenged_at = Some(now);
        true
    }

    /// Takes in payload and FIN.
    #[inline]
    fn receive(&mut self, params: &Params, seg: &Summary) -> Taken {
        let room = self.rx_end.bytes_since(self.rcv_nxt);
        let plain = seg.seq == self.rcv_nxt
            && seg.payload_len <= room
            && self.ooo.is_empty()
            && !seg.flags.has(Flags::FIN)
            && !self.flags.has(ProtoFlags::FIN_SEEN)
            && !params.features.has(Features::ECN);
        if !plain {
            return self.receive_any(params, seg);
        }
        self.rcv_nxt += seg.payload_len;
        Taken {
            write: Some(RxPayload {
                pos: self.rx_map.pos(seg.seq),
                segment_offset: seg.payload_offset,
                len: seg.payload_len,
            }),
            delivered: seg.payload_len,
            ack: self.pace_ack(params, seg),
            ..Taken::NOTHING
        }
    }

    /// As [`Self::receive`], whatever the segment holds.
    #[inline(never)]
    fn receive_any(&mut self, params: &Params, seg: &Summary) -> Taken {
        let mut out = Taken {
            ack: Ack::Delayed,
            ..Taken::NOTHING
        };
        if params.features.has(Features::ECN) {
            out.flags.set(RxFlags::CE, seg.ce);
            out.ack = self.echo_congestion(params, seg);
        }
        let end = seg.seq + seg.payload_len;
        if seg.flags.has(Flags::FIN) {
            self.note_fin(end);
        }
        let fin_seen = self.flags.has(ProtoFlags::FIN_SEEN);
        let limit = if fin_seen { self.peer_fin } else { self.rx_end };
        let start = seg.seq.max(self.rcv_nxt);
        let len = end.min(limit.min(self.rx_end)).bytes_since(start);
        let before = self.rcv_nxt;
        if !len.is_zero() {
            let ack = self.place(params, seg, start, len, &mut out);
            out.ack = out.ack.max(ack);
        }
        if len != seg.payload_len {
            out.flags.insert(RxFlags::DISCARDED);
            out.discarded = seg.payload_len - out.write.map_or(Bytes::ZERO, |write| write.len);
            out.ack = Ack::Bare;
        }
        out.delivered = self.rcv_nxt.bytes_since(before);
        if fin_seen {
            let (ack, events) = self.take_fin();
            out.ack = out.ack.max(ack);
            out.events = events;
        }
        out
    }

    /// Finds the place of `len` bytes of payload that begin at `start`, in the window.
    fn place(
        &mut self,
        params: &Params,
        seg: &Summary,
        start: SeqNum,
        len: Bytes,
        out: &mut Taken,
    ) -> Ack {
        let write = RxPayload {
            pos: self.rx_map.pos(start),
            segment_offset: seg.payload_offset + start.bytes_since(seg.seq).0,
            len,
        };
        if start != self.rcv_nxt {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //# A TCP receiver SHOULD send an immediate duplicate ACK when an out-
            //# of-order segment arrives.
            out.flags.insert(RxFlags::OUT_OF_ORDER);
            if self.ooo.insert(start, start + len).is_ok() {
                out.write = Some(write);
            } else {
                out.discarded = len;
            }
            return Ack::Bare;
        }
        out.write = Some(write);
        self.rcv_nxt = start + len;
        if self.ooo.is_empty() {
            return self.pace_ack(params, seg);
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
        //# the receiver SHOULD send an
        //# immediate ACK when it receives a data segment that fills in all or
        //# part of a gap in the sequence space.
        self.rcv_nxt = self.ooo.take_until(self.rcv_nxt);
        Ack::Bare
    }

    /// When to acknowledge data that arrived in order.
    #[inline]
    fn pace_ack(&mut self, params: &Params, seg: &Summary) -> Ack {
        if seg.payload_len > self.rcv_mss {
            self.rcv_mss = seg.payload_len.min(params.mss);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
        //# An ACK SHOULD be generated for at least every second full-sized
        //# segment or 2*RMSS bytes of new data
        if self.rcv_nxt.bytes_since(self.last_ack_sent) > self.rcv_mss {
            Ack::Prompt
        } else if self.quick_acks > 0 {
            self.quick_acks -= 1;
            Ack::Prompt
        } else {
            Ack::Delayed
        }
    }

    /// Notes the peer's FIN if its place in the stream can be reached.
    fn note_fin(&mut self, at: SeqNum) {
        let reachable = !at.before(self.rcv_nxt) && !at.after(self.rx_end);
        if reachable && !self.flags.has(ProtoFlags::FIN_SEEN) {
            self.flags.insert(ProtoFlags::FIN_SEEN);
            self.peer_fin = at;
        }
    }

    /// Receives the FIN if everything before it has arrived.
    fn take_fin(&mut self) -> (Ack, Events) {
        if self.flags.has(ProtoFlags::FIN_RECEIVED) {
            return (Ack::Bare, Events::NONE);
        }
        if self.rcv_nxt != self.peer_fin {
            return (Ack::Delayed, Events::NONE);
        }
        self.flags.insert(ProtoFlags::FIN_RECEIVED);
        self.rcv_nxt += Bytes(1);
        // FIN takes a sequence number but no room in the ring.
        self.rx_end += Bytes(1);
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt);
        (Ack::Prompt, Events::PEER_FIN)
    }

    /// Sets what ECN-Echo says from now on.
    fn echo_congestion(&mut self, params: &Params, seg: &Summary) -> Ack {
        if params.features.has(Features::ACCURATE_ECN) {
            //= https://www.rfc-editor.org/rfc/rfc8257#section-3.2
            //# If the CE codepoint is set and DCTCP.CE is false, set DCTCP.CE to
            //# true and send an immediate ACK.
            let changed = self.flags.has(ProtoFlags::CE) != seg.ce;
            self.flags.set(ProtoFlags::CE | ProtoFlags::ECHO, seg.ce);
            return if changed { Ack::Bare } else { Ack::Delayed };
        }
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.3
        //# When TCP receives a CE data packet at the destination end-system, the
        //# TCP data receiver sets the ECN-Echo flag in the TCP header of the
        //# subsequent ACK packet.
        if seg.flags.has(Flags::CWR) {
            self.flags.remove(ProtoFlags::ECHO);
        }
        if seg.ce {
            self.flags.insert(ProtoFlags::ECHO);
        }
        Ack::Delayed
    }

    #[inline]
    fn owe_ack(&mut self, now: Micros) {
        if !self.flags.has(ProtoFlags::ACK_OWED) {
            self.flags.insert(ProtoFlags::ACK_OWED);
            self.ack_owed_at = now;
        }
    }
}

impl Ack {
    #[inline]
    fn max(self, other: Self) -> Self {
        if self as u8 >= other as u8 {
            self
        } else {
            other
        }
    }
}
