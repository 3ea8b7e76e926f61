// SPDX-License-Identifier: MIT
//
// Reading pack files, see pack.h. Every size is checked; a record's checksum covers its type,
// its length and its payload, so no flipped bit goes unnoticed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/job.h"
#include "common/pack.h"
#include "common/pack_format.h"

#define MAX_STREAMS 4096u
#define READ_PADDING 64u // zeros after a payload, because bit readers of codecs read ahead
#define GIVE_BACK_BYTES (UINT64_C(1) << 20)

struct reel_pack_reader {
    FILE *file;
    uint64_t left; // bytes of the file not yet read
    uint64_t packets;
    uint32_t streams;
    bool ended;
    bool follows;
    uint64_t at, given_back; // bytes read; follows: how many of them were punched out of the file
    uint8_t *payload;
    size_t room;
    struct reel_pack_text *globals; // [REEL_PACK_MAX_TEXT]
    char path[REEL_PATH_BYTES];
};

// A cursor over one payload; after the first failure everything reads as 0.
struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t load(const uint8_t *at, int n)
{
    uint64_t value = 0;
    for (int i = 0; i < n; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint64_t get_int(struct cursor *c, int n)
{
    if (c->failed || c->end - c->at < n) {
        c->failed = true;
        return 0;
    }
    c->at += n;
    return load(c->at - n, n);
}

static uint32_t get32(struct cursor *c)
{
    return (uint32_t)get_int(c, 4);
}

static int64_t get64(struct cursor *c)
{
    return (int64_t)get_int(c, 8);
}

static const uint8_t *get_bytes(struct cursor *c, uint32_t *out_n)
{
    uint32_t n = get32(c);
    if (c->failed || (uint64_t)(c->end - c->at) < n) {
        c->failed = true;
        *out_n = 0;
        return NULL;
    }
    *out_n = n;
    c->at += n;
    return c->at - n;
}

static const char *get_string(struct cursor *c)
{
    uint32_t n;
    const uint8_t *s = get_bytes(c, &n);
    if (!s || !n || memchr(s, 0, n) != s + n - 1) {
        c->failed = true;
        return "";
    }
    return (const char *)s;
}

static struct reel_rational get_rational(struct cursor *c)
{
    int32_t num = (int32_t)get32(c);
    return (struct reel_rational){num, (int32_t)get32(c)};
}

static uint32_t get_count(struct cursor *c, uint32_t max)
{
    uint32_t n = get32(c);
    if (n <= max) return n;
    c->failed = true;
    return 0;
}

static uint32_t get_texts(struct cursor *c, struct reel_pack_text *text)
{
    uint32_t n = get_count(c, REEL_PACK_MAX_TEXT);
    for (uint32_t i = 0; i < n; i++) {
        text[i].key = get_string(c);
        text[i].value = get_string(c);
    }
    return n;
}

static uint32_t get_sides(struct cursor *c, struct reel_pack_side *side)
{
    uint32_t n = get_count(c, REEL_PACK_MAX_SIDE);
    for (uint32_t i = 0; i < n; i++) {
        side[i].type = get32(c);
        side[i].data = get_bytes(c, &side[i].bytes);
    }
    return n;
}

static void get_stream(struct cursor *c, struct reel_pack_stream *s)
{
    memset(s, 0, offsetof(struct reel_pack_stream, side));
    s->id = get32(c);
    s->media_type = (int32_t)get32(c);
    s->codec_id = get32(c);
    s->codec_tag = get32(c);
    int32_t *const numbers[] = {&s->format,
                                &s->profile,
                                &s->level,
                                &s->width,
                                &s->height,
                                &s->bits_per_coded_sample,
                                &s->bits_per_raw_sample,
                                &s->sample_rate,
                                &s->channels,
                                &s->frame_size,
                                &s->block_align,
                                &s->initial_padding,
                                &s->trailing_padding,
                                &s->seek_preroll,
                                &s->disposition,
                                &s->video_delay};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) *numbers[i] = (int32_t)get32(c);
    s->bit_rate = get64(c);
    s->channel_mask = (uint64_t)get64(c);
    s->duration = get64(c);
    s->time_base = get_rational(c);
    s->sar = get_rational(c);
    s->frame_rate = get_rational(c);
    uint32_t n_colour;
    const uint8_t *colour = get_bytes(c, &n_colour);
    if (n_colour == 6)
        s->colour = (struct reel_colour){colour[0], colour[1], colour[2], colour[3], colour[4], colour[5]};
    else
        c->failed = true;
    s->extradata = get_bytes(c, &s->extradata_bytes);
    s->n_side = get_sides(c, s->side);
    s->n_text = get_texts(c, s->text);
}

static void get_chapter(struct cursor *c, struct reel_pack_chapter *chapter)
{
    chapter->id = get64(c);
    chapter->time_base = get_rational(c);
    chapter->start = get64(c);
    chapter->end = get64(c);
    chapter->n_text = get_texts(c, chapter->text);
}

static void get_packet(struct cursor *c, struct reel_pack_packet *p)
{
    p->stream = get32(c);
    p->flags = get32(c);
    p->pts = get64(c);
    p->dts = get64(c);
    p->duration = get64(c);
    p->n_side = get_sides(c, p->side);
    p->data = get_bytes(c, &p->bytes);
}

static enum reel_err damaged(const struct reel_pack_reader *r, const char *how)
{
    return reel_fail(REEL_ERR_INPUT, "could not read part \"%s\": %s", r->path, how);
}

static enum reel_err read_bytes(struct reel_pack_reader *r, void *data, size_t n)
{
    if (n > r->left) return damaged(r, "it is cut off");
    if (fread(data, 1, n, r->file) != n)
        return ferror(r->file) ? reel_fail(REEL_ERR_IO, "could not read part \"%s\": %s", r->path, strerror(errno))
                               : damaged(r, "it is cut off");
    r->left -= n;
    r->at += n;
    return REEL_OK;
}

static enum reel_err open_reader(const char *path, bool follows, struct reel_pack_reader **out_reader)
{
    struct reel_pack_reader *r = calloc(1, sizeof *r);
    if (!r) return reel_fail(REEL_ERR_NOMEM, "could not open part \"%s\": out of memory", path);
    snprintf(r->path, sizeof r->path, "%s", path);
    r->follows = follows;
    enum reel_err err = REEL_OK;
    struct stat st;
    r->globals = calloc(REEL_PACK_MAX_TEXT, sizeof *r->globals);
    if (!r->globals)
        err = reel_fail(REEL_ERR_NOMEM, "could not open part \"%s\": out of memory", path);
    else if (!(r->file = fopen(path, follows ? "r+be" : "rbe")) || fstat(fileno(r->file), &st))
        err = follows && errno == ENOENT
                  ? REEL_AGAIN
                  : reel_fail(REEL_ERR_IO, "could not open part \"%s\": %s", path, strerror(errno));
    uint8_t head[PACK_FILE_HEAD_BYTES];
    if (!err) {
        setvbuf(r->file, NULL, _IOFBF, PACK_FILE_BUFFER_BYTES);
        r->left = (uint64_t)st.st_size;
        err = follows && r->left < sizeof head ? REEL_AGAIN : read_bytes(r, head, sizeof head);
    }
    if (!err && (memcmp(head, PACK_MAGIC, PACK_MAGIC_BYTES) || load(head + 8, 4) != PACK_VERSION))
        err = damaged(r, "not a part file of this version");
    if (err)
        reel_pack_close(&r);
    else
        *out_reader = r;
    return err;
}

enum reel_err reel_pack_open(const char *path, struct reel_pack_reader **out_reader)
{
    return open_reader(path, false, out_reader);
}

enum reel_err reel_pack_follow(const char *path, struct reel_pack_reader **out_reader)
{
    return open_reader(path, true, out_reader);
}

// Returns what was read to the file system, in large pieces. Where that is not supported, the
// file keeps its size.
static void give_back(struct reel_pack_reader *r)
{
    uint64_t upto = r->at & ~(GIVE_BACK_BYTES - 1);
    if (upto == r->given_back) return;
    fallocate(fileno(r->file), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)r->given_back,
              (off_t)(upto - r->given_back));
    r->given_back = upto;
}

