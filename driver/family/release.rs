// SPDX-License-Identifier: GPL-2.0
//! shutdown and close.

use super::{Phase, ToeSocket};
use crate::net::{
    context::BhDisabled,
    errno::ENOTCONN,
    sock::{Shut, Sock},
    uapi,
};
use kernel::prelude::*;

impl ToeSocket {
    /// `shutdown(2)`.
    pub(super) fn shut(sock: &Sock<Self>, shut: Shut) -> Result {
        let this = sock.data();
        let guard = sock.lock();
        let Some(connection) = this.connection.get(&guard) else {
            // Not unlocked, or the connection might return to a device meanwhile.
            this.inner()?.shutdown(shut)?;
            sock.add_shut(shut);
            return Ok(());
        };
        if connection.stream().closed() {
            return Err(ENOTCONN.into());
        }
        if shut.contains(Shut::SEND) && !sock.shut().contains(Shut::SEND) {
            connection.shutdown_send();
        }
        sock.add_shut(shut);
        drop(guard);
        sock.wake_all();
        Ok(())
    }

    /// The program closed the socket.
    pub(super) fn close(sock: &Sock<Self>) {
        Self::unlist(sock);
        let this = sock.data();
        let mut guard = sock.lock();
        this.set_phase(Phase::Released);
        let connection = this.connection.share();
        if let Some(connection) = &connection {
            let lingering = sock.linger();
            // RFC 2525, section 2.17: unread data is lost, and the peer must know.
            if connection.stream().readable() > 0 || lingering.is_some_and(|time| time.is_zero()) {
                connection.abort();
            } else {
                connection.shutdown_send();
                if let Some(mut time) = lingering {
                    let stream = connection.stream();
                    let _ = guard.wait_until(&mut time, || {
                        stream.closed() || stream.left() || connection.sent_all()
                    });
                }
            }
            connection.stream().disown();
        }
        let inner = this.inner.lock(&BhDisabled::new()).take();
        if let Some(connection) = connection {
            // From here on the inner socket is the control plane's alone.
            drop(inner);
            connection.orphan();
            sock.set_state(uapi::TCP_CLOSE);
            return;
        }
        if let Some(inner) = &inner {
            inner.clear_events();
        }
        sock.set_state(uapi::TCP_CLOSE);
        drop(guard);
        // Closing the inner socket may wait for its own lingering.
        drop(inner);
    }
}
