// SPDX-License-Identifier: GPL-2.0
//! Connections' state, between the data-path's and the NIC's form.

use crate::{driver::device::DELAYED_ACK, net::device_abi as abi};
use datapath::{
    npu::{
        config::{
            EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig, TimestampConfig,
        },
        state::ConnectionCounters,
        ConnectionConfig,
    },
    units::{Bytes, Micros, SeqNum, StreamPos, TsVal},
    wire::{ethernet::Link, Addresses, FourTuple},
};

/// The VLAN identifier in a tag.
const VLAN_ID: u16 = 0x0fff;

/// What the NIC knows a connection by.
pub(super) fn tuple(tuple: &FourTuple) -> abi::Tuple {
    let mut out = abi::Tuple {
        local_port: tuple.local_port,
        remote_port: tuple.remote_port,
        ..abi::Tuple::default()
    };
    match tuple.addresses {
        Addresses::V4 { local, remote } => {
            out.local[..4].copy_from_slice(&local);
            out.remote[..4].copy_from_slice(&remote);
        }
        Addresses::V6 { local, remote } => {
            out.local = local;
            out.remote = remote;
            out.flags = abi::TUPLE_IPV6;
        }
    }
    out
}

/// A path; `None` if its link layer isn't Ethernet.
pub(super) fn path(path: &Path) -> Option<abi::Path> {
    let Link::Ethernet {
        destination,
        source,
        vlan,
    } = path.link
    else {
        return None;
    };
    Some(abi::Path {
        destination,
        source,
        vlan_tci: vlan.unwrap_or(0),
        flags: if vlan.is_some() { abi::PATH_VLAN } else { 0 },
        ttl: path.ttl,
        tos: path.tos,
        mss: path.mss,
        ..abi::Path::default()
    })
}

/// The full state, of a connection that `cookie` is the name of; `None` if the path's link layer isn't Ethernet.
pub(super) fn state(
    config: &ConnectionConfig,
    cookie: u64,
    context: u16,
) -> Option<abi::ConnectionState> {
    let mut flags = 0;
    for (on, flag) in [
        (config.timestamps.is_some(), abi::CONN_TIMESTAMPS),
        (config.ecn != EcnConfig::Off, abi::CONN_ECN),
        (config.ecn == EcnConfig::Accurate, abi::CONN_ACCURATE_ECN),
        (config.sack, abi::CONN_SACK),
        (config.nodelay, abi::CONN_NODELAY),
        (config.cork, abi::CONN_CORK),
        (config.send.fin != Fin::Open, abi::CONN_FIN_QUEUED),
        (config.send.fin == Fin::Acked, abi::CONN_FIN_ACKED),
        (config.receive.fin, abi::CONN_PEER_FIN),
    ] {
        if on {
            flags |= flag;
        }
    }
    let mut tuple = tuple(&config.tuple);
    let path = path(&config.path)?;
    if path.flags & abi::PATH_VLAN != 0 {
        tuple.flags |= abi::TUPLE_VLAN;
        tuple.vlan = path.vlan_tci & VLAN_ID;
    }
    let timestamps = config.timestamps;
    Some(abi::ConnectionState {
        tuple,
        path,
        flags,
        ts_offset: timestamps.map_or(0, |ts| ts.offset),
        ts_recent: timestamps.map_or(0, |ts| ts.recent.0),
        cwnd: config.cwnd.0,
        snd_una: config.send.una.get(),
        snd_nxt: config.send.nxt.get(),
        snd_max: config.send.max.get(),
        snd_wnd: config.send.wnd.0,
        snd_max_wnd: config.send.max_wnd.0,
        snd_wl1: config.send.wl1.get(),
        rcv_nxt: config.receive.nxt.get(),
        rcv_wnd: config.receive.wnd.0,
        snd_scale: config.send.scale.shift(),
        rcv_scale: config.receive.scale.shift(),
        rcv_mss: config.receive.mss,
        quick_acks: config.quick_acks,
        srtt: config.rtt.srtt.0 as u32,
        rttvar: config.rtt.rttvar.0 as u32,
        rx_size: config.rx.size,
        rx_head: config.rx.head.0,
        rx_tail: config.rx.tail.0,
        tx_size: config.tx.size,
        tx_head: config.tx.head.0,
        tx_tail: config.tx.tail.0,
        cookie,
        context,
        control: context,
        flow_group: config.flow_group,
        ack_delay: DELAYED_ACK.0 as u32,
        ..abi::ConnectionState::default()
    })
}

