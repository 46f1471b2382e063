// SPDX-License-Identifier: GPL-2.0
//! A connection, or one that is about to be.

use super::{
    claim::{Held, SoftHold},
    link::Link,
    output::Output,
    port::{Framing, SoftPort},
};
use crate::{
    driver::{
        device::{counters::Totals, Events, Hold, Install, Marks, OffloadedConnection, Refusal},
        family::stream::PayloadBuffers,
    },
    net::{
        clock,
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        dst::Dst,
        errno::ENOTCONN,
        flow_table::FlowKey,
    },
};
use datapath::{
    npu::{
        config::Path,
        inline::{self, Outcome},
        meta::Command,
        proto::Timers,
        state::ConnectionCounters,
        Connection, ConnectionConfig, HostControl,
    },
    units::{Bytes, Micros},
};
use kernel::{
    prelude::*,
    processor::cpu_relax,
    sync::{
        atomic::{Acquire, Atomic, Full},
        lock::spinlock::SpinLockGuard,
        Arc,
    },
};

/// The current time on the data-path's clock.
#[inline]
pub(super) fn now() -> Micros {
    Micros(clock::now_us())
}

/// An entry of the flow table.
#[pin_data]
pub(super) struct Flow {
    link: Arc<Link>,
    key: FlowKey,
    #[pin]
    state: BhSpinLock<State>,
    /// Runs of the data-path whose output wasn't handed on yet. Who makes it one does that, for all who come meanwhile:
    /// so output stays in order, whatever CPUs it comes from. Raised under the lock.
    undelivered: Atomic<u32>,
}

/// How far a flow has come.
pub(super) enum State {
    /// Handed over at the moment: segments are held.
    Claimed(Held),
    /// Carried.
    Live(KBox<Live>),
    /// Removed.
    Gone,
}

/// A connection that is carried.
pub(super) struct Live {
    pub(super) connection: Connection,
    buffers: Arc<PayloadBuffers>,
    events: Arc<dyn Events>,
    framing: Framing,
    /// What the owner was told the connection waits for.
    told: Outcome,
    /// Output of runs that found another's not handed on yet, and their number.
    backlog: Output,
    backlog_runs: u32,
    /// Being removed: what arrives is dropped.
    pub(super) closing: bool,
}

impl Live {
    pub(super) fn new(install: Install<'_>, link: &Link, hash: u32) -> Result<Self, Refusal> {
        let mut config = *install.config;
        config.path.checksum_offload = true;
        let buffers = install.buffers;
        let (rx, tx) = (config.rx.size as usize, config.tx.size as usize);
        debug_assert!((rx, tx) == (buffers.rx.size(), buffers.tx.size()));
        Ok(Self {
            connection: Connection::new(&config, now()).map_err(Refusal::Config)?,
            buffers,
            events: install.events,
            framing: Framing::new(&config.tuple, link, hash, install.marks, install.dst),
            told: Outcome::NONE,
            backlog: Output::new(),
            backlog_runs: 0,
            closing: false,
        })
    }

    /// The connection, and the environment to run the data-path in.
    #[inline]
    pub(super) fn split<'a>(
        &'a mut self,
        segment: Option<&'a crate::net::skbuff::SkBuff>,
        link: &'a Link,
        output: &'a mut Output,
        bh: &'a BhDisabled,
    ) -> (&'a mut Connection, SoftPort<'a>) {
        let port = SoftPort {
            segment,
            buffers: &self.buffers,
            framing: &self.framing,
            link,
            output,
            bh,
        };
        (&mut self.connection, port)
    }

    /// Tells the owner what the connection waits for, unless it knows.
    #[inline]
    pub(super) fn waits(&mut self, outcome: Outcome) {
        let mut news = outcome;
        news.remove(self.told);
        if !news.is_empty() {
            self.told.insert(outcome);
            self.events.waits(outcome);
        }
    }
}

impl Flow {
    pub(super) fn new(link: Arc<Link>, key: FlowKey) -> impl PinInit<Self> {
        pin_init!(Self {
            link,
            key,
            state <- new_bh_spinlock!(State::Claimed(Held::new()), "Flow::state"),
            undelivered: Atomic::new(0),
        })
    }

    #[inline]
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn key(&self) -> &FlowKey {
        &self.key
    }

    #[inline]
    pub(super) fn lock<'a>(&'a self, bh: &'a BhDisabled) -> SpinLockGuard<'a, State> {
        self.state.lock(bh)
    }

    /// Releases the lock and hands on what the run of the data-path under it put out, or leaves that to the CPU that
    /// hands on earlier output.
    #[inline]
    pub(super) fn release(
        &self,
        mut state: SpinLockGuard<'_, State>,
        output: &mut Output,
        bh: &BhDisabled,
    ) {
        if output.is_empty() {
            return;
        }
        let State::Live(live) = &mut *state else {
            return;
        };
        if self.undelivered.fetch_add(1, Full) != 0 {
            live.backlog_runs += 1;
            if !live.backlog.append(output) {
                self.link.stats.punts_lost.add(1);
            }
            return;
        }
        let events = output.is_for_owner().then(|| live.events.clone());
        drop(state);
        self.deliver(output, events, bh);
    }

    fn deliver(&self, output: &mut Output, mut events: Option<Arc<dyn Events>>, bh: &BhDisabled) {
        let mut runs = 1;
        loop {
            if !output.frames.is_empty() {
                self.link.transmit(&mut output.frames, bh);
            }
            if let Some(events) = events.take() {
                output.tell(&*events, bh);
            }
            if self.undelivered.fetch_sub(runs, Full) == runs {
                return;
            }
            let mut state = self.lock(bh);
            let State::Live(live) = &mut *state else {
                // Not before all is delivered.
                return;
            };
            runs = core::mem::take(&mut live.backlog_runs);
            *output = core::mem::replace(&mut live.backlog, Output::new());
            events = output.is_for_owner().then(|| live.events.clone());
        }
    }

