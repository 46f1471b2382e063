// SPDX-License-Identifier: GPL-2.0
//! toe.ko proper: socket family, control plane, devices.
#![forbid(unsafe_code)]
