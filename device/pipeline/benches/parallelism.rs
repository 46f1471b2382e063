// SPDX-License-Identifier: GPL-2.0

//! What each kind of parallelism gives: FlexTOE's table 4.4, on this machine.
//!
//! An echo server answers RPCs of 64 connections, each with one under way. One thread, the same in all rows, is the
//! peers, the wire and the application. Payload is copied and summed in software.
//!
//! The second table is about the structure alone: stages wait, as a NIC's do for its memory and for PCIe. A thread that
//! waits needs no core, so there it shows what overlaps, as if every thread had one.

#[path = "../tests/model/wire.rs"]
#[allow(dead_code)]
mod wire;

use crossbeam_channel::{unbounded, Receiver, Sender};
use datapath::npu::inline::{Outcome, TxSegment};
use datapath::npu::meta::RingSlice;
use datapath::npu::pre::Checksum;
use datapath::npu::scheduler::Interval;
use datapath::npu::{ConnectionConfig, HostControl, Notification};
use datapath::reason::DropReason;
use datapath::units::{Bytes, Micros};
use datapath::wire::Sum;
use parking_lot::Mutex;
use pipeline::{Completion, ConnId, Input, Nic, Punt, Request, Settings, Stage, Stages};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONNECTIONS: u32 = 64;
const RING: u32 = 16 << 10;
const ROUND: Duration = Duration::from_millis(1000);
/// Of which the best counts: others use the machine, too.
const ROUNDS: usize = 3;

/// What happens outside of the data-path.
enum Event {
    /// So many bytes are there to be read.
    Readable(ConnId, Bytes),
    /// A segment is on the wire: bytes of payload.
    Sent(ConnId, usize),
}

struct Ring(Mutex<Vec<u8>>);

struct BenchNic {
    rx: Vec<Ring>,
    tx: Vec<Ring>,
    events: Sender<Event>,
    start: Instant,
    /// How long a stage waits, for each of its accesses to memory or host.
    wait: Duration,
}

impl BenchNic {
    fn ring(rings: &[Ring], conn: ConnId) -> &Mutex<Vec<u8>> {
        &rings[conn.0 as usize].0
    }
}

impl Nic for BenchNic {
    type Frame = Vec<u8>;
    type Segment = Vec<u8>;

    fn now(&self) -> Micros {
        Micros(self.start.elapsed().as_micros() as u64)
    }

    fn write_rx(&self, conn: ConnId, to: &RingSlice, payload: &[u8]) {
        let (offset, first, second) = to.parts();
        let mut ring = Self::ring(&self.rx, conn).lock();
        ring[offset..offset + first].copy_from_slice(&payload[..first]);
        ring[..second].copy_from_slice(&payload[first..]);
    }

    fn payload_sum(&self, conn: ConnId, from: &RingSlice) -> Sum {
        let (offset, first, second) = from.parts();
        let ring = Self::ring(&self.tx, conn).lock();
        Sum::of_parts(&ring[offset..offset + first], &ring[..second])
    }

    fn fetch(&self, conn: ConnId, segment: &TxSegment<'_>) -> Vec<u8> {
        let header = segment.header.bytes();
        let len = segment.payload.map_or(0, |payload| payload.len.as_usize());
        let mut frame = Vec::with_capacity(header.len() + len);
        frame.extend_from_slice(header);
        if let Some(payload) = segment.payload {
            let (offset, first, second) = payload.parts();
            let ring = Self::ring(&self.tx, conn).lock();
            frame.extend_from_slice(&ring[offset..offset + first]);
            frame.extend_from_slice(&ring[..second]);
        }
        frame
    }

    fn transmit(&self, conn: ConnId, segment: Vec<u8>) {
        let (_, payload) = wire::parse(&segment);
        if !payload.is_empty() {
            self.tell(Event::Sent(conn, payload.len()));
        }
    }

