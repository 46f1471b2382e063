// SPDX-License-Identifier: GPL-2.0
/*
 * Has the kernel's TCP go on with a connection that another data-path had: the reverse of the freeze in tcp_repair.c.
 *
 * The socket's words are set as TCP_REPAIR and the options that go with it would, all under one hold of the lock. The
 * bytes that were not read, and those that were not acknowledged, are queued by sendmsg() in repair mode, which sends
 * nothing: bytes of the latter kind are regarded as sent, and lost. For the peer may have received any of them, and
 * TCP ignores an acknowledgment of what it believes never to have sent.
 */
#include <linux/delay.h>
#include <net/tcp.h>
#include "device.h"
#include "tcp_repair.h"

/* How often to try to queue bytes for which there is no memory, and how long to wait in between. */
#define ATTEMPTS 100
#define PAUSE_MS 10

static u32 length(const struct toe_bytes *bytes)
{
	return bytes->len[0] + bytes->len[1];
}

/* As tcp_clear_retrans(), and what else is about segments that were once in flight. */
static void forget_flight(struct tcp_sock *tp)
{
	tp->retrans_out = 0;
	tp->lost_out = 0;
	tp->sacked_out = 0;
	tp->undo_marker = 0;
	tp->undo_retrans = -1;
	tp->retrans_stamp = 0;
	tp->rto_stamp = 0;
	tp->total_rto = 0;
	tp->tlp_high_seq = 0;
	tp->dup_ack_counter = 0;
	tp->compressed_ack = 0;
	tp->max_packets_out = 0;
	tp->is_cwnd_limited = 0;
	tp->app_limited = 0;
	tp->frto = 0;
	tp->rack.mstamp = 0;
	tp->rack.advanced = 0;
	tp->rack.reo_wnd_steps = 1;
	tp->rack.last_delivered = 0;
}

/* The algorithm begins anew: what it remembers is in sequence numbers long gone. */
static void restart_congestion_control(struct sock *sk, const struct toe_tcp_resumption *from)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);

	icsk->icsk_ca_state = TCP_CA_Open;
	tcp_snd_cwnd_set(tp, clamp(from->cwnd, 2, tp->snd_cwnd_clamp));
	tp->snd_cwnd_cnt = 0;
	tp->snd_cwnd_stamp = tcp_jiffies32;
	WRITE_ONCE(tp->snd_ssthresh, from->ssthresh ?: TCP_INFINITE_SSTHRESH);
	tp->prior_ssthresh = 0;
	if (!icsk->icsk_ca_initialized)
		return;
	if (icsk->icsk_ca_ops->release)
		icsk->icsk_ca_ops->release(sk);
	memset(icsk->icsk_ca_priv, 0, sizeof(icsk->icsk_ca_priv));
	if (icsk->icsk_ca_ops->init)
		icsk->icsk_ca_ops->init(sk);
}

static void restore_timing(struct sock *sk, const struct toe_tcp_resumption *from)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);

	tp->srtt_us = from->srtt_us << 3;
	tp->mdev_us = from->rttvar_us << 2;
	tp->mdev_max_us = max(tp->mdev_us, tcp_rto_min_us(sk));
	tp->rttvar_us = tp->mdev_max_us;
	tp->rtt_seq = from->snd_una;
	icsk->icsk_rto = from->srtt_us ? __tcp_set_rto(tp) : TCP_TIMEOUT_INIT;
	tcp_bound_rto(sk);
	icsk->icsk_backoff = 0;
	icsk->icsk_retransmits = 0;
	WRITE_ONCE(icsk->icsk_probes_out, 0);
	icsk->icsk_probes_tstamp = 0;
	tp->rx_opt.ts_recent = from->ts_recent;
	tp->rx_opt.ts_recent_stamp = ktime_get_seconds();
	tp->rcv_tstamp = tcp_jiffies32;
	tp->lsndtime = tcp_jiffies32;
	icsk->icsk_ack.lrcvtime = tcp_jiffies32;
}

/* Everything as it was before the bytes that are to be queued. */
static void restore_sequence(struct sock *sk, const struct toe_tcp_resumption *from)
{
	u32 rcv_nxt = from->rcv_nxt - from->fin_received - length(&from->unread);
	struct tcp_sock *tp = tcp_sk(sk);

	toe_helper_tcp_sync(sk, from->snd_una, from->snd_una, rcv_nxt);
	tp->snd_up = from->snd_una;
	tp->snd_sml = from->snd_una;
	tp->pushed_seq = from->snd_una;
	tp->high_seq = from->snd_una;
	tp->cwnd_usage_seq = from->snd_una;
	tp->rack.end_seq = from->snd_una;
	tp->snd_wnd = from->snd_wnd;
	tp->max_window = max(from->max_window, from->snd_wnd);
	tcp_init_wl(tp, from->snd_wl1);
	tp->rcv_rtt_est.seq = rcv_nxt;
	tp->rcvq_space.seq = rcv_nxt;
	tp->rcv_rtt_last_tsecr = 0;
	tp->urg_data = 0;
	tp->pred_flags = 0;
	WRITE_ONCE(sk->sk_err_soft, 0);
}

