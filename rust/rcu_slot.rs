// SPDX-License-Identifier: GPL-2.0
//! A place for an object that readers find without a lock.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use super::{bindings as b, context::RcuRead};
use core::{
    marker::PhantomData,
    mem::{offset_of, MaybeUninit},
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{alloc::AllocError, prelude::*};

/// What a filled slot points to, allocated by `KBox`.
struct Node<T> {
    rcu: b::callback_head,
    value: T,
}

/// Room for an object, to be put into a slot later without fail.
pub(crate) struct Reserved<T>(KBox<MaybeUninit<Node<T>>>);

impl<T> Reserved<T> {
    /// Allocates it; may sleep.
    pub(crate) fn new() -> Result<Self, AllocError> {
        Ok(Self(KBox::new_uninit(GFP_KERNEL)?))
    }
}

/// A place for a `T`, which is read under RCU, and dropped a grace period after it was taken out, in softirq context.
///
/// # Invariants
///
/// - `node` is null or from `KBox::into_raw`.
/// - A node taken out is freed a grace period later.
///
/// # Examples
///
/// ```ignore
/// let slot = RcuSlot::new();
/// slot.fill(Reserved::new()?, 42);
/// assert_eq!(slot.read(&rcu::read_lock()), Some(&42));
/// slot.clear();
/// ```
pub(crate) struct RcuSlot<T: Send + Sync + 'static> {
    node: AtomicPtr<Node<T>>,
    _value: PhantomData<T>,
}

// SAFETY: The value may be used and dropped by any thread.
unsafe impl<T: Send + Sync> Send for RcuSlot<T> {}
// SAFETY: As above; the pointer is changed atomically.
unsafe impl<T: Send + Sync> Sync for RcuSlot<T> {}

impl<T: Send + Sync> RcuSlot<T> {
    /// An empty slot.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Null.
        Self {
            node: AtomicPtr::new(ptr::null_mut()),
            _value: PhantomData,
        }
    }

    /// Whether it is filled at the moment.
    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        !self.node.load(Ordering::Relaxed).is_null()
    }

    /// The object, for as long as the read-side critical section lasts.
    #[inline]
    pub(crate) fn read<'a>(&'a self, _rcu: &'a impl RcuRead) -> Option<&'a T> {
        // SAFETY: What is taken out from now on is freed after the critical section.
        unsafe { self.get() }
    }

    /// The object.
    ///
    /// # Safety
    ///
    /// What is in the slot now must not be taken out, or not be freed, throughout `'a`.
    #[inline]
    pub(super) unsafe fn get<'a>(&'a self) -> Option<&'a T> {
        // Acquire: what it points to was written before.
        let node = NonNull::new(self.node.load(Ordering::Acquire))?;
        // SAFETY: By the type invariant it is a node, which lives throughout `'a` by this function's contract.
        Some(unsafe { &(*node.as_ptr()).value })
    }

    /// Puts `value` in, instead of what was there.
    pub(crate) fn fill(&self, room: Reserved<T>, value: T) {
        let node = KBox::write(
            room.0,
            Node {
                rcu: b::callback_head::default(),
                value,
            },
        );
        self.replace(KBox::into_raw(node));
    }

    /// Takes out what is there; returns whether something was.
    pub(crate) fn clear(&self) -> bool {
        self.replace(ptr::null_mut())
    }

    fn replace(&self, new: *mut Node<T>) -> bool {
        // INVARIANT: `new` is null or a node. Release: what it points to was written before.
        let Some(old) = NonNull::new(self.node.swap(new, Ordering::AcqRel)) else {
            return false;
        };
        // SAFETY: A node by the type invariant, that nobody finds any more; it is freed when those who have found it before
        // are done.
        unsafe { b::call_rcu(&raw mut (*old.as_ptr()).rcu, Some(Self::free)) };
        true
    }

    /// # Safety
    ///
    /// `rcu` is that of a node of this type, which nobody uses any more.
    unsafe extern "C" fn free(rcu: *mut b::callback_head) {
        let node = rcu
            .wrapping_byte_sub(offset_of!(Node<T>, rcu))
            .cast::<Node<T>>();
        // SAFETY: By this function's contract; nodes are from `KBox::into_raw`.
        drop(unsafe { KBox::from_raw(node) });
    }
}

impl<T: Send + Sync> Drop for RcuSlot<T> {
    fn drop(&mut self) {
        if let Some(node) = NonNull::new(*self.node.get_mut()) {
            // SAFETY: A node by the type invariant; nobody else has a reference to the slot, nor thus to what it holds.
            drop(unsafe { KBox::from_raw(node.as_ptr()) });
        }
    }
}
