// SPDX-License-Identifier: GPL-2.0

//! What a NIC does for the executors.

use datapath::npu::inline::{Outcome, TxSegment};
use datapath::npu::meta::{HostControlError, RingSlice};
use datapath::npu::proto::ReceiveWindow;
use datapath::npu::{Connection, Notification};
use datapath::reason::{DropReason, PuntReason};
use datapath::units::Micros;
use datapath::wire::ethernet::MacAddr;
use datapath::wire::Sum;

/// The NIC's name for a connection: an index below the capacity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u32);

/// A stage of the pipeline, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// Validate, identify, summarize.
    Pre,
    /// The protocol's state.
    Protocol,
    /// Buffer positions, statistics.
    Post,
    /// Payload to and from the host.
    Dma,
    /// Wire and context queues.
    Exit,
}

/// Whose a frame is that the data-path didn't process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Punt {
    /// No connection's, perhaps for this reason: the host's own network stack takes it.
    Stranger(Option<PuntReason>),
    /// A connection's control plane is to judge it, by this window. Its checksum was verified.
    Control(ConnId, PuntReason, ReceiveWindow),
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Completion {
    /// A host-control request contradicted the connection's state. Those that don't are not answered; those after it are not
    /// executed, but for [`Request::Read`](crate::Request::Read) and [`Request::Remove`](crate::Request::Remove).
    Refused(HostControlError),
    /// The state that [`Request::Read`](crate::Request::Read) asked for: everything that entered before is done.
    State(Box<Connection>),
    /// The connection's last state. Nothing will be heard of it any more, and its number, its 4-tuple and its buffers are
    /// free.
    Removed(Box<Connection>),
}

/// What a NIC does for the executors: payload transfer, the wire, the context queues.
///
/// Nothing can fail for the data-path: what can't be transmitted is lost. A NIC that can't reach a connection's buffers
/// remembers that, delivers nothing of the connection from then on, and asks for its removal.
pub trait Nic: Send + Sync + 'static {
    /// A received frame, with its Ethernet header.
    type Frame: AsRef<[u8]> + Send + 'static;
    /// A segment ready for the wire: complete, or header and place of the payload.
    type Segment: Send + 'static;

    /// A monotonic clock.
    fn now(&self) -> Micros;

    /// Copies a segment's payload to the connection's receive ring. In the DMA stage: on any of its threads, in any order.
    fn write_rx(&self, conn: ConnId, to: &RingSlice, payload: &[u8]);

    /// The checksum of bytes in the connection's transmit ring, unless its path has checksum offload. In the DMA stage.
    fn payload_sum(&self, conn: ConnId, from: &RingSlice) -> Sum;

    /// Makes a segment for the wire. Its payload is in the transmit ring until the notification of its acknowledgment,
    /// which comes after [`transmit`](Self::transmit). In the DMA stage.
    fn fetch(&self, conn: ConnId, segment: &TxSegment<'_>) -> Self::Segment;

    /// Whether frames to this address are the NIC's, besides those to the source address of a connection's path. In the
    /// pre-processing stage.
    fn has_address(&self, _address: &MacAddr) -> bool {
        false
    }

    /// Whether [`record`](Self::record) is called: it costs a copy of the state.
    const RECORDS: bool = false;

    /// A connection's state changed: it has the effects of everything up to some of what is transmitted and notified
    /// next, all of whose payload is in the receive ring. Called in the same order.
    fn record(&self, _conn: ConnId, _state: &Connection) {}

    /// Sends a segment. This and what follows is called in order for each connection, and never for two things of one
    /// flow-group at once.
    fn transmit(&self, conn: ConnId, segment: Self::Segment);

    /// Delivers a notification; the payload it announces is in the receive ring.
    fn notify(&self, conn: ConnId, notification: &Notification);

    /// The connection waits for something the control plane's timer must watch over. Told once for each bit until
    /// [`Request::Watch`](crate::Request::Watch).
    fn waits(&self, conn: ConnId, outcome: Outcome);

    /// A frame that isn't the data-path's.
    fn punt(&self, frame: Self::Frame, whose: Punt);

    /// A segment was dropped.
    fn dropped(&self, conn: ConnId, reason: DropReason);

    /// Answers a request.
    fn complete(&self, conn: ConnId, completion: Completion);

    /// Everything that entered before [`Input::fence`](crate::Input::fence) is done, but for what connections have left
    /// to send.
    fn fenced(&self, _tag: u64) {}

    /// An item of work enters a stage, on the calling thread: for tracing, and for tests that delay it.
    #[inline]
    fn enter(&self, _stage: Stage) {}
}
