// SPDX-License-Identifier: GPL-2.0

//! A link with properties: what is sent leaves at a rate, waits in a queue, arrives later, out of order or not at all.

use super::EtherPort;
use datapath::wire::{ethernet, Ecn, Sum};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// Properties of a link, in the direction frames are sent.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Bits per second; 0: unlimited.
    pub rate: u64,
    /// Time from the end of sending to arrival.
    pub delay: Duration,
    /// Bytes that may wait to be sent; 0: unlimited.
    pub queue: usize,
    /// Bytes waiting beyond which ECN-capable packets are marked; 0: never.
    pub ecn: usize,
    /// Frames lost, of a million.
    pub loss: u32,
    /// Frames that overtake those before them, of a million.
    pub reorder: u32,
    /// Where the dice begin.
    pub seed: u64,
}

impl Shape {
    /// Whether it does anything.
    pub fn is_plain(&self) -> bool {
        self.rate == 0
            && self.delay.is_zero()
            && self.queue == 0
            && self.ecn == 0
            && self.loss == 0
            && self.reorder == 0
    }
}

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
    dice: u64,
}

impl<P: EtherPort> Shaper<P> {
    /// Gives the link of `port` a shape.
    pub fn new(port: P, shape: Shape) -> Self {
        Self {
            dice: shape.seed,
            port,
            shape,
            free: Instant::now(),
            under_way: BinaryHeap::new(),
            sent: 0,
        }
    }

    /// Whether something happens that happens `millionths` of a million times.
    fn happens(&mut self, millionths: u32) -> bool {
        // Vigna's splitmix64: the same from run to run.
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1_000_000 < u64::from(millionths)
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
        let delay = if self.happens(self.shape.reorder) {
            Duration::ZERO
        } else {
            self.shape.delay
        };
        self.sent += 1;
        self.under_way
            .push(Reverse((self.free + delay, self.sent, frame)));
        Ok(())
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
        ethernet::TYPE_IPV4 if ip.len() >= 20 => {
            if Ecn::from_bits(ip[1]) != Ecn::NotEct {
                ip[1] |= 3;
                let len = (usize::from(ip[0] & 15) * 4).clamp(20, ip.len());
                ip[10..12].fill(0);
                let checksum = Sum::of(&ip[..len]).checksum();
                ip[10..12].copy_from_slice(&checksum);
            }
        }
        ethernet::TYPE_IPV6 if ip.len() >= 40 => {
            if Ecn::from_bits(ip[1] >> 4) != Ecn::NotEct {
                ip[1] |= 0x30;
            }
        }
        _ => {}
    }
}

impl<P: EtherPort> EtherPort for Shaper<P> {
    fn receive(&mut self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        self.port.receive(frame)
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.send_at(frame, Instant::now())
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
