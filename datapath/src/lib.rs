// SPDX-License-Identifier: GPL-2.0
//! TCP data-path.
#![no_std]
