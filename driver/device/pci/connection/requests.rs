// SPDX-License-Identifier: GPL-2.0
//! What the control plane and the program ask of a connection.

use super::{convert, orders::Order, PciConnection, PciHold};
use crate::{
    driver::device::{Hold, Marks, OffloadedConnection},
    net::{clock, device_abi as abi, dst::Dst, errno::EALREADY},
};
use datapath::{
    npu::{config::Path, proto::Timers, state::ConnectionCounters, ConnectionConfig, HostControl},
    units::{Bytes, Micros},
};
use kernel::prelude::*;

impl OffloadedConnection for PciConnection {
    fn post(&self, request: &HostControl) -> Result {
        self.change(Order::Post, |state| {
            state.known.post(request)?;
            state.orders.add_to_post(request.commands);
            Ok(())
        })
    }

    fn set_cwnd(&self, cwnd: Bytes) {
        let _ = self.change(Order::Cwnd, |state| {
            state.config.cwnd = cwnd;
            Ok(())
        });
    }

    fn set_nodelay(&self, on: bool) {
        let _ = self.change(Order::Mode, |state| {
            state.config.nodelay = on;
            Ok(())
        });
    }

    fn set_cork(&self, on: bool) {
        let _ = self.change(Order::Mode, |state| {
            state.config.cork = on;
            Ok(())
        });
    }

    fn set_marks(&self, _marks: Marks) {
        // They don't leave the host.
    }

    fn set_path(&self, path: &Path, _dst: Option<Dst>) -> Result {
        let right = path.mss != 0
            && u32::from(path.mss) <= datapath::npu::config::MAX_TX.0
            && convert::path(path).is_some();
        if !right {
            return Err(EINVAL);
        }
        self.change(Order::Path, |state| {
            state.config.path = *path;
            Ok(())
        })
    }

    fn send_reset(&self) {
        let _ = self.change(Order::Reset, |_| Ok(()));
    }

    fn timers(&self) -> Option<Timers> {
        let record = self.while_there(|state| self.read_record(state).ok().flatten())?;
        self.watch(record.waits);
        let waits = |bit| record.waits & bit != 0;
        // The NIC's clock is ahead of that of a machine that was stopped meanwhile.
        let base = record.rto_base.min(clock::now_us());
        Some(Timers {
            retransmit: waits(abi::WAIT_IN_FLIGHT).then_some(Micros(base)),
            // The NIC acknowledges by itself.
            delayed_ack: None,
            persist: waits(abi::WAIT_PERSIST),
        })
    }

    fn config(&self) -> Option<ConnectionConfig> {
        self.while_there(|state| self.recorded(state).ok())
    }

    fn counters(&self) -> Option<ConnectionCounters> {
        self.while_there(|_| Some(convert::counters(&self.record.counters())))
    }

    fn remove(&self) -> Option<ConnectionConfig> {
        let config = self.take_off(false).ok()?;
        self.offload.released();
        config
    }

    fn remove_and_hold(&self) -> Result<(ConnectionConfig, KBox<dyn Hold>)> {
        let hold = KBox::new_uninit(GFP_KERNEL)?;
        let config = self.take_off(true)?;
        let hold = hold.write(PciHold::new(
            self.offload.clone(),
            self.handle,
            self.generation,
        ));
        Ok((config.ok_or(EIO)?, hold))
    }
}

impl PciConnection {
    /// Has the NIC tell anew what the connection waits for, unless all that it has told is among `waits`, for which a timer
    /// is set anyway.
    fn watch(&self, waits: u8) {
        let _ = self.change(Order::Watch, |state| {
            if state.told & !waits == 0 {
                return Err(EALREADY.into());
            }
            state.told = 0;
            Ok(())
        });
    }
}
