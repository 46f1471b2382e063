// SPDX-License-Identifier: GPL-2.0
//! What an offload device is to the rest of the driver.
//!
//! A connection moves to a device in two steps. [`Device::claim`] makes the device hold what arrives for the
//! connection's 4-tuple, so that the state the control plane reads from kernel TCP stays true; [`Claim::install`] gives
//! the device that state, and what was held is processed as if it arrived then. A claim that is dropped gives what was
//! held back to the stack.

mod counters;
pub(crate) mod pci;
mod registry;
mod soft;

pub(crate) use counters::Group;
use registry::{Hardware, Offer};
pub(crate) use registry::{Observer, Registry, DEVICES};

use crate::{
    driver::family::stream::PayloadBuffers,
    net::{
        context::{BhDisabled, HardIrq},
        dst::Dst,
        netdevice::{LinkType, Name},
        netns::NetCookie,
    },
};
use datapath::{
    npu::{
        config::Path,
        inline::Outcome,
        proto::{ReceiveWindow, Timers},
        state::ConnectionCounters,
        ConfigError, ConnectionConfig, HostControl, Notification,
    },
    units::{Bytes, Micros, SeqNum},
    wire::{tcp::Flags, FourTuple},
};
use kernel::{prelude::*, sync::Arc};

/// Who runs the data-path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The kernel, in softirq and process context, over any netdev.
    Soft,
    /// A NIC, whose netdev it is.
    Pci,
}

/// Which data-path a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Datapath {
    /// The data-parallel pipeline, `datapath::npu`.
    Npu,
}

/// Why a device doesn't take a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It holds as many as it can.
    TableFull,
    /// It has a connection of the same 4-tuple already.
    InUse,
    /// It was taken off, or its netdev is gone.
    DeviceGone,
    /// There is no memory.
    NoMemory,
    /// The connection's state is not one the data-path can be in.
    Config(ConfigError),
}

/// An offload device: carries connections whose segments pass a netdev.
pub(crate) trait Device: Send + Sync {
    /// The netdev's name at the moment; `None` once it is gone.
    fn name(&self) -> Option<Name>;

    /// The netdev's interface index.
    fn ifindex(&self) -> u32;

    /// The netdev's network namespace.
    fn namespace(&self) -> NetCookie;

    /// Who runs the data-path.
    fn kind(&self) -> Kind;

    /// Which data-path it is.
    fn datapath(&self) -> Datapath;

    /// What link-layer header the netdev's frames have.
    fn link_type(&self) -> LinkType;

    /// Most payload bytes it takes at once, to be cut into segments; 0 if it takes single segments only.
    fn tx_max(&self, ipv6: bool) -> u32;

    /// Connections it holds, claims included.
    fn connections(&self) -> u32;

    /// Connections it can hold.
    fn max_connections(&self) -> u32;

    /// Holds what arrives for `tuple` until the claim is installed or dropped. Process context.
    fn claim(&self, tuple: &FourTuple) -> Result<KBox<dyn Claim>, Refusal>;

    /// Calls `visit` with each of its counters. Process context.
    fn counters(&self, visit: &mut dyn FnMut(Group, &'static str, u64));

    /// The netdev changed: connections are told by [`Events::path_changed`]. May sleep.
    fn netdev_changed(&self);

    /// Takes no more connections; `EBUSY` if it has some and `removal` is [`Removal::Unused`].
    fn close(&self, removal: Removal) -> Result;

    /// Tells the connections by [`Events::device_gone`] and lets go of the netdev, after [`close`](Self::close). May sleep.
    fn detach(&self);
}

/// How a device is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// If it has no connections.
    Unused,
    /// Whatever becomes of its connections: its administrator wants it so, or its netdev goes away.
    Forced,
}

/// What segments carry that sockets decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// `SO_PRIORITY`.
    pub(crate) priority: u32,
    /// `SO_MARK`.
    pub(crate) mark: u32,
}

/// How long an acknowledgment may be delayed: the kernel's `TCP_DELACK_MIN`.
pub(crate) const DELAYED_ACK: Micros = Micros::from_millis(40);

/// Everything a device needs to carry a connection.
pub(crate) struct Install<'a> {
    /// The data-path's state. The rings' bases and the path's checksum offload are the device's to decide.
    pub(crate) config: &'a ConnectionConfig,
    /// The payload buffers, of the sizes in `config`.
    pub(crate) buffers: Arc<PayloadBuffers>,
    /// Who is told what happens.
    pub(crate) events: Arc<dyn Events>,
    /// The connection's route. Frames over a loopback device carry it, or IP would refuse their addresses.
    pub(crate) dst: Option<Dst>,
    /// What the socket's options say of its segments.
    pub(crate) marks: Marks,
    /// Bytes in the receive buffer that were received before: they are the program's to read, but not counted as
    /// received by the data-path.
    pub(crate) moved: Bytes,
}

