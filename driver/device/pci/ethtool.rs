// SPDX-License-Identifier: GPL-2.0
//! What `ethtool` shows of a NIC.

use super::{
    pair::{Counters, Pair},
    port::Port,
    self_test, Request,
};
use crate::{
    driver::device::counters::Counter,
    net::{
        device_abi::{self as abi, reg},
        netdev::{Ethtool, Netdev, RingSizes, Spreading},
        netdevice::Rtnl,
    },
};
use core::ffi::CStr;
use kernel::{prelude::*, sync::atomic::Relaxed};

/// Statistics of the NIC: name, and place among those it gives.
const STATISTICS: [(&CStr, usize); 16] = [
    (c"port_rx_frames", abi::STAT_RX_FRAMES),
    (c"port_rx_bytes", abi::STAT_RX_BYTES),
    (c"port_tx_frames", abi::STAT_TX_FRAMES),
    (c"port_tx_bytes", abi::STAT_TX_BYTES),
    (c"port_rx_no_buffer", abi::STAT_RX_NO_BUFFER),
    (c"port_rx_filtered", abi::STAT_RX_FILTERED),
    (c"port_rx_errors", abi::STAT_RX_ERRORS),
    (c"port_tx_dropped", abi::STAT_TX_DROPPED),
    (c"toe_connections", abi::STAT_CONNECTIONS),
    (c"toe_installed", abi::STAT_INSTALLED),
    (c"toe_held", abi::STAT_HELD),
    (c"toe_not_held", abi::STAT_NOT_HELD),
    (c"toe_punts_lost", abi::STAT_PUNTS_LOST),
    (c"toe_stale_commands", abi::STAT_STALE_COMMANDS),
    (c"toe_connections_stopped", abi::STAT_CONNECTIONS_STOPPED),
    (c"toe_queues_stopped", abi::STAT_QUEUES_STOPPED),
];

/// Pairs whose statistics are shown.
pub(super) const MAX_PAIRS: usize = 4;

/// Statistics of each pair of queues.
const OF_PAIR: [fn(&Counters) -> &Counter; 4] = [
    |counters| &counters.rx_packets,
    |counters| &counters.rx_bytes,
    |counters| &counters.tx_packets,
    |counters| &counters.tx_bytes,
];

/// Their names.
const OF_PAIRS: [[&CStr; OF_PAIR.len()]; MAX_PAIRS] = [
    [
        c"queue0_rx_packets",
        c"queue0_rx_bytes",
        c"queue0_tx_packets",
        c"queue0_tx_bytes",
    ],
    [
        c"queue1_rx_packets",
        c"queue1_rx_bytes",
        c"queue1_tx_packets",
        c"queue1_tx_bytes",
    ],
    [
        c"queue2_rx_packets",
        c"queue2_rx_bytes",
        c"queue2_tx_packets",
        c"queue2_tx_bytes",
    ],
    [
        c"queue3_rx_packets",
        c"queue3_rx_bytes",
        c"queue3_tx_packets",
        c"queue3_tx_bytes",
    ],
];

const ALL: usize = STATISTICS.len() + OF_PAIR.len() * MAX_PAIRS;

/// Names of all statistics, the NIC's first.
const NAMES: [&CStr; ALL] = {
    let mut names = [c""; ALL];
    let mut i = 0;
    while i < STATISTICS.len() {
        names[i] = STATISTICS[i].0;
        i += 1;
    }
    while i < ALL {
        let at = i - STATISTICS.len();
        names[i] = OF_PAIRS[at / OF_PAIR.len()][at % OF_PAIR.len()];
        i += 1;
    }
    names
};

