/* SPDX-License-Identifier: GPL-2.0 */
/* Wrappers of generic netlink's inline functions; see helpers.h. */
#ifndef TOE_HELPERS_GENETLINK_H
#define TOE_HELPERS_GENETLINK_H

#include <linux/types.h>

struct genl_family;
struct genl_info;
struct net;
struct netlink_callback;
struct nlattr;
struct sk_buff;
struct sock;

void toe_helper_genl_family_in_netns(struct genl_family *family);
struct net *toe_helper_genl_info_net(const struct genl_info *info);
struct sk_buff *toe_helper_genlmsg_new(void);
void *toe_helper_genlmsg_iput(struct sk_buff *skb, const struct genl_info *info);
void toe_helper_genlmsg_end(struct sk_buff *skb, void *header);
void toe_helper_genlmsg_cancel(struct sk_buff *skb, void *header);
int toe_helper_genlmsg_reply(struct sk_buff *skb, struct genl_info *info);
struct net *toe_helper_dump_net(const struct netlink_callback *cb);
void *toe_helper_dump_iput(struct sk_buff *skb, struct netlink_callback *cb);
u64 *toe_helper_dump_position(struct netlink_callback *cb);
u32 toe_helper_netlink_uid(struct sk_buff *request, struct sock *sk);
struct nlattr *toe_helper_nla_nest_start(struct sk_buff *skb, int attrtype);
void toe_helper_nla_nest_end(struct sk_buff *skb, struct nlattr *start);
void toe_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start);
void toe_helper_nlmsg_free(struct sk_buff *skb);

#endif
