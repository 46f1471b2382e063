// SPDX-License-Identifier: GPL-2.0
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include "helpers.h"

void toe_helper_set_ingress_hook(struct nf_hook_ops *ops, struct net_device *dev, nf_hookfn *hook,
				 void *priv, int priority)
{
	*ops = (struct nf_hook_ops) {
		.hook = hook,
		.dev = dev,
		.priv = priv,
		.pf = NFPROTO_NETDEV,
		.hooknum = NF_NETDEV_INGRESS,
		.priority = priority,
	};
}

int toe_helper_register_ingress_hook(const struct nf_hook_ops *ops)
{
	return nf_register_net_hook(dev_net(ops->dev), ops);
}

void toe_helper_unregister_ingress_hook(const struct nf_hook_ops *ops)
{
	nf_unregister_net_hook(dev_net(ops->dev), ops);
}
