// SPDX-License-Identifier: GPL-2.0
//! Constants of the socket API, as the C headers give them.

use super::bindings as b;
use kernel::ffi::{c_int, c_uint};

macro_rules! constants {
    ($type:ty: $($name:ident)*) => {
        $(#[doc = concat!("`", stringify!($name), "`.")] pub(crate) const $name: $type = b::$name as $type;)*
    };
}

constants! { c_int:
    AF_INET AF_INET6 AF_TOE AF_UNSPEC
    SOL_SOCKET SO_KEEPALIVE SO_RCVBUF SO_RCVBUFFORCE SO_REUSEPORT SO_SNDBUF SO_SNDBUFFORCE SO_ZEROCOPY
    SOL_TCP SOL_IP SOL_IPV6
    TCP_CONGESTION TCP_CORK TCP_FASTOPEN TCP_FASTOPEN_CONNECT TCP_FASTOPEN_KEY TCP_FASTOPEN_NO_COOKIE TCP_INFO
    TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_MD5SIG TCP_MD5SIG_EXT TCP_NODELAY TCP_QUICKACK TCP_REPAIR
    TCP_REPAIR_OPTIONS TCP_REPAIR_QUEUE TCP_REPAIR_WINDOW TCP_QUEUE_SEQ TCP_TIMESTAMP TCP_ULP TCP_USER_TIMEOUT TCP_ZEROCOPY_RECEIVE
}

constants! { c_uint: SIOCATMARK TIOCINQ TIOCOUTQ SIOCOUTQNSD }

constants! { u16: IPPROTO_TOE }

/// `TCP_CLOSE`.
pub(crate) const TCP_CLOSE: c_int = b::TCP_CLOSE as c_int;
/// `TCP_ESTABLISHED`.
pub(crate) const TCP_ESTABLISHED: c_int = b::TCP_ESTABLISHED as c_int;
/// `TCP_CLOSE_WAIT`.
pub(crate) const TCP_CLOSE_WAIT: c_int = b::TCP_CLOSE_WAIT as c_int;
/// `TCP_FIN_WAIT1`.
pub(crate) const TCP_FIN_WAIT1: c_int = b::TCP_FIN_WAIT1 as c_int;
/// `TCP_FIN_WAIT2`.
pub(crate) const TCP_FIN_WAIT2: c_int = b::TCP_FIN_WAIT2 as c_int;
/// `TCP_CLOSING`.
pub(crate) const TCP_CLOSING: c_int = b::TCP_CLOSING as c_int;
/// `TCP_LAST_ACK`.
pub(crate) const TCP_LAST_ACK: c_int = b::TCP_LAST_ACK as c_int;
/// `TCP_TIME_WAIT`.
pub(crate) const TCP_TIME_WAIT: c_int = b::TCP_TIME_WAIT as c_int;
/// `TCP_LISTEN`.
pub(crate) const TCP_LISTEN: c_int = b::TCP_LISTEN as c_int;
