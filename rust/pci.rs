// SPDX-License-Identifier: GPL-2.0
//! What the kernel's own abstraction of PCI devices lacks.
//!
//! C headers: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h),
//! [`include/linux/pci.h`](srctree/include/linux/pci.h)

use super::{bindings as b, dma::Binding};
use core::{marker::PhantomData, mem::zeroed, ptr};
use kernel::{
    bindings::{dev_pm_ops, device},
    device::{Core, CoreInternal, Device},
    dma::{Device as _, DmaMask},
    driver::{DriverLayout, RegistrationOps},
    error::from_result,
    ffi::c_int,
    pci,
    prelude::*,
    types::Opaque,
};

/// A driver of PCI devices that it stops before the system sleeps, and starts again when it wakes up.
///
/// It is registered by an [`Adapter`], as another would be by the kernel's [`pci::Adapter`].
///
/// # Examples
///
/// ```ignore
/// impl Sleep for MyDriver {
///     fn suspend(data: Pin<&MyData>) -> Result {
///         data.registers.write(CONTROL, CONTROL_RESET);
///         Ok(())
///     }
///
///     fn resume(data: Pin<&MyData>) -> Result {
///         data.set_up()
///     }
/// }
///
/// let registration = KBox::pin_init(
///     kernel::driver::Registration::<pci::Adapter<MyDriver>>::new(c"mine", module),
///     GFP_KERNEL,
/// )?;
/// ```
pub(crate) trait Sleep: pci::Driver {
    /// The system is going to sleep, or its memory to be saved: from now on the device is to leave memory alone, and not to
    /// interrupt. Process context; user space is frozen. An error keeps the system awake.
    fn suspend(data: Pin<&Self::Data<'_>>) -> Result;

    /// The system has woken up. The device's configuration space is as it was, but it may have forgotten all else. Process
    /// context. It is called after [`suspend`](Self::suspend) only, if the system wakes up at all.
    fn resume(data: Pin<&Self::Data<'_>>) -> Result;
}

/// What a [driver that sleeps](Sleep) is registered with.
pub(crate) struct Adapter<T>(PhantomData<T>);

// SAFETY: All is as the kernel's adapter has it.
unsafe impl<T: Sleep> DriverLayout for Adapter<T> {
    type DriverType = <pci::Adapter<T> as DriverLayout>::DriverType;
    type DriverData<'bound> = <pci::Adapter<T> as DriverLayout>::DriverData<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = <pci::Adapter<T> as DriverLayout>::DEVICE_DRIVER_OFFSET;
}

// SAFETY: The kernel's adapter registers and unregisters.
unsafe impl<T: Sleep> RegistrationOps for Adapter<T> {
    unsafe fn register(
        driver: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: The driver isn't registered yet, and nobody else's; by the function's safety requirements.
        unsafe {
            (*driver.get()).driver.pm = Self::OPERATIONS;
            <pci::Adapter<T> as RegistrationOps>::register(driver, name, module)
        }
    }

    unsafe fn unregister(driver: &Opaque<Self::DriverType>) {
        // SAFETY: By the function's safety requirements.
        unsafe { <pci::Adapter<T> as RegistrationOps>::unregister(driver) }
    }
}

impl<T: Sleep> Adapter<T> {
    const OPERATIONS: &'static dev_pm_ops = &{
        // SAFETY: Null is right for all function pointers that aren't set.
        let mut operations: dev_pm_ops = unsafe { zeroed() };
        operations.suspend = Some(Self::suspend_callback);
        operations.freeze = Some(Self::suspend_callback);
        operations.poweroff = Some(Self::suspend_callback);
        operations.resume = Some(Self::resume_callback);
        operations.thaw = Some(Self::resume_callback);
        operations.restore = Some(Self::resume_callback);
        operations
    };

    /// # Safety
    ///
    /// For the PM core only, with a device that is bound to this driver, and locked.
    unsafe extern "C" fn suspend_callback(dev: *mut device) -> c_int {
        // SAFETY: Valid by the function's safety requirements; the type is transparent.
        let dev = unsafe { &*dev.cast::<Device<CoreInternal<'_>>>() };
        // SAFETY: The device is bound, so that probing has set data of this type, and isn't unbound while it is locked.
        from_result(|| T::suspend(unsafe { dev.drvdata_borrow::<T::Data<'_>>() }).map(|()| 0))
    }

    /// # Safety
    ///
    /// As of [`Self::suspend_callback`].
    unsafe extern "C" fn resume_callback(dev: *mut device) -> c_int {
        // SAFETY: As above.
        let dev = unsafe { &*dev.cast::<Device<CoreInternal<'_>>>() };
        // SAFETY: As above.
        from_result(|| T::resume(unsafe { dev.drvdata_borrow::<T::Data<'_>>() }).map(|()| 0))
    }
}

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
