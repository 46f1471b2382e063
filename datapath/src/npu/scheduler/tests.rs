// SPDX-License-Identifier: GPL-2.0

use super::{Flow, Interval, Scheduler, Slot};
use crate::units::{Bytes, Micros};
use proptest::prelude::*;
use std::vec::Vec;

const SLOT: u64 = 8;
const SLOTS: usize = 16;
const FLOWS: usize = 6;

type Wheel = Scheduler<[Flow; FLOWS], [Slot; SLOTS]>;

fn wheel(now: u64) -> Wheel {
    Scheduler::new([Flow::NEW; FLOWS], [Slot::NEW; SLOTS], 3, Micros(now)).unwrap()
}

/// Serves a flow `len` bytes.
fn serve(wheel: &mut Wheel, len: u32, now: u64) -> Option<u32> {
    let id = wheel.next(Micros(now))?;
    wheel.sent(id, Bytes(len), Micros(now));
    Some(id)
}

#[test]
fn new__needs_a_power_of_two() {
    let make = |slots| Scheduler::new([Flow::NEW; 1], vec![Slot::NEW; slots], 3, Micros(0));
    assert!(make(8).is_some());
    assert!(make(12).is_none());
    assert!(make(0).is_none());
}

#[test]
fn from_rate__divides_and_saturates() {
    let time = |rate, len| Interval::from_rate(rate).of(Bytes(len)).ceil();
    assert_eq!(time(1_000_000, 1500), Micros(1500));
    assert_eq!(time(12_500_000_000, 1 << 20), Micros(84));
    assert!(Interval::from_rate(u64::MAX).is_limited());
    assert_eq!(Interval::from_rate(0), Interval::from_rate(1));
}

#[test]
fn next__round_robin_without_limits() {
    let mut wheel = wheel(1000);
    for id in [3, 1, 4] {
        wheel.activate(id, Micros(1000));
        wheel.activate(id, Micros(1000));
    }
    let served: Vec<_> = (0..7)
        .filter_map(|_| serve(&mut wheel, 100, 1000))
        .collect();
    assert_eq!(served, [3, 1, 4, 3, 1, 4, 3]);
}

#[test]
fn idle__leaves_until_activated() {
    let mut wheel = wheel(0);
    wheel.activate(2, Micros(0));
    let id = wheel.next(Micros(0)).unwrap();
    wheel.idle(id);
    assert_eq!(wheel.next(Micros(0)), None);
    assert_eq!(wheel.next_due(), None);
    wheel.activate(2, Micros(0));
    assert_eq!(wheel.next(Micros(0)), Some(2));
}

#[test]
fn limit__spaces_segments_and_leaves_others_alone() {
    let mut wheel = wheel(1000);
    // A byte per microsecond.
    wheel.set_interval(0, Interval::from_rate(1_000_000), Micros(1000));
    wheel.activate(0, Micros(1000));
    assert_eq!(serve(&mut wheel, 64, 1000), Some(0));
    assert_eq!(wheel.next_due(), Some(Micros(1000 + 64 - 2 * SLOT)));
    wheel.activate(1, Micros(1000));
    assert_eq!(serve(&mut wheel, 64, 1001), Some(1));
    assert_eq!(serve(&mut wheel, 64, 1002), Some(1));
    assert_eq!(serve(&mut wheel, 64, 1048), Some(1));
    assert_eq!(serve(&mut wheel, 64, 1048), Some(0));
}

#[test]
fn limit__beyond_the_wheel() {
    let mut wheel = wheel(0);
    wheel.set_interval(0, Interval::from_rate(1_000_000), Micros(0));
    wheel.activate(0, Micros(0));
    assert_eq!(serve(&mut wheel, 10_000, 0), Some(0));
    let mut now = 0;
    while wheel.next(Micros(now)).is_none() {
        now = wheel.next_due().unwrap().0;
    }
    assert_eq!(now, 10_000);
}

#[test]
fn set_interval__applies_to_who_waits() {
    let mut wheel = wheel(0);
    wheel.set_interval(0, Interval::from_rate(1000), Micros(0));
    wheel.activate(0, Micros(0));
    assert_eq!(serve(&mut wheel, 1000, 0), Some(0));
    assert_eq!(wheel.next(Micros(100)), None);
    wheel.set_interval(0, Interval::from_rate(100_000_000), Micros(100));
    assert_eq!(serve(&mut wheel, 1, 100), Some(0));
    wheel.set_interval(0, Interval::from_rate(1000), Micros(100));
    wheel.set_interval(0, Interval::NONE, Micros(100));
    assert_eq!(serve(&mut wheel, 1, 100), Some(0));
}

