// SPDX-License-Identifier: GPL-2.0

//! What is measured: one connection (IPv4 over Ethernet, timestamps, checksum offload) and a port that does nothing.
//! Copying payload is the environment's work, and not counted.

use datapath::npu::config::{
    ConnectionConfig, EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig,
    TimestampConfig,
};
use datapath::npu::inline::{self, Received, TxSegment};
use datapath::npu::meta::{HostControl, RingSlice};
use datapath::npu::pre::{self, Checksum};
use datapath::npu::{Connection, Notification, Port};
use datapath::units::{Bytes, Micros, SeqNum, StreamPos, TsVal, WindowScale};
use datapath::wire::ethernet::Link;
use datapath::wire::{Addresses, FourTuple, Sum};
use std::hint::black_box;

const MSS: u32 = 1448;
const RPC: u32 = 64;
const RING: u32 = 16 << 20;

/// Segments that can be run between two refills.
pub const BATCH: u32 = 1000;

/// Makes a workload.
pub type Make = fn() -> Workload;

/// Workloads by name.
pub const WORKLOADS: &[(&str, Make)] = &[
    ("rx-in-order", || Workload::new(Kind::RxInOrder)),
    ("rx-hole", || Workload::new(Kind::RxHole)),
    ("ack", || Workload::new(Kind::Ack)),
    ("tx", || Workload::new(Kind::Tx)),
    ("rpc-64", || Workload::new(Kind::Rpc)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Full-sized segments in order, of which every second is acknowledged.
    RxInOrder,
    /// Of four segments, the second arrives last.
    RxHole,
    /// Acknowledgments of one segment each.
    Ack,
    /// Full-sized segments sent.
    Tx,
    /// A request of 64 bytes that acknowledges the last answer, read and answered by 64 bytes.
    Rpc,
}

#[derive(Default)]
struct Null {
    transmitted: u64,
    written: u64,
    notified: u64,
}

impl Port for Null {
    #[inline]
    fn write_rx(&mut self, to: &RingSlice, _segment_offset: usize) {
        self.written += u64::from(to.len.0);
    }

    #[inline]
    fn payload_sum(&mut self, _from: &RingSlice) -> Sum {
        Sum::ZERO
    }

    #[inline]
    fn transmit(&mut self, segment: &TxSegment<'_>) {
        black_box(segment.header.bytes());
        self.transmitted += 1;
    }

    #[inline]
    fn notify(&mut self, notification: &Notification) {
        black_box(notification);
        self.notified += 1;
    }
}

/// A connection, and the segment its peer sends next.
pub struct Workload {
    kind: Kind,
    conn: Connection,
    port: Null,
    segment: [u8; 52],
    seq: u32,
    ack: u32,
    now: u64,
    done: u64,
}

impl Workload {
    fn new(kind: Kind) -> Self {
        let mut out = Self {
            kind,
            conn: Connection::new(&config(), Micros(0)).unwrap(),
            port: Null::default(),
            segment: segment(),
            seq: 1,
            ack: 1,
            now: 0,
            done: 0,
        };
        out.refill();
        out
    }

    /// Makes room for many more segments, by work that is not to be measured.
    pub fn refill(&mut self) {
        match self.kind {
            Kind::RxInOrder | Kind::RxHole => self.free(),
            Kind::Ack => {
                self.acknowledge(self.conn.proto.snd_max().get());
                self.control(Bytes(MSS * BATCH), Bytes::ZERO);
            }
            Kind::Tx => self.acknowledge(self.conn.proto.snd_max().get()),
            Kind::Rpc => {}
        }
    }

    /// Processes one segment, or one exchange.
    #[inline]
    pub fn step(&mut self) {
        self.now += 1;
        self.done += 1;
        match self.kind {
            Kind::RxInOrder => {
                self.receive(self.seq, MSS);
                self.seq = self.seq.wrapping_add(MSS);
            }
            Kind::RxHole => {
                const ORDER: [u32; 4] = [0, 2, 3, 1];
                let turn = (self.done - 1) % 4;
                self.receive(self.seq.wrapping_add(ORDER[turn as usize] * MSS), MSS);
                if turn == 3 {
                    self.seq = self.seq.wrapping_add(4 * MSS);
                }
            }
            Kind::Ack => self.acknowledge(self.ack.wrapping_add(MSS)),
            Kind::Tx => self.control(Bytes(MSS), Bytes::ZERO),
            Kind::Rpc => {
                self.receive(self.seq, RPC);
                self.seq = self.seq.wrapping_add(RPC);
                self.control(Bytes(RPC), Bytes(RPC));
                self.ack = self.ack.wrapping_add(RPC);
            }
        }
    }

    /// What the data-path did, so that a bench can check it did it.
    pub fn check(&self) {
        let did = match self.kind {
            Kind::RxInOrder | Kind::RxHole | Kind::Rpc => self.port.written,
            Kind::Ack | Kind::Tx => self.conn.post.counters().tx_bytes,
        };
        assert!(
            did >= self.done * u64::from(RPC),
            "{did} bytes in {} steps",
            self.done
        );
        assert_eq!(self.conn.post.counters().rx_dropped, 0);
    }

    #[inline]
    fn receive(&mut self, seq: u32, len: u32) {
        self.segment[2..4].copy_from_slice(&(52 + len as u16).to_be_bytes());
        self.segment[24..28].copy_from_slice(&seq.to_be_bytes());
        self.segment[28..32].copy_from_slice(&self.ack.to_be_bytes());
        let segment = black_box(&self.segment);
        let ident = pre::identify(segment, 52 + len as usize).unwrap();
        assert!(ident.tuple == *self.conn.pre.tuple());
        let checksum = Checksum::Verified;
        let now = Micros(self.now);
        let out = inline::rx(
            &mut self.conn,
            segment,
            &ident,
            checksum,
            now,
            &mut self.port,
        );
        assert!(matches!(black_box(out), Received::Processed(_)));
    }

    #[inline]
    fn acknowledge(&mut self, ack: u32) {
        self.ack = ack;
        self.receive(self.seq, 0);
    }

    #[inline]
    fn control(&mut self, tx_added: Bytes, rx_freed: Bytes) {
        let request = HostControl {
            tx_added,
            rx_freed,
            ..HostControl::default()
        };
        let now = Micros(self.now);
        inline::host_control(&mut self.conn, black_box(&request), now, &mut self.port).unwrap();
    }

    fn free(&mut self) {
        let readable = self.conn.proto.rx_readable(self.conn.pre.params());
        self.control(Bytes::ZERO, readable);
    }
}

fn config() -> ConnectionConfig {
    let scale = WindowScale::new(10).unwrap();
    let ring = Ring {
        base: 0,
        size: RING,
        head: StreamPos(0),
        tail: StreamPos(0),
    };
    let seq = SeqNum::new(1);
    ConnectionConfig {
        tuple: FourTuple {
            addresses: Addresses::V4 {
                local: [10, 0, 0, 1],
                remote: [10, 0, 0, 2],
            },
            local_port: 7,
            remote_port: 40000,
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
            checksum_offload: true,
        },
        timestamps: Some(TimestampConfig {
            offset: 0,
            recent: TsVal(0),
        }),
        ecn: EcnConfig::Off,
        sack: true,
        nodelay: true,
        cork: false,
        quick_acks: 0,
        cwnd: Bytes(RING),
        send: SendConfig {
            una: seq,
            nxt: seq,
            max: seq,
            wnd: Bytes(RING),
            max_wnd: Bytes(RING),
            wl1: seq,
            scale,
            fin: Fin::Open,
        },
        receive: ReceiveConfig {
            nxt: seq,
            wnd: Bytes(RING),
            scale,
            mss: MSS as u16,
            fin: false,
        },
        tx: ring,
        rx: ring,
        rtt: RttConfig::default(),
        cookie: 1,
        context: 0,
        flow_group: 0,
    }
}

/// IPv4 and TCP header with timestamps, from the peer.
fn segment() -> [u8; 52] {
    let mut out = [0; 52];
    out[0] = 0x45;
    out[6] = 0x40;
    out[8] = 64;
    out[9] = 6;
    out[12..20].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
    out[20..22].copy_from_slice(&40000u16.to_be_bytes());
    out[22..24].copy_from_slice(&7u16.to_be_bytes());
    out[32] = 8 << 4;
    out[33] = 0x18;
    out[34..36].copy_from_slice(&0x4000u16.to_be_bytes());
    out[40..44].copy_from_slice(&[1, 1, 8, 10]);
    out[47] = 1;
    out
}
