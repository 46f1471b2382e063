// SPDX-License-Identifier: GPL-2.0

//! What the device has of its host: memory, doorbell pages, interrupts.

use crate::{
    layout::NO_VECTOR,
    memory::{Doorbells, Memory},
};
use std::{fs::File, io};

/// MSI-X vectors, each an eventfd once the host has set it up.
pub struct Vectors(Vec<Option<File>>);

impl Vectors {
    /// `count` vectors that nobody listens to.
    pub fn new(count: u16) -> Self {
        Self((0..count).map(|_| None).collect())
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.0.len() as u16
    }

    /// Whether an interrupt of a queue may be `vector`.
    pub fn valid(&self, vector: u16) -> bool {
        vector == NO_VECTOR || usize::from(vector) < self.0.len()
    }

    /// Has `vector` signalled by writing to `eventfd`.
    pub fn set(&mut self, vector: usize, eventfd: Option<File>) {
        if let Some(place) = self.0.get_mut(vector) {
            *place = eventfd;
        }
    }

    /// Has no vector signalled any more.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|place| *place = None);
    }

    /// Raises an interrupt.
    pub fn raise(&self, vector: u16) {
        if let Some(Some(eventfd)) = self.0.get(usize::from(vector)) {
            // It can only fail if the counter is full, and then the interrupt is raised already.
            let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
        }
    }
}

/// What the device has of its host.
pub struct Host {
    /// Its memory.
    pub memory: Memory,
    /// The doorbell pages.
    pub doorbells: Doorbells,
    /// The interrupts.
    pub vectors: Vectors,
}

impl Host {
    /// Doorbell pages of `doorbells` bytes, `vectors` interrupts, no memory.
    pub fn new(doorbells: u64, vectors: u16) -> io::Result<Self> {
        Ok(Self {
            memory: Memory::default(),
            doorbells: Doorbells::new(doorbells)?,
            vectors: Vectors::new(vectors),
        })
    }
}
