// SPDX-License-Identifier: GPL-2.0

use crate::npu::meta::{Command, Events, Summary};
use crate::npu::proto::RxFlags;
use crate::npu::testing::*;
use crate::reason::DropReason;
use crate::units::{Bytes, Micros, WindowScale};

/// With `count` full-sized segments in flight.
fn flying(config: &crate::npu::ConnectionConfig, count: u32) -> Bench {
    let mut bench = Bench::new(config);
    bench.add(count * MSS);
    assert_eq!(bench.tx_all().len(), count as usize);
    bench
}

/// Three duplicate ACKs: the first segment is lost.
fn lose_first(bench: &mut Bench) {
    for _ in 0..3 {
        bench.ack(0);
    }
}

#[test]
fn ack__frees_and_restarts_the_timer() {
    let mut bench = flying(&config(), 4);
    let started = bench.now;
    assert_eq!(bench.conn.proto.timers().retransmit, Some(started));
    bench.pass(7);
    let out = bench.ack(1500);
    assert_eq!((out.acked, out.flight), (Bytes(1500), Bytes(4000)));
    assert_eq!(bench.conn.proto.timers().retransmit, Some(bench.now));
    assert_eq!(bench.ack(4000).acked, Bytes(2500));
    assert_eq!(bench.conn.proto.timers().retransmit, None);
}

#[test]
fn ack__of_what_was_never_sent_is_challenged() {
    let mut bench = flying(&config(), 1);
    let out = bench.ack(1001);
    assert_eq!(out.dropped, Some(DropReason::AckNeverSent));
    assert_eq!(out.ack.unwrap().tcp.seq.since(OURS), 1000);
    assert!(bench.ack(1001).ack.is_none(), "once, not for each");
}

#[test]
fn ack__too_old_is_challenged() {
    let mut bench = flying(&config(), 1);
    bench.ack(1000);
    let mut seg = segment(0, 5);
    seg.ack = OURS - Bytes(RING);
    assert_eq!(bench.rx(seg).dropped, Some(DropReason::AckTooOld));
    seg.ack = OURS - Bytes(RING - 1000);
    assert_eq!(bench.rx(seg).delivered, Bytes(5), "old, but not too old");
}

#[test]
fn ack__up_to_the_highest_sent_after_going_back() {
    let mut bench = flying(&config(), 4);
    bench.command(Command::RETRANSMIT);
    assert_eq!(bench.conn.proto.flight(), Bytes(0));
    assert_eq!(bench.ack(4000).acked, Bytes(4000));
    assert_eq!(bench.tx_all(), []);
}

#[test]
fn ack__old_data_segment_does_not_move_the_window() {
    let mut bench = flying(&config(), 1);
    bench.rx(Summary {
        window: 9000,
        ..segment(10, 0)
    });
    assert_eq!(bench.conn.config().send.wnd, Bytes(9000));
    bench.rx(Summary {
        window: 3000,
        ..segment(0, 0)
    });
    assert_eq!(bench.conn.config().send.wnd, Bytes(9000));
    bench.rx(Summary {
        window: 4000,
        ..segment(10, 0)
    });
    assert_eq!(bench.conn.config().send.wnd, Bytes(4000));
}

#[test]
fn ack__sequence_number_may_be_beyond_a_window_that_was_rounded() {
    let mut config = config();
    config.send.scale = WindowScale::new(9).unwrap();
    config.cwnd = Bytes(RING);
    let seq_of_ack = |window| {
        let mut bench = flying(&config, 4);
        bench.rx(Summary {
            window,
            ..segment(0, 10)
        });
        bench.command(Command::ACK_NOW).ack.unwrap().tcp.seq
    };
    assert_eq!(seq_of_ack(8).since(OURS), 4000, "8 * 512 bytes");
    assert_eq!(seq_of_ack(7).since(OURS), 4000, "rounded by 416 bytes");
    assert_eq!(seq_of_ack(6).since(OURS), 6 * 512, "taken back");
}

#[test]
fn ack__opened_window_is_told() {
    let mut bench = Bench::new(&config());
    bench.rx(Summary {
        window: 0,
        ..segment(0, 0)
    });
    bench.add(10);
    assert_eq!(bench.tx_all(), []);
    let out = bench.rx(segment(0, 0));
    assert!(out.events.has(Events::WINDOW_OPENED) && out.flags.has(RxFlags::CAN_SEND));
}

#[test]
fn fast_retransmit__at_the_third_duplicate() {
    let mut bench = flying(&config(), 6);
    for _ in 0..2 {
        let out = bench.ack(0);
        assert!(out.flags.has(RxFlags::DUP_ACK) && out.events.is_empty());
    }
    let out = bench.ack(0);
    assert_eq!(out.events, Events::FAST_RETRANSMIT);
    assert!(out.flags.has(RxFlags::REPORT));
    assert_eq!(out.flight, Bytes(6000));
    assert_eq!(
        bench.tx_all(),
        [(0, 1000)],
        "the hole first, and nothing else"
    );
    assert!(bench.ack(0).events.is_empty(), "once per window");
}

