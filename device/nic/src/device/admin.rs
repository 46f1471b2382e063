// SPDX-License-Identifier: GPL-2.0

//! The admin queue (section 5 of the interface).

use super::{
    registers::Registers,
    running::{ContextQueue, Running},
    Config, Link,
};
use crate::{
    clock::Clock,
    host::Host,
    layout::{
        admin, feature, kind, rx_mode, AdminCommand, AdminCompletion, Command, ConnectionRead,
        ContextSetup, Error, Install, Neighbour, PairSetup, Status, CONTEXT_PRIVILEGED,
        REMOVE_HOLD, RX_MAX_ADDRESSES,
    },
    memory::Unreachable,
    offload::{Context, Issuer},
    queue::{BadRing, Queue, Ring},
    raw::{steer::Rss, Pair},
};
use datapath::units::Micros;
use std::time::Instant;
use zerocopy::{FromBytes, IntoBytes};

/// What a command answers.
type Answer = Result<[u32; 4], Status>;

const NOTHING: [u32; 4] = [0; 4];

fn value(value: u32) -> [u32; 4] {
    [value, 0, 0, 0]
}

impl From<Unreachable> for Status {
    fn from(_: Unreachable) -> Self {
        Self::BadAddress
    }
}

impl From<Error> for Status {
    fn from(_: Error) -> Self {
        // The device fails as soon as the command is completed.
        Self::NoMemory
    }
}

impl From<BadRing> for Status {
    fn from(bad: BadRing) -> Self {
        match bad {
            BadRing::Entries => Self::BadArgument,
            BadRing::Address => Self::BadAddress,
        }
    }
}

/// The admin queue.
pub(super) struct Admin {
    pub(super) queue: Queue,
    sq: Ring,
    cq: Ring,
    /// Events that there was no room for yet, at most one for each subject.
    events: Vec<AdminCompletion>,
    link_told: bool,
}

impl Admin {
    pub(super) fn new(host: &Host, registers: &Registers, config: &Config) -> Result<Self, Error> {
        let make = || -> Result<Self, BadRing> {
            let vector = u16::try_from(registers.vector)
                .ok()
                .filter(|vector| host.vectors.valid(*vector))
                .ok_or(BadRing::Entries)?;
            let max = config.entries;
            let (sq, cq) = (registers.admin_sq(), registers.admin_cq());
            Ok(Self {
                sq: Ring::new::<AdminCommand>(host, sq, registers.sq_entries, max)?,
                cq: Ring::new::<AdminCompletion>(host, cq, registers.cq_entries, max)?,
                queue: Queue::new(host, 0, registers.admin_status(), vector, 0)?,
                events: Vec::new(),
                link_told: false,
            })
        };
        make().map_err(|_| Error::AdminQueue)
    }

    /// The queue with its ring.
    pub(super) fn queues(&self) -> impl Iterator<Item = (&Queue, &Ring)> {
        std::iter::once((&self.queue, &self.sq))
    }

    fn event(&mut self, kind: u8, value: [u32; 4]) {
        let mut event = AdminCompletion::zeroed();
        event.kind = kind;
        event.value = value.map(Into::into);
        let link = kind == kind::LINK;
        self.events
            .retain(|old| old.kind != kind || (!link && old.value[0] != event.value[0]));
        self.events.push(event);
    }

    pub(super) fn queue_stopped(&mut self, queue: &Queue, error: Error) {
        let value = [queue.number(), error as u32, queue.sq_head(), 0];
        self.event(kind::QUEUE_STOPPED, value);
    }

    /// Writes the events there is room for; returns how much room is left.
    fn tell(&mut self, host: &Host) -> Result<u32, Error> {
        let mut room = self.queue.room(host, &self.cq)?;
        let count = self.events.len().min(room as usize);
        for event in self.events.drain(..count) {
            self.queue.complete(host, &self.cq, event)?;
            room -= 1;
        }
        Ok(room)
    }

