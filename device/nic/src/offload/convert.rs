// SPDX-License-Identifier: GPL-2.0

//! A connection's state: between the interface's layout and the data-path's.

use crate::layout::{
    self, conn, feature, Status, MAX_ACK_DELAY, PATH_VLAN, TUPLE_IPV6, TUPLE_VLAN,
};
use datapath::{
    npu::{
        config::{
            ConfigError, EcnConfig, Fin, Path, ReceiveConfig, Ring, RttConfig, SendConfig,
            TimestampConfig, MAX_TX,
        },
        scheduler::Interval,
        ConnectionConfig,
    },
    units::{Bytes, Micros, SeqNum, StreamPos, TsVal, WindowScale},
    wire::{ethernet::Link, Addresses, FourTuple},
};

/// What a connection is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Addresses and ports.
    pub tuple: FourTuple,
    /// VLAN identifier of its frames.
    pub vlan: Option<u16>,
}

/// Bits of a tag that are the VLAN's identifier.
const VLAN_ID: u16 = 0x0fff;

/// The VLAN of a frame with this tag.
pub fn vlan_id(tci: u16) -> u16 {
    tci & VLAN_ID
}

impl Key {
    /// The key that a tuple stands for; refused if its flags or what they need are unknown.
    pub fn from_layout(tuple: &layout::Tuple, features: u64) -> Result<Self, Status> {
        if tuple.flags & !(TUPLE_IPV6 | TUPLE_VLAN) != 0 {
            return Err(Status::BadArgument);
        }
        let ipv6 = tuple.flags & TUPLE_IPV6 != 0;
        let vlan = tuple.flags & TUPLE_VLAN != 0;
        if (ipv6 && features & feature::IPV6 == 0) || (vlan && features & feature::VLAN == 0) {
            return Err(Status::Unsupported);
        }
        let first = |bytes: &[u8; 16]| [bytes[0], bytes[1], bytes[2], bytes[3]];
        let addresses = if ipv6 {
            Addresses::V6 {
                local: tuple.local,
                remote: tuple.remote,
            }
        } else {
            Addresses::V4 {
                local: first(&tuple.local),
                remote: first(&tuple.remote),
            }
        };
        Ok(Self {
            tuple: FourTuple {
                addresses,
                local_port: tuple.local_port.get(),
                remote_port: tuple.remote_port.get(),
            },
            vlan: vlan.then_some(vlan_id(tuple.vlan.get())),
        })
    }

    /// The tuple that stands for it.
    pub fn to_layout(self) -> layout::Tuple {
        let mut out = layout::Tuple::zeroed();
        match &self.tuple.addresses {
            Addresses::V4 { local, remote } => {
                out.local[..4].copy_from_slice(local);
                out.remote[..4].copy_from_slice(remote);
            }
            Addresses::V6 { local, remote } => {
                out.local = *local;
                out.remote = *remote;
                out.flags |= TUPLE_IPV6;
            }
        }
        out.local_port = self.tuple.local_port.into();
        out.remote_port = self.tuple.remote_port.into();
        if let Some(vlan) = self.vlan {
            out.vlan = vlan.into();
            out.flags |= TUPLE_VLAN;
        }
        out
    }
}

/// Most payload bytes that a connection of this rate, if any, sends at once: what it may in a quarter of a millisecond.
pub fn tx_max(rate: u64) -> u32 {
    match rate {
        0 => MAX_TX.0,
        rate => (rate / 4096).min(MAX_TX.0.into()) as u32,
    }
}

/// A path of the data-path, at a rate. The device cuts segments and fills in checksums itself.
pub fn path_from_layout(path: &layout::Path, rate: u64) -> Path {
    Path {
        link: Link::Ethernet {
            destination: path.destination,
            source: path.source,
            vlan: (path.flags & PATH_VLAN != 0).then_some(path.vlan_tci.get()),
        },
        ttl: path.ttl,
        tos: path.tos,
        mss: path.mss.get(),
        tx_max: tx_max(rate),
        checksum_offload: true,
    }
}

