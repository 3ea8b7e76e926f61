// SPDX-License-Identifier: MIT
//
// Limits of control groups. See cgroup.h.
#include "coordinator/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    void (*see)(struct walk *walk, const char *group, bool v2); // called for each group; v2: version 2
    // the least so far
    uint64_t memory_left; // UINT64_MAX: no limit
    uint32_t cores;       // 0: no limit
};

// ---- reading --------------------------------------------------------------------

// The first number in a file; UINT64_MAX if there is none ("max": no limit).
static uint64_t number_in(const char *group, const char *name)
{
    char path[PATH_MAX];
    unsigned long long value = 0;
    if (snprintf(path, sizeof path, "%s/%s", group, name) >= (int)sizeof path) return UINT64_MAX;
    FILE *f = fopen(path, "re");
    const bool good = f && fscanf(f, "%llu", &value) == 1;
    if (f) fclose(f);
    return good ? value : UINT64_MAX;
}

// The sum of the named values in memory.stat.
static uint64_t stat_of(const char *group, const char *const *keys)
{
    char path[PATH_MAX], line[256], key[128];
    uint64_t sum = 0;
    if (snprintf(path, sizeof path, "%s/memory.stat", group) >= (int)sizeof path) return 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        unsigned long long value;
        if (sscanf(line, "%127s %llu", key, &value) != 2) continue;
        for (const char *const *k = keys; *k; k++) sum += strcmp(key, *k) ? 0 : value;
    }
    if (f) fclose(f);
    return sum;
}

// ---- limits of one group ----------------------------------------------------------

static void see_memory(struct walk *walk, const char *group, bool v2)
{
    static const char *const cache_v2[] = {"inactive_file", "active_file", "slab_reclaimable", NULL};
    static const char *const cache_v1[] = {"total_inactive_file", "total_active_file", NULL};
    uint64_t limit = number_in(group, v2 ? "memory.max" : "memory.limit_in_bytes");
    const uint64_t high = v2 ? number_in(group, "memory.high") : UINT64_MAX; // beyond it processes are slowed down
    if (high < limit) limit = high;
    if (limit > UINT64_C(1) << 60) return; // version 1 says "no limit" as a number
    uint64_t used = number_in(group, v2 ? "memory.current" : "memory.usage_in_bytes");
    const uint64_t cache = stat_of(group, v2 ? cache_v2 : cache_v1);
    if (used == UINT64_MAX) used = 0;
    used = used > cache ? used - cache : 0;
    const uint64_t left = limit > used ? limit - used : 0;
    if (left < walk->memory_left) walk->memory_left = left;
}

static void see_cores(struct walk *walk, const char *group, bool v2)
{
    char path[PATH_MAX];
    unsigned long long quota = 0, period = 0;
    if (v2) {
        if (snprintf(path, sizeof path, "%s/cpu.max", group) >= (int)sizeof path) return;
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%llu %llu", &quota, &period) != 2) quota = 0;
        if (f) fclose(f);
    } else {
        quota = number_in(group, "cpu.cfs_quota_us"); // -1: none, which is read as the largest number
        period = number_in(group, "cpu.cfs_period_us");
    }
    if (!quota || !period || quota > UINT32_MAX || period > UINT32_MAX) return;
    const uint32_t cores = (uint32_t)((quota + period - 1) / period);
    if (!walk->cores || cores < walk->cores) walk->cores = cores;
}

// ---- the walk ---------------------------------------------------------------------

// Sees a group and every group above it. A group that is not mounted here (a container sees its own as
// the root) has no files, and so no limits.
static void climb(struct walk *walk, const char *mount, const char *group, bool v2)
{
    char path[PATH_MAX];
    if (strstr(group, "/..")) group = "/"; // outside of what this namespace shows
    if (snprintf(path, sizeof path, "%s%s", mount, group) >= (int)sizeof path) return;
    const size_t top = strlen(mount);
    for (;;) {
        walk->see(walk, path, v2);
        if (strlen(path) <= top) return;
        *strrchr(path, '/') = 0;
    }
}

// Whether the controller is one of a list like "cpu,cpuacct".
static bool lists(const char *controllers, const char *controller)
{
    const size_t n = strlen(controller);
    for (const char *p = controllers; *p; p += strcspn(p, ","), p += *p == ',')
        if (!strncmp(p, controller, n) && (!p[n] || p[n] == ',')) return true;
    return false;
}

// Takes a line "number:controllers:group"; version 2 has no controllers.
static void take_line(struct walk *walk, const char *root, const char *controller, char *line)
{
    char mount[PATH_MAX], *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return;
    *group++ = 0;
    controllers++;
    group[strcspn(group, "\n")] = 0;
    if (!*controllers) {
        climb(walk, root, group, true);
    } else if (lists(controllers, controller)) {
        if (snprintf(mount, sizeof mount, "%s/%s", root, controller) < (int)sizeof mount)
            climb(walk, mount, group, false);
    }
}

static void visit(struct walk *walk, const char *root, const char *self, const char *controller)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(self, "re");
    while (f && getline(&line, &room, f) > 0) take_line(walk, root, controller, line);
    if (f) fclose(f);
    free(line);
}

uint64_t cgroup_memory_left(const char *root, const char *self)
{
    struct walk walk = {.see = see_memory, .memory_left = UINT64_MAX};
    visit(&walk, root, self, "memory");
    return walk.memory_left;
}

uint32_t cgroup_cores(const char *root, const char *self)
{
    struct walk walk = {.see = see_cores};
    visit(&walk, root, self, "cpu");
    return walk.cores;
}
