// SPDX-License-Identifier: GPL-2.0
//! DCTCP (RFC 8257): Reno, but the window shrinks by the fraction of bytes that met congestion.

use super::{reno::Reno, Policy};
use datapath::{npu::meta::CongestionReport, units::Bytes};

/// One, in alpha's fixed-point format.
const ONE: u32 = 1 << 20;
/// RFC 8257's g = 1/16, as a shift.
const GAIN_SHIFT: u32 = 4;

/// The estimate of the fraction of bytes marked, on top of [`Reno`].
pub(crate) struct Dctcp {
    reno: Reno,
    /// DCTCP.Alpha, of [`ONE`].
    alpha: u32,
}

impl Dctcp {
    //= https://www.rfc-editor.org/rfc/rfc8257#section-4.2
    //# DCTCP.Alpha [...] SHOULD be initialized to 1
    pub(super) fn new(mss: Bytes) -> Self {
        Self {
            reno: Reno::new(mss),
            alpha: ONE,
        }
    }
}

impl Policy for Dctcp {
    fn name(&self) -> &'static str {
        "dctcp"
    }

    //= https://www.rfc-editor.org/rfc/rfc8257#section-3.3
    //# DCTCP.Alpha = DCTCP.Alpha * (1 - g) + g * M
    fn report(&mut self, report: &CongestionReport) -> Bytes {
        let marked = u64::from(report.ecn.0.min(report.acked.0)) * u64::from(ONE);
        let fraction = (marked / u64::from(report.acked.0.max(1))) as u32;
        self.alpha = self.alpha - (self.alpha >> GAIN_SHIFT) + (fraction >> GAIN_SHIFT);
        if report.fast_retransmits > 0 {
            return self.reno.report(report);
        }
        if report.ecn.is_zero() {
            self.reno.grow(report);
        } else {
            //= https://www.rfc-editor.org/rfc/rfc8257#section-3.3
            //# cwnd = cwnd * (1 - DCTCP.Alpha / 2)
            let cut = u64::from(self.cwnd().0) * u64::from(self.alpha) / u64::from(2 * ONE);
            self.reno.shrink(self.cwnd() - Bytes(cut as u32));
        }
        self.cwnd()
    }

    fn timeout(&mut self, flight: Bytes, again: bool) -> Bytes {
        self.reno.timeout(flight, again)
    }

    fn set_mss(&mut self, mss: Bytes) {
        self.reno.set_mss(mss);
    }

    fn cwnd(&self) -> Bytes {
        self.reno.cwnd()
    }

    fn ssthresh(&self) -> Bytes {
        self.reno.ssthresh()
    }
}

#[kernel::macros::kunit_tests(toe_dctcp)]
mod tests {
    use super::*;

    fn window(ecn: u32) -> CongestionReport {
        CongestionReport {
            acked: Bytes(10_000),
            ecn: Bytes(ecn),
            flight: Bytes(10_000),
            cwnd_limited: true,
            ..CongestionReport::default()
        }
    }

    #[test]
    fn alpha__decays_without_marks() {
        let mut dctcp = Dctcp::new(Bytes(1000));
        for _ in 0..200 {
            dctcp.report(&window(0));
        }
        assert!(dctcp.alpha < ONE / 1000);
    }

    #[test]
    fn marks__all_marked_halves() {
        let mut dctcp = Dctcp::new(Bytes(1000));
        assert!(dctcp.report(&window(10_000)) == Bytes(5_000));
    }

    #[test]
    fn marks__few_marked_shrinks_little() {
        let mut dctcp = Dctcp::new(Bytes(1000));
        for _ in 0..100 {
            dctcp.report(&window(0));
        }
        let before = dctcp.cwnd().0;
        let after = dctcp.report(&window(1_000)).0;
        assert!(after < before && after > before / 10 * 9);
    }
}
