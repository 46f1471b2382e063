// SPDX-License-Identifier: GPL-2.0
//! The NIC as a device that carries connections.

use super::{
    admin::Failure, connection::PciConnection, context::Context, convert, fault::Fault, nic::Nic,
    port::Port, table::Table, Request,
};
use crate::{
    driver::device::{
        counters::{Counter, Totals},
        Claim, Datapath, Device, Events, Group, Hardware, Hold, Install, Kind, OffloadedConnection,
        Refusal, Removal,
    },
    net::{
        clock::wait_until,
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        device_abi as abi,
        netdev::Netdev,
        netdevice::{LinkType, Name, NetDevice},
        netns::NetCookie,
    },
};
use core::ptr;
use datapath::{
    npu::{state::ConnectionCounters, ConfigError},
    wire::FourTuple,
};
use kernel::{
    new_mutex, pr_warn_once,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed, Release},
        Arc, Mutex,
    },
    time::Delta,
};

/// What the connections of a NIC share.
#[pin_data]
pub(super) struct Offload {
    pub(super) nic: Arc<Nic>,
    pub(super) contexts: KVec<Arc<Context>>,
    #[pin]
    pub(super) table: Table,
    next: Atomic<u32>,
    connections: Atomic<u32>,
    /// Connections installed.
    installed: Counter,
    /// Bytes that had arrived before.
    moved: Counter,
    /// Times that the NIC was reset.
    pub(super) resets: Counter,
    /// Connections that the NIC stopped.
    pub(super) stopped: Counter,
    #[pin]
    finished: BhSpinLock<Totals>,
    /// What the NIC may still write to.
    #[pin]
    graveyard: Mutex<KVec<Arc<PciConnection>>>,
    /// Has NAPI contexts polled; nobody before the netdev is there, and after it is gone.
    #[pin]
    pub(super) netdev: Mutex<Option<Arc<Netdev<Port>>>>,
}

/// What a failure is to the control plane.
pub(super) fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Lost | Failure::Unasked => Refusal::DeviceGone,
        Failure::Refused(status) => match status {
            abi::STATUS_TABLE_FULL => Refusal::TableFull,
            abi::STATUS_IN_USE => Refusal::InUse,
            abi::STATUS_NO_MEMORY => Refusal::NoMemory,
            abi::STATUS_CONFIG_MSS => Refusal::Config(ConfigError::Mss),
            abi::STATUS_CONFIG_RING_SIZE => Refusal::Config(ConfigError::RingSize),
            abi::STATUS_CONFIG_RING_FILL => Refusal::Config(ConfigError::RingFill),
            abi::STATUS_CONFIG_SEND_SEQUENCE => Refusal::Config(ConfigError::SendSequence),
            abi::STATUS_CONFIG_RECEIVE_WINDOW => Refusal::Config(ConfigError::ReceiveWindow),
            _ => Refusal::DeviceGone,
        },
    }
}

impl Offload {
    /// Most connections, whatever the NIC can hold.
    const MAX_CONNECTIONS: u32 = 1 << 16;

    pub(super) fn new(nic: Arc<Nic>, contexts: KVec<Arc<Context>>) -> Result<Arc<Self>> {
        let table = Table::new(Self::most(&nic))?;
        Arc::pin_init(
            pin_init!(Self {
                nic,
                contexts,
                table <- table,
                next: Atomic::new(0),
                connections: Atomic::new(0),
                installed: Counter::new(),
                moved: Counter::new(),
                resets: Counter::new(),
                stopped: Counter::new(),
                finished <- new_bh_spinlock!(Totals::default(), "Offload::finished"),
                graveyard <- new_mutex!(KVec::new(), "Offload::graveyard"),
                netdev <- new_mutex!(None, "Offload::netdev"),
            }),
            GFP_KERNEL,
        )
    }

    /// Most connections of a NIC.
    pub(super) fn most(nic: &Nic) -> u32 {
        nic.limits.connections.min(Self::MAX_CONNECTIONS)
    }

    /// The context of a new connection.
    pub(super) fn next_context(&self) -> Arc<Context> {
        let next = self.next.fetch_add(1, Relaxed) as usize;
        // One at least; objtool doesn't know that a remainder by none ends there.
        self.contexts[next % self.contexts.len().max(1)].clone()
    }

    /// Keeps a connection's memory until the NIC is reset.
    pub(super) fn bury(&self, connection: Arc<PciConnection>) {
        let mut graveyard = self.graveyard.lock();
        match graveyard.reserve(1, GFP_KERNEL) {
            Ok(()) => drop(graveyard.push(connection, GFP_KERNEL)),
            // Rather lost than written to by the NIC when it is somebody else's.
            Err(_) => core::mem::forget(connection),
        }
    }

