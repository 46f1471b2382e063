// SPDX-License-Identifier: GPL-2.0

//! What the device interface fixes: uapi/toe_device.h in Rust, with its names.

mod connection;
mod queues;

pub use connection::*;
pub use queues::*;

/// PCI vendor.
pub const PCI_VENDOR: u16 = 0x1af4;
/// PCI device.
pub const PCI_DEVICE: u16 = 0x10f7;
/// PCI subsystem device; its vendor is [`PCI_VENDOR`].
pub const PCI_SUBSYSTEM: u16 = 1;
/// Bytes of a kick or doorbell page.
pub const PAGE_SIZE: u64 = 0x1000;
/// Where the MSI-X pending bits are in their BAR.
pub const MSIX_PBA_OFFSET: u32 = 0x800;
/// What the model speaks.
pub const VERSION: u32 = 1 << 16;
/// Value of [`reg::MAGIC`].
pub const MAGIC: u32 = 0x3045_4f54;
/// Instead of an interrupt vector.
pub const NO_VECTOR: u16 = 0xffff;
/// Least entries of a ring.
pub const MIN_ENTRIES: u32 = 16;
/// Least that a device may allow.
pub const MIN_MAX_ENTRIES: u32 = 64;

/// Offsets of registers.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod reg {
    pub const MAGIC: u64 = 0x000;
    pub const VERSION: u64 = 0x004;
    pub const VERSION_OLDEST: u64 = 0x008;
    pub const VERSION_USED: u64 = 0x00c;
    pub const FEATURES_LO: u64 = 0x010;
    pub const FEATURES_HI: u64 = 0x014;
    pub const FEATURES_USED_LO: u64 = 0x018;
    pub const FEATURES_USED_HI: u64 = 0x01c;
    pub const CONTROL: u64 = 0x020;
    pub const STATUS: u64 = 0x024;
    pub const ERROR: u64 = 0x028;
    pub const ERROR_INFO: u64 = 0x02c;
    pub const MAX_CONTEXTS: u64 = 0x030;
    pub const MAX_QUEUE_PAIRS: u64 = 0x034;
    pub const MAX_CONNECTIONS: u64 = 0x038;
    pub const MAX_ENTRIES: u64 = 0x03c;
    pub const VECTORS: u64 = 0x040;
    pub const MAX_MTU: u64 = 0x044;
    pub const MAX_TSO: u64 = 0x048;
    pub const LINK_SPEED: u64 = 0x04c;
    pub const MAC_LO: u64 = 0x050;
    pub const MAC_HI: u64 = 0x054;
    pub const TIME_LO: u64 = 0x058;
    pub const TIME_HI: u64 = 0x05c;
    pub const ADMIN_SQ_LO: u64 = 0x060;
    pub const ADMIN_SQ_HI: u64 = 0x064;
    pub const ADMIN_CQ_LO: u64 = 0x068;
    pub const ADMIN_CQ_HI: u64 = 0x06c;
    pub const ADMIN_STATUS_LO: u64 = 0x070;
    pub const ADMIN_STATUS_HI: u64 = 0x074;
    pub const ADMIN_SQ_ENTRIES: u64 = 0x078;
    pub const ADMIN_CQ_ENTRIES: u64 = 0x07c;
    pub const ADMIN_VECTOR: u64 = 0x080;
    /// In a kick page.
    pub const KICK: u64 = 0x000;
}

/// Bits of `CONTROL`.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod control {
    pub const ENABLE: u32 = 1;
    pub const RESET: u32 = 2;
}

/// Bits of `STATUS`.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod status {
    pub const READY: u32 = 1;
    pub const FAILED: u32 = 2;
    pub const RESETTING: u32 = 4;
    pub const LINK: u32 = 8;
}

/// Feature bits.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod feature {
    pub const NPU: u64 = 1;
    pub const RMT: u64 = 1 << 1;
    pub const IPV6: u64 = 1 << 2;
    pub const SACK: u64 = 1 << 3;
    pub const ECN: u64 = 1 << 4;
    pub const VLAN: u64 = 1 << 5;
    pub const RATE: u64 = 1 << 6;
    pub const USER_CONTEXTS: u64 = 1 << 7;
    pub const XDP: u64 = 1 << 8;
    pub const CAPTURE: u64 = 1 << 9;
    pub const RX_CSUM: u64 = 1 << 16;
    pub const TX_CSUM: u64 = 1 << 17;
    pub const TSO: u64 = 1 << 18;
    pub const LRO: u64 = 1 << 19;
    pub const RSS: u64 = 1 << 20;
    pub const VLAN_OFFLOAD: u64 = 1 << 21;
    pub const RX_FILTER: u64 = 1 << 22;
}

/// Offsets in a doorbell page.
#[allow(missing_docs, reason = "Named and explained in the interface")]
pub mod doorbell {
    pub const SQ_TAIL: u64 = 0;
    pub const SQ_ARM: u64 = 4;
    pub const CQ_HEAD: u64 = 64;
    pub const CQ_ARM: u64 = 68;
    pub const RQ_TAIL: u64 = 128;
}

/// Why the device, a queue or a connection stopped.
#[allow(missing_docs, reason = "Named and explained in the interface")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    Version = 1,
    Features = 2,
    AdminQueue = 3,
    Internal = 4,
    Tail = 16,
    Head = 17,
    Address = 18,
    Entry = 19,
    Length = 20,
    Permission = 21,
    TxOverflow = 32,
    RxUnderflow = 33,
    AfterFin = 34,
    Path = 35,
    Buffer = 36,
    Context = 37,
}

/// What became of an admin command.
#[allow(missing_docs, reason = "Named and explained in the interface")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    BadOp = 1,
    BadArgument = 2,
    BadAddress = 3,
    NotFound = 4,
    WrongState = 5,
    TableFull = 6,
    InUse = 7,
    NoMemory = 8,
    Unsupported = 9,
    TestFailed = 10,
    ConfigMss = 16,
    ConfigRingSize = 17,
    ConfigRingFill = 18,
    ConfigSendSequence = 19,
    ConfigReceiveWindow = 20,
    ConfigField = 21,
}
