// SPDX-License-Identifier: GPL-2.0
/*
 * Moves a live TCP connection out of the kernel's TCP, and its end back in.
 *
 * TCP_REPAIR's socket options take the socket's lock word by word and want CAP_NET_ADMIN of the calling task; a
 * hand-over wants all of the state at one moment, for a few hundred instructions, in any task. So this reads the same
 * words under one hold of the lock, and leaves the socket in repair mode, as the options would.
 *
 * A frozen socket holds the connection's addresses and ports, its route and its place in the tables, and nothing else:
 * it is deaf (a filter gives what reaches it to the device), mute (its IP output drops what it sends) and has no timer.
 * The filter alone would not do: a segment that passed it on another CPU just before it was attached is
 * processed after the lock was released, and would be acknowledged although nobody reads it any more.
 */
#include <linux/filter.h>
#include <linux/netdevice.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/psp.h>
#include <net/tcp.h>
#include <net/tcp_ecn.h>
#include <net/transp_v6.h>
#include "device.h"
#include "tcp_repair.h"

/* The filter of all frozen sockets; each holds a reference. */
static struct sk_filter *deaf;

/* IPv4, IPv6, and IPv4 by an IPv6 socket. */
static struct {
	const struct inet_connection_sock_af_ops *original;
	struct inet_connection_sock_af_ops mute;
} families[3];
static DEFINE_SPINLOCK(families_lock);

static int mute_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl)
{
	kfree_skb(skb);
	return 0;
}

/* A mute socket receives by its device only, whatever way the segments take that it processes for the last time. */
static void keep_rx_dst(struct sock *sk, const struct sk_buff *skb)
{
}

/* Puts the IP header before the TCP header at skb->data, without options, and as long as the packet is. */
static void push_ip_header(struct sk_buff *skb)
{
	const void *from = skb_network_header(skb);

	if (skb->protocol == htons(ETH_P_IP)) {
		struct iphdr *ip = __skb_push(skb, sizeof(*ip));

		memmove(ip, from, sizeof(*ip));
		ip->ihl = sizeof(*ip) / 4;
		iph_set_totlen(ip, skb->len);
		ip_send_check(ip);
	} else {
		struct ipv6hdr *ip = __skb_push(skb, sizeof(*ip));

		memmove(ip, from, sizeof(*ip));
		ip->nexthdr = IPPROTO_TCP;
		ipv6_set_payload_len(ip, skb->len - sizeof(*ip));
	}
	skb_reset_network_header(skb);
}

/*
 * Gives a segment that reached a socket during or after its hand-over to the device that has the connection, as if it
 * was received there. Should that not take it, TCP drops it as a packet that isn't for this host: it can't come here
 * again. skb->data is the TCP header, and the headers are writable.
 */
static void give_back(const struct sock *sk, struct sk_buff *skb)
{
	struct net_device *dev;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), READ_ONCE(sk->sk_rx_dst_ifindex));
	if (dev && skb_mac_header_was_set(skb)) {
		push_ip_header(skb);
		skb_scrub_packet(skb, false);
		memset(skb->cb, 0, sizeof(skb->cb));
		skb->pkt_type = TOE_PACKET_GIVEN_BACK;
		skb->dev = dev;
		netif_rx(skb);
	} else {
		kfree_skb(skb);
	}
	rcu_read_unlock();
}

/*
 * What the filter runs for a packet, instead of BPF instructions. What gets here is what the device can't have seen: a
 * segment that was on its way on another CPU when the device claimed the connection, that came in fragments or with IP
 * options, or by another netdev. The caller drops the packet.
 */
static unsigned int filter_packet(const void *ctx, const struct bpf_insn *insn)
{
	const struct sk_buff *skb = ctx;
	struct sk_buff *copy = skb_clone((struct sk_buff *)skb, GFP_ATOMIC);

	if (!copy)
		return 0;
	if (skb_cow_head(copy, 0)) {
		kfree_skb(copy);
		return 0;
	}
	if (copy->ip_summed == CHECKSUM_COMPLETE)
		/* It is the sum of what follows the IP header by now. */
		copy->ip_summed = CHECKSUM_NONE;
	give_back(skb->sk, copy);
	return 0;
}

int toe_helper_tcp_filter_init(void)
{
	struct bpf_prog *prog;

	deaf = kzalloc_obj(*deaf, GFP_KERNEL);
	if (!deaf)
		return -ENOMEM;
	prog = bpf_prog_alloc(bpf_prog_size(1), 0);
	if (!prog) {
		kfree(deaf);
		return -ENOMEM;
	}
	prog->len = 1;
	prog->bpf_func = filter_packet;
	deaf->prog = prog;
	refcount_set(&deaf->refcnt, 1);
	return 0;
}

