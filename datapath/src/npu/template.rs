// SPDX-License-Identifier: GPL-2.0

//! Headers of a connection's segments, prepared as far as they never change.

use super::config::Path;
use super::meta::TcpMeta;
use crate::units::Bytes;
use crate::wire::options::{self, SackBlocks};
use crate::wire::{ethernet, ipv4, ipv6, tcp, Addresses, Ecn, FourTuple, Sum};

/// Room for the link-layer header, which ends where the IP header begins: at a multiple of four.
const NETWORK: usize = 20;
const TCP_V4: usize = NETWORK + ipv4::HEADER_LEN;
const TCP_V6: usize = NETWORK + ipv6::HEADER_LEN;
/// Prepared bytes: up to the end of the longest header without SACK.
const PREPARED: usize = TCP_V6 + tcp::HEADER_LEN + options::TIMESTAMPS_LEN;
/// Longest header written.
const LONGEST: usize = TCP_V6 + tcp::MAX_HEADER_LEN;

/// Constant parts of the headers, with their checksums.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    bytes: [u8; PREPARED],
    /// Where the link-layer header begins.
    start: u8,
    v6: bool,
    offload: bool,
    ip_sum: Sum,
    pseudo_sum: Sum,
}

/// A complete header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; LONGEST],
    start: u8,
    transport: u8,
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
        NETWORK - self.start as usize
    }

    /// Where the TCP header begins.
    #[inline]
    pub const fn transport_offset(&self) -> usize {
        (self.transport - self.start) as usize
    }
}

impl Template {
    pub(super) fn new(tuple: &FourTuple, path: &Path) -> Self {
        let mut bytes = [0; PREPARED];
        let tcp = tcp::template(tuple.local_port, tuple.remote_port);
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        let (ethertype, v6, ip_sum) = match &tuple.addresses {
            Addresses::V4 { local, remote } => {
                let ip = ipv4::template(*local, *remote, path.ttl, path.tos);
                put(NETWORK, &ip);
                put(TCP_V4, &tcp);
                (ethernet::TYPE_IPV4, false, Sum::of(&ip))
            }
            Addresses::V6 { local, remote } => {
                put(NETWORK, &ipv6::template(local, remote, path.ttl, path.tos));
                put(TCP_V6, &tcp);
                (ethernet::TYPE_IPV6, true, Sum::ZERO)
            }
        };
        let link = path.link.emit(ethertype);
        put(NETWORK - link.len(), &link);
        Self {
            bytes,
            start: (NETWORK - path.link.header_len()) as u8,
            v6,
            offload: path.checksum_offload,
            ip_sum,
            pseudo_sum: tuple.addresses.pseudo_sum(),
        }
    }

    /// Whether the device completes the TCP checksum.
    #[inline]
    pub const fn checksum_offload(&self) -> bool {
        self.offload
    }

    /// The header of a segment with `len` bytes of payload whose sum is `payload` (without meaning if the checksum is
    /// offloaded).
    #[inline]
    pub fn emit(&self, meta: &TcpMeta, sack: &SackBlocks, len: Bytes, payload: Sum) -> Header {
        let mut header = Header {
            bytes: [0; LONGEST],
            start: self.start,
            transport: 0,
            end: 0,
        };
        header.bytes[..PREPARED].copy_from_slice(&self.bytes);
        if self.v6 {
            self.fill::<TCP_V6>(&mut header, meta, sack, len, payload);
        } else {
            self.fill::<TCP_V4>(&mut header, meta, sack, len, payload);
        }
        header
    }

    /// Fills in what changes from segment to segment. The TCP header begins at `TCP`.
    #[inline]
    fn fill<const TCP: usize>(
        &self,
        header: &mut Header,
        meta: &TcpMeta,
        sack: &SackBlocks,
        len: Bytes,
        payload: Sum,
    ) {
        let bytes = &mut header.bytes;
        let mut header_len = tcp::HEADER_LEN;
        if let Some(ts) = meta.timestamps {
            options::emit_timestamps(bytes, TCP + tcp::HEADER_LEN, ts);
            header_len += options::TIMESTAMPS_LEN;
        }
        if !sack.is_empty() {
            let area = bytes.get_mut(TCP + header_len..).unwrap_or(&mut []);
            sack.emit(area);
            header_len += sack.option_len();
        }
        let TcpMeta {
            seq,
            ack,
            window,
            flags,
            ..
        } = *meta;
        tcp::emit(
            bytes,
            TCP,
            &tcp::Fields {
                seq,
                ack,
                header_len,
                flags,
                window,
            },
        );
        header.transport = TCP as u8;
        header.end = (TCP + header_len) as u8;

        let tcp_len = header_len + len.as_usize();
        let ecn = if meta.ect { Ecn::Ect0 } else { Ecn::NotEct };
        if TCP == TCP_V4 {
            let total_len = (ipv4::HEADER_LEN + tcp_len) as u16;
            ipv4::complete(bytes, NETWORK, self.ip_sum, total_len, ecn);
        } else {
            ipv6::complete(bytes, NETWORK, tcp_len as u16, ecn);
        }
        let sum = self.pseudo_sum.add_u16(tcp_len as u16);
        let field = if self.offload {
            sum.partial()
        } else {
            let written = bytes.get(TCP..TCP + header_len).unwrap_or(&[]);
            sum.add_bytes(written).add_sum(payload, false).checksum()
        };
        [bytes[TCP + tcp::CHECKSUM], bytes[TCP + tcp::CHECKSUM + 1]] = field;
    }
}

#[cfg(test)]
mod tests;
