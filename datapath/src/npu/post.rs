// SPDX-License-Identifier: GPL-2.0

//! Post-processing: buffer addresses, statistics, notifications. May run in parallel for one connection: all updates
//! of its state commute.

use super::meta::{CongestionReport, Events, Notification, Params, RingSlice, TxMeta};
use super::proto::{HcOut, RxFlags, RxOut};
use super::state::PostState;
use crate::units::{Bytes, Micros};

/// What is left to do for a received segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxWork {
    /// Payload to write: where to, and where it is in the segment.
    pub write: Option<(RingSlice, u32)>,
    /// What to notify of after that, unless it is empty.
    pub notification: Notification,
}

/// A received segment.
#[inline]
pub fn rx(state: &mut PostState, out: &RxOut) -> RxWork {
    state.count_rx(out);
    let write = out.write.map(|payload| {
        let slice = RingSlice {
            base: state.rx_base,
            size: state.rx_size,
            pos: payload.pos,
            len: payload.len,
        };
        (slice, payload.segment_offset)
    });
    let notification = Notification {
        cookie: state.cookie,
        context: state.context,
        events: out.events,
        rx_bytes: out.delivered,
        tx_acked: out.acked,
        report: out
            .flags
            .has(RxFlags::REPORT)
            .then(|| state.take_report(out.flight, out.flags.has(RxFlags::CWND_LIMITED))),
    };
    RxWork {
        write,
        notification,
    }
}

/// A host-control request.
#[inline]
pub fn host_control(state: &mut PostState, out: &HcOut) {
    state.counters.tx_acks += u64::from(out.ack.is_some());
    state.counters.timeouts += u64::from(out.timeout);
}

/// A segment to transmit; returns where its payload is.
#[inline]
pub fn tx(state: &mut PostState, meta: &TxMeta) -> RingSlice {
    let counters = &mut state.counters;
    counters.tx_segments += 1;
    counters.tx_bytes += u64::from(meta.len.0);
    counters.tx_retransmitted += u64::from(meta.retransmitted.0);
    RingSlice {
        base: state.tx_base,
        size: state.tx_size,
        pos: meta.pos,
        len: meta.len,
    }
}

/// How the device is to cut a segment of `len` bytes: the size of the pieces, if there are several.
#[inline]
pub(super) fn gso_size(params: &Params, len: Bytes) -> Option<Bytes> {
    (len > params.mss).then_some(params.mss)
}

impl PostState {
    #[inline]
    fn count_rx(&mut self, out: &RxOut) {
        let counters = &mut self.counters;
        counters.rx_segments += 1;
        counters.rx_bytes += u64::from(out.delivered.0);
        counters.tx_acks += u64::from(out.ack.is_some());
        self.acked += out.acked;
        if let Some(rtt) = out.rtt {
            self.sample_rtt(rtt);
        }
        if !out.flags.is_empty() {
            self.count_unusual(out.flags, out.events, out.discarded, out.ecn);
            self.counters.rx_dropped += u64::from(out.dropped.is_some());
        }
    }

    #[inline(never)]
    fn count_unusual(&mut self, flags: RxFlags, events: Events, discarded: Bytes, ecn: Bytes) {
        let fast_retransmit = events.has(Events::FAST_RETRANSMIT);
        let counters = &mut self.counters;
        counters.rx_discarded += u64::from(discarded.0);
        counters.rx_out_of_order += u64::from(flags.has(RxFlags::OUT_OF_ORDER));
        counters.dup_acks += u64::from(flags.has(RxFlags::DUP_ACK));
        counters.ce_segments += u64::from(flags.has(RxFlags::CE));
        counters.fast_retransmits += u64::from(fast_retransmit);
        self.ecn += ecn;
        self.fast_retransmits = self
            .fast_retransmits
            .saturating_add(u32::from(fast_retransmit));
    }

    //= https://www.rfc-editor.org/rfc/rfc6298#section-2
    //# (2.3) When a subsequent RTT measurement R' is made, a host MUST set
    //#
    //#      RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|
    //#      SRTT <- (1 - alpha) * SRTT + alpha * R'
    #[inline]
    fn sample_rtt(&mut self, rtt: Micros) {
        self.rtt = rtt;
        if self.srtt == Micros(0) {
            self.srtt = rtt;
            self.rttvar = Micros(rtt.0 / 2);
            return;
        }
        let deviation = self.srtt.0.abs_diff(rtt.0);
        self.rttvar = Micros(self.rttvar.0 - self.rttvar.0 / 4 + deviation / 4);
        self.srtt = Micros((self.srtt.0 - self.srtt.0 / 8 + rtt.0 / 8).max(1));
    }

    #[cold]
    fn take_report(&mut self, flight: Bytes, cwnd_limited: bool) -> CongestionReport {
        let report = CongestionReport {
            acked: self.acked,
            ecn: self.ecn,
            fast_retransmits: self.fast_retransmits,
            flight,
            cwnd_limited,
            srtt: self.srtt,
            rtt: self.rtt,
        };
        self.acked = Bytes::ZERO;
        self.ecn = Bytes::ZERO;
        self.fast_retransmits = 0;
        report
    }
}

#[cfg(test)]
mod tests;
