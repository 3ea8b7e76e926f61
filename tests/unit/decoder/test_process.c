// SPDX-License-Identifier: MIT
//
// The decoder as a process, with this test in the coordinator's place: hello,
// scan, lanes side by side, windows kept, epochs dropped, failures told, quit.
#include <libgen.h>
#include <signal.h>

#include "common/child.h"
#include "common/life.h"
#include "common/shm.h"
#include "tests/unit/decoder/clip.h"
#include "tests/unit/link.h"

#define LANES 2
#define SLOTS 4
#define RING_BYTES (8u << 20)

static const char *program; // of this test

struct rig {
    struct link link;
    int pidfd;
    struct reel_ring rings[LANES];
    struct reel_stat_page *page;
    char bus_path[128];
};

static bool start(struct rig *r, const char *const *inputs, uint32_t n)
{
    static int serial;
    *r = (struct rig){.link.peer = reel_peer_make(REEL_DECODER, 0, 1), .pidfd = -1};
    snprintf(r->bus_path, sizeof r->bus_path, "%s/bus%d", clip_dir, serial++);
    struct reel_job jobs[4];
    for (uint32_t i = 0; i < n; i++) jobs[i] = (struct reel_job){i, REEL_OUTPUT_NULL, inputs[i], "null:", clip_dir};
    int settings_fd, jobs_fd, stat_fd, in_fds[LANES], out_fds[LANES];
    char *text = opt_dump(reel_settings_table(), &clip_settings, false);
    bool ok = !reel_shm_publish("settings", text, strlen(text), &settings_fd) &&
              !reel_jobs_publish(jobs, n, &jobs_fd) && !reel_stat_create(&stat_fd, &r->page) &&
              !reel_bus_open_hub(r->bus_path, &r->link.bus);
    free(text);
    for (int i = 0; i < LANES && ok; i++)
        ok = !reel_shm_create(REEL_SHM_MEMFD, RING_BYTES, &in_fds[i]) &&
             !reel_shm_create(REEL_SHM_MEMFD, 4096, &out_fds[i]) &&
             !reel_ring_init(&r->rings[i], in_fds[i], RING_BYTES);
    if (!ok) return false;
    struct reel_box_fds box;
    if (reel_bus_admit(r->link.bus, r->link.peer, &box)) return false;
    struct reel_child_params p = {
        .box = box,
        .stage = REEL_DECODER,
        .incarnation = 1,
        .parent = getpid(),
        .device = -1,
        .bus_path = r->bus_path,
        .settings_fd = settings_fd,
        .jobs_fd = jobs_fd,
        .stat_fd = stat_fd,
        .head_fd = -1,
        .lanes = LANES,
        .in_ring_bytes = RING_BYTES,
        .out_ring_bytes = 4096,
        .in_ring_fds = in_fds,
        .out_ring_fds = out_fds,
    };
    char buf[4096], path[4096], dir[4096], *argv[REEL_CHILD_MAX_ARGS];
    snprintf(dir, sizeof dir, "%s", program);
    snprintf(path, sizeof path, "%.4000s/../../../decoder", dirname(dir));
    int keep[6 + 2 * LANES] = {settings_fd, jobs_fd, stat_fd};
    for (int i = 0; i < LANES; i++) keep[3 + 2 * i] = in_fds[i], keep[4 + 2 * i] = out_fds[i];
    int *boxes = keep + 3 + 2 * LANES; // the bus's own
    boxes[0] = box.memory, boxes[1] = box.child_bell, boxes[2] = box.hub_bell;
    pid_t pid;
    if (reel_child_argv(&p, buf, sizeof buf, argv) ||
        reel_life_spawn(path, argv, keep, 6 + 2 * LANES, &pid, &r->pidfd)) {
        fprintf(stderr, "%s\n", reel_fail_text());
        return false;
    }
    for (int i = 0; i < 3 + 2 * LANES; i++) close(keep[i]);
    const struct reel_rec_hello *hello = link_await(&r->link, REEL_MSG_HELLO);
    return hello && strstr(hello->build, "libavcodec");
}

