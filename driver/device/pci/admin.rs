// SPDX-License-Identifier: GPL-2.0
//! The admin queue: one command at a time, waited for.

use super::{
    fault::Fault,
    queue::{Status, Submission},
    registers::{Bell, QueueNumber, Registers},
};
use crate::net::{
    clock,
    device_abi::{self as abi, reg, AdminCommand, AdminCompletion},
    dma::{full_barrier, DmaMemory, Plain, Ring},
};
use kernel::{
    device::{Bound, Device},
    new_mutex,
    prelude::*,
    processor::cpu_relax,
    sync::Mutex,
    time::{delay::fsleep, Delta},
};

/// Why a command wasn't executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The device refuses it, with a `TOE_STATUS_*`.
    Refused(u32),
    /// The device doesn't answer, or not to the point: that was told as an event. It may have executed the command.
    Lost,
    /// The device was lost before, and wasn't asked.
    Unasked,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(abi::STATUS_NO_MEMORY | abi::STATUS_TABLE_FULL) => ENOSPC,
            Failure::Refused(abi::STATUS_IN_USE) => EBUSY,
            Failure::Refused(abi::STATUS_NOT_FOUND) => ENOENT,
            Failure::Refused(_) => EINVAL,
            Failure::Lost | Failure::Unasked => EIO,
        }
    }
}

/// What a command says besides its input.
#[derive(Clone, Copy, Default)]
pub(super) struct Request {
    /// `TOE_ADMIN_*`.
    pub(super) op: u8,
    /// Flags of the operation.
    pub(super) flags: u8,
    /// Context, pair, queue or connection.
    pub(super) target: u32,
    /// Further arguments.
    pub(super) args: [u32; 2],
}

/// Values a completion carries.
pub(super) type Values = [u32; 4];

/// What the device tells without being asked.
pub(super) enum Event {
    /// The link came up or went down.
    Link { up: bool },
    /// A queue was stopped for an error.
    QueueStopped { queue: u32, error: u32 },
    /// It told nonsense, or nothing.
    Wrong(Fault),
}

/// The admin queue.
#[pin_data]
pub(super) struct Admin {
    cq: Ring<AdminCompletion>,
    status: Status,
    input: DmaMemory,
    output: DmaMemory,
    #[pin]
    state: Mutex<State>,
}

struct State {
    sq: Submission<AdminCommand>,
    completed: u32,
    next_id: u16,
    /// The device was lost: nothing is asked any more until it is reset.
    lost: bool,
}

impl Admin {
    const ENTRIES: u32 = 32;

    /// Longest input and output in bytes.
    const BUFFER: usize = 4096;

    /// How long a command may take, in microseconds.
    const PATIENCE_US: u64 = 2_000_000;

    /// Most entries that a device has to tell at once without being asked.
    const MOST_EVENTS: u32 = 1024;

