// SPDX-License-Identifier: GPL-2.0

//! The protocol stage of a flow-group, with the flow scheduler: one item at a time, in order.

use crate::table::{Conn, Table};
use crate::work::{Barrier, Effect, Job, Passed, Request};
use crate::Punt;
use datapath::npu::inline::Outcome;
use datapath::npu::meta::{Command, Params, Summary};
use datapath::npu::proto::{self, HcOut, RxFlags};
use datapath::npu::scheduler::{self, Interval, Scheduler};
use datapath::npu::{HostControl, ProtoState};
use datapath::units::Micros;
use parking_lot::RwLock;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Length of a slot of the time wheel, as a power of two of microseconds. Threads aren't woken more exactly.
const SLOT_SHIFT: u32 = 4;
/// Slots of the time wheel, which so reaches 16 ms ahead.
const SLOTS: usize = 1024;

/// A connection as the protocol stage has it.
struct Flow {
    conn: Arc<Conn>,
    proto: ProtoState,
    /// What the control plane has been told that the connection waits for.
    told: Outcome,
    /// How long acknowledgments may be delayed, if that is seen to here.
    ack_delay: Option<Micros>,
    /// When it is to be looked whether one is due, by [`Group::acks`].
    ack_look: Option<Micros>,
    /// A request was refused: whatever is asked after that relies on it, and must not be executed.
    refused: bool,
    /// It needn't be listed in [`Group::changed`]: it is, or nothing is recorded.
    listed: bool,
}

/// When to look at which flow, the earliest being the greatest.
type Look = Reverse<(Micros, u32)>;

/// The protocol stage of a flow-group: its connections' protocol state, and whose turn it is to transmit.
pub(crate) struct Group {
    /// From which connections go when they are removed: what entered before must still find them.
    table: Arc<RwLock<Table>>,
    flows: Vec<Option<Box<Flow>>>,
    scheduler: Scheduler<Vec<scheduler::Flow>, Vec<scheduler::Slot>>,
    /// When to look whether a flow's acknowledgment is due. One of another time than the flow's own is void.
    acks: BinaryHeap<Look>,
    barriers: Vec<Barrier>,
    /// Whether [`records`](Self::records) returns any.
    recording: bool,
    /// Connections whose state changed since [`Group::records`].
    changed: Vec<u32>,
}

impl Group {
    /// For connections numbered below `capacity`; `recording` if [`records`](Self::records) is to return any.
    pub(crate) fn new(
        table: Arc<RwLock<Table>>,
        capacity: usize,
        recording: bool,
        now: Micros,
    ) -> Self {
        let scheduler = Scheduler::new(
            vec![scheduler::Flow::NEW; capacity],
            vec![scheduler::Slot::NEW; SLOTS],
            SLOT_SHIFT,
            now,
        );
        Self {
            flows: (0..capacity).map(|_| None).collect(),
            scheduler: scheduler.expect("the number of slots is a power of two"),
            acks: BinaryHeap::new(),
            barriers: Vec::new(),
            table,
            recording,
            changed: Vec::new(),
        }
    }

    /// Runs the stage for one item.
    pub(crate) fn run<F>(&mut self, job: Job<F>, now: Micros, out: &mut Vec<Effect<F>>) {
        match job {
            Job::Segment {
                conn,
                params,
                frame,
                offset,
                summary,
            } => self.receive(conn, &params, (frame, offset), &summary, now, out),
            Job::Control {
                conn,
                params,
                request,
            } => self.control(conn, &params, request, now, out),
            Job::Install(conn, proto, limit) => self.install(conn, *proto, limit, now),
            Job::Punt(conn, frame, reason) => {
                let whose = match self.flow(&conn) {
                    Some(flow) => Punt::Control(conn.id, reason, flow.proto.receive_window()),
                    None => Punt::Stranger(None),
                };
                out.push(Effect::Passed(Passed::Punt(frame, whose)));
            }
            Job::Stranger(frame, reason) => {
                let whose = Punt::Stranger(reason);
                out.push(Effect::Passed(Passed::Punt(frame, whose)));
            }
            Job::Drop(conn, reason) => out.push(Effect::Passed(Passed::Drop(conn.id, reason))),
            Job::Barrier(barrier @ Barrier::Settle(_)) => self.barriers.push(barrier),
            Job::Barrier(fence) => out.push(Effect::Passed(Passed::Barrier(fence))),
        }
    }

