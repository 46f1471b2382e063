// SPDX-License-Identifier: GPL-2.0

//! A link with properties: what is sent leaves at a rate, waits in a queue, arrives later, out of order or not at all.

use super::{shape::Shape, EtherPort};
use crate::random::Random;
use datapath::wire::{ethernet, Ecn, Sum};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// A frame under way: when it arrives, and its number among those that arrive then.
type UnderWay = Reverse<(Instant, u64, Vec<u8>)>;

/// A port whose link has a shape.
pub struct Shaper<P> {
    port: P,
    shape: Shape,
    /// When the last frame sent so far has left.
    free: Instant,
    under_way: BinaryHeap<UnderWay>,
    sent: u64,
    dice: Random,
}

impl<P: EtherPort> Shaper<P> {
    /// Gives the link of `port` a shape.
    pub fn new(port: P, shape: Shape) -> Self {
        Self {
            dice: Random::new(shape.seed),
            port,
            shape,
            free: Instant::now(),
            under_way: BinaryHeap::new(),
            sent: 0,
        }
    }

    /// Whether something happens that happens `millionths` of a million times.
    fn happens(&mut self, millionths: u32) -> bool {
        self.dice.below(1_000_000) < millionths
    }

    /// Bytes that wait to be sent at `now`.
    fn waiting(&self, now: Instant) -> usize {
        let time = self.free.saturating_duration_since(now);
        (time.as_nanos() * u128::from(self.shape.rate) / 8_000_000_000) as usize
    }

