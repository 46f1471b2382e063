/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The TOE NIC: registers, queues and descriptors.
 *
 * The machine-readable half of Documentation/device-interface.rst, which says
 * what everything here means. All integers are little-endian; addresses of
 * networks and links are bytes in the order of the wire. Reserved fields and
 * bits are zero when written by the host and to be ignored when read by it.
 */
#ifndef _UAPI_LINUX_TOE_DEVICE_H
#define _UAPI_LINUX_TOE_DEVICE_H

#include <linux/types.h>

#ifdef __cplusplus
#define TOE_ASSERT_SIZE(what, size) static_assert(sizeof(what) == (size), #what)
#else
#define TOE_ASSERT_SIZE(what, size) _Static_assert(sizeof(what) == (size), #what)
#endif

/* -- PCI identity ----------------------------------------------------------- */

#define TOE_PCI_VENDOR		0x1af4
#define TOE_PCI_DEVICE		0x10f7
#define TOE_PCI_SUBSYSTEM	0x0001
#define TOE_PCI_CLASS		0x020000

/* BARs; each takes two slots, being 64 bits wide. */
#define TOE_BAR_REGISTERS	0
#define TOE_BAR_DOORBELLS	2
#define TOE_BAR_MSIX		4

#define TOE_PAGE_SIZE		0x1000
/* In the MSI-X BAR. */
#define TOE_MSIX_TABLE_OFFSET	0x0000
#define TOE_MSIX_PBA_OFFSET	0x0800
#define TOE_MAX_VECTORS		128

/* -- Versions --------------------------------------------------------------- */

#define TOE_VERSION(major, minor)	(((major) << 16) | (minor))
#define TOE_VERSION_MAJOR(version)	((version) >> 16)
#define TOE_VERSION_MINOR(version)	((version) & 0xffff)
/* What this header describes. */
#define TOE_VERSION_CURRENT		TOE_VERSION(1, 0)

/* -- Registers (BAR 0, first page): 32 bits each ------------------------------ */

#define TOE_MAGIC			0x30454f54	/* "TOE0" */

#define TOE_REG_MAGIC			0x000	/* ro */
#define TOE_REG_VERSION			0x004	/* ro: newest spoken */
#define TOE_REG_VERSION_OLDEST		0x008	/* ro: oldest spoken */
#define TOE_REG_VERSION_USED		0x00c	/* rw */
#define TOE_REG_FEATURES_LO		0x010	/* ro: TOE_F_* */
#define TOE_REG_FEATURES_HI		0x014	/* ro */
#define TOE_REG_FEATURES_USED_LO	0x018	/* rw */
#define TOE_REG_FEATURES_USED_HI	0x01c	/* rw */
#define TOE_REG_CONTROL			0x020	/* rw: TOE_CONTROL_* */
#define TOE_REG_STATUS			0x024	/* ro: TOE_STATUS_* */
#define TOE_REG_ERROR			0x028	/* ro: enum toe_error */
#define TOE_REG_ERROR_INFO		0x02c	/* ro */
#define TOE_REG_MAX_CONTEXTS		0x030	/* ro: C */
#define TOE_REG_MAX_QUEUE_PAIRS		0x034	/* ro: R */
#define TOE_REG_MAX_CONNECTIONS		0x038	/* ro */
#define TOE_REG_MAX_ENTRIES		0x03c	/* ro: of one ring */
#define TOE_REG_VECTORS			0x040	/* ro */
#define TOE_REG_MAX_MTU			0x044	/* ro: bytes of an IP packet */
#define TOE_REG_MAX_TSO			0x048	/* ro: bytes of payload */
#define TOE_REG_LINK_SPEED		0x04c	/* ro: Mbit/s; 0 if down or unknown */
#define TOE_REG_MAC_LO			0x050	/* ro: permanent address, bytes 0-3 */
#define TOE_REG_MAC_HI			0x054	/* ro: bytes 4-5 */
#define TOE_REG_TIME_LO			0x058	/* ro: us; latches the next */
#define TOE_REG_TIME_HI			0x05c	/* ro */
#define TOE_REG_ADMIN_SQ_LO		0x060	/* rw: address of the ring */
#define TOE_REG_ADMIN_SQ_HI		0x064	/* rw */
#define TOE_REG_ADMIN_CQ_LO		0x068	/* rw */
#define TOE_REG_ADMIN_CQ_HI		0x06c	/* rw */
#define TOE_REG_ADMIN_STATUS_LO		0x070	/* rw: struct toe_queue_status */
#define TOE_REG_ADMIN_STATUS_HI		0x074	/* rw */
#define TOE_REG_ADMIN_SQ_ENTRIES	0x078	/* rw */
#define TOE_REG_ADMIN_CQ_ENTRIES	0x07c	/* rw */
#define TOE_REG_ADMIN_VECTOR		0x080	/* rw: or TOE_NO_VECTOR */
#define TOE_REG_END			0x084

