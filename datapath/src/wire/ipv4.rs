// SPDX-License-Identifier: GPL-2.0

//! IPv4 headers without options (RFC 791).

use super::{be16, put16, Ecn, Sum};

/// Length of a header without options.
pub const HEADER_LEN: usize = 20;

const TOS: usize = 1;
const TOTAL_LEN: usize = 2;
const FRAGMENT: usize = 6;
const TTL: usize = 8;
const PROTOCOL: usize = 9;
const CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

const VERSION_AND_LEN: u8 = 0x45;
const DONT_FRAGMENT: u16 = 0x4000;

/// A view of a header.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(pub &'a [u8; HEADER_LEN]);

impl Header<'_> {
    /// IP version; anything but 4 means the other fields mean nothing.
    #[inline]
    pub const fn version(&self) -> u8 {
        self.0[0] >> 4
    }

    /// Header length in bytes as the header gives it.
    #[inline]
    pub const fn header_len(&self) -> usize {
        (self.0[0] & 0xf) as usize * 4
    }

    /// The ECN codepoint.
    #[inline]
    pub const fn ecn(&self) -> Ecn {
        Ecn::from_bits(self.0[TOS])
    }

    /// Length of the packet, header included.
    #[inline]
    pub const fn total_len(&self) -> u16 {
        be16(self.0, TOTAL_LEN)
    }

    /// Whether the packet is a fragment of a larger one.
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        be16(self.0, FRAGMENT) & 0x3fff != 0
    }

    /// Protocol number of the payload.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        self.0[PROTOCOL]
    }

    /// Source address.
    #[inline]
    pub const fn source(&self) -> [u8; 4] {
        [
            self.0[SOURCE],
            self.0[SOURCE + 1],
            self.0[SOURCE + 2],
            self.0[SOURCE + 3],
        ]
    }

    /// Destination address.
    #[inline]
    pub const fn destination(&self) -> [u8; 4] {
        [
            self.0[DESTINATION],
            self.0[DESTINATION + 1],
            self.0[DESTINATION + 2],
            self.0[DESTINATION + 3],
        ]
    }

    /// Whether the header checksum is right.
    #[inline]
    pub fn checksum_is_valid(&self) -> bool {
        Sum::of(self.0).is_valid()
    }
}

/// A header with everything but total length, ECN codepoint and checksum filled in.
pub(crate) fn template(
    source: [u8; 4],
    destination: [u8; 4],
    ttl: u8,
    tos: u8,
) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[0] = VERSION_AND_LEN;
    out[TOS] = tos & !3;
    //= https://www.rfc-editor.org/rfc/rfc6864#section-4.1
    //# Originating sources MAY set the IPv4 ID field of atomic datagrams to
    //# any value.
    out[FRAGMENT..FRAGMENT + 2].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
    out[TTL] = ttl;
    out[PROTOCOL] = super::PROTOCOL_TCP;
    out[SOURCE..DESTINATION].copy_from_slice(&source);
    out[DESTINATION..HEADER_LEN].copy_from_slice(&destination);
    out
}

/// Completes a template that begins at `at`; `sum` is the template's.
#[inline]
pub(crate) fn complete<const LEN: usize>(
    bytes: &mut [u8; LEN],
    at: usize,
    sum: Sum,
    total_len: u16,
    ecn: Ecn,
) {
    let ecn = ecn as u8;
    bytes[at + TOS] |= ecn;
    put16(bytes, at + TOTAL_LEN, total_len);
    [bytes[at + CHECKSUM], bytes[at + CHECKSUM + 1]] = sum
        .add_u32((u32::from(ecn) << 16) | u32::from(total_len))
        .checksum();
}
