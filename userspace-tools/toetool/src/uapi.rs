// SPDX-License-Identifier: GPL-2.0
//! The numbers of `uapi/toe_netlink.h`; a test holds them against that header.

use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};
use std::fmt;

/// Name of the generic netlink family.
pub const FAMILY_NAME: &str = "toe";

/// Version of the family's protocol.
pub const FAMILY_VERSION: u8 = 1;

/// Declares the numbers of one C enum as constants of a module.
macro_rules! numbers {
    ($(#[$doc:meta])* $module:ident: $type:ty, $prefix:literal, { $($name:ident = $value:literal,)* }) => {
        $(#[$doc])*
        // The list is whole, whether or not the tool needs each.
        #[allow(missing_docs, dead_code)]
        pub mod $module {
            $(pub const $name: $type = $value;)*

            /// Every constant as the header calls it, with its value.
            #[cfg(test)]
            pub const ALL: &[(&str, u32)] = &[$((concat!($prefix, stringify!($name)), $value),)*];
        }
    };
}

numbers! {
    /// Commands (`TOE_CMD_*`).
    cmd: u8, "TOE_CMD_", {
        DEV_ADD = 1,
        DEV_DEL = 2,
        DEV_GET = 3,
        CONN_GET = 4,
        STATS_GET = 5,
    }
}

numbers! {
    /// Attributes of a device (`TOE_A_DEV_*`).
    dev: u16, "TOE_A_DEV_", {
        IFINDEX = 1,
        IFNAME = 2,
        KIND = 3,
        DATAPATH = 4,
        CONNECTIONS = 5,
        MAX_CONNECTIONS = 6,
        FORCE = 7,
    }
}

numbers! {
    /// Attributes of a connection (`TOE_A_CONN_*`).
    conn: u16, "TOE_A_CONN_", {
        COOKIE = 1,
        FAMILY = 2,
        LOCAL_ADDR = 3,
        LOCAL_PORT = 4,
        REMOTE_ADDR = 5,
        REMOTE_PORT = 6,
        STATE = 7,
        PATH = 8,
        IFINDEX = 9,
        FALLBACK_REASON = 10,
        UID = 11,
        INODE = 12,
        RX_BYTES = 13,
        TX_BYTES = 14,
        RX_SEGS = 15,
        TX_SEGS = 16,
        RETRANSMITS = 17,
        TIMEOUTS = 18,
        RX_DUP_ACKS = 19,
        RX_OOO_SEGS = 20,
        MSS = 21,
        CWND = 22,
        SSTHRESH = 23,
        SRTT_US = 24,
        RTO_US = 25,
        SND_WND = 26,
        RCV_WND = 27,
        RX_BUF_SIZE = 28,
        RX_BUF_USED = 29,
        TX_BUF_SIZE = 30,
        TX_BUF_USED = 31,
        CONGESTION = 32,
        ACCEPT_QUEUE = 33,
        BACKLOG = 34,
    }
}

numbers! {
    /// Attributes of a set of counters (`TOE_A_STATS_*`).
    stats: u16, "TOE_A_STATS_", {
        IFINDEX = 1,
        COUNTER = 2,
    }
}

numbers! {
    /// Attributes of one counter (`TOE_A_COUNTER_*`).
    counter: u16, "TOE_A_COUNTER_", {
        NAME = 1,
        GROUP = 2,
        VALUE = 3,
    }
}

/// Declares an enum that travels as a `u32` and is shown by name.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $prefix:literal, { $($(#[$vdoc:meta])* $variant:ident = $value:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$vdoc])* $variant,)*
            /// A value that this version of the tool has no name for.
            Unknown(u32),
        }

        impl $type {
            /// Every value that has a name.
            pub const NAMED: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as in the netlink spec.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// The header's prefix of these values.
            #[cfg(test)]
            pub const PREFIX: &'static str = $prefix;
        }

        impl From<$type> for u32 {
            fn from(value: $type) -> Self {
                match value {
                    $($type::$variant => $value,)*
                    $type::Unknown(number) => number,
                }
            }
        }

        impl From<u32> for $type {
            fn from(number: u32) -> Self {
                match number {
                    $($value => Self::$variant,)*
                    _ => Self::Unknown(number),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Unknown(number) => write!(f, "unknown-{number}"),
                    named => f.pad(named.name()),
                }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl clap::ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                Self::NAMED
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(PossibleValue::new(self.name()))
            }
        }
    };
}

