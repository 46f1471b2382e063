// SPDX-License-Identifier: GPL-2.0

//! A driver without a virtual machine: memory, and what a host does to registers, doorbell pages and rings.

#![allow(dead_code, reason = "Each test uses some of it")]

pub mod connection;
pub mod side;

use pipeline::Stages;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};
use toe_nic::{
    device::{Config, Nic, FEATURES},
    layout::{
        admin, control, doorbell, reg, status, AdminCommand, AdminCompletion, ContextSetup,
        Notification, PairSetup, NO_VECTOR, PAGE_SIZE, VERSION,
    },
    port::memory::MemoryPort,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

thread_local! {
    static STAGES: Cell<Stages> = const { Cell::new(Stages::Inline) };
}

/// Runs a test over an executor.
pub fn over(stages: &str, test: fn()) {
    STAGES.set(stages.parse().unwrap());
    test();
}

/// Makes tests of functions: each over every executor.
#[macro_export]
macro_rules! over_executors {
    ($($name:ident)+) => {
        over_executors!(inline "inline" $($name)+);
        over_executors!(pipelined "pipelined,pre=2,post=2,dma=2,groups=2" $($name)+);
    };
    ($executor:ident $stages:literal $($name:ident)+) => {
        mod $executor {
            $(#[test]
            fn $name() {
                $crate::guest::over($stages, super::$name);
            })+
        }
    };
}

/// Bytes of the guest's memory.
pub const MEMORY: u64 = 64 << 20;
/// Where it begins, as the device sees it.
pub const BASE: u64 = 0x1000_0000;
/// Entries of all rings.
pub const ENTRIES: u32 = 64;

/// The host of a device.
pub struct Guest {
    pub nic: Nic,
    pub port: MemoryPort,
    pub now: Instant,
    next: u64,
    admin: [u64; 3],
    admin_tail: u32,
    admin_head: u32,
    /// Events of the admin queue.
    pub events: Vec<AdminCompletion>,
}

/// A queue as the host knows it.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    pub number: u32,
    pub sq: u64,
    pub cq: u64,
    pub rq: u64,
    pub status: u64,
    pub sq_tail: u32,
    pub cq_head: u32,
    pub rq_tail: u32,
}

impl Guest {
    /// With a device that is not enabled.
    pub fn new(config: Config) -> Self {
        let port = MemoryPort::default();
        let config = Config {
            stages: STAGES.get(),
            ..config
        };
        let mut nic = Nic::new(config, Box::new(port.clone())).unwrap();
        let file = rustix::fs::memfd_create("guest", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, MEMORY).unwrap();
        nic.host.memory.map(file.into(), 0, BASE, MEMORY).unwrap();
        nic.host.memory.set_bus_master(true);
        Self {
            nic,
            port,
            now: Instant::now(),
            next: BASE,
            admin: [0; 3],
            admin_tail: 0,
            admin_head: 0,
            events: Vec::new(),
        }
    }

    /// With a device that is enabled.
    pub fn enabled() -> Self {
        Self::enabled_as(Config::default().mac)
    }

    /// With a device of this address that is enabled.
    pub fn enabled_as(mac: [u8; 6]) -> Self {
        let mut guest = Self::new(Config {
            mac,
            ..Config::default()
        });
        guest.enable(FEATURES);
        assert_eq!(guest.status() & status::READY, status::READY);
        guest
    }

    /// Zeroed memory, aligned to its size up to a megabyte.
    pub fn alloc(&mut self, size: u64) -> u64 {
        let align = size.next_power_of_two().clamp(64, 1 << 20);
        let address = self.next.next_multiple_of(align);
        self.next = address + size;
        assert!(self.next <= BASE + MEMORY);
        self.write_bytes(address, &vec![0; size as usize]);
        address
    }

    pub fn write<T: IntoBytes + Immutable>(&self, address: u64, value: &T) {
        self.write_bytes(address, value.as_bytes());
    }

