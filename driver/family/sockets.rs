// SPDX-License-Identifier: GPL-2.0
//! The sockets that are connected or listen, for those who want to see them.

use super::{Phase, ToeSocket};
use crate::{
    driver::control::{fallback::Reason, Connection},
    net::{global::Global, ksocket::InnerSocket, sock::Sock},
};
use kernel::{
    error::Error,
    new_spinlock,
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};

/// The sockets there are.
pub(crate) static SOCKETS: Global<Sockets> = Global::new();

/// Sockets by number; numbers grow, and none is used twice.
#[pin_data]
pub(crate) struct Sockets {
    #[pin]
    tree: SpinLock<RBTree<u64, ARef<Sock<ToeSocket>>>>,
    last: Atomic<u64>,
}

impl Sockets {
    /// None at first.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            tree <- new_spinlock!(RBTree::new(), "Sockets::tree"),
            last: Atomic::new(0),
        })
    }

    /// The socket with the lowest number that isn't below `number`, and its number.
    pub(crate) fn at_or_after(&self, number: u64) -> Option<(u64, ARef<Sock<ToeSocket>>)> {
        let tree = self.tree.lock();
        let cursor = tree.cursor_lower_bound(&number)?;
        let (number, sock) = cursor.current();
        Some((*number, sock.clone()))
    }
}

/// Who serves a socket.
pub(crate) enum Carrier {
    /// The kernel's TCP, as long as the socket listens or connects.
    KernelForNow(Arc<InnerSocket>),
    /// The kernel's TCP.
    Kernel(Arc<InnerSocket>, Option<Reason>),
    /// A device.
    Device(Arc<Connection>),
}

impl ToeSocket {
    /// Has the socket listed from now on, until [`ToeSocket::unlist`]. Without memory it isn't, which does no other harm.
    pub(super) fn list(sock: &Sock<Self>) {
        let Some(sockets) = SOCKETS.get() else {
            return;
        };
        let number = sockets.last.fetch_add(1, Relaxed) + 1;
        let Ok(node) = RBTreeNode::new(number, ARef::from(sock), GFP_KERNEL) else {
            return;
        };
        if sock.data().number.cmpxchg(0, number, Relaxed).is_ok() {
            sockets.tree.lock().insert(node);
        }
    }

    /// Has the socket listed no more; it is being closed.
    pub(super) fn unlist(sock: &Sock<Self>) {
        let number = sock.data().number.load(Relaxed);
        if let Some(sockets) = SOCKETS.get() {
            let node = sockets.tree.lock().remove_node(&number);
            // The reference goes with it, after the lock.
            drop(node);
        }
    }

    /// Who serves the socket; `None` if it is neither connected nor listening.
    pub(crate) fn carrier(&self) -> Option<Carrier> {
        let inner = || self.inner().ok();
        match self.phase() {
            Phase::Connecting | Phase::Listening => inner().map(Carrier::KernelForNow),
            Phase::Fallback => inner().map(|inner| Carrier::Kernel(inner, self.reason())),
            Phase::Offloaded => self.connection.share().map(Carrier::Device),
            Phase::Idle | Phase::Disconnected | Phase::Released => None,
        }
    }
}
