// SPDX-License-Identifier: GPL-2.0

//! The inline executor: runs all stages to completion on the caller's thread.
//!
//! The caller keeps the connection to itself meanwhile (a lock), and looks it up between
//! [`pre::identify`] and [`rx`].

use super::meta::{HostControl, HostControlError, Notification, RingSlice};
use super::pre::{self, Checksum, Ident, Reject};
use super::proto::{self, ReceiveWindow, RxFlags};
use super::state::{Connection, ProtoFlags, ProtoState};
use super::template::Header;
use super::{ctxq, dma, post};
use crate::reason::{DropReason, PuntReason};
use crate::units::{Bytes, Micros};
use crate::wire::Sum;

/// A packet to be transmitted.
#[derive(Clone, Copy, Debug)]
pub struct TxSegment<'a> {
    /// Link-layer, IP and TCP header.
    pub header: &'a Header,
    /// The payload that follows; must be read before the call returns, for the ring may be reused once acknowledged.
    pub payload: Option<RingSlice>,
    /// Payload is to be cut into segments of this size, with headers made from this one (TSO).
    pub gso_size: Option<Bytes>,
    /// The TCP checksum field holds the pseudo-header's sum, and the device is to complete it.
    pub checksum_offload: bool,
}

/// What the environment does for the data-path.
///
/// Nothing can fail: what is not transmitted is lost, and retransmitted in time.
pub trait Port {
    /// Copies `to.len` bytes of the segment being received, from `segment_offset` bytes after its IP header's start,
    /// to the receive ring.
    fn write_rx(&mut self, to: &RingSlice, segment_offset: usize);

    /// The checksum of bytes in the transmit ring. Called only on paths without checksum offload.
    fn payload_sum(&mut self, from: &RingSlice) -> Sum;

    /// Sends a packet.
    fn transmit(&mut self, segment: &TxSegment<'_>);

    /// Delivers a notification; the payload it announces is in the receive ring.
    fn notify(&mut self, notification: &Notification);
}

super::meta::bit_set! {
    /// What a connection waits for now; see [`Timers`](super::proto::Timers).
    Outcome: u8 {
        /// An acknowledgment is delayed.
        ACK_DELAYED = 1,
        /// Something is in flight.
        IN_FLIGHT = 2,
        /// Something waits to be sent and nothing is in flight.
        PERSIST = 4,
    }
}

/// What became of a received segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// Processed.
    Processed(Outcome),
    /// Dropped, perhaps answered.
    Dropped(DropReason, Outcome),
    /// Not the data-path's: the control plane is to judge it, by this window.
    Punted(PuntReason, ReceiveWindow),
}

/// Processes a segment that [`pre::identify`] found to belong to `conn`, and sends what it allows to be sent.
#[inline]
pub fn rx<P: Port, const N: usize>(
    conn: &mut Connection<N>,
    head: &[u8],
    ident: &Ident,
    checksum: Checksum,
    now: Micros,
    port: &mut P,
) -> Received {
    let summary = match pre::rx(&conn.pre, head, ident, checksum) {
        Ok(summary) => summary,
        Err(Reject::Drop(reason)) => return Received::Dropped(reason, Outcome::of(&conn.proto)),
        Err(Reject::Punt(reason)) => {
            return Received::Punted(reason, conn.proto.receive_window());
        }
    };
    let out = proto::rx(&mut conn.proto, &conn.pre.params, &summary, now);
    let work = post::rx(&mut conn.post, &out);
    let written = dma::write(port, work.write);
    if let Some(ack) = &out.ack {
        dma::acknowledge(port, &conn.pre.template, ack, written);
    }
    ctxq::notify(port, &work.notification, written);
    if out.flags.has(RxFlags::CAN_SEND) {
        tx(conn, now, port);
    }
    match out.dropped {
        None => Received::Processed(Outcome::of(&conn.proto)),
        Some(reason) => Received::Dropped(reason, Outcome::of(&conn.proto)),
    }
}

/// Executes a host-control request, and sends what may be sent.
#[inline]
pub fn host_control<P: Port, const N: usize>(
    conn: &mut Connection<N>,
    request: &HostControl,
    now: Micros,
    port: &mut P,
) -> Result<Outcome, HostControlError> {
    let out = proto::host_control(&mut conn.proto, &conn.pre.params, request, now)?;
    post::host_control(&mut conn.post, &out);
    if let Some(ack) = &out.ack {
        dma::bare(port, &conn.pre.template, ack);
    }
    tx(conn, now, port);
    Ok(Outcome::of(&conn.proto))
}

/// Sends a RST that tells the peer the connection is gone (RFC 9293, section 3.10.5). The connection isn't changed by it.
pub fn reset<P: Port, const N: usize>(conn: &mut Connection<N>, now: Micros, port: &mut P) {
    let ack = proto::reset(&mut conn.proto, &conn.pre.params, now);
    dma::bare(port, &conn.pre.template, &ack);
}

/// Sends everything that may be sent.
#[inline]
fn tx<P: Port, const N: usize>(conn: &mut Connection<N>, now: Micros, port: &mut P) {
    while let Some(meta) = proto::tx(&mut conn.proto, &conn.pre.params, now) {
        let payload = post::tx(&mut conn.post, &meta);
        dma::transmit(port, &conn.pre.template, &conn.pre.params, &meta, payload);
    }
}

impl Outcome {
    /// What a connection waits for when nothing may be sent any more.
    #[inline]
    pub fn of<const N: usize>(proto: &ProtoState<N>) -> Self {
        let in_flight = !proto.flight().is_zero();
        let mut out = Self::NONE;
        out.set(Self::ACK_DELAYED, proto.flags.has(ProtoFlags::ACK_OWED));
        out.set(Self::IN_FLIGHT, in_flight);
        out.set(Self::PERSIST, !in_flight && proto.has_unsent());
        out
    }
}
