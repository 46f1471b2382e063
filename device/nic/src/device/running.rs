// SPDX-License-Identifier: GPL-2.0

//! The device while it is enabled.

use super::{admin::Admin, registers::Registers, Config, FrameDrop, Link};
use crate::{
    clock::Clock,
    frames::Batch,
    host::Host,
    layout::{
        command, feature, notify, stat, Command, ContextSetup, Error, Notification,
        CONTEXT_PRIVILEGED,
    },
    memory::full_barrier,
    offload::{Disposition, Issuer, Offload},
    queue::{BadRing, Queue, Ring},
    raw::{
        steer::{Digest, Filter, Rss},
        Pair, QueueLimits,
    },
};
use datapath::wire::ethernet;
use std::{
    sync::{atomic::Ordering, Arc},
    time::{Duration, Instant},
};

/// Entries and frames handled of one queue before the next has its turn.
const BUDGET: u32 = 64;
/// Bytes of frames collected before they are sent.
const MOST_COLLECTED: usize = 1 << 20;

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Whether anything was done.
    pub worked: bool,
    /// When to run again at the latest.
    pub deadline: Option<Instant>,
}

impl Progress {
    pub(super) fn new(worked: bool) -> Self {
        Self {
            worked,
            deadline: None,
        }
    }
}

/// A context's queue.
pub(super) struct ContextQueue {
    pub(super) queue: Queue,
    sq: Ring,
    cq: Ring,
    issuer: Issuer,
}

impl ContextQueue {
    pub(super) fn new(
        host: &Host,
        id: u16,
        setup: &ContextSetup,
        max_entries: u32,
    ) -> Result<Self, BadRing> {
        let (sq, cq) = (setup.sq_entries.get(), setup.cq_entries.get());
        let privileged = setup.flags.get() & CONTEXT_PRIVILEGED != 0;
        Ok(Self {
            sq: Ring::new::<Command>(host, setup.sq.get(), sq, max_entries)?,
            cq: Ring::new::<Notification>(host, setup.cq.get(), cq, max_entries)?,
            queue: Queue::new(
                host,
                1 + u32::from(id),
                setup.status.get(),
                setup.vector.get(),
                setup.moderation_usecs.get(),
            )?,
            issuer: if privileged {
                Issuer::Privileged
            } else {
                Issuer::User(id)
            },
        })
    }

    /// Executes up to `budget` commands; returns how many.
    fn execute(&mut self, host: &Host, offload: &mut Offload, budget: u32) -> Result<u32, Error> {
        let count = self.queue.submitted(host, &self.sq)?.min(budget);
        for executed in 0..count {
            let command: Command = self.sq.read(host, self.queue.sq_head())?;
            if command.op == command::FENCE && !self.fence(host, &command)? {
                return Ok(executed);
            }
            offload.execute(self.issuer, &command)?;
            self.queue.done(1);
        }
        Ok(count)
    }

    /// Answers a fence; `false` if there is no room to.
    fn fence(&mut self, host: &Host, command: &Command) -> Result<bool, Error> {
        if self.queue.room(host, &self.cq)? == 0 {
            return Ok(false);
        }
        let mut entry = Notification::zeroed();
        entry.kind = notify::FENCE;
        let mut cookie = [0; 8];
        cookie.copy_from_slice(&command.data[..8]);
        entry.cookie = u64::from_le_bytes(cookie).into();
        self.queue.complete(host, &self.cq, entry)?;
        Ok(true)
    }

    /// Writes entries, all or none; returns whether it did.
    fn tell(&mut self, host: &Host, entries: &[Notification]) -> Result<bool, Error> {
        if (self.queue.room(host, &self.cq)? as usize) < entries.len() {
            return Ok(false);
        }
        for entry in entries {
            self.queue.complete(host, &self.cq, *entry)?;
        }
        Ok(true)
    }
}

/// The device while it is enabled.
pub(super) struct Running {
    pub(super) features: u64,
    pub(super) limits: QueueLimits,
    pub(super) admin: Admin,
    pub(super) contexts: Vec<Option<ContextQueue>>,
    pub(super) pairs: Vec<Option<Pair>>,
    pub(super) offload: Offload,
    pub(super) filter: Filter,
    pub(super) rss: Option<Rss>,
    pub(super) queues_stopped: u64,
    pub(super) max_mtu: usize,
    batch: Batch,
}

fn nothing<T>(count: u16) -> Vec<Option<T>> {
    (0..count).map(|_| None).collect()
}

