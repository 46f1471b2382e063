// SPDX-License-Identifier: GPL-2.0
//! Socket options.
//!
//! The inner socket has the last word on every value, and keeps it; what concerns an offloaded connection is told to the
//! control plane as well.

use super::ToeSocket;
use crate::{
    driver::{
        control::{Connection, Keepalive},
        device::Marks,
    },
    net::{errno::EOPNOTSUPP, ksocket::InnerSocket, sock::Sock, sockopt::SetOpt, uapi},
};
use datapath::units::Micros;
use kernel::{ffi::c_int, new_mutex, prelude::*, sync::Mutex};

/// The longest option value that is kept to be set again.
const MAX_LEN: usize = 64;
/// How many options are kept to be set again.
const MAX_OPTIONS: usize = 64;

/// One option as it was set.
struct Setting {
    level: c_int,
    name: c_int,
    value: KVec<u8>,
}

/// The options set on an AF_TOE socket before its first address says whether it is IPv4 or IPv6.
#[pin_data]
pub(super) struct Replay {
    /// `None` once the question is decided.
    #[pin]
    settings: Mutex<Option<KVec<Setting>>>,
}

impl Replay {
    pub(super) fn new(undecided: bool) -> impl PinInit<Self> {
        pin_init!(Self { settings <- new_mutex!(undecided.then(KVec::new), "Replay::settings") })
    }

    /// Whether the first address is yet to come.
    pub(super) fn undecided(&self) -> bool {
        self.settings.lock().is_some()
    }

    /// The address family will not change any more.
    pub(super) fn decide(&self) {
        *self.settings.lock() = None;
    }

    /// Sets all options on `inner` that were set so far.
    pub(super) fn onto(&self, inner: &InnerSocket) -> Result {
        for setting in self.settings.lock().iter().flatten() {
            inner.setsockopt_value(setting.level, setting.name, &setting.value)?;
        }
        Ok(())
    }

    /// Remembers an option that has been set.
    fn add(&self, level: c_int, name: c_int, value: &SetOpt) -> Result {
        let mut guard = self.settings.lock();
        let Some(settings) = &mut *guard else {
            return Ok(());
        };
        if value.len() > MAX_LEN || settings.len() >= MAX_OPTIONS {
            return Ok(());
        }
        let mut bytes = KVec::from_elem(0, value.len(), GFP_KERNEL)?;
        value.read(&mut bytes)?;
        settings.push(
            Setting {
                level,
                name,
                value: bytes,
            },
            GFP_KERNEL,
        )?;
        Ok(())
    }
}

impl ToeSocket {
    pub(super) fn set_option(
        sock: &Sock<Self>,
        level: c_int,
        name: c_int,
        value: &SetOpt,
    ) -> Result {
        if unsupported(level, name) {
            return Err(EOPNOTSUPP.into());
        }
        let this = sock.data();
        let connection = this.connection.share();
        let is_keepalive = (level, name) == (uapi::SOL_SOCKET, uapi::SO_KEEPALIVE);
        if !is_keepalive {
            this.inner()?.setsockopt(level, name, value)?;
        }
        if level == uapi::SOL_SOCKET {
            sock.set_generic_option(name, value)?;
        }
        // The device that has the connection, or got it meanwhile.
        if let Some(connection) = connection.or_else(|| this.connection.share()) {
            Self::tell(sock, &connection, (level, name), value);
        }
        if is_keepalive {
            let _guard = sock.lock();
            // The inner socket of an offloaded connection must not send probes of its own.
            if !this.connection.is_filled() {
                Self::set_inner_keepalive(sock, &*this.inner()?);
            }
        }
        this.replay.add(level, name, value)
    }
}

impl ToeSocket {
    /// Tells the control plane of an option that has been set on an offloaded connection.
    fn tell(sock: &Sock<Self>, connection: &Connection, option: (c_int, c_int), value: &SetOpt) {
        let on = value.int().is_ok_and(|value| value != 0);
        match option {
            (uapi::SOL_TCP, uapi::TCP_NODELAY) => connection.set_nodelay(on),
            (uapi::SOL_TCP, uapi::TCP_CORK) => connection.set_cork(on),
            (uapi::SOL_TCP, uapi::TCP_QUICKACK) if on => connection.quick_ack(),
            (uapi::SOL_TCP, uapi::TCP_USER_TIMEOUT)
            | (uapi::SOL_TCP, uapi::TCP_KEEPIDLE)
            | (uapi::SOL_TCP, uapi::TCP_KEEPINTVL)
            | (uapi::SOL_TCP, uapi::TCP_KEEPCNT)
            | (uapi::SOL_SOCKET, uapi::SO_KEEPALIVE) => Self::set_liveness(sock, connection),
            (uapi::SOL_SOCKET, uapi::SO_MARK | uapi::SO_PRIORITY)
            | (uapi::SOL_IP, uapi::IP_TOS | uapi::IP_TTL)
            | (uapi::SOL_IPV6, uapi::IPV6_TCLASS | uapi::IPV6_UNICAST_HOPS) => {
                Self::set_ip(sock, connection);
            }
            _ => {}
        }
    }

    /// Tells the control plane what the inner socket's options want its packets to be.
    fn set_ip(sock: &Sock<Self>, connection: &Connection) {
        let Ok(inner) = sock.data().inner() else {
            return;
        };
        if let Some(offload) = connection.offload() {
            // IP_TOS decides the priority, too.
            offload.set_marks(Marks {
                priority: inner.sk().priority(),
                mark: inner.sk().mark(),
            });
        }
        // Options that routes may depend on make the kernel forget the one in use.
        let _ = inner.reroute();
        connection.path_changed();
    }

    /// Tells the control plane how long to put up with a silent peer.
    pub(super) fn set_liveness(sock: &Sock<Self>, connection: &Connection) {
        let Ok(inner) = sock.data().inner() else {
            return;
        };
        let liveness = inner.liveness();
        let timeout = liveness.user_timeout_ms;
        connection.set_user_timeout((timeout > 0).then(|| Micros::from_millis(timeout)));
        connection.set_keepalive(sock.keepalive().then(|| {
            Keepalive::new(
                Micros(liveness.keepalive_idle_us),
                Micros(liveness.keepalive_interval_us),
                liveness.keepalive_probes.min(u8::MAX.into()) as u8,
            )
        }));
    }
}

/// Whether an option asks for what an offloaded connection can't give.
fn unsupported(level: c_int, name: c_int) -> bool {
    match level {
        uapi::SOL_SOCKET => name == uapi::SO_ZEROCOPY,
        uapi::SOL_TCP => matches!(
            name,
            uapi::TCP_FASTOPEN
                | uapi::TCP_FASTOPEN_CONNECT
                | uapi::TCP_FASTOPEN_KEY
                | uapi::TCP_FASTOPEN_NO_COOKIE
                | uapi::TCP_REPAIR
                | uapi::TCP_REPAIR_OPTIONS
                | uapi::TCP_REPAIR_QUEUE
                | uapi::TCP_REPAIR_WINDOW
                | uapi::TCP_QUEUE_SEQ
                | uapi::TCP_TIMESTAMP
                | uapi::TCP_ULP
                | uapi::TCP_ZEROCOPY_RECEIVE
        ),
        _ => false,
    }
}
