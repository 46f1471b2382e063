// SPDX-License-Identifier: GPL-2.0
//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use super::bindings;
use core::ptr::{self, NonNull};
use kernel::{sync::aref::AlwaysRefCounted, types::Opaque};

/// A network namespace.
///
/// A counted reference to one (`ARef<Net>`) keeps its devices from going away; to tell namespaces apart, keep the
/// [`cookie`](Self::cookie).
///
/// # Invariants
///
/// A valid `struct net` whose reference count is not zero.
#[repr(transparent)]
pub(crate) struct Net(Opaque<bindings::net>);

// SAFETY: `struct net` is reference counted across threads.
unsafe impl Send for Net {}

// SAFETY: The methods only read what never changes.
unsafe impl Sync for Net {}

// SAFETY: `get_net()` and `put_net()` keep the count that keeps a `struct net` alive.
unsafe impl AlwaysRefCounted for Net {
    fn inc_ref(&self) {
        // SAFETY: By the type's invariants the count is not zero.
        unsafe { bindings::toe_helper_get_net(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::toe_helper_put_net(obj.as_ptr().cast()) };
    }
}

impl Net {
    /// A namespace C code passes.
    ///
    /// # Safety
    ///
    /// `ptr` must be a valid `struct net`, kept by a reference throughout `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::net) -> &'a Self {
        // SAFETY: By the function's safety requirements; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    /// The namespace the kernel started with.
    pub(crate) fn init() -> &'static Self {
        // SAFETY: `init_net` is never freed.
        unsafe { Self::from_raw(ptr::addr_of!(bindings::init_net).cast_mut()) }
    }

    /// The C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// A number no other namespace has or will have.
    pub(crate) fn cookie(&self) -> NetCookie {
        // SAFETY: Valid by the type's invariants; set once, when the namespace was made.
        NetCookie(unsafe { bindings::toe_helper_net_cookie(self.as_ptr()) })
    }
}

/// What tells a network namespace from all others there are, were and will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NetCookie(pub(super) u64);
