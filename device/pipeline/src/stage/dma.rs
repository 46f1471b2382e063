// SPDX-License-Identifier: GPL-2.0

//! DMA: moves payload, and makes segments for the wire. Several at once, in any order.

use crate::nic::{ConnId, Nic};
use crate::work::{Delivery, Transfer};
use datapath::npu::inline::TxSegment;
use datapath::npu::meta::RingSlice;
use datapath::npu::{ctxq, dma, Notification, Port};
use datapath::reason::DropReason;
use datapath::wire::Sum;

/// The data-path's port for one item: payload moves at once, what must wait for its turn is kept.
struct ItemPort<'a, N: Nic> {
    nic: &'a N,
    id: ConnId,
    /// The received packet, from its IP header on.
    packet: &'a [u8],
    segment: Option<N::Segment>,
    notification: Option<Notification>,
}

impl<'a, N: Nic> ItemPort<'a, N> {
    fn new(nic: &'a N, id: ConnId, packet: &'a [u8]) -> Self {
        Self {
            nic,
            id,
            packet,
            segment: None,
            notification: None,
        }
    }

    fn done(self, dropped: Option<DropReason>) -> Delivery<N> {
        Delivery::Done {
            id: self.id,
            segment: self.segment,
            notification: self.notification,
            dropped,
        }
    }
}

impl<N: Nic> Port for ItemPort<'_, N> {
    fn write_rx(&mut self, to: &RingSlice, segment_offset: usize) {
        let payload = self.packet.get(segment_offset..).unwrap_or(&[]);
        let payload = payload.get(..to.len.as_usize()).unwrap_or(payload);
        self.nic.write_rx(self.id, to, payload);
    }

    fn payload_sum(&mut self, from: &RingSlice) -> Sum {
        self.nic.payload_sum(self.id, from)
    }

    fn transmit(&mut self, segment: &TxSegment<'_>) {
        self.segment = Some(self.nic.fetch(self.id, segment));
    }

    fn notify(&mut self, notification: &Notification) {
        self.notification = Some(*notification);
    }
}

/// Runs the stage for one item.
pub(crate) fn run<N: Nic>(nic: &N, transfer: Transfer<N::Frame>) -> Delivery<N> {
    match transfer {
        Transfer::Received {
            conn,
            frame,
            offset,
            work,
            ack,
            dropped,
        } => {
            let packet = frame.as_ref().get(offset..).unwrap_or(&[]);
            let mut port = ItemPort::new(nic, conn.id, packet);
            let written = dma::write(&mut port, work.write);
            if let Some(ack) = &ack {
                let template = *conn.pre.read().template();
                dma::acknowledge(&mut port, &template, ack, written);
            }
            ctxq::notify(&mut port, &work.notification, written);
            port.done(dropped)
        }
        Transfer::Bare(conn, ack) => {
            let template = *conn.pre.read().template();
            let mut port = ItemPort::new(nic, conn.id, &[]);
            dma::bare(&mut port, &template, &ack);
            port.done(None)
        }
        Transfer::Send(conn, meta, payload) => {
            let (template, params) = {
                let pre = conn.pre.read();
                (*pre.template(), *pre.params())
            };
            let mut port = ItemPort::new(nic, conn.id, &[]);
            dma::transmit(&mut port, &template, &params, &meta, payload);
            port.done(None)
        }
        Transfer::Passed(passed) => Delivery::Passed(passed),
    }
}
