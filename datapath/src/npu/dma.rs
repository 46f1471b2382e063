// SPDX-License-Identifier: GPL-2.0

//! DMA: moves payload between rings and wire. Stateless.
//!
//! A received payload reaches the ring before its acknowledgment reaches the peer and before the application hears of
//! it (chapter 4, section 4.3.1.3). [`Written`] says that it has: only [`write`] makes one, and both
//! [`acknowledge`] and [`ctxq::notify`](super::ctxq::notify) ask for it.

use super::inline::{Port, TxSegment};
use super::meta::{AckMeta, Params, RingSlice, TxMeta};
use super::post;
use super::template::Template;
use crate::units::Bytes;
use crate::wire::options::SackBlocks;
use crate::wire::Sum;

/// Proof that a segment's payload is in the receive ring.
#[derive(Clone, Copy, Debug)]
pub struct Written(());

/// Moves a received segment's payload, if any, to the receive ring.
#[inline]
pub fn write<P: Port>(port: &mut P, write: Option<(RingSlice, u32)>) -> Written {
    if let Some((to, segment_offset)) = write {
        port.write_rx(&to, segment_offset as usize);
    }
    Written(())
}

/// Sends the acknowledgment of a received segment.
#[inline]
pub fn acknowledge<P: Port>(port: &mut P, template: &Template, ack: &AckMeta, _payload: Written) {
    bare(port, template, ack);
}

/// Sends a segment without payload that acknowledges nothing new.
#[inline]
pub fn bare<P: Port>(port: &mut P, template: &Template, ack: &AckMeta) {
    let header = template.emit(&ack.tcp, &ack.sack, Bytes::ZERO, Sum::ZERO);
    port.transmit(&TxSegment {
        header: &header,
        payload: None,
        gso_size: None,
        checksum_offload: template.checksum_offload(),
    });
}

/// Sends a segment with its payload, which goes from the transmit ring to the wire without passing here.
#[inline]
pub fn transmit<P: Port>(
    port: &mut P,
    template: &Template,
    params: &Params,
    meta: &TxMeta,
    payload: RingSlice,
) {
    let full = !template.checksum_offload() && !payload.len.is_zero();
    let sum = if full {
        port.payload_sum(&payload)
    } else {
        Sum::ZERO
    };
    let header = template.emit(&meta.tcp, &SackBlocks::default(), meta.len, sum);
    port.transmit(&TxSegment {
        header: &header,
        payload: (!payload.len.is_zero()).then_some(payload),
        gso_size: post::gso_size(params, meta.len),
        checksum_offload: template.checksum_offload(),
    });
}
