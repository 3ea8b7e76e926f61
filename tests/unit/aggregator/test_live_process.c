// SPDX-License-Identifier: MIT
//
// The aggregator as a process with a live job, this test in the coordinator's place:
// frames with gaps, attempts, its death and another life, a server that is not there.
#include <libgen.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "aggregator/av.h"
#include "common/child.h"
#include "common/life.h"
#include "common/shm.h"
#include "tests/check.h"
#include "tests/unit/link.h"

#define LANES 2
#define SLOTS 6
#define RING_BYTES (4u << 20)
#define STEP 512

static const char *program; // of this test

struct rig {
    char folder[CHECK_FOLDER_BYTES], parts[CHECK_FOLDER_BYTES + 16], output[CHECK_FOLDER_BYTES + 64];
    struct reel_settings settings;
    struct reel_job job;
    struct reel_media media;
    struct reel_rec_proven proven;
    struct reel_rec_shaped shaped;
    struct reel_geometry in;
    // of one life
    uint32_t life;
    struct link link;
    pid_t pid;
    int pidfd;
    struct reel_ring in_rings[LANES], out_rings[LANES];
    int untaken; // frames of the lane
};

static bool spawn(struct rig *r, struct reel_child_params *p, const int *keep, int n_keep)
{
    char buf[4096], path[4096], dir[4096], *argv[REEL_CHILD_MAX_ARGS];
    snprintf(dir, sizeof dir, "%s", program);
    snprintf(path, sizeof path, "%.4000s/../../../aggregator", dirname(dir));
    if (!reel_child_argv(p, buf, sizeof buf, argv) && !reel_life_spawn(path, argv, keep, n_keep, &r->pid, &r->pidfd))
        return true;
    fprintf(stderr, "%s\n", reel_fail_text());
    return false;
}

// Another life of the process; what is in the parts folder stays.
static bool start(struct rig *r)
{
    char bus_path[CHECK_FOLDER_BYTES + 32];
    r->life++;
    r->link.peer = reel_peer_make(REEL_AGGREGATOR, 0, r->life);
    r->link.msg = (struct reel_msg){0};
    r->link.at = 0;
    snprintf(bus_path, sizeof bus_path, "%s/bus%u", r->folder, r->life);
    int settings_fd, jobs_fd, stat_fd, in_fds[LANES], out_fds[LANES];
    struct reel_stat_page *page;
    struct reel_box_fds box;
    char *text = opt_dump(reel_settings_table(), &r->settings, false);
    bool ok = !reel_shm_publish("settings", text, strlen(text), &settings_fd) &&
              !reel_jobs_publish(&r->job, 1, &jobs_fd) && !reel_stat_create(&stat_fd, &page) &&
              !reel_bus_open_hub(bus_path, &r->link.bus) && !reel_bus_admit(r->link.bus, r->link.peer, &box);
    free(text);
    for (int i = 0; i < LANES && ok; i++)
        ok = !reel_shm_create(REEL_SHM_MEMFD, RING_BYTES, &in_fds[i]) &&
             !reel_shm_create(REEL_SHM_MEMFD, RING_BYTES, &out_fds[i]) &&
             !reel_ring_init(&r->in_rings[i], in_fds[i], RING_BYTES) &&
             !reel_ring_init(&r->out_rings[i], out_fds[i], RING_BYTES);
    if (!ok) return false;
    struct reel_child_params p = {.box = box,
                                  .stage = REEL_AGGREGATOR,
                                  .incarnation = r->life,
                                  .parent = getpid(),
                                  .device = -1,
                                  .bus_path = bus_path,
                                  .settings_fd = settings_fd,
                                  .jobs_fd = jobs_fd,
                                  .stat_fd = stat_fd,
                                  .lanes = LANES,
                                  .in_ring_bytes = RING_BYTES,
                                  .out_ring_bytes = RING_BYTES,
                                  .in_ring_fds = in_fds,
                                  .out_ring_fds = out_fds};
    int keep[6 + 2 * LANES] = {settings_fd, jobs_fd, stat_fd};
    for (int i = 0; i < LANES; i++) keep[3 + 2 * i] = in_fds[i], keep[4 + 2 * i] = out_fds[i];
    int *boxes = keep + 3 + 2 * LANES; // the bus's own
    boxes[0] = box.memory, boxes[1] = box.child_bell, boxes[2] = box.hub_bell;
    ok = spawn(r, &p, keep, 6 + 2 * LANES);
    for (int i = 0; i < 3 + 2 * LANES; i++) close(keep[i]);
    return ok && link_await(&r->link, REEL_MSG_HELLO);
}

