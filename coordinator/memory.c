// SPDX-License-Identifier: MIT
//
// Limits of the machine and the account of lanes. See memory.h.
#include "coordinator/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/settings.h"
#include "coordinator/cgroup.h"

static uint64_t meminfo(const char *key)
{
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f) return 0;
    char line[256];
    unsigned long long kb = 0;
    size_t n = strlen(key);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, key, n) && line[n] == ':') sscanf(line + n + 1, "%llu", &kb);
    fclose(f);
    return kb * 1024;
}

static uint64_t largest_file(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

enum reel_err memory_limits(const char *option, struct memory_limits *out)
{
    const uint64_t machine = meminfo("MemAvailable"), groups = cgroup_memory_left(CGROUP_ROOT, CGROUP_SELF);
    const uint64_t known = machine ? machine : UINT64_C(1) << 30;
    *out = (struct memory_limits){
        .available = groups < known ? groups : known, .option = UINT64_MAX, .file = largest_file()};
    uint64_t asked;
    enum reel_err err = reel_parse_bytes(option, meminfo("MemTotal"), &asked);
    if (err) return err;
    if (asked) out->option = asked;
    // Half of what is free, but the whole of a limit that the user gave.
    out->budget = out->available / 2 < out->option ? out->available / 2 : out->option;
    if (out->file < out->budget) out->budget = out->file;
    return REEL_OK;
}

static uint64_t lane_bytes(const struct memory_want *w, uint32_t in, uint32_t out)
{
    return in * w->in_slot_bytes + out * w->out_slot_bytes + w->codec_bytes;
}

enum memory_answer memory_fit(uint64_t budget, uint64_t used, const struct memory_want *want,
                              struct memory_grant *out_grant)
{
    uint64_t fixed = used + want->model_bytes;
    uint64_t full = lane_bytes(want, want->in_slots, want->out_slots + want->spares);
    if (fixed + full <= budget) {
        *out_grant = (struct memory_grant){want->in_slots, want->out_slots, want->spares, full};
        return MEMORY_GRANTED;
    }
    if (used) return MEMORY_WAIT; // rather fewer lanes than smaller ones
    uint32_t in = want->in_slots, out = want->out_slots;
    while (fixed + lane_bytes(want, in, out) > budget) {
        // Keep the two in proportion: a slot of one is little use without the other.
        bool in_more = (uint64_t)in * want->out_slots >= (uint64_t)out * want->in_slots;
        if (in > want->least_in_slots && (in_more || out <= want->least_out_slots))
            in--;
        else if (out > want->least_out_slots)
            out--;
        else
            return MEMORY_REFUSED;
    }
    *out_grant = (struct memory_grant){in, out, 0, lane_bytes(want, in, out)};
    return MEMORY_GRANTED;
}

const char *memory_text(uint64_t bytes, char *buf)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)bytes;
    int u = 0;
    while (v >= 1024 && u < 4) v /= 1024, u++;
    snprintf(buf, 32, v < 10 && u ? "%.1f %s" : "%.0f %s", v, unit[u]);
    return buf;
}

void memory_explain(const struct memory_limits *limits, const struct memory_want *w, char *out, uint64_t bytes)
{
    char a[32], b[32], c[32], d[32], e[32], f[32];
    const bool by_file = limits->budget == limits->file, by_option = !by_file && limits->budget == limits->option;
    snprintf(out, bytes,
             "could not fit one lane into memory: input %u x %s + output %u x %s + codecs %s + models %s = %s, but "
             "only %s is allowed (%s)\nsmaller frames or tiles (--tile WxH), fewer workers or %s would help",
             w->least_in_slots, memory_text(w->in_slot_bytes, a), w->least_out_slots, memory_text(w->out_slot_bytes, b),
             memory_text(w->codec_bytes, c), memory_text(w->model_bytes, d),
             memory_text(lane_bytes(w, w->least_in_slots, w->least_out_slots) + w->model_bytes, e),
             memory_text(limits->budget, f),
             by_file     ? "the largest file by ulimit -f"
             : by_option ? "--memory"
                         : "half of what is free",
             by_file     ? "a larger ulimit -f"
             : by_option ? "a larger --memory"
                         : "more free memory");
}
