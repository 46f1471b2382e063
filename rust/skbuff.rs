// SPDX-License-Identifier: GPL-2.0
//! Socket buffers.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::bindings;
use super::{buffer::PayloadBuffer, context::BhDisabled, dst::Dst};
use core::{
    ffi::{c_int, c_void},
    mem::{ManuallyDrop, MaybeUninit},
    ptr::{self, NonNull},
    slice,
};
use kernel::{error::to_result, prelude::*};

/// Why a packet is dropped, for the kernel's drop monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum DropReason {
    /// No better reason is known.
    Unspecified = bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
    /// The IP header checksum is wrong.
    IpChecksum = bindings::skb_drop_reason_SKB_DROP_REASON_IP_CSUM,
    /// The TCP checksum is wrong.
    TcpChecksum = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_CSUM,
    /// A segment outside the receive window, or one the connection can't take.
    TcpInvalidSequence = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_INVALID_SEQUENCE,
    /// No memory, or no room in a queue.
    NoMemory = bindings::skb_drop_reason_SKB_DROP_REASON_NOMEM,
    /// The connection is closed.
    Closed = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_CLOSE,
}

/// What tells early whether a received packet can belong to a connection.
pub(crate) struct RxInfo(bindings::toe_rx_info);

impl RxInfo {
    /// Whether the link layer says that the packet is for this host, and for the device itself rather than a VLAN on it;
    /// and the CPU can read all of it.
    #[inline]
    pub(crate) fn is_for_device(&self) -> bool {
        self.0.for_this_host && !self.0.vlan_tagged && self.0.readable
    }
}

/// The headers of a TCP segment for transmission, or of many that share them (TSO), and what else the stack needs.
///
/// `headers` is link-layer, network and TCP header in this order; the TCP checksum field holds the sum of the
/// pseudo-header, not complemented.
#[derive(Clone, Copy)]
pub(crate) struct TcpFrame<'a> {
    /// All headers.
    pub(crate) headers: &'a [u8],
    /// Length of the link-layer header in bytes; 0 for devices that have none.
    pub(crate) link_len: u16,
    /// Length of the IP header in bytes.
    pub(crate) network_len: u16,
    /// `ETH_P_IP` or `ETH_P_IPV6`.
    pub(crate) ethertype: u16,
    /// Payload bytes of each segment; 0 for a single segment.
    pub(crate) gso_size: u16,
    /// The TCP header has CWR set: only the first segment may keep it.
    pub(crate) cwr: bool,
    /// Hash of the flow, by which the device's queue is chosen.
    pub(crate) hash: u32,
    /// `SO_PRIORITY`.
    pub(crate) priority: u32,
    /// `SO_MARK`.
    pub(crate) mark: u32,
}

/// Payload of a frame: `len` bytes from stream position `pos` of `buffer`.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    /// The ring it is copied from.
    pub(crate) buffer: &'a PayloadBuffer,
    /// Stream position of the first byte.
    pub(crate) pos: u32,
    /// Number of bytes.
    pub(crate) len: usize,
}

/// What became of the checksums of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksums {
    /// They are right, as far as anybody can tell.
    Right,
    /// That of the IPv4 header is wrong.
    IpWrong,
    /// That of the transport protocol is wrong.
    TransportWrong,
}

/// An owned socket buffer; dropping it counts as a packet drop, [`SkBuff::consume`] does not.
///
/// # Invariants
///
/// Points to a valid `sk_buff` that is on no list, and one of whose references the value owns.
#[repr(transparent)]
pub(crate) struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A socket buffer may be used and freed by any thread.
unsafe impl Send for SkBuff {}

// SAFETY: Methods that take a shared reference only read what no other owner of a reference writes.
unsafe impl Sync for SkBuff {}

impl SkBuff {
    /// Longest run of headers [`SkBuff::headers`] gathers: those of IPv4 or IPv6 without extensions, and TCP's.
    pub(crate) const MAX_HEADERS: usize = 120;

    /// Most payload bytes of one frame: what 16 bits of IP length leave beside the longest headers.
    pub(crate) const MAX_PAYLOAD: usize = 65535 - Self::MAX_HEADERS;

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// The caller must own a reference to the valid sk_buff at `ptr`, which is on no list, and give it up.
    #[inline]
    pub(crate) unsafe fn from_raw(ptr: NonNull<bindings::sk_buff>) -> Self {
        // INVARIANT: By the function's safety requirements.
        Self(ptr)
    }

