// SPDX-License-Identifier: GPL-2.0
//! Settings, `net.toe.*`: see af_toe(7). They hold for connections handed over from then on, of all namespaces.

use crate::net::{
    sock::AnySock,
    sysctl::{Number, Registration},
};
use datapath::npu::config::{MAX_RING, MIN_RING};
use kernel::{ffi::c_int, prelude::*};

static ENABLED: Number = Number::new(1, 0, 1);
static RMEM: Number = Number::new(256 << 10, MIN_RING.0 as c_int, MAX_RING.0 as c_int);
static WMEM: Number = Number::new(256 << 10, MIN_RING.0 as c_int, MAX_RING.0 as c_int);

/// Makes the settings visible; errors as [`Registration::new`].
pub(crate) fn register() -> Result<Registration> {
    Registration::new(
        c"net/toe",
        &[(c"enabled", &ENABLED), (c"rmem", &RMEM), (c"wmem", &WMEM)],
    )
}

/// Whether connections are handed over to devices.
pub(crate) fn enabled() -> bool {
    ENABLED.get() != 0
}

/// How large the receive buffer of a connection of `sk` is to be, in bytes: what the program asked for, if it did.
pub(crate) fn receive_buffer(sk: &AnySock) -> usize {
    match sk.has_rcvbuf_set() {
        true => sk.rcvbuf(),
        false => RMEM.get() as usize,
    }
}

/// How large the send buffer of a connection of `sk` is to be, in bytes: what the program asked for, if it did.
pub(crate) fn send_buffer(sk: &AnySock) -> usize {
    match sk.has_sndbuf_set() {
        true => sk.sndbuf(),
        false => WMEM.get() as usize,
    }
}