fn path_to_layout(path: &Path) -> layout::Path {
    let mut out = layout::Path::zeroed();
    if let Link::Ethernet {
        destination,
        source,
        vlan,
    } = path.link
    {
        out.destination = destination;
        out.source = source;
        if let Some(tci) = vlan {
            out.vlan_tci = tci.into();
            out.flags = PATH_VLAN;
        }
    }
    out.ttl = path.ttl;
    out.tos = path.tos;
    out.mss = path.mss.into();
    out
}

fn scale(shift: u8) -> Result<WindowScale, Status> {
    WindowScale::new(shift).ok_or(Status::ConfigField)
}

fn ring(size: u32, head: u32, tail: u32) -> Ring {
    Ring {
        base: 0,
        size,
        head: StreamPos(head),
        tail: StreamPos(tail),
    }
}

/// How ECN is fed back by a connection with these flags, and how far its FIN is.
fn modes(flags: u32) -> Result<(EcnConfig, Fin), Status> {
    let ecn = match (flags & conn::ECN != 0, flags & conn::ACCURATE_ECN != 0) {
        (false, false) => EcnConfig::Off,
        (true, false) => EcnConfig::Classic,
        (true, true) => EcnConfig::Accurate,
        (false, true) => return Err(Status::ConfigField),
    };
    let fin = match (flags & conn::FIN_QUEUED != 0, flags & conn::FIN_ACKED != 0) {
        (false, false) => Fin::Open,
        (true, false) => Fin::Queued,
        (true, true) => Fin::Acked,
        (false, true) => return Err(Status::ConfigField),
    };
    Ok((ecn, fin))
}

/// The data-path's state of a connection that is to be installed as `c`, claimed as `key`.
pub fn config_from_layout(
    c: &layout::Connection,
    key: &Key,
    features: u64,
) -> Result<ConnectionConfig, Status> {
    let flags = c.flags.get();
    let vlan = (c.path.flags & PATH_VLAN != 0).then_some(vlan_id(c.path.vlan_tci.get()));
    let lacks = |flag, needs| flags & flag != 0 && features & needs == 0;
    let unknown = flags & !conn::ALL != 0 || c.path.flags & !PATH_VLAN != 0;
    if unknown
        || lacks(conn::ECN, feature::ECN)
        || lacks(conn::SACK, feature::SACK)
        || (c.rate.get() != 0 && features & feature::RATE == 0)
        || c.ack_delay.get() > MAX_ACK_DELAY
        || Key::from_layout(&c.tuple, features)? != *key
        || vlan != key.vlan
    {
        return Err(Status::ConfigField);
    }
    let (ecn, fin) = modes(flags)?;
    Ok(ConnectionConfig {
        tuple: key.tuple,
        path: path_from_layout(&c.path, c.rate.get()),
        timestamps: (flags & conn::TIMESTAMPS != 0).then_some(TimestampConfig {
            offset: c.ts_offset.get(),
            recent: TsVal(c.ts_recent.get()),
        }),
        ecn,
        sack: flags & conn::SACK != 0,
        nodelay: flags & conn::NODELAY != 0,
        cork: flags & conn::CORK != 0,
        quick_acks: c.quick_acks,
        cwnd: Bytes(c.cwnd.get()),
        send: SendConfig {
            una: SeqNum::new(c.snd_una.get()),
            nxt: SeqNum::new(c.snd_nxt.get()),
            max: SeqNum::new(c.snd_max.get()),
            wnd: Bytes(c.snd_wnd.get()),
            max_wnd: Bytes(c.snd_max_wnd.get()),
            wl1: SeqNum::new(c.snd_wl1.get()),
            scale: scale(c.snd_scale)?,
            fin,
        },
        receive: ReceiveConfig {
            nxt: SeqNum::new(c.rcv_nxt.get()),
            wnd: Bytes(c.rcv_wnd.get()),
            scale: scale(c.rcv_scale)?,
            mss: c.rcv_mss.get(),
            fin: flags & conn::PEER_FIN != 0,
        },
        tx: ring(c.tx_size.get(), c.tx_head.get(), c.tx_tail.get()),
        rx: ring(c.rx_size.get(), c.rx_head.get(), c.rx_tail.get()),
        rtt: RttConfig {
            srtt: Micros(c.srtt.get().into()),
            rttvar: Micros(c.rttvar.get().into()),
        },
        cookie: c.cookie.get(),
        context: c.context.get(),
        flow_group: c.flow_group.get(),
    })
}

