// SPDX-License-Identifier: GPL-2.0
//! What Ethernet devices can do.
//!
//! C header: [`include/linux/netdev_features.h`](srctree/include/linux/netdev_features.h)

use super::b;
use core::ops::BitOr;

/// A set of what a device can do, `netdev_features_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features(b::netdev_features_t);

impl Features {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);
    /// Packets in several pieces.
    pub(crate) const SCATTER_GATHER: Self = Self::bit(b::NETIF_F_SG_BIT);
    /// Writing checksums at any place.
    pub(crate) const TX_CHECKSUM: Self = Self::bit(b::NETIF_F_HW_CSUM_BIT);
    /// Checking the checksums of what is received.
    pub(crate) const RX_CHECKSUM: Self = Self::bit(b::NETIF_F_RXCSUM_BIT);
    /// Cutting TCP over IPv4.
    pub(crate) const TSO: Self = Self::bit(b::NETIF_F_TSO_BIT);
    /// Cutting TCP over IPv6.
    pub(crate) const TSO6: Self = Self::bit(b::NETIF_F_TSO6_BIT);
    /// CWR in the first segment only.
    pub(crate) const TSO_ECN: Self = Self::bit(b::NETIF_F_TSO_ECN_BIT);
    /// Hashes of flows.
    pub(crate) const RX_HASH: Self = Self::bit(b::NETIF_F_RXHASH_BIT);

    const fn bit(number: u32) -> Self {
        Self(1 << number)
    }

    /// As C has it.
    pub(super) const fn bits(self) -> b::netdev_features_t {
        self.0
    }

    /// This if `on`, else nothing.
    pub(crate) const fn when(self, on: bool) -> Self {
        if on {
            self
        } else {
            Self::NONE
        }
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[kernel::macros::kunit_tests(toe_netdev_features)]
mod tests {
    use super::*;

    #[test]
    fn when__leaves_what_is_on() {
        let both = Features::TSO | Features::RX_HASH;
        assert!(both.when(true) == both);
        assert!(both.when(false) | Features::TSO == Features::TSO);
        assert_eq!(both.bits().count_ones(), 2);
    }
}
