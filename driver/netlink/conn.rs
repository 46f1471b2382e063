// SPDX-License-Identifier: GPL-2.0
//! Commands about connections.

use super::uapi;
use crate::{
    driver::{
        control::{registry, Connection},
        family::{Carrier, ToeSocket, SOCKETS},
    },
    net::{
        genetlink::{Dump, Listing, Message},
        ksocket::InnerSocket,
        netns::{Net, NetCookie},
        sock::Sock,
        sockaddr::SockAddr,
        tcp_info::TcpInfo,
        uapi::{AF_INET, AF_INET6, TCP_LISTEN},
    },
};
use core::net::IpAddr;
use datapath::{npu::config::MAX_RING, units::Micros, wire::Addresses};
use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

/// `conn-get`.
pub(super) struct List;

/// Set in the keys of connections whose sockets are closed; their other bits are a number of another kind.
const ORPHAN: u64 = 1 << 63;

impl Dump for List {
    const CMD: u8 = uapi::CMD_CONN_GET as u8;

    fn run(net: &Net, listing: &mut Listing<'_>) -> Result {
        let mut from = listing.start();
        let sockets = SOCKETS.get().ok_or(ENODEV)?;
        while let Some((number, sock)) = sockets.at_or_after(from) {
            from = number + 1;
            if sock.net_cookie() == net.cookie() {
                show_socket(listing, number, &sock)?;
            }
        }
        for (key, connection) in &orphans(net.cookie(), listing.start())? {
            listing.show(*key, |message| {
                message.uint(uapi::CONN_COOKIE, *key)?;
                message.uint(uapi::CONN_INODE, 0)?;
                offloaded(message, connection)
            })?;
        }
        Ok(())
    }
}

/// The connections of `namespace` that outlive their sockets and whose keys aren't below `start`, by key.
fn orphans(namespace: NetCookie, start: u64) -> Result<RBTree<u64, Arc<Connection>>> {
    let mut found = RBTree::new();
    let mut complete = Ok(());
    registry::for_each(|connection| {
        let key = ORPHAN | connection.number();
        if complete.is_ok()
            && key >= start
            && connection.is_orphaned()
            && connection.device().namespace() == namespace
        {
            complete = found
                .try_create_and_insert(key, connection.arc(), GFP_ATOMIC)
                .map(drop);
        }
    });
    complete.map(|()| found)
}

fn show_socket(listing: &mut Listing<'_>, number: u64, sock: &Sock<ToeSocket>) -> Result {
    let Some(carrier) = sock.data().carrier() else {
        return Ok(());
    };
    let uid = listing.uid(sock);
    listing.show(number, |message| {
        message.uint(uapi::CONN_COOKIE, number)?;
        message.u32(uapi::CONN_UID, uid)?;
        message.uint(uapi::CONN_INODE, sock.inode())?;
        match carrier {
            Carrier::KernelForNow(inner) => {
                message.u32(uapi::CONN_PATH, uapi::CONN_PATH_PENDING)?;
                on_kernel_tcp(message, &inner)
            }
            Carrier::Kernel(inner, reason) => {
                message.u32(uapi::CONN_PATH, uapi::CONN_PATH_FALLBACK)?;
                if let Some(reason) = reason {
                    message.string(uapi::CONN_FALLBACK_REASON, reason.name())?;
                }
                on_kernel_tcp(message, &inner)
            }
            Carrier::Device(connection) => offloaded(message, &connection),
        }
    })
}

/// Who the ends of a connection are; a listening socket has no other end.
struct Ends {
    local: (IpAddr, u16),
    remote: Option<(IpAddr, u16)>,
}

impl Ends {
    fn describe(&self, message: &mut Message<'_>) -> Result {
        let family = match self.local.0 {
            IpAddr::V4(_) => AF_INET,
            IpAddr::V6(_) => AF_INET6,
        };
        message.u16(uapi::CONN_FAMILY, family as u16)?;
        address(message, uapi::CONN_LOCAL_ADDR, self.local.0)?;
        message.be16(uapi::CONN_LOCAL_PORT, self.local.1)?;
        if let Some((ip, port)) = self.remote {
            address(message, uapi::CONN_REMOTE_ADDR, ip)?;
            message.be16(uapi::CONN_REMOTE_PORT, port)?;
        }
        Ok(())
    }
}

fn address(message: &mut Message<'_>, attr: u32, ip: IpAddr) -> Result {
    match ip {
        IpAddr::V4(ip) => message.bytes(attr, &ip.octets()),
        IpAddr::V6(ip) => message.bytes(attr, &ip.octets()),
    }
}

