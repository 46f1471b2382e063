// SPDX-License-Identifier: GPL-2.0

//! Pre-processing: validate, identify and summarize received segments. May run in parallel for one connection.

use super::meta::Summary;
use super::state::PreState;
use crate::reason::{DropReason, PuntReason};
use crate::units::Bytes;
use crate::wire::options::{self, Options, Timestamps};
use crate::wire::tcp::{self, Flags};
use crate::wire::{ipv4, ipv6, Addresses, Ecn, FourTuple, PROTOCOL_TCP};

/// Who vouches for a received segment's TCP checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// The device, or whoever coalesced segments, verified it, or it never was on a wire.
    Verified,
    /// Nobody yet: the data-path verifies it, which needs the whole segment in one piece.
    Unverified,
}

/// Which connection a packet belongs to, and where its parts are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ident {
    /// The connection.
    pub tuple: FourTuple,
    /// Length of the IP header, which has no options.
    tcp_offset: u8,
    /// Length of the TCP segment, header included.
    tcp_len: u32,
    ce: bool,
}

impl Ident {
    /// Where the TCP header begins, in bytes from the IP header's start.
    pub const fn tcp_offset(&self) -> usize {
        self.tcp_offset as usize
    }

    /// Length of the packet by its IP header: what follows in the buffer is padding.
    pub const fn packet_len(&self) -> usize {
        self.tcp_offset as usize + self.tcp_len as usize
    }
}

/// A segment the pre-processor keeps from the protocol stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// Dropped.
    Drop(DropReason),
    /// Not the data-path's: the control plane's.
    Punt(PuntReason),
}

/// Identifies the IP packet that begins with `head` and is `len` bytes long, padding included.
///
/// `head` must reach to the end of the TCP header's fixed part; more may follow in it or elsewhere. An error says why no
/// connection of the data-path can own the packet.
#[inline]
pub fn identify(head: &[u8], len: usize) -> Result<Ident, PuntReason> {
    match head.first().map(|byte| byte >> 4) {
        Some(4) => identify_v4(head, len),
        Some(6) => identify_v6(head, len),
        _ => Err(PuntReason::NotTcp),
    }
}

#[inline]
fn identify_v4(head: &[u8], len: usize) -> Result<Ident, PuntReason> {
    let (ip, rest) = head.split_first_chunk().ok_or(PuntReason::Truncated)?;
    let ip = ipv4::Header(ip);
    if ip.protocol() != PROTOCOL_TCP {
        return Err(PuntReason::NotTcp);
    }
    if ip.header_len() != ipv4::HEADER_LEN {
        return Err(PuntReason::IpOptions);
    }
    if ip.is_fragment() {
        return Err(PuntReason::Fragment);
    }
    let addresses = Addresses::V4 {
        local: ip.destination(),
        remote: ip.source(),
    };
    // Linux coalesces beyond what the field can say, and then leaves it zero.
    let total = match usize::from(ip.total_len()) {
        0 if len > usize::from(u16::MAX) => len,
        total => total,
    };
    finish(addresses, rest, len, total, ipv4::HEADER_LEN, ip.ecn())
}

#[inline]
fn identify_v6(head: &[u8], len: usize) -> Result<Ident, PuntReason> {
    let (ip, rest) = head.split_first_chunk().ok_or(PuntReason::Truncated)?;
    let ip = ipv6::Header(ip);
    if ip.next_header() != PROTOCOL_TCP {
        const EXTENSIONS: [u8; 4] = [0, 43, 44, 60];
        let extension = EXTENSIONS.contains(&ip.next_header());
        return Err(if extension {
            PuntReason::ExtensionHeader
        } else {
            PuntReason::NotTcp
        });
    }
    let addresses = Addresses::V6 {
        local: ip.destination(),
        remote: ip.source(),
    };
    let total = match usize::from(ip.payload_len()) {
        0 if len > ipv6::HEADER_LEN + usize::from(u16::MAX) => len,
        payload => ipv6::HEADER_LEN + payload,
    };
    finish(addresses, rest, len, total, ipv6::HEADER_LEN, ip.ecn())
}

