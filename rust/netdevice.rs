// SPDX-License-Identifier: GPL-2.0
//! Network devices.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/rtnetlink.h`](srctree/include/linux/rtnetlink.h)

use super::{
    bindings,
    context::BhDisabled,
    netns::{Net, NetCookie},
    skbuff::SkBuff,
};
use core::{
    ffi::{c_int, c_void, CStr},
    fmt,
    mem::offset_of,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::{NotThreadSafe, Opaque},
};

/// Evidence that the RTNL mutex is held, which serialises changes of network devices.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Takes the mutex until the value is dropped. May sleep.
    pub(crate) fn lock() -> Self {
        // SAFETY: There are no requirements; `drop` unlocks it.
        unsafe { bindings::rtnl_lock() };
        Self(NotThreadSafe)
    }

    /// Evidence for a place that is reached with the mutex held.
    ///
    /// # Safety
    ///
    /// The calling thread must hold the mutex throughout `'a`.
    pub(in crate::net) unsafe fn assume<'a>() -> &'a Self {
        // SAFETY: The type has no size, so that any aligned pointer that isn't null is valid; it isn't dropped.
        unsafe { NonNull::<Self>::dangling().as_ref() }
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        // SAFETY: Locked by `lock`.
        unsafe { bindings::rtnl_unlock() };
    }
}

/// What kind of frames a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkType {
    /// With an Ethernet header.
    Ethernet,
    /// With an Ethernet header whose addresses mean nothing, to this host itself.
    Loopback,
    /// IP packets without a link-layer header.
    Raw,
}

/// A device's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name([u8; bindings::IFNAMSIZ as usize]);

impl Name {
    /// As C has it.
    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_c_str().to_str().unwrap_or("?"))
    }
}

/// A network device, `struct net_device`.
///
/// A counted reference (`ARef<NetDevice>`) keeps the object, and holds up the device's unregistration: who has one
/// drops it when told by [`NetdevObserver::unregister`].
///
/// # Invariants
///
/// A valid `struct net_device` whose reference count is not zero.
#[repr(transparent)]
pub(crate) struct NetDevice(Opaque<bindings::net_device>);

// SAFETY: A net_device is reference counted across threads.
unsafe impl Send for NetDevice {}

// SAFETY: The methods read what changes atomically, or call functions that do their own locking.
unsafe impl Sync for NetDevice {}

// SAFETY: `dev_hold()` and `dev_put()` keep the count that keeps a net_device alive.
unsafe impl AlwaysRefCounted for NetDevice {
    fn inc_ref(&self) {
        // SAFETY: By the type's invariants the count is not zero.
        unsafe { bindings::toe_helper_dev_hold(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::toe_helper_dev_put(obj.as_ptr().cast()) };
    }
}

impl NetDevice {
    /// A device C code passes.
    ///
    /// # Safety
    ///
    /// `ptr` must be a valid `struct net_device`, kept by a reference throughout `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::net_device) -> &'a Self {
        // SAFETY: By the function's safety requirements; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    /// The device of `net` with this interface index.
    pub(crate) fn by_index(net: &Net, ifindex: u32) -> Option<ARef<Self>> {
        let ifindex = c_int::try_from(ifindex).ok()?;
        // SAFETY: `net` is valid.
        let dev = NonNull::new(unsafe { bindings::dev_get_by_index(net.as_ptr(), ifindex) })?;
        // SAFETY: The function returns a reference.
        Some(unsafe { ARef::from_raw(dev.cast()) })
    }

    /// The C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::net_device {
        self.0.get()
    }

    /// The interface index, unique within the namespace.
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: Valid by the type's invariants.
        unsafe { (*self.as_ptr()).ifindex as u32 }
    }

    /// The name at the moment; a mixture of two if it is being renamed.
    pub(crate) fn name(&self) -> Name {
        let mut name = Name([0; bindings::IFNAMSIZ as usize]);
        // SAFETY: Valid by the type's invariants; names have at most this length, with the terminating zero.
        unsafe { bindings::toe_helper_dev_name(self.as_ptr(), name.0.as_mut_ptr().cast()) };
        name
    }

    /// The network namespace it is in at the moment.
    pub(crate) fn net_cookie(&self) -> NetCookie {
        // SAFETY: Valid by the type's invariants.
        NetCookie(unsafe { bindings::toe_helper_dev_net_cookie(self.as_ptr()) })
    }

    /// The kind of its frames; `None` if they are of a kind TCP/IP isn't carried in here.
    pub(crate) fn link_type(&self) -> Option<LinkType> {
        // SAFETY: Valid by the type's invariants.
        let (kind, header_len) =
            unsafe { ((*self.as_ptr()).type_, (*self.as_ptr()).hard_header_len) };
        match u32::from(kind) {
            bindings::ARPHRD_ETHER => Some(LinkType::Ethernet),
            bindings::ARPHRD_LOOPBACK => Some(LinkType::Loopback),
            _ if header_len == 0 => Some(LinkType::Raw),
            _ => None,
        }
    }

    /// The largest packet to be cut into segments by it or for it, in bytes; 0 if its administrator doesn't want that.
    pub(crate) fn segmentation_limit(&self, ipv6: bool) -> u32 {
        // SAFETY: Valid by the type's invariants.
        unsafe { bindings::toe_helper_dev_gso_limit(self.as_ptr(), ipv6) }
    }

    /// Bytes to keep free before a frame for the headers of devices below this one.
    pub(crate) fn headroom(&self) -> usize {
        // SAFETY: Valid by the type's invariants.
        unsafe { bindings::toe_helper_dev_headroom(self.as_ptr()) as usize }
    }

    /// Hands a frame, link-layer header included, to the device's queue.
    ///
    /// `ENOBUFS` if it was dropped right away. The frame may arrive back in this host before the call returns: no lock
    /// that receive processing takes may be held.
    #[inline]
    pub(crate) fn transmit(&self, skb: SkBuff) -> Result {
        // SAFETY: Valid by the type's invariants; the packet's reference is given to the function.
        match unsafe { bindings::toe_helper_dev_xmit(self.as_ptr(), skb.into_raw()) } {
            0 => Ok(()),
            error => to_result(error),
        }
    }
}

