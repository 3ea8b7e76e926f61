// SPDX-License-Identifier: MIT
//
// Live outputs in files and pipes: readable at any moment and after any death, the other streams between the
// frames, several attempts and lives of the process in one output. test_stream_server.c has servers.
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/aggregator/stream_lab.h"

#include "common/life.h"

static void choosing(void)
{
    const int64_t none = INT64_MAX;
    int64_t wait;
    struct outlet_heads h = {.video_us = 100, .other_us = 100};
    CHECK_INT(outlet_choose(&h, 0, 50, 500, &wait), OUTLET_OTHER);
    h.other_us = 101;
    CHECK_INT(outlet_choose(&h, 0, 50, 500, &wait), OUTLET_VIDEO);
    // A frame waits for audio that has been in time, not longer than it may.
    h = (struct outlet_heads){.video_us = 100, .other_us = none, .video_since = 1000, .others_in_time = true};
    CHECK_INT(outlet_choose(&h, 1010, 50, 500, &wait), OUTLET_WAIT);
    CHECK_INT(wait, 40);
    CHECK_INT(outlet_choose(&h, 1050, 50, 500, &wait), OUTLET_VIDEO);
    h.others_in_time = false;
    CHECK_INT(outlet_choose(&h, 1010, 50, 500, &wait), OUTLET_VIDEO);
    // Audio waits for frames, and goes without them when none come.
    h = (struct outlet_heads){.video_us = none, .other_us = 100, .other_since = 1000};
    CHECK_INT(outlet_choose(&h, 1010, 50, 500, &wait), OUTLET_WAIT);
    CHECK_INT(wait, 490);
    CHECK_INT(outlet_choose(&h, 1500, 50, 500, &wait), OUTLET_OTHER);
    h.ending = true;
    CHECK_INT(outlet_choose(&h, 1010, 50, 500, &wait), OUTLET_OTHER);
    h = (struct outlet_heads){.video_us = none, .other_us = none, .ending = true};
    CHECK_INT(outlet_choose(&h, 0, 50, 500, &wait), OUTLET_WAIT);
    CHECK_INT(wait, -1);
}

static const struct {
    const char *name, *encoder;
    enum AVCodecID codec;
    int tolerance_us;
    bool audio;
} files[] = {{"a.mkv", "", AV_CODEC_ID_H264, 501, true},      {"a.mp4", "", AV_CODEC_ID_H264, 1, true},
             {"a.mov", "", AV_CODEC_ID_H264, 1, true},        {"a.ts", "", AV_CODEC_ID_H264, 12, true},
             {"a.webm", "", AV_CODEC_ID_VP9, 501, false},     {"a.mkv", "libx265", AV_CODEC_ID_HEVC, 501, true},
             {"a.mp4", "mpeg4", AV_CODEC_ID_MPEG4, 1, true},  {"a.ts", "mpeg2video", AV_CODEC_ID_MPEG2VIDEO, 12, true},
             {"a.mkv", "ffv1", AV_CODEC_ID_FFV1, 501, true},  {"a.mkv", "mjpeg", AV_CODEC_ID_MJPEG, 501, true},
             {"a.mp4", "libx265", AV_CODEC_ID_HEVC, 1, true}, {"a.mkv", "libsvtav1", AV_CODEC_ID_AV1, 501, true}};