// Quits; the exit code.
static int stop(struct rig *r)
{
    link_post(&r->link, REEL_MSG_QUIT, NULL);
    bool killed;
    int rc = link_reap(&r->link, r->pidfd, &killed);
    for (int i = 0; i < LANES; i++) reel_ring_fini(&r->rings[i]);
    reel_bus_close(&r->link.bus);
    return rc;
}

static bool scan(struct rig *r, uint32_t job, struct reel_rec_scanned *out)
{
    link_post(&r->link, REEL_MSG_SCAN, &(struct reel_rec_job){job});
    const struct reel_rec_scanned *s = link_await(&r->link, REEL_MSG_SCANNED);
    if (s) *out = *s;
    return s && s->job == job;
}

static void open_lane(struct rig *r, uint32_t lane, uint32_t epoch, const struct reel_rec_scanned *s, uint32_t window)
{
    struct reel_rec_open open = {
        .lane = lane,
        .epoch = epoch,
        .job = s->job,
        .in_slots = SLOTS,
        .window_end = window,
        .media = s->media,
        .start_pts = INT64_MIN,
        .warmup_pts = INT64_MIN,
        .end_pts = INT64_MAX,
        .live = clip_settings.live,
    };
    if (open.live) open.start_pts = 0;
    reel_geometry_init(&open.in, s->media.format, s->media.width, s->media.height, REEL_INPUT_AUX_BYTES);
    reel_ring_configure(&r->rings[lane], epoch, SLOTS, &open.in);
    link_post(&r->link, REEL_MSG_OPEN_LANE, &open);
}

static bool make(char *path, size_t bytes)
{
    return clip_have_ffmpeg() &&
           clip_make("-f lavfi -i testsrc2=s=192x108:r=24:d=2 -c:v libx264 -g 24 -bf 2 -preset veryfast", "p.mp4", path,
                     bytes);
}

// Two lanes at once, windows moved frame by frame: never a frame beyond the
// window, every slot stamped, the pixels those of a decode in this process.
static void test_lanes(void)
{
    char path[256];
    if (!make(path, sizeof path)) SKIP("there is no ffmpeg command to make clips with");
    struct clip_scan own = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    struct clip_frames linear = {0};
    struct demux_pool *pool = demux_pool_create(NULL);
    CHECK_INT(clip_segment(&own, pool, NULL, INT64_MIN, INT64_MAX, &linear), REEL_OK);
    demux_pool_destroy(&pool);

    struct rig rig;
    struct reel_rec_scanned s;
    CHECK(start(&rig, (const char *[]){path}, 1));
    CHECK(scan(&rig, 0, &s));
    CHECK_INT(s.media.n_packets, 48);
    CHECK(!memcmp(&s.media, &own.scanned.media, sizeof s.media));
    uint32_t window[LANES] = {1, 2}, got[LANES] = {0}, ended = 0;
    for (uint32_t i = 0; i < LANES; i++) open_lane(&rig, i, 5 + i, &s, window[i]);
    while (ended < LANES) {
        enum reel_msg_type type;
        const void *record = link_next(&rig.link, &type);
        CHECK(record);
        if (type == REEL_MSG_LANE_END) {
            const struct reel_rec_lane_end *end = record;
            CHECK_INT(end->frames, 48);
            CHECK_INT(end->packets, 48);
            CHECK_INT(end->hidden + end->unreadable + end->filtered, 0);
            ended++;
            continue;
        }
        CHECK_INT(type, REEL_MSG_DECODED);
        const struct reel_rec_decoded *f = record;
        CHECK(f->lane < LANES);
        CHECK_INT(f->epoch, 5 + f->lane);
        CHECK_INT(f->n, got[f->lane]);
        CHECK(f->n < window[f->lane]);
        CHECK_INT(f->pts, linear.at[f->n].pts);
        const struct reel_ring *ring = &rig.rings[f->lane];
        struct reel_stamp stamp;
        CHECK_INT(reel_ring_check(ring, f->n % SLOTS, f->n, &stamp), REEL_OK);
        CHECK_INT(clip_hash(&ring->geometry, reel_ring_slot(ring, f->n % SLOTS)), linear.at[f->n].crc);
        got[f->lane]++;
        if (got[f->lane] == window[f->lane]) {
            window[f->lane] += 1 + f->lane;
            link_post(&rig.link, REEL_MSG_WINDOW, &(struct reel_rec_window){f->lane, f->epoch, window[f->lane]});
        }
    }
    CHECK_INT(stop(&rig), 0);
    free(linear.at);
    free(own.entries);
}

