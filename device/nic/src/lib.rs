// SPDX-License-Identifier: GPL-2.0

//! A model of the TOE NIC.
//!
//! It is the PCI device that Documentation/device-interface.rst describes, as a process: [`device`] is the NIC itself,
//! which knows nothing of how its host reaches it; [`server`] serves it over vfio-user. Everything the host or the
//! network says is checked where it comes in: [`queue`] for rings and indices, [`memory`] for addresses,
//! [`offload::convert`] for connections.

#![cfg_attr(test, allow(non_snake_case))]

pub mod clock;
pub mod control;
pub mod device;
pub mod frames;
pub mod host;
pub mod layout;
pub mod memory;
pub mod nonsense;
pub mod offload;
pub mod pci;
pub mod port;
pub mod queue;
pub mod random;
pub mod raw;
pub mod server;
pub mod statistics;
