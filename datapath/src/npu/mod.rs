// SPDX-License-Identifier: GPL-2.0

//! FlexTOE's pipeline (chapter 4, section 4.3): five stages, three workflows.
//!
//! | stage | RX | TX | host control |
//! |---|---|---|---|
//! | [`pre`] | validate, identify, summarize | headers | steer |
//! | [`proto`] | windows, position, reassembly, acknowledgment | sequence number, position | windows, FIN, reset |
//! | [`post`] | buffer position, statistics, notification | buffer position | statistics |
//! | [`dma`] | payload, then acknowledgment | payload, then segment | |
//! | [`ctxq`] | notification | | |
//!
//! A stage is a set of plain functions of its own part of the [`state`] and of [`meta`]data that arrive by value, so
//! it doesn't know which executor runs it. Only the protocol stage must see one connection's work in order and one at
//! a time. [`inline`] is the executor that runs all stages to completion on the caller's thread; one that can't let every
//! connection send all it may at once asks the flow [`scheduler`] whose turn it is.

pub mod config;
pub mod ctxq;
pub mod dma;
pub mod inline;
pub mod meta;
pub mod post;
pub mod pre;
pub mod proto;
pub mod scheduler;
pub mod state;
pub mod template;

#[cfg(test)]
mod testing;

pub use config::{ConfigError, ConnectionConfig};
pub use inline::Port;
pub use meta::{HostControl, Notification};
pub use state::{Connection, PostState, PreState, ProtoState};
