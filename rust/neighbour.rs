// SPDX-License-Identifier: GPL-2.0
//! Neighbours: who the next hop is, on the link.
//!
//! C header: [`include/net/neighbour.h`](srctree/include/net/neighbour.h)

use super::{bindings as b, dst::Dst};
use core::ptr::NonNull;

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
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_neigh_release(self.0.as_ptr()) }
    }
}
