// SPDX-License-Identifier: GPL-2.0

//! Full state of a connection, as handed over to the data-path and back.

use super::meta::{Features, Params};
use crate::units::{Bytes, Micros, SeqNum, StreamPos, TsVal, WindowScale};
use crate::wire::ethernet::Link;
use crate::wire::FourTuple;

/// Smallest payload ring.
pub const MIN_RING: Bytes = Bytes(4 << 10);
/// Largest payload ring.
pub const MAX_RING: Bytes = Bytes(16 << 20);
/// The largest window that a header can offer (RFC 7323, section 2.3).
pub const MAX_WINDOW: Bytes = Bytes(65535 << 14);
/// Largest payload handed to the device at once: what fits an IPv4 packet with all headers.
pub const MAX_TX: Bytes = Bytes(65535 - 40 - 60);

/// How a connection's segments reach the peer: what route and neighbour changes change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// Link-layer header.
    pub link: Link,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class; the two ECN bits are ignored.
    pub tos: u8,
    /// Payload bytes of a full-sized segment, with options already subtracted (Linux: tcpi_snd_mss).
    pub mss: u16,
    /// Most payload bytes per [`transmit`](super::Port::transmit); below `2 * mss` means no segmentation offload.
    pub tx_max: u32,
    /// Whether the device completes the TCP checksum: the field then holds the pseudo-header's sum.
    pub checksum_offload: bool,
}

/// One payload ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ring {
    /// Address or handle, opaque to the data-path.
    pub base: u64,
    /// Size in bytes: a power of two, 4 KiB to 16 MiB.
    pub size: u32,
    /// Oldest byte in it: next to be read by the application (RX), or at SND.UNA (TX).
    pub head: StreamPos,
    /// One past the newest byte: at RCV.NXT (RX), or where the application writes next (TX).
    pub tail: StreamPos,
}

/// The timestamps option's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampConfig {
    /// TSval = milliseconds of the environment's clock + `offset`.
    pub offset: u32,
    /// TS.Recent.
    pub recent: TsVal,
}

/// How ECN marks are fed back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EcnConfig {
    /// Not negotiated.
    Off,
    /// Latched until CWR (RFC 3168).
    Classic,
    /// Mirrored segment by segment (RFC 8257, DCTCP).
    Accurate,
}

/// Send sequence variables (RFC 9293, section 3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendConfig {
    /// SND.UNA.
    pub una: SeqNum,
    /// SND.NXT; behind `max` while a retransmission catches up.
    pub nxt: SeqNum,
    /// Highest sequence number sent so far, plus one.
    pub max: SeqNum,
    /// SND.WND in bytes, scaled.
    pub wnd: Bytes,
    /// Largest SND.WND seen.
    pub max_wnd: Bytes,
    /// SND.WL1.
    pub wl1: SeqNum,
    /// Scale of the windows the peer sends.
    pub scale: WindowScale,
    /// How far our FIN is.
    pub fin: Fin,
}

/// How far our FIN is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fin {
    /// The application may still write.
    Open,
    /// The application ended the stream at the ring's tail: FIN follows its last byte, sent if SND.NXT is past it.
    Queued,
    /// FIN was acknowledged: SND.UNA is past it.
    Acked,
}

/// Receive sequence variables (RFC 9293, section 3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiveConfig {
    /// RCV.NXT; past the FIN if it was received.
    pub nxt: SeqNum,
    /// The window last offered, from RCV.NXT.
    pub wnd: Bytes,
    /// Scale of the windows we send.
    pub scale: WindowScale,
    /// Payload bytes of the largest segment seen, our own MSS at most (Linux: icsk_ack.rcv_mss); 0 to
    /// assume that.
    pub mss: u16,
    /// The peer's FIN was received.
    pub fin: bool,
}

/// Round-trip time estimate (RFC 6298); zero before the first sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RttConfig {
    /// SRTT.
    pub srtt: Micros,
    /// RTTVAR.
    pub rttvar: Micros,
}

