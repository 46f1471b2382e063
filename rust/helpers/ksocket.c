// SPDX-License-Identifier: GPL-2.0
#include <linux/net.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "helpers.h"

/*
 * Has a new kernel socket hold its network namespace, as a program's would: only then does TCP go on retransmitting
 * after it was closed.
 */
void toe_helper_sk_hold_net(struct sock *sk)
{
	sk_net_refcnt_upgrade(sk);
}

void toe_helper_sk_callbacks(struct sock *sk, struct toe_sk_callbacks *callbacks)
{
	callbacks->data_ready = sk->sk_data_ready;
	callbacks->write_space = sk->sk_write_space;
	callbacks->state_change = sk->sk_state_change;
	callbacks->error_report = sk->sk_error_report;
}

/* Sets the callbacks together with the object they are for; accepted children inherit only the former. */
void toe_helper_sk_set_callbacks(struct sock *sk, const struct toe_sk_callbacks *callbacks,
				 void *user_data)
{
	write_lock_bh(&sk->sk_callback_lock);
	if (user_data)
		__rcu_assign_sk_user_data_with_flags(sk, user_data, SK_USER_DATA_NOCOPY);
	else
		rcu_assign_sk_user_data(sk, NULL);
	sk->sk_data_ready = callbacks->data_ready;
	sk->sk_write_space = callbacks->write_space;
	sk->sk_state_change = callbacks->state_change;
	sk->sk_error_report = callbacks->error_report;
	write_unlock_bh(&sk->sk_callback_lock);
}

/* Returns the object that the callbacks are for, which stays so until toe_helper_sk_callback_exit(). */
void *toe_helper_sk_callback_enter(struct sock *sk)
{
	read_lock_bh(&sk->sk_callback_lock);
	return __locked_read_sk_user_data_with_flags(sk, SK_USER_DATA_NOCOPY);
}

void toe_helper_sk_callback_exit(struct sock *sk)
{
	read_unlock_bh(&sk->sk_callback_lock);
}

void toe_helper_sk_callback_write_lock(struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
}

void toe_helper_sk_callback_write_unlock(struct sock *sk)
{
	write_unlock_bh(&sk->sk_callback_lock);
}

int toe_helper_ops_getsockopt(struct socket *sock, int level, int name, char __user *val,
			      int __user *len)
{
	return do_sock_getsockopt(sock, false, level, name, USER_SOCKPTR(val), USER_SOCKPTR(len));
}

void toe_helper_tcp_liveness(struct sock *sk, struct toe_tcp_liveness *liveness)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	liveness->keepalive_idle_us = jiffies_to_usecs(1) * (u64)keepalive_time_when(tp);
	liveness->keepalive_interval_us = jiffies_to_usecs(1) * (u64)keepalive_intvl_when(tp);
	liveness->keepalive_probes = keepalive_probes(tp);
	liveness->user_timeout_ms = READ_ONCE(inet_csk(sk)->icsk_user_timeout);
}

bool toe_helper_sk_keepalive(struct sock *sk)
{
	return sock_flag(sk, SOCK_KEEPOPEN);
}
