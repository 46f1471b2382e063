/* SPDX-License-Identifier: GPL-2.0 */
/* What moves a live TCP connection out of the kernel's TCP: see tcp_repair.c. */
#ifndef TOE_HELPERS_TCP_REPAIR_H
#define TOE_HELPERS_TCP_REPAIR_H

#include <linux/types.h>

struct dst_entry;
struct sk_buff;
struct sock;
struct socket;

/* Why a connection can't be moved. */
enum toe_tcp_obstacle {
	TOE_TCP_MOVABLE,
	TOE_TCP_NOT_ESTABLISHED,
	TOE_TCP_UNSENT_DATA,
	TOE_TCP_URGENT_DATA,
	TOE_TCP_SIGNATURE,
	TOE_TCP_ULP,
	TOE_TCP_MPTCP,
	TOE_TCP_MICROSECOND_TIMESTAMPS,
	TOE_TCP_ACCURATE_ECN,
	TOE_TCP_FILTER,
	TOE_TCP_IP_OPTIONS,
	TOE_TCP_IPSEC,
	TOE_TCP_NO_ROUTE,
};

/* A connection's state; sequence numbers and windows as in RFC 9293. */
struct toe_tcp_snapshot {
	u32 snd_una;
	u32 snd_nxt;
	u32 snd_wnd;
	u32 max_window;
	u32 snd_wl1;
	u32 rcv_nxt;
	u32 rcv_wnd;
	u32 unread;		/* bytes received, not read, without the FIN */
	u32 ts_offset;
	u32 ts_recent;
	u32 mss;
	u32 rcv_mss;
	u32 cwnd;		/* in segments */
	u32 srtt_us;
	u32 rttvar_us;
	u32 mark;
	u32 priority;
	u32 hash;
	u8 local_addr[16];
	u8 remote_addr[16];
	u16 local_port;
	u16 remote_port;
	u8 ipv6;
	u8 fin_received;
	u8 timestamps;
	u8 sack;
	u8 ecn;
	u8 wscale_ok;
	u8 snd_wscale;
	u8 rcv_wscale;
	u8 quick_acks;
	u8 ack_owed;
	u8 nodelay;
	u8 cork;
	char congestion[16];
};

/* Fields of an IP header. */
struct toe_ip_fields {
	u8 ttl;
	u8 tos;
};

/* Bytes that lie in two parts, of which the second may be empty. */
struct toe_bytes {
	const void *part[2];
	size_t len[2];
};

/* The state that a connection goes on with. */
struct toe_tcp_resumption {
	u32 snd_una;		/* with our FIN, if it was acknowledged */
	u32 snd_wnd;
	u32 max_window;
	u32 snd_wl1;
	u32 rcv_nxt;		/* with the peer's FIN */
	u32 rcv_wnd;
	u32 ts_recent;
	u32 srtt_us;
	u32 rttvar_us;
	u32 cwnd;		/* in segments, as the next */
	u32 ssthresh;
	u8 state;		/* TCP_*, one between TCP_ESTABLISHED and TCP_TIME_WAIT */
	u8 fin_received;
	u8 fin_unacked;		/* ours may have been sent, and wasn't acknowledged */
	struct toe_bytes unread;	/* received, not read, up to rcv_nxt */
	struct toe_bytes unacked;	/* may have been sent, from snd_una on */
};

int toe_helper_tcp_filter_init(void);
void toe_helper_tcp_filter_exit(void);
int toe_helper_tcp_snapshot(struct sock *sk, struct toe_tcp_snapshot *snap);
struct toe_ip_fields toe_helper_ip_fields(struct sock *sk, struct dst_entry *dst);
struct sk_buff *toe_helper_tcp_received(struct sock *sk, struct sk_buff *prev, u32 *offset, u32 *len);
void toe_helper_tcp_freeze(struct sock *sk);
void toe_helper_tcp_sync(struct sock *sk, u32 snd_una, u32 snd_nxt, u32 rcv_nxt);
int toe_helper_tcp_soft_error(struct sock *sk);
int toe_helper_tcp_thaw(struct socket *sock, const struct toe_tcp_resumption *resumption);
void toe_helper_tcp_disconnect(struct sock *sk);
void toe_helper_tcp_release(struct socket *sock);
void toe_helper_tcp_release_time_wait(struct socket *sock, u32 snd_nxt, u32 rcv_nxt, u32 ts_recent,
				      bool fin_received, int seconds);

/* For the helpers among themselves. */
void toe_tcp_restore_callbacks(struct sock *sk);
void toe_tcp_hear_again(struct sock *sk);
void toe_tcp_leave_established(struct sock *sk, int state);

#endif
