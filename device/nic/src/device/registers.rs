// SPDX-License-Identifier: GPL-2.0

//! Registers (section 3 of the interface).

use super::{running::Running, Fault, Nic, FEATURES};
use crate::layout::{control, feature, reg, status, Error, MAGIC, NO_VECTOR, VERSION};
use std::time::Instant;

/// What the host has written, and what became of it.
pub(super) struct Registers {
    version: u32,
    features: [u32; 2],
    pub(super) sq: [u32; 2],
    pub(super) cq: [u32; 2],
    pub(super) status: [u32; 2],
    pub(super) sq_entries: u32,
    pub(super) cq_entries: u32,
    pub(super) vector: u32,
    error: Option<Error>,
    error_info: u32,
    time_high: u32,
}

fn join([low, high]: [u32; 2]) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

impl Registers {
    pub(super) fn new() -> Self {
        Self {
            version: 0,
            features: [0; 2],
            sq: [0; 2],
            cq: [0; 2],
            status: [0; 2],
            sq_entries: 0,
            cq_entries: 0,
            vector: NO_VECTOR.into(),
            error: None,
            error_info: 0,
            time_high: 0,
        }
    }

    pub(super) fn fail(&mut self, error: Error, info: u32) {
        self.error = Some(error);
        self.error_info = info;
    }

    pub(super) fn admin_sq(&self) -> u64 {
        join(self.sq)
    }

    pub(super) fn admin_cq(&self) -> u64 {
        join(self.cq)
    }

    pub(super) fn admin_status(&self) -> u64 {
        join(self.status)
    }

    fn features(&self) -> u64 {
        join(self.features)
    }

    /// Whether what the host has chosen is there to be chosen.
    fn check(&self) -> Result<(), Error> {
        if self.version != VERSION {
            return Err(Error::Version);
        }
        let features = self.features();
        if features & !FEATURES != 0 || features & feature::NPU == 0 {
            return Err(Error::Features);
        }
        Ok(())
    }

    /// The place of a register that can be written while the device is disabled.
    fn writable(&mut self, offset: u64) -> Option<&mut u32> {
        Some(match offset {
            reg::VERSION_USED => &mut self.version,
            reg::FEATURES_USED_LO => &mut self.features[0],
            reg::FEATURES_USED_HI => &mut self.features[1],
            reg::ADMIN_SQ_LO => &mut self.sq[0],
            reg::ADMIN_SQ_HI => &mut self.sq[1],
            reg::ADMIN_CQ_LO => &mut self.cq[0],
            reg::ADMIN_CQ_HI => &mut self.cq[1],
            reg::ADMIN_STATUS_LO => &mut self.status[0],
            reg::ADMIN_STATUS_HI => &mut self.status[1],
            reg::ADMIN_SQ_ENTRIES => &mut self.sq_entries,
            reg::ADMIN_CQ_ENTRIES => &mut self.cq_entries,
            reg::ADMIN_VECTOR => &mut self.vector,
            _ => return None,
        })
    }
}

impl Nic {
    /// Reads a register.
    pub fn read_register(&mut self, offset: u64) -> u32 {
        if self.fault() == Fault::Gone {
            return u32::MAX;
        }
        if let Some(value) = self.registers.writable(offset) {
            return *value;
        }
        let config = &self.config;
        let mac = config.mac;
        match offset {
            reg::MAGIC => MAGIC,
            reg::VERSION | reg::VERSION_OLDEST => VERSION,
            reg::FEATURES_LO => halves(FEATURES)[0],
            reg::FEATURES_HI => halves(FEATURES)[1],
            reg::CONTROL => {
                if self.running.is_some() {
                    control::ENABLE
                } else {
                    0
                }
            }
            reg::STATUS => self.host.nonsense.status(self.status_register()),
            reg::ERROR => self.registers.error.map_or(0, |error| error as u32),
            reg::ERROR_INFO => self.registers.error_info,
            reg::MAX_CONTEXTS => config.contexts.into(),
            reg::MAX_QUEUE_PAIRS => config.pairs.into(),
            reg::MAX_CONNECTIONS => config.connections,
            reg::MAX_ENTRIES => config.entries,
            reg::VECTORS => config.vectors.into(),
            reg::MAX_MTU => config.mtu,
            reg::MAX_TSO => 65535 - 40 - 20,
            reg::LINK_SPEED => {
                if self.link.up {
                    config.link_speed
                } else {
                    0
                }
            }
            reg::MAC_LO => u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]),
            reg::MAC_HI => u32::from_le_bytes([mac[4], mac[5], 0, 0]),
            reg::TIME_LO => {
                let [low, high] = halves(self.clock.read(Instant::now()).0);
                self.registers.time_high = high;
                low
            }
            reg::TIME_HI => self.registers.time_high,
            _ => u32::MAX,
        }
    }

    fn status_register(&self) -> u32 {
        let mut value = 0;
        if self.running.is_some() {
            value |= status::READY;
        }
        if self.registers.error.is_some() {
            value |= status::FAILED;
        }
        if self.link.up {
            value |= status::LINK;
        }
        value
    }

    /// Writes a register.
    pub fn write_register(&mut self, offset: u64, value: u32) {
        if self.fault() == Fault::Gone {
            return;
        }
        if offset == reg::CONTROL {
            if value & control::RESET != 0 {
                self.reset();
            } else if value & control::ENABLE != 0 {
                self.enable();
            }
        } else if self.running.is_none() {
            if let Some(register) = self.registers.writable(offset) {
                *register = value;
            }
        }
    }

    fn enable(&mut self) {
        if self.running.is_some() || self.registers.error.is_some() {
            return;
        }
        let made = self.registers.check().and_then(|()| {
            Running::new(
                &self.host,
                &self.registers,
                &self.config,
                self.limits(),
                &self.clock,
                self.registers.features(),
            )
        });
        match made {
            Ok(running) => self.running = Some(running),
            Err(error) => self.registers.fail(error, 0),
        }
    }
}
