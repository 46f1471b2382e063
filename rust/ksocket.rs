// SPDX-License-Identifier: GPL-2.0
//! Kernel TCP sockets owned by a socket of another kind.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings as b,
    dst::Dst,
    errno::EOPNOTSUPP,
    msg::{RecvMsg, SendMsg},
    sock::{AnySock, PollEvents, Shut},
    sockaddr::SockAddr,
    sockopt::{GetOpt, SetOpt},
    tcp_repair::TimeWait,
};
use core::{cell::UnsafeCell, mem::ManuallyDrop, ptr, ptr::NonNull};
use kernel::{
    error::to_result,
    ffi::{c_int, c_uint},
    prelude::*,
    sync::Arc,
};

/// Told what happens to an [`InnerSocket`], right after the socket's own waiters are.
///
/// Called in softirq or process context, possibly with the inner socket's lock held, and never after
/// [`InnerSocket::clear_events`] has returned. Must not sleep, nor call [`InnerSocket::set_events`] or
/// [`InnerSocket::clear_events`] of that socket.
pub(crate) trait InnerEvents: Send + Sync {
    /// There is something to receive or to accept: `sk_data_ready`.
    fn data_ready(&self);

    /// There is room to send: `sk_write_space`.
    fn write_space(&self);

    /// The connection was established, closed or shut: `sk_state_change`.
    fn state_change(&self);

    /// An error is pending: `sk_error_report`.
    fn error_report(&self);
}

/// A socket's options about how long a silent peer is put up with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// `TCP_KEEPIDLE`, in microseconds.
    pub(crate) keepalive_idle_us: u64,
    /// `TCP_KEEPINTVL`, in microseconds.
    pub(crate) keepalive_interval_us: u64,
    /// `TCP_KEEPCNT`.
    pub(crate) keepalive_probes: u32,
    /// `TCP_USER_TIMEOUT`, in milliseconds; 0 for the default.
    pub(crate) user_timeout_ms: u32,
}

/// A kernel TCP socket that another socket owns.
///
/// It holds its network namespace as a program's socket does, so that what was sent before it is dropped still arrives.
/// Dropping it closes it and may sleep.
///
/// # Invariants
///
/// - `sock` is a valid TCP socket, with a `struct sock`, that nobody else releases.
/// - The callbacks of its `struct sock` are those of this file, or were wrapped by others that call them; its
///   `sk_user_data` points to this object.
/// - `original` are the callbacks it had before.
/// - `guarded` is written under the write side of `sk_callback_lock` only, and read under either side.
pub(crate) struct InnerSocket {
    sock: NonNull<b::socket>,
    original: b::toe_sk_callbacks,
    guarded: UnsafeCell<Guarded>,
}

/// The part of an [`InnerSocket`] that changes.
struct Guarded {
    /// Who is told of events.
    events: Option<Arc<dyn InnerEvents>>,
    /// How the connection goes on after the release, if it was moved elsewhere.
    end: Option<TimeWait>,
}

// SAFETY: A `struct socket` may be used from any thread; `guarded` is `Send` and guarded by `sk_callback_lock`.
unsafe impl Send for InnerSocket {}
// SAFETY: As above: the C functions called take the locks they need.
unsafe impl Sync for InnerSocket {}

const CALLBACKS: b::toe_sk_callbacks = b::toe_sk_callbacks {
    data_ready: Some(data_ready_callback),
    write_space: Some(write_space_callback),
    state_change: Some(state_change_callback),
    error_report: Some(error_report_callback),
};

/// A `struct socket` that is released when it doesn't become an [`InnerSocket`].
///
/// # Invariants
///
/// `0` is a valid socket with a `struct sock`, and this object's to release.
struct Owned(NonNull<b::socket>);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { b::sock_release(self.0.as_ptr()) }
    }
}