// After QUIT, or a signal that was sent; the exit code, or -signal.
static int reap(struct rig *r)
{
    bool killed;
    int rc = link_reap(&r->link, r->pidfd, &killed);
    for (int i = 0; i < LANES; i++) reel_ring_fini(&r->in_rings[i]), reel_ring_fini(&r->out_rings[i]);
    reel_bus_close(&r->link.bus);
    return killed ? -1000 : rc;
}

static int quit(struct rig *r)
{
    link_post(&r->link, REEL_MSG_QUIT, NULL);
    return reap(r);
}

// A job of 96 x 64 pictures whose output has this name, or is this address.
static bool begin(struct rig *r, const char *output)
{
    *r = (struct rig){.pidfd = -1};
    check_folder(r->folder);
    snprintf(r->parts, sizeof r->parts, "%s/parts", r->folder);
    if (mkdir(r->parts, 0700)) return false;
    snprintf(r->output, sizeof r->output, reel_is_url(output) ? "%.0s%s" : "%s/%s", r->folder, output);
    opt_defaults(reel_settings_table(), &r->settings);
    r->settings.live = true;
    r->settings.latency_ms = 300;
    r->job = (struct reel_job){0, REEL_OUTPUT_STREAM, "in", r->output, r->parts};
    r->media = (struct reel_media){.width = 96,
                                   .height = 64,
                                   .format = {REEL_PIX_YUV, 8, 1, 1},
                                   .source_depth = 8,
                                   .colour = {2, 2, 2, 0, 0, 0},
                                   .sar = {0, 1},
                                   .time_base = {1, 12800},
                                   .frame_rate = {25, 1},
                                   .n_frames = -1,
                                   .codec = "h264"};
    reel_geometry_init(&r->in, r->media.format, 96, 64, REEL_INPUT_AUX_BYTES);
    r->shaped = (struct reel_rec_shaped){.task = REEL_TASK_IMAGE, .width = 96, .height = 64, .format = r->media.format};
    if (!start(r)) return false;
    struct reel_rec_prove prove = {.in_slots = SLOTS, .media = r->media, .in = r->in, .shaped = r->shaped};
    link_post(&r->link, REEL_MSG_PROVE, &prove);
    const struct reel_rec_proven *proven = link_await(&r->link, REEL_MSG_PROVEN);
    if (proven) r->proven = *proven;
    return proven != NULL;
}

static void end(struct rig *r)
{
    reel_remove_tree(r->folder);
}

static void open_attempt(struct rig *r, uint32_t lane, uint32_t attempt)
{
    struct reel_rec_open open = {.lane = lane,
                                 .epoch = attempt + 1,
                                 .segment = attempt,
                                 .in_slots = SLOTS,
                                 .out_slots = SLOTS,
                                 .in = r->in,
                                 .out = r->proven.out,
                                 .media = r->media,
                                 .out_colour = r->proven.out_colour,
                                 .task = REEL_TASK_IMAGE,
                                 .parts = 1,
                                 .live = 1,
                                 .start_pts = INT64_MIN,
                                 .end_pts = INT64_MAX};
    r->untaken = 0;
    reel_ring_configure(&r->in_rings[lane], open.epoch, SLOTS, &open.in);
    reel_ring_configure(&r->out_rings[lane], open.epoch, SLOTS, &open.out);
    link_post(&r->link, REEL_MSG_OPEN_LANE, &open);
}

