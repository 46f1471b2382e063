// SPDX-License-Identifier: GPL-2.0
//! What devices count.

use datapath::{
    npu::state::ConnectionCounters,
    reason::{DropReason, PuntReason},
};
use kernel::sync::atomic::{Atomic, Relaxed};

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Ordinary work done.
    Event,
    /// Segments of offloaded connections that were discarded.
    Drop,
    /// Segments that the data-path left to the control plane or the stack.
    Punt,
}

/// A counter that several CPUs may count in.
pub(super) struct Counter(Atomic<u64>);

impl Counter {
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    #[inline]
    pub(super) fn add(&self, n: u64) {
        self.0.add(n, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Segments dropped and punted, by reason.
pub(super) struct Rejects {
    drops: [Counter; DropReason::ALL.len()],
    punts: [Counter; PuntReason::ALL.len()],
}

impl Rejects {
    pub(super) const fn new() -> Self {
        Self {
            drops: [const { Counter::new() }; DropReason::ALL.len()],
            punts: [const { Counter::new() }; PuntReason::ALL.len()],
        }
    }

    pub(super) fn count_drop(&self, reason: DropReason) {
        self.drops[reason as usize].add(1);
    }

    pub(super) fn count_punt(&self, reason: PuntReason) {
        self.punts[reason as usize].add(1);
    }

    pub(super) fn visit(&self, visit: &mut dyn FnMut(Group, &'static str, u64)) {
        for (reason, count) in DropReason::ALL.iter().zip(&self.drops) {
            visit(Group::Drop, reason.name(), count.get());
        }
        for (reason, count) in PuntReason::ALL.iter().zip(&self.punts) {
            visit(Group::Punt, reason.name(), count.get());
        }
    }
}

/// Sums of connections' counts.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals([u64; Totals::NAMES.len()]);

impl Totals {
    const NAMES: [&'static str; 13] = [
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

    /// Adds a connection's counts.
    pub(super) fn add(&mut self, counters: &ConnectionCounters) {
        let values = [
            counters.rx_segments,
            counters.rx_bytes,
            counters.rx_out_of_order,
            counters.rx_discarded,
            counters.rx_dropped,
            counters.dup_acks,
            counters.ce_segments,
            counters.tx_segments,
            counters.tx_bytes,
            counters.tx_retransmitted,
            counters.tx_acks,
            counters.fast_retransmits,
            counters.timeouts,
        ];
        for (sum, value) in self.0.iter_mut().zip(values) {
            *sum = sum.wrapping_add(value);
        }
    }

    pub(super) fn visit(&self, visit: &mut dyn FnMut(Group, &'static str, u64)) {
        for (name, value) in Self::NAMES.iter().zip(self.0) {
            visit(Group::Event, name, value);
        }
    }
}
