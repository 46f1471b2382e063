// SPDX-License-Identifier: GPL-2.0
//! An object that a socket has for some time.

use super::{
    context::RcuRead,
    rcu_slot::{RcuSlot, Reserved},
    sock::{AnySock, SockGuard},
};
use core::ptr;
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::{rcu, Arc, ArcBorrow},
};

/// A place for an `Arc<T>` in the Rust part of a socket, that is filled and cleared under the socket's lock.
///
/// Who holds that lock reads it for nothing, and the object stays as long as the lock is held. Others read it under
/// RCU. An object that was taken out may be dropped in softirq context.
///
/// # Invariants
///
/// `slot` changes under the lock of the socket `owner` points to only.
///
/// # Examples
///
/// ```ignore
/// let reserved = SocketSlot::reserve()?;
/// let mut guard = sock.lock();
/// slot.fill(&mut guard, reserved, Arc::new(42, GFP_KERNEL)?);
/// assert_eq!(slot.get(&guard).map(|value| *value), Some(42));
/// slot.clear(&mut guard);
/// ```
pub(crate) struct SocketSlot<T: Send + Sync + 'static> {
    slot: RcuSlot<Arc<T>>,
    /// Compared only.
    owner: *const AnySock,
}

// SAFETY: `owner` is never followed.
unsafe impl<T: Send + Sync> Send for SocketSlot<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for SocketSlot<T> {}

impl<T: Send + Sync> SocketSlot<T> {
    /// An empty slot of the socket `owner`.
    pub(crate) fn new(owner: &AnySock) -> Self {
        Self {
            slot: RcuSlot::new(),
            owner,
        }
    }

    /// Room for an object.
    pub(crate) fn reserve() -> Result<Reserved<Arc<T>>, AllocError> {
        Reserved::new()
    }

    /// Whether it is filled at the moment.
    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        self.slot.is_filled()
    }

    /// The object, for as long as the socket stays locked.
    #[inline]
    pub(crate) fn get<'a>(&'a self, guard: &'a SockGuard<'_>) -> Option<ArcBorrow<'a, T>> {
        self.check(guard);
        // SAFETY: By the type invariant nobody takes it out while the socket is locked. To unlock it, or to take it out, wants
        // the guard that is borrowed for `'a`.
        unsafe { self.slot.get() }.map(Arc::as_arc_borrow)
    }

    /// The object, for as long as the read-side critical section lasts.
    #[inline]
    pub(crate) fn read<'a>(&'a self, rcu: &'a impl RcuRead) -> Option<ArcBorrow<'a, T>> {
        self.slot.read(rcu).map(Arc::as_arc_borrow)
    }

    /// A reference of one's own to the object.
    pub(crate) fn share(&self) -> Option<Arc<T>> {
        self.read(&rcu::read_lock()).map(Arc::from)
    }

    /// Puts `value` in, instead of what was there.
    pub(crate) fn fill(&self, guard: &mut SockGuard<'_>, room: Reserved<Arc<T>>, value: Arc<T>) {
        // INVARIANT: The socket is locked.
        self.check(guard);
        self.slot.fill(room, value);
    }

    /// Takes out what is there.
    pub(crate) fn clear(&self, guard: &mut SockGuard<'_>) {
        // INVARIANT: The socket is locked.
        self.check(guard);
        self.slot.clear();
    }

    #[inline]
    fn check(&self, guard: &SockGuard<'_>) {
        assert!(ptr::eq(self.owner, guard.socket()), "another socket's lock");
    }
}
