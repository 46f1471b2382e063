// SPDX-License-Identifier: GPL-2.0
//! Stream socket families implemented in Rust.
//!
//! One family can be reached in two ways: by its own number, `socket(PF_X, SOCK_STREAM, 0)`, and as a protocol of the
//! Internet families, `socket(AF_INET or AF_INET6, SOCK_STREAM, IPPROTO_X)`, as `net/smc` does.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h), [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/net/protocol.h`](srctree/include/net/protocol.h)

use super::{
    bindings as b,
    errno::{ENOTCONN, EPROTONOSUPPORT, ESOCKTNOSUPPORT},
    msg::{RecvMsg, SendMsg},
    sock::{AnySock, PollEvents, Shut, Sock},
    sockaddr::SockAddr,
    sockopt::{GetOpt, SetOpt},
};
use core::{cell::UnsafeCell, marker::PhantomData, mem::zeroed, ptr};
use kernel::{
    error::{from_result, to_result, Error},
    ffi::{c_int, c_uint, c_ulong},
    prelude::*,
    str::CStr,
};

/// The operations of a stream socket, called by the socket layer in process context.
///
/// Each corresponds to the member of `struct proto_ops` of the same name; errors go to the program as errno.
pub(crate) trait StreamSocket: Sized + Send + Sync + 'static {
    /// What [`StreamSocket::accept`] takes out of the listening socket, to become a new one.
    type Accepted;

    /// The family this socket belongs to.
    fn family() -> &'static Family<Self>;

    /// A new socket; `accepted` is what it serves if it comes from `accept()`.
    fn new(sk: &AnySock, accepted: Option<Self::Accepted>) -> impl PinInit<Self, Error>;

    /// The last file descriptor was closed.
    fn release(sock: &Sock<Self>);

    /// `bind(2)`.
    fn bind(sock: &Sock<Self>, addr: &SockAddr) -> Result;

    /// `connect(2)`.
    fn connect(sock: &Sock<Self>, addr: &SockAddr, nonblock: bool) -> Result;

    /// `listen(2)`.
    fn listen(sock: &Sock<Self>, backlog: c_int) -> Result;

    /// `accept(2)`, first half: waits for a connection.
    fn accept(sock: &Sock<Self>, nonblock: bool) -> Result<Self::Accepted>;

    /// `accept(2)`, second half: `sock` is the socket made by [`StreamSocket::new`] from what was accepted.
    fn accepted(sock: &Sock<Self>);

    /// `getsockname(2)`, or `getpeername(2)` if `peer`.
    fn name(sock: &Sock<Self>, peer: bool) -> Result<SockAddr>;

    /// What is ready. The caller has already been registered to be woken.
    fn poll(sock: &Sock<Self>) -> PollEvents;

    /// `ioctl(2)` with an argument that is a user address or a number.
    fn ioctl(sock: &Sock<Self>, cmd: c_uint, arg: usize) -> Result<c_int>;

    /// `shutdown(2)`.
    fn shutdown(sock: &Sock<Self>, shut: Shut) -> Result;

    /// `setsockopt(2)`, `SOL_SOCKET` included.
    fn setsockopt(sock: &Sock<Self>, level: c_int, name: c_int, value: &SetOpt) -> Result;

    /// `getsockopt(2)`, `SOL_SOCKET` not included: that the socket layer answers.
    fn getsockopt(sock: &Sock<Self>, level: c_int, name: c_int, value: &mut GetOpt) -> Result;

    /// `sendmsg(2)` and all that end there; returns how many bytes were taken.
    fn sendmsg(sock: &Sock<Self>, msg: &mut SendMsg<'_>) -> Result<usize>;

    /// `recvmsg(2)` and all that end there; returns how many bytes were given.
    fn recvmsg(sock: &Sock<Self>, msg: &mut RecvMsg<'_>) -> Result<usize>;
}

/// The C side of a family: what the socket layer holds pointers to once it is registered.
///
/// # Examples
///
/// ```ignore
/// static FAMILY: Family<MySocket> = Family::new(c"MINE", IPPROTO_MINE, &THIS_MODULE);
/// ```
pub(crate) struct Family<T> {
    proto: UnsafeCell<[b::proto; 2]>,
    protosw: UnsafeCell<[b::inet_protosw; 2]>,
    own: UnsafeCell<b::net_proto_family>,
    inet_ops: b::proto_ops,
    inet6_ops: b::proto_ops,
    own_ops: UnsafeCell<b::proto_ops>,
    protocol: u16,
    _socket: PhantomData<fn() -> T>,
}

// SAFETY: The cells are written during registration only, which `Registration` makes exclusive; from then on they are the
// socket layer's, which does its own locking.
unsafe impl<T> Sync for Family<T> {}

impl<T: StreamSocket> Family<T> {
    /// A family called `name` in /proc/net/protocols, reachable as `protocol` under `AF_INET` and `AF_INET6`.
    pub(crate) const fn new(name: &CStr, protocol: u16, module: &'static ThisModule) -> Self {
        let owner: *mut b::module = module.as_ptr().cast();
        Self {
            proto: UnsafeCell::new([Self::proto(name, 0, owner), Self::proto(name, 6, owner)]),
            // SAFETY: All-zero is a valid `struct inet_protosw`.
            protosw: UnsafeCell::new(unsafe { zeroed() }),
            // SAFETY: All-zero is a valid `struct net_proto_family`.
            own: UnsafeCell::new(unsafe { zeroed() }),
            inet_ops: Self::ops(b::AF_INET as c_int, owner),
            inet6_ops: Self::ops(b::AF_INET6 as c_int, owner),
            own_ops: UnsafeCell::new(Self::ops(0, owner)),
            protocol,
            _socket: PhantomData,
        }
    }

    const fn proto(name: &CStr, suffix: u8, owner: *mut b::module) -> b::proto {
        // SAFETY: All-zero is a valid `struct proto`.
        let mut proto: b::proto = unsafe { zeroed() };
        let bytes = name.to_bytes();
        let mut i = 0;
        while i < bytes.len() {
            proto.name[i] = bytes[i];
            i += 1;
        }
        if suffix != 0 {
            proto.name[i] = b'0' + suffix;
            proto.ipv6_pinfo_offset = b::TOE_SK_PINFO_OFFSET as c_uint;
        }
        proto.owner = owner;
        proto.obj_size = Sock::<T>::SIZE as c_uint;
        proto.init = Some(Self::init_callback);
        proto.hash = Some(hash_callback);
        proto.unhash = Some(unhash_callback);
        proto
    }

    const fn ops(family: c_int, owner: *mut b::module) -> b::proto_ops {
        // SAFETY: All-zero is a valid `struct proto_ops`.
        let mut ops: b::proto_ops = unsafe { zeroed() };
        ops.family = family;
        ops.owner = owner;
        ops.release = Some(Self::release_callback);
        ops.bind = Some(Self::bind_callback);
        ops.connect = Some(Self::connect_callback);
        ops.socketpair = Some(b::sock_no_socketpair);
        ops.accept = Some(Self::accept_callback);
        ops.getname = Some(Self::getname_callback);
        ops.poll = Some(Self::poll_callback);
        ops.ioctl = Some(Self::ioctl_callback);
        ops.gettstamp = Some(b::sock_gettstamp);
        ops.listen = Some(Self::listen_callback);
        ops.shutdown = Some(Self::shutdown_callback);
        ops.setsockopt = Some(Self::setsockopt_callback);
        ops.getsockopt = Some(Self::getsockopt_callback);
        ops.sendmsg = Some(Self::sendmsg_callback);
        ops.recvmsg = Some(Self::recvmsg_callback);
        ops.mmap = Some(b::sock_no_mmap);
        ops
    }

    /// The socket of `sock`, if it (still) has one.
    ///
    /// # Safety
    ///
    /// `sock` is a valid socket of this family, for `'a`.
    unsafe fn sock<'a>(sock: *mut b::socket) -> Result<&'a Sock<T>> {
        // SAFETY: By this function's contract; a set `sk` was made by `init`, and the socket holds a reference to it.
        unsafe {
            let sk = (*sock).sk;
            if sk.is_null() {
                return Err(ENOTCONN.into());
            }
            Ok(Sock::from_raw(sk))
        }
    }

    /// Allocates the `struct sock` of `sock` for our own family or, in `accept()`, for any.
    ///
    /// # Safety
    ///
    /// `sock` is a valid new socket, `net` a live namespace, `family` one that `self` serves.
    unsafe fn alloc(
        &self,
        net: *mut b::net,
        sock: *mut b::socket,
        family: c_int,
        accepted: Option<T::Accepted>,
        kern: c_int,
    ) -> Result<*mut b::sock> {
        let index = usize::from(family == b::AF_INET6 as c_int);
        // SAFETY: In bounds of the registered array, whose address doesn't change; the rest by this function's contract.
        unsafe {
            let proto = self.proto.get().cast::<b::proto>().add(index);
            let sk = b::sk_alloc(net, family, b::GFP_KERNEL, proto, kern);
            if sk.is_null() {
                return Err(ENOMEM);
            }
            b::sock_init_data(sock, sk);
            (*sk).sk_protocol = self.protocol;
            b::toe_helper_sk_init_inet(sk);
            b::toe_helper_sk_init_lock(sk);
            b::toe_helper_sock_custom_sockopt(sk);
            if let Err(e) = Sock::init(sk, T::new(AnySock::from_raw(sk), accepted)) {
                b::toe_helper_sock_orphan(sk);
                b::toe_helper_sock_put(sk);
                (*sock).sk = ptr::null_mut();
                return Err(e);
            }
            Ok(sk)
        }
    }

    /// # Safety
    ///
    /// Called by the socket layer only, for a new socket of `AF_INET` or `AF_INET6`.
    unsafe extern "C" fn init_callback(sk: *mut b::sock) -> c_int {
        from_result(|| {
            // SAFETY: `sk` is new and has our object size; `inet_create()` has set `sk_destruct`.
            unsafe {
                b::toe_helper_sk_init_lock(sk);
                b::toe_helper_sock_custom_sockopt(sk);
                Sock::init(sk, T::new(AnySock::from_raw(sk), None))?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn create_callback(
        net: *mut b::net,
        sock: *mut b::socket,
        protocol: c_int,
        kern: c_int,
    ) -> c_int {
        from_result(|| {
            let family = T::family();
            // SAFETY: Valid by this function's contract.
            if c_uint::try_from(unsafe { (*sock).type_ })? != b::sock_type_SOCK_STREAM {
                return Err(ESOCKTNOSUPPORT.into());
            }
            if protocol != 0 && protocol != b::IPPROTO_TCP as c_int {
                return Err(EPROTONOSUPPORT.into());
            }
            // SAFETY: Valid by this function's contract; the operations are static.
            unsafe {
                (*sock).ops = family.own_ops.get();
                family.alloc(net, sock, (*family.own.get()).family, None, kern)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn release_callback(sock: *mut b::socket) -> c_int {
        // SAFETY: By this function's contract.
        if let Ok(s) = unsafe { Self::sock(sock) } {
            T::release(s);
            // SAFETY: The socket gives up its reference, and its pointer before that.
            unsafe {
                let sk = (*sock).sk;
                b::toe_helper_sock_orphan(sk);
                (*sock).sk = ptr::null_mut();
                b::toe_helper_sock_put(sk);
            }
        }
        0
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn bind_callback(
        sock: *mut b::socket,
        addr: *mut b::sockaddr_unsized,
        len: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let (s, addr) = unsafe { (Self::sock(sock)?, SockAddr::from_raw(addr.cast(), len)?) };
            T::bind(s, &addr).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn connect_callback(
        sock: *mut b::socket,
        addr: *mut b::sockaddr_unsized,
        len: c_int,
        flags: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let (s, addr) = unsafe { (Self::sock(sock)?, SockAddr::from_raw(addr.cast(), len)?) };
            T::connect(s, &addr, flags & b::O_NONBLOCK as c_int != 0).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn accept_callback(
        sock: *mut b::socket,
        new: *mut b::socket,
        arg: *mut b::proto_accept_arg,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let (s, flags) = unsafe { (Self::sock(sock)?, (*arg).flags) };
            let accepted = T::accept(s, flags & b::O_NONBLOCK as c_int != 0)?;
            // SAFETY: `new` is a new socket; its operations are those of `sock`, so of our family.
            unsafe {
                let net = b::toe_helper_sock_net((*sock).sk);
                let sk = T::family().alloc(net, new, s.family(), Some(accepted), 0)?;
                b::toe_helper_sk_inherit(sk, s.as_ptr());
                (*new).state = b::socket_state_SS_CONNECTED;
                T::accepted(Self::sock(new)?);
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn getname_callback(
        sock: *mut b::socket,
        addr: *mut b::sockaddr,
        peer: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let name = T::name(unsafe { Self::sock(sock)? }, peer != 0)?;
            let bytes = name.as_bytes();
            // SAFETY: The caller has room for any address.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), addr.cast(), bytes.len()) };
            Ok(bytes.len() as c_int)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn poll_callback(
        file: *mut b::file,
        sock: *mut b::socket,
        table: *mut b::poll_table_struct,
    ) -> b::__poll_t {
        // SAFETY: By this function's contract.
        unsafe {
            b::toe_helper_sock_poll_wait(file, sock, table);
            Self::sock(sock).map_or(0, |s| T::poll(s).0)
        }
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn ioctl_callback(sock: *mut b::socket, cmd: c_uint, arg: c_ulong) -> c_int {
        // SAFETY: By this function's contract.
        from_result(|| T::ioctl(unsafe { Self::sock(sock)? }, cmd, arg))
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn listen_callback(sock: *mut b::socket, backlog: c_int) -> c_int {
        // SAFETY: By this function's contract.
        from_result(|| T::listen(unsafe { Self::sock(sock)? }, backlog).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn shutdown_callback(sock: *mut b::socket, how: c_int) -> c_int {
        // SAFETY: By this function's contract.
        from_result(|| T::shutdown(unsafe { Self::sock(sock)? }, Shut::from_how(how)?).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn setsockopt_callback(
        sock: *mut b::socket,
        level: c_int,
        name: c_int,
        value: b::sockptr_t,
        len: c_uint,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let (s, value) = unsafe { (Self::sock(sock)?, SetOpt::from_raw(value, len)) };
            T::setsockopt(s, level, name, &value).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn getsockopt_callback(
        sock: *mut b::socket,
        level: c_int,
        name: c_int,
        value: *mut u8,
        len: *mut c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let s = unsafe { Self::sock(sock)? };
            T::getsockopt(s, level, name, &mut GetOpt::from_raw(value, len)).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn sendmsg_callback(
        sock: *mut b::socket,
        msg: *mut b::msghdr,
        len: usize,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let (s, mut msg) = unsafe { (Self::sock(sock)?, SendMsg::from_raw(msg, len)) };
            T::sendmsg(s, &mut msg).map(|n| n as c_int)
        })
    }

    /// # Safety
    ///
    /// Called by the socket layer only.
    unsafe extern "C" fn recvmsg_callback(
        sock: *mut b::socket,
        msg: *mut b::msghdr,
        len: usize,
        flags: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let (s, mut msg) = unsafe { (Self::sock(sock)?, RecvMsg::from_raw(msg, len, flags)) };
            T::recvmsg(s, &mut msg).map(|n| n as c_int)
        })
    }
}

/// # Safety
///
/// Called by the socket layer only.
unsafe extern "C" fn hash_callback(_sk: *mut b::sock) -> c_int {
    0
}

/// # Safety
///
/// Called by the socket layer only.
unsafe extern "C" fn unhash_callback(_sk: *mut b::sock) {}

/// A registered family; dropping it takes it back.
///
/// # Invariants
///
/// The family is registered, by this object only.
pub(crate) struct Registration<T: StreamSocket>(PhantomData<T>);

impl<T: StreamSocket> Registration<T> {
    /// Registers `T`'s family under its own number `pf` and as a protocol of the Internet families.
    ///
    /// # Errors
    ///
    /// `EEXIST` or `EBUSY` when the number is taken, `ENOBUFS` when it isn't below `AF_MAX`, `EINVAL` when it is that of an Internet family.
    pub(crate) fn new(pf: c_int) -> Result<Self> {
        if pf == b::AF_INET as c_int || pf == b::AF_INET6 as c_int {
            return Err(EINVAL);
        }
        let family = T::family();
        let protos: *mut b::proto = family.proto.get().cast();
        let protosws: *mut b::inet_protosw = family.protosw.get().cast();
        // SAFETY: The module's init calls this once, so nobody else writes the cells; they are static. Everything is taken
        // back in the reverse order when a step fails.
        unsafe {
            to_result(b::proto_register(protos, 1))?;
            if let Err(e) = to_result(b::proto_register(protos.add(1), 1)) {
                b::proto_unregister(protos);
                return Err(e);
            }
            for (index, ops) in [&family.inet_ops, &family.inet6_ops]
                .into_iter()
                .enumerate()
            {
                let sw = &mut *protosws.add(index);
                sw.type_ = b::sock_type_SOCK_STREAM as u16;
                sw.protocol = family.protocol;
                sw.prot = protos.add(index);
                sw.ops = ops;
            }
            (*family.own.get()).family = pf;
            (*family.own.get()).create = Some(Family::<T>::create_callback);
            (*family.own.get()).owner = (*family.own_ops.get()).owner;
            (*family.own_ops.get()).family = pf;
            if let Err(e) = to_result(b::sock_register(family.own.get())) {
                b::proto_unregister(protos.add(1));
                b::proto_unregister(protos);
                return Err(e);
            }
            b::inet_register_protosw(protosws);
            if let Err(e) = to_result(b::inet6_register_protosw(protosws.add(1))) {
                b::inet_unregister_protosw(protosws);
                b::sock_unregister(pf);
                b::proto_unregister(protos.add(1));
                b::proto_unregister(protos);
                return Err(e);
            }
        }
        // INVARIANT: Registered above.
        Ok(Self(PhantomData))
    }
}

impl<T: StreamSocket> Drop for Registration<T> {
    fn drop(&mut self) {
        let family = T::family();
        let protos: *mut b::proto = family.proto.get().cast();
        let protosws: *mut b::inet_protosw = family.protosw.get().cast();
        // SAFETY: Registered by the type invariant; sockets hold references to the module, so none is left.
        unsafe {
            b::inet6_unregister_protosw(protosws.add(1));
            b::inet_unregister_protosw(protosws);
            b::sock_unregister((*family.own.get()).family);
            b::proto_unregister(protos.add(1));
            b::proto_unregister(protos);
        }
    }
}
