// SPDX-License-Identifier: GPL-2.0

//! The host's memory, as far as the device can reach it, and the doorbell pages it writes to.
//!
//! Both are shared with a guest that may write to them at any time, so everything is copied out once, by volatile or
//! atomic accesses, and nothing here gives out a reference.

use parking_lot::RwLock;
use rustix::fs::MemfdFlags;
use std::{
    fs::File,
    io,
    ops::Deref,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{
        atomic::{fence, Ordering},
        Arc,
    },
};
use vm_memory::{
    guest_memory::{FileOffset, GuestMemoryBackend},
    mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegion},
    Bytes, GuestAddress, VolatileMemory,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Memory that the device may not reach: not mapped, or its bus mastering is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreachable;

/// The host's memory, as far as it is reachable at a time.
#[derive(Clone, Default)]
pub struct Memory {
    map: GuestMemoryMmap,
    bus_master: bool,
}

/// Memory that other threads access too.
pub type SharedMemory = Arc<RwLock<Memory>>;

/// What decides how much is reachable. All changes wait until accesses by other threads are done.
#[derive(Default)]
pub struct HostMemory {
    memory: Memory,
    shared: SharedMemory,
}

impl Deref for HostMemory {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl HostMemory {
    /// The same memory for other threads, who see all changes.
    pub fn share(&self) -> SharedMemory {
        Arc::clone(&self.shared)
    }

    fn publish(&self) {
        *self.shared.write() = self.memory.clone();
    }

    /// Makes `size` bytes of `file` from `offset` on reachable at `address`.
    ///
    /// # Errors
    ///
    /// As of mmap(); `InvalidInput` if something else is there already.
    pub fn map(&mut self, file: File, offset: u64, address: u64, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let mapping =
            MmapRegion::from_file(FileOffset::new(file, offset), size).map_err(io::Error::other)?;
        let region = GuestRegionMmap::new(mapping, GuestAddress(address))
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.memory.map = self
            .memory
            .map
            .insert_region(Arc::new(region))
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        self.publish();
        Ok(())
    }

    /// Takes away what was mapped of `address..address + size`.
    pub fn unmap(&mut self, address: u64, size: u64) {
        if let Ok((map, _)) = self.memory.map.remove_region(GuestAddress(address), size) {
            self.memory.map = map;
            self.publish();
        }
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        self.memory.map = GuestMemoryMmap::default();
        self.publish();
    }

    /// Sets PCI's bus master enable: without it nothing is reachable.
    pub fn set_bus_master(&mut self, on: bool) {
        if self.memory.bus_master != on {
            self.memory.bus_master = on;
            self.publish();
        }
    }
}

impl Memory {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.map.num_regions() == 0
    }

    /// Whether PCI's bus master enable is set.
    pub fn bus_master(&self) -> bool {
        self.bus_master
    }

    /// Whether all of `len` bytes from `address` on are reachable.
    pub fn reachable(&self, address: u64, len: u64) -> bool {
        let Ok(len) = usize::try_from(len) else {
            return false;
        };
        self.bus_master
            && address.checked_add(len as u64).is_some()
            && GuestMemoryBackend::check_range(&self.map, GuestAddress(address), len)
    }

    /// Copies bytes out.
    pub fn read_bytes(&self, address: u64, bytes: &mut [u8]) -> Result<(), Unreachable> {
        if !self.bus_master {
            return Err(Unreachable);
        }
        self.map
            .read_slice(bytes, GuestAddress(address))
            .map_err(|_| Unreachable)
    }

    /// Copies bytes in.
    pub fn write_bytes(&self, address: u64, bytes: &[u8]) -> Result<(), Unreachable> {
        if !self.bus_master {
            return Err(Unreachable);
        }
        self.map
            .write_slice(bytes, GuestAddress(address))
            .map_err(|_| Unreachable)
    }

    /// Copies a structure out.
    pub fn read<T: FromBytes + IntoBytes>(&self, address: u64) -> Result<T, Unreachable> {
        let mut value = T::new_zeroed();
        self.read_bytes(address, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies a structure in, its last byte after all others.
    pub fn write_ordered<T: IntoBytes + Immutable>(
        &self,
        address: u64,
        value: &T,
    ) -> Result<(), Unreachable> {
        let Some((last, first)) = value.as_bytes().split_last() else {
            return Ok(());
        };
        self.write_bytes(address, first)?;
        let end = GuestAddress(address + first.len() as u64);
        self.map
            .store(*last, end, Ordering::Release)
            .map_err(|_| Unreachable)
    }

    /// Writes an aligned word, after all that was written before.
    pub fn store(&self, address: u64, value: u32) -> Result<(), Unreachable> {
        if !self.bus_master {
            return Err(Unreachable);
        }
        self.map
            .store(value.to_le(), GuestAddress(address), Ordering::Release)
            .map_err(|_| Unreachable)
    }
}

/// The doorbell pages: BAR 2.
pub struct Doorbells {
    file: OwnedFd,
    region: MmapRegion,
}

impl Doorbells {
    /// `size` bytes of them, all zero.
    pub fn new(size: u64) -> io::Result<Self> {
        let file = rustix::fs::memfd_create("toe-doorbells", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&file, size)?;
        let mapping = FileOffset::new(File::from(file.try_clone()?), 0);
        let region = MmapRegion::from_file(mapping, size as usize).map_err(io::Error::other)?;
        Ok(Self { file, region })
    }

    /// The file to be mapped by whoever emulates the bus.
    pub fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Their size in bytes.
    pub fn size(&self) -> u64 {
        self.region.size() as u64
    }

    /// The word at `offset`; zero beyond the end.
    #[inline]
    pub fn load(&self, offset: u64) -> u32 {
        let word = self
            .region
            .as_volatile_slice()
            .load::<u32>(offset as usize, Ordering::Acquire);
        u32::from_le(word.unwrap_or(0))
    }

    /// Writes the aligned word at `offset`, as the host does.
    pub fn store(&self, offset: u64, value: u32) {
        // Beyond the end there is nothing to write to.
        let _ = self.region.as_volatile_slice().store(
            value.to_le(),
            offset as usize,
            Ordering::Release,
        );
    }

    /// Copies bytes out, for accesses that are not mapped.
    pub fn read_bytes(&self, offset: u64, bytes: &mut [u8]) {
        let all = self.region.as_volatile_slice();
        if all.read_slice(bytes, offset as usize).is_err() {
            bytes.fill(0xff);
        }
    }

    /// Copies bytes in, for accesses that are not mapped.
    pub fn write_bytes(&self, offset: u64, bytes: &[u8]) {
        // Beyond the end there is nothing to write to.
        let _ = self
            .region
            .as_volatile_slice()
            .write_slice(bytes, offset as usize);
    }

    /// Makes them zero.
    pub fn clear(&self) {
        let zeroes = [0; 4096];
        for offset in (0..self.size()).step_by(zeroes.len()) {
            self.write_bytes(offset, &zeroes);
        }
    }
}

/// Orders what was written before against what is read after.
#[inline]
pub fn full_barrier() {
    fence(Ordering::SeqCst);
}
