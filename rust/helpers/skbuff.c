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

/*
 * Builds a TCP segment, or several in one (TSO), for transmission; checksum and segmentation are
 * left to the device or the stack. It is linear as far as that takes no high-order page, else the
 * payload is in page fragments. Bottom halves must be disabled. Lengths must fit: headers of all
 * three layers are complete, all is well below 2^31 bytes.
 */
struct sk_buff *toe_helper_tcp_frame(const struct toe_tcp_frame *frame)
{
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;
	unsigned int payload = frame->payload_len[0] + frame->payload_len[1];
	unsigned int linear = frame->headers_len + payload;
	struct sk_buff *skb;
	u8 *to;
	int err;

	if (frame->headroom + linear <= SKB_MAX_HEAD(0)) {
		skb = __alloc_skb(frame->headroom + linear, gfp, SKB_ALLOC_NAPI, NUMA_NO_NODE);
		if (!skb)
			return NULL;
		skb_reserve(skb, frame->headroom);
		to = __skb_put(skb, linear);
		memcpy(to, frame->headers, frame->headers_len);
		to += frame->headers_len;
		memcpy(to, frame->payload[0], frame->payload_len[0]);
		memcpy(to + frame->payload_len[0], frame->payload[1], frame->payload_len[1]);
	} else {
		linear = frame->headers_len;
		skb = alloc_skb_with_frags(frame->headroom + linear, payload,
					   PAGE_ALLOC_COSTLY_ORDER, &err, gfp);
		if (!skb)
			return NULL;
		skb_reserve(skb, frame->headroom);
		memcpy(__skb_put(skb, linear), frame->headers, linear);
		skb->data_len = payload;
		skb->len += payload;
		if (skb_store_bits(skb, linear, frame->payload[0], frame->payload_len[0]) ||
		    skb_store_bits(skb, linear + frame->payload_len[0], frame->payload[1],
				   frame->payload_len[1])) {
			kfree_skb(skb);
			return NULL;
		}
	}

	skb_reset_mac_header(skb);
	skb_set_network_header(skb, frame->link_len);
	skb_set_transport_header(skb, frame->link_len + frame->network_len);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb->transport_header;
	skb->csum_offset = offsetof(struct tcphdr, check);
	skb->protocol = htons(frame->ethertype);
	skb->priority = frame->priority;
	skb->mark = frame->mark;
	__skb_set_sw_hash(skb, frame->hash, true);
	if (frame->gso_size && payload > frame->gso_size) {
		struct skb_shared_info *shinfo = skb_shinfo(skb);

		shinfo->gso_size = frame->gso_size;
		shinfo->gso_segs = DIV_ROUND_UP(payload, frame->gso_size);
		shinfo->gso_type = frame->ethertype == ETH_P_IPV6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
		if (frame->cwr)
			shinfo->gso_type |= SKB_GSO_TCP_ECN;
	}
	return skb;
}

/*
 * Checks what a device that is trusted hasn't: first the header checksum of IPv4 (headers without
 * options), then the transport's over @len bytes from @offset on. What is at skb->data is an IP
 * header of @offset bytes, linear or not.
 */
enum toe_checksums toe_helper_skb_checksums(const struct sk_buff *skb, unsigned int offset,
					    unsigned int len, u8 protocol)
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
		.for_this_host = skb->pkt_type == PACKET_HOST ||
				 skb->pkt_type == TOE_PACKET_GIVEN_BACK,
		.vlan_tagged = skb_vlan_tag_present(skb),
		.readable = skb_frags_readable(skb),
	};
}

void toe_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_drop(skb);
	skb_dst_set(skb, dst);
}

/* A packet that may be kept after receive processing, or received again: nobody else's, and not relying on RCU. */
struct sk_buff *toe_helper_skb_own(struct sk_buff *skb)
{
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (skb) {
		skb_dst_force(skb);
		skb->pkt_type = PACKET_HOST;
	}
	return skb;
}

void toe_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
}