    pub fn write_bytes(&self, address: u64, bytes: &[u8]) {
        self.nic.host.memory.write_bytes(address, bytes).unwrap();
    }

    pub fn read<T: FromBytes + IntoBytes>(&self, address: u64) -> T {
        self.nic.host.memory.read(address).unwrap()
    }

    pub fn read_bytes(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.nic
            .host
            .memory
            .read_bytes(address, &mut bytes)
            .unwrap();
        bytes
    }

    pub fn status(&mut self) -> u32 {
        self.nic.read_register(reg::STATUS)
    }

    pub fn ring_doorbell(&self, queue: u32, offset: u64, value: u32) {
        let at = u64::from(queue) * PAGE_SIZE + offset;
        self.nic.host.doorbells.store(at, value);
    }

    pub fn set_address(&mut self, low: u64, address: u64) {
        self.nic.write_register(low, address as u32);
        self.nic.write_register(low + 4, (address >> 32) as u32);
    }

    pub fn enable(&mut self, features: u64) {
        self.admin = [
            self.alloc(u64::from(ENTRIES) * 64),
            self.alloc(u64::from(ENTRIES) * 32),
            self.alloc(64),
        ];
        let [sq, cq, status] = self.admin;
        (self.admin_tail, self.admin_head) = (0, 0);
        self.nic.write_register(reg::VERSION_USED, VERSION);
        self.set_address(reg::FEATURES_USED_LO, features);
        self.set_address(reg::ADMIN_SQ_LO, sq);
        self.set_address(reg::ADMIN_CQ_LO, cq);
        self.set_address(reg::ADMIN_STATUS_LO, status);
        self.nic.write_register(reg::ADMIN_SQ_ENTRIES, ENTRIES);
        self.nic.write_register(reg::ADMIN_CQ_ENTRIES, ENTRIES);
        self.nic.write_register(reg::CONTROL, control::ENABLE);
    }

    /// Lets the device do all there is to do.
    pub fn run(&mut self) {
        for _ in 0..1000 {
            self.now += Duration::from_micros(1);
            if !self.nic.run(self.now).worked && !self.nic.settle() {
                return;
            }
        }
        panic!("the device doesn't come to rest");
    }

    /// Submits an admin command and waits for its completion.
    pub fn submit(&mut self, mut command: AdminCommand) -> AdminCompletion {
        let tag = self.admin_tail as u16;
        command.id = tag.into();
        let at = self.admin[0] + u64::from(self.admin_tail % ENTRIES) * 64;
        self.write(at, &command);
        self.admin_tail += 1;
        self.ring_doorbell(0, doorbell::SQ_TAIL, self.admin_tail);
        self.run();
        loop {
            let at = self.admin[1] + u64::from(self.admin_head % ENTRIES) * 32;
            let done: AdminCompletion = self.read(at);
            let phase = u8::from(self.admin_head / ENTRIES % 2 == 0);
            assert_eq!(done.phase & 1, phase, "no completion");
            self.admin_head += 1;
            self.ring_doorbell(0, doorbell::CQ_HEAD, self.admin_head);
            if done.kind == 0 {
                assert_eq!(done.id.get(), tag);
                return done;
            }
            self.events.push(done);
        }
    }

    /// Submits an admin command, whatever comes of it.
    pub fn submit_blindly(&mut self, command: &AdminCommand) {
        let at = self.admin[0] + u64::from(self.admin_tail % ENTRIES) * 64;
        self.write(at, command);
        self.admin_tail += 1;
        self.ring_doorbell(0, doorbell::SQ_TAIL, self.admin_tail);
        self.ring_doorbell(0, doorbell::CQ_HEAD, self.admin_tail - 1);
    }

