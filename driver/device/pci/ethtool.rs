// SPDX-License-Identifier: GPL-2.0
//! What `ethtool` shows of a NIC.

use super::{port::Port, Request};
use crate::net::{
    device_abi::{self as abi, reg},
    netdev::{Ethtool, Netdev, RingSizes},
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

const NAMES: [&CStr; STATISTICS.len()] = {
    let mut names = [c""; STATISTICS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = STATISTICS[i].0;
        i += 1;
    }
    names
};

impl Ethtool for Port {
    const STATISTICS: &'static [&'static CStr] = &NAMES;
    const TESTS: &'static [&'static CStr] = &[
        c"registers  (online)",
        c"admin queue (online)",
        c"device     (online)",
        c"link       (online)",
    ];
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
        let now = dev.pairs.first().map_or(0, |pair| pair.entries());
        RingSizes { now, most: now }
    }

    fn moderation(dev: &Netdev<Self>) -> u32 {
        dev.moderation.load(Relaxed)
    }

    fn set_moderation(dev: &Netdev<Self>, usecs: u32) -> Result {
        dev.moderation.store(usecs, Relaxed);
        if dev.is_running() {
            dev.apply_moderation()?;
        }
        Ok(())
    }

    fn statistics(dev: &Netdev<Self>, values: &mut [u64]) {
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

    fn self_test(dev: &Netdev<Self>, results: &mut [u64]) {
        let nic = &dev.nic;
        let admin = |op| {
            nic.execute(Request {
                op,
                ..Request::default()
            })
            .is_ok()
        };
        let passed = [
            nic.registers.read(reg::MAGIC) == abi::MAGIC,
            admin(abi::ADMIN_NOP),
            admin(abi::ADMIN_SELF_TEST),
            nic.registers.read(reg::STATUS) & abi::STATUS_LINK != 0,
        ];
        for (result, passed) in results.iter_mut().zip(passed) {
            *result = u64::from(!passed);
        }
    }
}
