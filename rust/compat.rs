// SPDX-License-Identifier: GPL-2.0
//! What differs between the kernels that toe.ko is built for, from 7.2 on: nothing else asks which one it is.
//!
//! What is here has the newest kernel's meaning. `Kbuild` sets `since_7_3`.

use kernel::{dma::Coherent, module_param::ModuleParamAccess, pci, prelude::*, sync::barrier};

/// `kernel::pci_device_table!`; the second table is the one that modpost finds, before 7.3.
#[cfg(since_7_3)]
macro_rules! pci_device_table {
    ($table:ident, $module_table:ident, $($rest:tt)*) => {
        ::kernel::pci_device_table!($table, $($rest)*);
    };
}
#[cfg(not(since_7_3))]
pub(crate) use kernel::pci_device_table;
#[cfg(since_7_3)]
pub(crate) use pci_device_table;

/// This module, as `module!` itself calls it before 7.3.
#[cfg(since_7_3)]
pub(crate) static THIS_MODULE: ThisModule =
    <crate::ToeModule as kernel::ModuleMetadata>::THIS_MODULE;
#[cfg(not(since_7_3))]
pub(crate) use crate::THIS_MODULE;

/// What [`pci::Driver::probe`] is told of the identity that matched: from 7.3 on nothing for one that was added at run
/// time.
#[cfg(since_7_3)]
pub(crate) type IdInfo<'a, T> = Option<&'a T>;
#[cfg(not(since_7_3))]
pub(crate) type IdInfo<'a, T> = &'a T;

/// A BAR that is unmapped when its device is unbound.
#[cfg(since_7_3)]
pub(crate) type DevresBar = pci::DevresBar;
#[cfg(not(since_7_3))]
pub(crate) type DevresBar = kernel::devres::Devres<pci::Bar<'static>>;

/// Where a device finds `memory`.
#[inline]
pub(crate) fn dma_address(memory: &Coherent<[u64]>) -> u64 {
    #[cfg(since_7_3)]
    return memory.dma_address();
    #[cfg(not(since_7_3))]
    return memory.dma_handle();
}

/// A full memory barrier between CPUs.
#[inline]
pub(crate) fn smp_mb() {
    #[cfg(since_7_3)]
    barrier::smp_mb(barrier::Full);
    #[cfg(not(since_7_3))]
    barrier::smp_mb();
}

/// What a parameter of the module is set to.
pub(crate) fn parameter<T: Copy>(parameter: &ModuleParamAccess<T>) -> T {
    #[cfg(since_7_3)]
    return parameter.value();
    #[cfg(not(since_7_3))]
    return *parameter.value();
}

/// Runs `init` on the memory at `slot`.
///
/// # Safety
///
/// As for `pin_init::raw_try_init`: `slot` is valid for writes and never moves; unless this fails, it is initialised.
pub(super) unsafe fn init_at<T, E>(slot: *mut T, init: impl PinInit<T, E>) -> Result<(), E> {
    #[cfg(since_7_3)]
    // SAFETY: By this function's contract.
    return unsafe { pin_init::raw_try_init(slot, init) };
    #[cfg(not(since_7_3))]
    // SAFETY: By this function's contract.
    return unsafe { init.__pinned_init(slot) };
}
