// SPDX-License-Identifier: GPL-2.0

//! Connection state, split by who may write it (chapter 4, table 4.1).

use super::config::{
    ConfigError, ConnectionConfig, EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig,
    SendConfig, TimestampConfig,
};
use super::meta::{Features, Params};
use super::proto::reassembly::Reassembly;
use super::template::Template;
use crate::units::{Bytes, Micros, SeqNum, StreamMap, TsVal};
use crate::wire::FourTuple;

/// Out-of-order intervals kept per connection unless asked otherwise. FlexTOE keeps one.
pub const OOO_INTERVALS: usize = 4;

/// Pre-processing: identification and settings. Written by the control plane only.
#[derive(Clone, Copy, Debug)]
pub struct PreState {
    pub(super) tuple: FourTuple,
    pub(super) path: Path,
    pub(super) flow_group: u16,
    pub(super) params: Params,
    pub(super) template: Template,
}

/// Protocol: written by the protocol stage only, one item of work at a time.
///
/// # Invariants
///
/// `snd_una <= snd_nxt <= snd_max <= tx_end` (plus one if FIN is queued) and `rcv_nxt <= rcv_adv`, `rx_end`, by signed
/// distance; the rings' sizes bound `tx_end - snd_una` and `rx_end - rcv_nxt`.
#[derive(Clone, Copy, Debug)]
pub struct ProtoState<const N: usize = OOO_INTERVALS> {
    // Receive.
    pub(super) rcv_nxt: SeqNum,
    /// Right edge of the window offered so far.
    pub(super) rcv_adv: SeqNum,
    /// Right edge of the free space in the receive ring.
    pub(super) rx_end: SeqNum,
    /// Highest RCV.NXT acknowledged (RFC 7323's Last.ACK.sent).
    pub(super) last_ack_sent: SeqNum,
    /// Payload bytes of the peer's full-sized segments, as far as seen.
    pub(super) rcv_mss: Bytes,
    /// The FIN's sequence number, when [`ProtoFlags::FIN_SEEN`].
    pub(super) peer_fin: SeqNum,
    pub(super) rx_map: StreamMap,
    pub(super) ooo: Reassembly<N>,
    pub(super) ts_recent: TsVal,
    pub(super) quick_acks: u8,
    // Send.
    pub(super) dup_acks: u8,
    pub(super) flags: ProtoFlags,
    pub(super) snd_una: SeqNum,
    pub(super) snd_nxt: SeqNum,
    pub(super) snd_max: SeqNum,
    /// End of the data in the transmit ring; FIN's place.
    pub(super) tx_end: SeqNum,
    pub(super) snd_wnd: Bytes,
    pub(super) snd_wl1: SeqNum,
    pub(super) max_snd_wnd: Bytes,
    pub(super) tx_map: StreamMap,
    /// SND.MAX when retransmission last began (RFC 6582).
    pub(super) recover: SeqNum,
    /// Where the peer's data begin again after the hole at SND.UNA, when [`ProtoFlags::HOLE`].
    pub(super) hole_end: SeqNum,
    /// End of what recovery has sent again.
    pub(super) resent_end: SeqNum,
    /// Added to the congestion window for segments that duplicate ACKs say have left the network.
    pub(super) inflation: Bytes,
    /// End of the last small segment sent, for Nagle's algorithm.
    pub(super) small_end: SeqNum,
    /// End of the window of data the next congestion report is about.
    pub(super) report_mark: SeqNum,
    /// End of the window of data in which ECN-Echo was last reacted to.
    pub(super) cwr_mark: SeqNum,
    /// End of the segment being timed, when [`ProtoFlags::TIMING`].
    pub(super) timed_end: SeqNum,
    // Times.
    pub(super) timed_at: Micros,
    pub(super) ts_recent_at: Micros,
    /// When the oldest acknowledgment owed became due, when [`ProtoFlags::ACK_OWED`].
    pub(super) ack_owed_at: Micros,
    /// When the retransmission timer was last (re)started.
    pub(super) rto_base: Micros,
    /// When a segment without anything acceptable was last answered.
    pub(super) challenged_at: Option<Micros>,
}

