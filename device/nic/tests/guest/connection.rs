// SPDX-License-Identifier: GPL-2.0

//! Connections as a host has them.

use super::{Guest, Queue};
use toe_nic::layout::{
    self, admin, command, conn, notify, Command, ConnectionRead, Install, RecordCopy,
};
use zerocopy::FromBytes;

/// Bytes of each ring.
pub const RING: u32 = 64 << 10;
const PAGE_SHIFT: u8 = 14;

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub handle: u32,
    pub record: u64,
    rx_pages: Vec<u64>,
    tx_pages: Vec<u64>,
    pub rx_head: u32,
    pub rx_tail: u32,
    pub tx_head: u32,
    pub tx_tail: u32,
    pub events: u16,
    pub waits: u8,
    pub stopped: Option<u32>,
}

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    A,
    B,
}

fn mac(end: End) -> [u8; 6] {
    [2, 0x74, 0x6f, 0x65, 0, if end == End::A { 1 } else { 2 }]
}

impl End {
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub fn address(self) -> [u8; 6] {
        mac(self)
    }

    /// The tuple of connection `number`.
    pub fn tuple(self, number: u16) -> layout::Tuple {
        let mut tuple = layout::Tuple::zeroed();
        let port = |end| if end == Self::A { 10_000 + number } else { 80 };
        let ip = |end| [10, 0, 0, if end == Self::A { 1 } else { 2 }];
        tuple.local[..4].copy_from_slice(&ip(self));
        tuple.remote[..4].copy_from_slice(&ip(self.other()));
        tuple.local_port = port(self).into();
        tuple.remote_port = port(self.other()).into();
        tuple
    }

    /// The state of an end of connection `number` that was just established.
    pub fn state(self, number: u16, context: u16) -> layout::Connection {
        let isn = |end| {
            if end == Self::A {
                u32::MAX - 1000
            } else {
                7000
            }
        };
        let mut c = layout::Connection::zeroed();
        c.tuple = self.tuple(number);
        c.path.destination = mac(self.other());
        c.path.source = mac(self);
        c.path.ttl = 64;
        c.path.mss = 1448.into();
        c.flags = (conn::TIMESTAMPS | conn::SACK | conn::NODELAY).into();
        c.cwnd = 100_000.into();
        for field in [&mut c.snd_una, &mut c.snd_nxt, &mut c.snd_max] {
            *field = isn(self).into();
        }
        c.rcv_nxt = isn(self.other()).into();
        c.snd_wl1 = c.rcv_nxt;
        c.snd_wnd = RING.into();
        c.snd_max_wnd = RING.into();
        c.rcv_wnd = RING.into();
        (c.snd_scale, c.rcv_scale) = (7, 7);
        (c.rx_size, c.tx_size) = (RING.into(), RING.into());
        c.cookie = (0xc00c_1e00_0000_0000 + u64::from(number)).into();
        c.context = context.into();
        c.control = context.into();
        c
    }
}

impl Guest {
    fn pages(&mut self) -> (u64, Vec<u64>) {
        let count = RING >> PAGE_SHIFT;
        let mut pages: Vec<u64> = (0..count).map(|_| self.alloc(1 << PAGE_SHIFT)).collect();
        // In no order.
        pages.reverse();
        let list = self.alloc(u64::from(count) * 8);
        for (n, page) in pages.iter().enumerate() {
            self.write(list + n as u64 * 8, page);
        }
        (list, pages)
    }

    pub fn claim(&mut self, tuple: &layout::Tuple) -> u32 {
        let (status, handle, _) = self.command(admin::CLAIM, 0, tuple, 0);
        assert_eq!(status, 0);
        assert_ne!(handle, 0);
        handle
    }

