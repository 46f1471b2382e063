/* SPDX-License-Identifier: GPL-2.0 */
/* What drivers of Ethernet devices need: net_device, NAPI, packets to and from DMA memory. */
#ifndef TOE_HELPERS_NETDEV_H
#define TOE_HELPERS_NETDEV_H

#include <linux/dma-direction.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/interrupt.h>
#include <linux/netdevice.h>
#include <linux/types.h>

struct device;
struct devlink_fmsg;
struct toe_health;

typedef void (*toe_health_dump_t)(const void *owner, struct devlink_fmsg *fmsg);

/* Functions that hash flows, as ethtool names them. */
enum {
	TOE_HASH_ANY = ETH_RSS_HASH_NO_CHANGE,
	TOE_HASH_TOEPLITZ = ETH_RSS_HASH_TOP,
};

/* What became of the checksums of a received frame. */
enum toe_rx_checksum {
	TOE_RX_CHECKSUM_NONE,
	TOE_RX_CHECKSUM_UNNECESSARY,
};

/* A frame that lies in memory of the driver's, in two places. */
struct toe_rx_frame {
	const void *data;
	const void *rest;
	u32 len;
	u32 rest_len;
	u32 hash;
	u16 queue;
	bool hash_l4;
	enum toe_rx_checksum checksum;
};

/* What the stack leaves to the device. */
struct toe_tx_info {
	u32 len;
	u32 linear_len;
	u16 frags;
	/* Both 0 if there is no checksum to be written. */
	u16 csum_start;
	u16 csum_offset;
	/* 0 if there is nothing to be cut. */
	u16 gso_size;
	u16 gso_segs;
	/* Of the headers that each segment gets. */
	u16 gso_header_len;
	u16 queue;
	bool gso_ipv6;
};

struct net_device *toe_helper_netdev_alloc(struct device *parent, const void *owner, u16 queues,
					   u16 polls,
					   int (*poll)(struct napi_struct *napi, int budget));
const void *toe_helper_netdev_owner(const struct net_device *dev);
void toe_helper_netdev_napi_enable(struct net_device *dev);
void toe_helper_netdev_napi_disable(struct net_device *dev);
void toe_helper_netdev_wake_queues(struct net_device *dev);
void toe_helper_netdev_tx_disable(struct net_device *dev);
void toe_helper_netdev_stop_queue(struct net_device *dev, u16 queue);
void toe_helper_netdev_wake_queue(struct net_device *dev, u16 queue);
void toe_helper_netdev_schedule(struct net_device *dev, u16 poll);
bool toe_helper_netdev_running(const struct net_device *dev);
bool toe_helper_netdev_present(const struct net_device *dev);
u32 toe_helper_netdev_mtu(const struct net_device *dev);
void toe_helper_netdev_set_mtu(struct net_device *dev, u32 mtu);
u32 toe_helper_hw_addrs(const struct netdev_hw_addr_list *list, u8 *to, u32 room);
u16 toe_helper_napi_number(const struct napi_struct *napi);
int toe_helper_napi_receive(struct napi_struct *napi, const struct toe_rx_frame *frame);
void toe_helper_skb_tx_info(const struct sk_buff *skb, struct toe_tx_info *info);
struct page *toe_helper_skb_tx_piece(const struct sk_buff *skb, u16 piece, u32 *offset, u32 *len);

dma_addr_t toe_helper_dma_map(struct device *dev, struct page *page, size_t offset, size_t len,
			      enum dma_data_direction direction);
void toe_helper_dma_unmap(struct device *dev, dma_addr_t address, size_t len,
			  enum dma_data_direction direction);
bool toe_helper_dma_need_sync(struct device *dev, dma_addr_t address);
bool toe_helper_is_vmalloc(const void *address);
struct page *toe_helper_virt_to_page(const void *address);

struct toe_health *toe_helper_health_new(struct device *dev, const char *name, const void *owner,
					 toe_health_dump_t dump);
void toe_helper_health_free(struct toe_health *health);
void toe_helper_health_failed(struct toe_health *health, const char *why);
void toe_helper_health_recovered(struct toe_health *health);
void toe_helper_fmsg_u64(struct devlink_fmsg *fmsg, const char *name, u64 value);

int toe_helper_request_irq(unsigned int irq, irq_handler_t handler, const char *name, void *data);
void toe_helper_pci_set_master(struct device *dev);
void toe_helper_pci_clear_master(struct device *dev);
void toe_helper_mb(void);

#endif
