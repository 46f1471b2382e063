// SPDX-License-Identifier: GPL-2.0

//! Connections come and go, requests are refused, rates are kept: whatever the executor.

#![allow(non_snake_case)]

mod model;

use datapath::npu::config::{ConfigError, ConnectionConfig};
use datapath::npu::inline::Outcome;
use datapath::npu::meta::{Command, HostControlError};
use datapath::npu::pre::Checksum;
use datapath::npu::scheduler::Interval;
use datapath::npu::HostControl;
use datapath::units::{Bytes, Micros};
use datapath::wire::ethernet::{self, Link};
use model::wire::{self, ACK, RST};
use model::{Delays, TestNic};
use pipeline::{ConnId, Input, InstallError, Nic, Request, RequestError, Settings};
use std::sync::Arc;

const RING: u32 = 16 << 10;
const ISN: u32 = 1000;
const CAPACITY: u32 = 8;
const EXECUTORS: [&str; 4] = [
    "inline",
    "pipelined",
    "pipelined,dma=0",
    "pipelined,pre=2,post=2,dma=2,groups=3",
];
const PROMPT: Delays = Delays {
    seed: 5,
    one_in: 0,
    most: 0,
};

/// Runs a test with each executor.
fn each(test: impl Fn(&TestNic, &mut Input<TestNic>)) {
    each_of(&EXECUTORS, test);
}

fn each_of(executors: &[&str], test: impl Fn(&TestNic, &mut Input<TestNic>)) {
    for stages in executors {
        let nic = Arc::new(TestNic::new(CAPACITY, RING as usize, PROMPT));
        let settings = Settings {
            stages: stages.parse().expect("stages"),
            capacity: CAPACITY,
            seed: 1,
        };
        let mut input = Input::new(Arc::clone(&nic), &settings).expect("threads");
        test(&nic, &mut input);
        input.settle().expect("all threads alive");
    }
}

fn config(n: u32) -> ConnectionConfig {
    wire::config(n, ISN, RING)
}

fn install(input: &mut Input<TestNic>, n: u32) {
    let installed = input.install(ConnId(n), &config(n), Interval::NONE);
    installed.expect("a good configuration");
}

/// A frame with `len` bytes of connection `n`'s peer, from `at` on.
fn data(n: u32, at: u32, len: u32) -> Vec<u8> {
    wire::frame(n, ISN + at, ISN, ACK, &wire::stream(n, at, len))
}

fn feed(input: &mut Input<TestNic>, frame: Vec<u8>) {
    assert!(input.frame(frame, Checksum::Unverified).is_ok(), "full");
}

fn control(input: &mut Input<TestNic>, n: u32, request: HostControl) {
    let taken = input.request(ConnId(n), Request::Control(request));
    taken.expect("a connection, and room");
}

fn write(input: &mut Input<TestNic>, n: u32, len: u32) {
    control(
        input,
        n,
        HostControl {
            tx_added: Bytes(len),
            ..HostControl::default()
        },
    );
}

fn received(nic: &TestNic, n: u32) -> usize {
    nic.hosts[n as usize].seen.lock().received.len()
}

#[test]
fn install__refuses() {
    each(|_, input| {
        install(input, 1);
        let mut try_it = |id, config: &ConnectionConfig| {
            let result = input.install(ConnId(id), config, Interval::NONE);
            result.expect_err("to be refused")
        };
        assert_eq!(try_it(CAPACITY, &config(2)), InstallError::Number);
        assert_eq!(try_it(1, &config(2)), InstallError::InUse);
        assert_eq!(try_it(2, &config(1)), InstallError::InUse);
        let mut bad = config(2);
        bad.path.mss = 0;
        assert_eq!(try_it(2, &bad), InstallError::Config(ConfigError::Mss));
        install(input, 2);
    });
}

#[test]
fn request__refused_stops_those_after_it() {
    each(|nic, input| {
        install(input, 0);
        let unknown = input.request(ConnId(1), Request::Read);
        assert_eq!(unknown, Err(RequestError::Unknown));
        assert!(input.update(ConnId(CAPACITY), |_| ()).is_err());
        write(input, 0, RING + 1);
        feed(input, data(0, 0, 100));
        write(input, 0, 10);
        input.settle().expect("all threads alive");
        let seen = nic.hosts[0].seen.lock();
        assert_eq!(seen.refused, [HostControlError::TxOverflow]);
        assert_eq!(seen.received.len(), 100);
        let sent = seen.frames.iter().map(|frame| wire::parse(frame).1.len());
        assert_eq!(sent.sum::<usize>(), 0);
    });
}