    fn send_at(&mut self, frame: &[u8], now: Instant) -> io::Result<()> {
        let waiting = self.waiting(now);
        if self.shape.queue != 0 && waiting + frame.len() > self.shape.queue {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut frame = frame.to_vec();
        if self.shape.ecn != 0 && waiting > self.shape.ecn {
            mark(&mut frame);
        }
        let bits = frame.len() as u128 * 8;
        let time = bits * 1_000_000_000 / u128::from(self.shape.rate.max(1));
        self.free = self.free.max(now);
        if self.shape.rate != 0 {
            self.free += Duration::from_nanos(time as u64);
        }
        if self.happens(self.shape.loss) {
            return Ok(());
        }
        if self.happens(self.shape.duplicate) {
            self.put_under_way(frame.clone());
        }
        self.put_under_way(frame);
        Ok(())
    }

    fn put_under_way(&mut self, mut frame: Vec<u8>) {
        if self.happens(self.shape.corrupt) {
            self.corrupt(&mut frame);
        }
        let delay = if self.happens(self.shape.reorder) {
            Duration::ZERO
        } else {
            self.shape.delay
        };
        self.sent += 1;
        self.under_way
            .push(Reverse((self.free + delay, self.sent, frame)));
    }

    /// Flips a bit of what follows the Ethernet header.
    fn corrupt(&mut self, frame: &mut [u8]) {
        let Some(packet) = frame.get_mut(ethernet::HEADER_LEN..) else {
            return;
        };
        let bit = self.dice.below(packet.len() as u32 * 8) as usize;
        if let Some(byte) = packet.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// Marks an ECN-capable IP packet that experienced congestion (RFC 3168).
fn mark(frame: &mut [u8]) {
    let Some(link) = ethernet::Frame::parse(frame) else {
        return;
    };
    let Some(ip) = frame.get_mut(link.payload_offset..) else {
        return;
    };
    match link.ethertype {
        ethernet::TYPE_IPV4 if ip.len() >= 20 && Ecn::from_bits(ip[1]) != Ecn::NotEct => {
            ip[1] |= 3;
            let len = (usize::from(ip[0] & 15) * 4).clamp(20, ip.len());
            ip[10..12].fill(0);
            let checksum = Sum::of(&ip[..len]).checksum();
            ip[10..12].copy_from_slice(&checksum);
        }
        ethernet::TYPE_IPV6 if ip.len() >= 40 && Ecn::from_bits(ip[1] >> 4) != Ecn::NotEct => {
            ip[1] |= 0x30;
        }
        _ => {}
    }
}

impl<P: EtherPort> EtherPort for Shaper<P> {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        self.port.receive(frame)
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.shape.is_plain() {
            self.port.send(frame)
        } else {
            self.send_at(frame, Instant::now())
        }
    }

    fn set_shape(&mut self, shape: &Shape) {
        self.dice = Random::new(shape.seed);
        self.shape = shape.clone();
        self.free = Instant::now();
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.port.readable()
    }

    fn is_up(&mut self) -> bool {
        self.port.is_up()
    }

    fn tick(&mut self, now: Instant) -> Option<Instant> {
        while let Some(Reverse((due, ..))) = self.under_way.peek() {
            if *due > now {
                return Some(*due);
            }
            if let Some(Reverse((_, _, frame))) = self.under_way.pop() {
                // What the other side has no room for is lost, as on any link.
                let _ = self.port.send(&frame);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryPort;
    use super::*;

    fn shaped(shape: Shape) -> (Shaper<MemoryPort>, MemoryPort, Instant) {
        let port = MemoryPort::default();
        let shaper = Shaper::new(port.clone(), shape);
        let now = shaper.free + Duration::from_secs(1);
        (shaper, port, now)
    }

    #[test]
    fn send__at_the_rate_and_after_the_delay() {
        let (mut shaper, port, now) = shaped(Shape {
            rate: 8_000_000,
            delay: Duration::from_millis(10),
            queue: 2500,
            ..Shape::default()
        });
        let sent = |port: &MemoryPort| port.frames().sent.len();
        // A millisecond each, and no room for a third.
        assert!(shaper.send_at(&[0; 1000], now).is_ok());
        assert!(shaper.send_at(&[0; 1000], now).is_ok());
        assert!(shaper.send_at(&[0; 1000], now).is_err());
        let after = |ms| now + Duration::from_millis(ms);
        assert_eq!(shaper.tick(after(10)), Some(after(11)));
        assert_eq!(sent(&port), 0);
        assert_eq!(shaper.tick(after(11)), Some(after(12)));
        assert_eq!(sent(&port), 1);
        assert_eq!(shaper.tick(after(12)), None);
        assert_eq!(sent(&port), 2);
    }

    #[test]
    fn send__loses_and_reorders_as_often_as_told() {
        let (mut shaper, port, now) = shaped(Shape {
            delay: Duration::from_millis(1),
            loss: 100_000,
            reorder: 50_000,
            ..Shape::default()
        });
        for n in 0..10_000u32 {
            shaper.send_at(&n.to_le_bytes(), now).unwrap();
        }
        shaper.tick(now + Duration::from_secs(1));
        let sent = std::mem::take(&mut port.frames().sent);
        assert!((8_800..9_200).contains(&sent.len()), "{}", sent.len());
        let early = sent.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(early > 0);
    }

    #[test]
    fn send__duplicates_and_corrupts_as_often_as_told() {
        let (mut shaper, port, now) = shaped(Shape {
            duplicate: 100_000,
            corrupt: 50_000,
            ..Shape::default()
        });
        for _ in 0..10_000 {
            shaper.send_at(&[0; 60], now).unwrap();
        }
        shaper.tick(now);
        let sent = std::mem::take(&mut port.frames().sent);
        assert!((10_800..11_200).contains(&sent.len()), "{}", sent.len());
        let flipped = |frame: &Vec<u8>| frame.iter().map(|byte| byte.count_ones()).sum::<u32>();
        assert!(sent
            .iter()
            .all(|frame| frame[..14] == [0; 14] && flipped(frame) <= 1));
        let corrupted = sent.iter().filter(|frame| flipped(frame) == 1).count();
        assert!((450..650).contains(&corrupted), "{corrupted}");
    }

    #[test]
    fn set_shape__what_is_under_way_still_arrives() {
        let (mut shaper, port, now) = shaped(Shape {
            delay: Duration::from_millis(1),
            ..Shape::default()
        });
        shaper.send_at(&[1; 60], now).unwrap();
        shaper.set_shape(&Shape::default());
        shaper.send(&[2; 60]).unwrap();
        assert_eq!(port.frames().sent, [vec![2; 60]]);
        assert_eq!(shaper.tick(now + Duration::from_millis(1)), None);
        assert_eq!(port.frames().sent.len(), 2);
    }

    #[test]
    fn mark__only_what_is_capable() {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 2, 0, 20]);
        frame.resize(34, 0);
        let mut incapable = frame.clone();
        incapable[15] = 0;
        mark(&mut frame);
        mark(&mut incapable);
        assert_eq!((frame[15], incapable[15]), (3, 0));
        assert!(Sum::of(&frame[14..]).is_valid());
    }
}