// OK if the next record of a growing file is complete, else AGAIN.
static enum reel_err is_there(struct reel_pack_reader *r)
{
    struct stat st;
    if (fstat(fileno(r->file), &st))
        return reel_fail(REEL_ERR_IO, "could not read part \"%s\": %s", r->path, strerror(errno));
    r->left = (uint64_t)st.st_size - r->at;
    if (r->left < PACK_RECORD_HEAD_BYTES) return REEL_AGAIN;
    uint8_t head[PACK_RECORD_HEAD_BYTES];
    if (fread(head, 1, sizeof head, r->file) != sizeof head || fseeko(r->file, (off_t)r->at, SEEK_SET))
        return reel_fail(REEL_ERR_IO, "could not read part \"%s\": %s", r->path, strerror(errno));
    return load(head + 4, 4) > r->left - PACK_RECORD_HEAD_BYTES ? REEL_AGAIN : REEL_OK;
}

// Reads and checks one record's payload into r->payload.
static enum reel_err read_record(struct reel_pack_reader *r, uint32_t *out_type, struct cursor *out_cursor)
{
    uint8_t head[PACK_RECORD_HEAD_BYTES];
    enum reel_err err = read_bytes(r, head, sizeof head);
    if (err) return err;
    uint32_t bytes = (uint32_t)load(head + 4, 4);
    if (bytes > PACK_MAX_PAYLOAD || bytes > r->left) return damaged(r, "it is cut off");
    if (r->room < bytes + READ_PADDING) {
        size_t room = bytes + bytes / 2 + READ_PADDING;
        uint8_t *payload = realloc(r->payload, room);
        if (!payload) return reel_fail(REEL_ERR_NOMEM, "could not read part \"%s\": out of memory", r->path);
        r->payload = payload;
        r->room = room;
    }
    if ((err = read_bytes(r, r->payload, bytes))) return err;
    memset(r->payload + bytes, 0, READ_PADDING);
    if (reel_crc32c(reel_crc32c(0, head, 8), r->payload, bytes) != load(head + 8, 4))
        return damaged(r, "a checksum does not match");
    *out_type = (uint32_t)load(head, 4);
    *out_cursor = (struct cursor){r->payload, r->payload + bytes, false};
    return REEL_OK;
}

