// SPDX-License-Identifier: GPL-2.0

//! What a received segment says about our own data: acknowledgment, window, loss, congestion.

use super::receive::RxFlags;
use crate::npu::meta::{Events, Features, Params, Summary};
use crate::npu::state::{ProtoFlags, ProtoState};
use crate::reason::DropReason;
use crate::units::{Bytes, Micros};
use crate::wire::options::SackBlock;
use crate::wire::tcp::Flags;

/// Duplicate ACKs that mean loss (RFC 5681, section 3.2).
const DUP_ACK_THRESHOLD: u8 = 3;
/// Those that mean a retransmission is lost, for they report what was sent a round trip after it.
const RETRANSMISSION_THRESHOLD: u8 = 2;
/// An echoed timestamp older than this, in milliseconds, is none of ours.
const MAX_RTT_TICKS: u32 = 1 << 20;

/// What a segment's acknowledgment amounts to. What happens often is in registers, so what happens seldom, out of line,
/// returns its part by value.
#[derive(Clone, Copy, Default)]
pub(super) struct Acked {
    pub(super) bytes: Bytes,
    pub(super) ecn: Bytes,
    pub(super) flight: Bytes,
    pub(super) rtt: Option<Micros>,
    pub(super) events: Events,
    pub(super) flags: RxFlags,
}

impl<const N: usize> ProtoState<N> {
    /// Processes SEG.ACK and SEG.WND of an acceptable segment.
    #[inline]
    pub(super) fn process_ack(
        &mut self,
        params: &Params,
        seg: &Summary,
        now: Micros,
    ) -> Result<Acked, DropReason> {
        let mut out = Acked::default();
        let ahead = seg.ack.since(self.snd_una);
        if ahead > 0 {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //# If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then
            //# send an ACK, drop the segment, and return.
            if seg.ack.after(self.snd_max) {
                return Err(DropReason::AckNeverSent);
            }
            self.advance_una(params, seg, now, &mut out);
        } else if ahead < 0 {
            //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
            //# All incoming segments whose ACK value doesn't satisfy the above
            //# condition MUST be discarded and an ACK sent back.
            if ahead.unsigned_abs() > self.max_snd_wnd.0 {
                return Err(DropReason::AckTooOld);
            }
            return Ok(out);
        } else if self.is_duplicate(params, seg) {
            out.flight = self.snd_max.bytes_since(self.snd_una);
            (out.events, out.flags) = self.count_duplicate(params, seg);
        }
        if self.update_window(params, seg) {
            out.events.insert(Events::WINDOW_OPENED);
        }
        if params.features.has(Features::ECN) && seg.flags.has(Flags::ECE) {
            out.ecn = out.bytes;
            out.flags.insert(self.congestion_echoed(params));
        }
        Ok(out)
    }

