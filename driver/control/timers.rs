// SPDX-License-Identifier: GPL-2.0
//! A connection's timer: retransmission, persist, delayed acknowledgment, keepalive, the end of TIME_WAIT.
//!
//! There is one, and no segment re-arms it. The data-path says once that it waits for something; when the timer expires
//! it is asked since when it waits, and for what. So the timer expires a few times in a second at most, whatever the
//! number of segments.

use super::{
    connection::{Connection, Control, Mutable},
    events::now,
    rto::Backoff,
    state::{Event, State},
};
use crate::{
    driver::{device::DELAYED_ACK, WORK},
    net::{context::BhDisabled, errno::ETIMEDOUT, ksocket::InnerSocket, timer::Moment},
};
use datapath::{
    npu::{config::Path, meta::Command, proto::Timers, ConnectionConfig},
    units::{Bytes, Micros},
};
use kernel::{
    prelude::*,
    sync::{atomic::Relaxed, Arc},
};

/// `SO_KEEPALIVE` and the `TCP_KEEP*` options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    /// How long nothing is heard before the peer is probed, `TCP_KEEPIDLE`.
    pub(crate) idle: Micros,
    /// Time between probes, `TCP_KEEPINTVL`.
    pub(crate) interval: Micros,
    /// Probes without answer before the connection is given up, `TCP_KEEPCNT`.
    pub(crate) probes: u8,
    /// When something was last heard or done, as far as is known.
    since: Micros,
    /// Segments received by then.
    heard: u64,
    sent: u8,
}

impl Keepalive {
    /// Keepalive that begins now.
    pub(crate) fn new(idle: Micros, interval: Micros, probes: u8) -> Self {
        Self {
            idle,
            interval,
            probes,
            since: now(),
            heard: 0,
            sent: 0,
        }
    }
}

/// What the data-path says when the timer expires.
struct Look {
    now: Micros,
    timers: Timers,
    config: ConnectionConfig,
    /// Segments received so far.
    heard: u64,
}

/// What is to be done then.
#[derive(Default)]
struct Todo {
    commands: Command,
    cwnd: Option<Bytes>,
    /// Retransmissions are in vain: is it the path's fault?
    doubt_path: bool,
    /// The connection ends by this event; the program is told, and the peer with `reset`.
    end: Option<Event>,
    reset: bool,
    /// When to look again.
    next: Option<Micros>,
}

impl Todo {
    fn look_again(&mut self, at: Micros) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    fn time_out(&mut self) {
        self.end = Some(Event::Abort);
    }
}

impl Connection {
    /// The timer has expired.
    pub(super) fn tick(&self) {
        let Some(look) = self.look() else { return };
        let todo = {
            let bh = BhDisabled::new();
            let mut control = self.control.lock(&bh);
            let todo = self.judge(&mut control, &look);
            control.update_attention(self);
            todo
        };
        if let (Some(cwnd), Some(offload)) = (todo.cwnd, self.offload.as_ref()) {
            offload.set_cwnd(cwnd);
        }
        if look.timers.retransmit.is_some() {
            self.route.in_use(!todo.doubt_path);
        }
        if todo.doubt_path {
            self.check_path(&look.config);
        }
        if todo.reset {
            self.send_reset();
        }
        self.command(todo.commands);
        if let Some(event) = todo.end {
            let error = (event == Event::Abort).then(|| self.timeout_error());
            self.end(event, error);
        } else if let Some(next) = todo.next {
            self.expire_by(Moment::now().after_us(next.since(look.now).0));
        }
    }

    fn look(&self) -> Option<Look> {
        let offload = self.offload.as_ref()?;
        // Asked for last, for what changes from then on is told again.
        Some(Look {
            now: now(),
            config: offload.config()?,
            heard: offload.counters()?.rx_segments,
            timers: offload.timers()?,
        })
    }