// Frame n; waits until the ones before it are TAKEN (the last is kept, as a frame that
// could not be done repeats it).
static bool give(struct rig *r, uint32_t lane, uint32_t attempt, uint32_t n, int64_t pts)
{
    uint32_t slot = n % SLOTS;
    struct reel_ring *out = &r->out_rings[lane];
    for (int p = 0; p < 3; p++)
        memset(reel_ring_plane(out, slot, p), (int)(40 + n * 3), out->geometry.plane_stride[p] * (p ? 32u : 64u));
    reel_ring_publish(&r->in_rings[lane], slot, n, pts, 0);
    reel_ring_publish(out, slot, n, pts, 0);
    struct reel_rec_frame rec = {lane, attempt + 1, n, slot, slot, 0, pts, 0};
    link_post(&r->link, REEL_MSG_FRAME, &rec);
    for (r->untaken++; r->untaken > 1; r->untaken--)
        if (!link_await(&r->link, REEL_MSG_TAKEN)) return false;
    return true;
}

static const struct reel_rec_committed *finish(struct rig *r, uint32_t lane, uint32_t attempt, uint32_t frames)
{
    link_post(&r->link, REEL_MSG_FINISH, &(struct reel_rec_finish){lane, attempt + 1, frames});
    return link_await(&r->link, REEL_MSG_COMMITTED);
}

static bool close_lane(struct rig *r, uint32_t lane, uint32_t attempt)
{
    link_post(&r->link, REEL_MSG_CLOSE_LANE, &(struct reel_rec_lane){lane, attempt + 1});
    return link_await(&r->link, REEL_MSG_LANE_CLOSED);
}

static const struct reel_rec_muxed *mux(struct rig *r)
{
    link_post(&r->link, REEL_MSG_MUX, &(struct reel_rec_mux){.media = r->media, .kept = {.audio = REEL_KEPT_ALL}});
    return link_await(&r->link, REEL_MSG_MUXED);
}

