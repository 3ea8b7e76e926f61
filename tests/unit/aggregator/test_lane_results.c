// SPDX-License-Identifier: MIT
//
// Results of models in the outputs: lines of .jsonl, boxes and masks drawn on videos.
#include "tests/unit/aggregator/lab.h"

struct objects {
    struct reel_results head;
    struct reel_object o[2];
};

static struct objects some_objects(int n)
{
    struct objects a = {.head = {.task = REEL_TASK_DETECT,
                                 .count = (uint32_t)n,
                                 .bytes = (uint32_t)n * (uint32_t)sizeof a.o[0],
                                 .labels = REEL_LABELS_FACE}};
    a.o[0] =
        (struct reel_object){.class_id = 0, .score = 0.98f, .x = 1.5f, .y = 2, .w = 30, .h = 20.25f, .n_points = 2};
    a.o[0].point[0].x = 3, a.o[0].point[0].y = 4.5f, a.o[0].point[0].score = 1;
    a.o[0].point[1].x = -0.001f, a.o[0].point[1].y = NAN;
    a.o[1] = (struct reel_object){.class_id = 7, .score = 0.5f, .x = 0, .y = 0, .w = 1, .h = 1};
    return a;
}

static void jsonl_objects(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_JSONL, "a.jsonl");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_DETECT, &media, 1, sizeof(struct objects)), REEL_OK);
    CHECK_INT(l.proven.out.format.layout, REEL_PIX_NONE);
    for (uint32_t s = 0; s < 2; s++) {
        CHECK_INT(lab_open(&l, s), REEL_OK);
        struct objects a = some_objects(2), none = some_objects(0);
        none.head.dropped = 3;
        CHECK_INT(lab_frame_with(&l, s * 12800, 0, 0, &a, sizeof a), REEL_OK);
        CHECK_INT(lab_frame_with(&l, s * 12800 + 512, 0, 0, &none, sizeof none.head), REEL_OK);
        CHECK_INT(lab_frame_with(&l, s * 12800 + 1024, 0, REEL_FRAME_PASS, NULL, 0), REEL_OK);
        CHECK_INT(lab_commit(&l), REEL_OK);
        CHECK_INT(l.taken, 3);
    }
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    CHECK_INT(lab_join(&l, &muxed), REEL_OK); // again: the same
    CHECK_INT(muxed.frames, 6);
    char *text = lab_slurp(l.output);
    const char *want = "{\"frame\":0,\"pts\":0.0,\"objects\":[{\"class\":0,\"label\":\"face\",\"score\":0.98,\"box\":["
                       "1.5,2.0,30.0,20.25],"
                       "\"points\":[[3.0,4.5,1.0],[0.0,null,0.0]]},{\"class\":7,\"label\":\"face\",\"score\":0.5,"
                       "\"box\":[0.0,0.0,1.0,1.0]}]}\n"
                       "{\"frame\":1,\"pts\":0.04,\"objects\":[],\"dropped\":3}\n"
                       "{\"frame\":2,\"pts\":0.08,\"objects\":[],\"quarantined\":true}\n"
                       "{\"frame\":3,\"pts\":1.0,";
    CHECK_MSG(!strncmp(text, want, strlen(want)), "%s", text);
    free(text);
    lab_fini(&l);
}

static void jsonl_classes_and_labels(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_JSONL, "a.jsonl");
    snprintf(l.settings.classify.labels, sizeof l.settings.classify.labels, "%s/names", l.folder);
    FILE *f = fopen(l.settings.classify.labels, "wb");
    fputs("a \"b\"\\\tc\n\xc3\xa4\xff\n", f);
    fclose(f);
    struct {
        struct reel_results head;
        struct reel_class_score s[2];
    } a = {{REEL_TASK_CLASSIFY, 2, sizeof a.s, 0, 0, 0}, {{0, 0.75f}, {1, 0.125f}}};
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_CLASSIFY, &media, 1, sizeof a), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    CHECK_INT(lab_frame_with(&l, 0, 0, 0, &a, sizeof a), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    char *text = lab_slurp(l.output);
    CHECK_STR(
        text,
        "{\"frame\":0,\"pts\":0.0,\"classes\":[{\"class\":0,\"label\":\"a \\\"b\\\"\\\\\\u0009c\",\"score\":0.75},"
        "{\"class\":1,\"label\":\"\xc3\xa4\\ufffd\",\"score\":0.125}]}\n");
    free(text);
    lab_fini(&l);
}