    pub(super) fn new(dev: &Device<Bound>) -> impl PinInit<Self, Error> + '_ {
        try_pin_init!(Self {
            cq: Ring::new(dev, Self::ENTRIES)?,
            status: Status::new(dev)?,
            input: DmaMemory::new(dev, Self::BUFFER)?,
            output: DmaMemory::new(dev, Self::BUFFER)?,
            state <- new_mutex!(
                State {
                    sq: Submission::new(dev, Self::ENTRIES)?,
                    completed: 0,
                    next_id: 0,
                    lost: true,
                },
                "Admin::state"
            ),
        }? Error)
    }

    /// Tells a device that is disabled where the queue is. Commands can be executed once it is enabled.
    pub(super) fn configure(&self, registers: &Registers, vector: u16) {
        let mut state = self.state.lock();
        self.cq.clear();
        self.status.clear();
        state.sq.clear();
        state.completed = 0;
        state.lost = false;
        registers.write64(reg::ADMIN_SQ_LO, state.sq.ring().address());
        registers.write64(reg::ADMIN_CQ_LO, self.cq.address());
        registers.write64(reg::ADMIN_STATUS_LO, self.status.address());
        registers.write(reg::ADMIN_SQ_ENTRIES, Self::ENTRIES);
        registers.write(reg::ADMIN_CQ_ENTRIES, Self::ENTRIES);
        registers.write(reg::ADMIN_VECTOR, u32::from(vector));
        registers.ring(QueueNumber::ADMIN, Bell::SubmissionTail, 0);
        registers.ring(QueueNumber::ADMIN, Bell::CompletionHead, 0);
        registers.ring(QueueNumber::ADMIN, Bell::CompletionArm, 0);
    }

    /// Executes no more commands.
    pub(super) fn give_up(&self) {
        self.state.lock().lost = true;
    }

    /// Executes a command without input and output. May sleep, as the others.
    pub(super) fn execute(
        &self,
        registers: &Registers,
        request: Request,
        events: &mut dyn FnMut(Event),
    ) -> Result<Values, Failure> {
        let mut state = self.state.lock();
        self.run(&mut state, registers, request, 0, 0, events)
    }

    /// Executes a command with input.
    pub(super) fn execute_with<I: Plain>(
        &self,
        registers: &Registers,
        request: Request,
        input: &I,
        events: &mut dyn FnMut(Event),
    ) -> Result<Values, Failure> {
        let mut state = self.state.lock();
        self.input.write(0, input).map_err(|_| Failure::Unasked)?;
        self.run(&mut state, registers, request, size_of::<I>(), 0, events)
    }

    /// Executes a command with output.
    pub(super) fn execute_for<O: Plain>(
        &self,
        registers: &Registers,
        request: Request,
        events: &mut dyn FnMut(Event),
    ) -> Result<(Values, O), Failure> {
        let mut state = self.state.lock();
        let values = self.run(&mut state, registers, request, 0, size_of::<O>(), events)?;
        let output = self.output.read(0).map_err(|_| Failure::Lost)?;
        Ok((values, output))
    }

    /// Takes in what the device tells by itself.
    pub(super) fn drain(&self, registers: &Registers, events: &mut dyn FnMut(Event)) {
        let mut state = self.state.lock();
        if state.lost {
            return;
        }
        for _ in 0..Self::MOST_EVENTS {
            match self.next(&mut state, events) {
                Some(None) => continue,
                // Nothing is waited for.
                Some(Some(_)) => events(Event::Wrong(Fault::Completions)),
                None => {}
            }
            self.consume(&state, registers);
            full_barrier();
            if self.cq.read_new(state.completed).is_none() {
                return;
            }
        }
        events(Event::Wrong(Fault::Completions));
    }

    fn consume(&self, state: &State, registers: &Registers) {
        registers.ring(QueueNumber::ADMIN, Bell::CompletionHead, state.completed);
        registers.ring(QueueNumber::ADMIN, Bell::CompletionArm, state.completed);
    }

    /// The next completion; `Some(None)` if it is an event, which was told.
    fn next(
        &self,
        state: &mut State,
        events: &mut dyn FnMut(Event),
    ) -> Option<Option<AdminCompletion>> {
        let completion = self.cq.read_new(state.completed)?;
        state.completed = state.completed.wrapping_add(1);
        match completion.kind {
            abi::ADMIN_KIND_DONE => return Some(Some(completion)),
            abi::ADMIN_KIND_LINK if completion.value[0] <= 1 => events(Event::Link {
                up: completion.value[0] != 0,
            }),
            abi::ADMIN_KIND_QUEUE_STOPPED => events(Event::QueueStopped {
                queue: completion.value[0],
                error: completion.value[1],
            }),
            _ => events(Event::Wrong(Fault::Completions)),
        }
        Some(None)
    }

    fn run(
        &self,
        state: &mut State,
        registers: &Registers,
        request: Request,
        in_len: usize,
        out_len: usize,
        events: &mut dyn FnMut(Event),
    ) -> Result<Values, Failure> {
        if state.lost {
            return Err(Failure::Unasked);
        }
        if state.sq.advance(&self.status).is_err() || state.sq.room() == 0 {
            return lost(state, events, Fault::Heads);
        }
        state.next_id = state.next_id.wrapping_add(1);
        let id = state.next_id;
        let mut command = AdminCommand {
            op: request.op,
            flags: request.flags,
            id,
            target: request.target,
            in_: self.input.address(),
            in_len: in_len as u32,
            out_len: out_len as u32,
            out: self.output.address(),
            arg: [0; 8],
        };
        command.arg[..2].copy_from_slice(&request.args);
        state.sq.push(&command);
        if !state.sq.submit(registers, QueueNumber::ADMIN, &self.status) {
            return lost(state, events, Fault::Heads);
        }
        let answer = self.wait(state, events);
        self.consume(state, registers);
        match answer {
            Some(done) if done.id != id => lost(state, events, Fault::Completions),
            Some(done) if !plausible(request.op, &done) => lost(state, events, Fault::Answers),
            Some(done) if done.status != abi::STATUS_OK => Err(Failure::Refused(done.status)),
            Some(done) => Ok(done.value),
            None => lost(state, events, Fault::Silent),
        }
    }

    /// Waits for a command's completion: at first without sleeping, for most take less than that.
    fn wait(&self, state: &mut State, events: &mut dyn FnMut(Event)) -> Option<AdminCompletion> {
        const SPIN_US: u64 = 50;
        let start = clock::now_us();
        loop {
            let told = self.next(state, events);
            if let Some(Some(done)) = told {
                return Some(done);
            }
            match clock::now_us() - start {
                0..Self::PATIENCE_US if told.is_some() => {}
                0..SPIN_US => cpu_relax(),
                SPIN_US..Self::PATIENCE_US if !self.status.stopped() => {
                    fsleep(Delta::from_micros(SPIN_US as i64))
                }
                _ => return None,
            }
        }
    }
}

/// Executes no more commands, for the device is in the wrong.
fn lost(state: &mut State, events: &mut dyn FnMut(Event), fault: Fault) -> Result<Values, Failure> {
    state.lost = true;
    events(Event::Wrong(fault));
    Err(Failure::Lost)
}

/// Whether a command `op` can be answered like that.
fn plausible(op: u8, done: &AdminCompletion) -> bool {
    let defined = matches!(
        done.status,
        abi::STATUS_OK..=abi::STATUS_TEST_FAILED
            | abi::STATUS_CONFIG_MSS..=abi::STATUS_CONFIG_FIELD
    );
    let value = match op {
        abi::ADMIN_CLAIM => done.status != abi::STATUS_OK || done.value[0] != 0,
        abi::ADMIN_GET_STATS => done.value[0] as usize <= abi::STAT_END,
        abi::ADMIN_SELF_TEST => true,
        _ => done.value[0] == 0,
    };
    defined && value
}
