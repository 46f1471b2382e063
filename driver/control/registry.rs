// SPDX-License-Identifier: GPL-2.0
//! All connections that devices carry.

use super::connection::Connection;
use crate::net::{
    flow_table::{FlowKey, FlowTable},
    global::Global,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// The connections, by their numbers.
pub(crate) static CONNECTIONS: Global<FlowTable<Connection>> = Global::new();

static NEXT: Atomic<u64> = Atomic::new(1);

/// A number for a connection that no other has or will have.
pub(super) fn new_number() -> u64 {
    NEXT.fetch_add(1, Relaxed)
}

fn key(number: u64) -> FlowKey {
    // Consecutive numbers need no mixing to spread over the table.
    FlowKey::new(number as u32, [number, 0, 0, 0, 0])
}

/// Adds a connection. `ENOMEM` or `E2BIG` if there is no room.
pub(super) fn add(connection: &Arc<Connection>) -> Result {
    let table = CONNECTIONS.get().ok_or(ENODEV)?;
    table.insert(&key(connection.number()), connection.clone())
}

/// Takes a connection out.
pub(super) fn remove(connection: &Connection) {
    if let Some(table) = CONNECTIONS.get() {
        drop(table.remove(&key(connection.number())));
    }
}

/// Any connection, if there is one.
pub(super) fn any() -> Option<Arc<Connection>> {
    let table = CONNECTIONS.get()?;
    table.find_map(|connection| Some(connection.arc()))
}

/// Calls `visit` with each connection. It must not sleep.
pub(crate) fn for_each(mut visit: impl FnMut(&Connection)) {
    if let Some(table) = CONNECTIONS.get() {
        table.for_each(|connection| visit(&connection));
    }
}
