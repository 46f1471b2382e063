/* SPDX-License-Identifier: GPL-2.0 */
/* Seeded pseudo-random byte streams: the same seed gives the same bytes on both ends. */
#ifndef SELFTESTS_STREAM_H
#define SELFTESTS_STREAM_H

#include <stddef.h>
#include <stdint.h>

struct stream {
	uint64_t state;
	uint64_t word;		/* bytes made and not yet given out, low byte first */
	int left;		/* their number */
};

void stream_init(struct stream *stream, uint64_t seed);
/* The next @len bytes of the stream. */
void stream_read(struct stream *stream, void *buf, size_t len);
/* A number from 1 to @max. */
size_t stream_size(struct stream *stream, size_t max);

#endif
