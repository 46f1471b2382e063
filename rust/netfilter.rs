// SPDX-License-Identifier: GPL-2.0
//! Netfilter hooks on what a device receives.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use super::{
    bindings,
    context::{BhDisabled, RcuRead},
    netdevice::NetDevice,
    skbuff::SkBuff,
};
use core::{
    ffi::{c_uint, c_void},
    ptr::NonNull,
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{aref::ARef, Arc},
    types::{NotThreadSafe, Opaque},
};

/// The context a hook runs in: softirq, or the like, inside an RCU read-side critical section.
pub(crate) struct HookContext<'a>(&'a BhDisabled, NotThreadSafe);

impl HookContext<'_> {
    /// Evidence that bottom halves are disabled.
    #[inline]
    pub(crate) fn bh(&self) -> &BhDisabled {
        self.0
    }
}

// SAFETY: `hook` only makes one inside the critical section that hooks are called in.
unsafe impl RcuRead for HookContext<'_> {}

/// What becomes of a packet.
pub(crate) enum Verdict {
    /// It goes its way up the stack. If it isn't the one the hook was given, that one is gone and this is dropped.
    Accept(SkBuff),
    /// The hook has taken it.
    Stolen,
}

/// Sees each packet that a device receives, before the protocols do.
pub(crate) trait IngressHook: Send + Sync {
    /// Decides about a packet, whose first byte is the network header's.
    fn packet(&self, skb: SkBuff, context: &HookContext<'_>) -> Verdict;
}

/// A registered hook on the packets a device receives, before those of nftables.
///
/// Holds a reference to the device: drop it when the device unregisters.
///
/// # Invariants
///
/// `ops` is registered on `_dev`, and calls [`Self::hook`] with what `_hook` points to.
pub(crate) struct IngressRegistration<T: IngressHook + 'static> {
    ops: KBox<Opaque<bindings::nf_hook_ops>>,
    _dev: ARef<NetDevice>,
    _hook: Arc<T>,
}

// SAFETY: Netfilter does its own locking.
unsafe impl<T: IngressHook> Send for IngressRegistration<T> {}

// SAFETY: No method takes a shared reference.
unsafe impl<T: IngressHook> Sync for IngressRegistration<T> {}

impl<T: IngressHook> IngressRegistration<T> {
    /// Registers `hook` on `dev`. `ENOMEM` if there is no memory. May sleep.
    pub(crate) fn new(dev: ARef<NetDevice>, hook: Arc<T>) -> Result<Self> {
        let ops = KBox::new(Opaque::uninit(), GFP_KERNEL)?;
        // SAFETY: `ops` is valid for writes, and stays where it is until it is unregistered; `hook` lives longer.
        to_result(unsafe {
            bindings::toe_helper_set_ingress_hook(
                ops.get(),
                dev.as_ptr(),
                Some(Self::hook),
                Arc::as_ptr(&hook).cast_mut().cast(),
                i32::MIN,
            );
            bindings::toe_helper_register_ingress_hook(ops.get())
        })?;
        // INVARIANT: Just registered.
        Ok(Self {
            ops,
            _dev: dev,
            _hook: hook,
        })
    }

    /// # Safety
    ///
    /// Called by netfilter only, for a registered hook: with the `T` it was registered with and a packet it owns.
    unsafe extern "C" fn hook(
        hook: *mut c_void,
        skb: *mut bindings::sk_buff,
        _state: *const bindings::nf_hook_state,
    ) -> c_uint {
        // SAFETY: The `T` lives until unregistration has waited for hooks that run.
        let hook = unsafe { &*hook.cast::<T>() };
        // SAFETY: Netfilter gives a valid packet, which is its own until the verdict.
        let given = unsafe { SkBuff::from_raw(NonNull::new_unchecked(skb)) };
        // SAFETY: Devices' packets are received with bottom halves disabled.
        let bh = unsafe { BhDisabled::assume() };
        match hook.packet(given, &HookContext(bh, NotThreadSafe)) {
            Verdict::Stolen => bindings::NF_STOLEN,
            Verdict::Accept(accepted) if accepted.is(skb) => {
                accepted.into_raw();
                bindings::NF_ACCEPT
            }
            // The packet given was consumed.
            Verdict::Accept(_) => bindings::NF_STOLEN,
        }
    }
}

impl<T: IngressHook> Drop for IngressRegistration<T> {
    /// Waits until the hook runs nowhere any more; may sleep.
    fn drop(&mut self) {
        // SAFETY: Registered by the type's invariants, and the device is still referenced. The hook's `T` and `ops` are
        // only freed after the wait.
        unsafe {
            bindings::toe_helper_unregister_ingress_hook(self.ops.get());
            bindings::synchronize_net();
        }
    }
}