    /// Lets the flow whose turn it is transmit, or acknowledge what it has for too long; says whether there was one.
    pub(crate) fn transmit<F>(&mut self, now: Micros, out: &mut Vec<Effect<F>>) -> bool {
        if self.acknowledge(now, out) {
            return true;
        }
        let Some(id) = self.scheduler.next(now) else {
            let barriers = self.barriers.drain(..);
            out.extend(barriers.map(|barrier| Effect::Passed(Passed::Barrier(barrier))));
            return false;
        };
        let Some(flow) = self.flows.get_mut(id as usize).and_then(Option::as_mut) else {
            self.scheduler.remove(id);
            return true;
        };
        let params = *flow.conn.pre.read().params();
        // Until it has nothing to send it keeps its turn: only asking it in vain shows what held it back.
        match proto::tx(&mut flow.proto, &params, now) {
            Some(meta) => {
                self.scheduler.sent(id, meta.len, now);
                note(&mut self.changed, flow);
                out.push(Effect::Sent(Arc::clone(&flow.conn), meta));
            }
            None => self.scheduler.idle(id),
        }
        flow.tell(&mut self.acks, out);
        true
    }

    /// Looks at the flow whose acknowledgment may be due; says whether there was one.
    fn acknowledge<F>(&mut self, now: Micros, out: &mut Vec<Effect<F>>) -> bool {
        let Some(&Reverse((at, id))) = self.acks.peek() else {
            return false;
        };
        if at > now {
            return false;
        }
        self.acks.pop();
        let flow = self.flows.get_mut(id as usize).and_then(Option::as_mut);
        let Some(flow) = flow.filter(|flow| flow.ack_look == Some(at)) else {
            return true;
        };
        flow.ack_look = None;
        if flow.ack_due().is_some_and(|due| due <= now) {
            let params = *flow.conn.pre.read().params();
            let request = HostControl {
                commands: Command::ACK_NOW,
                ..HostControl::default()
            };
            flow.control(&params, &request, now, out);
            note(&mut self.changed, flow);
        }
        flow.tell(&mut self.acks, out);
        true
    }

    /// Takes the state of the connections that changed since the last time, to be recorded before what changed it has any
    /// effect outside.
    pub(crate) fn records(&mut self) -> impl Iterator<Item = (Arc<Conn>, Box<ProtoState>)> + '_ {
        let flows = &mut self.flows;
        self.changed.drain(..).filter_map(|id| {
            let flow = flows.get_mut(id as usize)?.as_deref_mut()?;
            let listed = std::mem::take(&mut flow.listed);
            listed.then(|| (Arc::clone(&flow.conn), Box::new(flow.proto)))
        })
    }

    /// When [`transmit`](Self::transmit) should be called at the latest, if nothing else happens.
    pub(crate) fn next_due(&self) -> Option<Micros> {
        let ack = self.acks.peek().map(|&Reverse((at, _))| at);
        let send = self.scheduler.next_due();
        [ack, send].into_iter().flatten().min()
    }

    /// Whether a flow may transmit now.
    pub(crate) fn is_ready(&self) -> bool {
        self.scheduler.is_ready() || !self.barriers.is_empty()
    }

    fn receive<F>(
        &mut self,
        conn: Arc<Conn>,
        params: &Params,
        (frame, offset): (F, usize),
        summary: &Summary,
        now: Micros,
        out: &mut Vec<Effect<F>>,
    ) {
        let Some(flow) = flow(&mut self.flows, &conn) else {
            let whose = Punt::Stranger(None);
            out.push(Effect::Passed(Passed::Punt(frame, whose)));
            return;
        };
        let result = proto::rx(&mut flow.proto, params, summary, now);
        note(&mut self.changed, flow);
        out.push(Effect::Received {
            conn,
            frame,
            offset,
            out: result,
        });
        if result.flags.has(RxFlags::CAN_SEND) {
            self.scheduler.activate(flow.conn.id.0, now);
        } else {
            flow.tell(&mut self.acks, out);
        }
    }

    fn control<F>(
        &mut self,
        conn: Arc<Conn>,
        params: &Params,
        request: Request,
        now: Micros,
        out: &mut Vec<Effect<F>>,
    ) {
        let id = conn.id.0;
        let Some(flow) = flow(&mut self.flows, &conn) else {
            return;
        };
        if flow.refused && !matches!(request, Request::Read | Request::Remove) {
            return;
        }
        note(&mut self.changed, flow);
        match request {
            Request::Control(request) => {
                if flow.control(params, &request, now, out) {
                    self.scheduler.activate(id, now);
                }
            }
            Request::Reset => {
                let ack = Some(proto::reset(&mut flow.proto, params, now));
                let result = HcOut {
                    ack,
                    timeout: false,
                };
                out.push(Effect::Controlled(conn, result));
            }
            Request::Limit(interval) => self.scheduler.set_interval(id, interval, now),
            Request::DelayAcks(delay) => {
                flow.ack_delay = delay;
                flow.ack_look = None;
                flow.tell(&mut self.acks, out);
            }
            Request::Watch => {
                flow.told = Outcome::NONE;
                flow.tell(&mut self.acks, out);
            }
            Request::Read => {
                let proto = Box::new(flow.proto);
                out.push(state(conn, proto, false));
            }
            Request::Remove => {
                let proto = Box::new(flow.proto);
                self.scheduler.remove(id);
                self.flows[id as usize] = None;
                self.table.write().remove(&conn);
                out.push(state(conn, proto, true));
            }
        }
    }

    fn install(&mut self, conn: Arc<Conn>, proto: ProtoState, limit: Interval, now: Micros) {
        let id = conn.id.0;
        self.scheduler.set_interval(id, limit, now);
        self.flows[id as usize] = Some(Box::new(Flow {
            conn,
            proto,
            told: Outcome::NONE,
            ack_delay: None,
            ack_look: None,
            refused: false,
            listed: true,
        }));
        if self.recording {
            self.changed.push(id);
        }
    }

    fn flow(&mut self, conn: &Arc<Conn>) -> Option<&mut Flow> {
        flow(&mut self.flows, conn)
    }
}

