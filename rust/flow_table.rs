// SPDX-License-Identifier: GPL-2.0
//! A hash table of connections, looked up under RCU.
//!
//! C header: [`include/linux/rhashtable.h`](srctree/include/linux/rhashtable.h)

use super::{bindings, context::RcuRead};
use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::offset_of,
    ptr::{self, NonNull},
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::Opaque,
};

/// What an entry is found by: 40 bytes and their hash.
#[derive(Clone, Copy)]
pub(crate) struct FlowKey(bindings::toe_flow_key);

impl FlowKey {
    /// A key of `words`, whose hash the caller has computed. Equal words must come with equal hashes; where outsiders
    /// choose the words, a secret must go into the hash.
    #[inline]
    pub(crate) fn new(hash: u32, words: [u64; 5]) -> Self {
        Self(bindings::toe_flow_key { words, hash })
    }

    /// The hash.
    #[inline]
    pub(crate) fn hash(&self) -> u32 {
        self.0.hash
    }
}

/// An entry, allocated by `KBox` and freed a grace period after it was removed.
#[repr(C)]
struct Node<V> {
    c: bindings::toe_flow_node,
    value: Arc<V>,
}

/// A table from [`FlowKey`] to `Arc<V>`.
///
/// Lookups take no lock; the table grows and shrinks by itself. Values it held may be dropped in softirq context, a
/// grace period after their removal.
///
/// # Invariants
///
/// `table` is an initialised rhashtable all of whose elements are the `c` of a `Node<V>` from a `KBox`.
///
/// # Examples
///
/// ```
/// let table = KBox::pin_init(FlowTable::<u32>::new(), GFP_KERNEL)?;
/// let key = FlowKey::new(7, [1, 2, 3, 4, 5]);
/// table.insert(&key, Arc::new(42, GFP_KERNEL)?)?;
/// assert_eq!(table.lookup(&key, &rcu::read_lock()).map(|v| *v), Some(42));
/// table.remove(&key);
/// # Ok::<(), Error>(())
/// ```
#[pin_data(PinnedDrop)]
pub(crate) struct FlowTable<V: Send + Sync + 'static> {
    #[pin]
    table: Opaque<bindings::rhashtable>,
    _values: PhantomData<Arc<V>>,
}

// SAFETY: The rhashtable does its own locking; the values may be shared between threads.
unsafe impl<V: Send + Sync> Send for FlowTable<V> {}

// SAFETY: As above.
unsafe impl<V: Send + Sync> Sync for FlowTable<V> {}

impl<V: Send + Sync> FlowTable<V> {
    /// An empty table. `ENOMEM` if there is no memory.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        // INVARIANT: Initialised, and without elements.
        try_pin_init!(Self {
            table <- Opaque::try_ffi_init(|slot| {
                // SAFETY: `slot` is valid memory for an rhashtable, pinned from now on.
                to_result(unsafe { bindings::toe_helper_flow_table_init(slot) })
            }),
            _values: PhantomData,
        }? Error)
    }

    /// Finds the value of `key`.
    #[inline]
    pub(crate) fn lookup<'a>(
        &'a self,
        key: &FlowKey,
        _rcu: &'a impl RcuRead,
    ) -> Option<ArcBorrow<'a, V>> {
        // SAFETY: Initialised by the type's invariants; the caller is inside an RCU read-side critical section.
        let node = unsafe { bindings::toe_helper_flow_lookup(self.table.get(), &key.0) };
        let node = NonNull::new(node.cast::<Node<V>>())?;
        // SAFETY: By the type's invariants this is a node; it is freed, and its `Arc` dropped, a grace period after its
        // removal, and so not while the read-side critical section of `_rcu` lasts.
        Some(unsafe { (*node.as_ptr()).value.as_arc_borrow() })
    }

    /// Adds `value` by `key`. `EEXIST` if there is one already, `ENOMEM` if there is no memory.
    pub(crate) fn insert(&self, key: &FlowKey, value: Arc<V>) -> Result {
        let node = KBox::new(
            Node {
                c: bindings::toe_flow_node {
                    key: key.0,
                    ..Default::default()
                },
                value,
            },
            GFP_KERNEL,
        )?;
        let node = KBox::into_raw(node);
        // SAFETY: Initialised by the type's invariants; the node is on no table.
        let inserted =
            unsafe { bindings::toe_helper_flow_insert(self.table.get(), &raw mut (*node).c) };
        to_result(inserted).inspect_err(|_| {
            // SAFETY: From `into_raw` above; the table did not take it.
            drop(unsafe { KBox::from_raw(node) });
        })
        // INVARIANT: On success, the table has the node of a box.
    }

    /// Removes the value of `key`, and returns it if there was one. Lookups under way may still find it.
    pub(crate) fn remove(&self, key: &FlowKey) -> Option<Arc<V>> {
        // SAFETY: Initialised by the type's invariants.
        let node = unsafe { bindings::toe_helper_flow_remove(self.table.get(), &key.0) };
        let node = NonNull::new(node.cast::<Node<V>>())?.as_ptr();
        // SAFETY: By the type's invariants this is a node, which only this function frees now that it is removed.
        let value = unsafe { (*node).value.clone() };
        // SAFETY: No lookup that begins from now on finds the node; `free` runs when those before have ended.
        unsafe { bindings::call_rcu(&raw mut (*node).c.rcu, Some(Self::free)) };
        Some(value)
    }

    /// Calls `visit` for each value that is in the table throughout, and for some or none of the others. If the table
    /// is resized in the meantime, values may be visited twice.
    ///
    /// Process context only. `visit` runs inside an RCU read-side critical section.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(ArcBorrow<'_, V>)) {
        self.find_map(|value| {
            visit(value);
            None::<()>
        });
    }

    /// As [`for_each`](Self::for_each), until `visit` returns something, which is returned.
    pub(crate) fn find_map<R>(
        &self,
        mut visit: impl FnMut(ArcBorrow<'_, V>) -> Option<R>,
    ) -> Option<R> {
        let mut found = None;
        let mut iter = bindings::rhashtable_iter::default();
        // SAFETY: Initialised by the type's invariants; `iter` is exited below, before it moves or ends.
        unsafe {
            bindings::rhashtable_walk_enter(self.table.get(), &mut iter);
            bindings::rhashtable_walk_start_check(&mut iter);
        }
        while found.is_none() {
            // SAFETY: The walk was started.
            let node = unsafe { bindings::rhashtable_walk_next(&mut iter) };
            if node.is_null() {
                break;
            }
            // `EAGAIN`: the table was resized and the walk starts again.
            if !is_error(node) {
                let node = node.cast::<Node<V>>();
                // SAFETY: By the type's invariants this is a node; the walk is a read-side critical section.
                found = visit(unsafe { (*node).value.as_arc_borrow() });
            }
        }
        // SAFETY: The walk was entered and started.
        unsafe {
            bindings::rhashtable_walk_stop(&mut iter);
            bindings::rhashtable_walk_exit(&mut iter);
        }
        found
    }

    /// # Safety
    ///
    /// `rcu` must be the `c.rcu` of a `Node<V>` that no one else uses any more.
    unsafe extern "C" fn free(rcu: *mut bindings::callback_head) {
        let node = rcu
            .wrapping_byte_sub(offset_of!(Node<V>, c) + offset_of!(bindings::toe_flow_node, rcu))
            .cast::<Node<V>>();
        // SAFETY: By the function's safety requirements; nodes come from boxes.
        drop(unsafe { KBox::from_raw(node) });
    }

    /// # Safety
    ///
    /// `node` must be a `Node<V>` that no one else uses any more.
    unsafe extern "C" fn free_now(node: *mut c_void, _: *mut c_void) {
        // SAFETY: By the function's safety requirements; nodes come from boxes.
        drop(unsafe { KBox::from_raw(node.cast::<Node<V>>()) });
    }
}