/* No socket is frozen any more, but segments may still be running the filter, and callbacks be dropping it. */
void toe_helper_tcp_filter_exit(void)
{
	rcu_barrier();
	WARN_ON(!refcount_dec_and_test(&deaf->refcnt));
	bpf_prog_destroy(deaf->prog);
	kfree(deaf);
}

static const struct inet_connection_sock_af_ops *
mute_ops(const struct inet_connection_sock_af_ops *original)
{
	const struct inet_connection_sock_af_ops *mute = NULL;
	int i;

	for (i = 0; i < ARRAY_SIZE(families); i++)
		/* Pairs with the release below: the copy is whole. */
		if (smp_load_acquire(&families[i].original) == original)
			return &families[i].mute;
	spin_lock_bh(&families_lock);
	for (i = 0; i < ARRAY_SIZE(families) && !mute; i++) {
		if (!families[i].original) {
			families[i].mute = *original;
			families[i].mute.queue_xmit = mute_xmit;
			families[i].mute.sk_rx_dst_set = keep_rx_dst;
			/* Pairs with the acquire above. */
			smp_store_release(&families[i].original, original);
		}
		if (families[i].original == original)
			mute = &families[i].mute;
	}
	spin_unlock_bh(&families_lock);
	return mute;
}

static int obstacle(struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);

	if (sk->sk_state != TCP_ESTABLISHED && sk->sk_state != TCP_CLOSE_WAIT)
		return TOE_TCP_NOT_ESTABLISHED;
	if (sk->sk_err || sk->sk_shutdown & SEND_SHUTDOWN || tp->repair ||
	    rcu_access_pointer(tp->fastopen_rsk) || !mute_ops(icsk->icsk_af_ops))
		return TOE_TCP_NOT_ESTABLISHED;
	if (tp->snd_una != tp->write_seq)
		return TOE_TCP_UNSENT_DATA;
	if (tp->urg_data)
		return TOE_TCP_URGENT_DATA;
#ifdef CONFIG_TCP_MD5SIG
	if (rcu_access_pointer(tp->md5sig_info))
		return TOE_TCP_SIGNATURE;
#endif
#ifdef CONFIG_TCP_AO
	if (rcu_access_pointer(tp->ao_info))
		return TOE_TCP_SIGNATURE;
#endif
	if (icsk->icsk_ulp_ops || psp_sk_assoc(sk))
		return TOE_TCP_ULP;
	if (sk_is_mptcp(sk))
		return TOE_TCP_MPTCP;
	if (tp->tcp_usec_ts)
		return TOE_TCP_MICROSECOND_TIMESTAMPS;
	if (tcp_ecn_mode_accecn(tp))
		return TOE_TCP_ACCURATE_ECN;
	if (rcu_access_pointer(sk->sk_filter))
		return TOE_TCP_FILTER;
	if (rcu_access_pointer(inet_sk(sk)->inet_opt) || inet_sk(sk)->min_ttl)
		return TOE_TCP_IP_OPTIONS;
#if IS_ENABLED(CONFIG_IPV6)
	if (inet6_sk(sk) && (rcu_access_pointer(inet6_sk(sk)->opt) || inet6_sk(sk)->min_hopcount))
		return TOE_TCP_IP_OPTIONS;
#endif
#ifdef CONFIG_XFRM
	if (rcu_access_pointer(sk->sk_policy[0]) || rcu_access_pointer(sk->sk_policy[1]))
		return TOE_TCP_IPSEC;
#endif
	return TOE_TCP_MOVABLE;
}

/* The socket's route, found anew if it has become invalid. */
static struct dst_entry *valid_route(struct sock *sk)
{
	u32 cookie = 0;

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		cookie = inet6_sk(sk)->dst_cookie;
#endif
	if (!__sk_dst_check(sk, cookie) && inet_csk(sk)->icsk_af_ops->rebuild_header(sk))
		return NULL;
	return __sk_dst_get(sk);
}

static bool is_ipv6(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	return sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr);
#else
	return false;
#endif
}