#[test]
fn remove__from_everywhere() {
    let mut wheel = wheel(0);
    for id in 0..4 {
        wheel.activate(id, Micros(0));
    }
    wheel.remove(1);
    wheel.set_interval(0, Interval::from_rate(1_000_000), Micros(0));
    assert_eq!(serve(&mut wheel, 100, 0), Some(0));
    wheel.remove(0);
    assert_eq!(wheel.next(Micros(0)), Some(2));
    wheel.remove(2);
    wheel.sent(2, Bytes(1), Micros(0));
    assert_eq!(wheel.next(Micros(1000)), Some(3));
    wheel.idle(3);
    assert_eq!(wheel.next(Micros(1000)), None);
    assert_eq!(wheel.next_due(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Activate(u32),
    Limit(u32, u64),
    Remove(u32),
    Pass(u64),
    /// Asks for the next flow, which sends so much, or has nothing to send.
    Next(Option<u32>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || 0..FLOWS as u32;
    let rate = prop_oneof![Just(0), 4000..1_000_000_000u64];
    let time = prop_oneof![0..20u64, 0..2000u64];
    let sent = prop_oneof![1 => Just(None), 3 => (1..66_000u32).prop_map(Some)];
    let step = prop_oneof![
        2 => id().prop_map(Step::Activate),
        1 => (id(), rate).prop_map(|(id, rate)| Step::Limit(id, rate)),
        1 => id().prop_map(Step::Remove),
        3 => time.prop_map(Step::Pass),
        6 => sent.prop_map(Step::Next),
    ];
    prop::collection::vec(step, 0..200)
}

/// What a flow should do, by exact arithmetic.
#[derive(Clone, Copy, Default)]
struct Expected {
    active: bool,
    /// Bytes per second; 0 is no limit.
    rate: u64,
    sent_at: f64,
    sent: u32,
    /// The limit changed since it was served last: it may have been ready before.
    changed: bool,
    /// Others served since it became ready.
    passed_over: usize,
}

impl Expected {
    fn due(&self) -> f64 {
        let interval = match self.rate {
            0 => 0.0,
            rate => 1e6 / rate as f64,
        };
        self.sent_at + f64::from(self.sent) * interval
    }

    /// How far intervals' rounding may lead astray.
    fn tolerance(&self) -> f64 {
        (self.due() - self.sent_at) / 100.0
    }
}

proptest! {
    #[test]
    fn steps__never_early_never_forgotten_never_starved(steps in steps()) {
        let mut now = 5000;
        let mut wheel = wheel(now);
        let mut flows = [Expected::default(); FLOWS];
        for step in steps {
            match step {
                Step::Activate(id) => {
                    wheel.activate(id, Micros(now));
                    flows[id as usize].active = true;
                }
                Step::Limit(id, rate) => {
                    let interval = if rate == 0 { Interval::NONE } else { Interval::from_rate(rate) };
                    wheel.set_interval(id, interval, Micros(now));
                    flows[id as usize].rate = rate;
                    flows[id as usize].changed = true;
                }
                Step::Remove(id) => {
                    wheel.remove(id);
                    flows[id as usize] = Expected::default();
                }
                Step::Pass(time) => now += time,
                Step::Next(sent) => match wheel.next(Micros(now)) {
                    None => {
                        for (id, flow) in flows.iter().enumerate().filter(|(_, flow)| flow.active) {
                            let late = now as f64 - flow.due();
                            let tolerated = 2.0 + SLOT as f64 + flow.tolerance();
                            prop_assert!(flow.rate != 0 && late < tolerated, "flow {} waits {} too long", id, late);
                        }
                    }
                    Some(id) => {
                        let flow = &mut flows[id as usize];
                        prop_assert!(flow.active);
                        flow.passed_over = 0;
                        let early = flow.due() - now as f64;
                        let in_time = flow.rate == 0 || flow.changed || early < 1.0 + flow.tolerance();
                        prop_assert!(in_time, "flow {} is {} early", id, early);
                        flow.changed = false;
                        match sent {
                            Some(len) => {
                                flow.sent_at = flow.due().max((now - 2 * SLOT) as f64);
                                flow.sent = len;
                                wheel.sent(id, Bytes(len), Micros(now));
                            }
                            None => {
                                flow.active = false;
                                wheel.idle(id);
                            }
                        }
                        for (other, flow) in flows.iter_mut().enumerate() {
                            if other as u32 != id && flow.active && flow.rate == 0 {
                                flow.passed_over += 1;
                                prop_assert!(flow.passed_over < 2 * FLOWS, "flow {} starves", other);
                            }
                        }
                    }
                },
            }
        }
    }

    #[test]
    fn limit__kept_however_often_asked(
        rate in 10_000..10_000_000_000u64,
        lens in prop::collection::vec(1..66_000u32, 1..20),
        pauses in prop::collection::vec(0..3 * SLOT, 1..20),
    ) {
        let start = 77_777;
        let mut wheel = wheel(start);
        wheel.set_interval(5, Interval::from_rate(rate), Micros(start));
        wheel.activate(5, Micros(start));
        wheel.activate(0, Micros(start));
        let (mut now, mut sent) = (start, 0u64);
        let (mut lens, mut pauses) = (lens.iter().cycle(), pauses.iter().cycle());
        for _ in 0..2000 {
            now += pauses.next().unwrap();
            let ready: Vec<_> = core::iter::from_fn(|| wheel.next(Micros(now))).collect();
            for id in ready {
                let len = *lens.next().unwrap();
                sent += if id == 5 { u64::from(len) } else { 0 };
                wheel.sent(id, Bytes(len), Micros(now));
            }
            let allowed = rate as f64 / 1e6 * (now - start + 2 * SLOT) as f64 * 1.001 + 66_000.0;
            prop_assert!(sent as f64 <= allowed, "{} bytes sent, {} allowed", sent, allowed);
        }
        // A flow asked for every slot gets its rate, unless a segment takes longer than the pauses between questions.
        let asked = rate as f64 / 1e6 * (now - start) as f64;
        if rate < 30_000_000 {
            prop_assert!(sent as f64 >= asked * 0.99 - 66_000.0, "{} bytes sent, {} asked for", sent, asked);
        }
    }
}
