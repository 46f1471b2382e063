// SPDX-License-Identifier: GPL-2.0
//! A device's netdev, and which flows are the device's.

use super::flow::Flow;
use crate::{
    driver::device::{
        counters::{Counter, Rejects, Totals},
        Group, Refusal, Removal,
    },
    net::{
        clock,
        compat::smp_mb,
        context::{new_bh_spinlock, BhDisabled, BhSpinLock, RcuRead},
        flow_table::{FlowKey, FlowTable},
        netdevice::{LinkType, Name, NetDevice, NetDeviceSlot},
        netns::NetCookie,
        skbuff::{SkBuff, SkBuffQueue},
    },
};
use datapath::wire::{Addresses, FourTuple};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Full, Relaxed},
        Arc, ArcBorrow,
    },
};

/// The flows of all devices.
#[pin_data]
pub(in crate::driver::device) struct Flows {
    #[pin]
    table: FlowTable<Flow>,
    /// Secret part of the hashes.
    seed: u64,
    /// Number of the next device.
    next_id: Atomic<u32>,
}

impl Flows {
    /// Without any flow. `ENOMEM` if there is no memory.
    pub(in crate::driver::device) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                table <- FlowTable::new(),
                seed: clock::secret(),
                next_id: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )
    }
}

/// More than any stack of devices asks for.
const MAX_HEADROOM: usize = 4096;

/// What a device counts besides its connections' segments.
pub(super) struct Stats {
    pub(super) rejects: Rejects,
    /// Connections installed.
    pub(super) installed: Counter,
    /// Bytes that had been received when their connections were installed.
    pub(super) moved: Counter,
    /// Segments held while a connection was handed over.
    pub(super) held: Counter,
    /// Segments dropped then, for too many were held.
    pub(super) not_held: Counter,
    /// Segments dropped because their connection was just removed.
    pub(super) late: Counter,
    /// Punts dropped because others were not delivered yet.
    pub(super) punts_lost: Counter,
    /// Frames for which there was no memory.
    pub(super) no_memory: Counter,
    /// Frames the netdev's queue dropped.
    pub(super) queue_full: Counter,
    /// Frames for which there was no netdev any more.
    pub(super) no_netdev: Counter,
}

/// The netdev of a device, and the device's place in the flow table.
#[pin_data]
pub(super) struct Link {
    pub(super) ifindex: u32,
    pub(super) namespace: NetCookie,
    pub(super) link_type: LinkType,
    /// Bytes to keep free before the frames.
    pub(super) headroom: u16,
    netdev: NetDeviceSlot,
    flows: Arc<Flows>,
    /// What tells the device's flows from those of others.
    id: u32,
    connections: Atomic<u32>,
    closed: Atomic<bool>,
    pub(super) stats: Stats,
    /// Counts of connections that are gone.
    #[pin]
    finished: BhSpinLock<Totals>,
}

impl Link {
    /// Connections a device can hold: as many as the flow table is known to work well with.
    pub(super) const MAX_CONNECTIONS: u32 = 1 << 20;

    pub(super) fn new(
        netdev: ARef<NetDevice>,
        link_type: LinkType,
        flows: Arc<Flows>,
    ) -> impl PinInit<Self> {
        let id = flows.next_id.fetch_add(1, Relaxed);
        pin_init!(Self {
            ifindex: netdev.ifindex(),
            namespace: netdev.net_cookie(),
            link_type,
            headroom: netdev.headroom().min(MAX_HEADROOM) as u16,
            netdev: NetDeviceSlot::new(netdev),
            flows,
            id,
            connections: Atomic::new(0),
            closed: Atomic::new(false),
            stats: Stats {
                rejects: Rejects::new(),
                installed: Counter::new(),
                moved: Counter::new(),
                held: Counter::new(),
                not_held: Counter::new(),
                late: Counter::new(),
                punts_lost: Counter::new(),
                no_memory: Counter::new(),
                queue_full: Counter::new(),
                no_netdev: Counter::new(),
            },
            finished <- new_bh_spinlock!(Totals::default(), "Link::finished"),
        })
    }

    pub(super) fn name(&self) -> Option<Name> {
        let bh = BhDisabled::new();
        self.netdev.get(&bh).map(|netdev| netdev.name())
    }

    /// Most payload bytes of a frame to be cut into segments; 0 if the netdev isn't given such.
    pub(super) fn tx_max(&self, ipv6: bool) -> u32 {
        let bh = BhDisabled::new();
        let netdev = self.netdev.get(&bh);
        let limit = netdev.map_or(0, |netdev| netdev.segmentation_limit(ipv6));
        limit
            .saturating_sub(SkBuff::MAX_HEADERS as u32)
            .min(SkBuff::MAX_PAYLOAD as u32)
    }