impl Running {
    pub(super) fn new(
        host: &Host,
        registers: &Registers,
        config: &Config,
        limits: QueueLimits,
        clock: &Arc<Clock>,
        features: u64,
    ) -> Result<Self, Error> {
        let offload = Offload::new(host, clock, config.stages, config.connections, features);
        Ok(Self {
            features,
            limits,
            admin: Admin::new(host, registers, config)?,
            contexts: nothing(config.contexts),
            pairs: nothing(config.pairs),
            offload: offload.map_err(|_| Error::Internal)?,
            filter: Filter::new(config.mac),
            rss: None,
            queues_stopped: 0,
            max_mtu: config.mtu as usize,
            batch: Batch::default(),
        })
    }

    pub(super) fn run(
        &mut self,
        host: &Host,
        link: &mut Link,
        clock: &Clock,
        now: Instant,
    ) -> Result<Progress, Error> {
        let mut worked = self.run_admin(host, link, clock, now)?;
        let time = clock.read(now);
        self.offload.set_time(time);
        for id in 0..self.contexts.len() {
            worked |= self.run_context(host, id as u16, BUDGET)? > 0;
            self.flush_if_much(host, link)?;
        }
        for _ in 0..BUDGET {
            let Some(len) = link.receive() else { break };
            worked = true;
            self.receive(host, link, len)?;
            self.flush_if_much(host, link)?;
        }
        for id in 0..self.pairs.len() {
            worked |= self.run_pair(host, id);
        }
        let due = self.offload.advance();
        worked |= due.is_some_and(|due| due <= time);
        worked |= self.flush(host, link)?;
        self.offload.alive()?;
        let published = self.publish(host, now)?;
        let due = due.map(|due| now + Duration::from_micros(due.since(time).0));
        let deadline = [published, due].into_iter().flatten().min();
        Ok(Progress { worked, deadline })
    }

    /// Executes commands of a context; returns how many.
    pub(super) fn run_context(&mut self, host: &Host, id: u16, budget: u32) -> Result<u32, Error> {
        let Some(Some(context)) = self.contexts.get_mut(usize::from(id)) else {
            return Ok(0);
        };
        if context.queue.stopped() {
            return Ok(0);
        }
        match context.execute(host, &mut self.offload, budget) {
            Ok(count) => Ok(count),
            Err(Error::Internal) => Err(Error::Internal),
            Err(error) => {
                self.stop_context(host, id, error)?;
                Ok(1)
            }
        }
    }

    fn run_pair(&mut self, host: &Host, id: usize) -> bool {
        let Some(Some(pair)) = self.pairs.get_mut(id) else {
            return false;
        };
        if pair.queue.stopped() {
            return false;
        }
        let mtu = self.limits.mtu;
        match pair.transmit(host, self.features, mtu, BUDGET, &mut self.batch) {
            Ok(frames) => frames > 0,
            Err(error) => {
                self.stop_pair(host, id, error);
                true
            }
        }
    }

    /// Hands a frame that has arrived to whom it is for.
    fn receive(&mut self, host: &Host, link: &mut Link, len: usize) -> Result<(), Error> {
        let Some(frame) = link.frame.get(..len) else {
            return Ok(());
        };
        let filter = &self.filter;
        let disposition = self
            .offload
            .receive(frame, |address| filter.listed(address))?;
        if disposition == Disposition::Taken {
            return Ok(());
        }
        let to_us = frame
            .first_chunk()
            .is_some_and(|destination| self.filter.takes(destination));
        if !to_us && self.features & feature::RX_FILTER != 0 {
            link.drop_received(FrameDrop::Filtered);
            return Ok(());
        }
        if let Err(why) = self.receive_raw(host, frame) {
            link.drop_received(why);
        }
        Ok(())
    }

    /// Hands a frame to the raw-frame queues.
    pub(super) fn receive_raw(&mut self, host: &Host, frame: &[u8]) -> Result<(), FrameDrop> {
        let verify = self.features & feature::RX_CSUM != 0;
        let digest = Digest::of(frame, self.rss.as_ref(), verify);
        let wanted = self
            .rss
            .as_ref()
            .map_or(0, |rss| usize::from(rss.pair(digest.hash)));
        let exists = |id: &usize| matches!(self.pairs.get(*id), Some(Some(_)));
        let Some(id) = Some(wanted)
            .filter(exists)
            .or_else(|| self.pairs.iter().position(Option::is_some))
        else {
            return Err(FrameDrop::NoPair);
        };
        let Some(Some(pair)) = self.pairs.get_mut(id) else {
            return Err(FrameDrop::NoPair);
        };
        if pair.queue.stopped() {
            return Err(FrameDrop::PairStopped);
        }
        let tag = ethernet::Frame::parse(frame)
            .and_then(|link| link.vlan)
            .filter(|_| self.features & feature::VLAN_OFFLOAD != 0);
        let received = if tag.is_some() {
            let (addresses, rest) = frame.split_at(12);
            let untagged = [addresses, rest.get(4..).unwrap_or(&[])].concat();
            pair.receive(host, &untagged, tag, &digest)
        } else {
            pair.receive(host, frame, None, &digest)
        };
        match received {
            Ok(true) => Ok(()),
            Ok(false) => Err(FrameDrop::NoBuffer),
            Err(error) => {
                self.stop_pair(host, id, error);
                Err(FrameDrop::PairStopped)
            }
        }
    }

