// SPDX-License-Identifier: MIT
//
// Making and mapping the statistics page. See stat.h.
#include "common/stat.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/shm.h"

enum reel_err reel_stat_create(int *out_fd, struct reel_stat_page **out_page)
{
    int fd;
    enum reel_err err = reel_shm_create(REEL_SHM_MEMFD, sizeof(struct reel_stat_page), &fd);
    if (err) return err;
    void *base;
    if ((err = reel_shm_map(fd, sizeof(struct reel_stat_page), &base))) {
        close(fd);
        return err;
    }
    struct reel_stat_page *page = base;
    page->magic = REEL_STAT_MAGIC;
    page->rows = REEL_STAT_ROWS;
    page->bytes = sizeof *page;
    *out_fd = fd;
    *out_page = page;
    return REEL_OK;
}

enum reel_err reel_stat_attach(int fd, struct reel_stat_page **out_page)
{
    void *base;
    enum reel_err err = reel_shm_map(fd, sizeof(struct reel_stat_page), &base);
    if (err) return err;
    struct reel_stat_page *page = base;
    if (page->magic != REEL_STAT_MAGIC || page->bytes != sizeof *page) {
        munmap(base, sizeof *page);
        return reel_fail(REEL_ERR_PROTO, "could not attach statistics: not a page of this build");
    }
    *out_page = page;
    return REEL_OK;
}