    /// The NIC was reset: tells the connections that it carried.
    pub(super) fn abandon(&self) {
        self.clear_graveyard();
        self.tell_all(|events| events.device_gone());
    }

    /// Tells all connections something.
    fn tell_all(&self, tell: impl Fn(&dyn Events)) {
        self.table.for_each(|_, events| tell(events));
    }

    /// The NIC was reset: no memory is its any more.
    pub(super) fn clear_graveyard(&self) {
        let buried = core::mem::take(&mut *self.graveyard.lock());
        drop(buried);
    }

    /// Waits until the NIC of `generation` has been reset or kept from memory.
    pub(super) fn wait_for_reset(&self, generation: u32) {
        // Recovery takes a few seconds; a NIC that is being removed for good has been reset before that.
        let limit = Delta::from_secs(20);
        wait_until(limit, Delta::from_millis(5), || {
            self.nic.generation() != generation
        });
    }

    /// Waits until all claims and connections are gone, unless that takes very long; returns whether they are.
    pub(super) fn wait_until_empty(&self) -> bool {
        let empty = wait_until(Delta::from_secs(60), Delta::from_millis(2), || {
            self.connections.load(Acquire) == 0
        });
        if !empty {
            pr_warn_once!("connections of a NIC that is gone are not handed back\n");
        }
        empty
    }

    /// A claim or connection is gone.
    pub(super) fn released(&self) {
        self.connections.fetch_sub(1, Release);
    }

    /// Keeps the counts of a connection that goes.
    pub(super) fn finish(&self, counters: &ConnectionCounters) {
        let bh = BhDisabled::new();
        self.finished.lock(&bh).add(counters);
    }

    /// Waits until `context` has told what was written to its ring before.
    pub(super) fn settle(&self, context: &Context) {
        let poll = self.first_poll() + context.number;
        self.rounds(poll, || context.rounds());
    }

    /// Waits until the stack has received what was written to the raw-frame queues before.
    fn receive_raw(&self) {
        let netdev = self.netdev.lock().clone();
        let Some(netdev) = netdev else { return };
        for (poll, pair) in Port::used(&netdev).iter().enumerate() {
            self.rounds(poll as u16, || pair.rounds());
        }
    }

    /// Number of the first context's NAPI context.
    fn first_poll(&self) -> u16 {
        let netdev = self.netdev.lock();
        netdev
            .as_ref()
            .map_or(0, |netdev| netdev.pairs.len() as u16)
    }

    /// Waits until a run of a NAPI context that began from now on has ended, if they run at all.
    fn rounds(&self, poll: u16, rounds: impl Fn() -> u32) {
        let netdev = self.netdev.lock().clone();
        let Some(netdev) = netdev else { return };
        // The first to end may have begun before.
        for _ in 0..2 {
            let before = rounds();
            {
                // The softirq runs as soon as this ends.
                let _bh = BhDisabled::new();
                netdev.schedule(poll);
            }
            wait_until(Delta::from_secs(1), Delta::from_micros(20), || {
                rounds() != before || !netdev.is_polled()
            });
        }
    }
}

impl Hardware for Offload {
    fn owns(&self, netdev: &NetDevice) -> bool {
        let own = self.netdev.lock();
        own.as_ref()
            .is_some_and(|own| ptr::eq(own.netdevice(), netdev))
    }

    fn device(self: Arc<Self>) -> Result<Arc<dyn Device>> {
        let netdev = self.netdev.lock().clone().ok_or(ENODEV)?;
        let device = PciDevice {
            namespace: netdev.netdevice().net_cookie(),
            ifindex: netdev.netdevice().ifindex(),
            offload: self,
            closed: Atomic::new(false),
        };
        Ok(Arc::new(device, GFP_KERNEL)?)
    }
}

/// The device, in one namespace. Connections keep it, and drop it where a netdev can't be: so it has none.
struct PciDevice {
    offload: Arc<Offload>,
    ifindex: u32,
    namespace: NetCookie,
    closed: Atomic<bool>,
}

impl Device for PciDevice {
    fn name(&self) -> Option<Name> {
        let netdev = self.offload.netdev.lock();
        netdev.as_ref().map(|netdev| netdev.netdevice().name())
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }

    fn namespace(&self) -> NetCookie {
        self.namespace
    }

    fn kind(&self) -> Kind {
        Kind::Pci
    }

    fn datapath(&self) -> Datapath {
        Datapath::Npu
    }

    fn link_type(&self) -> LinkType {
        LinkType::Ethernet
    }

