// SPDX-License-Identifier: GPL-2.0

//! PCI configuration space (section 2 of the interface).

use crate::{
    device::Config,
    layout::{MSIX_PBA_OFFSET, PCI_DEVICE, PCI_SUBSYSTEM, PCI_VENDOR, VERSION},
};

/// Bytes of configuration space.
pub const CONFIG_SIZE: usize = 4096;
/// Bytes of the BAR with the MSI-X table.
pub const MSIX_SIZE: u64 = 4096;

const COMMAND: usize = 0x04;
const COMMAND_BUS_MASTER: u8 = 0x04;
const BARS: usize = 0x10;
const BAR_64: u32 = 0x4;
const BAR_PREFETCHABLE: u32 = 0x8;
const EXPRESS: usize = 0x40;
const DEVICE_CONTROL: usize = EXPRESS + 8;
/// In the upper byte of the Device Control register.
const FUNCTION_LEVEL_RESET: u8 = 0x80;
const MSIX: usize = 0x80;

/// Configuration space, with what of it can be written.
pub struct ConfigSpace {
    bytes: [u8; CONFIG_SIZE],
    writable: [u8; CONFIG_SIZE],
}

/// What a write asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Whether the device may reach memory.
    pub bus_master: bool,
    /// Whether the function is to be reset.
    pub reset: bool,
}

impl ConfigSpace {
    /// As after power-on.
    pub fn new(config: &Config) -> Self {
        let mut space = Self {
            bytes: [0; CONFIG_SIZE],
            writable: [0; CONFIG_SIZE],
        };
        space.identity();
        space.bar(0, config.registers_size(), BAR_64);
        space.bar(2, config.doorbells_size(), BAR_64 | BAR_PREFETCHABLE);
        space.bar(4, MSIX_SIZE, BAR_64);
        space.express();
        space.msix(config.vectors);
        space
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn identity(&mut self) {
        self.put16(0x00, PCI_VENDOR);
        self.put16(0x02, PCI_DEVICE);
        // Memory space, bus master, parity, SERR, INTx disable.
        self.writable[COMMAND..COMMAND + 2].copy_from_slice(&[0x46, 0x05]);
        // There are capabilities.
        self.put16(0x06, 0x0010);
        self.put(0x08, &[(VERSION >> 16) as u8, 0x00, 0x00, 0x02]);
        self.writable[0x0c] = 0xff;
        self.put16(0x2c, PCI_VENDOR);
        self.put16(0x2e, PCI_SUBSYSTEM);
        self.bytes[0x34] = EXPRESS as u8;
        self.writable[0x3c] = 0xff;
    }

    fn bar(&mut self, slot: usize, size: u64, kind: u32) {
        let at = BARS + 4 * slot;
        self.put32(at, kind);
        let mask = !(size - 1) & !0xf;
        self.writable[at..at + 8].copy_from_slice(&mask.to_le_bytes());
    }

    fn express(&mut self) {
        // Version 2, an endpoint; the next capability is MSI-X.
        self.put(EXPRESS, &[0x10, MSIX as u8, 0x02, 0x00]);
        // Role-based error reporting, function level reset.
        self.put32(EXPRESS + 4, (1 << 15) | (1 << 28));
        self.writable[DEVICE_CONTROL..DEVICE_CONTROL + 2].copy_from_slice(&[0xff, 0x7f]);
        // 16 GT/s, 16 lanes.
        self.put32(EXPRESS + 12, 0x4 | (16 << 4));
        self.put16(EXPRESS + 18, 0x4 | (16 << 4));
        self.writable[EXPRESS + 16] = 0xc3;
    }

    fn msix(&mut self, vectors: u16) {
        const BIR: u32 = 4;
        self.put(MSIX, &[0x11, 0x00]);
        self.put16(MSIX + 2, vectors - 1);
        // Enable and mask all.
        self.writable[MSIX + 3] = 0xc0;
        self.put32(MSIX + 4, BIR);
        self.put32(MSIX + 8, MSIX_PBA_OFFSET | BIR);
    }

    /// Reads `data.len()` bytes at `offset`.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        let from = offset as usize;
        match from
            .checked_add(data.len())
            .and_then(|to| self.bytes.get(from..to))
        {
            Some(bytes) => data.copy_from_slice(bytes),
            None => data.fill(0xff),
        }
    }

    /// Writes `data` at `offset`.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Written {
        let mut reset = false;
        for (at, value) in (offset as usize..CONFIG_SIZE).zip(data) {
            let mask = self.writable[at];
            self.bytes[at] = (self.bytes[at] & !mask) | (value & mask);
            reset |= at == DEVICE_CONTROL + 1 && value & FUNCTION_LEVEL_RESET != 0;
        }
        Written {
            bus_master: self.bytes[COMMAND] & COMMAND_BUS_MASTER != 0,
            reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(space: &ConfigSpace, at: u64) -> u32 {
        let mut bytes = [0; 4];
        space.read(at, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    #[test]
    fn write__bars_tell_their_size() {
        let config = Config::default();
        let mut space = ConfigSpace::new(&config);
        space.write(0x10, &[0xff; 8]);
        assert_eq!(
            !(word(&space, 0x10) & !0xf) + 1,
            config.registers_size() as u32
        );
        assert_eq!(word(&space, 0x14), u32::MAX);
        assert_eq!(word(&space, 0x10) & 0xf, BAR_64);
    }

    #[test]
    fn write__identity_stays_and_ends_are_safe() {
        let mut space = ConfigSpace::new(&Config::default());
        space.write(0, &[0xff; 4]);
        assert_eq!(word(&space, 0), 0x10f7_1af4);
        space.write(CONFIG_SIZE as u64 - 2, &[0xff; 8]);
        space.write(u64::MAX, &[0xff; 8]);
        assert_eq!(word(&space, u64::MAX), u32::MAX);
    }

    #[test]
    fn write__bus_master_and_reset() {
        let mut space = ConfigSpace::new(&Config::default());
        assert!(space.write(COMMAND as u64, &[6, 0]).bus_master);
        let written = space.write(DEVICE_CONTROL as u64, &[0, 0x80]);
        assert!(written.reset && written.bus_master);
        assert!(!space.write(COMMAND as u64, &[0, 0]).bus_master);
    }
}
