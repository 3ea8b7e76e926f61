// SPDX-License-Identifier: MIT
//
// Pack files: what is written is read back; a file cut at any byte or with any
// bit flipped is refused; nothing is left of an abandoned one.
#include "common/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "tests/check.h"

static char folder[CHECK_FOLDER_BYTES];
static char path[CHECK_FOLDER_BYTES + 16];

static void in_folder(void)
{
    check_folder(folder);
    snprintf(path, sizeof path, "%s/a.part", folder);
}

static void out_of_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void fill_stream(struct reel_pack_stream *s)
{
    *s = (struct reel_pack_stream){.id = 0,
                                   .media_type = 1,
                                   .codec_id = 86018,
                                   .codec_tag = 0x6134706d,
                                   .format = 8,
                                   .profile = -99,
                                   .level = -99,
                                   .bit_rate = 5000000000,
                                   .sample_rate = 48000,
                                   .channels = 6,
                                   .channel_mask = UINT64_C(0x800000000000003f),
                                   .disposition = 1,
                                   .time_base = {1, 48000},
                                   .sar = {0, 1},
                                   .frame_rate = {30000, 1001},
                                   .colour = {9, 16, 9, 1, 1, 3},
                                   .video_delay = 2,
                                   .duration = INT64_MIN,
                                   .extradata_bytes = 5,
                                   .extradata = (const uint8_t *)"extra",
                                   .n_side = 1,
                                   .side = {{5, 3, (const uint8_t *)"\1\2\3"}},
                                   .n_text = 2,
                                   .text = {{"language", "deu"}, {"title", ""}}};
}

static enum reel_err write_sample(uint32_t packets, uint64_t *out_bytes, uint8_t sha[32])
{
    struct reel_pack_writer *w;
    enum reel_err err = reel_pack_create(path, &w);
    static struct reel_pack_stream stream;
    fill_stream(&stream);
    if (!err) err = reel_pack_put_stream(w, &stream);
    struct reel_pack_text global = {"artist", "nobody"};
    if (!err) err = reel_pack_put_globals(w, &global, 1);
    static struct reel_pack_chapter chapter = {
        .id = -7, .time_base = {1, 1000}, .start = 0, .end = 12345, .n_text = 1, .text = {{"title", "one"}}};
    if (!err) err = reel_pack_put_chapter(w, &chapter);
    for (uint32_t i = 0; !err && i < packets; i++) {
        uint8_t data[64];
        memset(data, (int)i, sizeof data);
        struct reel_pack_packet p = {.stream = 0,
                                     .pts = (int64_t)i * 1024 - 2048,
                                     .dts = i ? (int64_t)i * 1024 - 4096 : INT64_MIN,
                                     .duration = 1024,
                                     .flags = i == 0,
                                     .bytes = i % 64,
                                     .data = data,
                                     .n_side = i == 1,
                                     .side = {{9, 4, (const uint8_t *)"side"}}};
        err = reel_pack_put_packet(w, &p);
    }
    if (err) return err;
    return reel_pack_commit(&w, out_bytes, sha);
}

// Reads to the end; the first error, or EOF when the whole file is sound.
static enum reel_err read_all(void)
{
    struct reel_pack_reader *r = NULL;
    static struct reel_pack_record record;
    enum reel_err err = reel_pack_open(path, &r);
    while (!err) err = reel_pack_read(r, &record);
    reel_pack_close(&r);
    return err;
}

static void round_trip(void)
{
    in_folder();
    uint64_t bytes;
    uint8_t sha[32], file_sha[32];
    CHECK_INT(write_sample(100, &bytes, sha), REEL_OK);
    uint64_t file_bytes;
    CHECK_INT(reel_sha256_file(path, file_sha, &file_bytes), REEL_OK);
    CHECK_INT(file_bytes, bytes);
    CHECK(!memcmp(sha, file_sha, 32));

    struct reel_pack_reader *r;
    static struct reel_pack_record rec;
    static struct reel_pack_stream want;
    fill_stream(&want);
    CHECK_INT(reel_pack_open(path, &r), REEL_OK);
    CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
    CHECK_INT(rec.type, REEL_PACK_STREAM);
    const struct reel_pack_stream *s = &rec.u.stream;
    CHECK(!memcmp(s, &want, offsetof(struct reel_pack_stream, extradata_bytes)));
    CHECK_INT(s->extradata_bytes, 5);
    CHECK(!memcmp(s->extradata, "extra", 5));
    CHECK_INT(s->n_side, 1);
    CHECK_INT(s->side[0].type, 5);
    CHECK(s->side[0].bytes == 3 && !memcmp(s->side[0].data, "\1\2\3", 3));
    CHECK_INT(s->n_text, 2);
    CHECK_STR(s->text[0].value, "deu");
    CHECK_STR(s->text[1].value, "");

    CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
    CHECK_INT(rec.type, REEL_PACK_GLOBALS);
    CHECK_STR(rec.u.globals.text[0].value, "nobody");
    CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
    CHECK_INT(rec.type, REEL_PACK_CHAPTER);
    CHECK_INT(rec.u.chapter.id, -7);
    CHECK_INT(rec.u.chapter.end, 12345);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
        CHECK_INT(rec.type, REEL_PACK_PACKET);
        const struct reel_pack_packet *p = &rec.u.packet;
        CHECK_INT(p->pts, i * 1024 - 2048);
        CHECK_INT(p->dts, i ? i * 1024 - 4096 : INT64_MIN);
        CHECK_INT(p->bytes, i % 64);
        for (uint32_t k = 0; k < p->bytes; k++) CHECK_INT(p->data[k], i);
        CHECK_INT(p->n_side, i == 1);
    }
    CHECK_INT(reel_pack_read(r, &rec), REEL_EOF);
    CHECK_INT(reel_pack_read(r, &rec), REEL_EOF);
    reel_pack_close(&r);
    out_of_folder();
}

