// SPDX-License-Identifier: GPL-2.0

//! Two devices, back to back, and a connection between them.

use super::{
    connection::{Connection, End},
    Guest, Queue,
};
use toe_nic::layout::{self, CONTEXT_PRIVILEGED};

/// One end: a host with a device, a context and a connection.
pub struct Side {
    pub guest: Guest,
    pub queue: Queue,
    pub connection: Connection,
}

impl Side {
    pub fn new(end: End) -> Self {
        Self::with(end, end.state(0, 0))
    }

    /// With a connection that begins as `state`.
    pub fn with(end: End, state: layout::Connection) -> Self {
        let mut guest = Guest::enabled_as(end.address());
        let queue = guest.create_context(0, CONTEXT_PRIVILEGED);
        let handle = guest.claim(&end.tuple(0));
        let connection = guest.install(handle, state);
        Self {
            guest,
            queue,
            connection,
        }
    }

    pub fn run(&mut self) {
        self.guest.run();
        self.guest.listen(&mut self.queue, &mut self.connection);
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.guest
            .send(&mut self.queue, &mut self.connection, bytes);
    }

    pub fn receive(&mut self) -> Vec<u8> {
        self.guest.receive(&mut self.queue, &mut self.connection)
    }

    pub fn post(&mut self, flags: u8) {
        self.guest.post(&mut self.queue, &self.connection, flags);
    }

    pub fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.guest.port.frames().sent)
    }

    pub fn arrive(&self, frames: Vec<Vec<u8>>) {
        self.guest.port.frames().arriving.extend(frames);
    }
}

pub fn pair() -> (Side, Side) {
    (Side::new(End::A), Side::new(End::B))
}

/// Lets both run until nothing is under way.
pub fn settle(a: &mut Side, b: &mut Side) {
    loop {
        a.run();
        b.run();
        let (from_a, from_b) = (a.sent(), b.sent());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        b.arrive(from_a);
        a.arrive(from_b);
    }
}

pub fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|n| {
            (n as u8)
                .wrapping_mul(31)
                .wrapping_add((n >> 8) as u8 ^ seed)
        })
        .collect()
}
