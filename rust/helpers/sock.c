// SPDX-License-Identifier: GPL-2.0
#include <linux/ipv6.h>
#include <linux/sched/signal.h>
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "helpers.h"

static struct toe_sk_head *toe_sk_head(struct sock *sk)
{
	return container_of(sk, struct toe_sk_head, inet.sk);
}

/* What inet_create() and inet6_create() would do for a socket that accept() makes. */
void toe_helper_sk_init_inet(struct sock *sk)
{
	sk->sk_destruct = inet_sock_destruct;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		inet_sk(sk)->pinet6 = &toe_sk_head(sk)->pinfo;
#endif
}

/* The options that a socket made by accept() has from the listener, as sk_clone() leaves them. */
void toe_helper_sk_inherit(struct sock *sk, const struct sock *listener)
{
	static const enum sock_flags inherited[] = {
		SOCK_LINGER, SOCK_KEEPOPEN, SOCK_DBG, SOCK_LOCALROUTE, SOCK_URGINLINE,
	};
	unsigned int i;

	sk->sk_reuse = listener->sk_reuse;
	sk->sk_reuseport = listener->sk_reuseport;
	sk->sk_bound_dev_if = READ_ONCE(listener->sk_bound_dev_if);
	sk->sk_userlocks = listener->sk_userlocks & (SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK);
	sk->sk_sndbuf = READ_ONCE(listener->sk_sndbuf);
	sk->sk_rcvbuf = READ_ONCE(listener->sk_rcvbuf);
	sk->sk_rcvlowat = READ_ONCE(listener->sk_rcvlowat);
	sk->sk_rcvtimeo = READ_ONCE(listener->sk_rcvtimeo);
	sk->sk_sndtimeo = READ_ONCE(listener->sk_sndtimeo);
	sk->sk_lingertime = listener->sk_lingertime;
	sk->sk_priority = READ_ONCE(listener->sk_priority);
	sk->sk_mark = READ_ONCE(listener->sk_mark);
	for (i = 0; i < ARRAY_SIZE(inherited); i++)
		sock_valbool_flag(sk, inherited[i], sock_flag(listener, inherited[i]));
}

/*
 * The lock of a socket that owns another of the same address family, and is
 * taken before that one's.
 */
void toe_helper_sk_init_lock(struct sock *sk)
{
	static struct lock_class_key slock_key, key;

	sock_lock_init_class_and_name(sk, "slock-TOE", &slock_key, "sk_lock-TOE", &key);
}

/*
 * SOL_SOCKET options as the socket layer sets them; @sk has a file. It knows
 * SO_REUSEPORT for Internet sockets only, so that one is kept here.
 */
int toe_helper_sk_setsockopt(struct sock *sk, int optname, sockptr_t optval, unsigned int optlen)
{
	int val;

	if (optname != SO_REUSEPORT)
		return sock_setsockopt(sk->sk_socket, SOL_SOCKET, optname, optval, optlen);
	if (optlen < sizeof(val))
		return -EINVAL;
	if (copy_from_sockptr(&val, optval, sizeof(val)))
		return -EFAULT;
	lock_sock(sk);
	sk->sk_reuseport = !!val;
	release_sock(sk);
	return 0;
}

/* Has @destruct called when the last reference to @sk goes. */
void toe_helper_sk_chain_destruct(struct sock *sk, void (*destruct)(struct sock *sk))
{
	toe_sk_head(sk)->next_destruct = sk->sk_destruct;
	sk->sk_destruct = destruct;
}

/* Calls what sk_destruct was before toe_helper_sk_chain_destruct(). */
void toe_helper_sk_next_destruct(struct sock *sk)
{
	toe_sk_head(sk)->next_destruct(sk);
}

void toe_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void toe_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

void toe_helper_sock_orphan(struct sock *sk)
{
	sock_orphan(sk);
}

void toe_helper_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

struct net *toe_helper_sock_net(struct sock *sk)
{
	return sock_net(sk);
}

int toe_helper_sk_family(struct sock *sk)
{
	return sk->sk_family;
}

int toe_helper_sk_state(struct sock *sk)
{
	return inet_sk_state_load(sk);
}

void toe_helper_sk_set_state(struct sock *sk, int state)
{
	/* Pairs with inet_sk_state_load(). */
	smp_store_release(&sk->sk_state, state);
}

