// SPDX-License-Identifier: GPL-2.0
//! An object that a socket has for some time.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use super::{
    bindings as b,
    context::RcuRead,
    sock::{AnySock, SockGuard},
};
use core::{
    marker::PhantomData,
    mem::{offset_of, MaybeUninit},
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::{rcu, Arc, ArcBorrow},
};

/// What a filled slot points to, allocated by `KBox`.
struct Node<T> {
    rcu: b::callback_head,
    value: Arc<T>,
}

/// Room for an object, to be put into a slot later without fail.
pub(crate) struct Reserved<T>(KBox<MaybeUninit<Node<T>>>);

/// A place for an `Arc<T>` in the Rust part of a socket, that is filled and cleared under the socket's lock.
///
/// Who holds that lock reads it for nothing, and the object stays as long as the lock is held. Others read it under
/// RCU. An object that was taken out may be dropped in softirq context.
///
/// # Invariants
///
/// - `node` is null or from `KBox::into_raw`, and changes under the lock of the socket `owner` points to only.
/// - A node taken out is freed a grace period later.
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
    node: AtomicPtr<Node<T>>,
    /// Compared only.
    owner: *const AnySock,
    _value: PhantomData<Arc<T>>,
}

// SAFETY: The value may be shared between threads and dropped by any; `owner` is never followed.
unsafe impl<T: Send + Sync> Send for SocketSlot<T> {}
// SAFETY: As above; changes are made under a lock.
unsafe impl<T: Send + Sync> Sync for SocketSlot<T> {}

impl<T: Send + Sync> SocketSlot<T> {
    /// An empty slot of the socket `owner`.
    pub(crate) fn new(owner: &AnySock) -> Self {
        // INVARIANT: Null.
        Self {
            node: AtomicPtr::new(ptr::null_mut()),
            owner,
            _value: PhantomData,
        }
    }

    /// Room for an object.
    pub(crate) fn reserve() -> Result<Reserved<T>, AllocError> {
        Ok(Reserved(KBox::new_uninit(GFP_KERNEL)?))
    }

    /// Whether it is filled at the moment.
    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        !self.node.load(Ordering::Relaxed).is_null()
    }

    /// The object, for as long as the socket stays locked.
    #[inline]
    pub(crate) fn get<'a>(&'a self, guard: &'a SockGuard<'_>) -> Option<ArcBorrow<'a, T>> {
        self.check(guard);
        let node = NonNull::new(self.node.load(Ordering::Relaxed))?;
        // SAFETY: By the type invariant it is a node that nobody takes out while the socket is locked. To unlock it, or to
        // take it out, wants the guard that is borrowed for `'a`.
        Some(unsafe { (*node.as_ptr()).value.as_arc_borrow() })
    }

    /// The object, for as long as the read-side critical section lasts.
    #[inline]
    pub(crate) fn read<'a>(&'a self, _rcu: &'a impl RcuRead) -> Option<ArcBorrow<'a, T>> {
        // Acquire: what it points to was written before.
        let node = NonNull::new(self.node.load(Ordering::Acquire))?;
        // SAFETY: By the type invariant it is a node, which is not freed before the critical section ends.
        Some(unsafe { (*node.as_ptr()).value.as_arc_borrow() })
    }

    /// A reference of one's own to the object.
    pub(crate) fn share(&self) -> Option<Arc<T>> {
        self.read(&rcu::read_lock()).map(Arc::from)
    }

    /// Puts `value` in, instead of what was there.
    pub(crate) fn fill(&self, guard: &mut SockGuard<'_>, room: Reserved<T>, value: Arc<T>) {
        let node = KBox::write(
            room.0,
            Node {
                rcu: b::callback_head::default(),
                value,
            },
        );
        self.replace(guard, KBox::into_raw(node));
    }

    /// Takes out what is there.
    pub(crate) fn clear(&self, guard: &mut SockGuard<'_>) {
        self.replace(guard, ptr::null_mut());
    }

    fn replace(&self, guard: &mut SockGuard<'_>, new: *mut Node<T>) {
        self.check(guard);
        // INVARIANT: The socket is locked; `new` is null or a node. Release: what it points to was written before.
        let Some(old) = NonNull::new(self.node.swap(new, Ordering::AcqRel)) else {
            return;
        };
        // SAFETY: A node by the type invariant, that nobody finds any more; it is freed when those who have found it before
        // are done.
        unsafe { b::call_rcu(&raw mut (*old.as_ptr()).rcu, Some(Self::free)) };
    }

    #[inline]
    fn check(&self, guard: &SockGuard<'_>) {
        assert!(ptr::eq(self.owner, guard.socket()), "another socket's lock");
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

impl<T: Send + Sync> Drop for SocketSlot<T> {
    fn drop(&mut self) {
        if let Some(node) = NonNull::new(*self.node.get_mut()) {
            // SAFETY: A node by the type invariant; nobody else has a reference to the slot, nor thus to what it holds.
            drop(unsafe { KBox::from_raw(node.as_ptr()) });
        }
    }
}