impl InnerSocket {
    /// A new TCP socket of `family` (`AF_INET` or `AF_INET6`) in the network namespace of `outer`.
    ///
    /// # Errors
    ///
    /// As `socket(2)`.
    pub(crate) fn new(outer: &AnySock, family: c_int) -> Result<Arc<Self>> {
        let mut sock = ptr::null_mut();
        // SAFETY: `outer` holds its namespace; `sock` is written if the call succeeds.
        to_result(unsafe {
            b::sock_create_kern(
                b::toe_helper_sock_net(outer.as_ptr()),
                family,
                b::sock_type_SOCK_STREAM as c_int,
                b::IPPROTO_TCP as c_int,
                &mut sock,
            )
        })?;
        // INVARIANT: Just created.
        let sock = Owned(NonNull::new(sock).ok_or(ENOMEM)?);
        let mut original = b::toe_sk_callbacks::default();
        // SAFETY: `sock` is valid and nobody else uses it yet.
        unsafe {
            let sk = (*sock.0.as_ptr()).sk;
            b::toe_helper_sk_hold_net(sk);
            b::toe_helper_sk_callbacks(sk, &mut original);
        }
        Self::adopt(sock, original)
    }

    /// Makes the object for `sock`, whose callbacks were once `original`.
    fn adopt(sock: Owned, original: b::toe_sk_callbacks) -> Result<Arc<Self>> {
        let this = Self {
            sock: sock.0,
            original,
            guarded: UnsafeCell::new(Guarded {
                events: None,
                end: None,
            }),
        };
        // If there is no memory the object is dropped, and the socket with it.
        let _ = ManuallyDrop::new(sock);
        let this = Arc::new(this, GFP_KERNEL)?;
        // INVARIANT: From here on `sk_user_data` points to the object, which doesn't move and takes that back in `drop`.
        // SAFETY: The socket is valid.
        unsafe {
            b::toe_helper_sk_set_callbacks(
                this.sk_ptr(),
                &CALLBACKS,
                Arc::as_ptr(&this).cast_mut().cast(),
            )
        };
        Ok(this)
    }

    /// The C object.
    pub(super) fn sock_ptr(&self) -> *mut b::socket {
        self.sock.as_ptr()
    }

    fn sk_ptr(&self) -> *mut b::sock {
        // SAFETY: By the type invariant.
        unsafe { (*self.sock.as_ptr()).sk }
    }

    /// The `struct sock`.
    pub(crate) fn sk(&self) -> &AnySock {
        // SAFETY: The socket holds a reference until it is released, in `drop`.
        unsafe { AnySock::from_raw(self.sk_ptr()) }
    }

