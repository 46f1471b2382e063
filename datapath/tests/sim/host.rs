// SPDX-License-Identifier: GPL-2.0

//! One end: payload rings, an application that writes and reads at random, timers, a plain congestion policy.

use super::link::{cut, finish};
use super::Rng;
use datapath::npu::config::ConnectionConfig;
use datapath::npu::inline::{self, Received, TxSegment};
use datapath::npu::meta::{Command, Events, HostControl, RingSlice};
use datapath::npu::{pre, Connection, Notification, Port};
use datapath::units::{Bytes, Micros};
use datapath::wire::{ethernet, Sum};

const MIN_RTO: Micros = Micros(200_000);
const DELAYED_ACK: Micros = Micros(40_000);

/// What one end starts with.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub config: ConnectionConfig,
    /// What its application sends.
    pub data: Vec<u8>,
    /// Largest piece its application writes or reads at once.
    pub chunk: u32,
    /// What it sends at once stays in one piece, as between virtual devices.
    pub uncut: bool,
    /// Per mille of steps in which the connection is handed back and over again.
    pub reinstall: u32,
}

pub struct Host<const N: usize> {
    pub conn: Connection<N>,
    env: Env,
    end: Endpoint,
    pub sent: Vec<Vec<u8>>,
    pub received: Vec<u8>,
    written: usize,
    read_pos: u32,
    write_pos: u32,
    finished: bool,
    rto_backoff: u32,
    persist_at: Option<Micros>,
    persist_backoff: u32,
    cwnd: u32,
}

/// What the data-path sees of the host.
struct Env {
    rx: Vec<u8>,
    tx: Vec<u8>,
    segment: Vec<u8>,
    sent: Vec<Vec<u8>>,
    uncut: bool,
    readable: u32,
    writable: u32,
    peer_fin: bool,
    fin_acked: bool,
    reports: Vec<(u32, u32, bool)>,
    progress: bool,
}

impl<const N: usize> std::fmt::Debug for Host<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("proto", &self.conn.proto)
            .field("params", self.conn.pre.params())
            .field("counters", self.conn.post.counters())
            .field("received", &self.received.len())
            .field(
                "written",
                &format_args!("{} of {}", self.written, self.end.data.len()),
            )
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}

impl Port for Env {
    fn write_rx(&mut self, to: &RingSlice, segment_offset: usize) {
        let (offset, first, second) = to.parts();
        let payload = &self.segment[segment_offset..segment_offset + to.len.as_usize()];
        self.rx[offset..offset + first].copy_from_slice(&payload[..first]);
        self.rx[..second].copy_from_slice(&payload[first..]);
    }

    fn payload_sum(&mut self, from: &RingSlice) -> Sum {
        let (offset, first, second) = from.parts();
        Sum::of_parts(&self.tx[offset..offset + first], &self.tx[..second])
    }

    fn transmit(&mut self, segment: &TxSegment<'_>) {
        let mut packet = segment.header.bytes().to_vec();
        let header = packet.len();
        if let Some(payload) = segment.payload {
            let (offset, first, second) = payload.parts();
            packet.extend_from_slice(&self.tx[offset..offset + first]);
            packet.extend_from_slice(&self.tx[..second]);
        }
        if segment.checksum_offload {
            self.complete_checksum(&mut packet, segment.header.transport_offset());
        }
        let len = packet.len() - header;
        match segment.gso_size {
            Some(size) if !self.uncut => {
                let size = size.as_usize();
                assert!(len > size);
                let starts = (0..len).step_by(size);
                self.sent
                    .extend(starts.map(|at| cut(&packet, at..len.min(at + size))));
            }
            _ => self.sent.push(packet),
        }
    }

    fn notify(&mut self, notification: &Notification) {
        self.readable += notification.rx_bytes.0;
        self.writable += notification.tx_acked.0;
        self.progress |= !notification.tx_acked.is_zero();
        self.peer_fin |= notification.events.has(Events::PEER_FIN);
        self.fin_acked |= notification.events.has(Events::FIN_ACKED);
        if let Some(report) = notification.report {
            let lost = report.fast_retransmits > 0 || report.ecn.0 > 0;
            self.reports.push((report.acked.0, report.flight.0, lost));
        }
    }
}

impl Env {
    /// What a device does: adds the sum of TCP header and payload to that of the pseudo-header.
    fn complete_checksum(&self, packet: &mut [u8], tcp: usize) {
        let mut expected = packet.to_vec();
        finish(&mut expected);
        let sum = Sum::of(&packet[tcp..]).checksum();
        packet[tcp + 16..tcp + 18].copy_from_slice(&sum);
        assert!(
            packet == expected,
            "the field did not hold the pseudo-header's sum"
        );
    }
}

impl<const N: usize> Host<N> {
    pub fn new(end: Endpoint, now: Micros) -> Self {
        let config = &end.config;
        let conn = Connection::new(config, now).unwrap();
        let env = Env {
            rx: vec![0; config.rx.size as usize],
            tx: vec![0; config.tx.size as usize],
            segment: Vec::new(),
            sent: Vec::new(),
            uncut: end.uncut,
            readable: 0,
            writable: config.tx.size,
            peer_fin: false,
            fin_acked: false,
            reports: Vec::new(),
            progress: false,
        };
        Self {
            conn,
            env,
            sent: Vec::new(),
            received: Vec::new(),
            written: 0,
            read_pos: config.rx.head.0,
            write_pos: config.tx.tail.0,
            finished: false,
            rto_backoff: 0,
            persist_at: None,
            persist_backoff: 0,
            cwnd: config.cwnd.0,
            end,
        }
    }

