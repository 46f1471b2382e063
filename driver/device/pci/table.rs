// SPDX-License-Identifier: GPL-2.0
//! The connections that a NIC carries, by the cookies that it names them by.

use super::connection::PciConnection;
use crate::{
    driver::device::Refusal,
    net::context::{new_bh_spinlock, BhDisabled, BhSpinLock},
};
use kernel::{prelude::*, sync::Arc};

/// A connection's name: its slot in the table. It is given again; handles, which aren't for long, tell whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookie(pub(super) u32);

/// The connections.
#[pin_data]
pub(super) struct Table {
    #[pin]
    slots: BhSpinLock<Slots>,
}

struct Slots {
    connections: KVVec<Option<Arc<PciConnection>>>,
    /// Cookies not in use. Has room for all.
    free: KVVec<u32>,
}

impl Table {
    /// With room for `size` connections.
    pub(super) fn new(size: u32) -> Result<impl PinInit<Self>> {
        let mut slots = Slots {
            connections: KVVec::with_capacity(size as usize, GFP_KERNEL)?,
            free: KVVec::with_capacity(size as usize, GFP_KERNEL)?,
        };
        for cookie in (0..size).rev() {
            slots.connections.push(None, GFP_KERNEL)?;
            slots.free.push(cookie, GFP_KERNEL)?;
        }
        Ok(pin_init!(Self {
            slots <- new_bh_spinlock!(slots, "Table::slots"),
        }))
    }

    /// Takes a cookie, that [`give_back`](Self::give_back) frees.
    pub(super) fn take(&self) -> Result<Cookie, Refusal> {
        let bh = BhDisabled::new();
        let cookie = self.slots.lock(&bh).free.pop();
        cookie.map(Cookie).ok_or(Refusal::TableFull)
    }

    /// Frees a cookie.
    pub(super) fn give_back(&self, cookie: Cookie) {
        let bh = BhDisabled::new();
        // There is room: it was taken from here.
        let _ = self.slots.lock(&bh).free.push(cookie.0, GFP_ATOMIC);
    }

    /// Makes a connection known by its cookie, or nobody; returns who was before.
    pub(super) fn set(
        &self,
        cookie: Cookie,
        connection: Option<Arc<PciConnection>>,
    ) -> Option<Arc<PciConnection>> {
        let bh = BhDisabled::new();
        let mut slots = self.slots.lock(&bh);
        let slot = slots.connections.get_mut(cookie.0 as usize)?;
        core::mem::replace(slot, connection)
    }

    /// The connection of a cookie.
    #[inline]
    pub(super) fn find(&self, cookie: u64, bh: &BhDisabled) -> Option<Arc<PciConnection>> {
        let index = usize::try_from(cookie).ok()?;
        self.slots.lock(bh).connections.get(index)?.clone()
    }

    /// Calls `visit` with each connection; it may sleep.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<PciConnection>)) {
        /// Slots looked at under one hold of the lock, which notifications wait for.
        const AT_ONCE: usize = 256;
        let mut cookie = 0;
        loop {
            let found = {
                let bh = BhDisabled::new();
                let slots = self.slots.lock(&bh);
                let rest = slots.connections.get(cookie..).unwrap_or_default();
                if rest.is_empty() {
                    return;
                }
                let some = &rest[..rest.len().min(AT_ONCE)];
                let found = some.iter().position(Option::is_some);
                cookie += found.map_or(some.len(), |at| at + 1);
                found.and_then(|at| some[at].clone())
            };
            if let Some(connection) = found {
                visit(&connection);
            }
        }
    }
}
