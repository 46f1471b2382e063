// SPDX-License-Identifier: GPL-2.0
//! Drivers of Ethernet devices.
//!
//! A driver implements [`Driver`] for its private data. [`Netdev::new`] makes the device, with as many pairs of transmit
//! and receive queues as the driver asks for, each with a NAPI context; [`Registration::new`] shows it to the stack.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/etherdevice.h`](srctree/include/linux/etherdevice.h)

mod ethtool;
mod features;
mod napi;
mod ops;
mod packet;
mod rx_mode;
mod spreading;

pub(crate) use ethtool::{Ethtool, RingSizes};
pub(crate) use features::Features;
pub(crate) use napi::{Poll, RxChecksum, RxFrame};
pub(crate) use rx_mode::RxMode;
pub(crate) use spreading::{system_hash_key, Spreading};

use super::{
    bindings as b,
    netdevice::{NetDevice, Rtnl},
    skbuff::SkBuff,
};
use core::{
    ops::Deref,
    ptr::{self, NonNull},
};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// An Ethernet address.
pub(crate) type MacAddress = [u8; b::ETH_ALEN as usize];

/// What a driver counts for `ip -s link`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    /// Frames received.
    pub(crate) rx_packets: u64,
    /// Their bytes.
    pub(crate) rx_bytes: u64,
    /// Frames received that were bad.
    pub(crate) rx_errors: u64,
    /// Frames received for which there was no room.
    pub(crate) rx_dropped: u64,
    /// Frames sent.
    pub(crate) tx_packets: u64,
    /// Their bytes.
    pub(crate) tx_bytes: u64,
    /// Frames that couldn't be sent.
    pub(crate) tx_errors: u64,
    /// Frames that were dropped before they were sent.
    pub(crate) tx_dropped: u64,
}

/// What an Ethernet device is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Pairs of queues; at least one.
    pub(crate) queues: u16,
    /// NAPI contexts: one for each pair of queues, and as many more as the driver has a use for.
    pub(crate) polls: u16,
    /// What the device can do.
    pub(crate) features: Features,
    /// The address it begins with.
    pub(crate) address: MacAddress,
    /// The largest MTU it can be given, in bytes.
    pub(crate) max_mtu: u16,
    /// Most bytes of a packet for it to cut into segments.
    pub(crate) max_segmented: u32,
}

/// What a driver of an Ethernet device does.
pub(crate) trait Driver: Ethtool + Spreading + Sized + Send + Sync + 'static {
    /// The device is to work from now on. It is polled only after this. Process context, RTNL is held.
    fn open(dev: &Netdev<Self>) -> Result;

    /// The device is to work no longer: nothing is sent or polled any more. Process context, RTNL is held.
    fn stop(dev: &Netdev<Self>);

    /// Sends a packet by `queue`; gives it back if there is no room, having had the queue stopped. Bottom halves are
    /// disabled. Calls for the same queue don't overlap.
    fn transmit(dev: &Netdev<Self>, queue: u16, packet: SkBuff) -> Result<(), SkBuff>;

    /// Does up to the budget of work, received frames for the most part; returns how much. Less than the budget means
    /// that there is no more. Calls for the same NAPI context don't overlap.
    fn poll(dev: &Netdev<Self>, poll: &mut Poll<'_>) -> u32;

    /// Polling has ended: have the NAPI context [scheduled](Netdev::schedule) as soon as there is something again, even if
    /// that happened before this call.
    fn rearm(dev: &Netdev<Self>, poll: u16);

    /// What it has counted so far.
    fn stats(dev: &Netdev<Self>) -> Stats;

    /// Takes another address. Process context, RTNL is held.
    fn set_address(dev: &Netdev<Self>, address: &MacAddress) -> Result;

    /// Takes another MTU, in bytes, which is not beyond the largest. Process context, RTNL is held. What is told to a device
    /// that is down, or that forgets it, is told again by [`open`](Self::open), from [`Netdev::mtu`].
    fn set_mtu(dev: &Netdev<Self>, mtu: u32) -> Result;

    /// Receives what `mode` says besides frames for its address and for everybody. Process context, RTNL is held. It is
    /// called when the device was opened, and whenever that changes; after an error again, some time later.
    fn set_rx_mode(dev: &Netdev<Self>, mode: &RxMode<'_>) -> Result;

    /// A packet hasn't been sent for long. Bottom halves are disabled.
    fn transmit_timed_out(dev: &Netdev<Self>, queue: u16);
}

/// Memory of a net_device.
///
/// # Invariants
///
/// Made by `toe_helper_netdev_alloc`, and not freed.
struct Allocation(NonNull<b::net_device>);

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants. The device isn't registered: who registered it keeps the `Netdev`, and
        // unregisters it before.
        unsafe { b::free_netdev(self.0.as_ptr()) };
    }
}

