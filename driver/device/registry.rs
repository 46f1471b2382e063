// SPDX-License-Identifier: GPL-2.0
//! Which netdevs carry offloaded connections.

use super::{
    soft::{Flows, SoftDevice},
    Device, Removal,
};
use crate::net::{
    context::rcu_barrier,
    errno::EOPNOTSUPP,
    global::Global,
    netdevice::{NetDevice, NetdevObserver, Rtnl},
    netns::{Net, NetCookie},
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

/// The devices there are.
pub(crate) static DEVICES: Global<Registry> = Global::new();

/// All devices of all namespaces.
///
/// Lock order: RTNL, then `devices`.
#[pin_data]
pub(crate) struct Registry {
    #[pin]
    devices: Mutex<KVec<Arc<dyn Device>>>,
    flows: FlowsOwner,
}

/// Keeps the flow table until all flows are gone.
struct FlowsOwner(Arc<Flows>);

impl Drop for FlowsOwner {
    fn drop(&mut self) {
        // Flows that were removed hold the table until they are freed, and it mustn't go in the context that is done in.
        rcu_barrier();
    }
}

impl Registry {
    /// Without any device. `ENOMEM` if there is no memory.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let flows = FlowsOwner(Flows::new()?);
        Arc::pin_init(
            pin_init!(Self {
                devices <- new_mutex!(KVec::new(), "Registry::devices"),
                flows,
            }),
            GFP_KERNEL,
        )
    }

    /// Makes a software device of the netdev `ifindex` of `net`.
    ///
    /// `ENODEV` if there is no such netdev, `EOPNOTSUPP` if its link layer is none we know, `EEXIST` if it is a device
    /// already.
    pub(crate) fn add_soft(&self, net: &Net, ifindex: u32) -> Result {
        let rtnl = Rtnl::lock();
        let netdev = NetDevice::by_index(net, ifindex).ok_or(ENODEV)?;
        let link_type = netdev.link_type().ok_or(EOPNOTSUPP)?;
        let mut devices = self.devices.lock();
        if Self::position(&devices, net.cookie(), ifindex).is_some() {
            return Err(EEXIST);
        }
        devices.reserve(1, GFP_KERNEL)?;
        let device = SoftDevice::new(netdev, link_type, self.flows.0.clone(), &rtnl)?;
        devices.push(device, GFP_KERNEL)?;
        Ok(())
    }

    /// Lists a device that is one by itself. `EEXIST` if its netdev is a device already.
    pub(super) fn add(&self, device: Arc<dyn Device>) -> Result {
        let mut devices = self.devices.lock();
        if Self::position(&devices, device.namespace(), device.ifindex()).is_some() {
            return Err(EEXIST);
        }
        Ok(devices.push(device, GFP_KERNEL)?)
    }

    /// Makes the netdev `ifindex` of `net` an ordinary one again.
    ///
    /// `ENODEV` if it is no device, `EBUSY` if it carries connections and `removal` is [`Removal::Unused`].
    pub(crate) fn remove(&self, net: NetCookie, ifindex: u32, removal: Removal) -> Result {
        let device = {
            let mut devices = self.devices.lock();
            let at = Self::position(&devices, net, ifindex).ok_or(ENODEV)?;
            devices[at].close(removal)?;
            devices.remove(at).map_err(|_| ENODEV)?
        };
        device.detach();
        Ok(())
    }

    /// The device of the netdev `ifindex` of `net`, if it is one.
    pub(crate) fn find(&self, net: NetCookie, ifindex: u32) -> Option<Arc<dyn Device>> {
        let devices = self.devices.lock();
        Self::position(&devices, net, ifindex).map(|at| devices[at].clone())
    }

    /// All devices of `net`. `ENOMEM` if there is no memory.
    pub(crate) fn all(&self, net: NetCookie) -> Result<KVec<Arc<dyn Device>>> {
        let mut found = KVec::new();
        for device in self.devices.lock().iter() {
            if device.namespace() == net {
                found.push(device.clone(), GFP_KERNEL)?;
            }
        }
        Ok(found)
    }

    fn position(devices: &[Arc<dyn Device>], net: NetCookie, ifindex: u32) -> Option<usize> {
        devices
            .iter()
            .position(|device| device.ifindex() == ifindex && device.namespace() == net)
    }
}

/// Tells devices that their netdev has changed, and removes those whose netdev goes away, by whatever way: unplugged, moved
/// to another namespace, or the end of its own.
pub(crate) struct Observer;

impl NetdevObserver for Observer {
    fn changed(&self, netdev: &NetDevice) {
        let device = DEVICES
            .get()
            .and_then(|registry| registry.find(netdev.net_cookie(), netdev.ifindex()));
        if let Some(device) = device {
            device.netdev_changed();
        }
    }

    fn unregister(&self, netdev: &NetDevice) {
        if let Some(registry) = DEVICES.get() {
            // Most netdevs are no device.
            let _ = registry.remove(netdev.net_cookie(), netdev.ifindex(), Removal::Lost);
        }
    }
}
