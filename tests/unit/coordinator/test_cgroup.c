// SPDX-License-Identifier: MIT
//
// Limits of control groups, in copies of both kinds of trees.
#include "coordinator/cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "tests/check.h"

static char root[CHECK_FOLDER_BYTES], self[CHECK_FOLDER_BYTES + 8];

static void put(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(path, 0755);
    }
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    if (f) fputs(text, f), fclose(f);
}

static void begin(const char *groups)
{
    check_folder(root);
    snprintf(self, sizeof self, "%s/self", root);
    put("self", groups);
}

static void nothing_is_limited(void)
{
    begin("0::/user.slice/a.scope\n");
    CHECK(cgroup_memory_left(root, self) == UINT64_MAX);
    CHECK_INT(cgroup_cores(root, self), 0);
    put("user.slice/a.scope/memory.max", "max\n");
    put("user.slice/a.scope/memory.high", "max\n");
    put("user.slice/a.scope/cpu.max", "max 100000\n");
    CHECK(cgroup_memory_left(root, self) == UINT64_MAX);
    CHECK_INT(cgroup_cores(root, self), 0);
    CHECK(cgroup_memory_left(root, "/nonexistent/self") == UINT64_MAX);
    reel_remove_tree(root);
}

// A unit of systemd, or a job of Slurm: the limit is not in the root.
static void own_group(void)
{
    begin("0::/system.slice/job.service\n");
    put("system.slice/job.service/memory.max", "1000000\n");
    put("system.slice/job.service/memory.current", "300000\n");
    put("system.slice/job.service/cpu.max", "250000 100000\n");
    CHECK_INT(cgroup_memory_left(root, self), 700000);
    CHECK_INT(cgroup_cores(root, self), 3);
    put("system.slice/memory.max", "2000000\n"); // the group above is fuller
    put("system.slice/memory.current", "1900000\n");
    put("system.slice/cpu.max", "100000 100000\n");
    CHECK_INT(cgroup_memory_left(root, self), 100000);
    CHECK_INT(cgroup_cores(root, self), 1);
    put("system.slice/memory.current", "2900000\n");
    CHECK_INT(cgroup_memory_left(root, self), 0);
    put("system.slice/memory.max", "max\n");
    put("system.slice/job.service/memory.high", "400000\n");
    CHECK_INT(cgroup_memory_left(root, self), 100000);
    reel_remove_tree(root);
}

// A container that has read large files: the cache fills its group.
static void cache_is_free(void)
{
    begin("0::/\n");
    put("memory.max", "1000000\n");
    put("memory.current", "990000\n");
    put("memory.stat", "anon 90000\nfile 880000\nshmem 80000\ninactive_anon 5\ninactive_file 700000\n"
                       "active_file 100000\nslab_reclaimable 10000\nworkingset_refault_file 7\n");
    CHECK_INT(cgroup_memory_left(root, self), 820000);
    reel_remove_tree(root);
}

static void version_1(void)
{
    begin("12:cpuset:/other\n5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("memory/memory.usage_in_bytes", "5\n");
    put("cpu/cpu.cfs_quota_us", "-1\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    CHECK(cgroup_memory_left(root, self) == UINT64_MAX);
    CHECK_INT(cgroup_cores(root, self), 0);
    put("memory/docker/abc/memory.limit_in_bytes", "1000000\n");
    put("memory/docker/abc/memory.usage_in_bytes", "900000\n");
    put("memory/docker/abc/memory.stat", "inactive_file 1\ntotal_inactive_file 300000\ntotal_active_file 100000\n");
    put("cpu/docker/abc/cpu.cfs_quota_us", "150000\n");
    put("cpu/docker/abc/cpu.cfs_period_us", "100000\n");
    CHECK_INT(cgroup_memory_left(root, self), 500000);
    CHECK_INT(cgroup_cores(root, self), 2);
    reel_remove_tree(root);
}

// The group's path is the host's, and the container sees its own group as the root.
static void path_of_the_host(void)
{
    begin("0::/docker/abc\n");
    put("memory.max", "1000000\n");
    put("memory.current", "400000\n");
    CHECK_INT(cgroup_memory_left(root, self), 600000);
    put("self", "0::/../../x\n");
    CHECK_INT(cgroup_memory_left(root, self), 600000);
    put("self", "garbage\n::\n0:\n\n0::\n");
    CHECK_INT(cgroup_memory_left(root, self), 600000);
    reel_remove_tree(root);
}

CHECK_MAIN({"nothing_is_limited", nothing_is_limited}, {"own_group", own_group}, {"cache_is_free", cache_is_free},
           {"version_1", version_1}, {"path_of_the_host", path_of_the_host})