/* In the page TOE_KICK_PAGE(queue) of BAR 0. */
#define TOE_REG_KICK			0x000	/* wo */

#define TOE_CONTROL_ENABLE		0x1
#define TOE_CONTROL_RESET		0x2

#define TOE_STATUS_READY		0x1
#define TOE_STATUS_FAILED		0x2
#define TOE_STATUS_RESETTING		0x4
#define TOE_STATUS_LINK			0x8

#define TOE_NO_VECTOR			0xffff

/* Data-paths */
#define TOE_F_NPU			(1ULL << 0)
#define TOE_F_RMT			(1ULL << 1)
/* What offloaded connections may use */
#define TOE_F_IPV6			(1ULL << 2)
#define TOE_F_SACK			(1ULL << 3)
#define TOE_F_ECN			(1ULL << 4)
#define TOE_F_VLAN			(1ULL << 5)
#define TOE_F_RATE			(1ULL << 6)
#define TOE_F_USER_CONTEXTS		(1ULL << 7)
#define TOE_F_XDP			(1ULL << 8)
#define TOE_F_CAPTURE			(1ULL << 9)
/* Raw-frame queues */
#define TOE_F_RX_CSUM			(1ULL << 16)
#define TOE_F_TX_CSUM			(1ULL << 17)
#define TOE_F_TSO			(1ULL << 18)
#define TOE_F_LRO			(1ULL << 19)
#define TOE_F_RSS			(1ULL << 20)
#define TOE_F_VLAN_OFFLOAD		(1ULL << 21)
#define TOE_F_RX_FILTER			(1ULL << 22)

/* -- Queues ----------------------------------------------------------------- */

/* Numbers of queues: the admin queue, contexts, raw-frame queue pairs. */
#define TOE_QUEUE_ADMIN			0
#define TOE_QUEUE_CONTEXT(context)	(1 + (context))
#define TOE_QUEUE_PAIR(pair, max_contexts)	(1 + (max_contexts) + (pair))

/* Where in BAR 0 and BAR 2 a queue has its page. */
#define TOE_KICK_PAGE(queue)		(TOE_PAGE_SIZE * (1 + (queue)))
#define TOE_DOORBELL_PAGE(queue)	(TOE_PAGE_SIZE * (queue))

#define TOE_MIN_ENTRIES			16
#define TOE_MIN_MAX_ENTRIES		64	/* least that TOE_REG_MAX_ENTRIES may be */

/* Written by the host, in the queue's page of BAR 2. Indices are free-running. */
struct toe_doorbell {
	__le32	sq_tail;	/* end of the entries to be executed */
	__le32	sq_arm;		/* interrupt when this one is done (raw pairs, contexts) */
	__u8	reserved0[56];
	__le32	cq_head;	/* first entry not consumed */
	__le32	cq_arm;		/* interrupt when this one is written */
	__u8	reserved1[56];
	__le32	rq_tail;	/* end of the buffers posted (raw pairs) */
	__u8	reserved2[60];
};
TOE_ASSERT_SIZE(struct toe_doorbell, 192);

