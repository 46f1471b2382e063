// SPDX-License-Identifier: GPL-2.0

//! TCP headers (RFC 9293, section 3.1).

use super::{be16, be32, put16, put32};
use crate::units::SeqNum;
use core::ops::BitOr;

/// Length of a header without options.
pub const HEADER_LEN: usize = 20;
/// Longest header there is.
pub const MAX_HEADER_LEN: usize = 60;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const SEQ: usize = 4;
const ACK: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
const WINDOW: usize = 14;
/// Where the checksum field lies.
pub const CHECKSUM: usize = 16;
const URGENT: usize = 18;

/// The control bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Flags(pub u8);

impl Flags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// The sender has no more data.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer field is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether any bit of `other` is set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// `self`, with the bits of `other` if `on`.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on {
            Self(self.0 | other.0)
        } else {
            self
        }
    }
}

impl BitOr for Flags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A view of a header's fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(pub &'a [u8; HEADER_LEN]);

impl Header<'_> {
    /// Source port.
    #[inline]
    pub const fn source_port(&self) -> u16 {
        be16(self.0, SOURCE_PORT)
    }

    /// Destination port.
    #[inline]
    pub const fn destination_port(&self) -> u16 {
        be16(self.0, DESTINATION_PORT)
    }

    /// SEG.SEQ.
    #[inline]
    pub const fn seq(&self) -> SeqNum {
        SeqNum::new(be32(self.0, SEQ))
    }

    /// SEG.ACK.
    #[inline]
    pub const fn ack(&self) -> SeqNum {
        SeqNum::new(be32(self.0, ACK))
    }

    /// Length of the header with options, as it says itself: 0 to 60.
    #[inline]
    pub const fn header_len(&self) -> usize {
        (self.0[DATA_OFFSET] >> 4) as usize * 4
    }

    /// The control bits.
    #[inline]
    pub const fn flags(&self) -> Flags {
        Flags(self.0[FLAGS])
    }

    /// The window field, not scaled.
    #[inline]
    pub const fn window(&self) -> u16 {
        be16(self.0, WINDOW)
    }

    /// The urgent pointer.
    #[inline]
    pub const fn urgent(&self) -> u16 {
        be16(self.0, URGENT)
    }
}

/// The fields of a header that change from segment to segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) seq: SeqNum,
    pub(crate) ack: SeqNum,
    pub(crate) header_len: usize,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
}

/// Writes, at `at`, everything of the fixed part but ports and checksum.
#[inline]
pub(crate) fn emit<const LEN: usize>(bytes: &mut [u8; LEN], at: usize, fields: &Fields) {
    put32(bytes, at + SEQ, fields.seq.get());
    put32(bytes, at + ACK, fields.ack.get());
    bytes[at + DATA_OFFSET] = (fields.header_len as u8) << 2;
    bytes[at + FLAGS] = fields.flags.0;
    put16(bytes, at + WINDOW, fields.window);
}

/// A header with the ports filled in.
pub(crate) fn template(source_port: u16, destination_port: u16) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[SOURCE_PORT..DESTINATION_PORT].copy_from_slice(&source_port.to_be_bytes());
    out[DESTINATION_PORT..SEQ].copy_from_slice(&destination_port.to_be_bytes());
    out
}
