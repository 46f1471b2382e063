// SPDX-License-Identifier: GPL-2.0
//! Socket addresses.
//!
//! C header: [`include/linux/socket.h`](srctree/include/linux/socket.h)

use super::{bindings as b, uapi};
use core::{mem::size_of, net::IpAddr, ptr};
use kernel::{ffi::c_int, prelude::*};

/// A copy of a socket address of any family.
///
/// What it says is the sender's word: only its length has been checked.
///
/// # Invariants
///
/// `len` is at least the size of `sa_family_t` and at most that of `struct sockaddr_storage`.
#[derive(Clone, Copy)]
pub(crate) struct SockAddr {
    storage: [u64; 16],
    len: usize,
}

impl SockAddr {
    /// The largest address, in bytes: `struct sockaddr_storage`.
    pub(crate) const MAX_LEN: usize = size_of::<[u64; 16]>();

    /// Copies an address that the socket layer hands over.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `len` is no address's length.
    ///
    /// # Safety
    ///
    /// `addr` points to `len` readable bytes.
    pub(super) unsafe fn from_raw(addr: *const u8, len: c_int) -> Result<Self> {
        let len = usize::try_from(len)?;
        if len < size_of::<b::sa_family_t>() || len > Self::MAX_LEN {
            return Err(EINVAL);
        }
        let mut storage = [0; 16];
        // SAFETY: `addr` has `len` bytes by this function's contract, and `storage` has room for them.
        unsafe { ptr::copy_nonoverlapping(addr, ptr::from_mut(&mut storage).cast(), len) };
        // INVARIANT: `len` was checked above.
        Ok(Self { storage, len })
    }

    /// The address that `fill` writes; it gets room for [`SockAddr::MAX_LEN`] bytes and returns how many it wrote.
    pub(super) fn filled_by(fill: impl FnOnce(*mut b::sockaddr) -> Result<c_int>) -> Result<Self> {
        let mut storage = [0; 16];
        let len = usize::try_from(fill(ptr::from_mut(&mut storage).cast())?)?;
        if len < size_of::<b::sa_family_t>() || len > Self::MAX_LEN {
            return Err(EINVAL);
        }
        // INVARIANT: `len` was checked above.
        Ok(Self { storage, len })
    }

    /// The address family, `AF_*`.
    pub(crate) fn family(&self) -> c_int {
        // SAFETY: Every address begins with its family, and all bit patterns are valid for it.
        c_int::from(unsafe { ptr::from_ref(&self.storage).cast::<b::sa_family_t>().read() })
    }

    /// The IP address and port, if it is of `AF_INET` or `AF_INET6` and long enough.
    pub(crate) fn ip(&self) -> Option<(IpAddr, u16)> {
        let bytes = self.as_bytes();
        let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
        let ip = match self.family() {
            uapi::AF_INET => IpAddr::from(*bytes.get(4..)?.first_chunk::<4>()?),
            uapi::AF_INET6 => IpAddr::from(*bytes.get(8..)?.first_chunk::<16>()?),
            _ => return None,
        };
        Some((ip, port))
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: `storage` is initialised memory of at least `len` bytes, by the type invariant.
        unsafe { core::slice::from_raw_parts(ptr::from_ref(&self.storage).cast(), self.len) }
    }

    /// For C functions that take an address; valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *mut b::sockaddr_unsized {
        ptr::from_ref(&self.storage).cast_mut().cast()
    }
}