// A lane closed in the middle says so, its epoch's windows are dropped, and it
// can be opened again.
static void test_epochs(void)
{
    char path[256];
    if (!make(path, sizeof path)) SKIP("there is no ffmpeg command to make clips with");
    struct rig rig;
    struct reel_rec_scanned s;
    CHECK(start(&rig, (const char *[]){path}, 1));
    CHECK(scan(&rig, 0, &s));
    open_lane(&rig, 1, 1, &s, SLOTS);
    for (int i = 0; i < SLOTS; i++) CHECK(link_await(&rig.link, REEL_MSG_DECODED));
    link_post(&rig.link, REEL_MSG_CLOSE_LANE, &(struct reel_rec_lane){1, 1});
    const struct reel_rec_lane *closed = link_await(&rig.link, REEL_MSG_LANE_CLOSED);
    CHECK(closed && closed->lane == 1 && closed->epoch == 1);
    link_post(&rig.link, REEL_MSG_WINDOW, &(struct reel_rec_window){1, 1, 100});
    link_post(&rig.link, REEL_MSG_CLOSE_LANE, &(struct reel_rec_lane){0, 9}); // never opened
    closed = link_await(&rig.link, REEL_MSG_LANE_CLOSED);
    CHECK(closed && closed->lane == 0 && closed->epoch == 9);
    open_lane(&rig, 1, 2, &s, SLOTS);
    link_post(&rig.link, REEL_MSG_WINDOW, &(struct reel_rec_window){1, 1, 100});
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct reel_rec_decoded *f = link_await(&rig.link, REEL_MSG_DECODED);
        CHECK(f && f->epoch == 2 && f->n == i);
    }
    link_post(&rig.link, REEL_MSG_CLOSE_LANE, &(struct reel_rec_lane){1, 2});
    enum reel_msg_type type;
    CHECK(link_next(&rig.link, &type)); // not a fifth frame: the old window was dropped
    CHECK_INT(type, REEL_MSG_LANE_CLOSED);
    CHECK_INT(stop(&rig), 0);
}

// Bad inputs fail their job only; the process goes on with the next.
static void test_failures(void)
{
    char path[256];
    if (!make(path, sizeof path)) SKIP("there is no ffmpeg command to make clips with");
    struct rig rig;
    struct reel_rec_scanned s;
    CHECK(start(&rig, (const char *[]){"/nonexistent.mp4", path}, 2));
    link_post(&rig.link, REEL_MSG_SCAN, &(struct reel_rec_job){0});
    const struct reel_rec_failed *f = link_await(&rig.link, REEL_MSG_FAILED);
    CHECK(f);
    CHECK_INT(f->scope, REEL_SCOPE_JOB);
    CHECK_INT(f->job, 0);
    CHECK_HAS(f->text, "/nonexistent.mp4");
    CHECK(scan(&rig, 1, &s));
    // The file is replaced after the scan: the lane's entry is not found.
    struct reel_rec_open open = {.lane = 0,
                                 .epoch = 1,
                                 .job = 1,
                                 .in_slots = SLOTS,
                                 .window_end = SLOTS,
                                 .media = s.media,
                                 .has_entry = 1,
                                 .start_pts = 0,
                                 .end_pts = INT64_MAX};
    open.entry =
        (struct reel_entry){.packet_no = 24, .pts = 12288, .dts = 12288, .pos = 100, .bytes = 77, .checksum = 1};
    reel_geometry_init(&open.in, s.media.format, s.media.width, s.media.height, REEL_INPUT_AUX_BYTES);
    link_post(&rig.link, REEL_MSG_OPEN_LANE, &open);
    f = link_await(&rig.link, REEL_MSG_FAILED);
    CHECK(f);
    CHECK_INT(f->scope, REEL_SCOPE_JOB);
    CHECK_HAS(f->text, "changed");
    CHECK_INT(stop(&rig), 0);
}