#define TOE_QUEUE_NEED_KICK		0x1
#define TOE_QUEUE_STOPPED		0x2

/* Written by the device, in host memory; 64-byte aligned. */
struct toe_queue_status {
	__le32	sq_head;	/* first entry not done */
	__le32	flags;		/* TOE_QUEUE_* */
	__le32	error;		/* enum toe_error, if stopped */
	__le32	error_index;	/* of the entry at fault */
	__u8	reserved[48];
};
TOE_ASSERT_SIZE(struct toe_queue_status, 64);

/* Why the device, a queue or a connection stopped. */
enum toe_error {
	TOE_ERROR_NONE = 0,
	/* the device: at enabling */
	TOE_ERROR_VERSION = 1,
	TOE_ERROR_FEATURES = 2,
	TOE_ERROR_ADMIN_QUEUE = 3,
	TOE_ERROR_INTERNAL = 4,
	/* a queue */
	TOE_ERROR_TAIL = 16,		/* more entries than the ring has */
	TOE_ERROR_HEAD = 17,		/* consumed what was not written */
	TOE_ERROR_ADDRESS = 18,		/* memory that can't be reached */
	TOE_ERROR_ENTRY = 19,		/* unknown operation, reserved bits */
	TOE_ERROR_LENGTH = 20,
	TOE_ERROR_PERMISSION = 21,	/* not this context's to do */
	/* a connection */
	TOE_ERROR_TX_OVERFLOW = 32,	/* more bytes than the ring has room for */
	TOE_ERROR_RX_UNDERFLOW = 33,	/* more bytes freed than received */
	TOE_ERROR_AFTER_FIN = 34,
	TOE_ERROR_PATH = 35,
	TOE_ERROR_BUFFER = 36,		/* payload or record can't be reached */
	TOE_ERROR_CONTEXT = 37,		/* its context stopped */
};

/* -- Admin queue ------------------------------------------------------------ */

enum toe_admin_op {
	TOE_ADMIN_NOP = 0x00,
	TOE_ADMIN_SET_TIME = 0x01,
	TOE_ADMIN_CREATE_CONTEXT = 0x02,
	TOE_ADMIN_DESTROY_CONTEXT = 0x03,
	TOE_ADMIN_CREATE_PAIR = 0x04,
	TOE_ADMIN_DESTROY_PAIR = 0x05,
	TOE_ADMIN_SET_MODERATION = 0x06,
	TOE_ADMIN_SET_RSS = 0x07,
	TOE_ADMIN_SET_RX_MODE = 0x08,
	TOE_ADMIN_SET_MTU = 0x09,
	TOE_ADMIN_GET_STATS = 0x0a,
	TOE_ADMIN_SELF_TEST = 0x0b,
	TOE_ADMIN_CLAIM = 0x10,
	TOE_ADMIN_INSTALL = 0x11,
	TOE_ADMIN_RELEASE = 0x12,
	TOE_ADMIN_READ = 0x13,
	TOE_ADMIN_QUIESCE = 0x14,
	TOE_ADMIN_RESUME = 0x15,
	TOE_ADMIN_REMOVE = 0x16,
	TOE_ADMIN_EXECUTE = 0x17,
	TOE_ADMIN_SET_NEIGHBOUR = 0x18,
	TOE_ADMIN_CAPTURE = 0x20,
	TOE_ADMIN_LOAD_PROGRAM = 0x21,
};

struct toe_admin_command {
	__u8	op;		/* enum toe_admin_op */
	__u8	flags;		/* TOE_ADMIN_* below */
	__le16	id;		/* comes back in the completion */
	__le32	target;		/* context, pair, queue or connection */
	__le64	in;		/* address of what the device reads */
	__le32	in_len;
	__le32	out_len;
	__le64	out;		/* address of what the device writes */
	__le32	arg[8];
};
TOE_ASSERT_SIZE(struct toe_admin_command, 64);

