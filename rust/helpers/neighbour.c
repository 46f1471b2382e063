// SPDX-License-Identifier: GPL-2.0
#include <linux/ipv6.h>
#include <net/dst.h>
#include <net/inet_connection_sock.h>
#include <net/neighbour.h>
#include <net/sock.h>
#include "helpers.h"

/* The route a socket uses, if it is still right; with a reference. */
struct dst_entry *toe_helper_sk_route(struct sock *sk)
{
	struct dst_entry *dst = sk_dst_get(sk);
	u32 cookie = 0;

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		cookie = inet6_sk(sk)->dst_cookie;
#endif
	if (dst && dst->obsolete && !dst->ops->check(dst, cookie)) {
		dst_release(dst);
		return NULL;
	}
	return dst;
}

/* Has the socket look for a route anew if it has none that is right. */
int toe_helper_sk_reroute(struct sock *sk)
{
	int err;

	lock_sock(sk);
	err = inet_csk(sk)->icsk_af_ops->rebuild_header(sk);
	release_sock(sk);
	return err;
}

struct net_device *toe_helper_dst_dev(const struct dst_entry *dst)
{
	return dst_dev(dst);
}

u32 toe_helper_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

struct neighbour *toe_helper_dst_neighbour(const struct dst_entry *dst, const void *daddr)
{
	struct neighbour *neigh = dst_neigh_lookup(dst, daddr);

	return IS_ERR(neigh) ? NULL : neigh;
}

void toe_helper_neigh_release(struct neighbour *neigh)
{
	neigh_release(neigh);
}

/* Both link-layer addresses of an Ethernet neighbour, if its own is known. */
bool toe_helper_neigh_link(struct neighbour *neigh, u8 *remote, u8 *local)
{
	bool valid = READ_ONCE(neigh->nud_state) & NUD_VALID;

	if (!valid || neigh->dev->addr_len != ETH_ALEN)
		return false;
	neigh_ha_snapshot(remote, neigh, neigh->dev);
	memcpy(local, neigh->dev->dev_addr, ETH_ALEN);
	return true;
}

void toe_helper_neigh_use(struct neighbour *neigh)
{
	neigh_event_send(neigh, NULL);
}

void toe_helper_neigh_confirm(struct neighbour *neigh)
{
	neigh_confirm(neigh);
}
