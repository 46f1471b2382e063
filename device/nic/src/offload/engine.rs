// SPDX-License-Identifier: GPL-2.0

//! What the stages of the data-path may use, on whatever threads they run; and where they leave what they put out.
//!
//! Stages write payload into the host's memory themselves. Everything else waits for the thread that runs the device:
//! frames, and what is to be recorded and told of connections. It takes both at once, so that the records it then writes
//! cover the frames it sends.

use super::live::Live;
use crate::{
    clock::Clock,
    frames::{Batch, TcpHeaders},
    host::{Host, Wakeup},
    layout::Error,
    memory::SharedMemory,
};
use datapath::{
    npu::{
        inline::{Outcome, TxSegment},
        meta::RingSlice,
        pre, Connection, Notification,
    },
    reason::{Counters, DropReason},
    units::{Bytes, Micros},
    wire::{
        ethernet::{self, MacAddr},
        tcp, Sum,
    },
};
use parking_lot::{Condvar, Mutex, RwLock};
use pipeline::{Completion, ConnId, Nic, Punt};
use std::{
    mem,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

/// What the stages have put out.
#[derive(Default)]
struct Outbox {
    frames: Vec<Batch>,
    bytes: usize,
    /// Handles of connections that have something to be recorded or told, each once.
    news: Vec<u32>,
    rejects: Counters,
    punts_lost: u64,
}

/// What time it is for the stages.
enum Time {
    /// Always what the device's thread said last.
    Told(AtomicU64),
    /// It passes by itself.
    Passing(Arc<Clock>),
}

/// The environment of the stages.
pub struct Engine {
    memory: SharedMemory,
    time: Time,
    slots: Box<[RwLock<Option<Arc<Live>>>]>,
    outbox: Mutex<Outbox>,
    /// Batches to be used again.
    spare: Mutex<Vec<Batch>>,
    wakeup: Arc<Wakeup>,
    /// The last fence that was answered.
    fence: Mutex<u64>,
    fenced: Condvar,
}

/// Most batches kept to be used again.
const MOST_SPARE: usize = 256;

impl Engine {
    /// For connections numbered below `capacity`; with stages on threads of their own if `threads` is set.
    pub fn new(host: &Host, clock: &Arc<Clock>, capacity: u32, threads: bool) -> Self {
        Self {
            memory: host.memory.share(),
            time: if threads {
                Time::Passing(Arc::clone(clock))
            } else {
                Time::Told(AtomicU64::new(clock.read(Instant::now()).0))
            },
            slots: (0..capacity).map(|_| RwLock::new(None)).collect(),
            outbox: Mutex::default(),
            spare: Mutex::default(),
            wakeup: Arc::clone(&host.wakeup),
            fence: Mutex::new(0),
            fenced: Condvar::new(),
        }
    }

    /// Says what time it is.
    pub fn set_time(&self, now: Micros) {
        if let Time::Told(time) = &self.time {
            time.store(now.0, Ordering::Relaxed);
        }
    }

    /// Puts a connection in its place, or takes it out.
    pub fn set(&self, conn: ConnId, live: Option<Arc<Live>>) {
        if let Some(slot) = self.slots.get(conn.0 as usize) {
            *slot.write() = live;
        }
    }

    /// Takes the frames, and the handles of connections that have news.
    pub fn take(&self) -> (Vec<Batch>, Vec<u32>) {
        let mut outbox = self.outbox.lock();
        outbox.bytes = 0;
        (mem::take(&mut outbox.frames), mem::take(&mut outbox.news))
    }

    /// Bytes of the frames that wait to be taken, and whether anything does.
    pub fn waiting(&self) -> (usize, bool) {
        let outbox = self.outbox.lock();
        let something = !outbox.frames.is_empty() || !outbox.news.is_empty();
        (outbox.bytes, something)
    }

    /// Takes back a batch whose frames were sent.
    pub fn recycle(&self, mut batch: Batch) {
        batch.clear();
        let mut spare = self.spare.lock();
        if spare.len() < MOST_SPARE {
            spare.push(batch);
        }
    }

    /// What was dropped and punted, and punts there was no room for.
    pub fn rejects(&self) -> (Counters, u64) {
        let outbox = self.outbox.lock();
        (outbox.rejects.clone(), outbox.punts_lost)
    }

    /// Counts what was never the stages'.
    pub fn reject(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.outbox.lock().rejects);
    }

    /// Waits a little for the answer to the fence `tag`; returns whether it came.
    pub fn await_fence(&self, tag: u64) -> bool {
        let mut last = self.fence.lock();
        if *last < tag {
            let _ = self.fenced.wait_for(&mut last, Duration::from_millis(10));
        }
        *last >= tag
    }

    fn with<R>(&self, conn: ConnId, f: impl FnOnce(&Live) -> R) -> Option<R> {
        let slot = self.slots.get(conn.0 as usize)?.read();
        slot.as_deref().map(f)
    }

    /// Changes what there is to be recorded or told of a connection, unless its buffers failed.
    fn change(&self, conn: ConnId, f: impl FnOnce(&mut super::live::News)) {
        self.with(conn, |live| {
            if !live.failed() {
                self.list(live, f);
            }
        });
    }

    /// Changes it, and has the device's thread look.
    pub fn list(&self, live: &Live, f: impl FnOnce(&mut super::live::News)) {
        let unlisted = live.change(f);
        if unlisted {
            self.outbox.lock().news.push(live.handle);
            self.wakeup.notify();
        }
    }

    /// A connection's buffers can't be reached.
    fn fail(&self, live: &Live) {
        live.fail();
        self.list(live, |news| news.stop(Error::Buffer));
    }
}

