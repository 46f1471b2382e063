// SPDX-License-Identifier: GPL-2.0
//! AF_TOE: TCP sockets whose established connections an offloaded data-path serves.

// Tests are named WHAT__IS_SO.
#![cfg_attr(CONFIG_KUNIT, allow(non_snake_case))]

use kernel::{driver as kernel_driver, pci, prelude::*, sync::Arc};

mod driver;
#[path = "rust/mod.rs"]
mod net;

use driver::{
    control::{self, registry::CONNECTIONS, Connection},
    device::{pci::ToeNic, Observer, Registry, DEVICES},
    family::{self, Sockets, ToeSocket, SOCKETS},
    netlink,
};
use net::{
    compat, family::Registration, flow_table::FlowTable, genetlink, global::Holder,
    netdevice::NetdevNotifier, pci::Adapter, sysctl, tcp_repair::Freezer, workqueue::OwnedQueue,
};

module! {
    type: ToeModule,
    name: "toe",
    authors: ["The AF_TOE developers"],
    description: "AF_TOE: offloaded TCP sockets",
    license: "GPL",
    alias: ["net-pf-18", "net-pf-2-proto-257-type-1", "net-pf-10-proto-257-type-1", "net-pf-16-proto-16-family-toe"],
    params: {
        family: i32 {
            default: 18,
            description: "Number of the AF_TOE address family (18)",
        },
    },
}

compat::pci_device_table!(
    TOE_NIC_TABLE,
    MODULE_TOE_NIC_TABLE,
    (),
    [(
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, net::device_abi::PCI_DEVICE),
        ()
    )]
);

/// What the module holds while it is loaded; dropped from the first to the last.
struct ToeModule {
    _netlink: genetlink::Registration,
    _sysctls: sysctl::Registration,
    _family: Registration<ToeSocket>,
    _sockets: Holder<Sockets>,
    _connections: Connections,
    _nics: Pin<KBox<kernel_driver::Registration<Adapter<ToeNic>>>>,
    _recovery: Holder<OwnedQueue>,
    _work: Holder<OwnedQueue>,
    _netdevs: Pin<KBox<NetdevNotifier<Observer>>>,
    _devices: Holder<Registry>,
    _table: Holder<FlowTable<Connection>>,
    _freezer: Freezer,
}

/// The connections there are; dropping it ends them all.
struct Connections;

impl Drop for Connections {
    fn drop(&mut self) {
        control::purge();
    }
}

impl kernel::Module for ToeModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let work = driver::WORK.set(Arc::new(OwnedQueue::unbound(c"toe")?, GFP_KERNEL)?)?;
        let recovery = Arc::new(OwnedQueue::unbound(c"toe-recovery")?, GFP_KERNEL)?;
        let recovery = driver::RECOVERY.set(recovery)?;
        let devices = DEVICES.set(Registry::new()?)?;
        let freezer = Freezer::new()?;
        let table = CONNECTIONS.set(Arc::pin_init(FlowTable::new(), GFP_KERNEL)?)?;
        let netdevs = KBox::pin_init(NetdevNotifier::new(Observer), GFP_KERNEL)?;
        let sockets = SOCKETS.set(Arc::pin_init(Sockets::new(), GFP_KERNEL)?)?;
        let family = family::register(compat::parameter(&module_parameters::family))?;
        Ok(ToeModule {
            _netlink: netlink::register()?,
            _sysctls: driver::sysctl::register()?,
            _family: family,
            _sockets: sockets,
            _connections: Connections,
            _nics: KBox::pin_init(kernel_driver::Registration::new(c"toe", module), GFP_KERNEL)?,
            _recovery: recovery,
            _work: work,
            _netdevs: netdevs,
            _devices: devices,
            _table: table,
            _freezer: freezer,
        })
    }
}
