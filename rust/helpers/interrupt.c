// SPDX-License-Identifier: GPL-2.0
#include <linux/interrupt.h>
#include <linux/pci.h>
#include "helpers.h"

int toe_helper_request_irq(unsigned int irq, irq_handler_t handler, const char *name, void *data)
{
	return request_irq(irq, handler, 0, name, data);
}

/* Nothing if @dev isn't a PCI device, as the next. */
void toe_helper_pci_set_master(struct device *dev)
{
	if (dev_is_pci(dev))
		pci_set_master(to_pci_dev(dev));
}

void toe_helper_pci_clear_master(struct device *dev)
{
	if (dev_is_pci(dev))
		pci_clear_master(to_pci_dev(dev));
}