/// A 4-tuple whose segments a device holds. Dropping it gives them back to the stack; process context.
pub(crate) trait Claim: Send {
    /// Starts the data-path, with what was held. The claim is used up if that succeeds.
    fn install(&mut self, install: Install<'_>) -> Result<Arc<dyn OffloadedConnection>, Refusal>;
}

/// A connection that a device carries.
///
/// Methods may be called in process and softirq context unless they say otherwise. Once it is removed, methods that
/// return a `Result` fail with `ENOTCONN` and the others do nothing.
pub(crate) trait OffloadedConnection: Send + Sync {
    /// Executes a host-control request and sends what may be sent. `EINVAL` if it contradicts the connection's state.
    fn post(&self, request: &HostControl) -> Result;

    /// Sets the congestion window.
    fn set_cwnd(&self, cwnd: Bytes);

    /// Sets TCP_NODELAY; sends what that lets go.
    fn set_nodelay(&self, on: bool);

    /// Sets TCP_CORK; sends what that lets go.
    fn set_cork(&self, on: bool);

    /// Sets what segments carry besides.
    fn set_marks(&self, marks: Marks);

    /// Changes how segments reach the peer. `EINVAL` if the data-path can't do that.
    fn set_path(&self, path: &Path, dst: Option<Dst>) -> Result;

    /// Sends a RST with the sequence number the peer expects.
    fn send_reset(&self);

    /// What the control plane's timer should wait for. [`Events::waits`] is called again from now on, for what it isn't. A
    /// device that sees to delayed acknowledgments by itself tells of none.
    fn timers(&self) -> Option<Timers>;

    /// The full state.
    fn config(&self) -> Option<ConnectionConfig>;

    /// Segment and byte counts.
    fn counters(&self) -> Option<ConnectionCounters>;

    /// Takes the connection off the device, after everything posted was sent; returns its last state, if it was there.
    /// No event is delivered any more once this returns. Process context, and not from within an event.
    fn remove(&self) -> Option<ConnectionConfig>;

    /// As [`remove`](Self::remove), but holds what arrives for the connection until [`Hold`] is dropped: for the kernel's
    /// TCP to take the connection over meanwhile. `ENOTCONN` if it was removed before, `ENOMEM` if there is no memory.
    fn remove_and_hold(&self) -> Result<(ConnectionConfig, KBox<dyn Hold>)>;
}

/// Segments held of a connection that was removed. Dropping it gives them to the stack; process context.
pub(crate) trait Hold: Send {}

/// A segment that the data-path leaves to the control plane: a RST, or a SYN. Its checksum is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Punt {
    /// What its sequence number is to be judged by.
    pub(crate) window: ReceiveWindow,
    /// SEG.SEQ.
    pub(crate) seq: SeqNum,
    /// The control bits.
    pub(crate) flags: Flags,
}

/// Who is told what happens to a connection.
///
/// Except for [`waits`](Self::waits) and [`moved`](Self::moved), methods are called without any lock held that the
/// connection's methods take. All but `waits` are called one at a time, in the order of what they tell. Bottom halves are
/// disabled, whatever the context: they must not sleep.
pub(crate) trait Events: Send + Sync {
    /// The connection waits for something a timer must watch over. Told once for each bit, until
    /// [`OffloadedConnection::timers`] is called.
    ///
    /// Called with the connection's lock held: arm a timer, and call nothing of the connection.
    fn waits(&self, outcome: Outcome);

    /// The data-path notifies.
    fn notify(&self, notification: &Notification, bh: &BhDisabled);

    /// The data-path has received and seen acknowledged so many bytes, and that is all there is to tell. Returns whether
    /// that was taken in, without waiting for a lock; if it wasn't, [`notify`](Self::notify) is to tell it.
    ///
    /// Called with the connection's lock held: wake, and call nothing of the connection.
    fn moved(&self, _received: Bytes, _acknowledged: Bytes, _irq: &HardIrq) -> bool {
        false
    }

    /// A segment the data-path doesn't process. Delivered after the notifications of segments before it; if punts
    /// arrive faster than they are delivered, later ones are dropped.
    fn punt(&self, punt: Punt, bh: &BhDisabled);

    /// The netdev changed in a way that segments must follow: its MTU, address or offloads.
    fn path_changed(&self);

    /// The device is being removed, or has failed: the connection is to be taken off it. What is sent after this call
    /// may be lost. Called in no particular order, perhaps twice.
    fn device_gone(&self);
}