// Behind a tensor of an odd number of floats the next one begins at a multiple of eight bytes.
static void jsonl_tensors(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_JSONL, "a.jsonl");
    struct {
        struct reel_results head;
        struct reel_result_tensor one;
        float v[2];
        struct reel_result_tensor two;
        float w[2];
    } a = {.head = {.task = REEL_TASK_TENSOR, .count = 2, .bytes = sizeof a - sizeof a.head},
           .one = {.name = "n", .ndim = 1, .bytes = 4, .dim = {1}},
           .v = {3, 0},
           .two = {.name = "m", .ndim = 2, .bytes = 8, .dim = {1, 2}},
           .w = {0.5f, NAN}};
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_TENSOR, &media, 1, sizeof a), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    CHECK_INT(lab_frame_with(&l, 0, 0, 0, &a, sizeof a), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    char *text = lab_slurp(l.output);
    CHECK_STR(text, "{\"frame\":0,\"pts\":0.0,\"tensors\":[{\"name\":\"n\",\"shape\":[1],\"data\":[3]},"
                    "{\"name\":\"m\",\"shape\":[1,2],\"data\":[0.5,null]}]}\n");
    free(text);
    lab_fini(&l);
}

// One frame of 4x3 whose plane and results are written by hand: its line. free().
static char *masked_line(enum reel_task task, const uint8_t rows[3][4], const void *results, uint32_t bytes)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_JSONL, "a.jsonl");
    l.masked = true;
    struct reel_media media = lab_media(4, 3, LAB_YUV420);
    struct reel_rec_frame rec = {0};
    struct reel_rec_committed committed;
    struct reel_rec_muxed muxed;
    bool ok = !lab_prove(&l, task, &media, 1, bytes) && l.proven.out.format.layout == REEL_PIX_GRAY &&
              l.proven.out.width == 4 && !lab_open(&l, 0);
    if (!ok) return strdup("");
    for (int y = 0; y < 3; y++)
        memcpy(reel_ring_plane(&l.out, 0, 0) + (size_t)y * l.out.geometry.plane_stride[0], rows[y], 4);
    memcpy(reel_ring_aux(&l.out, 0), results, bytes);
    reel_ring_publish(&l.in, 0, 0, 0, 0);
    reel_ring_publish(&l.out, 0, 0, 0, bytes);
    rec.epoch = l.open.epoch;
    ok = !lane_frame(l.lane, &rec) && !lane_step(l.lane, &committed);
    l.next = 1;
    ok = ok && !lab_commit(&l) && !lab_join(&l, &muxed);
    char *text = ok ? lab_slurp(l.output) : strdup("");
    lab_fini(&l);
    return text;
}

static void jsonl_masks(void)
{
    static const uint8_t rows[3][4] = {{0, 0, 0, 0}, {0, 15, 15, 0}, {0, 0, 0, 0}};
    const struct reel_results head = {.task = REEL_TASK_SEGMENT, .labels = REEL_LABELS_VOC};
    char *text = masked_line(REEL_TASK_SEGMENT, rows, &head, sizeof head);
    CHECK_STR(text,
              "{\"frame\":0,\"pts\":0.0,\"segments\":["
              "{\"class\":0,\"label\":\"background\",\"pixels\":10,\"rle\":{\"size\":[3,4],\"counts\":[0,4,1,2,1,4]}},"
              "{\"class\":15,\"label\":\"person\",\"pixels\":2,\"rle\":{\"size\":[3,4],\"counts\":[4,1,2,1,4]}}]}\n");
    free(text);
}

// Objects whose mask has no pixel, some, and some at the picture's right edge.
static void jsonl_masks_of_objects(void)
{
    static const uint8_t rows[3][4] = {{0, 0, 2, 3}, {0, 2, 2, 0}, {0, 0, 0, 3}};
    struct {
        struct reel_results head;
        struct reel_object object[3];
    } r = {{.task = REEL_TASK_DETECT, .count = 3, .bytes = sizeof r.object}, {{0}}};
    for (int i = 0; i < 3; i++) r.object[i] = (struct reel_object){.x = (float)i, .w = 2, .h = 3, .score = 0.5f};
    char *text = masked_line(REEL_TASK_DETECT, rows, &r, sizeof r);
    CHECK_HAS(text, "\"box\":[0.0,0.0,2.0,3.0],\"pixels\":0,\"rle\":{\"size\":[3,4],\"counts\":[12]}}");
    CHECK_HAS(text, "\"pixels\":3,\"rle\":{\"size\":[3,4],\"counts\":[4,1,1,2,4]}}");
    CHECK_HAS(text, "\"pixels\":2,\"rle\":{\"size\":[3,4],\"counts\":[9,1,1,1]}}");
    free(text);
}