    #[inline]
    fn advance_una(&mut self, params: &Params, seg: &Summary, now: Micros, out: &mut Acked) {
        out.flight = self.snd_max.bytes_since(self.snd_una);
        out.bytes = seg.ack.min(self.tx_end).bytes_since(self.snd_una);
        self.snd_una = seg.ack;
        self.snd_nxt = self.snd_nxt.max(seg.ack);
        self.dup_acks = 0;
        self.inflation = Bytes::ZERO;
        self.flags.remove(ProtoFlags::HOLE);
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.3) When an ACK is received that acknowledges new data, restart the
        //# retransmission timer so that it will expire after RTO seconds
        self.rto_base = now;
        if seg.ack.after(self.tx_end) && !self.flags.has(ProtoFlags::FIN_ACKED) {
            self.flags.insert(ProtoFlags::FIN_ACKED);
            out.events.insert(Events::FIN_ACKED);
        }
        out.rtt = self.sample_rtt(params, seg, now);
        if self.flags.has(ProtoFlags::RECOVERY) {
            self.advance_recovery(params, seg);
        }
        if !seg.ack.before(self.report_mark) {
            self.report_mark = self.snd_max;
            const REASONS: ProtoFlags = ProtoFlags::CWND_LIMITED.union(ProtoFlags::ECE_SEEN);
            if self.flags.has(REASONS) {
                out.flags.insert(self.report());
            }
        }
    }

    /// A report of everything acknowledged up to this segment.
    #[cold]
    fn report(&mut self) -> RxFlags {
        let mut flags = RxFlags::REPORT;
        flags.set(
            RxFlags::CWND_LIMITED,
            self.flags.has(ProtoFlags::CWND_LIMITED),
        );
        self.flags
            .remove(ProtoFlags::CWND_LIMITED | ProtoFlags::ECE_SEEN);
        flags
    }

    #[inline]
    fn sample_rtt(&mut self, params: &Params, seg: &Summary, now: Micros) -> Option<Micros> {
        if self.flags.has(ProtoFlags::TIMING) {
            if seg.ack.before(self.timed_end) {
                return None;
            }
            self.flags.remove(ProtoFlags::TIMING);
            return Some(now.since(self.timed_at));
        }
        if !self.flags.has(ProtoFlags::RECOVERY) {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc6298#section-3
        //# RTT samples MUST NOT be made using segments that were
        //# retransmitted (and thus for which it is ambiguous whether the reply
        //# was for the first instance of the packet or a later instance).  The
        //# only case when TCP can safely take RTT samples from retransmitted
        //# segments is when the TCP timestamp option is employed, since
        //# the timestamp option removes the ambiguity regarding which instance
        //# of the data segment triggered the acknowledgment.
        let echo = seg.timestamps?.ecr;
        let ticks = now.timestamp(params.ts_offset).since(echo);
        let plausible = echo.0 != 0 && ticks < MAX_RTT_TICKS;
        plausible.then(|| Micros::from_millis(ticks.max(1)))
    }

    /// An acknowledgment during recovery: the end of it, or of one hole.
    #[cold]
    fn advance_recovery(&mut self, params: &Params, seg: &Summary) {
        if !seg.ack.before(self.recover) {
            self.flags.remove(ProtoFlags::RECOVERY | ProtoFlags::FAST);
            return;
        }
        self.note_hole(params, seg);
        if self.flags.has(ProtoFlags::FAST) && !params.features.has(Features::SACK) {
            //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
            //# If this ACK does *not* acknowledge all of the data up to and
            //# including recover, then this is a partial ACK.  In this case,
            //# retransmit the first unacknowledged segment.
            self.assume_hole(params);
        }
        let next = self.snd_una.max(self.resent_end);
        if !self.flags.has(ProtoFlags::HOLE) {
            // The peer holds nothing beyond: send everything again.
            self.snd_nxt = next;
            self.flags.remove(ProtoFlags::FAST);
        } else if next.before(self.hole_end) {
            self.snd_nxt = next;
        } else {
            // This hole is being filled.
            self.snd_nxt = self.snd_max;
            self.flags.remove(ProtoFlags::HOLE);
        }
    }

    /// Without better knowledge, one segment is missing.
    fn assume_hole(&mut self, params: &Params) {
        if !self.flags.has(ProtoFlags::HOLE) {
            self.hole_end = self.snd_max.min(self.snd_una + params.mss);
            self.flags.insert(ProtoFlags::HOLE);
        }
    }

    /// Narrows down the hole at SND.UNA by what the peer says it holds beyond.
    fn note_hole(&mut self, params: &Params, seg: &Summary) {
        let Some(SackBlock { start, .. }) = self.sacked(params, seg) else {
            return;
        };
        if self.flags.has(ProtoFlags::HOLE) {
            self.hole_end = self.hole_end.min(start);
        } else {
            self.hole_end = start;
            self.flags.insert(ProtoFlags::HOLE);
        }
    }

    /// Data beyond SEG.ACK the peer says it holds. (Blocks before SEG.ACK report duplicates, RFC 2883.)
    fn sacked(&self, params: &Params, seg: &Summary) -> Option<SackBlock> {
        seg.sack.filter(|block| {
            params.features.has(Features::SACK)
                && block.start.after(seg.ack)
                && !block.end.after(self.snd_max)
        })
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-2
    //# DUPLICATE ACKNOWLEDGMENT: An acknowledgment is considered a
    //# "duplicate" in the following algorithms when (a) the receiver of
    //# the ACK has outstanding data, (b) the incoming acknowledgment
    //# carries no data, (c) the SYN and FIN bits are both off, (d) the
    //# acknowledgment number is equal to the greatest acknowledgment
    //# received on the given connection (TCP.UNA from [RFC793]) and (e)
    //# the advertised window in the incoming acknowledgment equals the
    //# advertised window in the last incoming acknowledgment.
    #[inline]
    fn is_duplicate(&self, params: &Params, seg: &Summary) -> bool {
        if self.snd_una == self.snd_max || !seg.payload_len.is_zero() || seg.flags.has(Flags::FIN) {
            return false;
        }
        // With SACK the blocks tell: (e) would miss those of a peer that tunes its window meanwhile, and without
        // blocks it only answers a duplicate of ours.
        if params.features.has(Features::SACK) {
            self.sacked(params, seg).is_some()
        } else {
            params.snd_scale.expand(seg.window) == self.snd_wnd
        }
    }

    #[cold]
    fn count_duplicate(&mut self, params: &Params, seg: &Summary) -> (Events, RxFlags) {
        let recovering = self.flags.has(ProtoFlags::RECOVERY);
        // Only the arrival of what was first sent after a retransmission means that it is lost, too.
        let since = if recovering {
            self.recover
        } else {
            self.snd_una
        };
        let block = self.sacked(params, seg);
        let held = block.map_or(Bytes::ZERO, |b| b.end.bytes_since(b.start));
        let newer = block.map_or(Bytes::ZERO, |b| b.end.bytes_since(b.start.max(since)));
        if !recovering || self.flags.has(ProtoFlags::FAST) {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //# For each additional duplicate ACK received (after the third),
            //# cwnd MUST be incremented by SMSS.
            self.inflation = (self.inflation + params.mss).max(held);
        }
        if recovering && newer.is_zero() {
            return (Events::NONE, RxFlags::DUP_ACK);
        }
        //= https://www.rfc-editor.org/rfc/rfc6675#section-4
        //# The routine returns true when either DupThresh discontiguous SACKed
        //# sequences have arrived above 'SeqNum' or more than (DupThresh - 1) *
        //# SMSS bytes with sequence numbers greater than 'SeqNum' have been SACKed.
        let segments = newer
            .0
            .div_ceil(params.mss.0.max(1))
            .min(u32::from(u8::MAX)) as u8;
        self.dup_acks = self.dup_acks.saturating_add(1).max(segments);
        self.note_hole(params, seg);
        if self.dup_acks < self.dup_ack_threshold(params) || !self.fast_retransmit(params) {
            return (Events::NONE, RxFlags::DUP_ACK);
        }
        (Events::FAST_RETRANSMIT, self.report() | RxFlags::DUP_ACK)
    }

    /// Fewer where not enough segments are in flight to cause three (RFC 5827, section 3.1).
    fn dup_ack_threshold(&self, params: &Params) -> u8 {
        let flight = self.snd_max.bytes_since(self.snd_una);
        if self.flags.has(ProtoFlags::RECOVERY) {
            return RETRANSMISSION_THRESHOLD;
        }
        let few = flight <= params.mss + params.mss + params.mss;
        if few && !self.has_unsent() {
            if flight <= params.mss + params.mss {
                1
            } else {
                2
            }
        } else {
            DUP_ACK_THRESHOLD
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //# The TCP sender SHOULD use the "fast retransmit" algorithm to detect
    //# and repair loss, based on incoming duplicate ACKs.
    fn fast_retransmit(&mut self, params: &Params) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
        //# When the third duplicate ACK is received, the TCP sender first
        //# checks the value of recover to see if the Cumulative
        //# Acknowledgment field covers more than recover.
        if !self.snd_una.after(self.recover) && !params.features.has(Features::SACK) {
            return false;
        }
        self.assume_hole(params);
        self.go_back();
        self.flags.insert(ProtoFlags::HOLE | ProtoFlags::FAST);
        true
    }

    /// What was sent and not acknowledged is to be sent again: all of it (go-back-N), unless the caller knows of a hole.
    pub(super) fn go_back(&mut self) {
        self.snd_nxt = self.snd_una;
        self.resent_end = self.snd_una;
        self.recover = self.snd_max;
        self.dup_acks = 0;
        self.flags.insert(ProtoFlags::RECOVERY);
        self.flags
            .remove(ProtoFlags::TIMING | ProtoFlags::HOLE | ProtoFlags::FAST);
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =<
    //# SEG.ACK)), set SND.WND <- SEG.WND, set SND.WL1 <- SEG.SEQ, and set
    //# SND.WL2 <- SEG.ACK.
    #[inline]
    fn update_window(&mut self, params: &Params, seg: &Summary) -> bool {
        // SND.WL2 =< SEG.ACK: the caller has seen to SND.UNA =< SEG.ACK, and SND.WL2 =< SND.UNA.
        if seg.seq.before(self.snd_wl1) {
            return false;
        }
        let window = params.snd_scale.expand(seg.window);
        let opened = self.snd_wnd.is_zero() && !window.is_zero();
        self.snd_wnd = window;
        self.max_snd_wnd = self.max_snd_wnd.max(window);
        self.snd_wl1 = seg.seq;
        opened
    }

    #[cold]
    fn congestion_echoed(&mut self, params: &Params) -> RxFlags {
        self.flags.insert(ProtoFlags::ECE_SEEN);
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
        //# TCP should not react to congestion indications more than
        //# once every window of data (or more loosely, more than once every
        //# round-trip time).
        if self.snd_una.before(self.cwr_mark) {
            return RxFlags::ECHO;
        }
        self.cwr_mark = self.snd_max;
        self.flags.insert(ProtoFlags::CWR_OWED);
        if params.features.has(Features::ACCURATE_ECN) {
            return RxFlags::ECHO;
        }
        self.report() | RxFlags::ECHO
    }

    /// What the congestion window allows to be in flight.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //# On the first and second duplicate ACKs received at a sender, a
    //# TCP SHOULD send a segment of previously unsent data per [RFC3042]
    #[inline]
    pub(super) fn congestion_window(&self, params: &Params) -> Bytes {
        params.cwnd + self.inflation
    }
}