/* Once the bytes not read are queued: the peer's FIN, or what it may send. It has been told, so there must be room for it. */
static void restore_window(struct sock *sk, const struct toe_tcp_resumption *from)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (from->fin_received) {
		sk->sk_shutdown |= RCV_SHUTDOWN;
		sock_set_flag(sk, SOCK_DONE);
		WRITE_ONCE(tp->rcv_nxt, tp->rcv_nxt + 1);
	}
	tp->rcv_wup = tp->rcv_nxt;
	tp->rcv_wnd = from->rcv_wnd;
	tp->rcv_mwnd_seq = tp->rcv_wup + tp->rcv_wnd;
	tp->rcv_ssthresh = max(tp->rcv_ssthresh, from->rcv_wnd);
	WRITE_ONCE(tp->window_clamp, max(tp->window_clamp, from->rcv_wnd));
}

/* Queues @bytes as the repair mode in effect has it. */
static int queue(struct sock *sk, const struct toe_bytes *bytes)
{
	struct kvec parts[] = {
		{ .iov_base = (void *)bytes->part[0], .iov_len = bytes->len[0] },
		{ .iov_base = (void *)bytes->part[1], .iov_len = bytes->len[1] },
	};
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	int attempts = 0, err;

	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, parts, ARRAY_SIZE(parts), length(bytes));
	while (msg_data_left(&msg)) {
		err = tcp_sendmsg_locked(sk, &msg, msg_data_left(&msg));
		if (err > 0)
			continue;
		if (++attempts > ATTEMPTS)
			return err ?: -ENOMEM;
		msleep(PAUSE_MS);
	}
	return 0;
}

static int queue_all(struct sock *sk, const struct toe_tcp_resumption *from)
{
	int sndbuf = sk->sk_sndbuf, err;
	struct tcp_sock *tp = tcp_sk(sk);
	u64 room = 2 * ((u64)length(&from->unread) + from->rcv_wnd);

	/* Twice the bytes, for what the kernel counts besides; and for good, as more may still come in. */
	WRITE_ONCE(sk->sk_rcvbuf, max_t(int, sk->sk_rcvbuf, min_t(u64, room, INT_MAX)));
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX / 2);
	tp->repair_queue = TCP_RECV_QUEUE;
	err = queue(sk, &from->unread);
	tp->repair_queue = TCP_SEND_QUEUE;
	err = err ?: queue(sk, &from->unacked);
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	if (!err && from->fin_unacked) {
		u32 end = tp->write_seq;

		sk->sk_shutdown |= SEND_SHUTDOWN;
		sk->sk_prot->shutdown(sk, SEND_SHUTDOWN);
		if (tp->write_seq == end)
			err = -ENOMEM;
	}
	tp->repair_queue = TCP_NO_QUEUE;
	return err;
}

/* The state in which the segments that may come from now on are to be processed. */
static void restore_state(struct sock *sk, const struct toe_tcp_resumption *from)
{
	switch (from->state) {
	case TCP_FIN_WAIT2:
		sk->sk_shutdown |= SEND_SHUTDOWN;
		toe_tcp_leave_established(sk, TCP_FIN_WAIT2);
		break;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		/* From FIN_WAIT1 or LAST_ACK, which queue_all() left it in. Pairs with inet_sk_state_load(). */
		smp_store_release(&sk->sk_state, from->state);
		break;
	}
}

/*
 * Sleeps. A probe makes the peer say at once what it has and what it may be sent; segments that it sent meanwhile and
 * that nobody got it sends again. TCP_REPAIR has no other way to send one than to be switched off by the option, which
 * wants CAP_NET_ADMIN: that is for kernel threads to call. It wants the state to be ESTABLISHED, too; a
 * connection that we closed has our FIN to be answered.
 */
static void probe(struct socket *sock, int state)
{
	int off = TCP_REPAIR_OFF;
	struct sock *sk = sock->sk;
	u8 reuse = sk->sk_reuse;

	sock->ops->setsockopt(sock, SOL_TCP, TCP_REPAIR, KERNEL_SOCKPTR(&off), sizeof(off));
	lock_sock(sk);
	sk->sk_reuse = reuse;
	if (state == TCP_CLOSE_WAIT && sk->sk_state == TCP_ESTABLISHED)
		/* Pairs with inet_sk_state_load(). */
		smp_store_release(&sk->sk_state, TCP_CLOSE_WAIT);
	release_sock(sk);
}

/*
 * Thaws a frozen socket, such that the kernel's TCP goes on from @from. -ENOTCONN if its connection has been ended; if
 * there is no memory, it is reset.
 */
int toe_helper_tcp_thaw(struct socket *sock, const struct toe_tcp_resumption *from)
{
	struct sock *sk = sock->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	int err;

	lock_sock(sk);
	if (!tp->repair || sk->sk_state == TCP_CLOSE) {
		release_sock(sk);
		return -ENOTCONN;
	}
	/* It may have been frozen in CLOSE_WAIT. Pairs with inet_sk_state_load(). */
	smp_store_release(&sk->sk_state, TCP_ESTABLISHED);
	forget_flight(tp);
	restore_sequence(sk, from);
	restore_timing(sk, from);
	restart_congestion_control(sk, from);
	err = queue_all(sk, from);
	restore_window(sk, from);
	toe_tcp_restore_callbacks(sk);
	toe_tcp_hear_again(sk);
	tp->repair = 0;
	if (err)
		sk->sk_prot->disconnect(sk, 0);
	else
		restore_state(sk, from);
	release_sock(sk);
	if (!err)
		probe(sock, from->state);
	return err;
}
