// SPDX-License-Identifier: MIT
//
// Looks now and then whether the run's output will fit its disk, and says so early (room.h).
// All outputs are taken to lie on the disk of the first one. Decides nothing.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/life.h"
#include "coordinator/coordinator.h"

#define LOOK_US INT64_C(500000)
#define LEAST_SPEED_US INT64_C(5000000) // before that the speed of writing is not known
#define FAT_MAGIC 0x4d44
#define FAT_LARGEST UINT32_MAX // bytes of a file

// Whether files can have holes here: tried on one of our own.
static bool can_punch(const struct job *job)
{
    char path[REEL_PATH_BYTES];
    snprintf(path, sizeof path, "%s/holes", job->spec->parts_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return true;
    const bool can = pwrite(fd, "", 1, 0) == 1 && !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
    close(fd);
    unlink(path);
    return can;
}

static enum room_join join_of(struct disk *d, const struct job *job)
{
    const char *output = job->spec->output;
    switch (job->spec->kind) {
    case REEL_OUTPUT_JSONL:
    case REEL_OUTPUT_MD5:
        return ROOM_JOIN_COPIES;
    case REEL_OUTPUT_VIDEO:
        break;
    default:
        return ROOM_JOIN_MOVES;
    }
    const char *container = reel_container_of(output, strlen(output));
    if (container && !strcmp(container, "gif")) return ROOM_JOIN_ENCODES;
    if (!d->tried) d->holes = can_punch(job);
    d->tried = true;
    return d->holes ? ROOM_JOIN_PUNCHES : ROOM_JOIN_COPIES;
}

// Of a segment in progress, from the size of its unfinished part.
static void add_lane(struct run *run, const struct job *job, uint32_t l, struct room_job *out)
{
    const struct lane *lane = &run->lanes[l];
    const struct proc *p = supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator);
    char part[REEL_PATH_BYTES], path[REEL_PATH_BYTES + 32];
    struct stat st;
    snprintf(path, sizeof path, "%s.%d.tmp", reel_part_path(job->spec, lane->p.segment, part), (int)p->pid);
    if (stat(path, &st) || !S_ISREG(st.st_mode) || lane->taken <= lane->warmup) return;
    out->bytes += (uint64_t)st.st_size;
    out->frames += (uint64_t)(lane->taken - lane->warmup) * run_rate(run);
}

static struct room_job job_of(struct run *run, const struct job *job)
{
    struct room_job out = {.join = join_of(&run->disk, job), .joining = job->state == JOB_MUX};
    for (uint32_t i = 0; i < job->n_segments; i++)
        if (job->segments[i].state == SEGMENT_COMMITTED) {
            out.bytes += job->segments[i].committed.bytes;
            out.frames += job->segments[i].committed.frames;
        }
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && !run->lanes[l].committed && run->lanes[l].p.job == job->spec->id)
            add_lane(run, job, l, &out);
    if (job->scanned.media.n_frames > 0) out.frames_total = (uint64_t)job->scanned.media.n_frames * run_rate(run);
    out.copy_bytes = job->scanned.copy_bytes;
    return out;
}

// The largest file that may be written; 0: any.
static uint64_t largest_file(const char *folder)
{
    struct statfs fs;
    struct rlimit limit;
    uint64_t most = !statfs(folder, &fs) && fs.f_type == FAT_MAGIC ? FAT_LARGEST : 0;
    if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY && (!most || limit.rlim_cur < most))
        most = limit.rlim_cur;
    return most;
}

static void say_too_large(struct run *run, const struct job *job, uint64_t bytes, uint64_t most)
{
    char a[32], b[32];
    if (run->disk.too_large) return;
    run->disk.too_large = true;
    progress_pause(run->progress);
    fprintf(stderr,
            "warning: \"%s\" will have about %s, and a file there may have at most %s\nuse another disk or a larger "
            "ulimit -f, or make the output in pieces (--start, --end)\n",
            job->spec->output, memory_text(bytes, a), memory_text(most, b));
}

