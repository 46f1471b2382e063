// SPDX-License-Identifier: GPL-2.0
//! The monotonic clock, and random secrets.
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/linux/random.h`](srctree/include/linux/random.h)

use super::bindings;
use kernel::{io::poll::read_poll_timeout, time::Delta};

/// Microseconds of the clock that kernel TCP's timestamps count, `ktime_get()`.
#[inline]
pub(crate) fn now_us() -> u64 {
    // SAFETY: There are no requirements.
    unsafe { bindings::ktime_get() as u64 / 1000 }
}

/// Sleeps until something has `happened`, `limit` at most, looking each `step`; returns whether it has.
pub(crate) fn wait_until(limit: Delta, step: Delta, happened: impl Fn() -> bool) -> bool {
    read_poll_timeout(|| Ok(happened()), |&happened| happened, step, limit).is_ok()
}

/// A number that nobody can guess.
pub(crate) fn secret() -> u64 {
    // SAFETY: There are no requirements.
    unsafe { bindings::get_random_u64() }
}
