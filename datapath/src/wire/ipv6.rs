// SPDX-License-Identifier: GPL-2.0

//! IPv6 headers (RFC 8200).

use super::{be16, put16, Ecn};

/// Length of the fixed header.
pub const HEADER_LEN: usize = 40;

const PAYLOAD_LEN: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

/// A view of the fixed header.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(pub &'a [u8; HEADER_LEN]);

impl Header<'_> {
    /// IP version; anything but 6 means the other fields mean nothing.
    #[inline]
    pub const fn version(&self) -> u8 {
        self.0[0] >> 4
    }

    /// The ECN codepoint.
    #[inline]
    pub const fn ecn(&self) -> Ecn {
        Ecn::from_bits(self.0[1] >> 4)
    }

    /// Length of what follows the fixed header; zero for a jumbogram.
    #[inline]
    pub const fn payload_len(&self) -> u16 {
        be16(self.0, PAYLOAD_LEN)
    }

    /// Protocol number of what follows: an extension header or the payload.
    #[inline]
    pub const fn next_header(&self) -> u8 {
        self.0[NEXT_HEADER]
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> [u8; 16] {
        address(self.0, SOURCE)
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> [u8; 16] {
        address(self.0, DESTINATION)
    }
}

#[inline]
fn address(header: &[u8; HEADER_LEN], at: usize) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&header[at..at + 16]);
    out
}

/// A header with everything but payload length and ECN codepoint filled in.
pub(crate) fn template(
    source: &[u8; 16],
    destination: &[u8; 16],
    hop_limit: u8,
    traffic_class: u8,
) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[0] = 0x60 | (traffic_class >> 4);
    out[1] = (traffic_class & 0xc) << 4;
    out[NEXT_HEADER] = super::PROTOCOL_TCP;
    out[HOP_LIMIT] = hop_limit;
    out[SOURCE..DESTINATION].copy_from_slice(source);
    out[DESTINATION..HEADER_LEN].copy_from_slice(destination);
    out
}

/// Completes a template that begins at `at`.
#[inline]
pub(crate) fn complete<const LEN: usize>(
    bytes: &mut [u8; LEN],
    at: usize,
    payload_len: u16,
    ecn: Ecn,
) {
    bytes[at + 1] |= (ecn as u8) << 4;
    put16(bytes, at + PAYLOAD_LEN, payload_len);
}
