// SPDX-License-Identifier: GPL-2.0
//! The TOE NIC's registers, queues and descriptors, as `uapi/toe_device.h` gives them.
//!
//! Fields are little-endian, as the host is; see `Documentation/device-interface.rst` for what they mean.

use super::{bindings as b, dma::Plain};

const _: () = assert!(cfg!(target_endian = "little"));

pub(crate) use b::{
    toe_admin_command as AdminCommand, toe_admin_completion as AdminCompletion,
    toe_command as Command, toe_connection as ConnectionState, toe_connection_counters as Counters,
    toe_connection_read as ConnectionRead, toe_context_setup as ContextSetup,
    toe_doorbell as Doorbell, toe_install as Install, toe_notification as Notification,
    toe_notification__bindgen_ty_1__bindgen_ty_1 as Report,
    toe_notification__bindgen_ty_1__bindgen_ty_2 as Punt, toe_pair_setup as PairSetup,
    toe_path as Path, toe_queue_status as QueueStatus, toe_record as RecordLayout,
    toe_record_copy as RecordCopy, toe_rss as Rss, toe_rx_buffer as RxBuffer,
    toe_rx_completion as RxCompletion, toe_tuple as Tuple, toe_tx_descriptor as TxDescriptor,
};

macro_rules! plain {
    ($($type:ty)*) => {
        $(
            // SAFETY: Made of integers and arrays of them, and of unions of those that fill them; the header leaves no
            // padding, which its assertions of sizes and the layout tests of the bindings make sure of.
            unsafe impl Plain for $type {}
            const _: () = assert!(size_of::<$type>() % 8 == 0);
        )*
    };
}

plain! {
    AdminCommand AdminCompletion Command ConnectionRead ContextSetup Install Notification PairSetup QueueStatus
    RecordCopy Rss RxBuffer RxCompletion Tuple TxDescriptor Counters
}

/// A command of a context that moves positions, and executes `flags`, `TOE_POST_*`.
#[inline]
pub(crate) fn post_command(connection: u32, flags: u8, tx_tail: u32, rx_head: u32) -> Command {
    let post = b::toe_command__bindgen_ty_1__bindgen_ty_1 {
        tx_tail,
        rx_head,
        reserved: [0; 16],
    };
    command(
        COMMAND_POST,
        connection,
        flags,
        b::toe_command__bindgen_ty_1 { post },
    )
}

/// A command of a context with a value.
pub(crate) fn value_command(op: u8, connection: u32, flags: u8, value: u64) -> Command {
    let mut command = command(
        op,
        connection,
        flags,
        b::toe_command__bindgen_ty_1 { data: [0; 24] },
    );
    command.__bindgen_anon_1.value = value;
    command
}

/// A command of a context that sets the path.
pub(crate) fn path_command(connection: u32, path: Path) -> Command {
    command(
        COMMAND_SET_PATH,
        connection,
        0,
        b::toe_command__bindgen_ty_1 { path },
    )
}

#[inline]
fn command(op: u8, connection: u32, flags: u8, rest: b::toe_command__bindgen_ty_1) -> Command {
    Command {
        op,
        flags,
        reserved: 0,
        connection,
        __bindgen_anon_1: rest,
    }
}

/// What a notification says for congestion control.
#[inline]
pub(crate) fn report(notification: &Notification) -> Report {
    // SAFETY: Integers, whatever was written.
    unsafe { notification.__bindgen_anon_1.report }
}

/// What a notification says of a segment that was punted.
pub(crate) fn punt(notification: &Notification) -> Punt {
    // SAFETY: As above.
    unsafe { notification.__bindgen_anon_1.punt }
}

/// Why a notification says that the connection was stopped, `TOE_ERROR_*`.
pub(crate) fn error(notification: &Notification) -> u32 {
    // SAFETY: As above.
    unsafe { notification.__bindgen_anon_1.error }
}

