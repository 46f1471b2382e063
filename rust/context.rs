// SPDX-License-Identifier: GPL-2.0
//! Evidence of the context code runs in, and a spinlock that insists on it.
//!
//! Receive processing runs in softirq context; what it shares with process context must only be locked there with
//! bottom halves disabled, or the softirq deadlocks on the CPU it interrupted. [`BhSpinLock::lock`] therefore asks
//! for a [`BhDisabled`], which process context creates and softirq context is handed.
//!
//! C headers: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h),
//! [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use super::bindings;
use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        lock::spinlock::{SpinLock, SpinLockGuard},
        rcu, LockClassKey,
    },
    types::NotThreadSafe,
};

/// Evidence that bottom halves are disabled on this CPU.
///
/// # Invariants
///
/// Bottom halves are disabled, or the CPU serves a softirq, for as long as a value or a reference to one exists.
///
/// # Examples
///
/// ```
/// let bh = BhDisabled::new();
/// let state = connection.state.lock(&bh);
/// ```
pub(crate) struct BhDisabled(NotThreadSafe);

impl BhDisabled {
    /// Disables bottom halves until the value is dropped. Nests.
    #[inline]
    pub(crate) fn new() -> Self {
        // SAFETY: There are no requirements; `drop` enables them again.
        unsafe { bindings::toe_helper_local_bh_disable() };
        // INVARIANT: Just disabled, until `drop`.
        Self(NotThreadSafe)
    }

    /// Evidence of a context the kernel's C code has set up.
    ///
    /// # Safety
    ///
    /// Bottom halves must stay disabled, or the softirq must go on being served, throughout `'a`.
    #[inline]
    pub(crate) unsafe fn assume<'a>() -> &'a Self {
        // INVARIANT: By the function's safety requirements.
        // SAFETY: The type has no size, so that any aligned pointer that isn't null is valid.
        unsafe { core::ptr::NonNull::<Self>::dangling().as_ref() }
    }
}

impl Drop for BhDisabled {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Values are only made by `new`, which disabled them.
        unsafe { bindings::toe_helper_local_bh_enable() };
    }
}

/// Evidence that this CPU runs the handler of an interrupt.
///
/// # Invariants
///
/// Interrupts are disabled on this CPU, or bottom halves where the kernel runs handlers in threads, for as long as a value or
/// a reference to one exists.
pub(crate) struct HardIrq(NotThreadSafe);

impl HardIrq {
    /// Evidence of a context the kernel's C code has set up.
    ///
    /// # Safety
    ///
    /// Called by an interrupt's handler, which returns no sooner than `'a` ends.
    #[inline]
    pub(crate) unsafe fn assume<'a>() -> &'a Self {
        // INVARIANT: By the function's safety requirements.
        // SAFETY: The type has no size, so that any aligned pointer that isn't null is valid.
        unsafe { core::ptr::NonNull::<Self>::dangling().as_ref() }
    }
}

/// Evidence that an RCU read-side critical section is open.
///
/// # Safety
///
/// While a value or a reference to one exists, the thread must be inside `rcu_read_lock()`, or bottom halves or interrupts
/// must be disabled, which grace periods wait for just as well.
pub(crate) unsafe trait RcuRead {}

// SAFETY: The invariant of the guard.
unsafe impl RcuRead for rcu::Guard {}

// SAFETY: By the type's invariants.
unsafe impl RcuRead for BhDisabled {}

// SAFETY: By the type's invariants.
unsafe impl RcuRead for HardIrq {}

/// Waits until all that was put off until the end of a grace period is done, so that code and data it needs can go.
/// Process context.
pub(crate) fn rcu_barrier() {
    // SAFETY: There are no requirements but the context, whose neglect the kernel reports.
    unsafe { bindings::rcu_barrier() };
}

/// A spinlock for data shared between process and softirq context.
///
/// # Examples
///
/// ```
/// let lock = KBox::pin_init(new_bh_spinlock!(0u32), GFP_KERNEL)?;
/// let bh = BhDisabled::new();
/// *lock.lock(&bh) += 1;
/// # Ok::<(), Error>(())
/// ```
#[pin_data]
pub(crate) struct BhSpinLock<T> {
    #[pin]
    inner: SpinLock<T>,
}

impl<T> BhSpinLock<T> {
    /// Use [`new_bh_spinlock!`](crate::net::context::new_bh_spinlock).
    pub(crate) fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- SpinLock::new(data, name, key),
        })
    }

    /// Takes the lock.
    #[inline]
    pub(crate) fn lock<'a>(&'a self, _bh: &'a BhDisabled) -> SpinLockGuard<'a, T> {
        self.inner.lock()
    }

    /// Takes the lock if nobody has it: whoever does may be what the interrupt has interrupted.
    #[inline]
    pub(crate) fn try_lock<'a>(&'a self, _irq: &'a HardIrq) -> Option<SpinLockGuard<'a, T>> {
        self.inner.try_lock()
    }
}

/// Makes an initialiser of a [`BhSpinLock`] with a lock class of its own.
macro_rules! new_bh_spinlock {
    ($data:expr $(, $name:literal)? $(,)?) => {
        $crate::net::context::BhSpinLock::new(
            $data, ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}
pub(crate) use new_bh_spinlock;
