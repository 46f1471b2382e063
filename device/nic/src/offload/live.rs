// SPDX-License-Identifier: GPL-2.0

//! A connection that the data-path processes, and the inline executor's environment.

use super::{
    convert::{self, fin_flags, micros, Key},
    pages::PageRing,
    pending::{wait_bits, Audience, Pending, Punt, Subject},
};
use crate::{
    frames::{Batch, TcpHeaders},
    layout::{self, state, Counters, RecordCopy, RECORD_COUNTERS},
    memory::{Memory, Unreachable},
};
use datapath::{
    npu::{
        inline::{self, Outcome, Received, TxSegment},
        meta::{HostControlError, RingSlice},
        pre::{Checksum, Ident},
        state::ConnectionCounters,
        Connection, HostControl, Notification, Port,
    },
    units::{Bytes, Micros},
    wire::{tcp, Sum},
};
use zerocopy::IntoBytes;

/// What a run of the data-path may use.
pub struct Environment<'a> {
    /// The host's memory.
    pub memory: &'a Memory,
    /// Where frames go.
    pub frames: &'a mut Batch,
    /// The time.
    pub now: Micros,
}

/// A connection's state and what belongs to it.
pub struct Live {
    /// The data-path's state.
    pub connection: Connection,
    /// Where the peer's bytes go.
    pub rx: PageRing,
    /// Where the program's bytes are.
    pub tx: PageRing,
    /// Address of the record.
    pub record: u64,
    /// Number of the record's last version.
    pub version: u32,
    /// The control plane's context.
    pub control: u16,
    /// What the host was told the connection waits for.
    pub told: Outcome,
    /// What it is still to be told.
    pub pending: Pending,
}

/// The data-path's environment while it runs for one connection.
struct Run<'a> {
    memory: &'a Memory,
    frames: &'a mut Batch,
    rx: &'a PageRing,
    tx: &'a PageRing,
    pending: &'a mut Pending,
    /// The IP packet received.
    packet: &'a [u8],
    fault: bool,
}

impl Port for Run<'_> {
    fn write_rx(&mut self, to: &RingSlice, segment_offset: usize) {
        let end = segment_offset + to.len.as_usize();
        let written = self
            .packet
            .get(segment_offset..end)
            .ok_or(Unreachable)
            .and_then(|bytes| self.rx.write(self.memory, to, bytes));
        self.fault |= written.is_err();
    }

    fn payload_sum(&mut self, _from: &RingSlice) -> Sum {
        // Not asked for: all paths have checksum offload.
        Sum::ZERO
    }

    fn transmit(&mut self, segment: &TxSegment<'_>) {
        let headers = segment.header.bytes();
        let network = segment.header.network_offset();
        let tcp = TcpHeaders {
            network,
            transport: segment.header.transport_offset(),
            payload: headers.len(),
            ipv6: headers.get(network).is_some_and(|byte| byte >> 4 == 6),
        };
        let total = segment.payload.map_or(0, |payload| payload.len.as_usize());
        let size = segment.gso_size.map_or(total, |size| size.as_usize());
        let pieces = total.div_ceil(size.max(1)).max(1);
        for piece in 0..pieces {
            let from = piece * size;
            let len = size.min(total - from);
            let built = self.frames.build(headers.len() + len, |frame| {
                let (head, body) = frame.split_at_mut(headers.len());
                head.copy_from_slice(headers);
                if let Some(payload) = &segment.payload {
                    let part = RingSlice {
                        pos: payload.pos + Bytes(from as u32),
                        len: Bytes(len as u32),
                        ..*payload
                    };
                    self.tx.read(self.memory, &part, body)?;
                }
                if pieces > 1 {
                    tcp.number(frame, piece, from, piece + 1 == pieces);
                }
                tcp.finish(frame);
                Ok::<(), Unreachable>(())
            });
            self.fault |= built.is_err();
        }
    }

    fn notify(&mut self, notification: &Notification) {
        self.pending.notify(notification);
    }
}

