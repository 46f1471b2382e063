// SPDX-License-Identifier: GPL-2.0

//! Offloaded connections (sections 6 to 9 of the interface), and the data-path run for them, inline.
//!
//! What a run puts out is collected: [`Offload::settle`] writes records, then the caller sends the frames, then
//! [`Offload::tell`] writes notifications. That is the order recovery rests on.

mod admin;
mod commands;
pub mod convert;
mod live;
mod pages;
mod pending;
mod table;

pub use commands::Issuer;
pub use table::MAX_CONNECTIONS;

use crate::{
    frames::Batch,
    host::Host,
    layout::{self, stat, Error},
    memory::Memory,
};
use convert::{vlan_id, Key};
use datapath::{
    npu::{
        inline::Received,
        pre::{self, Ident},
    },
    reason::{Counters, DropReason, PuntReason},
    units::Micros,
    wire::ethernet::{self, MacAddr},
};
use live::{counter_values, Environment, Live};
use pending::Pending;
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
    punts_lost: u64,
    stale: u64,
    stopped: u64,
    rejects: Counters,
    /// Of connections that are gone.
    finished: [u64; 13],
}

/// All offloaded connections.
pub struct Offload {
    table: Table,
    features: u64,
    dirty: Vec<u32>,
    telling: Vec<u32>,
    /// Frames that the data-path sends.
    pub frames: Batch,
    stats: Stats,
}

impl Offload {
    /// For up to `max` connections, of the kinds that `features` allows.
    pub fn new(max: u32, features: u64) -> Self {
        Self {
            table: Table::new(max),
            features,
            dirty: Vec::new(),
            telling: Vec::new(),
            frames: Batch::default(),
            stats: Stats::default(),
        }
    }

    /// Connections, claims included.
    pub fn connections(&self) -> u32 {
        self.table.count()
    }

    /// Processes a frame if it is a connection's. `listed` says whether an address is one the device listens to.
    pub fn receive(
        &mut self,
        memory: &Memory,
        frame: &[u8],
        now: Micros,
        listed: impl Fn(&MacAddr) -> bool,
    ) -> Disposition {
        if self.table.count() == 0 {
            return Disposition::Raw;
        }
        let Some(link) = ethernet::Frame::parse(frame) else {
            return Disposition::Raw;
        };
        if !matches!(link.ethertype, ethernet::TYPE_IPV4 | ethernet::TYPE_IPV6) {
            return Disposition::Raw;
        }
        let packet = frame.get(link.payload_offset..).unwrap_or(&[]);
        let ident = match pre::identify(packet, packet.len()) {
            Ok(ident) => ident,
            Err(reason) => {
                if reason != PuntReason::NotTcp {
                    self.stats.rejects.punt(reason);
                }
                return Disposition::Raw;
            }
        };
        let key = Key {
            tuple: ident.tuple,
            vlan: link.vlan.map(vlan_id),
        };
        let Some(handle) = self.table.by_key(&key) else {
            return Disposition::Raw;
        };
        let Some(entry) = self.table.get_mut(handle) else {
            return Disposition::Raw;
        };
        let path_source = entry.live().is_some_and(|live| {
            matches!(live.connection.pre.path().link,
                ethernet::Link::Ethernet { source, .. } if source == link.destination)
        });
        if !path_source && !listed(&link.destination) {
            return Disposition::Raw;
        }
        let mut output = Output {
            frames: &mut self.frames,
            stats: &mut self.stats,
            dirty: &mut self.dirty,
            telling: &mut self.telling,
        };
        output.process(entry, frame, packet, &ident, memory, now);
        Disposition::Taken
    }

    /// Writes the records of all connections that changed since the last time.
    pub fn settle(&mut self, memory: &Memory) {
        let mut failed = false;
        for handle in std::mem::take(&mut self.dirty) {
            let Some(entry) = self.table.get_mut(handle) else {
                continue;
            };
            entry.dirty = false;
            let quiesced = matches!(entry.state, State::Quiesced(_));
            let written = entry
                .live_mut()
                .is_none_or(|live| live.record(memory, quiesced).is_ok());
            if !written {
                failed = true;
                Output {
                    frames: &mut self.frames,
                    stats: &mut self.stats,
                    dirty: &mut self.dirty,
                    telling: &mut self.telling,
                }
                .quiesce(entry, Error::Buffer);
            }
        }
        if failed {
            // None may leave that no record covers; those of other connections are sent again in time.
            self.frames.clear();
            self.dirty.clear();
        }
    }

    /// Has `write` write what connections have to tell. It is given a context and entries, and returns whether there was
    /// room for all of them.
    pub fn tell(&mut self, mut write: impl FnMut(u16, &[layout::Notification]) -> bool) {
        for handle in std::mem::take(&mut self.telling) {
            let Some(entry) = self.table.get_mut(handle) else {
                continue;
            };
            entry.telling = false;
            let Some(live) = entry.live_mut() else {
                continue;
            };
            let subject = live.subject(handle);
            let mut told = true;
            for (context, audience) in live.audience().into_iter().flatten() {
                let entries = live.pending.entries(&subject, audience);
                // Of two contexts the first may be told twice: what it is told are positions.
                told &= entries.is_empty() || write(context, &entries);
            }
            if told {
                live.pending = Pending::default();
            } else {
                entry.telling = true;
                self.telling.push(handle);
            }
        }
    }

