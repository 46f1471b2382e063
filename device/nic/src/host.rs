// SPDX-License-Identifier: GPL-2.0

//! What the device has of its host: memory, doorbell pages, interrupts.

use crate::{
    layout::NO_VECTOR,
    memory::{Doorbells, HostMemory},
    nonsense::Nonsense,
};
use rustix::event::{eventfd, EventfdFlags};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
};

/// MSI-X vectors, each an eventfd once the host has set it up.
pub struct Vectors {
    eventfds: Vec<Option<File>>,
    raised: AtomicU64,
}

impl Vectors {
    /// `count` vectors that nobody listens to.
    pub fn new(count: u16) -> Self {
        Self {
            eventfds: (0..count).map(|_| None).collect(),
            raised: AtomicU64::new(0),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.eventfds.len() as u16
    }

    /// Whether an interrupt of a queue may be `vector`.
    pub fn valid(&self, vector: u16) -> bool {
        vector == NO_VECTOR || usize::from(vector) < self.eventfds.len()
    }

    /// Has `vector` signalled by writing to `eventfd`.
    pub fn set(&mut self, vector: usize, eventfd: Option<File>) {
        if let Some(place) = self.eventfds.get_mut(vector) {
            *place = eventfd;
        }
    }

    /// Has no vector signalled any more.
    pub fn clear(&mut self) {
        self.eventfds.iter_mut().for_each(|place| *place = None);
    }

    /// How many interrupts were raised.
    pub fn raised(&self) -> u64 {
        self.raised.load(Ordering::Relaxed)
    }

    /// Raises an interrupt.
    pub fn raise(&self, vector: u16) {
        if let Some(Some(eventfd)) = self.eventfds.get(usize::from(vector)) {
            self.raised.fetch_add(1, Ordering::Relaxed);
            // It can only fail if the counter is full, and then the interrupt is raised already.
            let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
        }
    }
}

/// Wakes the thread that runs the device.
pub struct Wakeup {
    eventfd: OwnedFd,
    asleep: AtomicBool,
}

impl Wakeup {
    fn new() -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Self {
            eventfd: eventfd(0, flags)?,
            asleep: AtomicBool::new(false),
        })
    }

    /// Says that the thread is about to look for the last time before it sleeps, or that it doesn't sleep any more.
    pub fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::SeqCst);
    }

    /// There is something to do: wakes the thread if it sleeps.
    #[inline]
    pub fn notify(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Ends a sleep, or the next one.
    pub fn wake(&self) {
        // It can only fail if the counter is full, and then the thread will wake anyway.
        let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
    }

    /// What becomes readable.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// Forgets what it was woken for.
    pub fn clear(&self) {
        let _ = rustix::io::read(&self.eventfd, &mut [0; 8]);
    }
}

/// What the device has of its host.
pub struct Host {
    /// Its memory.
    pub memory: HostMemory,
    /// The doorbell pages.
    pub doorbells: Doorbells,
    /// The interrupts.
    pub vectors: Vectors,
    /// How often it kicked a queue.
    pub kicks: Arc<AtomicU64>,
    /// Wakes the thread that runs the device.
    pub wakeup: Arc<Wakeup>,
    /// What it is told wrongly.
    pub nonsense: Nonsense,
}

impl Host {
    /// Doorbell pages of `doorbells` bytes, `vectors` interrupts, no memory.
    pub fn new(doorbells: u64, vectors: u16) -> io::Result<Self> {
        Ok(Self {
            memory: HostMemory::default(),
            doorbells: Doorbells::new(doorbells)?,
            vectors: Vectors::new(vectors),
            kicks: Arc::default(),
            wakeup: Arc::new(Wakeup::new()?),
            nonsense: Nonsense::default(),
        })
    }
}
