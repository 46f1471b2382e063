// SPDX-License-Identifier: GPL-2.0

//! What the host is still to be told of a connection.

use super::convert::micros;
use crate::layout::{self, event, notify, wait, Error};
use datapath::{
    npu::{
        inline::Outcome,
        meta::{CongestionReport, Events},
        proto::ReceiveWindow,
        Notification,
    },
    units::SeqNum,
    wire::tcp::Flags,
};
use zerocopy::IntoBytes;

/// A punted segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Punt {
    /// What it is to be judged by.
    pub window: ReceiveWindow,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// The control bits.
    pub flags: Flags,
}

/// Everything not told yet: however long the host doesn't listen, it takes no more room than this.
#[derive(Clone, Copy, Default)]
pub struct Pending {
    moved: bool,
    events: Events,
    report: Option<CongestionReport>,
    waits: Outcome,
    punt: Option<Punt>,
    stopped: Option<Error>,
}

/// Names and positions that stand in every notification.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The host's name for the connection.
    pub cookie: u64,
    /// The device's.
    pub handle: u32,
    /// End of what was received.
    pub rx_tail: u32,
    /// Oldest byte not acknowledged.
    pub tx_head: u32,
}

/// Who of a connection's two contexts is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// One that is both.
    Both,
    /// The program's.
    Program,
    /// The control plane's.
    Control,
}

/// What a connection waits for, as the interface has it.
pub fn wait_bits(outcome: Outcome) -> u8 {
    [
        (Outcome::ACK_DELAYED, wait::ACK_DELAYED),
        (Outcome::IN_FLIGHT, wait::IN_FLIGHT),
        (Outcome::PERSIST, wait::PERSIST),
    ]
    .into_iter()
    .filter(|(bit, _)| outcome.has(*bit))
    .fold(0, |bits, (_, value)| bits | value)
}

fn event_bits(events: Events) -> u16 {
    [
        (Events::PEER_FIN, event::PEER_FIN),
        (Events::FIN_ACKED, event::FIN_ACKED),
        (Events::FAST_RETRANSMIT, event::FAST_RETRANSMIT),
        (Events::WINDOW_OPENED, event::WINDOW_OPENED),
    ]
    .into_iter()
    .filter(|(bit, _)| events.has(*bit))
    .fold(0, |bits, (_, value)| bits | value)
}

impl Pending {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        !self.has_data() && self.punt.is_none() && self.stopped.is_none()
    }

    fn has_data(&self) -> bool {
        self.moved || !self.events.is_empty() || self.report.is_some() || !self.waits.is_empty()
    }

    /// Adds a notification of the data-path.
    pub fn notify(&mut self, notification: &Notification) {
        self.moved |= !notification.rx_bytes.is_zero() || !notification.tx_acked.is_zero();
        self.events.insert(notification.events);
        self.report = match (self.report, notification.report) {
            (Some(a), Some(b)) => Some(CongestionReport {
                acked: a.acked + b.acked,
                ecn: a.ecn + b.ecn,
                fast_retransmits: a.fast_retransmits.saturating_add(b.fast_retransmits),
                cwnd_limited: a.cwnd_limited || b.cwnd_limited,
                ..b
            }),
            (a, b) => b.or(a),
        };
    }

    /// Adds what the connection waits for.
    pub fn wait(&mut self, outcome: Outcome) {
        self.waits.insert(outcome);
    }

    /// Adds a punted segment; returns whether there was room.
    pub fn punt(&mut self, punt: Punt) -> bool {
        let room = self.punt.is_none();
        if room {
            self.punt = Some(punt);
        }
        room
    }

    /// Adds that the connection was quiesced.
    pub fn stop(&mut self, error: Error) {
        self.stopped = Some(error);
    }

    /// The entries of a ring that tell all this to `audience`.
    pub fn entries(&self, subject: &Subject, audience: Audience) -> Vec<layout::Notification> {
        let mut entries = Vec::new();
        let entry = |kind| {
            let mut entry = layout::Notification::zeroed();
            entry.cookie = subject.cookie.into();
            entry.connection = subject.handle.into();
            entry.kind = kind;
            entry.rx_tail = subject.rx_tail.into();
            entry.tx_head = subject.tx_head.into();
            entry
        };
        let control = audience != Audience::Program;
        if self.has_data() && (control || self.moved || !self.events.is_empty()) {
            let mut data = entry(notify::DATA);
            let mut events = event_bits(self.events);
            if control {
                data.waits = wait_bits(self.waits);
                if let Some(report) = &self.report {
                    events |= event::REPORT;
                    if report.cwnd_limited {
                        events |= event::CWND_LIMITED;
                    }
                    put(&mut data.data, &report_to_layout(report));
                }
            } else {
                events &= !event::FAST_RETRANSMIT;
            }
            data.events = events.into();
            entries.push(data);
        }
        if !control {
            return entries;
        }
        if let Some(punt) = &self.punt {
            let mut out = entry(notify::PUNT);
            let mut body = layout::Punt::zeroed();
            body.rcv_nxt = punt.window.nxt.get().into();
            body.rcv_wnd = punt.window.wnd.0.into();
            body.seq = punt.seq.get().into();
            body.flags = u16::from(punt.flags.0).into();
            put(&mut out.data, &body);
            entries.push(out);
        }
        if let Some(error) = self.stopped {
            let mut out = entry(notify::STOPPED);
            put(&mut out.data, &(error as u32).to_le_bytes());
            entries.push(out);
        }
        entries
    }
}

fn report_to_layout(report: &CongestionReport) -> layout::Report {
    layout::Report {
        acked: report.acked.0.into(),
        ecn: report.ecn.0.into(),
        fast_retransmits: report.fast_retransmits.into(),
        flight: report.flight.0.into(),
        srtt: micros(report.srtt).into(),
        rtt: micros(report.rtt).into(),
    }
}

fn put(data: &mut [u8; 36], body: &(impl IntoBytes + zerocopy::Immutable + ?Sized)) {
    let bytes = body.as_bytes();
    data[..bytes.len()].copy_from_slice(bytes);
}
