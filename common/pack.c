// SPDX-License-Identifier: MIT
//
// Writing pack files, see pack.h. The data comes last in a packet's payload, so that it is
// written from the caller's memory without a copy.
#include "common/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/job.h"
#include "common/pack_format.h"

// ---- a growing buffer of little-endian numbers ------------------------------

struct bytes {
    uint8_t *data;
    size_t used, room;
    bool failed; // out of memory; checked once, before it is written
};

static uint8_t *grow(struct bytes *b, size_t more)
{
    if (b->failed) return NULL;
    if (b->room - b->used < more) {
        size_t room = (b->used + more) * 2;
        uint8_t *data = realloc(b->data, room);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->room = room;
    }
    uint8_t *at = b->data + b->used;
    b->used += more;
    return at;
}

static void store(uint8_t *at, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void put_int(struct bytes *b, uint64_t value, int n)
{
    uint8_t *at = grow(b, (size_t)n);
    if (at) store(at, value, n);
}

static void put32(struct bytes *b, uint32_t value)
{
    put_int(b, value, 4);
}

static void put64(struct bytes *b, uint64_t value)
{
    put_int(b, value, 8);
}

static void put_bytes(struct bytes *b, const void *data, size_t n)
{
    put32(b, (uint32_t)n);
    uint8_t *at = grow(b, n);
    if (at && n) memcpy(at, data, n);
}

static void put_rational(struct bytes *b, struct reel_rational r)
{
    put32(b, (uint32_t)r.num);
    put32(b, (uint32_t)r.den);
}

static void put_texts(struct bytes *b, const struct reel_pack_text *text, uint32_t n)
{
    put32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        put_bytes(b, text[i].key, strlen(text[i].key) + 1);
        put_bytes(b, text[i].value, strlen(text[i].value) + 1);
    }
}

static void put_sides(struct bytes *b, const struct reel_pack_side *side, uint32_t n)
{
    put32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        put32(b, side[i].type);
        put_bytes(b, side[i].data, side[i].bytes);
    }
}

// ---- writing ----------------------------------------------------------------

struct reel_pack_writer {
    FILE *file;
    struct reel_sha256 sha;
    struct bytes scratch;
    uint64_t bytes, packets;
    bool live; // written under its final name and flushed after each record
    char path[REEL_PATH_BYTES], temporary[REEL_PATH_BYTES];
};

static enum reel_err write_failed(const struct reel_pack_writer *w, int error)
{
    return reel_fail(REEL_ERR_IO, "could not write file \"%s\": %s%s", w->path, strerror(error),
                     error == ENOSPC || error == EDQUOT
                         ? "\nfree some space and run the same command again: finished parts of a file are kept"
                         : "");
}

static enum reel_err write_bytes(struct reel_pack_writer *w, const void *data, size_t n)
{
    if (n && fwrite(data, 1, n, w->file) != n) return write_failed(w, errno);
    reel_sha256_update(&w->sha, data, n);
    w->bytes += n;
    return REEL_OK;
}

// Writes one record: its payload is w->scratch followed by tail.
static enum reel_err write_record(struct reel_pack_writer *w, enum reel_pack_type type, const void *tail, size_t n_tail)
{
    if (w->scratch.failed) return reel_fail(REEL_ERR_NOMEM, "could not write file \"%s\": out of memory", w->path);
    if (n_tail > PACK_MAX_PAYLOAD || w->scratch.used > PACK_MAX_PAYLOAD - n_tail)
        return reel_fail(REEL_ERR_LIMIT, "could not write file \"%s\": a packet of %zu bytes is too large", w->path,
                         n_tail);
    uint8_t head[PACK_RECORD_HEAD_BYTES];
    store(head, type, 4);
    store(head + 4, w->scratch.used + n_tail, 4);
    uint32_t crc = reel_crc32c(0, head, 8);
    crc = reel_crc32c(crc, w->scratch.data, w->scratch.used);
    crc = reel_crc32c(crc, tail, n_tail);
    store(head + 8, crc, 4);
    enum reel_err err = write_bytes(w, head, sizeof head);
    if (!err) err = write_bytes(w, w->scratch.data, w->scratch.used);
    if (!err) err = write_bytes(w, tail, n_tail);
    if (!err && w->live && fflush(w->file)) err = write_failed(w, errno);
    return err;
}

static enum reel_err create(const char *path, bool live, struct reel_pack_writer **out_writer)
{
    struct reel_pack_writer *w = calloc(1, sizeof *w);
    if (!w) return reel_fail(REEL_ERR_NOMEM, "could not create file \"%s\": out of memory", path);
    enum reel_err err = REEL_OK;
    w->live = live;
    snprintf(w->path, sizeof w->path, "%s", path);
    if (live)
        snprintf(w->temporary, sizeof w->temporary, "%s", path);
    else
        reel_part_begin(path, w->temporary);
    reel_sha256_init(&w->sha);
    if (!grow(&w->scratch, 4096))
        err = reel_fail(REEL_ERR_NOMEM, "could not create file \"%s\": out of memory", path);
    else if (!(w->file = fopen(w->temporary, "wbe")))
        err = reel_fail(REEL_ERR_IO, "could not create file \"%s\": %s", w->temporary, strerror(errno));
    if (!err) {
        setvbuf(w->file, NULL, _IOFBF, PACK_FILE_BUFFER_BYTES);
        uint8_t head[PACK_FILE_HEAD_BYTES];
        memcpy(head, PACK_MAGIC, PACK_MAGIC_BYTES);
        store(head + 8, PACK_VERSION, 4);
        err = write_bytes(w, head, sizeof head);
        if (!err && live && fflush(w->file)) err = write_failed(w, errno);
    }
    if (err)
        reel_pack_abandon(&w);
    else
        *out_writer = w;
    return err;
}

