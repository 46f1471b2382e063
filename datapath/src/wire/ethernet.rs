// SPDX-License-Identifier: GPL-2.0

//! Ethernet II headers and IEEE 802.1Q tags.

use super::be16;

/// EtherType of IPv4.
pub const TYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const TYPE_IPV6: u16 = 0x86dd;
/// EtherType of an 802.1Q tag.
pub const TYPE_VLAN: u16 = 0x8100;

/// Length of a header without tag.
pub const HEADER_LEN: usize = 14;
/// Length of an 802.1Q tag.
pub const VLAN_LEN: usize = 4;

/// An Ethernet address.
pub type MacAddr = [u8; 6];

/// The link-layer header of a connection's segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// No link-layer header: the device carries IP packets (tun).
    None,
    /// An Ethernet header.
    Ethernet {
        /// Where segments go: the next hop.
        destination: MacAddr,
        /// Where they come from: our device.
        source: MacAddr,
        /// The tag control information (priority and VLAN), if they are tagged.
        vlan: Option<u16>,
    },
}

impl Link {
    /// Length of the header in bytes.
    pub const fn header_len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Ethernet { vlan: None, .. } => HEADER_LEN,
            Self::Ethernet { vlan: Some(_), .. } => HEADER_LEN + VLAN_LEN,
        }
    }

    /// The header, right-aligned in the bytes returned.
    pub(crate) fn emit(&self, ethertype: u16) -> [u8; HEADER_LEN + VLAN_LEN] {
        let mut out = [0; HEADER_LEN + VLAN_LEN];
        let Self::Ethernet {
            destination,
            source,
            vlan,
        } = self
        else {
            return out;
        };
        let start = out.len() - self.header_len();
        out[start..start + 6].copy_from_slice(destination);
        out[start + 6..start + 12].copy_from_slice(source);
        if let Some(tci) = vlan {
            out[12..14].copy_from_slice(&TYPE_VLAN.to_be_bytes());
            out[14..16].copy_from_slice(&tci.to_be_bytes());
        }
        out[16..18].copy_from_slice(&ethertype.to_be_bytes());
        out
    }
}

/// What a received frame's link-layer header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Destination address.
    pub destination: MacAddr,
    /// Source address.
    pub source: MacAddr,
    /// Tag control information of the 802.1Q tag, if there is one.
    pub vlan: Option<u16>,
    /// EtherType of what follows.
    pub ethertype: u16,
    /// Where it begins.
    pub payload_offset: usize,
}

impl Frame {
    /// Reads the header of `frame`; `None` if it is cut short.
    #[inline]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let header = frame.first_chunk::<HEADER_LEN>()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, _, _] = *header;
        let mut out = Self {
            destination: [d0, d1, d2, d3, d4, d5],
            source: [s0, s1, s2, s3, s4, s5],
            vlan: None,
            ethertype: be16(header, 12),
            payload_offset: HEADER_LEN,
        };
        if out.ethertype == TYPE_VLAN {
            let tag = frame.get(HEADER_LEN..)?.first_chunk::<VLAN_LEN>()?;
            out.vlan = Some(be16(tag, 0));
            out.ethertype = be16(tag, 2);
            out.payload_offset += VLAN_LEN;
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link::Ethernet {
        destination: [1, 2, 3, 4, 5, 6],
        source: [7, 8, 9, 10, 11, 12],
        vlan: None,
    };

    #[test]
    fn emit__round_trip() {
        let frame = LINK.emit(TYPE_IPV4);
        let parsed = Frame::parse(&frame[18 - LINK.header_len()..]).unwrap();
        assert_eq!(parsed.destination, [1, 2, 3, 4, 5, 6]);
        assert_eq!(parsed.source, [7, 8, 9, 10, 11, 12]);
        assert_eq!(
            (parsed.ethertype, parsed.vlan, parsed.payload_offset),
            (TYPE_IPV4, None, 14)
        );
    }

    #[test]
    fn emit__vlan_round_trip() {
        let Link::Ethernet {
            destination,
            source,
            ..
        } = LINK
        else {
            unreachable!()
        };
        let link = Link::Ethernet {
            destination,
            source,
            vlan: Some(0x6123),
        };
        let frame = link.emit(TYPE_IPV6);
        let parsed = Frame::parse(&frame).unwrap();
        assert_eq!(parsed.source, source);
        assert_eq!(
            (parsed.ethertype, parsed.vlan, parsed.payload_offset),
            (TYPE_IPV6, Some(0x6123), 18)
        );
    }

    #[test]
    fn parse__cut_short() {
        let frame = [0x81, 0x00].repeat(9);
        for len in 0..18 {
            let cut = Frame::parse(&frame[..len]);
            assert!(cut.is_none(), "{len}");
        }
    }
}