super::meta::bit_set! {
    /// Conditions of the protocol stage.
    ProtoFlags: u16 {
        /// An acknowledgment is delayed.
        ACK_OWED = 1,
        /// The peer's FIN has been seen, at `peer_fin`.
        FIN_SEEN = 2,
        /// RCV.NXT is past the peer's FIN.
        FIN_RECEIVED = 4,
        /// FIN follows the data in the transmit ring.
        FIN_QUEUED = 8,
        /// Our FIN was acknowledged.
        FIN_ACKED = 16,
        /// A segment is being timed.
        TIMING = 32,
        /// Retransmitting what was sent before `recover`.
        RECOVERY = 64,
        /// The congestion window held data back since the last report.
        CWND_LIMITED = 128,
        /// An acknowledgment carried ECN-Echo since the last report.
        ECE_SEEN = 256,
        /// The next new segment carries CWR.
        CWR_OWED = 512,
        /// Acknowledgments carry ECN-Echo.
        ECHO = 1024,
        /// The last segment was marked (DCTCP.CE).
        CE = 2048,
        /// The extent of the hole at SND.UNA is known, and in recovery it is what is sent next.
        HOLE = 4096,
        /// The next segment may be small.
        FORCE = 8192,
        /// Recovery was begun by duplicate ACKs, and the peer holds most of what was sent.
        FAST = 16384,
    }
}

/// Counts of a connection's segments and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectionCounters {
    /// Segments received (coalesced ones count once).
    pub rx_segments: u64,
    /// Payload bytes received in order.
    pub rx_bytes: u64,
    /// Segments received ahead of a hole.
    pub rx_out_of_order: u64,
    /// Payload bytes received again or outside of the window, and thrown away.
    pub rx_discarded: u64,
    /// Segments dropped for any [reason](crate::reason::DropReason).
    pub rx_dropped: u64,
    /// Duplicate ACKs received.
    pub dup_acks: u64,
    /// Segments received with a congestion mark.
    pub ce_segments: u64,
    /// Segments sent with payload or FIN (those the device cuts count once).
    pub tx_segments: u64,
    /// Payload bytes sent, first time and again.
    pub tx_bytes: u64,
    /// Payload bytes sent again.
    pub tx_retransmitted: u64,
    /// Segments sent without payload.
    pub tx_acks: u64,
    /// Fast retransmits.
    pub fast_retransmits: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
}

/// Post-processing: the application's interface and statistics. Updates commute.
#[derive(Clone, Copy, Debug)]
pub struct PostState {
    pub(super) cookie: u64,
    pub(super) context: u16,
    pub(super) rx_base: u64,
    pub(super) tx_base: u64,
    pub(super) rx_size: Bytes,
    pub(super) tx_size: Bytes,
    /// Bytes acknowledged since the last congestion report.
    pub(super) acked: Bytes,
    /// Of those, acknowledged with ECN-Echo.
    pub(super) ecn: Bytes,
    pub(super) fast_retransmits: u32,
    pub(super) srtt: Micros,
    pub(super) rttvar: Micros,
    pub(super) rtt: Micros,
    pub(super) counters: ConnectionCounters,
}

/// An established connection: the three parts of its state.
#[derive(Clone, Copy, Debug)]
pub struct Connection<const N: usize = OOO_INTERVALS> {
    /// Written by the control plane.
    pub pre: PreState,
    /// Written by the protocol stage.
    pub proto: ProtoState<N>,
    /// Written by the post-processing stage.
    pub post: PostState,
}

impl PreState {
    /// Addresses and ports.
    pub fn tuple(&self) -> &FourTuple {
        &self.tuple
    }

    /// Which pipeline handles the connection.
    pub fn flow_group(&self) -> u16 {
        self.flow_group
    }

