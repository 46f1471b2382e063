// SPDX-License-Identifier: GPL-2.0
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
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

/*
 * Checks what a device that is trusted hasn't: first the header checksum of IPv4 (headers without options), then the
 * transport's over @len bytes from @offset on. What is at skb->data is an IP header of @offset bytes, linear or not.
 */
enum toe_checksums toe_helper_skb_checksums(const struct sk_buff *skb, unsigned int offset, unsigned int len,
					    u8 protocol)
{
	u8 buffer[sizeof(struct ipv6hdr)];
	unsigned int at, addresses;
	const u8 *ip;
	__wsum sum;

	/* Of this host: was never on a wire. */
	if (skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) >= 0)
		return TOE_CHECKSUMS_RIGHT;
	ip = skb_header_pointer(skb, 0, offset, buffer);
	if (!ip)
		return TOE_CHECKSUMS_IP_WRONG;
	if (offset == sizeof(struct iphdr)) {
		if (ip_fast_csum(ip, sizeof(struct iphdr) / 4))
			return TOE_CHECKSUMS_IP_WRONG;
		at = offsetof(struct iphdr, saddr);
		addresses = 2 * sizeof(struct in_addr);
	} else {
		at = offsetof(struct ipv6hdr, saddr);
		addresses = 2 * sizeof(struct in6_addr);
	}
	if (skb_csum_unnecessary(skb))
		return TOE_CHECKSUMS_RIGHT;
	sum = csum_partial(ip + at, addresses, (__force __wsum)htonl(len + protocol));
	/* The device's sum covers what follows the link header, padding included. */
	if (skb->ip_summed == CHECKSUM_COMPLETE && offset + len == skb->len) {
		__wsum rest = csum_sub(skb->csum, skb_checksum(skb, 0, offset, 0));

		if (!csum_fold(csum_add(rest, sum)))
			return TOE_CHECKSUMS_RIGHT;
	}
	return csum_fold(skb_checksum(skb, offset, len, sum)) ? TOE_CHECKSUMS_TRANSPORT_WRONG :
								TOE_CHECKSUMS_RIGHT;
}

struct toe_rx_info toe_helper_skb_rx_info(const struct sk_buff *skb)
{
	return (struct toe_rx_info) {
		.ethertype = ntohs(skb->protocol),
		.for_this_host = skb->pkt_type == PACKET_HOST,
		.vlan_tagged = skb_vlan_tag_present(skb),
		.readable = skb_frags_readable(skb),
	};
}

void toe_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_drop(skb);
	skb_dst_set(skb, dst);
}

/* A packet that may be kept after receive processing has gone on: nobody else's, and not relying on RCU. */
struct sk_buff *toe_helper_skb_own(struct sk_buff *skb)
{
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (skb)
		skb_dst_force(skb);
	return skb;
}

void toe_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
}
