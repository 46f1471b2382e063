// SPDX-License-Identifier: GPL-2.0

//! All stages to completion on the caller's thread.

use crate::nic::{Nic, Stage};
use crate::stage::protocol::Group;
use crate::stage::{dma, exit, post, pre};
use crate::table::Table;
use crate::work::{Delivery, Effect, Entry, Passed};
use datapath::units::Micros;
use parking_lot::RwLock;
use std::sync::Arc;

/// Segments transmitted at once, before what else has arrived gets its turn.
const TURN: usize = 64;

/// The inline executor.
pub(crate) struct Inline<N: Nic> {
    group: Group,
    effects: Vec<Effect<N::Frame>>,
    deliveries: Vec<Delivery<N>>,
}

impl<N: Nic> Inline<N> {
    /// For connections numbered below `capacity`.
    pub(crate) fn new(nic: &N, table: &Arc<RwLock<Table>>, capacity: usize) -> Self {
        Self {
            group: Group::new(Arc::clone(table), capacity, N::RECORDS, nic.now()),
            effects: Vec::new(),
            deliveries: Vec::new(),
        }
    }

    /// Processes what entered, and transmits what may be transmitted.
    pub(crate) fn run(&mut self, nic: &N, table: &RwLock<Table>, entry: Entry<N::Frame>) {
        nic.enter(Stage::Pre);
        let job = pre::run(nic, &table.read(), entry);
        nic.enter(Stage::Protocol);
        let now = nic.now();
        self.group.run(job, now, &mut self.effects);
        self.transmit(nic, now);
    }

    /// Transmits what is due; says when to ask again.
    pub(crate) fn transmit(&mut self, nic: &N, now: Micros) -> Option<Micros> {
        let turns = (0..TURN).take_while(|_| self.group.transmit(now, &mut self.effects));
        turns.for_each(|_| nic.enter(Stage::Protocol));
        self.finish(nic);
        self.group.next_due()
    }

    /// Runs the other stages, each for everything.
    fn finish(&mut self, nic: &N) {
        for effect in self.effects.drain(..) {
            nic.enter(Stage::Post);
            let Some(transfer) = post::run(effect) else {
                continue;
            };
            nic.enter(Stage::Dma);
            self.deliveries.push(dma::run(nic, transfer));
        }
        for (conn, proto) in self.group.records() {
            exit::run(nic, Delivery::Passed(Passed::Record(conn, proto)));
        }
        for delivery in self.deliveries.drain(..) {
            nic.enter(Stage::Exit);
            exit::run(nic, delivery);
        }
    }
}