    fn judge(&self, control: &mut Mutable, look: &Look) -> Todo {
        let mut todo = Todo::default();
        if let Some(since) = look.timers.delayed_ack {
            let due = Micros(since.0 + DELAYED_ACK.0);
            if look.now >= due {
                todo.commands.insert(Command::ACK_NOW);
            } else {
                todo.look_again(due);
            }
        }
        if let Some(base) = look.timers.retransmit {
            self.judge_retransmission(control, look, base, &mut todo);
        } else if look.timers.persist {
            self.judge_persist(control, look, &mut todo);
        } else if control.keepalive.is_some() {
            self.judge_keepalive(control, look, &mut todo);
        }
        if !look.timers.persist {
            self.persist_since.store(0, Relaxed);
        }
        if let (State::TimeWait, Some(until)) = (control.state, control.time_wait_until) {
            if look.now >= until {
                todo.end = Some(Event::Expire);
            } else {
                todo.look_again(until);
            }
        }
        let rtt = &look.config.rtt;
        self.rto
            .store(control.backoff.timeout(rtt.srtt, rtt.rttvar).0, Relaxed);
        todo
    }

    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //# (5.4) Retransmit the earliest segment that has not been acknowledged
    //#       by the TCP receiver.
    fn judge_retransmission(
        &self,
        control: &mut Mutable,
        look: &Look,
        base: Micros,
        todo: &mut Todo,
    ) {
        let rtt = &look.config.rtt;
        let timeout = control.backoff.timeout(rtt.srtt, rtt.rttvar);
        let mut due = Micros(base.0 + timeout.0);
        if let (Some(since), Some(limit)) = (control.stalled_since, control.user_timeout) {
            due = due.min(Micros(since.0 + limit.0));
        }
        if look.now < due {
            return todo.look_again(due);
        }
        let since = *control.stalled_since.get_or_insert(base);
        if look.now.since(since) >= self.patience(control) {
            return todo.time_out();
        }
        let again = control.backoff.count() > 0;
        let flight = look.config.send.max.bytes_since(look.config.send.una);
        todo.cwnd = Some(control.congestion.policy().timeout(flight, again));
        control.backoff.increase();
        todo.commands.insert(Command::RETRANSMIT);
        todo.doubt_path = true;
        let timeout = control.backoff.timeout(rtt.srtt, rtt.rttvar);
        todo.look_again(Micros(look.now.0 + timeout.0));
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //# The sending TCP peer must regularly transmit at least one octet of new
    //# data (if available), or retransmit to the receiving TCP peer even if the
    //# send window is zero, in order to "probe" the window.
    fn judge_persist(&self, control: &mut Mutable, look: &Look, todo: &mut Todo) {
        let rtt = &look.config.rtt;
        let since = match self.persist_since.load(Relaxed) {
            0 => look.now,
            since => Micros(since),
        };
        let due = Micros(since.0 + control.backoff.timeout(rtt.srtt, rtt.rttvar).0);
        if look.now < due {
            self.persist_since.store(since.0, Relaxed);
            return todo.look_again(due);
        }
        if control.heard_at_probe != look.heard && !control.orphaned {
            // A peer that answers may keep a program waiting for as long as it likes.
            control.stalled_since = None;
        }
        control.heard_at_probe = look.heard;
        let stalled = *control.stalled_since.get_or_insert(since);
        if look.now.since(stalled) >= self.patience(control) {
            return todo.time_out();
        }
        control.backoff.increase();
        todo.commands.insert(Command::PROBE);
        self.persist_since.store(look.now.0, Relaxed);
        let timeout = control.backoff.timeout(rtt.srtt, rtt.rttvar);
        todo.look_again(Micros(look.now.0 + timeout.0));
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //# Keep-alive packets MUST only be sent when no sent data is outstanding,
    //# and no data or acknowledgment packets have been received for the
    //# connection within an interval (MUST-26).
    fn judge_keepalive(&self, control: &mut Mutable, look: &Look, todo: &mut Todo) {
        let user_timeout = control.user_timeout;
        let over = control.state.is_over();
        let Some(keepalive) = &mut control.keepalive else {
            return;
        };
        if over {
            return;
        }
        if keepalive.heard != look.heard {
            keepalive.heard = look.heard;
            keepalive.since = look.now;
            keepalive.sent = 0;
        }
        let probing = u64::from(keepalive.sent) * keepalive.interval.0;
        let due = Micros(keepalive.since.0 + keepalive.idle.0 + probing);
        if look.now < due {
            return todo.look_again(due);
        }
        let silent = look.now.since(keepalive.since);
        let given_up = match user_timeout {
            Some(limit) => silent >= limit && keepalive.sent > 0,
            None => keepalive.sent >= keepalive.probes,
        };
        if given_up {
            todo.reset = true;
            return todo.time_out();
        }
        keepalive.sent += 1;
        todo.commands.insert(Command::KEEPALIVE);
        todo.look_again(Micros(look.now.0 + keepalive.interval.0));
    }

    /// The peer answers again: the timer need not expire as late as the timeout had come to be when it was armed.
    pub(super) fn hurry(&self, backoff: Backoff) {
        let rto = backoff.undone(self.rto());
        self.rto.store(rto.0, Relaxed);
        self.expire_by(Moment::now().after_us(rto.0));
    }

    /// How long to go on without an answer.
    fn patience(&self, control: &Mutable) -> Micros {
        match control.user_timeout {
            Some(limit) => limit,
            None if control.orphaned => self.limits.orphan_patience,
            None => self.limits.patience,
        }
    }

    /// What a program is told whose peer was not heard of for too long: what ICMP said, or else `ETIMEDOUT`.
    fn timeout_error(&self) -> Error {
        let bh = BhDisabled::new();
        let frozen = self.frozen.lock(&bh);
        frozen
            .as_ref()
            .and_then(|frozen| frozen.soft_error())
            .unwrap_or(ETIMEDOUT.into())
    }

    /// Brings headers and segment size in line with what the kernel knows of the path by now.
    pub(super) fn check_path(&self, config: &ConnectionConfig) {
        let (dst, inner) = {
            let bh = BhDisabled::new();
            let frozen = self.frozen.lock(&bh);
            let Some(frozen) = &*frozen else { return };
            frozen.sync(
                config.send.una.get(),
                config.send.max.get(),
                config.receive.nxt.get(),
            );
            (self.route.now(frozen.inner()), frozen.inner().clone())
        };
        let Some(dst) = dst else {
            return self.reroute(inner);
        };
        let mss = self.route.mss(&dst, config.timestamps.is_some());
        let Ok(path) = self.route.path(&inner, &dst, mss) else {
            return;
        };
        let path = Path {
            checksum_offload: config.path.checksum_offload,
            ..path
        };
        if path == config.path {
            return;
        }
        if let Some(offload) = self.offload.as_ref() {
            let _ = offload.set_path(&path, Some(dst));
        }
        self.with_congestion(|congestion| congestion.policy().set_mss(Bytes(u32::from(mss))));
    }

    /// The path, or what the socket's options say of it, may be another than before.
    pub(crate) fn path_changed(&self) {
        if let Some(config) = self.offload.as_ref().and_then(|offload| offload.config()) {
            self.check_path(&config);
        }
    }

    /// Has the inner socket look for a route, which sleeps. If it doesn't leave by the device, or there is no memory, it is
    /// looked for again when the timer expires.
    fn reroute(&self, inner: Arc<InnerSocket>) {
        let connection = self.arc();
        if let Some(work) = WORK.get() {
            let _ = work.try_spawn(GFP_ATOMIC, move || {
                if inner.reroute().is_ok() && connection.route.now(&inner).is_some() {
                    connection.path_changed();
                }
            });
        }
    }
}

impl Control {
    /// `TCP_USER_TIMEOUT`; `None` for the default.
    pub(crate) fn set_user_timeout(&self, limit: Option<Micros>) {
        self.control.lock(&BhDisabled::new()).user_timeout = limit;
    }
}

impl Connection {
    /// `SO_KEEPALIVE`, with its times; `None` turns it off.
    pub(crate) fn set_keepalive(&self, keepalive: Option<Keepalive>) {
        self.control.lock(&BhDisabled::new()).keepalive = keepalive;
        if let Some(keepalive) = keepalive {
            self.expire_by(Moment::now().after_us(keepalive.idle.0));
        }
    }
}
