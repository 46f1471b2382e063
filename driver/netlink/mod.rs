// SPDX-License-Identifier: GPL-2.0
//! The generic netlink family "toe", as Documentation/netlink/specs/toe.yaml describes it.

mod conn;
mod dev;
mod stats;

use crate::{
    driver::device::{Device, DEVICES},
    net::{
        compat::THIS_MODULE,
        genetlink::{Op, Registration},
        netns::NetCookie,
        uapi::toe_netlink as uapi,
    },
};
use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

static OPS: [Op; 6] = [
    Op::one::<dev::Add>(),
    Op::one::<dev::Del>(),
    Op::one::<dev::Get>(),
    Op::all::<dev::List>(),
    Op::all::<conn::List>(),
    Op::all::<stats::List>(),
];

/// Makes the family known to generic netlink; errors as [`Registration::new`].
pub(crate) fn register() -> Result<Registration> {
    Registration::new(uapi::FAMILY_NAME, uapi::FAMILY_VERSION, &OPS, &THIS_MODULE)
}

/// The devices of `namespace`, by interface index.
fn devices(namespace: NetCookie) -> Result<RBTree<u32, Arc<dyn Device>>> {
    let mut devices = RBTree::new();
    for device in DEVICES.get().ok_or(ENODEV)?.all(namespace)? {
        devices.try_create_and_insert(device.ifindex(), device, GFP_KERNEL)?;
    }
    Ok(devices)
}
