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
    EADDRINUSE: "Address already in use.",
    EAFNOSUPPORT: "Address family not supported by protocol.",
    EALREADY: "Operation already in progress.",
    ECONNABORTED: "Software caused connection abort.",
    ECONNREFUSED: "Connection refused.",
    ECONNRESET: "Connection reset by peer.",
    EHOSTUNREACH: "No route to host.",
    EINPROGRESS: "Operation now in progress.",
    EISCONN: "Transport endpoint is already connected.",
    EMSGSIZE: "Message too long.",
    ENETDOWN: "Network is down.",
    ENETUNREACH: "Network is unreachable.",
    ENOBUFS: "No buffer space available.",
    ENOPROTOOPT: "Protocol not available.",
    ENOTCONN: "Transport endpoint is not connected.",
    EOPNOTSUPP: "Operation not supported on transport endpoint.",
    EPROTONOSUPPORT: "Protocol not supported.",
    ESHUTDOWN: "Cannot send after transport endpoint shutdown.",
    ESOCKTNOSUPPORT: "Socket type not supported.",
    ETIMEDOUT: "Connection timed out.",
}
