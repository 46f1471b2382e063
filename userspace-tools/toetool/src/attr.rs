// SPDX-License-Identifier: GPL-2.0
//! Netlink attributes to and from Rust values.

use crate::error::{Error, Result};
use netlink_packet_core::{DefaultNla, Emitable, NlasIterator};
use std::net::IpAddr;

/// One attribute of an answer: its type and its payload.
#[derive(Debug, Clone, Copy)]
pub struct Attr<'a> {
    /// The type, flags taken off.
    pub kind: u16,
    payload: &'a [u8],
}

/// The attributes that fill `bytes`.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = Result<Attr<'_>>> {
    NlasIterator::new(bytes).map(|item| {
        let nla = item.map_err(|e| Error::BadAnswer(e.to_string()))?;
        let nla_bytes = nla.into_inner();
        let length = usize::from(u16::from_ne_bytes([nla_bytes[0], nla_bytes[1]]));
        let kind = nla.kind();
        Ok(Attr { kind, payload: &nla_bytes[HEADER..length] })
    })
}

/// Bytes of an attribute before its payload.
const HEADER: usize = 4;

impl<'a> Attr<'a> {
    /// The attributes nested in this one.
    pub fn nested(self) -> impl Iterator<Item = Result<Attr<'a>>> {
        parse(self.payload)
    }

    /// A `u16` in network order.
    pub fn be16(self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.exactly()?))
    }

    /// A `u32` in host order.
    pub fn u32(self) -> Result<u32> {
        Ok(u32::from_ne_bytes(self.exactly()?))
    }

    /// The spec's `uint`: 4 or 8 bytes, whichever the value needs.
    pub fn uint(self) -> Result<u64> {
        match self.payload.len() {
            4 => self.u32().map(u64::from),
            _ => Ok(u64::from_ne_bytes(self.exactly()?)),
        }
    }

    /// A string, with or without its terminating zero.
    pub fn string(self) -> Result<String> {
        let bytes = self.payload.strip_suffix(&[0]).unwrap_or(self.payload);
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_string()),
            _ => Err(self.bad("is no string")),
        }
    }

    /// An IPv4 or IPv6 address, told apart by its length.
    pub fn address(self) -> Result<IpAddr> {
        match self.payload.len() {
            4 => Ok(IpAddr::from(self.exactly::<4>()?)),
            _ => Ok(IpAddr::from(self.exactly::<16>()?)),
        }
    }

    fn exactly<const N: usize>(self) -> Result<[u8; N]> {
        self.payload.try_into().map_err(|_| self.bad("has the wrong length"))
    }

    fn bad(self, what: &str) -> Error {
        Error::BadAnswer(format!("attribute {} ({} bytes) {what}", self.kind, self.payload.len()))
    }
}

/// Attributes of a request, in the making.
#[derive(Debug, Default)]
pub struct Builder(Vec<u8>);

impl Builder {
    /// Adds a `u32` in host order.
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, value.to_ne_bytes().to_vec())
    }

    /// Adds a zero-terminated string.
    #[cfg(test)]
    pub fn string(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, [value.as_bytes(), &[0]].concat())
    }

    /// Adds the bytes of a payload.
    pub fn bytes(mut self, kind: u16, payload: Vec<u8>) -> Self {
        let nla = DefaultNla::new(kind, payload);
        let start = self.0.len();
        self.0.resize(start + nla.buffer_len(), 0);
        nla.emit(&mut self.0[start..]);
        self
    }

    /// What was built.
    pub fn build(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(bytes: &[u8]) -> Attr<'_> {
        let attrs: Vec<_> = parse(bytes).collect::<Result<_>>().unwrap();
        assert_eq!(attrs.len(), 1);
        attrs[0]
    }

    #[test]
    fn uint__is_four_or_eight_bytes() {
        assert_eq!(only(&Builder::default().u32(7, 5).build()).uint().unwrap(), 5);
        let wide = Builder::default().bytes(7, (1u64 << 40).to_ne_bytes().to_vec()).build();
        assert_eq!(only(&wide).uint().unwrap(), 1 << 40);
        assert!(only(&Builder::default().bytes(7, vec![0; 6]).build()).uint().is_err());
    }

    #[test]
    fn string__stops_before_the_terminator_and_refuses_one_inside() {
        assert_eq!(only(&Builder::default().string(1, "eth0").build()).string().unwrap(), "eth0");
        assert!(only(&Builder::default().string(1, "a\0b").build()).string().is_err());
        assert!(only(&Builder::default().bytes(1, vec![0xff, 0]).build()).string().is_err());
    }

    #[test]
    fn parse__refuses_a_length_beyond_the_end() {
        let mut bytes = Builder::default().u32(1, 1).build();
        bytes[0] = 40;
        assert!(parse(&bytes).any(|a| a.is_err()));
        assert!(parse(&[4]).any(|a| a.is_err()));
        assert!(parse(&[2, 0, 1, 0]).any(|a| a.is_err()));
    }

    #[test]
    fn parse__ignores_the_nested_flag() {
        let bytes = Builder::default().bytes(2 | 0x8000, Builder::default().u32(3, 9).build()).build();
        let outer = only(&bytes);
        assert_eq!(outer.kind, 2);
        let inner: Vec<_> = outer.nested().collect::<Result<_>>().unwrap();
        assert_eq!((inner[0].kind, inner[0].u32().unwrap()), (3, 9));
    }
}
