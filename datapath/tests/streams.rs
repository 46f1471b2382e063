// SPDX-License-Identifier: GPL-2.0

//! Whatever the link does, both applications read exactly what the other wrote, and both ends close.

#![allow(non_snake_case)]

mod sim;

use datapath::npu::config::{
    ConnectionConfig, EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig,
    TimestampConfig,
};
use datapath::units::{Bytes, SeqNum, StreamPos, TsVal, WindowScale};
use datapath::wire::{ethernet, Addresses, FourTuple};
use proptest::prelude::*;
use sim::{Endpoint, Faults, World};

/// What both ends of a test connection have in common.
#[derive(Clone, Debug)]
struct Shape {
    v6: bool,
    vlan: Option<u16>,
    timestamps: bool,
    sack: bool,
    ecn: EcnConfig,
}

/// What one end has for itself.
#[derive(Clone, Debug)]
struct Side {
    mss: u16,
    bursts: u32,
    uncut: bool,
    offload: bool,
    nodelay: bool,
    quick_acks: u8,
    isn: u32,
    tx_log: u32,
    rx_log: u32,
    tx_pos: u32,
    rx_pos: u32,
    scale: u8,
    len: usize,
    chunk: u32,
    reinstall: u32,
}

fn sides() -> impl Strategy<Value = Side> {
    let tcp = (
        prop_oneof![Just(1u16), 2..100u16, Just(536), Just(1448), Just(8960)],
        (prop_oneof![Just(1u32), 2..50u32], any::<bool>()),
        any::<bool>(),
        any::<bool>(),
        0..8u8,
        prop_oneof![any::<u32>(), Just(u32::MAX), (u32::MAX - 20_000)..=u32::MAX],
    );
    let rings = (12..15u32, 12..15u32, any::<u32>(), any::<u32>(), 0..9u8);
    let app = (
        0..60_000usize,
        1..20_000u32,
        prop_oneof![9 => Just(0u32), 1 => Just(20u32)],
    );
    (tcp, rings, app).prop_map(|(tcp, rings, app)| {
        let (mss, (bursts, uncut), offload, nodelay, quick_acks, isn) = tcp;
        let (tx_log, rx_log, tx_pos, rx_pos, scale) = rings;
        let (len, chunk, reinstall) = app;
        // Tiny segments: fewer bytes, or a case takes minutes.
        let len = len.min(usize::from(mss) * 2000);
        let chunk = chunk.max(len as u32 / 50);
        Side {
            mss,
            bursts,
            uncut,
            offload,
            nodelay,
            quick_acks,
            isn,
            tx_log,
            rx_log,
            tx_pos,
            rx_pos,
            scale,
            len,
            chunk,
            reinstall,
        }
    })
}

fn shapes() -> impl Strategy<Value = Shape> {
    (
        any::<bool>(),
        prop_oneof![Just(None), Just(Some(5u16))],
        any::<bool>(),
        any::<bool>(),
        prop_oneof![
            Just(EcnConfig::Off),
            Just(EcnConfig::Classic),
            Just(EcnConfig::Accurate)
        ],
    )
        .prop_map(|(v6, vlan, timestamps, sack, ecn)| Shape {
            v6,
            vlan,
            timestamps,
            sack,
            ecn,
        })
}

fn faults() -> impl Strategy<Value = Faults> {
    let rate = || prop_oneof![Just(0u32), 1..20u32, 20..200u32];
    (rate(), rate(), rate(), rate(), rate(), rate()).prop_map(
        |(lose, duplicate, delay, corrupt, mark, resegment)| Faults {
            lose,
            duplicate,
            delay,
            corrupt,
            mark,
            resegment,
        },
    )
}

