// SPDX-License-Identifier: GPL-2.0
#include <net/genetlink.h>
#include <net/sock.h>
#include "genetlink.h"

void toe_helper_genl_family_in_netns(struct genl_family *family)
{
	family->netnsok = true;
	family->parallel_ops = true;
}

struct net *toe_helper_genl_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

/* An skb for an answer of any size that a single message may have. */
struct sk_buff *toe_helper_genlmsg_new(void)
{
	return genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
}

void *toe_helper_genlmsg_iput(struct sk_buff *skb, const struct genl_info *info)
{
	return genlmsg_iput(skb, info);
}

void toe_helper_genlmsg_end(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
}

void toe_helper_genlmsg_cancel(struct sk_buff *skb, void *header)
{
	genlmsg_cancel(skb, header);
}

int toe_helper_genlmsg_reply(struct sk_buff *skb, struct genl_info *info)
{
	return genlmsg_reply(skb, info);
}

struct net *toe_helper_dump_net(const struct netlink_callback *cb)
{
	return sock_net(cb->skb->sk);
}

void *toe_helper_dump_iput(struct sk_buff *skb, struct netlink_callback *cb)
{
	return __genlmsg_iput(skb, genl_info_dump(cb), NLM_F_MULTI);
}

/* Where a dump keeps how far it came; zero at first. */
u64 *toe_helper_dump_position(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(u64) > sizeof(cb->ctx));
	return (u64 *)cb->args;
}

/* The owner of @sk, as the one who sent @request calls him. */
u32 toe_helper_netlink_uid(struct sk_buff *request, struct sock *sk)
{
	return from_kuid_munged(sk_user_ns(NETLINK_CB(request).sk), sk_uid(sk));
}

struct nlattr *toe_helper_nla_nest_start(struct sk_buff *skb, int attrtype)
{
	return nla_nest_start(skb, attrtype);
}

void toe_helper_nla_nest_end(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_end(skb, start);
}

void toe_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_cancel(skb, start);
}

void toe_helper_nlmsg_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}