#[test]
fn remove__tells_the_last_state_and_frees_the_number() {
    each(|nic, input| {
        install(input, 3);
        feed(input, data(3, 0, 100));
        let request = input.request(ConnId(3), Request::Remove);
        request.expect("to be there");
        feed(input, data(3, 100, 100));
        let again = input.request(ConnId(3), Request::Remove);
        assert_eq!(again, Err(RequestError::Unknown));
        input.settle().expect("all threads alive");
        let state = nic.hosts[3].seen.lock().state.take().expect("an answer");
        assert_eq!(state.post.counters().rx_bytes, 100);
        assert_eq!(state.config().receive.nxt.get(), ISN + 100);
        assert_eq!(nic.strangers.lock().as_slice(), [data(3, 100, 100)]);
        input
            .install(ConnId(3), &state.config(), Interval::NONE)
            .expect("the number is free");
        feed(input, data(3, 100, 100));
        input.settle().expect("all threads alive");
        assert_eq!(received(nic, 3), 200);
        assert_eq!(nic.hosts[3].seen.lock().received, wire::stream(3, 0, 200));
    });
}

#[test]
fn waits__told_once_until_watched() {
    each(|nic, input| {
        install(input, 0);
        for len in [100, 100] {
            write(input, 0, len);
            input.settle().expect("all threads alive");
        }
        assert_eq!(nic.hosts[0].seen.lock().waits, [Outcome::IN_FLIGHT]);
        let watched = input.request(ConnId(0), Request::Watch);
        watched.expect("to be there");
        feed(input, data(0, 0, 100));
        input.settle().expect("all threads alive");
        let both = [Outcome::IN_FLIGHT, Outcome::IN_FLIGHT, Outcome::ACK_DELAYED];
        assert_eq!(nic.hosts[0].seen.lock().waits, both);
    });
}

#[test]
fn delayed_acknowledgment__sent_in_time_and_not_told() {
    const DELAY: Micros = Micros::from_millis(2);
    each(|nic, input| {
        install(input, 0);
        let delayed = input.request(ConnId(0), Request::DelayAcks(Some(DELAY)));
        delayed.expect("to be there");
        for turn in 0..3 {
            let start = nic.now();
            feed(input, data(0, 100 * turn, 100));
            while nic.hosts[0].seen.lock().frames.len() <= turn as usize {
                input.flush();
                std::thread::yield_now();
            }
            let seen = nic.hosts[0].seen.lock();
            let took = seen.last.expect("a segment").since(start);
            assert!(took >= DELAY, "acknowledged after {took:?}");
            assert!(seen.waits.is_empty());
        }
    });
}

#[test]
fn acknowledgment__sends_what_was_held_back() {
    each(|nic, input| {
        let mss = u32::from(wire::MSS);
        let narrow = ConnectionConfig {
            cwnd: Bytes(2 * mss),
            ..config(0)
        };
        let installed = input.install(ConnId(0), &narrow, Interval::NONE);
        installed.expect("a good configuration");
        write(input, 0, 6 * mss);
        for turn in 1..=3 {
            input.settle().expect("all threads alive");
            assert_eq!(nic.hosts[0].seen.lock().frames.len(), 2 * turn as usize);
            feed(input, wire::frame(0, ISN, ISN + 2 * turn * mss, ACK, &[]));
        }
        input.settle().expect("all threads alive");
        assert_eq!(nic.hosts[0].seen.lock().tx_acked, 6 * mss);
    });
}

#[test]
fn reset__is_sent_in_its_turn() {
    each(|nic, input| {
        install(input, 0);
        write(input, 0, 50);
        input.settle().expect("all threads alive");
        let reset = input.request(ConnId(0), Request::Reset);
        reset.expect("to be there");
        input.settle().expect("all threads alive");
        let seen = nic.hosts[0].seen.lock();
        let flags: Vec<u8> = seen.frames.iter().map(|f| f[wire::TCP + 13]).collect();
        assert_eq!(flags.iter().map(|f| f & RST).collect::<Vec<_>>(), [0, RST]);
        assert_eq!(wire::parse(&seen.frames[1]).0, ISN + 50);
    });
}