/* What the socket's options and its route @dst put into the headers of its packets. */
struct toe_ip_fields toe_helper_ip_fields(struct sock *sk, struct dst_entry *dst)
{
	struct toe_ip_fields fields;
	int ttl;

#if IS_ENABLED(CONFIG_IPV6)
	if (is_ipv6(sk)) {
		ttl = READ_ONCE(inet6_sk(sk)->hop_limit);
		fields.ttl = ttl < 0 ? ip6_dst_hoplimit(dst) : ttl;
		fields.tos = READ_ONCE(inet6_sk(sk)->tclass);
		return fields;
	}
#endif
	ttl = READ_ONCE(inet_sk(sk)->uc_ttl);
	fields.ttl = ttl < 0 ? ip4_dst_hoplimit(dst) : ttl;
	fields.tos = READ_ONCE(inet_sk(sk)->tos);
	return fields;
}

static int snapshot_ip(struct sock *sk, struct toe_tcp_snapshot *snap)
{
	const struct inet_sock *inet = inet_sk(sk);
	struct dst_entry *dst = valid_route(sk);

	snap->local_port = ntohs(inet->inet_sport);
	snap->remote_port = ntohs(inet->inet_dport);
	if (!dst)
		return TOE_TCP_NO_ROUTE;
	if (dst_xfrm(dst))
		return TOE_TCP_IPSEC;
#if IS_ENABLED(CONFIG_IPV6)
	if (is_ipv6(sk)) {
		snap->ipv6 = true;
		memcpy(snap->local_addr, &inet6_sk(sk)->saddr, 16);
		memcpy(snap->remote_addr, &sk->sk_v6_daddr, 16);
		return TOE_TCP_MOVABLE;
	}
#endif
	memcpy(snap->local_addr, &inet->inet_saddr, 4);
	memcpy(snap->remote_addr, &inet->inet_daddr, 4);
	return TOE_TCP_MOVABLE;
}

/* The socket is locked. What has reached it by now is in the snapshot; it may still be used as if nothing was. */
int toe_helper_tcp_snapshot(struct sock *sk, struct toe_tcp_snapshot *snap)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);
	int err;

	sk_flush_backlog(sk);
	memset(snap, 0, sizeof(*snap));
	err = obstacle(sk);
	if (!err)
		err = snapshot_ip(sk, snap);
	if (err)
		return err;

	snap->snd_una = tp->snd_una;
	snap->snd_nxt = tp->snd_nxt;
	snap->snd_wnd = tp->snd_wnd;
	snap->max_window = tp->max_window;
	snap->snd_wl1 = tp->snd_wl1;
	snap->rcv_nxt = tp->rcv_nxt;
	snap->rcv_wnd = tcp_receive_window(tp);
	snap->fin_received = sk->sk_state == TCP_CLOSE_WAIT;
	snap->unread = tp->rcv_nxt - tp->copied_seq;
	/* The FIN takes a number until it was read, too. */
	if (snap->fin_received && snap->unread)
		snap->unread--;
	snap->timestamps = tp->rx_opt.tstamp_ok;
	snap->ts_offset = tp->tsoffset;
	snap->ts_recent = tp->rx_opt.ts_recent;
	snap->mss = tp->mss_cache;
	snap->rcv_mss = icsk->icsk_ack.rcv_mss;
	snap->cwnd = tcp_snd_cwnd(tp);
	snap->srtt_us = tp->srtt_us >> 3;
	snap->rttvar_us = tp->rttvar_us >> 2;
	snap->mark = READ_ONCE(sk->sk_mark);
	snap->priority = READ_ONCE(sk->sk_priority);
	snap->hash = sk->sk_txhash;
	snap->sack = tcp_is_sack(tp);
	snap->ecn = tcp_ecn_mode_rfc3168(tp);
	snap->wscale_ok = tp->rx_opt.wscale_ok;
	snap->snd_wscale = tp->rx_opt.snd_wscale;
	snap->rcv_wscale = tp->rx_opt.rcv_wscale;
	snap->quick_acks = icsk->icsk_ack.quick;
	snap->ack_owed = inet_csk_ack_scheduled(sk);
	snap->nodelay = !!(tp->nonagle & TCP_NAGLE_OFF);
	snap->cork = !!(tp->nonagle & TCP_NAGLE_CORK);
	strscpy(snap->congestion, icsk->icsk_ca_ops->name);
	return TOE_TCP_MOVABLE;
}

/*
 * The next segment that was received and not read, after @prev, or the first; its unread payload are @len bytes from
 * @offset. The socket is locked.
 */
struct sk_buff *toe_helper_tcp_received(struct sock *sk, struct sk_buff *prev, u32 *offset, u32 *len)
{
	struct sk_buff *skb = prev ? skb_peek_next(prev, &sk->sk_receive_queue) :
				     skb_peek(&sk->sk_receive_queue);

