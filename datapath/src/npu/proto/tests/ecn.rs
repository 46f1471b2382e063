// SPDX-License-Identifier: GPL-2.0

use crate::npu::config::{ConnectionConfig, EcnConfig};
use crate::npu::meta::{Command, Summary};
use crate::npu::proto::RxFlags;
use crate::npu::testing::*;
use crate::units::Bytes;
use crate::wire::tcp::Flags;

fn ecn(mode: EcnConfig) -> Bench {
    Bench::new(&ConnectionConfig {
        ecn: mode,
        ..config()
    })
}

fn marked(at: i32, len: u32) -> Summary {
    Summary {
        ce: true,
        ..segment(at, len)
    }
}

#[test]
fn classic__echo_latches_until_cwr() {
    let mut bench = ecn(EcnConfig::Classic);
    bench.rx(marked(0, MSS));
    let ack = bench.rx(segment(1000, MSS)).ack.unwrap();
    assert!(ack.tcp.flags.has(Flags::ECE));
    bench.rx(segment(2000, MSS));
    assert!(bench
        .rx(segment(3000, MSS))
        .ack
        .unwrap()
        .tcp
        .flags
        .has(Flags::ECE));
    bench.rx(Summary {
        flags: Flags::ACK | Flags::CWR,
        ..segment(4000, MSS)
    });
    assert!(!bench
        .rx(segment(5000, MSS))
        .ack
        .unwrap()
        .tcp
        .flags
        .has(Flags::ECE));
}

#[test]
fn accurate__echo_follows_marks_and_changes_are_acknowledged() {
    let mut bench = ecn(EcnConfig::Accurate);
    let ack = bench.rx(marked(0, 10)).ack.unwrap();
    assert!(ack.tcp.flags.has(Flags::ECE));
    assert!(bench.rx(marked(10, 10)).ack.is_none());
    let ack = bench.rx(segment(20, 10)).ack.unwrap();
    assert!(!ack.tcp.flags.has(Flags::ECE));
    assert!(bench.rx(segment(30, 10)).ack.is_none());
}

#[test]
fn off__marks_mean_nothing() {
    let mut bench = ecn(EcnConfig::Off);
    let out = bench.rx(marked(0, 2000));
    assert!(!out.ack.unwrap().tcp.flags.has(Flags::ECE));
    bench.add(10);
    assert!(!bench.tx().unwrap().tcp.ect);
}

#[test]
fn echo__counted_reported_and_answered_by_cwr_once_per_window() {
    let mut bench = ecn(EcnConfig::Classic);
    bench.add(6 * MSS);
    bench.tx_all();
    let echo = |bytes: u32| Summary {
        ack: OURS + Bytes(bytes),
        flags: Flags::ACK | Flags::ECE,
        ..segment(0, 0)
    };
    let out = bench.rx(echo(1000));
    assert_eq!(out.ecn, Bytes(1000));
    assert!(out.flags.has(RxFlags::REPORT));
    assert!(!bench.rx(echo(2000)).flags.has(RxFlags::REPORT));
    bench.add(2 * MSS);
    assert!(bench.tx().unwrap().tcp.flags.has(Flags::CWR));
    assert!(!bench.tx().unwrap().tcp.flags.has(Flags::CWR));
    assert!(
        bench.rx(echo(7000)).flags.has(RxFlags::REPORT),
        "the next window"
    );
}

#[test]
fn ect__on_new_data_only() {
    let mut bench = ecn(EcnConfig::Accurate);
    bench.add(10);
    assert!(bench.tx().unwrap().tcp.ect);
    bench.command(Command::RETRANSMIT);
    assert!(!bench.tx().unwrap().tcp.ect);
    assert!(!bench.command(Command::ACK_NOW).ack.unwrap().tcp.ect);
}
