// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::npu::config::{ConnectionConfig, EcnConfig};
use crate::npu::meta::Command;
use crate::npu::meta::Summary;
use crate::npu::testing::{config, segment, Bench, MSS, OURS, RING};
use crate::units::StreamPos;
use crate::wire::tcp::Flags;

#[test]
fn rx__payload_place_in_the_ring() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(segment(0, RING));
    let work = rx(&mut bench.conn.post, &out);
    let (slice, offset) = work.write.unwrap();
    assert_eq!((slice.base, slice.pos, offset), (7, StreamPos(200), 40));
    let size = RING as usize;
    assert_eq!(slice.parts(), (200, size - 200, 200));
    let notification = work.notification;
    assert_eq!((notification.cookie, notification.context), (42, 3));
    assert_eq!(notification.rx_bytes, Bytes(RING));
}

#[test]
fn rx__nothing_to_tell() {
    let mut bench = Bench::new(&config());
    let out = bench.rx(segment(0, 0));
    assert!(rx(&mut bench.conn.post, &out).notification.is_empty());
}

#[test]
fn report__covers_what_was_acknowledged_since_the_last() {
    let mut bench = Bench::new(&config());
    bench.add(8 * MSS);
    bench.tx_all();
    let mut reports = std::vec::Vec::new();
    for acked in [1000, 1000, 1000, 1000, 8000] {
        let out = bench.ack(acked);
        bench.tx_all();
        reports.extend(rx(&mut bench.conn.post, &out).notification.report);
    }
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].acked, Bytes(1000));
    assert_eq!(
        (reports[0].fast_retransmits, reports[0].flight),
        (1, Bytes(7000))
    );
    assert_eq!(bench.conn.post.acked, Bytes(7000));
    let counters = bench.conn.post.counters();
    assert_eq!((counters.dup_acks, counters.fast_retransmits), (3, 1));
}

#[test]
fn rtt__rfc6298() {
    let mut bench = Bench::new(&config());
    let state = &mut bench.conn.post;
    state.sample_rtt(Micros(8000));
    assert_eq!((state.srtt, state.rttvar), (Micros(8000), Micros(4000)));
    state.sample_rtt(Micros(16000));
    assert_eq!((state.srtt, state.rttvar), (Micros(9000), Micros(5000)));
    assert_eq!(state.rtt, Micros(16000));
}

#[test]
fn counters__what_was_sent() {
    let mut bench = Bench::new(&config());
    bench.add(1500);
    for _ in 0..2 {
        while let Some(meta) = bench.tx() {
            tx(&mut bench.conn.post, &meta);
        }
        let out = bench.command(Command::RETRANSMIT);
        host_control(&mut bench.conn.post, &out);
    }
    let counters = bench.conn.post.counters();
    assert_eq!(
        (
            counters.tx_segments,
            counters.tx_bytes,
            counters.tx_retransmitted
        ),
        (4, 3000, 1500)
    );
    assert_eq!(counters.timeouts, 2);
}

#[test]
fn rx__updates_commute() {
    let mut bench = Bench::new(&config());
    bench.add(8 * MSS);
    bench.tx_all();
    let outs = [
        bench.rx(segment(0, 500)),
        bench.ack(1000),
        bench.rx(segment(2000, 700)),
        bench.rx(segment(0, 100)),
        bench.ack(3000),
        bench.rx(segment(500, 1500)),
    ];
    let run = |order: [usize; 6]| {
        let mut state = bench.conn.post;
        for n in order {
            rx(&mut state, &outs[n]);
        }
        (state.counters, state.acked, state.ecn)
    };
    assert_eq!(run([0, 1, 2, 3, 4, 5]), run([5, 3, 1, 4, 2, 0]));
}

#[test]
fn report__counts_marked_bytes() {
    let mut bench = Bench::new(&ConnectionConfig {
        ecn: EcnConfig::Accurate,
        ..config()
    });
    bench.add(3 * MSS);
    bench.tx_all();
    let echo = |bytes: u32, flags: Flags| Summary {
        ack: OURS + Bytes(bytes),
        flags,
        ..segment(0, 0)
    };
    let mut report = None;
    for (acked, flags) in [(1000, Flags::ACK | Flags::ECE), (3000, Flags::ACK)] {
        let out = bench.rx(echo(acked, flags));
        report = rx(&mut bench.conn.post, &out)
            .notification
            .report
            .or(report);
    }
    let report = report.unwrap();
    assert_eq!((report.acked, report.ecn), (Bytes(3000), Bytes(1000)));
}
