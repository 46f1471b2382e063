// SPDX-License-Identifier: GPL-2.0
//! What the kernel tells, as the tool shows it; field names are the keys of `--json`.

use crate::{
    attr,
    error::{Error, Result},
    process::Process,
    uapi::{self, ConnPath, ConnState, CounterGroup, Datapath, DevKind},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
};

fn missing(what: &str) -> Error {
    Error::BadAnswer(format!("{what} is missing"))
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Index of its netdev.
    pub ifindex: u32,
    /// Name of its netdev.
    pub ifname: String,
    /// Who runs the data-path.
    pub kind: DevKind,
    /// Which data-path runs.
    pub datapath: Datapath,
    /// Connections installed.
    pub connections: u32,
    /// Connections it can hold; `None` when it sets no limit.
    pub max_connections: Option<u32>,
}

impl Device {
    /// Reads the attributes of one answer.
    pub fn decode(attrs: &[u8]) -> Result<Self> {
        let (mut ifindex, mut ifname, mut kind, mut datapath) = (None, None, None, None);
        let (mut connections, mut max_connections) = (0, None);
        for attr in attr::parse(attrs) {
            let attr = attr?;
            match attr.kind {
                uapi::dev::IFINDEX => ifindex = Some(attr.u32()?),
                uapi::dev::IFNAME => ifname = Some(attr.string()?),
                uapi::dev::KIND => kind = Some(attr.u32()?.into()),
                uapi::dev::DATAPATH => datapath = Some(attr.u32()?.into()),
                uapi::dev::CONNECTIONS => connections = attr.u32()?,
                uapi::dev::MAX_CONNECTIONS => max_connections = Some(attr.u32()?),
                _ => {}
            }
        }
        Ok(Self {
            ifindex: ifindex.ok_or_else(|| missing("a device's ifindex"))?,
            ifname: ifname.ok_or_else(|| missing("a device's name"))?,
            kind: kind.ok_or_else(|| missing("a device's kind"))?,
            datapath: datapath.ok_or_else(|| missing("a device's data-path"))?,
            connections,
            max_connections,
        })
    }
}

/// An address and a port; either may be unset, as the peer's of a listening socket is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub addr: Option<IpAddr>,
    /// The port.
    pub port: Option<u16>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addr, self.port) {
            (Some(addr), Some(port)) => SocketAddr::new(addr, port).fmt(f),
            (Some(addr), None) => write!(f, "{addr}:*"),
            (None, Some(port)) => write!(f, "*:{port}"),
            (None, None) => f.write_str("*:*"),
        }
    }
}

/// A socket with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// The socket's cookie.
    pub cookie: u64,
    /// Our address.
    pub local_addr: Option<IpAddr>,
    /// Our port.
    pub local_port: Option<u16>,
    /// The peer's address.
    pub remote_addr: Option<IpAddr>,
    /// The peer's port.
    pub remote_port: Option<u16>,
    /// Its TCP state.
    pub state: ConnState,
    /// Who carries its segments.
    pub path: ConnPath,
    /// The device that does, if one does.
    pub ifindex: Option<u32>,
    /// That device's name.
    pub ifname: Option<String>,
    /// Why none does.
    pub fallback_reason: Option<String>,
    /// Owner of the socket.
    pub uid: Option<u32>,
    /// Inode of the socket.
    pub inode: Option<u64>,
    /// Processes that hold the socket, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<Process>>,
    /// What was counted and measured, by the names of the netlink spec with `_` for `-`.
    #[serde(flatten)]
    pub counters: BTreeMap<&'static str, u64>,
    /// Congestion control algorithm.
    pub congestion: Option<String>,
}

