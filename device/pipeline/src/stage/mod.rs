// SPDX-License-Identifier: GPL-2.0

//! The stages: each takes an item from the one before, with its own part of the state, and leaves one for the next.
//! Executors decide when, on which thread, and in which order.

pub(crate) mod dma;
pub(crate) mod exit;
pub(crate) mod post;
pub(crate) mod pre;
pub(crate) mod protocol;
