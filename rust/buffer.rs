// SPDX-License-Identifier: GPL-2.0
//! Payload buffers: the rings between an application's stream and a data-path.
//!
//! C headers: [`include/linux/uio.h`](srctree/include/linux/uio.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::bindings;
use super::skbuff::SkBuff;
use core::{ffi::c_void, ptr::NonNull};
use kernel::{
    iov::{IovIterDest, IovIterSource},
    page::PAGE_SIZE,
    prelude::*,
};

/// A ring of bytes addressed by stream position.
///
/// A position is a count of bytes since the start of the stream, modulo 2^32; the byte of position `p` lies at offset
/// `p` modulo the ring's size, a power of two. The ring keeps no head or tail: who may read and who may write which
/// positions is agreed outside, as with memory a device reaches by DMA. So its bytes may change at any time, no
/// reference to them is ever given out, and every access is a copy that takes care of wrapping.
///
/// # Invariants
///
/// `base` points to `mask + 1` initialised bytes, which only this value's methods access, by C's memory functions, and
/// which are freed when it is dropped. `mask + 1` is a power of two.
///
/// # Examples
///
/// ```
/// let ring = PayloadBuffer::new(4096)?;
/// // The last two bytes of the ring, and the first two.
/// let copied = ring.copy_from_iter(4094, source, 4);
/// ring.copy_to_iter(4094, dest, copied);
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct PayloadBuffer {
    base: NonNull<u8>,
    mask: u32,
}

// SAFETY: The memory belongs to the value and can be used and freed by any thread.
unsafe impl Send for PayloadBuffer {}

// SAFETY: All access is by copies of bytes whose contents nothing relies on.
unsafe impl Sync for PayloadBuffer {}

/// The parts of the ring that positions `pos..pos + len` lie in.
struct Span {
    offset: usize,
    first: usize,
    second: usize,
}

impl PayloadBuffer {
    /// The largest ring, in bytes: half of the sequence space's half that a window may cover.
    pub(crate) const MAX_SIZE: usize = 1 << 30;

    /// Allocates a ring of `size` bytes, charged to the current memory cgroup.
    ///
    /// `EINVAL` if `size` is no power of two or exceeds [`MAX_SIZE`](Self::MAX_SIZE), `ENOMEM` if there is no memory.
    pub(crate) fn new(size: usize) -> Result<Self> {
        if !size.is_power_of_two() || size > Self::MAX_SIZE {
            return Err(EINVAL);
        }
        let storage = KVVec::<u8>::with_capacity(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO)?;
        let (base, _, _) = storage.into_raw_parts();
        // INVARIANT: The vector's memory, zeroed, now belongs to the value alone.
        Ok(Self {
            base: NonNull::new(base).ok_or(ENOMEM)?,
            mask: (size - 1) as u32,
        })
    }

