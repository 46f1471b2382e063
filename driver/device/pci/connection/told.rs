// SPDX-License-Identifier: GPL-2.0
//! What a NIC tells of a connection that it carries.

use super::{convert, message, Fault, PciConnection, Phase, State};
use crate::{
    driver::{device::Events, WORK},
    net::{
        context::{BhDisabled, HardIrq},
        device_abi as abi,
    },
};
use datapath::npu::{ConnectionConfig, Notification};
use kernel::{
    pr_warn_once,
    prelude::*,
    processor::cpu_relax,
    sync::{
        atomic::{Acquire, Full, Release},
        Arc,
    },
};

impl PciConnection {
    /// Takes in a notification of this connection, which `events` are told; `EIO` if it can't be right.
    pub(in super::super) fn notified(
        self: &Arc<Self>,
        events: &dyn Events,
        notification: &abi::Notification,
        bh: &BhDisabled,
    ) -> Result {
        // Full: whoever removes the connection sees this, or we see that it is gone.
        self.telling.fetch_add(1, Full);
        let told = self.tell(events, notification, bh);
        self.telling.fetch_sub(1, Release);
        told
    }

    /// As [`notified`](Self::notified) in an interrupt, of a notification that says no more than how far the NIC is; returns
    /// whether it was taken in, and leaves the rest to who may wait for locks.
    #[inline]
    pub(in super::super) fn moved(
        &self,
        events: &dyn Events,
        notification: &abi::Notification,
        irq: &HardIrq,
    ) -> bool {
        let plain = notification.kind == abi::NOTIFY_DATA
            && notification.events == 0
            && notification.waits == 0;
        if !plain {
            return false;
        }
        let Some(mut state) = self.state.try_lock(irq) else {
            return false;
        };
        if state.phase == Phase::Gone {
            return false;
        }
        // What can't be right is judged by who may wait, too.
        let moved = state
            .known
            .notification(notification)
            .is_ok_and(|progress| events.moved(progress.received, progress.acknowledged, irq));
        if moved {
            state.known.advance(notification);
        }
        moved
    }

    fn tell(
        self: &Arc<Self>,
        events: &dyn Events,
        notification: &abi::Notification,
        bh: &BhDisabled,
    ) -> Result {
        let progress = {
            let mut state = self.state.lock(bh);
            if state.phase == Phase::Gone {
                return Ok(());
            }
            let progress = state.known.notification(notification)?;
            self.confirm(&state, notification.events)?;
            state.known.advance(notification);
            state.told |= notification.waits;
            progress
        };
        let waits = message::outcome(notification.waits);
        if !waits.is_empty() {
            events.waits(waits);
        }
        let told = Notification {
            cookie: notification.cookie,
            context: self.context.number,
            events: message::happened(notification.events),
            rx_bytes: progress.received,
            tx_acked: progress.acknowledged,
            report: message::report(notification),
        };
        if !told.is_empty() {
            events.notify(&told, bh);
        }
        match notification.kind {
            abi::NOTIFY_PUNT => events.punt(message::punt(notification), bh),
            abi::NOTIFY_STOPPED => {
                pr_warn_once!(
                    "NIC stopped a connection: error {}\n",
                    abi::error(notification)
                );
                self.offload.stopped.add(1);
                if let Some(queue) = WORK.get() {
                    // Err: that is being done already.
                    let _ = queue.enqueue(self.clone());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends of streams are believed if the record, which is written before, has them, too.
    #[inline]
    fn confirm(&self, state: &State, events: u16) -> Result {
        const ENDS: [(u16, u32); 2] = [
            (abi::EVENT_PEER_FIN, abi::CONN_PEER_FIN),
            (abi::EVENT_FIN_ACKED, abi::CONN_FIN_ACKED),
        ];
        if events & (abi::EVENT_PEER_FIN | abi::EVENT_FIN_ACKED) == 0 {
            return Ok(());
        }
        let record = self.read_record(state)?.ok_or(EIO)?;
        let right = |(event, flag): &(u16, u32)| events & event == 0 || record.flags & flag != 0;
        ENDS.iter().all(right).then_some(()).ok_or(EIO)
    }

    /// What the NIC answered of the connection, if that can be right.
    pub(super) fn believed(
        &self,
        state: &State,
        read: abi::ConnectionRead,
    ) -> Option<abi::ConnectionRead> {
        let own = read.connection.cookie == u64::from(self.cookie.0);
        let right = own && state.known.state(&read.connection).is_ok();
        if !right {
            self.offload.nic.accuse(Fault::Answers);
        }
        right.then_some(read)
    }

    /// The record, once there is one. `EIO` if none can be right.
    pub(super) fn read_record(&self, state: &State) -> Result<Option<abi::RecordCopy>> {
        let (record, wrong) = self.record.read(|record| {
            let told = convert::recorded(record);
            state.known.record(record, &told)
        });
        // What was written before a reset is no fault of what came after.
        if wrong && !self.is_abandoned() {
            self.offload.nic.accuse(Fault::Records);
        }
        if wrong && record.is_none() {
            return Err(EIO);
        }
        Ok(record)
    }

    /// The state as it was installed, with what the record has in place of it. Errors as of [`read_record`](Self::read_record).
    pub(super) fn recorded(&self, state: &State) -> Result<ConnectionConfig> {
        let record = self.read_record(state)?;
        Ok(record.map_or(state.config, |record| {
            convert::with_record(&state.config, &record)
        }))
    }

    /// Waits until nothing is told any more; what is gone isn't told anew.
    pub(super) fn silence(&self) {
        while self.telling.load(Acquire) != 0 {
            cpu_relax();
        }
    }
}
