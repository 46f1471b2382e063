// SPDX-License-Identifier: GPL-2.0

//! Headers of a connection's segments, prepared as far as they never change.

use super::config::Path;
use super::meta::TcpMeta;
use crate::units::Bytes;
use crate::wire::options::{self, SackBlocks};
use crate::wire::{ethernet, ipv4, ipv6, tcp, Addresses, Ecn, FourTuple, Sum};

/// Room for the link-layer header, which ends where the IP header begins.
const LINK: usize = ethernet::HEADER_LEN + ethernet::VLAN_LEN;
/// Longest header written.
pub const MAX_HEADER_LEN: usize = LINK + ipv6::HEADER_LEN + tcp::MAX_HEADER_LEN;

/// The IP and TCP parts.
#[derive(Clone, Copy, Debug)]
enum Network {
    V4 {
        ip: [u8; ipv4::HEADER_LEN],
        ip_sum: Sum,
    },
    V6 {
        ip: [u8; ipv6::HEADER_LEN],
    },
}

/// Constant parts of the headers, with their checksums.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    link: [u8; LINK],
    link_len: u8,
    network: Network,
    tcp: [u8; tcp::HEADER_LEN],
    pseudo_sum: Sum,
    offload: bool,
}

/// A complete header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; MAX_HEADER_LEN],
    start: u8,
    tcp: u8,
    end: u8,
}

impl Header {
    /// The header's bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or(&[])
    }

    /// Where the IP header begins.
    #[inline]
    pub const fn network_offset(&self) -> usize {
        LINK - self.start as usize
    }

    /// Where the TCP header begins.
    #[inline]
    pub const fn transport_offset(&self) -> usize {
        (self.tcp - self.start) as usize
    }
}

impl Template {
    pub(super) fn new(tuple: &FourTuple, path: &Path) -> Self {
        let (network, ethertype) = match &tuple.addresses {
            Addresses::V4 { local, remote } => {
                let ip = ipv4::template(*local, *remote, path.ttl, path.tos);
                (
                    Network::V4 {
                        ip,
                        ip_sum: Sum::of(&ip),
                    },
                    ethernet::TYPE_IPV4,
                )
            }
            Addresses::V6 { local, remote } => {
                let ip = ipv6::template(local, remote, path.ttl, path.tos);
                (Network::V6 { ip }, ethernet::TYPE_IPV6)
            }
        };
        Self {
            link: path.link.emit(ethertype),
            link_len: path.link.header_len() as u8,
            network,
            tcp: tcp::template(tuple.local_port, tuple.remote_port),
            pseudo_sum: tuple.addresses.pseudo_sum(),
            offload: path.checksum_offload,
        }
    }

    /// Whether [`Template::emit`] needs the payload's sum: no device completes the checksum.
    #[inline]
    pub const fn needs_payload_sum(&self) -> bool {
        !self.offload
    }

    /// Writes the header of a segment with `len` bytes of payload whose sum is `payload`
    /// (without meaning if the checksum is offloaded).
    #[inline]
    pub fn emit(&self, meta: &TcpMeta, sack: &SackBlocks, len: Bytes, payload: Sum) -> Header {
        let mut options_len = sack.option_len();
        if meta.timestamps.is_some() {
            options_len += options::TIMESTAMPS_LEN;
        }
        let header_len = tcp::HEADER_LEN + options_len;
        let tcp_len = header_len + len.as_usize();

        let mut bytes = [0; MAX_HEADER_LEN];
        bytes[..LINK].copy_from_slice(&self.link);
        let ecn = if meta.ect { Ecn::Ect0 } else { Ecn::NotEct };
        let tcp_start = match &self.network {
            Network::V4 { ip, ip_sum } => {
                let mut ip = *ip;
                ipv4::complete(&mut ip, *ip_sum, (ipv4::HEADER_LEN + tcp_len) as u16, ecn);
                bytes[LINK..LINK + ipv4::HEADER_LEN].copy_from_slice(&ip);
                LINK + ipv4::HEADER_LEN
            }
            Network::V6 { ip } => {
                let mut ip = *ip;
                ipv6::complete(&mut ip, tcp_len as u16, ecn);
                bytes[LINK..LINK + ipv6::HEADER_LEN].copy_from_slice(&ip);
                LINK + ipv6::HEADER_LEN
            }
        };

        let mut tcp = self.tcp;
        tcp::emit(
            &mut tcp,
            &tcp::Fields {
                seq: meta.seq,
                ack: meta.ack,
                header_len,
                flags: meta.flags,
                window: meta.window,
            },
        );
        let mut area = [0; tcp::MAX_HEADER_LEN - tcp::HEADER_LEN];
        let mut sack_start = 0;
        if let Some(ts) = meta.timestamps {
            if let Some(slot) = area.first_chunk_mut() {
                options::emit_timestamps(slot, ts);
            }
            sack_start = options::TIMESTAMPS_LEN;
        }
        if !sack.is_empty() {
            sack.emit(&mut area[sack_start..]);
        }

        let sum = self.pseudo_sum.add_u16(tcp_len as u16);
        let field = if self.offload {
            sum.partial()
        } else {
            let options = area.get(..options_len).unwrap_or(&[]);
            sum.add_bytes(&tcp)
                .add_bytes(options)
                .add_sum(payload, false)
                .checksum()
        };
        tcp[tcp::CHECKSUM..tcp::CHECKSUM + 2].copy_from_slice(&field);
        bytes[tcp_start..tcp_start + tcp::HEADER_LEN].copy_from_slice(&tcp);
        let options_start = tcp_start + tcp::HEADER_LEN;
        bytes[options_start..options_start + area.len()].copy_from_slice(&area);
        Header {
            bytes,
            start: LINK as u8 - self.link_len,
            tcp: tcp_start as u8,
            end: (options_start + options_len) as u8,
        }
    }
}
