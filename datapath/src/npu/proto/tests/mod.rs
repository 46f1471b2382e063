// SPDX-License-Identifier: GPL-2.0

//! The protocol stage, segment by segment.

mod ack;
mod control;
mod ecn;
mod receive;
mod transmit;
