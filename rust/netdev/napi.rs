// SPDX-License-Identifier: GPL-2.0
//! Polling: receiving frames in softirq context.

use super::{b, Driver, Netdev};
use crate::net::{context::BhDisabled, dma::DmaMemory};
use core::ffi::c_int;
use kernel::{error::to_result, prelude::*};

/// What the device found out about a received frame's checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RxChecksum {
    /// Nothing.
    Unchecked,
    /// Those of the IP header and of TCP or UDP are right.
    Right,
}

/// A received frame.
#[derive(Clone, Copy)]
pub(crate) struct RxFrame<'a> {
    /// Where it lies.
    pub(crate) memory: &'a DmaMemory,
    /// Where it begins there, in bytes.
    pub(crate) offset: usize,
    /// Its length in bytes, without frame check sequence. What goes beyond `end` is at the memory's beginning.
    pub(crate) len: usize,
    /// How much of the memory frames lie in, in bytes.
    pub(crate) end: usize,
    /// What is known of its checksums.
    pub(crate) checksum: RxChecksum,
    /// Hash of its flow; 0 if there is none.
    pub(crate) hash: u32,
    /// Whether ports are part of the hash.
    pub(crate) hash_l4: bool,
}

/// One run of [`Driver::poll`].
///
/// # Invariants
///
/// `napi` is being polled, and bottom halves are disabled.
pub(crate) struct Poll<'a> {
    napi: &'a mut b::napi_struct,
    number: u16,
    budget: u32,
    bh: &'a BhDisabled,
}

impl Poll<'_> {
    /// Which NAPI context it is; the first are those of the queues.
    #[inline]
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Most work to be done; 0 if only what was sent is to be cleaned up.
    #[inline]
    pub(crate) fn budget(&self) -> u32 {
        self.budget
    }

    /// Evidence that bottom halves are disabled.
    #[inline]
    pub(crate) fn bh(&self) -> &BhDisabled {
        self.bh
    }

    /// Gives a copy of a frame to the stack.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has no Ethernet header or doesn't lie in its memory, `ENOMEM` if there is no memory.
    #[inline]
    pub(crate) fn receive(&mut self, frame: &RxFrame<'_>) -> Result {
        let memory = frame.memory;
        let len = frame.len.min(frame.end.saturating_sub(frame.offset));
        let rest = frame.len - len;
        let raw = b::toe_rx_frame {
            data: memory.bytes(frame.offset, len)?.cast(),
            len: u32::try_from(len)?,
            rest: memory.bytes(0, rest)?.cast(),
            rest_len: u32::try_from(rest)?,
            hash: frame.hash,
            queue: self.number,
            hash_l4: frame.hash_l4,
            checksum: match frame.checksum {
                RxChecksum::Unchecked => b::toe_rx_checksum_TOE_RX_CHECKSUM_NONE,
                RxChecksum::Right => b::toe_rx_checksum_TOE_RX_CHECKSUM_UNNECESSARY,
            },
        };
        // SAFETY: By the type's invariants; both parts of the frame are as many readable bytes.
        to_result(unsafe { b::toe_helper_napi_receive(self.napi, &raw) })
    }
}

impl<T: Driver> Netdev<T> {
    /// # Safety
    ///
    /// For NAPI only, for a context of a device of this type.
    pub(super) unsafe extern "C" fn poll_callback(
        napi: *mut b::napi_struct,
        budget: c_int,
    ) -> c_int {
        // SAFETY: By the function's safety requirements; polling happens with bottom halves disabled.
        let (this, number, bh) = unsafe {
            (
                Self::from_dev((*napi).dev),
                b::toe_helper_napi_number(napi),
                BhDisabled::assume(),
            )
        };
        let budget = budget as u32;
        let done = {
            // SAFETY: Valid by the function's safety requirements, and nobody else touches it while it is polled.
            let napi = unsafe { &mut *napi };
            // INVARIANT: Being polled.
            let mut poll = Poll {
                napi,
                number,
                budget,
                bh,
            };
            T::poll(this, &mut poll).min(budget) as c_int
        };
        // Without a budget, others are polling right now.
        // SAFETY: Being polled, and given up by returning less than the budget.
        if budget != 0 && (done as u32) < budget && unsafe { b::napi_complete_done(napi, done) } {
            T::rearm(this, number);
        }
        done
    }
}
