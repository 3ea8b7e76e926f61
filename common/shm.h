// SPDX-License-Identifier: MIT
//
// Shared host memory: one sparse object per ring, made by the coordinator,
// inherited as a descriptor by every child and mapped once. It has no name
// (POSIX shared memory is unlinked at once, or it is a memfd), so nothing is
// left when the last process is gone.
//
// Slots are reserved at an epoch's start and punched out after its drain, so
// that memory is refused (NOMEM) instead of a SIGBUS at first touch.
#ifndef REEL_COMMON_SHM_H
#define REEL_COMMON_SHM_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum reel_shm_kind {
    REEL_SHM_POSIX, // shm_open on /dev/shm
    REEL_SHM_MEMFD, // where /dev/shm is missing or too small; sealed against resizing
};

// Makes an object of `bytes` (sparse: no memory is used yet). The descriptor
// is close-on-exec; children get it by reel_life_spawn(). A memfd is taken where
// /dev/shm cannot be written. Errors: IO, NOMEM.
enum reel_err reel_shm_create(enum reel_shm_kind kind, uint64_t bytes, int *out_fd);
// Which kind to use so that `bytes` can be reserved: POSIX where /dev/shm has
// that much free, else MEMFD.
enum reel_shm_kind reel_shm_choose(uint64_t bytes);
// Maps the whole object. Errors: IO, PROTO (size is not `bytes`).
enum reel_err reel_shm_map(int fd, uint64_t bytes, void **out_base);
void reel_shm_unmap(void *base, uint64_t bytes);
// Reserves memory for [0, bytes): NOMEM when there is none.
enum reel_err reel_shm_reserve(int fd, uint64_t bytes);
// Gives the memory back; the next reading sees zeros.
void reel_shm_punch(int fd, uint64_t bytes);
// A sealed, read-only copy of data for the children (configuration, job list).
enum reel_err reel_shm_publish(const char *name, const void *data, size_t bytes, int *out_fd);
// Maps such a copy read-only; *out_bytes is its size.
enum reel_err reel_shm_attach(int fd, const void **out_data, size_t *out_bytes);

#endif