/// An Ethernet device, and what its driver keeps of it. The last reference must be dropped where it is allowed to sleep.
///
/// # Invariants
///
/// The owner of `dev` is the value itself, and it is in an [`Arc`].
#[pin_data]
pub(crate) struct Netdev<T> {
    dev: Allocation,
    _parent: ARef<Device>,
    queues: u16,
    polls: u16,
    /// Queues in use, of those there are; at least one. Changes under RTNL, while the driver has the device stopped.
    used: Atomic<u32>,
    /// Was registered once.
    registered: Atomic<bool>,
    /// It is open, and polling enabled. Changes under RTNL.
    polled: Atomic<bool>,
    #[pin]
    data: T,
}

// SAFETY: A net_device may be used by any thread.
unsafe impl<T: Send> Send for Netdev<T> {}

// SAFETY: The functions called on the net_device do their own locking.
unsafe impl<T: Sync> Sync for Netdev<T> {}

impl<T: Driver> Netdev<T> {
    /// Makes a device of `parent`.
    ///
    /// # Errors
    ///
    /// Those of `data`; `EINVAL` if there are no queues, or fewer NAPI contexts than queues, `ENOMEM` if there is no memory.
    pub(crate) fn new(
        parent: &Device<Bound>,
        config: &Config,
        data: impl PinInit<T, Error>,
    ) -> Result<Arc<Self>> {
        if config.queues == 0 || config.polls < config.queues {
            return Err(EINVAL);
        }
        // INVARIANT: The owner is set to the place the value is made in.
        Arc::pin_init(
            try_pin_init!(&this in Self {
                dev: Self::allocate(this, parent, config)?,
                _parent: (&**parent).into(),
                queues: config.queues,
                polls: config.polls,
                used: Atomic::new(config.queues.into()),
                registered: Atomic::new(false),
                polled: Atomic::new(false),
                data <- data,
            }? Error),
            GFP_KERNEL,
        )
    }

    fn allocate(
        owner: NonNull<Self>,
        parent: &Device<Bound>,
        config: &Config,
    ) -> Result<Allocation> {
        let parent = ptr::from_ref(parent).cast_mut().cast();
        let owner = owner.as_ptr().cast();
        // SAFETY: `parent` is a valid device, and the type transparent. The poll function gets contexts of this device
        // only.
        let dev = unsafe {
            b::toe_helper_netdev_alloc(
                parent,
                owner,
                config.queues,
                config.polls,
                Some(Self::poll_callback),
            )
        };
        let dev = NonNull::new(dev).ok_or(ENOMEM)?;
        let features = config.features.bits();
        // SAFETY: Just made, and nobody else's yet; the address is as long as those of Ethernet.
        unsafe {
            let raw = dev.as_ptr();
            (*raw).netdev_ops = Self::OPS;
            (*raw).ethtool_ops = Self::ETHTOOL_OPS;
            (*raw).hw_features = features;
            (*raw).features |= features;
            (*raw).min_mtu = b::ETH_MIN_MTU;
            (*raw).max_mtu = u32::from(config.max_mtu);
            b::dev_addr_mod(raw, 0, config.address.as_ptr().cast(), config.address.len());
            b::netif_set_tso_max_size(raw, config.max_segmented);
        }
        // INVARIANT: Just made.
        Ok(Allocation(dev))
    }

    /// Pairs of queues in use: the first ones of those there are. Doesn't change between [`Driver::open`] and
    /// [`Driver::stop`].
    #[inline]
    pub(crate) fn queues(&self) -> u16 {
        self.used.load(Relaxed) as u16
    }

    /// Uses that many of the pairs of queues from now on; the device is down meanwhile.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are none or not so many, `ENOMEM` if there is no memory; those of [`reopen`](Self::reopen).
    fn use_queues(&self, rtnl: &Rtnl, queues: u16) -> Result {
        if queues == 0 || queues > self.queues {
            return Err(EINVAL);
        }
        let mut told = Ok(());
        self.reopen(rtnl, || {
            let count = u32::from(queues);
            // SAFETY: Valid by the type's invariants; RTNL is held.
            told = to_result(unsafe { b::netif_set_real_num_queues(self.as_ptr(), count, count) });
            if told.is_ok() {
                self.used.store(count, Relaxed);
            }
            Ok(())
        })?;
        told
    }

    /// The device as others see it.
    pub(crate) fn netdevice(&self) -> &NetDevice {
        // SAFETY: Valid by the type's invariants, for as long as `self`.
        unsafe { NetDevice::from_raw(self.as_ptr()) }
    }

    /// Whether [scheduled](Self::schedule) NAPI contexts are polled: while the device is up.
    #[inline]
    pub(crate) fn is_polled(&self) -> bool {
        self.polled.load(Relaxed)
    }

