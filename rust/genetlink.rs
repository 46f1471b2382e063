// SPDX-License-Identifier: GPL-2.0
//! Generic netlink families implemented in Rust.
//!
//! A command is a type: one that implements [`Do`] does or shows one thing, one that implements [`Dump`] shows all there
//! are. Requests are checked against the command's [`Policy`] before they reach it. Every family is present in all network
//! namespaces; a command acts on that of the socket it came from.
//!
//! C headers: [`include/net/genetlink.h`](srctree/include/net/genetlink.h),
//! [`include/net/netlink.h`](srctree/include/net/netlink.h)

use super::{bindings as b, errno::EMSGSIZE, netns::Net, sock::AnySock};
use core::{marker::PhantomData, mem::zeroed, ptr::NonNull, slice};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_void},
    prelude::*,
    str::CStr,
    types::Opaque,
};

/// What an attribute of a request must look like. The type of an attribute is the index of its policy in a slice.
#[repr(transparent)]
pub(crate) struct Policy(b::nla_policy);

// SAFETY: A policy never changes, and points to nothing.
unsafe impl Sync for Policy {}

impl Policy {
    /// The attribute is refused.
    pub(crate) const REFUSED: Self =
        Self::new(b::NLA_UNSPEC, b::nla_policy_validation_NLA_VALIDATE_NONE);

    const fn new(kind: u32, validation: u32) -> Self {
        // SAFETY: All-zero is a valid `struct nla_policy`.
        let mut policy: b::nla_policy = unsafe { zeroed() };
        policy.type_ = kind as u8;
        policy.validation_type = validation as u8;
        Self(policy)
    }

    /// Without a payload: it is there, or it isn't.
    pub(crate) const FLAG: Self =
        Self::new(b::NLA_FLAG, b::nla_policy_validation_NLA_VALIDATE_NONE);

    /// A `u32` not below `min`, which isn't negative.
    pub(crate) const fn u32_at_least(min: i16) -> Self {
        let mut policy = Self::new(b::NLA_U32, b::nla_policy_validation_NLA_VALIDATE_MIN);
        policy.0.__bindgen_anon_1.__bindgen_anon_1.min = min;
        policy
    }

    /// A `u32` not above `max`, which isn't negative.
    pub(crate) const fn u32_at_most(max: i16) -> Self {
        let mut policy = Self::new(b::NLA_U32, b::nla_policy_validation_NLA_VALIDATE_MAX);
        policy.0.__bindgen_anon_1.__bindgen_anon_1.max = max;
        policy
    }
}

/// Who may give a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Anybody.
    All,
    /// Who has `CAP_NET_ADMIN` over the network namespace.
    NetAdmin,
}

/// A command that does, or shows, one thing. Called in process context; may sleep.
pub(crate) trait Do {
    /// Its number, from 1.
    const CMD: u8;
    /// Who may give it.
    const PERMISSION: Permission;
    /// The attributes it takes.
    const POLICY: &'static [Policy];

    /// Does it. An error goes to the sender as errno.
    fn run(request: &Request<'_>) -> Result;
}

/// A command that shows everything of a kind to anybody, one message for each thing. Called in process context; may sleep.
pub(crate) trait Dump {
    /// Its number, from 1.
    const CMD: u8;

    /// Shows all things of `net` whose key isn't below [`Listing::start`], in ascending order of their keys, by
    /// [`Listing::show`], and passes on its errors.
    ///
    /// Called again from the new start when the answer didn't fit into one piece: things that come and go in between are
    /// shown or not, but the others once.
    fn run(net: &Net, listing: &mut Listing<'_>) -> Result;
}

/// A command of a family, as C has it.
#[repr(transparent)]
pub(crate) struct Op(b::genl_split_ops);

// SAFETY: An operation never changes, and points to functions and a static policy.
unsafe impl Sync for Op {}

impl Op {
    const fn new(cmd: u8, flags: u32) -> Self {
        // SAFETY: All-zero is a valid `struct genl_split_ops`.
        let mut op: b::genl_split_ops = unsafe { zeroed() };
        op.cmd = cmd;
        op.flags = flags as u8;
        Self(op)
    }