    /// Both directions done, and the peer knows.
    pub fn is_closed(&self) -> bool {
        self.env.fin_acked && self.env.peer_fin && self.env.readable == 0
    }

    pub fn application_can_act(&self) -> bool {
        self.env.readable > 0 || (!self.finished && self.env.writable > 0)
    }

    pub fn receive(&mut self, packet: &[u8], now: Micros) {
        let frame = ethernet::Frame::parse(packet).unwrap();
        self.env.segment.clear();
        self.env
            .segment
            .extend_from_slice(&packet[frame.payload_offset..]);
        let segment = std::mem::take(&mut self.env.segment);
        self.env.segment = segment.clone();
        let Ok(ident) = pre::identify(&segment, segment.len()) else {
            return;
        };
        if ident.tuple != *self.conn.pre.tuple() {
            return;
        }
        let checksum = pre::Checksum::Unverified;
        let out = inline::rx(
            &mut self.conn,
            &segment,
            &ident,
            checksum,
            now,
            &mut self.env,
        );
        if let Received::Punted(reason, _) = out {
            panic!("punted: {reason:?}");
        }
        self.after(now);
    }

    pub fn control(&mut self, request: HostControl, now: Micros) {
        inline::host_control(&mut self.conn, &request, now, &mut self.env).unwrap();
        self.after(now);
    }

    /// Policy, invariants.
    fn after(&mut self, now: Micros) {
        if std::mem::take(&mut self.env.progress) {
            self.rto_backoff = 0;
            self.persist_backoff = 0;
        }
        let mss = self.conn.pre.params().mss.0;
        for (acked, flight, lost) in std::mem::take(&mut self.env.reports) {
            self.cwnd = if lost {
                (flight / 2).max(2 * mss)
            } else {
                self.cwnd + acked.min(4 * mss)
            };
            self.conn.pre.set_cwnd(Bytes(self.cwnd));
            let request = HostControl {
                commands: Command::KICK,
                ..HostControl::default()
            };
            inline::host_control(&mut self.conn, &request, now, &mut self.env).unwrap();
        }
        self.sent.append(&mut self.env.sent);
        let config = self.conn.config();
        assert_eq!(
            Connection::<N>::new(&config, now).map(|conn| conn.config()),
            Ok(config)
        );
    }

    pub fn run_application(&mut self, rng: &mut Rng, now: Micros) {
        if rng.per_mille(self.end.reinstall) {
            self.conn = Connection::new(&self.conn.config(), now).unwrap();
        }
        let mut request = HostControl::default();
        let read = rng.below(self.end.chunk + 1).min(self.env.readable);
        for _ in 0..read {
            let at = self.read_pos as usize % self.env.rx.len();
            self.received.push(self.env.rx[at]);
            // The ring's space is the data-path's again: what it must not rely on is destroyed.
            self.env.rx[at] = !self.env.rx[at];
            self.read_pos = self.read_pos.wrapping_add(1);
        }
        self.env.readable -= read;
        request.rx_freed = Bytes(read);
        let left = self.end.data.len() - self.written;
        let write = rng
            .below(self.end.chunk + 1)
            .min(self.env.writable)
            .min(left as u32);
        for _ in 0..write {
            let at = self.write_pos as usize % self.env.tx.len();
            self.env.tx[at] = self.end.data[self.written];
            self.written += 1;
            self.write_pos = self.write_pos.wrapping_add(1);
        }
        self.env.writable -= write;
        request.tx_added = Bytes(write);
        if !self.finished && self.written == self.end.data.len() && rng.below(4) == 0 {
            request.commands = Command::FIN;
            self.finished = true;
        }
        if request != HostControl::default() {
            self.control(request, now);
        }
    }

    fn rto(&self) -> Micros {
        let rtt = self.conn.post.rtt();
        let base = MIN_RTO.0.max(rtt.srtt.0 + 4 * rtt.rttvar.0);
        Micros(base << self.rto_backoff.min(4))
    }

    pub fn next_timer(&self, now: Micros) -> Option<Micros> {
        let timers = self.conn.proto.timers();
        let retransmit = timers
            .retransmit
            .map(|since| Micros(since.0 + self.rto().0));
        let delayed_ack = timers
            .delayed_ack
            .map(|since| Micros(since.0 + DELAYED_ACK.0));
        let persist = timers.persist.then(|| self.persist_at.unwrap_or(now));
        [retransmit, delayed_ack, persist]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn run_timers(&mut self, now: Micros) {
        let timers = self.conn.proto.timers();
        let mut commands = Command::NONE;
        if timers
            .delayed_ack
            .is_some_and(|since| now >= Micros(since.0 + DELAYED_ACK.0))
        {
            commands.insert(Command::ACK_NOW);
        }
        if timers
            .retransmit
            .is_some_and(|since| now >= Micros(since.0 + self.rto().0))
        {
            self.rto_backoff += 1;
            self.cwnd = self.conn.pre.params().mss.0;
            self.conn.pre.set_cwnd(Bytes(self.cwnd));
            commands.insert(Command::RETRANSMIT);
        }
        if !timers.persist {
            self.persist_at = None;
        } else if let Some(at) = self.persist_at {
            if now >= at {
                commands.insert(Command::PROBE);
                self.persist_backoff += 1;
                self.persist_at = Some(Micros(now.0 + (MIN_RTO.0 << self.persist_backoff.min(6))));
            }
        } else {
            self.persist_at = Some(Micros(now.0 + MIN_RTO.0));
        }
        if !commands.is_empty() {
            self.control(
                HostControl {
                    commands,
                    ..HostControl::default()
                },
                now,
            );
        }
    }

    pub fn is_fin_acked(&self) -> bool {
        self.env.fin_acked
    }
}
