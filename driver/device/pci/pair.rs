// SPDX-License-Identifier: GPL-2.0
//! Pairs of raw-frame queues: what the kernel's own network stack sends and receives by.

use super::{
    fault::Fault,
    nic::Nic,
    queue::{Status, Submission},
    registers::{Bell, QueueNumber, NO_INTERRUPT},
    Request,
};
use crate::{
    driver::device::counters::Counter,
    net::{
        context::{new_bh_spinlock, BhDisabled, BhSpinLock},
        device_abi::{self as abi, PairSetup, RxBuffer, RxCompletion, TxDescriptor},
        dma::{full_barrier, DmaMemory, MappedPacket, Ring},
        netdev::{Netdev, Poll, RingSizes, RxChecksum, RxFrame},
        skbuff::SkBuff,
    },
};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::{
        atomic::{Atomic, Release},
        Arc,
    },
};

/// What a pair counts.
pub(super) struct Counters {
    pub(super) rx_packets: Counter,
    pub(super) rx_bytes: Counter,
    pub(super) rx_errors: Counter,
    pub(super) rx_dropped: Counter,
    pub(super) tx_packets: Counter,
    pub(super) tx_bytes: Counter,
    pub(super) tx_dropped: Counter,
}

/// Frames on their way out.
struct Transmit {
    sq: Submission<TxDescriptor>,
    /// The packets of the descriptors, each beside its last one.
    packets: KVVec<Option<MappedPacket>>,
    /// The stack was told to wait.
    stopped: bool,
}

/// Frames on their way in.
struct Receive {
    rq: Ring<RxBuffer>,
    cq: Ring<RxCompletion>,
    /// The next completion.
    head: u32,
    /// What there is of a frame that goes on in the next buffer.
    begun: Option<Begun>,
}

impl Receive {
    /// Where the buffer of index `index` lies.
    #[inline]
    fn offset(&self, index: u32) -> usize {
        (index & (self.rq.entries() - 1)) as usize * Pair::BUFFER
    }
}

/// The beginning of a frame.
struct Begun {
    first: RxCompletion,
    /// Index of its first buffer.
    index: u32,
    /// Bytes so far.
    len: usize,
}

/// What the device may say of a frame, of the features that this driver uses.
const RX_FLAGS: u16 = abi::RX_END | abi::RX_CSUM_OK | abi::RX_CSUM_BAD;

/// A pair of raw-frame queues.
#[pin_data]
pub(super) struct Pair {
    nic: Arc<Nic>,
    number: u16,
    queue: QueueNumber,
    vector: u16,
    /// One after the other, as many as the rings can have entries.
    buffers: DmaMemory,
    status: Status,
    #[pin]
    transmit: BhSpinLock<Transmit>,
    #[pin]
    receive: BhSpinLock<Receive>,
    /// Times that polling has come to an end.
    rounds: Atomic<u32>,
    pub(super) counters: Counters,
}

impl Pair {
    /// Bytes of a receive buffer. Larger frames lie in several.
    const BUFFER: usize = 2048;

    /// Descriptors of the largest packet.
    const MAX_DESCRIPTORS: u32 = MappedPacket::MAX_PIECES as u32;

    /// Fewest entries of a ring: room for more than the largest packet.
    const MIN_ENTRIES: u32 = abi::MIN_MAX_ENTRIES;

