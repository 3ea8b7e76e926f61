// SPDX-License-Identifier: MIT
//
// Motion in .flo files: each byte of one, frames that were given up, results that are not
// motion, what is refused.
#include "tests/unit/aggregator/lab.h"

#define W 3
#define H 2

struct motions {
    struct reel_results head;
    struct reel_motion v[W * H];
};

// Of frame n pixel i moves by (100 n + i, -i / 4).
static struct motions motions_of(uint32_t n)
{
    struct motions m = {.head = {.task = REEL_TASK_FLOW, .count = W * H, .bytes = sizeof m.v}};
    for (int i = 0; i < W * H; i++) m.v[i] = (struct reel_motion){(float)(100 * n) + (float)i, (float)-i / 4};
    return m;
}

static enum reel_err begin(struct lab *l, const char *pattern)
{
    lab_init(l, REEL_OUTPUT_FLO, pattern);
    const struct reel_media media = lab_media(W, H, (struct reel_pixel_format){REEL_PIX_GBR, 8, 0, 0});
    return lab_prove(l, REEL_TASK_FLOW, &media, 1, sizeof(struct motions));
}

static size_t read_file(const char *path, uint8_t *buf, size_t room)
{
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(buf, 1, room, f) : 0;
    if (f) fclose(f);
    return n;
}

static float float_at(const uint8_t *file, size_t at)
{
    float v;
    memcpy(&v, file + at, sizeof v);
    return v;
}

// unknown: of a frame that was given up.
static void check_file(const struct lab *l, const char *name, uint32_t n, bool unknown)
{
    static const uint8_t head[12] = {'P', 'I', 'E', 'H', W, 0, 0, 0, H, 0, 0, 0};
    uint8_t file[12 + 8 * W * H + 1];
    char path[400];
    snprintf(path, sizeof path, "%s/%s", l->folder, name);
    const size_t bytes = read_file(path, file, sizeof file);
    CHECK_MSG(bytes == sizeof file - 1, "%s has %zu bytes", path, bytes);
    if (bytes != sizeof file - 1) return;
    CHECK(!memcmp(file, head, sizeof head));
    const struct motions want = motions_of(n);
    for (size_t i = 0; i < W * H; i++) {
        CHECK_NEAR(float_at(file, 12 + 8 * i), unknown ? 1e10f : want.v[i].u, 0);
        CHECK_NEAR(float_at(file, 16 + 8 * i), unknown ? 1e10f : want.v[i].v, 0);
    }
}

static void every_byte(void)
{
    struct lab l;
    CHECK_INT(begin(&l, "out/m%03d.flo"), REEL_OK);
    CHECK_INT(l.proven.out.format.layout, REEL_PIX_NONE); // no picture, but numbers
    for (uint32_t s = 0; s < 2; s++) {
        CHECK_INT(lab_open(&l, s), REEL_OK);
        for (uint32_t k = 0; k < 3; k++) {
            const struct motions m = motions_of(3 * s + k);
            const uint32_t flags = s == 1 && k == 1 ? REEL_FRAME_REPEAT : s == 0 && k == 2 ? REEL_FRAME_PASS : 0;
            CHECK_INT(lab_frame_with(&l, k, 0, flags, &m, sizeof m), REEL_OK);
        }
        CHECK_INT(l.taken, 3); // at once
        CHECK_INT(lab_commit(&l), REEL_OK);
    }
    CHECK(lab_verify(&l, 0, 3) && lab_verify(&l, 1, 3) && !lab_verify(&l, 1, 2));
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    CHECK_INT(muxed.frames, 6);
    CHECK_INT(muxed.bytes, 6 * (12 + 8 * W * H));
    for (uint32_t n = 0; n < 6; n++) {
        char name[32];
        snprintf(name, sizeof name, "out/m%03u.flo", n);
        check_file(&l, name, n, n == 2 || n == 4);
    }
    lab_fini(&l);
}

static void damaged_parts_are_seen(void)
{
    struct lab l;
    CHECK_INT(begin(&l, "%d.flo"), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    const struct motions m = motions_of(0);
    CHECK_INT(lab_frame_with(&l, 0, 0, 0, &m, sizeof m), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK(lab_verify(&l, 0, 1));
    char part[REEL_PATH_BYTES], path[REEL_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/0.flo", reel_part_path(&l.job, 0, part));
    FILE *f = fopen(path, "r+b");
    CHECK(f && !fseek(f, 20, SEEK_SET) && fputc(1, f) == 1);
    if (f) fclose(f);
    CHECK(!lab_verify(&l, 0, 1));
    lab_fini(&l);
}

static void other_results(void)
{
    struct lab l;
    CHECK_INT(begin(&l, "%d.flo"), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    struct motions m = motions_of(0);
    m.head.bytes -= 8;
    m.head.count--;
    CHECK_INT(lab_frame_with(&l, 0, 0, 0, &m, sizeof m), REEL_ERR_PROTO);
    CHECK_HAS(reel_fail_text(), "40 bytes of it came, not 48");
    lab_fini(&l);
    CHECK_INT(begin(&l, "%d.flo"), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    m = motions_of(0);
    m.head.task = REEL_TASK_CLASSIFY;
    CHECK_INT(lab_frame_with(&l, 0, 0, 0, &m, sizeof m), REEL_ERR_PROTO);
    lab_fini(&l);
}

static void live_files(void)
{
    struct lab l;
    CHECK_INT(begin(&l, "new/%04d.flo"), REEL_OK);
    CHECK_INT(lab_live(&l), REEL_OK);
    for (uint32_t s = 0; s < 2; s++) {
        CHECK_INT(lab_open(&l, s), REEL_OK);
        for (uint32_t k = 0; k < 2; k++) {
            const struct motions m = motions_of(2 * s + k);
            char name[32];
            CHECK_INT(lab_frame_with(&l, 2 * s + k, 0, 0, &m, sizeof m), REEL_OK);
            snprintf(name, sizeof name, "new/%04u.flo", 2 * s + k);
            check_file(&l, name, 2 * s + k, false); // there at once
        }
        CHECK_INT(lab_commit(&l), REEL_OK);
    }
    lab_fini(&l);
}

static void refused(void)
{
    static const enum reel_task tasks[] = {REEL_TASK_IMAGE, REEL_TASK_DETECT, REEL_TASK_SEGMENT, REEL_TASK_TENSOR};
    const struct reel_media media = lab_media(64, 48, LAB_YUV420);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        struct lab l;
        lab_init(&l, REEL_OUTPUT_FLO, "%d.flo");
        CHECK_INT(lab_prove(&l, tasks[i], &media, 1, 4096), REEL_ERR_CONFIG);
        CHECK_HAS(reel_fail_text(), "the model does not measure it");
        lab_fini(&l);
    }
    enum reel_output_kind kind;
    const char *why;
    CHECK(reel_output_kind_of("f/%06d.flo", &kind, &why) && kind == REEL_OUTPUT_FLO && reel_is_numbered(kind));
    CHECK(!reel_output_kind_of("f/motion.flo", &kind, &why));
    CHECK_HAS(why, "motion/%06d.flo");
}

CHECK_MAIN({"every_byte", every_byte}, {"damaged_parts_are_seen", damaged_parts_are_seen},
           {"other_results", other_results}, {"live_files", live_files}, {"refused", refused})
