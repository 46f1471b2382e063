// SPDX-License-Identifier: GPL-2.0

//! Frames on their way to the port, and what is done to them on the way: checksums, segmentation.

use std::convert::Infallible;

use datapath::wire::{ethernet, tcp::Flags, Sum, PROTOCOL_TCP};

/// Frames in one piece of memory, in order.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a frame.
    pub fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
    }

    /// Adds a frame of `len` bytes that `fill` writes; it isn't added if that fails.
    pub fn build<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        let filled = fill(&mut self.bytes[start..]);
        match filled {
            Ok(()) => self.ends.push(self.bytes.len()),
            Err(_) => self.bytes.truncate(start),
        }
        filled
    }

    /// Forgets all frames but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// How many frames there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// All frames.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, &end)| self.bytes.get(start..end))
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.truncate(0);
    }
}

/// Where the headers of a TCP frame are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpHeaders {
    /// The IP header.
    pub network: usize,
    /// The TCP header.
    pub transport: usize,
    /// The payload.
    pub payload: usize,
    /// Whether it is IPv6.
    pub ipv6: bool,
}

impl TcpHeaders {
    /// Finds the headers of `frame`; `None` if it is no TCP frame with all its headers, or has IPv6 extension headers.
    pub fn find(frame: &[u8]) -> Option<Self> {
        let link = ethernet::Frame::parse(frame)?;
        let network = link.payload_offset;
        let ip = frame.get(network..)?;
        let (ipv6, ip_len, protocol) = match link.ethertype {
            ethernet::TYPE_IPV4 => (false, usize::from(ip.first()? & 15) * 4, *ip.get(9)?),
            ethernet::TYPE_IPV6 => (true, 40, *ip.get(6)?),
            _ => return None,
        };
        if protocol != PROTOCOL_TCP || ip_len < 20 {
            return None;
        }
        let transport = network + ip_len;
        let payload = transport + usize::from(frame.get(transport + 12)? >> 4) * 4;
        if payload < transport + 20 || payload > frame.len() {
            return None;
        }
        Some(Self {
            network,
            transport,
            payload,
            ipv6,
        })
    }

    /// Fills in the checksums of a frame, and its lengths.
    pub fn finish(&self, frame: &mut [u8]) {
        let tcp_len = frame.len() - self.transport;
        let ip_len = frame.len() - self.network;
        let Some(ip) = frame.get_mut(self.network..self.transport) else {
            return;
        };
        let addresses = if self.ipv6 {
            ip[4..6].copy_from_slice(&((ip_len - 40) as u16).to_be_bytes());
            8..40
        } else {
            ip[2..4].copy_from_slice(&(ip_len as u16).to_be_bytes());
            ip[10..12].fill(0);
            let checksum = Sum::of(ip).checksum();
            ip[10..12].copy_from_slice(&checksum);
            12..20
        };
        let pseudo = Sum::of(ip.get(addresses).unwrap_or(&[]))
            .add_u16(u16::from(PROTOCOL_TCP))
            .add_u32(tcp_len as u32);
        if let Some(tcp) = frame.get_mut(self.transport..) {
            tcp[16..18].fill(0);
            let checksum = pseudo.add_bytes(tcp).checksum();
            tcp[16..18].copy_from_slice(&checksum);
        }
    }

    /// Cuts a frame's payload into pieces of `mss` bytes, each with headers of its own, and adds them to `batch`.
    pub fn cut(&self, frame: &[u8], mss: usize, batch: &mut Batch) {
        let (headers, payload) = frame.split_at(self.payload);
        let pieces = payload.len().div_ceil(mss.max(1)).max(1);
        for piece in 0..pieces {
            let from = piece * mss;
            let part = &payload[from..(from + mss).min(payload.len())];
            let built = batch.build(headers.len() + part.len(), |frame| {
                let (head, body) = frame.split_at_mut(headers.len());
                head.copy_from_slice(headers);
                body.copy_from_slice(part);
                if pieces > 1 {
                    self.number(frame, piece, from, piece + 1 == pieces);
                }
                self.finish(frame);
                Ok::<(), Infallible>(())
            });
            match built {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
    }

    /// Makes a copy of the headers those of the piece that begins at `from`.
    pub fn number(&self, frame: &mut [u8], piece: usize, from: usize, last: bool) {
        if !self.ipv6 {
            let id = self.network + 4..self.network + 6;
            let number = u16::from_be_bytes([frame[id.start], frame[id.start + 1]]);
            frame[id].copy_from_slice(&number.wrapping_add(piece as u16).to_be_bytes());
        }
        let seq = self.transport + 4..self.transport + 8;
        let mut number = [0; 4];
        number.copy_from_slice(&frame[seq.clone()]);
        let number = u32::from_be_bytes(number).wrapping_add(from as u32);
        frame[seq].copy_from_slice(&number.to_be_bytes());
        let flags = &mut frame[self.transport + 13];
        if !last {
            *flags &= !(Flags::FIN | Flags::PSH).0;
        }
        if piece > 0 {
            *flags &= !Flags::CWR.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([
            0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        frame.extend([
            0, 80, 0, 90, 0, 0, 0, 100, 0, 0, 0, 0, 0x50, 0x99, 1, 0, 0, 0, 0, 0,
        ]);
        frame.extend(payload);
        frame
    }

    fn valid(frame: &[u8]) -> bool {
        let tcp = &frame[34..];
        let pseudo = Sum::of(&frame[26..34]).add_u16(6).add_u32(tcp.len() as u32);
        Sum::of(&frame[14..34]).is_valid() && pseudo.add_bytes(tcp).is_valid()
    }

    #[test]
    fn cut__pieces_are_segments_of_one_stream() {
        let payload: Vec<u8> = (0..250).map(|n| n as u8).collect();
        let frame = frame(&payload);
        let headers = TcpHeaders::find(&frame).unwrap();
        let mut batch = Batch::default();
        headers.cut(&frame, 100, &mut batch);
        let pieces: Vec<_> = batch.iter().collect();
        assert_eq!(pieces.len(), 3);
        for (n, piece) in pieces.iter().enumerate() {
            assert!(valid(piece));
            assert_eq!(&piece[54..], &payload[n * 100..(n * 100 + 100).min(250)]);
            assert_eq!(piece[41], [100, 200, 44][n]);
            assert_eq!(piece[19], 7 + n as u8);
        }
        // CWR with the first, FIN and PSH with the last, ACK with all.
        let flags: Vec<_> = pieces.iter().map(|piece| piece[47]).collect();
        assert_eq!(flags, [0x90, 0x10, 0x19]);
    }

    #[test]
    fn cut__one_piece_keeps_its_flags() {
        let frame = frame(b"abc");
        let mut batch = Batch::default();
        TcpHeaders::find(&frame)
            .unwrap()
            .cut(&frame, 100, &mut batch);
        let piece = batch.iter().next().unwrap();
        assert!(valid(piece));
        assert_eq!(piece[47], 0x99);
        assert_eq!(batch.count(), 1);
    }

    #[test]
    fn find__not_what_is_cut_short() {
        let frame = frame(b"");
        for len in 0..frame.len() {
            assert_eq!(TcpHeaders::find(&frame[..len]), None, "{len}");
        }
    }
}
