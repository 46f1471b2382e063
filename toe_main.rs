// SPDX-License-Identifier: GPL-2.0
//! AF_TOE: TCP sockets whose established connections an offloaded data-path serves.

use kernel::prelude::*;

mod driver;
#[path = "rust/mod.rs"]
mod net;

module! {
    type: ToeModule,
    name: "toe",
    authors: ["The AF_TOE developers"],
    description: "AF_TOE: offloaded TCP sockets",
    license: "GPL",
}

struct ToeModule;

impl kernel::Module for ToeModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(ToeModule)
    }
}