/* Flags of TOE_ADMIN_REMOVE */
#define TOE_ADMIN_REMOVE_HOLD		0x1

enum toe_status {
	TOE_STATUS_OK = 0,
	TOE_STATUS_BAD_OP = 1,
	TOE_STATUS_BAD_ARGUMENT = 2,
	TOE_STATUS_BAD_ADDRESS = 3,
	TOE_STATUS_NOT_FOUND = 4,
	TOE_STATUS_WRONG_STATE = 5,
	TOE_STATUS_TABLE_FULL = 6,
	TOE_STATUS_IN_USE = 7,
	TOE_STATUS_NO_MEMORY = 8,
	TOE_STATUS_UNSUPPORTED = 9,
	TOE_STATUS_TEST_FAILED = 10,
	/* the connection's state is not one that can be */
	TOE_STATUS_CONFIG_MSS = 16,
	TOE_STATUS_CONFIG_RING_SIZE = 17,
	TOE_STATUS_CONFIG_RING_FILL = 18,
	TOE_STATUS_CONFIG_SEND_SEQUENCE = 19,
	TOE_STATUS_CONFIG_RECEIVE_WINDOW = 20,
	TOE_STATUS_CONFIG_FIELD = 21,
};

enum toe_admin_kind {
	TOE_ADMIN_KIND_DONE = 0,	/* id, status, value */
	TOE_ADMIN_KIND_LINK = 1,	/* value[0]: up, value[1]: Mbit/s */
	TOE_ADMIN_KIND_QUEUE_STOPPED = 2, /* value[0]: queue, [1]: error, [2]: index */
};

/* An entry of the admin completion ring. */
struct toe_admin_completion {
	__u8	kind;		/* enum toe_admin_kind */
	__u8	reserved0;
	__le16	id;
	__le32	status;		/* enum toe_status */
	__le32	value[4];
	__u8	reserved1[7];
	__u8	phase;		/* bit 0; written last */
};
TOE_ASSERT_SIZE(struct toe_admin_completion, 32);

/* TOE_ADMIN_CREATE_CONTEXT: target is the context. */
struct toe_context_setup {
	__le64	sq;		/* ring of struct toe_command */
	__le64	cq;		/* ring of struct toe_notification */
	__le64	status;		/* struct toe_queue_status */
	__le32	sq_entries;
	__le32	cq_entries;
	__le16	vector;		/* or TOE_NO_VECTOR */
	__le16	flags;		/* TOE_CONTEXT_* */
	__le32	moderation_usecs;
	__u8	reserved[24];
};
TOE_ASSERT_SIZE(struct toe_context_setup, 64);

/* May do what is the control plane's, to connections of any context. */
#define TOE_CONTEXT_PRIVILEGED		0x1

/* TOE_ADMIN_CREATE_PAIR: target is the pair. */
struct toe_pair_setup {
	__le64	sq;		/* ring of struct toe_tx_descriptor */
	__le64	rq;		/* ring of struct toe_rx_buffer */
	__le64	cq;		/* ring of struct toe_rx_completion, as long as rq */
	__le64	status;		/* struct toe_queue_status */
	__le32	sq_entries;
	__le32	rq_entries;
	__le16	vector;		/* or TOE_NO_VECTOR */
	__le16	reserved0;
	__le32	moderation_usecs;
	__u8	reserved[16];
};
TOE_ASSERT_SIZE(struct toe_pair_setup, 64);

#define TOE_RSS_KEY_LEN			40
#define TOE_RSS_ENTRIES			128

/* TOE_ADMIN_SET_RSS */
struct toe_rss {
	__u8	key[TOE_RSS_KEY_LEN];
	__u8	reserved[24];
	__le16	pair[TOE_RSS_ENTRIES];
};
TOE_ASSERT_SIZE(struct toe_rss, 320);

