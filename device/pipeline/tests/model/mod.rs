// SPDX-License-Identifier: GPL-2.0

//! A NIC and its host as simple as possible, that checks what it is told, and whose stages take as long as they like.

#[allow(dead_code)]
pub mod wire;

use datapath::npu::inline::{Outcome, TxSegment};
use datapath::npu::meta::{CongestionReport, Events, HostControlError, RingSlice};
use datapath::npu::{Connection, Notification};
use datapath::reason::{DropReason, PuntReason};
use datapath::units::{Micros, SeqNum};
use datapath::wire::Sum;
use parking_lot::Mutex;
use pipeline::{Completion, ConnId, Nic, Punt, Stage};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What became visible of a connection, in order.
#[derive(Debug, Default)]
pub struct Seen {
    /// What the application read.
    pub received: Vec<u8>,
    pub read_pos: u32,
    pub tx_acked: u32,
    pub peer_fin: bool,
    pub fin_acked: bool,
    pub reports: Vec<CongestionReport>,
    /// Frames on the wire.
    pub frames: Vec<Vec<u8>>,
    /// Frames for the control plane: by what to judge them.
    pub punted: Vec<(PuntReason, u32, u32)>,
    pub drops: Vec<DropReason>,
    pub state: Option<Box<Connection>>,
    pub waits: Vec<Outcome>,
    pub refused: Vec<HostControlError>,
    /// When the last segment left.
    pub last: Option<Micros>,
    /// RCV.NXT by the last record.
    pub recorded: Option<SeqNum>,
}

/// A connection's rings, and what was seen of it.
#[derive(Default)]
pub struct Host {
    pub rx: Mutex<Vec<u8>>,
    pub tx: Mutex<Vec<u8>>,
    pub seen: Mutex<Seen>,
}

/// How long stages take.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub seed: u64,
    /// One of so many items of work is late; 0 for none.
    pub one_in: u64,
    /// By up to so many microseconds.
    pub most: u64,
}

pub struct TestNic {
    pub hosts: Vec<Host>,
    pub strangers: Mutex<Vec<Vec<u8>>>,
    /// Answered fences.
    pub fences: Mutex<Vec<u64>>,
    /// Who holds it stops all stages.
    pub gate: Mutex<()>,
    delays: Delays,
    turns: AtomicU64,
    start: Instant,
    /// The time, unless it is zero: then it passes by itself.
    pub clock: AtomicU64,
}

impl TestNic {
    pub fn new(connections: u32, ring: usize, delays: Delays) -> Self {
        let host = |_| Host {
            rx: Mutex::new(vec![0; ring]),
            tx: Mutex::new(vec![0; ring]),
            seen: Mutex::default(),
        };
        Self {
            hosts: (0..connections).map(host).collect(),
            strangers: Mutex::default(),
            fences: Mutex::default(),
            gate: Mutex::new(()),
            delays,
            turns: AtomicU64::new(0),
            start: Instant::now(),
            clock: AtomicU64::new(0),
        }
    }

    pub fn host(&self, conn: ConnId) -> &Host {
        &self.hosts[conn.0 as usize]
    }
}

/// Copies to a ring.
pub fn put(ring: &mut [u8], to: &RingSlice, payload: &[u8]) {
    let (offset, first, second) = to.parts();
    assert_eq!(payload.len(), first + second);
    ring[offset..offset + first].copy_from_slice(&payload[..first]);
    ring[..second].copy_from_slice(&payload[first..]);
}

impl Nic for TestNic {
    type Frame = Vec<u8>;
    type Segment = Vec<u8>;

    fn now(&self) -> Micros {
        match self.clock.load(Ordering::Relaxed) {
            0 => Micros(1_000_000 + self.start.elapsed().as_micros() as u64),
            time => Micros(time),
        }
    }

    fn write_rx(&self, conn: ConnId, to: &RingSlice, payload: &[u8]) {
        assert_eq!(to.base, u64::from(conn.0));
        put(&mut self.host(conn).rx.lock(), to, payload);
    }

