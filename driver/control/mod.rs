// SPDX-License-Identifier: GPL-2.0
//! The control plane: what happens to a connection besides its bytes.

pub(crate) mod congestion;
pub(crate) mod path;
pub(crate) mod rto;
pub(crate) mod state;