    fn next(&mut self, host: &Host) -> Result<Option<AdminCommand>, Error> {
        if self.queue.submitted(host, &self.sq)? == 0 {
            return Ok(None);
        }
        self.sq.read(host, self.queue.sq_head()).map(Some)
    }

    fn complete(&mut self, host: &Host, id: u16, answer: Answer) -> Result<(), Error> {
        let mut done = AdminCompletion::zeroed();
        done.kind = kind::DONE;
        done.id = id.into();
        match answer {
            Ok(value) => done.value = value.map(Into::into),
            Err(status) => done.status = (status as u32).into(),
        }
        self.queue.complete(host, &self.cq, done)?;
        self.queue.done(1);
        Ok(())
    }
}

/// What a command is executed with.
struct Call<'a> {
    host: &'a Host,
    link: &'a mut Link,
    clock: &'a Clock,
    now: Instant,
    command: AdminCommand,
}

impl Call<'_> {
    fn arg(&self, n: usize) -> u32 {
        self.command.arg.get(n).map_or(0, |arg| arg.get())
    }

    fn target(&self) -> u32 {
        self.command.target.get()
    }

    /// The target as an index.
    fn index(&self) -> usize {
        self.target() as usize
    }

    fn time(&mut self) -> Micros {
        self.clock.read(self.now)
    }

    fn input<T: FromBytes + IntoBytes>(&self) -> Result<T, Status> {
        if (self.command.input_len.get() as usize) < size_of::<T>() {
            return Err(Status::BadArgument);
        }
        Ok(self.host.memory.read(self.command.input.get())?)
    }

    /// Checks that a `T` can be put out.
    fn check_output<T>(&self) -> Result<(), Status> {
        let size = size_of::<T>() as u64;
        if u64::from(self.command.output_len.get()) < size {
            return Err(Status::BadArgument);
        }
        let reachable = self.host.memory.reachable(self.command.output.get(), size);
        reachable.then_some(()).ok_or(Status::BadAddress)
    }

    fn output_state(&self, mut state: ConnectionRead) -> Result<(), Status> {
        let address = self.command.output.get();
        self.host.nonsense.garble(&mut state);
        Ok(self.host.memory.write_bytes(address, state.as_bytes())?)
    }
}

impl Running {
    /// Executes the admin commands there are; returns whether there were any.
    pub(super) fn run_admin(
        &mut self,
        host: &Host,
        link: &mut Link,
        clock: &Clock,
        now: Instant,
    ) -> Result<bool, Error> {
        if self.admin.link_told != link.up {
            self.admin.link_told = link.up;
            let up = u32::from(link.up);
            self.admin.event(kind::LINK, [up, link.speed * up, 0, 0]);
        }
        let mut worked = false;
        while self.admin.tell(host)? > 0 {
            let Some(command) = self.admin.next(host)? else {
                break;
            };
            worked = true;
            let mut call = Call {
                host,
                link,
                clock,
                now,
                command,
            };
            let answer = self.execute(&mut call);
            // Records and notifications that the command caused come before its completion.
            self.flush(host, link)?;
            self.admin.complete(host, command.id.get(), answer)?;
        }
        Ok(worked)
    }

    fn execute(&mut self, call: &mut Call<'_>) -> Answer {
        match call.command.op {
            admin::NOP | admin::SELF_TEST => Ok(NOTHING),
            admin::SET_TIME => self.set_time(call),
            admin::CREATE_CONTEXT => self.create_context(call),
            admin::DESTROY_CONTEXT => self.destroy_context(call),
            admin::CREATE_PAIR => self.create_pair(call),
            admin::DESTROY_PAIR => self.destroy_pair(call),
            admin::SET_MODERATION => self.set_moderation(call),
            admin::SET_RSS => self.set_rss(call),
            admin::SET_RX_MODE => self.set_rx_mode(call),
            admin::SET_MTU => self.set_mtu(call),
            admin::GET_STATS => self.get_stats(call),
            admin::CAPTURE | admin::LOAD_PROGRAM => Err(Status::Unsupported),
            _ => self.execute_on_connection(call),
        }
    }