static void containers(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (*files[i].encoder && !avcodec_find_encoder_by_name(files[i].encoder)) continue;
        struct lab l;
        enum reel_err err = prove(&l, files[i].name, files[i].encoder);
        struct reel_pack_writer *w = begin_audio(&l, 0);
        int at = 0, frames = 0;
        if (!err) err = lab_open(&l, 0);
        int64_t pts[60];
        for (int k = 0; !err && k < 60; k++) {
            if (k % 7 == 5) { // given up on the way: its number and time are missing
                l.next++, l.skipped++;
                continue;
            }
            pts[frames] = k * STEP + (k > 20 ? 333 : 0);
            put_audio(w, &at, pts[frames] + 2000);
            err = lab_frame(&l, pts[frames++]);
        }
        if (!err) err = lab_commit(&l);
        CHECK_MSG(!err, "%s %s: %s", files[i].name, files[i].encoder, reel_fail_text());
        const struct reel_rec_committed *c = &l.committed[0];
        CHECK_INT(c->frames, frames);
        CHECK_INT(c->unsent, 0);
        CHECK_INT(l.taken, frames);
        CHECK(c->latency_us[REEL_LATENCY_MEDIAN] > 0);
        CHECK(c->latency_us[REEL_LATENCY_MEDIAN] <= c->latency_us[REEL_LATENCY_P99]);
        CHECK(c->latency_us[REEL_LATENCY_P99] <= c->latency_us[REEL_LATENCY_MAX]);
        CHECK(c->latency_us[REEL_LATENCY_MAX] < 10000000);
        CHECK_INT(lab_count_files(l.parts), 1); // what was followed is gone; the state is left
        struct reel_rec_muxed muxed;
        err = finish(&l, &muxed);
        CHECK_MSG(!err, "%s: %s", files[i].name, reel_fail_text());
        CHECK_INT(muxed.frames, frames);
        CHECK_INT(muxed.file, 1);
        CHECK(muxed.bytes > 1000);
        static struct back b;
        CHECK_MSG(read_back(l.output, &b), "%s cannot be read", files[i].name);
        CHECK_MSG(b.frames == frames, "%s %s: %d frames of %d", files[i].name, files[i].encoder, b.frames, frames);
        CHECK_INT(b.codec, files[i].codec);
        for (int k = 0; k < frames; k++) {
            int64_t want = av_rescale(pts[k], 1000000, 12800);
            CHECK_MSG(llabs(b.pts[k] - want) <= files[i].tolerance_us, "%s %s: frame %d at %lld, not %lld",
                      files[i].name, files[i].encoder, k, (long long)b.pts[k], (long long)want);
        }
        if (files[i].audio) {
            CHECK_MSG(b.audio == at, "%s: %d of %d audio packets", files[i].name, b.audio, at);
            CHECK_MSG(largest_step_back(&b) <= 300000, "%s: a packet is %lld us behind one before it", files[i].name,
                      (long long)largest_step_back(&b));
            CHECK_STR(l.notes, "");
        } else {
            CHECK_HAS(l.notes, "could not keep audio stream (mp3)");
            CHECK_INT(muxed.kept.audio, REEL_KEPT_LOST);
        }
        uint64_t bytes;
        uint8_t sha[32];
        reel_pack_commit(&w, &bytes, sha);
        struct stat st;
        CHECK_INT(stat(l.output, &st), 0);
        CHECK_INT(st.st_mode & 0777, sink_output_mode());
        lab_fini(&l);
    }
}

// What is there when everything is killed between two frames.
static void killed(void)
{
    static const struct {
        const char *name;
        int least; // frames of 60
    } cases[] = {{"a.mkv", 60}, {"a.ts", 60}, {"a.webm", 60}, {"a.mp4", 53}, {"a.mov", 53}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lab l;
        lab_init(&l, REEL_OUTPUT_STREAM, cases[i].name);
        pid_t pid = fork();
        if (!pid) {
            enum reel_err err = lab_live(&l);
            struct reel_media media = lab_media(192, 96, LAB_YUV420);
            if (!err) err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
            if (!err) err = lab_open(&l, 0);
            for (int k = 0; !err && k < 60; k++) err = lab_frame(&l, k * STEP);
            struct outlet *o;
            if (!err) err = live_outlet(l.live, &media, &o);
            if (!err) outlet_drain(o);
            if (!err) raise(SIGKILL);
            _exit(1);
        }
        int status;
        CHECK_INT(waitpid(pid, &status, 0), pid);
        CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGKILL);
        static struct back b;
        CHECK_MSG(read_back(l.output, &b), "%s cannot be read", cases[i].name);
        CHECK_MSG(b.frames >= cases[i].least, "%s: %d frames", cases[i].name, b.frames);
        for (int k = 0; k < b.frames; k++) CHECK_NEAR(b.pts[k], k * 40000, 501);
        lab_fini(&l);
    }
}

