// SPDX-License-Identifier: GPL-2.0

//! Connections: what is installed, read and recorded.

use super::queues::layout;
use zerocopy::{
    little_endian::{U16, U32, U64},
    FromBytes, Immutable, IntoBytes, KnownLayout,
};

layout! {
    /// `struct toe_tuple`.
    Tuple: 40 {
        local: [u8; 16],
        remote: [u8; 16],
        local_port: U16,
        remote_port: U16,
        vlan: U16,
        flags: u8,
        reserved: u8,
    }
}

/// Flag of a tuple: IPv6.
pub const TUPLE_IPV6: u8 = 1;
/// Flag of a tuple: frames carry a tag.
pub const TUPLE_VLAN: u8 = 2;
/// Flag of a path: frames carry a tag.
pub const PATH_VLAN: u8 = 1;

layout! {
    /// `struct toe_path`.
    Path: 24 {
        destination: [u8; 6],
        source: [u8; 6],
        vlan_tci: U16,
        flags: u8,
        ttl: u8,
        tos: u8,
        reserved: u8,
        mss: U16,
        reserved1: U32,
    }
}

/// Flags of connections.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod conn {
    pub const TIMESTAMPS: u32 = 1;
    pub const ECN: u32 = 2;
    pub const ACCURATE_ECN: u32 = 4;
    pub const SACK: u32 = 8;
    pub const NODELAY: u32 = 16;
    pub const CORK: u32 = 32;
    pub const FIN_QUEUED: u32 = 64;
    pub const FIN_ACKED: u32 = 128;
    pub const PEER_FIN: u32 = 256;
    pub const ALL: u32 = 511;
}

layout! {
    /// `struct toe_connection`.
    Connection: 192 {
        tuple: Tuple,
        path: Path,
        flags: U32,
        ts_offset: U32,
        ts_recent: U32,
        cwnd: U32,
        snd_una: U32,
        snd_nxt: U32,
        snd_max: U32,
        snd_wnd: U32,
        snd_max_wnd: U32,
        snd_wl1: U32,
        rcv_nxt: U32,
        rcv_wnd: U32,
        snd_scale: u8,
        rcv_scale: u8,
        rcv_mss: U16,
        quick_acks: u8,
        reserved0: [u8; 3],
        srtt: U32,
        rttvar: U32,
        rx_size: U32,
        rx_head: U32,
        rx_tail: U32,
        tx_size: U32,
        tx_head: U32,
        tx_tail: U32,
        rate: U64,
        cookie: U64,
        context: U16,
        control: U16,
        flow_group: U16,
        reserved1: [u8; 6],
        ack_delay: U32,
        reserved2: [u8; 8],
    }
}

layout! {
    /// `struct toe_install`.
    Install: 256 {
        connection: Connection,
        rx_pages: U64,
        tx_pages: U64,
        record: U64,
        rx_page_shift: u8,
        tx_page_shift: u8,
        reserved: [u8; 38],
    }
}

layout! {
    /// `struct toe_record_copy`.
    RecordCopy: 128 {
        begin: U32,
        flags: U32,
        ts_recent: U32,
        cwnd: U32,
        snd_una: U32,
        snd_nxt: U32,
        snd_max: U32,
        snd_wnd: U32,
        snd_max_wnd: U32,
        snd_wl1: U32,
        rcv_nxt: U32,
        rcv_wnd: U32,
        srtt: U32,
        rttvar: U32,
        rx_head: U32,
        rx_tail: U32,
        tx_head: U32,
        tx_tail: U32,
        rto_base: U64,
        ack_owed_at: U64,
        rx_segments: U64,
        rcv_mss: U16,
        quick_acks: u8,
        waits: u8,
        state: u8,
        reserved: [u8; 23],
        end: U32,
    }
}

/// Where the counters are in a record.
pub const RECORD_COUNTERS: u64 = 256;
/// Longest that acknowledgments may be delayed, in microseconds.
pub const MAX_ACK_DELAY: u32 = 500_000;

/// Bytes of a record.
pub const RECORD_LEN: u64 = 512;
/// Alignment of a record.
pub const RECORD_ALIGN: u64 = 128;

/// Values of a record's state.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod state {
    pub const LIVE: u8 = 2;
    pub const QUIESCED: u8 = 3;
}

/// What a connection may wait for.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod wait {
    pub const ACK_DELAYED: u8 = 1;
    pub const IN_FLIGHT: u8 = 2;
    pub const PERSIST: u8 = 4;
}

layout! {
    /// `struct toe_connection_counters`.
    Counters: 128 {
        values: [U64; 13],
        reserved: [U64; 3],
    }
}

layout! {
    /// `struct toe_connection_read`.
    ConnectionRead: 384 {
        connection: Connection,
        reserved: [u8; 64],
        counters: Counters,
    }
}

/// Indices of statistics.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod stat {
    pub const RX_FRAMES: usize = 0;
    pub const RX_BYTES: usize = 1;
    pub const TX_FRAMES: usize = 2;
    pub const TX_BYTES: usize = 3;
    pub const RX_NO_BUFFER: usize = 4;
    pub const RX_FILTERED: usize = 5;
    pub const RX_ERRORS: usize = 6;
    pub const TX_DROPPED: usize = 7;
    pub const CONNECTIONS: usize = 16;
    pub const INSTALLED: usize = 17;
    pub const HELD: usize = 18;
    pub const NOT_HELD: usize = 19;
    pub const PUNTS_LOST: usize = 20;
    pub const STALE_COMMANDS: usize = 21;
    pub const CONNECTIONS_STOPPED: usize = 22;
    pub const QUEUES_STOPPED: usize = 23;
    pub const KICKS: usize = 24;
    pub const INTERRUPTS: usize = 25;
    pub const COUNTERS: usize = 32;
    pub const DROPS: usize = 48;
    pub const PUNTS: usize = 64;
    pub const END: usize = 80;
}