// Boxes on a video: drawn frames are copies, those without objects are not.
static void boxes_on_video(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    struct reel_media media = lab_media(64, 48, (struct reel_pixel_format){REEL_PIX_YUV, 10, 1, 0});
    CHECK_INT(lab_prove(&l, REEL_TASK_DETECT, &media, 1, sizeof(struct objects)), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    struct objects a = some_objects(1), none = some_objects(0);
    CHECK_INT(lab_frame_with(&l, 0, 0, 0, &a, sizeof a), REEL_OK);
    CHECK_INT(l.taken, 1); // a copy: let go at once
    CHECK_INT(lab_frame_with(&l, 1, 0, 0, &none, sizeof none), REEL_OK);
    CHECK_INT(l.taken, 1); // lent until the next one
    CHECK_INT(lab_frame_with(&l, 2, 0, 0, &a, sizeof a), REEL_OK);
    CHECK_INT(l.taken, 3);
    CHECK_INT(lab_commit(&l), REEL_OK);
    lab_fini(&l);
}

// Frames with results, without, repeated, passed, as a part. *out_first: how many
// had been let go after the first.
static void encode_drawn(enum reel_task task, const char *name, const char *encoder, int depth, bool on_device,
                         struct reel_rec_committed *out, uint32_t *out_first)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, name);
    snprintf(l.settings.encoder, sizeof l.settings.encoder, "%s", encoder);
    l.on_device = on_device;
    l.masked = task != REEL_TASK_DETECT;
    struct reel_media media = lab_media(94, 62, (struct reel_pixel_format){REEL_PIX_YUV, (uint8_t)depth, 1, 1});
    CHECK_MSG(!lab_prove(&l, task, &media, 1, sizeof(struct objects)), "%s", reel_fail_text());
    CHECK_MSG(!lab_open(&l, 0), "%s", reel_fail_text());
    struct objects a = some_objects(2), none = some_objects(0);
    a.head.task = none.head.task = task;
    if (task != REEL_TASK_DETECT) a.head.count = a.head.bytes = 0;
    for (int i = 0; i < 12; i++) {
        const struct objects *o = i % 4 == 3 ? &none : &a;
        uint32_t flags = i == 5 ? REEL_FRAME_REPEAT : i == 8 ? REEL_FRAME_PASS : 0;
        enum reel_err err = lab_frame_with(&l, i * 512, 512, flags, o, sizeof o->head + o->head.bytes);
        CHECK_MSG(!err, "frame %d: %s", i, reel_fail_text());
        if (!i) *out_first = l.taken;
        a.o[0].x += 3, a.o[1].w += 4, a.o[1].h += 3;
    }
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.taken, 12);
    *out = l.committed[0];
    lab_fini(&l);
}

// What the encoder draws on copies of its own, from pictures on a device, is what
// is drawn here.
static void drawn_late(void)
{
    static const struct {
        enum reel_task task;
        const char *name, *encoder;
        int depth;
        bool late;
    } cases[] = {{REEL_TASK_DETECT, "a.mkv", "ffv1", 8, true},   {REEL_TASK_DETECT, "a.mkv", "ffv1", 10, true},
                 {REEL_TASK_SEGMENT, "a.mkv", "ffv1", 8, true},  {REEL_TASK_MATTE, "a.mkv", "ffv1", 10, true},
                 {REEL_TASK_DETECT, "a.mp4", "mpeg4", 8, true},    // counts its frames
                 {REEL_TASK_DETECT, "a.mp4", "mpeg4", 10, false}}; // rounded to 8 bits once it is drawn
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reel_rec_committed host = {0}, device = {0};
        uint32_t let_go = 99;
        encode_drawn(cases[i].task, cases[i].name, cases[i].encoder, cases[i].depth, false, &host, &let_go);
        CHECK_INT(let_go, 1); // a copy was drawn on
        encode_drawn(cases[i].task, cases[i].name, cases[i].encoder, cases[i].depth, true, &device, &let_go);
        CHECK_INT(let_go, cases[i].late ? 0 : 1);
        CHECK_MSG(host.bytes && !memcmp(host.sha256, device.sha256, 32), "case %zu: other bytes", i);
    }
}

CHECK_MAIN({"jsonl_objects", jsonl_objects}, {"jsonl_classes_and_labels", jsonl_classes_and_labels},
           {"jsonl_tensors", jsonl_tensors}, {"jsonl_masks", jsonl_masks},
           {"jsonl_masks_of_objects", jsonl_masks_of_objects}, {"boxes_on_video", boxes_on_video},
           {"drawn_late", drawn_late})
