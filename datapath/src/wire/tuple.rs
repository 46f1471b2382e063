// SPDX-License-Identifier: GPL-2.0

//! What identifies a connection: addresses and ports of both ends.

use super::Sum;

/// The IP addresses of a connection's two ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// Our address.
        local: [u8; 4],
        /// The peer's.
        remote: [u8; 4],
    },
    /// IPv6.
    V6 {
        /// Our address.
        local: [u8; 16],
        /// The peer's.
        remote: [u8; 16],
    },
}

impl Addresses {
    /// The part of the pseudo-header's sum that never changes (RFC 9293, section 3.1): all but the length.
    pub(crate) fn pseudo_sum(&self) -> Sum {
        let sum = match self {
            Self::V4 { local, remote } => Sum::of(local).add_bytes(remote),
            Self::V6 { local, remote } => Sum::of(local).add_bytes(remote),
        };
        sum.add_u16(u16::from(super::PROTOCOL_TCP))
    }
}

/// A connection's 4-tuple, seen from our end: `local` is the destination of what we receive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FourTuple {
    /// Both addresses.
    pub addresses: Addresses,
    /// Our port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
}

impl FourTuple {
    /// A hash for connection tables and flow groups. A secret `seed` makes tuples that collide hard
    /// to find.
    #[inline]
    pub fn hash(&self, seed: u64) -> u32 {
        let ports = (u64::from(self.local_port) << 16) | u64::from(self.remote_port);
        let h = mix(seed ^ 0x9e37_79b9_7f4a_7c15, ports);
        let h = match &self.addresses {
            Addresses::V4 { local, remote } => {
                let pair = (u64::from(u32::from_ne_bytes(*local)) << 32)
                    | u64::from(u32::from_ne_bytes(*remote));
                mix(h, pair)
            }
            Addresses::V6 { local, remote } => [local, remote].into_iter().fold(h, |h, address| {
                let bits = u128::from_ne_bytes(*address);
                mix(mix(h, bits as u64), (bits >> 64) as u64)
            }),
        };
        (h ^ (h >> 32)) as u32
    }
}

/// Absorbs `word` into the state `h`: a keyed multiply-shift round (constants of MurmurHash3's finalizer).
#[inline]
const fn mix(h: u64, word: u64) -> u64 {
    let h = (h ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    fn v4(port: u16) -> FourTuple {
        let addresses = Addresses::V4 {
            local: [10, 0, 0, 1],
            remote: [10, 0, 0, 2],
        };
        FourTuple {
            addresses,
            local_port: 80,
            remote_port: port,
        }
    }

    #[test]
    fn hash__spreads_ports() {
        let low: HashSet<u32> = (0..4096).map(|port| v4(port).hash(1) % 4096).collect();
        assert!(low.len() > 2400, "{} of 4096 buckets used", low.len());
    }

    #[test]
    fn hash__depends_on_everything() {
        let base = v4(1);
        let swapped = FourTuple {
            local_port: 1,
            remote_port: 80,
            ..base
        };
        let mirrored = FourTuple {
            addresses: Addresses::V4 {
                local: [10, 0, 0, 2],
                remote: [10, 0, 0, 1],
            },
            ..base
        };
        let mut local = [0; 16];
        let mut hashes = Vec::from([
            base.hash(1),
            base.hash(2),
            swapped.hash(1),
            mirrored.hash(1),
        ]);
        for byte in 0..16 {
            local[byte] = 1;
            let addresses = Addresses::V6 {
                local,
                remote: [0; 16],
            };
            hashes.push(FourTuple { addresses, ..base }.hash(1));
        }
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
    }
}