enum reel_err reel_pack_read(struct reel_pack_reader *r, struct reel_pack_record *out)
{
    if (r->ended) return REEL_EOF;
    uint32_t type = 0;
    struct cursor c;
    enum reel_err err = r->follows ? is_there(r) : REEL_OK;
    if (!err) err = read_record(r, &type, &c);
    if (err) return err;
    if (r->follows) give_back(r);
    out->type = (enum reel_pack_type)type;
    switch (out->type) {
    case REEL_PACK_STREAM:
        get_stream(&c, &out->u.stream);
        if (out->u.stream.id != r->streams || r->streams++ >= MAX_STREAMS) c.failed = true;
        break;
    case REEL_PACK_GLOBALS:
        out->u.globals.n = get_texts(&c, r->globals);
        out->u.globals.text = r->globals;
        break;
    case REEL_PACK_CHAPTER:
        get_chapter(&c, &out->u.chapter);
        break;
    case REEL_PACK_PACKET:
        get_packet(&c, &out->u.packet);
        if (out->u.packet.stream >= r->streams) c.failed = true;
        r->packets++;
        break;
    case REEL_PACK_END:
        if ((uint64_t)get64(&c) != r->packets || r->left) c.failed = true;
        r->ended = true;
        break;
    default:
        c.failed = true;
    }
    if (c.failed || c.at != c.end) return damaged(r, "a record is invalid");
    return r->ended ? REEL_EOF : REEL_OK;
}

uint64_t reel_pack_at(const struct reel_pack_reader *r)
{
    return r->at;
}

void reel_pack_close(struct reel_pack_reader **reader)
{
    struct reel_pack_reader *r = *reader;
    if (!r) return;
    if (r->file) fclose(r->file);
    free(r->globals);
    free(r->payload);
    free(r);
    *reader = NULL;
}
