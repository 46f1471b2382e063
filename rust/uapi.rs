// SPDX-License-Identifier: GPL-2.0
//! Constants of the socket API, as the C headers give them.

use super::bindings as b;
use kernel::ffi::{c_int, c_uint};

macro_rules! constants {
    ($type:ty: $($name:ident)*) => {
        $(#[doc = concat!("`", stringify!($name), "`.")] pub(crate) const $name: $type = b::$name as $type;)*
    };
}

constants! { c_int:
    AF_INET AF_INET6 AF_TOE AF_UNSPEC
    SOL_SOCKET SO_KEEPALIVE SO_LINGER SO_MARK SO_PRIORITY SO_ZEROCOPY
    SOL_IP IP_TOS IP_TTL
    SOL_IPV6 IPV6_TCLASS IPV6_UNICAST_HOPS
    SOL_TCP
    TCP_CORK TCP_FASTOPEN TCP_FASTOPEN_CONNECT TCP_FASTOPEN_KEY TCP_FASTOPEN_NO_COOKIE TCP_INFO
    TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_NODELAY TCP_QUICKACK TCP_REPAIR
    TCP_REPAIR_OPTIONS TCP_REPAIR_QUEUE TCP_REPAIR_WINDOW TCP_QUEUE_SEQ TCP_TIMESTAMP TCP_ULP TCP_USER_TIMEOUT TCP_ZEROCOPY_RECEIVE
}

constants! { c_uint: SIOCATMARK TIOCINQ TIOCOUTQ SIOCOUTQNSD }

constants! { u16: IPPROTO_TOE }

/// `TCP_CLOSE`.
pub(crate) const TCP_CLOSE: c_int = b::TCP_CLOSE as c_int;
/// `TCP_ESTABLISHED`.
pub(crate) const TCP_ESTABLISHED: c_int = b::TCP_ESTABLISHED as c_int;
/// `TCP_CLOSE_WAIT`.
pub(crate) const TCP_CLOSE_WAIT: c_int = b::TCP_CLOSE_WAIT as c_int;
/// `TCP_FIN_WAIT1`.
pub(crate) const TCP_FIN_WAIT1: c_int = b::TCP_FIN_WAIT1 as c_int;
/// `TCP_FIN_WAIT2`.
pub(crate) const TCP_FIN_WAIT2: c_int = b::TCP_FIN_WAIT2 as c_int;
/// `TCP_CLOSING`.
pub(crate) const TCP_CLOSING: c_int = b::TCP_CLOSING as c_int;
/// `TCP_LAST_ACK`.
pub(crate) const TCP_LAST_ACK: c_int = b::TCP_LAST_ACK as c_int;
/// `TCP_TIME_WAIT`.
pub(crate) const TCP_TIME_WAIT: c_int = b::TCP_TIME_WAIT as c_int;
/// `TCP_LISTEN`.
pub(crate) const TCP_LISTEN: c_int = b::TCP_LISTEN as c_int;

/// The numbers of `uapi/toe_netlink.h`, `TOE_` and `TOE_A_` left out of their names.
pub(crate) mod toe_netlink {
    use super::b;
    use kernel::str::CStr;

    macro_rules! numbers {
        ($($name:ident = $c_name:ident)*) => {
            $(#[doc = concat!("`", stringify!($c_name), "`.")] pub(crate) const $name: u32 = b::$c_name;)*
        };
    }

    /// `TOE_FAMILY_NAME`.
    pub(crate) const FAMILY_NAME: &CStr = match CStr::from_bytes_with_nul(b::TOE_FAMILY_NAME) {
        Ok(name) => name,
        Err(_) => c"",
    };
    /// `TOE_FAMILY_VERSION`.
    pub(crate) const FAMILY_VERSION: u8 = b::TOE_FAMILY_VERSION as u8;

    numbers! {
        DEV_IFINDEX = TOE_A_DEV_IFINDEX
        DEV_IFNAME = TOE_A_DEV_IFNAME
        DEV_KIND = TOE_A_DEV_KIND
        DEV_DATAPATH = TOE_A_DEV_DATAPATH
        DEV_CONNECTIONS = TOE_A_DEV_CONNECTIONS
        DEV_MAX_CONNECTIONS = TOE_A_DEV_MAX_CONNECTIONS
        DEV_FORCE = TOE_A_DEV_FORCE
        CONN_COOKIE = TOE_A_CONN_COOKIE
        CONN_FAMILY = TOE_A_CONN_FAMILY
        CONN_LOCAL_ADDR = TOE_A_CONN_LOCAL_ADDR
        CONN_LOCAL_PORT = TOE_A_CONN_LOCAL_PORT
        CONN_REMOTE_ADDR = TOE_A_CONN_REMOTE_ADDR
        CONN_REMOTE_PORT = TOE_A_CONN_REMOTE_PORT
        CONN_STATE = TOE_A_CONN_STATE
        CONN_PATH = TOE_A_CONN_PATH
        CONN_IFINDEX = TOE_A_CONN_IFINDEX
        CONN_FALLBACK_REASON = TOE_A_CONN_FALLBACK_REASON
        CONN_UID = TOE_A_CONN_UID
        CONN_INODE = TOE_A_CONN_INODE
        CONN_RX_BYTES = TOE_A_CONN_RX_BYTES
        CONN_TX_BYTES = TOE_A_CONN_TX_BYTES
        CONN_RX_SEGS = TOE_A_CONN_RX_SEGS
        CONN_TX_SEGS = TOE_A_CONN_TX_SEGS
        CONN_RETRANSMITS = TOE_A_CONN_RETRANSMITS
        CONN_TIMEOUTS = TOE_A_CONN_TIMEOUTS
        CONN_RX_DUP_ACKS = TOE_A_CONN_RX_DUP_ACKS
        CONN_RX_OOO_SEGS = TOE_A_CONN_RX_OOO_SEGS
        CONN_MSS = TOE_A_CONN_MSS
        CONN_CWND = TOE_A_CONN_CWND
        CONN_SSTHRESH = TOE_A_CONN_SSTHRESH
        CONN_SRTT_US = TOE_A_CONN_SRTT_US
        CONN_RTO_US = TOE_A_CONN_RTO_US
        CONN_SND_WND = TOE_A_CONN_SND_WND
        CONN_RCV_WND = TOE_A_CONN_RCV_WND
        CONN_RX_BUF_SIZE = TOE_A_CONN_RX_BUF_SIZE
        CONN_RX_BUF_USED = TOE_A_CONN_RX_BUF_USED
        CONN_TX_BUF_SIZE = TOE_A_CONN_TX_BUF_SIZE
        CONN_TX_BUF_USED = TOE_A_CONN_TX_BUF_USED
        CONN_CONGESTION = TOE_A_CONN_CONGESTION
        CONN_ACCEPT_QUEUE = TOE_A_CONN_ACCEPT_QUEUE
        CONN_BACKLOG = TOE_A_CONN_BACKLOG
        COUNTER_NAME = TOE_A_COUNTER_NAME
        COUNTER_GROUP = TOE_A_COUNTER_GROUP
        COUNTER_VALUE = TOE_A_COUNTER_VALUE
        STATS_IFINDEX = TOE_A_STATS_IFINDEX
        STATS_COUNTER = TOE_A_STATS_COUNTER
        CMD_DEV_ADD = TOE_CMD_DEV_ADD
        CMD_DEV_DEL = TOE_CMD_DEV_DEL
        CMD_DEV_GET = TOE_CMD_DEV_GET
        CMD_CONN_GET = TOE_CMD_CONN_GET
        CMD_STATS_GET = TOE_CMD_STATS_GET
        DEV_KIND_SOFT = toe_dev_kind_TOE_DEV_KIND_SOFT
        DEV_KIND_PCI = toe_dev_kind_TOE_DEV_KIND_PCI
        DATAPATH_NPU = toe_datapath_TOE_DATAPATH_NPU
        CONN_PATH_PENDING = toe_conn_path_TOE_CONN_PATH_PENDING
        CONN_PATH_OFFLOADED = toe_conn_path_TOE_CONN_PATH_OFFLOADED
        CONN_PATH_FALLBACK = toe_conn_path_TOE_CONN_PATH_FALLBACK
        COUNTER_GROUP_EVENT = toe_counter_group_TOE_COUNTER_GROUP_EVENT
        COUNTER_GROUP_DROP = toe_counter_group_TOE_COUNTER_GROUP_DROP
        COUNTER_GROUP_PUNT = toe_counter_group_TOE_COUNTER_GROUP_PUNT
        COUNTER_GROUP_FALLBACK = toe_counter_group_TOE_COUNTER_GROUP_FALLBACK
    }
}
