// SPDX-License-Identifier: GPL-2.0
//! Sockets.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{bindings as b, compat, msg::MsgFlags, netns::NetCookie, sockopt::SetOpt};
use core::{
    marker::{PhantomData, PhantomPinned},
    mem::{align_of, size_of, MaybeUninit},
    ops::Deref,
    pin::Pin,
    ptr::NonNull,
};
use kernel::{
    error::{to_result, Error},
    ffi::{c_int, c_long},
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

/// What `poll(2)` reports, `EPOLL*`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PollEvents(pub(super) u32);

impl PollEvents {
    /// Data or an end of stream can be read.
    pub(crate) const IN: Self = Self(b::EPOLLIN | b::EPOLLRDNORM);
    /// Data can be sent.
    pub(crate) const OUT: Self = Self(b::EPOLLOUT | b::EPOLLWRNORM | b::EPOLLWRBAND);
    /// The peer sends no more.
    pub(crate) const RDHUP: Self = Self(b::EPOLLRDHUP);
    /// Both directions are closed.
    pub(crate) const HUP: Self = Self(b::EPOLLHUP);
    /// An error is pending.
    pub(crate) const ERR: Self = Self(b::EPOLLERR);

    /// Events as C has them.
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl core::ops::BitOr for PollEvents {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for PollEvents {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Which directions of a socket are shut, `RCV_SHUTDOWN` and `SEND_SHUTDOWN`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shut(c_int);

impl Shut {
    /// Receiving is shut.
    pub(crate) const RECV: Self = Self(b::RCV_SHUTDOWN as c_int);
    /// Sending is shut.
    pub(crate) const SEND: Self = Self(b::SEND_SHUTDOWN as c_int);

    /// From the argument of `shutdown(2)`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `how` is none of `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`.
    pub(super) fn from_how(how: c_int) -> Result<Self> {
        match how {
            0..=2 => Ok(Self(how + 1)),
            _ => Err(EINVAL),
        }
    }

    /// The argument of `shutdown(2)` that shuts these directions.
    pub(super) fn how(self) -> c_int {
        self.0 - 1
    }

    /// Whether all of `other` is shut.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A socket of any family: a `struct sock`.
///
/// # Invariants
///
/// Its reference count is not zero.
#[repr(transparent)]
pub(crate) struct AnySock(Opaque<b::sock>, PhantomPinned);

// SAFETY: `struct sock` is reference counted across threads.
unsafe impl Send for AnySock {}
// SAFETY: The methods either read single fields atomically or take the C side's locks.
unsafe impl Sync for AnySock {}

// SAFETY: `sock_hold()` and `sock_put()` keep the count that keeps a `struct sock` alive.
unsafe impl AlwaysRefCounted for AnySock {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sock_hold(self.as_ptr()) }
    }
    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds.
        unsafe { b::toe_helper_sock_put(obj.as_ptr().cast()) }
    }
}

impl AnySock {
    /// A socket that C passes us.
    ///
    /// # Safety
    ///
    /// `sk` is valid, with a reference held, for `'a`.
    pub(super) unsafe fn from_raw<'a>(sk: *mut b::sock) -> &'a Self {
        // SAFETY: By this function's contract; the type is transparent.
        unsafe { &*sk.cast() }
    }

    /// The C object.
    pub(super) fn as_ptr(&self) -> *mut b::sock {
        self.0.get()
    }

    /// Its address family, `AF_*`.
    pub(crate) fn family(&self) -> c_int {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_family(self.as_ptr()) }
    }

    /// Its state, `TCP_*` of [`include/net/tcp_states.h`](srctree/include/net/tcp_states.h).
    pub(crate) fn state(&self) -> c_int {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_state(self.as_ptr()) }
    }

    /// Sets what [`AnySock::state`] reports.
    pub(crate) fn set_state(&self, state: c_int) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_set_state(self.as_ptr(), state) }
    }

    /// Which directions are shut.
    pub(crate) fn shut(&self) -> Shut {
        // SAFETY: By the type invariant.
        Shut(unsafe { b::toe_helper_sk_shutdown(self.as_ptr()) })
    }

    /// Shuts directions, in addition to those that are.
    pub(crate) fn add_shut(&self, shut: Shut) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_set_shutdown(self.as_ptr(), self.shut().0 | shut.0) }
    }

    /// Whether an error is pending.
    pub(crate) fn has_error(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_err(self.as_ptr()) != 0 }
    }

    /// Takes the pending error: `Err` once, then `Ok`.
    pub(crate) fn take_error(&self) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { b::toe_helper_sk_take_err(self.as_ptr()) })
    }

    /// Makes `error` pending and wakes everybody who waits for the socket.
    pub(crate) fn report_error(&self, error: Error) {
        self.set_error(error);
        self.wake_for_error();
    }

    /// As [`report_error`](Self::report_error), but wakes nobody yet.
    pub(crate) fn set_error(&self, error: Error) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_set_err(self.as_ptr(), -error.to_errno()) }
    }

    /// Wakes who waits for errors.
    pub(crate) fn wake_for_error(&self) {
        // SAFETY: By the type invariant.
        unsafe { b::sk_error_report(self.as_ptr()) }
    }

    /// `SO_SNDBUF`, in bytes as the kernel counts them (twice what was asked for).
    pub(crate) fn sndbuf(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_sndbuf(self.as_ptr()) }.max(0) as usize
    }

    /// `SO_RCVBUF`, in bytes as the kernel counts them (twice what was asked for).
    pub(crate) fn rcvbuf(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_rcvbuf(self.as_ptr()) }.max(0) as usize
    }

    /// Whether the program has set `SO_RCVBUF`.
    pub(crate) fn has_rcvbuf_set(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_bufs_locked(self.as_ptr()) & b::SOCK_RCVBUF_LOCK as c_int != 0 }
    }

    /// Whether the program has set `SO_SNDBUF`.
    pub(crate) fn has_sndbuf_set(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_bufs_locked(self.as_ptr()) & b::SOCK_SNDBUF_LOCK as c_int != 0 }
    }

    /// How long receiving may block.
    pub(crate) fn recv_timeout(&self, nonblock: bool) -> Timeout {
        // SAFETY: By the type invariant.
        Timeout(unsafe { b::toe_helper_sk_rcvtimeo(self.as_ptr(), nonblock) })
    }

    /// How long sending or connecting may block.
    pub(crate) fn send_timeout(&self, nonblock: bool) -> Timeout {
        // SAFETY: By the type invariant.
        Timeout(unsafe { b::toe_helper_sk_sndtimeo(self.as_ptr(), nonblock) })
    }

    /// How many bytes a read of `len` bytes waits for, at least one.
    pub(crate) fn recv_low_water(&self, waitall: bool, len: usize) -> usize {
        let len = c_int::try_from(len).unwrap_or(c_int::MAX);
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_rcvlowat(self.as_ptr(), c_int::from(waitall), len) }.max(1)
            as usize
    }

    /// `SO_LINGER`'s time, if lingering is on.
    pub(crate) fn linger(&self) -> Option<Timeout> {
        // SAFETY: By the type invariant.
        let time = unsafe { b::toe_helper_sk_linger(self.as_ptr()) };
        (time >= 0).then_some(Timeout(time))
    }

    /// `SO_PRIORITY`.
    pub(crate) fn priority(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_priority(self.as_ptr()) }
    }

    /// `SO_MARK`.
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_mark(self.as_ptr()) }
    }

    /// `SO_KEEPALIVE`.
    pub(crate) fn keepalive(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_keepalive(self.as_ptr()) }
    }

    /// The inode number of its file, 0 where there is none.
    pub(crate) fn inode(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_inode(self.as_ptr()) as u64 }
    }

    /// Finds a new route for a TCP socket whose route isn't right any more. Sleeps.
    ///
    /// # Errors
    ///
    /// `EHOSTUNREACH` or `ENETUNREACH` when there is none.
    pub(super) fn reroute(&self) -> Result {
        // SAFETY: By the type invariant; the caller, in this module, says that it is a TCP socket.
        to_result(unsafe { b::toe_helper_sk_reroute(self.as_ptr()) })
    }

    /// The network namespace it is in.
    pub(crate) fn net_cookie(&self) -> NetCookie {
        // SAFETY: By the type invariant.
        NetCookie(unsafe { b::toe_helper_sock_net_cookie(self.as_ptr()) })
    }

    /// Sets an option of `SOL_SOCKET` that the socket layer itself keeps.
    ///
    /// # Errors
    ///
    /// As `setsockopt(2)`.
    pub(crate) fn set_generic_option(&self, name: c_int, value: &SetOpt) -> Result {
        let (ptr, len) = value.as_raw();
        // SAFETY: By the type invariant and those of `SetOpt`.
        to_result(unsafe { b::toe_helper_sk_setsockopt(self.as_ptr(), name, ptr, len) })
    }

    /// What a send that failed with `error` returns: raises `SIGPIPE` where `EPIPE` must.
    pub(crate) fn send_error(&self, flags: MsgFlags, error: Error) -> Error {
        // SAFETY: By the type invariant.
        Error::from_errno(unsafe {
            b::sk_stream_error(self.as_ptr(), flags.bits() as c_int, error.to_errno())
        })
    }

    /// Wakes those who wait for any of `events`.
    pub(crate) fn wake(&self, events: PollEvents) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_wake(self.as_ptr(), events.0) }
    }

    /// Wakes all who wait, for the socket's state has changed.
    pub(crate) fn wake_all(&self) {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_sk_wake_all(self.as_ptr()) }
    }

    /// Locks the socket against other tasks; sleeps.
    pub(crate) fn lock(&self) -> SockGuard<'_> {
        // SAFETY: By the type invariant.
        unsafe { b::toe_helper_lock_sock(self.as_ptr()) };
        // INVARIANT: Locked above.
        SockGuard { sk: self }
    }
}