// Frames of a file, and the timestamp of the last in us.
static int count_frames(const char *path, int64_t *out_last)
{
    AVFormatContext *ic = NULL;
    if (avformat_open_input(&ic, path, NULL, NULL) < 0) return -1;
    AVPacket *pkt = av_packet_alloc();
    int n = 0;
    for (; av_read_frame(ic, pkt) >= 0; n++) {
        *out_last = av_rescale_q(pkt->pts, ic->streams[0]->time_base, (AVRational){1, 1000000});
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    avformat_close_input(&ic);
    return n;
}

// The file has that many frames, after 20 seconds at most.
static bool has_frames(const char *path, int least)
{
    int64_t last, until = reel_now_us() + 20000000;
    while (count_frames(path, &last) < least) {
        if (reel_now_us() > until) return false;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return true;
}

// ---- cases --------------------------------------------------------------------------

static void gaps_and_attempts(void)
{
    struct rig r;
    CHECK(begin(&r, "a.mkv"));
    uint32_t frames = 0;
    open_attempt(&r, 0, 0);
    for (uint32_t n = 0; n < 30; n++) {
        if (n % 4 == 2) continue; // dropped
        CHECK(give(&r, 0, 0, n, n * STEP));
        frames++;
    }
    const struct reel_rec_committed *c = finish(&r, 0, 0, frames);
    CHECK(c);
    CHECK_INT(c->frames, frames);
    CHECK_INT(c->unsent, 0);
    CHECK_INT(c->file, 1);
    CHECK(c->latency_us[REEL_LATENCY_MAX] > 0);
    // The next one begins in the other lane, and is given up; the third ends well.
    CHECK(close_lane(&r, 0, 0));
    open_attempt(&r, 1, 1);
    for (uint32_t n = 0; n < 5; n++) CHECK(give(&r, 1, 1, n, (40 + n) * STEP));
    CHECK(close_lane(&r, 1, 1));
    open_attempt(&r, 0, 2);
    for (uint32_t n = 3; n < 8; n++) CHECK(give(&r, 0, 2, n, (60 + n) * STEP)); // begins with a gap
    c = finish(&r, 0, 2, 5);
    CHECK(c);
    CHECK_INT(c->frames, 5);
    CHECK(close_lane(&r, 0, 2));
    const struct reel_rec_muxed *m = mux(&r);
    CHECK(m);
    CHECK_INT(m->frames, frames + 10);
    CHECK_INT(m->kept.audio, REEL_KEPT_ALL);
    CHECK(m->bytes > 0 && m->latency_us[REEL_LATENCY_MEDIAN] > 0);
    CHECK_STR(r.link.notes, "");
    CHECK_INT(quit(&r), 0);
    int64_t last;
    CHECK_INT(count_frames(r.output, &last), frames + 10);
    CHECK_NEAR(last, 67 * 40000, 1000);
    end(&r);
}

static void killed_and_again(void)
{
    struct rig r;
    CHECK(begin(&r, "a.mkv"));
    open_attempt(&r, 0, 0);
    for (uint32_t n = 0; n < 15; n++) CHECK(give(&r, 0, 0, n, n * STEP));
    CHECK(has_frames(r.output, 12)); // the last may be on their way
    kill(r.pid, SIGKILL);
    CHECK_INT(reap(&r), -SIGKILL);
    CHECK(start(&r));
    open_attempt(&r, 1, 1);
    for (uint32_t n = 0; n < 10; n++) CHECK(give(&r, 1, 1, n, (100 + n) * STEP));
    const struct reel_rec_committed *c = finish(&r, 1, 1, 10);
    CHECK(c);
    CHECK_INT(c->file, 2);
    CHECK(close_lane(&r, 1, 1));
    const struct reel_rec_muxed *m = mux(&r);
    CHECK(m);
    CHECK_INT(m->frames, 10);
    CHECK_INT(m->file, 2);
    CHECK_HAS(r.link.notes, "continues in \"a.2.mkv\"");
    CHECK_INT(quit(&r), 0);
    int64_t last;
    int before = count_frames(r.output, &last);
    CHECK_MSG(before >= 12 && before <= 15, "%d frames", before);
    char second[CHECK_FOLDER_BYTES + 16];
    snprintf(second, sizeof second, "%s/a.2.mkv", r.folder);
    CHECK_INT(count_frames(second, &last), 10);
    CHECK_NEAR(last, 9 * 40000, 1000);
    // A life in which nothing came ends the job all the same.
    CHECK(start(&r));
    m = mux(&r);
    CHECK(m);
    CHECK_INT(m->frames, 0);
    CHECK_INT(m->file, 2);
    CHECK_INT(quit(&r), 0);
    end(&r);
}

// Nobody is there: frames are taken and given up, and the process ends when it should.
static void nobody_there(void)
{
    struct rig r;
    CHECK(begin(&r, "tcp://127.0.0.1:1"));
    open_attempt(&r, 0, 0);
    for (uint32_t n = 0; n < 20; n++) CHECK(give(&r, 0, 0, n, n * STEP));
    const struct reel_rec_committed *c = finish(&r, 0, 0, 20);
    CHECK(c);
    CHECK_INT(c->frames, 0);
    CHECK_INT(c->unsent, 20);
    CHECK_HAS(r.link.notes, "could not connect to \"tcp://127.0.0.1:1\": Connection refused");
    int64_t from = reel_now_us();
    CHECK_INT(quit(&r), 0); // with the lane and the output open
    CHECK_MSG(reel_now_us() - from < 4000000, "it took %lld ms to end", (long long)(reel_now_us() - from) / 1000);
    end(&r);
}

static const struct check_case cases[] = {
    {"gaps_and_attempts", gaps_and_attempts}, {"killed_and_again", killed_and_again}, {"nobody_there", nobody_there}};

int main(int argc, char **argv)
{
    program = argv[0];
    return check_main(cases, (int)(sizeof cases / sizeof *cases), argc, argv);
}