fn endpoint(shape: &Shape, ours: &Side, theirs: &Side, first: bool) -> Endpoint {
    let (local, remote) = if first { (1, 2) } else { (2, 1) };
    let address = |n: u8| {
        let mut address = [0xfd; 16];
        address[15] = n;
        address
    };
    let addresses = if shape.v6 {
        Addresses::V6 {
            local: address(local),
            remote: address(remote),
        }
    } else {
        Addresses::V4 {
            local: [10, 0, 0, local],
            remote: [10, 0, 0, remote],
        }
    };
    let port = |n: u8| 1000 + u16::from(n);
    let scale = |side: &Side| WindowScale::new(side.scale).unwrap();
    let window = |side: &Side| {
        let size = Bytes(1 << side.rx_log);
        scale(side).expand(scale(side).field(size))
    };
    let config = ConnectionConfig {
        tuple: FourTuple {
            addresses,
            local_port: port(local),
            remote_port: port(remote),
        },
        path: Path {
            link: ethernet::Link::Ethernet {
                destination: [2; 6],
                source: [4; 6],
                vlan: shape.vlan,
            },
            ttl: 64,
            tos: 0,
            mss: ours.mss,
            tx_max: u32::from(ours.mss) * ours.bursts,
            checksum_offload: ours.offload,
        },
        timestamps: shape.timestamps.then_some(TimestampConfig {
            offset: ours.isn,
            recent: TsVal(theirs.isn),
        }),
        ecn: shape.ecn,
        sack: shape.sack,
        nodelay: ours.nodelay,
        cork: false,
        quick_acks: ours.quick_acks,
        cwnd: Bytes(u32::from(ours.mss) * 10),
        send: SendConfig {
            una: SeqNum::new(ours.isn),
            nxt: SeqNum::new(ours.isn),
            max: SeqNum::new(ours.isn),
            wnd: window(theirs),
            max_wnd: window(theirs),
            wl1: SeqNum::new(theirs.isn),
            scale: scale(theirs),
            fin: Fin::Open,
        },
        receive: ReceiveConfig {
            nxt: SeqNum::new(theirs.isn),
            wnd: window(ours),
            scale: scale(ours),
            mss: theirs.mss,
            fin: false,
        },
        tx: Ring {
            base: 0,
            size: 1 << ours.tx_log,
            head: StreamPos(ours.tx_pos),
            tail: StreamPos(ours.tx_pos),
        },
        rx: Ring {
            base: 0,
            size: 1 << ours.rx_log,
            head: StreamPos(ours.rx_pos),
            tail: StreamPos(ours.rx_pos),
        },
        rtt: RttConfig::default(),
        cookie: u64::from(local),
        context: 0,
        flow_group: 0,
    };
    let data = (0..ours.len).map(|i| (i as u32).wrapping_mul(0x9e37_79b1) as u8 ^ (i >> 8) as u8);
    Endpoint {
        config,
        data: data.collect(),
        chunk: ours.chunk,
        uncut: ours.uncut,
        reinstall: ours.reinstall,
    }
}

fn transfer<const N: usize>(
    shape: &Shape,
    sides: &[Side; 2],
    faults: Faults,
    seed: u64,
) -> World<N> {
    let [a, b] = sides;
    let ends = [endpoint(shape, a, b, true), endpoint(shape, b, a, false)];
    let data = [ends[0].data.clone(), ends[1].data.clone()];
    let mut world = World::<N>::new(ends, faults, seed);
    world.run(400_000);
    for (host, sent) in world.hosts.iter().zip(data.iter().rev()) {
        assert!(
            host.received == *sent,
            "{} of {} bytes, or others",
            host.received.len(),
            sent.len()
        );
        assert!(host.is_fin_acked() && host.conn.proto.fin_received());
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn transfer__exact_over_bad_link(shape in shapes(), a in sides(), b in sides(), faults in faults(), seed: u64) {
        transfer::<4>(&shape, &[a, b], faults, seed);
    }

    #[test]
    fn transfer__exact_with_one_interval(shape in shapes(), a in sides(), b in sides(), faults in faults(), seed: u64) {
        transfer::<1>(&shape, &[a, b], faults, seed);
    }
}
