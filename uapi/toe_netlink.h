/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/toe.yaml */
/* YNL-GEN uapi header */
/* To regenerate run: uapi/regen.sh */

#ifndef _UAPI_LINUX_TOE_NETLINK_H
#define _UAPI_LINUX_TOE_NETLINK_H

#define TOE_FAMILY_NAME		"toe"
#define TOE_FAMILY_VERSION	1

/**
 * enum toe_dev_kind - Who runs the data-path.
 * @TOE_DEV_KIND_SOFT: The kernel, in softirq context, over any netdev.
 * @TOE_DEV_KIND_PCI: A NIC, whose netdev it is; such devices are there by
 *   themselves.
 */
enum toe_dev_kind {
	TOE_DEV_KIND_SOFT,
	TOE_DEV_KIND_PCI,
};

/**
 * enum toe_datapath - Which data-path a device runs.
 * @TOE_DATAPATH_NPU: The data-parallel pipeline.
 */
enum toe_datapath {
	TOE_DATAPATH_NPU,
};

/*
 * State of a connection (RFC 9293, section 3.3.2), numbered as the kernel's
 * TCP numbers them.
 */
enum toe_conn_state {
	TOE_CONN_STATE_ESTABLISHED = 1,
	TOE_CONN_STATE_SYN_SENT,
	TOE_CONN_STATE_SYN_RECEIVED,
	TOE_CONN_STATE_FIN_WAIT_1,
	TOE_CONN_STATE_FIN_WAIT_2,
	TOE_CONN_STATE_TIME_WAIT,
	TOE_CONN_STATE_CLOSED,
	TOE_CONN_STATE_CLOSE_WAIT,
	TOE_CONN_STATE_LAST_ACK,
	TOE_CONN_STATE_LISTEN,
	TOE_CONN_STATE_CLOSING,
};

/**
 * enum toe_conn_path - Who carries the connection's segments.
 * @TOE_CONN_PATH_PENDING: Kernel TCP, for the time being: the socket is
 *   listening, connecting, or waits to be handed over.
 * @TOE_CONN_PATH_OFFLOADED: The device named by ifindex.
 * @TOE_CONN_PATH_FALLBACK: Kernel TCP for good, for the reason named by
 *   fallback-reason.
 */
enum toe_conn_path {
	TOE_CONN_PATH_PENDING,
	TOE_CONN_PATH_OFFLOADED,
	TOE_CONN_PATH_FALLBACK,
};

/**
 * enum toe_counter_group - What a counter counts.
 * @TOE_COUNTER_GROUP_EVENT: Ordinary work done (segments, bytes, connections
 *   handed over).
 * @TOE_COUNTER_GROUP_DROP: Segments of an offloaded connection that were
 *   discarded.
 * @TOE_COUNTER_GROUP_PUNT: Segments that the data-path left to the control
 *   plane or the stack.
 * @TOE_COUNTER_GROUP_FALLBACK: Connections that stayed on kernel TCP.
 */
enum toe_counter_group {
	TOE_COUNTER_GROUP_EVENT,
	TOE_COUNTER_GROUP_DROP,
	TOE_COUNTER_GROUP_PUNT,
	TOE_COUNTER_GROUP_FALLBACK,
};

enum {
	TOE_A_DEV_IFINDEX = 1,
	TOE_A_DEV_IFNAME,
	TOE_A_DEV_KIND,
	TOE_A_DEV_DATAPATH,
	TOE_A_DEV_CONNECTIONS,
	TOE_A_DEV_MAX_CONNECTIONS,
	TOE_A_DEV_FORCE,

	__TOE_A_DEV_MAX,
	TOE_A_DEV_MAX = (__TOE_A_DEV_MAX - 1)
};

enum {
	TOE_A_CONN_COOKIE = 1,
	TOE_A_CONN_FAMILY,
	TOE_A_CONN_LOCAL_ADDR,
	TOE_A_CONN_LOCAL_PORT,
	TOE_A_CONN_REMOTE_ADDR,
	TOE_A_CONN_REMOTE_PORT,
	TOE_A_CONN_STATE,
	TOE_A_CONN_PATH,
	TOE_A_CONN_IFINDEX,
	TOE_A_CONN_FALLBACK_REASON,
	TOE_A_CONN_UID,
	TOE_A_CONN_INODE,
	TOE_A_CONN_RX_BYTES,
	TOE_A_CONN_TX_BYTES,
	TOE_A_CONN_RX_SEGS,
	TOE_A_CONN_TX_SEGS,
	TOE_A_CONN_RETRANSMITS,
	TOE_A_CONN_TIMEOUTS,
	TOE_A_CONN_RX_DUP_ACKS,
	TOE_A_CONN_RX_OOO_SEGS,
	TOE_A_CONN_MSS,
	TOE_A_CONN_CWND,
	TOE_A_CONN_SSTHRESH,
	TOE_A_CONN_SRTT_US,
	TOE_A_CONN_RTO_US,
	TOE_A_CONN_SND_WND,
	TOE_A_CONN_RCV_WND,
	TOE_A_CONN_RX_BUF_SIZE,
	TOE_A_CONN_RX_BUF_USED,
	TOE_A_CONN_TX_BUF_SIZE,
	TOE_A_CONN_TX_BUF_USED,
	TOE_A_CONN_CONGESTION,
	TOE_A_CONN_ACCEPT_QUEUE,
	TOE_A_CONN_BACKLOG,

	__TOE_A_CONN_MAX,
	TOE_A_CONN_MAX = (__TOE_A_CONN_MAX - 1)
};

enum {
	TOE_A_COUNTER_NAME = 1,
	TOE_A_COUNTER_GROUP,
	TOE_A_COUNTER_VALUE,

	__TOE_A_COUNTER_MAX,
	TOE_A_COUNTER_MAX = (__TOE_A_COUNTER_MAX - 1)
};

enum {
	TOE_A_STATS_IFINDEX = 1,
	TOE_A_STATS_COUNTER,

	__TOE_A_STATS_MAX,
	TOE_A_STATS_MAX = (__TOE_A_STATS_MAX - 1)
};

enum {
	TOE_CMD_DEV_ADD = 1,
	TOE_CMD_DEV_DEL,
	TOE_CMD_DEV_GET,
	TOE_CMD_CONN_GET,
	TOE_CMD_STATS_GET,

	__TOE_CMD_MAX,
	TOE_CMD_MAX = (__TOE_CMD_MAX - 1)
};

#endif /* _UAPI_LINUX_TOE_NETLINK_H */
