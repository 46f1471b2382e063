// SPDX-License-Identifier: GPL-2.0

//! Offloaded connections (sections 6 to 9 of the interface), and the executor that runs the data-path for them.
//!
//! What the stages put out is collected: [`Offload::settle`] writes records and gives out the frames, which the caller
//! sends, then [`Offload::tell`] writes notifications. That is the order recovery rests on.

mod admin;
mod commands;
pub mod convert;
mod engine;
mod live;
mod pages;
mod pending;
mod table;

pub use commands::Issuer;
pub use table::MAX_CONNECTIONS;

use crate::{
    clock::Clock,
    frames::Batch,
    host::Host,
    layout::{self, stat, Error},
};
use convert::{vlan_id, Key};
use datapath::{
    npu::{
        pre::{self, Checksum},
        Connection,
    },
    reason::{DropReason, PuntReason},
    units::Micros,
    wire::ethernet::{self, Link, MacAddr},
};
use engine::Engine;
use live::counter_values;
use pipeline::{Input, RequestError, Settings, Stages};
use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher, RandomState},
    io,
    sync::Arc,
};
use table::{Entry, State, Table};

/// Whose a received frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// A connection took it.
    Taken,
    /// The raw-frame queues'.
    Raw,
}

/// What was counted besides what connections count.
#[derive(Default)]
struct Stats {
    installed: u64,
    held: u64,
    not_held: u64,
    stale: u64,
    stopped: u64,
    /// Of connections that are gone.
    finished: [u64; 13],
}

/// All offloaded connections.
pub struct Offload {
    table: Table,
    features: u64,
    settings: Settings,
    engine: Arc<Engine>,
    input: Input<Engine>,
    /// Number of the last fence.
    fence: u64,
    /// Handles of connections that have something to tell, each once, by the context of their program.
    telling: BTreeMap<u16, VecDeque<u32>>,
    stats: Stats,
}

/// A thread of the executor is gone, and with it all connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dead;

impl From<Dead> for Error {
    fn from(_: Dead) -> Self {
        Self::Internal
    }
}

impl From<Dead> for layout::Status {
    fn from(_: Dead) -> Self {
        // The device fails as soon as the command is completed.
        Self::NoMemory
    }
}

/// What of the host there is to run with.
pub struct Context<'a> {
    /// The host.
    pub host: &'a Host,
    /// The time.
    pub now: Micros,
}

impl Offload {
    /// For up to `max` connections, of the kinds that `features` allows.
    ///
    /// # Errors
    ///
    /// Threads can't be made.
    pub fn new(
        host: &Host,
        clock: &Arc<Clock>,
        stages: Stages,
        max: u32,
        features: u64,
    ) -> io::Result<Self> {
        let settings = Settings {
            stages,
            capacity: max,
            seed: RandomState::new().hash_one(0),
        };
        let threads = stages != Stages::Inline;
        let engine = Arc::new(Engine::new(host, clock, max, threads));
        Ok(Self {
            input: Input::new(Arc::clone(&engine), &settings)?,
            table: Table::new(max),
            features,
            settings,
            engine,
            fence: 0,
            telling: BTreeMap::new(),
            stats: Stats::default(),
        })
    }

    /// Begins anew with the executor, after the clock was set back. There must be no connections.
    ///
    /// # Errors
    ///
    /// Threads can't be made.
    pub fn restart(&mut self) -> io::Result<()> {
        self.input = Input::new(Arc::clone(&self.engine), &self.settings)?;
        Ok(())
    }

    /// Says what time it is.
    pub fn set_time(&self, now: Micros) {
        self.engine.set_time(now);
    }

    /// Connections, claims included.
    pub fn connections(&self) -> u32 {
        self.table.count()
    }