/// The flow of a connection, if it is (still, or already) here.
fn flow<'a>(flows: &'a mut [Option<Box<Flow>>], conn: &Arc<Conn>) -> Option<&'a mut Flow> {
    let flow = flows.get_mut(conn.id.0 as usize)?.as_deref_mut()?;
    Arc::ptr_eq(&flow.conn, conn).then_some(flow)
}

/// Notes that a connection's state changed.
fn note(changed: &mut Vec<u32>, flow: &mut Flow) {
    if !std::mem::replace(&mut flow.listed, true) {
        changed.push(flow.conn.id.0);
    }
}

fn state<F>(conn: Arc<Conn>, proto: Box<ProtoState>, removed: bool) -> Effect<F> {
    Effect::Passed(Passed::State {
        conn,
        proto,
        removed,
    })
}

impl Flow {
    /// Executes a host-control request; says whether to transmit.
    fn control<F>(
        &mut self,
        params: &Params,
        request: &HostControl,
        now: Micros,
        out: &mut Vec<Effect<F>>,
    ) -> bool {
        match proto::host_control(&mut self.proto, params, request, now) {
            Ok(result) => {
                out.push(Effect::Controlled(Arc::clone(&self.conn), result));
                true
            }
            Err(error) => {
                self.refused = true;
                out.push(Effect::Passed(Passed::Refused(self.conn.id, error)));
                false
            }
        }
    }

    /// When an acknowledgment is due, if one is owed and that is seen to here.
    fn ack_due(&self) -> Option<Micros> {
        let since = self.proto.timers().delayed_ack?;
        Some(Micros(since.0.saturating_add(self.ack_delay?.0)))
    }

    /// Tells what the connection waits for, as far as that hasn't been told and isn't seen to by `acks`.
    fn tell<F>(&mut self, acks: &mut BinaryHeap<Look>, out: &mut Vec<Effect<F>>) {
        let mut news = Outcome::of(&self.proto);
        if let Some(due) = self.ack_due() {
            news.remove(Outcome::ACK_DELAYED);
            if self.ack_look.is_none() {
                self.ack_look = Some(due);
                acks.push(Reverse((due, self.conn.id.0)));
            }
        }
        news.remove(self.told);
        if !news.is_empty() {
            self.told.insert(news);
            out.push(Effect::Passed(Passed::Waits(self.conn.id, news)));
        }
    }
}
