// SPDX-License-Identifier: GPL-2.0

use crate::npu::config::ConnectionConfig;
use crate::npu::meta::{Command, Events, HostControl, Summary};
use crate::npu::testing::*;
use crate::units::{Bytes, StreamPos};
use crate::wire::tcp::Flags;

fn nagle() -> ConnectionConfig {
    ConnectionConfig {
        nodelay: false,
        ..config()
    }
}

#[test]
fn tx__segments_and_positions() {
    let mut bench = Bench::new(&config());
    bench.add(2500);
    let sent: std::vec::Vec<_> = core::iter::from_fn(|| bench.tx()).collect();
    let positions = sent
        .iter()
        .map(|meta| (meta.pos, meta.len, meta.tcp.flags.has(Flags::PSH)));
    let expected = [(100, 1000, false), (1100, 1000, false), (2100, 500, true)];
    assert!(positions.eq(expected.map(|(pos, len, push)| (StreamPos(pos), Bytes(len), push))));
}

#[test]
fn tx__several_segments_at_once_for_the_device_to_cut() {
    let mut config = config();
    config.path.tx_max = 3500;
    let mut bench = Bench::new(&config);
    bench.add(8500);
    assert_eq!(bench.tx_all(), [(0, 3000), (3000, 3000), (6000, 2500)]);
}

#[test]
fn tx__small_congestion_window_is_not_sent_at_once() {
    let mut config = config();
    config.path.tx_max = 60_000;
    config.cwnd = Bytes(9000);
    let mut bench = Bench::new(&config);
    bench.add(12_000);
    assert_eq!(
        bench.tx_all(),
        [
            (0, 2000),
            (2000, 2000),
            (4000, 2000),
            (6000, 2000),
            (8000, 1000)
        ]
    );
}

#[test]
fn tx__congestion_window_limits_flight() {
    let mut bench = Bench::new(&ConnectionConfig {
        cwnd: Bytes(2500),
        ..config()
    });
    bench.add(5000);
    assert_eq!(bench.tx_all(), [(0, 1000), (1000, 1000)]);
    bench.ack(1000);
    assert_eq!(bench.tx_all(), [(2000, 1000)]);
    bench.conn.pre.set_cwnd(Bytes(1));
    bench.ack(3000);
    assert_eq!(bench.tx_all(), [(3000, 1000)], "one segment at least");
}

#[test]
fn tx__peer_window_limits_flight() {
    let mut bench = Bench::new(&config());
    bench.rx(Summary {
        window: 1500,
        ..segment(0, 0)
    });
    bench.add(5000);
    assert_eq!(
        bench.tx_all(),
        [(0, 1000)],
        "500 more would be a silly window"
    );
    bench.rx(Summary {
        window: 0,
        ..segment(0, 0)
    });
    assert_eq!(bench.tx_all(), []);
    bench.rx(Summary {
        window: 0,
        ack: OURS + Bytes(1000),
        ..segment(0, 0)
    });
    assert!(bench.conn.proto.timers().persist);
}

#[test]
fn tx__half_of_the_largest_window_is_not_silly() {
    let mut config = config();
    config.send.wnd = Bytes(800);
    config.send.max_wnd = Bytes(800);
    let mut bench = Bench::new(&config);
    bench.add(5000);
    assert_eq!(bench.tx_all(), [(0, 800)]);
}

#[test]
fn nagle__small_segment_waits_for_a_small_one_in_flight() {
    let mut bench = Bench::new(&nagle());
    bench.add(10);
    assert_eq!(bench.tx_all(), [(0, 10)]);
    bench.add(10);
    assert_eq!(bench.tx_all(), []);
    bench.add(990);
    assert_eq!(bench.tx_all(), [(10, 1000)], "a full one does not wait");
    bench.add(10);
    bench.ack(10);
    assert_eq!(
        bench.tx_all(),
        [(1010, 10)],
        "the small one is acknowledged"
    );
}