/// The numbers of a connection: attribute, name, in the order they are shown.
pub const CONN_COUNTERS: &[(u16, &str)] = &[
    (uapi::conn::RX_BYTES, "rx_bytes"),
    (uapi::conn::TX_BYTES, "tx_bytes"),
    (uapi::conn::RX_SEGS, "rx_segs"),
    (uapi::conn::TX_SEGS, "tx_segs"),
    (uapi::conn::RETRANSMITS, "retransmits"),
    (uapi::conn::TIMEOUTS, "timeouts"),
    (uapi::conn::RX_DUP_ACKS, "rx_dup_acks"),
    (uapi::conn::RX_OOO_SEGS, "rx_ooo_segs"),
    (uapi::conn::MSS, "mss"),
    (uapi::conn::CWND, "cwnd"),
    (uapi::conn::SSTHRESH, "ssthresh"),
    (uapi::conn::SRTT_US, "srtt_us"),
    (uapi::conn::RTO_US, "rto_us"),
    (uapi::conn::SND_WND, "snd_wnd"),
    (uapi::conn::RCV_WND, "rcv_wnd"),
    (uapi::conn::RX_BUF_SIZE, "rx_buf_size"),
    (uapi::conn::RX_BUF_USED, "rx_buf_used"),
    (uapi::conn::TX_BUF_SIZE, "tx_buf_size"),
    (uapi::conn::TX_BUF_USED, "tx_buf_used"),
    (uapi::conn::ACCEPT_QUEUE, "accept_queue"),
    (uapi::conn::BACKLOG, "backlog"),
];

impl Connection {
    /// Reads the attributes of one answer; names of devices come from `devices`.
    pub fn decode(attrs: &[u8], devices: &[Device]) -> Result<Self> {
        let (mut cookie, mut state, mut path) = (None, None, None);
        let (mut local, mut remote) = (Endpoint::default(), Endpoint::default());
        let (mut ifindex, mut fallback_reason, mut congestion) = (None, None, None);
        let (mut uid, mut inode) = (None, None);
        let mut counters = BTreeMap::new();
        for attr in attr::parse(attrs) {
            let attr = attr?;
            match attr.kind {
                uapi::conn::COOKIE => cookie = Some(attr.uint()?),
                uapi::conn::LOCAL_ADDR => local.addr = Some(attr.address()?),
                uapi::conn::LOCAL_PORT => local.port = Some(attr.be16()?),
                uapi::conn::REMOTE_ADDR => remote.addr = Some(attr.address()?),
                uapi::conn::REMOTE_PORT => remote.port = Some(attr.be16()?),
                uapi::conn::STATE => state = Some(attr.u32()?.into()),
                uapi::conn::PATH => path = Some(attr.u32()?.into()),
                uapi::conn::IFINDEX => ifindex = Some(attr.u32()?),
                uapi::conn::FALLBACK_REASON => fallback_reason = Some(attr.string()?),
                uapi::conn::UID => uid = Some(attr.u32()?),
                uapi::conn::INODE => inode = Some(attr.uint()?),
                uapi::conn::CONGESTION => congestion = Some(attr.string()?),
                kind => {
                    if let Some(&(_, name)) = CONN_COUNTERS.iter().find(|&&(k, _)| k == kind) {
                        counters.insert(name, attr.uint()?);
                    }
                }
            }
        }
        let ifname = ifindex.and_then(|i| devices.iter().find(|d| d.ifindex == i)).map(|d| d.ifname.clone());
        Ok(Self {
            cookie: cookie.ok_or_else(|| missing("a connection's cookie"))?,
            local_addr: local.addr,
            local_port: local.port,
            remote_addr: remote.addr,
            remote_port: remote.port,
            state: state.ok_or_else(|| missing("a connection's state"))?,
            path: path.ok_or_else(|| missing("a connection's path"))?,
            ifindex,
            ifname,
            fallback_reason,
            uid,
            inode,
            processes: None,
            counters,
            congestion,
        })
    }

    /// Our end.
    pub fn local(&self) -> Endpoint {
        Endpoint { addr: self.local_addr, port: self.local_port }
    }

    /// The peer's end.
    pub fn remote(&self) -> Endpoint {
        Endpoint { addr: self.remote_addr, port: self.remote_port }
    }

    /// A counter, by its name in [`CONN_COUNTERS`].
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters.get(name).copied()
    }

    /// Who carries the connection: a device's name, or why it is kernel TCP.
    pub fn carrier(&self) -> String {
        match self.path {
            ConnPath::Offloaded => match (&self.ifname, self.ifindex) {
                (Some(name), _) => name.clone(),
                (None, Some(index)) => format!("if{index}"),
                (None, None) => "?".to_string(),
            },
            ConnPath::Fallback => format!("kernel: {}", self.fallback_reason.as_deref().unwrap_or("?")),
            ConnPath::Pending => "kernel".to_string(),
            unknown => unknown.to_string(),
        }
    }
}