/// A reference to a device that can be taken back while others use it.
///
/// # Invariants
///
/// The pointer is null or a reference to a device, which is only given up after everybody who may have loaded it has
/// enabled bottom halves again.
pub(crate) struct NetDeviceSlot(AtomicPtr<NetDevice>);

impl NetDeviceSlot {
    /// Holds `dev`.
    pub(crate) fn new(dev: ARef<NetDevice>) -> Self {
        // INVARIANT: The reference is the value's.
        Self(AtomicPtr::new(ARef::into_raw(dev).as_ptr()))
    }

    /// The device, unless it was taken back.
    #[inline]
    pub(crate) fn get<'a>(&'a self, _bh: &'a BhDisabled) -> Option<&'a NetDevice> {
        // SAFETY: By the type's invariants the reference lasts as long as bottom halves stay disabled.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Takes the reference back, and waits until nobody uses it any more. May sleep.
    pub(crate) fn take(&self) -> Option<ARef<NetDevice>> {
        let dev = NonNull::new(self.0.swap(ptr::null_mut(), Ordering::AcqRel))?;
        // SAFETY: There are no requirements but the context, whose neglect the kernel reports. Code with bottom halves
        // disabled counts as RCU readers.
        unsafe { bindings::synchronize_net() };
        // SAFETY: By the type's invariants the reference was the value's; it was taken out.
        Some(unsafe { ARef::from_raw(dev) })
    }
}

impl Drop for NetDeviceSlot {
    fn drop(&mut self) {
        if let Some(dev) = NonNull::new(*self.0.get_mut()) {
            // SAFETY: By the type's invariants the reference is the value's, which nobody else uses any more.
            drop(unsafe { ARef::from_raw(dev) });
        }
    }
}

/// Who wants to know of devices that come, change or go away.
pub(crate) trait NetdevObserver: Send + Sync {
    /// `dev` was registered, or has come from another namespace. Called with RTNL held; may sleep.
    fn registered(&self, dev: &NetDevice);

    /// The MTU, link-layer address or features of `dev` changed. Called with RTNL held; may sleep.
    fn changed(&self, dev: &NetDevice);

    /// `dev` unregisters, or moves to another namespace: references to it must be dropped. Called with RTNL held; may
    /// sleep.
    fn unregister(&self, dev: &NetDevice);
}

/// A registered observer of all devices of all namespaces.
///
/// # Invariants
///
/// `block` is registered, and its callback is [`Self::call`].
#[pin_data(PinnedDrop)]
pub(crate) struct NetdevNotifier<T: NetdevObserver> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    observer: T,
}

// SAFETY: The notifier chain does its own locking.
unsafe impl<T: NetdevObserver> Send for NetdevNotifier<T> {}

// SAFETY: As above.
unsafe impl<T: NetdevObserver> Sync for NetdevNotifier<T> {}

impl<T: NetdevObserver> NetdevNotifier<T> {
    /// Registers `observer`. May sleep; RTNL must not be held.
    pub(crate) fn new(observer: T) -> impl PinInit<Self, Error> {
        // INVARIANT: Registered, or initialisation fails.
        try_pin_init!(Self {
            observer,
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                // SAFETY: `slot` is valid for writes, and pinned from now on; `observer` is initialised before it.
                unsafe {
                    slot.write(bindings::notifier_block {
                        notifier_call: Some(Self::call),
                        ..Default::default()
                    });
                    to_result(bindings::register_netdevice_notifier(slot))
                }
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Called by the notifier chain only: with `block` of a `Self`, and `info` of the event.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        event: kernel::ffi::c_ulong,
        info: *mut c_void,
    ) -> c_int {
        let tell = match event as u32 {
            bindings::netdev_cmd_NETDEV_REGISTER => T::registered,
            bindings::netdev_cmd_NETDEV_UNREGISTER => T::unregister,
            bindings::netdev_cmd_NETDEV_CHANGEMTU
            | bindings::netdev_cmd_NETDEV_CHANGEADDR
            | bindings::netdev_cmd_NETDEV_FEAT_CHANGE => T::changed,
            _ => return bindings::NOTIFY_DONE as c_int,
        };
        let this = block
            .wrapping_byte_sub(offset_of!(Self, block))
            .cast::<Self>();
        // SAFETY: By the function's safety requirements; every event's info begins with this structure, whose device is
        // valid throughout the call.
        unsafe {
            let dev = (*info.cast::<bindings::netdev_notifier_info>()).dev;
            tell(&(*this).observer, NetDevice::from_raw(dev));
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: NetdevObserver> PinnedDrop for NetdevNotifier<T> {
    /// Tells the observer that all devices unregister. RTNL must not be held.
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by the type's invariants.
        unsafe { bindings::unregister_netdevice_notifier(self.block.get()) };
    }
}