// The decoder dies, the input comes again: one output, whose timestamps go on.
static void attempts(void)
{
    static const char *const names[] = {"a.mkv", "a.mp4", "a.ts"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct lab l;
        enum reel_err err = prove(&l, names[i], "");
        int at = 0, frames = 0;
        for (uint32_t s = 0; !err && s < 3; s++) {
            struct reel_pack_writer *w = begin_audio(&l, s);
            if (!err) err = lab_open(&l, s);
            for (int k = 0; !err && k < 20; k++, frames++) {
                int64_t pts = (int64_t)s * 25 * STEP + k * STEP; // 5 frames are lost each time
                put_audio(w, &at, pts);
                err = lab_frame(&l, pts);
            }
            if (err) break;
            if (s == 1)
                lane_close(&l.lane); // an epoch that was given up
            else
                err = lab_commit(&l);
            reel_pack_abandon(&w); // its writer is dead
        }
        CHECK_MSG(!err, "%s: %s", names[i], reel_fail_text());
        CHECK_INT(l.committed[0].frames, 20);
        CHECK_INT(l.committed[1].frames, 20); // of the third attempt, and no more
        struct reel_rec_muxed muxed;
        CHECK_INT(finish(&l, &muxed), REEL_OK);
        CHECK_INT(muxed.frames, 60);
        CHECK_STR(l.notes, "");
        static struct back b;
        CHECK(read_back(l.output, &b));
        CHECK_MSG(b.frames == 60, "%s: %d frames", names[i], b.frames);
        for (int k = 0; k < 60; k++) CHECK_NEAR(b.pts[k], (k / 20 * 25 + k % 20) * 40000, 501);
        CHECK_MSG(b.audio == at, "%s: %d of %d audio packets", names[i], b.audio, at);
        CHECK_INT(lab_count_files(l.folder), 2); // the output and the parts' folder
        lab_fini(&l);
    }
}

// Audio that changes is not kept from then on; video that changes is an error.
static void attempts_that_differ(void)
{
    struct lab l;
    CHECK_INT(prove(&l, "a.mkv", ""), REEL_OK);
    struct reel_pack_writer *w = begin_audio(&l, 0);
    int at = 0;
    put_audio(w, &at, 10 * STEP);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int k = 0; k < 10; k++) CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    reel_pack_abandon(&w);
    char path[REEL_PATH_BYTES];
    static struct reel_pack_stream s;
    s = (struct reel_pack_stream){
        .media_type = AVMEDIA_TYPE_AUDIO, .codec_id = AV_CODEC_ID_AC3, .sample_rate = 48000, .channels = 2};
    CHECK_INT(reel_pack_create_live(reel_live_copy_path(&l.job, 1, path), &w), REEL_OK);
    CHECK_INT(reel_pack_put_stream(w, &s), REEL_OK);
    CHECK_INT(lab_open(&l, 1), REEL_OK);
    for (int k = 10; k < 20; k++) CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    reel_pack_abandon(&w);
    take_notes(&l);
    CHECK_HAS(l.notes, "could not keep audio stream (ac3)");
    snprintf(l.settings.encoder, sizeof l.settings.encoder, "ffv1");
    CHECK_INT(lab_open(&l, 2), REEL_OK);
    CHECK_INT(lab_frame(&l, 20 * STEP), REEL_ERR_FAULT);
    CHECK_HAS(reel_fail_text(), "different codec");
    lab_fini(&l);
}

