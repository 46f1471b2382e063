// SPDX-License-Identifier: GPL-2.0
//! toe.ko proper: socket family, control plane, devices.
#![forbid(unsafe_code)]

pub(crate) mod control;
pub(crate) mod device;
pub(crate) mod family;
pub(crate) mod netlink;
pub(crate) mod sysctl;

use crate::net::{global::Global, workqueue::OwnedQueue};

/// Where work that must sleep is done.
pub(crate) static WORK: Global<OwnedQueue> = Global::new();

/// Where NICs are watched over, and reset: work that others may wait for who fill [`WORK`].
pub(crate) static RECOVERY: Global<OwnedQueue> = Global::new();
