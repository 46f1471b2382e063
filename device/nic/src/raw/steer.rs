// SPDX-License-Identifier: GPL-2.0

//! Which received frames are taken, and by which queue pair.

use crate::layout::{self, hash, rx_mode, RSS_ENTRIES, RSS_KEY_LEN};
use datapath::wire::{ethernet, ethernet::MacAddr, ipv4, Sum, PROTOCOL_TCP};

const PROTOCOL_UDP: u8 = 17;

/// The receive filter.
#[derive(Clone, Debug)]
pub struct Filter {
    mode: u32,
    addresses: Vec<MacAddr>,
}

impl Filter {
    /// One address, and broadcast.
    pub fn new(address: MacAddr) -> Self {
        Self {
            mode: rx_mode::UNICAST | rx_mode::BROADCAST,
            addresses: vec![address],
        }
    }

    /// As the host sets it.
    pub fn set(&mut self, mode: u32, addresses: Vec<MacAddr>) {
        *self = Self { mode, addresses };
    }

    /// Whether the address is one of those listed.
    pub fn listed(&self, address: &MacAddr) -> bool {
        self.addresses.contains(address)
    }

    /// Whether frames to the address are taken.
    pub fn takes(&self, address: &MacAddr) -> bool {
        let by = |bit| self.mode & bit != 0;
        let group = address[0] & 1 != 0;
        by(rx_mode::PROMISCUOUS)
            || (by(rx_mode::BROADCAST) && *address == [0xff; 6])
            || (by(rx_mode::ALL_MULTICAST) && group)
            || (by(rx_mode::UNICAST) && self.listed(address))
    }
}

/// Whether checksums were verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verified {
    /// They are right.
    Right,
    /// At least one is wrong.
    Wrong,
    /// Nobody looked.
    Unknown,
}

/// What the device finds out of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest {
    /// Toeplitz's hash.
    pub hash: u32,
    /// Of what.
    pub kind: u8,
    /// Checksums.
    pub checksum: Verified,
}

/// Which pair is to take which flow.
pub struct Rss {
    key: [u8; RSS_KEY_LEN],
    pairs: [u16; RSS_ENTRIES],
}

impl Rss {
    /// As the host sets it.
    pub fn new(rss: &layout::Rss) -> Self {
        Self {
            key: rss.key,
            pairs: rss.pair.map(|pair| pair.get()),
        }
    }

    /// The pair for a hash.
    pub fn pair(&self, hash: u32) -> u16 {
        self.pairs[hash as usize % RSS_ENTRIES]
    }

    /// Toeplitz's hash of `input`, up to 36 bytes.
    fn hash(&self, input: &[u8]) -> u32 {
        let (first, rest) = self.key.split_at(8);
        let mut window = first.iter().fold(0, |w, byte| (w << 8) | u64::from(*byte));
        let mut next = rest.iter();
        let mut hash = 0;
        for byte in input {
            for bit in (0..8).rev() {
                if (byte >> bit) & 1 != 0 {
                    hash ^= (window >> 32) as u32;
                }
                window <<= 1;
            }
            // Eight bits have gone out at the top; as many come in.
            window |= u64::from(next.next().copied().unwrap_or(0));
        }
        hash
    }
}

/// The parts of an IP packet that matter here.
struct Packet<'a> {
    addresses: &'a [u8],
    transport: &'a [u8],
    protocol: u8,
    fragment: bool,
    header_valid: bool,
}

impl<'a> Packet<'a> {
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let link = ethernet::Frame::parse(frame)?;
        let ip = frame.get(link.payload_offset..)?;
        match link.ethertype {
            ethernet::TYPE_IPV4 => {
                let header = ipv4::Header(ip.first_chunk()?);
                let options = header.header_len();
                let total = usize::from(header.total_len());
                Some(Self {
                    addresses: ip.get(12..20)?,
                    transport: ip.get(options.max(20)..total)?,
                    protocol: header.protocol(),
                    fragment: header.is_fragment(),
                    header_valid: Sum::of(ip.get(..options)?).is_valid(),
                })
            }
            ethernet::TYPE_IPV6 => {
                let total = 40 + usize::from(u16::from_be_bytes([*ip.get(4)?, *ip.get(5)?]));
                Some(Self {
                    addresses: ip.get(8..40)?,
                    transport: ip.get(40..total)?,
                    protocol: *ip.get(6)?,
                    fragment: false,
                    header_valid: true,
                })
            }
            _ => None,
        }
    }

    fn has_ports(&self) -> bool {
        matches!(self.protocol, PROTOCOL_TCP | PROTOCOL_UDP) && !self.fragment
    }

    fn verify(&self) -> Verified {
        if !self.header_valid {
            return Verified::Wrong;
        }
        let none = self.protocol == PROTOCOL_UDP && self.transport.get(6..8) == Some(&[0, 0]);
        if !self.has_ports() || none {
            return Verified::Unknown;
        }
        let pseudo = Sum::of(self.addresses)
            .add_u16(self.protocol.into())
            .add_u32(self.transport.len() as u32);
        if pseudo.add_bytes(self.transport).is_valid() {
            Verified::Right
        } else {
            Verified::Wrong
        }
    }
}

impl Digest {
    /// Of a frame; hashed if there is something to hash with.
    pub fn of(frame: &[u8], rss: Option<&Rss>, verify: bool) -> Self {
        let mut digest = Self {
            hash: 0,
            kind: hash::NONE,
            checksum: Verified::Unknown,
        };
        let Some(packet) = Packet::parse(frame) else {
            return digest;
        };
        if verify {
            digest.checksum = packet.verify();
        }
        if let Some(rss) = rss {
            let mut input = packet.addresses.to_vec();
            digest.kind = hash::L3;
            if let (true, Some(ports)) = (packet.has_ports(), packet.transport.get(..4)) {
                input.extend_from_slice(ports);
                digest.kind = hash::L4;
            }
            digest.hash = rss.hash(&input);
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    /// The key and a test vector of Microsoft's description of RSS.
    #[test]
    fn hash__known_vector() {
        let mut layout = layout::Rss::new_zeroed();
        layout.key = [
            0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
            0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
            0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
        ];
        let rss = Rss::new(&layout);
        let mut input = vec![66, 9, 149, 187, 161, 142, 100, 80];
        assert_eq!(rss.hash(&input), 0x323e_8fc2);
        input.extend(2794u16.to_be_bytes());
        input.extend(1766u16.to_be_bytes());
        assert_eq!(rss.hash(&input), 0x51cc_c178);
    }

    #[test]
    fn takes__what_the_mode_says() {
        let own = [2, 0, 0, 0, 0, 1];
        let mut filter = Filter::new(own);
        assert!(filter.takes(&own) && filter.takes(&[0xff; 6]));
        assert!(!filter.takes(&[2, 0, 0, 0, 0, 2]) && !filter.takes(&[1, 0, 0x5e, 0, 0, 1]));
        filter.set(rx_mode::ALL_MULTICAST, Vec::new());
        assert!(filter.takes(&[1, 0, 0x5e, 0, 0, 1]) && !filter.takes(&own));
        filter.set(rx_mode::PROMISCUOUS, Vec::new());
        assert!(filter.takes(&own));
    }
}
