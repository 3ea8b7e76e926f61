// SPDX-License-Identifier: MIT
//
// What the control groups of this process allow: those of a container, a systemd unit or a batch
// system's job. Both versions of the interface; each group counts together with all groups above it.
// Called by memory.c and command.c.
#ifndef COORDINATOR_CGROUP_H
#define COORDINATOR_CGROUP_H

#include <stdint.h>

#define CGROUP_ROOT "/sys/fs/cgroup"    // where the groups are mounted
#define CGROUP_SELF "/proc/self/cgroup" // in which ones this process is

// root, self: the two paths above; tests give others.

// Bytes of memory that may still be used, UINT64_MAX if there is no limit. Files in the page cache
// count as free, because the kernel drops them before a group is full.
uint64_t cgroup_memory_left(const char *root, const char *self);
// The quota of CPU time in cores, rounded up; 0 if there is none.
uint32_t cgroup_cores(const char *root, const char *self);

#endif
