// SPDX-License-Identifier: GPL-2.0

//! What travels from stage to stage.

use crate::nic::{ConnId, Nic, Punt};
use crate::table::Conn;
use crossbeam_channel::Sender;
use datapath::npu::inline::Outcome;
use datapath::npu::meta::{AckMeta, HostControlError, Params, RingSlice, Summary, TxMeta};
use datapath::npu::post::RxWork;
use datapath::npu::pre::{Checksum, Ident};
use datapath::npu::proto::{HcOut, RxOut};
use datapath::npu::scheduler::Interval;
use datapath::npu::{HostControl, Notification, ProtoState};
use datapath::reason::{DropReason, PuntReason};
use datapath::units::Micros;
use datapath::wire::ethernet;
use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

/// What the host asks of a connection; executed in order with everything else of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Host control: bytes added and freed, commands.
    Control(HostControl),
    /// Send a RST with the sequence number the peer expects; the connection stays as it is.
    Reset,
    /// Limit the rate, or lift the limit.
    Limit(Interval),
    /// Acknowledge what hasn't been acknowledged for so long; nobody is told any more that it waits. `None`: somebody else sees
    /// to it, and is told.
    DelayAcks(Option<Micros>),
    /// Tell anew, by [`Nic::waits`], what the connection waits for.
    Watch,
    /// Answer with the state.
    Read,
    /// Take the connection off the NIC, and answer with its last state.
    Remove,
}

/// Says that what entered before it has left, once it has passed all flow-groups.
#[derive(Clone)]
pub(crate) enum Barrier {
    /// Waits until connections without a limit have sent all they may.
    Settle(Sender<()>),
    /// Waits for nothing. The number of groups left, and the answer.
    Fence(Arc<AtomicUsize>, u64),
}

/// Consecutive items of one flow-group, with their number in it: what channels carry and reorder buffers order.
pub(crate) struct Burst<T> {
    pub(crate) group: usize,
    pub(crate) number: u64,
    pub(crate) items: Vec<T>,
}

/// Where a frame's parts are, and whose it is; or why it is no connection's.
pub(crate) type Steering = Result<(ethernet::Frame, Ident), PuntReason>;

/// From the sequencer to pre-processing.
pub(crate) enum Entry<F> {
    Frame {
        frame: F,
        steering: Steering,
        checksum: Checksum,
    },
    Request(Arc<Conn>, Request),
    Install(Arc<Conn>, Box<ProtoState>, Interval),
    Barrier(Barrier),
}

/// From pre-processing to protocol.
pub(crate) enum Job<F> {
    Segment {
        conn: Arc<Conn>,
        params: Params,
        frame: F,
        /// Where the IP header begins.
        offset: usize,
        summary: Summary,
    },
    Control {
        conn: Arc<Conn>,
        params: Params,
        request: Request,
    },
    Install(Arc<Conn>, Box<ProtoState>, Interval),
    Punt(Arc<Conn>, F, PuntReason),
    Stranger(F, Option<PuntReason>),
    Drop(Arc<Conn>, DropReason),
    Barrier(Barrier),
}

/// From protocol to post-processing.
pub(crate) enum Effect<F> {
    Received {
        conn: Arc<Conn>,
        frame: F,
        offset: usize,
        out: RxOut,
    },
    Controlled(Arc<Conn>, HcOut),
    Sent(Arc<Conn>, TxMeta),
    Passed(Passed<F>),
}

/// From post-processing to DMA.
pub(crate) enum Transfer<F> {
    Received {
        conn: Arc<Conn>,
        frame: F,
        offset: usize,
        work: RxWork,
        ack: Option<AckMeta>,
        dropped: Option<DropReason>,
    },
    Bare(Arc<Conn>, AckMeta),
    Send(Arc<Conn>, TxMeta, RingSlice),
    Passed(Passed<F>),
}

/// From DMA to wire and context queues.
pub(crate) enum Delivery<N: Nic> {
    Done {
        id: ConnId,
        segment: Option<N::Segment>,
        notification: Option<Notification>,
        dropped: Option<DropReason>,
    },
    Passed(Passed<N::Frame>),
}

/// What only keeps its place among the rest after the protocol stage.
pub(crate) enum Passed<F> {
    Punt(F, Punt),
    Drop(ConnId, DropReason),
    Waits(ConnId, Outcome),
    Refused(ConnId, HostControlError),
    State {
        conn: Arc<Conn>,
        proto: Box<ProtoState>,
        removed: bool,
    },
    Record(Arc<Conn>, Box<ProtoState>),
    Barrier(Barrier),
}