#[test]
fn fast_retransmit__single_loss_resends_one_segment() {
    let mut bench = flying(&config(), 6);
    lose_first(&mut bench);
    assert_eq!(bench.tx_all(), [(0, 1000)]);
    assert_eq!(bench.ack(6000).acked, Bytes(6000));
    bench.add(500);
    assert_eq!(bench.tx_all(), [(6000, 500)]);
}

#[test]
fn fast_retransmit__partial_ack_means_another_hole() {
    let mut bench = flying(&config(), 6);
    lose_first(&mut bench);
    bench.tx_all();
    bench.ack(2000);
    assert_eq!(bench.tx_all(), [(2000, 1000)]);
    for _ in 0..5 {
        assert!(bench.ack(2000).events.is_empty(), "once per window");
    }
    assert_eq!(bench.ack(6000).acked, Bytes(4000));
    assert_eq!(bench.tx_all(), []);
}

#[test]
fn fast_retransmit__everything_if_the_peer_holds_nothing_beyond() {
    let mut bench = flying(&with_sack(), 6);
    for end in [2000, 2500, 3000] {
        bench.sack(0, 1000..end);
    }
    assert_eq!(bench.tx_all(), [(0, 1000)]);
    bench.ack(3000);
    assert_eq!(bench.tx_all(), [(3000, 1000), (4000, 1000), (5000, 1000)]);
}

#[test]
fn fast_retransmit__hole_as_reported() {
    let mut bench = flying(&with_sack(), 8);
    for end in [4000, 5000, 6000] {
        bench.sack(0, 3000..end);
    }
    assert_eq!(bench.tx_all(), [(0, 1000), (1000, 1000), (2000, 1000)]);
    bench.sack(6000, 7000..8000);
    assert_eq!(bench.tx_all(), [(6000, 1000)]);
    bench.ack(8000);
    assert_eq!(bench.tx_all(), []);
}

#[test]
fn fast_retransmit__at_the_first_report_of_three_segments() {
    let mut bench = flying(&with_sack(), 8);
    assert!(bench.sack(0, 1000..3000).events.is_empty());
    let mut bench = flying(&with_sack(), 8);
    assert_eq!(bench.sack(0, 1000..4000).events, Events::FAST_RETRANSMIT);
    assert_eq!(bench.tx_all(), [(0, 1000)]);
    bench.add(2000);
    bench.tx_all();
    assert_eq!(bench.sack(0, 1000..10_000).events, Events::FAST_RETRANSMIT);
    assert_eq!(
        bench.tx_all(),
        [(0, 1000)],
        "the retransmission is lost, too"
    );
}

#[test]
fn fast_retransmit__again_when_newer_data_overtake_the_retransmission() {
    let mut bench = flying(&with_sack(), 4);
    bench.add(4000);
    for end in [2000, 3000, 4000] {
        bench.sack(0, 1000..end);
    }
    let sent = bench.tx_all();
    assert_eq!(
        sent,
        [
            (0, 1000),
            (4000, 1000),
            (5000, 1000),
            (6000, 1000),
            (7000, 1000)
        ]
    );
    assert!(bench.sack(0, 1000..4000).events.is_empty(), "sent before");
    assert!(bench.sack(0, 1000..5000).events.is_empty());
    assert_eq!(bench.sack(0, 1000..6000).events, Events::FAST_RETRANSMIT);
    assert_eq!(bench.tx_all(), [(0, 1000)]);
}

#[test]
fn fast_retransmit__duplicates_let_new_data_out() {
    let mut config = with_sack();
    config.cwnd = Bytes(6000);
    let mut bench = Bench::new(&config);
    bench.add(12_000);
    assert_eq!(bench.tx_all().len(), 6);
    for end in [2000, 3000, 4000] {
        bench.sack(0, 1000..end);
    }
    bench.conn.pre.set_cwnd(Bytes(3000));
    assert_eq!(bench.tx_all(), [(0, 1000)]);
    bench.sack(0, 1000..5000);
    assert_eq!(bench.tx_all(), [(6000, 1000)]);
}

#[test]
fn fast_retransmit__an_old_hole_is_forgotten() {
    let mut bench = flying(&with_sack(), 8);
    bench.sack(0, 1000..2000);
    bench.ack(3000);
    for end in [5000, 6000, 7000] {
        bench.sack(3000, 4000..end);
    }
    assert_eq!(bench.tx_all(), [(3000, 1000)]);
}