    fn set_time(&mut self, call: &mut Call<'_>) -> Answer {
        let time = (u64::from(call.arg(1)) << 32) | u64::from(call.arg(0));
        let steady = self.offload.connections() > 0;
        let before = call.time();
        if !call.clock.set(call.now, time, steady) {
            return Err(Status::InUse);
        }
        if call.time() < before && self.offload.restart().is_err() {
            return Err(Status::NoMemory);
        }
        Ok(NOTHING)
    }

    fn create_context(&mut self, call: &Call<'_>) -> Answer {
        let index = call.index();
        let setup: ContextSetup = call.input()?;
        let place = self.contexts.get_mut(index).ok_or(Status::NotFound)?;
        if place.is_some() {
            return Err(Status::InUse);
        }
        let flags = setup.flags.get();
        if flags & !CONTEXT_PRIVILEGED != 0 || !call.host.vectors.valid(setup.vector.get()) {
            return Err(Status::BadArgument);
        }
        if flags & CONTEXT_PRIVILEGED == 0 && self.features & feature::USER_CONTEXTS == 0 {
            return Err(Status::Unsupported);
        }
        let entries = self.limits.entries;
        *place = Some(ContextQueue::new(call.host, index as u16, &setup, entries)?);
        Ok(NOTHING)
    }

    fn destroy_context(&mut self, call: &Call<'_>) -> Answer {
        let index = call.index();
        let place = self.contexts.get_mut(index).ok_or(Status::NotFound)?;
        if place.is_none() {
            return Err(Status::NotFound);
        }
        if self.offload.uses_context(index as u16) {
            return Err(Status::InUse);
        }
        *place = None;
        Ok(NOTHING)
    }

    fn create_pair(&mut self, call: &Call<'_>) -> Answer {
        let index = call.index();
        let setup: PairSetup = call.input()?;
        let first = 1 + self.contexts.len() as u32;
        let place = self.pairs.get_mut(index).ok_or(Status::NotFound)?;
        if place.is_some() {
            return Err(Status::InUse);
        }
        if !call.host.vectors.valid(setup.vector.get()) {
            return Err(Status::BadArgument);
        }
        let number = first + index as u32;
        *place = Some(Pair::new(call.host, number, &setup, &self.limits)?);
        Ok(NOTHING)
    }

    fn destroy_pair(&mut self, call: &Call<'_>) -> Answer {
        let place = self.pairs.get_mut(call.index()).ok_or(Status::NotFound)?;
        place.take().map(|_| NOTHING).ok_or(Status::NotFound)
    }

    fn set_moderation(&mut self, call: &Call<'_>) -> Answer {
        let number = call.index();
        let contexts = self.contexts.len();
        let queue = match number.checked_sub(1) {
            None => Some(&mut self.admin.queue),
            Some(id) if id < contexts => self.contexts[id].as_mut().map(|c| &mut c.queue),
            Some(id) => self
                .pairs
                .get_mut(id - contexts)
                .and_then(Option::as_mut)
                .map(|pair| &mut pair.queue),
        };
        queue.ok_or(Status::NotFound)?.usecs = call.arg(0);
        Ok(NOTHING)
    }

    fn set_rss(&mut self, call: &Call<'_>) -> Answer {
        if self.features & feature::RSS == 0 {
            return Err(Status::Unsupported);
        }
        self.rss = Some(Rss::new(&call.input()?));
        Ok(NOTHING)
    }

