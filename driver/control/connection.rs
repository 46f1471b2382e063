// SPDX-License-Identifier: GPL-2.0
//! An offloaded connection, as the socket and the device see it.

use super::{
    congestion::Congestion,
    limits::Limits,
    path::Route,
    registry,
    rto::{self, Backoff},
    state::State,
    timers::Keepalive,
};
use crate::{
    driver::{
        device::{Device, OffloadedConnection},
        family::stream::{Received, Stream},
    },
    net::{
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        tcp_repair::Frozen,
        timer::{Moment, Timed},
    },
};
use datapath::{
    npu::{meta::Command, ConnectionConfig, HostControl},
    units::{Bytes, Micros, SeqNum},
    wire::FourTuple,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SetOnce,
    },
};

/// A connection that a device carries.
///
/// The socket holds a reference until the program closes it, the device until it is removed from it, and its timer while
/// that is armed.
pub(crate) type Connection = Timed<Control>;

/// The control plane's part of a connection.
///
/// Lock order: a lock of the device, then `deadline`. `control` is never held while the device is called.
#[pin_data]
pub(crate) struct Control {
    pub(super) tuple: FourTuple,
    /// What tells it from all other connections.
    number: u64,
    #[pin]
    pub(super) stream: Stream,
    pub(super) route: Route,
    pub(super) limits: Limits,
    /// Set once the device has the connection; events may come a little before that.
    pub(super) offload: SetOnce<Arc<dyn OffloadedConnection>>,
    /// Sequence numbers of the first bytes of both streams, to check the device by.
    pub(super) origin: Origin,
    /// The device is going, or gone.
    pub(super) forsaken: Atomic<bool>,
    /// The inner socket, until the connection's end.
    #[pin]
    pub(super) frozen: BhSpinLock<Option<Frozen>>,
    #[pin]
    pub(super) control: BhSpinLock<Mutable>,
    /// Whether more has to be looked at for each notification than what it says.
    pub(super) attentive: Atomic<bool>,
    /// When the timer expires, if it is armed.
    #[pin]
    pub(super) deadline: BhSpinLock<Option<Moment>>,
    /// The retransmission timeout, in microseconds, as of the last look at it.
    pub(super) rto: Atomic<u64>,
    /// When the wait for the peer's window began, or was last probed; in microseconds, 0 if there is none.
    pub(super) persist_since: Atomic<u64>,
}

/// Sequence numbers that position 0 of both payload buffers has.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// Of the transmit buffer.
    pub(super) sent: SeqNum,
    /// Of the receive buffer.
    pub(super) received: SeqNum,
}

impl Origin {
    /// That of a connection in the state `config`.
    fn of(config: &ConnectionConfig) -> Self {
        let received = config.rx.tail.0 + u32::from(config.receive.fin);
        Self {
            sent: config.send.una - Bytes(config.tx.head.0),
            received: config.receive.nxt - Bytes(received),
        }
    }
}

/// What changes under the lock.
pub(super) struct Mutable {
    pub(super) state: State,
    pub(super) congestion: Congestion,
    pub(super) backoff: Backoff,
    /// Since when retransmissions or probes are in vain.
    pub(super) stalled_since: Option<Micros>,
    /// Segments received when the peer's window was last probed.
    pub(super) heard_at_probe: u64,
    /// `TCP_USER_TIMEOUT`.
    pub(super) user_timeout: Option<Micros>,
    pub(super) keepalive: Option<Keepalive>,
    /// When a segment was last answered that may have been forged.
    pub(super) challenged_at: Option<Micros>,
    /// When TIME_WAIT ends, if the program still holds the socket.
    pub(super) time_wait_until: Option<Micros>,
    /// The program has closed the socket.
    pub(super) orphaned: bool,
    /// The end has been ordered.
    pub(super) ending: bool,
    /// Small segments wait for more: `TCP_CORK`, or `MSG_MORE`.
    pub(super) corked: bool,
    /// `TCP_CORK` itself.
    pub(super) cork_option: bool,
}

impl Control {
    /// The control plane of a connection that is about to be handed over in the state `config`.
    pub(super) fn new(
        config: &ConnectionConfig,
        stream: impl PinInit<Stream>,
        route: Route,
        limits: Limits,
        state: State,
        congestion: Congestion,
    ) -> impl PinInit<Self, Error> {
        let (tuple, corked) = (config.tuple, config.cork);
        let origin = Origin::of(config);
        try_pin_init!(Self {
            tuple,
            number: registry::new_number(),
            stream <- stream,
            route,
            limits,
            offload: SetOnce::new(),
            origin,
            forsaken: Atomic::new(false),
            frozen <- new_bh_spinlock!(None, "Control::frozen"),
            control <- new_bh_spinlock!(Mutable {
                state,
                congestion,
                backoff: Backoff::default(),
                stalled_since: None,
                heard_at_probe: 0,
                user_timeout: None,
                keepalive: None,
                challenged_at: None,
                time_wait_until: None,
                orphaned: false,
                ending: false,
                corked,
                cork_option: corked,
            }, "Control::control"),
            attentive: Atomic::new(false),
            deadline <- new_bh_spinlock!(None, "Control::deadline"),
            rto: Atomic::new(rto::INITIAL.0),
            persist_since: Atomic::new(0),
        }? Error)
    }