/// Everything that makes an established connection. [`super::Connection::new`] checks it,
/// [`super::Connection::config`] reads it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionConfig {
    /// Addresses and ports.
    pub tuple: FourTuple,
    /// How to reach the peer.
    pub path: Path,
    /// Timestamps, if negotiated.
    pub timestamps: Option<TimestampConfig>,
    /// ECN mode.
    pub ecn: EcnConfig,
    /// The peer permits SACK.
    pub sack: bool,
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// TCP_CORK.
    pub cork: bool,
    /// Segments to acknowledge at once before acknowledgments are delayed.
    pub quick_acks: u8,
    /// Congestion window in bytes; taken as one MSS if less.
    pub cwnd: Bytes,
    /// Send side.
    pub send: SendConfig,
    /// Receive side.
    pub receive: ReceiveConfig,
    /// Transmit ring.
    pub tx: Ring,
    /// Receive ring.
    pub rx: Ring,
    /// Round-trip time estimate.
    pub rtt: RttConfig,
    /// The owner's name for the connection, returned in notifications.
    pub cookie: u64,
    /// Context queue for notifications.
    pub context: u16,
    /// Flow group: which pipeline handles it.
    pub flow_group: u16,
}

/// Why a configuration is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// MSS zero, or beyond what an IP packet holds.
    Mss,
    /// A ring's size is not a power of two from 4 KiB to 16 MiB.
    RingSize,
    /// A ring holds more bytes than its size.
    RingFill,
    /// SND.UNA, SND.NXT and SND.MAX are not in order, or beyond the bytes in the transmit ring.
    SendSequence,
    /// The window offered is beyond what scaling can express.
    ReceiveWindow,
}

impl ConfigError {
    /// What is wrong, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mss => "mss",
            Self::RingSize => "ring-size",
            Self::RingFill => "ring-fill",
            Self::SendSequence => "send-sequence",
            Self::ReceiveWindow => "receive-window",
        }
    }
}

impl Ring {
    fn check(&self) -> Result<(), ConfigError> {
        let in_range = (MIN_RING.0..=MAX_RING.0).contains(&self.size);
        if !in_range || !self.size.is_power_of_two() {
            return Err(ConfigError::RingSize);
        }
        if self.fill().0 > self.size {
            return Err(ConfigError::RingFill);
        }
        Ok(())
    }

    /// Bytes in it.
    pub const fn fill(&self) -> Bytes {
        self.tail.bytes_since(self.head)
    }
}

impl Path {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.mss == 0 || u32::from(self.mss) > MAX_TX.0 {
            return Err(ConfigError::Mss);
        }
        Ok(())
    }

    /// `tx_max`, made to fit an IP packet and at least one segment.
    pub(super) fn tx_max(&self) -> Bytes {
        Bytes(self.tx_max.min(MAX_TX.0).max(u32::from(self.mss)))
    }
}

impl ConnectionConfig {
    /// Checks everything that could make the state inconsistent.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.path.check()?;
        self.tx.check()?;
        self.rx.check()?;
        let end = self.tx.fill() + Bytes(u32::from(self.send.fin == Fin::Queued));
        let nxt = self.send.nxt.since(self.send.una);
        let max = self.send.max.since(self.send.una);
        let beyond_fin = self.send.fin == Fin::Acked && !self.tx.fill().is_zero();
        if nxt < 0 || nxt > max || max > end.0 as i32 || beyond_fin {
            return Err(ConfigError::SendSequence);
        }
        if self.receive.wnd > self.receive.scale.expand(u16::MAX) {
            return Err(ConfigError::ReceiveWindow);
        }
        Ok(())
    }

    /// What delayed acknowledgments are counted in.
    pub(super) fn rcv_mss(&self) -> Bytes {
        let seen = match self.receive.mss {
            0 => self.path.mss,
            seen => seen.min(self.path.mss),
        };
        Bytes(u32::from(seen))
    }

    pub(super) fn params(&self) -> Params {
        let mut features = Features::NONE;
        features.set(Features::TIMESTAMPS, self.timestamps.is_some());
        features.set(Features::ECN, self.ecn != EcnConfig::Off);
        features.set(Features::ACCURATE_ECN, self.ecn == EcnConfig::Accurate);
        features.set(Features::SACK, self.sack);
        features.set(Features::NODELAY, self.nodelay);
        features.set(Features::CORK, self.cork);
        let mss = Bytes(u32::from(self.path.mss));
        let mut params = Params {
            mss,
            tx_max: self.path.tx_max(),
            tx_burst: mss,
            cwnd: mss,
            rx_size: Bytes(self.rx.size),
            tx_size: Bytes(self.tx.size),
            window_step: mss.min(Bytes(self.rx.size / 2)),
            ts_offset: self.timestamps.map_or(0, |ts| ts.offset),
            snd_scale: self.send.scale,
            rcv_scale: self.receive.scale,
            features,
        };
        params.set_cwnd(self.cwnd);
        params
    }
}

#[cfg(test)]
mod tests;
