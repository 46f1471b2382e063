// SPDX-License-Identifier: GPL-2.0
//! The NIC's netdev.

use super::{
    context::Context, device::Offload, filter::Filter, nic::Nic, pair::Pair, recovery::Recovery,
    steering::Steering,
};
use crate::net::{
    context::{BhDisabled, HardIrq},
    device_abi as abi,
    interrupt::Handler,
    netdev::{Config, Driver, Features, MacAddress, Netdev, Poll, RxMode, Stats},
    skbuff::SkBuff,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// The netdev of a NIC.
pub(super) struct Port {
    pub(super) nic: Arc<Nic>,
    pub(super) pairs: KVec<Arc<Pair>>,
    pub(super) offload: Arc<Offload>,
    pub(super) filter: Arc<Filter>,
    pub(super) steering: Arc<Steering>,
    /// How long received frames may wait for others, in microseconds.
    pub(super) moderation: Atomic<u32>,
    pub(super) recovery: Recovery,
}

/// More than Ethernet networks are set up for.
const MAX_MTU: u32 = 9216;

impl Port {
    /// What the netdev is made with.
    pub(super) fn config(&self) -> Config {
        let limits = &self.nic.limits;
        let tx_checksum = limits.has(abi::F_TX_CSUM);
        let tso = tx_checksum && limits.has(abi::F_TSO);
        Config {
            queues: self.pairs.len() as u16,
            polls: (self.pairs.len() + self.offload.contexts.len()) as u16,
            features: Features::SCATTER_GATHER.when(tx_checksum)
                | Features::TX_CHECKSUM.when(tx_checksum)
                | (Features::TSO | Features::TSO6 | Features::TSO_ECN).when(tso)
                | Features::RX_CHECKSUM.when(limits.has(abi::F_RX_CSUM))
                | Features::RX_HASH.when(limits.has(abi::F_RSS)),
            address: limits.address,
            max_mtu: limits.mtu.min(MAX_MTU) as u16,
            max_segmented: limits.tso.clamp(2048, 65535),
        }
    }

    /// The pairs in use.
    pub(super) fn used(dev: &Netdev<Self>) -> &[Arc<Pair>] {
        let used = usize::from(dev.queues()).min(dev.pairs.len());
        &dev.pairs[..used]
    }

    fn pair(dev: &Netdev<Self>, number: u16) -> Option<&Pair> {
        Self::used(dev).get(usize::from(number)).map(|pair| &**pair)
    }

    /// Has the device wait with interrupts as long as was chosen.
    pub(super) fn apply_moderation(dev: &Netdev<Self>) -> Result {
        let usecs = dev.moderation.load(Relaxed);
        Self::used(dev)
            .iter()
            .try_for_each(|pair| pair.set_moderation(usecs))
    }

    /// The context of a NAPI context beyond those of the pairs.
    fn context(&self, poll: u16) -> Option<&Context> {
        let number = usize::from(poll).checked_sub(self.pairs.len())?;
        self.offload.contexts.get(number).map(|context| &**context)
    }
}

impl Driver for Port {
    fn open(dev: &Netdev<Self>) -> Result {
        dev.nic.set_mtu(dev.mtu())?;
        let pairs = Self::used(dev);
        for (opened, pair) in pairs.iter().enumerate() {
            if let Err(error) = pair.open() {
                for pair in &pairs[..opened] {
                    pair.close();
                }
                return Err(error);
            }
        }
        // If the NIC doesn't answer it is reset soon, and opened again.
        let _ = dev.filter.apply();
        let _ = dev
            .steering
            .apply((!dev.is_table_chosen()).then_some(dev.queues()));
        if dev.moderation.load(Relaxed) != 0 {
            // Interrupts that come too soon do no harm.
            let _ = Self::apply_moderation(dev);
        }
        dev.set_carrier(dev.nic.link());
        Ok(())
    }

    fn stop(dev: &Netdev<Self>) {
        dev.set_carrier(false);
        for pair in Self::used(dev) {
            pair.close();
        }
    }

    fn transmit(dev: &Netdev<Self>, queue: u16, packet: SkBuff) -> Result<(), SkBuff> {
        match Self::pair(dev, queue) {
            Some(pair) => pair.transmit(dev, packet, &BhDisabled::new()),
            None => Ok(()),
        }
    }

    fn poll(dev: &Netdev<Self>, poll: &mut Poll<'_>) -> u32 {
        if let Some(pair) = Self::pair(dev, poll.number()) {
            pair.poll(dev, poll)
        } else if let Some(context) = dev.context(poll.number()) {
            context.poll(&dev.offload.table, poll.budget(), poll.bh())
        } else {
            0
        }
    }

    fn rearm(dev: &Netdev<Self>, poll: u16) {
        let more = match (Self::pair(dev, poll), dev.context(poll)) {
            (Some(pair), _) => pair.rearm(),
            (None, Some(context)) => context.rearm(),
            (None, None) => false,
        };
        if more {
            dev.schedule(poll);
        }
    }

    fn stats(dev: &Netdev<Self>) -> Stats {
        let mut stats = Stats::default();
        for pair in &dev.pairs {
            let counters = &pair.counters;
            stats.rx_packets += counters.rx_packets.get();
            stats.rx_bytes += counters.rx_bytes.get();
            stats.rx_errors += counters.rx_errors.get();
            stats.rx_dropped += counters.rx_dropped.get();
            stats.tx_packets += counters.tx_packets.get();
            stats.tx_bytes += counters.tx_bytes.get();
            stats.tx_dropped += counters.tx_dropped.get();
        }
        stats
    }

    fn set_address(dev: &Netdev<Self>, address: &MacAddress) -> Result {
        dev.filter.set_address(address)
    }

    fn set_mtu(dev: &Netdev<Self>, mtu: u32) -> Result {
        dev.nic.set_mtu(mtu)
    }

    fn set_rx_mode(dev: &Netdev<Self>, mode: &RxMode<'_>) -> Result {
        dev.filter.set_mode(mode)
    }

    fn transmit_timed_out(dev: &Netdev<Self>, _queue: u16) {
        dev.recovery.order();
    }
}

/// The interrupt of a NAPI context.
pub(super) struct PollInterrupt {
    pub(super) dev: Arc<Netdev<Port>>,
    pub(super) poll: u16,
}

impl Handler for PollInterrupt {
    fn interrupt(&self, irq: &HardIrq) {
        let dev = &self.dev;
        if let Some(context) = dev.context(self.poll).filter(|_| dev.is_polled()) {
            if context.interrupted(&dev.offload.table, irq) {
                return;
            }
        }
        dev.schedule(self.poll);
    }
}