#[test]
fn nagle__off() {
    let mut bench = Bench::new(&config());
    bench.add(10);
    bench.tx_all();
    bench.add(10);
    assert_eq!(bench.tx_all(), [(10, 10)]);
}

#[test]
fn nagle__fin_pushes_everything_out() {
    let mut bench = Bench::new(&nagle());
    bench.add(10);
    bench.tx_all();
    bench.add(10);
    bench.command(Command::FIN);
    let sent = bench.tx().unwrap();
    assert!(sent.tcp.flags.has(Flags::FIN));
    assert_eq!(sent.len, Bytes(10));
}

#[test]
fn cork__holds_partial_segments_until_uncorked_or_forced() {
    let mut bench = Bench::new(&ConnectionConfig {
        cork: true,
        ..config()
    });
    bench.add(1500);
    assert_eq!(bench.tx_all(), [(0, 1000)]);
    bench.ack(1000);
    assert!(bench.conn.proto.timers().persist);
    bench.command(Command::PROBE);
    assert_eq!(bench.tx_all(), [(1000, 500)]);
    bench.add(100);
    assert_eq!(bench.tx_all(), []);
    bench.conn.pre.set_cork(false);
    assert_eq!(bench.tx_all(), [(1500, 100)]);
}

#[test]
fn cork__partial_tail_of_a_large_transmission_waits() {
    let mut config = ConnectionConfig {
        cork: true,
        ..config()
    };
    config.path.tx_max = 10_000;
    let mut bench = Bench::new(&config);
    bench.add(2500);
    assert_eq!(bench.tx_all(), [(0, 2000)]);
}

#[test]
fn fin__rides_on_the_last_segment_and_is_acknowledged() {
    let mut bench = Bench::new(&config());
    bench.hc(HostControl {
        tx_added: Bytes(1500),
        commands: Command::FIN,
        ..HostControl::default()
    });
    assert!(!bench.tx().unwrap().tcp.flags.has(Flags::FIN));
    assert!(bench.tx().unwrap().tcp.flags.has(Flags::FIN));
    assert_eq!(bench.tx(), None);
    assert!(bench.ack(1500).events.is_empty());
    let out = bench.ack(1501);
    assert_eq!((out.events, out.acked), (Events::FIN_ACKED, Bytes(0)));
    assert_eq!(bench.conn.proto.timers().retransmit, None);
}

#[test]
fn fin__alone_and_again() {
    let mut bench = Bench::new(&config());
    bench.command(Command::FIN);
    assert_eq!(bench.tx_all(), [(0, 0)]);
    assert!(bench.conn.proto.timers().retransmit.is_some());
    bench.command(Command::RETRANSMIT);
    let sent = bench.tx().unwrap();
    assert!(sent.tcp.flags.has(Flags::FIN) && sent.len.is_zero());
    assert_eq!(bench.ack(1).events, Events::FIN_ACKED);
    assert!(bench.ack(1).events.is_empty());
}

#[test]
fn fin__waits_for_a_window() {
    let mut bench = Bench::new(&config());
    bench.rx(Summary {
        window: 10,
        ..segment(0, 0)
    });
    bench.hc(HostControl {
        tx_added: Bytes(10),
        commands: Command::FIN,
        ..HostControl::default()
    });
    assert!(!bench.tx().unwrap().tcp.flags.has(Flags::FIN));
    assert_eq!(bench.tx(), None);
    bench.rx(Summary {
        ack: OURS + Bytes(10),
        window: 1,
        ..segment(0, 0)
    });
    assert!(bench.tx().unwrap().tcp.flags.has(Flags::FIN));
}

#[test]
fn tx__acknowledges_what_was_received() {
    let mut bench = Bench::new(&config());
    bench.rx(segment(0, 10));
    bench.add(10);
    let sent = bench.tx().unwrap();
    assert_eq!(
        (sent.tcp.ack.since(THEIRS), sent.tcp.window),
        (10, RING as u16 - 10)
    );
    assert_eq!(bench.conn.proto.timers().delayed_ack, None);
}
