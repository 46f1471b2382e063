// SPDX-License-Identifier: GPL-2.0
//! The messages of `sendmsg(2)` and `recvmsg(2)`.
//!
//! C header: [`include/linux/socket.h`](srctree/include/linux/socket.h)

use super::bindings as b;
use core::ptr;
use kernel::{
    ffi::c_int,
    iov::{IovIterDest, IovIterSource},
};

/// `MSG_*` flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MsgFlags(u32);

impl MsgFlags {
    /// `MSG_OOB`.
    pub(crate) const OOB: Self = Self(b::MSG_OOB);
    /// `MSG_PEEK`.
    pub(crate) const PEEK: Self = Self(b::MSG_PEEK);
    /// `MSG_TRUNC`.
    pub(crate) const TRUNC: Self = Self(b::MSG_TRUNC);
    /// `MSG_DONTWAIT`.
    pub(crate) const DONTWAIT: Self = Self(b::MSG_DONTWAIT);
    /// `MSG_WAITALL`.
    pub(crate) const WAITALL: Self = Self(b::MSG_WAITALL);
    /// `MSG_MORE`.
    pub(crate) const MORE: Self = Self(b::MSG_MORE);
    /// `MSG_ERRQUEUE`.
    pub(crate) const ERRQUEUE: Self = Self(b::MSG_ERRQUEUE);
    /// `MSG_FASTOPEN`.
    pub(crate) const FASTOPEN: Self = Self(b::MSG_FASTOPEN);

    /// Whether any flag of `other` is set.
    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits, as C has them.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

/// A message being sent: where its bytes come from, and how to send them.
///
/// # Invariants
///
/// `msg` points to a `struct msghdr` with a source iterator, valid and exclusively ours for `'a`.
pub(crate) struct SendMsg<'a> {
    msg: &'a mut b::msghdr,
    len: usize,
}

impl<'a> SendMsg<'a> {
    /// Wraps what the socket layer passes to a `sendmsg` operation.
    ///
    /// # Safety
    ///
    /// `msg` is valid and exclusively the caller's for `'a`, and its iterator is a source.
    pub(super) unsafe fn from_raw(msg: *mut b::msghdr, len: usize) -> Self {
        // SAFETY: By this function's contract.
        let msg = unsafe { &mut *msg };
        // INVARIANT: By this function's contract.
        Self { msg, len }
    }

    /// The flags of the call.
    pub(crate) fn flags(&self) -> MsgFlags {
        MsgFlags(self.msg.msg_flags)
    }

    /// Where the bytes come from.
    pub(crate) fn iter(&mut self) -> &mut IovIterSource<'a> {
        // SAFETY: By the type invariant the iterator is a source and ours; kernel's binding and ours are of the same C type.
        unsafe { IovIterSource::from_raw(ptr::from_mut(&mut self.msg.msg_iter).cast()) }
    }

    /// Calls `f` with the same message, of a call that doesn't wait.
    pub(crate) fn without_waiting<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let flags = self.msg.msg_flags;
        self.msg.msg_flags |= b::MSG_DONTWAIT;
        let result = f(self);
        self.msg.msg_flags = flags;
        result
    }

    /// The C message and its length, to pass it on.
    pub(super) fn as_raw(&mut self) -> (*mut b::msghdr, usize) {
        (ptr::from_mut(self.msg), self.len)
    }
}

/// A message being received: where its bytes go, and how to receive them.
///
/// # Invariants
///
/// `msg` points to a `struct msghdr` with a destination iterator, valid and exclusively ours for `'a`.
pub(crate) struct RecvMsg<'a> {
    msg: &'a mut b::msghdr,
    len: usize,
    flags: MsgFlags,
}

impl<'a> RecvMsg<'a> {
    /// Wraps what the socket layer passes to a `recvmsg` operation.
    ///
    /// # Safety
    ///
    /// `msg` is valid and exclusively the caller's for `'a`, and its iterator is a destination.
    pub(super) unsafe fn from_raw(msg: *mut b::msghdr, len: usize, flags: c_int) -> Self {
        // SAFETY: By this function's contract.
        let msg = unsafe { &mut *msg };
        // INVARIANT: By this function's contract.
        Self {
            msg,
            len,
            flags: MsgFlags(flags as u32),
        }
    }

    /// The flags of the call.
    pub(crate) fn flags(&self) -> MsgFlags {
        self.flags
    }

    /// How many bytes are asked for.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that were put where they are to go: so many fewer are asked for from now on.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.len = self.len.saturating_sub(bytes);
    }

    /// Where the bytes go.
    pub(crate) fn iter(&mut self) -> &mut IovIterDest<'a> {
        // SAFETY: By the type invariant the iterator is a destination and ours; kernel's binding and ours are of the same C
        // type.
        unsafe { IovIterDest::from_raw(ptr::from_mut(&mut self.msg.msg_iter).cast()) }
    }

    /// Calls `f` with the same message, of a call that doesn't wait.
    pub(crate) fn without_waiting<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let flags = self.flags;
        self.flags = MsgFlags(flags.0 & !b::MSG_WAITALL | b::MSG_DONTWAIT);
        let result = f(self);
        self.flags = flags;
        result
    }

    /// The C message, its length and the call's flags, to pass it on.
    pub(super) fn as_raw(&mut self) -> (*mut b::msghdr, usize, c_int) {
        (ptr::from_mut(self.msg), self.len, self.flags.0 as c_int)
    }
}