    /// Does `work` on the live connection, and hands on what it puts out.
    fn run<R>(
        &self,
        work: impl FnOnce(&mut Live, &Link, &mut Output, &BhDisabled) -> R,
    ) -> Option<R> {
        let bh = BhDisabled::new();
        let mut output = Output::new();
        let mut state = self.lock(&bh);
        let State::Live(live) = &mut *state else {
            return None;
        };
        let result = work(live, &self.link, &mut output, &bh);
        self.release(state, &mut output, &bh);
        Some(result)
    }

    /// Sends what a change of settings lets go.
    fn kick(live: &mut Live, link: &Link, output: &mut Output, bh: &BhDisabled) {
        let request = HostControl {
            commands: Command::KICK,
            ..HostControl::default()
        };
        let (connection, mut port) = live.split(None, link, output, bh);
        // A request without bytes is never refused.
        if let Ok(outcome) = inline::host_control(connection, &request, now(), &mut port) {
            live.waits(outcome);
        }
    }

    /// What gives the segments held back to the stack.
    pub(super) fn hold(&self) -> SoftHold {
        SoftHold::new(self.link.clone(), self.key)
    }

    /// Adds the connection's counts.
    pub(super) fn add_to(&self, totals: &mut Totals, bh: &BhDisabled) {
        if let State::Live(live) = &*self.lock(bh) {
            totals.add(live.connection.post.counters());
        }
    }

    /// Tells the owner that the netdev has changed.
    pub(super) fn path_changed(&self) {
        if let Some(events) = self.run(|live, _, _, _| live.events.clone()) {
            events.path_changed();
        }
    }

    /// Tells the owner that the device is removed. A flow that is claimed only will never be live.
    pub(super) fn device_gone(&self) {
        if let Some(events) = self.run(|live, _, _, _| live.events.clone()) {
            events.device_gone();
        }
    }

    /// Ends a live connection once nothing of it is undelivered; `None` if it isn't live. What arrives from now on is
    /// held if `hold` is set.
    fn finish(&self, hold: bool) -> Option<KBox<Live>> {
        loop {
            let bh = BhDisabled::new();
            let mut state = self.lock(&bh);
            let State::Live(live) = &mut *state else {
                return None;
            };
            // No new output from now on, so that this ends.
            live.closing = !hold;
            if self.undelivered.load(Acquire) == 0 {
                let next = if hold {
                    State::Claimed(Held::new())
                } else {
                    State::Gone
                };
                let State::Live(live) = core::mem::replace(&mut *state, next) else {
                    return None;
                };
                drop(state);
                self.link
                    .finish(|totals| totals.add(live.connection.post.counters()), &bh);
                return Some(live);
            }
            drop(state);
            drop(bh);
            cpu_relax();
        }
    }
}

impl OffloadedConnection for Flow {
    fn post(&self, request: &HostControl) -> Result {
        self.run(|live, link, output, bh| {
            let (connection, mut port) = live.split(None, link, output, bh);
            let outcome =
                inline::host_control(connection, request, now(), &mut port).map_err(|_| EINVAL)?;
            live.waits(outcome);
            Ok(())
        })
        .unwrap_or(Err(ENOTCONN.into()))
    }

    fn set_cwnd(&self, cwnd: Bytes) {
        self.run(|live, link, output, bh| {
            live.connection.pre.set_cwnd(cwnd);
            Self::kick(live, link, output, bh);
        });
    }

    fn set_nodelay(&self, on: bool) {
        self.run(|live, link, output, bh| {
            live.connection.pre.set_nodelay(on);
            Self::kick(live, link, output, bh);
        });
    }

    fn set_cork(&self, on: bool) {
        self.run(|live, link, output, bh| {
            live.connection.pre.set_cork(on);
            Self::kick(live, link, output, bh);
        });
    }

    fn set_marks(&self, marks: Marks) {
        self.run(|live, _, _, _| live.framing.marks = marks);
    }

    fn set_path(&self, path: &Path, dst: Option<Dst>) -> Result {
        let path = Path {
            checksum_offload: true,
            ..*path
        };
        self.run(|live, link, _, _| {
            live.connection.pre.set_path(path).map_err(|_| EINVAL)?;
            live.framing.set_dst(link, dst);
            Ok(())
        })
        .unwrap_or(Err(ENOTCONN.into()))
    }

    fn send_reset(&self) {
        self.run(|live, link, output, bh| {
            let (connection, mut port) = live.split(None, link, output, bh);
            inline::reset(connection, now(), &mut port);
        });
    }

    fn timers(&self) -> Option<Timers> {
        self.run(|live, _, _, _| {
            live.told = Outcome::NONE;
            live.connection.proto.timers()
        })
    }

    fn config(&self) -> Option<ConnectionConfig> {
        self.run(|live, _, _, _| live.connection.config())
    }

    fn counters(&self) -> Option<ConnectionCounters> {
        self.run(|live, _, _, _| *live.connection.post.counters())
    }

    fn remove(&self) -> Option<ConnectionConfig> {
        let live = self.finish(false)?;
        drop(self.link.remove_flow(&self.key));
        Some(live.connection.config())
    }

    fn remove_and_hold(&self) -> Result<(ConnectionConfig, KBox<dyn Hold>)> {
        let hold = KBox::new_uninit(GFP_KERNEL)?;
        let live = self.finish(true).ok_or(ENOTCONN)?;
        let hold = hold.write(self.hold());
        Ok((live.connection.config(), hold))
    }
}