    /// Submits a command with something to read, and room for what it writes; returns its status, value and output.
    pub fn command<T: IntoBytes + Immutable>(
        &mut self,
        op: u8,
        target: u32,
        input: &T,
        flags: u8,
    ) -> (u32, u32, Vec<u8>) {
        let from = self.alloc(512);
        self.write(from, input);
        let to = self.alloc(1024);
        let mut command = AdminCommand::zeroed();
        command.op = op;
        command.flags = flags;
        command.target = target.into();
        command.input = from.into();
        command.input_len = 512.into();
        command.output = to.into();
        command.output_len = 1024.into();
        let done = self.submit(command);
        let output = self.read_bytes(to, 1024);
        (done.status.get(), done.value[0].get(), output)
    }

    pub fn create_context(&mut self, id: u16, flags: u16) -> Queue {
        let queue = Queue {
            number: 1 + u32::from(id),
            sq: self.alloc(u64::from(ENTRIES) * 32),
            cq: self.alloc(u64::from(ENTRIES) * 64),
            rq: 0,
            status: self.alloc(64),
            sq_tail: 0,
            cq_head: 0,
            rq_tail: 0,
        };
        let mut setup = ContextSetup::zeroed();
        setup.sq = queue.sq.into();
        setup.cq = queue.cq.into();
        setup.status = queue.status.into();
        setup.sq_entries = ENTRIES.into();
        setup.cq_entries = ENTRIES.into();
        setup.vector = NO_VECTOR.into();
        setup.flags = flags.into();
        let (status, ..) = self.command(admin::CREATE_CONTEXT, id.into(), &setup, 0);
        assert_eq!(status, 0);
        queue
    }

    pub fn create_pair(&mut self, id: u16) -> Queue {
        let contexts = self.nic.config().contexts;
        let queue = Queue {
            number: 1 + u32::from(contexts) + u32::from(id),
            sq: self.alloc(u64::from(ENTRIES) * 32),
            rq: self.alloc(u64::from(ENTRIES) * 16),
            cq: self.alloc(u64::from(ENTRIES) * 32),
            status: self.alloc(64),
            sq_tail: 0,
            cq_head: 0,
            rq_tail: 0,
        };
        let mut setup = PairSetup::zeroed();
        setup.sq = queue.sq.into();
        setup.rq = queue.rq.into();
        setup.cq = queue.cq.into();
        setup.status = queue.status.into();
        setup.sq_entries = ENTRIES.into();
        setup.rq_entries = ENTRIES.into();
        setup.vector = NO_VECTOR.into();
        let (status, ..) = self.command(admin::CREATE_PAIR, id.into(), &setup, 0);
        assert_eq!(status, 0);
        queue
    }

    /// Submits an entry to a queue.
    pub fn push<T: IntoBytes + Immutable>(&mut self, queue: &mut Queue, entry: &T) {
        let size = size_of::<T>() as u64;
        self.write(queue.sq + u64::from(queue.sq_tail % ENTRIES) * size, entry);
        queue.sq_tail += 1;
        self.ring_doorbell(queue.number, doorbell::SQ_TAIL, queue.sq_tail);
    }

    /// Takes what the device has written to a queue's completion ring, entries of `size` bytes.
    fn take<T: FromBytes + IntoBytes>(&mut self, queue: &mut Queue) -> Option<T> {
        let size = size_of::<T>();
        let at = queue.cq + u64::from(queue.cq_head % ENTRIES) * size as u64;
        let bytes = self.read_bytes(at, size);
        let phase = u8::from(queue.cq_head / ENTRIES % 2 == 0);
        if bytes[size - 1] & 1 != phase {
            return None;
        }
        queue.cq_head += 1;
        self.ring_doorbell(queue.number, doorbell::CQ_HEAD, queue.cq_head);
        Some(T::read_from_bytes(&bytes).unwrap())
    }

    pub fn completions<T: FromBytes + IntoBytes>(&mut self, queue: &mut Queue) -> Vec<T> {
        std::iter::from_fn(|| self.take(queue)).collect()
    }

    pub fn notifications(&mut self, queue: &mut Queue) -> Vec<Notification> {
        self.completions(queue)
    }
}
