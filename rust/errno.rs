// SPDX-License-Identifier: GPL-2.0
//! The error numbers of sockets that `kernel::error::code` lacks.
//!
//! C header: [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h)

use super::bindings as b;
use kernel::{error::Error, ffi::c_int};

/// An error number that turns into an [`Error`]: `return Err(ENOTCONN.into())`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u32);

impl Errno {
    /// The error.
    pub(crate) fn error(self) -> Error {
        Error::from_errno(-(self.0 as c_int))
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        errno.error()
    }
}

macro_rules! errnos {
    ($($name:ident: $doc:literal,)*) => {
        $(#[doc = $doc] pub(crate) const $name: Errno = Errno(b::$name);)*
    };
}

errnos! {
    EALREADY: "Operation already in progress.",
    ECONNABORTED: "Software caused connection abort.",
    ECONNRESET: "Connection reset by peer.",
    EINPROGRESS: "Operation now in progress.",
    EMSGSIZE: "Message too long.",
    ENOTCONN: "Transport endpoint is not connected.",
    EOPNOTSUPP: "Operation not supported on transport endpoint.",
    EPROTO: "Protocol error.",
    EPROTONOSUPPORT: "Protocol not supported.",
    ESOCKTNOSUPPORT: "Socket type not supported.",
    ETIMEDOUT: "Connection timed out.",
}
