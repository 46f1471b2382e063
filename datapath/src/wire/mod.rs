// SPDX-License-Identifier: GPL-2.0

//! Wire formats: where fields lie and what they mean. No protocol logic.
//!
//! A view borrows bytes already known to be long enough, so that reading a field can't fail.

pub mod checksum;
pub mod ethernet;
pub mod ipv4;
pub mod ipv6;
pub mod options;
pub mod tcp;
pub mod tuple;

pub use checksum::Sum;
pub use tuple::{Addresses, FourTuple};

/// IP protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

/// The two ECN bits of an IP header (RFC 3168, section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable transport.
    NotEct = 0,
    /// ECN-capable transport, codepoint 1.
    Ect1 = 1,
    /// ECN-capable transport, codepoint 0.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The codepoint in the two low bits of a TOS or traffic class byte.
    #[inline]
    pub const fn from_bits(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }
}

/// The two bytes at `at` of a header, in network order.
#[inline]
pub(crate) const fn be16<const LEN: usize>(bytes: &[u8; LEN], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The four bytes at `at` of a header, in network order.
#[inline]
pub(crate) const fn be32<const LEN: usize>(bytes: &[u8; LEN], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes `value` in network order at `at`.
#[inline]
pub(crate) fn put16<const LEN: usize>(bytes: &mut [u8; LEN], at: usize, value: u16) {
    [bytes[at], bytes[at + 1]] = value.to_be_bytes();
}

/// Writes `value` in network order at `at`.
#[inline]
pub(crate) fn put32<const LEN: usize>(bytes: &mut [u8; LEN], at: usize, value: u32) {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] = value.to_be_bytes();
}
