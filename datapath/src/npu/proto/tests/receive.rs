// SPDX-License-Identifier: GPL-2.0

use crate::npu::config::ConnectionConfig;
use crate::npu::meta::{Events, HostControl};
use crate::npu::proto::{RstVerdict, RxFlags};
use crate::npu::testing::*;
use crate::reason::DropReason;
use crate::units::{Bytes, SeqNum, StreamPos, TsVal};

#[test]
fn rx__in_order_is_placed_and_delivered() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(segment(0, 700));
    let write = out.write.unwrap();
    assert_eq!(
        (write.pos, write.segment_offset, write.len),
        (StreamPos(200), 40, Bytes(700))
    );
    assert_eq!(
        (out.delivered, out.ack, out.dropped),
        (Bytes(700), None, None)
    );
    let out = bench.rx(segment(700, 700));
    assert_eq!(out.write.unwrap().pos, StreamPos(900));
    assert_eq!(bench.delivered(), 1400);
}

#[test]
fn rx__every_second_full_segment_is_acknowledged() {
    let mut bench = Bench::new(&config());
    assert_eq!(bench.rx(segment(0, MSS)).ack, None);
    assert!(bench.conn.proto.timers().delayed_ack.is_some());
    let ack = bench.rx(segment(1000, MSS)).ack.unwrap();
    assert_eq!(ack.tcp.ack.since(THEIRS), 2000);
    assert_eq!(bench.conn.proto.timers().delayed_ack, None);
    assert_eq!(bench.rx(segment(2000, MSS)).ack, None);
}

#[test]
fn rx__full_segments_are_what_the_peer_sends() {
    let mut config = config();
    config.receive.mss = 88;
    let mut bench = Bench::new(&config);
    assert!(bench.rx(segment(0, 300)).ack.is_none());
    assert!(bench.rx(segment(300, 300)).ack.is_some());
    bench.rx(segment(600, 5000));
    assert_eq!(bench.conn.config().receive.mss, MSS as u16, "coalesced");
}

#[test]
fn rx__quick_acks_come_first() {
    let mut bench = Bench::new(&ConnectionConfig {
        quick_acks: 2,
        ..config()
    });
    assert!(bench.rx(segment(0, 10)).ack.is_some());
    assert!(bench.rx(segment(10, 10)).ack.is_some());
    assert!(bench.rx(segment(20, 10)).ack.is_none());
}

#[test]
fn rx__answering_ends_quick_acks() {
    let mut bench = Bench::new(&ConnectionConfig {
        quick_acks: 9,
        ..config()
    });
    assert!(bench.rx(segment(0, 10)).ack.is_some());
    bench.add(10);
    assert!(bench.rx(segment(10, 10)).ack.is_none());
    assert!(bench.tx().is_some());
    assert!(bench.rx(segment(20, 10)).ack.is_none());
}

#[test]
fn rx__data_ride_with_the_acknowledgment() {
    let mut bench = Bench::new(&config());
    bench.add(100);
    let out = bench.rx(segment(0, 2000));
    assert!(out.ack.is_none() && out.flags.has(RxFlags::CAN_SEND));
    let sent = bench.tx().unwrap();
    assert_eq!(sent.tcp.ack.since(THEIRS), 2000);
    assert_eq!(bench.conn.proto.timers().delayed_ack, None);
}

#[test]
fn rx__paced_connections_acknowledge_first() {
    let mut bench = Bench::new(&config());
    bench.conn.pre.set_paced(true);
    bench.add(700);
    bench.rx(segment(0, MSS));
    let out = bench.rx(segment(1000, MSS));
    assert!(out.ack.is_some() && out.flags.has(RxFlags::CAN_SEND));
}

#[test]
fn rx__old_bytes_are_trimmed() {
    let mut bench = Bench::new(&config());
    bench.rx(segment(0, 500));
    let out = bench.rx(segment(200, 500));
    let write = out.write.unwrap();
    assert_eq!(
        (write.pos, write.segment_offset, write.len),
        (StreamPos(700), 340, Bytes(200))
    );
    assert_eq!((out.delivered, out.discarded), (Bytes(200), Bytes(300)));
    assert!(out.ack.is_some());
}

