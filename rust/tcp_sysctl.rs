// SPDX-License-Identifier: GPL-2.0
//! The sysctls of the kernel's TCP.
//!
//! C header: [`include/net/netns/ipv4.h`](srctree/include/net/netns/ipv4.h)

use super::{bindings as b, sock::AnySock};

/// The settings of one network namespace at one moment; Documentation/networking/ip-sysctl.rst describes them.
pub(crate) struct TcpSysctls(b::toe_tcp_sysctls);

impl TcpSysctls {
    /// Those of the namespace of `sk`.
    pub(crate) fn of(sk: &AnySock) -> Self {
        // SAFETY: `sk` is valid and holds its namespace.
        Self(unsafe { b::toe_helper_tcp_sysctls(sk.as_ptr()) })
    }

    /// `tcp_retries2`.
    pub(crate) fn retries2(&self) -> u8 {
        self.0.retries2
    }

    /// `tcp_orphan_retries`.
    pub(crate) fn orphan_retries(&self) -> u8 {
        self.0.orphan_retries
    }

    /// `tcp_fin_timeout`, in seconds.
    pub(crate) fn fin_timeout(&self) -> u32 {
        self.0.fin_timeout
    }
}
