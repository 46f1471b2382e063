// SPDX-License-Identifier: GPL-2.0
//! Interrupts of PCI devices with several vectors.
//!
//! The kernel's own abstraction gives access to the first and the last of a range of vectors only.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use super::{bindings as b, context::HardIrq};
use core::{ffi::c_void, ptr};
use kernel::{
    device::Bound,
    devres::Devres,
    error::to_result,
    ffi::{c_int, c_uint},
    pci,
    prelude::*,
    sync::Arc,
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
        let kinds = pci::IrqTypes::default().with(pci::IrqType::MsiX);
        dev.alloc_irq_vectors(count, count, kinds)?;
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
        let pdev = ptr::from_ref(self.dev).cast_mut().cast::<b::pci_dev>();
        // SAFETY: `pdev` is a valid device; the type is transparent.
        let irq = unsafe { b::pci_irq_vector(pdev, index) };
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
    b::irqreturn_IRQ_HANDLED
}
