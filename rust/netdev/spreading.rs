// SPDX-License-Identifier: GPL-2.0
//! How received frames are spread over a device's queues.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{b, Driver, Netdev};
use crate::net::errno::EOPNOTSUPP;
use core::{ffi::c_int, slice};
use kernel::{error::from_result, prelude::*};

/// The key by which this system hashes flows, the same until it is booted anew: `netdev_rss_key_fill()`.
pub(crate) fn system_hash_key<const LEN: usize>() -> [u8; LEN] {
    const { assert!(LEN <= b::NETDEV_RSS_KEY_LEN as usize) };
    let mut key = [0; LEN];
    // SAFETY: There is room for so many bytes, which the system's key has.
    unsafe { b::netdev_rss_key_fill(key.as_mut_ptr().cast(), LEN) };
    key
}

/// What a driver does whose device spreads frames by a table of queues, indexed by Toeplitz's hash of their flow.
///
/// All is called in process context with RTNL held.
pub(crate) trait Spreading: Sized {
    /// Bytes of the hash's key.
    const KEY_LEN: usize;

    /// Entries of the table.
    const ENTRIES: usize;

    /// Whether the device can do it.
    fn spreads(dev: &Netdev<Self>) -> bool;

    /// Fills in the key, of as many bytes as it has.
    fn hash_key(dev: &Netdev<Self>, key: &mut [u8]);

    /// Fills in the table, of as many entries as it has.
    fn table(dev: &Netdev<Self>, queues: &mut [u32]);

    /// Sets the key, the table, or both; they have as many bytes and entries as they should. The table's queues are those
    /// in use.
    fn set_spreading(dev: &Netdev<Self>, key: Option<&[u8]>, table: Option<&[u32]>) -> Result;
}

impl<T: Driver> Netdev<T> {
    /// Whether the table is the administrator's choice, and not to be changed.
    pub(crate) fn is_table_chosen(&self) -> bool {
        // SAFETY: Valid by the type's invariants.
        unsafe { b::netif_is_rxfh_configured(self.as_ptr()) }
    }

    /// # Safety
    ///
    /// For the ethtool core only, as the operation of this name; so are the next ones.
    pub(super) unsafe extern "C" fn ring_count_callback(dev: *mut b::net_device) -> u32 {
        // SAFETY: The core passes a device whose operations these are.
        u32::from(unsafe { Self::from_dev(dev) }.queues())
    }

    /// # Safety
    ///
    /// See above.
    pub(super) unsafe extern "C" fn key_size_callback(dev: *mut b::net_device) -> u32 {
        // SAFETY: As above.
        let this = unsafe { Self::from_dev(dev) };
        if T::spreads(this) {
            T::KEY_LEN as u32
        } else {
            0
        }
    }

    /// # Safety
    ///
    /// See above.
    pub(super) unsafe extern "C" fn table_size_callback(dev: *mut b::net_device) -> u32 {
        // SAFETY: As above.
        let this = unsafe { Self::from_dev(dev) };
        if T::spreads(this) {
            T::ENTRIES as u32
        } else {
            0
        }
    }

    /// # Safety
    ///
    /// See above.
    pub(super) unsafe extern "C" fn spreading_callback(
        dev: *mut b::net_device,
        to: *mut b::ethtool_rxfh_param,
    ) -> c_int {
        // SAFETY: As above; `to` is what is to be filled in.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        from_result(|| {
            if !T::spreads(this) {
                return Err(EOPNOTSUPP.into());
            }
            to.hfunc = b::TOE_HASH_TOEPLITZ as u8;
            if !to.key.is_null() {
                // SAFETY: If the core wants the key, it has room for what `key_size_callback` says, zeroed.
                T::hash_key(this, unsafe {
                    slice::from_raw_parts_mut(to.key, T::KEY_LEN)
                });
            }
            if !to.indir.is_null() {
                // SAFETY: If the core wants the table, it has room for what `table_size_callback` says, zeroed.
                T::table(this, unsafe {
                    slice::from_raw_parts_mut(to.indir, T::ENTRIES)
                });
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// See above.
    pub(super) unsafe extern "C" fn set_spreading_callback(
        dev: *mut b::net_device,
        from: *mut b::ethtool_rxfh_param,
        _ack: *mut b::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: As above.
        let (this, from) = unsafe { (Self::from_dev(dev), &*from) };
        from_result(|| {
            let toeplitz = [b::TOE_HASH_ANY, b::TOE_HASH_TOEPLITZ].contains(&from.hfunc.into());
            if !T::spreads(this) || !toeplitz {
                return Err(EOPNOTSUPP.into());
            }
            // SAFETY: What isn't null has as many bytes and entries as the callbacks above say.
            let (key, table) = unsafe {
                (
                    (!from.key.is_null()).then(|| slice::from_raw_parts(from.key, T::KEY_LEN)),
                    (!from.indir.is_null()).then(|| slice::from_raw_parts(from.indir, T::ENTRIES)),
                )
            };
            let queues = u32::from(this.queues());
            if table.is_some_and(|table| table.iter().any(|queue| *queue >= queues)) {
                return Err(EINVAL);
            }
            T::set_spreading(this, key, table).map(|()| 0)
        })
    }
}

#[kernel::macros::kunit_tests(toe_netdev_spreading)]
mod tests {
    use super::*;

    #[test]
    fn system_hash_key__is_one() {
        let long: [u8; 256] = system_hash_key();
        let short: [u8; 40] = system_hash_key();
        assert!(long.iter().any(|byte| *byte != 0));
        assert_eq!(long[..40], short);
    }
}