int toe_helper_sk_shutdown(struct sock *sk)
{
	return READ_ONCE(sk->sk_shutdown);
}

void toe_helper_sk_set_shutdown(struct sock *sk, int mask)
{
	WRITE_ONCE(sk->sk_shutdown, mask);
}

int toe_helper_sk_err(struct sock *sk)
{
	return READ_ONCE(sk->sk_err);
}

/* sock_error(): zero or a negative errno, which is then forgotten. */
int toe_helper_sk_take_err(struct sock *sk)
{
	return sock_error(sk);
}

void toe_helper_sk_set_err(struct sock *sk, int err)
{
	WRITE_ONCE(sk->sk_err, err);
}

int toe_helper_sk_sndbuf(struct sock *sk)
{
	return READ_ONCE(sk->sk_sndbuf);
}

int toe_helper_sk_rcvbuf(struct sock *sk)
{
	return READ_ONCE(sk->sk_rcvbuf);
}

/* Which buffers' sizes the program has set: SOCK_RCVBUF_LOCK, SOCK_SNDBUF_LOCK. */
int toe_helper_sk_bufs_locked(struct sock *sk)
{
	return READ_ONCE(sk->sk_userlocks) & (SOCK_RCVBUF_LOCK | SOCK_SNDBUF_LOCK);
}

long toe_helper_sk_rcvtimeo(struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

long toe_helper_sk_sndtimeo(struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

int toe_helper_sk_rcvlowat(struct sock *sk, int waitall, int len)
{
	return sock_rcvlowat(sk, waitall, len);
}

/* SO_LINGER's time in jiffies, or -1 where lingering is off. */
long toe_helper_sk_linger(struct sock *sk)
{
	return sock_flag(sk, SOCK_LINGER) ? (long)sk->sk_lingertime : -1;
}

u32 toe_helper_sk_priority(struct sock *sk)
{
	return READ_ONCE(sk->sk_priority);
}

u32 toe_helper_sk_mark(struct sock *sk)
{
	return READ_ONCE(sk->sk_mark);
}

unsigned long toe_helper_sk_inode(struct sock *sk)
{
	return sock_i_ino(sk);
}

int toe_helper_sock_intr_errno(long timeo)
{
	return sock_intr_errno(timeo);
}

void toe_helper_sk_add_waiter(struct sock *sk, struct wait_queue_entry *wait)
{
	init_wait(wait);
	wait->func = woken_wake_function;
	add_wait_queue(sk_sleep(sk), wait);
}

void toe_helper_sk_remove_waiter(struct sock *sk, struct wait_queue_entry *wait)
{
	remove_wait_queue(sk_sleep(sk), wait);
}

/* sock_def_readable() and sk_stream_write_space() in one, for the events given. */
void toe_helper_sk_wake(struct sock *sk, __poll_t events)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_sync_poll(&wq->wait, events);
	if (events & EPOLLIN)
		sk_wake_async_rcu(sk, SOCK_WAKE_WAITD, POLL_IN);
	if ((events & EPOLLOUT) && wq && wq->fasync_list)
		sock_wake_async(wq, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

/* sock_def_wakeup(). */
void toe_helper_sk_wake_all(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_all(&wq->wait);
	rcu_read_unlock();
}

void toe_helper_sock_poll_wait(struct file *file, struct socket *sock,
			       struct poll_table_struct *table)
{
	sock_poll_wait(file, sock, table);
}

/* Has SOL_SOCKET options brought to the family's setsockopt(). */
void toe_helper_sock_custom_sockopt(struct sock *sk)
{
	if (sk->sk_socket)
		set_bit(SOCK_CUSTOM_SOCKOPT, &sk->sk_socket->flags);
}

bool toe_helper_signal_pending(void)
{
	return signal_pending(current);
}

/* Whether @sk is a TCP socket, and then tcp_get_info(). */
bool toe_helper_tcp_get_info(struct sock *sk, struct tcp_info *info)
{
	if (!sk_is_tcp(sk))
		return false;
	tcp_get_info(sk, info);
	return true;
}

u64 toe_helper_sock_net_cookie(struct sock *sk)
{
	return sock_net(sk)->net_cookie;
}
