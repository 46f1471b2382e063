// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include "helpers.h"

/* All ones if the pages can't be mapped. */
dma_addr_t toe_helper_dma_map(struct device *dev, struct page *page, size_t offset, size_t len,
			      enum dma_data_direction direction)
{
	dma_addr_t address = dma_map_page(dev, page, offset, len, direction);

	return dma_mapping_error(dev, address) ? ~(dma_addr_t)0 : address;
}

void toe_helper_dma_unmap(struct device *dev, dma_addr_t address, size_t len,
			  enum dma_data_direction direction)
{
	dma_unmap_page(dev, address, len, direction);
}

bool toe_helper_dma_need_sync(struct device *dev, dma_addr_t address)
{
	return dma_need_sync(dev, address);
}

bool toe_helper_is_vmalloc(const void *address)
{
	return is_vmalloc_addr(address);
}

/* Of memory of any of the kernel's allocators. */
struct page *toe_helper_virt_to_page(const void *address)
{
	return is_vmalloc_addr(address) ? vmalloc_to_page(address) : virt_to_page(address);
}

void toe_helper_mb(void)
{
	mb(); /* For the caller to pair: what it orders is the caller's to say. */
}
