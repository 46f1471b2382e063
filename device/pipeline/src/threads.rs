// SPDX-License-Identifier: GPL-2.0

//! The pipelined executor: threads for stages, and bounded channels between them.
//!
//! Credits bound what is under way in each flow-group before and after its protocol stage. Every channel and reorder
//! buffer has room for as many bursts as there are credits, so that sending never blocks, and no cycle of waiting can
//! arise: the protocol stage waits only for credits of the second kind, and who gives those back waits for none.

use crate::nic::{Nic, Stage};
use crate::reorder::ReorderBuffer;
use crate::stage::protocol::Group;
use crate::stage::{dma, exit, post, pre};
use crate::stages::Replicas;
use crate::table::Table;
use crate::work::{Burst, Delivery, Effect, Entry, Job, Passed, Transfer};
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use parking_lot::RwLock;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Bursts under way in a flow-group, before the protocol stage, and after it.
const CREDITS: usize = 128;
/// Items that travel together when there are many: enough to share the cost of a channel, and few, for a burst is in one
/// stage at a time.
const BURST: usize = 8;
/// How much longer than asked for a thread may sleep: for less it doesn't.
const OVERSLEPT: Duration = Duration::from_micros(100);

/// A thread is gone, and with it the pipeline.
struct Gone;

type Outcome = Result<(), Gone>;

/// Who holds the receiving end may have so many bursts under way.
fn credits() -> (Sender<()>, Receiver<()>) {
    let (give, take) = bounded(CREDITS);
    while give.try_send(()).is_ok() {}
    (give, take)
}

/// Puts bursts together for one flow-group.
struct Lane<F> {
    credits: Receiver<()>,
    number: u64,
    /// Unless it is empty, a credit was taken for it.
    items: Vec<Entry<F>>,
}

/// The sequencer's end of the pipeline.
pub(crate) struct Threads<N: Nic> {
    lanes: Vec<Lane<N::Frame>>,
    /// Always there, until the end.
    pre: Option<Sender<Burst<Entry<N::Frame>>>>,
    workers: Vec<JoinHandle<Outcome>>,
}

