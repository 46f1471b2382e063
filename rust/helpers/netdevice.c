// SPDX-License-Identifier: GPL-2.0
#include <linux/netdevice.h>
#include <net/net_namespace.h>
#include "helpers.h"

struct net *toe_helper_get_net(struct net *net)
{
	return get_net(net);
}

void toe_helper_put_net(struct net *net)
{
	put_net(net);
}

u64 toe_helper_net_cookie(const struct net *net)
{
	return net->net_cookie;
}

void toe_helper_dev_hold(struct net_device *dev)
{
	dev_hold(dev);
}

void toe_helper_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

/* Read during a rename, it may be a mixture of both names; it is never unterminated. */
void toe_helper_dev_name(const struct net_device *dev, char *name)
{
	strscpy(name, dev->name, IFNAMSIZ);
}

u64 toe_helper_dev_net_cookie(const struct net_device *dev)
{
	u64 cookie;

	rcu_read_lock();
	cookie = dev_net_rcu(dev)->net_cookie;
	rcu_read_unlock();
	return cookie;
}

/* 0 unless the device segments, or the stack does it for the device. */
u32 toe_helper_dev_gso_limit(const struct net_device *dev, bool ipv6)
{
	if (!(dev->features & (NETIF_F_GSO | (ipv6 ? NETIF_F_TSO6 : NETIF_F_TSO))))
		return 0;
	return ipv6 ? READ_ONCE(dev->gso_max_size) : READ_ONCE(dev->gso_ipv4_max_size);
}

u32 toe_helper_dev_headroom(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
}

/* dev_queue_xmit() on a device given; a negative errno when the packet was dropped. */
int toe_helper_dev_xmit(struct net_device *dev, struct sk_buff *skb)
{
	int err;

	skb->dev = dev;
	err = dev_queue_xmit(skb);
	if (likely(!err))
		return 0;
	return err < 0 ? err : net_xmit_errno(err);
}
