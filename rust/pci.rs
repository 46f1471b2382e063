// SPDX-License-Identifier: GPL-2.0
//! What the kernel's own abstraction of PCI devices lacks.
//!
//! C headers: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h),
//! [`include/linux/pci.h`](srctree/include/linux/pci.h)

use super::{bindings as b, dma::Binding};
use core::ptr;
use kernel::{
    device::Core,
    dma::{Device as _, DmaMask},
    pci,
    prelude::*,
};

/// Lets the device have memory at any address, from what is allocated or mapped for it next. `EIO` if that can't be.
pub(crate) fn allow_dma(dev: &pci::Device<Core<'_>>) -> Result {
    // SAFETY: Callbacks of the bus, which alone have such a reference, are called one at a time. Who allocates or maps
    // memory meanwhile gets some that either mask allows.
    unsafe { dev.dma_set_mask_and_coherent(DmaMask::new::<64>()) }
}

/// Lets the device access memory again after [`forbid_dma`].
pub(crate) fn permit_dma(binding: &Binding) {
    binding.with(|dev| {
        // SAFETY: As below.
        unsafe { b::toe_helper_pci_set_master(ptr::from_ref(dev).cast_mut().cast()) };
    });
}

/// Keeps the device from accessing memory, if it heeds its configuration space.
pub(crate) fn forbid_dma(binding: &Binding) {
    // A device that isn't bound is another driver's by now.
    binding.with(|dev| {
        // SAFETY: The device is valid; the type is transparent. What it can't do any more, its driver finds out.
        unsafe { b::toe_helper_pci_clear_master(ptr::from_ref(dev).cast_mut().cast()) };
    });
}