    /// Quiesces all connections of a context that stopped.
    pub fn context_stopped(&mut self, context: u16) {
        let mut output = Output {
            frames: &mut self.frames,
            stats: &mut self.stats,
            dirty: &mut self.dirty,
            telling: &mut self.telling,
        };
        for entry in self.table.iter_mut() {
            if entry.live().is_some_and(|live| uses(live, context)) {
                output.quiesce(entry, Error::Context);
            }
        }
    }

    /// Whether connections name the context.
    pub fn uses_context(&self, context: u16) -> bool {
        self.table
            .iter()
            .filter_map(Entry::live)
            .any(|live| uses(live, context))
    }

    /// Adds what was counted.
    pub fn statistics(&self, values: &mut [u64; stat::END]) {
        let stats = &self.stats;
        for (place, value) in [
            (stat::CONNECTIONS, u64::from(self.table.count())),
            (stat::INSTALLED, stats.installed),
            (stat::HELD, stats.held),
            (stat::NOT_HELD, stats.not_held),
            (stat::PUNTS_LOST, stats.punts_lost),
            (stat::STALE_COMMANDS, stats.stale),
            (stat::CONNECTIONS_STOPPED, stats.stopped),
        ] {
            values[place] = value;
        }
        let mut totals = stats.finished;
        for live in self.table.iter().filter_map(Entry::live) {
            add(&mut totals, live);
        }
        values[stat::COUNTERS..][..totals.len()].copy_from_slice(&totals);
        for (place, (_, count)) in values[stat::DROPS..].iter_mut().zip(stats.rejects.drops()) {
            *place = count;
        }
        for (place, (_, count)) in values[stat::PUNTS..].iter_mut().zip(stats.rejects.punts()) {
            *place = count;
        }
    }
}

const _: () = assert!(DropReason::ALL.len() <= stat::PUNTS - stat::DROPS);
const _: () = assert!(PuntReason::ALL.len() <= stat::END - stat::PUNTS);

fn uses(live: &Live, context: u16) -> bool {
    live.audience()
        .into_iter()
        .flatten()
        .any(|(used, _)| used == context)
}

fn add(totals: &mut [u64; 13], live: &Live) {
    let values = counter_values(live.connection.post.counters());
    for (total, value) in totals.iter_mut().zip(values) {
        *total = total.wrapping_add(value);
    }
}

/// Where runs of the data-path leave what they put out.
struct Output<'a> {
    frames: &'a mut Batch,
    stats: &'a mut Stats,
    dirty: &'a mut Vec<u32>,
    telling: &'a mut Vec<u32>,
}

impl Output<'_> {
    /// Processes or holds a frame of `entry`, of which `packet` is what follows the link-layer header.
    fn process(
        &mut self,
        entry: &mut Entry,
        frame: &[u8],
        packet: &[u8],
        ident: &Ident,
        memory: &Memory,
        now: Micros,
    ) {
        let State::Live(live) = &mut entry.state else {
            if entry.hold(frame) {
                self.stats.held += 1;
            } else {
                self.stats.not_held += 1;
            }
            return;
        };
        let mut env = Environment {
            memory,
            frames: self.frames,
            now,
        };
        match live.receive(packet, ident, &mut env) {
            Ok((received, lost)) => {
                self.stats.punts_lost += u64::from(lost);
                match received {
                    Received::Processed(_) => {}
                    Received::Dropped(reason, _) => self.stats.rejects.drop(reason),
                    Received::Punted(reason, _) => self.stats.rejects.punt(reason),
                }
                self.changed(entry);
            }
            Err(_) => self.quiesce(entry, Error::Buffer),
        }
    }

    /// Remembers that `entry` may have something to write.
    fn changed(&mut self, entry: &mut Entry) {
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(entry.handle);
        }
        let tells = entry.live().is_some_and(|live| !live.pending.is_empty());
        if tells && !entry.telling {
            entry.telling = true;
            self.telling.push(entry.handle);
        }
    }

    /// Stops a live connection for an error.
    fn quiesce(&mut self, entry: &mut Entry, error: Error) {
        let state = std::mem::replace(&mut entry.state, State::Claimed);
        entry.state = match state {
            State::Live(mut live) => {
                self.stats.stopped += 1;
                live.pending.stop(error);
                State::Quiesced(live)
            }
            other => other,
        };
        self.changed(entry);
    }
}

/// The frames of connections that the host gets back, and what of the host there is to run with.
pub struct Context<'a> {
    /// The host.
    pub host: &'a Host,
    /// The time.
    pub now: Micros,
}
