// SPDX-License-Identifier: GPL-2.0
//! Reno (RFC 5681), fed once per window of data.

use super::Policy;
use datapath::{npu::meta::CongestionReport, units::Bytes};

/// The largest congestion window: what the largest receive window can take.
const MAX_CWND: Bytes = Bytes(1 << 30);

/// Slow start, congestion avoidance and the reaction to loss of RFC 5681.
pub(crate) struct Reno {
    mss: Bytes,
    cwnd: Bytes,
    ssthresh: Bytes,
}

impl Reno {
    pub(super) fn new(mss: Bytes) -> Self {
        Self {
            mss,
            cwnd: initial_window(mss),
            ssthresh: MAX_CWND,
        }
    }

    /// The window grows by what was acknowledged, if it was what held data back.
    pub(super) fn grow(&mut self, report: &CongestionReport) {
        if !report.cwnd_limited {
            return;
        }
        let grown = if self.cwnd < self.ssthresh {
            (self.cwnd + report.acked).min(self.ssthresh.max(self.cwnd + self.mss))
        } else {
            let per_window = u64::from(self.mss.0) * u64::from(report.acked.0);
            self.cwnd + Bytes((per_window / u64::from(self.cwnd.0.max(1))).max(1) as u32)
        };
        self.cwnd = grown.min(MAX_CWND);
    }

    /// Shrinks window and threshold to `cwnd`, or two segments if that is more.
    pub(super) fn shrink(&mut self, cwnd: Bytes) {
        self.ssthresh = cwnd.max(self.mss + self.mss);
        self.cwnd = self.ssthresh;
    }
}

impl Policy for Reno {
    fn name(&self) -> &'static str {
        "reno"
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //# ssthresh = max (FlightSize / 2, 2*SMSS)
    fn report(&mut self, report: &CongestionReport) -> Bytes {
        if report.fast_retransmits > 0 || !report.ecn.is_zero() {
            self.shrink(Bytes(report.flight.0 / 2));
        } else {
            self.grow(report);
        }
        self.cwnd
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //# Furthermore, upon a timeout (as specified in [RFC2988]) cwnd MUST be
    //# set to no more than the loss window, LW, which equals 1 full-sized
    //# segment (regardless of the value of IW).
    fn timeout(&mut self, flight: Bytes, again: bool) -> Bytes {
        if !again {
            self.shrink(Bytes(flight.0 / 2));
        }
        self.cwnd = self.mss;
        self.cwnd
    }

    fn set_mss(&mut self, mss: Bytes) {
        self.mss = mss;
        self.cwnd = self.cwnd.max(mss);
    }

    fn cwnd(&self) -> Bytes {
        self.cwnd
    }

    fn ssthresh(&self) -> Bytes {
        self.ssthresh
    }
}

/// RFC 6928's initial window: `min(10 * MSS, max(2 * MSS, 14600))`.
fn initial_window(mss: Bytes) -> Bytes {
    Bytes(10 * mss.0).min(Bytes(2 * mss.0).max(Bytes(14600)))
}

#[kernel::macros::kunit_tests(toe_reno)]
mod tests {
    use super::*;

    const MSS: Bytes = Bytes(1000);

    fn acked(bytes: u32) -> CongestionReport {
        CongestionReport {
            acked: Bytes(bytes),
            flight: Bytes(bytes),
            cwnd_limited: true,
            ..CongestionReport::default()
        }
    }

    #[test]
    fn slow_start__doubles_per_window() {
        let mut reno = Reno::new(MSS);
        assert!(reno.cwnd() == Bytes(10_000));
        assert!(reno.report(&acked(10_000)) == Bytes(20_000));
    }

    #[test]
    fn slow_start__not_when_the_application_limits() {
        let mut reno = Reno::new(MSS);
        let report = CongestionReport {
            cwnd_limited: false,
            ..acked(10_000)
        };
        assert!(reno.report(&report) == Bytes(10_000));
    }

    #[test]
    fn avoidance__one_segment_per_window() {
        let mut reno = Reno::new(MSS);
        reno.shrink(Bytes(20_000));
        assert!(reno.report(&acked(20_000)) == Bytes(21_000));
    }

    #[test]
    fn loss__halves_the_flight() {
        let mut reno = Reno::new(MSS);
        let report = CongestionReport {
            fast_retransmits: 1,
            flight: Bytes(40_000),
            ..acked(1_000)
        };
        assert!(reno.report(&report) == Bytes(20_000));
        assert!(reno.ssthresh() == Bytes(20_000));
    }

    #[test]
    fn timeout__one_segment_and_threshold_kept_when_repeated() {
        let mut reno = Reno::new(MSS);
        assert!(reno.timeout(Bytes(10_000), false) == MSS);
        assert!(reno.timeout(Bytes(1_000), true) == MSS);
        assert!(reno.ssthresh() == Bytes(5_000));
    }
}
