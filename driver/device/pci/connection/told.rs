// SPDX-License-Identifier: GPL-2.0
//! What a NIC tells of a connection that it carries.

use super::{message, PciConnection, Phase};
use crate::{
    driver::{device::Events, WORK},
    net::{
        context::{BhDisabled, HardIrq},
        device_abi as abi,
    },
};
use datapath::npu::Notification;
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
        let before = (state.rx_tail, state.tx_head);
        let moved = state
            .progress(notification)
            .is_ok_and(|(received, acked)| events.moved(received, acked, irq));
        if !moved {
            (state.rx_tail, state.tx_head) = before;
        }
        moved
    }

    fn tell(
        self: &Arc<Self>,
        events: &dyn Events,
        notification: &abi::Notification,
        bh: &BhDisabled,
    ) -> Result {
        let (rx_bytes, tx_acked) = {
            let mut state = self.state.lock(bh);
            if state.phase == Phase::Gone {
                return Ok(());
            }
            state.told |= notification.waits;
            state.progress(notification)?
        };
        let waits = message::outcome(notification.waits);
        if !waits.is_empty() {
            events.waits(waits);
        }
        let told = Notification {
            cookie: notification.cookie,
            context: self.context.number,
            events: message::happened(notification.events),
            rx_bytes,
            tx_acked,
            report: message::report(notification),
        };
        if !told.is_empty() {
            events.notify(&told, bh);
        }
        match notification.kind {
            abi::NOTIFY_DATA => {}
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
            _ => return Err(EIO),
        }
        Ok(())
    }

    /// Waits until nothing is told any more; what is gone isn't told anew.
    pub(super) fn silence(&self) {
        while self.telling.load(Acquire) != 0 {
            cpu_relax();
        }
    }
}
