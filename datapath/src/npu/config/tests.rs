// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::npu::testing::config;
use crate::npu::Connection;

type Change<'a> = &'a dyn Fn(&mut ConnectionConfig);

fn check(change: impl FnOnce(&mut ConnectionConfig)) -> Result<ConnectionConfig, ConfigError> {
    let mut config = config();
    change(&mut config);
    Connection::<4>::new(&config, Micros(0)).map(|conn| conn.config())
}

#[test]
fn check__refuses_with_reason() {
    let refused: [(Change<'_>, ConfigError); 12] = [
        (&|c| c.path.mss = 0, ConfigError::Mss),
        (&|c| c.path.mss = u16::MAX, ConfigError::Mss),
        (&|c| c.rx.size = 4095, ConfigError::RingSize),
        (&|c| c.rx.size = 2048, ConfigError::RingSize),
        (&|c| c.tx.size = 32 << 20, ConfigError::RingSize),
        (&|c| c.tx.size = 0, ConfigError::RingSize),
        (
            &|c| c.tx.tail = c.tx.head + Bytes(c.tx.size + 1),
            ConfigError::RingFill,
        ),
        (&|c| c.rx.head = c.rx.tail + Bytes(1), ConfigError::RingFill),
        (
            &|c| c.send.max = c.send.una + Bytes(1),
            ConfigError::SendSequence,
        ),
        (
            &|c| c.send.nxt = c.send.una - Bytes(1),
            ConfigError::SendSequence,
        ),
        (
            &|c| {
                c.send.fin = Fin::Acked;
                c.tx.tail = c.tx.head + Bytes(1);
            },
            ConfigError::SendSequence,
        ),
        (
            &|c| c.receive.wnd = Bytes(65536),
            ConfigError::ReceiveWindow,
        ),
    ];
    for (n, (change, reason)) in refused.into_iter().enumerate() {
        assert_eq!(check(change), Err(reason), "case {n}");
    }
}

#[test]
fn config__round_trip() {
    let changes: [Change<'_>; 5] = [
        &|_| {},
        &|c| {
            c.tx.tail = c.tx.head + Bytes(500);
            c.send.nxt = c.send.una + Bytes(100);
            c.send.max = c.send.una + Bytes(501);
            c.send.fin = Fin::Queued;
        },
        &|c| c.send.fin = Fin::Acked,
        &|c| {
            c.rx.tail = c.rx.head + Bytes(c.rx.size);
            c.receive.wnd = Bytes(0);
            c.receive.fin = true;
        },
        &|c| {
            c.timestamps = Some(TimestampConfig {
                offset: 9,
                recent: TsVal(8),
            });
            c.ecn = EcnConfig::Accurate;
            c.sack = true;
            c.cork = true;
            c.quick_acks = 3;
            c.rtt = RttConfig {
                srtt: Micros(7),
                rttvar: Micros(6),
            };
        },
    ];
    for change in changes {
        let mut expected = config();
        change(&mut expected);
        assert_eq!(check(change), Ok(expected));
    }
}

#[test]
fn config__window_beyond_the_ring_is_cut() {
    let read_back = check(|c| c.receive.wnd = Bytes(65535)).unwrap();
    assert_eq!(read_back.receive.wnd, Bytes(read_back.rx.size));
}

#[test]
fn path__changes() {
    let mut conn = Connection::<4>::new(&config(), Micros(0)).unwrap();
    let mut path = *conn.pre.path();
    path.mss = 500;
    path.tx_max = u32::MAX;
    conn.pre.set_path(path).unwrap();
    assert_eq!(conn.pre.params().mss, Bytes(500));
    assert_eq!(conn.pre.params().tx_max, MAX_TX);
    path.mss = 0;
    assert_eq!(conn.pre.set_path(path), Err(ConfigError::Mss));
    assert_eq!(conn.pre.params().mss, Bytes(500));
}