#[test]
fn update__applies_to_what_follows() {
    each(|nic, input| {
        install(input, 0);
        let changed = input.update(ConnId(0), |pre| pre.set_cork(true));
        changed.expect("to be there");
        write(input, 0, 50);
        input.settle().expect("all threads alive");
        assert_eq!(nic.hosts[0].seen.lock().frames.len(), 0);
        let changed = input.update(ConnId(0), |pre| pre.set_cork(false));
        changed.expect("to be there");
        control(
            input,
            0,
            HostControl {
                commands: Command::KICK,
                ..HostControl::default()
            },
        );
        input.settle().expect("all threads alive");
        assert_eq!(nic.hosts[0].seen.lock().frames.len(), 1);
    });
}

#[test]
fn vlan__is_part_of_a_connections_name() {
    let tagged = |frame: Vec<u8>, tag: u16| {
        let mut out = frame[..12].to_vec();
        out.extend_from_slice(&ethernet::TYPE_VLAN.to_be_bytes());
        out.extend_from_slice(&tag.to_be_bytes());
        out.extend_from_slice(&frame[12..]);
        out
    };
    each(|nic, input| {
        install(input, 0);
        let mut other = config(0);
        if let Link::Ethernet { vlan, .. } = &mut other.path.link {
            *vlan = Some(5);
        }
        other.rx.base = 1;
        let installed = input.install(ConnId(1), &other, Interval::NONE);
        installed.expect("another VLAN");
        feed(input, data(0, 0, 10));
        let on_vlan = wire::frame(0, ISN, ISN, ACK, &wire::stream(1, 0, 20));
        feed(input, tagged(on_vlan, 0xe005));
        feed(input, tagged(data(0, 0, 30), 6));
        let mut astray = data(0, 10, 40);
        astray[5] ^= 1;
        feed(input, astray.clone());
        let _ = input.fence(0);
        while nic.fences.lock().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!((received(nic, 0), received(nic, 1)), (10, 20));
        let strangers = nic.strangers.lock();
        assert_eq!(*strangers, [tagged(data(0, 0, 30), 6), astray]);
    });
}

#[test]
fn fence__after_what_entered_before() {
    each(|nic, input| {
        (0..CAPACITY).for_each(|n| install(input, n));
        for turn in 0..20 {
            (0..CAPACITY).for_each(|n| feed(input, data(n, turn * 50, 50)));
            input.fence(u64::from(turn)).expect("all threads alive");
            while nic.fences.lock().len() <= turn as usize {
                std::thread::yield_now();
            }
            for n in 0..CAPACITY {
                assert_eq!(received(nic, n), 50 * (turn as usize + 1));
            }
        }
        assert_eq!(*nic.fences.lock(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn limit__holds_one_connection_back_and_no_other() {
    const RATE: u64 = 1_000_000;
    each(|nic, input| {
        let limit = Interval::from_rate(RATE);
        let installed = input.install(ConnId(0), &config(0), limit);
        installed.expect("a good configuration");
        install(input, 1);
        let start = nic.now();
        write(input, 0, RING);
        write(input, 1, RING);
        input.settle().expect("all threads alive");
        let sent = |n: usize| -> usize {
            let seen = nic.hosts[n].seen.lock();
            seen.frames.iter().map(|f| wire::parse(f).1.len()).sum()
        };
        assert_eq!(sent(1), RING as usize);
        while sent(0) < RING as usize {
            input.flush();
            std::thread::yield_now();
        }
        let took = nic.hosts[0]
            .seen
            .lock()
            .last
            .expect("a segment")
            .since(start);
        let (last, slack) = (u64::from(RING) % u64::from(wire::MSS), 40);
        assert!(took.0 + slack >= (u64::from(RING) - last) * 1_000_000 / RATE);
        // The control plane lifts the limit.
        let lifted = input.request(ConnId(0), Request::Limit(Interval::NONE));
        lifted.expect("to be there");
    });
}

#[test]
fn frame__given_back_when_full() {
    each_of(&EXECUTORS[1..], |nic, input| {
        let gate = nic.gate.lock();
        let frame = |turn| wire::frame(60_000 - 10_000, turn, 0, ACK, &[]);
        let mut feed = |turn| input.frame(frame(turn), Checksum::Unverified).is_ok();
        let taken = (0..100_000).take_while(|&turn| feed(turn)).count();
        assert!(
            (100..100_000).contains(&taken),
            "{taken} frames are under way"
        );
        drop(gate);
        input.settle().expect("all threads alive");
        let strangers = nic.strangers.lock();
        assert_eq!(strangers.len(), taken);
        assert!(strangers.is_sorted_by_key(|frame| wire::parse(frame).0));
    });
}
