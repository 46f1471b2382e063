// SPDX-License-Identifier: GPL-2.0

//! The device: its registers, and what it does while it is enabled.

mod admin;
mod registers;
mod running;

pub use running::Progress;

use crate::{
    clock::Clock,
    frames::Batch,
    host::Host,
    layout::{feature, stat, Error, MIN_MAX_ENTRIES, PAGE_SIZE},
    offload::MAX_CONNECTIONS,
    port::{shape::Shape, EtherPort, MAX_FRAME},
    raw::QueueLimits,
};
use datapath::wire::ethernet::MacAddr;
use pipeline::Stages;
use registers::Registers;
use running::Running;
use std::{io, os::fd::BorrowedFd, sync::Arc, time::Instant};

/// What the model can do.
pub const FEATURES: u64 = feature::NPU
    | feature::IPV6
    | feature::SACK
    | feature::ECN
    | feature::VLAN
    | feature::RATE
    | feature::USER_CONTEXTS
    | feature::RX_CSUM
    | feature::TX_CSUM
    | feature::TSO
    | feature::RSS
    | feature::VLAN_OFFLOAD
    | feature::RX_FILTER;

/// How large the device is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Contexts.
    pub contexts: u16,
    /// Raw-frame queue pairs.
    pub pairs: u16,
    /// Connections.
    pub connections: u32,
    /// Interrupt vectors.
    pub vectors: u16,
    /// Most entries of a ring.
    pub entries: u32,
    /// Largest MTU.
    pub mtu: u32,
    /// The permanent address.
    pub mac: MacAddr,
    /// What the link claims to be, in Mbit/s.
    pub link_speed: u32,
    /// Which executor runs the data-path.
    pub stages: Stages,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            contexts: 32,
            pairs: 8,
            connections: 16384,
            vectors: 48,
            entries: 4096,
            mtu: 9000,
            mac: [2, 0x74, 0x6f, 0x65, 0, 1],
            link_speed: 100_000,
            stages: Stages::Inline,
        }
    }
}

impl Config {
    /// Queues, the admin queue included.
    pub fn queues(&self) -> u64 {
        1 + u64::from(self.contexts) + u64::from(self.pairs)
    }

    /// Bytes of BAR 0.
    pub fn registers_size(&self) -> u64 {
        ((1 + self.queues()) * PAGE_SIZE).next_power_of_two()
    }

    /// Bytes of BAR 2.
    pub fn doorbells_size(&self) -> u64 {
        (self.queues() * PAGE_SIZE).next_power_of_two()
    }

    /// Whether a device can be as large as that.
    pub fn check(&self) -> Result<(), String> {
        let check = |ok, message: &str| if ok { Ok(()) } else { Err(message.to_owned()) };
        check(
            (1..=1024).contains(&self.contexts),
            "1 to 1024 contexts are possible",
        )?;
        check(
            (1..=256).contains(&self.pairs),
            "1 to 256 queue pairs are possible",
        )?;
        check(
            (1..=MAX_CONNECTIONS).contains(&self.connections),
            "1 to 1048576 connections are possible",
        )?;
        check(
            (MIN_MAX_ENTRIES..=65536).contains(&self.entries) && self.entries.is_power_of_two(),
            "rings of up to 64, 128, 256... 65536 entries are possible",
        )?;
        check(
            (1..=128).contains(&self.vectors),
            "1 to 128 vectors are possible",
        )?;
        check(self.mac[0] & 1 == 0, "a MAC address is no group's")
    }
}

/// Why a received frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameDrop {
    /// It is longer than [`MAX_FRAME`].
    TooLong,
    /// The device is disabled, or fails by order.
    Disabled,
    /// Its address is none that the host listens to.
    Filtered,
    /// There is no raw-frame queue pair.
    NoPair,
    /// The host has not posted enough buffers, or not consumed what was completed.
    NoBuffer,
    /// Its queue pair was stopped for an error.
    PairStopped,
}

impl FrameDrop {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::TooLong, "too-long"),
        (Self::Disabled, "disabled"),
        (Self::Filtered, "filtered"),
        (Self::NoPair, "no-pair"),
        (Self::NoBuffer, "no-buffer"),
        (Self::PairStopped, "pair-stopped"),
    ];
}

/// The link and everything behind it.
struct Link {
    port: Box<dyn EtherPort>,
    up: bool,
    speed: u32,
    frame: Vec<u8>,
    stats: [u64; stat::CONNECTIONS],
    drops: [u64; FrameDrop::ALL.len()],
}

impl Link {
    /// Takes a frame that has arrived; returns its length.
    fn receive(&mut self) -> Option<usize> {
        loop {
            match self.port.receive(&mut self.frame) {
                Ok(len) => {
                    let len = len?;
                    if len > MAX_FRAME {
                        self.drop_received(FrameDrop::TooLong);
                        continue;
                    }
                    self.stats[stat::RX_FRAMES] += 1;
                    self.stats[stat::RX_BYTES] += len as u64;
                    return Some(len);
                }
                Err(_) => {
                    self.stats[stat::RX_ERRORS] += 1;
                    return None;
                }
            }
        }
    }

    /// Counts a frame that is dropped.
    fn drop_received(&mut self, why: FrameDrop) {
        self.drops[why as usize] += 1;
        match why {
            FrameDrop::TooLong => self.stats[stat::RX_ERRORS] += 1,
            FrameDrop::Disabled => {}
            FrameDrop::Filtered => self.stats[stat::RX_FILTERED] += 1,
            FrameDrop::NoPair | FrameDrop::NoBuffer | FrameDrop::PairStopped => {
                self.stats[stat::RX_NO_BUFFER] += 1;
            }
        }
    }

