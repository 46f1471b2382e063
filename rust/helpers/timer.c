// SPDX-License-Identifier: GPL-2.0
#include <linux/timer.h>
#include "helpers.h"

void toe_helper_timer_setup(struct timer_list *timer, void (*expired)(struct timer_list *timer))
{
	timer_setup(timer, expired, 0);
}