// The process died; another goes on.
static void next_life(void)
{
    static const struct {
        const char *name, *second;
        int in_first, in_second;
        const char *note;
    } cases[] = {{"a.mkv", "a.2.mkv", 20, 20, "continues in \"a.2.mkv\""},
                 {"a.mp4", "a.2.mp4", 20, 20, "continues in \"a.2.mp4\""},
                 {"a.ts", "a.ts", 40, 40, "at the end of the file"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lab l;
        CHECK_INT(prove(&l, cases[i].name, ""), REEL_OK);
        for (uint32_t s = 0; s < 2; s++) {
            CHECK_INT(lab_open(&l, s), REEL_OK);
            for (int k = 0; k < 20; k++) CHECK_INT(lab_frame(&l, (int64_t)(s * 30 + (uint32_t)k) * STEP), REEL_OK);
            CHECK_INT(lab_commit(&l), REEL_OK);
            if (s) break;
            struct outlet *o;
            CHECK_INT(live_outlet(l.live, &l.prove.media, &o), REEL_OK);
            live_close(&l.live); // without a trailer
            CHECK_INT(lab_live(&l), REEL_OK);
        }
        struct reel_rec_muxed muxed;
        CHECK_INT(finish(&l, &muxed), REEL_OK);
        CHECK_INT(muxed.frames, 20); // of this life
        CHECK_INT(muxed.file, strcmp(cases[i].name, cases[i].second) ? 2 : 1);
        CHECK_INT(l.committed[1].file, muxed.file);
        CHECK_HAS(l.notes, cases[i].note);
        static struct back b;
        CHECK(read_back(l.output, &b));
        CHECK_MSG(b.frames >= cases[i].in_first - 5 && b.frames <= cases[i].in_first, "%s: %d frames", cases[i].name,
                  b.frames);
        char second[400];
        snprintf(second, sizeof second, "%s/%s", l.folder, cases[i].second);
        CHECK(read_back(second, &b));
        CHECK_INT(b.frames, cases[i].in_second);
        if (b.frames == 40) CHECK_NEAR(b.pts[20], 30 * 40000, 20);
        if (b.frames == 20) CHECK_NEAR(b.pts[0], 0, 20); // a file of its own begins at 0
        lab_fini(&l);
    }
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 16);
    if (!f || !text || fread(text, 1, (1 << 16) - 1, f) == 0) abort();
    fclose(f);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

static void lines_go_on(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_JSONL, "a.jsonl");
    CHECK_INT(lab_live(&l), REEL_OK);
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_DETECT, &media, 1, 4096), REEL_OK);
    struct reel_results none = {.task = REEL_TASK_DETECT};
    for (uint32_t s = 0; s < 3; s++) {
        CHECK_INT(lab_open(&l, s), REEL_OK);
        for (uint32_t k = 0; k < 3; k++) {
            CHECK_INT(lab_frame_with(&l, (int64_t)(s * 3 + k) * STEP, 0, 0, &none, sizeof none), REEL_OK);
            char *text = slurp(l.output); // each line is there at once
            CHECK_INT(count(text, "}\n"), (int)(s * 3 + k + 1));
            free(text);
        }
        if (s != 1) {
            CHECK_INT(lab_commit(&l), REEL_OK);
            continue;
        }
        lane_close(&l.lane); // dead in the middle of a line
        live_close(&l.live);
        FILE *f = fopen(l.output, "a");
        CHECK(f && fputs("{\"frame\":6,\"pt", f) > 0);
        fclose(f);
        CHECK_INT(lab_live(&l), REEL_OK);
    }
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_OK);
    CHECK_INT(muxed.frames, 3);
    CHECK_INT(l.committed[1].frames, 3);
    CHECK(l.committed[1].latency_us[REEL_LATENCY_MAX] > 0);
    char *text = slurp(l.output), want[64], *line = text;
    for (int k = 0; k < 9; k++) {
        snprintf(want, sizeof want, "{\"frame\":%d,\"pts\":%g", k, k * 0.04);
        CHECK_MSG(!strncmp(line, want, strlen(want)), "line %d: %.40s", k, line);
        line = strchr(line, '\n') + 1;
    }
    CHECK_STR(line, "");
    free(text);
    lab_fini(&l);
}