    /// Gives the reference to the caller.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Whether it is the buffer at `ptr`.
    #[inline]
    pub(super) fn is(&self, ptr: *const bindings::sk_buff) -> bool {
        core::ptr::eq(self.0.as_ptr(), ptr)
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Builds a frame for transmission, with `headroom` spare bytes before it.
    ///
    /// The checksum is left to the device or the stack (`CHECKSUM_PARTIAL`), as is the cutting into segments. `EINVAL`
    /// if lengths don't fit each other, `ENOMEM` if there is no memory.
    #[inline]
    pub(crate) fn new_tcp(
        headroom: u16,
        frame: &TcpFrame<'_>,
        payload: Option<Payload<'_>>,
        _bh: &BhDisabled,
    ) -> Result<Self> {
        let lower = usize::from(frame.link_len) + usize::from(frame.network_len);
        let headers = frame.headers;
        if headers.len() < lower + size_of::<bindings::tcphdr>()
            || headers.len() > lower + Self::MAX_HEADERS
            || headroom > u16::MAX / 2
            || frame.link_len > u16::MAX / 8
        {
            return Err(EINVAL);
        }
        let parts = match payload {
            None => [(ptr::null(), 0); 2],
            Some(Payload { len, .. }) if len > Self::MAX_PAYLOAD => return Err(EINVAL),
            Some(Payload { buffer, pos, len }) => buffer.parts(pos, len)?,
        };
        let frame = bindings::toe_tcp_frame {
            headers: headers.as_ptr().cast(),
            payload: parts.map(|(part, _)| part),
            payload_len: parts.map(|(_, len)| len as u32),
            headers_len: headers.len() as u16,
            headroom,
            link_len: frame.link_len,
            network_len: frame.network_len,
            ethertype: frame.ethertype,
            gso_size: frame.gso_size,
            cwr: frame.cwr,
            hash: frame.hash,
            priority: frame.priority,
            mark: frame.mark,
        };
        // SAFETY: `headers` and the parts of the payload are readable; the lengths were checked above. Bottom halves are
        // disabled.
        let skb = unsafe { bindings::toe_helper_tcp_frame(&frame) };
        // INVARIANT: Just made, and on no list.
        Ok(Self(NonNull::new(skb).ok_or(ENOMEM)?))
    }

    /// The number of bytes from the current header on; at the receive hook, from the network header.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: Valid by the type's invariants.
        unsafe { (*self.as_ptr()).len as usize }
    }

    /// The number of those bytes that lie in the linear area.
    #[inline]
    fn linear_len(&self) -> usize {
        // SAFETY: Valid by the type's invariants.
        unsafe { ((*self.as_ptr()).len - (*self.as_ptr()).data_len) as usize }
    }

    #[inline]
    fn data(&self) -> *const u8 {
        // SAFETY: Valid by the type's invariants.
        unsafe { (*self.as_ptr()).data }
    }

    /// The first bytes: at least [`MAX_HEADERS`](Self::MAX_HEADERS) of them, or all if there are fewer.
    ///
    /// Nothing is moved in the packet: headers outside the linear area are copied to `scratch`. Empty if they can't be
    /// read.
    #[inline]
    pub(crate) fn headers<'a>(
        &'a self,
        scratch: &'a mut MaybeUninit<[u8; Self::MAX_HEADERS]>,
    ) -> &'a [u8] {
        let want = self.len().min(Self::MAX_HEADERS);
        if self.linear_len() >= want {
            // SAFETY: The linear area starts at `data` and is this long; whoever else owns a reference to the packet
            // doesn't write to it.
            return unsafe { slice::from_raw_parts(self.data(), self.linear_len()) };
        }
        let scratch = scratch.as_mut_ptr().cast::<u8>();
        // SAFETY: `scratch` has room for `MAX_HEADERS` bytes.
        match unsafe { self.copy_bits(0, scratch.cast(), want) } {
            // SAFETY: Just initialised.
            Ok(()) => unsafe { slice::from_raw_parts(scratch, want) },
            Err(_) => &[],
        }
    }

    /// Link-layer properties of a received packet.
    #[inline]
    pub(crate) fn rx_info(&self) -> RxInfo {
        // SAFETY: Valid by the type's invariants.
        RxInfo(unsafe { bindings::toe_helper_skb_rx_info(self.as_ptr()) })
    }

    /// Checks the checksums of a received packet: that of its IP header, which is `offset` bytes long (20, IPv4 without
    /// options, or 40, IPv6 without extensions), and that of the `len` bytes of TCP that follow.
    ///
    /// Relies on the device's verdict where there is one; packets of this host that were never on a wire are right.
    #[inline]
    pub(crate) fn verify_checksums(&self, offset: usize, len: usize) -> Checksums {
        if !matches!(offset, 20 | 40) || offset > self.len() || len > self.len() - offset {
            return Checksums::IpWrong;
        }
        let tcp = bindings::IPPROTO_TCP as u8;
        // SAFETY: Valid by the type's invariants; the range lies in the packet, whose length is 32 bits.
        match unsafe {
            bindings::toe_helper_skb_checksums(self.as_ptr(), offset as u32, len as u32, tcp)
        } {
            bindings::toe_checksums_TOE_CHECKSUMS_RIGHT => Checksums::Right,
            bindings::toe_checksums_TOE_CHECKSUMS_IP_WRONG => Checksums::IpWrong,
            _ => Checksums::TransportWrong,
        }
    }

    /// Attaches a route, in place of any there was.
    pub(crate) fn set_dst(&mut self, dst: Dst) {
        // SAFETY: Valid by the type's invariants; the packet takes over the reference.
        unsafe { bindings::toe_helper_skb_dst_set(self.as_ptr(), dst.into_raw()) };
    }

    /// Makes a received packet one that can be kept: that no one else holds and that doesn't rely on the RCU read-side
    /// critical section it is received in. By a copy of the metadata if need be; `None` if there is no memory for that.
    pub(crate) fn into_owned(self) -> Option<Self> {
        // SAFETY: The reference is given to the function, which returns one to a packet of our own or frees it.
        let skb = unsafe { bindings::toe_helper_skb_own(self.into_raw()) };
        NonNull::new(skb).map(Self)
    }

    /// Has the stack receive a packet again that was kept, from where the receive hook saw it.
    pub(crate) fn receive_again(self) {
        // SAFETY: The reference is given up. A received packet still has its device.
        unsafe { bindings::netif_rx(self.into_raw()) };
    }

    /// Frees a packet that arrived where it was meant to.
    #[inline]
    pub(crate) fn consume(self, _bh: &BhDisabled) {
        // Any budget but 0 says that bottom halves are disabled.
        // SAFETY: They are; the reference is given up.
        unsafe { bindings::napi_consume_skb(self.into_raw(), 1) };
    }

    /// Frees a packet that is dropped for `reason`.
    pub(crate) fn discard(self, reason: DropReason) {
        // SAFETY: The reference is given up.
        unsafe { bindings::sk_skb_reason_drop(ptr::null(), self.into_raw(), reason as u32) };
    }

    /// Copies `len` bytes from `offset` on to `to`; `EFAULT` if there are fewer, or the CPU can't read them.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writes of `len` bytes.
    #[inline]
    pub(super) unsafe fn copy_bits(&self, offset: usize, to: *mut c_void, len: usize) -> Result {
        let (offset, len) = Self::range(offset, len)?;
        // SAFETY: Valid by the type's invariants; the callee checks the range.
        to_result(unsafe { bindings::skb_copy_bits(self.as_ptr(), offset, to, len) })
    }

    #[inline]
    fn range(offset: usize, len: usize) -> Result<(c_int, c_int)> {
        Ok((c_int::try_from(offset)?, c_int::try_from(len)?))
    }
}

