// SPDX-License-Identifier: MIT
//
// Shared memory objects without a name. See shm.h.
#include "common/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum reel_shm_kind reel_shm_choose(uint64_t bytes)
{
    struct statvfs fs;
    if (statvfs("/dev/shm", &fs)) return REEL_SHM_MEMFD;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return free_bytes >= bytes ? REEL_SHM_POSIX : REEL_SHM_MEMFD;
}

static int create_posix(void)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        uint64_t random;
        if (getrandom(&random, sizeof random, 0) != sizeof random) return -1;
        char name[64];
        snprintf(name, sizeof name, "/reelmill-%d-%016llx", (int)getpid(), (unsigned long long)random);
        // O_EXCL: never somebody else's object. The name exists only until the unlink below.
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0 && errno == EEXIST) continue;
        if (fd >= 0) shm_unlink(name);
        return fd;
    }
    errno = EEXIST;
    return -1;
}

enum reel_err reel_shm_create(enum reel_shm_kind kind, uint64_t bytes, int *out_fd)
{
    int fd = kind == REEL_SHM_POSIX ? create_posix() : -1;
    const bool memfd = fd < 0; // also if /dev/shm is read-only, or not writable for this user
    if (memfd) fd = memfd_create("reelmill-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not create shared memory: %s", strerror(errno));
    if (ftruncate(fd, (off_t)bytes)) {
        enum reel_err err = reel_fail(REEL_ERR_NOMEM, "could not size shared memory to %llu bytes: %s",
                                      (unsigned long long)bytes, strerror(errno));
        close(fd);
        return err;
    }
    // If one process shrank the object, all others would get a SIGBUS.
    if (memfd) fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    *out_fd = fd;
    return REEL_OK;
}

enum reel_err reel_shm_map(int fd, uint64_t bytes, void **out_base)
{
    struct stat st;
    if (fstat(fd, &st)) return reel_fail(REEL_ERR_IO, "could not look at shared memory: %s", strerror(errno));
    if ((uint64_t)st.st_size != bytes)
        return reel_fail(REEL_ERR_PROTO, "could not map shared memory: it has %lld bytes, %llu were announced",
                         (long long)st.st_size, (unsigned long long)bytes);
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED)
        return reel_fail(REEL_ERR_IO, "could not map %llu bytes of shared memory: %s", (unsigned long long)bytes,
                         strerror(errno));
    *out_base = base;
    return REEL_OK;
}

void reel_shm_unmap(void *base, uint64_t bytes)
{
    if (base) munmap(base, bytes);
}

enum reel_err reel_shm_reserve(int fd, uint64_t bytes)
{
    // Mode 0 is enough, because the size is fixed. tmpfs zeroes the pages here.
    int rc;
    do {
        rc = fallocate(fd, 0, 0, (off_t)bytes);
    } while (rc && errno == EINTR);
    if (!rc) return REEL_OK;
    return reel_fail(REEL_ERR_NOMEM, "could not reserve %llu bytes of shared memory: %s", (unsigned long long)bytes,
                     strerror(errno));
}

void reel_shm_punch(int fd, uint64_t bytes)
{
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
}

enum reel_err reel_shm_publish(const char *name, const void *data, size_t bytes, int *out_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not create memory file \"%s\": %s", name, strerror(errno));
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            enum reel_err err =
                reel_fail(REEL_ERR_NOMEM, "could not fill memory file \"%s\": %s", name, strerror(errno));
            close(fd);
            return err;
        }
        done += (size_t)n;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    *out_fd = fd;
    return REEL_OK;
}

enum reel_err reel_shm_attach(int fd, const void **out_data, size_t *out_bytes)
{
    struct stat st;
    if (fstat(fd, &st)) return reel_fail(REEL_ERR_IO, "could not look at memory file: %s", strerror(errno));
    *out_bytes = (size_t)st.st_size;
    *out_data = "";
    if (!st.st_size) return REEL_OK;
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return reel_fail(REEL_ERR_IO, "could not map memory file: %s", strerror(errno));
    *out_data = base;
    return REEL_OK;
}
