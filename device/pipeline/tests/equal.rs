// SPDX-License-Identifier: GPL-2.0

//! Whatever the executor and however late its stages, the same packets and requests give the same streams as inline.

#![allow(non_snake_case)]

mod model;

use datapath::npu::config::ConnectionConfig;
use datapath::npu::inline::{self, Received, TxSegment};
use datapath::npu::meta::{Command, RingSlice};
use datapath::npu::pre::{self, Checksum};
use datapath::npu::scheduler::Interval;
use datapath::npu::state::ConnectionCounters;
use datapath::npu::{Connection, HostControl, Notification, Port};
use datapath::units::Bytes;
use datapath::wire::Sum;
use model::wire::{self, ACK, FIN, RST};
use model::{Delays, TestNic};
use pipeline::{Completion, ConnId, Input, Nic, Punt, Replicas, Request, Settings, Stages};
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::sync::Arc;

const RING: u32 = 32 << 10;
/// Bytes that a connection is given at most per phase and direction: what its rings hold, for sure.
const PHASE: u32 = RING / 2;

/// Something that happens to a connection.
#[derive(Clone, Debug)]
enum Op {
    /// The peer sends so many bytes.
    Data(u32),
    /// The peer's next segments arrive in the wrong order.
    Swapped(u32, u32),
    /// The application writes so many bytes.
    Write(u32),
    /// The application gives back what it has read.
    Free,
    /// A segment is damaged.
    Damaged,
    /// Someone sends a RST that is not quite right.
    Reset,
    /// A frame for nobody.
    Stranger,
}

/// What the executor is given.
#[derive(Debug)]
enum Event {
    Frame(Vec<u8>),
    Request(ConnId, HostControl),
}

/// One connection's side of the script.
#[derive(Clone, Debug, Default)]
struct Script {
    sent: u32,
    acked: u32,
    written: u32,
    freed: u32,
    /// Sent and written when the phase began: done by now.
    delivered: u32,
    transmitted: u32,
}

impl Script {
    fn begin_phase(&mut self) {
        (self.delivered, self.transmitted) = (self.sent, self.written);
    }

    fn data(&mut self, n: u32, isn: u32, at: u32, len: u32, flags: u8) -> Event {
        self.acked = self.transmitted;
        let (seq, ack) = (isn.wrapping_add(at), isn.wrapping_add(self.acked));
        let payload = wire::stream(n, at, len);
        Event::Frame(wire::frame(n, seq, ack, ACK | flags, &payload))
    }

    /// What an operation means; less, if there is no room for it.
    fn events(&mut self, n: u32, isn: u32, op: &Op, tag: u32, out: &mut Vec<Event>) {
        let room = PHASE.saturating_sub(self.sent - self.delivered);
        let request = |request| Event::Request(ConnId(n), request);
        let flipped = |event| match event {
            Event::Frame(mut frame) => {
                *frame.last_mut().expect("not empty") ^= 1;
                Event::Frame(frame)
            }
            other => other,
        };
        // Holes are closed within the phase, so that what is freed in the next has arrived.
        match *op {
            Op::Data(len) => {
                let len = len.min(room.min(RING / 2 - (self.sent - self.freed).min(RING / 2)));
                out.push(self.data(n, isn, self.sent, len, 0));
                self.sent += len;
            }
            Op::Swapped(first, second) => {
                let free = room.min(RING / 2 - (self.sent - self.freed).min(RING / 2));
                if first + second <= free {
                    out.push(self.data(n, isn, self.sent + first, second, 0));
                    out.push(self.data(n, isn, self.sent, first, 0));
                    self.sent += first + second;
                }
            }
            Op::Write(len) => {
                let room = PHASE.saturating_sub(self.written - self.transmitted);
                let len = len
                    .min(room)
                    .min(RING / 2 - (self.written - self.acked).min(RING / 2));
                self.written += len;
                out.push(request(HostControl {
                    tx_added: Bytes(len),
                    ..HostControl::default()
                }));
            }
            Op::Free => {
                out.push(request(HostControl {
                    rx_freed: Bytes(self.delivered - self.freed),
                    ..HostControl::default()
                }));
                self.freed = self.delivered;
            }
            Op::Damaged => {
                let event = self.data(n, isn, self.sent, 100, 0);
                out.push(flipped(event));
            }
            Op::Reset => out.push(Event::Frame(wire::frame(
                n,
                isn.wrapping_add(tag),
                isn,
                RST,
                &[],
            ))),
            Op::Stranger => {
                out.push(Event::Frame(wire::frame(
                    60_000 - 10_000 + n,
                    tag,
                    0,
                    ACK,
                    &[],
                )));
            }
        }
    }
}