/// The counters of a device, or those that belong to none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Index of the device's netdev; `None` for what belongs to none.
    pub ifindex: Option<u32>,
    /// Name of the device's netdev.
    pub ifname: Option<String>,
    /// Counters by group and name.
    pub counters: BTreeMap<CounterGroup, BTreeMap<String, u64>>,
}

impl Stats {
    /// Reads the attributes of one answer; names of devices come from `devices`.
    pub fn decode(attrs: &[u8], devices: &[Device]) -> Result<Self> {
        let mut stats = Self { ifindex: None, ifname: None, counters: BTreeMap::new() };
        for attr in attr::parse(attrs) {
            let attr = attr?;
            match attr.kind {
                uapi::stats::IFINDEX => stats.ifindex = Some(attr.u32()?),
                uapi::stats::COUNTER => stats.add(attr)?,
                _ => {}
            }
        }
        stats.ifname = stats.ifindex.and_then(|i| devices.iter().find(|d| d.ifindex == i)).map(|d| d.ifname.clone());
        Ok(stats)
    }

    /// Adds what a further answer about the same device holds: one with many counters comes in parts.
    pub fn merge(&mut self, other: Self) {
        for (group, counters) in other.counters {
            self.counters.entry(group).or_default().extend(counters);
        }
    }

