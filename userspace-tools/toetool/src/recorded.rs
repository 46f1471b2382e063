// SPDX-License-Identifier: GPL-2.0
//! Answers recorded from toe.ko: a device on lo that carries one connection, both of whose ends are here, and then,
//! with `net.toe.enabled` 0, one over IPv6 from a program that listens for it.

use crate::{
    model::{Connection, Device, Stats},
    netlink::{take, ToeMessage},
    uapi::{ConnPath, ConnState, CounterGroup, Datapath, DevKind},
};
use netlink_packet_generic::GenlMessage;

/// The attributes of each message of a dump recorded in hexadecimal.
fn answers(recorded: &str) -> Vec<Vec<u8>> {
    let digits: Vec<_> = recorded.chars().filter_map(|c| c.to_digit(16)).collect();
    let bytes: Vec<_> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    let mut messages: Vec<GenlMessage<ToeMessage>> = Vec::new();
    assert!(take(&bytes, 1, &mut messages).unwrap(), "the end is missing");
    messages.into_iter().map(|message| message.payload.attrs).collect()
}

fn devices() -> Vec<Device> {
    answers(include_str!("../recorded/dev.hex")).iter().map(|attrs| Device::decode(attrs).unwrap()).collect()
}

fn connections() -> Vec<Connection> {
    let decode = |attrs: &Vec<u8>| Connection::decode(attrs, &devices()).unwrap();
    answers(include_str!("../recorded/conn.hex")).iter().map(decode).collect()
}

#[test]
fn dev__of_a_kernel() {
    let expected = Device {
        ifindex: 1,
        ifname: "lo".to_string(),
        kind: DevKind::Soft,
        datapath: Datapath::Npu,
        connections: 2,
        max_connections: Some(1 << 20),
    };
    assert_eq!(devices(), [expected]);
}

#[test]
fn conn__of_a_kernel() {
    let all = connections();
    let shown: Vec<_> = all.iter().map(|c| (c.state, c.path, c.local_port, c.carrier())).collect();
    let listening = |port| (ConnState::Listen, ConnPath::Pending, Some(port), "kernel".to_string());
    assert_eq!(shown[0], listening(5555));
    assert!(shown.contains(&listening(5556)));

    let offloaded: Vec<_> = all.iter().filter(|c| c.path == ConnPath::Offloaded).collect();
    let server = offloaded.iter().find(|c| c.local_port == Some(5555)).unwrap();
    let client = offloaded.iter().find(|c| c.remote_port == Some(5555)).unwrap();
    assert_eq!((server.local(), server.remote()), (client.remote(), client.local()));
    assert_eq!((server.counter("rx_bytes"), client.counter("tx_bytes")), (Some(2), Some(2)));
    assert_eq!(server.carrier(), "lo");
    assert_eq!(server.congestion.as_deref(), Some("reno"));

    let fallback = all.iter().find(|c| c.path == ConnPath::Fallback).unwrap();
    assert_eq!(fallback.carrier(), "kernel: disabled");
    assert_eq!(fallback.remote().to_string(), "[::1]:5556");
}

#[test]
fn stats__of_a_kernel() {
    let decode = |attrs: &Vec<u8>| Stats::decode(attrs, &devices()).unwrap();
    let all: Vec<_> = answers(include_str!("../recorded/stats.hex")).iter().map(decode).collect();
    assert_eq!(all[0].ifindex, None);
    assert_eq!(all[0].counters[&CounterGroup::Fallback]["disabled"], 1);
    let of_lo = all.iter().filter(|stats| stats.ifname.as_deref() == Some("lo"));
    let events: Vec<_> = of_lo.filter_map(|stats| stats.counters.get(&CounterGroup::Event)).collect();
    assert_eq!(events[0]["rx-bytes"], 2);
    assert_eq!(events[0]["offloaded"], 2);
}
