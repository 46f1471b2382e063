// SPDX-License-Identifier: GPL-2.0
//! Neighbours: who the next hop is, on the link.
//!
//! C headers: [`include/net/neighbour.h`](srctree/include/net/neighbour.h),
//! [`include/net/netevent.h`](srctree/include/net/netevent.h)

use super::{bindings as b, dst::Dst};
use core::{mem::offset_of, ptr::NonNull};
use kernel::{
    error::{to_result, Error},
    ffi::{c_int, c_ulong, c_void},
    prelude::*,
    types::Opaque,
};

/// An Ethernet address.
pub(crate) type EtherAddr = [u8; 6];

/// A counted reference to an entry of the neighbour table.
///
/// # Invariants
///
/// Points to a valid `struct neighbour`, one of whose references the value owns.
pub(crate) struct Neighbour(NonNull<b::neighbour>);

// SAFETY: A neighbour is reference counted atomically and does its own locking.
unsafe impl Send for Neighbour {}
// SAFETY: As above.
unsafe impl Sync for Neighbour {}

impl Neighbour {
    /// The next hop of `route` to the address `to`, of which an IPv4 route uses the first four bytes; `None` if there is
    /// no memory for it.
    pub(crate) fn of(route: &Dst, to: &[u8; 16]) -> Option<Self> {
        // SAFETY: The route is valid, and the address as long as any family's; what is returned comes with a reference.
        // INVARIANT: That reference is the new value's.
        NonNull::new(unsafe { b::toe_helper_dst_neighbour(route.as_ptr(), to.as_ptr().cast()) })
            .map(Self)
    }

    /// Its Ethernet address and that of our netdev, if its own is known and it is on an Ethernet.
    pub(crate) fn addresses(&self) -> Option<(EtherAddr, EtherAddr)> {
        let (mut remote, mut local) = (EtherAddr::default(), EtherAddr::default());
        // SAFETY: By the type invariant; both have room for an Ethernet address.
        unsafe {
            b::toe_helper_neigh_link(self.0.as_ptr(), remote.as_mut_ptr(), local.as_mut_ptr())
        }
        .then_some((remote, local))
    }

    /// It is being sent to: has the neighbour table see to it that its address is known and right.
    pub(crate) fn in_use(&self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_neigh_use(self.0.as_ptr()) }
    }

    /// It has answered.
    pub(crate) fn confirm(&self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_neigh_confirm(self.0.as_ptr()) }
    }

    /// Whether an update is about this neighbour.
    pub(crate) fn is(&self, update: &NeighbourUpdate) -> bool {
        self.0.as_ptr() == update.0
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_neigh_release(self.0.as_ptr()) }
    }
}

/// Which neighbour something happened to; compare with [`Neighbour::is`].
pub(crate) struct NeighbourUpdate(*mut b::neighbour);

/// Who wants to know of changes in the neighbour tables of all namespaces.
pub(crate) trait NeighbourObserver: Send + Sync {
    /// A neighbour's address or state has changed. Softirq or process context; must not sleep.
    fn updated(&self, update: &NeighbourUpdate);
}

/// A registered observer of neighbours.
///
/// # Invariants
///
/// `block` is registered, and its callback is [`Self::call`].
#[pin_data(PinnedDrop)]
pub(crate) struct NeighbourNotifier<T: NeighbourObserver> {
    #[pin]
    block: Opaque<b::notifier_block>,
    observer: T,
}

// SAFETY: The notifier chain does its own locking.
unsafe impl<T: NeighbourObserver> Send for NeighbourNotifier<T> {}
// SAFETY: As above.
unsafe impl<T: NeighbourObserver> Sync for NeighbourNotifier<T> {}

impl<T: NeighbourObserver> NeighbourNotifier<T> {
    /// Registers `observer`.
    pub(crate) fn new(observer: T) -> impl PinInit<Self, Error> {
        // INVARIANT: Registered, or initialisation fails.
        try_pin_init!(Self {
            observer,
            block <- Opaque::try_ffi_init(|slot: *mut b::notifier_block| {
                // SAFETY: `slot` is valid for writes, and pinned from now on; `observer` is initialised before it.
                unsafe {
                    slot.write(b::notifier_block { notifier_call: Some(Self::call), ..Default::default() });
                    to_result(b::register_netevent_notifier(slot))
                }
            }),
        }? Error)
    }

    /// # Safety
    ///
    /// Called by the notifier chain only: with `block` of a `Self`, and the event's object in `data`.
    unsafe extern "C" fn call(
        block: *mut b::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        if event as u32 == b::netevent_notif_type_NETEVENT_NEIGH_UPDATE {
            let this = block
                .wrapping_byte_sub(offset_of!(Self, block))
                .cast::<Self>();
            // SAFETY: By this function's contract.
            unsafe { (*this).observer.updated(&NeighbourUpdate(data.cast())) };
        }
        b::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: NeighbourObserver> PinnedDrop for NeighbourNotifier<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by the type invariant. No call is under way once this returns.
        unsafe { b::unregister_netevent_notifier(self.block.get()) };
    }
}