    /// Waits for the data-path; returns whether there is something to do.
    pub(super) fn settle(&mut self) -> Result<bool, Error> {
        self.offload.rest()?;
        Ok(!self.offload.is_idle())
    }

    fn flush_if_much(&mut self, host: &Host, link: &mut Link) -> Result<(), Error> {
        if self.offload.collected() > MOST_COLLECTED {
            self.flush(host, link)?;
        }
        Ok(())
    }

    /// Records, then frames, then notifications; returns whether there were any frames of connections.
    pub(super) fn flush(&mut self, host: &Host, link: &mut Link) -> Result<bool, Error> {
        let frames = self.offload.settle(host)?;
        let worked = !frames.is_empty();
        for mut batch in frames {
            link.send(&mut batch);
            self.offload.recycle(batch);
        }
        link.send(&mut self.batch);
        let contexts = &mut self.contexts;
        let mut errors = Vec::new();
        self.offload.tell(|id, entries| {
            let Some(Some(context)) = contexts.get_mut(usize::from(id)) else {
                return true;
            };
            // A context that stopped is told nothing.
            context.queue.stopped()
                || context.tell(host, entries).unwrap_or_else(|error| {
                    errors.push((id, error));
                    true
                })
        });
        for (id, error) in errors {
            self.stop_context(host, id, error)?;
        }
        Ok(worked)
    }

    fn stop_context(&mut self, host: &Host, id: u16, error: Error) -> Result<(), Error> {
        if let Some(Some(context)) = self.contexts.get_mut(usize::from(id)) {
            context.queue.stop(host, error);
            self.queues_stopped += 1;
            self.admin.queue_stopped(&context.queue, error);
        }
        Ok(self.offload.context_stopped(id)?)
    }

    fn stop_pair(&mut self, host: &Host, id: usize, error: Error) {
        if let Some(Some(pair)) = self.pairs.get_mut(id) {
            pair.queue.stop(host, error);
            self.queues_stopped += 1;
            self.admin.queue_stopped(&pair.queue, error);
        }
    }

    /// Calls `f` with each queue but the admin queue.
    fn for_each_queue(&mut self, mut f: impl FnMut(&mut Queue)) {
        for context in self.contexts.iter_mut().flatten() {
            f(&mut context.queue);
        }
        for pair in self.pairs.iter_mut().flatten() {
            f(&mut pair.queue);
        }
    }

    /// Lets the host know what was done, and interrupts it where it asked for that.
    fn publish(&mut self, host: &Host, now: Instant) -> Result<Option<Instant>, Error> {
        let mut deadline = self.admin.queue.publish(host, now)?;
        // A status block that can't be reached any more stops its queue; there is nothing else to do about it.
        self.for_each_queue(|queue| match queue.publish(host, now) {
            Ok(next) => deadline = [deadline, next].into_iter().flatten().min(),
            Err(error) => queue.stop(host, error),
        });
        Ok(deadline)
    }

    pub(super) fn prepare_sleep(&mut self, host: &Host) -> bool {
        self.admin.queue.set_need_kick(host, true);
        self.for_each_queue(|queue| queue.set_need_kick(host, true));
        host.wakeup.set_asleep(true);
        full_barrier();
        let idle = self.is_idle(host);
        if !idle {
            self.wake(host);
        }
        idle
    }

    /// Whether no queue has anything submitted.
    fn is_idle(&self, host: &Host) -> bool {
        let contexts = self.contexts.iter().flatten().map(|c| (&c.queue, &c.sq));
        self.admin
            .queues()
            .chain(contexts)
            .all(|(queue, ring)| queue.stopped() || queue.submitted(host, ring) == Ok(0))
            && self.offload.is_idle()
            && self
                .pairs
                .iter()
                .flatten()
                .all(|pair| pair.queue.stopped() || pair.is_idle(host))
    }

    pub(super) fn wake(&mut self, host: &Host) {
        host.wakeup.set_asleep(false);
        self.admin.queue.set_need_kick(host, false);
        self.for_each_queue(|queue| queue.set_need_kick(host, false));
    }

    pub(super) fn statistics(&self, host: &Host, link: &Link) -> [u64; stat::END] {
        let mut values = [0; stat::END];
        values[..link.stats.len()].copy_from_slice(&link.stats);
        values[stat::QUEUES_STOPPED] = self.queues_stopped;
        values[stat::KICKS] = host.kicks.load(Ordering::Relaxed);
        values[stat::INTERRUPTS] = host.vectors.raised();
        self.offload.statistics(&mut values);
        values
    }
}