/* TOE_ADMIN_SET_RX_MODE: arg[0]; in: 6 bytes for each address, arg[1] of them */
#define TOE_RX_UNICAST			0x1	/* those listed; the first is the device's */
#define TOE_RX_BROADCAST		0x2
#define TOE_RX_ALL_MULTICAST		0x4
#define TOE_RX_PROMISCUOUS		0x8
#define TOE_RX_MAX_ADDRESSES		64

/* TOE_ADMIN_SET_NEIGHBOUR */
struct toe_neighbour {
	__u8	old_mac[6];
	__u8	new_mac[6];
	__le32	reserved;
};
TOE_ASSERT_SIZE(struct toe_neighbour, 16);

/* -- Connections ------------------------------------------------------------ */

#define TOE_TUPLE_IPV6			0x1
#define TOE_TUPLE_VLAN			0x2

/* TOE_ADMIN_CLAIM: value[0] of the completion is the connection's handle. */
struct toe_tuple {
	__u8	local[16];	/* IPv4: the first four bytes */
	__u8	remote[16];
	__le16	local_port;
	__le16	remote_port;
	__le16	vlan;		/* VLAN identifier, if TOE_TUPLE_VLAN */
	__u8	flags;
	__u8	reserved;
};
TOE_ASSERT_SIZE(struct toe_tuple, 40);

#define TOE_PATH_VLAN			0x1

struct toe_path {
	__u8	destination[6];
	__u8	source[6];
	__le16	vlan_tci;	/* if TOE_PATH_VLAN */
	__u8	flags;
	__u8	ttl;		/* or hop limit */
	__u8	tos;		/* or traffic class; ECN bits ignored */
	__u8	reserved;
	__le16	mss;		/* payload bytes of a full-sized segment */
	__le32	reserved1;
};
TOE_ASSERT_SIZE(struct toe_path, 24);

#define TOE_CONN_TIMESTAMPS		0x001
#define TOE_CONN_ECN			0x002
#define TOE_CONN_ACCURATE_ECN		0x004	/* needs TOE_CONN_ECN */
#define TOE_CONN_SACK			0x008
#define TOE_CONN_NODELAY		0x010
#define TOE_CONN_CORK			0x020
#define TOE_CONN_FIN_QUEUED		0x040
#define TOE_CONN_FIN_ACKED		0x080
#define TOE_CONN_PEER_FIN		0x100

/* The full state of a connection. Sequence numbers are SEG.SEQ's, positions a ring's. */
struct toe_connection {
	struct toe_tuple	tuple;
	struct toe_path		path;
	__le32	flags;		/* TOE_CONN_* */
	__le32	ts_offset;	/* TSval = device time in ms + this */
	__le32	ts_recent;
	__le32	cwnd;
	__le32	snd_una;
	__le32	snd_nxt;
	__le32	snd_max;
	__le32	snd_wnd;
	__le32	snd_max_wnd;
	__le32	snd_wl1;
	__le32	rcv_nxt;
	__le32	rcv_wnd;
	__u8	snd_scale;	/* of windows the peer sends */
	__u8	rcv_scale;	/* of windows we send */
	__le16	rcv_mss;
	__u8	quick_acks;
	__u8	reserved0[3];
	__le32	srtt;		/* us */
	__le32	rttvar;		/* us */
	__le32	rx_size;
	__le32	rx_head;
	__le32	rx_tail;
	__le32	tx_size;
	__le32	tx_head;
	__le32	tx_tail;
	__le64	rate;		/* bytes/s; 0: not paced */
	__le64	cookie;
	__le16	context;	/* whose commands and notifications */
	__le16	control;	/* context of the control plane's notifications */
	__le16	flow_group;
	__u8	reserved1[6];
	__le32	ack_delay;	/* us; 0: the host sees to delayed acknowledgments */
	__u8	reserved2[8];
};
TOE_ASSERT_SIZE(struct toe_connection, 192);

#define TOE_MAX_ACK_DELAY		500000

#define TOE_MIN_RING			0x1000
#define TOE_MAX_RING			0x1000000
#define TOE_MIN_PAGE_SHIFT		12

