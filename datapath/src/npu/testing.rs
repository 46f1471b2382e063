// SPDX-License-Identifier: GPL-2.0

//! What the stages' tests have in common: a connection, and segments for it.

use super::config::{
    ConnectionConfig, EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig,
    TimestampConfig,
};
use super::meta::{Command, HostControl, Params, Summary, TxMeta};
use super::proto::{self, HcOut, RxOut};
use super::state::Connection;
use crate::units::{Bytes, Micros, SeqNum, StreamPos, TsVal, WindowScale};
use crate::wire::ethernet::Link;
use crate::wire::options::{SackBlock, Timestamps};
use crate::wire::tcp::Flags;
use crate::wire::{Addresses, FourTuple};
use std::vec::Vec;

/// Our first sequence number, and the peer's: what tests count from. Both streams wrap soon.
pub(crate) const OURS: SeqNum = SeqNum::new(u32::MAX - 500);
pub(crate) const THEIRS: SeqNum = SeqNum::new(u32::MAX - 2000);
pub(crate) const MSS: u32 = 1000;
pub(crate) const RING: u32 = 16 << 10;

/// A fresh connection: nothing sent, nothing received, windows of a ring's size, no options but what a test adds.
pub(crate) fn config() -> ConnectionConfig {
    let ring = |pos: u32| Ring {
        base: 7,
        size: RING,
        head: StreamPos(pos),
        tail: StreamPos(pos),
    };
    ConnectionConfig {
        tuple: FourTuple {
            addresses: Addresses::V4 {
                local: [10, 0, 0, 1],
                remote: [10, 0, 0, 2],
            },
            local_port: 80,
            remote_port: 4000,
        },
        path: Path {
            link: Link::Ethernet {
                destination: [2; 6],
                source: [4; 6],
                vlan: None,
            },
            ttl: 64,
            tos: 0,
            mss: MSS as u16,
            tx_max: MSS,
            checksum_offload: false,
        },
        timestamps: None,
        ecn: EcnConfig::Off,
        sack: false,
        nodelay: true,
        cork: false,
        quick_acks: 0,
        cwnd: Bytes(RING),
        send: SendConfig {
            una: OURS,
            nxt: OURS,
            max: OURS,
            wnd: Bytes(RING),
            max_wnd: Bytes(RING),
            wl1: THEIRS,
            scale: WindowScale::NONE,
            fin: Fin::Open,
        },
        receive: ReceiveConfig {
            nxt: THEIRS,
            wnd: Bytes(RING),
            scale: WindowScale::NONE,
            mss: MSS as u16,
            fin: false,
        },
        tx: ring(100),
        rx: ring(200),
        rtt: RttConfig::default(),
        cookie: 42,
        context: 3,
        flow_group: 0,
    }
}

pub(crate) fn with_timestamps() -> ConnectionConfig {
    ConnectionConfig {
        timestamps: Some(TimestampConfig {
            offset: 0,
            recent: TsVal(1000),
        }),
        ..config()
    }
}

pub(crate) fn with_sack() -> ConnectionConfig {
    ConnectionConfig {
        sack: true,
        ..config()
    }
}

/// A connection, its parameters and a clock.
pub(crate) struct Bench {
    pub(crate) conn: Connection,
    pub(crate) now: Micros,
}

impl Bench {
    pub(crate) fn new(config: &ConnectionConfig) -> Self {
        let now = Micros(5_000_000);
        Self {
            conn: Connection::new(config, now).unwrap(),
            now,
        }
    }

    pub(crate) fn params(&self) -> Params {
        *self.conn.pre.params()
    }

    pub(crate) fn pass(&mut self, ms: u32) {
        self.now = Micros(self.now.0 + Micros::from_millis(ms).0);
    }

    pub(crate) fn rx(&mut self, seg: Summary) -> RxOut {
        let params = self.params();
        proto::rx(&mut self.conn.proto, &params, &seg, self.now)
    }

    pub(crate) fn tx(&mut self) -> Option<TxMeta> {
        let params = self.params();
        proto::tx(&mut self.conn.proto, &params, self.now)
    }

    /// Everything that may be sent: offset from our first sequence number, and length.
    pub(crate) fn tx_all(&mut self) -> Vec<(i32, u32)> {
        core::iter::from_fn(|| self.tx())
            .map(|meta| (meta.tcp.seq.since(OURS), meta.len.0))
            .collect()
    }

    pub(crate) fn hc(&mut self, request: HostControl) -> HcOut {
        let params = self.params();
        proto::host_control(&mut self.conn.proto, &params, &request, self.now).unwrap()
    }

    pub(crate) fn add(&mut self, bytes: u32) {
        self.hc(HostControl {
            tx_added: Bytes(bytes),
            ..HostControl::default()
        });
    }

    pub(crate) fn command(&mut self, commands: Command) -> HcOut {
        self.hc(HostControl {
            commands,
            ..HostControl::default()
        })
    }

    /// A pure acknowledgment of `bytes` from our first sequence number.
    pub(crate) fn ack(&mut self, bytes: u32) -> RxOut {
        self.rx(Summary {
            ack: OURS + Bytes(bytes),
            ..segment(0, 0)
        })
    }

    /// One that reports bytes held beyond.
    pub(crate) fn sack(&mut self, bytes: u32, held: core::ops::Range<u32>) -> RxOut {
        let block = SackBlock {
            start: OURS + Bytes(held.start),
            end: OURS + Bytes(held.end),
        };
        let seg = segment(0, 0);
        self.rx(Summary {
            ack: OURS + Bytes(bytes),
            sack: Some(block),
            ..seg
        })
    }

    /// Bytes delivered so far, by the distance of RCV.NXT.
    pub(crate) fn delivered(&self) -> i32 {
        self.conn.proto.rcv_nxt.since(THEIRS)
    }
}

/// A segment with `len` bytes at `at` from the peer's first sequence number, acknowledging nothing of ours.
pub(crate) fn segment(at: i32, len: u32) -> Summary {
    Summary {
        seq: SeqNum::new(THEIRS.get().wrapping_add(at as u32)),
        ack: OURS,
        payload_offset: 40,
        payload_len: Bytes(len),
        window: RING as u16,
        flags: Flags::ACK,
        ce: false,
        timestamps: None,
        sack: None,
    }
}

pub(crate) fn fin(at: i32, len: u32) -> Summary {
    Summary {
        flags: Flags::ACK | Flags::FIN,
        ..segment(at, len)
    }
}

pub(crate) fn stamped(seg: Summary, val: u32, ecr: u32) -> Summary {
    Summary {
        timestamps: Some(Timestamps {
            val: TsVal(val),
            ecr: TsVal(ecr),
        }),
        ..seg
    }
}
