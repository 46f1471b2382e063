/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTESTS_SHA256_H
#define SELFTESTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

/** struct sha256 - a running digest, FIPS 180-4 section 6.2. */
struct sha256 {
	uint32_t state[8];
	uint64_t length;	/* bytes hashed so far */
	uint8_t block[64];	/* the last, incomplete block */
};

void sha256_init(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *data, size_t len);
void sha256_final(struct sha256 *sha, uint8_t digest[SHA256_SIZE]);

#endif