static const char *time_text(double seconds, char *buf, size_t bytes)
{
    if (seconds >= 5400)
        snprintf(buf, bytes, "%.0f hours", seconds / 3600);
    else if (seconds >= 90)
        snprintf(buf, bytes, "%.0f minutes", seconds / 60);
    else
        snprintf(buf, bytes, "%.0f seconds", seconds);
    return buf;
}

static void say_short(struct run *run, const struct room_need *need, double full_s)
{
    const struct disk *d = &run->disk;
    char a[32], b[32], when[64] = "", time[32];
    if (need->parts > d->free_bytes && full_s >= 0)
        snprintf(when, sizeof when, ": it will be full in about %s", time_text(full_s, time, sizeof time));
    else if (need->parts <= d->free_bytes)
        snprintf(when, sizeof when, ", to put the output together");
    progress_pause(run->progress);
    fprintf(stderr,
            "warning: the disk of \"%s\" has %s left, and this run needs about %s more%s\nfree some space meanwhile; "
            "or stop it, and the same command goes on when there is room\n",
            run->jobs[0].spec->output, memory_text(d->free_bytes, a), memory_text(d->needed_bytes, b), when);
}

static double seconds_to_full(struct disk *d, uint64_t written, int64_t now_us)
{
    if (!d->since_us) {
        d->since_us = now_us;
        d->written_before = written;
    }
    const double span = (double)(now_us - d->since_us) / 1e6;
    if (now_us - d->since_us < LEAST_SPEED_US || written <= d->written_before) return -1;
    return (double)d->free_bytes / ((double)(written - d->written_before) / span);
}

// What the jobs that run now need; *written: of their parts, so far.
static struct room_need need_of_active(struct run *run, uint64_t *written)
{
    struct room_need all = {.share = 1};
    for (uint32_t i = 0; i < run->n_active; i++) {
        const struct job *job = &run->jobs[run->active[i]];
        if ((job->state != JOB_RUN && job->state != JOB_MUX) || job->spec->kind == REEL_OUTPUT_NULL) continue;
        const struct room_job now = job_of(run, job);
        const struct room_need need = room_need_of(&now);
        *written += now.bytes;
        if (!need.output) continue;
        all.parts += need.parts;
        all.join += need.join;
        if (need.share < all.share) all.share = need.share;
        const uint64_t most = largest_file(job->spec->parts_dir);
        if (most && (double)need.output > 1.25 * (double)most && !reel_is_numbered(job->spec->kind))
            say_too_large(run, job, need.output, most);
    }
    return all;
}

// Of the jobs that have not begun: half of what as many finished ones have written, as inputs
// differ.
static void add_waiting(const struct run *run, struct room_need *all)
{
    uint64_t bytes = 0;
    uint32_t done = 0;
    for (uint32_t i = 0; i < run->next_job; i++) {
        done += run->jobs[i].output_bytes > 0;
        bytes += run->jobs[i].output_bytes;
    }
    if (done < 2 || run->next_job == run->n_jobs) return;
    all->parts += bytes / done * (run->n_jobs - run->next_job) / 2;
    const double share = (double)done / run->n_jobs;
    if (share < all->share) all->share = share;
}

void disk_tick(struct run *run, int64_t now_us)
{
    struct disk *d = &run->disk;
    if (run->settings.live || run->streams || !run->first_dispatch_us || now_us - d->looked_us < LOOK_US) return;
    d->looked_us = now_us;
    uint64_t written = 0;
    struct statfs fs;
    struct room_need all = need_of_active(run, &written);
    add_waiting(run, &all);
    const struct job *job = run->n_active ? &run->jobs[run->active[0]] : NULL;
    if (!job || job->state < JOB_RUN || job->spec->kind == REEL_OUTPUT_NULL) return;
    if (statfs(job->spec->parts_dir, &fs) || !fs.f_blocks) return; // a file system that does not say
    d->free_bytes = (uint64_t)(geteuid() ? fs.f_bavail : fs.f_bfree) * (uint64_t)fs.f_bsize;
    d->needed_bytes = all.parts + all.join;
    const double full_s = seconds_to_full(d, written, now_us);
    if (room_judge(&d->said, &all, d->free_bytes, full_s) == ROOM_ENOUGH) return;
    d->warned = true;
    say_short(run, &all, full_s);
}
