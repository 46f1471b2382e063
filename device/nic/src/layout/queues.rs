// SPDX-License-Identifier: GPL-2.0

//! Entries of rings, and what admin commands carry.

use zerocopy::{
    little_endian::{U16, U32, U64},
    FromBytes, Immutable, IntoBytes, KnownLayout,
};

macro_rules! layout {
    ($(#[$meta:meta])* $name:ident: $size:literal { $($field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[allow(missing_docs, reason = "Named and explained in the interface")]
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $(pub $field: $type,)+ }

        const _: () = assert!(size_of::<$name>() == $size);

        impl $name {
            /// Names and offsets of the fields.
            pub const FIELDS: &'static [(&'static str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field)),)+];

            /// All zero.
            pub fn zeroed() -> Self {
                <Self as zerocopy::FromZeros>::new_zeroed()
            }
        }
    };
}

pub(super) use layout;

layout! {
    /// `struct toe_queue_status`.
    QueueStatus: 64 {
        sq_head: U32,
        flags: U32,
        error: U32,
        error_index: U32,
        reserved: [u8; 48],
    }
}

/// The device doesn't look at the doorbell page.
pub const QUEUE_NEED_KICK: u32 = 1;
/// The queue stopped.
pub const QUEUE_STOPPED: u32 = 2;

layout! {
    /// `struct toe_admin_command`.
    AdminCommand: 64 {
        op: u8,
        flags: u8,
        id: U16,
        target: U32,
        input: U64,
        input_len: U32,
        output_len: U32,
        output: U64,
        arg: [U32; 8],
    }
}

/// Operations of the admin queue.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod admin {
    pub const NOP: u8 = 0x00;
    pub const SET_TIME: u8 = 0x01;
    pub const CREATE_CONTEXT: u8 = 0x02;
    pub const DESTROY_CONTEXT: u8 = 0x03;
    pub const CREATE_PAIR: u8 = 0x04;
    pub const DESTROY_PAIR: u8 = 0x05;
    pub const SET_MODERATION: u8 = 0x06;
    pub const SET_RSS: u8 = 0x07;
    pub const SET_RX_MODE: u8 = 0x08;
    pub const SET_MTU: u8 = 0x09;
    pub const GET_STATS: u8 = 0x0a;
    pub const SELF_TEST: u8 = 0x0b;
    pub const CLAIM: u8 = 0x10;
    pub const INSTALL: u8 = 0x11;
    pub const RELEASE: u8 = 0x12;
    pub const READ: u8 = 0x13;
    pub const QUIESCE: u8 = 0x14;
    pub const RESUME: u8 = 0x15;
    pub const REMOVE: u8 = 0x16;
    pub const EXECUTE: u8 = 0x17;
    pub const SET_NEIGHBOUR: u8 = 0x18;
    pub const CAPTURE: u8 = 0x20;
    pub const LOAD_PROGRAM: u8 = 0x21;
}

/// Flag of [`admin::REMOVE`].
pub const REMOVE_HOLD: u8 = 1;

/// Kinds of admin completions.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod kind {
    pub const DONE: u8 = 0;
    pub const LINK: u8 = 1;
    pub const QUEUE_STOPPED: u8 = 2;
}

layout! {
    /// `struct toe_admin_completion`.
    AdminCompletion: 32 {
        kind: u8,
        reserved0: u8,
        id: U16,
        status: U32,
        value: [U32; 4],
        reserved1: [u8; 7],
        phase: u8,
    }
}

layout! {
    /// `struct toe_context_setup`.
    ContextSetup: 64 {
        sq: U64,
        cq: U64,
        status: U64,
        sq_entries: U32,
        cq_entries: U32,
        vector: U16,
        flags: U16,
        moderation_usecs: U32,
        reserved: [u8; 24],
    }
}

/// Flag of a context.
pub const CONTEXT_PRIVILEGED: u16 = 1;

layout! {
    /// `struct toe_pair_setup`.
    PairSetup: 64 {
        sq: U64,
        rq: U64,
        cq: U64,
        status: U64,
        sq_entries: U32,
        rq_entries: U32,
        vector: U16,
        reserved0: U16,
        moderation_usecs: U32,
        reserved: [u8; 16],
    }
}

/// Entries of the RSS table.
pub const RSS_ENTRIES: usize = 128;
/// Bytes of the RSS key.
pub const RSS_KEY_LEN: usize = 40;

layout! {
    /// `struct toe_rss`.
    Rss: 320 {
        key: [u8; RSS_KEY_LEN],
        reserved: [u8; 24],
        pair: [U16; RSS_ENTRIES],
    }
}

