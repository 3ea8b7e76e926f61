// SPDX-License-Identifier: MIT
//
// Reads and writes plan files; see cache.h.
//
//   reelmill plan 1 KEYBYTES BODYBYTES CRC32C\n   (CRC over key and body)
//   KEY\n
//   BODY
#include "worker/backend/cudnn/plan/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"

#define HEADER "reelmill plan 1 "
#define PATH_BYTES 1200
// A serialised plan has 60 to 260 KB, so a file larger than this is not ours.
#define BODY_MAX (64u << 20)

const char *plan_cache_default_dir(char *buf, size_t buf_bytes)
{
    const char *own = getenv("REELMILL_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    // The XDG base directory specification ignores relative paths.
    if (own && *own)
        snprintf(buf, buf_bytes, "%s/plans", own);
    else if (xdg && *xdg == '/')
        snprintf(buf, buf_bytes, "%s/reelmill/plans", xdg);
    else if (home && *home == '/')
        snprintf(buf, buf_bytes, "%s/.cache/reelmill/plans", home);
    else
        *buf = 0;
    return buf;
}

const char *plan_cache_path(const char *dir, const char *key, char *buf, size_t buf_bytes)
{
    struct reel_sha256 sha;
    uint8_t hash[32];
    char hex[65];
    reel_sha256_init(&sha);
    reel_sha256_update(&sha, key, strlen(key));
    reel_sha256_final(&sha, hash);
    snprintf(buf, buf_bytes, "%s/%s.plan", dir, reel_hex(hash, sizeof hash, hex));
    return buf;
}

static uint32_t checksum(const char *key, size_t key_bytes, const char *body, size_t body_bytes)
{
    return reel_crc32c(reel_crc32c(0, key, key_bytes), body, body_bytes);
}

// The body of an open file, or NULL if anything about it is not as it should be.
static char *read_body(FILE *f, const char *key, size_t *out_bytes)
{
    size_t key_bytes = 0, body_bytes = 0, want = strlen(key);
    unsigned crc = 0;
    char newline = 0;
    if (fscanf(f, HEADER "%zu %zu %x%c", &key_bytes, &body_bytes, &crc, &newline) != 4) return NULL;
    if (newline != '\n' || key_bytes != want || body_bytes > BODY_MAX) return NULL;
    char *text = malloc(key_bytes + 1 + body_bytes + 1);
    if (!text) return NULL;
    size_t got = fread(text, 1, key_bytes + 1 + body_bytes + 1, f); // there must not be one more byte
    char *body = text + key_bytes + 1;
    if (got != key_bytes + 1 + body_bytes || memcmp(text, key, key_bytes) || text[key_bytes] != '\n' ||
        checksum(text, key_bytes, body, body_bytes) != crc) {
        free(text);
        return NULL;
    }
    memmove(text, body, body_bytes);
    text[body_bytes] = 0;
    *out_bytes = body_bytes;
    return text;
}

enum reel_err plan_cache_load(const char *dir, const char *key, char **out_body, size_t *out_bytes)
{
    char path[PATH_BYTES];
    if (!*dir) return REEL_AGAIN;
    FILE *f = fopen(plan_cache_path(dir, key, path, sizeof path), "rb");
    if (!f) return REEL_AGAIN;
    *out_body = read_body(f, key, out_bytes);
    fclose(f);
    return *out_body ? REEL_OK : REEL_AGAIN;
}

// mkdir -p
static bool make_dirs(const char *dir)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", dir);
    for (char *c = path + 1; *c; c++) {
        if (*c != '/') continue;
        *c = 0;
        if (mkdir(path, 0700) && errno != EEXIST) return false;
        *c = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

enum reel_err plan_cache_store(const char *dir, const char *key, const char *body, size_t bytes)
{
    char path[PATH_BYTES], temp[PATH_BYTES + 16];
    if (!*dir) return REEL_OK;
    plan_cache_path(dir, key, path, sizeof path);
    if (!make_dirs(dir)) return reel_fail(REEL_ERR_IO, "could not make folder \"%s\": %s", dir, strerror(errno));
    snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    int fd = mkstemp(temp);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not write plan \"%s\": %s", path, strerror(errno));
    FILE *f = fdopen(fd, "wb");
    bool good = f != NULL;
    if (good) {
        good = fprintf(f, HEADER "%zu %zu %08x\n%s\n", strlen(key), bytes, checksum(key, strlen(key), body, bytes),
                       key) > 0 &&
               fwrite(body, 1, bytes, f) == bytes;
        good = fclose(f) == 0 && good;
    } else {
        close(fd);
    }
    // There is no fsync: if a power cut leaves half a file, its checksum does not match.
    good = good && rename(temp, path) == 0;
    if (good) return REEL_OK;
    enum reel_err err = reel_fail(REEL_ERR_IO, "could not write plan \"%s\": %s", path, strerror(errno));
    unlink(temp);
    return err;
}
