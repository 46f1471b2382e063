// SPDX-License-Identifier: GPL-2.0
//! The administrator's settings for TCP that the control plane keeps to.

use super::rto;
use crate::net::{sock::AnySock, tcp_sysctl::TcpSysctls};
use datapath::units::Micros;

/// How long to be patient: `net.ipv4.*` of the socket's namespace, as they were when the connection was handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// With retransmissions in vain: `tcp_retries2`.
    pub(crate) patience: Micros,
    /// The same when the program is gone: `tcp_orphan_retries`.
    pub(crate) orphan_patience: Micros,
    /// With the peer closing after the program is gone, in seconds: `tcp_fin_timeout`, as far as the kernel keeps
    /// FIN_WAIT_2 without a socket.
    pub(crate) fin_timeout: u8,
}

/// What `tcp_orphan_retries` of 0 stands for.
const ORPHAN_RETRIES: u8 = 8;

impl Limits {
    /// The settings that hold for `sk`.
    pub(crate) fn of(sk: &AnySock) -> Self {
        let sysctls = TcpSysctls::of(sk);
        Self {
            patience: rto::patience(sysctls.retries2()),
            orphan_patience: rto::patience(match sysctls.orphan_retries() {
                0 => ORPHAN_RETRIES,
                retries => retries,
            }),
            fin_timeout: sysctls.fin_timeout().min(60) as u8,
        }
    }
}