    /// The command `T` for one thing.
    pub(crate) const fn one<T: Do>() -> Self {
        let flags = match T::PERMISSION {
            Permission::All => b::GENL_CMD_CAP_DO,
            Permission::NetAdmin => b::GENL_CMD_CAP_DO | b::GENL_UNS_ADMIN_PERM,
        };
        let mut op = Self::new(T::CMD, flags);
        op.0.__bindgen_anon_1.__bindgen_anon_1.doit = Some(do_callback::<T>);
        if !T::POLICY.is_empty() {
            op.0.policy = T::POLICY.as_ptr().cast();
            op.0.maxattr = T::POLICY.len() as u32 - 1;
        }
        op
    }

    /// The command `T` for all things.
    pub(crate) const fn all<T: Dump>() -> Self {
        let mut op = Self::new(T::CMD, b::GENL_CMD_CAP_DUMP);
        op.0.__bindgen_anon_1.__bindgen_anon_2.dumpit = Some(dump_callback::<T>);
        op
    }
}

/// A registered family; dropping it takes it back.
///
/// # Examples
///
/// ```ignore
/// static OPS: [Op; 2] = [Op::one::<Get>(), Op::all::<List>()]; // in the order of their numbers, `one` before `all`
/// let _family = Registration::new(c"mine", 1, &OPS, &THIS_MODULE)?;
/// ```
///
/// # Invariants
///
/// The family is registered, by this object only.
pub(crate) struct Registration(Pin<KBox<Opaque<b::genl_family>>>);

// SAFETY: Nothing is done with the object but to register and unregister it, which takes netlink's locks.
unsafe impl Send for Registration {}

// SAFETY: There are no methods.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers a family with the commands `ops`.
    ///
    /// # Errors
    ///
    /// `EEXIST` when there is a family called `name`; `EINVAL` when `ops` aren't in order or `name` is too long; `ENOMEM`.
    pub(crate) fn new(
        name: &CStr,
        version: u8,
        ops: &'static [Op],
        module: &'static ThisModule,
    ) -> Result<Self> {
        let mut family = b::genl_family {
            version: version.into(),
            split_ops: ops.as_ptr().cast(),
            n_split_ops: ops.len().try_into()?,
            module: module.as_ptr().cast(),
            ..Default::default()
        };
        let name = name.to_bytes_with_nul();
        let room = family.name.get_mut(..name.len()).ok_or(EINVAL)?;
        room.copy_from_slice(name);
        let family = KBox::pin(Opaque::new(family), GFP_KERNEL)?;
        // SAFETY: The family is valid and stays where it is until it has been unregistered; its operations are static.
        unsafe {
            b::toe_helper_genl_family_in_netns(family.get());
            to_result(b::genl_register_family(family.get()))?;
        }
        // INVARIANT: Registered above.
        Ok(Self(family))
    }
}

impl Drop for Registration {
    /// Waits for commands under way.
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant. The function fails only for a family that isn't.
        unsafe { b::genl_unregister_family(self.0.get()) };
    }
}

/// A request for one thing.
///
/// # Invariants
///
/// `info` is that of a request being served, throughout `'a`; its `attrs` hold a pointer for each attribute type below
/// `types`, null or to an attribute that its policy allows.
pub(crate) struct Request<'a> {
    info: *mut b::genl_info,
    types: usize,
    _info: PhantomData<&'a b::genl_info>,
}

