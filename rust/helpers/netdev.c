// SPDX-License-Identifier: GPL-2.0
#include <linux/etherdevice.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include "helpers.h"

/* What is private to a net_device: who owns it, and its NAPI contexts. */
struct toe_netdev_poll {
	struct napi_struct napi;
	u16 number;
};

struct toe_netdev {
	const void *owner;
	u16 polls;
	struct toe_netdev_poll poll[] __counted_by(polls);
};

/* @owner is what toe_helper_netdev_owner() is to return. free_netdev() takes the NAPI contexts with it. */
struct net_device *toe_helper_netdev_alloc(struct device *parent, const void *owner, u16 queues,
					   u16 polls,
					   int (*poll)(struct napi_struct *napi, int budget))
{
	struct toe_netdev *priv;
	struct net_device *dev;
	u16 i;

	dev = alloc_etherdev_mqs(struct_size(priv, poll, polls), queues, queues);
	if (!dev)
		return NULL;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_UNICAST_FLT;
	SET_NETDEV_DEV(dev, parent);
	priv = netdev_priv(dev);
	priv->owner = owner;
	priv->polls = polls;
	for (i = 0; i < polls; i++) {
		priv->poll[i].number = i;
		netif_napi_add(dev, &priv->poll[i].napi, poll);
	}
	netif_carrier_off(dev);
	return dev;
}

const void *toe_helper_netdev_owner(const struct net_device *dev)
{
	const struct toe_netdev *priv = netdev_priv(dev);

	return priv->owner;
}

void toe_helper_netdev_napi_enable(struct net_device *dev)
{
	struct toe_netdev *priv = netdev_priv(dev);
	u16 i;

	for (i = 0; i < priv->polls; i++)
		napi_enable(&priv->poll[i].napi);
}

void toe_helper_netdev_napi_disable(struct net_device *dev)
{
	struct toe_netdev *priv = netdev_priv(dev);
	u16 i;

	for (i = 0; i < priv->polls; i++)
		napi_disable(&priv->poll[i].napi);
}

void toe_helper_netdev_wake_queues(struct net_device *dev)
{
	/* Not just start: packets may wait in a queueing discipline that nobody else would run. */
	netif_tx_wake_all_queues(dev);
}

void toe_helper_netdev_tx_disable(struct net_device *dev)
{
	netif_tx_disable(dev);
}

void toe_helper_netdev_stop_queue(struct net_device *dev, u16 queue)
{
	netif_stop_subqueue(dev, queue);
}

void toe_helper_netdev_wake_queue(struct net_device *dev, u16 queue)
{
	netif_wake_subqueue(dev, queue);
}

void toe_helper_netdev_schedule(struct net_device *dev, u16 poll)
{
	struct toe_netdev *priv = netdev_priv(dev);

	napi_schedule(&priv->poll[poll].napi);
}

bool toe_helper_netdev_running(const struct net_device *dev)
{
	return netif_running(dev);
}

bool toe_helper_netdev_present(const struct net_device *dev)
{
	return netif_device_present(dev);
}

u32 toe_helper_netdev_mtu(const struct net_device *dev)
{
	return READ_ONCE(dev->mtu);
}

void toe_helper_netdev_set_mtu(struct net_device *dev, u32 mtu)
{
	WRITE_ONCE(dev->mtu, mtu); /* Pairs with the stack's reads, which take no lock. */
}

/* Copies Ethernet addresses of a list to @to, where there is @room for so many; returns how many there are. */
u32 toe_helper_hw_addrs(const struct netdev_hw_addr_list *list, u8 *to, u32 room)
{
	const struct netdev_hw_addr *ha;
	u32 count = 0;

	netdev_hw_addr_list_for_each(ha, list) {
		if (count < room)
			memcpy(to + count * ETH_ALEN, ha->addr, ETH_ALEN);
		count++;
	}
	return count;
}

u16 toe_helper_napi_number(const struct napi_struct *napi)
{
	return container_of(napi, struct toe_netdev_poll, napi)->number;
}

/*
 * Copies a frame and gives it to the stack, with what the device found out as far as that is wanted.
 * -EINVAL if it has no Ethernet header, -ENOMEM without memory. For the poll function of @napi.
 */
int toe_helper_napi_receive(struct napi_struct *napi, const struct toe_rx_frame *frame)
{
	struct sk_buff *skb;

	if (unlikely(frame->len + frame->rest_len < ETH_HLEN))
		return -EINVAL;
	skb = napi_alloc_skb(napi, frame->len + frame->rest_len);
	if (unlikely(!skb))
		return -ENOMEM;
	skb_put_data(skb, frame->data, frame->len);
	skb_put_data(skb, frame->rest, frame->rest_len);
	if (frame->checksum == TOE_RX_CHECKSUM_UNNECESSARY &&
	    napi->dev->features & NETIF_F_RXCSUM)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (frame->hash && napi->dev->features & NETIF_F_RXHASH)
		skb_set_hash(skb, frame->hash, frame->hash_l4 ? PKT_HASH_TYPE_L4 :
								PKT_HASH_TYPE_L3);
	skb_record_rx_queue(skb, frame->queue);
	skb->protocol = eth_type_trans(skb, napi->dev);
	napi_gro_receive(napi, skb);
	return 0;
}

/* What a driver must know of a packet it is to send. */
void toe_helper_skb_tx_info(const struct sk_buff *skb, struct toe_tx_info *info)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	*info = (struct toe_tx_info) {
		.len = skb->len,
		.linear_len = skb_headlen(skb),
		.frags = shinfo->nr_frags,
		.queue = skb_get_queue_mapping(skb),
	};
	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		info->csum_start = skb_checksum_start_offset(skb);
		info->csum_offset = skb->csum_offset;
	}
	if (skb_is_gso(skb)) {
		info->gso_size = shinfo->gso_size;
		info->gso_segs = shinfo->gso_segs;
		info->gso_header_len = skb_tcp_all_headers(skb);
		info->gso_ipv6 = shinfo->gso_type & SKB_GSO_TCPV6;
	}
}

/* Where a part of a packet lies: the linear area is part 0, fragments follow. */
struct page *toe_helper_skb_tx_piece(const struct sk_buff *skb, u16 piece, u32 *offset, u32 *len)
{
	const skb_frag_t *frag;

	if (!piece) {
		*offset = offset_in_page(skb->data);
		*len = skb_headlen(skb);
		return virt_to_page(skb->data);
	}
	frag = &skb_shinfo(skb)->frags[piece - 1];
	*offset = skb_frag_off(frag);
	*len = skb_frag_size(frag);
	return skb_frag_page(frag);
}