    fn notify(&self, conn: ConnId, notification: &Notification) {
        if !notification.rx_bytes.is_zero() {
            self.tell(Event::Readable(conn, notification.rx_bytes));
        }
    }

    fn waits(&self, _conn: ConnId, _outcome: Outcome) {}

    fn punt(&self, _frame: Vec<u8>, whose: Punt) {
        panic!("{whose:?}");
    }

    fn dropped(&self, conn: ConnId, reason: DropReason) {
        panic!("{conn:?}: {reason:?}");
    }

    fn complete(&self, conn: ConnId, completion: Completion) {
        panic!("{conn:?}: {completion:?}");
    }

    fn enter(&self, stage: Stage) {
        let accesses = match stage {
            // The table of connections, and their settings.
            Stage::Pre => 2,
            Stage::Protocol | Stage::Post => 1,
            // Host memory, across PCIe and back.
            Stage::Dma => 4,
            Stage::Exit => 0,
        };
        if !self.wait.is_zero() && accesses > 0 {
            std::thread::sleep(self.wait * accesses);
        }
    }
}

impl BenchNic {
    fn tell(&self, event: Event) {
        self.events.send(event).expect("someone listens");
    }
}

/// A connection's peer: sends a request, awaits the answer, and so on.
struct Peer {
    n: u32,
    sent: u32,
    acked: u32,
    answered: usize,
    asked: Instant,
}

impl Peer {
    fn ask(&mut self, input: &mut Input<BenchNic>, payload: &[u8]) -> usize {
        self.asked = Instant::now();
        self.answered = 0;
        let pieces = payload.chunks(usize::from(wire::MSS));
        let count = pieces.len();
        for piece in pieces {
            let mut frame = wire::frame(self.n, self.sent, self.acked, wire::ACK, piece);
            self.sent = self.sent.wrapping_add(piece.len() as u32);
            while let Err(refused) = input.frame(frame, Checksum::Unverified) {
                frame = refused;
                input.flush();
            }
        }
        count
    }
}

/// What a run came to.
#[derive(Default)]
struct Figures {
    /// Segments with payload, both ways, per second.
    segments: f64,
    /// Payload in one direction.
    megabits: f64,
    /// CPU time for each of them, all threads together, in microseconds.
    cost: f64,
    latencies: Vec<Duration>,
}

impl Figures {
    fn percentile(&self, percent: f64) -> String {
        let enough = self.latencies.len() as f64 * (100.0 - percent) >= 100.0;
        let index = (self.latencies.len() as f64 * percent / 100.0) as usize;
        match self.latencies.get(index).filter(|_| enough) {
            Some(latency) => format!("{:.0}", latency.as_secs_f64() * 1e6),
            None => "-".to_owned(),
        }
    }
}

/// CPU time of all threads so far, in seconds.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
    // utime and stime, in hundredths (proc_pid_stat(5)).
    let ticks = fields.skip(12).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn run(stages: Stages, size: usize, wait: Duration) -> Figures {
    let (events, happened) = unbounded();
    let rings = || (0..CONNECTIONS).map(|_| Ring(Mutex::new(vec![0; RING as usize])));
    let nic = Arc::new(BenchNic {
        rx: rings().collect(),
        tx: rings().collect(),
        events,
        start: Instant::now(),
        wait,
    });
    let settings = Settings {
        stages,
        capacity: CONNECTIONS,
        seed: 7,
    };
    let mut input = Input::new(nic, &settings).expect("threads");
    for n in 0..CONNECTIONS {
        let config = ConnectionConfig {
            cwnd: Bytes(RING),
            ..wire::config(n, 1, RING)
        };
        let installed = input.install(ConnId(n), &config, Interval::NONE);
        installed.expect("a good configuration");
    }
    serve(&mut input, &happened, size)
}