/// A connection, or listening socket, that the kernel's TCP serves.
fn on_kernel_tcp(message: &mut Message<'_>, inner: &InnerSocket) -> Result {
    let state = inner.sk().state();
    let name = |peer| inner.name(peer).ok().as_ref().and_then(SockAddr::ip);
    message.u32(uapi::CONN_STATE, state as u32)?;
    if let Some(local) = name(false) {
        Ends {
            local,
            remote: name(true),
        }
        .describe(message)?;
    }
    let info = TcpInfo::of(inner.sk())?;
    if state == TCP_LISTEN {
        message.u32(uapi::CONN_ACCEPT_QUEUE, info.accept_queue())?;
        return message.u32(uapi::CONN_BACKLOG, info.backlog());
    }
    message.uint(uapi::CONN_RX_BYTES, info.rx_bytes())?;
    message.uint(uapi::CONN_TX_BYTES, info.tx_bytes())?;
    message.uint(uapi::CONN_RX_SEGS, info.rx_segs())?;
    message.uint(uapi::CONN_TX_SEGS, info.tx_segs())?;
    message.uint(uapi::CONN_RETRANSMITS, info.retransmits())?;
    message.uint(uapi::CONN_TIMEOUTS, info.timeouts())?;
    message.uint(uapi::CONN_RX_OOO_SEGS, info.rx_ooo_segs())?;
    message.u32(uapi::CONN_MSS, info.mss())?;
    message.u32(uapi::CONN_CWND, info.cwnd())?;
    if let Some(ssthresh) = info.ssthresh() {
        message.u32(uapi::CONN_SSTHRESH, ssthresh)?;
    }
    if info.srtt_us() != 0 {
        message.u32(uapi::CONN_SRTT_US, info.srtt_us())?;
    }
    message.u32(uapi::CONN_RTO_US, info.rto_us())?;
    message.u32(uapi::CONN_SND_WND, info.snd_wnd())?;
    message.u32(uapi::CONN_RCV_WND, info.rcv_wnd())
}

/// A connection that a device carries.
fn offloaded(message: &mut Message<'_>, connection: &Connection) -> Result {
    let tuple = connection.tuple();
    let (local, remote) = match tuple.addresses {
        Addresses::V4 { local, remote } => (IpAddr::from(local), IpAddr::from(remote)),
        Addresses::V6 { local, remote } => (IpAddr::from(local), IpAddr::from(remote)),
    };
    message.u32(uapi::CONN_STATE, connection.state().number() as u32)?;
    message.u32(uapi::CONN_PATH, uapi::CONN_PATH_OFFLOADED)?;
    message.u32(uapi::CONN_IFINDEX, connection.device().ifindex())?;
    Ends {
        local: (local, tuple.local_port),
        remote: Some((remote, tuple.remote_port)),
    }
    .describe(message)?;
    let Some(offload) = connection.offload() else {
        return Ok(());
    };
    if let Some(counters) = offload.counters() {
        let tx_bytes = counters.tx_bytes.saturating_sub(counters.tx_retransmitted);
        message.uint(uapi::CONN_RX_BYTES, counters.rx_bytes)?;
        message.uint(uapi::CONN_TX_BYTES, tx_bytes)?;
        message.uint(uapi::CONN_RX_SEGS, counters.rx_segments)?;
        message.uint(uapi::CONN_TX_SEGS, counters.tx_segments + counters.tx_acks)?;
        message.uint(
            uapi::CONN_RETRANSMITS,
            counters.fast_retransmits + counters.timeouts,
        )?;
        message.uint(uapi::CONN_TIMEOUTS, counters.timeouts)?;
        message.uint(uapi::CONN_RX_DUP_ACKS, counters.dup_acks)?;
        message.uint(uapi::CONN_RX_OOO_SEGS, counters.rx_out_of_order)?;
    }
    if let Some(config) = offload.config() {
        message.u32(uapi::CONN_MSS, u32::from(config.path.mss))?;
        message.u32(uapi::CONN_CWND, config.cwnd.0)?;
        if config.rtt.srtt != Micros(0) {
            message.u32(uapi::CONN_SRTT_US, saturated(config.rtt.srtt))?;
        }
        message.u32(uapi::CONN_SND_WND, config.send.wnd.0)?;
        message.u32(uapi::CONN_RCV_WND, config.receive.wnd.0)?;
        message.u32(uapi::CONN_RX_BUF_SIZE, config.rx.size)?;
        message.u32(uapi::CONN_TX_BUF_SIZE, config.tx.size)?;
    }
    message.u32(uapi::CONN_RTO_US, saturated(connection.rto()))?;
    message.u32(
        uapi::CONN_RX_BUF_USED,
        connection.stream().readable() as u32,
    )?;
    message.u32(
        uapi::CONN_TX_BUF_USED,
        connection.stream().unacknowledged() as u32,
    )?;
    let (name, ssthresh) = connection.with_congestion(|congestion| {
        let policy = congestion.policy();
        (policy.name(), policy.ssthresh())
    });
    // One that no window reaches is none.
    if ssthresh <= MAX_RING {
        message.u32(uapi::CONN_SSTHRESH, ssthresh.0)?;
    }
    message.string(uapi::CONN_CONGESTION, name)
}

/// Microseconds as far as they can be told: 71 minutes.
fn saturated(time: Micros) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}
