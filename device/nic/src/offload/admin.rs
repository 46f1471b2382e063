// SPDX-License-Identifier: GPL-2.0

//! What the admin queue does to connections (section 6.1).

use super::{
    add,
    convert::{ack_delay, config_from_layout, interval, Key},
    live::Live,
    pages::{BadPages, PageRing},
    table::{Entry, Flow, Found, State},
    Context, Offload,
};
use crate::layout::{ConnectionRead, Install, Neighbour, Status, Tuple, RECORD_ALIGN, RECORD_LEN};
use datapath::{
    npu::{
        meta::{Command, HostControl},
        Connection,
    },
    wire::ethernet::Link,
};
use pipeline::{InstallError, Request};
use std::{collections::VecDeque, sync::Arc};

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
        let flow = self.table.get(handle)?.flow()?;
        Some(flow.live.context())
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
        let state = Connection::new(&config, context.now)?;
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
        let live = Live::new(handle, (rx, tx), record, c.control.get(), &state);
        let flow = Flow::new(Arc::new(live), &state, c.rate.get(), c.ack_delay.get());
        self.go_on(handle, flow, &state)?;
        self.stats.installed += 1;
        Ok(())
    }

    /// Has the stages process a connection from this state on, beginning with what was held.
    fn go_on(&mut self, handle: u32, flow: Flow, state: &Connection) -> Result<(), Status> {
        let entry = self.entry(handle)?;
        let (conn, limit) = (entry.conn(), interval(flow.rate));
        let ack_delay = ack_delay(flow.ack_delay);
        self.engine.set(conn, Some(Arc::clone(&flow.live)));
        while let Err(error) = self.input.adopt(conn, state, limit) {
            if error != InstallError::Busy {
                // Both tables have the same connections.
                return Err(Status::InUse);
            }
            self.make_room()?;
        }
        self.request(conn, Request::DelayAcks(ack_delay))?;
        let entry = self.entry(handle)?;
        entry.state = State::Live(flow);
        for frame in std::mem::take(&mut entry.held) {
            self.process(frame)?;
        }
        // Its record comes before the completion.
        Ok(self.catch_up()?)
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
        let flow = entry.flow().ok_or(Status::WrongState)?;
        let live = Arc::clone(&flow.live);
        let (key, rate, ack_delay) = (entry.key, flow.rate, flow.ack_delay);
        let state = match entry.live() {
            Some(conn) => {
                self.request(conn, Request::Read)?;
                self.catch_up()?;
                *live.take_answer().ok_or(Status::WrongState)?
            }
            None => live.state(),
        };
        Ok(live.read(&state, &key, rate, ack_delay))
    }

    /// Stops processing a connection, and holds what arrives; returns its state.
    pub fn quiesce(&mut self, handle: u32) -> Result<ConnectionRead, Status> {
        let entry = self.entry(handle)?;
        let conn = entry.live().ok_or(Status::WrongState)?;
        self.request(conn, Request::Remove)?;
        self.catch_up()?;
        self.end(handle, None).ok_or(Status::WrongState)?;
        self.read(handle)
    }

    /// Goes on with a connection that was quiesced.
    pub fn resume(&mut self, handle: u32) -> Result<(), Status> {
        let entry = self.entry(handle)?;
        let conn = entry.conn();
        let flow = match std::mem::replace(&mut entry.state, State::Claimed) {
            State::Quiesced(flow) => flow,
            other => {
                entry.state = other;
                return Err(Status::WrongState);
            }
        };
        let state = flow.live.state();
        flow.live.resume();
        let flow = Flow::new(flow.live, &state, flow.rate, flow.ack_delay);
        self.go_on(handle, flow, &state)?;
        let kick = HostControl {
            commands: Command::KICK,
            ..HostControl::default()
        };
        Ok(self.request(conn, Request::Control(kick))?)
    }

    /// Takes out a connection that is quiesced, or makes it a claim again if `hold` is set.
    pub fn remove(&mut self, handle: u32, hold: bool) -> Result<(), Status> {
        let entry = self.entry(handle)?;
        match std::mem::replace(&mut entry.state, State::Claimed) {
            State::Quiesced(flow) => add(&mut self.stats.finished, &flow.live.state()),
            other => {
                entry.state = other;
                return Err(Status::WrongState);
            }
        }
        if !hold {
            self.table.remove(handle);
        }
        Ok(())
    }

    /// Has connections whose next hop had one address send to another; returns how many.
    pub fn set_neighbour(&mut self, neighbour: &Neighbour) -> u32 {
        let mut changed = 0;
        for entry in self.table.iter_mut() {
            let (conn, live) = (entry.conn(), entry.live().is_some());
            let Some(flow) = entry.flow() else {
                continue;
            };
            let update = |pre: &mut datapath::npu::PreState| {
                let mut path = *pre.path();
                let Link::Ethernet { destination, .. } = &mut path.link else {
                    return false;
                };
                let affected = *destination == neighbour.old_mac;
                if affected {
                    *destination = neighbour.new_mac;
                }
                // Nothing else changes, so it is as right as it was.
                affected && pre.set_path(path).is_ok()
            };
            let updated = if live {
                self.input.update(conn, update).unwrap_or(false)
            } else {
                flow.live.update(update)
            };
            changed += u32::from(updated);
        }
        changed
    }
}
