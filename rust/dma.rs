// SPDX-License-Identifier: GPL-2.0
//! Memory shared with a device.
//!
//! What a device may write to at any time can't be borrowed: [`DmaMemory`] and [`Ring`] copy to and from it, each word
//! at once. Structures in it are of types that are [`Plain`].
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{bindings as b, buffer::PayloadBuffer, compat, context::BhDisabled, skbuff::SkBuff};
use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::{size_of, MaybeUninit},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};
use kernel::{
    device::{Bound, Device},
    devres::Devres,
    dma::{Coherent, DataDirection},
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// Tells for as long as one looks whether a device is bound to its driver.
pub(crate) struct Binding(Devres<ARef<Device>>);

impl Binding {
    /// Of `dev`. `ENOMEM` if there is no memory.
    pub(crate) fn new(dev: &Device<Bound>) -> Result<Self> {
        Ok(Self(Devres::new(dev, Ok::<_, Error>(ARef::from(&**dev)))?))
    }

    /// Calls `f` if the device is bound; it isn't unbound before `f` returns, which must not sleep.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Device<Bound>) -> R) -> Option<R> {
        let dev = self.0.try_access()?;
        // SAFETY: Resources of the device are only released after all guards of this one are gone, and before that the
        // device is bound.
        Some(f(unsafe { dev.as_bound() }))
    }
}

/// Types whose values are what their bytes say, whatever these are.
///
/// # Safety
///
/// All bit patterns are valid values, there is no padding, no interior mutability, and the size is a multiple of 8.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: Integers.
unsafe impl<const N: usize> Plain for [u64; N] {}

/// Orders all accesses before it, to devices too, before all that come later.
#[inline]
pub(crate) fn full_barrier() {
    // SAFETY: There are no requirements.
    unsafe { b::toe_helper_mb() };
}

/// Memory that a device and the host may both access at any time.
pub(crate) struct DmaMemory(Coherent<[u64]>);

impl DmaMemory {
    /// Allocates at least `len` bytes, zeroed, page-aligned for the device. `ENOMEM` if there is no memory.
    pub(crate) fn new(dev: &Device<Bound>, len: usize) -> Result<Self> {
        let words = len.div_ceil(size_of::<u64>());
        Ok(Self(Coherent::zeroed_slice(dev, words, GFP_KERNEL)?))
    }

    /// As [`new`](Self::new), without sleeping.
    pub(crate) fn new_atomic(binding: &Binding, len: usize) -> Result<Self> {
        let words = len.div_ceil(size_of::<u64>());
        let memory = binding.with(|dev| Coherent::zeroed_slice(dev, words, GFP_ATOMIC));
        Ok(Self(memory.ok_or(ENODEV)??))
    }

    /// Where the device finds it.
    #[inline]
    pub(crate) fn address(&self) -> u64 {
        compat::dma_address(&self.0)
    }