	for (; skb; skb = skb_peek_next(skb, &sk->sk_receive_queue)) {
		u32 read = tcp_sk(sk)->copied_seq - TCP_SKB_CB(skb)->seq;

		if ((s32)read < 0)
			read = 0;
		if (read >= skb->len)
			continue;
		*offset = read;
		*len = skb->len - read;
		return skb;
	}
	return NULL;
}

/* What the backlog of a socket that was being handed over does with its segments. It may have made one of several. */
static int reinject(struct sock *sk, struct sk_buff *skb)
{
	/* The backlog has verified it. */
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	give_back(sk, skb);
	return 0;
}

/* As tcp_clear_xmit_timers(). */
static void stop_timers(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);

	if (hrtimer_try_to_cancel(&tp->pacing_timer) == 1)
		__sock_put(sk);
	if (hrtimer_try_to_cancel(&tp->compressed_ack_timer) == 1)
		__sock_put(sk);
	/* As inet_csk_clear_xmit_timers() does: the timers' handlers look without the lock. */
	smp_store_release(&icsk->icsk_pending, 0);
	/* The same. */
	smp_store_release(&icsk->icsk_ack.pending, 0);
	sk_stop_timer(sk, &sk->tcp_retransmit_timer);
	sk_stop_timer(sk, &icsk->icsk_delack_timer);
	sk_stop_timer(sk, &icsk->icsk_keepalive_timer);
}

/* Forgets what was received out of order: the peer keeps what isn't acknowledged (RFC 2018, section 8). */
static void forget_out_of_order(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct rb_node *node;

	while ((node = rb_first(&tp->out_of_order_queue))) {
		rb_erase(node, &tp->out_of_order_queue);
		kfree_skb(rb_to_skb(node));
	}
	tp->rx_opt.num_sacks = 0;
	tp->rx_opt.dsack = 0;
}

/*
 * The socket is locked since its snapshot, and another data-path serves the connection by now. What has arrived
 * in between is given back to the stack, for that data-path, when the lock is released.
 */
void toe_helper_tcp_freeze(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	/* Where give_back() finds the device. */
	dst_release(unrcu_pointer(xchg(&sk->sk_rx_dst, NULL)));
	WRITE_ONCE(sk->sk_rx_dst_ifindex, dst_dev(__sk_dst_get(sk))->ifindex);
	refcount_inc(&deaf->refcnt);
	atomic_add(bpf_prog_size(deaf->prog->len), &sk->sk_omem_alloc);
	rcu_assign_pointer(sk->sk_filter, deaf);
	WRITE_ONCE(icsk->icsk_af_ops, mute_ops(icsk->icsk_af_ops));
	__skb_queue_purge(&sk->sk_receive_queue);
	WRITE_ONCE(tcp_sk(sk)->copied_seq, tcp_sk(sk)->rcv_nxt);
	forget_out_of_order(sk);
	/* Else an option would start the timer again. */
	sock_reset_flag(sk, SOCK_KEEPOPEN);
	sk->sk_backlog_rcv = reinject;
	tcp_sk(sk)->repair = 1;
	stop_timers(sk);
}

/* Tells a frozen socket how far the connection is, for the ICMP errors that it checks. */
void toe_helper_tcp_sync(struct sock *sk, u32 snd_una, u32 snd_nxt, u32 rcv_nxt)
{
	struct tcp_sock *tp = tcp_sk(sk);

	WRITE_ONCE(tp->snd_una, snd_una);
	WRITE_ONCE(tp->snd_nxt, snd_nxt);
	WRITE_ONCE(tp->write_seq, snd_nxt);
	WRITE_ONCE(tp->rcv_nxt, rcv_nxt);
	WRITE_ONCE(tp->copied_seq, rcv_nxt);
}

/* The error that an ICMP message hinted at, positive. */
int toe_helper_tcp_soft_error(struct sock *sk)
{
	return READ_ONCE(sk->sk_err_soft);
}

/* A frozen socket's own callbacks back, while it is locked. */
void toe_tcp_restore_callbacks(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	int i;

	for (i = 0; i < ARRAY_SIZE(families); i++)
		if (icsk->icsk_af_ops == &families[i].mute)
			WRITE_ONCE(icsk->icsk_af_ops, families[i].original);
	sk->sk_backlog_rcv = sk->sk_prot->backlog_rcv;
}

