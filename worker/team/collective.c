// SPDX-License-Identifier: MIT
//
// collective.h over its implementations: arguments, the end after a failure,
// and the file that one reads for all.
#include "worker/team/collective.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/team/collective_ops.h"

uint32_t collective_rank(const struct collective *c)
{
    return c->rank;
}

uint32_t collective_ranks(const struct collective *c)
{
    return c->ranks;
}

void collective_close(struct collective **collective)
{
    if (!*collective) return;
    (*collective)->ops->close(*collective);
    *collective = NULL;
}

static enum reel_err gone(void)
{
    return reel_fail(REEL_GONE, "could not work together with the other workers: one of them is gone");
}

enum reel_err collective_broadcast(struct collective *c, void *data, size_t bytes, uint32_t root)
{
    if (!c->ops->broadcast) return reel_fail(REEL_ERR_UNSUPPORTED, "could not send to all: these workers cannot");
    if (c->over || root >= c->ranks) return gone();
    enum reel_err err = c->ranks > 1 ? c->ops->broadcast(c, data, bytes, root) : REEL_OK;
    c->over = err != REEL_OK;
    return err;
}

enum reel_err collective_exchange(struct collective *c, const struct collective_halo *halo)
{
    if (c->over) return gone();
    enum reel_err err = c->ranks > 1 ? c->ops->exchange(c, halo) : REEL_OK;
    c->over = err != REEL_OK;
    return err;
}

enum reel_err collective_begin(struct collective *c, uint64_t round, uint32_t rank, uint32_t ranks)
{
    if (!c->ops->begin) return reel_fail(REEL_ERR_UNSUPPORTED, "could not begin a round: these workers have none");
    if (!ranks || rank >= ranks) return reel_fail(REEL_ERR_PROTO, "could not begin a round as %u of %u", rank, ranks);
    c->rank = rank;
    c->ranks = ranks;
    collective_between(c, (int)rank - 1, rank + 1 < ranks ? (int)rank + 1 : -1);
    enum reel_err err = c->ops->begin(c, round);
    c->over = err != REEL_OK;
    return err;
}

void collective_end_round(struct collective *c, uint64_t round)
{
    if (c->ops->end_round) c->ops->end_round(c, round);
}

bool collective_is_over(const struct collective *c, uint64_t round)
{
    return c->ops->is_over && c->ops->is_over(c, round);
}

void collective_between(struct collective *c, int up, int down)
{
    c->up = up;
    c->down = down;
}

void collective_set_limit(struct collective *c, int limit_ms)
{
    c->limit_ms = limit_ms;
}

// ---- a file ---------------------------------------------------------------------------

static bool read_file(const char *path, size_t most, uint8_t **out_data, size_t *out_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    uint8_t *data = NULL;
    size_t at = 0;
    bool ok = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size <= most;
    if (ok) data = malloc((size_t)st.st_size);
    ok = ok && data;
    while (ok && at < (size_t)st.st_size) {
        ssize_t n = read(fd, data + at, (size_t)st.st_size - at);
        if (n < 0 && errno == EINTR) continue;
        ok = n > 0;
        if (ok) at += (size_t)n;
    }
    if (fd >= 0) close(fd);
    if (!ok) free(data);
    *out_data = ok ? data : NULL;
    *out_bytes = ok ? at : 0;
    return ok;
}

enum reel_err collective_read_file(struct collective *c, const char *path, size_t most, void **out_data,
                                   size_t *out_bytes)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    *out_data = NULL;
    if (c->rank == 0) read_file(path, most, &data, &bytes);
    uint64_t told = bytes;
    enum reel_err err = collective_broadcast(c, &told, sizeof told, 0);
    if (!err && (told == 0 || told > most)) err = gone();
    if (!err && c->rank && !(data = malloc((size_t)told)))
        err = reel_fail(REEL_ERR_NOMEM, "could not take over a file: out of memory");
    if (!err) err = collective_broadcast(c, data, (size_t)told, 0);
    if (err) {
        free(data);
        return err;
    }
    *out_data = data;
    *out_bytes = (size_t)told;
    return REEL_OK;
}
