// SPDX-License-Identifier: GPL-2.0
//! The retransmission timeout (RFC 6298), with the kernel's bounds.

use datapath::units::Micros;

/// Least timeout, `TCP_RTO_MIN`.
pub(crate) const MIN: Micros = Micros::from_millis(200);
/// Most, `TCP_RTO_MAX`.
pub(crate) const MAX: Micros = Micros::from_millis(120_000);
/// Timeout before the first round-trip time sample, `TCP_TIMEOUT_INIT`.
pub(crate) const INITIAL: Micros = Micros::from_millis(1000);

/// How many times over the timeout has expired without progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Backoff(u8);

impl Backoff {
    /// The timer expired once more.
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //# (5.5) The host MUST set RTO <- RTO * 2 ("back off the timer").
    pub(crate) fn increase(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    /// How often it has expired.
    pub(crate) fn count(self) -> u8 {
        self.0
    }

    /// The timeout from now on, for an estimate of the round-trip time: `srtt` and `rttvar`, zero before the first sample.
    ///
    /// As the kernel's TCP, with four times RTTVAR taken as 200 ms at least, where RFC 6298 has a second in all.
    //= https://www.rfc-editor.org/rfc/rfc6298#section-2
    //#      RTO <- SRTT + max (G, K*RTTVAR)
    pub(crate) fn timeout(self, srtt: Micros, rttvar: Micros) -> Micros {
        let base = if srtt == Micros(0) {
            INITIAL
        } else {
            Micros(srtt.0 + MIN.0.max(rttvar.0.saturating_mul(4)))
        };
        Micros(base.0.min(MAX.0) << self.shift()).min(MAX)
    }

    /// What a timeout that was backed off is without it, as far as its maximum lets that be told.
    pub(crate) fn undone(self, timeout: Micros) -> Micros {
        Micros(timeout.0 >> self.shift()).max(MIN)
    }

    fn shift(self) -> u32 {
        u32::from(self.0.min(20))
    }
}

/// How long `retries` retransmissions with exponential backoff from [`MIN`] take: what the kernel makes of
/// `tcp_retries2`, whatever the round-trip time (`tcp_model_timeout()`).
pub(crate) fn patience(retries: u8) -> Micros {
    let doublings = (MAX.0 / MIN.0).ilog2() as u8;
    if retries <= doublings {
        return Micros(((2 << retries) - 1) * MIN.0);
    }
    Micros(((2 << doublings) - 1) * MIN.0 + u64::from(retries - doublings) * MAX.0)
}

#[kernel::macros::kunit_tests(toe_rto)]
mod tests {
    use super::*;

    #[test]
    fn timeout_without_sample_is_a_second() {
        assert_eq!(Backoff(0).timeout(Micros(0), Micros(0)), INITIAL);
    }

    #[test]
    fn timeout_follows_the_estimate_within_bounds() {
        assert_eq!(Backoff(0).timeout(Micros(50), Micros(25)), Micros(200_050));
        assert_eq!(
            Backoff(0).timeout(Micros(300_000), Micros(100_000)),
            Micros(700_000)
        );
        assert_eq!(
            Backoff(0).timeout(Micros(u64::MAX / 2), Micros(u64::MAX / 8)),
            MAX
        );
    }

    #[test]
    fn timeout_doubles_up_to_its_maximum() {
        let mut backoff = Backoff::default();
        backoff.increase();
        backoff.increase();
        assert_eq!(backoff.timeout(Micros(50), Micros(25)), Micros(800_200));
        for _ in 0..300 {
            backoff.increase();
        }
        assert_eq!(backoff.timeout(Micros(50), Micros(25)), MAX);
    }

    #[test]
    fn backoff_is_undone() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.undone(Micros(300_000)), Micros(300_000));
        backoff.increase();
        assert_eq!(backoff.undone(Micros(600_000)), Micros(300_000));
        for _ in 0..300 {
            backoff.increase();
        }
        assert_eq!(backoff.undone(MAX), MIN);
    }

    #[test]
    fn patience_is_the_documented_one() {
        // Documentation/networking/ip-sysctl.rst: the default of 15 yields a hypothetical timeout of 924.6 seconds.
        assert_eq!(patience(15), Micros::from_millis(924_600));
        assert_eq!(patience(0), MIN);
        assert_eq!(patience(3), Micros::from_millis(3000));
    }
}