/// The script's phases, in which everything may happen at once.
fn phases(isn: u32, connections: u32, script: &[Vec<(u32, Op)>]) -> Vec<Vec<Event>> {
    let mut scripts = vec![Script::default(); connections as usize];
    let mut tag = 0;
    let mut phases = Vec::new();
    for phase in script {
        let mut events = Vec::new();
        scripts.iter_mut().for_each(Script::begin_phase);
        for (n, op) in phase {
            let n = n % connections;
            tag += 1;
            scripts[n as usize].events(n, isn, op, tag, &mut events);
        }
        phases.push(events);
    }
    // The end: all that was sent is acknowledged, then both directions are closed.
    let mut last = Vec::new();
    for (n, script) in (0..).zip(&mut scripts) {
        script.begin_phase();
        let at = script.sent;
        last.push(script.data(n, isn, at, 0, FIN));
        last.push(Event::Request(
            ConnId(n),
            HostControl {
                commands: Command::FIN,
                ..HostControl::default()
            },
        ));
    }
    phases.push(last);
    phases
}

/// The application writes before it says so.
fn write(nic: &TestNic, written: &mut [u32], conn: ConnId, request: &HostControl) {
    let from = &mut written[conn.0 as usize];
    let mut ring = nic.host(conn).tx.lock();
    for at in *from..*from + request.tx_added.0 {
        ring[(at % RING) as usize] = wire::byte(!conn.0, at);
    }
    *from += request.tx_added.0;
}

/// The reference: the data-path's own inline executor, connection by connection.
struct Reference<'a> {
    nic: &'a TestNic,
    id: ConnId,
    packet: &'a [u8],
}

impl Port for Reference<'_> {
    fn write_rx(&mut self, to: &RingSlice, segment_offset: usize) {
        let payload = &self.packet[segment_offset..][..to.len.as_usize()];
        self.nic.write_rx(self.id, to, payload);
    }

    fn payload_sum(&mut self, from: &RingSlice) -> Sum {
        self.nic.payload_sum(self.id, from)
    }

    fn transmit(&mut self, segment: &TxSegment<'_>) {
        let frame = self.nic.fetch(self.id, segment);
        self.nic.transmit(self.id, frame);
    }

    fn notify(&mut self, notification: &Notification) {
        self.nic.notify(self.id, notification);
    }
}

fn run_reference(configs: &[ConnectionConfig], phases: &[Vec<Event>]) -> TestNic {
    let delays = Delays {
        seed: 0,
        one_in: 0,
        most: 0,
    };
    let nic = TestNic::new(configs.len() as u32, RING as usize, delays);
    let mut written = vec![0; configs.len()];
    let connect = |config| Connection::new(config, nic.now()).expect("a good configuration");
    let mut conns: Vec<Connection> = configs.iter().map(connect).collect();
    for event in phases.iter().flatten() {
        match event {
            Event::Frame(frame) => {
                let packet = &frame[wire::IP..];
                let ident = pre::identify(packet, packet.len()).expect("TCP");
                let known = conns
                    .iter()
                    .position(|conn| *conn.pre.tuple() == ident.tuple);
                let Some(n) = known else {
                    nic.punt(frame.clone(), Punt::Stranger(None));
                    continue;
                };
                let id = ConnId(n as u32);
                let port = &mut Reference {
                    nic: &nic,
                    id,
                    packet,
                };
                let now = nic.now();
                match inline::rx(
                    &mut conns[n],
                    packet,
                    &ident,
                    Checksum::Unverified,
                    now,
                    port,
                ) {
                    Received::Processed(_) => {}
                    Received::Dropped(reason, _) => nic.dropped(id, reason),
                    Received::Punted(reason, window) => {
                        nic.punt(frame.clone(), Punt::Control(id, reason, window));
                    }
                }
            }
            Event::Request(id, request) => {
                write(&nic, &mut written, *id, request);
                let port = &mut Reference {
                    nic: &nic,
                    id: *id,
                    packet: &[],
                };
                let conn = &mut conns[id.0 as usize];
                inline::host_control(conn, request, nic.now(), port).expect("a good request");
            }
        }
    }
    for (n, conn) in (0..).zip(conns) {
        nic.complete(ConnId(n), Completion::Removed(Box::new(conn)));
    }
    nic
}

fn run(
    stages: Stages,
    delays: Delays,
    configs: &[ConnectionConfig],
    phases: &[Vec<Event>],
) -> Arc<TestNic> {
    let nic = Arc::new(TestNic::new(configs.len() as u32, RING as usize, delays));
    let settings = Settings {
        stages,
        capacity: configs.len() as u32,
        seed: delays.seed,
    };
    let mut input = Input::new(Arc::clone(&nic), &settings).expect("threads");
    let mut written = vec![0; configs.len()];
    for (n, config) in (0..).zip(configs) {
        let installed = input.install(ConnId(n), config, Interval::NONE);
        installed.expect("a good configuration");
    }
    for phase in phases {
        for event in phase {
            match event {
                Event::Frame(frame) => {
                    let mut frame = frame.clone();
                    while let Err(refused) = input.frame(frame, Checksum::Unverified) {
                        frame = refused;
                        input.flush();
                    }
                }
                Event::Request(id, request) => {
                    write(&nic, &mut written, *id, request);
                    while input.request(*id, Request::Control(*request)).is_err() {
                        input.flush();
                    }
                }
            }
            // Small bursts leave more to be reordered.
            input.flush();
        }
        input.settle().expect("all threads alive");
    }
    for n in 0..configs.len() as u32 {
        input
            .request(ConnId(n), Request::Remove)
            .expect("to be there");
    }
    input.settle().expect("all threads alive");
    nic
}