impl<N: Nic> Threads<N> {
    pub(crate) fn start(
        nic: &Arc<N>,
        table: &Arc<RwLock<Table>>,
        replicas: &Replicas,
        capacity: usize,
    ) -> io::Result<Self> {
        let groups = replicas.groups.get();
        let (pre_in, pre_out) = bounded(groups * CREDITS);
        let mut threads = Self {
            lanes: Vec::new(),
            pre: Some(pre_in),
            workers: Vec::new(),
        };
        let (post_in, post_out) = bounded(groups * CREDITS);
        let (dma_in, dma_out) = bounded(groups * CREDITS);
        let mut protocol_in = Vec::new();
        let mut exit_in = Vec::new();
        for group in 0..groups {
            let (entry_give, entry_take) = credits();
            let (exit_give, exit_take) = credits();
            threads.lanes.push(Lane {
                credits: entry_take,
                number: 0,
                items: Vec::new(),
            });
            let (sender, receiver) = bounded(CREDITS);
            protocol_in.push(sender);
            let worker = Protocol {
                nic: Arc::clone(nic),
                number: group,
                group: Group::new(Arc::clone(table), capacity, N::RECORDS, nic.now()),
                input: receiver,
                reorder: ReorderBuffer::new(CREDITS),
                consumed: entry_give,
                output: post_in.clone(),
                credits: exit_take,
                sent: 0,
            };
            threads.spawn(format!("toe-proto-{group}"), move || worker.run())?;
            let (sender, receiver) = bounded(CREDITS);
            exit_in.push(sender);
            let nic = Arc::clone(nic);
            threads.spawn(format!("toe-exit-{group}"), move || {
                leave(&*nic, &receiver, &exit_give)
            })?;
        }
        for replica in 0..replicas.pre.get() {
            let (nic, table) = (Arc::clone(nic), Arc::clone(table));
            let (input, output) = (pre_out.clone(), protocol_in.clone());
            threads.spawn(format!("toe-pre-{replica}"), move || {
                prepare(&*nic, &table, &input, &output)
            })?;
        }
        for replica in 0..replicas.post.get() {
            let (nic, input, dma) = (Arc::clone(nic), post_out.clone(), replicas.dma > 0);
            let (to_dma, output) = (dma_in.clone(), exit_in.clone());
            threads.spawn(format!("toe-post-{replica}"), move || {
                for burst in input {
                    let burst = finish(&*nic, burst);
                    if dma {
                        to_dma.send(burst).map_err(|_| Gone)?;
                    } else {
                        output[burst.group]
                            .send(transfer(&*nic, burst))
                            .map_err(|_| Gone)?;
                    }
                }
                Ok(())
            })?;
        }
        for replica in 0..replicas.dma {
            let (nic, input, output) = (Arc::clone(nic), dma_out.clone(), exit_in.clone());
            threads.spawn(format!("toe-dma-{replica}"), move || {
                for burst in input {
                    output[burst.group]
                        .send(transfer(&*nic, burst))
                        .map_err(|_| Gone)?;
                }
                Ok(())
            })?;
        }
        Ok(threads)
    }

    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce() -> Outcome + Send + 'static,
    ) -> io::Result<()> {
        self.workers.push(Builder::new().name(name).spawn(run)?);
        Ok(())
    }

    /// Takes in an item, or gives it back if too much is under way.
    pub(crate) fn submit(
        &mut self,
        group: usize,
        entry: Entry<N::Frame>,
    ) -> Result<(), Entry<N::Frame>> {
        let lane = &mut self.lanes[group];
        if lane.items.is_empty() && lane.credits.try_recv().is_err() {
            return Err(entry);
        }
        lane.items.push(entry);
        if lane.items.len() >= BURST {
            self.flush_lane(group);
        }
        Ok(())
    }

    /// Sends on what was taken in.
    pub(crate) fn flush(&mut self) {
        for group in 0..self.lanes.len() {
            self.flush_lane(group);
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.workers.iter().any(JoinHandle::is_finished)
    }

    fn flush_lane(&mut self, group: usize) {
        let lane = &mut self.lanes[group];
        let Some(pre) = self.pre.as_ref().filter(|_| !lane.items.is_empty()) else {
            return;
        };
        let burst = Burst {
            group,
            number: lane.number,
            items: std::mem::take(&mut lane.items),
        };
        lane.number += 1;
        // That fails when the threads are gone, which `is_running` tells.
        drop(pre.send(burst));
    }
}

impl<N: Nic> Drop for Threads<N> {
    fn drop(&mut self) {
        self.pre = None;
        for worker in self.workers.drain(..) {
            // A panic was reported when it happened.
            drop(worker.join());
        }
    }
}

/// A thread of the pre-processing stage.
fn prepare<N: Nic>(
    nic: &N,
    table: &RwLock<Table>,
    input: &Receiver<Burst<Entry<N::Frame>>>,
    output: &[Sender<Burst<Job<N::Frame>>>],
) -> Outcome {
    for burst in input {
        let group = burst.group;
        let burst = burst.map(|entry| {
            nic.enter(Stage::Pre);
            Some(pre::run(nic, &table.read(), entry))
        });
        output[group].send(burst).map_err(|_| Gone)?;
    }
    Ok(())
}

/// The post-processing stage for a burst.
fn finish<N: Nic>(nic: &N, burst: Burst<Effect<N::Frame>>) -> Burst<Transfer<N::Frame>> {
    burst.map(|effect| {
        nic.enter(Stage::Post);
        post::run(effect)
    })
}

/// The DMA stage for a burst.
fn transfer<N: Nic>(nic: &N, burst: Burst<Transfer<N::Frame>>) -> Burst<Delivery<N>> {
    burst.map(|transfer| {
        nic.enter(Stage::Dma);
        Some(dma::run(nic, transfer))
    })
}