    /// The pair `number`, with rings of up to `entries`, which interrupts by `vector`. It is the device's after
    /// [`open`](Self::open) only.
    pub(super) fn new(
        nic: Arc<Nic>,
        dev: &Device<Bound>,
        number: u16,
        vector: u16,
        entries: u32,
    ) -> Result<Arc<Self>> {
        let queue = nic.pair_queue(number);
        let mut packets = KVVec::with_capacity(entries as usize, GFP_KERNEL)?;
        for _ in 0..entries {
            packets.push(None, GFP_KERNEL)?;
        }
        let transmit = Transmit {
            sq: Submission::new(dev, entries)?,
            packets,
            stopped: false,
        };
        let receive = Receive {
            rq: Ring::new(dev, entries)?,
            cq: Ring::new(dev, entries)?,
            head: 0,
            begun: None,
        };
        Arc::pin_init(
            try_pin_init!(Self {
                nic,
                number,
                queue,
                vector,
                buffers: DmaMemory::new(dev, entries as usize * Self::BUFFER)?,
                status: Status::new(dev)?,
                transmit <- new_bh_spinlock!(transmit, "Pair::transmit"),
                receive <- new_bh_spinlock!(receive, "Pair::receive"),
                rounds: Atomic::new(0),
                counters: Counters {
                    rx_packets: Counter::new(),
                    rx_bytes: Counter::new(),
                    rx_errors: Counter::new(),
                    rx_dropped: Counter::new(),
                    tx_packets: Counter::new(),
                    tx_bytes: Counter::new(),
                    tx_dropped: Counter::new(),
                },
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Gives the queues to the device, with all buffers. Nothing is sent or polled yet. May sleep.
    pub(super) fn open(&self) -> Result {
        let registers = &self.nic.registers;
        let mut setup = PairSetup {
            status: self.status.address(),
            vector: self.vector,
            ..PairSetup::default()
        };
        // Not both locks at once: what is received under one may send under the other.
        {
            let bh = BhDisabled::new();
            let mut receive = self.receive.lock(&bh);
            receive.head = 0;
            receive.begun = None;
            receive.cq.clear();
            for index in 0..receive.rq.entries() {
                let buffer = RxBuffer {
                    addr: self.buffers.address() + receive.offset(index) as u64,
                    len: Self::BUFFER as u32,
                    reserved: 0,
                };
                receive.rq.write(index, &buffer);
            }
            setup.rq = receive.rq.address();
            setup.cq = receive.cq.address();
            setup.rq_entries = receive.rq.entries();
        }
        {
            let bh = BhDisabled::new();
            let mut transmit = self.transmit.lock(&bh);
            transmit.sq.clear();
            transmit.stopped = false;
            setup.sq = transmit.sq.ring().address();
            setup.sq_entries = transmit.sq.ring().entries();
        }
        self.status.clear();
        registers.ring(self.queue, Bell::SubmissionTail, 0);
        registers.ring(self.queue, Bell::SubmissionArm, NO_INTERRUPT);
        registers.ring(self.queue, Bell::CompletionHead, 0);
        registers.ring(self.queue, Bell::CompletionArm, NO_INTERRUPT);
        registers.ring(self.queue, Bell::BufferTail, 0);
        self.nic.execute_with(
            Request {
                op: abi::ADMIN_CREATE_PAIR,
                target: u32::from(self.number),
                ..Request::default()
            },
            &setup,
        )?;
        registers.ring(self.queue, Bell::BufferTail, setup.rq_entries);
        registers.kick(self.queue, || self.status.needs_kick());
        Ok(())
    }

    /// Takes the queues from the device, and drops what wasn't sent. May sleep.
    pub(super) fn close(&self) {
        // If the device doesn't answer it is lost, and will be reset before the memory is used otherwise.
        let _ = self.nic.execute(Request {
            op: abi::ADMIN_DESTROY_PAIR,
            target: u32::from(self.number),
            ..Request::default()
        });
        let bh = BhDisabled::new();
        let mut transmit = self.transmit.lock(&bh);
        for slot in &mut transmit.packets {
            if slot.take().is_some() {
                self.counters.tx_dropped.add(1);
            }
        }
    }

    /// Entries of the rings.
    pub(super) fn sizes(&self) -> RingSizes {
        let bh = BhDisabled::new();
        let rx = self.receive.lock(&bh).rq.entries();
        let tx = self.transmit.lock(&bh).sq.ring().entries();
        RingSizes { rx, tx }
    }

    /// Most entries of each ring.
    pub(super) fn max_entries(&self) -> u32 {
        (self.buffers.len() / Self::BUFFER) as u32
    }

    /// `EINVAL` if rings can't be of these sizes.
    pub(super) fn check_sizes(sizes: RingSizes) -> Result {
        for entries in [sizes.rx, sizes.tx] {
            if entries < Self::MIN_ENTRIES || !entries.is_power_of_two() {
                return Err(EINVAL);
            }
        }
        Ok(())
    }

    /// Sets how many entries the rings have, while the pair isn't the device's. `EINVAL` if they can't have so many.
    pub(super) fn resize(&self, sizes: RingSizes) -> Result {
        let bh = BhDisabled::new();
        self.transmit.lock(&bh).sq.set_entries(sizes.tx)?;
        let mut receive = self.receive.lock(&bh);
        receive.rq.set_entries(sizes.rx)?;
        receive.cq.set_entries(sizes.rx)
    }

    /// Has received frames wait for others up to `usecs` before there is an interrupt.
    pub(super) fn set_moderation(&self, usecs: u32) -> Result {
        self.nic.execute(Request {
            op: abi::ADMIN_SET_MODERATION,
            target: self.queue.0,
            args: [usecs, 0],
            ..Request::default()
        })?;
        Ok(())
    }

    /// Sends a packet; gives it back if there is no room.
    pub(super) fn transmit<T: crate::net::netdev::Driver>(
        &self,
        dev: &Netdev<T>,
        packet: SkBuff,
        bh: &BhDisabled,
    ) -> Result<(), SkBuff> {
        let info = packet.tx_info();
        let mut transmit = self.transmit.lock(bh);
        if transmit.sq.room() < Self::MAX_DESCRIPTORS {
            transmit.stopped = true;
            dev.stop_queue(self.number);
            return Err(packet);
        }
        let mapped = self
            .nic
            .binding
            .with(|parent| MappedPacket::new(parent, packet));
        let Some(Ok(mapped)) = mapped else {
            self.counters.tx_dropped.add(1);
            return Ok(());
        };
        let mut first = TxDescriptor::default();
        if let Some(checksum) = info.checksum {
            first.flags |= abi::TX_CSUM;
            first.csum_start = checksum.start;
            first.csum_offset = checksum.offset;
        }
        let mut packets = 1;
        if let Some(segmentation) = info.segmentation {
            first.flags |= abi::TX_TSO;
            first.mss = segmentation.size;
            first.header_len = segmentation.header_len;
            packets = segmentation.segments.max(1);
        }
        let mut pieces = mapped.pieces().peekable();
        while let Some(piece) = pieces.next() {
            let mut descriptor = TxDescriptor {
                addr: piece.address,
                len: piece.len,
                ..core::mem::take(&mut first)
            };
            if pieces.peek().is_none() {
                descriptor.flags |= abi::TX_END;
            }
            transmit.sq.push(&descriptor);
        }
        drop(pieces);
        let last = transmit.sq.tail().wrapping_sub(1) & (transmit.sq.ring().entries() - 1);
        if let Some(slot) = transmit.packets.get_mut(last as usize) {
            *slot = Some(mapped);
        }
        let right = transmit
            .sq
            .submit(&self.nic.registers, self.queue, &self.status);
        if !right {
            self.nic.accuse(Fault::Heads);
        }
        self.counters.tx_packets.add(u64::from(packets));
        self.counters.tx_bytes.add(u64::from(info.len));
        if transmit.sq.room() < Self::MAX_DESCRIPTORS {
            transmit.stopped = true;
            dev.stop_queue(self.number);
        }
        Ok(())
    }

    /// Frees what was sent, and receives up to the budget of frames.
    pub(super) fn poll<T: crate::net::netdev::Driver>(
        &self,
        dev: &Netdev<T>,
        poll: &mut Poll<'_>,
    ) -> u32 {
        self.clean(dev, poll.bh());
        let mut done = 0;
        let head = {
            let bh = BhDisabled::new();
            let mut receive = self.receive.lock(&bh);
            let start = receive.head;
            while done < poll.budget() {
                let Some(completion) = receive.cq.read_new(receive.head) else {
                    break;
                };
                self.receive(&completion, &mut receive, poll);
                receive.head = receive.head.wrapping_add(1);
                done += 1;
            }
            let read = receive
                .begun
                .as_ref()
                .map_or(receive.head, |begun| begun.index);
            let tail = read.wrapping_add(receive.rq.entries());
            (receive.head != start).then_some((receive.head, tail))
        };
        if let Some((head, tail)) = head {
            let registers = &self.nic.registers;
            registers.ring(self.queue, Bell::CompletionHead, head);
            // Buffers are the same in each pass of the ring.
            registers.ring(self.queue, Bell::BufferTail, tail);
            registers.kick(self.queue, || self.status.needs_kick());
        }
        done
    }

    /// Gives a frame to the stack, if `completion` is its last.
    fn receive(&self, completion: &RxCompletion, receive: &mut Receive, poll: &mut Poll<'_>) {
        let begun = receive.begun.take().unwrap_or(Begun {
            first: *completion,
            index: receive.head,
            len: 0,
        });
        if self.nic.is_accused() {
            self.counters.rx_errors.add(1);
            return;
        }
        let end = completion.flags & abi::RX_END != 0;
        let part = completion.len as usize;
        let all = receive.rq.entries() as usize * Self::BUFFER;
        // Buffers are filled before the next is begun, and lie one after the other.
        let right = part == Self::BUFFER || (end && (1..Self::BUFFER).contains(&part));
        let len = begun.len + part;
        let known = completion.flags & !RX_FLAGS == 0 && completion.hash_kind <= abi::HASH_L4;
        if !(right && known && len <= all) {
            self.counters.rx_errors.add(1);
            return self.nic.accuse(Fault::Frames);
        }
        if !end {
            receive.begun = Some(Begun { len, ..begun });
            return;
        }
        let first = &begun.first;
        let frame = RxFrame {
            memory: &self.buffers,
            offset: receive.offset(begun.index),
            len,
            end: all,
            checksum: if first.flags & abi::RX_CSUM_OK != 0 {
                RxChecksum::Right
            } else {
                RxChecksum::Unchecked
            },
            hash: if first.hash_kind == abi::HASH_NONE {
                0
            } else {
                first.hash
            },
            hash_l4: first.hash_kind == abi::HASH_L4,
        };
        match poll.receive(&frame) {
            Ok(()) => {
                self.counters.rx_packets.add(1);
                self.counters.rx_bytes.add(len as u64);
            }
            Err(ENOMEM) => self.counters.rx_dropped.add(1),
            Err(_) => self.counters.rx_errors.add(1),
        }
    }

    /// Frees packets that were sent.
    fn clean<T: crate::net::netdev::Driver>(&self, dev: &Netdev<T>, bh: &BhDisabled) {
        let mut transmit = self.transmit.lock(bh);
        let mut done = transmit.sq.head();
        if transmit.sq.advance(&self.status).is_err() {
            return self.nic.accuse(Fault::Heads);
        }
        let mask = transmit.sq.ring().entries() - 1;
        while done != transmit.sq.head() {
            if let Some(slot) = transmit.packets.get_mut((done & mask) as usize) {
                if let Some(packet) = slot.take() {
                    packet.consume(bh);
                }
            }
            done = done.wrapping_add(1);
        }
        if transmit.stopped && transmit.sq.room() >= 2 * Self::MAX_DESCRIPTORS {
            transmit.stopped = false;
            dev.wake_queue(self.number);
        }
    }

    /// Asks for an interrupt when there is something to be done; returns whether there is already.
    pub(super) fn rearm(&self) -> bool {
        self.rounds.fetch_add(1, Release);
        let bh = BhDisabled::new();
        let registers = &self.nic.registers;
        // Not both locks at once, as in `open`.
        let sent = self.transmit.lock(&bh).sq.head();
        registers.ring(self.queue, Bell::SubmissionArm, sent);
        let receive = self.receive.lock(&bh);
        registers.ring(self.queue, Bell::CompletionArm, receive.head);
        full_barrier();
        self.status.head() != sent || receive.cq.read_new(receive.head).is_some()
    }

    /// Times that polling has come to an end so far.
    pub(super) fn rounds(&self) -> u32 {
        self.rounds.load(kernel::sync::atomic::Acquire)
    }
}