/* Takes the filter off a frozen socket, which is locked, though the program may have forbidden that for its own. */
void toe_tcp_hear_again(struct sock *sk)
{
	bool locked = sock_flag(sk, SOCK_FILTER_LOCKED);

	if (rcu_access_pointer(sk->sk_filter) != deaf)
		return;
	sock_reset_flag(sk, SOCK_FILTER_LOCKED);
	sk_detach_filter(sk);
	sock_valbool_flag(sk, SOCK_FILTER_LOCKED, locked);
}

/* What the kernel counts as established becomes something else, without being counted as reset. */
void toe_tcp_leave_established(struct sock *sk, int state)
{
	TCP_DEC_STATS(sock_net(sk), TCP_MIB_CURRESTAB);
	/* Pairs with inet_sk_state_load(). */
	smp_store_release(&sk->sk_state, state);
}

/* Ends a frozen socket's connection without a word; the socket remains. */
static void disconnect(struct sock *sk)
{
	if (sk->sk_state != TCP_CLOSE) {
		toe_tcp_leave_established(sk, TCP_LAST_ACK);
		sk->sk_prot->disconnect(sk, 0);
	}
	toe_tcp_restore_callbacks(sk);
	tcp_sk(sk)->repair = 0;
}

void toe_helper_tcp_disconnect(struct sock *sk)
{
	lock_sock(sk);
	if (tcp_sk(sk)->repair)
		disconnect(sk);
	release_sock(sk);
}

/* What tcp_time_wait() left of a connection, with a reference, if it still is there. */
static struct sock *lookup(const struct net *net, struct sock *sk, u16 local_port)
{
	const struct inet_sock *inet = inet_sk(sk);

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr))
		return __inet6_lookup_established(net, &sk->sk_v6_daddr, inet->inet_dport,
						  &sk->sk_v6_rcv_saddr, local_port,
						  sk->sk_bound_dev_if, 0);
#endif
	return __inet_lookup_established(net, inet->inet_daddr, inet->inet_dport,
					 inet->inet_rcv_saddr, local_port, sk->sk_bound_dev_if, 0);
}

/*
 * Releases a frozen socket such that the kernel's own TCP sees its connection through the rest: FIN_WAIT_2 without an
 * owner, for @seconds, or TIME_WAIT.
 *
 * tcp_time_wait() is not exported, but tcp_close() calls it for a socket in FIN_WAIT_2, which the fields of
 * such a socket make it. Once the peer's FIN was received, FIN_WAIT_2 is behind it.
 */
void toe_helper_tcp_release_time_wait(struct socket *sock, u32 snd_nxt, u32 rcv_nxt, u32 ts_recent,
				      bool fin_received, int seconds)
{
	struct sock *sk = sock->sk, *tw;
	struct tcp_sock *tp = tcp_sk(sk);
	u16 local_port = ntohs(inet_sk(sk)->inet_sport);

	lock_sock(sk);
	if (!tp->repair || sk->sk_state == TCP_CLOSE) {
		release_sock(sk);
		toe_helper_tcp_release(sock);
		return;
	}
	toe_helper_tcp_sync(sk, snd_nxt, snd_nxt, rcv_nxt);
	tp->rcv_wup = rcv_nxt;
	tp->rx_opt.ts_recent = ts_recent;
	tp->rx_opt.ts_recent_stamp = ktime_get_seconds();
	WRITE_ONCE(tp->linger2, min(seconds * HZ, TCP_TIMEWAIT_LEN));
	sock_reset_flag(sk, SOCK_LINGER);
	toe_tcp_leave_established(sk, TCP_FIN_WAIT2);
	toe_tcp_restore_callbacks(sk);
	tp->repair = 0;
	release_sock(sk);

	/* Holds the network namespace, too. */
	sock_hold(sk);
	sock_release(sock);
	if (fin_received) {
		tw = lookup(sock_net(sk), sk, local_port);
		if (tw && tw->sk_state == TCP_TIME_WAIT) {
			WRITE_ONCE(inet_twsk(tw)->tw_substate, TCP_TIME_WAIT);
			inet_twsk_put(inet_twsk(tw));
		} else if (tw) {
			sock_gen_put(tw);
		}
	}
	sock_put(sk);
}

/* sock_release() for a socket that may be frozen: then silently. */
void toe_helper_tcp_release(struct socket *sock)
{
	if (tcp_sk(sock->sk)->repair)
		toe_helper_tcp_disconnect(sock->sk);
	sock_release(sock);
}
