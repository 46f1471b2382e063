// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "sha256.h"

/* FIPS 180-4 section 4.2.2. */
static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load_be32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return __builtin_bswap32(x);
}

/* One round; the eight variables change places instead of moving. */
#define ROUND(a, b, c, d, e, f, g, h, i)				\
	do {								\
		uint32_t t = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + \
			     (g ^ (e & (f ^ g))) + round_constants[i] + w[i]; \
									\
		d += t;							\
		h = t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +		\
		    ((a & b) | (c & (a | b)));				\
	} while (0)

static void compress(uint32_t state[8], const uint8_t *block)
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
	uint32_t w[64];
	int i;

	for (i = 0; i < 16; i++)
		w[i] = load_be32(block + 4 * i);
	for (; i < 64; i++) {
		uint32_t s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (i = 0; i < 64; i += 8) {
		ROUND(a, b, c, d, e, f, g, h, i);
		ROUND(h, a, b, c, d, e, f, g, i + 1);
		ROUND(g, h, a, b, c, d, e, f, i + 2);
		ROUND(f, g, h, a, b, c, d, e, i + 3);
		ROUND(e, f, g, h, a, b, c, d, i + 4);
		ROUND(d, e, f, g, h, a, b, c, i + 5);
		ROUND(c, d, e, f, g, h, a, b, i + 6);
		ROUND(b, c, d, e, f, g, h, a, i + 7);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

void sha256_init(struct sha256 *sha)
{
	/* FIPS 180-4 section 5.3.3. */
	static const uint32_t initial[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(sha->state, initial, sizeof(initial));
	sha->length = 0;
}

void sha256_update(struct sha256 *sha, const void *data, size_t len)
{
	size_t fill = sha->length % sizeof(sha->block);
	const uint8_t *p = data;

	sha->length += len;
	if (fill) {
		size_t n = sizeof(sha->block) - fill;

		if (n > len)
			n = len;
		memcpy(sha->block + fill, p, n);
		p += n;
		len -= n;
		if (fill + n < sizeof(sha->block))
			return;
		compress(sha->state, sha->block);
	}
	for (; len >= sizeof(sha->block); len -= sizeof(sha->block)) {
		compress(sha->state, p);
		p += sizeof(sha->block);
	}
	memcpy(sha->block, p, len);
}

void sha256_final(struct sha256 *sha, uint8_t digest[SHA256_SIZE])
{
	uint64_t bits = __builtin_bswap64(sha->length * 8);
	static const uint8_t pad[72] = { 0x80 };
	size_t fill = sha->length % sizeof(sha->block);
	int i;

	sha256_update(sha, pad, (fill < 56 ? 56 : 120) - fill);
	sha256_update(sha, &bits, sizeof(bits));
	for (i = 0; i < 8; i++) {
		uint32_t x = __builtin_bswap32(sha->state[i]);

		memcpy(digest + 4 * i, &x, sizeof(x));
	}
}