#[test]
fn rx__duplicate_is_acknowledged_at_once() {
    let mut bench = Bench::new(&config());
    bench.rx(segment(0, 500));
    for at in [0, 100] {
        let out = bench.rx(segment(at, 400));
        assert_eq!(
            (out.write, out.delivered, out.discarded),
            (None, Bytes(0), Bytes(400))
        );
        assert_eq!(out.ack.unwrap().tcp.ack.since(THEIRS), 500);
    }
}

#[test]
fn rx__beyond_the_ring_is_trimmed() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(segment(0, RING + 100));
    assert_eq!((out.delivered, out.discarded), (Bytes(RING), Bytes(100)));
    assert_eq!(out.ack.unwrap().tcp.window, 0);
    let out = bench.rx(segment(RING as i32, 1));
    assert_eq!((out.delivered, out.write), (Bytes(0), None));
    assert!(out.ack.is_some(), "a probe of a zero window is answered");
}

#[test]
fn rx__outside_of_the_window_is_dropped() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(segment(RING as i32 + 1, 10));
    assert_eq!(out.dropped, Some(DropReason::OutOfWindow));
    assert!(out.ack.is_some());
    assert_eq!(bench.delivered(), 0);
}

#[test]
fn rx__keepalive_is_answered_but_not_a_flood_of_them() {
    let mut bench = Bench::new(&config());
    let keepalive = segment(-1, 0);
    assert!(bench.rx(keepalive).ack.is_some());
    assert!(bench.rx(keepalive).ack.is_none());
    bench.pass(500);
    assert!(bench.rx(keepalive).ack.is_some());
}

#[test]
fn rx__out_of_order_is_kept_and_delivered_when_the_hole_is_filled() {
    let mut bench = Bench::new(&with_sack());
    for at in [2000, 1000, 4000] {
        let out = bench.rx(segment(at, MSS));
        assert_eq!(out.write.unwrap().pos, StreamPos(200 + at as u32));
        assert_eq!(out.delivered, Bytes(0));
        let ack = out.ack.unwrap();
        assert_eq!(ack.tcp.ack, THEIRS);
        let block = ack.sack.iter().next().unwrap();
        assert!(
            (THEIRS + Bytes(at as u32)).in_window(block.start, block.end.bytes_since(block.start))
        );
    }
    let out = bench.rx(segment(0, MSS));
    assert_eq!(out.delivered, Bytes(3000));
    let ack = out.ack.unwrap();
    assert_eq!(
        (ack.tcp.ack.since(THEIRS), ack.sack.iter().count()),
        (3000, 1)
    );
    assert_eq!(bench.rx(segment(3000, MSS)).delivered, Bytes(2000));
}

#[test]
fn rx__no_interval_left_is_as_if_lost() {
    let mut bench = Bench::new(&config());
    for at in [1000, 3000, 5000, 7000] {
        assert!(bench.rx(segment(at, MSS)).write.is_some());
    }
    let out = bench.rx(segment(9000, MSS));
    assert_eq!((out.write, out.discarded), (None, Bytes(MSS)));
    assert!(out.ack.is_some());
    assert!(
        bench.rx(segment(8000, MSS)).write.is_some(),
        "what adjoins an interval extends it"
    );
    assert!(out.ack.unwrap().sack.is_empty(), "not negotiated");
}

#[test]
fn fin__after_data() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(fin(0, 300));
    assert_eq!((out.delivered, out.events), (Bytes(300), Events::PEER_FIN));
    assert_eq!(out.ack.unwrap().tcp.ack.since(THEIRS), 301);
    assert_eq!(bench.conn.proto.rx_readable(&bench.params()), Bytes(300));
    let again = bench.rx(fin(0, 300));
    assert!(again.events.is_empty() && again.ack.is_some());
    let beyond = bench.rx(segment(301, 10));
    assert_eq!((beyond.write, beyond.delivered), (None, Bytes(0)));
}

