// SPDX-License-Identifier: GPL-2.0

//! Connections over IPv4 and Ethernet, and the frames of their peers.

use datapath::npu::config::{
    ConnectionConfig, EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig,
};
use datapath::units::{Bytes, SeqNum, StreamPos, WindowScale};
use datapath::wire::{ethernet, Addresses, FourTuple, Sum};

/// Where the parts of a frame without TCP options are.
pub const IP: usize = 14;
pub const TCP: usize = IP + 20;
pub const PAYLOAD: usize = TCP + 20;

pub const FIN: u8 = 1;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub const MSS: u16 = 1448;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Connection `n`: both streams begin at sequence number `isn`, in empty rings.
pub fn config(n: u32, isn: u32, ring: u32) -> ConnectionConfig {
    let seq = SeqNum::new(isn);
    let empty = Ring {
        base: u64::from(n),
        size: ring,
        head: StreamPos(0),
        tail: StreamPos(0),
    };
    ConnectionConfig {
        tuple: FourTuple {
            addresses: Addresses::V4 {
                local: [10, 0, 0, 1],
                remote: [10, 0, 0, 2],
            },
            local_port: 7,
            remote_port: 10_000 + n as u16,
        },
        path: Path {
            link: ethernet::Link::Ethernet {
                destination: THEIRS,
                source: OURS,
                vlan: None,
            },
            ttl: 64,
            tos: 0,
            mss: MSS,
            tx_max: u32::from(MSS),
            checksum_offload: false,
        },
        timestamps: None,
        ecn: EcnConfig::Off,
        sack: true,
        nodelay: true,
        cork: false,
        quick_acks: 0,
        cwnd: Bytes(1 << 20),
        send: SendConfig {
            una: seq,
            nxt: seq,
            max: seq,
            wnd: Bytes(0xffff),
            max_wnd: Bytes(0xffff),
            wl1: seq,
            scale: WindowScale::NONE,
            fin: Fin::Open,
        },
        receive: ReceiveConfig {
            nxt: seq,
            wnd: Bytes(ring.min(0xffff)),
            scale: WindowScale::NONE,
            mss: MSS,
            fin: false,
        },
        tx: empty,
        rx: empty,
        rtt: RttConfig::default(),
        cookie: u64::from(n),
        context: 0,
        flow_group: 0,
    }
}

/// A frame of connection `n`'s peer.
pub fn frame(n: u32, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; PAYLOAD];
    out[..6].copy_from_slice(&OURS);
    out[6..12].copy_from_slice(&THEIRS);
    out[12..14].copy_from_slice(&ethernet::TYPE_IPV4.to_be_bytes());
    out[IP] = 0x45;
    out[IP + 2..IP + 4].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
    out[IP + 8] = 64;
    out[IP + 9] = 6;
    out[IP + 12..IP + 20].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
    let sum = Sum::of(&out[IP..TCP]).checksum();
    out[IP + 10..IP + 12].copy_from_slice(&sum);
    out[TCP..TCP + 2].copy_from_slice(&(10_000 + n as u16).to_be_bytes());
    out[TCP + 2..TCP + 4].copy_from_slice(&7u16.to_be_bytes());
    out[TCP + 4..TCP + 8].copy_from_slice(&seq.to_be_bytes());
    out[TCP + 8..TCP + 12].copy_from_slice(&ack.to_be_bytes());
    out[TCP + 12] = 5 << 4;
    out[TCP + 13] = flags;
    out[TCP + 14..TCP + 16].copy_from_slice(&[0xff; 2]);
    out.extend_from_slice(payload);
    let sum = tcp_sum(&out).checksum();
    out[TCP + 16..TCP + 18].copy_from_slice(&sum);
    out
}

/// The sum of pseudo-header, TCP header and payload.
pub fn tcp_sum(frame: &[u8]) -> Sum {
    let sum = Sum::of(&frame[IP + 12..TCP]).add_u16(6);
    sum.add_u16((frame.len() - TCP) as u16)
        .add_bytes(&frame[TCP..])
}

/// The acknowledgment number of a frame.
pub fn ack(frame: &[u8]) -> u32 {
    let field = frame[TCP + 8..TCP + 12].try_into().expect("four bytes");
    u32::from_be_bytes(field)
}

/// Sequence number and payload of a frame that was sent.
pub fn parse(frame: &[u8]) -> (u32, &[u8]) {
    let seq = frame[TCP + 4..TCP + 8].try_into().expect("four bytes");
    let header = usize::from(frame[TCP + 12] >> 4) * 4;
    (u32::from_be_bytes(seq), &frame[TCP + header..])
}

/// The byte at this position of what connection `n`'s peer sends; of what it is sent, with `!n`.
pub fn byte(n: u32, at: u32) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 13) as u8 ^ n as u8
}

pub fn stream(n: u32, from: u32, len: u32) -> Vec<u8> {
    (from..from + len).map(|at| byte(n, at)).collect()
}