/// The stream of payload on the wire, in the order of the frames; it must have no holes.
fn payload_stream(isn: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        let (seq, payload) = wire::parse(frame);
        if !payload.is_empty() {
            assert_eq!(
                seq,
                isn.wrapping_add(out.len() as u32),
                "reordered on the wire"
            );
            out.extend_from_slice(payload);
        }
    }
    out
}

/// Acknowledgment numbers never go back.
fn check_acks(isn: u32, frames: &[Vec<u8>]) {
    let mut last = 0;
    for frame in frames {
        let ack = wire::ack(frame).wrapping_sub(isn);
        assert!(ack >= last, "an acknowledgment was overtaken");
        last = ack;
    }
}

/// Those that don't depend on how the transmit stream is cut, and when acknowledgments ride on it.
fn comparable(counters: &ConnectionCounters) -> ConnectionCounters {
    ConnectionCounters {
        tx_segments: 0,
        tx_acks: 0,
        ..*counters
    }
}

fn compare(isn: u32, phases: &[Vec<Event>], got: &TestNic, expected: &TestNic) {
    let strangers = |nic: &TestNic| {
        // Of different connections they may come in any order.
        let mut all = nic.strangers.lock().clone();
        all.sort_by_key(|frame| frame[wire::TCP..wire::TCP + 2].to_vec());
        all
    };
    assert!(!phases.is_empty());
    assert_eq!(strangers(got), strangers(expected));
    for (n, (got, expected)) in got.hosts.iter().zip(&expected.hosts).enumerate() {
        let (got, expected) = (got.seen.lock(), expected.seen.lock());
        let n = n as u32;
        assert!(
            got.received == wire::stream(n, 0, got.received.len() as u32),
            "wrong bytes delivered"
        );
        assert_eq!(got.received.len(), expected.received.len());
        let sent = payload_stream(isn, &got.frames);
        assert!(
            sent == wire::stream(!n, 0, sent.len() as u32),
            "wrong bytes on the wire"
        );
        assert_eq!(sent.len(), payload_stream(isn, &expected.frames).len());
        check_acks(isn, &got.frames);
        assert_eq!(
            (got.tx_acked, got.peer_fin),
            (expected.tx_acked, expected.peer_fin)
        );
        assert_eq!(got.punted, expected.punted);
        assert_eq!(
            (got.refused.len(), got.frames.is_empty()),
            (0, expected.frames.is_empty())
        );
        assert_eq!(got.drops, expected.drops);
        let (got, expected) = (
            got.state.as_ref().unwrap(),
            expected.state.as_ref().unwrap(),
        );
        let counters = |conn: &Connection| comparable(conn.post.counters());
        assert_eq!(counters(got), counters(expected));
        let (got, expected) = (got.config(), expected.config());
        assert_eq!((got.tx, got.rx), (expected.tx, expected.rx));
        assert_eq!(
            (got.send, got.receive.nxt),
            (expected.send, expected.receive.nxt)
        );
    }
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..1448u32).prop_map(Op::Data),
        2 => (1..800u32, 1..800u32).prop_map(|(a, b)| Op::Swapped(a, b)),
        6 => (1..5000u32).prop_map(Op::Write),
        2 => Just(Op::Free),
        1 => Just(Op::Damaged),
        1 => Just(Op::Reset),
        1 => Just(Op::Stranger),
    ]
}

fn stages() -> impl Strategy<Value = Stages> {
    let count = |most| (1..=most).prop_map(|n| NonZeroUsize::new(n).expect("not zero"));
    let replicas = (count(3usize), count(3usize), 0..=3usize, count(3usize));
    prop_oneof![
        1 => Just(Stages::Inline),
        9 => replicas.prop_map(|(pre, post, dma, groups)| {
            Stages::Pipelined(Replicas { pre, post, dma, groups })
        }),
    ]
}

fn delays() -> impl Strategy<Value = Delays> {
    (any::<u64>(), 1..40u64, 1..200u64).prop_map(|(seed, one_in, most)| Delays {
        seed,
        one_in,
        most,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, max_shrink_iters: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams__equal_inline_whatever_is_late(
        stages in stages(),
        delays in delays(),
        isn in prop_oneof![any::<u32>(), Just(u32::MAX - 3000)],
        connections in 1..5u32,
        script in prop::collection::vec(prop::collection::vec((0..4u32, ops()), 1..60), 1..4),
    ) {
        let phases = phases(isn, connections, &script);
        let configs: Vec<_> = (0..connections).map(|n| wire::config(n, isn, RING)).collect();
        let expected = run_reference(&configs, &phases);
        let got = run(stages, delays, &configs, &phases);
        compare(isn, &phases, &got, &expected);
    }
}
