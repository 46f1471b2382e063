// SPDX-License-Identifier: GPL-2.0

//! A connection that the data-path processes: its buffers, and what there is to be recorded and told of it.

use super::{
    convert::{self, fin_flags, micros, Key},
    pages::PageRing,
    pending::{wait_bits, Audience, Pending, Subject},
};
use crate::{
    host::Host,
    layout::{self, state, Counters, Error, RecordCopy, RECORD_COUNTERS},
    memory::{Memory, Unreachable},
    nonsense::Garble,
};
use datapath::npu::{inline::Outcome, state::ConnectionCounters, Connection, PreState};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use zerocopy::IntoBytes;

/// A connection, as the stages and the device's thread share it.
pub struct Live {
    /// The device's name for it.
    pub handle: u32,
    /// Where the peer's bytes go.
    pub rx: PageRing,
    /// Where the program's bytes are.
    pub tx: PageRing,
    /// Address of the record.
    record: u64,
    /// The program's context.
    context: u16,
    /// The control plane's context.
    control: u16,
    /// Its buffers can't be reached: nothing that is put out of it counts any more.
    failed: AtomicBool,
    news: Mutex<News>,
}

/// What there is to be recorded and told of a connection.
pub struct News {
    /// The newest state that is known.
    state: Connection,
    /// Number of the record's last version.
    version: u32,
    /// The state is to be recorded.
    dirty: bool,
    /// The device's thread knows that there is something.
    listed: bool,
    /// It is not processed.
    quiesced: bool,
    /// An error that it is to be stopped for.
    stop: Option<Error>,
    /// The state that was asked for.
    answer: Option<Box<Connection>>,
    /// What the host is still to be told.
    pub pending: Pending,
}

/// What came of a connection's news.
pub struct Settled {
    /// Whether the record was written, if there was one to be.
    pub written: bool,
    /// Why it is to be stopped.
    pub stop: Option<Error>,
    /// Whether the host is to be told something.
    pub telling: bool,
}

impl Live {
    /// A connection in the state `state`, with its record at `record`; `control` is the control plane's context.
    pub fn new(
        handle: u32,
        (rx, tx): (PageRing, PageRing),
        record: u64,
        control: u16,
        state: &Connection,
    ) -> Self {
        Self {
            handle,
            rx,
            tx,
            record,
            context: state.config().context,
            control,
            failed: AtomicBool::new(false),
            news: Mutex::new(News {
                state: *state,
                version: 1,
                dirty: false,
                listed: false,
                quiesced: false,
                stop: None,
                answer: None,
                pending: Pending::default(),
            }),
        }
    }

    /// The context that its commands come from.
    pub fn context(&self) -> u16 {
        self.context
    }

    /// Whether its buffers failed.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Its buffers can't be reached.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Changes its news; returns whether the device's thread is to be told that there are some.
    pub fn change(&self, f: impl FnOnce(&mut News)) -> bool {
        let mut news = self.news.lock();
        f(&mut news);
        !std::mem::replace(&mut news.listed, true)
    }

    /// The newest state that is known.
    pub fn state(&self) -> Connection {
        self.news.lock().state
    }

    /// The state that was asked for, if it came.
    pub fn take_answer(&self) -> Option<Box<Connection>> {
        self.news.lock().answer.take()
    }

    /// Goes on from a state; what failed before is tried again.
    pub fn resume(&self) {
        self.failed.store(false, Ordering::Release);
        let mut news = self.news.lock();
        news.quiesced = false;
        news.stop = None;
    }

    /// Writes the record if the state has changed.
    pub fn settle(&self, host: &Host) -> Settled {
        let mut news = self.news.lock();
        news.listed = false;
        let dirty = std::mem::take(&mut news.dirty);
        Settled {
            written: !dirty || news.write(host, self.record).is_ok(),
            stop: news.stop.take(),
            telling: !news.pending.is_empty(),
        }
    }