    fn payload_sum(&self, conn: ConnId, from: &RingSlice) -> Sum {
        let (offset, first, second) = from.parts();
        let ring = self.host(conn).tx.lock();
        Sum::of_parts(&ring[offset..offset + first], &ring[..second])
    }

    fn fetch(&self, conn: ConnId, segment: &TxSegment<'_>) -> Vec<u8> {
        let mut frame = segment.header.bytes().to_vec();
        if let Some(payload) = segment.payload {
            let (offset, first, second) = payload.parts();
            let ring = self.host(conn).tx.lock();
            frame.extend_from_slice(&ring[offset..offset + first]);
            frame.extend_from_slice(&ring[..second]);
        }
        frame
    }

    fn transmit(&self, conn: ConnId, segment: Vec<u8>) {
        assert!(wire::tcp_sum(&segment).is_valid(), "wrong checksum");
        let mut seen = self.host(conn).seen.lock();
        if let Some(nxt) = seen.recorded {
            let ack = SeqNum::new(wire::ack(&segment));
            assert!(!ack.after(nxt), "acknowledged before it was recorded");
        }
        seen.last = Some(self.now());
        seen.frames.push(segment);
    }

    /// The application reads at once, and what it has read is destroyed: the bytes must have been there.
    fn notify(&self, conn: ConnId, notification: &Notification) {
        let host = self.host(conn);
        let (mut seen, mut ring) = (host.seen.lock(), host.rx.lock());
        for _ in 0..notification.rx_bytes.0 {
            let at = seen.read_pos as usize % ring.len();
            seen.received.push(ring[at]);
            ring[at] = !ring[at];
            seen.read_pos = seen.read_pos.wrapping_add(1);
        }
        seen.tx_acked += notification.tx_acked.0;
        seen.peer_fin |= notification.events.has(Events::PEER_FIN);
        seen.fin_acked |= notification.events.has(Events::FIN_ACKED);
        seen.reports.extend(notification.report);
    }

    const RECORDS: bool = true;

    /// What was received, by the record, is in the ring.
    fn record(&self, conn: ConnId, state: &Connection) {
        let host = self.host(conn);
        let (mut seen, ring) = (host.seen.lock(), host.rx.lock());
        let config = state.config();
        for at in seen.read_pos..config.rx.tail.0 {
            assert_eq!(
                ring[at as usize % ring.len()],
                wire::byte(conn.0, at),
                "recorded too early"
            );
        }
        seen.recorded = Some(config.receive.nxt);
    }

    fn waits(&self, conn: ConnId, outcome: Outcome) {
        self.host(conn).seen.lock().waits.push(outcome);
    }

    fn punt(&self, frame: Vec<u8>, whose: Punt) {
        match whose {
            Punt::Stranger(_) => self.strangers.lock().push(frame),
            Punt::Control(conn, reason, window) => {
                let seen = (reason, window.nxt.get(), window.wnd.0);
                self.host(conn).seen.lock().punted.push(seen);
            }
        }
    }

    fn dropped(&self, conn: ConnId, reason: DropReason) {
        self.host(conn).seen.lock().drops.push(reason);
    }

    fn complete(&self, conn: ConnId, completion: Completion) {
        match completion {
            Completion::Refused(error) => self.host(conn).seen.lock().refused.push(error),
            Completion::State(state) | Completion::Removed(state) => {
                self.host(conn).seen.lock().state = Some(state);
            }
        }
    }

    fn fenced(&self, tag: u64) {
        self.fences.lock().push(tag);
    }

    fn enter(&self, stage: Stage) {
        drop(self.gate.lock());
        if self.delays.one_in == 0 || stage == Stage::Exit {
            return;
        }
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let random = (turn ^ self.delays.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        if random % self.delays.one_in == 0 {
            let time = (random / self.delays.one_in) % self.delays.most;
            std::thread::sleep(Duration::from_micros(time));
        }
    }
}
