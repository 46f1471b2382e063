/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_ICOUNT_H
#define BENCH_ICOUNT_H

#include <stdint.h>

/* Guest instructions executed so far by all CPUs, in the kernel and outside. */
struct icount {
	uint64_t kernel;
	uint64_t user;
};

/*
 * Ask the emulator's plugin (scripts/qemu/icount.c); zeros where there is
 * none. What a piece of work took is the difference of two answers.
 */
static inline struct icount icount_read(void)
{
	struct icount now = { 0, 0 };

	asm volatile(".byte 0x0f, 0x1f, 0x80, 0x01, 0xde, 0xc0, 0x0e"
		     : "+a"(now.kernel), "+d"(now.user)
		     :
		     : "memory");
	return now;
}

#endif