static uint8_t *slurp(long *out_n)
{
    FILE *f = fopen(path, "rb");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    *out_n = ftell(f);
    rewind(f);
    uint8_t *data = malloc((size_t)*out_n);
    if (!data || fread(data, 1, (size_t)*out_n, f) != (size_t)*out_n) abort();
    fclose(f);
    return data;
}

static void spit(const uint8_t *data, long n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, (size_t)n, f) != (size_t)n) abort();
    fclose(f);
}

static void cut_at_every_byte(void)
{
    in_folder();
    uint64_t bytes;
    uint8_t sha[32];
    CHECK_INT(write_sample(8, &bytes, sha), REEL_OK);
    CHECK_INT(read_all(), REEL_EOF);
    long n;
    uint8_t *data = slurp(&n);
    for (long i = 0; i < n; i++) {
        spit(data, i);
        enum reel_err err = read_all();
        CHECK_MSG(err == REEL_ERR_INPUT, "cut at %ld of %ld: %s", i, n, reel_err_name(err));
    }
    uint8_t *longer = calloc(1, (size_t)n + 1);
    memcpy(longer, data, (size_t)n);
    spit(longer, n + 1);
    CHECK_INT(read_all(), REEL_ERR_INPUT);
    free(longer);
    free(data);
    out_of_folder();
}

