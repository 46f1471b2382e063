// SPDX-License-Identifier: GPL-2.0

//! The TCP data-path of AF_TOE: what happens to the segments and buffers of an established connection.
//!
//! The crate is pure: it allocates nothing, reads no clock and does no I/O. The environment (the kernel module's soft
//! device, the NIC model, a test) owns the payload buffers, the connection table and the wire, and lends them to an
//! executor through [`npu::inline::Port`].
//!
//! - [`units`]: sequence numbers, stream positions, byte counts and times, each a type of its own;
//! - [`wire`]: Ethernet, IP and TCP formats, checksums, the connection's 4-tuple;
//! - [`npu`]: FlexTOE's data-parallel pipeline: pre-processing, protocol, post-processing, DMA, context queue;
//! - [`reason`]: why a segment was dropped or handed to the control plane, with counters.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(non_snake_case))]
#![warn(missing_docs, unreachable_pub, rust_2018_idioms)]
#![warn(
    clippy::cast_lossless,
    clippy::ignored_unit_patterns,
    clippy::as_underscore
)]

#[cfg(test)]
#[macro_use]
extern crate std;

pub mod npu;
pub mod reason;
pub mod units;
pub mod wire;