// A live file whose window is shut: it is decoded on to its end, and the newest frame
// has the slot when one is free. Another attempt goes on behind the last frame.
static void test_live(void)
{
    char path[256];
    if (!make(path, sizeof path)) SKIP("there is no ffmpeg command to make clips with");
    struct rig rig;
    struct reel_rec_scanned s;
    clip_settings.live = true;
    CHECK(start(&rig, (const char *[]){path}, 1));
    int64_t begin = reel_now_us();
    CHECK(scan(&rig, 0, &s));
    CHECK_INT(s.media.n_frames, -1); // nobody has read it to its end
    CHECK_INT(s.media.width, 192);
    open_lane(&rig, 0, 1, &s, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct reel_rec_decoded *f = link_await(&rig.link, REEL_MSG_DECODED);
        CHECK(f && f->n == i);
        CHECK_INT(f->pts, i * 512); // of 1/12288 s: 24 a second
    }
    // Nothing more is told of; what the decoder drops can be seen on the page.
    while (atomic_load(&rig.page->row[0].dropped) < 45 && reel_now_us() - begin < 60000000)
        reel_bus_wait(rig.link.bus, NULL, NULL, 0, 20);
    CHECK(reel_now_us() - begin > 1700000); // 46 frames at 24 a second: at its own pace
    CHECK_INT(atomic_load(&rig.page->row[0].dropped), 45);
    link_post(&rig.link, REEL_MSG_WINDOW, &(struct reel_rec_window){0, 1, 3});
    const struct reel_rec_decoded *f = link_await(&rig.link, REEL_MSG_DECODED);
    CHECK(f && f->n == 2);
    CHECK_INT(f->pts, 47 * 512);
    const struct reel_rec_lane_end *end = link_await(&rig.link, REEL_MSG_LANE_END);
    CHECK(end);
    CHECK_INT(end->frames, 3);
    CHECK_INT(end->packets, 48);
    CHECK_INT(stop(&rig), 0);
    // In another process: from where the first one was.
    CHECK(start(&rig, (const char *[]){path}, 1));
    struct reel_rec_open open = {.live = 1,
                                 .epoch = 2,
                                 .segment = 1,
                                 .in_slots = SLOTS,
                                 .window_end = SLOTS,
                                 .media = s.media,
                                 .start_pts = 40 * 512 + 1,
                                 .end_pts = INT64_MAX};
    reel_geometry_init(&open.in, s.media.format, s.media.width, s.media.height, REEL_INPUT_AUX_BYTES);
    reel_ring_configure(&rig.rings[0], 2, SLOTS, &open.in);
    link_post(&rig.link, REEL_MSG_OPEN_LANE, &open);
    f = link_await(&rig.link, REEL_MSG_DECODED);
    CHECK(f && f->n == 0);
    CHECK_INT(f->pts, 41 * 512);
    // The user wants no more.
    link_post(&rig.link, REEL_MSG_STOP, &(struct reel_rec_lane){0, 2});
    end = link_await(&rig.link, REEL_MSG_LANE_END);
    CHECK(end && end->frames >= 1 && end->frames < 7);
    CHECK_INT(stop(&rig), 0);
    clip_settings.live = false;
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"lanes and windows", test_lanes},
        {"epochs", test_epochs},
        {"failures", test_failures},
        {"live", test_live},
    };
    program = argv[0];
    clip_begin();
    int rc = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    clip_end();
    return rc;
}