#[inline]
fn finish(
    addresses: Addresses,
    rest: &[u8],
    len: usize,
    total: usize,
    ip_len: usize,
    ecn: Ecn,
) -> Result<Ident, PuntReason> {
    const LONGEST: usize = 1 << 20;
    if total > len || total < ip_len + tcp::HEADER_LEN || total > LONGEST {
        return Err(PuntReason::Truncated);
    }
    let tcp = tcp::Header(rest.first_chunk().ok_or(PuntReason::Truncated)?);
    Ok(Ident {
        tuple: FourTuple {
            addresses,
            local_port: tcp.destination_port(),
            remote_port: tcp.source_port(),
        },
        tcp_offset: ip_len as u8,
        tcp_len: (total - ip_len) as u32,
        ce: ecn == Ecn::Ce,
    })
}

/// Validates and summarizes a segment of the connection `pre` belongs to.
///
/// `head` is what [`identify`] was given, and must reach to the end of the TCP header's options.
#[inline]
pub fn rx(
    pre: &PreState,
    head: &[u8],
    ident: &Ident,
    checksum: Checksum,
) -> Result<Summary, Reject> {
    let segment = head.get(ident.tcp_offset()..).unwrap_or(&[]);
    let tcp = tcp::Header(
        segment
            .first_chunk()
            .ok_or(Reject::Punt(PuntReason::Truncated))?,
    );
    let header_len = tcp.header_len();
    if header_len < tcp::HEADER_LEN || header_len > ident.tcp_len as usize {
        return Err(Reject::Drop(DropReason::Malformed));
    }
    let area = segment
        .get(tcp::HEADER_LEN..header_len)
        .ok_or(Reject::Drop(DropReason::NotContiguous))?;
    if checksum == Checksum::Unverified {
        verify(pre, head, segment, ident)?;
    }
    let flags = tcp.flags();
    if flags.has(Flags::SYN | Flags::RST) || !flags.has(Flags::ACK) {
        return Err(Reject::Punt(punt_reason(flags)));
    }
    let (timestamps, sack) = read_options(area);
    Ok(Summary {
        seq: tcp.seq(),
        ack: tcp.ack(),
        payload_offset: (ident.tcp_offset() + header_len) as u32,
        payload_len: Bytes(ident.tcp_len - header_len as u32),
        window: tcp.window(),
        flags,
        ce: ident.ce,
        timestamps,
        sack,
    })
}

#[inline]
fn read_options(area: &[u8]) -> (Option<Timestamps>, Option<options::SackBlock>) {
    if area.is_empty() {
        return (None, None);
    }
    if let Some(timestamps) = options::timestamps_only(area) {
        return (Some(timestamps), None);
    }
    parse_options(area)
}

#[cold]
fn parse_options(area: &[u8]) -> (Option<Timestamps>, Option<options::SackBlock>) {
    let options = Options::parse(area);
    (options.timestamps, options.sack)
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//# The sender MUST generate it (MUST-2) and the receiver MUST check it
//# (MUST-3).
#[inline(never)]
fn verify(pre: &PreState, head: &[u8], segment: &[u8], ident: &Ident) -> Result<(), Reject> {
    if let (Addresses::V4 { .. }, Some(ip)) = (&pre.tuple.addresses, head.first_chunk()) {
        if !ipv4::Header(ip).checksum_is_valid() {
            return Err(Reject::Drop(DropReason::IpChecksum));
        }
    }
    let segment = segment
        .get(..ident.tcp_len as usize)
        .ok_or(Reject::Drop(DropReason::NotContiguous))?;
    let sum = pre.tuple.addresses.pseudo_sum().add_u32(ident.tcp_len);
    if sum.add_bytes(segment).is_valid() {
        Ok(())
    } else {
        Err(Reject::Drop(DropReason::TcpChecksum))
    }
}

#[cold]
fn punt_reason(flags: Flags) -> PuntReason {
    if flags.has(Flags::RST) {
        PuntReason::Rst
    } else if flags.has(Flags::SYN) {
        PuntReason::Syn
    } else {
        PuntReason::NoAck
    }
}

#[cfg(test)]
mod tests;
