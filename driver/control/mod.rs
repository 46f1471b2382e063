// SPDX-License-Identifier: GPL-2.0
//! The control plane: what happens to a connection besides its bytes.

mod close;
pub(crate) mod congestion;
mod connection;
mod events;
pub(crate) mod fallback;
mod hand_back;
mod hand_over;
mod limits;
pub(crate) mod path;
pub(crate) mod registry;
pub(crate) mod rto;
pub(crate) mod state;
mod timers;

pub(crate) use close::purge;
pub(crate) use connection::Connection;
pub(crate) use timers::Keepalive;
