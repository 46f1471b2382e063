// SPDX-License-Identifier: GPL-2.0
//! What `ethtool` shows and sets of an Ethernet device.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{b, Driver, Netdev};
use crate::net::netdevice::Rtnl;
use core::{
    ffi::{c_int, c_void, CStr},
    mem::zeroed,
    slice,
};
use kernel::{error::from_result, prelude::*};

/// The lengths of a device's rings, in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingSizes {
    /// For reception.
    pub(crate) rx: u32,
    /// For transmission.
    pub(crate) tx: u32,
}

/// What a driver tells `ethtool`. All is called in process context with RTNL held.
pub(crate) trait Ethtool: Sized {
    /// Names of the statistics; up to 31 bytes of each are shown.
    const STATISTICS: &'static [&'static CStr];

    /// Names of the self-tests.
    const TESTS: &'static [&'static CStr];

    /// Number of registers in the dump.
    const REGISTERS: usize;

    /// The firmware's version, or what stands for it, as major and minor number.
    fn firmware(dev: &Netdev<Self>) -> (u32, u32);

    /// The link's speed in Mbit/s, if it is known.
    fn link_speed(dev: &Netdev<Self>) -> Option<u32>;

    /// The lengths of the rings at the moment.
    fn ring_sizes(dev: &Netdev<Self>) -> RingSizes;

    /// The lengths they can have at most.
    fn max_ring_sizes(dev: &Netdev<Self>) -> RingSizes;

    /// Sets the lengths, which are within those limits; `EINVAL` if they can't be set.
    fn set_ring_sizes(dev: &Netdev<Self>, rtnl: &Rtnl, sizes: RingSizes) -> Result;

    /// How long a received frame may wait for others before there is an interrupt, in microseconds.
    fn moderation(dev: &Netdev<Self>) -> u32;

    /// Sets that.
    fn set_moderation(dev: &Netdev<Self>, usecs: u32) -> Result;

    /// Fills in the statistics, in the order of their names.
    fn statistics(dev: &Netdev<Self>, values: &mut [u64]);

    /// Fills in the registers.
    fn registers(dev: &Netdev<Self>, values: &mut [u32]);

    /// Has the device reset, sooner or later.
    fn reset(dev: &Netdev<Self>);

    /// Runs the self-tests, if `offline` also those that the device can't be used during; fills in 0 for those that pass, and
    /// for those that weren't run.
    fn self_test(dev: &Netdev<Self>, rtnl: &Rtnl, offline: bool, results: &mut [u64]);
}

/// Length of a name among strings.
const NAME_LEN: usize = b::ETH_GSTRING_LEN as usize;