/// Receive filter.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod rx_mode {
    pub const UNICAST: u32 = 1;
    pub const BROADCAST: u32 = 2;
    pub const ALL_MULTICAST: u32 = 4;
    pub const PROMISCUOUS: u32 = 8;
}

/// Most addresses of the receive filter.
pub const RX_MAX_ADDRESSES: u32 = 64;

layout! {
    /// `struct toe_neighbour`.
    Neighbour: 16 {
        old_mac: [u8; 6],
        new_mac: [u8; 6],
        reserved: U32,
    }
}

layout! {
    /// `struct toe_command`.
    Command: 32 {
        op: u8,
        flags: u8,
        reserved: U16,
        connection: U32,
        data: [u8; 24],
    }
}

/// Operations of contexts.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod command {
    pub const NOP: u8 = 0;
    pub const POST: u8 = 1;
    pub const SET_MODE: u8 = 2;
    pub const FENCE: u8 = 3;
    pub const SET_CWND: u8 = 16;
    pub const SET_RATE: u8 = 17;
    pub const SET_PATH: u8 = 18;
    pub const RESET: u8 = 19;
    pub const WATCH: u8 = 20;
}

/// Flags of [`command::POST`].
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod post {
    pub const FIN: u8 = 1;
    pub const RETRANSMIT: u8 = 2;
    pub const ACK_NOW: u8 = 4;
    pub const PROBE: u8 = 8;
    pub const KEEPALIVE: u8 = 16;
    pub const KICK: u8 = 32;
    pub const ALL: u8 = 63;
    pub const PRIVILEGED: u8 = RETRANSMIT | ACK_NOW | PROBE | KEEPALIVE;
}

layout! {
    /// `struct toe_notification`.
    Notification: 64 {
        cookie: U64,
        connection: U32,
        events: U16,
        kind: u8,
        waits: u8,
        rx_tail: U32,
        tx_head: U32,
        data: [u8; 36],
        reserved: [u8; 3],
        phase: u8,
    }
}

/// Kinds of notifications.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod notify {
    pub const DATA: u8 = 0;
    pub const PUNT: u8 = 1;
    pub const STOPPED: u8 = 2;
    pub const FENCE: u8 = 3;
}

/// Events of notifications, besides the data-path's own.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod event {
    pub const PEER_FIN: u16 = 1;
    pub const FIN_ACKED: u16 = 2;
    pub const FAST_RETRANSMIT: u16 = 4;
    pub const WINDOW_OPENED: u16 = 8;
    pub const REPORT: u16 = 0x4000;
    pub const CWND_LIMITED: u16 = 0x8000;
}

layout! {
    /// A congestion report in a notification.
    Report: 24 {
        acked: U32,
        ecn: U32,
        fast_retransmits: U32,
        flight: U32,
        srtt: U32,
        rtt: U32,
    }
}

layout! {
    /// A punted segment in a notification.
    Punt: 16 {
        rcv_nxt: U32,
        rcv_wnd: U32,
        seq: U32,
        flags: U16,
        reserved: U16,
    }
}

layout! {
    /// `struct toe_tx_descriptor`.
    TxDescriptor: 32 {
        addr: U64,
        len: U32,
        flags: U16,
        mss: U16,
        csum_start: U16,
        csum_offset: U16,
        header_len: U16,
        vlan_tci: U16,
        reserved: [u8; 8],
    }
}

/// Flags of transmit descriptors.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod tx {
    pub const END: u16 = 1;
    pub const CSUM: u16 = 2;
    pub const TSO: u16 = 4;
    pub const VLAN: u16 = 8;
    pub const ALL: u16 = 15;
    pub const MAX_DESCRIPTORS: u32 = 20;
    pub const MAX_FRAME: usize = 64 * 1024 + 256;
}

layout! {
    /// `struct toe_rx_buffer`.
    RxBuffer: 16 {
        addr: U64,
        len: U32,
        reserved: U32,
    }
}

layout! {
    /// `struct toe_rx_completion`.
    RxCompletion: 32 {
        len: U32,
        hash: U32,
        flags: U16,
        vlan_tci: U16,
        mss: U16,
        hash_kind: u8,
        reserved: [u8; 16],
        phase: u8,
    }
}

/// Flags of receive completions.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod rx {
    pub const END: u16 = 1;
    pub const CSUM_OK: u16 = 2;
    pub const CSUM_BAD: u16 = 4;
    pub const VLAN: u16 = 8;
}

/// Kinds of receive hashes.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod hash {
    pub const NONE: u8 = 0;
    pub const L3: u8 = 1;
    pub const L4: u8 = 2;
}
