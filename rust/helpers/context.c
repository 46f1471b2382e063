// SPDX-License-Identifier: GPL-2.0
#include <linux/bottom_half.h>
#include <linux/string.h>
#include "helpers.h"

void toe_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void toe_helper_local_bh_enable(void)
{
	local_bh_enable();
}

void toe_helper_memcpy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}
