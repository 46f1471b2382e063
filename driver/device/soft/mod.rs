// SPDX-License-Identifier: GPL-2.0
//! The software device: the data-path, run inline over any netdev.
//!
//! Segments come in by a netfilter hook on what the netdev receives, and go out by its queue. Each connection is a
//! [`Flow`](flow::Flow) in one table of all devices; its state is behind a spinlock that the hook and the socket's side
//! take. What a run of the data-path puts out (frames, notifications) is collected under that lock and handed on after
//! it is released, in order.

mod claim;
mod flow;
mod link;
mod output;
mod port;
mod receive;
#[cfg(CONFIG_KUNIT = "y")]
mod tests;

pub(super) use link::Flows;

use super::{counters::Totals, Claim, Datapath, Device, Group, Kind, Refusal, Removal};
use crate::net::{
    context::BhDisabled,
    netdevice::{LinkType, Name, NetDevice, Rtnl},
    netfilter::IngressRegistration,
    netns::NetCookie,
};
use claim::SoftClaim;
use datapath::wire::FourTuple;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
};
use link::Link;

/// A software device.
#[pin_data]
pub(super) struct SoftDevice {
    link: Arc<Link>,
    /// `None` once detached.
    #[pin]
    hook: Mutex<Option<IngressRegistration<Link>>>,
}

impl SoftDevice {
    /// A device of `netdev`, whose frames are as `link_type` says.
    ///
    /// `_rtnl` keeps the netdev from unregistering before the caller has listed the device.
    pub(super) fn new(
        netdev: ARef<NetDevice>,
        link_type: LinkType,
        flows: Arc<Flows>,
        _rtnl: &Rtnl,
    ) -> Result<Arc<Self>> {
        let link = Arc::pin_init(Link::new(netdev.clone(), link_type, flows), GFP_KERNEL)?;
        let hook = IngressRegistration::new(netdev, link.clone())?;
        Arc::pin_init(
            pin_init!(Self {
                link,
                hook <- new_mutex!(Some(hook), "SoftDevice::hook"),
            }),
            GFP_KERNEL,
        )
    }
}

impl Device for SoftDevice {
    fn name(&self) -> Option<Name> {
        self.link.name()
    }

    fn ifindex(&self) -> u32 {
        self.link.ifindex
    }

    fn namespace(&self) -> NetCookie {
        self.link.namespace
    }

    fn kind(&self) -> Kind {
        Kind::Soft
    }

    fn datapath(&self) -> Datapath {
        Datapath::Npu
    }

    fn link_type(&self) -> LinkType {
        self.link.link_type
    }

    fn tx_max(&self, ipv6: bool) -> u32 {
        self.link.tx_max(ipv6)
    }

    fn connections(&self) -> u32 {
        self.link.connections()
    }

    fn max_connections(&self) -> u32 {
        Link::MAX_CONNECTIONS
    }

    fn claim(&self, tuple: &FourTuple) -> Result<KBox<dyn Claim>, Refusal> {
        Ok(KBox::new(SoftClaim::new(&self.link, tuple)?, GFP_KERNEL)
            .map_err(|_| Refusal::NoMemory)?)
    }

    fn counters(&self, visit: &mut dyn FnMut(Group, &'static str, u64)) {
        let mut totals: Totals = self.link.finished(&BhDisabled::new());
        self.link
            .for_each_flow(|flow| flow.add_to(&mut totals, &BhDisabled::new()));
        totals.visit(visit);
        self.link.visit_counters(visit);
    }

    fn netdev_changed(&self) {
        self.link.for_each_flow(|flow| flow.path_changed());
    }

    fn close(&self, removal: Removal) -> Result {
        self.link.close(removal)
    }

    fn detach(&self) {
        self.link.disown_flows();
        drop(self.hook.lock().take());
        self.link.release_netdev();
    }
}
