// SPDX-License-Identifier: GPL-2.0
//! From `struct net_device_ops` to [`Driver`].

use super::{b, Driver, MacAddress, Netdev};
use crate::net::skbuff::SkBuff;
use core::{
    ffi::{c_int, c_uint, c_void},
    mem::zeroed,
    ptr::NonNull,
};
use kernel::{
    error::{from_result, to_result},
    prelude::*,
    sync::atomic::Relaxed,
};

impl<T: Driver> Netdev<T> {
    pub(super) const OPS: &'static b::net_device_ops = &{
        // SAFETY: Null is right for all function pointers that aren't set.
        let mut ops: b::net_device_ops = unsafe { zeroed() };
        ops.ndo_open = Some(Self::open_callback);
        ops.ndo_stop = Some(Self::stop_callback);
        ops.ndo_start_xmit = Some(Self::xmit_callback);
        ops.ndo_get_stats64 = Some(Self::stats_callback);
        ops.ndo_set_mac_address = Some(Self::set_address_callback);
        ops.ndo_change_mtu = Some(Self::change_mtu_callback);
        ops.ndo_set_rx_mode_async = Some(Self::rx_mode_callback);
        ops.ndo_validate_addr = Some(b::eth_validate_addr);
        ops.ndo_tx_timeout = Some(Self::timeout_callback);
        ops
    };

    /// The device that C code passes to an operation.
    ///
    /// # Safety
    ///
    /// `dev` must be a device of this type, which lives throughout `'a`.
    pub(super) unsafe fn from_dev<'a>(dev: *const b::net_device) -> &'a Self {
        // SAFETY: By the function's safety requirements; the owner was set when the device was made.
        unsafe { &*b::toe_helper_netdev_owner(dev).cast::<Self>() }
    }

    /// Has the driver open the device, and lets it be polled, if it isn't already. To be undone by [`Self::down`]. RTNL is
    /// held.
    pub(super) fn up(&self) -> Result {
        if self.polled.load(Relaxed) {
            return Ok(());
        }
        T::open(self)?;
        // SAFETY: Valid by the type's invariants. Polling is disabled: it is enabled here only, as `polled` says.
        unsafe {
            b::toe_helper_netdev_napi_enable(self.as_ptr());
            b::toe_helper_netdev_wake_queues(self.as_ptr());
        }
        self.polled.store(true, Relaxed);
        for poll in 0..self.polls {
            T::rearm(self, poll);
        }
        Ok(())
    }

    /// Undoes [`Self::up`], unless that failed.
    pub(super) fn down(&self) {
        if !self.polled.xchg(false, Relaxed) {
            return;
        }
        // SAFETY: Valid by the type's invariants; polling was enabled by `up`, and not disabled since.
        unsafe {
            b::toe_helper_netdev_tx_disable(self.as_ptr());
            b::toe_helper_netdev_napi_disable(self.as_ptr());
        }
        T::stop(self);
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_open`.
    unsafe extern "C" fn open_callback(dev: *mut b::net_device) -> c_int {
        // SAFETY: The core passes a device whose operations these are.
        let this = unsafe { Self::from_dev(dev) };
        from_result(|| this.up().map(|()| 0))
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_stop`.
    unsafe extern "C" fn stop_callback(dev: *mut b::net_device) -> c_int {
        // SAFETY: As above.
        let this = unsafe { Self::from_dev(dev) };
        this.down();
        0
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_start_xmit`.
    unsafe extern "C" fn xmit_callback(
        skb: *mut b::sk_buff,
        dev: *mut b::net_device,
    ) -> b::netdev_tx_t {
        // SAFETY: As above. The packet is given with its reference, unless it is given back.
        let (this, packet) = unsafe {
            (
                Self::from_dev(dev),
                SkBuff::from_raw(NonNull::new_unchecked(skb)),
            )
        };
        let queue = packet.tx_queue();
        match T::transmit(this, queue, packet) {
            Ok(()) => b::netdev_tx_NETDEV_TX_OK,
            Err(packet) if packet.is(skb) => {
                packet.into_raw();
                b::netdev_tx_NETDEV_TX_BUSY
            }
            // Another packet than was given, which is gone.
            Err(_) => b::netdev_tx_NETDEV_TX_OK,
        }
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_get_stats64`.
    unsafe extern "C" fn stats_callback(dev: *mut b::net_device, to: *mut b::rtnl_link_stats64) {
        // SAFETY: As above; `to` is valid for writes.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        let stats = T::stats(this);
        to.rx_packets = stats.rx_packets;
        to.rx_bytes = stats.rx_bytes;
        to.rx_errors = stats.rx_errors;
        to.rx_dropped = stats.rx_dropped;
        to.tx_packets = stats.tx_packets;
        to.tx_bytes = stats.tx_bytes;
        to.tx_errors = stats.tx_errors;
        to.tx_dropped = stats.tx_dropped;
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_set_mac_address`.
    unsafe extern "C" fn set_address_callback(dev: *mut b::net_device, addr: *mut c_void) -> c_int {
        // SAFETY: As above. `addr` is a socket address whose data begin with a link-layer address of the device's length.
        let (this, address) = unsafe {
            let data = (&raw const (*addr.cast::<b::sockaddr>()).sa_data).cast();
            (Self::from_dev(dev), *data)
        };
        from_result(|| {
            let address: MacAddress = address;
            // SAFETY: Valid, as above.
            to_result(unsafe { b::eth_prepare_mac_addr_change(dev, addr) })?;
            T::set_address(this, &address)?;
            // SAFETY: RTNL is held; the address is as long as those of Ethernet.
            unsafe { b::dev_addr_mod(dev, 0, address.as_ptr().cast(), address.len()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_change_mtu`.
    unsafe extern "C" fn change_mtu_callback(dev: *mut b::net_device, mtu: c_int) -> c_int {
        // SAFETY: As above.
        let this = unsafe { Self::from_dev(dev) };
        from_result(|| {
            T::set_mtu(this, u32::try_from(mtu)?)?;
            // SAFETY: As above; RTNL is held.
            unsafe { b::toe_helper_netdev_set_mtu(dev, mtu as u32) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// For the network core only, as `ndo_tx_timeout`.
    unsafe extern "C" fn timeout_callback(dev: *mut b::net_device, queue: c_uint) {
        // SAFETY: As above.
        let this = unsafe { Self::from_dev(dev) };
        T::transmit_timed_out(this, queue as u16);
    }
}