    fn add(&mut self, counter: attr::Attr<'_>) -> Result<()> {
        let (mut name, mut group, mut value) = (None, None, None);
        for attr in counter.nested() {
            let attr = attr?;
            match attr.kind {
                uapi::counter::NAME => name = Some(attr.string()?),
                uapi::counter::GROUP => group = Some(attr.u32()?.into()),
                uapi::counter::VALUE => value = Some(attr.uint()?),
                _ => {}
            }
        }
        let group = group.ok_or_else(|| missing("a counter's group"))?;
        let name = name.ok_or_else(|| missing("a counter's name"))?;
        let value = value.ok_or_else(|| missing("a counter's value"))?;
        self.counters.entry(group).or_default().insert(name, value);
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::attr::Builder;

    /// The answer about a device.
    pub fn device() -> Device {
        let attrs = Builder::default()
            .u32(uapi::dev::IFINDEX, 4)
            .string(uapi::dev::IFNAME, "veth0")
            .u32(uapi::dev::KIND, 0)
            .u32(uapi::dev::DATAPATH, 0)
            .u32(uapi::dev::CONNECTIONS, 2)
            .u32(uapi::dev::MAX_CONNECTIONS, 65536)
            .build();
        Device::decode(&attrs).unwrap()
    }

    fn endpoint(b: Builder, addr: u16, port: u16, (a, p): (&[u8], u16)) -> Builder {
        b.bytes(addr, a.to_vec()).bytes(port, p.to_be_bytes().to_vec())
    }

    /// The answers about an offloaded connection, one that fell back and a listening socket.
    pub fn connections() -> Vec<Connection> {
        let base = |cookie: u32, state: ConnState, path: ConnPath| {
            Builder::default()
                .u32(uapi::conn::COOKIE, cookie)
                .u32(uapi::conn::STATE, state.into())
                .u32(uapi::conn::PATH, path.into())
                .u32(uapi::conn::INODE, 1000 + cookie)
        };
        let c1 = base(1, ConnState::Established, ConnPath::Offloaded).u32(uapi::conn::IFINDEX, 4);
        let c1 = endpoint(c1, uapi::conn::LOCAL_ADDR, uapi::conn::LOCAL_PORT, (&[10, 0, 0, 1], 6379));
        let c1 = endpoint(c1, uapi::conn::REMOTE_ADDR, uapi::conn::REMOTE_PORT, (&[10, 0, 0, 2], 40000))
            .bytes(uapi::conn::RX_BYTES, (5u64 << 32).to_ne_bytes().to_vec())
            .u32(uapi::conn::TX_BYTES, 77)
            .u32(uapi::conn::CWND, 14600)
            .u32(uapi::conn::RX_BUF_USED, 3)
            .string(uapi::conn::CONGESTION, "dctcp");

        let mut addr = [0u8; 16];
        addr[15] = 1;
        let c2 = base(2, ConnState::CloseWait, ConnPath::Fallback).string(uapi::conn::FALLBACK_REASON, "no-device");
        let c2 = endpoint(c2, uapi::conn::LOCAL_ADDR, uapi::conn::LOCAL_PORT, (&addr, 80));
        let c2 = endpoint(c2, uapi::conn::REMOTE_ADDR, uapi::conn::REMOTE_PORT, (&addr, 40001));

        let c3 = base(3, ConnState::Listen, ConnPath::Pending).u32(uapi::conn::BACKLOG, 511);
        let c3 = endpoint(c3, uapi::conn::LOCAL_ADDR, uapi::conn::LOCAL_PORT, (&[0, 0, 0, 0], 6379));

        [c1, c2, c3].into_iter().map(|c| Connection::decode(&c.build(), &[device()]).unwrap()).collect()
    }

    /// The answers about the namespace and a device.
    pub fn stats() -> Vec<Stats> {
        let counter = |name: &str, group: CounterGroup, value: u32| {
            Builder::default()
                .string(uapi::counter::NAME, name)
                .u32(uapi::counter::GROUP, group.into())
                .u32(uapi::counter::VALUE, value)
                .build()
        };
        let nest = uapi::stats::COUNTER | 0x8000;
        let namespace = Builder::default().bytes(nest, counter("no-device", CounterGroup::Fallback, 2));
        let device_stats = Builder::default()
            .u32(uapi::stats::IFINDEX, 4)
            .bytes(nest, counter("rx-segs", CounterGroup::Event, 12))
            .bytes(nest, counter("bad-checksum", CounterGroup::Drop, 0));
        [namespace, device_stats].into_iter().map(|s| Stats::decode(&s.build(), &[device()]).unwrap()).collect()
    }

    #[test]
    fn device__needs_its_name() {
        let attrs = Builder::default().u32(uapi::dev::IFINDEX, 4).build();
        let error = Device::decode(&attrs).unwrap_err();
        assert!(error.to_string().contains("a device's name is missing"), "{error}");
    }

    #[test]
    fn connection__is_read_whole() {
        let [offloaded, fallback, listener] = connections().try_into().unwrap();
        assert_eq!(offloaded.local().to_string(), "10.0.0.1:6379");
        assert_eq!(offloaded.remote().to_string(), "10.0.0.2:40000");
        assert_eq!(offloaded.carrier(), "veth0");
        assert_eq!(offloaded.counter("rx_bytes"), Some(5 << 32));
        assert_eq!(offloaded.counter("tx_bytes"), Some(77));
        assert_eq!(offloaded.congestion.as_deref(), Some("dctcp"));
        assert_eq!(fallback.local().to_string(), "[::1]:80");
        assert_eq!(fallback.carrier(), "kernel: no-device");
        assert_eq!(listener.remote().to_string(), "*:*");
        assert_eq!(listener.carrier(), "kernel");
    }

    #[test]
    fn connection__an_attribute_of_a_later_kernel_is_skipped() {
        let attrs = Builder::default()
            .u32(uapi::conn::COOKIE, 1)
            .u32(uapi::conn::STATE, 1)
            .u32(uapi::conn::PATH, 7)
            .bytes(999, vec![1, 2, 3])
            .build();
        let connection = Connection::decode(&attrs, &[]).unwrap();
        assert_eq!(connection.carrier(), "unknown-7");
    }

    #[test]
    fn stats__are_grouped() {
        let [namespace, device] = stats().try_into().unwrap();
        assert_eq!(namespace.ifname, None);
        assert_eq!(namespace.counters[&CounterGroup::Fallback]["no-device"], 2);
        assert_eq!(device.ifname.as_deref(), Some("veth0"));
        assert_eq!(device.counters[&CounterGroup::Event]["rx-segs"], 12);
    }
}