    /// The settings that travel with each item of work.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Sets the congestion window; one MSS at least.
    #[inline]
    pub fn set_cwnd(&mut self, cwnd: Bytes) {
        self.params.set_cwnd(cwnd);
    }

    /// Sets TCP_NODELAY. Follow with a [`KICK`](super::meta::Command::KICK).
    pub fn set_nodelay(&mut self, on: bool) {
        self.params.features.set(Features::NODELAY, on);
    }

    /// Sets TCP_CORK. Follow with a [`KICK`](super::meta::Command::KICK).
    pub fn set_cork(&mut self, on: bool) {
        self.params.features.set(Features::CORK, on);
    }

    /// Says whether a rate holds the connection's segments back, by a limit other than
    /// [`Interval::NONE`](super::scheduler::Interval::NONE).
    pub fn set_paced(&mut self, on: bool) {
        self.params.features.set(Features::PACED, on);
    }

    /// Changes how segments reach the peer: a new next hop, MSS or offload.
    pub fn set_path(&mut self, path: Path) -> Result<(), ConfigError> {
        path.check()?;
        self.params.mss = Bytes(u32::from(path.mss));
        self.params.tx_max = path.tx_max();
        self.params.set_cwnd(self.params.cwnd);
        self.template = Template::new(&self.tuple, &path);
        self.path = path;
        Ok(())
    }

    /// The prepared header of the connection's segments.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// How segments reach the peer.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl PostState {
    /// The round-trip time estimate.
    pub fn rtt(&self) -> RttConfig {
        RttConfig {
            srtt: self.srtt,
            rttvar: self.rttvar,
        }
    }

    /// Segment and byte counts.
    pub fn counters(&self) -> &ConnectionCounters {
        &self.counters
    }
}

impl<const N: usize> Connection<N> {
    /// A connection in the state `config` describes, at the time `now`.
    pub fn new(config: &ConnectionConfig, now: Micros) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            pre: PreState {
                tuple: config.tuple,
                path: config.path,
                flow_group: config.flow_group,
                params: config.params(),
                template: Template::new(&config.tuple, &config.path),
            },
            proto: ProtoState::new(config, now),
            post: PostState {
                cookie: config.cookie,
                context: config.context,
                rx_base: config.rx.base,
                tx_base: config.tx.base,
                rx_size: Bytes(config.rx.size),
                tx_size: Bytes(config.tx.size),
                acked: Bytes::ZERO,
                ecn: Bytes::ZERO,
                fast_retransmits: 0,
                srtt: config.rtt.srtt,
                rttvar: config.rtt.rttvar,
                rtt: Micros(0),
                counters: ConnectionCounters::default(),
            },
        })
    }

    /// The full state, for handing the connection back. What is held out of order is not part of it: the peer sends
    /// that again.
    pub fn config(&self) -> ConnectionConfig {
        let (pre, proto, post) = (&self.pre, &self.proto, &self.post);
        let features = pre.params.features;
        let ecn = match (
            features.has(Features::ECN),
            features.has(Features::ACCURATE_ECN),
        ) {
            (false, _) => EcnConfig::Off,
            (true, false) => EcnConfig::Classic,
            (true, true) => EcnConfig::Accurate,
        };
        ConnectionConfig {
            tuple: pre.tuple,
            path: pre.path,
            timestamps: features
                .has(Features::TIMESTAMPS)
                .then_some(TimestampConfig {
                    offset: pre.params.ts_offset,
                    recent: proto.ts_recent,
                }),
            ecn,
            sack: features.has(Features::SACK),
            nodelay: features.has(Features::NODELAY),
            cork: features.has(Features::CORK),
            quick_acks: proto.quick_acks,
            cwnd: pre.params.cwnd,
            send: proto.send_config(pre.params.snd_scale),
            receive: ReceiveConfig {
                nxt: proto.rcv_nxt,
                wnd: proto.rcv_adv.bytes_since(proto.rcv_nxt),
                scale: pre.params.rcv_scale,
                mss: proto.rcv_mss.0 as u16,
                fin: proto.flags.has(ProtoFlags::FIN_RECEIVED),
            },
            tx: proto.tx_ring(post.tx_base, post.tx_size),
            rx: proto.rx_ring(post.rx_base, post.rx_size),
            rtt: post.rtt(),
            cookie: post.cookie,
            context: post.context,
            flow_group: pre.flow_group,
        }
    }
}

