// SPDX-License-Identifier: GPL-2.0
//! Commands about connections.

use super::uapi;
use crate::net::{
    genetlink::{Dump, Listing},
    netns::Net,
};
use kernel::prelude::*;

/// `conn-get`.
pub(super) struct List;

impl Dump for List {
    const CMD: u8 = uapi::CMD_CONN_GET as u8;

    fn run(_net: &Net, _listing: &mut Listing<'_>) -> Result {
        Ok(())
    }
}
