// SPDX-License-Identifier: GPL-2.0
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/dst.h>
#include "helpers.h"

/* Linear as far as that takes no high-order page, else headers linear and payload in page fragments. */
struct sk_buff *toe_helper_alloc_frame(unsigned int headroom, unsigned int headers, unsigned int payload)
{
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;
	unsigned int paged = headroom + headers + payload > SKB_MAX_HEAD(0) ? payload : 0;
	unsigned int linear = headers + payload - paged;
	struct sk_buff *skb;
	int err;

	if (!paged)
		skb = alloc_skb(headroom + linear, gfp);
	else
		skb = alloc_skb_with_frags(headroom + linear, paged, PAGE_ALLOC_COSTLY_ORDER, &err, gfp);
	if (!skb)
		return NULL;
	skb_reserve(skb, headroom);
	skb_put(skb, linear);
	skb->data_len = paged;
	skb->len += paged;
	return skb;
}

bool toe_helper_skb_set_tcp(struct sk_buff *skb, const struct toe_tcp_layout *layout)
{
	unsigned int headers = layout->link_len + layout->network_len + layout->transport_len;

	skb_reset_mac_header(skb);
	skb_set_network_header(skb, layout->link_len);
	skb->protocol = htons(layout->ethertype);
	skb->priority = layout->priority;
	skb->mark = layout->mark;
	__skb_set_sw_hash(skb, layout->hash, true);
	if (!skb_partial_csum_set(skb, layout->link_len + layout->network_len,
				  offsetof(struct tcphdr, check)))
		return false;
	if (layout->gso_size && skb->len - headers > layout->gso_size) {
		struct skb_shared_info *shinfo = skb_shinfo(skb);

		shinfo->gso_size = layout->gso_size;
		shinfo->gso_segs = DIV_ROUND_UP(skb->len - headers, layout->gso_size);
		shinfo->gso_type = layout->ethertype == ETH_P_IPV6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
		if (layout->cwr)
			shinfo->gso_type |= SKB_GSO_TCP_ECN;
	}
	return true;
}

bool toe_helper_skb_csum_ok(const struct sk_buff *skb, unsigned int offset, unsigned int len, u32 pseudo)
{
	__wsum sum = (__force __wsum)pseudo;

	if (skb_csum_unnecessary(skb))
		return true;
	/* The device's sum covers what follows the link header, padding included. */
	if (skb->ip_summed == CHECKSUM_COMPLETE && offset + len == skb->len) {
		__wsum rest = csum_sub(skb->csum, skb_checksum(skb, 0, offset, 0));

		if (!csum_fold(csum_add(rest, sum)))
			return true;
	}
	return !csum_fold(skb_checksum(skb, offset, len, sum));
}

struct toe_rx_info toe_helper_skb_rx_info(const struct sk_buff *skb)
{
	return (struct toe_rx_info) {
		.ethertype = ntohs(skb->protocol),
		.for_this_host = skb->pkt_type == PACKET_HOST,
		.vlan_tagged = skb_vlan_tag_present(skb),
	};
}

unsigned int toe_helper_skb_gso_size(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_size;
}

void toe_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_drop(skb);
	skb_dst_set(skb, dst);
}

struct sk_buff *toe_helper_skb_share_check(struct sk_buff *skb)
{
	return skb_share_check(skb, GFP_ATOMIC);
}

void toe_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
}
