// SPDX-License-Identifier: GPL-2.0
//! Routing results.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

use super::{bindings, sock::AnySock};
use core::{mem::ManuallyDrop, ptr::NonNull};

/// A counted reference to a routing result, `struct dst_entry`.
///
/// # Invariants
///
/// Points to a valid `dst_entry`, one of whose references the value owns.
pub(crate) struct Dst(NonNull<bindings::dst_entry>);

// SAFETY: A dst_entry is reference counted atomically and may be used and released by any thread.
unsafe impl Send for Dst {}

// SAFETY: The methods that take a shared reference only count references, atomically.
unsafe impl Sync for Dst {}

impl Dst {
    /// Takes over a reference; `None` if `ptr` is null.
    ///
    /// # Safety
    ///
    /// If `ptr` isn't null, the caller must own a reference to the valid dst_entry there, and give it up.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::dst_entry) -> Option<Self> {
        // INVARIANT: By the function's safety requirements.
        NonNull::new(ptr).map(Self)
    }

    /// Gives the reference to the caller.
    pub(crate) fn into_raw(self) -> *mut bindings::dst_entry {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// The route `sk` uses, if it has one that is still right.
    pub(crate) fn of(sk: &AnySock) -> Option<Self> {
        // SAFETY: The socket is valid; what is returned comes with a reference.
        unsafe { Self::from_raw(bindings::toe_helper_sk_route(sk.as_ptr())) }
    }

    /// The interface index of the netdev it leaves by.
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: By the type's invariants; a route holds its netdev.
        unsafe { (*bindings::toe_helper_dst_dev(self.as_ptr())).ifindex as u32 }
    }

    /// The largest IP packet that passes, in bytes.
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: By the type's invariants.
        unsafe { bindings::toe_helper_dst_mtu(self.as_ptr()) }
    }

    /// The dst_entry, for as long as the reference lives.
    pub(crate) fn as_ptr(&self) -> *mut bindings::dst_entry {
        self.0.as_ptr()
    }
}

impl Clone for Dst {
    fn clone(&self) -> Self {
        // SAFETY: By the type's invariants there is a reference already.
        unsafe { bindings::toe_helper_dst_hold(self.as_ptr()) };
        // INVARIANT: The new value owns the reference just counted.
        Self(self.0)
    }
}

impl Drop for Dst {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants the value owns a reference.
        unsafe { bindings::dst_release(self.as_ptr()) };
    }
}