    /// Has NAPI context `poll` polled soon; the first are those of the queues. Any context; does nothing while the device
    /// is down, or if there is none of this number.
    #[inline]
    pub(crate) fn schedule(&self, poll: u16) {
        if poll < self.polls {
            // SAFETY: Valid by the type's invariants, as is the context's number. Until polling is enabled, and after
            // it was disabled, the function does nothing.
            unsafe { b::toe_helper_netdev_schedule(self.as_ptr(), poll) };
        }
    }

    /// Has the stack give no more packets to `queue` until it is woken.
    #[inline]
    pub(crate) fn stop_queue(&self, queue: u16) {
        if queue < self.queues {
            // SAFETY: Valid by the type's invariants, as is the queue's number.
            unsafe { b::toe_helper_netdev_stop_queue(self.as_ptr(), queue) };
        }
    }

    /// Has the stack go on giving packets to `queue`, if it was stopped.
    #[inline]
    pub(crate) fn wake_queue(&self, queue: u16) {
        if queue < self.queues {
            // SAFETY: Valid by the type's invariants, as is the queue's number.
            unsafe { b::toe_helper_netdev_wake_queue(self.as_ptr(), queue) };
        }
    }

    /// Tells the stack whether there is a link.
    pub(crate) fn set_carrier(&self, on: bool) {
        // SAFETY: Valid by the type's invariants.
        unsafe {
            if on {
                b::netif_carrier_on(self.as_ptr());
            } else {
                b::netif_carrier_off(self.as_ptr());
            }
        }
    }

    /// The MTU at the moment, in bytes.
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: Valid by the type's invariants.
        unsafe { b::toe_helper_netdev_mtu(self.as_ptr()) }
    }

    /// Whether the device is up, or about to be, and not suspended.
    pub(crate) fn is_running(&self) -> bool {
        // SAFETY: Valid by the type's invariants.
        unsafe {
            b::toe_helper_netdev_running(self.as_ptr())
                && b::toe_helper_netdev_present(self.as_ptr())
        }
    }

    /// Whether the device should be up, and the driver could not open it.
    fn is_stalled(&self) -> bool {
        self.is_running() && !self.polled.load(Relaxed)
    }

    /// Has the driver stop and open the device, if it is up, without the stack taking it down: addresses and routes
    /// stay. What the driver holds of packets is its own to drop.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::open`]: the device is down then, as far as the driver is concerned, until it is tried again.
    pub(crate) fn reopen(&self, _rtnl: &Rtnl, between: impl FnOnce() -> Result) -> Result {
        let running = self.is_running();
        if running {
            self.down();
        }
        between()?;
        if running {
            self.up()?;
        }
        Ok(())
    }
}

impl<T: Driver> Netdev<T> {
    /// Has the driver stop the device, if it is up, and the stack leave it alone until [`resume`](Self::resume): addresses
    /// and routes stay.
    pub(crate) fn suspend(&self, _rtnl: &Rtnl) {
        // SAFETY: Valid by the type's invariants; RTNL is held.
        unsafe { b::netif_device_detach(self.as_ptr()) };
        self.down();
    }

    /// Undoes [`suspend`](Self::suspend).
    ///
    /// # Errors
    ///
    /// Those of [`Driver::open`]: the device stays as it is then.
    pub(crate) fn resume(&self, _rtnl: &Rtnl) -> Result {
        // SAFETY: Valid by the type's invariants.
        if unsafe { b::toe_helper_netdev_running(self.as_ptr()) } {
            self.up()?;
        }
        // SAFETY: As above; RTNL is held.
        unsafe { b::netif_device_attach(self.as_ptr()) };
        Ok(())
    }
}

impl<T> Netdev<T> {
    /// The C object.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut b::net_device {
        self.dev.0.as_ptr()
    }
}

impl<T> Deref for Netdev<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

/// Shows a device to the stack until it is dropped, which must not happen with RTNL held.
///
/// # Invariants
///
/// The device is registered.
pub(crate) struct Registration<T: Driver>(Arc<Netdev<T>>);

impl<T: Driver> Registration<T> {
    /// Registers `dev`. RTNL must not be held.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it was registered before; those of `register_netdev()`.
    pub(crate) fn new(dev: Arc<Netdev<T>>) -> Result<Self> {
        if dev.registered.xchg(true, Relaxed) {
            return Err(EBUSY);
        }
        // SAFETY: Valid by the type's invariants, and not registered before.
        to_result(unsafe { b::register_netdev(dev.as_ptr()) })?;
        // INVARIANT: Just registered.
        Ok(Self(dev))
    }
}

impl<T: Driver> Deref for Registration<T> {
    type Target = Arc<Netdev<T>>;

    fn deref(&self) -> &Arc<Netdev<T>> {
        &self.0
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by the type's invariants.
        unsafe { b::unregister_netdev(self.0.as_ptr()) };
    }
}