    /// The payload streams.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Addresses and ports.
    pub(crate) fn tuple(&self) -> &FourTuple {
        &self.tuple
    }

    /// A number that no other connection has or will have.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The device that carries it.
    pub(crate) fn device(&self) -> &Arc<dyn Device> {
        &self.route.device
    }

    /// The device's side, for its state and counters.
    pub(crate) fn offload(&self) -> Option<&Arc<dyn OffloadedConnection>> {
        self.offload.as_ref()
    }

    /// The connection's state.
    pub(crate) fn state(&self) -> State {
        self.control.lock(&BhDisabled::new()).state
    }

    /// Calls `f` with the congestion control.
    pub(crate) fn with_congestion<R>(&self, f: impl FnOnce(&mut Congestion) -> R) -> R {
        f(&mut self.control.lock(&BhDisabled::new()).congestion)
    }

    /// The retransmission timeout, as of the last look at it.
    pub(crate) fn rto(&self) -> Micros {
        Micros(self.rto.load(Relaxed))
    }

    /// Makes a request of the data-path. One that is refused or comes too late changes nothing.
    pub(super) fn post(&self, request: &HostControl) {
        if let Some(offload) = self.offload.as_ref() {
            let _ = offload.post(request);
        }
    }

    /// Has the data-path execute `commands`.
    pub(super) fn command(&self, commands: Command) {
        if !commands.is_empty() {
            self.post(&HostControl {
                commands,
                ..HostControl::default()
            });
        }
    }

    /// The program appended `len` bytes to the transmit buffer; `more` are to follow soon.
    pub(crate) fn appended(&self, len: u32, more: bool) {
        if more || self.attentive.load(Relaxed) {
            self.set_more(more);
        }
        self.post(&HostControl {
            tx_added: Bytes(len),
            // What it has read meanwhile goes along for nothing.
            rx_freed: Bytes(self.stream.take_untold()),
            ..HostControl::default()
        });
    }

    /// `MSG_MORE` is a cork for one call.
    fn set_more(&self, more: bool) {
        let changed = {
            let bh = BhDisabled::new();
            let mut control = self.control.lock(&bh);
            let corked = control.cork_option || more;
            let changed = (control.corked != corked).then_some(corked);
            control.corked = corked;
            control.update_attention(self);
            changed
        };
        if let (Some(corked), Some(offload)) = (changed, self.offload.as_ref()) {
            offload.set_cork(corked);
        }
    }

    /// The program has read the first `len` bytes of what was `received`.
    #[inline]
    pub(crate) fn consumed(&self, received: &Received, len: usize) {
        if let Some(freed) = self.stream.consume(received, len) {
            self.post(&HostControl {
                rx_freed: Bytes(freed),
                ..HostControl::default()
            });
        }
    }

    /// `TCP_NODELAY`.
    pub(crate) fn set_nodelay(&self, on: bool) {
        if let Some(offload) = self.offload.as_ref() {
            offload.set_nodelay(on);
        }
    }

    /// `TCP_CORK`.
    pub(crate) fn set_cork(&self, on: bool) {
        self.control.lock(&BhDisabled::new()).cork_option = on;
        self.set_more(false);
    }

    /// `TCP_QUICKACK`: acknowledges at once what is owed.
    pub(crate) fn quick_ack(&self) {
        self.command(Command::ACK_NOW);
    }

    /// Whether our FIN was acknowledged, or there is no connection any more.
    pub(crate) fn sent_all(&self) -> bool {
        !matches!(
            self.state(),
            State::FinWait1 | State::Closing | State::LastAck
        )
    }
}

impl Mutable {
    /// Whether each notification must be looked at closely, for a retransmission or probe was in vain, or nobody reads.
    pub(super) fn update_attention(&self, connection: &Control) {
        let attentive = self.backoff.count() > 0
            || self.stalled_since.is_some()
            || self.orphaned
            || self.corked;
        connection.attentive.store(attentive, Relaxed);
    }

    /// The peer has acknowledged something, or its window has opened. Returns how far the timeout was backed off.
    pub(super) fn progressed(&mut self) -> Backoff {
        self.stalled_since = None;
        core::mem::take(&mut self.backoff)
    }
}

impl Timed<Control> {
    /// Has the timer expire at `moment` at the latest.
    pub(super) fn expire_by(&self, moment: Moment) {
        let bh = BhDisabled::new();
        let mut deadline = self.deadline.lock(&bh);
        if deadline.is_none_or(|armed| moment.before(armed)) {
            *deadline = Some(moment);
            self.arm(moment);
        }
    }
}