    /// By what, and by what hash, `tuple` is found.
    #[inline]
    pub(super) fn key(&self, tuple: &FourTuple) -> FlowKey {
        let (family, [a, b, c, d]) = match &tuple.addresses {
            Addresses::V4 { local, remote } => {
                let word = |address: &[u8; 4]| u64::from(u32::from_ne_bytes(*address));
                (4, [word(local), word(remote), 0, 0])
            }
            Addresses::V6 { local, remote } => {
                let high = |address: &[u8; 16]| u128::from_ne_bytes(*address) as u64;
                let low = |address: &[u8; 16]| (u128::from_ne_bytes(*address) >> 64) as u64;
                (6, [high(local), low(local), high(remote), low(remote)])
            }
        };
        let ports = u64::from(tuple.local_port) << 16 | u64::from(tuple.remote_port);
        let place = u64::from(self.id) << 36 | family << 32 | ports;
        FlowKey::new(tuple.hash(self.flows.seed), [a, b, c, d, place])
    }

    /// The flow of `key`.
    #[inline]
    pub(super) fn flow<'a>(
        &'a self,
        key: &FlowKey,
        rcu: &'a impl RcuRead,
    ) -> Option<ArcBorrow<'a, Flow>> {
        self.flows.table.lookup(key, rcu)
    }

    /// Adds a flow.
    pub(super) fn add_flow(&self, key: &FlowKey, flow: Arc<Flow>) -> Result<(), Refusal> {
        if self.connections.fetch_add(1, Relaxed) >= Self::MAX_CONNECTIONS {
            self.connections.fetch_sub(1, Relaxed);
            return Err(Refusal::TableFull);
        }
        let added = self.flows.table.insert(key, flow).map_err(|error| {
            self.connections.fetch_sub(1, Relaxed);
            match error {
                EEXIST => Refusal::InUse,
                ENOMEM => Refusal::NoMemory,
                _ => Refusal::TableFull,
            }
        });
        added?;
        // Whoever closes the device looks for flows after it has said so: one of both sees what the other did.
        smp_mb();
        if self.is_closed() {
            drop(self.remove_flow(key));
            return Err(Refusal::DeviceGone);
        }
        Ok(())
    }

    /// Takes a flow out; returns it, if it was in.
    pub(super) fn remove_flow(&self, key: &FlowKey) -> Option<Arc<Flow>> {
        let flow = self.flows.table.remove(key)?;
        self.connections.fetch_sub(1, Relaxed);
        Some(flow)
    }

    /// Calls `visit` for each flow of this device.
    pub(super) fn for_each_flow(&self, mut visit: impl FnMut(ArcBorrow<'_, Flow>)) {
        self.flows.table.for_each(|flow| {
            if core::ptr::eq(self, flow.link()) {
                visit(flow);
            }
        });
    }

    pub(super) fn connections(&self) -> u32 {
        self.connections.load(Relaxed)
    }

    /// Takes no more flows; `EBUSY` if there are some and `removal` is [`Removal::Unused`].
    pub(super) fn close(&self, removal: Removal) -> Result {
        self.closed.xchg(true, Full);
        if removal == Removal::Forced || self.connections() == 0 {
            return Ok(());
        }
        self.closed.store(false, Relaxed);
        Err(EBUSY)
    }

    /// Whether no flow may be added, or begin, any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Tells the owners of the flows there are that the device is removed.
    pub(super) fn disown_flows(&self) {
        self.for_each_flow(|flow| flow.device_gone());
    }

    /// Lets go of the netdev. May sleep.
    pub(super) fn release_netdev(&self) {
        drop(self.netdev.take());
    }

    /// Queues frames on the netdev, in order. No lock of a flow may be held.
    #[inline]
    pub(super) fn transmit(&self, frames: &mut SkBuffQueue, bh: &BhDisabled) {
        let Some(netdev) = self.netdev.get(bh) else {
            self.stats.no_netdev.add(frames.len() as u64);
            drop(frames.take());
            return;
        };
        while let Some(frame) = frames.pop() {
            if netdev.transmit(frame).is_err() {
                self.stats.queue_full.add(1);
            }
        }
    }

    /// Counts of the connections that are gone.
    pub(super) fn finished(&self, bh: &BhDisabled) -> Totals {
        *self.finished.lock(bh)
    }

    /// Keeps the counts of a connection that goes.
    pub(super) fn finish(&self, add: impl FnOnce(&mut Totals), bh: &BhDisabled) {
        add(&mut self.finished.lock(bh));
    }

    pub(super) fn visit_counters(&self, visit: &mut dyn FnMut(Group, &'static str, u64)) {
        let stats = &self.stats;
        visit(Group::Event, "offloaded", stats.installed.get());
        visit(Group::Event, "moved-bytes", stats.moved.get());
        visit(Group::Event, "held", stats.held.get());
        stats.rejects.visit(visit);
        for (name, counter) in [
            ("not-held", &stats.not_held),
            ("connection-removed", &stats.late),
            ("punt-lost", &stats.punts_lost),
            ("tx-no-memory", &stats.no_memory),
            ("tx-queue-full", &stats.queue_full),
            ("tx-no-netdev", &stats.no_netdev),
        ] {
            visit(Group::Drop, name, counter.get());
        }
    }
}
