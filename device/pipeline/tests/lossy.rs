// SPDX-License-Identifier: GPL-2.0

//! Over a link that loses, duplicates, delays, damages and marks, both applications read exactly what the other wrote:
//! with a pipeline at one end whose stages are late, and the data-path's inline executor at the other.

#![allow(non_snake_case)]

mod model;
#[allow(dead_code)]
#[path = "../../../datapath/tests/sim/mod.rs"]
mod sim;

use datapath::npu::config::{ConnectionConfig, EcnConfig};
use datapath::npu::meta::Command;
use datapath::npu::pre::Checksum;
use datapath::npu::proto::Timers;
use datapath::npu::scheduler::Interval;
use datapath::npu::HostControl;
use datapath::units::{Bytes, Micros};
use datapath::wire::{ethernet::Link as LinkHeader, Addresses, FourTuple};
use model::{wire, Delays, TestNic};
use pipeline::{ConnId, Input, Request, Settings, Stages};
use proptest::prelude::*;
use sim::{Endpoint, Faults, Host, Link, Rng};
use std::sync::atomic::Ordering;
use std::sync::Arc;

const ID: ConnId = ConnId(0);
const RING: u32 = 16 << 10;
const RTO: Micros = Micros(200_000);
const DELAYED_ACK: Micros = Micros(40_000);

/// The pipeline's host: writes when there is room, gives back what it has read, keeps the timers.
struct Local {
    nic: Arc<TestNic>,
    input: Input<TestNic>,
    len: u32,
    written: u32,
    freed: u32,
    finished: bool,
    backoff: u32,
    acked: u32,
    probe_at: Option<Micros>,
    cwnd: u32,
    timers: Timers,
}

impl Local {
    fn new(
        stages: Stages,
        delays: Delays,
        config: &ConnectionConfig,
        len: u32,
        now: Micros,
    ) -> Self {
        let nic = Arc::new(TestNic::new(1, RING as usize, delays));
        nic.clock.store(now.0, Ordering::Relaxed);
        let settings = Settings {
            stages,
            capacity: 1,
            seed: delays.seed,
        };
        let mut input = Input::new(Arc::clone(&nic), &settings).expect("threads");
        let installed = input.install(ID, config, Interval::NONE);
        installed.expect("a good configuration");
        Self {
            nic,
            input,
            len,
            written: 0,
            freed: 0,
            finished: false,
            backoff: 0,
            acked: 0,
            probe_at: None,
            cwnd: config.cwnd.0,
            timers: Timers::default(),
        }
    }

    fn is_closed(&self) -> bool {
        let seen = self.nic.host(ID).seen.lock();
        seen.fin_acked && seen.peer_fin
    }

    fn control(&mut self, request: HostControl) {
        let taken = self.input.request(ID, Request::Control(request));
        taken.expect("a connection, and room");
    }

    /// Waits for the pipeline; then policy, and what the timers wait for.
    fn settle(&mut self) {
        self.input.settle().expect("all threads alive");
        let reports = std::mem::take(&mut self.nic.host(ID).seen.lock().reports);
        for report in reports {
            self.cwnd = if report.fast_retransmits > 0 || !report.ecn.is_zero() {
                (report.flight.0 / 2).max(2 * u32::from(wire::MSS))
            } else {
                self.cwnd + report.acked.0.min(4 * u32::from(wire::MSS))
            };
            self.set_cwnd();
            self.control(HostControl {
                commands: Command::KICK,
                ..HostControl::default()
            });
        }
        self.input.request(ID, Request::Read).expect("to be there");
        self.input.settle().expect("all threads alive");
        let state = self.nic.host(ID).seen.lock().state.take();
        self.timers = state.expect("an answer").proto.timers();
    }

    fn set_cwnd(&mut self) {
        let cwnd = Bytes(self.cwnd);
        let set = self.input.update(ID, |pre| pre.set_cwnd(cwnd));
        set.expect("to be there");
    }

    fn run_application(&mut self, rng: &mut Rng) {
        let (read, acked) = {
            let seen = self.nic.host(ID).seen.lock();
            (seen.read_pos, seen.tx_acked)
        };
        if acked != self.acked {
            (self.acked, self.backoff) = (acked, 0);
        }
        let room = RING - (self.written - acked);
        let write = rng.below(5000).min(room).min(self.len - self.written);
        let mut request = HostControl {
            tx_added: Bytes(write),
            rx_freed: Bytes(read - self.freed),
            ..HostControl::default()
        };
        self.freed = read;
        {
            let mut ring = self.nic.host(ID).tx.lock();
            for at in self.written..self.written + write {
                ring[(at % RING) as usize] = wire::byte(!0, at);
            }
        }
        self.written += write;
        if self.written == self.len && !self.finished {
            self.finished = true;
            request.commands = Command::FIN;
        }
        if request != HostControl::default() {
            self.control(request);
        }
    }

    fn rto(&self) -> Micros {
        Micros(RTO.0 << self.backoff.min(4))
    }

    fn next_timer(&mut self, now: Micros) -> Option<Micros> {
        if !self.timers.persist {
            self.probe_at = None;
        } else if self.probe_at.is_none() {
            self.probe_at = Some(Micros(now.0 + RTO.0));
        }
        let after = |since: Option<Micros>, time: Micros| since.map(|at| Micros(at.0 + time.0));
        let retransmit = after(self.timers.retransmit, self.rto());
        let acknowledge = after(self.timers.delayed_ack, DELAYED_ACK);
        let all = [retransmit, acknowledge, self.probe_at];
        all.into_iter().flatten().min()
    }

