// SPDX-License-Identifier: GPL-2.0
//! Safe abstractions over the kernel's C networking API.
//!
//! The only place in toe.ko where `unsafe` is allowed.

#[allow(unused_imports)]
use toe_bindings as bindings;