named! {
    /// Who runs the data-path.
    DevKind, "TOE_DEV_KIND_", {
        /// The kernel, over any netdev.
        Soft = 0, "soft";
        /// A NIC, whose netdev it is.
        Pci = 1, "pci";
    }
}

named! {
    /// Which data-path a device runs.
    Datapath, "TOE_DATAPATH_", {
        /// The data-parallel pipeline.
        Npu = 0, "npu";
    }
}

named! {
    /// State of a connection (RFC 9293, section 3.3.2).
    ConnState, "TOE_CONN_STATE_", {
        /// Both ways open.
        Established = 1, "established";
        /// Connecting.
        SynSent = 2, "syn-sent";
        /// Being connected to.
        SynReceived = 3, "syn-received";
        /// Our side closed, that not yet acknowledged.
        FinWait1 = 4, "fin-wait-1";
        /// Our side closed.
        FinWait2 = 5, "fin-wait-2";
        /// Both closed, waiting for stray segments to die.
        TimeWait = 6, "time-wait";
        /// Not connected, or no more.
        Closed = 7, "closed";
        /// The peer's side closed.
        CloseWait = 8, "close-wait";
        /// The peer's side closed first, then ours, that not yet acknowledged.
        LastAck = 9, "last-ack";
        /// Waiting for connections.
        Listen = 10, "listen";
        /// Both sides closed at once.
        Closing = 11, "closing";
    }
}

named! {
    /// Who carries a connection's segments.
    ConnPath, "TOE_CONN_PATH_", {
        /// Kernel TCP, for the time being.
        Pending = 0, "pending";
        /// A device.
        Offloaded = 1, "offloaded";
        /// Kernel TCP for good.
        Fallback = 2, "fallback";
    }
}

named! {
    /// What a counter counts.
    CounterGroup, "TOE_COUNTER_GROUP_", {
        /// Ordinary work.
        Event = 0, "event";
        /// Segments discarded.
        Drop = 1, "drop";
        /// Segments left to the control plane or the stack.
        Punt = 2, "punt";
        /// Connections that stayed on kernel TCP.
        Fallback = 3, "fallback";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The enumerators of `uapi/toe_netlink.h` with their values.
    fn header() -> BTreeMap<String, u32> {
        let mut values = BTreeMap::new();
        let mut next = 0;
        for line in include_str!("../../../uapi/toe_netlink.h").lines() {
            let line = line.trim();
            if line.starts_with("enum") {
                next = 0;
            }
            let Some(entry) = line.strip_suffix(',').filter(|l| l.starts_with("TOE_")) else {
                continue;
            };
            let (name, value) = entry.split_once(" = ").unwrap_or((entry, ""));
            if !value.is_empty() {
                next = value.parse().unwrap();
            }
            values.insert(name.to_string(), next);
            next += 1;
        }
        values
    }

    fn shouted(name: &str) -> String {
        name.to_uppercase().replace('-', "_")
    }

    fn named<T: Copy + Into<u32>>(prefix: &str, all: &[T], name: fn(T) -> &'static str) -> Vec<(String, u32)> {
        all.iter().map(|&v| (format!("{prefix}{}", shouted(name(v))), v.into())).collect()
    }

    #[test]
    fn numbers__are_those_of_the_header() {
        let mut ours = BTreeMap::new();
        for all in [cmd::ALL, dev::ALL, conn::ALL, stats::ALL, counter::ALL] {
            ours.extend(all.iter().map(|&(name, value)| (name.to_string(), value)));
        }
        ours.extend(named(DevKind::PREFIX, DevKind::NAMED, DevKind::name));
        ours.extend(named(Datapath::PREFIX, Datapath::NAMED, Datapath::name));
        ours.extend(named(ConnState::PREFIX, ConnState::NAMED, ConnState::name));
        ours.extend(named(ConnPath::PREFIX, ConnPath::NAMED, ConnPath::name));
        ours.extend(named(CounterGroup::PREFIX, CounterGroup::NAMED, CounterGroup::name));
        assert_eq!(ours, header());
    }

    #[test]
    fn unknown__keeps_its_number() {
        assert_eq!(ConnState::from(99), ConnState::Unknown(99));
        assert_eq!(u32::from(ConnState::from(99)), 99);
        assert_eq!(ConnState::from(99).to_string(), "unknown-99");
    }
}
