// SPDX-License-Identifier: MIT
//
// The frame of a pack file (pack.h), for pack.c, which writes it, and pack_read.c. All numbers
// are little-endian.
//
//   file     magic (8 bytes), version (4), records
//   record   type (4), bytes of payload (4), CRC-32C of type, bytes and payload (4), payload
#ifndef REEL_COMMON_PACK_FORMAT_H
#define REEL_COMMON_PACK_FORMAT_H

#include <stdint.h>

#define PACK_MAGIC "REELPACK"
#define PACK_MAGIC_BYTES 8u
#define PACK_VERSION 1u
#define PACK_FILE_HEAD_BYTES 12u
#define PACK_RECORD_HEAD_BYTES 12u
#define PACK_MAX_PAYLOAD (UINT32_C(1) << 30)
#define PACK_FILE_BUFFER_BYTES (1u << 20) // of stdio

#endif
