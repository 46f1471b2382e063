// SPDX-License-Identifier: GPL-2.0
//! A connection that a NIC carries.

mod told;

use super::{
    admin::Failure,
    context::Context,
    convert,
    device::{Offload, PciHold},
    message,
    record::Record,
    table::{Cookie, Entry},
    Request,
};
use crate::{
    driver::{
        device::{Events, Hold, Install, Marks, OffloadedConnection, Refusal},
        family::stream::PayloadBuffers,
    },
    net::{
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        device_abi as abi,
        dma::MappedBuffer,
        dst::Dst,
        errno::{EALREADY, ENOTCONN},
        rcu_slot::Reserved,
    },
};
use datapath::{
    npu::{
        config::{Fin, Path},
        meta::Command,
        proto::Timers,
        state::ConnectionCounters,
        ConnectionConfig, HostControl,
    },
    units::{Bytes, Micros},
};
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{atomic::Atomic, rcu, Arc},
    workqueue::{Work, WorkItem},
};

/// A connection.
#[pin_data]
pub(super) struct PciConnection {
    offload: Arc<Offload>,
    context: Arc<Context>,
    handle: u32,
    /// The NIC's when the handle was given.
    generation: u32,
    pub(super) cookie: Cookie,
    record: Record,
    rx: MappedBuffer<PayloadBuffers>,
    tx: MappedBuffer<PayloadBuffers>,
    #[pin]
    state: BhSpinLock<State>,
    /// Something is being told; see [`Self::silence`].
    telling: Atomic<u32>,
    #[pin]
    stopped: Work<PciConnection>,
}

/// What changes of a connection on this side.
struct State {
    /// As it was installed, with what was changed since by this side.
    config: ConnectionConfig,
    /// Where the program's side is.
    tx_tail: u32,
    rx_head: u32,
    /// Where the NIC said it is.
    tx_head: u32,
    rx_tail: u32,
    fin: bool,
    /// What the NIC has told that the connection waits for, and was not asked to tell anew.
    told: u8,
    phase: Phase,
}