/// How long an operation may still block, in jiffies; `MAX_SCHEDULE_TIMEOUT` is for ever.
#[derive(Clone, Copy)]
pub(crate) struct Timeout(pub(super) c_long);

impl Timeout {
    /// Whether the operation must not block (any more).
    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// A locked socket.
///
/// # Invariants
///
/// `sk` is locked by `lock_sock()`, except inside [`SockGuard::wait_until`].
pub(crate) struct SockGuard<'a> {
    sk: &'a AnySock,
}

impl SockGuard<'_> {
    /// The socket that is locked.
    #[inline]
    pub(super) fn socket(&self) -> &AnySock {
        self.sk
    }

    /// Waits, with the socket unlocked, until `ready` or until the time is over. `ready` is called with the socket locked.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when the time is over; `ERESTARTSYS` or `EINTR` when a signal is pending.
    pub(crate) fn wait_until(
        &mut self,
        timeout: &mut Timeout,
        mut ready: impl FnMut() -> bool,
    ) -> Result {
        if ready() {
            return Ok(());
        }
        if timeout.is_zero() {
            return Err(EAGAIN);
        }
        let mut entry = MaybeUninit::<b::wait_queue_entry>::uninit();
        let sk = self.sk.as_ptr();
        // SAFETY: The entry stays where it is until it is removed below.
        unsafe { b::toe_helper_sk_add_waiter(sk, entry.as_mut_ptr()) };
        let result = loop {
            if ready() {
                break Ok(());
            }
            // SAFETY: The calling task may look at its own signals.
            if unsafe { b::toe_helper_signal_pending() } {
                // SAFETY: Pure arithmetic.
                break Err(Error::from_errno(unsafe {
                    b::toe_helper_sock_intr_errno(timeout.0)
                }));
            }
            if timeout.is_zero() {
                break Err(EAGAIN);
            }
            // SAFETY: Locked by the type invariant, and locked again at once; the entry was initialised above.
            unsafe {
                b::release_sock(sk);
                timeout.0 = b::wait_woken(entry.as_mut_ptr(), b::TASK_INTERRUPTIBLE, timeout.0);
                b::toe_helper_lock_sock(sk);
            }
        };
        // SAFETY: Added above.
        unsafe { b::toe_helper_sk_remove_waiter(sk, entry.as_mut_ptr()) };
        result
    }
}

