// SPDX-License-Identifier: GPL-2.0
//! Congestion control policy.
//!
//! The data-path counts, the control plane decides (FlexTOE, section 4.2): once per window of data, and at each fast
//! retransmit, the data-path reports what was acknowledged, marked and lost, and gets a congestion window back.

mod dctcp;
mod reno;

use datapath::{npu::meta::CongestionReport, units::Bytes};
use dctcp::Dctcp;
use reno::Reno;

/// An algorithm that decides how much may be in flight.
pub(crate) trait Policy {
    /// Its name, as in `net.ipv4.tcp_congestion_control`.
    fn name(&self) -> &'static str;

    /// A window of data was acknowledged, or loss was found; returns the new congestion window.
    fn report(&mut self, report: &CongestionReport) -> Bytes;

    /// The retransmission timer expired with `flight` bytes outstanding, `again` if not for the first time for the same
    /// data; returns the new congestion window.
    fn timeout(&mut self, flight: Bytes, again: bool) -> Bytes;

    /// The largest segment has changed.
    fn set_mss(&mut self, mss: Bytes);

    /// The congestion window.
    fn cwnd(&self) -> Bytes;

    /// The slow start threshold.
    fn ssthresh(&self) -> Bytes;
}

/// The policy of one connection.
pub(crate) enum Congestion {
    /// RFC 5681.
    Reno(Reno),
    /// RFC 8257.
    Dctcp(Dctcp),
}

impl Congestion {
    /// The policy called `name` where ECN allows it, for a new connection; Reno for any other name.
    pub(crate) fn new(name: &str, ecn: bool, mss: Bytes) -> Self {
        match name {
            "dctcp" if ecn => Self::Dctcp(Dctcp::new(mss)),
            _ => Self::Reno(Reno::new(mss)),
        }
    }

    /// The algorithm.
    pub(crate) fn policy(&mut self) -> &mut dyn Policy {
        match self {
            Self::Reno(reno) => reno,
            Self::Dctcp(dctcp) => dctcp,
        }
    }
}
