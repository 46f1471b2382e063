// SPDX-License-Identifier: GPL-2.0

//! What the admin queue does to connections (section 6.1).

use super::{
    add,
    convert::{config_from_layout, Key},
    live::Live,
    pages::{BadPages, PageRing},
    pending::Pending,
    table::{Entry, Found, State},
    Context, Offload, Output,
};
use crate::layout::{ConnectionRead, Install, Neighbour, Status, Tuple, RECORD_ALIGN, RECORD_LEN};
use datapath::{
    npu::{inline::Outcome, pre, Connection},
    wire::ethernet::{self, Link},
};
use std::collections::VecDeque;

impl From<BadPages> for Status {
    fn from(bad: BadPages) -> Self {
        match bad {
            BadPages::Shift => Self::BadArgument,
            BadPages::Address => Self::BadAddress,
        }
    }
}

impl Offload {
    /// Begins to hold what arrives for a tuple; returns the connection's handle.
    pub fn claim(&mut self, tuple: &Tuple) -> Result<u32, Status> {
        let key = Key::from_layout(tuple, self.features)?;
        if self.table.has(&key) {
            return Err(Status::InUse);
        }
        self.table.add(key).ok_or(Status::TableFull)
    }

    /// The context that a live connection's commands come from.
    pub fn context_of(&self, handle: u32) -> Option<u16> {
        let live = self.table.get(handle)?.live()?;
        Some(live.connection.config().context)
    }

    fn entry(&mut self, handle: u32) -> Result<&mut Entry, Status> {
        match self.table.find(handle) {
            Found::Entry(entry) => Ok(entry),
            Found::Stale | Found::Never => Err(Status::NotFound),
        }
    }

    /// Makes a claim a connection. `valid` says whether a context is there.
    pub fn install(
        &mut self,
        handle: u32,
        install: &Install,
        context: &Context<'_>,
        valid: impl Fn(u16) -> bool,
    ) -> Result<(), Status> {
        let features = self.features;
        let entry = self.entry(handle)?;
        if !matches!(entry.state, State::Claimed) {
            return Err(Status::WrongState);
        }
        let c = &install.connection;
        let config = config_from_layout(c, &entry.key, features)?;
        if !valid(c.context.get()) || !valid(c.control.get()) {
            return Err(Status::ConfigField);
        }
        let connection = Connection::new(&config, context.now)?;
        let memory = &context.host.memory;
        let record = install.record.get();
        if record % RECORD_ALIGN != 0 || !memory.reachable(record, RECORD_LEN) {
            return Err(Status::BadAddress);
        }
        let rx = PageRing::new(
            memory,
            install.rx_pages.get(),
            config.rx.size,
            install.rx_page_shift,
        )?;
        let tx = PageRing::new(
            memory,
            install.tx_pages.get(),
            config.tx.size,
            install.tx_page_shift,
        )?;
        entry.state = State::Live(Box::new(Live {
            connection,
            rx,
            tx,
            record,
            version: 1,
            control: c.control.get(),
            told: Outcome::NONE,
            pending: Pending::default(),
        }));
        self.stats.installed += 1;
        self.replay(handle, context);
        Ok(())
    }

    /// Processes what was held of a connection that is live now.
    fn replay(&mut self, handle: u32, context: &Context<'_>) {
        let Some(entry) = self.table.get_mut(handle) else {
            return;
        };
        let mut output = Output {
            frames: &mut self.frames,
            stats: &mut self.stats,
            dirty: &mut self.dirty,
            telling: &mut self.telling,
        };
        output.changed(entry);
        for frame in std::mem::take(&mut entry.held) {
            let packet = ethernet::Frame::parse(&frame)
                .and_then(|link| frame.get(link.payload_offset..))
                .unwrap_or(&[]);
            // As it was when it was held.
            if let Ok(ident) = pre::identify(packet, packet.len()) {
                let memory = &context.host.memory;
                output.process(entry, &frame, packet, &ident, memory, context.now);
            }
        }
    }

    /// Gives up a claim; returns what it held, for the raw-frame queues.
    pub fn release(&mut self, handle: u32) -> Result<VecDeque<Vec<u8>>, Status> {
        let entry = self.entry(handle)?;
        if !matches!(entry.state, State::Claimed) {
            return Err(Status::WrongState);
        }
        let entry = self.table.remove(handle).ok_or(Status::NotFound)?;
        Ok(entry.held)
    }

    /// The full state of a connection.
    pub fn read(&mut self, handle: u32) -> Result<ConnectionRead, Status> {
        let entry = self.entry(handle)?;
        let live = entry.live().ok_or(Status::WrongState)?;
        Ok(live.read(&entry.key))
    }

    /// Stops processing a connection, and holds what arrives; returns its state.
    pub fn quiesce(&mut self, handle: u32) -> Result<ConnectionRead, Status> {
        let state = self.read(handle)?;
        let entry = self.entry(handle)?;
        entry.state = match std::mem::replace(&mut entry.state, State::Claimed) {
            State::Live(live) => State::Quiesced(live),
            other => {
                entry.state = other;
                return Err(Status::WrongState);
            }
        };
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(handle);
        }
        Ok(state)
    }

    /// Goes on with a connection that was quiesced.
    pub fn resume(&mut self, handle: u32, context: &Context<'_>) -> Result<(), Status> {
        let entry = self.entry(handle)?;
        entry.state = match std::mem::replace(&mut entry.state, State::Claimed) {
            State::Quiesced(live) => State::Live(live),
            other => {
                entry.state = other;
                return Err(Status::WrongState);
            }
        };
        self.replay(handle, context);
        Ok(())
    }

    /// Takes a connection out, or makes it a claim again if `hold` is set.
    pub fn remove(&mut self, handle: u32, hold: bool) -> Result<(), Status> {
        let entry = self.entry(handle)?;
        if entry.live().is_none() {
            return Err(Status::WrongState);
        }
        let state = std::mem::replace(&mut entry.state, State::Claimed);
        if let State::Live(live) | State::Quiesced(live) = state {
            add(&mut self.stats.finished, &live);
        }
        if !hold {
            self.table.remove(handle);
        }
        Ok(())
    }

    /// Has connections whose next hop had one address send to another; returns how many.
    pub fn set_neighbour(&mut self, neighbour: &Neighbour) -> u32 {
        let mut changed = 0;
        for live in self.table.iter_mut().filter_map(Entry::live_mut) {
            let mut path = *live.connection.pre.path();
            let Link::Ethernet { destination, .. } = &mut path.link else {
                continue;
            };
            if *destination == neighbour.old_mac {
                *destination = neighbour.new_mac;
                // Nothing else changes, so it is as right as it was.
                changed += u32::from(live.connection.pre.set_path(path).is_ok());
            }
        }
        changed
    }
}
