// SPDX-License-Identifier: GPL-2.0
//! Safe abstractions over the kernel's C networking API.
//!
//! The only place in toe.ko where `unsafe` is allowed.

use toe_bindings as bindings;

pub(crate) mod buffer;
pub(crate) mod clock;
pub(crate) mod compat;
pub(crate) mod context;
pub(crate) mod device_abi;
pub(crate) mod devlink;
pub(crate) mod dma;
pub(crate) mod dst;
pub(crate) mod errno;
pub(crate) mod family;
pub(crate) mod flow_table;
pub(crate) mod genetlink;
pub(crate) mod global;
pub(crate) mod interrupt;
pub(crate) mod ksocket;
pub(crate) mod msg;
pub(crate) mod neighbour;
pub(crate) mod netdev;
pub(crate) mod netdevice;
pub(crate) mod netfilter;
pub(crate) mod netns;
pub(crate) mod pci;
pub(crate) mod rcu_slot;
pub(crate) mod skbuff;
pub(crate) mod sock;
pub(crate) mod sock_slot;
pub(crate) mod sockaddr;
pub(crate) mod sockopt;
pub(crate) mod sysctl;
pub(crate) mod tcp_info;
pub(crate) mod tcp_repair;
pub(crate) mod tcp_sysctl;
pub(crate) mod timer;
pub(crate) mod uapi;
pub(crate) mod workqueue;