/* TOE_ADMIN_INSTALL: target is a handle in state claimed. */
struct toe_install {
	struct toe_connection	connection;
	__le64	rx_pages;	/* address of a list of __le64: the ring's pages */
	__le64	tx_pages;
	__le64	record;		/* struct toe_record */
	__u8	rx_page_shift;	/* pages are 1 << this bytes long and aligned */
	__u8	tx_page_shift;
	__u8	reserved[38];
};
TOE_ASSERT_SIZE(struct toe_install, 256);

/* What a connection waits for */
#define TOE_WAIT_ACK_DELAYED		0x1
#define TOE_WAIT_IN_FLIGHT		0x2
#define TOE_WAIT_PERSIST		0x4

/* One of the two copies of what changes of a connection's state. */
struct toe_record_copy {
	__le32	begin;		/* number of this version; written first */
	__le32	flags;		/* TOE_CONN_FIN_*, _PEER_FIN */
	__le32	ts_recent;
	__le32	cwnd;
	__le32	snd_una;
	__le32	snd_nxt;
	__le32	snd_max;
	__le32	snd_wnd;
	__le32	snd_max_wnd;
	__le32	snd_wl1;
	__le32	rcv_nxt;
	__le32	rcv_wnd;
	__le32	srtt;
	__le32	rttvar;
	__le32	rx_head;
	__le32	rx_tail;
	__le32	tx_head;
	__le32	tx_tail;
	__le64	rto_base;	/* us; if TOE_WAIT_IN_FLIGHT */
	__le64	ack_owed_at;	/* us; if TOE_WAIT_ACK_DELAYED */
	__le64	rx_segments;	/* as in the counters */
	__le16	rcv_mss;
	__u8	quick_acks;
	__u8	waits;		/* TOE_WAIT_* */
	__u8	state;		/* enum toe_connection_state */
	__u8	reserved[23];
	__le32	end;		/* as begin; written last */
};
TOE_ASSERT_SIZE(struct toe_record_copy, 128);

enum toe_connection_state {
	TOE_CONNECTION_FREE = 0,
	TOE_CONNECTION_CLAIMED = 1,
	TOE_CONNECTION_LIVE = 2,
	TOE_CONNECTION_QUIESCED = 3,
};

struct toe_connection_counters {
	__le64	rx_segments;
	__le64	rx_bytes;
	__le64	rx_out_of_order;
	__le64	rx_discarded_bytes;
	__le64	rx_dropped;
	__le64	rx_dup_acks;
	__le64	rx_ce_segments;
	__le64	tx_segments;
	__le64	tx_bytes;
	__le64	tx_retransmitted_bytes;
	__le64	tx_acks;
	__le64	fast_retransmits;
	__le64	timeouts;
	__le64	reserved[3];
};
TOE_ASSERT_SIZE(struct toe_connection_counters, 128);

/* Written by the device, in host memory; 128-byte aligned. */
struct toe_record {
	struct toe_record_copy		copy[2];
	struct toe_connection_counters	counters;
	__u8				reserved[128];
};
TOE_ASSERT_SIZE(struct toe_record, 512);

/* TOE_ADMIN_READ, _QUIESCE, _REMOVE: out */
struct toe_connection_read {
	struct toe_connection		connection;
	__u8				reserved[64];
	struct toe_connection_counters	counters;
};
TOE_ASSERT_SIZE(struct toe_connection_read, 384);

/* -- Contexts --------------------------------------------------------------- */

enum toe_command_op {
	TOE_COMMAND_NOP = 0,
	TOE_COMMAND_POST = 1,
	TOE_COMMAND_SET_MODE = 2,
	TOE_COMMAND_FENCE = 3,
	/* of privileged contexts only */
	TOE_COMMAND_SET_CWND = 16,
	TOE_COMMAND_SET_RATE = 17,
	TOE_COMMAND_SET_PATH = 18,
	TOE_COMMAND_RESET = 19,
	TOE_COMMAND_WATCH = 20,
};