impl Live {
    /// Runs the data-path; `Unreachable` if payload memory was, and then nothing it put out counts.
    fn run<R>(
        &mut self,
        packet: &[u8],
        env: &mut Environment<'_>,
        work: impl FnOnce(&mut Connection, Micros, &mut Run<'_>) -> R,
    ) -> Result<R, Unreachable> {
        let before = env.frames.count();
        let mut run = Run {
            memory: env.memory,
            frames: env.frames,
            rx: &self.rx,
            tx: &self.tx,
            pending: &mut self.pending,
            packet,
            fault: false,
        };
        let result = work(&mut self.connection, env.now, &mut run);
        if run.fault {
            env.frames.truncate(before);
            return Err(Unreachable);
        }
        Ok(result)
    }

    /// Remembers to tell what the connection waits for, unless the host knows.
    fn waits(&mut self, outcome: Outcome) {
        let mut news = outcome;
        news.remove(self.told);
        if !news.is_empty() {
            self.told.insert(outcome);
            self.pending.wait(outcome);
        }
    }

    /// Processes a packet of the connection. Returns what became of it, and whether a punt was lost.
    pub fn receive(
        &mut self,
        packet: &[u8],
        ident: &Ident,
        env: &mut Environment<'_>,
    ) -> Result<(Received, bool), Unreachable> {
        let received = self.run(packet, env, |connection, now, run| {
            inline::rx(connection, packet, ident, Checksum::Unverified, now, run)
        })?;
        let mut lost = false;
        match received {
            Received::Processed(outcome) | Received::Dropped(_, outcome) => self.waits(outcome),
            Received::Punted(_, window) => {
                let header = packet
                    .get(ident.tcp_offset()..)
                    .and_then(|segment| segment.first_chunk())
                    .map(tcp::Header);
                if let Some(header) = header {
                    lost = !self.pending.punt(Punt {
                        window,
                        seq: header.seq(),
                        flags: header.flags(),
                    });
                }
            }
        }
        Ok((received, lost))
    }

    /// Executes a host-control request.
    pub fn post(
        &mut self,
        request: &HostControl,
        env: &mut Environment<'_>,
    ) -> Result<Result<(), HostControlError>, Unreachable> {
        let outcome = self.run(&[], env, |connection, now, run| {
            inline::host_control(connection, request, now, run)
        })?;
        Ok(outcome.map(|outcome| self.waits(outcome)))
    }

    /// Sends a RST.
    pub fn reset(&mut self, env: &mut Environment<'_>) -> Result<(), Unreachable> {
        self.run(&[], env, |connection, now, run| {
            inline::reset(connection, now, run)
        })
    }

    /// Forgets what the host was told that the connection waits for, and tells it anew.
    pub fn watch(&mut self) {
        self.told = Outcome::NONE;
        let timers = self.connection.proto.timers();
        let mut outcome = Outcome::NONE;
        outcome.set(Outcome::ACK_DELAYED, timers.delayed_ack.is_some());
        outcome.set(Outcome::IN_FLIGHT, timers.retransmit.is_some());
        outcome.set(Outcome::PERSIST, timers.persist);
        self.waits(outcome);
    }

    /// The full state.
    pub fn read(&self, key: &Key) -> layout::ConnectionRead {
        let mut out = layout::ConnectionRead::zeroed();
        out.connection = convert::config_to_layout(&self.connection.config(), key, self.control);
        out.counters = counters(self.connection.post.counters());
        out
    }

    /// Names and positions for notifications.
    pub fn subject(&self, handle: u32) -> Subject {
        let config = self.connection.config();
        Subject {
            cookie: config.cookie,
            handle,
            rx_tail: config.rx.tail.0,
            tx_head: config.tx.head.0,
        }
    }

    /// The contexts to be told, and what each is.
    pub fn audience(&self) -> [Option<(u16, Audience)>; 2] {
        let context = self.connection.config().context;
        if context == self.control {
            [Some((context, Audience::Both)), None]
        } else {
            [
                Some((context, Audience::Program)),
                Some((self.control, Audience::Control)),
            ]
        }
    }

    /// Writes the record.
    pub fn record(&mut self, memory: &Memory, quiesced: bool) -> Result<(), Unreachable> {
        self.version = match self.version.wrapping_add(1) {
            // Zero says that a copy was never written.
            0 => 2,
            next => next,
        };
        let copy = self.copy(quiesced);
        let address = self.record + u64::from(self.version & 1) * size_of::<RecordCopy>() as u64;
        memory.store(address, self.version)?;
        memory.write_bytes(address + 4, &copy.as_bytes()[4..124])?;
        memory.store(address + 124, self.version)?;
        let counters = counters(self.connection.post.counters());
        memory.write_bytes(self.record + RECORD_COUNTERS, counters.as_bytes())
    }

    fn copy(&self, quiesced: bool) -> RecordCopy {
        let config = self.connection.config();
        let timers = self.connection.proto.timers();
        let mut waits = Outcome::NONE;
        waits.set(Outcome::ACK_DELAYED, timers.delayed_ack.is_some());
        waits.set(Outcome::IN_FLIGHT, timers.retransmit.is_some());
        waits.set(Outcome::PERSIST, timers.persist);
        RecordCopy {
            begin: self.version.into(),
            flags: fin_flags(&config).into(),
            ts_recent: config.timestamps.map_or(0, |ts| ts.recent.0).into(),
            cwnd: config.cwnd.0.into(),
            snd_una: config.send.una.get().into(),
            snd_nxt: config.send.nxt.get().into(),
            snd_max: config.send.max.get().into(),
            snd_wnd: config.send.wnd.0.into(),
            snd_max_wnd: config.send.max_wnd.0.into(),
            snd_wl1: config.send.wl1.get().into(),
            rcv_nxt: config.receive.nxt.get().into(),
            rcv_wnd: config.receive.wnd.0.into(),
            srtt: micros(config.rtt.srtt).into(),
            rttvar: micros(config.rtt.rttvar).into(),
            rx_head: config.rx.head.0.into(),
            rx_tail: config.rx.tail.0.into(),
            tx_head: config.tx.head.0.into(),
            tx_tail: config.tx.tail.0.into(),
            rto_base: timers.retransmit.map_or(0, |at| at.0).into(),
            ack_owed_at: timers.delayed_ack.map_or(0, |at| at.0).into(),
            rx_segments: self.connection.post.counters().rx_segments.into(),
            rcv_mss: config.receive.mss.into(),
            quick_acks: config.quick_acks,
            waits: wait_bits(waits),
            state: if quiesced {
                state::QUIESCED
            } else {
                state::LIVE
            },
            reserved: [0; 23],
            end: self.version.into(),
        }
    }
}

/// Counts as the interface orders them.
pub fn counter_values(c: &ConnectionCounters) -> [u64; 13] {
    [
        c.rx_segments,
        c.rx_bytes,
        c.rx_out_of_order,
        c.rx_discarded,
        c.rx_dropped,
        c.dup_acks,
        c.ce_segments,
        c.tx_segments,
        c.tx_bytes,
        c.tx_retransmitted,
        c.tx_acks,
        c.fast_retransmits,
        c.timeouts,
    ]
}

fn counters(c: &ConnectionCounters) -> Counters {
    let mut out = Counters::zeroed();
    for (place, value) in out.values.iter_mut().zip(counter_values(c)) {
        *place = value.into();
    }
    out
}
