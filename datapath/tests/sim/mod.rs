// SPDX-License-Identifier: GPL-2.0

//! Two connections joined by an unreliable link, in virtual time: everything the data-path needs around it, done as
//! simply as possible.

mod host;
mod link;

pub use host::{Endpoint, Host};
pub use link::{Faults, Link};

use datapath::units::Micros;

/// A small, repeatable source of randomness (xorshift64*).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32) % n.max(1)
    }

    pub fn per_mille(&mut self, n: u32) -> bool {
        self.below(1000) < n
    }
}

/// Both hosts and the two directions between them.
pub struct World<const N: usize> {
    pub hosts: [Host<N>; 2],
    pub links: [Link; 2],
    pub now: Micros,
    pub rng: Rng,
}

impl<const N: usize> World<N> {
    pub fn new(ends: [Endpoint; 2], faults: Faults, seed: u64) -> Self {
        let now = Micros(1_000_000);
        Self {
            hosts: ends.map(|end| Host::new(end, now)),
            links: [Link::new(faults), Link::new(faults)],
            now,
            rng: Rng::new(seed),
        }
    }

    /// Runs until both streams are closed, or nothing can happen any more, or `limit` steps are done.
    pub fn run(&mut self, limit: usize) {
        for _ in 0..limit {
            for host in 0..2 {
                self.hosts[host].run_application(&mut self.rng, self.now);
            }
            if self.hosts.iter().all(Host::is_closed) {
                return;
            }
            self.carry();
            let arrival = self.links.iter().filter_map(Link::next).min();
            let timer = self
                .hosts
                .iter()
                .filter_map(|host| host.next_timer(self.now))
                .min();
            let Some(next) = [arrival, timer].into_iter().flatten().min() else {
                if self.hosts.iter().any(|host| host.application_can_act()) {
                    continue;
                }
                panic!("nothing left to happen: {:#?}", self.hosts);
            };
            self.now = self.now.max(next);
            for to in 0..2 {
                while let Some(packet) = self.links[to].arrive(self.now) {
                    self.hosts[to].receive(&packet, self.now);
                    self.carry();
                }
                self.hosts[to].run_timers(self.now);
            }
            self.carry();
        }
        panic!("not finished at {:?}: {:#?}", self.now, self.hosts);
    }

    /// Moves what hosts transmitted onto the links.
    fn carry(&mut self) {
        for from in 0..2 {
            for packet in std::mem::take(&mut self.hosts[from].sent) {
                self.links[1 - from].send(packet, self.now, &mut self.rng);
            }
        }
    }
}
