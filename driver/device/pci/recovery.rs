// SPDX-License-Identifier: GPL-2.0
//! Watching over a NIC, and resetting it when it is lost.
//!
//! Once a second the NIC is asked whether it lives, and now and then given the time. One that doesn't answer, says that
//! it failed, contradicts itself, or doesn't send, is reset and set up anew; one that can't be reset is kept from memory.
//! The connections it carried are told that it is gone. The same is done when the system sleeps, and wakes up.

use super::{
    admin::Failure, device::Offload, fault::Fault, nic::Nic, registers::Registers, Request,
};
use crate::{
    driver::{family::device_appeared, RECOVERY},
    net::{
        device_abi::{self as abi, reg},
        devlink::{Dump, Health, Reporter},
        netdevice::Rtnl,
        timer::{Expire, Moment, Timed},
    },
};
use core::ffi::CStr;
use kernel::{
    device::{Bound, Device},
    impl_has_work, new_mutex, new_work,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
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
    dev: ARef<Device>,
    offload: Arc<Offload>,
    looks: Atomic<u32>,
    /// The NIC is known to be lost.
    lost: Atomic<bool>,
    /// The NIC is not to be touched. Changes under RTNL.
    suspended: Atomic<bool>,
    /// Who tells the administrator, while the driver has the NIC.
    #[pin]
    health: Mutex<Option<Reporter<Nic>>>,
    /// That the NIC is lost has been told.
    told: Atomic<bool>,
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

    /// Looks at the NIC; what is wrong with it is an accusation then.
    fn examine(&self) {
        let offload = &self.offload;
        let nic = &offload.nic;
        if nic.look().is_err() {
            let _rtnl = Rtnl::lock();
            // It isn't being reset now.
            if let (false, Err(fault)) = (self.suspended.load(Relaxed), nic.look()) {
                nic.accuse(fault);
            }
        }
        if nic.is_accused() {
            return;
        }
        let nop = Request {
            op: abi::ADMIN_NOP,
            ..Request::default()
        };
        match nic.execute(nop) {
            Ok(_) => offload.contexts.iter().for_each(|context| context.look()),
            Err(Failure::Refused(_)) => nic.accuse(Fault::Answers),
            // That was told, or it is being reset.
            Err(Failure::Lost | Failure::Unasked) => {}
        }
    }

    /// Tells why the NIC is lost, once until it has recovered.
    fn tell(&self, why: &CStr) {
        if self.told.xchg(true, Relaxed) {
            return;
        }
        dev_warn!(self.dev, "NIC is reset: {why}\n");
        if let Some(health) = &*self.health.lock() {
            health.failed(why);
        }
    }

    /// Resets the NIC, does `disabled`, and sets it up as it was; `false` if there is nothing to be set up.
    fn restart(&self, rtnl: &Rtnl, disabled: impl FnOnce(&Registers)) -> Result<bool> {
        let offload = &self.offload;
        let Some(netdev) = offload.netdev.lock().clone() else {
            return Ok(false);
        };
        if self.suspended.load(Relaxed) {
            return Ok(false);
        }
        netdev.reopen(rtnl, || {
            self.disable()?;
            disabled(&offload.nic.registers);
            offload.nic.enable()?;
            offload
                .contexts
                .iter()
                .try_for_each(|context| context.open())
        })?;
        // If it was suspended it isn't any more.
        netdev.resume(rtnl)?;
        Ok(true)
    }

    /// Resets the NIC; keeps it from memory if it can't be reset.
    fn disable(&self) -> Result {
        let offload = &self.offload;
        let reset = offload.nic.reset();
        if reset.is_err() {
            offload.nic.cut_off();
        }
        // No memory is the NIC's any more, however that came about.
        offload.abandon();
        reset
    }

    /// Takes in what came of a restart.
    fn restarted(&self, result: &Result<bool>) {
        // What could not be recovered is tried again at the next look.
        self.lost.store(result.is_err(), Relaxed);
        if *result == Ok(true) {
            self.offload.resets.add(1);
            self.told.store(false, Relaxed);
            if let Some(health) = &*self.health.lock() {
                health.recovered();
            }
            device_appeared();
        }
    }
}