enum reel_err reel_pack_create(const char *path, struct reel_pack_writer **out_writer)
{
    return create(path, false, out_writer);
}

enum reel_err reel_pack_create_live(const char *path, struct reel_pack_writer **out_writer)
{
    return create(path, true, out_writer);
}

enum reel_err reel_pack_put_stream(struct reel_pack_writer *w, const struct reel_pack_stream *s)
{
    struct bytes *b = &w->scratch;
    b->used = 0;
    const uint32_t numbers[] = {s->id,
                                (uint32_t)s->media_type,
                                s->codec_id,
                                s->codec_tag,
                                (uint32_t)s->format,
                                (uint32_t)s->profile,
                                (uint32_t)s->level,
                                (uint32_t)s->width,
                                (uint32_t)s->height,
                                (uint32_t)s->bits_per_coded_sample,
                                (uint32_t)s->bits_per_raw_sample,
                                (uint32_t)s->sample_rate,
                                (uint32_t)s->channels,
                                (uint32_t)s->frame_size,
                                (uint32_t)s->block_align,
                                (uint32_t)s->initial_padding,
                                (uint32_t)s->trailing_padding,
                                (uint32_t)s->seek_preroll,
                                (uint32_t)s->disposition,
                                (uint32_t)s->video_delay};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put32(b, numbers[i]);
    put64(b, (uint64_t)s->bit_rate);
    put64(b, s->channel_mask);
    put64(b, (uint64_t)s->duration);
    put_rational(b, s->time_base);
    put_rational(b, s->sar);
    put_rational(b, s->frame_rate);
    const uint8_t colour[] = {s->colour.primaries,  s->colour.transfer,    s->colour.matrix,
                              s->colour.full_range, s->colour.range_known, s->colour.chroma_location};
    put_bytes(b, colour, sizeof colour);
    put_bytes(b, s->extradata, s->extradata_bytes);
    put_sides(b, s->side, s->n_side);
    put_texts(b, s->text, s->n_text);
    return write_record(w, REEL_PACK_STREAM, NULL, 0);
}

enum reel_err reel_pack_put_globals(struct reel_pack_writer *w, const struct reel_pack_text *text, uint32_t n)
{
    w->scratch.used = 0;
    put_texts(&w->scratch, text, n);
    return write_record(w, REEL_PACK_GLOBALS, NULL, 0);
}

enum reel_err reel_pack_put_chapter(struct reel_pack_writer *w, const struct reel_pack_chapter *c)
{
    struct bytes *b = &w->scratch;
    b->used = 0;
    put64(b, (uint64_t)c->id);
    put_rational(b, c->time_base);
    put64(b, (uint64_t)c->start);
    put64(b, (uint64_t)c->end);
    put_texts(b, c->text, c->n_text);
    return write_record(w, REEL_PACK_CHAPTER, NULL, 0);
}

enum reel_err reel_pack_put_packet(struct reel_pack_writer *w, const struct reel_pack_packet *p)
{
    struct bytes *b = &w->scratch;
    b->used = 0;
    put32(b, p->stream);
    put32(b, p->flags);
    put64(b, (uint64_t)p->pts);
    put64(b, (uint64_t)p->dts);
    put64(b, (uint64_t)p->duration);
    put_sides(b, p->side, p->n_side);
    put32(b, p->bytes);
    enum reel_err err = write_record(w, REEL_PACK_PACKET, p->data, p->bytes);
    if (!err) w->packets++;
    return err;
}

enum reel_err reel_pack_commit(struct reel_pack_writer **writer, uint64_t *out_bytes, uint8_t out_sha256[32])
{
    struct reel_pack_writer *w = *writer;
    w->scratch.used = 0;
    put64(&w->scratch, w->packets);
    enum reel_err err = write_record(w, REEL_PACK_END, NULL, 0);
    if (!err && fflush(w->file)) err = write_failed(w, errno);
    if (!err && !w->live) err = reel_commit_file(fileno(w->file), w->temporary, w->path);
    if (!err) {
        *out_bytes = w->bytes;
        reel_sha256_final(&w->sha, out_sha256);
    }
    reel_pack_abandon(writer); // only frees it after a rename: the temporary name is gone
    return err;
}

void reel_pack_abandon(struct reel_pack_writer **writer)
{
    struct reel_pack_writer *w = *writer;
    if (!w) return;
    if (w->file) {
        fclose(w->file);
        if (!w->live) unlink(w->temporary);
    }
    free(w->scratch.data);
    free(w);
    *writer = NULL;
}
