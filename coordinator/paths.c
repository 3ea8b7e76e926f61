// SPDX-License-Identifier: MIT
//
// Paths of outputs. See paths.h.
#include "coordinator/paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/job.h"

#define PARTS_MORE 10 // how much longer the name of a parts folder is than its output's
#define MOST_LINKS 40 // as in the kernel

const char *paths_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool paths_is_pattern(const char *path)
{
    const char *p = strchr(paths_base_name(path), '%');
    if (!p) return false;
    for (p++; *p >= '0' && *p <= '9'; p++) {
    }
    return *p == 'd';
}

char *paths_absolute(const char *path)
{
    char cwd[PATH_MAX], *out = NULL;
    if (*path == '/' || !getcwd(cwd, sizeof cwd)) return strdup(path);
    while (!strncmp(path, "./", 2)) path += 2;
    return asprintf(&out, "%s/%s", cwd, path) < 0 ? NULL : out;
}

static bool same_ending(const char *a, const char *b)
{
    const char *x = strrchr(paths_base_name(a), '.'), *y = strrchr(paths_base_name(b), '.');
    return x && y && !strcasecmp(x, y);
}

char *paths_behind_link(char *path)
{
    char *at = strdup(path);
    for (int i = 0; at && i < MOST_LINKS; i++) {
        char to[PATH_MAX], *next = NULL;
        const ssize_t n = readlink(at, to, sizeof to - 1);
        if (n <= 0) break;
        to[n] = 0;
        const int folder = to[0] == '/' ? 0 : (int)(paths_base_name(at) - at);
        if (asprintf(&next, "%.*s%s", folder, at, to) < 0) next = NULL;
        free(at);
        at = next;
    }
    if (!at || !same_ending(at, path)) {
        free(at);
        return path;
    }
    free(path);
    return at;
}

// A mark that tells names apart that would become the same: of names that are too long only the
// beginning is used, and each % becomes _.
static int mark_of(const char *output, char mark[16])
{
    const char *name = paths_base_name(output);
    int bytes = (int)strlen(name);
    const bool is_long = bytes > NAME_MAX - PARTS_MORE, changes = strchr(name, '%') && !paths_is_pattern(output);
    mark[0] = 0;
    if (!is_long && !changes) return bytes;
    const int room = NAME_MAX - PARTS_MORE - snprintf(mark, 16, "-%08x", reel_crc32c(0, name, (size_t)bytes));
    return bytes < room ? bytes : room;
}

char *paths_parts_dir(const char *output, const char *run_dir, uint32_t id)
{
    char *out = NULL, mark[16];
    const bool nowhere = !strcmp(output, "null:") || !strcmp(output, "null");
    if (nowhere || reel_is_url(output) || reel_is_stdout(output))
        return asprintf(&out, "%s/job-%u", run_dir, id) < 0 ? NULL : out;
    const char *name = paths_base_name(output);
    const int bytes = mark_of(output, mark);
    if (asprintf(&out, "%.*s.%.*s%s.reelmill", (int)(name - output), output, bytes, name, mark) < 0) return NULL;
    // Image muxers would interpret a '%' in the folder's name.
    for (char *p = out + (name - output); *p; p++)
        if (*p == '%') *p = '_';
    return out;
}