impl<T: Driver> Netdev<T> {
    pub(super) const ETHTOOL_OPS: &'static b::ethtool_ops = &{
        // SAFETY: Null is right for all function pointers that aren't set, as is zero for numbers.
        let mut ops: b::ethtool_ops = unsafe { zeroed() };
        ops.supported_coalesce_params = b::ETHTOOL_COALESCE_RX_USECS;
        ops.get_drvinfo = Some(Self::drvinfo_callback);
        ops.get_link = Some(b::ethtool_op_get_link);
        ops.get_link_ksettings = Some(Self::link_callback);
        ops.get_ringparam = Some(Self::rings_callback);
        ops.set_ringparam = Some(Self::set_rings_callback);
        ops.get_channels = Some(Self::channels_callback);
        ops.set_channels = Some(Self::set_channels_callback);
        ops.get_rx_ring_count = Some(Self::ring_count_callback);
        ops.get_rxfh_key_size = Some(Self::key_size_callback);
        ops.get_rxfh_indir_size = Some(Self::table_size_callback);
        ops.get_rxfh = Some(Self::spreading_callback);
        ops.set_rxfh = Some(Self::set_spreading_callback);
        ops.get_coalesce = Some(Self::coalesce_callback);
        ops.set_coalesce = Some(Self::set_coalesce_callback);
        ops.get_sset_count = Some(Self::count_callback);
        ops.get_strings = Some(Self::strings_callback);
        ops.get_ethtool_stats = Some(Self::statistics_callback);
        ops.get_regs_len = Some(Self::registers_len_callback);
        ops.get_regs = Some(Self::registers_callback);
        ops.reset = Some(Self::reset_callback);
        ops.self_test = Some(Self::test_callback);
        ops
    };

    fn names(set: c_int) -> Option<&'static [&'static CStr]> {
        match set as u32 {
            b::ethtool_stringset_ETH_SS_STATS => Some(T::STATISTICS),
            b::ethtool_stringset_ETH_SS_TEST => Some(T::TESTS),
            _ => None,
        }
    }

    /// # Safety
    ///
    /// For the ethtool core only, as the operation of this name; so are the next ones.
    unsafe extern "C" fn drvinfo_callback(dev: *mut b::net_device, to: *mut b::ethtool_drvinfo) {
        // SAFETY: The core passes a device whose operations these are, and what is to be filled in.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        let (major, minor) = T::firmware(this);
        let mut text = [0u8; 24];
        let digits = [major / 10 % 10, major % 10, minor / 10 % 10, minor % 10];
        let [a, b, c, d] = digits.map(|digit| b'0' + digit as u8);
        text[..5].copy_from_slice(&[a, b, b'.', c, d]);
        for (to, from) in to.fw_version.iter_mut().zip(text) {
            *to = from;
        }
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn link_callback(
        dev: *mut b::net_device,
        to: *mut b::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: As above.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        to.base.speed = T::link_speed(this).unwrap_or(b::SPEED_UNKNOWN as u32);
        to.base.duplex = b::DUPLEX_FULL as u8;
        to.base.port = b::PORT_OTHER as u8;
        0
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn rings_callback(
        dev: *mut b::net_device,
        to: *mut b::ethtool_ringparam,
        _kernel: *mut b::kernel_ethtool_ringparam,
        _ack: *mut b::netlink_ext_ack,
    ) {
        // SAFETY: As above.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        let (now, most) = (T::ring_sizes(this), T::max_ring_sizes(this));
        to.rx_max_pending = most.rx;
        to.tx_max_pending = most.tx;
        to.rx_pending = now.rx;
        to.tx_pending = now.tx;
    }

    /// What a change that stopped the device for a while returns. One that could not be opened again is reset.
    fn changed(&self, result: Result) -> Result<c_int> {
        if self.is_stalled() {
            T::reset(self);
        }
        result.map(|()| 0)
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn set_rings_callback(
        dev: *mut b::net_device,
        from: *mut b::ethtool_ringparam,
        _kernel: *mut b::kernel_ethtool_ringparam,
        _ack: *mut b::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: As above; RTNL is held.
        let (this, from, rtnl) = unsafe { (Self::from_dev(dev), &*from, Rtnl::assume()) };
        from_result(|| {
            let most = T::max_ring_sizes(this);
            let sizes = RingSizes {
                rx: from.rx_pending,
                tx: from.tx_pending,
            };
            if sizes.rx > most.rx || sizes.tx > most.tx {
                return Err(EINVAL);
            }
            this.changed(T::set_ring_sizes(this, rtnl, sizes))
        })
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn channels_callback(dev: *mut b::net_device, to: *mut b::ethtool_channels) {
        // SAFETY: As above.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        to.max_combined = u32::from(this.queues);
        to.combined_count = u32::from(this.queues());
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn set_channels_callback(
        dev: *mut b::net_device,
        from: *mut b::ethtool_channels,
    ) -> c_int {
        // SAFETY: As above; RTNL is held.
        let (this, from, rtnl) = unsafe { (Self::from_dev(dev), &*from, Rtnl::assume()) };
        from_result(|| {
            if from.rx_count != 0 || from.tx_count != 0 || from.other_count != 0 {
                return Err(EINVAL);
            }
            this.changed(this.use_queues(rtnl, u16::try_from(from.combined_count)?))
        })
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn coalesce_callback(
        dev: *mut b::net_device,
        to: *mut b::ethtool_coalesce,
        _kernel: *mut b::kernel_ethtool_coalesce,
        _ack: *mut b::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: As above.
        let (this, to) = unsafe { (Self::from_dev(dev), &mut *to) };
        to.rx_coalesce_usecs = T::moderation(this);
        0
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn set_coalesce_callback(
        dev: *mut b::net_device,
        from: *mut b::ethtool_coalesce,
        _kernel: *mut b::kernel_ethtool_coalesce,
        _ack: *mut b::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: As above.
        let (this, usecs) = unsafe { (Self::from_dev(dev), (*from).rx_coalesce_usecs) };
        from_result(|| T::set_moderation(this, usecs).map(|()| 0))
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn count_callback(_dev: *mut b::net_device, set: c_int) -> c_int {
        match Self::names(set) {
            Some(names) => names.len() as c_int,
            None => -(b::EOPNOTSUPP as c_int),
        }
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn strings_callback(_dev: *mut b::net_device, set: u32, to: *mut u8) {
        let names = Self::names(set as c_int).unwrap_or_default();
        // SAFETY: The core has room for as many names as `count_callback` says.
        let to = unsafe { slice::from_raw_parts_mut(to, names.len() * NAME_LEN) };
        for (to, name) in to.chunks_exact_mut(NAME_LEN).zip(names) {
            let name = name.to_bytes();
            let len = name.len().min(NAME_LEN - 1);
            to.fill(0);
            to[..len].copy_from_slice(&name[..len]);
        }
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn statistics_callback(
        dev: *mut b::net_device,
        _stats: *mut b::ethtool_stats,
        to: *mut u64,
    ) {
        // SAFETY: As above; the core has room for as many values as there are names, zeroed.
        let (this, to) = unsafe {
            (
                Self::from_dev(dev),
                slice::from_raw_parts_mut(to, T::STATISTICS.len()),
            )
        };
        T::statistics(this, to);
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn registers_len_callback(_dev: *mut b::net_device) -> c_int {
        (T::REGISTERS * size_of::<u32>()) as c_int
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn registers_callback(
        dev: *mut b::net_device,
        regs: *mut b::ethtool_regs,
        to: *mut c_void,
    ) {
        // SAFETY: As above; the core has room, zeroed and aligned, for what `registers_len_callback` says.
        let (this, to) = unsafe {
            (*regs).version = 1;
            (
                Self::from_dev(dev),
                slice::from_raw_parts_mut(to.cast::<u32>(), T::REGISTERS),
            )
        };
        T::registers(this, to);
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn reset_callback(dev: *mut b::net_device, flags: *mut u32) -> c_int {
        // SAFETY: As above.
        let this = unsafe { Self::from_dev(dev) };
        T::reset(this);
        // SAFETY: As above. What was reset is to be cleared: everything.
        unsafe { *flags = 0 };
        0
    }

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn test_callback(
        dev: *mut b::net_device,
        test: *mut b::ethtool_test,
        to: *mut u64,
    ) {
        // SAFETY: As above; the core has room for as many results as there are names, zeroed. RTNL is held.
        let (this, results, offline, rtnl) = unsafe {
            (
                Self::from_dev(dev),
                slice::from_raw_parts_mut(to, T::TESTS.len()),
                (*test).flags & b::ethtool_test_flags_ETH_TEST_FL_OFFLINE != 0,
                Rtnl::assume(),
            )
        };
        T::self_test(this, rtnl, offline, results);
        if results.iter().any(|result| *result != 0) {
            // SAFETY: As above.
            unsafe { (*test).flags |= b::ethtool_test_flags_ETH_TEST_FL_FAILED };
        }
    }
}
