/* SPDX-License-Identifier: GPL-2.0 */
/* What offload devices need: execution context, packets, routes, netdevs, the flow table. */
#ifndef TOE_HELPERS_DEVICE_H
#define TOE_HELPERS_DEVICE_H

#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/rhashtable-types.h>
#include <linux/types.h>

struct dst_entry;
struct net;
struct net_device;
struct sk_buff;

void toe_helper_local_bh_disable(void);
void toe_helper_local_bh_enable(void);
void toe_helper_memcpy(void *to, const void *from, size_t len);

/* A TCP frame to be built: what it is made of, and what the stack and the NIC are to do with it. */
struct toe_tcp_frame {
	const void *headers;
	const void *payload[2];
	u32 payload_len[2];
	u16 headers_len;
	u16 headroom;
	u16 link_len;
	u16 network_len;
	u16 ethertype;
	u16 gso_size;
	bool cwr;
	u32 hash;
	u32 priority;
	u32 mark;
};

/* Packet type of what a frozen socket gives to its device: nobody but that takes it. */
#define TOE_PACKET_GIVEN_BACK PACKET_KERNEL

/* What tells early whether a received frame can be a connection's. */
struct toe_rx_info {
	bool for_this_host;
	bool vlan_tagged;
	bool readable;
};

/* What became of the checksums of a received packet. */
enum toe_checksums {
	TOE_CHECKSUMS_RIGHT,
	TOE_CHECKSUMS_IP_WRONG,
	TOE_CHECKSUMS_TRANSPORT_WRONG,
};

struct sk_buff *toe_helper_tcp_frame(const struct toe_tcp_frame *frame);
enum toe_checksums toe_helper_skb_checksums(const struct sk_buff *skb, unsigned int offset,
					    unsigned int len, u8 protocol);
struct toe_rx_info toe_helper_skb_rx_info(const struct sk_buff *skb);
void toe_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst);
struct sk_buff *toe_helper_skb_own(struct sk_buff *skb);
void toe_helper_dst_hold(struct dst_entry *dst);

struct net *toe_helper_get_net(struct net *net);
void toe_helper_put_net(struct net *net);
u64 toe_helper_net_cookie(const struct net *net);

void toe_helper_dev_hold(struct net_device *dev);
void toe_helper_dev_put(struct net_device *dev);
void toe_helper_dev_name(const struct net_device *dev, char *name);
u64 toe_helper_dev_net_cookie(const struct net_device *dev);
u32 toe_helper_dev_gso_limit(const struct net_device *dev, bool ipv6);
u32 toe_helper_dev_headroom(const struct net_device *dev);
int toe_helper_dev_xmit(struct net_device *dev, struct sk_buff *skb);

void toe_helper_set_ingress_hook(struct nf_hook_ops *ops, struct net_device *dev, nf_hookfn *hook,
				 void *priv, int priority);
int toe_helper_register_ingress_hook(const struct nf_hook_ops *ops);
void toe_helper_unregister_ingress_hook(const struct nf_hook_ops *ops);

/* What a flow is found by: words that are compared, and their hash. */
struct toe_flow_key {
	u64 words[5];
	u32 hash;
};

struct toe_flow_node {
	struct rhash_head head;
	struct rcu_head rcu;
	struct toe_flow_key key;
};

int toe_helper_flow_table_init(struct rhashtable *table);
struct toe_flow_node *toe_helper_flow_lookup(struct rhashtable *table,
					     const struct toe_flow_key *key);
int toe_helper_flow_insert(struct rhashtable *table, struct toe_flow_node *node);
struct toe_flow_node *toe_helper_flow_remove(struct rhashtable *table,
					     const struct toe_flow_key *key);

#endif
