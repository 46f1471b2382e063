// SPDX-License-Identifier: GPL-2.0
//! Interrupts of PCI devices with several vectors.
//!
//! The kernel's own abstraction of them changed with 7.3: before, it gave access to the first and the last of a range
//! only, and freed them with the device's binding, not with a value.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use super::{bindings as b, context::HardIrq};
use core::{ffi::c_void, ptr};
use kernel::{
    device::{Bound, DeviceContext},
    devres::{self, Devres},
    error::to_result,
    ffi::{c_int, c_uint},
    pci,
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// What happens at an interrupt.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The device raised it.
    fn interrupt(&self, irq: &HardIrq);
}

/// The MSI-X vectors of a device.
pub(crate) struct Vectors<'a> {
    dev: &'a pci::Device<Bound>,
    count: u32,
}

impl<'a> Vectors<'a> {
    /// Allocates `count` vectors, which are the device's until it is unbound.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there are fewer; others of `pci_alloc_irq_vectors()`.
    pub(crate) fn new(dev: &'a pci::Device<Bound>, count: u32) -> Result<Self> {
        // SAFETY: `dev` is a valid device.
        to_result(unsafe { b::pci_alloc_irq_vectors(raw(dev), count, count, b::PCI_IRQ_MSIX) })?;
        // INVARIANT: Just allocated.
        let allocated = Allocated(dev.into());
        devres::register::<Allocated, Error>(dev.as_ref(), Ok(allocated), GFP_KERNEL)?;
        Ok(Self { dev, count })
    }

    /// Has `handler` called at interrupts of vector `index`, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such vector; those of `request_irq()`.
    pub(crate) fn request<T: Handler>(
        &self,
        index: u32,
        name: &'static CStr,
        handler: Arc<T>,
    ) -> Result<Registration> {
        if index >= self.count {
            return Err(EINVAL);
        }
        // SAFETY: It is a valid device.
        let irq = unsafe { b::pci_irq_vector(raw(self.dev), index) };
        if irq < 0 {
            return Err(Error::from_errno(irq));
        }
        let irq = irq as c_uint;
        let inner = Inner {
            irq,
            handler: Arc::into_raw(handler).cast_mut().cast(),
            drop: |handler| {
                // SAFETY: From `into_raw`, and given up.
                drop(unsafe { Arc::from_raw(handler.cast::<T>()) });
            },
        };
        // SAFETY: The handler lives until the interrupt is freed.
        let requested = to_result(unsafe {
            b::toe_helper_request_irq(irq, Some(call::<T>), name.as_char_ptr(), inner.handler)
        });
        if let Err(error) = requested {
            (inner.drop)(inner.handler);
            core::mem::forget(inner);
            return Err(error);
        }
        Ok(Registration(Devres::new(
            self.dev.as_ref(),
            Ok::<_, Error>(inner),
        )?))
    }
}

/// Frees a device's vectors when it is unbound, after whatever was requested of them.
///
/// # Invariants
///
/// The device has vectors allocated, which nobody else frees.
struct Allocated(ARef<pci::Device>);

impl Drop for Allocated {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants.
        unsafe { b::pci_free_irq_vectors(raw(&self.0)) };
    }
}

fn raw<C: DeviceContext>(dev: &pci::Device<C>) -> *mut b::pci_dev {
    ptr::from_ref(dev).cast_mut().cast()
}

/// Keeps a handler. Dropping it waits until the handler runs nowhere; may sleep.
pub(crate) struct Registration(#[expect(dead_code)] Devres<Inner>);

/// # Invariants
///
/// `irq` was requested with `handler`, which comes from [`Arc::into_raw`] and is for `drop` to free.
struct Inner {
    irq: c_uint,
    handler: *mut c_void,
    drop: fn(*mut c_void),
}

// SAFETY: Handlers may be dropped, and interrupts freed, by any thread.
unsafe impl Send for Inner {}

// SAFETY: There is nothing to be done with a shared reference.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: Requested by the type's invariants.
        unsafe { b::free_irq(self.irq, self.handler) };
        (self.drop)(self.handler);
    }
}

/// # Safety
///
/// Called by the interrupt core only, with the `T` the interrupt was requested with.
unsafe extern "C" fn call<T: Handler>(_irq: c_int, handler: *mut c_void) -> b::irqreturn_t {
    // SAFETY: The handler lives until the interrupt is freed, and this is where it is called.
    unsafe { (*handler.cast::<T>()).interrupt(HardIrq::assume()) };
    b::irqreturn::IRQ_HANDLED
}