impl WorkItem for Watch {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if this.suspended.load(Relaxed) {
            return;
        }
        let nic = &this.offload.nic;
        if !nic.is_accused() {
            this.examine();
        }
        if let Some(why) = nic.accusation() {
            this.tell(why);
        } else if !this.lost.load(Relaxed) {
            if this.looks.fetch_add(1, Relaxed) % LOOKS_PER_SETTING == 0 {
                // Refused or lost: the next look finds out.
                let _ = nic.set_time();
            }
            return;
        }
        let result = this.restart(&Rtnl::lock(), |_| ());
        this.restarted(&result);
    }
}

/// Watches over a NIC.
pub(super) struct Recovery(Arc<Watch>);

/// Keeps looking at a NIC until it is dropped.
pub(super) struct Looking(Arc<Timed<Clock>>);

impl Recovery {
    /// Of the NIC of `offload`, which is `dev`.
    pub(super) fn new(dev: &Device<Bound>, offload: Arc<Offload>) -> Result<Self> {
        // Without it the NIC is recovered no less.
        let health = Reporter::new(dev, offload.nic.clone()).ok();
        let watch = pin_init!(Watch {
            dev: (&**dev).into(),
            offload,
            health <- new_mutex!(health, "Watch::health"),
            told: Atomic::new(false),
            looks: Atomic::new(0),
            lost: Atomic::new(false),
            suspended: Atomic::new(false),
            work <- new_work!("Watch::work"),
        });
        Ok(Self(Arc::pin_init(watch, GFP_KERNEL)?))
    }

    /// Resets the NIC now, does `disabled`, and sets it up as it was. Connections are handed back, and may return.
    ///
    /// # Errors
    ///
    /// `EIO` if the NIC doesn't do as it is asked, which is then tried anew; `ENODEV` if it is being taken away.
    pub(super) fn restart(&self, rtnl: &Rtnl, disabled: impl FnOnce(&Registers)) -> Result {
        let result = self.0.restart(rtnl, disabled);
        self.0.restarted(&result);
        match result? {
            true => Ok(()),
            false => Err(ENODEV),
        }
    }

    /// Stops the NIC until [`resume`](Self::resume): it neither accesses memory nor interrupts, and its connections are the
    /// kernel's TCP's. May sleep.
    pub(super) fn suspend(&self) {
        let watch = &self.0;
        {
            let rtnl = Rtnl::lock();
            let Some(netdev) = watch.offload.netdev.lock().clone() else {
                return;
            };
            watch.suspended.store(true, Relaxed);
            netdev.suspend(&rtnl);
            // If it doesn't reset it is kept from memory.
            let _ = watch.disable();
        }
        // Those left over find the NIC reset.
        watch.offload.wait_until_empty();
    }

    /// Has the NIC work again. Connections may return.
    ///
    /// # Errors
    ///
    /// `EIO` if the NIC doesn't do as it is asked, which is then tried anew.
    pub(super) fn resume(&self) -> Result {
        let rtnl = Rtnl::lock();
        self.0.suspended.store(false, Relaxed);
        // It may have forgotten all.
        let result = self.0.restart(&rtnl, |_| ());
        self.0.restarted(&result);
        result.map(|_| ())
    }

    /// Has the NIC reset, which doesn't do what it is told.
    pub(super) fn order(&self) {
        self.0.offload.nic.accuse(Fault::Stuck);
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
        let clock: &Clock = &self.0;
        drop(clock.0.health.lock().take());
    }
}

impl Health for Nic {
    const NAME: &'static CStr = c"nic";

    fn dump(&self, dump: &mut Dump<'_>) {
        let mut register = |name, at| dump.number(name, self.registers.read(at).into());
        register(c"status", reg::STATUS);
        register(c"error", reg::ERROR);
        register(c"error-info", reg::ERROR_INFO);
        dump.number(c"accused", self.is_accused().into());
        dump.number(c"queues-stopped", self.faults.get(Fault::Stopped));
        dump.number(c"resets", self.generation().into());
    }
}
