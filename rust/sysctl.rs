// SPDX-License-Identifier: GPL-2.0
//! Settings below /proc/sys/net.
//!
//! C headers: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h),
//! [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use super::{bindings as b, netns::Net};
use core::{ptr, ptr::NonNull};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_void},
    prelude::*,
    str::CStr,
    sync::atomic::{Atomic, Relaxed},
};

/// A setting that is a number.
pub(crate) struct Number {
    value: Atomic<i32>,
    min: c_int,
    max: c_int,
}

impl Number {
    /// A number from `min` to `max`, at first `value`.
    pub(crate) const fn new(value: c_int, min: c_int, max: c_int) -> Self {
        assert!(min <= value && value <= max);
        Self {
            value: Atomic::new(value),
            min,
            max,
        }
    }

    /// The number at the moment.
    pub(crate) fn get(&self) -> c_int {
        self.value.load(Relaxed)
    }
}

/// A setting that is one of several words.
pub(crate) struct Choice {
    chosen: Atomic<u32>,
    words: &'static [&'static CStr],
}

impl Choice {
    /// Longest word, its terminating zero and the newline that may follow it included, in bytes.
    const MAX_WORD: usize = 32;

    /// One of `words`, at first the one at index `chosen`.
    pub(crate) const fn new(words: &'static [&'static CStr], chosen: usize) -> Self {
        assert!(chosen < words.len());
        let mut i = 0;
        while i < words.len() {
            assert!(words[i].to_bytes_with_nul().len() < Self::MAX_WORD);
            i += 1;
        }
        Self {
            chosen: Atomic::new(chosen as u32),
            words,
        }
    }

    /// The index of the word at the moment.
    pub(crate) fn get(&self) -> usize {
        self.chosen.load(Relaxed) as usize
    }

    /// The `proc_handler`.
    ///
    /// # Safety
    ///
    /// Called by the sysctl layer only, for a table whose `data` is a static `Choice`.
    unsafe extern "C" fn handler(
        table: *const b::ctl_table,
        write: c_int,
        buffer: *mut c_void,
        len: *mut usize,
        pos: *mut b::loff_t,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let this = unsafe { &*(*table).data.cast_const().cast::<Self>() };
            let mut word = [0u8; Self::MAX_WORD];
            let shown = this
                .words
                .get(this.get())
                .ok_or(EINVAL)?
                .to_bytes_with_nul();
            word[..shown.len()].copy_from_slice(shown);
            let copy = b::ctl_table {
                data: word.as_mut_ptr().cast(),
                maxlen: Self::MAX_WORD as c_int,
                ..Default::default()
            };
            // SAFETY: `word` has room for `maxlen` bytes; the rest is what the sysctl layer passed.
            to_result(unsafe { b::proc_dostring(&copy, write, buffer, len, pos) })?;
            if write != 0 {
                let word = CStr::from_bytes_until_nul(&word).map_err(|_| EINVAL)?;
                let index = this.words.iter().position(|w| *w == word).ok_or(EINVAL)?;
                this.chosen.store(index as u32, Relaxed);
            }
            Ok(0)
        })
    }
}

/// A setting with its file's name.
pub(crate) enum Entry {
    /// A number.
    Number(&'static CStr, &'static Number),
    /// One of several words.
    Choice(&'static CStr, &'static Choice),
}

impl Entry {
    /// As C has it: readable by everybody, writable by root.
    fn table(&self) -> b::ctl_table {
        let mode = 0o644;
        match *self {
            Self::Number(name, number) => b::ctl_table {
                procname: name.as_ptr().cast(),
                data: number.value.as_ptr().cast(),
                maxlen: size_of::<c_int>() as c_int,
                mode,
                proc_handler: Some(b::proc_dointvec_minmax),
                extra1: ptr::from_ref(&number.min).cast_mut().cast(),
                extra2: ptr::from_ref(&number.max).cast_mut().cast(),
                ..Default::default()
            },
            Self::Choice(name, choice) => b::ctl_table {
                procname: name.as_ptr().cast(),
                data: ptr::from_ref(choice).cast_mut().cast(),
                maxlen: Choice::MAX_WORD as c_int,
                mode,
                proc_handler: Some(Choice::handler),
                ..Default::default()
            },
        }
    }
}

/// Registered settings; dropping it takes them back.
///
/// # Examples
///
/// ```ignore
/// static LIMIT: Number = Number::new(16, 0, 100);
/// let _settings = Registration::new(c"net/mine", &[Entry::Number(c"limit", &LIMIT)])?; // /proc/sys/net/mine/limit
/// ```
///
/// # Invariants
///
/// `header` is that of `_table`, registered by this object only.
pub(crate) struct Registration {
    header: NonNull<b::ctl_table_header>,
    _table: KVec<b::ctl_table>,
}

// SAFETY: Nothing is done with the object but to take it back, which takes the sysctl layer's locks.
unsafe impl Send for Registration {}

// SAFETY: There are no methods.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers `entries` in the directory `path` of the initial network namespace.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also when one of the names is taken.
    pub(crate) fn new(path: &'static CStr, entries: &[Entry]) -> Result<Self> {
        let mut table = KVec::with_capacity(entries.len(), GFP_KERNEL)?;
        for entry in entries {
            table.push(entry.table(), GFP_KERNEL)?;
        }
        // SAFETY: The table has as many elements, which stay where they are until they have been taken back; all they
        // point to is static. Handlers may be called with any of the sysctl layer's arguments.
        let header = unsafe {
            b::register_net_sysctl_sz(
                Net::init().as_ptr(),
                path.as_ptr().cast(),
                table.as_mut_ptr(),
                table.len(),
            )
        };
        // INVARIANT: Registered above.
        Ok(Self {
            header: NonNull::new(header).ok_or(ENOMEM)?,
            _table: table,
        })
    }
}

impl Drop for Registration {
    /// Waits for readers and writers under way.
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant.
        unsafe { b::unregister_net_sysctl_table(self.header.as_ptr()) };
    }
}
