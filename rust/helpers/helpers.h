/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C wrappers of inline kernel functions and macros, for Rust.
 *
 * A wrapper does what the function it is named after does, unless a comment
 * beside its definition says otherwise.
 */
#ifndef TOE_HELPERS_H
#define TOE_HELPERS_H

#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/sockptr.h>
#include <linux/types.h>

#include "device.h"
#include "netdev.h"
#include <linux/wait.h>
#include <net/inet_sock.h>
#include "tcp_repair.h"

/* ksocket.c */
struct toe_sk_callbacks {
	void (*data_ready)(struct sock *sk);
	void (*write_space)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	void (*error_report)(struct sock *sk);
};

void toe_helper_sk_hold_net(struct sock *sk);
void toe_helper_sk_callbacks(struct sock *sk, struct toe_sk_callbacks *callbacks);
void toe_helper_sk_set_callbacks(struct sock *sk, const struct toe_sk_callbacks *callbacks,
				 void *user_data);
void *toe_helper_sk_callback_enter(struct sock *sk);
void toe_helper_sk_callback_exit(struct sock *sk);
void toe_helper_sk_callback_write_lock(struct sock *sk);
void toe_helper_sk_callback_write_unlock(struct sock *sk);
int toe_helper_ops_getsockopt(struct socket *sock, int level, int name, char __user *val,
			      int __user *len);

/* sock.c */

/*
 * What comes before the Rust part of every socket: enough for inet_create()
 * and inet6_create(), which treat it as their own.
 */
struct toe_sk_head {
	struct inet_sock inet;
	struct ipv6_pinfo pinfo;
	void (*next_destruct)(struct sock *sk);
};

/* Sizes as the C compiler sees them. */
enum {
	TOE_SK_HEAD_SIZE = sizeof(struct toe_sk_head),
	TOE_SK_PINFO_OFFSET = offsetof(struct toe_sk_head, pinfo),
};

void toe_helper_sk_init_inet(struct sock *sk);
void toe_helper_sk_init_lock(struct sock *sk);
void toe_helper_sk_inherit(struct sock *sk, const struct sock *listener);
int toe_helper_sk_setsockopt(struct sock *sk, int optname, sockptr_t optval, unsigned int optlen);
void toe_helper_sk_chain_destruct(struct sock *sk, void (*destruct)(struct sock *sk));
void toe_helper_sk_next_destruct(struct sock *sk);
void toe_helper_sock_hold(struct sock *sk);
void toe_helper_sock_put(struct sock *sk);
void toe_helper_sock_orphan(struct sock *sk);
void toe_helper_lock_sock(struct sock *sk);
struct net *toe_helper_sock_net(struct sock *sk);
int toe_helper_sk_family(struct sock *sk);
int toe_helper_sk_state(struct sock *sk);
void toe_helper_sk_set_state(struct sock *sk, int state);
int toe_helper_sk_shutdown(struct sock *sk);
void toe_helper_sk_set_shutdown(struct sock *sk, int mask);
int toe_helper_sk_err(struct sock *sk);
int toe_helper_sk_take_err(struct sock *sk);
void toe_helper_sk_set_err(struct sock *sk, int err);
int toe_helper_sk_sndbuf(struct sock *sk);
int toe_helper_sk_rcvbuf(struct sock *sk);
int toe_helper_sk_bufs_locked(struct sock *sk);
long toe_helper_sk_rcvtimeo(struct sock *sk, bool noblock);
long toe_helper_sk_sndtimeo(struct sock *sk, bool noblock);
int toe_helper_sk_rcvlowat(struct sock *sk, int waitall, int len);
long toe_helper_sk_linger(struct sock *sk);
u32 toe_helper_sk_priority(struct sock *sk);
u32 toe_helper_sk_mark(struct sock *sk);
unsigned long toe_helper_sk_inode(struct sock *sk);
int toe_helper_sock_intr_errno(long timeo);
void toe_helper_sk_add_waiter(struct sock *sk, struct wait_queue_entry *wait);
void toe_helper_sk_remove_waiter(struct sock *sk, struct wait_queue_entry *wait);
void toe_helper_sk_wake(struct sock *sk, __poll_t events);
void toe_helper_sk_wake_all(struct sock *sk);
void toe_helper_sock_poll_wait(struct file *file, struct socket *sock,
			       struct poll_table_struct *table);
void toe_helper_sock_custom_sockopt(struct sock *sk);
bool toe_helper_signal_pending(void);
bool toe_helper_tcp_get_info(struct sock *sk, struct tcp_info *info);
u64 toe_helper_sock_net_cookie(struct sock *sk);

/* Options of a TCP socket about how long a silent peer is put up with. */
struct toe_tcp_liveness {
	u64 keepalive_idle_us;
	u64 keepalive_interval_us;
	u32 keepalive_probes;
	u32 user_timeout_ms;
};

void toe_helper_tcp_liveness(struct sock *sk, struct toe_tcp_liveness *liveness);
bool toe_helper_sk_keepalive(struct sock *sk);

/* neighbour.c */
struct neighbour;
struct dst_entry *toe_helper_sk_route(struct sock *sk);
int toe_helper_sk_reroute(struct sock *sk);
struct net_device *toe_helper_dst_dev(const struct dst_entry *dst);
u32 toe_helper_dst_mtu(const struct dst_entry *dst);
struct neighbour *toe_helper_dst_neighbour(const struct dst_entry *dst, const void *daddr);
void toe_helper_neigh_release(struct neighbour *neigh);
bool toe_helper_neigh_link(struct neighbour *neigh, u8 *remote, u8 *local);
void toe_helper_neigh_use(struct neighbour *neigh);
void toe_helper_neigh_confirm(struct neighbour *neigh);

/* sockptr.c */
int toe_helper_copy_from_sockptr(void *dst, sockptr_t src, size_t len);
int toe_helper_get_user_int(int *dst, const int __user *src);
int toe_helper_put_user_int(int val, int __user *dst);
unsigned long toe_helper_copy_to_user(void __user *dst, const void *src, unsigned long len);

/* tcp_sysctl.c */
struct toe_tcp_sysctls {
	u32 fin_timeout;	/* seconds */
	u8 retries2;
	u8 orphan_retries;
};

struct toe_tcp_sysctls toe_helper_tcp_sysctls(struct sock *sk);

/* timer.c */
void toe_helper_timer_setup(struct timer_list *timer, void (*expired)(struct timer_list *timer));

#endif
