// SPDX-License-Identifier: GPL-2.0
//! Objects that a module has one of.

use core::sync::atomic::{AtomicPtr, Ordering};
use core::{marker::PhantomData, ptr};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// A static that holds an object from the module's init to its exit.
///
/// # Examples
///
/// ```ignore
/// static STATE: Global<State> = Global::new();
///
/// let _holder = STATE.set(Arc::new(State::new(), GFP_KERNEL)?)?; // kept by the module
/// STATE.get(); // from anywhere
/// ```
///
/// # Invariants
///
/// The pointer is null or comes from [`Arc::into_raw`], whose reference is given up a grace period after the pointer was
/// taken out.
pub(crate) struct Global<T: 'static>(AtomicPtr<T>, PhantomData<Arc<T>>);

// SAFETY: `get` gives out what an `Arc` shared between threads would.
unsafe impl<T: Send + Sync> Sync for Global<T> {}

impl<T: Send + Sync> Global<T> {
    /// Holds nothing yet.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Null.
        Self(AtomicPtr::new(ptr::null_mut()), PhantomData)
    }

    /// Holds `object` until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// `EBUSY` when it holds one already.
    pub(crate) fn set(&'static self, object: Arc<T>) -> Result<Holder<T>> {
        let raw = Arc::into_raw(object).cast_mut();
        // INVARIANT: `raw` is from `into_raw`.
        match self
            .0
            .compare_exchange(ptr::null_mut(), raw, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(Holder(self)),
            Err(_) => {
                // SAFETY: From `into_raw` above, and not stored.
                drop(unsafe { Arc::from_raw(raw) });
                Err(EBUSY)
            }
        }
    }

    /// The object, if there is one (still).
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        let _guard = rcu::read_lock();
        let raw = self.0.load(Ordering::Acquire);
        if raw.is_null() {
            return None;
        }
        // SAFETY: By the type invariant the `Arc` it comes from lives until a grace period after the load.
        Some(unsafe { kernel::sync::ArcBorrow::from_raw(raw) }.into())
    }
}

/// Keeps the object of a [`Global`].
pub(crate) struct Holder<T: Send + Sync + 'static>(&'static Global<T>);

impl<T: Send + Sync> Drop for Holder<T> {
    fn drop(&mut self) {
        let raw = self.0 .0.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: May sleep: a module's exit is process context.
        unsafe { super::bindings::synchronize_rcu() };
        // SAFETY: From `into_raw` by the type invariant, and nobody is between the load and the increment any more.
        drop(unsafe { Arc::from_raw(raw) });
    }
}