#[test]
fn fin__out_of_order_is_remembered() {
    let mut bench = Bench::new(&config());
    assert!(bench.rx(fin(500, 500)).events.is_empty());
    let out = bench.rx(segment(0, 500));
    assert_eq!((out.delivered, out.events), (Bytes(1000), Events::PEER_FIN));
    assert_eq!(bench.delivered(), 1001);
}

#[test]
fn fin__remembered_even_if_its_data_are_not() {
    let mut bench = Bench::new(&config());
    for at in [1000, 3000, 5000, 7000] {
        bench.rx(segment(at, MSS));
    }
    assert!(bench.rx(fin(9000, MSS)).write.is_none());
    for at in [0, 2000, 4000, 6000, 8000] {
        assert!(bench.rx(segment(at, MSS)).events.is_empty());
    }
    assert_eq!(bench.rx(segment(9000, MSS)).events, Events::PEER_FIN);
}

#[test]
fn fin__cut_off_with_data_beyond_the_window() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(fin(0, RING + 1));
    assert!(out.events.is_empty());
    bench.hc(HostControl {
        rx_freed: Bytes(1),
        ..HostControl::default()
    });
    assert_eq!(bench.rx(fin(RING as i32, 1)).events, Events::PEER_FIN);
}

#[test]
fn fin__into_a_full_ring() {
    let mut bench = Bench::new(&config());
    bench.rx(segment(0, RING));
    let out = bench.rx(fin(RING as i32, 0));
    assert_eq!(out.events, Events::PEER_FIN);
    let config = bench.conn.config();
    assert_eq!(config.rx.tail.bytes_since(config.rx.head), Bytes(RING));
}

#[test]
fn paws__old_timestamp_is_rejected() {
    let mut bench = Bench::new(&with_timestamps());
    assert_eq!(bench.rx(stamped(segment(0, 10), 2000, 0)).dropped, None);
    let out = bench.rx(stamped(segment(10, 10), 1999, 0));
    assert_eq!(out.dropped, Some(DropReason::Paws));
    assert!(out.ack.is_some());
    assert_eq!(bench.rx(stamped(segment(10, 10), 2000, 0)).dropped, None);
}

#[test]
fn paws__forgets_after_24_days() {
    let mut bench = Bench::new(&with_timestamps());
    bench.rx(stamped(segment(0, 10), 2000, 0));
    bench.pass(24 * 24 * 3600 * 1000);
    assert_eq!(bench.rx(stamped(segment(10, 10), 1, 0)).dropped, None);
}

#[test]
fn paws__segment_without_timestamp_is_dropped_silently() {
    let mut bench = Bench::new(&with_timestamps());
    let out = bench.rx(segment(0, 10));
    assert_eq!(
        (out.dropped, out.ack),
        (Some(DropReason::NoTimestamp), None)
    );
}

#[test]
fn ts_recent__taken_only_from_what_was_not_acknowledged() {
    let mut bench = Bench::new(&with_timestamps());
    bench.rx(stamped(segment(1000, 10), 5000, 0));
    assert_eq!(bench.conn.proto.ts_recent, TsVal(1000), "ahead of a hole");
    let ack = bench.rx(stamped(segment(0, 1000), 4000, 0)).ack.unwrap();
    assert_eq!(ack.tcp.timestamps.unwrap().ecr, TsVal(4000));
    assert_eq!(ack.tcp.timestamps.unwrap().val, TsVal(5000));
}

#[test]
fn rst__judged_by_the_window() {
    let bench = Bench::new(&config());
    let window = bench.conn.proto.receive_window();
    let judge = |at: u32| window.judge_rst(SeqNum::new(THEIRS.get().wrapping_add(at)));
    assert_eq!(judge(0), RstVerdict::Reset);
    assert_eq!(judge(1), RstVerdict::Challenge);
    assert_eq!(judge(RING), RstVerdict::Ignore);
    assert_eq!(judge(u32::MAX), RstVerdict::Ignore);
}