impl Drop for SockGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: Locked by the type invariant.
        unsafe { b::release_sock(self.sk.as_ptr()) }
    }
}

/// A socket of a family implemented in Rust: a `struct sock` followed by a `T`.
///
/// # Invariants
///
/// The object was allocated from a `struct proto` of `T`'s family, and its `T` is initialised and pinned.
#[repr(transparent)]
pub(crate) struct Sock<T> {
    sk: AnySock,
    _data: PhantomData<T>,
}

impl<T> Sock<T> {
    /// Where the `T` is, in bytes from the start of the `struct sock`.
    const DATA_OFFSET: usize = (b::TOE_SK_HEAD_SIZE as usize).next_multiple_of(align_of::<T>());

    /// How large the object is, in bytes.
    pub(super) const SIZE: usize = Self::DATA_OFFSET + size_of::<T>();

    /// Where a socket's `T` is.
    ///
    /// # Safety
    ///
    /// `sk` was allocated with at least [`Sock::SIZE`] bytes.
    unsafe fn data_ptr(sk: *mut b::sock) -> *mut T {
        // SAFETY: Inside the object by this function's contract.
        unsafe { sk.byte_add(Self::DATA_OFFSET).cast() }
    }

    /// A socket that C passes us.
    ///
    /// # Safety
    ///
    /// `sk` is a socket of `T`'s family, set up by [`Sock::init`], valid with a reference held for `'a`.
    pub(super) unsafe fn from_raw<'a>(sk: *mut b::sock) -> &'a Self {
        // SAFETY: By this function's contract; the type is transparent.
        unsafe { &*sk.cast() }
    }

