// SPDX-License-Identifier: GPL-2.0
//! What the stack asks a device to do with a packet it sends.

use super::b;
use crate::net::skbuff::SkBuff;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A checksum to be written: the ones' complement sum of everything from `start` on goes to `start + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    /// Where the sum begins, in bytes from the link-layer header.
    pub(crate) start: u16,
    /// Where it is written, in bytes from `start`.
    pub(crate) offset: u16,
}

/// A packet to be cut into TCP segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segmentation {
    /// Payload bytes of each segment.
    pub(crate) size: u16,
    /// Number of segments.
    pub(crate) segments: u16,
    /// Length of the headers of each, link layer to TCP.
    pub(crate) header_len: u16,
    /// Whether it is IPv6.
    pub(crate) ipv6: bool,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TxInfo {
    /// Its length in bytes.
    pub(crate) len: u32,
    /// Pieces it lies in.
    pub(crate) pieces: u16,
    /// The checksum to be written, if any.
    pub(crate) checksum: Option<Checksum>,
    /// How it is to be cut, if at all.
    pub(crate) segmentation: Option<Segmentation>,
}

impl SkBuff {
    fn raw_tx_info(&self) -> b::toe_tx_info {
        let mut info = b::toe_tx_info::default();
        // SAFETY: Valid by the type's invariants; `info` is valid for writes.
        unsafe { b::toe_helper_skb_tx_info(self.as_ptr(), &mut info) };
        info
    }

    /// The queue the stack has chosen for it.
    #[inline]
    pub(super) fn tx_queue(&self) -> u16 {
        self.raw_tx_info().queue
    }

    /// What the device is to do with it.
    #[inline]
    pub(crate) fn tx_info(&self) -> TxInfo {
        let info = self.raw_tx_info();
        TxInfo {
            len: info.len,
            pieces: info.frags + 1,
            checksum: (info.csum_start != 0).then_some(Checksum {
                start: info.csum_start,
                offset: info.csum_offset,
            }),
            segmentation: (info.gso_size != 0).then_some(Segmentation {
                size: info.gso_size,
                segments: info.gso_segs,
                header_len: info.gso_header_len,
                ipv6: info.gso_ipv6,
            }),
        }
    }

    /// Where part `number` of it lies: page, offset and length. `EINVAL` if the CPU can't reach it.
    pub(in crate::net) fn piece(&self, number: u16) -> Result<(NonNull<b::page>, u32, u32)> {
        if number >= self.tx_info().pieces {
            return Err(EINVAL);
        }
        let (mut offset, mut len) = (0, 0);
        // SAFETY: Valid by the type's invariants; there is such a part.
        let page =
            unsafe { b::toe_helper_skb_tx_piece(self.as_ptr(), number, &mut offset, &mut len) };
        Ok((NonNull::new(page).ok_or(EINVAL)?, offset, len))
    }
}