impl Request<'_> {
    /// The network namespace it came from.
    pub(crate) fn net(&self) -> &Net {
        // SAFETY: By the type invariant; the sender's socket keeps its namespace.
        unsafe { Net::from_raw(b::toe_helper_genl_info_net(self.info)) }
    }

    /// The attribute of type `attr`, a `u32`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it isn't there.
    pub(crate) fn u32(&self, attr: u32) -> Result<u32> {
        self.u32_if_any(attr)?
            .ok_or(EINVAL)
            .inspect_err(|_| self.explain(c"an attribute is missing"))
    }

    /// The attribute of type `attr`, a `u32`, if it is there.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it isn't four bytes long.
    pub(crate) fn u32_if_any(&self, attr: u32) -> Result<Option<u32>> {
        let Some(bytes) = self.payload(attr) else {
            return Ok(None);
        };
        let bytes = bytes.try_into().map_err(|_| EINVAL)?;
        Ok(Some(u32::from_ne_bytes(bytes)))
    }

    /// Whether there is an attribute of type `attr`.
    pub(crate) fn flag(&self, attr: u32) -> bool {
        self.payload(attr).is_some()
    }

    /// The bytes of the attribute of type `attr`.
    fn payload(&self, attr: u32) -> Option<&[u8]> {
        let attr = usize::try_from(attr)
            .ok()
            .filter(|attr| *attr < self.types)?;
        // SAFETY: By the type invariant; an attribute's payload follows its header, within its length.
        unsafe {
            let attr = NonNull::new(*(*self.info).attrs.add(attr))?.as_ptr();
            let len = usize::from((*attr).nla_len) - size_of::<b::nlattr>();
            Some(slice::from_raw_parts(attr.add(1).cast(), len))
        }
    }

    /// Has the error that the command is about to return explained to the sender.
    pub(crate) fn explain(&self, why: &'static CStr) {
        // SAFETY: By the type invariant; the pointer is null where the sender doesn't want to know.
        unsafe {
            if let Some(extack) = (*self.info).extack.as_mut() {
                extack._msg = why.as_char_ptr();
            }
        }
    }

    /// Answers with the attributes that `fill` adds.
    ///
    /// # Errors
    ///
    /// Those of `fill`; `EMSGSIZE` when they don't fit into a page; `ENOMEM`; `ECONNREFUSED` when the sender is gone.
    pub(crate) fn reply(&self, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result {
        // SAFETY: By the type invariant; the buffer is ours until it has been sent or freed.
        unsafe {
            let skb = b::toe_helper_genlmsg_new();
            if skb.is_null() {
                return Err(ENOMEM);
            }
            let header = b::toe_helper_genlmsg_iput(skb, self.info);
            if let Err(e) = Message::write(skb, header, fill) {
                b::toe_helper_nlmsg_free(skb);
                return Err(e);
            }
            to_result(b::toe_helper_genlmsg_reply(skb, self.info))
        }
    }
}

/// The answer to a request for everything, piece by piece.
///
/// # Invariants
///
/// `skb` and `callback` are those of a dump under way, throughout `'a`.
pub(crate) struct Listing<'a> {
    skb: *mut b::sk_buff,
    callback: *mut b::netlink_callback,
    _dump: PhantomData<&'a mut b::netlink_callback>,
}

impl Listing<'_> {
    /// The lowest key not shown yet; zero at first.
    pub(crate) fn start(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { *b::toe_helper_dump_position(self.callback) }
    }

    /// Shows the thing `key` by the attributes that `fill` adds. A key of `u64::MAX` is the last.
    ///
    /// # Errors
    ///
    /// Those of `fill`, and `EMSGSIZE` when the thing is to be shown in the next piece.
    pub(crate) fn show(
        &mut self,
        key: u64,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) -> Result {
        // SAFETY: By the type invariant.
        unsafe {
            let header = b::toe_helper_dump_iput(self.skb, self.callback);
            Message::write(self.skb, header, fill)?;
            *b::toe_helper_dump_position(self.callback) = key.saturating_add(1);
        }
        Ok(())
    }

    /// The owner of `sock`, as the sender of the request calls him.
    pub(crate) fn uid(&self, sock: &AnySock) -> u32 {
        // SAFETY: By the type invariant, the callback holding the request; `sock` is valid.
        unsafe { b::toe_helper_netlink_uid((*self.callback).skb, sock.as_ptr()) }
    }
}

/// A message in the making.
///
/// All that adds to it fails with `EMSGSIZE` when there is no more room.
///
/// # Invariants
///
/// `skb` is a valid buffer that nobody else writes to throughout `'a`.
pub(crate) struct Message<'a> {
    skb: *mut b::sk_buff,
    _skb: PhantomData<&'a mut b::sk_buff>,
}

