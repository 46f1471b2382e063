// SPDX-License-Identifier: GPL-2.0
//! Which frames a device is to receive.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{b, Driver, MacAddress, Netdev};
use core::ffi::c_int;
use kernel::error::from_result;

/// Which frames a device is to receive besides those for its own address and for everybody.
///
/// # Examples
///
/// A device that knows its own address only, and takes all groups or none:
///
/// ```ignore
/// fn set_rx_mode(dev: &Netdev<Self>, mode: &RxMode<'_>) -> Result {
///     let all = mode.promiscuous() || mode.unicast(&mut []) > 0;
///     dev.write_filter(all, mode.all_multicast() || mode.multicast(&mut []) > 0)
/// }
/// ```
pub(crate) struct RxMode<'a> {
    flags: u32,
    unicast: &'a b::netdev_hw_addr_list,
    multicast: &'a b::netdev_hw_addr_list,
}

impl RxMode<'_> {
    /// Whether all frames are to be received.
    pub(crate) fn promiscuous(&self) -> bool {
        self.flags & b::net_device_flags_IFF_PROMISC != 0
    }

    /// Whether those for all groups are to be received.
    pub(crate) fn all_multicast(&self) -> bool {
        self.flags & b::net_device_flags_IFF_ALLMULTI != 0
    }

    /// Fills in further addresses that are the device's; returns how many there are, be there room or not.
    pub(crate) fn unicast(&self, to: &mut [MacAddress]) -> usize {
        copy(self.unicast, to)
    }

    /// Fills in the addresses of groups; returns how many there are, be there room or not.
    pub(crate) fn multicast(&self, to: &mut [MacAddress]) -> usize {
        copy(self.multicast, to)
    }
}

fn copy(list: &b::netdev_hw_addr_list, to: &mut [MacAddress]) -> usize {
    let room = u32::try_from(to.len()).unwrap_or(u32::MAX);
    // SAFETY: There is room for so many addresses. Lists that an `RxMode` refers to are whole and don't change.
    (unsafe { b::toe_helper_hw_addrs(list, to.as_mut_ptr().cast(), room) }) as usize
}

impl<T: Driver> Netdev<T> {
    /// # Safety
    ///
    /// For the network core only, as `ndo_set_rx_mode_async`.
    pub(super) unsafe extern "C" fn rx_mode_callback(
        dev: *mut b::net_device,
        unicast: *mut b::netdev_hw_addr_list,
        multicast: *mut b::netdev_hw_addr_list,
    ) -> c_int {
        // SAFETY: The core passes a device whose operations these are, and snapshots of its lists. RTNL is held, under
        // which flags change.
        let (this, mode) = unsafe {
            (
                Self::from_dev(dev),
                RxMode {
                    flags: (*dev).flags,
                    unicast: &*unicast,
                    multicast: &*multicast,
                },
            )
        };
        from_result(|| T::set_rx_mode(this, &mode).map(|()| 0))
    }
}
