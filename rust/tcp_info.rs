// SPDX-License-Identifier: GPL-2.0
//! What kernel TCP tells of a connection.
//!
//! C header: [`include/uapi/linux/tcp.h`](srctree/include/uapi/linux/tcp.h)

use super::{bindings as b, sock::AnySock};
use core::{mem::size_of, ptr};
use kernel::{ffi::c_int, prelude::*};

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

    /// The same with what `progress` says instead of what kernel TCP knew when it gave the connection away.
    pub(crate) fn with(mut self, progress: &Progress) -> Self {
        let info = &mut self.0;
        let mss = info.tcpi_snd_mss.max(1);
        info.tcpi_state = progress.state as u8;
        info.tcpi_snd_mss = progress.mss;
        info.tcpi_unacked = progress.in_flight.div_ceil(mss);
        info.tcpi_notsent_bytes = progress.unsent;
        info.tcpi_rtt = progress.srtt_us;
        info.tcpi_rttvar = progress.rttvar_us;
        info.tcpi_rto = progress.rto_us;
        info.tcpi_snd_cwnd = (progress.cwnd / mss).max(1);
        info.tcpi_snd_ssthresh = progress.ssthresh / mss;
        info.tcpi_snd_wnd = progress.snd_wnd;
        info.tcpi_rcv_wnd = progress.rcv_wnd;
        info.tcpi_bytes_received += progress.rx_bytes;
        info.tcpi_bytes_sent += progress.tx_bytes;
        info.tcpi_bytes_retrans += progress.retransmitted;
        info.tcpi_bytes_acked += progress.acknowledged;
        info.tcpi_segs_in += progress.rx_segs as u32;
        info.tcpi_segs_out += progress.tx_segs as u32;
        info.tcpi_total_retrans += progress.retransmits as u32;
        info.tcpi_total_rto += progress.timeouts as u16;
        info.tcpi_rcv_ooopack += progress.rx_out_of_order as u32;
        self
    }

    /// As `getsockopt(2)` gives it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: The structure has no padding but what `of` zeroed and the kernel filled in, so all its bytes are
        // initialised.
        unsafe {
            core::slice::from_raw_parts(ptr::from_ref(&self.0).cast(), size_of::<b::tcp_info>())
        }
    }
}

/// How far a data-path has brought a connection since kernel TCP gave it away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// `TCP_*` of the state.
    pub(crate) state: c_int,
    /// Payload bytes of a full-sized segment.
    pub(crate) mss: u32,
    /// Bytes sent and not acknowledged.
    pub(crate) in_flight: u32,
    /// Bytes not sent yet.
    pub(crate) unsent: u32,
    /// SRTT in microseconds.
    pub(crate) srtt_us: u32,
    /// RTTVAR in microseconds.
    pub(crate) rttvar_us: u32,
    /// Retransmission timeout in microseconds.
    pub(crate) rto_us: u32,
    /// Congestion window in bytes.
    pub(crate) cwnd: u32,
    /// Slow start threshold in bytes.
    pub(crate) ssthresh: u32,
    /// SND.WND in bytes.
    pub(crate) snd_wnd: u32,
    /// RCV.WND in bytes.
    pub(crate) rcv_wnd: u32,
    /// Payload bytes received in order.
    pub(crate) rx_bytes: u64,
    /// Payload bytes sent, again ones included.
    pub(crate) tx_bytes: u64,
    /// Payload bytes sent again.
    pub(crate) retransmitted: u64,
    /// Payload bytes acknowledged.
    pub(crate) acknowledged: u64,
    /// Segments received.
    pub(crate) rx_segs: u64,
    /// Segments sent.
    pub(crate) tx_segs: u64,
    /// Retransmissions begun.
    pub(crate) retransmits: u64,
    /// Retransmission timeouts.
    pub(crate) timeouts: u64,
    /// Segments received ahead of a hole.
    pub(crate) rx_out_of_order: u64,
}