impl Message<'_> {
    /// Has `fill` add to the message that starts with `header`; takes it out of `skb` again if that fails.
    ///
    /// # Safety
    ///
    /// `skb` is a valid buffer that nobody else writes to; `header` is null, or of a message just begun in it.
    unsafe fn write(
        skb: *mut b::sk_buff,
        header: *mut c_void,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) -> Result {
        if header.is_null() {
            return Err(EMSGSIZE.into());
        }
        // INVARIANT: By this function's contract.
        let result = fill(&mut Message {
            skb,
            _skb: PhantomData,
        });
        // SAFETY: By this function's contract.
        unsafe {
            match result {
                Ok(()) => b::toe_helper_genlmsg_end(skb, header),
                Err(_) => b::toe_helper_genlmsg_cancel(skb, header),
            }
        }
        result
    }

    /// Adds an attribute of type `attr` with these bytes.
    pub(crate) fn bytes(&mut self, attr: u32, bytes: &[u8]) -> Result {
        self.parts(attr, [bytes, &[]])
    }

    fn parts(&mut self, attr: u32, parts: [&[u8]; 2]) -> Result {
        let len = u16::try_from(parts[0].len() + parts[1].len() + size_of::<b::nlattr>())
            .map_err(|_| EMSGSIZE)?;
        let len = c_int::from(len) - size_of::<b::nlattr>() as c_int;
        // SAFETY: By the type invariant; there is room for `len` bytes after the attribute's header.
        unsafe {
            let header = NonNull::new(b::nla_reserve(self.skb, c_int::try_from(attr)?, len))
                .ok_or(EMSGSIZE)?;
            let payload = header.add(1).cast::<u8>();
            payload.copy_from_nonoverlapping(NonNull::from(parts[0]).cast(), parts[0].len());
            payload
                .add(parts[0].len())
                .copy_from_nonoverlapping(NonNull::from(parts[1]).cast(), parts[1].len());
        }
        Ok(())
    }

    /// Adds a `u16`.
    pub(crate) fn u16(&mut self, attr: u32, value: u16) -> Result {
        self.bytes(attr, &value.to_ne_bytes())
    }

    /// Adds a `u16` in network order.
    pub(crate) fn be16(&mut self, attr: u32, value: u16) -> Result {
        self.bytes(attr, &value.to_be_bytes())
    }

    /// Adds a `u32`.
    pub(crate) fn u32(&mut self, attr: u32, value: u32) -> Result {
        self.bytes(attr, &value.to_ne_bytes())
    }

    /// Adds the netlink specs' `uint`: as long as the value needs.
    pub(crate) fn uint(&mut self, attr: u32, value: u64) -> Result {
        match u32::try_from(value) {
            Ok(value) => self.u32(attr, value),
            Err(_) => self.bytes(attr, &value.to_ne_bytes()),
        }
    }

    /// Adds a string.
    pub(crate) fn string(&mut self, attr: u32, value: &str) -> Result {
        self.parts(attr, [value.as_bytes(), b"\0"])
    }

    /// Adds an attribute that holds the attributes that `fill` adds.
    pub(crate) fn nest(&mut self, attr: u32, fill: impl FnOnce(&mut Self) -> Result) -> Result {
        // SAFETY: By the type invariant.
        let start = unsafe { b::toe_helper_nla_nest_start(self.skb, c_int::try_from(attr)?) };
        if start.is_null() {
            return Err(EMSGSIZE.into());
        }
        let result = fill(self);
        // SAFETY: Begun above in the same buffer, whose contents don't move.
        unsafe {
            match result {
                Ok(()) => b::toe_helper_nla_nest_end(self.skb, start),
                Err(_) => b::toe_helper_nla_nest_cancel(self.skb, start),
            }
        }
        result
    }
}

/// # Safety
///
/// Called by generic netlink only, as `doit` of [`Op::one<T>`].
unsafe extern "C" fn do_callback<T: Do>(_skb: *mut b::sk_buff, info: *mut b::genl_info) -> c_int {
    // INVARIANT: Generic netlink has checked the attributes against the policy, and stored as many pointers as it has
    // elements; none where no attribute has a type above 0.
    let types = if T::POLICY.len() > 1 {
        T::POLICY.len()
    } else {
        0
    };
    let request = Request {
        info,
        types,
        _info: PhantomData,
    };
    from_result(|| T::run(&request).map(|()| 0))
}

/// # Safety
///
/// Called by generic netlink only, as `dumpit` of [`Op::all<T>`].
unsafe extern "C" fn dump_callback<T: Dump>(
    skb: *mut b::sk_buff,
    callback: *mut b::netlink_callback,
) -> c_int {
    // INVARIANT: By this function's contract.
    let mut listing = Listing {
        skb,
        callback,
        _dump: PhantomData,
    };
    // SAFETY: The dumping socket keeps its namespace.
    let net = unsafe { Net::from_raw(b::toe_helper_dump_net(callback)) };
    from_result(|| T::run(net, &mut listing).map(|()| 0))
}