impl Drop for SkBuff {
    fn drop(&mut self) {
        // SAFETY: The value owns a reference, by the type's invariants, and gives it up.
        unsafe {
            bindings::sk_skb_reason_drop(ptr::null(), self.as_ptr(), DropReason::Unspecified as u32)
        };
    }
}

/// A queue of socket buffers, first in, first out.
///
/// # Invariants
///
/// `head` starts a list, linked by `next`, of valid sk_buffs of each of which the queue owns a reference. `tail` is the
/// last of them, if there is any.
pub(crate) struct SkBuffQueue {
    head: *mut bindings::sk_buff,
    tail: *mut bindings::sk_buff,
    len: usize,
}

// SAFETY: As for `SkBuff`.
unsafe impl Send for SkBuffQueue {}

impl SkBuffQueue {
    /// An empty queue.
    #[inline]
    pub(crate) const fn new() -> Self {
        // INVARIANT: There is no buffer.
        Self {
            head: ptr::null_mut(),
            tail: ptr::null_mut(),
            len: 0,
        }
    }

    /// Whether there is no buffer.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// The number of buffers.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a buffer at the end.
    #[inline]
    pub(crate) fn push(&mut self, skb: SkBuff) {
        let last = skb.into_raw();
        let other = Self {
            head: last,
            tail: last,
            len: 1,
        };
        self.append(other);
    }

    /// Moves all of `other` to the end.
    #[inline]
    pub(crate) fn append(&mut self, other: Self) {
        let other = ManuallyDrop::new(other);
        if self.head.is_null() {
            self.head = other.head;
            self.tail = other.tail;
        } else if !other.head.is_null() {
            // SAFETY: By the type's invariants `tail` is valid and the last of the list.
            unsafe { (*self.tail).__bindgen_anon_1.__bindgen_anon_1.next = other.head };
            self.tail = other.tail;
        }
        self.len += other.len;
    }

    /// Removes the first buffer.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<SkBuff> {
        let first = NonNull::new(self.head)?;
        // SAFETY: By the type's invariants, `first` is valid, and its list membership is the queue's.
        self.head = unsafe {
            let link = &mut (*first.as_ptr()).__bindgen_anon_1.__bindgen_anon_1.next;
            core::mem::replace(link, ptr::null_mut())
        };
        self.len -= 1;
        // INVARIANT: Taken off the list, with the queue's reference.
        Some(SkBuff(first))
    }

    /// Takes all buffers out.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new())
    }
}

impl Drop for SkBuffQueue {
    #[inline]
    fn drop(&mut self) {
        while let Some(skb) = self.pop() {
            drop(skb);
        }
    }
}