impl Nic for Engine {
    type Frame = Vec<u8>;
    type Segment = Batch;

    fn now(&self) -> Micros {
        match &self.time {
            Time::Told(time) => Micros(time.load(Ordering::Relaxed)),
            Time::Passing(clock) => clock.read(Instant::now()),
        }
    }

    fn write_rx(&self, conn: ConnId, to: &RingSlice, payload: &[u8]) {
        self.with(conn, |live| {
            if live.rx.write(&self.memory.read(), to, payload).is_err() {
                self.fail(live);
            }
        });
    }

    fn payload_sum(&self, _: ConnId, _: &RingSlice) -> Sum {
        // Not asked for: all paths have checksum offload.
        Sum::ZERO
    }

    fn fetch(&self, conn: ConnId, segment: &TxSegment<'_>) -> Batch {
        let mut batch = self.spare.lock().pop().unwrap_or_default();
        self.with(conn, |live| {
            let memory = self.memory.read();
            let read = |part: &RingSlice, body: &mut [u8]| live.tx.read(&memory, part, body);
            if build(segment, &mut batch, read).is_err() {
                batch.clear();
                drop(memory);
                self.fail(live);
            }
        });
        batch
    }

    fn has_address(&self, _: &MacAddr) -> bool {
        // Only frames that came to the right address are handed to the stages.
        true
    }

    const RECORDS: bool = true;

    fn record(&self, conn: ConnId, state: &Connection) {
        self.change(conn, |news| news.record(state));
    }

    fn transmit(&self, conn: ConnId, segment: Batch) {
        if self.with(conn, Live::failed) != Some(false) {
            self.recycle(segment);
            return;
        }
        let mut outbox = self.outbox.lock();
        outbox.bytes += segment.len();
        outbox.frames.push(segment);
        drop(outbox);
        self.wakeup.notify();
    }

    fn notify(&self, conn: ConnId, notification: &Notification) {
        self.change(conn, |news| news.pending.notify(notification));
    }

    fn waits(&self, conn: ConnId, outcome: Outcome) {
        self.change(conn, |news| news.pending.wait(outcome));
    }

    fn punt(&self, frame: Vec<u8>, whose: Punt) {
        // Strangers' frames are not handed to the stages.
        let Punt::Control(conn, reason, window) = whose else {
            return;
        };
        let mut lost = false;
        if let Some((seq, flags)) = header(&frame) {
            let punt = super::pending::Punt { window, seq, flags };
            self.change(conn, |news| lost = !news.pending.punt(punt));
        }
        let mut outbox = self.outbox.lock();
        outbox.rejects.punt(reason);
        outbox.punts_lost += u64::from(lost);
    }

    fn dropped(&self, _: ConnId, reason: DropReason) {
        self.outbox.lock().rejects.drop(reason);
    }

    fn complete(&self, conn: ConnId, completion: Completion) {
        self.with(conn, |live| {
            self.list(live, |news| match completion {
                Completion::Refused(error) => news.stop(error.into()),
                Completion::State(state) | Completion::Removed(state) => news.answer(state),
            });
        });
    }

    fn fenced(&self, tag: u64) {
        *self.fence.lock() = tag;
        self.fenced.notify_all();
    }
}

/// Sequence number and control bits of a TCP segment.
fn header(frame: &[u8]) -> Option<(datapath::units::SeqNum, tcp::Flags)> {
    let packet = frame.get(ethernet::Frame::parse(frame)?.payload_offset..)?;
    let ident = pre::identify(packet, packet.len()).ok()?;
    let header = tcp::Header(packet.get(ident.tcp_offset()..)?.first_chunk()?);
    Some((header.seq(), header.flags()))
}

/// Makes frames of a segment, whose payload `read` copies.
fn build<E>(
    segment: &TxSegment<'_>,
    frames: &mut Batch,
    read: impl Fn(&RingSlice, &mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let headers = segment.header.bytes();
    let network = segment.header.network_offset();
    let tcp = TcpHeaders {
        network,
        transport: segment.header.transport_offset(),
        payload: headers.len(),
        ipv6: headers.get(network).is_some_and(|byte| byte >> 4 == 6),
    };
    let total = segment.payload.map_or(0, |payload| payload.len.as_usize());
    let size = segment.gso_size.map_or(total, |size| size.as_usize());
    let pieces = total.div_ceil(size.max(1)).max(1);
    for piece in 0..pieces {
        let from = piece * size;
        let len = size.min(total - from);
        frames.build(headers.len() + len, |frame| {
            let (head, body) = frame.split_at_mut(headers.len());
            head.copy_from_slice(headers);
            if let Some(payload) = &segment.payload {
                let part = RingSlice {
                    pos: payload.pos + Bytes(from as u32),
                    len: Bytes(len as u32),
                    ..*payload
                };
                read(&part, body)?;
            }
            if pieces > 1 {
                tcp.number(frame, piece, from, piece + 1 == pieces);
            }
            tcp.finish(frame);
            Ok(())
        })?;
    }
    Ok(())
}
