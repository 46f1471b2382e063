// SPDX-License-Identifier: GPL-2.0

//! Statistics for people and scripts.

use crate::{device::Nic, layout::stat};
use datapath::reason::{DropReason, PuntReason};
use serde::Serialize;
use std::collections::BTreeMap;

const PORT: [&str; 8] = [
    "rx-frames",
    "rx-bytes",
    "tx-frames",
    "tx-bytes",
    "rx-no-buffer",
    "rx-filtered",
    "rx-errors",
    "tx-dropped",
];

const OFFLOAD: [&str; 10] = [
    "connections",
    "installed",
    "held",
    "not-held",
    "punts-lost",
    "stale-commands",
    "connections-stopped",
    "queues-stopped",
    "kicks",
    "interrupts",
];

const COUNTERS: [&str; 13] = [
    "rx-segments",
    "rx-bytes",
    "rx-out-of-order",
    "rx-discarded-bytes",
    "rx-dropped",
    "rx-dup-acks",
    "rx-ce-segments",
    "tx-segments",
    "tx-bytes",
    "tx-retransmitted-bytes",
    "tx-acks",
    "fast-retransmits",
    "timeouts",
];

/// All counts by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statistics {
    /// The port.
    pub port: BTreeMap<&'static str, u64>,
    /// Received frames dropped by reason.
    pub frames_dropped: BTreeMap<&'static str, u64>,
    /// Connections.
    pub offload: BTreeMap<&'static str, u64>,
    /// Sums over connections.
    pub segments: BTreeMap<&'static str, u64>,
    /// Segments dropped by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Segments punted by reason.
    pub punts: BTreeMap<&'static str, u64>,
}

impl Statistics {
    /// Of a device.
    pub fn new(nic: &Nic) -> Self {
        let values = nic.statistics();
        let named = |names: &[&'static str], from: usize| {
            let values = values[from..].iter().copied();
            names.iter().copied().zip(values).collect()
        };
        let drops: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        let punts: Vec<_> = PuntReason::ALL.iter().map(|reason| reason.name()).collect();
        Self {
            port: named(&PORT, stat::RX_FRAMES),
            frames_dropped: nic.drops().collect(),
            offload: named(&OFFLOAD, stat::CONNECTIONS),
            segments: named(&COUNTERS, stat::COUNTERS),
            drops: named(&drops, stat::DROPS),
            punts: named(&punts, stat::PUNTS),
        }
    }

    /// One line for people: what isn't zero.
    pub fn line(&self) -> String {
        let groups = [
            ("", &self.port),
            ("frame-drop:", &self.frames_dropped),
            ("", &self.offload),
            ("", &self.segments),
            ("drop:", &self.drops),
            ("punt:", &self.punts),
        ];
        let mut out = Vec::new();
        for (prefix, group) in groups {
            for (name, count) in group.iter().filter(|(_, count)| **count != 0) {
                out.push(format!("{prefix}{name}={count}"));
            }
        }
        out.join(" ")
    }
}