#[test]
fn retransmit__fills_holes_only_once_the_peer_reports_them() {
    let mut bench = flying(&with_sack(), 8);
    bench.command(Command::RETRANSMIT);
    bench.conn.pre.set_cwnd(Bytes(1000));
    assert_eq!(bench.tx_all(), [(0, 1000)]);
    bench.sack(3000, 5000..6000);
    bench.conn.pre.set_cwnd(Bytes(2000));
    assert_eq!(bench.tx_all(), [(3000, 1000), (4000, 1000)]);
    bench.ack(6000);
    assert_eq!(bench.tx_all(), [(6000, 1000), (7000, 1000)]);
}

#[test]
fn dup_ack__not_with_data_nor_a_new_window_nor_nothing_in_flight() {
    let mut bench = flying(&config(), 6);
    for at in 0..4 {
        assert!(!bench.rx(segment(at * 10, 10)).flags.has(RxFlags::DUP_ACK));
    }
    for window in [5000, 6000, 7000, 8000] {
        let out = bench.rx(Summary {
            window,
            ..segment(40, 0)
        });
        assert!(!out.flags.has(RxFlags::DUP_ACK));
    }
    assert!(!Bench::new(&config()).ack(0).flags.has(RxFlags::DUP_ACK));
}

#[test]
fn dup_ack__with_sack_needs_a_block_but_not_the_same_window() {
    let mut bench = flying(&with_sack(), 6);
    assert!(!bench.ack(0).flags.has(RxFlags::DUP_ACK));
    let out = bench.sack(0, 1000..2000);
    assert!(out.flags.has(RxFlags::DUP_ACK));
    bench.ack(3000);
    let duplicate_report = bench.sack(3000, 1000..2000);
    assert!(!duplicate_report.flags.has(RxFlags::DUP_ACK));
}

#[test]
fn dup_ack__first_two_let_new_data_out() {
    let mut config = config();
    config.cwnd = Bytes(4000);
    let mut bench = Bench::new(&config);
    bench.add(10_000);
    assert_eq!(bench.tx_all().len(), 4);
    bench.ack(0);
    assert_eq!(bench.tx_all(), [(4000, 1000)]);
    bench.ack(0);
    assert_eq!(bench.tx_all(), [(5000, 1000)]);
}

#[test]
fn dup_ack__fewer_suffice_for_a_small_flight() {
    let mut bench = flying(&config(), 2);
    assert_eq!(bench.ack(0).events, Events::FAST_RETRANSMIT);
    let mut bench = flying(&config(), 3);
    assert!(bench.ack(0).events.is_empty());
    assert_eq!(bench.ack(0).events, Events::FAST_RETRANSMIT);
}

#[test]
fn rtt__one_segment_per_window_is_timed() {
    let mut bench = flying(&config(), 4);
    bench.pass(3);
    assert_eq!(bench.ack(1000).rtt, Some(Micros(3000)));
    assert_eq!(bench.ack(2000).rtt, None);
    bench.add(MSS);
    bench.tx_all();
    bench.pass(5);
    assert_eq!(bench.ack(5000).rtt, Some(Micros(5000)));
}

#[test]
fn rtt__not_of_what_was_sent_again() {
    let mut bench = flying(&config(), 2);
    bench.pass(300);
    bench.command(Command::RETRANSMIT);
    bench.tx_all();
    bench.pass(1);
    assert_eq!(bench.ack(2000).rtt, None);
}

#[test]
fn rtt__of_what_was_sent_again_by_timestamp() {
    let mut bench = flying(&with_timestamps(), 2);
    bench.pass(300);
    bench.command(Command::RETRANSMIT);
    let sent = bench.tx().unwrap().tcp.timestamps.unwrap().val;
    bench.pass(4);
    let seg = stamped(segment(0, 0), 2000, sent.0);
    let out = bench.rx(Summary {
        ack: OURS + Bytes(1000),
        ..seg
    });
    assert_eq!(out.rtt, Some(Micros(4000)));
}

#[test]
fn report__once_per_window_and_only_if_cwnd_matters() {
    let mut config = config();
    config.cwnd = Bytes(4000);
    let mut bench = Bench::new(&config);
    bench.add(12_000);
    assert_eq!(bench.tx_all().len(), 4);
    let mut reports = 0;
    for acked in (1000..=8000).step_by(1000) {
        let out = bench.ack(acked);
        reports += u32::from(out.flags.has(RxFlags::REPORT));
        assert_eq!(
            out.flags.has(RxFlags::REPORT),
            out.flags.has(RxFlags::CWND_LIMITED)
        );
        bench.tx_all();
    }
    assert_eq!(reports, 3);
    let mut idle = flying(&with_sack(), 1);
    assert!(!idle.ack(1000).flags.has(RxFlags::REPORT));
}