    /// Has `write` write what the host is to be told; it is given a context and entries, and returns whether there was
    /// room for all of them. Returns whether everything was told.
    pub fn tell(&self, mut write: impl FnMut(u16, &[layout::Notification]) -> bool) -> bool {
        let mut news = self.news.lock();
        let config = news.state.config();
        let subject = Subject {
            cookie: config.cookie,
            handle: self.handle,
            rx_tail: config.rx.tail.0,
            tx_head: config.tx.head.0,
        };
        let mut told = true;
        for (context, audience) in self.audience().into_iter().flatten() {
            let entries = news.pending.entries(&subject, audience);
            // Of two contexts the first may be told twice: what it is told are positions.
            told &= entries.is_empty() || write(context, &entries);
        }
        if told {
            news.pending = Pending::default();
        }
        told
    }

    /// Changes the settings in the state it goes on from.
    pub fn update<R>(&self, change: impl FnOnce(&mut PreState) -> R) -> R {
        change(&mut self.news.lock().state.pre)
    }

    /// Its full state, if that is `state`, at a rate, and with acknowledgments delayed for so long.
    pub fn read(
        &self,
        state: &Connection,
        key: &Key,
        rate: u64,
        ack_delay: u32,
    ) -> layout::ConnectionRead {
        let mut out = layout::ConnectionRead::zeroed();
        out.connection = convert::config_to_layout(&state.config(), key, self.control);
        out.connection.rate = rate.into();
        out.connection.ack_delay = ack_delay.into();
        out.counters = counters(state.post.counters());
        out
    }

    /// The contexts to be told, and what each is.
    fn audience(&self) -> [Option<(u16, Audience)>; 2] {
        if self.context == self.control {
            [Some((self.context, Audience::Both)), None]
        } else {
            [
                Some((self.context, Audience::Program)),
                Some((self.control, Audience::Control)),
            ]
        }
    }

    /// Whether one of its contexts is `context`.
    pub fn uses(&self, context: u16) -> bool {
        [self.context, self.control].contains(&context)
    }
}

impl News {
    /// The state has changed.
    pub fn record(&mut self, state: &Connection) {
        self.state = *state;
        self.dirty = true;
    }

    /// The connection is to be stopped, if not for another error already.
    pub fn stop(&mut self, error: Error) {
        self.stop = self.stop.or(Some(error));
    }

    /// The state that was asked for.
    pub fn answer(&mut self, state: Box<Connection>) {
        self.answer = Some(state);
    }

    /// It isn't processed any more, for this error if there is one.
    pub fn quiesce(&mut self, error: Option<Error>) {
        self.quiesced = true;
        self.dirty = true;
        if let Some(error) = error {
            self.pending.stop(error);
        }
    }

    /// Writes the record at `address`.
    fn write(&mut self, host: &Host, address: u64) -> Result<(), Unreachable> {
        self.version = match self.version.wrapping_add(1) {
            // Zero says that a copy was never written.
            0 => 2,
            next => next,
        };
        let copy = self.copy();
        write_copy(&host.memory, address, self.version, &copy)?;
        let mut told = Ok(());
        host.nonsense.strike(|random| {
            let mut nonsense = copy;
            nonsense.garble(random);
            let version = self.version.wrapping_add(1);
            told = write_copy(&host.memory, address, version, &nonsense);
            // The next true copy replaces it, and is not to be taken for the same one while it does.
            self.version = version.wrapping_add(1);
        });
        told?;
        let counters = counters(self.state.post.counters());
        host.memory
            .write_bytes(address + RECORD_COUNTERS, counters.as_bytes())
    }

    fn copy(&self) -> RecordCopy {
        let config = self.state.config();
        let timers = self.state.proto.timers();
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
            rx_segments: self.state.post.counters().rx_segments.into(),
            rcv_mss: config.receive.mss.into(),
            quick_acks: config.quick_acks,
            waits: wait_bits(waits),
            state: if self.quiesced {
                state::QUIESCED
            } else {
                state::LIVE
            },
            reserved: [0; 23],
            end: self.version.into(),
        }
    }
}

/// Writes a copy of the record at `address`, as its version `version`.
fn write_copy(
    memory: &Memory,
    address: u64,
    version: u32,
    copy: &RecordCopy,
) -> Result<(), Unreachable> {
    let place = address + u64::from(version & 1) * size_of::<RecordCopy>() as u64;
    memory.store(place, version)?;
    memory.write_bytes(place + 4, &copy.as_bytes()[4..124])?;
    memory.store(place + 124, version)
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
