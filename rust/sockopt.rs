// SPDX-License-Identifier: GPL-2.0
//! The values of `setsockopt(2)` and `getsockopt(2)`.
//!
//! C header: [`include/linux/sockptr.h`](srctree/include/linux/sockptr.h)

use super::bindings as b;
use core::{mem::size_of, ptr};
use kernel::{error::to_result, ffi::c_int, prelude::*};

/// The value given to `setsockopt(2)`, in the caller's memory.
///
/// # Invariants
///
/// `ptr` may be passed to `copy_from_sockptr()` with a length of up to `len`.
pub(crate) struct SetOpt {
    ptr: b::sockptr_t,
    len: u32,
}

impl SetOpt {
    /// Wraps what the socket layer passes to a `setsockopt` operation.
    ///
    /// # Safety
    ///
    /// `ptr` is a user pointer, or a kernel pointer to `len` bytes.
    pub(super) unsafe fn from_raw(ptr: b::sockptr_t, len: u32) -> Self {
        // INVARIANT: By this function's contract.
        Self { ptr, len }
    }

    /// The value's length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Copies the start of the value into `out`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the value is shorter than `out`, `EFAULT` when it can't be read.
    pub(crate) fn read(&self, out: &mut [u8]) -> Result {
        if self.len() < out.len() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant, and `out` has room for its own length.
        to_result(unsafe {
            b::toe_helper_copy_from_sockptr(out.as_mut_ptr().cast(), self.ptr, out.len())
        })
        .map_err(|_| EFAULT)
    }

    /// The value as an `int`, as most options are; errors as [`SetOpt::read`].
    pub(crate) fn int(&self) -> Result<c_int> {
        let mut bytes = [0; size_of::<c_int>()];
        self.read(&mut bytes)?;
        Ok(c_int::from_ne_bytes(bytes))
    }

    /// The C value, to pass it on.
    pub(super) fn as_raw(&self) -> (b::sockptr_t, u32) {
        (self.ptr, self.len)
    }
}

/// Where `getsockopt(2)` wants its value, in the caller's memory.
pub(crate) struct GetOpt {
    val: *mut u8,
    len: *mut c_int,
}

impl GetOpt {
    /// Wraps what the socket layer passes to a `getsockopt` operation: two user pointers.
    pub(super) fn from_raw(val: *mut u8, len: *mut c_int) -> Self {
        Self { val, len }
    }

    /// Gives `value`, or as much of it as the caller has room for.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the caller's length is negative, `EFAULT` when its memory can't be written.
    pub(crate) fn write(&mut self, value: &[u8]) -> Result {
        let mut room = 0;
        // SAFETY: `get_user()` checks user pointers itself.
        to_result(unsafe { b::toe_helper_get_user_int(&mut room, self.len) })?;
        let len = usize::try_from(room).map_err(|_| EINVAL)?.min(value.len());
        // SAFETY: `put_user()` and `copy_to_user()` check user pointers themselves; `value` has `len` bytes.
        unsafe {
            to_result(b::toe_helper_put_user_int(len as c_int, self.len))?;
            if b::toe_helper_copy_to_user(self.val.cast(), value.as_ptr().cast(), len) != 0 {
                return Err(EFAULT);
            }
        }
        Ok(())
    }

    /// The C pointers, to pass them on.
    pub(super) fn as_raw(&mut self) -> (*mut u8, *mut c_int) {
        (self.val, self.len)
    }
}

/// A kernel value as `setsockopt` operations take it.
pub(super) fn kernel_sockptr(bytes: &[u8]) -> b::sockptr_t {
    let mut ptr = b::sockptr_t::default();
    ptr.__bindgen_anon_1.kernel = ptr::from_ref(bytes).cast_mut().cast();
    ptr.set_is_kernel(true);
    ptr
}
