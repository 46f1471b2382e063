// SPDX-License-Identifier: GPL-2.0
//! Watching over a NIC, and resetting it when it is lost.
//!
//! Once a second the NIC is asked whether it lives, and now and then given the time. One that doesn't answer, says that
//! it failed, contradicts itself, or doesn't send, is reset and set up anew; one that can't be reset is kept from memory.
//! The connections it carried are told that it is gone.

use super::{device::Offload, Request};
use crate::{
    driver::{family::device_appeared, RECOVERY},
    net::{
        device_abi::{self as abi, reg},
        netdevice::Rtnl,
        timer::{Expire, Moment, Timed},
    },
};
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    workqueue::{Work, WorkItem},
};

/// Time between two looks at the NIC, in microseconds.
const INTERVAL_US: u64 = 1_000_000;

/// Looks between two settings of the NIC's clock.
const LOOKS_PER_SETTING: u32 = 10;

/// The timer of a NIC.
pub(super) struct Clock(Arc<Watch>);

impl Expire for Clock {
    fn expired(this: &Timed<Self>) {
        this.0.look();
        this.arm(Moment::now().after_us(INTERVAL_US));
    }
}

/// What is done where that may sleep.
#[pin_data]
pub(super) struct Watch {
    offload: Arc<Offload>,
    looks: Atomic<u32>,
    /// The NIC is known to be lost.
    lost: Atomic<bool>,
    #[pin]
    work: Work<Watch>,
}

impl_has_work! {
    impl HasWork<Self> for Watch { self.work }
}

impl Watch {
    fn look(self: &Arc<Self>) {
        if let Some(queue) = RECOVERY.get() {
            // Err: it is queued already.
            let _ = queue.enqueue(self.clone());
        }
    }

    fn is_lost(&self) -> bool {
        let nic = &self.offload.nic;
        let status = nic.registers.read(reg::STATUS);
        status & abi::STATUS_FAILED != 0
            || nic.is_accused()
            || nic
                .execute(Request {
                    op: abi::ADMIN_NOP,
                    ..Request::default()
                })
                .is_err()
    }

    /// Resets the NIC and sets it up as it was.
    fn recover(&self) -> Result {
        let offload = &self.offload;
        let rtnl = Rtnl::lock();
        let Some(netdev) = offload.netdev.lock().clone() else {
            return Ok(());
        };
        netdev.reopen(&rtnl, || {
            let reset = offload.nic.reset();
            if reset.is_err() {
                offload.nic.cut_off();
            }
            // No memory is the NIC's any more, however that came about.
            offload.abandon();
            reset?;
            offload.nic.enable()?;
            offload
                .contexts
                .iter()
                .try_for_each(|context| context.open())
        })
    }
}

impl WorkItem for Watch {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if !this.lost.load(Relaxed) && !this.is_lost() {
            if this.looks.fetch_add(1, Relaxed) % LOOKS_PER_SETTING == 0 {
                // Refused or lost: the next look finds out.
                let _ = this.offload.nic.set_time();
            }
            return;
        }
        let recovered = this.recover();
        // What could not be recovered is tried again at the next look.
        this.lost.store(recovered.is_err(), Relaxed);
        if recovered.is_ok() {
            this.offload.resets.add(1);
            device_appeared();
        }
    }
}

/// Watches over a NIC.
pub(super) struct Recovery(Arc<Watch>);

/// Keeps looking at a NIC until it is dropped.
pub(super) struct Looking(Arc<Timed<Clock>>);

impl Recovery {
    /// Of the NIC of `offload`.
    pub(super) fn new(offload: Arc<Offload>) -> Result<Self> {
        let watch = pin_init!(Watch {
            offload,
            looks: Atomic::new(0),
            lost: Atomic::new(false),
            work <- new_work!("Watch::work"),
        });
        Ok(Self(Arc::pin_init(watch, GFP_KERNEL)?))
    }

    /// Has the NIC reset.
    pub(super) fn order(&self) {
        self.0.lost.store(true, Relaxed);
        self.0.look();
    }

    /// Looks at the NIC now and then.
    pub(super) fn start(&self) -> Result<Looking> {
        let clock = Timed::new(Ok::<_, Error>(Clock(self.0.clone())), GFP_KERNEL)?;
        clock.arm(Moment::now().after_us(INTERVAL_US));
        Ok(Looking(clock))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.disarm_and_wait();
    }
}
