// SPDX-License-Identifier: GPL-2.0

//! One direction of a link, with faults.

use super::Rng;
use datapath::units::Micros;
use datapath::wire::{ethernet, Sum};
use std::collections::BTreeMap;

/// How likely each fault is, in per mille of packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub lose: u32,
    pub duplicate: u32,
    pub delay: u32,
    pub corrupt: u32,
    pub mark: u32,
    /// Cut into two overlapping segments, as a retransmission with other boundaries would be.
    pub resegment: u32,
}

pub struct Link {
    faults: Faults,
    in_flight: BTreeMap<(Micros, u64), Vec<u8>>,
    count: u64,
}

const LATENCY: u64 = 100;

impl Link {
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            in_flight: BTreeMap::new(),
            count: 0,
        }
    }

    pub fn next(&self) -> Option<Micros> {
        self.in_flight.keys().next().map(|key| key.0)
    }

    pub fn arrive(&mut self, now: Micros) -> Option<Vec<u8>> {
        let first = self.in_flight.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub fn send(&mut self, mut packet: Vec<u8>, now: Micros, rng: &mut Rng) {
        let faults = self.faults;
        if rng.per_mille(faults.lose) {
            return;
        }
        if rng.per_mille(faults.mark) {
            mark(&mut packet);
        }
        if rng.per_mille(faults.corrupt) {
            let at = rng.below(packet.len() as u32) as usize;
            let at = at.max(ethernet_len(&packet));
            packet[at] ^= 1 << rng.below(8);
            self.put(packet, now, LATENCY);
            return;
        }
        if rng.per_mille(faults.duplicate) {
            self.put(packet.clone(), now, LATENCY + u64::from(rng.below(300)));
        }
        let late = if rng.per_mille(faults.delay) {
            u64::from(rng.below(500))
        } else {
            0
        };
        if rng.per_mille(faults.resegment) {
            if let Some([first, second]) = resegment(&packet, rng) {
                self.put(first, now, LATENCY + late);
                self.put(second, now, LATENCY);
                return;
            }
        }
        self.put(packet, now, LATENCY + late);
    }

    fn put(&mut self, packet: Vec<u8>, now: Micros, delay: u64) {
        self.count += 1;
        self.in_flight
            .insert((Micros(now.0 + delay), self.count), packet);
    }
}

fn ethernet_len(packet: &[u8]) -> usize {
    ethernet::Frame::parse(packet).unwrap().payload_offset
}

/// Sets the CE codepoint of ECN-capable packets.
fn mark(packet: &mut [u8]) {
    let ip = ethernet_len(packet);
    if packet[ip] >> 4 == 6 {
        if packet[ip + 1] & 0x30 != 0 {
            packet[ip + 1] |= 0x30;
        }
    } else if packet[ip + 1] & 3 != 0 {
        packet[ip + 1] |= 3;
        finish(packet);
    }
}

/// Where IP and TCP header and the payload begin.
pub fn offsets(packet: &[u8]) -> (usize, usize, usize) {
    let ip = ethernet_len(packet);
    let tcp = ip + if packet[ip] >> 4 == 6 { 40 } else { 20 };
    (ip, tcp, tcp + usize::from(packet[tcp + 12] >> 4) * 4)
}

/// Makes lengths and checksums right again.
pub fn finish(packet: &mut [u8]) {
    let (ip, tcp, _) = offsets(packet);
    let len = packet.len();
    let addresses = if packet[ip] >> 4 == 6 {
        packet[ip + 4..ip + 6].copy_from_slice(&((len - tcp) as u16).to_be_bytes());
        ip + 8..ip + 40
    } else {
        packet[ip + 2..ip + 4].copy_from_slice(&((len - ip) as u16).to_be_bytes());
        packet[ip + 10..ip + 12].fill(0);
        let sum = Sum::of(&packet[ip..tcp]).checksum();
        packet[ip + 10..ip + 12].copy_from_slice(&sum);
        ip + 12..ip + 20
    };
    packet[tcp + 16..tcp + 18].fill(0);
    let sum = Sum::of(&packet[addresses])
        .add_u16(6)
        .add_u16((len - tcp) as u16);
    let sum = sum.add_bytes(&packet[tcp..]).checksum();
    packet[tcp + 16..tcp + 18].copy_from_slice(&sum);
}

/// The part of a packet with the payload bytes `range`, FIN only if it includes the last.
pub fn cut(packet: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let (_, tcp, payload) = offsets(packet);
    let mut out = packet[..payload].to_vec();
    out.extend_from_slice(&packet[payload..][range.clone()]);
    let seq = u32::from_be_bytes(packet[tcp + 4..tcp + 8].try_into().unwrap());
    out[tcp + 4..tcp + 8].copy_from_slice(&seq.wrapping_add(range.start as u32).to_be_bytes());
    if range.end < packet.len() - payload {
        out[tcp + 13] &= !(1 | 8);
    }
    if range.start > 0 {
        out[tcp + 13] &= !0x80;
    }
    finish(&mut out);
    out
}

fn resegment(packet: &[u8], rng: &mut Rng) -> Option<[Vec<u8>; 2]> {
    let (_, _, payload) = offsets(packet);
    let len = packet.len() - payload;
    if len < 2 {
        return None;
    }
    let end = 1 + rng.below(len as u32 - 1) as usize;
    let start = rng.below(end as u32 + 1) as usize;
    Some([cut(packet, 0..end), cut(packet, start..len)])
}
