// SPDX-License-Identifier: GPL-2.0
//! Telling administrators by devlink how a device is.
//!
//! C header: [`include/net/devlink.h`](srctree/include/net/devlink.h)

use super::bindings as b;
use core::{
    ffi::{c_void, CStr},
    ptr::{self, NonNull},
};
use kernel::{
    device::{Bound, Device},
    error::from_err_ptr,
    prelude::*,
    sync::Arc,
};

/// A device whose driver recovers it by itself when it has failed.
///
/// # Examples
///
/// ```ignore
/// impl Health for MyDevice {
///     const NAME: &'static CStr = c"firmware";
///
///     fn dump(&self, dump: &mut Dump<'_>) {
///         dump.number(c"status", self.registers.read(STATUS).into());
///     }
/// }
///
/// let health = Reporter::new(dev, my_device)?;
/// health.failed(c"it doesn't answer");
/// ```
pub(crate) trait Health: Send + Sync + 'static {
    /// What is reported on.
    const NAME: &'static CStr;

    /// Adds what may tell why it has failed. May sleep.
    fn dump(&self, dump: &mut Dump<'_>);
}

/// What is kept for an administrator to look at.
pub(crate) struct Dump<'a>(&'a mut b::devlink_fmsg);

impl Dump<'_> {
    /// Adds a number.
    pub(crate) fn number(&mut self, name: &CStr, value: u64) {
        // SAFETY: Valid by its type; the name is copied.
        unsafe { b::toe_helper_fmsg_u64(self.0, name.as_char_ptr(), value) };
    }
}

/// Reports on the health of a device until it is dropped: `devlink health show`. Dropping it may sleep.
///
/// # Invariants
///
/// `health` was made by `toe_helper_health_new` for `owner`, and not freed.
pub(crate) struct Reporter<T: Health> {
    health: NonNull<b::toe_health>,
    _owner: Arc<T>,
}

// SAFETY: devlink does its own locking, and what is kept may be dropped anywhere.
unsafe impl<T: Health> Send for Reporter<T> {}

// SAFETY: As above.
unsafe impl<T: Health> Sync for Reporter<T> {}

impl<T: Health> Reporter<T> {
    /// Reports on `owner`, which is the device `dev`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the kernel has no devlink, `ENOMEM` if there is no memory.
    pub(crate) fn new(dev: &Device<Bound>, owner: Arc<T>) -> Result<Self> {
        // SAFETY: `dev` is a valid device, and the type transparent. The name is static, and the owner kept.
        let health = from_err_ptr(unsafe {
            b::toe_helper_health_new(
                ptr::from_ref(dev).cast_mut().cast(),
                T::NAME.as_char_ptr(),
                ptr::from_ref(&*owner).cast(),
                Some(Self::dump_callback),
            )
        })?;
        // INVARIANT: Just made.
        Ok(Self {
            health: NonNull::new(health).ok_or(ENOMEM)?,
            _owner: owner,
        })
    }

    /// It has failed; `why` is for a trace. May sleep.
    pub(crate) fn failed(&self, why: &CStr) {
        // SAFETY: Valid by the type's invariants.
        unsafe { b::toe_helper_health_failed(self.health.as_ptr(), why.as_char_ptr()) };
    }

    /// It works again. May sleep.
    pub(crate) fn recovered(&self) {
        // SAFETY: Valid by the type's invariants.
        unsafe { b::toe_helper_health_recovered(self.health.as_ptr()) };
    }

    /// # Safety
    ///
    /// For devlink only, with the owner of a reporter of this type.
    unsafe extern "C" fn dump_callback(owner: *const c_void, fmsg: *mut b::devlink_fmsg) {
        // SAFETY: The owner lives until the reporter is freed; the message is this call's.
        let (owner, fmsg) = unsafe { (&*owner.cast::<T>(), &mut *fmsg) };
        owner.dump(&mut Dump(fmsg));
    }
}

impl<T: Health> Drop for Reporter<T> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants, and given up.
        unsafe { b::toe_helper_health_free(self.health.as_ptr()) };
    }
}