    /// Sets up the Rust part of a new socket.
    ///
    /// # Safety
    ///
    /// `sk` is new, with at least [`Sock::SIZE`] bytes, not yet known to anybody else.
    pub(super) unsafe fn init(sk: *mut b::sock, data: impl PinInit<T, Error>) -> Result {
        // SAFETY: The memory is there and uninitialised by this function's contract, and never moves.
        unsafe { compat::init_at(Self::data_ptr(sk), data) }?;
        // SAFETY: `sk` is valid; from now on the `T` is dropped with it.
        unsafe { b::toe_helper_sk_chain_destruct(sk, Some(Self::destruct)) };
        Ok(())
    }

    /// `sk_destruct`: the last reference is gone.
    ///
    /// # Safety
    ///
    /// Called by the socket layer only, for a socket set up by [`Sock::init`].
    unsafe extern "C" fn destruct(sk: *mut b::sock) {
        // SAFETY: Initialised by `init`, and nobody can reach it any more.
        unsafe {
            core::ptr::drop_in_place(Self::data_ptr(sk));
            b::toe_helper_sk_next_destruct(sk);
        }
    }

    /// The Rust part.
    pub(crate) fn data(&self) -> Pin<&T> {
        // SAFETY: Initialised and pinned by the type invariant.
        unsafe { Pin::new_unchecked(&*Self::data_ptr(self.sk.as_ptr())) }
    }
}

impl<T> Deref for Sock<T> {
    type Target = AnySock;
    fn deref(&self) -> &AnySock {
        &self.sk
    }
}

// SAFETY: As `AnySock`; the `T` lives as long as the `struct sock`.
unsafe impl<T> AlwaysRefCounted for Sock<T> {
    fn inc_ref(&self) {
        self.sk.inc_ref();
    }
    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: By the caller's contract, which is the same.
        unsafe { AnySock::dec_ref(obj.cast()) }
    }
}

impl<T> From<&Sock<T>> for ARef<AnySock> {
    fn from(sock: &Sock<T>) -> Self {
        ARef::from(&sock.sk)
    }
}
