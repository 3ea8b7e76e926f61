// SPDX-License-Identifier: MIT
//
// SHA-256 (FIPS 180-4) of parts, models and inputs, and CRC-32C (Castagnoli,
// RFC 3720) of journal lines, packets and pack records.
#ifndef REEL_COMMON_HASH_H
#define REEL_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct reel_sha256 {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};

void reel_sha256_init(struct reel_sha256 *s);
void reel_sha256_update(struct reel_sha256 *s, const void *data, size_t bytes);
void reel_sha256_final(struct reel_sha256 *s, uint8_t out_hash[32]);
// Of a whole file. Errors: IO.
enum reel_err reel_sha256_file(const char *path, uint8_t out_hash[32], uint64_t *out_bytes);
// Lower-case hex with NUL; returns buf.
char *reel_hex(const uint8_t *data, size_t bytes, char *buf);

// crc: 0 to begin, or the value so far.
uint32_t reel_crc32c(uint32_t crc, const void *data, size_t bytes);

#endif