    /// The socket's operations.
    fn ops(&self) -> &'static b::proto_ops {
        // SAFETY: By the type invariant; TCP's operations are static, and its module can't be unloaded.
        unsafe { &*ptr::read_volatile(&raw const (*self.sock.as_ptr()).ops) }
    }

    /// Has `events` told what happens from now on, instead of whoever was.
    ///
    /// What happened before is not repeated: look at [`InnerSocket::poll`] and [`InnerSocket::sk`] afterwards.
    pub(crate) fn set_events(&self, events: Arc<dyn InnerEvents>) {
        drop(self.replace_events(Some(events)));
    }

    /// Has nobody told any more. Afterwards no call of [`InnerEvents`] is under way.
    pub(crate) fn clear_events(&self) {
        drop(self.replace_events(None));
    }

    fn replace_events(&self, events: Option<Arc<dyn InnerEvents>>) -> Option<Arc<dyn InnerEvents>> {
        self.with_guarded(|guarded| core::mem::replace(&mut guarded.events, events))
    }

    /// Has the release leave the connection to the kernel's TCP, in `state`; for frozen sockets.
    pub(super) fn end_in(&self, state: TimeWait) {
        self.with_guarded(|guarded| guarded.end = Some(state));
    }

    fn with_guarded<R>(&self, f: impl FnOnce(&mut Guarded) -> R) -> R {
        let sk = self.sk_ptr();
        // SAFETY: The `struct sock` is valid, and the lock is released below.
        unsafe { b::toe_helper_sk_callback_write_lock(sk) };
        // SAFETY: The write lock is held.
        let result = f(unsafe { &mut *self.guarded.get() });
        // SAFETY: Locked above.
        unsafe { b::toe_helper_sk_callback_write_unlock(sk) };
        result
    }

    /// Finds a new route to the peer if the one in use isn't right any more. Sleeps.
    ///
    /// # Errors
    ///
    /// `EHOSTUNREACH` or `ENETUNREACH` when there is none.
    pub(crate) fn reroute(&self) -> Result {
        self.sk().reroute()
    }

    /// What its options and `route` put into the headers of its packets: TTL or hop limit, and TOS or traffic class.
    pub(crate) fn ip_fields(&self, route: &Dst) -> (u8, u8) {
        // SAFETY: A valid TCP socket by the type invariant, and a valid route.
        let fields = unsafe { b::toe_helper_ip_fields(self.sk_ptr(), route.as_ptr()) };
        (fields.ttl, fields.tos)
    }

    /// How long it puts up with a silent peer.
    pub(crate) fn liveness(&self) -> Liveness {
        let mut raw = b::toe_tcp_liveness::default();
        // SAFETY: A valid TCP socket by the type invariant.
        unsafe { b::toe_helper_tcp_liveness(self.sk_ptr(), &mut raw) };
        Liveness {
            keepalive_idle_us: raw.keepalive_idle_us,
            keepalive_interval_us: raw.keepalive_interval_us,
            keepalive_probes: raw.keepalive_probes,
            user_timeout_ms: raw.user_timeout_ms,
        }
    }

    /// `bind(2)`.
    pub(crate) fn bind(&self, addr: &SockAddr) -> Result {
        // SAFETY: The socket is valid, and so is the address, which is copied.
        to_result(unsafe { b::kernel_bind(self.sock.as_ptr(), addr.as_ptr(), addr.len() as c_int) })
    }

    /// `listen(2)`.
    pub(crate) fn listen(&self, backlog: c_int) -> Result {
        // SAFETY: The socket is valid.
        to_result(unsafe { b::kernel_listen(self.sock.as_ptr(), backlog) })
    }

    /// `accept(2)`.
    pub(crate) fn accept(&self, nonblock: bool) -> Result<Arc<Self>> {
        let mut sock = ptr::null_mut();
        let flags = if nonblock { b::O_NONBLOCK as c_int } else { 0 };
        // SAFETY: The socket is valid, and `sock` is written if the call succeeds.
        to_result(unsafe { b::kernel_accept(self.sock.as_ptr(), &mut sock, flags) })?;
        // INVARIANT: The new socket is ours, and has the `struct sock` that was accepted.
        Self::adopt(Owned(NonNull::new(sock).ok_or(ENOMEM)?), self.original)
    }

    /// `connect(2)`.
    pub(crate) fn connect(&self, addr: &SockAddr, nonblock: bool) -> Result {
        let flags = if nonblock { b::O_NONBLOCK as c_int } else { 0 };
        // SAFETY: The socket is valid, and so is the address, which is copied.
        to_result(unsafe {
            b::kernel_connect(
                self.sock.as_ptr(),
                addr.as_ptr(),
                addr.len() as c_int,
                flags,
            )
        })
    }

    /// `getsockname(2)`, or `getpeername(2)` if `peer`.
    pub(crate) fn name(&self, peer: bool) -> Result<SockAddr> {
        let getname = self.ops().getname.ok_or(EOPNOTSUPP)?;
        SockAddr::filled_by(|addr| {
            // SAFETY: The socket is valid, and there is room for any address.
            let len = unsafe { getname(self.sock.as_ptr(), addr, c_int::from(peer)) };
            to_result(len).map(|()| len)
        })
    }

    /// What is ready, without waiting. Being told of more to come needs [`InnerSocket::set_events`] first.
    pub(crate) fn poll(&self) -> PollEvents {
        let events = self.ops().poll.map_or(0, |poll| {
            // SAFETY: The socket is valid; without a poll table the file is not looked at.
            unsafe { poll(ptr::null_mut(), self.sock.as_ptr(), ptr::null_mut()) }
        });
        PollEvents::from_bits(events)
    }

    /// `ioctl(2)` with an argument that is a user address or a number.
    pub(crate) fn ioctl(&self, cmd: c_uint, arg: usize) -> Result<c_int> {
        let ioctl = self.ops().ioctl.ok_or(ENOTTY)?;
        // SAFETY: The socket is valid; user addresses are checked where they are used.
        let ret = unsafe { ioctl(self.sock.as_ptr(), cmd, arg) };
        to_result(ret).map(|()| ret)
    }

    /// `shutdown(2)`.
    pub(crate) fn shutdown(&self, shut: Shut) -> Result {
        // SAFETY: The socket is valid.
        to_result(unsafe {
            b::kernel_sock_shutdown(self.sock.as_ptr(), shut.how() as b::sock_shutdown_cmd)
        })
    }

    /// `setsockopt(2)`.
    pub(crate) fn setsockopt(&self, level: c_int, name: c_int, value: &SetOpt) -> Result {
        let (ptr, len) = value.as_raw();
        // SAFETY: By the invariants of `SetOpt`.
        unsafe { self.setsockopt_raw(level, name, ptr, len) }
    }

    /// `setsockopt(2)` with a value of the kernel's.
    pub(crate) fn setsockopt_value(&self, level: c_int, name: c_int, value: &[u8]) -> Result {
        let len = c_uint::try_from(value.len())?;
        // SAFETY: The pointer is to `len` bytes, which are only read.
        unsafe { self.setsockopt_raw(level, name, super::sockopt::kernel_sockptr(value), len) }
    }

    /// # Safety
    ///
    /// `value` is a user pointer, or a kernel pointer to `len` bytes.
    unsafe fn setsockopt_raw(
        &self,
        level: c_int,
        name: c_int,
        value: b::sockptr_t,
        len: c_uint,
    ) -> Result {
        let sock = self.sock.as_ptr();
        if level == b::SOL_SOCKET as c_int {
            // SAFETY: The socket is valid; the value by this function's contract.
            return to_result(unsafe { b::sock_setsockopt(sock, level, name, value, len) });
        }
        let setsockopt = self.ops().setsockopt.ok_or(EOPNOTSUPP)?;
        // SAFETY: As above.
        to_result(unsafe { setsockopt(sock, level, name, value, len) })
    }

    /// `getsockopt(2)`.
    pub(crate) fn getsockopt(&self, level: c_int, name: c_int, value: &mut GetOpt) -> Result {
        let (val, len) = value.as_raw();
        // SAFETY: The socket is valid; both pointers are user pointers, checked where they are used.
        to_result(unsafe {
            b::toe_helper_ops_getsockopt(self.sock.as_ptr(), level, name, val, len)
        })
    }

    /// `sendmsg(2)` with the caller's message; returns how many bytes were taken.
    pub(crate) fn sendmsg(&self, msg: &mut SendMsg<'_>) -> Result<usize> {
        let sendmsg = self.ops().sendmsg.ok_or(EOPNOTSUPP)?;
        let (msg, len) = msg.as_raw();
        // SAFETY: The socket and the message are valid.
        let ret = unsafe { sendmsg(self.sock.as_ptr(), msg, len) };
        to_result(ret).map(|()| ret as usize)
    }

    /// As [`sendmsg`](Self::sendmsg), without waiting for room: `EAGAIN` if there is none.
    pub(crate) fn sendmsg_now(&self, msg: &mut SendMsg<'_>) -> Result<usize> {
        msg.without_waiting(|msg| self.sendmsg(msg))
    }

    /// As [`recvmsg`](Self::recvmsg), without waiting for data: `EAGAIN` if there is none.
    pub(crate) fn recvmsg_now(&self, msg: &mut RecvMsg<'_>) -> Result<usize> {
        msg.without_waiting(|msg| self.recvmsg(msg))
    }

    /// `recvmsg(2)` with the caller's message; returns how many bytes were given.
    pub(crate) fn recvmsg(&self, msg: &mut RecvMsg<'_>) -> Result<usize> {
        let recvmsg = self.ops().recvmsg.ok_or(EOPNOTSUPP)?;
        let (msg, len, flags) = msg.as_raw();
        // SAFETY: The socket and the message are valid.
        let ret = unsafe { recvmsg(self.sock.as_ptr(), msg, len, flags) };
        to_result(ret).map(|()| ret as usize)
    }
}

