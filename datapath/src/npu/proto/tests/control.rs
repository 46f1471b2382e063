// SPDX-License-Identifier: GPL-2.0

use crate::npu::meta::{Command, HostControl, HostControlError, Summary};
use crate::npu::proto;
use crate::npu::testing::*;
use crate::units::Bytes;

fn freed(bytes: u32) -> HostControl {
    HostControl {
        rx_freed: Bytes(bytes),
        ..HostControl::default()
    }
}

fn refused(bench: &mut Bench, request: HostControl) -> HostControlError {
    let (params, before) = (bench.params(), bench.conn.config());
    let out = proto::host_control(&mut bench.conn.proto, &params, &request, bench.now);
    assert_eq!(bench.conn.config(), before, "nothing of it was executed");
    out.unwrap_err()
}

#[test]
fn hc__counts_are_checked() {
    let mut bench = Bench::new(&config());
    let added = |bytes: u32| HostControl {
        tx_added: Bytes(bytes),
        ..HostControl::default()
    };
    assert_eq!(
        refused(&mut bench, added(RING + 1)),
        HostControlError::TxOverflow
    );
    assert_eq!(
        refused(&mut bench, added(u32::MAX)),
        HostControlError::TxOverflow
    );
    bench.hc(added(RING));
    assert_eq!(refused(&mut bench, added(1)), HostControlError::TxOverflow);
    assert_eq!(refused(&mut bench, freed(1)), HostControlError::RxUnderflow);
    bench.rx(segment(0, 10));
    assert_eq!(
        refused(&mut bench, freed(11)),
        HostControlError::RxUnderflow
    );
    bench.hc(freed(10));
    bench.command(Command::FIN);
    assert_eq!(refused(&mut bench, added(1)), HostControlError::AfterFin);
}

#[test]
fn hc__window_update_only_when_the_peer_may_wait_for_it() {
    let mut bench = Bench::new(&config());
    bench.rx(segment(0, RING));
    assert!(bench.hc(freed(MSS - 1)).ack.is_none(), "silly");
    let ack = bench.hc(freed(1)).ack.unwrap();
    assert_eq!(u32::from(ack.tcp.window), MSS);
    assert!(bench.hc(freed(MSS - 1)).ack.is_none());
    assert_eq!(
        u32::from(bench.hc(freed(1)).ack.unwrap().tcp.window),
        2 * MSS
    );
    assert!(
        bench.hc(freed(MSS)).ack.is_none(),
        "not even twice what it has"
    );
}

#[test]
fn hc__window_does_not_shrink() {
    let mut bench = Bench::new(&config());
    let mut edge = THEIRS;
    for at in 0..100 {
        bench.rx(segment(at * 100, 100));
        bench.hc(freed(if at % 2 == 0 { 10 } else { 50 }));
        let ack = bench.command(Command::ACK_NOW).ack.unwrap();
        let offered = ack.tcp.ack + Bytes(u32::from(ack.tcp.window));
        assert!(!offered.before(edge));
        edge = offered;
    }
}

#[test]
fn retransmit__goes_back() {
    let mut bench = Bench::new(&config());
    bench.add(3000);
    bench.tx_all();
    bench.pass(200);
    assert!(bench.command(Command::RETRANSMIT).timeout);
    assert_eq!(bench.conn.proto.timers().retransmit, None);
    let first = bench.tx().unwrap();
    assert_eq!((first.tcp.seq, first.retransmitted), (OURS, Bytes(1000)));
    assert_eq!(bench.conn.proto.timers().retransmit, Some(bench.now));
    assert_eq!(bench.tx_all(), [(1000, 1000), (2000, 1000)]);
}

#[test]
fn retransmit__nothing_in_flight() {
    let mut bench = Bench::new(&config());
    assert!(!bench.command(Command::RETRANSMIT).timeout);
}

#[test]
fn probe__zero_window_is_probed_without_data() {
    let mut bench = Bench::new(&config());
    bench.rx(Summary {
        window: 0,
        ..segment(0, 0)
    });
    bench.add(10);
    assert!(bench.conn.proto.timers().persist);
    let probe = bench.command(Command::PROBE).ack.unwrap();
    assert_eq!(probe.tcp.seq.since(OURS), -1);
    assert_eq!(bench.tx_all(), []);
}

#[test]
fn probe__small_window_is_used() {
    let mut bench = Bench::new(&config());
    bench.rx(Summary {
        window: 5,
        ..segment(0, 0)
    });
    bench.add(10);
    assert_eq!(bench.tx_all(), []);
    assert!(bench.command(Command::PROBE).ack.is_none());
    assert_eq!(bench.tx_all(), [(0, 5)]);
}

#[test]
fn keepalive__is_unacceptable_on_purpose() {
    let mut bench = Bench::new(&config());
    let probe = bench.command(Command::KEEPALIVE).ack.unwrap();
    assert_eq!(probe.tcp.seq.since(OURS), -1);
}

#[test]
fn ack_now__settles_what_is_owed() {
    let mut bench = Bench::new(&config());
    bench.rx(segment(0, 10));
    let ack = bench.command(Command::ACK_NOW).ack.unwrap();
    assert_eq!(ack.tcp.ack.since(THEIRS), 10);
    assert_eq!(bench.conn.proto.timers().delayed_ack, None);
}

#[test]
fn window__not_more_than_the_header_can_say() {
    let mut config = config();
    config.rx.size = 256 << 10;
    let mut bench = Bench::new(&config);
    let ack = bench.command(Command::ACK_NOW).ack.unwrap();
    assert_eq!(ack.tcp.window, u16::MAX);
    assert_eq!(bench.conn.config().receive.wnd, Bytes(65535));
}