static void images_and_hashes_go_on(void)
{
    for (int md5 = 0; md5 < 2; md5++) {
        struct lab l;
        lab_init(&l, md5 ? REEL_OUTPUT_MD5 : REEL_OUTPUT_IMAGES, md5 ? "a.md5" : "new/i%03d.png");
        CHECK_INT(lab_live(&l), REEL_OK);
        struct reel_media media = lab_media(64, 48, LAB_YUV420);
        CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
        char folder[400];
        snprintf(folder, sizeof folder, "%s/new", l.folder);
        for (uint32_t s = 0; s < 3; s++) {
            CHECK_INT(lab_open(&l, s), REEL_OK);
            for (uint32_t k = 0; k < 2; k++) {
                CHECK_INT(lab_frame(&l, (int64_t)(s * 2 + k) * STEP), REEL_OK);
                if (!md5) CHECK_INT(lab_count_files(folder), (int)(s * 2 + k + 1));
            }
            CHECK_INT(lab_commit(&l), REEL_OK);
            if (s != 1) continue;
            live_close(&l.live);
            CHECK_INT(lab_live(&l), REEL_OK);
        }
        struct reel_rec_muxed muxed;
        CHECK_INT(finish(&l, &muxed), REEL_OK);
        if (md5) {
            char *text = slurp(l.output);
            CHECK_INT(count(text, "#format"), 1);
            CHECK_INT(count(text, "\n0, "), 6);
            free(text);
        } else {
            static struct back b;
            snprintf(folder, sizeof folder, "%s/new/i005.png", l.folder);
            CHECK(read_back(folder, &b));
            CHECK_INT(lab_count_files(l.parts), 1);
        }
        lab_fini(&l);
    }
}

static void disk_full(void)
{
    struct lab l;
    CHECK_INT(prove(&l, "a.mkv", ""), REEL_OK);
    CHECK_INT(symlink("/dev/full", l.output), 0);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    enum reel_err err = REEL_OK;
    for (int k = 0; !err && k < 1000; k++) err = lab_frame(&l, k * STEP);
    CHECK_INT(err, REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "No space left on device");
    CHECK_HAS(reel_fail_text(), "a.mkv");
    lane_close(&l.lane);
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_ERR_IO);
    lab_fini(&l);
}

// Audio that stops holds no frame up, after the first.
static void silent_audio(void)
{
    struct lab l;
    CHECK_INT(prove(&l, "a.mkv", ""), REEL_OK);
    struct reel_pack_writer *w = begin_audio(&l, 0);
    int at = 0;
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int k = 0; k < 20; k++) {
        put_audio(w, &at, k * STEP + 2000);
        CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    }
    int64_t from = reel_now_us();
    for (int k = 20; k < 120; k++) CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    CHECK_MSG(reel_now_us() - from < 3000000, "100 frames took %lld ms", (long long)(reel_now_us() - from) / 1000);
    put_audio(w, &at, 120 * STEP); // it comes again, late
    CHECK_INT(lab_commit(&l), REEL_OK);
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_OK);
    reel_pack_abandon(&w);
    static struct back b;
    CHECK(read_back(l.output, &b));
    CHECK_INT(b.frames, 120);
    CHECK_INT(b.audio, at);
    lab_fini(&l);
}

static void *drink(void *path)
{
    FILE *f = fopen(path, "rb");
    char block[4096];
    size_t n, all = 0;
    while (f && (n = fread(block, 1, sizeof block, f)) > 0) all += n;
    if (f) fclose(f);
    return (void *)all;
}

