// SPDX-License-Identifier: GPL-2.0
//! A connection that a NIC carries.

mod orders;
mod requests;
mod told;

use super::{
    admin::Failure,
    context::Context,
    convert,
    device::{Offload, PciHold},
    fault::Fault,
    known::Known,
    message,
    record::Record,
    table::{Cookie, Entry, Whose},
    Request,
};
use crate::{
    driver::{
        device::{Events, Install, Refusal},
        family::stream::PayloadBuffers,
    },
    net::{
        clock::wait_until,
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        device_abi as abi,
        dma::MappedBuffer,
        errno::ENOTCONN,
        rcu_slot::Reserved,
    },
};
use datapath::npu::ConnectionConfig;
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{atomic::Atomic, rcu, Arc},
    time::Delta,
    workqueue::{Work, WorkItem},
};

use orders::Orders;

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
    known: Known,
    /// What the NIC has told that the connection waits for, and was not asked to tell anew.
    told: u8,
    orders: Orders,
    phase: Phase,
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
        if let Some((_, events)) = this.entry() {
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
                        known: Known::new(&config),
                        told: 0,
                        orders: Orders::default(),
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
        if self.is_abandoned() || self.offload.nic.is_accused() {
            return Err(Refusal::DeviceGone);
        }
        match self.offload.nic.execute_with(request, &input) {
            Ok(_) => Ok(()),
            // It may have been carried out, and the NIC have acknowledged something. The record will tell after the reset.
            Err(Failure::Lost) => Ok(()),
            Err(failure) => {
                self.offload.nic.judge(failure);
                Err(super::device::refusal(failure))
            }
        }
    }

    #[inline]
    pub(super) fn handle(&self) -> u32 {
        self.handle
    }

    /// The connection as the table has it, and who is told of it; until it is taken out.
    fn entry(&self) -> Option<(Arc<Self>, Arc<dyn Events>)> {
        let rcu = rcu::read_lock();
        match (self.offload.table).find(u64::from(self.cookie.0), self.handle, &rcu) {
            Whose::Known(entry) if core::ptr::eq(&*entry.connection, self) => {
                Some((entry.connection.clone(), entry.events.clone()))
            }
            _ => None,
        }
    }

    /// Takes the connection out of the table.
    fn forget(&self) {
        if self.offload.table.clear(self.cookie, self.handle) {
            self.offload.table.give_back(self.cookie);
        }
    }

    /// Takes the connection off the NIC; returns its last state, if that is known. The NIC goes on to hold what arrives
    /// if `hold` is set, which the caller ends. `ENOTCONN` if it was taken off before.
    fn take_off(&self, hold: bool) -> Result<Option<ConnectionConfig>> {
        {
            let bh = BhDisabled::new();
            let mut state = self.state.lock(&bh);
            if state.phase != Phase::Live {
                return Err(ENOTCONN.into());
            }
            state.phase = Phase::Leaving;
        }
        self.wait_until_ordered();
        let abandoned = self.is_abandoned();
        let removed = if abandoned || self.offload.nic.is_accused() {
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
        let (config, read) = {
            let bh = BhDisabled::new();
            let mut state = self.state.lock(&bh);
            state.phase = Phase::Gone;
            let read = removed.map(|(_, read)| self.believed(&state, read));
            (state.config, read)
        };
        self.silence();
        let entry = self.entry();
        self.forget();
        let last = match read {
            Ok(Some(read)) => {
                self.offload.finish(&convert::counters(&read.counters));
                Some(convert::with_state(&config, &read.connection))
            }
            answer => {
                if let Err(Failure::Refused(_)) = answer {
                    self.offload.nic.accuse(Fault::Answers);
                }
                if hold {
                    // The connection is to go on: what the NIC does with it must have come to an end.
                    self.offload.wait_for_reset(self.generation);
                }
                // Else the NIC may still write to the connection's memory, until it is reset.
                let counters = convert::counters(&self.record.counters());
                self.offload.finish(&counters);
                if let Some((this, _)) = entry.filter(|_| !self.is_abandoned()) {
                    self.offload.bury(this);
                }
                let bh = BhDisabled::new();
                let state = self.state.lock(&bh);
                self.recorded(&state).ok()
            }
        };
        Ok(last)
    }

    /// Waits until the NIC has been given all orders: what it does last is to be what it was told last. By itself, as the
    /// netdev that is polled for may be down.
    fn wait_until_ordered(&self) {
        let ordered = wait_until(Delta::from_secs(10), Delta::from_micros(200), || {
            self.go_on(&BhDisabled::new()) || self.offload.nic.is_accused()
        });
        if !ordered {
            // While the driver is unbound nobody else looks whether it goes on.
            self.offload.nic.accuse(Fault::Stuck);
        }
    }

    /// Whether the NIC was reset since, and knows nothing of the connection any more.
    fn is_abandoned(&self) -> bool {
        self.generation != self.offload.nic.generation()
    }

    /// Calls `f` unless the connection was removed.
    fn while_there<R>(&self, f: impl FnOnce(&State) -> Option<R>) -> Option<R> {
        let bh = BhDisabled::new();
        let state = self.state.lock(&bh);
        if state.phase == Phase::Gone {
            return None;
        }
        f(&state)
    }
}
