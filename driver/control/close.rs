// SPDX-License-Identifier: GPL-2.0
//! The end of a connection.
//!
//! Its last states are the kernel's own: TIME_WAIT, and FIN_WAIT_2 once the program is gone, are left to the small
//! objects that the kernel's TCP has for them, which the inner socket becomes. They answer what is retransmitted, let a
//! new connection take the place, and end with their namespace.

use super::{
    connection::{Connection, Control},
    events::now,
    registry,
    state::{Event, State},
};
use crate::{
    driver::{device::Hold, WORK},
    net::{
        context::BhDisabled,
        sock::AnySock,
        tcp_repair::TimeWait,
        timer::{Expire, Moment},
    },
};
use datapath::{
    npu::{meta::Command, ConnectionConfig},
    units::Micros,
};
use kernel::{prelude::*, sync::Arc};

/// How long TIME_WAIT lasts, `TCP_TIMEWAIT_LEN`: 60 seconds.
const TIME_WAIT_SECONDS: u8 = 60;
/// When to try again to order the end, if there was no memory for that.
pub(super) const RETRY: Micros = Micros::from_millis(100);

impl Connection {
    /// The program sends no more: FIN follows what it has appended.
    pub(crate) fn shutdown_send(&self) {
        let state = {
            let bh = BhDisabled::new();
            let mut control = self.control.lock(&bh);
            let before = control.state;
            control.state = before.on(Event::Close);
            (control.state != before).then_some(control.state)
        };
        if let Some(state) = state {
            self.command(Command::FIN);
            self.state_changed(state);
        }
    }

    /// Ends the connection at once, and tells the peer (RFC 9293, section 3.10.5). Sleeps.
    pub(crate) fn abort(&self) {
        if self.state().needs_reset() {
            self.send_reset();
        }
        self.finish(Event::Abort, None);
        self.close_if_due();
    }

    /// The program has closed the socket: what is left to do happens by itself. Sleeps.
    pub(crate) fn orphan(&self) {
        {
            let bh = BhDisabled::new();
            let mut control = self.control.lock(&bh);
            control.orphaned = true;
            control.update_attention(self);
        }
        self.close_if_due();
    }

    /// Whether the program has closed the socket.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.control.lock(&BhDisabled::new()).orphaned
    }

    pub(super) fn send_reset(&self) {
        if let Some(offload) = self.offload.as_ref() {
            offload.send_reset();
        }
    }

    /// The state is another than before; whoever waits for that is told, and the end ordered if this is it.
    pub(super) fn state_changed(&self, state: State) {
        match state {
            State::TimeWait => self.begin_time_wait(),
            State::Closed => self.stream.close(),
            _ => {}
        }
        self.stream.with_owner(|owner| owner.wake_all());
        self.order_close();
    }

    /// The program still holds the socket: the device answers what the peer sends again.
    fn begin_time_wait(&self) {
        self.stream.close();
        let length = Micros::from_millis(u32::from(TIME_WAIT_SECONDS) * 1000);
        self.control.lock(&BhDisabled::new()).time_wait_until = Some(Micros(now().0 + length.0));
        self.expire_by(Moment::now().after_us(length.0));
    }

    /// The connection is no more, by `event`; the program is told `error`.
    pub(super) fn end(&self, event: Event, error: Option<Error>) {
        self.finish(event, error);
        self.order_close();
    }

    pub(super) fn finish(&self, event: Event, error: Option<Error>) {
        let changed = {
            let bh = BhDisabled::new();
            let mut control = self.control.lock(&bh);
            let before = control.state;
            control.state = before.on(event);
            control.state != before
        };
        if !changed {
            return;
        }
        // First the error, for whoever sees that the connection is gone wants to know why; but who is woken for the error
        // must see that, too.
        if let Some(error) = error {
            self.stream.with_owner(|owner| owner.set_error(error));
        }
        self.stream.close();
        if error.is_some() {
            self.stream.with_owner(AnySock::wake_for_error);
        }
    }

    /// Whether the connection's end is due and wasn't ordered before; it is ordered now.
    fn take_due(&self) -> bool {
        // Before the hand-over is complete there is nothing to end; it will look again.
        if self.frozen.lock(&BhDisabled::new()).is_none() {
            return false;
        }
        let bh = BhDisabled::new();
        let mut control = self.control.lock(&bh);
        let due = match control.state {
            State::Closed => true,
            State::TimeWait | State::FinWait2 => control.orphaned,
            _ => false,
        };
        let take = due && !control.ending;
        control.ending |= due;
        take
    }

    /// Closes if that is due, right now. Process context, and not from within an event.
    pub(super) fn close_if_due(&self) {
        if self.take_due() {
            self.close();
        }
    }

    /// Has the connection closed if that is due, soon, for closing sleeps.
    pub(super) fn order_close(&self) {
        if !self.take_due() {
            return;
        }
        let connection = self.arc();
        let ordered = WORK.get().is_some_and(|work| {
            work.try_spawn(GFP_ATOMIC, move || connection.close())
                .is_ok()
        });
        if !ordered {
            self.control.lock(&BhDisabled::new()).ending = false;
            self.expire_by(Moment::now().after_us(RETRY.0));
        }
    }

    /// Takes the connection off the device, and leaves its last state to the kernel's TCP.
    fn close(&self) {
        let (config, hold) = self.leave_device();
        self.disarm();
        registry::remove(self);
        let frozen = self.frozen.lock(&BhDisabled::new()).take();
        let Some(frozen) = frozen else { return };
        frozen.inner().clear_events();
        match (self.state(), config) {
            (State::TimeWait | State::FinWait2, Some(config)) => {
                frozen.time_wait(self.last_wait(&config))
            }
            _ => frozen.disconnect(),
        }
        // The kernel's TCP has the connection before it is given what arrived for it.
        drop(frozen);
        drop(hold);
    }

    /// What is left to be waited for, when all was sent and acknowledged.
    pub(super) fn last_wait(&self, config: &ConnectionConfig) -> TimeWait {
        TimeWait {
            snd_nxt: config.send.max.get(),
            rcv_nxt: config.receive.nxt.get(),
            ts_recent: config.timestamps.map_or(0, |ts| ts.recent.0),
            fin_received: config.receive.fin,
            seconds: if config.receive.fin {
                TIME_WAIT_SECONDS
            } else {
                self.limits.fin_timeout
            },
        }
    }

    /// Takes the connection off the device. If that isn't its end, what arrives is held.
    pub(super) fn leave_device(&self) -> (Option<ConnectionConfig>, Option<KBox<dyn Hold>>) {
        let Some(offload) = self.offload.as_ref() else {
            return (None, None);
        };
        if self.state() != State::Closed {
            if let Ok((config, hold)) = offload.remove_and_hold() {
                return (Some(config), Some(hold));
            }
        }
        (offload.remove(), None)
    }
}

impl Expire for Control {
    fn expired(this: &Connection) {
        *this.deadline.lock(&BhDisabled::new()) = None;
        this.tick();
        this.order_close();
        if this.is_forsaken() {
            this.order_hand_back();
        }
    }
}

/// Hands all connections there are to the kernel's TCP; none may be added any more. Sleeps.
pub(crate) fn purge() {
    while let Some(connection) = registry::any() {
        drop(connection.hand_back());
        connection.abort();
        connection.orphan();
        let connection: Arc<Connection> = connection;
        connection.disarm_and_wait();
    }
}
