// SPDX-License-Identifier: GPL-2.0
//! A socket whose connection is handed back to the kernel's TCP.

use super::{wakeup::Forward, Phase, ToeSocket};
use crate::{
    driver::control::{fallback::Reason, Connection},
    net::{
        ksocket::InnerSocket,
        sock::{Shut, Sock},
        uapi,
    },
};
use kernel::{
    prelude::*,
    sync::{atomic::Relaxed, Arc},
};

impl ToeSocket {
    /// Has the inner socket serve `connection` from now on, which is or was the one of `sock`. Sleeps, as long as the program
    /// keeps the socket locked.
    pub(crate) fn hand_back(sock: &Sock<Self>, connection: &Connection) {
        let this = sock.data();
        let mut guard = sock.lock();
        let Ok(events) = Arc::new(Forward::new(sock), GFP_KERNEL) else {
            return connection.retry_hand_back();
        };
        let Some(inner) = connection.hand_back() else {
            return;
        };
        connection.stream().leave();
        // Else the program is closing the socket, and the inner socket closes with it.
        if this.phase() == Phase::Offloaded {
            inner.set_events(events.clone());
            // Before the slot is empty, for who sees that then looks here.
            this.handed_back.store(true, Relaxed);
            Self::fall_back(&this, Reason::DeviceLost);
            this.connection.clear(&mut guard);
            // It would hold the socket until it is freed itself.
            connection.stream().disown();
            Self::catch_up(sock, &inner);
        }
        // Not after the socket is unlocked: closing the inner socket is the program's part, which may linger.
        drop(inner);
        drop(guard);
        // What happened before the inner socket's events were told.
        events.look();
    }

    /// Brings the inner socket in line with what was set while it was frozen.
    fn catch_up(sock: &Sock<Self>, inner: &InnerSocket) {
        Self::set_inner_keepalive(sock, inner);
        if sock.shut().contains(Shut::RECV) {
            // Can't fail: it is connected, or closed by now.
            let _ = inner.shutdown(Shut::RECV);
        }
    }

    /// `SO_KEEPALIVE` of an inner socket that was without while it was frozen.
    pub(super) fn set_inner_keepalive(sock: &Sock<Self>, inner: &InnerSocket) {
        let on = i32::from(sock.keepalive()).to_ne_bytes();
        // Can't fail.
        let _ = inner.setsockopt_value(uapi::SOL_SOCKET, uapi::SO_KEEPALIVE, &on);
    }
}
