// SPDX-License-Identifier: GPL-2.0
//! Timers of reference-counted objects.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use super::bindings as b;
use core::{mem::offset_of, ops::Deref, ptr};
use kernel::{
    ffi::c_ulong,
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::Opaque,
};

/// What happens when the timer of a [`Timed`] object expires.
pub(crate) trait Expire: Sized + Send + Sync + 'static {
    /// The timer expired. Called in softirq context; may arm the timer again.
    fn expired(this: &Timed<Self>);
}

/// A moment on the clock of timers, in jiffies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(c_ulong);

impl Moment {
    /// The current moment.
    #[inline]
    pub(crate) fn now() -> Self {
        // SAFETY: `jiffies` may be read at any time; C declares it volatile for that.
        Self(unsafe { ptr::read_volatile(&raw const b::jiffies) })
    }

    /// The first moment of the clock that is at least `us` microseconds later.
    #[inline]
    pub(crate) fn after_us(self, us: u64) -> Self {
        const US_PER_JIFFY: u64 = 1_000_000 / b::HZ as u64;
        Self(self.0.wrapping_add((us / US_PER_JIFFY + 1) as c_ulong))
    }

    /// Whether `self` comes strictly before `other`.
    #[inline]
    pub(crate) fn before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as isize) < 0
    }
}

/// An object with a timer. While the timer is armed it holds a reference to the object, as `sk_reset_timer()` does.
///
/// # Invariants
///
/// - The object is in an [`Arc`], made by [`Timed::new`].
/// - While `timer` is pending it owns a reference to that [`Arc`].
///
/// # Examples
///
/// ```ignore
/// let object = Timed::new(init, GFP_KERNEL)?;
/// object.arm(Moment::now().after_us(200_000));
/// ```
#[pin_data]
pub(crate) struct Timed<T> {
    #[pin]
    timer: Opaque<b::timer_list>,
    #[pin]
    data: T,
}

// SAFETY: Timers may be used from any thread, and `T` is `Send`.
unsafe impl<T: Send> Send for Timed<T> {}
// SAFETY: The timer's functions do their own locking, and `T` is `Sync`.
unsafe impl<T: Sync> Sync for Timed<T> {}

impl<T: Expire> Timed<T> {
    /// Makes an object whose timer isn't armed.
    ///
    /// # Errors
    ///
    /// Those of `init`, and `ENOMEM`.
    pub(crate) fn new(
        init: impl PinInit<T, Error>,
        flags: kernel::alloc::Flags,
    ) -> Result<Arc<Self>> {
        // INVARIANT: In an `Arc`, and not pending.
        Arc::pin_init(
            try_pin_init!(Self {
                timer <- Opaque::ffi_init(|slot| {
                    // SAFETY: The memory is for a timer, which is pinned from here on.
                    unsafe { b::toe_helper_timer_setup(slot, Some(Self::callback)) }
                }),
                data <- init,
            }? Error),
            flags,
        )
    }

    /// A reference of one's own.
    pub(crate) fn arc(&self) -> Arc<Self> {
        // SAFETY: In an `Arc` by the type invariant, where `self` keeps it while we look.
        unsafe { ArcBorrow::from_raw(self) }.into()
    }

    /// Has the timer expire at `moment` rather than when it was to, if it was armed.
    pub(crate) fn arm(&self, moment: Moment) {
        // The reference is taken before the timer could expire and give it up.
        let reference = self.arc();
        // SAFETY: Set up in `new`.
        let was_pending = unsafe { b::mod_timer(self.timer.get(), moment.0) } != 0;
        if !was_pending {
            // INVARIANT: The timer owns the reference now.
            let _ = Arc::into_raw(reference);
        }
    }

    /// Keeps the timer from expiring; it may be doing so right now.
    pub(crate) fn disarm(&self) {
        // SAFETY: Set up in `new`.
        if unsafe { b::timer_delete(self.timer.get()) } != 0 {
            // SAFETY: It was pending, so it owned a reference by the type invariant, and gives it up.
            drop(unsafe { Arc::from_raw(ptr::from_ref(self)) });
        }
    }

    /// As [`Timed::disarm`], and waits until the timer isn't expiring. Not to be called by [`Expire::expired`], nor with a
    /// lock held that it takes.
    pub(crate) fn disarm_and_wait(&self) {
        // SAFETY: Set up in `new`.
        if unsafe { b::timer_delete_sync(self.timer.get()) } != 0 {
            // SAFETY: As in `disarm`.
            drop(unsafe { Arc::from_raw(ptr::from_ref(self)) });
        }
    }

    /// # Safety
    ///
    /// Called by the timer core only, for a timer that [`Timed::arm`] armed.
    unsafe extern "C" fn callback(timer: *mut b::timer_list) {
        // SAFETY: The timer is part of a `Timed<T>`, whose reference it gave up by expiring.
        let this = unsafe {
            let this = timer
                .byte_sub(offset_of!(Self, timer))
                .cast_const()
                .cast::<Self>();
            Arc::from_raw(this)
        };
        T::expired(&this);
    }
}

impl<T> Deref for Timed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.data
    }
}