    /// Processes a frame if it is a connection's. `listed` says whether an address is one the device listens to.
    ///
    /// # Errors
    ///
    /// The executor is dead.
    pub fn receive(
        &mut self,
        frame: &[u8],
        listed: impl Fn(&MacAddr) -> bool,
    ) -> Result<Disposition, Dead> {
        if self.table.count() == 0 {
            return Ok(Disposition::Raw);
        }
        let Some(link) = ethernet::Frame::parse(frame) else {
            return Ok(Disposition::Raw);
        };
        if !matches!(link.ethertype, ethernet::TYPE_IPV4 | ethernet::TYPE_IPV6) {
            return Ok(Disposition::Raw);
        }
        let packet = frame.get(link.payload_offset..).unwrap_or(&[]);
        let tuple = match pre::identify(packet, packet.len()) {
            Ok(ident) => ident.tuple,
            Err(reason) => {
                if reason != PuntReason::NotTcp {
                    self.engine.reject(|rejects| rejects.punt(reason));
                }
                return Ok(Disposition::Raw);
            }
        };
        let vlan = link.vlan.map(vlan_id);
        let handle = self.table.by_key(&Key { tuple, vlan });
        let Some(entry) = handle.and_then(|handle| self.table.get_mut(handle)) else {
            return Ok(Disposition::Raw);
        };
        let path_source = entry.source() == Some(link.destination);
        if !path_source && !listed(&link.destination) {
            return Ok(Disposition::Raw);
        }
        if matches!(entry.state, State::Live(_)) {
            self.process(frame.to_vec())?;
        } else if entry.hold(frame) {
            self.stats.held += 1;
        } else {
            self.stats.not_held += 1;
        }
        Ok(Disposition::Taken)
    }

    /// Hands a frame of a live connection to the stages.
    fn process(&mut self, mut frame: Vec<u8>) -> Result<(), Dead> {
        while let Err(refused) = self.input.frame(frame, Checksum::Unverified) {
            self.make_room()?;
            frame = refused;
        }
        Ok(())
    }

    /// Hands a request to the stages; one for a connection that they don't have is ignored.
    fn request(&mut self, conn: pipeline::ConnId, request: pipeline::Request) -> Result<(), Dead> {
        while let Err(RequestError::Busy) = self.input.request(conn, request) {
            self.make_room()?;
        }
        Ok(())
    }

    /// Waits until something has left the stages.
    fn make_room(&mut self) -> Result<(), Dead> {
        self.input.flush();
        std::thread::yield_now();
        self.alive()
    }

    /// Whether the executor lives.
    pub fn alive(&self) -> Result<(), Dead> {
        self.input.is_running().then_some(()).ok_or(Dead)
    }

    /// Waits until everything that was handed to the stages has been done.
    fn catch_up(&mut self) -> Result<(), Dead> {
        self.fence += 1;
        self.input.fence(self.fence).map_err(|_| Dead)?;
        while !self.engine.await_fence(self.fence) {
            self.alive()?;
        }
        Ok(())
    }

    /// Has the stages begin with what they were handed, and send what is due; returns when to do so again.
    pub fn advance(&mut self) -> Option<Micros> {
        self.input.flush()
    }

    /// Waits until the stages have nothing to do but what must wait for its time.
    ///
    /// # Errors
    ///
    /// The executor is dead.
    pub fn rest(&mut self) -> Result<(), Dead> {
        self.input.settle().map_err(|_| Dead)
    }

    /// Bytes of frames that wait to be sent.
    pub fn collected(&self) -> usize {
        self.engine.waiting().0
    }

    /// Whether there is nothing to be recorded, sent or told.
    pub fn is_idle(&self) -> bool {
        !self.engine.waiting().1
    }

    /// Writes the records of all connections that changed since the last time, and gives out the frames that may leave
    /// now; they are to be given to [`recycle`](Self::recycle).
    ///
    /// # Errors
    ///
    /// The executor is dead.
    pub fn settle(&mut self, host: &Host) -> Result<Vec<Batch>, Dead> {
        let mut all = Vec::new();
        loop {
            let (frames, news) = self.engine.take();
            all.extend(frames);
            if news.is_empty() {
                return Ok(all);
            }
            let mut stops = Vec::new();
            let mut failed = false;
            for handle in news {
                let Some(entry) = self.table.get_mut(handle) else {
                    continue;
                };
                let Some(flow) = entry.flow() else {
                    continue;
                };
                let settled = flow.live.settle(host);
                let buffer = (!settled.written).then_some(Error::Buffer);
                failed |= buffer.is_some();
                if let Some(error) = settled.stop.or(buffer) {
                    stops.push((handle, error));
                }
                if settled.telling && !entry.telling {
                    let waiting = self.telling.entry(flow.live.context()).or_default();
                    waiting.push_back(handle);
                    entry.telling = true;
                }
            }
            if failed {
                // None may leave that no record covers; those of other connections are sent again in time.
                all.clear();
            }
            self.quiesce_all(&stops)?;
        }
    }

    /// Takes back frames that were sent.
    pub fn recycle(&self, batch: Batch) {
        self.engine.recycle(batch);
    }

