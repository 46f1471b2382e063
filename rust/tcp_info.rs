// SPDX-License-Identifier: GPL-2.0
//! What kernel TCP tells of a connection.
//!
//! C header: [`include/uapi/linux/tcp.h`](srctree/include/uapi/linux/tcp.h)

use super::{bindings as b, sock::AnySock};
use kernel::prelude::*;

/// `TCP_INFO` of a kernel TCP socket.
pub(crate) struct TcpInfo(b::tcp_info);

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $field:ident as $type:ty;)*) => {
        $($(#[$doc])* pub(crate) fn $name(&self) -> $type { <$type>::from(self.0.$field) })*
    };
}

impl TcpInfo {
    /// That of `sk`, `EINVAL` if it is no kernel TCP socket. May sleep.
    pub(crate) fn of(sk: &AnySock) -> Result<Self> {
        let mut info = b::tcp_info::default();
        // SAFETY: `sk` is valid; the function takes the socket's lock.
        match unsafe { b::toe_helper_tcp_get_info(sk.as_ptr(), &mut info) } {
            true => Ok(Self(info)),
            false => Err(EINVAL),
        }
    }

    getters! {
        /// Payload bytes received in order.
        rx_bytes: tcpi_bytes_received as u64;
        /// Segments received.
        rx_segs: tcpi_segs_in as u64;
        /// Segments sent.
        tx_segs: tcpi_segs_out as u64;
        /// Segments sent again.
        retransmits: tcpi_total_retrans as u64;
        /// Retransmission timeouts.
        timeouts: tcpi_total_rto as u64;
        /// Segments received ahead of a hole.
        rx_ooo_segs: tcpi_rcv_ooopack as u64;
        /// Payload bytes of the largest segment sent.
        mss: tcpi_snd_mss as u32;
        /// Smoothed round-trip time in microseconds, 0 before the first sample.
        srtt_us: tcpi_rtt as u32;
        /// Retransmission timeout in microseconds.
        rto_us: tcpi_rto as u32;
        /// Window that the peer offers, in bytes.
        snd_wnd: tcpi_snd_wnd as u32;
        /// Window offered to the peer, in bytes.
        rcv_wnd: tcpi_rcv_wnd as u32;
    }

    /// Payload bytes sent, each counted once.
    pub(crate) fn tx_bytes(&self) -> u64 {
        self.0
            .tcpi_bytes_sent
            .saturating_sub(self.0.tcpi_bytes_retrans)
    }

    /// Congestion window in bytes.
    pub(crate) fn cwnd(&self) -> u32 {
        self.0.tcpi_snd_cwnd.saturating_mul(self.0.tcpi_snd_mss)
    }

    /// Slow start threshold in bytes; `None` before the first congestion.
    pub(crate) fn ssthresh(&self) -> Option<u32> {
        // Without a threshold the kernel reports TCP_INFINITE_SSTHRESH, in segments.
        let ssthresh = self.0.tcpi_snd_ssthresh;
        (ssthresh < i32::MAX as u32).then(|| ssthresh.saturating_mul(self.0.tcpi_snd_mss))
    }

    /// Of a listening socket: connections not accepted yet.
    pub(crate) fn accept_queue(&self) -> u32 {
        self.0.tcpi_unacked
    }

    /// Of a listening socket: how many connections may wait.
    pub(crate) fn backlog(&self) -> u32 {
        self.0.tcpi_sacked
    }
}