fn fin(flags: u32) -> Fin {
    if flags & abi::CONN_FIN_ACKED != 0 {
        Fin::Acked
    } else if flags & abi::CONN_FIN_QUEUED != 0 {
        Fin::Queued
    } else {
        Fin::Open
    }
}

fn ring(base: &Ring, head: u32, tail: u32) -> Ring {
    Ring {
        head: StreamPos(head),
        tail: StreamPos(tail),
        ..*base
    }
}

/// `base` with what a full state of the same connection says of what changes.
pub(super) fn with_state(
    base: &ConnectionConfig,
    state: &abi::ConnectionState,
) -> ConnectionConfig {
    ConnectionConfig {
        timestamps: base.timestamps.map(|ts| TimestampConfig {
            recent: TsVal(state.ts_recent),
            ..ts
        }),
        quick_acks: state.quick_acks,
        cwnd: Bytes(state.cwnd),
        nodelay: state.flags & abi::CONN_NODELAY != 0,
        cork: state.flags & abi::CONN_CORK != 0,
        send: SendConfig {
            una: SeqNum::new(state.snd_una),
            nxt: SeqNum::new(state.snd_nxt),
            max: SeqNum::new(state.snd_max),
            wnd: Bytes(state.snd_wnd),
            max_wnd: Bytes(state.snd_max_wnd),
            wl1: SeqNum::new(state.snd_wl1),
            fin: fin(state.flags),
            ..base.send
        },
        receive: ReceiveConfig {
            nxt: SeqNum::new(state.rcv_nxt),
            wnd: Bytes(state.rcv_wnd),
            mss: state.rcv_mss,
            fin: state.flags & abi::CONN_PEER_FIN != 0,
            ..base.receive
        },
        rx: ring(&base.rx, state.rx_head, state.rx_tail),
        tx: ring(&base.tx, state.tx_head, state.tx_tail),
        rtt: RttConfig {
            srtt: Micros(u64::from(state.srtt)),
            rttvar: Micros(u64::from(state.rttvar)),
        },
        ..*base
    }
}

/// The state that a record says its connection is in, as far as it does.
pub(super) fn recorded(record: &abi::RecordCopy) -> abi::ConnectionState {
    abi::ConnectionState {
        flags: record.flags,
        ts_recent: record.ts_recent,
        cwnd: record.cwnd,
        snd_una: record.snd_una,
        snd_nxt: record.snd_nxt,
        snd_max: record.snd_max,
        snd_wnd: record.snd_wnd,
        snd_max_wnd: record.snd_max_wnd,
        snd_wl1: record.snd_wl1,
        rcv_nxt: record.rcv_nxt,
        rcv_wnd: record.rcv_wnd,
        rcv_mss: record.rcv_mss,
        quick_acks: record.quick_acks,
        srtt: record.srtt,
        rttvar: record.rttvar,
        rx_head: record.rx_head,
        rx_tail: record.rx_tail,
        tx_head: record.tx_head,
        tx_tail: record.tx_tail,
        ..abi::ConnectionState::default()
    }
}

/// `base` with what a record of the same connection says of what changes.
pub(super) fn with_record(base: &ConnectionConfig, record: &abi::RecordCopy) -> ConnectionConfig {
    ConnectionConfig {
        nodelay: base.nodelay,
        cork: base.cork,
        ..with_state(base, &recorded(record))
    }
}

/// A connection's counts.
pub(super) fn counters(counters: &abi::Counters) -> ConnectionCounters {
    ConnectionCounters {
        rx_segments: counters.rx_segments,
        rx_bytes: counters.rx_bytes,
        rx_out_of_order: counters.rx_out_of_order,
        rx_discarded: counters.rx_discarded_bytes,
        rx_dropped: counters.rx_dropped,
        dup_acks: counters.rx_dup_acks,
        ce_segments: counters.rx_ce_segments,
        tx_segments: counters.tx_segments,
        tx_bytes: counters.tx_bytes,
        tx_retransmitted: counters.tx_retransmitted_bytes,
        tx_acks: counters.tx_acks,
        fast_retransmits: counters.fast_retransmits,
        timeouts: counters.timeouts,
    }
}
