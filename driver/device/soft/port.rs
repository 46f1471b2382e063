// SPDX-License-Identifier: GPL-2.0
//! What the software device does for the data-path while a connection's lock is held.

use super::{link::Link, output::Output};
use crate::{
    driver::{device::Marks, family::stream::PayloadBuffers},
    net::{
        context::BhDisabled,
        dst::Dst,
        netdevice::LinkType,
        skbuff::{Payload, SkBuff, TcpFrame},
    },
};
use datapath::{
    npu::{inline::TxSegment, meta::RingSlice, Notification, Port},
    wire::{ethernet, tcp::Flags, Addresses, FourTuple, Sum},
};
use kernel::prelude::*;

/// What a connection's frames have in common besides their headers.
pub(super) struct Framing {
    ethertype: u16,
    hash: u32,
    pub(super) marks: Marks,
    /// Over a loopback device only.
    dst: Option<Dst>,
}

impl Framing {
    pub(super) fn new(
        tuple: &FourTuple,
        link: &Link,
        hash: u32,
        marks: Marks,
        dst: Option<Dst>,
    ) -> Self {
        let ethertype = match tuple.addresses {
            Addresses::V4 { .. } => ethernet::TYPE_IPV4,
            Addresses::V6 { .. } => ethernet::TYPE_IPV6,
        };
        let mut framing = Self {
            ethertype,
            hash,
            marks,
            dst: None,
        };
        framing.set_dst(link, dst);
        framing
    }

    pub(super) fn set_dst(&mut self, link: &Link, dst: Option<Dst>) {
        self.dst = dst.filter(|_| link.link_type == LinkType::Loopback);
    }
}

/// The environment of one run of the data-path.
pub(super) struct SoftPort<'a> {
    /// The segment received, in a run for one.
    pub(super) segment: Option<&'a SkBuff>,
    pub(super) buffers: &'a PayloadBuffers,
    pub(super) framing: &'a Framing,
    pub(super) link: &'a Link,
    pub(super) output: &'a mut Output,
    pub(super) bh: &'a BhDisabled,
}

impl SoftPort<'_> {
    #[inline]
    fn frame(&self, segment: &TxSegment<'_>) -> Result<SkBuff> {
        let headers = segment.header.bytes();
        let link_len = segment.header.network_offset();
        let tcp = segment.header.transport_offset();
        let flags = headers
            .get(tcp + FLAGS_OFFSET)
            .map_or(Flags::NONE, |bits| Flags(*bits));
        let frame = TcpFrame {
            headers,
            link_len: link_len as u16,
            network_len: (tcp - link_len) as u16,
            ethertype: self.framing.ethertype,
            gso_size: segment.gso_size.map_or(0, |size| size.0 as u16),
            cwr: flags.has(Flags::CWR),
            hash: self.framing.hash,
            priority: self.framing.marks.priority,
            mark: self.framing.marks.mark,
        };
        let payload = segment.payload.map(|slice| Payload {
            buffer: &self.buffers.tx,
            pos: slice.pos.0,
            len: slice.len.as_usize(),
        });
        let mut skb = SkBuff::new_tcp(self.link.headroom, &frame, payload, self.bh)?;
        if let Some(dst) = &self.framing.dst {
            skb.set_dst(dst.clone());
        }
        Ok(skb)
    }
}

/// Where the control bits are in a TCP header (RFC 9293, section 3.1).
const FLAGS_OFFSET: usize = 13;

impl Port for SoftPort<'_> {
    #[inline]
    fn write_rx(&mut self, to: &RingSlice, segment_offset: usize) {
        let Some(segment) = self.segment else {
            return;
        };
        // Can't fail: the segment is readable, the data-path checked the lengths, and the ring is of the size it knows.
        let copied =
            self.buffers
                .rx
                .copy_from_skb(to.pos.0, segment, segment_offset, to.len.as_usize());
        debug_assert!(copied.is_ok());
    }

    fn payload_sum(&mut self, _from: &RingSlice) -> Sum {
        // Not asked for: paths are given checksum offload, for the stack does what the netdev doesn't.
        Sum::ZERO
    }

    #[inline]
    fn transmit(&mut self, segment: &TxSegment<'_>) {
        match self.frame(segment) {
            Ok(skb) => self.output.frames.push(skb),
            Err(_) => self.link.stats.no_memory.add(1),
        }
    }

    #[inline]
    fn notify(&mut self, notification: &Notification) {
        self.output.notify(notification);
    }
}
