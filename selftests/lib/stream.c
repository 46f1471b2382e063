// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "stream.h"

/* xorshift64*: S. Vigna, An experimental exploration of Marsaglia's xorshift generators. */
static uint64_t next(struct stream *stream)
{
	uint64_t x = stream->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	stream->state = x;
	return x * 0x2545f4914f6cdd1dull;
}

void stream_init(struct stream *stream, uint64_t seed)
{
	/* A state of zero would stay zero. */
	stream->state = (seed + 1) * 0x9e3779b97f4a7c15ull | 1;
	stream->left = 0;
}

void stream_read(struct stream *stream, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		if (!stream->left && len >= sizeof(stream->word)) {
			uint64_t word = next(stream);

			memcpy(p, &word, sizeof(word));
			p += sizeof(word);
			len -= sizeof(word);
			continue;
		}
		if (!stream->left) {
			stream->word = next(stream);
			stream->left = sizeof(stream->word);
		}
		*p++ = stream->word;
		stream->word >>= 8;
		stream->left--;
		len--;
	}
}

size_t stream_size(struct stream *stream, size_t max)
{
	return 1 + next(stream) % max;
}
