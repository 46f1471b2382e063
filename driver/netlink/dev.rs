// SPDX-License-Identifier: GPL-2.0
//! Commands about devices.

use super::{devices, uapi};
use crate::{
    driver::device::{Datapath, Device, Kind, Removal, DEVICES},
    net::{
        errno::EOPNOTSUPP,
        genetlink::{Do, Dump, Listing, Message, Permission, Policy, Request},
        netns::Net,
    },
};
use kernel::prelude::*;

/// What requests for a new device may contain.
const ADD: [Policy; uapi::DEV_DATAPATH as usize + 1] = {
    let mut policy = [const { Policy::REFUSED }; uapi::DEV_DATAPATH as usize + 1];
    policy[uapi::DEV_IFINDEX as usize] = Policy::u32_at_least(1);
    policy[uapi::DEV_KIND as usize] = Policy::u32_at_most(uapi::DEV_KIND_PCI as i16);
    policy[uapi::DEV_DATAPATH as usize] = Policy::u32_at_most(uapi::DATAPATH_NPU as i16);
    policy
};

/// What requests to remove a device may contain.
const DEL: [Policy; uapi::DEV_FORCE as usize + 1] = {
    let mut policy = [const { Policy::REFUSED }; uapi::DEV_FORCE as usize + 1];
    policy[uapi::DEV_IFINDEX as usize] = Policy::u32_at_least(1);
    policy[uapi::DEV_FORCE as usize] = Policy::FLAG;
    policy
};

/// What requests to show a device may contain.
const GET: [Policy; uapi::DEV_IFINDEX as usize + 1] = [Policy::REFUSED, Policy::u32_at_least(1)];

/// `dev-add`. The policy leaves one data-path to choose.
pub(super) struct Add;

impl Do for Add {
    const CMD: u8 = uapi::CMD_DEV_ADD as u8;
    const PERMISSION: Permission = Permission::NetAdmin;
    const POLICY: &'static [Policy] = &ADD;

    fn run(request: &Request<'_>) -> Result {
        let ifindex = request.u32(uapi::DEV_IFINDEX)?;
        let kind = match request.u32_if_any(uapi::DEV_KIND)? {
            None => None,
            Some(uapi::DEV_KIND_PCI) => Some(Kind::Pci),
            Some(_) => Some(Kind::Soft),
        };
        let devices = DEVICES.get().ok_or(ENODEV)?;
        devices.add(request.net(), ifindex, kind).inspect_err(|e| {
            if *e == EOPNOTSUPP.error() {
                request.explain(match kind {
                    Some(Kind::Pci) => c"this netdev isn't a TOE NIC's",
                    _ => c"a netdev of this type can't carry offloaded connections",
                });
            }
        })
    }
}

/// `dev-del`.
pub(super) struct Del;

impl Do for Del {
    const CMD: u8 = uapi::CMD_DEV_DEL as u8;
    const PERMISSION: Permission = Permission::NetAdmin;
    const POLICY: &'static [Policy] = &DEL;

    fn run(request: &Request<'_>) -> Result {
        let ifindex = request.u32(uapi::DEV_IFINDEX)?;
        let mode = if request.flag(uapi::DEV_FORCE) {
            Removal::Forced
        } else {
            Removal::Unused
        };
        DEVICES
            .get()
            .ok_or(ENODEV)?
            .remove(request.net().cookie(), ifindex, mode)
    }
}

/// `dev-get` for one device.
pub(super) struct Get;

impl Do for Get {
    const CMD: u8 = uapi::CMD_DEV_GET as u8;
    const PERMISSION: Permission = Permission::All;
    const POLICY: &'static [Policy] = &GET;

    fn run(request: &Request<'_>) -> Result {
        let ifindex = request.u32(uapi::DEV_IFINDEX)?;
        let device = DEVICES
            .get()
            .and_then(|devices| devices.find(request.net().cookie(), ifindex))
            .ok_or(ENODEV)?;
        request.reply(|message| describe(message, &*device))
    }
}

/// `dev-get` for all devices.
pub(super) struct List;

impl Dump for List {
    const CMD: u8 = uapi::CMD_DEV_GET as u8;

    fn run(net: &Net, listing: &mut Listing<'_>) -> Result {
        for (ifindex, device) in &devices(net.cookie())? {
            let key = u64::from(*ifindex);
            if key >= listing.start() {
                listing.show(key, |message| describe(message, &**device))?;
            }
        }
        Ok(())
    }
}

fn describe(message: &mut Message<'_>, device: &dyn Device) -> Result {
    let kind = match device.kind() {
        Kind::Soft => uapi::DEV_KIND_SOFT,
        Kind::Pci => uapi::DEV_KIND_PCI,
    };
    let datapath = match device.datapath() {
        Datapath::Npu => uapi::DATAPATH_NPU,
    };
    message.u32(uapi::DEV_IFINDEX, device.ifindex())?;
    if let Some(name) = device.name() {
        message.string(uapi::DEV_IFNAME, name.as_c_str().to_str().unwrap_or("?"))?;
    }
    message.u32(uapi::DEV_KIND, kind)?;
    message.u32(uapi::DEV_DATAPATH, datapath)?;
    message.u32(uapi::DEV_CONNECTIONS, device.connections())?;
    message.u32(uapi::DEV_MAX_CONNECTIONS, device.max_connections())
}
