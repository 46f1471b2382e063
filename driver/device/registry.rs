// SPDX-License-Identifier: GPL-2.0
//! Which netdevs carry offloaded connections.

use super::{
    soft::{Flows, SoftDevice},
    Device, Kind, Removal,
};
use crate::driver::family::device_appeared;
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

/// A NIC, whose netdev is a device whenever it is in a namespace and nobody has made it an ordinary one.
pub(super) trait Hardware: Send + Sync {
    /// Whether `netdev` is the NIC's.
    fn owns(&self, netdev: &NetDevice) -> bool;

    /// The device that the NIC is in its netdev's present namespace. `ENODEV` if it is being taken away.
    fn device(self: Arc<Self>) -> Result<Arc<dyn Device>>;
}

/// All devices of all namespaces.
///
/// Lock order: RTNL, then `hardware`, then `devices`.
#[pin_data]
pub(crate) struct Registry {
    #[pin]
    hardware: Mutex<KVec<Arc<dyn Hardware>>>,
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
                hardware <- new_mutex!(KVec::new(), "Registry::hardware"),
                devices <- new_mutex!(KVec::new(), "Registry::devices"),
                flows,
            }),
            GFP_KERNEL,
        )
    }

    /// Makes a device of the netdev `ifindex` of `net`: of the kind asked for, or else the NIC that it is, or else a
    /// software device.
    ///
    /// `ENODEV` if there is no such netdev, `EOPNOTSUPP` if it can't be of that kind, `EEXIST` if it is a device already.
    pub(crate) fn add(&self, net: &Net, ifindex: u32, kind: Option<Kind>) -> Result {
        let rtnl = Rtnl::lock();
        let netdev = NetDevice::by_index(net, ifindex).ok_or(ENODEV)?;
        let hardware = match kind {
            Some(Kind::Soft) => None,
            Some(Kind::Pci) => Some(self.hardware_of(&netdev).ok_or(EOPNOTSUPP)?),
            None => self.hardware_of(&netdev),
        };
        let Some(hardware) = hardware else {
            let link_type = netdev.link_type().ok_or(EOPNOTSUPP)?;
            return self.list(net.cookie(), ifindex, || {
                let device = SoftDevice::new(netdev, link_type, self.flows.0.clone(), &rtnl)?;
                Ok(device)
            });
        };
        self.list(net.cookie(), ifindex, || hardware.device())
    }

    /// Lists the device that `new` makes of a netdev. `EEXIST` if the netdev is a device already.
    fn list(
        &self,
        net: NetCookie,
        ifindex: u32,
        new: impl FnOnce() -> Result<Arc<dyn Device>>,
    ) -> Result {
        let mut devices = self.devices.lock();
        if Self::position(&devices, net, ifindex).is_some() {
            return Err(EEXIST);
        }
        devices.reserve(1, GFP_KERNEL)?;
        devices.push(new()?, GFP_KERNEL)?;
        drop(devices);
        device_appeared();
        Ok(())
    }

    /// Makes the netdev of `hardware` a device wherever it appears, until what is returned is dropped.
    pub(super) fn offer(&self, hardware: Arc<dyn Hardware>) -> Result<Offer> {
        let offer = Offer(hardware.clone());
        self.hardware.lock().push(hardware, GFP_KERNEL)?;
        Ok(offer)
    }

    fn hardware_of(&self, netdev: &NetDevice) -> Option<Arc<dyn Hardware>> {
        let hardware = self.hardware.lock();
        hardware.iter().find(|one| one.owns(netdev)).cloned()
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

/// Keeps the netdev of a NIC a device.
pub(super) struct Offer(Arc<dyn Hardware>);

impl Drop for Offer {
    fn drop(&mut self) {
        if let Some(registry) = DEVICES.get() {
            registry
                .hardware
                .lock()
                .retain(|one| !Arc::ptr_eq(one, &self.0));
        }
    }
}

/// Makes devices of NICs' netdevs, tells devices that their netdev has changed, and removes those whose netdev goes away, by whatever way: unplugged, moved
/// to another namespace, or the end of its own.
pub(crate) struct Observer;

impl NetdevObserver for Observer {
    fn registered(&self, netdev: &NetDevice) {
        let Some(registry) = DEVICES.get() else {
            return;
        };
        let Some(hardware) = registry.hardware_of(netdev) else {
            return;
        };
        // Without memory it is an ordinary netdev, until its administrator makes it a device.
        let _ = registry.list(netdev.net_cookie(), netdev.ifindex(), || hardware.device());
    }

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
            let _ = registry.remove(netdev.net_cookie(), netdev.ifindex(), Removal::Forced);
        }
    }
}
