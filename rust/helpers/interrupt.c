// SPDX-License-Identifier: GPL-2.0
#include <linux/interrupt.h>
#include "helpers.h"

int toe_helper_request_irq(unsigned int irq, irq_handler_t handler, const char *name, void *data)
{
	return request_irq(irq, handler, 0, name, data);
}
