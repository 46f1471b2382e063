// SPDX-License-Identifier: GPL-2.0
//! What the device and the inner socket tell of a connection.

use super::{
    connection::{Connection, Mutable},
    rto::Backoff,
    state::{Event, State},
};
use crate::{
    driver::device::{Events, Punt, DELAYED_ACK},
    net::{
        clock,
        context::{BhDisabled, HardIrq},
        errno::ECONNRESET,
        ksocket::InnerEvents,
        timer::Moment,
        uapi,
    },
};
use datapath::{
    npu::{
        inline::Outcome,
        meta::{Command, Events as Happened},
        proto::RstVerdict,
        Notification,
    },
    units::{Bytes, Micros},
    wire::tcp::Flags,
};
use kernel::{prelude::*, sync::atomic::Relaxed};

/// Least time between two answers to segments that may be forged (`net.ipv4.tcp_invalid_ratelimit`).
const CHALLENGE_INTERVAL: Micros = Micros::from_millis(500);

/// The current time on the data-path's clock.
pub(super) fn now() -> Micros {
    Micros(clock::now_us())
}

impl Events for Connection {
    fn waits(&self, outcome: Outcome) {
        let delay = if outcome.has(Outcome::ACK_DELAYED) {
            DELAYED_ACK.0
        } else {
            self.rto.load(Relaxed)
        };
        if outcome.has(Outcome::PERSIST) && self.persist_since.load(Relaxed) == 0 {
            self.persist_since.store(now().0, Relaxed);
        }
        self.expire_by(Moment::now().after_us(delay));
    }

    fn notify(&self, notification: &Notification, bh: &BhDisabled) {
        let peer_fin = notification.events.has(Happened::PEER_FIN);
        self.stream.notify(
            notification.rx_bytes.0,
            notification.tx_acked.0,
            peer_fin,
            bh,
        );
        if !notification.events.is_empty()
            || notification.report.is_some()
            || self.attentive.load(Relaxed)
        {
            self.notified(notification, bh);
        }
    }

    fn moved(&self, received: Bytes, acknowledged: Bytes, irq: &HardIrq) -> bool {
        !self.attentive.load(Relaxed) && self.stream.moved(received.0, acknowledged.0, irq)
    }

    fn punt(&self, punt: Punt, _: &BhDisabled) {
        if punt.flags.has(Flags::RST) {
            match punt.window.judge_rst(punt.seq) {
                RstVerdict::Reset => self.reset_by_peer(),
                RstVerdict::Challenge => self.challenge(),
                RstVerdict::Ignore => {}
            }
        } else if punt.flags.has(Flags::SYN) {
            let replaces = !punt.flags.has(Flags::ACK) && punt.seq.after(punt.window.nxt);
            if self.state() == State::TimeWait && replaces {
                // The peer begins anew. It will send the SYN again, to whoever listens.
                self.end(Event::Expire, None);
            } else {
                self.challenge();
            }
        }
    }

    fn path_changed(&self) {
        Connection::path_changed(self);
    }

    fn device_gone(&self) {
        self.order_hand_back();
    }
}

impl InnerEvents for Connection {
    fn data_ready(&self) {}

    fn write_space(&self) {}

    fn state_change(&self) {}

    /// An ICMP error that the program wants to know of at once, or an administrator's `ss --kill`.
    fn error_report(&self) {
        let error = {
            let bh = BhDisabled::new();
            let frozen = self.frozen.lock(&bh);
            let Some(frozen) = &*frozen else { return };
            let sk = frozen.inner().sk();
            sk.take_error().err().map(|error| (error, sk.state()))
        };
        match error {
            Some((error, uapi::TCP_CLOSE)) => {
                self.send_reset();
                self.end(Event::Abort, Some(error));
            }
            Some((error, _)) => self.stream.with_owner(|owner| owner.report_error(error)),
            None => {}
        }
    }
}

impl Connection {
    /// The rest of a notification, that most don't need.
    fn notified(&self, notification: &Notification, bh: &BhDisabled) {
        let happened = notification.events;
        let (before, after, cwnd, backoff) = {
            let mut control = self.control.lock(bh);
            let before = control.state;
            let mut backoff = Backoff::default();
            if !notification.tx_acked.is_zero() || happened.has(Happened::WINDOW_OPENED) {
                backoff = control.progressed();
            }
            if happened.has(Happened::WINDOW_OPENED) {
                self.persist_since.store(0, Relaxed);
            }
            if happened.has(Happened::PEER_FIN) {
                control.state = control.state.on(Event::PeerFin);
            }
            if happened.has(Happened::FIN_ACKED) {
                control.state = control.state.on(Event::FinAcked);
            }
            let cwnd = control.new_window(notification);
            control.update_attention(self);
            (before, control.state, cwnd, backoff)
        };
        if backoff.count() > 0 {
            self.hurry(backoff);
        }
        if let (Some(cwnd), Some(offload)) = (cwnd, self.offload.as_ref()) {
            offload.set_cwnd(cwnd);
        }
        if !notification.rx_bytes.is_zero() && self.is_orphaned() {
            // Nobody will read it, and the peer must know (RFC 2525, section 2.17).
            self.send_reset();
            self.end(Event::Abort, None);
        } else if after != before {
            self.state_changed(after);
        }
    }

    /// A reset that is to be believed (RFC 9293, section 3.10.7.4).
    fn reset_by_peer(&self) {
        let error = match self.state() {
            State::CloseWait => EPIPE,
            State::Closing | State::LastAck | State::TimeWait | State::Closed => {
                return self.end(Event::Abort, None)
            }
            _ => ECONNRESET.into(),
        };
        self.end(Event::Abort, Some(error));
    }

    /// Answers a segment that may be forged with what its sender should know if it isn't.
    //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
    //# TCP endpoints MUST [...] send an ACK (also referred to as challenge ACK) to the remote peer
    fn challenge(&self) {
        let now = now();
        {
            let bh = BhDisabled::new();
            let mut control = self.control.lock(&bh);
            if control
                .challenged_at
                .is_some_and(|at| now.since(at) < CHALLENGE_INTERVAL)
            {
                return;
            }
            control.challenged_at = Some(now);
        }
        self.command(Command::ACK_NOW);
    }
}

impl Mutable {
    /// The congestion window after a notification, if it is another than before.
    fn new_window(&mut self, notification: &Notification) -> Option<Bytes> {
        let report = notification.report.as_ref()?;
        let policy = self.congestion.policy();
        let before = policy.cwnd();
        let after = policy.report(report);
        (after != before).then_some(after)
    }
}
