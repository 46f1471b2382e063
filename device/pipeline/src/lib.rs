// SPDX-License-Identifier: GPL-2.0

//! Executors of the AF_TOE data-path for a NIC: they run the stages of [`datapath::npu`] for many connections, inline on
//! the caller's thread or pipelined over threads (FlexTOE, chapter 4, sections 4.3.2 to 4.3.4).
//!
//! ```text
//!  frames, requests                         flow-group (hash of the 4-tuple)
//!        |                    .---------------------------------------------.
//!   [ sequencer ] -> pre -> [ reorder ] -> protocol -> post -> DMA -> [ reorder ] -> wire, context queues
//!    Input, the    replicas              and scheduler  replicas        Nic::transmit, notify, punt, complete
//!    caller's thread
//! ```
//!
//! The sequencer numbers what enters a flow-group, and the protocol stage takes it in that order, however long a replica
//! of the pre-processing stage took. What the protocol stage makes of it is numbered again, and reaches the wire and the
//! host in that order, after its payload was moved. So everything about one connection happens in order, and the same
//! connection's work is in every stage at once. Connections without anything in common meet in no lock and no queue
//! other than the replicas'.
//!
//! Each stage owns its part of a connection's state: the protocol stage of a flow-group has it to itself; the other two
//! parts are read or locked for the moment. Where there are fewer cores than stages, inline is fastest.
//!
//! A NIC implements [`Nic`], makes an [`Input`] with the [`Stages`] it was asked for, and feeds it.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(non_snake_case))]
#![warn(missing_docs, unreachable_pub, rust_2018_idioms)]

mod inline;
mod input;
mod nic;
mod reorder;
mod stage;
mod stages;
mod table;
mod threads;
mod work;

pub use input::{Dead, Input, InstallError, RequestError, Settings};
pub use nic::{Completion, ConnId, Nic, Punt, Stage};
pub use stages::{Replicas, Stages, StagesError};
pub use work::Request;