/// What is said of FINs in a connection's flags.
pub fn fin_flags(config: &ConnectionConfig) -> u32 {
    let sent = match config.send.fin {
        Fin::Open => 0,
        Fin::Queued => conn::FIN_QUEUED,
        Fin::Acked => conn::FIN_QUEUED | conn::FIN_ACKED,
    };
    let received = if config.receive.fin {
        conn::PEER_FIN
    } else {
        0
    };
    sent | received
}

/// The limit that a rate of so many bytes per second is; zero is none.
pub fn interval(rate: u64) -> Interval {
    if rate == 0 {
        Interval::NONE
    } else {
        Interval::from_rate(rate)
    }
}

/// How long acknowledgments are delayed, if the device sees to that.
pub fn ack_delay(micros: u32) -> Option<Micros> {
    (micros != 0).then_some(Micros(micros.into()))
}

/// Microseconds as the interface has them: as many as fit.
pub fn micros(time: Micros) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}

/// The state of a connection as the host is told it.
pub fn config_to_layout(config: &ConnectionConfig, key: &Key, control: u16) -> layout::Connection {
    let mut out = layout::Connection::zeroed();
    let mut flags = fin_flags(config);
    let mut flag = |bit, on| flags |= if on { bit } else { 0 };
    flag(conn::TIMESTAMPS, config.timestamps.is_some());
    flag(conn::ECN, config.ecn != EcnConfig::Off);
    flag(conn::ACCURATE_ECN, config.ecn == EcnConfig::Accurate);
    flag(conn::SACK, config.sack);
    flag(conn::NODELAY, config.nodelay);
    flag(conn::CORK, config.cork);
    out.tuple = key.to_layout();
    out.path = path_to_layout(&config.path);
    out.flags = flags.into();
    if let Some(timestamps) = &config.timestamps {
        out.ts_offset = timestamps.offset.into();
        out.ts_recent = timestamps.recent.0.into();
    }
    let (send, receive) = (&config.send, &config.receive);
    out.cwnd = config.cwnd.0.into();
    out.snd_una = send.una.get().into();
    out.snd_nxt = send.nxt.get().into();
    out.snd_max = send.max.get().into();
    out.snd_wnd = send.wnd.0.into();
    out.snd_max_wnd = send.max_wnd.0.into();
    out.snd_wl1 = send.wl1.get().into();
    out.rcv_nxt = receive.nxt.get().into();
    out.rcv_wnd = receive.wnd.0.into();
    out.snd_scale = send.scale.shift();
    out.rcv_scale = receive.scale.shift();
    out.rcv_mss = receive.mss.into();
    out.quick_acks = config.quick_acks;
    out.srtt = micros(config.rtt.srtt).into();
    out.rttvar = micros(config.rtt.rttvar).into();
    out.rx_size = config.rx.size.into();
    out.rx_head = config.rx.head.0.into();
    out.rx_tail = config.rx.tail.0.into();
    out.tx_size = config.tx.size.into();
    out.tx_head = config.tx.head.0.into();
    out.tx_tail = config.tx.tail.0.into();
    out.cookie = config.cookie.into();
    out.context = config.context.into();
    out.control = control.into();
    out.flow_group = config.flow_group.into();
    out
}

impl From<ConfigError> for Status {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Mss => Self::ConfigMss,
            ConfigError::RingSize => Self::ConfigRingSize,
            ConfigError::RingFill => Self::ConfigRingFill,
            ConfigError::SendSequence => Self::ConfigSendSequence,
            ConfigError::ReceiveWindow => Self::ConfigReceiveWindow,
        }
    }
}