    /// Drops a frame that has arrived for a device that takes none; returns whether there was one.
    fn ignore(&mut self) -> bool {
        let arrived = self.receive().is_some();
        if arrived {
            self.drop_received(FrameDrop::Disabled);
        }
        arrived
    }

    fn send(&mut self, batch: &mut Batch) {
        for frame in batch.iter() {
            if self.port.send(frame).is_ok() {
                self.stats[stat::TX_FRAMES] += 1;
                self.stats[stat::TX_BYTES] += frame.len() as u64;
            } else {
                self.stats[stat::TX_DROPPED] += 1;
            }
        }
        batch.clear();
    }
}

/// How the device is made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It isn't.
    None,
    /// It does nothing until it is reset, but its registers answer.
    Hang,
    /// It is not on the bus any more.
    Gone,
    /// One in so many things that it tells the host is nonsense, until it is reset.
    Nonsense {
        /// Decides which.
        seed: u64,
        /// One in how many; not zero.
        one_in: u32,
    },
}

impl Fault {
    /// Whether the device does nothing.
    fn stops(self) -> bool {
        matches!(self, Self::Hang | Self::Gone)
    }
}

/// The device.
pub struct Nic {
    config: Config,
    /// What it has of its host.
    pub host: Host,
    registers: Registers,
    clock: Arc<Clock>,
    link: Link,
    running: Option<Running>,
    fault: Fault,
}

impl Nic {
    /// A device of the size of `config` with this port.
    pub fn new(config: Config, mut port: Box<dyn EtherPort>) -> io::Result<Self> {
        config.check().map_err(io::Error::other)?;
        let host = Host::new(config.doorbells_size(), config.vectors)?;
        let up = port.is_up();
        Ok(Self {
            registers: Registers::new(),
            clock: Arc::default(),
            link: Link {
                port,
                up,
                speed: config.link_speed,
                // Longer ones show by filling it.
                frame: vec![0; MAX_FRAME + 1],
                stats: [0; stat::CONNECTIONS],
                drops: [0; FrameDrop::ALL.len()],
            },
            running: None,
            fault: Fault::None,
            host,
            config,
        })
    }

    /// Its size.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What becomes readable when a frame arrives.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.link.port.readable()
    }

    /// Brings the device to the state after power-on.
    pub fn reset(&mut self) {
        if self.fault != Fault::Gone {
            self.fault = Fault::None;
        }
        self.host.nonsense.end();
        self.running = None;
        self.registers = Registers::new();
        self.clock = Arc::default();
        self.host.doorbells.clear();
    }

    /// Stops for an error of the admin queue, or of its own.
    fn fail(&mut self, error: Error) {
        self.running = None;
        match error {
            Error::Internal => self.registers.fail(error, 0),
            _ => self.registers.fail(Error::AdminQueue, error as u32),
        }
    }

    /// Waits until the data-path has nothing to do but what must wait for its time; returns whether something came of it
    /// for [`run`](Self::run) to do.
    pub fn settle(&mut self) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        running.settle().unwrap_or_else(|error| {
            self.fail(error);
            true
        })
    }

    fn limits(&self) -> QueueLimits {
        QueueLimits {
            entries: self.config.entries,
            mtu: self.config.mtu as usize,
        }
    }

    /// Makes the device fail, or fail no longer. One that comes back to the bus has been reset.
    pub fn set_fault(&mut self, fault: Fault) {
        if self.fault == Fault::Gone || fault == Fault::Gone {
            self.reset();
        }
        self.fault = fault;
        match fault {
            Fault::Nonsense { seed, one_in } => self.host.nonsense.begin(seed, one_in),
            _ => self.host.nonsense.end(),
        }
    }

    /// Gives the link a shape.
    pub fn set_shape(&mut self, shape: &Shape) {
        self.link.port.set_shape(shape);
    }

    /// How the device fails at the moment.
    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// Does some of what there is to do.
    pub fn run(&mut self, now: Instant) -> Progress {
        let mut progress = self.run_once(now);
        let due = self.link.port.tick(now);
        progress.deadline = [progress.deadline, due].into_iter().flatten().min();
        progress
    }

    fn run_once(&mut self, now: Instant) -> Progress {
        if self.fault.stops() {
            return Progress::new(self.link.ignore());
        }
        self.link.up = self.link.port.is_up();
        let Some(running) = &mut self.running else {
            return Progress::new(self.link.ignore());
        };
        match running.run(&self.host, &mut self.link, &self.clock, now) {
            Ok(progress) => progress,
            Err(error) => {
                self.fail(error);
                Progress::new(true)
            }
        }
    }

    /// Asks to be kicked at all queues, before sleeping; `false` if there is something to do already.
    pub fn prepare_sleep(&mut self) -> bool {
        self.link.port.rest();
        match &mut self.running {
            Some(running) if !self.fault.stops() => running.prepare_sleep(&self.host),
            _ => true,
        }
    }

    /// Looks at the doorbell pages again.
    pub fn wake(&mut self) {
        if let (Some(running), false) = (&mut self.running, self.fault.stops()) {
            running.wake(&self.host);
        }
    }

    /// Received frames that were dropped, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        FrameDrop::ALL
            .iter()
            .map(|(why, name)| (*name, self.link.drops[*why as usize]))
    }

    /// Everything that the interface counts.
    pub fn statistics(&self) -> [u64; stat::END] {
        match &self.running {
            Some(running) => running.statistics(&self.host, &self.link),
            None => {
                let mut values = [0; stat::END];
                values[..self.link.stats.len()].copy_from_slice(&self.link.stats);
                values
            }
        }
    }
}
