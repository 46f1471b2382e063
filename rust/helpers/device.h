/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers of what offload devices need: execution context, packets, routes, netdevs, the flow table. */
#ifndef TOE_HELPERS_DEVICE_H
#define TOE_HELPERS_DEVICE_H

#include <linux/types.h>

struct dst_entry;
struct sk_buff;

void toe_helper_local_bh_disable(void);
void toe_helper_local_bh_enable(void);
void toe_helper_memcpy(void *to, const void *from, size_t len);

/* Where the headers of a TCP frame end, and what the stack and the NIC are to do with it. */
struct toe_tcp_layout {
	u16 link_len;
	u16 network_len;
	u16 transport_len;
	u16 ethertype;
	u16 gso_size;
	bool cwr;
	u32 hash;
	u32 priority;
	u32 mark;
};

/* What tells early whether a received frame can be a connection's. */
struct toe_rx_info {
	u16 ethertype;
	bool for_this_host;
	bool vlan_tagged;
};

struct sk_buff *toe_helper_alloc_frame(unsigned int headroom, unsigned int headers, unsigned int payload);
bool toe_helper_skb_set_tcp(struct sk_buff *skb, const struct toe_tcp_layout *layout);
bool toe_helper_skb_csum_ok(const struct sk_buff *skb, unsigned int offset, unsigned int len, u32 pseudo);
struct toe_rx_info toe_helper_skb_rx_info(const struct sk_buff *skb);
unsigned int toe_helper_skb_gso_size(const struct sk_buff *skb);
void toe_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst);
struct sk_buff *toe_helper_skb_share_check(struct sk_buff *skb);
void toe_helper_dst_hold(struct dst_entry *dst);

#endif