    fn tx_max(&self, _ipv6: bool) -> u32 {
        // The NIC cuts segments from the payload buffer by itself.
        datapath::npu::config::MAX_TX.0
    }

    fn connections(&self) -> u32 {
        self.offload.connections.load(Relaxed)
    }

    fn max_connections(&self) -> u32 {
        Offload::most(&self.offload.nic)
    }

    fn claim(&self, tuple: &FourTuple) -> Result<KBox<dyn Claim>, Refusal> {
        let offload = &self.offload;
        let uninit = KBox::new_uninit(GFP_KERNEL).map_err(|_| Refusal::NoMemory)?;
        let generation = offload.nic.generation();
        let running = {
            let netdev = offload.netdev.lock();
            netdev.as_ref().is_some_and(|netdev| netdev.is_running())
        };
        if !running || offload.nic.is_accused() {
            return Err(Refusal::DeviceGone);
        }
        offload.connections.fetch_add(1, Relaxed);
        let request = Request {
            op: abi::ADMIN_CLAIM,
            ..Request::default()
        };
        let values = offload
            .nic
            .execute_with(request, &convert::tuple(tuple))
            .map_err(|failure| {
                offload.released();
                offload.nic.judge(failure);
                refusal(failure)
            })?;
        let claim: KBox<dyn Claim> = uninit.write(PciClaim {
            hold: PciHold::new(offload.clone(), values[0], generation),
        });
        // What arrived before the claim is the kernel's TCP's, and must be there when its state is read.
        offload.receive_raw();
        if self.closed.load(Relaxed) {
            return Err(Refusal::DeviceGone);
        }
        Ok(claim)
    }

    fn counters(&self, visit: &mut dyn FnMut(Group, &'static str, u64)) {
        let offload = &self.offload;
        let mut totals = {
            let bh = BhDisabled::new();
            let finished = offload.finished.lock(&bh);
            *finished
        };
        offload.table.for_each(|connection, _| {
            if let Some(counters) = connection.counters() {
                totals.add(&counters);
            }
        });
        totals.visit(visit);
        visit(Group::Event, "offloaded", offload.installed.get());
        visit(Group::Event, "moved-bytes", offload.moved.get());
        visit(Group::Event, "resets", offload.resets.get());
        visit(Group::Drop, "connection-stopped", offload.stopped.get());
        for (fault, name, _) in Fault::ALL {
            visit(Group::Event, name, offload.nic.faults.get(fault));
        }
        for (name, of) in super::context::COUNTERS {
            let sum = offload.contexts.iter().map(|context| of(context)).sum();
            visit(Group::Event, name, sum);
        }
    }

    fn netdev_changed(&self) {
        self.offload.tell_all(|events| events.path_changed());
    }

    fn close(&self, removal: Removal) -> Result {
        self.closed.xchg(true, Full);
        if removal == Removal::Forced || self.connections() == 0 {
            return Ok(());
        }
        self.closed.store(false, Relaxed);
        Err(EBUSY)
    }

    fn detach(&self) {
        self.offload.tell_all(|events| events.device_gone());
    }
}

/// A tuple whose segments the NIC holds. Dropping it gives them to the raw-frame queues.
pub(super) struct PciHold {
    offload: Arc<Offload>,
    handle: u32,
    /// The NIC's when the handle was given.
    generation: u32,
    /// Until the connection is installed.
    held: bool,
}

impl PciHold {
    pub(super) fn new(offload: Arc<Offload>, handle: u32, generation: u32) -> Self {
        Self {
            generation,
            offload,
            handle,
            held: true,
        }
    }
}

impl Hold for PciHold {}

impl Drop for PciHold {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let released = self.offload.nic.execute_in(
            self.generation,
            Request {
                op: abi::ADMIN_RELEASE,
                target: self.handle,
                ..Request::default()
            },
        );
        if let Err(failure) = released {
            // What it holds is lost as if on the wire.
            self.offload.nic.judge(failure);
        }
        self.offload.released();
    }
}

/// A claim that is neither installed nor dropped.
struct PciClaim {
    hold: PciHold,
}

impl Claim for PciClaim {
    fn install(&mut self, install: Install<'_>) -> Result<Arc<dyn OffloadedConnection>, Refusal> {
        if !self.hold.held {
            return Err(Refusal::InUse);
        }
        let offload = &self.hold.offload;
        let (handle, generation) = (self.hold.handle, self.hold.generation);
        let connection = PciConnection::install(offload, handle, generation, &install)?;
        offload.installed.add(1);
        offload.moved.add(u64::from(install.moved.0));
        self.hold.held = false;
        Ok(connection)
    }
}