#define TOE_POST_FIN			0x01
#define TOE_POST_KICK			0x20
/* of privileged contexts only */
#define TOE_POST_RETRANSMIT		0x02
#define TOE_POST_ACK_NOW		0x04
#define TOE_POST_PROBE			0x08
#define TOE_POST_KEEPALIVE		0x10

/* An entry of a context's submission ring. */
struct toe_command {
	__u8	op;			/* enum toe_command_op */
	__u8	flags;			/* POST: TOE_POST_*; SET_MODE: TOE_CONN_NODELAY, _CORK */
	__le16	reserved;
	__le32	connection;		/* handle */
	union {
		struct {
			__le32	tx_tail;	/* the program's position in the tx ring */
			__le32	rx_head;	/* and in the rx ring */
			__u8	reserved[16];
		} post;
		struct toe_path	path;		/* SET_PATH */
		__le64	value;			/* SET_CWND: bytes, SET_RATE: bytes/s, FENCE: any */
		__u8	data[24];
	};
};
TOE_ASSERT_SIZE(struct toe_command, 32);

enum toe_notification_kind {
	TOE_NOTIFY_DATA = 0,		/* positions, events, waits, report */
	TOE_NOTIFY_PUNT = 1,
	TOE_NOTIFY_STOPPED = 2,		/* the connection was quiesced for an error */
	TOE_NOTIFY_FENCE = 3,		/* cookie: the command's value */
};

#define TOE_EVENT_PEER_FIN		0x0001
#define TOE_EVENT_FIN_ACKED		0x0002
#define TOE_EVENT_FAST_RETRANSMIT	0x0004
#define TOE_EVENT_WINDOW_OPENED		0x0008
#define TOE_EVENT_REPORT		0x4000	/* report is filled in */
#define TOE_EVENT_CWND_LIMITED		0x8000	/* of the report */

/* An entry of a context's notification ring. */
struct toe_notification {
	__le64	cookie;
	__le32	connection;		/* handle */
	__le16	events;			/* TOE_EVENT_* */
	__u8	kind;			/* enum toe_notification_kind */
	__u8	waits;			/* TOE_WAIT_* */
	__le32	rx_tail;		/* end of what was received in order */
	__le32	tx_head;		/* oldest byte not acknowledged */
	union {
		struct {
			__le32	acked;
			__le32	ecn;
			__le32	fast_retransmits;
			__le32	flight;
			__le32	srtt;	/* us */
			__le32	rtt;	/* us */
		} report;
		struct {
			__le32	rcv_nxt;
			__le32	rcv_wnd;
			__le32	seq;
			__le16	flags;	/* TCP control bits */
			__le16	reserved;
		} punt;
		__le32	error;		/* STOPPED: enum toe_error */
		__u8	data[36];
	};
	__u8	reserved[3];
	__u8	phase;			/* bit 0; written last */
};
TOE_ASSERT_SIZE(struct toe_notification, 64);

/* -- Raw-frame queue pairs --------------------------------------------------- */

#define TOE_TX_END			0x01	/* last descriptor of the frame */
#define TOE_TX_CSUM			0x02	/* sum from csum_start on, to csum_offset from there */
#define TOE_TX_TSO			0x04	/* cut TCP payload into mss pieces */
#define TOE_TX_VLAN			0x08	/* insert vlan_tci */

#define TOE_TX_MAX_DESCRIPTORS		20	/* of one frame */
#define TOE_TX_MAX_FRAME		(64 * 1024 + 256)

/* An entry of a submission ring; all but addr, len and TOE_TX_END count in a frame's first. */
struct toe_tx_descriptor {
	__le64	addr;
	__le32	len;
	__le16	flags;			/* TOE_TX_* */
	__le16	mss;
	__le16	csum_start;
	__le16	csum_offset;
	__le16	header_len;		/* with TSO: link, IP and TCP headers */
	__le16	vlan_tci;
	__u8	reserved[8];
};
TOE_ASSERT_SIZE(struct toe_tx_descriptor, 32);