/// The thread of a flow-group's wire and context queues.
fn leave<N: Nic>(nic: &N, input: &Receiver<Burst<Delivery<N>>>, credits: &Sender<()>) -> Outcome {
    let mut reorder = ReorderBuffer::new(CREDITS);
    for burst in input {
        reorder.insert(burst.number, burst.items);
        while let Some(items) = reorder.pop() {
            for delivery in items {
                nic.enter(Stage::Exit);
                exit::run(nic, delivery);
            }
            credits.send(()).map_err(|_| Gone)?;
        }
    }
    Ok(())
}

/// The thread of a flow-group's protocol stage.
struct Protocol<N: Nic> {
    nic: Arc<N>,
    /// Which flow-group.
    number: usize,
    group: Group,
    input: Receiver<Burst<Job<N::Frame>>>,
    reorder: ReorderBuffer<Vec<Job<N::Frame>>>,
    /// Gives back the credits of what came in.
    consumed: Sender<()>,
    output: Sender<Burst<Effect<N::Frame>>>,
    /// For what goes out.
    credits: Receiver<()>,
    /// Bursts sent.
    sent: u64,
}

impl<N: Nic> Protocol<N> {
    fn run(mut self) -> Outcome {
        let mut effects = Vec::new();
        loop {
            let open = self.wait();
            let now = self.nic.now();
            while let Some(jobs) = self.reorder.pop() {
                for job in jobs {
                    self.nic.enter(Stage::Protocol);
                    self.group.run(job, now, &mut effects);
                }
                self.consumed.send(()).map_err(|_| Gone)?;
                if effects.len() >= BURST {
                    self.send(&mut effects)?;
                }
            }
            while effects.len() < 2 * BURST && self.group.transmit(now, &mut effects) {
                self.nic.enter(Stage::Protocol);
            }
            self.send(&mut effects)?;
            if !open {
                return Ok(());
            }
        }
    }

    /// Takes in what has come, and waits for more if there is nothing else to do; says whether more may come.
    fn wait(&mut self) -> bool {
        let pause = match self.group.next_due() {
            _ if self.group.is_ready() => Some(Duration::ZERO),
            Some(due) => Some(Duration::from_micros(due.since(self.nic.now()).0)),
            None => None,
        };
        let first = match pause {
            None => self.input.recv().map_err(RecvTimeoutError::from),
            Some(pause) if pause > OVERSLEPT => self.input.recv_timeout(pause - OVERSLEPT),
            Some(pause) => {
                if !pause.is_zero() {
                    std::thread::yield_now();
                }
                Err(RecvTimeoutError::Timeout)
            }
        };
        match first {
            Ok(burst) => self.reorder.insert(burst.number, burst.items),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
        loop {
            match self.input.try_recv() {
                Ok(burst) => self.reorder.insert(burst.number, burst.items),
                Err(error) => return !error.is_disconnected(),
            }
        }
    }

    /// Sends on what was done, after a record of what it changed: the whole burst's payload will be in place when the
    /// first item leaves.
    fn send(&mut self, effects: &mut Vec<Effect<N::Frame>>) -> Outcome {
        let records = self.group.records();
        let records = records.map(|(conn, proto)| Effect::Passed(Passed::Record(conn, proto)));
        let items: Vec<_> = records.chain(effects.drain(..)).collect();
        if items.is_empty() {
            return Ok(());
        }
        self.credits.recv().map_err(|_| Gone)?;
        let burst = Burst {
            group: self.number,
            number: self.sent,
            items,
        };
        self.sent += 1;
        self.output.send(burst).map_err(|_| Gone)
    }
}

impl<T> Burst<T> {
    /// The burst for the next stage.
    fn map<U>(self, stage: impl FnMut(T) -> Option<U>) -> Burst<U> {
        Burst {
            group: self.group,
            number: self.number,
            items: self.items.into_iter().filter_map(stage).collect(),
        }
    }
}
