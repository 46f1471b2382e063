// SPDX-License-Identifier: GPL-2.0
//! The connections that a NIC carries, by the cookies that it names them by.

use super::connection::PciConnection;
use crate::{
    driver::device::{Events, Refusal},
    net::{
        context::{new_bh_spinlock, BhDisabled, BhSpinLock, RcuRead},
        rcu_slot::{RcuSlot, Reserved},
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu, Arc,
    },
};

/// A connection's name: its slot in the table. It is given again; handles, which aren't for long, tell whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookie(pub(super) u32);

/// A connection in the table.
pub(super) struct Entry {
    pub(super) connection: Arc<PciConnection>,
    /// Who is told what happens to it.
    pub(super) events: Arc<dyn Events>,
}

/// Whose a cookie and a handle are.
pub(super) enum Whose<'a> {
    /// This connection's.
    Known(&'a Entry),
    /// Those of a connection that is gone.
    Late,
    /// Nobody's: they never belonged together.
    Nobody,
}

struct Slot {
    entry: RcuSlot<Entry>,
    /// Handle of the connection that was here before.
    last: Atomic<u32>,
}

/// The connections. They are found without a lock; who finds one may find it for a grace period after it was taken out.
#[pin_data]
pub(super) struct Table {
    slots: KVVec<Slot>,
    /// Cookies not in use. Has room for all.
    #[pin]
    free: BhSpinLock<KVVec<u32>>,
}

impl Table {
    /// With room for `size` connections.
    pub(super) fn new(size: u32) -> Result<impl PinInit<Self>> {
        let mut slots = KVVec::with_capacity(size as usize, GFP_KERNEL)?;
        let mut free = KVVec::with_capacity(size as usize, GFP_KERNEL)?;
        for cookie in (0..size).rev() {
            let slot = Slot {
                entry: RcuSlot::new(),
                last: Atomic::new(0),
            };
            slots.push(slot, GFP_KERNEL)?;
            free.push(cookie, GFP_KERNEL)?;
        }
        Ok(pin_init!(Self {
            slots,
            free <- new_bh_spinlock!(free, "Table::free"),
        }))
    }

    /// Takes a cookie, that [`give_back`](Self::give_back) frees.
    pub(super) fn take(&self) -> Result<Cookie, Refusal> {
        let bh = BhDisabled::new();
        let cookie = self.free.lock(&bh).pop();
        cookie.map(Cookie).ok_or(Refusal::TableFull)
    }

    /// Frees a cookie.
    pub(super) fn give_back(&self, cookie: Cookie) {
        let bh = BhDisabled::new();
        // There is room: it was taken from here.
        let _ = self.free.lock(&bh).push(cookie.0, GFP_ATOMIC);
    }

    /// Makes a connection known by its cookie.
    pub(super) fn set(&self, cookie: Cookie, room: Reserved<Entry>, entry: Entry) {
        if let Some(slot) = self.slots.get(cookie.0 as usize) {
            slot.entry.fill(room, entry);
        }
    }

    /// Makes nobody known by the cookie, who had the handle `last`; returns whether somebody was before.
    pub(super) fn clear(&self, cookie: Cookie, last: u32) -> bool {
        let Some(slot) = self.slots.get(cookie.0 as usize) else {
            return false;
        };
        // Who doesn't find the entry any more finds this.
        slot.last.store(last, Relaxed);
        slot.entry.clear()
    }

    /// The connection with this cookie.
    pub(super) fn get<'a>(&'a self, cookie: Cookie, rcu: &'a impl RcuRead) -> Option<&'a Entry> {
        self.slots.get(cookie.0 as usize)?.entry.read(rcu)
    }

    /// Whose `cookie` and `handle` are.
    #[inline]
    pub(super) fn find<'a>(&'a self, cookie: u64, handle: u32, rcu: &'a impl RcuRead) -> Whose<'a> {
        let index = usize::try_from(cookie).unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get(index) else {
            return Whose::Nobody;
        };
        match slot.entry.read(rcu) {
            Some(entry) if entry.connection.handle() == handle => Whose::Known(entry),
            _ if handle != 0 && slot.last.load(Relaxed) == handle => Whose::Late,
            _ => Whose::Nobody,
        }
    }

    /// Calls `visit` with each connection and who is told of it; it may sleep.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&PciConnection, &dyn Events)) {
        for slot in self.slots.iter().filter(|slot| slot.entry.is_filled()) {
            let found = {
                let rcu = rcu::read_lock();
                slot.entry
                    .read(&rcu)
                    .map(|entry| (entry.connection.clone(), entry.events.clone()))
            };
            if let Some((connection, events)) = found {
                visit(&connection, &*events);
            }
        }
    }
}
