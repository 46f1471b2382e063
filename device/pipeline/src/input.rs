// SPDX-License-Identifier: GPL-2.0

//! The sequencer: where frames and requests enter.

use crate::inline::Inline;
use crate::nic::{ConnId, Nic};
use crate::stage::pre;
use crate::stages::Stages;
use crate::table::{Conn, Table};
use crate::threads::Threads;
use crate::work::{Barrier, Entry, Request};
use crossbeam_channel::bounded;
use datapath::npu::config::{ConfigError, ConnectionConfig};
use datapath::npu::pre::Checksum;
use datapath::npu::scheduler::Interval;
use datapath::npu::{Connection, PreState};
use datapath::units::Micros;
use datapath::wire::ethernet::Link;
use datapath::wire::FourTuple;
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

/// A thread of the pipeline died of a panic: nothing is served any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dead;

/// Why a connection wasn't installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InstallError {
    /// Its number is beyond the capacity.
    Number,
    /// Its number, or its 4-tuple and VLAN, is another connection's.
    InUse,
    /// Its state is impossible.
    Config(ConfigError),
    /// The pipeline holds as much as it can: try again when something has left it.
    Busy,
}

/// Why a request was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestError {
    /// There is no such connection.
    Unknown,
    /// The pipeline holds as much as it can: try again when something has left it.
    Busy,
}

/// How an executor is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Which executor.
    pub stages: Stages,
    /// Connections are numbered below this.
    pub capacity: u32,
    /// A secret: 4-tuples of the same hash should be hard to find.
    pub seed: u64,
}

enum Executor<N: Nic> {
    Inline(Box<Inline<N>>),
    Threads(Threads<N>),
}

/// Where frames and requests enter an executor. What comes of them is told to the [`Nic`]: inline before the call
/// returns, pipelined by other threads. Dropping it ends the executor.
pub struct Input<N: Nic> {
    nic: Arc<N>,
    table: Arc<RwLock<Table>>,
    conns: Vec<Option<Arc<Conn>>>,
    groups: u32,
    seed: u64,
    executor: Executor<N>,
}

impl<N: Nic> Input<N> {
    /// Starts an executor.
    ///
    /// # Errors
    ///
    /// Threads can't be made.
    pub fn new(nic: Arc<N>, settings: &Settings) -> std::io::Result<Self> {
        let capacity = settings.capacity as usize;
        let table = Arc::new(RwLock::new(Table::new(settings.seed)));
        let executor = match &settings.stages {
            Stages::Inline => Executor::Inline(Box::new(Inline::new(&*nic, &table, capacity))),
            Stages::Pipelined(replicas) => {
                Executor::Threads(Threads::start(&nic, &table, replicas, capacity)?)
            }
        };
        Ok(Self {
            nic,
            table,
            conns: (0..capacity).map(|_| None).collect(),
            groups: settings.stages.groups() as u32,
            seed: settings.seed,
            executor,
        })
    }

    /// A frame arrived.
    ///
    /// # Errors
    ///
    /// The frame, if the pipeline is full: a NIC drops it then.
    pub fn frame(&mut self, frame: N::Frame, checksum: Checksum) -> Result<(), N::Frame> {
        let steering = pre::steer(frame.as_ref());
        let group = steering
            .as_ref()
            .map_or(0, |(_, ident)| self.group(&ident.tuple));
        let entry = Entry::Frame {
            frame,
            steering,
            checksum,
        };
        self.submit(group, entry).map_err(|entry| match entry {
            Entry::Frame { frame, .. } => frame,
            _ => unreachable!("what was submitted comes back"),
        })
    }

    /// Installs a connection in the state `config` describes, of which the executor decides the flow-group.
    ///
    /// # Errors
    ///
    /// See [`InstallError`]; nothing has changed then.
    pub fn install(
        &mut self,
        id: ConnId,
        config: &ConnectionConfig,
        limit: Interval,
    ) -> Result<(), InstallError> {
        let config = ConnectionConfig {
            flow_group: self.group(&config.tuple) as u16,
            ..*config
        };
        let connection = Connection::new(&config, self.nic.now()).map_err(InstallError::Config)?;
        self.adopt(id, &connection, limit)
    }