fn serve(input: &mut Input<BenchNic>, happened: &Receiver<Event>, size: usize) -> Figures {
    let payload = vec![0x5a; size];
    let peer = |n| Peer {
        n,
        sent: 1,
        acked: 1,
        answered: 0,
        asked: Instant::now(),
    };
    let mut peers: Vec<Peer> = (0..CONNECTIONS).map(peer).collect();
    let mut segments = 0;
    for peer in &mut peers {
        segments += peer.ask(input, &payload);
    }
    input.flush();
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut figures = Figures::default();
    while start.elapsed() < ROUND {
        let first = happened.recv().expect("the pipeline is alive");
        for event in std::iter::once(first).chain(happened.try_iter().take(64)) {
            match event {
                Event::Readable(conn, bytes) => {
                    let answer = Request::Control(HostControl {
                        tx_added: bytes,
                        rx_freed: bytes,
                        ..HostControl::default()
                    });
                    while input.request(conn, answer).is_err() {
                        input.flush();
                    }
                }
                Event::Sent(conn, len) => {
                    segments += 1;
                    let peer = &mut peers[conn.0 as usize];
                    peer.acked = peer.acked.wrapping_add(len as u32);
                    peer.answered += len;
                    if peer.answered == size {
                        figures.latencies.push(peer.asked.elapsed());
                        segments += peer.ask(input, &payload);
                    }
                }
            }
        }
        input.flush();
    }
    let seconds = start.elapsed().as_secs_f64();
    figures.segments = segments as f64 / seconds;
    figures.cost = (cpu_time() - cpu) * 1e6 / segments as f64;
    figures.megabits = (figures.latencies.len() * size * 8) as f64 / seconds / 1e6;
    figures.latencies.sort();
    figures
}

fn table(title: &str, size: usize, wait: Duration, rows: &[(&str, &str)]) {
    println!("\n{title}");
    println!(
        "{:22} {:>10} {:>7} {:>6} {:>7} {:>7} {:>9} {:>10}   stages",
        "design", "segments/s", "Mbit/s", "x", "50p us", "99p us", "99.99p us", "CPU us/seg"
    );
    let mut best: Vec<Figures> = rows.iter().map(|_| Figures::default()).collect();
    for _ in 0..ROUNDS {
        for ((_, stages), best) in rows.iter().zip(&mut best) {
            let figures = run(stages.parse().expect("stages"), size, wait);
            if figures.segments > best.segments {
                *best = figures;
            }
        }
    }
    let baseline = best[0].segments;
    for ((name, stages), figures) in rows.iter().zip(&best) {
        println!(
            "{:22} {:>10.0} {:>7.0} {:>6.2} {:>7} {:>7} {:>9} {:>10.2}   {}",
            name,
            figures.segments,
            figures.megabits,
            figures.segments / baseline,
            figures.percentile(50.0),
            figures.percentile(99.0),
            figures.percentile(99.99),
            figures.cost,
            stages
        );
    }
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{CONNECTIONS} connections, one RPC under way in each; {cores} cores; the best of {ROUNDS} runs.");
    println!("One thread more is peers, wire and application. With fewer cores than threads pipelining gains nothing:");
    println!("hand-overs and context switches come on top of the same work.");
    let rows = [
        ("baseline", "inline"),
        ("+ pipelining", "pipelined"),
        ("+ replicated pre/post", "pipelined,pre=2,post=2,dma=2"),
        ("+ flow-groups", "pipelined,pre=2,post=2,dma=2,groups=4"),
    ];
    table("RPCs of 64 bytes", 64, Duration::ZERO, &rows);
    table("RPCs of 2048 bytes", 2048, Duration::ZERO, &rows);
    let rows = [
        ("baseline", "inline"),
        ("+ pipelining", "pipelined"),
        ("+ replicated pre/post", "pipelined,pre=2,post=2,dma=4"),
        ("+ flow-groups", "pipelined,pre=8,post=4,dma=16,groups=4"),
    ];
    table(
        "RPCs of 64 bytes, where each access to memory or host takes 50 us (pre 2, protocol 1, post 1, DMA 4 accesses)",
        64,
        Duration::from_micros(50),
        &rows,
    );
}
