// SPDX-License-Identifier: GPL-2.0
//! Settings below /proc/sys/net.
//!
//! C headers: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h),
//! [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use super::{bindings as b, netns::Net};
use core::{ptr, ptr::NonNull};
use kernel::{
    ffi::c_int,
    prelude::*,
    str::CStr,
    sync::atomic::{Atomic, Relaxed},
};

/// A setting that is a number.
pub(crate) struct Number {
    value: Atomic<i32>,
    min: c_int,
    max: c_int,
}

impl Number {
    /// A number from `min` to `max`, at first `value`.
    pub(crate) const fn new(value: c_int, min: c_int, max: c_int) -> Self {
        assert!(min <= value && value <= max);
        Self {
            value: Atomic::new(value),
            min,
            max,
        }
    }

    /// The number at the moment.
    pub(crate) fn get(&self) -> c_int {
        self.value.load(Relaxed)
    }
}

/// A number with its file's name.
pub(crate) type Entry = (&'static CStr, &'static Number);

/// As C has it: readable by everybody, writable by root.
fn table_entry((name, number): &Entry) -> b::ctl_table {
    b::ctl_table {
        procname: name.as_char_ptr(),
        data: number.value.as_ptr().cast(),
        maxlen: size_of::<c_int>() as c_int,
        mode: 0o644,
        proc_handler: Some(b::proc_dointvec_minmax),
        extra1: ptr::from_ref(&number.min).cast_mut().cast(),
        extra2: ptr::from_ref(&number.max).cast_mut().cast(),
        ..Default::default()
    }
}

/// Registered settings; dropping it takes them back.
///
/// # Examples
///
/// ```ignore
/// static LIMIT: Number = Number::new(16, 0, 100);
/// let _settings = Registration::new(c"net/mine", &[(c"limit", &LIMIT)])?; // /proc/sys/net/mine/limit
/// ```
///
/// # Invariants
///
/// `header` is that of `_table`, registered by this object only.
pub(crate) struct Registration {
    header: NonNull<b::ctl_table_header>,
    _table: KVec<b::ctl_table>,
}

// SAFETY: Nothing is done with the object but to take it back, which takes the sysctl layer's locks.
unsafe impl Send for Registration {}

// SAFETY: There are no methods.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers `entries` in the directory `path` of the initial network namespace.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also when one of the names is taken.
    pub(crate) fn new(path: &'static CStr, entries: &[Entry]) -> Result<Self> {
        let mut table = KVec::with_capacity(entries.len(), GFP_KERNEL)?;
        for entry in entries {
            table.push(table_entry(entry), GFP_KERNEL)?;
        }
        // SAFETY: The table has as many elements, which stay where they are until they have been taken back; all they
        // point to is static. Handlers may be called with any of the sysctl layer's arguments.
        let header = unsafe {
            b::register_net_sysctl_sz(
                Net::init().as_ptr(),
                path.as_char_ptr(),
                table.as_mut_ptr(),
                table.len(),
            )
        };
        // INVARIANT: Registered above.
        Ok(Self {
            header: NonNull::new(header).ok_or(ENOMEM)?,
            _table: table,
        })
    }
}

impl Drop for Registration {
    /// Waits for readers and writers under way.
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant.
        unsafe { b::unregister_net_sysctl_table(self.header.as_ptr()) };
    }
}