    /// Has `write` write what connections have to tell. It is given a context and entries, and returns whether there was
    /// room for all of them.
    pub fn tell(&mut self, mut write: impl FnMut(u16, &[layout::Notification]) -> bool) {
        for waiting in self.telling.values_mut() {
            while let Some(entry) = waiting.front().map(|handle| self.table.get_mut(*handle)) {
                if let Some(entry) = entry {
                    let flow = entry.flow();
                    entry.telling = !flow.is_none_or(|flow| flow.live.tell(&mut write));
                    if entry.telling {
                        // Those behind it would find no room either.
                        break;
                    }
                }
                waiting.pop_front();
            }
        }
    }

    /// Stops live connections for errors.
    fn quiesce_all(&mut self, stops: &[(u32, Error)]) -> Result<(), Dead> {
        let mut ended = Vec::new();
        for (handle, error) in stops {
            if let Some(conn) = self.table.get(*handle).and_then(Entry::live) {
                self.request(conn, pipeline::Request::Remove)?;
                ended.push((*handle, *error));
            }
        }
        if ended.is_empty() {
            return Ok(());
        }
        self.catch_up()?;
        for (handle, error) in ended {
            self.stats.stopped += 1;
            self.end(handle, Some(error));
        }
        Ok(())
    }

    /// Makes a live connection that the stages don't have any more one that is quiesced; returns its state.
    fn end(&mut self, handle: u32, error: Option<Error>) -> Option<Connection> {
        let entry = self.table.get_mut(handle)?;
        let conn = entry.conn();
        entry.state = match std::mem::replace(&mut entry.state, State::Claimed) {
            State::Live(flow) => State::Quiesced(flow),
            other => other,
        };
        self.engine.set(conn, None);
        let live = &entry.flow()?.live;
        let state = *live.take_answer()?;
        self.engine.list(live, |news| {
            news.record(&state);
            news.quiesce(error);
        });
        Some(state)
    }

    /// Quiesces all connections of a context that stopped.
    ///
    /// # Errors
    ///
    /// The executor is dead.
    pub fn context_stopped(&mut self, context: u16) -> Result<(), Dead> {
        let stops: Vec<_> = self
            .table
            .iter()
            .filter(|entry| entry.uses(context))
            .map(|entry| (entry.handle, Error::Context))
            .collect();
        self.quiesce_all(&stops)
    }

    /// Whether connections name the context.
    pub fn uses_context(&self, context: u16) -> bool {
        self.table.iter().any(|entry| entry.uses(context))
    }

    /// Adds what was counted.
    pub fn statistics(&self, values: &mut [u64; stat::END]) {
        let stats = &self.stats;
        let (rejects, punts_lost) = self.engine.rejects();
        for (place, value) in [
            (stat::CONNECTIONS, u64::from(self.table.count())),
            (stat::INSTALLED, stats.installed),
            (stat::HELD, stats.held),
            (stat::NOT_HELD, stats.not_held),
            (stat::PUNTS_LOST, punts_lost),
            (stat::STALE_COMMANDS, stats.stale),
            (stat::CONNECTIONS_STOPPED, stats.stopped),
        ] {
            values[place] = value;
        }
        let mut totals = stats.finished;
        for flow in self.table.iter().filter_map(Entry::flow) {
            add(&mut totals, &flow.live.state());
        }
        values[stat::COUNTERS..][..totals.len()].copy_from_slice(&totals);
        for (place, (_, count)) in values[stat::DROPS..].iter_mut().zip(rejects.drops()) {
            *place = count;
        }
        for (place, (_, count)) in values[stat::PUNTS..].iter_mut().zip(rejects.punts()) {
            *place = count;
        }
    }
}

const _: () = assert!(DropReason::ALL.len() <= stat::PUNTS - stat::DROPS);
const _: () = assert!(PuntReason::ALL.len() <= stat::END - stat::PUNTS);

fn add(totals: &mut [u64; 13], state: &Connection) {
    let values = counter_values(state.post.counters());
    for (total, value) in totals.iter_mut().zip(values) {
        *total = total.wrapping_add(value);
    }
}

impl Entry {
    /// Whether one of its contexts is `context`.
    fn uses(&self, context: u16) -> bool {
        self.flow().is_some_and(|flow| flow.live.uses(context))
    }

    /// What the stages call it, if it is processed.
    fn live(&self) -> Option<pipeline::ConnId> {
        matches!(self.state, State::Live(_)).then(|| self.conn())
    }

    /// The address its own frames leave from.
    fn source(&self) -> Option<MacAddr> {
        match self.flow()?.link {
            Link::Ethernet { source, .. } => Some(source),
            Link::None => None,
        }
    }
}