macro_rules! constants {
    ($type:ty: $($name:ident = $c_name:ident)*) => {
        $(#[doc = concat!("`", stringify!($c_name), "`.")] pub(crate) const $name: $type = b::$c_name as $type;)*
    };
}

/// Offsets of registers in BAR 0.
pub(crate) mod reg {
    use super::b;
    constants! { usize:
        MAGIC = TOE_REG_MAGIC
        VERSION = TOE_REG_VERSION
        VERSION_OLDEST = TOE_REG_VERSION_OLDEST
        VERSION_USED = TOE_REG_VERSION_USED
        FEATURES_LO = TOE_REG_FEATURES_LO
        FEATURES_USED_LO = TOE_REG_FEATURES_USED_LO
        CONTROL = TOE_REG_CONTROL
        STATUS = TOE_REG_STATUS
        ERROR = TOE_REG_ERROR
        ERROR_INFO = TOE_REG_ERROR_INFO
        MAX_CONTEXTS = TOE_REG_MAX_CONTEXTS
        MAX_QUEUE_PAIRS = TOE_REG_MAX_QUEUE_PAIRS
        MAX_CONNECTIONS = TOE_REG_MAX_CONNECTIONS
        MAX_ENTRIES = TOE_REG_MAX_ENTRIES
        MAX_MTU = TOE_REG_MAX_MTU
        MAX_TSO = TOE_REG_MAX_TSO
        LINK_SPEED = TOE_REG_LINK_SPEED
        END = TOE_REG_END
        MAC_LO = TOE_REG_MAC_LO
        MAC_HI = TOE_REG_MAC_HI
        ADMIN_SQ_LO = TOE_REG_ADMIN_SQ_LO
        ADMIN_CQ_LO = TOE_REG_ADMIN_CQ_LO
        ADMIN_STATUS_LO = TOE_REG_ADMIN_STATUS_LO
        ADMIN_SQ_ENTRIES = TOE_REG_ADMIN_SQ_ENTRIES
        ADMIN_CQ_ENTRIES = TOE_REG_ADMIN_CQ_ENTRIES
        ADMIN_VECTOR = TOE_REG_ADMIN_VECTOR
    }
}

constants! { u32:
    PCI_DEVICE = TOE_PCI_DEVICE
    MIN_MAX_ENTRIES = TOE_MIN_MAX_ENTRIES
    MAGIC = TOE_MAGIC
    VERSION_CURRENT = TOE_VERSION_CURRENT_
    CONTROL_ENABLE = TOE_CONTROL_ENABLE
    CONTROL_RESET = TOE_CONTROL_RESET
    STATUS_READY = TOE_STATUS_READY
    STATUS_FAILED = TOE_STATUS_FAILED
    STATUS_RESETTING = TOE_STATUS_RESETTING
    STATUS_LINK = TOE_STATUS_LINK
    QUEUE_NEED_KICK = TOE_QUEUE_NEED_KICK
    QUEUE_STOPPED = TOE_QUEUE_STOPPED
    BAR_REGISTERS = TOE_BAR_REGISTERS
    BAR_DOORBELLS = TOE_BAR_DOORBELLS
    QUEUE_ADMIN = TOE_QUEUE_ADMIN
    STATUS_OK = toe_status_TOE_STATUS_OK
    STATUS_BAD_OP = toe_status_TOE_STATUS_BAD_OP
    STATUS_NOT_FOUND = toe_status_TOE_STATUS_NOT_FOUND
    STATUS_WRONG_STATE = toe_status_TOE_STATUS_WRONG_STATE
    STATUS_TABLE_FULL = toe_status_TOE_STATUS_TABLE_FULL
    STATUS_IN_USE = toe_status_TOE_STATUS_IN_USE
    STATUS_NO_MEMORY = toe_status_TOE_STATUS_NO_MEMORY
    STATUS_TEST_FAILED = toe_status_TOE_STATUS_TEST_FAILED
    STATUS_CONFIG_MSS = toe_status_TOE_STATUS_CONFIG_MSS
    STATUS_CONFIG_RING_SIZE = toe_status_TOE_STATUS_CONFIG_RING_SIZE
    STATUS_CONFIG_RING_FILL = toe_status_TOE_STATUS_CONFIG_RING_FILL
    STATUS_CONFIG_SEND_SEQUENCE = toe_status_TOE_STATUS_CONFIG_SEND_SEQUENCE
    STATUS_CONFIG_RECEIVE_WINDOW = toe_status_TOE_STATUS_CONFIG_RECEIVE_WINDOW
    STATUS_CONFIG_FIELD = toe_status_TOE_STATUS_CONFIG_FIELD
    ERROR_TX_OVERFLOW = toe_error_TOE_ERROR_TX_OVERFLOW
    ERROR_CONTEXT = toe_error_TOE_ERROR_CONTEXT
    CONN_TIMESTAMPS = TOE_CONN_TIMESTAMPS
    CONN_ECN = TOE_CONN_ECN
    CONN_ACCURATE_ECN = TOE_CONN_ACCURATE_ECN
    CONN_SACK = TOE_CONN_SACK
    CONN_NODELAY = TOE_CONN_NODELAY
    CONN_CORK = TOE_CONN_CORK
    CONN_FIN_QUEUED = TOE_CONN_FIN_QUEUED
    CONN_FIN_ACKED = TOE_CONN_FIN_ACKED
    CONN_PEER_FIN = TOE_CONN_PEER_FIN
    RX_UNICAST = TOE_RX_UNICAST
    RX_BROADCAST = TOE_RX_BROADCAST
    RX_ALL_MULTICAST = TOE_RX_ALL_MULTICAST
    RX_PROMISCUOUS = TOE_RX_PROMISCUOUS
}

constants! { usize:
    PAGE_SIZE = TOE_PAGE_SIZE
    RX_MAX_ADDRESSES = TOE_RX_MAX_ADDRESSES
    RSS_KEY_LEN = TOE_RSS_KEY_LEN
    RSS_ENTRIES = TOE_RSS_ENTRIES
    STAT_RX_FRAMES = toe_stat_TOE_STAT_RX_FRAMES
    STAT_RX_BYTES = toe_stat_TOE_STAT_RX_BYTES
    STAT_TX_FRAMES = toe_stat_TOE_STAT_TX_FRAMES
    STAT_TX_BYTES = toe_stat_TOE_STAT_TX_BYTES
    STAT_RX_NO_BUFFER = toe_stat_TOE_STAT_RX_NO_BUFFER
    STAT_RX_FILTERED = toe_stat_TOE_STAT_RX_FILTERED
    STAT_RX_ERRORS = toe_stat_TOE_STAT_RX_ERRORS
    STAT_TX_DROPPED = toe_stat_TOE_STAT_TX_DROPPED
    STAT_CONNECTIONS = toe_stat_TOE_STAT_CONNECTIONS
    STAT_INSTALLED = toe_stat_TOE_STAT_INSTALLED
    STAT_HELD = toe_stat_TOE_STAT_HELD
    STAT_NOT_HELD = toe_stat_TOE_STAT_NOT_HELD
    STAT_PUNTS_LOST = toe_stat_TOE_STAT_PUNTS_LOST
    STAT_STALE_COMMANDS = toe_stat_TOE_STAT_STALE_COMMANDS
    STAT_CONNECTIONS_STOPPED = toe_stat_TOE_STAT_CONNECTIONS_STOPPED
    STAT_QUEUES_STOPPED = toe_stat_TOE_STAT_QUEUES_STOPPED
    STAT_END = toe_stat_TOE_STAT_END
}

constants! { u8:
    ADMIN_NOP = toe_admin_op_TOE_ADMIN_NOP
    ADMIN_SELF_TEST = toe_admin_op_TOE_ADMIN_SELF_TEST
    ADMIN_GET_STATS = toe_admin_op_TOE_ADMIN_GET_STATS
    ADMIN_SET_MODERATION = toe_admin_op_TOE_ADMIN_SET_MODERATION
    ADMIN_SET_MTU = toe_admin_op_TOE_ADMIN_SET_MTU
    ADMIN_SET_RSS = toe_admin_op_TOE_ADMIN_SET_RSS
    ADMIN_SET_TIME = toe_admin_op_TOE_ADMIN_SET_TIME
    ADMIN_CREATE_PAIR = toe_admin_op_TOE_ADMIN_CREATE_PAIR
    ADMIN_DESTROY_PAIR = toe_admin_op_TOE_ADMIN_DESTROY_PAIR
    ADMIN_CREATE_CONTEXT = toe_admin_op_TOE_ADMIN_CREATE_CONTEXT
    ADMIN_CLAIM = toe_admin_op_TOE_ADMIN_CLAIM
    ADMIN_INSTALL = toe_admin_op_TOE_ADMIN_INSTALL
    ADMIN_RELEASE = toe_admin_op_TOE_ADMIN_RELEASE
    ADMIN_REMOVE = toe_admin_op_TOE_ADMIN_REMOVE
    ADMIN_REMOVE_HOLD = TOE_ADMIN_REMOVE_HOLD
    COMMAND_POST = toe_command_op_TOE_COMMAND_POST
    COMMAND_SET_MODE = toe_command_op_TOE_COMMAND_SET_MODE
    COMMAND_SET_CWND = toe_command_op_TOE_COMMAND_SET_CWND
    COMMAND_SET_PATH = toe_command_op_TOE_COMMAND_SET_PATH
    COMMAND_RESET = toe_command_op_TOE_COMMAND_RESET
    COMMAND_WATCH = toe_command_op_TOE_COMMAND_WATCH
    POST_FIN = TOE_POST_FIN
    POST_RETRANSMIT = TOE_POST_RETRANSMIT
    POST_ACK_NOW = TOE_POST_ACK_NOW
    POST_PROBE = TOE_POST_PROBE
    POST_KEEPALIVE = TOE_POST_KEEPALIVE
    POST_KICK = TOE_POST_KICK
    NOTIFY_DATA = toe_notification_kind_TOE_NOTIFY_DATA
    NOTIFY_PUNT = toe_notification_kind_TOE_NOTIFY_PUNT
    NOTIFY_STOPPED = toe_notification_kind_TOE_NOTIFY_STOPPED
    CONNECTION_LIVE = toe_connection_state_TOE_CONNECTION_LIVE
    CONNECTION_QUIESCED = toe_connection_state_TOE_CONNECTION_QUIESCED
    WAIT_ACK_DELAYED = TOE_WAIT_ACK_DELAYED
    WAIT_IN_FLIGHT = TOE_WAIT_IN_FLIGHT
    WAIT_PERSIST = TOE_WAIT_PERSIST
    TUPLE_IPV6 = TOE_TUPLE_IPV6
    TUPLE_VLAN = TOE_TUPLE_VLAN
    PATH_VLAN = TOE_PATH_VLAN
    ADMIN_SET_RX_MODE = toe_admin_op_TOE_ADMIN_SET_RX_MODE
    ADMIN_KIND_DONE = toe_admin_kind_TOE_ADMIN_KIND_DONE
    ADMIN_KIND_LINK = toe_admin_kind_TOE_ADMIN_KIND_LINK
    ADMIN_KIND_QUEUE_STOPPED = toe_admin_kind_TOE_ADMIN_KIND_QUEUE_STOPPED
    HASH_NONE = toe_hash_kind_TOE_HASH_NONE
    HASH_L4 = toe_hash_kind_TOE_HASH_L4
}

constants! { u64:
    F_NPU = TOE_F_NPU
    F_IPV6 = TOE_F_IPV6
    F_SACK = TOE_F_SACK
    F_ECN = TOE_F_ECN
    F_RX_CSUM = TOE_F_RX_CSUM
    F_TX_CSUM = TOE_F_TX_CSUM
    F_TSO = TOE_F_TSO
    F_RSS = TOE_F_RSS
    F_RX_FILTER = TOE_F_RX_FILTER
}

constants! { u16:
    TX_END = TOE_TX_END
    TX_CSUM = TOE_TX_CSUM
    TX_TSO = TOE_TX_TSO
    RX_END = TOE_RX_END
    RX_CSUM_OK = TOE_RX_CSUM_OK
    RX_CSUM_BAD = TOE_RX_CSUM_BAD
    EVENT_PEER_FIN = TOE_EVENT_PEER_FIN
    EVENT_FIN_ACKED = TOE_EVENT_FIN_ACKED
    EVENT_FAST_RETRANSMIT = TOE_EVENT_FAST_RETRANSMIT
    EVENT_WINDOW_OPENED = TOE_EVENT_WINDOW_OPENED
    EVENT_REPORT = TOE_EVENT_REPORT
    EVENT_CWND_LIMITED = TOE_EVENT_CWND_LIMITED
    CONTEXT_PRIVILEGED = TOE_CONTEXT_PRIVILEGED
}