    fn run_timers(&mut self, now: Micros) {
        let mut commands = Command::NONE;
        let expired =
            |since: Option<Micros>, time: Micros| since.is_some_and(|at| now.0 >= at.0 + time.0);
        if expired(self.timers.delayed_ack, DELAYED_ACK) {
            commands.insert(Command::ACK_NOW);
        }
        if expired(self.timers.retransmit, self.rto()) {
            commands.insert(Command::RETRANSMIT);
            self.backoff += 1;
            self.cwnd = u32::from(wire::MSS);
            self.set_cwnd();
        }
        if self.probe_at.is_some_and(|at| now >= at) {
            commands.insert(Command::PROBE);
            self.probe_at = Some(Micros(now.0 + RTO.0));
        }
        if !commands.is_empty() {
            self.control(HostControl {
                commands,
                ..HostControl::default()
            });
        }
    }
}

/// Moves frames that were sent onto the links.
fn carry(local: &Local, peer: &mut Host<4>, links: &mut [Link; 2], now: Micros, rng: &mut Rng) {
    let frames = std::mem::take(&mut local.nic.host(ID).seen.lock().frames);
    for frame in frames {
        links[1].send(frame, now, rng);
    }
    for frame in peer.sent.drain(..) {
        links[0].send(frame, now, rng);
    }
}

fn transfer(local: &mut Local, peer: &mut Host<4>, faults: Faults, seed: u64, mut now: Micros) {
    let mut rng = Rng::new(seed);
    let mut links = [Link::new(faults), Link::new(faults)];
    for _ in 0..100_000 {
        local.run_application(&mut rng);
        local.settle();
        peer.run_application(&mut rng, now);
        carry(local, peer, &mut links, now, &mut rng);
        if local.is_closed() && peer.is_closed() {
            return;
        }
        let events = [
            links[0].next(),
            links[1].next(),
            local.next_timer(now),
            peer.next_timer(now),
        ];
        if let Some(next) = events.into_iter().flatten().min() {
            now = now.max(next);
            local.nic.clock.store(now.0, Ordering::Relaxed);
        }
        while let Some(frame) = links[0].arrive(now) {
            let taken = local.input.frame(frame, Checksum::Unverified);
            assert!(taken.is_ok(), "full");
            local.input.flush();
        }
        local.run_timers(now);
        while let Some(frame) = links[1].arrive(now) {
            peer.receive(&frame, now);
        }
        peer.run_timers(now);
    }
    panic!("not finished at {now:?}");
}

/// The peer's view of the connection.
fn mirrored(config: &ConnectionConfig) -> ConnectionConfig {
    let mut out = *config;
    out.tuple = FourTuple {
        addresses: match config.tuple.addresses {
            Addresses::V4 { local, remote } => Addresses::V4 {
                local: remote,
                remote: local,
            },
            v6 @ Addresses::V6 { .. } => v6,
        },
        local_port: config.tuple.remote_port,
        remote_port: config.tuple.local_port,
    };
    if let LinkHeader::Ethernet {
        destination,
        source,
        ..
    } = &mut out.path.link
    {
        std::mem::swap(destination, source);
    }
    out
}

fn faults() -> impl Strategy<Value = Faults> {
    let rate = || prop_oneof![Just(0u32), 1..20u32, 20..100u32];
    (rate(), rate(), rate(), rate(), rate(), rate()).prop_map(
        |(lose, duplicate, delay, corrupt, mark, resegment)| Faults {
            lose,
            duplicate,
            delay,
            corrupt,
            mark,
            resegment,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn transfer__exact_over_bad_link(
        stages in prop_oneof![
            Just("inline"), Just("pipelined"), Just("pipelined,pre=3,post=2,dma=0"), Just("pipelined,pre=2,post=2,dma=2,groups=2"),
        ],
        faults in faults(),
        ecn in prop_oneof![Just(EcnConfig::Off), Just(EcnConfig::Classic), Just(EcnConfig::Accurate)],
        isn in prop_oneof![any::<u32>(), Just(u32::MAX - 3000)],
        (sent, received) in (0..150_000u32, 0..150_000u32),
        seed: u64,
    ) {
        let now = Micros(1_000_000);
        let mut config = wire::config(0, isn, RING);
        (config.cwnd, config.ecn) = (Bytes(10 * u32::from(wire::MSS)), ecn);
        (config.send.wnd, config.send.max_wnd) = (Bytes(RING), Bytes(RING));
        let delays = Delays { seed, one_in: 50, most: 100 };
        let stages = stages.parse().expect("stages");
        let mut local = Local::new(stages, delays, &config, sent, now);
        let mut peer = Host::new(
            Endpoint {
                config: mirrored(&config),
                data: wire::stream(0, 0, received),
                chunk: 5000,
                uncut: false,
                reinstall: 0,
            },
            now,
        );
        transfer(&mut local, &mut peer, faults, seed, now);
        prop_assert!(peer.received == wire::stream(!0, 0, sent));
        prop_assert!(local.nic.host(ID).seen.lock().received == wire::stream(0, 0, received));
    }
}
