// SPDX-License-Identifier: GPL-2.0
//! Work queues of one's own.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::bindings as b;
use core::{ops::Deref, ptr::NonNull};
use kernel::{prelude::*, str::CStr, workqueue::Queue};

/// A work queue that is the module's own: dropping it finishes all its work first.
///
/// # Invariants
///
/// The pointer is a work queue that nobody else destroys.
pub(crate) struct OwnedQueue(NonNull<b::workqueue_struct>);

// SAFETY: A work queue may be used from any thread.
unsafe impl Send for OwnedQueue {}
// SAFETY: As above.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// A new queue whose work runs on any CPU, without limit on how much of it at once.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn unbound(name: &'static CStr) -> Result<Self> {
        // SAFETY: The format takes one string.
        let queue = unsafe {
            b::alloc_workqueue_noprof(c"%s".as_char_ptr(), b::WQ_UNBOUND, 0, name.as_char_ptr())
        };
        // INVARIANT: Just made.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }
}

impl Deref for OwnedQueue {
    type Target = Queue;
    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariant; kernel's binding and ours are of the same C type.
        unsafe { Queue::from_raw(self.0.as_ptr().cast()) }
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { b::destroy_workqueue(self.0.as_ptr()) }
    }
}
