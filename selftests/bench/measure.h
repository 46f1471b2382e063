/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdio.h>
#include <time.h>

#include "icount.h"

/** struct moment - wall clock and instructions executed so far. */
struct moment {
	struct timespec time;
	struct icount instructions;
};

static inline struct moment moment_now(void)
{
	struct moment now;

	clock_gettime(CLOCK_MONOTONIC, &now.time);
	now.instructions = icount_read();
	return now;
}

static inline double moment_seconds(const struct moment *from, const struct moment *to)
{
	return to->time.tv_sec - from->time.tv_sec +
	       (to->time.tv_nsec - from->time.tv_nsec) * 1e-9;
}

/* Prints what lies between two moments as members of a JSON object. */
static inline void moment_print(const struct moment *from, const struct moment *to)
{
	printf("\"seconds\":%.6f,\"kernel_instructions\":%llu,\"user_instructions\":%llu",
	       moment_seconds(from, to),
	       (unsigned long long)(to->instructions.kernel - from->instructions.kernel),
	       (unsigned long long)(to->instructions.user - from->instructions.user));
}

#endif