static void flip_every_bit(void)
{
    in_folder();
    uint64_t bytes;
    uint8_t sha[32];
    CHECK_INT(write_sample(4, &bytes, sha), REEL_OK);
    long n;
    uint8_t *data = slurp(&n);
    for (long i = 0; i < n * 8; i++) {
        data[i / 8] ^= (uint8_t)(1 << i % 8);
        spit(data, n);
        enum reel_err err = read_all();
        CHECK_MSG(err == REEL_ERR_INPUT, "bit %ld flipped: %s", i, reel_err_name(err));
        data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    free(data);
    out_of_folder();
}

static void nothing_left(void)
{
    in_folder();
    struct reel_pack_writer *w = NULL;
    CHECK_INT(reel_pack_create(path, &w), REEL_OK);
    reel_pack_abandon(&w);
    CHECK(!w);
    reel_pack_abandon(&w);
    CHECK_INT(rmdir(folder), 0);
    CHECK_INT(reel_pack_create(path, &w), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "could not create file");
}

static void disk_full(void)
{
    // /dev/full takes no byte: the buffered writes come out at the commit.
    in_folder();
    char temporary[REEL_PATH_BYTES];
    reel_part_begin(path, temporary);
    CHECK_INT(symlink("/dev/full", temporary), 0);
    uint64_t bytes;
    uint8_t sha[32];
    CHECK_INT(write_sample(4, &bytes, sha), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "No space left on device");
    CHECK_INT(access(temporary, F_OK), -1);
    out_of_folder();
}

static void given_to_another(void)
{
    // A process that is late to hear that its part was given to another drops
    // it, and lastly commits it, while the other writes.
    in_folder();
    struct reel_pack_writer *w;
    uint64_t bytes;
    uint8_t sha[32];
    for (int commits = 0; commits < 2; commits++) {
        int begun[2], opened[2];
        CHECK_INT(pipe(begun) | pipe(opened), 0);
        char byte = 0;
        pid_t late = fork();
        if (!late) {
            bool good = !reel_pack_create(path, &w) && write(begun[1], &byte, 1) == 1 && read(opened[0], &byte, 1) == 1;
            if (good && commits) reel_pack_commit(&w, &bytes, sha); // may fail: its file is gone
            if (good) reel_pack_abandon(&w);
            _exit(good ? 0 : 1);
        }
        CHECK_INT(read(begun[0], &byte, 1), 1);
        CHECK_INT(reel_pack_create(path, &w), REEL_OK);
        CHECK_INT(write(opened[1], &byte, 1), 1);
        int status;
        CHECK_INT(waitpid(late, &status, 0), late);
        CHECK_INT(status, 0);
        CHECK_INT(reel_pack_commit(&w, &bytes, sha), REEL_OK);
        CHECK_INT(access(path, F_OK), 0);
        CHECK_INT(unlink(path), 0);
        CHECK_INT(rmdir(folder), 0); // nothing else is in it
        CHECK_INT(mkdir(folder, 0700), 0);
        for (int i = 0; i < 2; i++) close(begun[i]), close(opened[i]);
    }
    out_of_folder();
}

// Puts a packet of n bytes, all of them `fill`.
static enum reel_err put_filled(struct reel_pack_writer *w, int fill, uint32_t n)
{
    uint8_t *data = malloc(n);
    if (!data) abort();
    memset(data, fill, n);
    struct reel_pack_packet p = {.pts = fill, .dts = fill, .bytes = n, .data = data};
    enum reel_err err = reel_pack_put_packet(w, &p);
    free(data);
    return err;
}

static void followed(void)
{
    in_folder();
    struct reel_pack_reader *r = NULL;
    CHECK_INT(reel_pack_follow(path, &r), REEL_AGAIN);
    CHECK(!r);
    struct reel_pack_writer *w;
    static struct reel_pack_stream stream;
    static struct reel_pack_record rec;
    fill_stream(&stream);
    CHECK_INT(reel_pack_create_live(path, &w), REEL_OK);
    CHECK_INT(reel_pack_follow(path, &r), REEL_OK);
    CHECK_INT(reel_pack_read(r, &rec), REEL_AGAIN);
    CHECK_INT(reel_pack_put_stream(w, &stream), REEL_OK);
    CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
    CHECK_STR(rec.u.stream.text[0].value, "deu");
    CHECK_INT(reel_pack_read(r, &rec), REEL_AGAIN);
    for (int i = 0; i < 40; i++) { // each is there at once, none before
        CHECK_INT(put_filled(w, i, 100000), REEL_OK);
        CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
        CHECK_INT(rec.u.packet.pts, i);
        CHECK(rec.u.packet.data[0] == i && rec.u.packet.data[99999] == i);
        CHECK_INT(reel_pack_read(r, &rec), REEL_AGAIN);
    }
    struct stat st;
    CHECK_INT(stat(path, &st), 0);
    CHECK_MSG(st.st_size > 4000000 && st.st_blocks * 512 < 2200000, "%lld bytes take %lld", (long long)st.st_size,
              (long long)st.st_blocks * 512);
    uint64_t bytes;
    uint8_t sha[32];
    CHECK_INT(reel_pack_commit(&w, &bytes, sha), REEL_OK);
    CHECK_INT(reel_pack_read(r, &rec), REEL_EOF);
    reel_pack_close(&r);
    out_of_folder();
}

static void followed_byte_by_byte(void)
{
    // However a record comes to be in the file, it is read when it is whole.
    in_folder();
    uint64_t bytes;
    uint8_t sha[32];
    CHECK_INT(write_sample(8, &bytes, sha), REEL_OK);
    long n;
    uint8_t *data = slurp(&n);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    struct reel_pack_reader *r = NULL;
    static struct reel_pack_record rec;
    enum reel_err err = REEL_AGAIN;
    int records = 0;
    for (long i = 0; i < n; i++) {
        CHECK_MSG(err == REEL_AGAIN, "at byte %ld: %s", i, reel_err_name(err));
        CHECK_INT(write(fd, data + i, 1), 1);
        if (!r && (err = reel_pack_follow(path, &r)) == REEL_AGAIN) continue;
        while (!(err = reel_pack_read(r, &rec))) records++;
    }
    CHECK_INT(err, REEL_EOF);
    CHECK_INT(records, 3 + 8);
    reel_pack_close(&r);
    close(fd);
    free(data);
    out_of_folder();
}

static void writer_died(void)
{
    in_folder();
    struct reel_pack_writer *w;
    struct reel_pack_reader *r = NULL;
    static struct reel_pack_stream stream;
    static struct reel_pack_record rec;
    fill_stream(&stream);
    CHECK_INT(reel_pack_create_live(path, &w), REEL_OK);
    CHECK_INT(reel_pack_put_stream(w, &stream), REEL_OK);
    CHECK_INT(put_filled(w, 1, 1000), REEL_OK);
    reel_pack_abandon(&w); // what a death leaves
    CHECK_INT(truncate(path, 1000), 0);
    CHECK_INT(reel_pack_follow(path, &r), REEL_OK);
    CHECK_INT(reel_pack_read(r, &rec), REEL_OK);
    for (int i = 0; i < 3; i++) CHECK_INT(reel_pack_read(r, &rec), REEL_AGAIN);
    reel_pack_close(&r);
    out_of_folder();
}

CHECK_MAIN({"followed", followed}, {"followed_byte_by_byte", followed_byte_by_byte}, {"writer_died", writer_died},
           {"given_to_another", given_to_another}, {"round_trip", round_trip}, {"cut_at_every_byte", cut_at_every_byte},
           {"flip_every_bit", flip_every_bit}, {"nothing_left", nothing_left}, {"disk_full", disk_full})