    /// Its length in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.size()
    }

    /// The words of a value at `offset`, in order. `EINVAL` if it isn't aligned to 8 bytes or exceeds the memory.
    #[inline]
    fn words<T: Plain>(&self, offset: usize) -> Result<impl Iterator<Item = &AtomicU64>> {
        if offset % size_of::<u64>() != 0 {
            return Err(EINVAL);
        }
        let first = self.bytes(offset, size_of::<T>())?.cast::<u64>();
        Ok((0..size_of::<T>() / size_of::<u64>()).map(move |at| {
            // SAFETY: In bounds and aligned; the memory lives as long as `self`, and the host accesses it atomically only,
            // or by copies whose bytes nothing relies on.
            unsafe { AtomicU64::from_ptr(first.add(at)) }
        }))
    }

    /// The address of `len` bytes at `offset`.
    #[inline]
    pub(super) fn bytes(&self, offset: usize, len: usize) -> Result<*mut c_void> {
        if len > self.len() || offset > self.len() - len {
            return Err(EINVAL);
        }
        Ok(self
            .0
            .as_mut_ptr()
            .cast::<c_void>()
            .wrapping_byte_add(offset))
    }

    /// Reads the word at `offset` before all that is read later. Errors as of [`read`](Self::read).
    #[inline]
    pub(crate) fn acquire(&self, offset: usize) -> Result<u64> {
        let [word] = self.read(offset)?;
        Ok(word)
    }

    /// Copies the value at `offset`, word by word, in order, before all that is read later. `EINVAL` if it isn't aligned to
    /// 8 bytes or exceeds the memory.
    #[inline]
    pub(crate) fn read<T: Plain>(&self, offset: usize) -> Result<T> {
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast::<u64>();
        for (at, word) in self.words::<T>(offset)?.enumerate() {
            // SAFETY: There are as many words as `T` has.
            unsafe { to.add(at).write_unaligned(word.load(Ordering::Acquire)) };
        }
        // SAFETY: All of it was written, and any bits are valid.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes a value at `offset`, word by word. Errors as of [`read`](Self::read).
    #[inline]
    pub(crate) fn write<T: Plain>(&self, offset: usize, value: &T) -> Result {
        let from = ptr::from_ref(value).cast::<u64>();
        for (at, word) in self.words::<T>(offset)?.enumerate() {
            // SAFETY: There are as many words as `T` has, and there is no padding.
            word.store(unsafe { from.add(at).read_unaligned() }, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A ring of structures, whose length is a power of two. Indices are free-running.
pub(crate) struct Ring<T> {
    memory: DmaMemory,
    mask: u32,
    entry: PhantomData<T>,
}

// SAFETY: The entries are plain values.
unsafe impl<T: Plain> Send for Ring<T> {}

// SAFETY: As above; all access is by copies.
unsafe impl<T: Plain> Sync for Ring<T> {}

impl<T: Plain> Ring<T> {
    /// A ring of `entries` zeroed entries. `EINVAL` if that is no power of two, `ENOMEM` if there is no memory.
    pub(crate) fn new(dev: &Device<Bound>, entries: u32) -> Result<Self> {
        if !entries.is_power_of_two() {
            return Err(EINVAL);
        }
        let len = (entries as usize).checked_mul(size_of::<T>());
        Ok(Self {
            memory: DmaMemory::new(dev, len.ok_or(EINVAL)?)?,
            mask: entries - 1,
            entry: PhantomData,
        })
    }

    /// Where the device finds it.
    pub(crate) fn address(&self) -> u64 {
        self.memory.address()
    }

    /// Uses only the first `entries` from now on, for a device that doesn't know the ring. `EINVAL` if that is no power of two,
    /// or more than the ring was made with.
    pub(crate) fn set_entries(&mut self, entries: u32) -> Result {
        let len = (entries as usize).checked_mul(size_of::<T>());
        if !entries.is_power_of_two() || len.is_none_or(|len| len > self.memory.len()) {
            return Err(EINVAL);
        }
        self.mask = entries - 1;
        Ok(())
    }

    /// The number of entries.
    #[inline]
    pub(crate) fn entries(&self) -> u32 {
        self.mask + 1
    }

    #[inline]
    fn offset(&self, index: u32) -> usize {
        (index & self.mask) as usize * size_of::<T>()
    }

    /// Writes entry `index`. The device must be told of it after a barrier.
    #[inline]
    pub(crate) fn write(&self, index: u32, entry: &T) {
        // Can't fail: the offset is in bounds and aligned.
        let _ = self.memory.write(self.offset(index), entry);
    }

    /// Entry `index`, if the device has written it in this pass of the ring: if the lowest bit of the entry's last byte
    /// is set in even passes, and clear in odd ones.
    #[inline]
    pub(crate) fn read_new(&self, index: u32) -> Option<T> {
        let offset = self.offset(index);
        let last = self.memory.acquire(offset + size_of::<T>() - 8).ok()?;
        if !is_of_pass(index, self.mask, last) {
            return None;
        }
        self.memory.read(offset).ok()
    }

    /// Zeroes all entries, for a device that doesn't know the ring any more.
    pub(crate) fn clear(&self) {
        for offset in (0..self.memory.len()).step_by(8) {
            let _ = self.memory.write(offset, &[0u64]);
        }
    }
}

/// Whether an entry whose last word is `last` was written in the pass of a ring that `index` is of.
#[inline]
fn is_of_pass(index: u32, mask: u32, last: u64) -> bool {
    let phase = last.to_le() >> 56 & 1;
    let odd_pass = index & mask.wrapping_add(1) != 0;
    (phase == 1) != odd_pass
}

/// A piece of memory, as a device sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its address.
    pub(crate) address: u64,
    /// Its length in bytes.
    pub(crate) len: u32,
}

/// Pages that are mapped for a device.
///
/// # Invariants
///
/// `address` was mapped with `len` and `direction`.
struct Mapping {
    dev: ARef<Device>,
    address: u64,
    len: usize,
    direction: b::dma_data_direction,
}

impl Mapping {
    /// # Safety
    ///
    /// The memory must live, and not be used for something else, for as long as the value.
    unsafe fn new(
        dev: &Device<Bound>,
        page: *mut b::page,
        offset: usize,
        len: usize,
        direction: DataDirection,
    ) -> Result<Self> {
        let direction = b::dma_data_direction(direction as u32);
        // SAFETY: By the function's safety requirements; the device is bound.
        let address = unsafe { b::toe_helper_dma_map(raw(dev), page, offset, len, direction) };
        if address == u64::MAX {
            return Err(ENOMEM);
        }
        // INVARIANT: Just mapped.
        Ok(Self {
            dev: (&**dev).into(),
            address,
            len,
            direction,
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: Mapped, by the type's invariants, and a device is kept by its reference.
        unsafe { b::toe_helper_dma_unmap(raw(&self.dev), self.address, self.len, self.direction) };
    }
}

fn raw<C: kernel::device::DeviceContext>(dev: &Device<C>) -> *mut b::device {
    ptr::from_ref(dev).cast_mut().cast()
}

/// A packet that a device is to read.
pub(crate) struct MappedPacket {
    linear: Option<Mapping>,
    fragments: KVec<Mapping>,
    packet: SkBuff,
}

impl MappedPacket {
    /// Most pieces of a packet: the linear area and fragments.
    pub(crate) const MAX_PIECES: usize = 18;

    /// Maps all of `packet`; gives it back if that can't be done.
    pub(crate) fn new(dev: &Device<Bound>, packet: SkBuff) -> Result<Self, SkBuff> {
        let mut this = Self {
            linear: None,
            fragments: KVec::new(),
            packet,
        };
        match this.map(dev) {
            Ok(()) => Ok(this),
            Err(_) => Err(this.packet),
        }
    }

    fn map(&mut self, dev: &Device<Bound>) -> Result {
        let pieces = self.packet.tx_info().pieces;
        if usize::from(pieces) > Self::MAX_PIECES {
            return Err(EINVAL);
        }
        self.linear = self.map_piece(dev, 0)?;
        if pieces > 1 {
            self.fragments
                .reserve(usize::from(pieces) - 1, GFP_ATOMIC)?;
        }
        for number in 1..pieces {
            if let Some(mapping) = self.map_piece(dev, number)? {
                self.fragments.push(mapping, GFP_ATOMIC)?;
            }
        }
        Ok(())
    }

    /// Maps one piece; `None` if it is empty.
    #[inline]
    fn map_piece(&self, dev: &Device<Bound>, number: u16) -> Result<Option<Mapping>> {
        let (page, offset, len) = self.packet.piece(number)?;
        if len == 0 {
            return Ok(None);
        }
        // SAFETY: The packet is kept, and dropped after its mappings.
        let mapping = unsafe {
            Mapping::new(
                dev,
                page.as_ptr(),
                offset as usize,
                len as usize,
                DataDirection::ToDevice,
            )
        }?;
        Ok(Some(mapping))
    }

    /// The pieces, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        Iterator::chain(self.linear.iter(), self.fragments.iter()).map(|mapping| Piece {
            address: mapping.address,
            len: mapping.len as u32,
        })
    }

    /// Frees the packet, which was sent.
    #[inline]
    pub(crate) fn consume(self, bh: &BhDisabled) {
        drop((self.linear, self.fragments));
        self.packet.consume(bh);
    }
}

/// A payload buffer that a device may read and write, and what keeps it.
pub(crate) struct MappedBuffer<B> {
    list: Mapping,
    _addresses: KVec<u64>,
    _pages: KVec<Mapping>,
    shift: u8,
    _owner: Arc<B>,
}

impl<B> MappedBuffer<B> {
    /// Maps all of a `buffer` of `owner`, and the list of its pages' addresses, of which there is at least one per `PAGE_SIZE`.
    ///
    /// `ENOMEM` if there is no memory; `EOPNOTSUPP` if the device and the host don't see the same at any time.
    pub(crate) fn new(
        binding: &Binding,
        owner: &Arc<B>,
        buffer: fn(&B) -> &PayloadBuffer,
    ) -> Result<Self> {
        let buffer = buffer(owner);
        let pages = buffer.pages()?;
        let mut mappings = KVec::with_capacity(pages.len(), GFP_KERNEL)?;
        let mut addresses = KVec::with_capacity(pages.len(), GFP_KERNEL)?;
        let len = buffer.size() / pages.len();
        let list = binding
            .with(|dev| {
                for page in &pages {
                    // SAFETY: The buffer's owner is kept, and dropped after the mappings.
                    let mapping = unsafe {
                        Mapping::new(dev, page.as_ptr(), 0, len, DataDirection::Bidirectional)
                    }?;
                    // SAFETY: The device is bound.
                    if unsafe { b::toe_helper_dma_need_sync(raw(dev), mapping.address) } {
                        return Err(super::errno::EOPNOTSUPP.into());
                    }
                    addresses.push(mapping.address.to_le(), GFP_ATOMIC)?;
                    mappings.push(mapping, GFP_ATOMIC)?;
                }
                let bytes = addresses.len() * size_of::<u64>();
                let first = NonNull::from(addresses.as_mut_slice()).cast::<c_void>();
                // SAFETY: The list is in memory of the slab allocator, is kept, and not changed any more.
                unsafe {
                    let page = b::toe_helper_virt_to_page(first.as_ptr());
                    let offset = first.as_ptr() as usize & (kernel::page::PAGE_SIZE - 1);
                    Mapping::new(dev, page, offset, bytes, DataDirection::ToDevice)
                }
            })
            .ok_or(ENODEV)??;
        Ok(Self {
            list,
            _addresses: addresses,
            _pages: mappings,
            shift: len.trailing_zeros() as u8,
            _owner: owner.clone(),
        })
    }

    /// Where the device finds the list of addresses.
    pub(crate) fn list(&self) -> u64 {
        self.list.address
    }

    /// The logarithm of the pages' length.
    pub(crate) fn page_shift(&self) -> u8 {
        self.shift
    }
}

#[kernel::macros::kunit_tests(toe_dma)]
mod tests {
    use super::*;

    const WRITTEN: u64 = 1 << 56;

    #[test]
    fn is_of_pass__changes_with_each_pass() {
        for (index, last) in [(0, WRITTEN), (7, WRITTEN), (8, 0), (15, 0), (16, WRITTEN)] {
            assert!(is_of_pass(index, 7, last));
            assert!(!is_of_pass(index, 7, last ^ WRITTEN));
        }
    }

    #[test]
    fn is_of_pass__indices_wrap() {
        assert!(is_of_pass(u32::MAX, 7, 0));
        assert!(is_of_pass(u32::MAX.wrapping_add(1), 7, WRITTEN));
    }

    #[test]
    fn is_of_pass__other_bits_dont_matter() {
        assert!(is_of_pass(0, 7, !0));
        assert!(is_of_pass(8, 7, !WRITTEN));
    }
}