// Another program reads it as it comes.
static void into_a_pipe(void)
{
    struct lab l;
    pthread_t reader;
    void *all;
    CHECK_INT(prove(&l, "a.ts", ""), REEL_OK);
    CHECK_INT(mkfifo(l.output, 0600), 0);
    CHECK_INT(pthread_create(&reader, NULL, drink, l.output), 0);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int k = 0; k < 40; k++) CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_OK);
    pthread_join(reader, &all);
    CHECK_MSG((size_t)all > 2000 && (size_t)all % 188 == 0, "%zu bytes", (size_t)all);
    lab_fini(&l);
}

// The other streams' file comes after the first frame, as it may where another process
// has died: the header waits for it.
static void late_file(void)
{
    struct lab l;
    CHECK_INT(prove(&l, "a.mkv", ""), REEL_OK);
    l.settings.latency_ms = 20000;
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    CHECK_INT(lab_frame(&l, 0), REEL_OK);
    struct reel_pack_writer *w = begin_audio(&l, 0);
    int at = 0;
    for (int k = 1; k < 20; k++) {
        put_audio(w, &at, k * STEP + 2000);
        CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    }
    CHECK_INT(lab_commit(&l), REEL_OK);
    // In a later attempt frames do not wait for it, and it is found all the same.
    CHECK_INT(lab_open(&l, 1), REEL_OK);
    for (int k = 20; k < 40; k++) CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    reel_pack_abandon(&w);
    w = begin_audio(&l, 1);
    put_audio(w, &at, 40 * STEP);
    CHECK_INT(lab_commit(&l), REEL_OK);
    reel_pack_abandon(&w);
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_OK);
    static struct back b;
    CHECK(read_back(l.output, &b));
    CHECK_INT(b.frames, 40);
    CHECK_INT(b.audio, at);
    lab_fini(&l);
}

// Addresses and what goes by them.
static void addresses(void)
{
    CHECK_STR(plan_container_name("rtmp://h/app/key"), "flv");
    CHECK_STR(plan_container_name("rtsp://h/s"), "rtsp");
    CHECK_STR(plan_container_name("srt://h:9000?mode=caller"), "mpegts");
    CHECK_STR(plan_container_name("udp://239.0.0.1:5000"), "mpegts");
    CHECK_STR(plan_container_name("rtp://h:5000"), "rtp_mpegts");
    CHECK_STR(plan_container_name("http://h/live.mkv?key=a.b/c"), "matroska");
    CHECK_STR(plan_container_name("https://h/put"), "mpegts");
    CHECK_STR(plan_container_name("/a/b.MOV"), "mov");
    CHECK(!plan_container_name("/a.mkv/b"));
    static const char *const urls[] = {"rtmp://127.0.0.1/a/b", "rtsp://127.0.0.1/a", "udp://127.0.0.1:9",
                                       "rtp://127.0.0.1:9000", "http://127.0.0.1/a.ts"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct lab l;
        lab_init(&l, REEL_OUTPUT_STREAM, "unused");
        snprintf(l.output, sizeof l.output, "%s", urls[i]);
        l.settings.live = true;
        struct reel_media media = lab_media(192, 96, LAB_YUV420);
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        CHECK_MSG(!err, "%s: %s", urls[i], reel_fail_text());
        CHECK_STR(l.plan.choice.codec->name, "libx264");
        lab_fini(&l);
    }
}

CHECK_MAIN({"choosing", choosing}, {"addresses", addresses}, {"containers", containers}, {"killed", killed},
           {"attempts", attempts}, {"attempts_that_differ", attempts_that_differ}, {"next_life", next_life},
           {"lines_go_on", lines_go_on}, {"images_and_hashes_go_on", images_and_hashes_go_on}, {"disk_full", disk_full},
           {"late_file", late_file}, {"into_a_pipe", into_a_pipe}, {"silent_audio", silent_audio})