    /// Goes on with a connection that was [removed](Request::Remove), or begins with one that was made elsewhere.
    ///
    /// # Errors
    ///
    /// See [`InstallError`]; nothing has changed then.
    pub fn adopt(
        &mut self,
        id: ConnId,
        connection: &Connection,
        limit: Interval,
    ) -> Result<(), InstallError> {
        let Connection {
            mut pre,
            proto,
            post,
        } = *connection;
        let slot = self.conns.get(id.0 as usize).ok_or(InstallError::Number)?;
        let tag = match pre.path().link {
            Link::Ethernet { vlan, .. } => vlan,
            Link::None => None,
        };
        if slot.is_some() || self.table.read().get(pre.tuple(), tag).is_some() {
            return Err(InstallError::InUse);
        }
        let group = self.group(pre.tuple());
        pre.set_paced(limit.is_limited());
        let conn = Arc::new(Conn {
            id,
            group,
            tag,
            pre: RwLock::new(pre),
            post: Mutex::new(post),
        });
        let install = Entry::Install(Arc::clone(&conn), Box::new(proto), limit);
        self.submit(group, install)
            .map_err(|_| InstallError::Busy)?;
        self.table.write().insert(Arc::clone(&conn));
        self.conns[id.0 as usize] = Some(conn);
        Ok(())
    }

    /// The host asks something of a connection.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn request(&mut self, id: ConnId, request: Request) -> Result<(), RequestError> {
        let conn = Arc::clone(self.conn(id)?);
        self.submit(conn.group, Entry::Request(Arc::clone(&conn), request))
            .map_err(|_| RequestError::Busy)?;
        match request {
            Request::Limit(limit) => conn.pre.write().set_paced(limit.is_limited()),
            Request::Remove => self.conns[id.0 as usize] = None,
            _ => {}
        }
        Ok(())
    }

    /// Changes a connection's settings, from the next item of work on. Follow with a
    /// [`KICK`](datapath::npu::meta::Command::KICK) where `PreState` says so.
    ///
    /// # Errors
    ///
    /// There is no such connection.
    pub fn update<R>(
        &mut self,
        id: ConnId,
        change: impl FnOnce(&mut PreState) -> R,
    ) -> Result<R, RequestError> {
        Ok(change(&mut self.conn(id)?.pre.write()))
    }

    /// Ends a round of polling: what entered goes on its way, what is due is transmitted. Inline, it must be called again
    /// at the time returned; threads keep their own time.
    pub fn flush(&mut self) -> Option<Micros> {
        match &mut self.executor {
            Executor::Inline(inline) => inline.transmit(&self.nic, self.nic.now()),
            Executor::Threads(threads) => {
                threads.flush();
                None
            }
        }
    }

    /// Waits until everything that entered has left, and all was sent that may be sent and whose rate isn't limited.
    ///
    /// # Errors
    ///
    /// A thread died.
    pub fn settle(&mut self) -> Result<(), Dead> {
        let groups = self.groups as usize;
        let (done, barrier) = bounded(groups);
        self.pass(&Barrier::Settle(done.clone()))?;
        drop(done);
        self.flush();
        for _ in 0..groups {
            while let Executor::Inline(inline) = &mut self.executor {
                if !barrier.is_empty() {
                    break;
                }
                inline.transmit(&self.nic, self.nic.now());
            }
            barrier.recv().map_err(|_| Dead)?;
        }
        Ok(())
    }

    /// Asks for [`Nic::fenced`] when everything that entered until now is done. Waits while the pipeline is full.
    ///
    /// # Errors
    ///
    /// A thread died.
    pub fn fence(&mut self, tag: u64) -> Result<(), Dead> {
        let groups = Arc::new(AtomicUsize::new(self.groups as usize));
        self.pass(&Barrier::Fence(groups, tag))?;
        self.flush();
        Ok(())
    }

    /// Whether all threads are alive; if not, nothing is served any more.
    pub fn is_running(&self) -> bool {
        match &self.executor {
            Executor::Inline(_) => true,
            Executor::Threads(threads) => threads.is_running(),
        }
    }

    /// Lets a barrier through all flow-groups.
    fn pass(&mut self, barrier: &Barrier) -> Result<(), Dead> {
        for group in 0..self.groups as usize {
            let mut entry = Entry::Barrier(barrier.clone());
            while let Err(refused) = self.submit(group, entry) {
                self.flush();
                if !self.is_running() {
                    return Err(Dead);
                }
                std::thread::yield_now();
                entry = refused;
            }
        }
        Ok(())
    }

    fn conn(&self, id: ConnId) -> Result<&Arc<Conn>, RequestError> {
        let slot = self.conns.get(id.0 as usize);
        slot.and_then(Option::as_ref).ok_or(RequestError::Unknown)
    }

    /// The flow-group of a 4-tuple: by another hash than the table's, or groups would crowd its buckets.
    fn group(&self, tuple: &FourTuple) -> usize {
        if self.groups == 1 {
            return 0;
        }
        (tuple.hash(!self.seed) % self.groups) as usize
    }

    fn submit(&mut self, group: usize, entry: Entry<N::Frame>) -> Result<(), Entry<N::Frame>> {
        match &mut self.executor {
            Executor::Inline(inline) => {
                inline.run(&self.nic, &self.table, entry);
                Ok(())
            }
            Executor::Threads(threads) => threads.submit(group, entry),
        }
    }
}