    /// The number of bytes the ring holds.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.mask as usize + 1
    }

    /// Splits `len` bytes from `pos` at the end of the ring; `EINVAL` if the ring is smaller than that.
    #[inline]
    fn span(&self, pos: u32, len: usize) -> Result<Span> {
        if len > self.size() {
            return Err(EINVAL);
        }
        let offset = (pos & self.mask) as usize;
        let first = len.min(self.size() - offset);
        Ok(Span {
            offset,
            first,
            second: len - first,
        })
    }

    /// Where the byte at `offset` lies.
    ///
    /// # Safety
    ///
    /// `offset` must be below the ring's size.
    #[inline]
    unsafe fn at(&self, offset: usize) -> *mut c_void {
        // SAFETY: In bounds, by the type's invariants and this function's requirements.
        unsafe { self.base.as_ptr().add(offset).cast() }
    }

    /// Copies `bytes` to position `pos`.
    ///
    /// `EINVAL` if they are more than the ring holds.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn write(&self, pos: u32, bytes: &[u8]) -> Result {
        let span = self.span(pos, bytes.len())?;
        // SAFETY: By `span`, both parts lie in the ring and together are as long as `bytes`.
        unsafe {
            bindings::toe_helper_memcpy(self.at(span.offset), bytes.as_ptr().cast(), span.first);
            bindings::toe_helper_memcpy(
                self.at(0),
                bytes.as_ptr().add(span.first).cast(),
                span.second,
            );
        }
        Ok(())
    }

    /// Copies the bytes from position `pos` on to `bytes`.
    ///
    /// `EINVAL` if the ring is smaller than `bytes`.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn read(&self, pos: u32, bytes: &mut [u8]) -> Result {
        let span = self.span(pos, bytes.len())?;
        // SAFETY: By `span`, both parts lie in the ring and together are as long as `bytes`.
        unsafe {
            bindings::toe_helper_memcpy(
                bytes.as_mut_ptr().cast(),
                self.at(span.offset),
                span.first,
            );
            bindings::toe_helper_memcpy(
                bytes.as_mut_ptr().add(span.first).cast(),
                self.at(0),
                span.second,
            );
        }
        Ok(())
    }

    /// Copies `len` bytes, from `offset` in `skb` on, to position `pos`.
    ///
    /// `EINVAL` if they are more than the ring holds, `EFAULT` if `skb` doesn't have them in memory the CPU can read.
    #[inline]
    pub(crate) fn copy_from_skb(
        &self,
        pos: u32,
        skb: &SkBuff,
        offset: usize,
        len: usize,
    ) -> Result {
        let span = self.span(pos, len)?;
        // SAFETY: By `span`, both parts lie in the ring.
        unsafe {
            skb.copy_bits(offset, self.at(span.offset), span.first)?;
            if span.second != 0 {
                skb.copy_bits(offset + span.first, self.at(0), span.second)?;
            }
        }
        Ok(())
    }

    /// The two parts of `len` bytes from position `pos` on, of which the second may be empty.
    ///
    /// `EINVAL` if the ring is smaller than that.
    #[inline]
    pub(super) fn parts(&self, pos: u32, len: usize) -> Result<[(*const c_void, usize); 2]> {
        let span = self.span(pos, len)?;
        // SAFETY: `span` gives an offset in the ring.
        let first = unsafe { self.at(span.offset) };
        Ok([
            (first.cast_const(), span.first),
            (self.base.as_ptr().cast_const().cast(), span.second),
        ])
    }

    /// The first pages of the parts of equal length it is made of, each contiguous for devices too. `ENOMEM` if there is
    /// no memory for the list.
    pub(super) fn pages(&self) -> Result<KVec<NonNull<bindings::page>>> {
        // SAFETY: The address is one of the kernel's allocators'.
        let step = if unsafe { bindings::toe_helper_is_vmalloc(self.base.as_ptr().cast()) } {
            PAGE_SIZE.min(self.size())
        } else {
            self.size()
        };
        let mut pages = KVec::with_capacity(self.size() / step, GFP_KERNEL)?;
        for offset in (0..self.size()).step_by(step) {
            // SAFETY: In bounds.
            let page = unsafe { bindings::toe_helper_virt_to_page(self.at(offset)) };
            pages.push(NonNull::new(page).ok_or(EINVAL)?, GFP_KERNEL)?;
        }
        Ok(pages)
    }

    /// Copies up to `len` bytes from `source` to position `pos`; returns how many.
    ///
    /// Fewer are copied if `source` or the ring ends before, or an application's memory faults.
    pub(crate) fn copy_from_iter(
        &self,
        pos: u32,
        source: &mut IovIterSource<'_>,
        len: usize,
    ) -> usize {
        self.in_parts(pos, len, |part, len| {
            // SAFETY: `part` is `len` bytes of the ring; `source` is a valid iterator over readable data.
            unsafe { bindings::_copy_from_iter(part, len, source.as_raw().cast()) }
        })
    }

    /// Copies up to `len` bytes from position `pos` on to `dest`; returns how many.
    ///
    /// Fewer are copied if `dest` or the ring ends before, or an application's memory faults.
    pub(crate) fn copy_to_iter(&self, pos: u32, dest: &mut IovIterDest<'_>, len: usize) -> usize {
        self.in_parts(pos, len, |part, len| {
            // SAFETY: `part` is `len` bytes of the ring; `dest` is a valid iterator over writable memory.
            unsafe { bindings::_copy_to_iter(part, len, dest.as_raw().cast()) }
        })
    }

    /// Calls `copy` for each part of up to `len` bytes from `pos`, until one falls short; returns the bytes it did.
    #[inline]
    fn in_parts(
        &self,
        pos: u32,
        len: usize,
        mut copy: impl FnMut(*mut c_void, usize) -> usize,
    ) -> usize {
        let Ok(span) = self.span(pos, len.min(self.size())) else {
            return 0;
        };
        // SAFETY: `span` gives an offset in the ring.
        let done = copy(unsafe { self.at(span.offset) }, span.first);
        if done < span.first || span.second == 0 {
            return done;
        }
        // SAFETY: No ring is empty.
        done + copy(unsafe { self.at(0) }, span.second)
    }
}

impl Drop for PayloadBuffer {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants, these are the parts of the vector that `new` took apart.
        drop(unsafe { KVVec::<u8>::from_raw_parts(self.base.as_ptr(), 0, self.size()) });
    }
}

#[kunit_tests(toe_buffer)]
mod tests {
    use super::*;

    #[test]
    fn new_size_must_be_a_power_of_two() {
        assert!(PayloadBuffer::new(0).is_err());
        assert!(PayloadBuffer::new(3000).is_err());
        assert!(PayloadBuffer::new(PayloadBuffer::MAX_SIZE * 2).is_err());
        assert_eq!(PayloadBuffer::new(8192).map(|b| b.size()), Ok(8192));
    }

    #[test]
    fn read_returns_what_write_wrote_across_the_end_and_the_position_wrap() -> Result {
        let ring = PayloadBuffer::new(64)?;
        for pos in [0, 60, 63, u32::MAX - 2] {
            let mut bytes = [0; 7];
            ring.write(pos, b"payload")?;
            ring.read(pos, &mut bytes)?;
            assert_eq!(&bytes, b"payload");
        }
        Ok(())
    }

    #[test]
    fn write_refuses_more_than_the_ring_holds() -> Result {
        let ring = PayloadBuffer::new(4)?;
        assert_eq!(ring.write(1, b"12345"), Err(EINVAL));
        assert_eq!(ring.write(1, b"1234"), Ok(()));
        Ok(())
    }
}