    fn set_rx_mode(&mut self, call: &Call<'_>) -> Answer {
        if self.features & feature::RX_FILTER == 0 {
            return Err(Status::Unsupported);
        }
        const ALL: u32 =
            rx_mode::UNICAST | rx_mode::BROADCAST | rx_mode::ALL_MULTICAST | rx_mode::PROMISCUOUS;
        let (mode, count) = (call.arg(0), call.arg(1));
        if mode & !ALL != 0 || count > RX_MAX_ADDRESSES || call.command.input_len.get() < count * 6
        {
            return Err(Status::BadArgument);
        }
        let mut bytes = vec![0; count as usize * 6];
        call.host
            .memory
            .read_bytes(call.command.input.get(), &mut bytes)?;
        let addresses = bytes
            .chunks_exact(6)
            .filter_map(|chunk| chunk.first_chunk().copied())
            .collect();
        self.filter.set(mode, addresses);
        Ok(NOTHING)
    }

    fn set_mtu(&mut self, call: &Call<'_>) -> Answer {
        let mtu = call.arg(0) as usize;
        if !(68..=self.max_mtu).contains(&mtu) {
            return Err(Status::BadArgument);
        }
        self.limits.mtu = mtu;
        Ok(NOTHING)
    }

    fn get_stats(&mut self, call: &Call<'_>) -> Answer {
        let values = self.statistics(call.host, call.link);
        let count = values.len().min(call.command.output_len.get() as usize / 8);
        let bytes: Vec<u8> = values[..count]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let address = call.command.output.get();
        call.host.memory.write_bytes(address, &bytes)?;
        Ok(value(count as u32))
    }

    fn execute_on_connection(&mut self, call: &mut Call<'_>) -> Answer {
        let handle = call.target();
        let now = call.time();
        let host = call.host;
        self.offload.set_time(now);
        let context = Context { host, now };
        match call.command.op {
            admin::CLAIM => {
                let tuple = call.input()?;
                // Nothing of the tuple that arrived earlier is under way: frames are handed on as they are taken.
                self.offload.claim(&tuple).map(value)
            }
            admin::INSTALL => {
                let install: Install = call.input()?;
                let contexts = &self.contexts;
                let valid = |id: u16| matches!(contexts.get(usize::from(id)), Some(Some(c)) if !c.queue.stopped());
                self.offload
                    .install(handle, &install, &context, valid)
                    .map(|()| NOTHING)
            }
            admin::RELEASE => {
                for frame in self.offload.release(handle)? {
                    if let Err(why) = self.receive_raw(host, &frame) {
                        call.link.drop_received(why);
                    }
                }
                Ok(NOTHING)
            }
            admin::READ => {
                call.check_output::<ConnectionRead>()?;
                call.output_state(self.offload.read(handle)?)?;
                Ok(NOTHING)
            }
            admin::QUIESCE | admin::REMOVE => self.stop_connection(call),
            admin::RESUME => self.offload.resume(handle).map(|()| NOTHING),
            admin::EXECUTE => {
                let command: Command = call.input()?;
                self.offload
                    .execute(Issuer::Privileged, &command)
                    .map(|()| NOTHING)
                    .map_err(|_| Status::BadArgument)
            }
            admin::SET_NEIGHBOUR => {
                let neighbour: Neighbour = call.input()?;
                Ok(value(self.offload.set_neighbour(&neighbour)))
            }
            _ => Err(Status::BadOp),
        }
    }

    fn stop_connection(&mut self, call: &mut Call<'_>) -> Answer {
        let handle = call.target();
        let hold = call.command.flags & REMOVE_HOLD != 0;
        call.check_output::<ConnectionRead>()?;
        if let Some(context) = self.offload.context_of(handle) {
            // At most as many as the ring has: the host can't keep this busy by adding more.
            self.run_context(call.host, context, self.limits.entries)?;
        }
        let quiesced = self.offload.quiesce(handle);
        if call.command.op == admin::QUIESCE {
            call.output_state(quiesced?)?;
            return Ok(NOTHING);
        }
        // One that is quiesced already may be removed, too.
        let state = quiesced.or_else(|_| self.offload.read(handle))?;
        // The record and the frames that the commands caused, before the connection is forgotten.
        self.flush(call.host, call.link)?;
        self.offload.remove(handle, hold)?;
        call.output_state(state)?;
        Ok(NOTHING)
    }
}