/// Whether a pointer encodes an errno, as C's `IS_ERR()`.
fn is_error(ptr: *const c_void) -> bool {
    ptr.addr() >= usize::MAX - 4094
}

#[pinned_drop]
impl<V: Send + Sync> PinnedDrop for FlowTable<V> {
    /// Process context only: waits for removed entries to be freed.
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Initialised by the type's invariants, and there is no other user: elements are freed by `free_now`,
        // removed ones have been by the end of the barrier.
        unsafe {
            bindings::rhashtable_free_and_destroy(
                self.table.get(),
                Some(Self::free_now),
                ptr::null_mut(),
            );
            bindings::rcu_barrier();
        }
    }
}

#[kunit_tests(toe_flow_table)]
mod tests {
    use super::*;
    use kernel::sync::rcu;

    fn key(n: u64) -> FlowKey {
        // Ten keys to each hash.
        FlowKey::new(n as u32 / 10, [n, 0, 0, 0, 1])
    }

    #[test]
    fn lookup_finds_what_was_inserted_until_it_is_removed() -> Result {
        let table = KBox::pin_init(FlowTable::<u64>::new(), GFP_KERNEL)?;
        for n in 0..500 {
            table.insert(&key(n), Arc::new(n, GFP_KERNEL)?)?;
        }
        for n in 0..500 {
            assert_eq!(
                table.lookup(&key(n), &rcu::read_lock()).map(|v| *v),
                Some(n)
            );
        }
        assert_eq!(table.remove(&key(3)).map(|v| *v), Some(3));
        assert!(table.remove(&key(3)).is_none());
        assert!(table.lookup(&key(3), &rcu::read_lock()).is_none());
        Ok(())
    }

    #[test]
    fn insert_refuses_a_key_twice() -> Result {
        let table = KBox::pin_init(FlowTable::<u64>::new(), GFP_KERNEL)?;
        table.insert(&key(1), Arc::new(1, GFP_KERNEL)?)?;
        assert_eq!(table.insert(&key(1), Arc::new(2, GFP_KERNEL)?), Err(EEXIST));
        assert_eq!(
            table.lookup(&key(1), &rcu::read_lock()).map(|v| *v),
            Some(1)
        );
        Ok(())
    }

    #[test]
    fn for_each_visits_every_value() -> Result {
        let table = KBox::pin_init(FlowTable::<u64>::new(), GFP_KERNEL)?;
        for n in 1..=10 {
            table.insert(&key(n), Arc::new(n, GFP_KERNEL)?)?;
        }
        let mut sum = 0;
        table.for_each(|value| sum += *value);
        assert_eq!(sum, 55);
        assert_eq!(table.find_map(|v| (*v == 7).then(|| *v + 1)), Some(8));
        assert_eq!(table.find_map(|v| (*v == 11).then_some(())), None);
        Ok(())
    }
}