impl Ethtool for Port {
    const STATISTICS: &'static [&'static CStr] = &NAMES;
    const TESTS: &'static [&'static CStr] = &self_test::NAMES;
    const REGISTERS: usize = reg::END / 4;

    fn firmware(dev: &Netdev<Self>) -> (u32, u32) {
        let version = dev.nic.registers.read(reg::VERSION_USED);
        (version >> 16, version & 0xffff)
    }

    fn link_speed(dev: &Netdev<Self>) -> Option<u32> {
        match dev.nic.registers.read(reg::LINK_SPEED) {
            0 | u32::MAX => None,
            speed => Some(speed),
        }
    }

    fn ring_sizes(dev: &Netdev<Self>) -> RingSizes {
        // They are the same in all pairs.
        dev.pairs
            .first()
            .map_or(RingSizes { rx: 0, tx: 0 }, |pair| pair.sizes())
    }

    fn max_ring_sizes(dev: &Netdev<Self>) -> RingSizes {
        let most = dev.pairs.first().map_or(0, |pair| pair.max_entries());
        RingSizes { rx: most, tx: most }
    }

    fn set_ring_sizes(dev: &Netdev<Self>, rtnl: &Rtnl, sizes: RingSizes) -> Result {
        Pair::check_sizes(sizes)?;
        dev.reopen(rtnl, || {
            dev.pairs.iter().try_for_each(|pair| pair.resize(sizes))
        })
    }

    fn moderation(dev: &Netdev<Self>) -> u32 {
        dev.moderation.load(Relaxed)
    }

    fn set_moderation(dev: &Netdev<Self>, usecs: u32) -> Result {
        dev.moderation.store(usecs, Relaxed);
        if dev.is_running() {
            Self::apply_moderation(dev)?;
        }
        Ok(())
    }

    fn statistics(dev: &Netdev<Self>, values: &mut [u64]) {
        let (values, of_pairs) = values.split_at_mut(STATISTICS.len().min(values.len()));
        for (values, pair) in of_pairs.chunks_mut(OF_PAIR.len()).zip(&dev.pairs) {
            for (value, counter) in values.iter_mut().zip(OF_PAIR) {
                *value = counter(&pair.counters).get();
            }
        }
        let request = Request {
            op: abi::ADMIN_GET_STATS,
            ..Request::default()
        };
        // They stay zero for a NIC that doesn't answer.
        if let Ok((_, all)) = dev.nic.execute_for::<[u64; abi::STAT_END]>(request) {
            for (value, (_, at)) in values.iter_mut().zip(STATISTICS) {
                *value = all[at];
            }
        }
    }

    fn registers(dev: &Netdev<Self>, values: &mut [u32]) {
        for (number, value) in values.iter_mut().enumerate() {
            *value = dev.nic.registers.read(number * 4);
        }
    }

    fn reset(dev: &Netdev<Self>) {
        dev.recovery.order();
    }

    fn self_test(dev: &Netdev<Self>, rtnl: &Rtnl, offline: bool, results: &mut [u64]) {
        self_test::run(dev, rtnl, offline, results);
    }
}

impl Spreading for Port {
    const KEY_LEN: usize = abi::RSS_KEY_LEN;
    const ENTRIES: usize = abi::RSS_ENTRIES;

    fn spreads(dev: &Netdev<Self>) -> bool {
        dev.steering.is_possible()
    }

    fn hash_key(dev: &Netdev<Self>, key: &mut [u8]) {
        dev.steering.key(key);
    }

    fn table(dev: &Netdev<Self>, queues: &mut [u32]) {
        dev.steering.table(queues);
    }

    fn set_spreading(dev: &Netdev<Self>, key: Option<&[u8]>, table: Option<&[u32]>) -> Result {
        dev.steering.set(key, table)
    }
}

#[kernel::macros::kunit_tests(toe_pci_ethtool)]
mod tests {
    use super::*;

    #[test]
    fn names__are_shown_whole_and_once() {
        for names in [&NAMES[..], &self_test::NAMES[..]] {
            for (number, name) in names.iter().enumerate() {
                assert!(!name.to_bytes().is_empty() && name.to_bytes().len() < 32);
                assert!(!names[..number].contains(name));
            }
        }
    }

    #[test]
    fn set_ring_sizes__refuses_what_rings_cant_have() {
        let check = |rx, tx| Pair::check_sizes(RingSizes { rx, tx });
        assert_eq!(check(64, 512), Ok(()));
        for bad in [0, 1, 32, 63, 96, u32::MAX] {
            assert_eq!(check(bad, 512), Err(EINVAL));
            assert_eq!(check(512, bad), Err(EINVAL));
        }
    }
}