/* An entry of a buffer ring. */
struct toe_rx_buffer {
	__le64	addr;
	__le32	len;
	__le32	reserved;
};
TOE_ASSERT_SIZE(struct toe_rx_buffer, 16);

#define TOE_RX_END			0x01	/* last buffer of the frame */
#define TOE_RX_CSUM_OK			0x02	/* TCP's or UDP's, and IPv4's, are right */
#define TOE_RX_CSUM_BAD			0x04
#define TOE_RX_VLAN			0x08	/* vlan_tci was taken out */
#define TOE_RX_LRO			0x10	/* several segments of mss */

enum toe_hash_kind {
	TOE_HASH_NONE = 0,
	TOE_HASH_L3 = 1,
	TOE_HASH_L4 = 2,
};

/* An entry of a pair's completion ring: what became of the buffer of the same index. */
struct toe_rx_completion {
	__le32	len;			/* of this buffer's part */
	__le32	hash;
	__le16	flags;			/* TOE_RX_*; all but END count in the first */
	__le16	vlan_tci;
	__le16	mss;			/* with TOE_RX_LRO */
	__u8	hash_kind;		/* enum toe_hash_kind */
	__u8	reserved[16];
	__u8	phase;			/* bit 0; written last */
};
TOE_ASSERT_SIZE(struct toe_rx_completion, 32);

/* -- Statistics --------------------------------------------------------------- */

/* TOE_ADMIN_GET_STATS: out is a list of __le64 in this order. */
enum toe_stat {
	/* the port */
	TOE_STAT_RX_FRAMES = 0,
	TOE_STAT_RX_BYTES,
	TOE_STAT_TX_FRAMES,
	TOE_STAT_TX_BYTES,
	TOE_STAT_RX_NO_BUFFER,
	TOE_STAT_RX_FILTERED,
	TOE_STAT_RX_ERRORS,
	TOE_STAT_TX_DROPPED,
	/* connections */
	TOE_STAT_CONNECTIONS = 16,	/* claims included */
	TOE_STAT_INSTALLED,
	TOE_STAT_HELD,
	TOE_STAT_NOT_HELD,
	TOE_STAT_PUNTS_LOST,
	TOE_STAT_STALE_COMMANDS,
	TOE_STAT_CONNECTIONS_STOPPED,
	TOE_STAT_QUEUES_STOPPED,
	TOE_STAT_KICKS,			/* of all queues together */
	TOE_STAT_INTERRUPTS,
	/* sums over connections; in the order of struct toe_connection_counters */
	TOE_STAT_COUNTERS = 32,
	/* segments dropped, by reason */
	TOE_STAT_DROP_IP_CHECKSUM = 48,
	TOE_STAT_DROP_TCP_CHECKSUM,
	TOE_STAT_DROP_MALFORMED,
	TOE_STAT_DROP_NOT_CONTIGUOUS,
	TOE_STAT_DROP_OUT_OF_WINDOW,
	TOE_STAT_DROP_ACK_NEVER_SENT,
	TOE_STAT_DROP_ACK_TOO_OLD,
	TOE_STAT_DROP_PAWS,
	TOE_STAT_DROP_NO_TIMESTAMP,
	/* segments left to the control plane or the raw-frame queues, by reason */
	TOE_STAT_PUNT_NOT_TCP = 64,
	TOE_STAT_PUNT_TRUNCATED,
	TOE_STAT_PUNT_FRAGMENT,
	TOE_STAT_PUNT_IP_OPTIONS,
	TOE_STAT_PUNT_EXTENSION_HEADER,
	TOE_STAT_PUNT_SYN,
	TOE_STAT_PUNT_RST,
	TOE_STAT_PUNT_NO_ACK,
	TOE_STAT_END = 80,
};

#endif /* _UAPI_LINUX_TOE_DEVICE_H */