impl Drop for InnerSocket {
    fn drop(&mut self) {
        let sk = self.sk_ptr();
        self.clear_events();
        // The callbacks go back after the release, which may itself put back callbacks that a layer above TCP had replaced.
        // Nothing of this module may be left in a `struct sock` that goes on by itself.
        // SAFETY: The socket is ours to release; the `struct sock` is held until the callbacks are back.
        unsafe {
            b::toe_helper_sock_hold(sk);
            match self.guarded.get_mut().end {
                None => b::toe_helper_tcp_release(self.sock.as_ptr()),
                Some(end) => b::toe_helper_tcp_release_time_wait(
                    self.sock.as_ptr(),
                    end.snd_nxt,
                    end.rcv_nxt,
                    end.ts_recent,
                    end.fin_received,
                    c_int::from(end.seconds),
                ),
            }
            b::toe_helper_sk_set_callbacks(sk, &self.original, ptr::null_mut());
            b::toe_helper_sock_put(sk);
        }
    }
}

/// Calls one of the callbacks that `sk` had before, then one of its owner's events.
///
/// # Safety
///
/// `sk` is valid, and its callbacks were set by this file.
unsafe fn call(
    sk: *mut b::sock,
    original: impl FnOnce(&b::toe_sk_callbacks) -> Option<unsafe extern "C" fn(*mut b::sock)>,
    event: impl FnOnce(&dyn InnerEvents),
) {
    // SAFETY: `sk` is valid, and the lock is released below.
    let inner = unsafe { b::toe_helper_sk_callback_enter(sk) }.cast::<InnerSocket>();
    // SAFETY: By the invariants of `InnerSocket`, a pointer found under the lock is valid as long as the lock is held.
    if let Some(inner) = unsafe { inner.as_ref() } {
        if let Some(original) = original(&inner.original) {
            // SAFETY: What `sk` would call itself.
            unsafe { original(sk) };
        }
        // SAFETY: The read lock is held.
        if let Some(events) = unsafe { &(*inner.guarded.get()).events } {
            event(&**events);
        }
    }
    // Else it is a connection not accepted yet: nobody can be waiting for it.
    // SAFETY: Locked above.
    unsafe { b::toe_helper_sk_callback_exit(sk) };
}

/// # Safety
///
/// Called by TCP only.
unsafe extern "C" fn data_ready_callback(sk: *mut b::sock) {
    // SAFETY: By this function's contract.
    unsafe { call(sk, |c| c.data_ready, |e| e.data_ready()) }
}

/// # Safety
///
/// Called by TCP only.
unsafe extern "C" fn write_space_callback(sk: *mut b::sock) {
    // SAFETY: By this function's contract.
    unsafe { call(sk, |c| c.write_space, |e| e.write_space()) }
}

/// # Safety
///
/// Called by TCP only.
unsafe extern "C" fn state_change_callback(sk: *mut b::sock) {
    // SAFETY: By this function's contract.
    unsafe { call(sk, |c| c.state_change, |e| e.state_change()) }
}

/// # Safety
///
/// Called by TCP only.
unsafe extern "C" fn error_report_callback(sk: *mut b::sock) {
    // SAFETY: By this function's contract.
    unsafe { call(sk, |c| c.error_report, |e| e.error_report()) }
}