    /// What installs a claim, with memory for it.
    pub fn prepare(&mut self, handle: u32, state: layout::Connection) -> (Install, Connection) {
        let (rx_list, rx_pages) = self.pages();
        let (tx_list, tx_pages) = self.pages();
        let mut install = Install::zeroed();
        install.connection = state;
        install.rx_pages = rx_list.into();
        install.tx_pages = tx_list.into();
        install.rx_page_shift = PAGE_SHIFT;
        install.tx_page_shift = PAGE_SHIFT;
        let record = self.alloc(512);
        install.record = record.into();
        let connection = Connection {
            handle,
            record,
            rx_pages,
            tx_pages,
            rx_head: state.rx_head.get(),
            rx_tail: state.rx_tail.get(),
            tx_head: state.tx_head.get(),
            tx_tail: state.tx_tail.get(),
            events: 0,
            waits: 0,
            stopped: None,
        };
        (install, connection)
    }

    pub fn install(&mut self, handle: u32, state: layout::Connection) -> Connection {
        let (install, connection) = self.prepare(handle, state);
        let (status, ..) = self.command(admin::INSTALL, handle, &install, 0);
        assert_eq!(status, 0);
        connection
    }

    /// The full state of a connection, by READ, QUIESCE or REMOVE.
    pub fn state(&mut self, op: u8, handle: u32, flags: u8) -> Result<ConnectionRead, u32> {
        let (status, _, output) = self.command(op, handle, &0u8, flags);
        if status != 0 {
            return Err(status);
        }
        Ok(ConnectionRead::read_from_prefix(&output).unwrap().0)
    }

    /// The valid copy of a record.
    pub fn record(&self, connection: &Connection) -> RecordCopy {
        let copies: Vec<RecordCopy> = (0..2)
            .map(|n| self.read(connection.record + n * 128))
            .filter(|copy: &RecordCopy| copy.begin == copy.end && copy.begin.get() != 0)
            .collect();
        *copies
            .iter()
            .max_by(|a, b| (a.begin.get().wrapping_sub(b.begin.get()) as i32).cmp(&0))
            .expect("no copy is whole")
    }

    /// Appends to the transmit ring, and submits that.
    pub fn send(&mut self, queue: &mut Queue, connection: &mut Connection, bytes: &[u8]) {
        for byte in bytes {
            let offset = connection.tx_tail & (RING - 1);
            let page = connection.tx_pages[(offset >> PAGE_SHIFT) as usize];
            let within = u64::from(offset & ((1 << PAGE_SHIFT) - 1));
            self.write_bytes(page + within, &[*byte]);
            connection.tx_tail = connection.tx_tail.wrapping_add(1);
        }
        self.post(queue, connection, 0);
    }

    pub fn post(&mut self, queue: &mut Queue, connection: &Connection, flags: u8) {
        let mut command = simple(command::POST, connection.handle, connection.tx_tail);
        command.flags = flags;
        command.data[4..8].copy_from_slice(&connection.rx_head.to_le_bytes());
        self.push(queue, &command);
    }

    /// Takes in what the device says.
    pub fn listen(&mut self, queue: &mut Queue, connection: &mut Connection) {
        for n in self.notifications(queue) {
            assert_eq!(n.connection.get(), connection.handle);
            connection.rx_tail = n.rx_tail.get();
            connection.tx_head = n.tx_head.get();
            connection.events |= n.events.get();
            connection.waits |= n.waits;
            if n.kind == notify::STOPPED {
                connection.stopped = Some(u32::from_le_bytes(*n.data.first_chunk().unwrap()));
            }
        }
    }

    /// Reads what can be read, and submits that.
    pub fn receive(&mut self, queue: &mut Queue, connection: &mut Connection) -> Vec<u8> {
        let mut bytes = Vec::new();
        while connection.rx_head != connection.rx_tail {
            let offset = connection.rx_head & (RING - 1);
            let page = connection.rx_pages[(offset >> PAGE_SHIFT) as usize];
            let within = u64::from(offset & ((1 << PAGE_SHIFT) - 1));
            bytes.extend(self.read_bytes(page + within, 1));
            connection.rx_head = connection.rx_head.wrapping_add(1);
        }
        if !bytes.is_empty() {
            self.post(queue, connection, 0);
        }
        bytes
    }
}

/// A command with one word of data.
pub fn simple(op: u8, handle: u32, word: u32) -> Command {
    let mut command = Command::zeroed();
    command.op = op;
    command.connection = handle.into();
    command.data[..4].copy_from_slice(&word.to_le_bytes());
    command
}