impl<const N: usize> ProtoState<N> {
    fn new(config: &ConnectionConfig, now: Micros) -> Self {
        let ConnectionConfig {
            send,
            receive,
            tx,
            rx,
            ..
        } = config;
        let mut flags = ProtoFlags::NONE;
        flags.set(ProtoFlags::FIN_QUEUED, send.fin != Fin::Open);
        flags.set(ProtoFlags::FIN_ACKED, send.fin == Fin::Acked);
        let fin_acked = Bytes(u32::from(send.fin == Fin::Acked));
        flags.set(ProtoFlags::FIN_SEEN | ProtoFlags::FIN_RECEIVED, receive.fin);
        let fin = Bytes(u32::from(receive.fin));
        let free = Bytes(rx.size) - rx.fill();
        Self {
            rcv_nxt: receive.nxt,
            rcv_adv: receive.nxt + receive.wnd.min(free),
            rx_end: receive.nxt + free,
            last_ack_sent: receive.nxt,
            rcv_mss: config.rcv_mss(),
            peer_fin: receive.nxt - fin,
            rx_map: StreamMap::new(receive.nxt - fin, rx.tail),
            ooo: Reassembly::new(),
            ts_recent: config.timestamps.map_or(TsVal::default(), |ts| ts.recent),
            quick_acks: config.quick_acks,
            dup_acks: 0,
            flags,
            snd_una: send.una,
            snd_nxt: send.nxt,
            snd_max: send.max,
            tx_end: send.una - fin_acked + tx.fill(),
            snd_wnd: send.wnd,
            snd_wl1: send.wl1,
            max_snd_wnd: send.max_wnd.max(send.wnd),
            tx_map: StreamMap::new(send.una - fin_acked, tx.head),
            recover: send.una - Bytes(1),
            hole_end: send.una,
            resent_end: send.una,
            inflation: Bytes::ZERO,
            small_end: send.una,
            report_mark: send.max,
            cwr_mark: send.una,
            timed_end: send.una,
            timed_at: now,
            ts_recent_at: now,
            ack_owed_at: now,
            rto_base: now,
            challenged_at: None,
        }
    }

    fn send_config(&self, scale: crate::units::WindowScale) -> SendConfig {
        SendConfig {
            una: self.snd_una,
            nxt: self.snd_nxt,
            max: self.snd_max,
            wnd: self.snd_wnd,
            max_wnd: self.max_snd_wnd,
            wl1: self.snd_wl1,
            scale,
            fin: match (self.flags.has(ProtoFlags::FIN_QUEUED), self.fin_acked()) {
                (_, true) => Fin::Acked,
                (true, false) => Fin::Queued,
                (false, false) => Fin::Open,
            },
        }
    }

    fn tx_ring(&self, base: u64, size: Bytes) -> Ring {
        let (head, tail) = (self.snd_una.min(self.tx_end), self.tx_end);
        Ring {
            base,
            size: size.0,
            head: self.tx_map.pos(head),
            tail: self.tx_map.pos(tail),
        }
    }

    fn rx_ring(&self, base: u64, size: Bytes) -> Ring {
        let end = if self.flags.has(ProtoFlags::FIN_RECEIVED) {
            self.peer_fin
        } else {
            self.rcv_nxt
        };
        let free = self.rx_end.bytes_since(self.rcv_nxt);
        let tail = self.rx_map.pos(end);
        Ring {
            base,
            size: size.0,
            head: tail - (size - free),
            tail,
        }
    }
}