impl State {
    /// Takes in how far the NIC says it is; returns bytes received and acknowledged since. `EIO` if it can't be there.
    #[inline]
    fn progress(&mut self, notification: &abi::Notification) -> Result<(Bytes, Bytes)> {
        let (rx_tail, tx_head) = (notification.rx_tail, notification.tx_head);
        let rx_bytes = rx_tail.wrapping_sub(self.rx_tail);
        let tx_acked = tx_head.wrapping_sub(self.tx_head);
        let readable = rx_tail.wrapping_sub(self.rx_head);
        let unacknowledged = self.tx_tail.wrapping_sub(self.tx_head);
        if readable > self.config.rx.size || rx_bytes > readable || tx_acked > unacknowledged {
            return Err(EIO);
        }
        self.rx_tail = rx_tail;
        self.tx_head = tx_head;
        Ok((Bytes(rx_bytes), Bytes(tx_acked)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Carried.
    Live,
    /// Being removed: what the NIC still has to tell is told.
    Leaving,
    /// Removed.
    Gone,
}

impl_has_work! {
    impl HasWork<Self> for PciConnection { self.stopped }
}

impl WorkItem for PciConnection {
    type Pointer = Arc<Self>;

    /// The NIC has stopped the connection.
    fn run(this: Arc<Self>) {
        if let Some((_, events)) = this.known() {
            events.device_gone();
        }
    }
}

impl PciConnection {
    /// Makes the connection that `install` describes, of the claim `handle` of `generation`, and has the NIC carry it.
    pub(super) fn install(
        offload: &Arc<Offload>,
        handle: u32,
        generation: u32,
        install: &Install<'_>,
    ) -> Result<Arc<Self>, Refusal> {
        let binding = &offload.nic.binding;
        let config = *install.config;
        let map = |buffer| {
            MappedBuffer::new(binding, &install.buffers, buffer).map_err(|_| Refusal::NoMemory)
        };
        let rx = map(|buffers| &buffers.rx)?;
        let tx = map(|buffers| &buffers.tx)?;
        let record = Record::new(binding).map_err(|_| Refusal::NoMemory)?;
        let room = Reserved::new().map_err(|_| Refusal::NoMemory)?;
        let cookie = offload.table.take()?;
        let this = Arc::pin_init(
            pin_init!(Self {
                offload: offload.clone(),
                context: offload.next_context(),
                handle,
                generation,
                cookie,
                record,
                rx,
                tx,
                state <- new_bh_spinlock!(
                    State {
                        config,
                        tx_tail: config.tx.tail.0,
                        rx_head: config.rx.head.0,
                        tx_head: config.tx.head.0,
                        rx_tail: config.rx.tail.0,
                        fin: config.send.fin != Fin::Open,
                        told: 0,
                        phase: Phase::Live,
                    },
                    "PciConnection::state"
                ),
                telling: Atomic::new(0),
                stopped <- new_work!("PciConnection::stopped"),
            }),
            GFP_KERNEL,
        )
        .map_err(|_| {
            offload.table.give_back(cookie);
            Refusal::NoMemory
        })?;
        let entry = Entry {
            connection: this.clone(),
            events: install.events.clone(),
        };
        offload.table.set(cookie, room, entry);
        this.hand_over().inspect_err(|_| this.forget())?;
        Ok(this)
    }

    fn hand_over(self: &Arc<Self>) -> Result<(), Refusal> {
        let config = {
            let bh = BhDisabled::new();
            let state = self.state.lock(&bh);
            state.config
        };
        let cookie = u64::from(self.cookie.0);
        let connection =
            convert::state(&config, cookie, self.context.number).ok_or(Refusal::DeviceGone)?;
        let input = abi::Install {
            connection,
            rx_pages: self.rx.list(),
            tx_pages: self.tx.list(),
            record: self.record.address(),
            rx_page_shift: self.rx.page_shift(),
            tx_page_shift: self.tx.page_shift(),
            ..abi::Install::default()
        };
        let request = Request {
            op: abi::ADMIN_INSTALL,
            target: self.handle,
            ..Request::default()
        };
        if self.is_abandoned() {
            return Err(Refusal::DeviceGone);
        }
        match self.offload.nic.execute_with(request, &input) {
            Ok(_) => Ok(()),
            // It may have been carried out, and the NIC have acknowledged something. The record will tell after the reset.
            Err(Failure::Lost) => Ok(()),
            Err(failure) => Err(super::device::refusal(failure)),
        }
    }

    #[inline]
    pub(super) fn handle(&self) -> u32 {
        self.handle
    }

    /// The connection as the table has it, and who is told of it; until it is taken out.
    fn known(&self) -> Option<(Arc<Self>, Arc<dyn Events>)> {
        let rcu = rcu::read_lock();
        let entry = self.offload.table.find(u64::from(self.cookie.0), &rcu)?;
        let own = core::ptr::eq(&*entry.connection, self);
        own.then(|| (entry.connection.clone(), entry.events.clone()))
    }

    /// Takes the connection out of the table.
    fn forget(&self) {
        if self.offload.table.clear(self.cookie) {
            self.offload.table.give_back(self.cookie);
        }
    }

    /// Has the NIC execute a command.
    #[inline]
    fn command(&self, command: &abi::Command, bh: &BhDisabled) {
        self.context.submit(command, bh);
    }

    /// Does `change` to the state of the connection while it is carried, and has the NIC execute the command it returns.
    #[inline]
    fn change(&self, change: impl FnOnce(&mut State) -> Result<abi::Command>) -> Result {
        let bh = BhDisabled::new();
        let mut state = self.state.lock(&bh);
        if state.phase != Phase::Live || self.is_abandoned() {
            return Err(ENOTCONN.into());
        }
        let command = change(&mut state)?;
        // Under the lock: positions must not go back.
        self.command(&command, &bh);
        Ok(())
    }

    /// Takes the connection off the NIC; returns its last state, if it was there. The NIC goes on to hold what arrives
    /// if `hold` is set, which the caller ends.
    fn take_off(&self, hold: bool) -> Option<ConnectionConfig> {
        {
            let bh = BhDisabled::new();
            let mut state = self.state.lock(&bh);
            if state.phase != Phase::Live {
                return None;
            }
            state.phase = Phase::Leaving;
        }
        let abandoned = self.is_abandoned();
        let removed = if abandoned {
            Err(Failure::Lost)
        } else {
            self.offload
                .nic
                .execute_for::<abi::ConnectionRead>(Request {
                    op: abi::ADMIN_REMOVE,
                    flags: if hold { abi::ADMIN_REMOVE_HOLD } else { 0 },
                    target: self.handle,
                    ..Request::default()
                })
        };
        if !abandoned {
            // What was written before is told before.
            self.offload.settle(&self.context);
        }
        let config = {
            let bh = BhDisabled::new();
            let mut state = self.state.lock(&bh);
            state.phase = Phase::Gone;
            state.config
        };
        self.silence();
        let known = self.known();
        self.forget();
        let last = match removed {
            Ok((_, read)) => {
                self.offload.finish(&convert::counters(&read.counters));
                convert::with_state(&config, &read.connection)
            }
            Err(_) => {
                if hold {
                    // The connection is to go on: what the NIC does with it must have come to an end.
                    self.offload.wait_for_reset(self.generation);
                }
                // Else the NIC may still write to the connection's memory, until it is reset.
                let counters = convert::counters(&self.record.counters());
                self.offload.finish(&counters);
                if let Some((this, _)) = known.filter(|_| !self.is_abandoned()) {
                    self.offload.bury(this);
                }
                self.recorded(&config)
            }
        };
        Some(last)
    }

    /// `config` with what the record has in place of it.
    fn recorded(&self, config: &ConnectionConfig) -> ConnectionConfig {
        self.record
            .read()
            .map_or(*config, |record| convert::with_record(config, &record))
    }

    /// Whether the NIC was reset since, and knows nothing of the connection any more.
    fn is_abandoned(&self) -> bool {
        self.generation != self.offload.nic.generation()
    }

    fn is_gone(&self) -> bool {
        let bh = BhDisabled::new();
        let phase = self.state.lock(&bh).phase;
        phase == Phase::Gone
    }
}

impl OffloadedConnection for PciConnection {
    fn post(&self, request: &HostControl) -> Result {
        self.change(|state| {
            let (added, freed) = (request.tx_added.0, request.rx_freed.0);
            let room = state.config.tx.size - state.tx_tail.wrapping_sub(state.tx_head);
            let held = state.rx_tail.wrapping_sub(state.rx_head);
            if added > room || freed > held || (state.fin && added != 0) {
                return Err(EINVAL);
            }
            state.tx_tail = state.tx_tail.wrapping_add(added);
            state.rx_head = state.rx_head.wrapping_add(freed);
            state.fin |= request.commands.has(Command::FIN);
            Ok(abi::post_command(
                self.handle,
                message::post_flags(request.commands),
                state.tx_tail,
                state.rx_head,
            ))
        })
    }

    fn set_cwnd(&self, cwnd: Bytes) {
        let _ = self.change(|state| {
            state.config.cwnd = cwnd;
            let value = u64::from(cwnd.0);
            Ok(abi::value_command(
                abi::COMMAND_SET_CWND,
                self.handle,
                0,
                value,
            ))
        });
    }

    fn set_nodelay(&self, on: bool) {
        let _ = self.change(|state| {
            state.config.nodelay = on;
            Ok(self.mode_command(state))
        });
    }

    fn set_cork(&self, on: bool) {
        let _ = self.change(|state| {
            state.config.cork = on;
            Ok(self.mode_command(state))
        });
    }

    fn set_marks(&self, _marks: Marks) {
        // They don't leave the host.
    }

    fn set_path(&self, path: &Path, _dst: Option<Dst>) -> Result {
        self.change(|state| {
            if path.mss == 0 || u32::from(path.mss) > datapath::npu::config::MAX_TX.0 {
                return Err(EINVAL);
            }
            let raw = convert::path(path).ok_or(EINVAL)?;
            state.config.path = *path;
            Ok(abi::path_command(self.handle, raw))
        })
    }

    fn send_reset(&self) {
        let _ = self.change(|_| Ok(abi::value_command(abi::COMMAND_RESET, self.handle, 0, 0)));
    }

    fn timers(&self) -> Option<Timers> {
        if self.is_gone() {
            return None;
        }
        let record = self.record.read()?;
        self.watch(record.waits);
        let waits = |bit| record.waits & bit != 0;
        Some(Timers {
            retransmit: waits(abi::WAIT_IN_FLIGHT).then_some(Micros(record.rto_base)),
            // The NIC acknowledges by itself.
            delayed_ack: None,
            persist: waits(abi::WAIT_PERSIST),
        })
    }

    fn config(&self) -> Option<ConnectionConfig> {
        let config = {
            let bh = BhDisabled::new();
            let state = self.state.lock(&bh);
            (state.phase != Phase::Gone).then_some(state.config)
        };
        config.map(|config| self.recorded(&config))
    }

    fn counters(&self) -> Option<ConnectionCounters> {
        (!self.is_gone()).then(|| convert::counters(&self.record.counters()))
    }

    fn remove(&self) -> Option<ConnectionConfig> {
        let config = self.take_off(false)?;
        self.offload.released();
        Some(config)
    }

    fn remove_and_hold(&self) -> Result<(ConnectionConfig, KBox<dyn Hold>)> {
        let hold = KBox::new_uninit(GFP_KERNEL)?;
        let config = self.take_off(true).ok_or(ENOTCONN)?;
        let hold = hold.write(PciHold::new(
            self.offload.clone(),
            self.handle,
            self.generation,
        ));
        Ok((config, hold))
    }
}

impl PciConnection {
    /// Has the NIC tell anew what the connection waits for, unless all that it has told is among `waits`, for which a timer
    /// is set anyway.
    fn watch(&self, waits: u8) {
        let _ = self.change(|state| {
            if state.told & !waits == 0 {
                return Err(EALREADY.into());
            }
            state.told = 0;
            Ok(abi::value_command(abi::COMMAND_WATCH, self.handle, 0, 0))
        });
    }

    fn mode_command(&self, state: &State) -> abi::Command {
        let mut flags = 0;
        if state.config.nodelay {
            flags |= abi::CONN_NODELAY;
        }
        if state.config.cork {
            flags |= abi::CONN_CORK;
        }
        abi::value_command(abi::COMMAND_SET_MODE, self.handle, flags as u8, 0)
    }
}
