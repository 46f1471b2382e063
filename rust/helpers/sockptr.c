// SPDX-License-Identifier: GPL-2.0
#include <linux/sockptr.h>
#include <linux/uaccess.h>
#include "helpers.h"

int toe_helper_copy_from_sockptr(void *dst, sockptr_t src, size_t len)
{
	return copy_from_sockptr(dst, src, len);
}

int toe_helper_get_user_int(int *dst, const int __user *src)
{
	return get_user(*dst, src);
}

int toe_helper_put_user_int(int val, int __user *dst)
{
	return put_user(val, dst);
}

unsigned long toe_helper_copy_to_user(void __user *dst, const void *src, unsigned long len)
{
	return copy_to_user(dst, src, len);
}
