// SPDX-License-Identifier: GPL-2.0
//! `TCP_INFO` of an offloaded connection.

use crate::{
    driver::control::Connection,
    net::{
        ksocket::InnerSocket,
        tcp_info::{Progress, TcpInfo},
    },
};
use datapath::units::Micros;
use kernel::prelude::*;

/// What the inner socket knew when it gave the connection away, brought up to date. Sleeps.
pub(super) fn tcp_info(connection: &Connection, inner: &InnerSocket) -> Result<TcpInfo> {
    Ok(TcpInfo::of(inner.sk())?.with(&progress(connection)))
}

fn progress(connection: &Connection) -> Progress {
    let mut progress = Progress {
        state: connection.state().number(),
        rto_us: micros(connection.rto()),
        ssthresh: connection.with_congestion(|congestion| congestion.policy().ssthresh().0),
        ..Progress::default()
    };
    let Some(offload) = connection.offload() else {
        return progress;
    };
    if let Some(config) = offload.config() {
        let send = config.send;
        progress.mss = config.path.mss.into();
        progress.in_flight = send.nxt.bytes_since(send.una).0;
        progress.unsent =
            (connection.stream().unacknowledged() as u32).saturating_sub(progress.in_flight);
        progress.srtt_us = micros(config.rtt.srtt);
        progress.rttvar_us = micros(config.rtt.rttvar);
        progress.cwnd = config.cwnd.0;
        progress.snd_wnd = send.wnd.0;
        progress.rcv_wnd = config.receive.wnd.0;
    }
    if let Some(counters) = offload.counters() {
        progress.rx_bytes = counters.rx_bytes;
        progress.tx_bytes = counters.tx_bytes;
        progress.retransmitted = counters.tx_retransmitted;
        progress.acknowledged = (counters.tx_bytes - counters.tx_retransmitted)
            .saturating_sub(progress.in_flight.into());
        progress.rx_segs = counters.rx_segments;
        progress.tx_segs = counters.tx_segments + counters.tx_acks;
        progress.retransmits = counters.fast_retransmits + counters.timeouts;
        progress.timeouts = counters.timeouts;
        progress.rx_out_of_order = counters.rx_out_of_order;
    }
    progress
}

/// Microseconds as far as `TCP_INFO` can tell them: 71 minutes.
fn micros(time: Micros) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}
