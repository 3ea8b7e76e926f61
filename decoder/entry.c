// SPDX-License-Identifier: MIT
//
// Entries and hidden packets by codec. See entry.h.
//
// H.264 (Rec. H.264, 7.3, 7.4, D.1.8): IDR, or recovery point with
//   recovery_frame_cnt 0 in front of I slices only.
// HEVC (Rec. H.265, table 7-1): IDR, CRA, BLA.
// VP8 (RFC 6386, 9.1), VP9 (bitstream specification, 6.2, annex B), AV1
//   (specification, 5.5, 5.9): shown keyframes.
// MPEG-1/2 (Rec. H.262, 6.2): sequence header, then an I picture. MPEG-4 part 2
//   (ISO 14496-2, 6.2.5): I-VOP. FFV1 (RFC 9043, 4.4): keyframe bit. Codecs that
//   are intra-only by definition: every packet.
//
// Parameter sets: a decoder that starts at an entry knows those of the extradata and those in the
// entry itself. An H.264 or HEVC packet is an entry only if these are the same sets that a decoder
// which started at the beginning has there.
#include "decoder/entry.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

#define MAX_SETS 256 // PPS of H.264 are numbered 0..255

enum set_kind {
    SET_VPS,
    SET_SPS,
    SET_PPS,
    SET_KINDS,
};

struct param_set {
    uint32_t base, now; // CRC-32C of the content in the extradata and currently; 0: there is none
    bool here;          // it is in the current packet
};

struct entry_inspector {
    enum AVCodecID codec;
    bool intra_only;
    int length_bytes;  // of NAL unit lengths; 0: start codes
    uint32_t sequence; // CRC of the sequence header (MPEG-2, AV1), 0: none yet
    struct param_set sets[SET_KINDS][MAX_SETS];
};

// ---- bits -----------------------------------------------------------------

struct bits {
    const uint8_t *data;
    size_t n_bits, at;
};

static unsigned get_bit(struct bits *b)
{
    if (b->at >= b->n_bits) {
        b->at++;
        return 0;
    }
    unsigned bit = b->data[b->at >> 3] >> (7 - (b->at & 7)) & 1;
    b->at++;
    return bit;
}

static uint32_t get_bits(struct bits *b, int n)
{
    uint32_t v = 0;
    while (n-- > 0) v = v << 1 | get_bit(b);
    return v;
}

// ue(v), 9.1 of both standards; UINT32_MAX if it is invalid.
static uint32_t get_ue(struct bits *b)
{
    int zeros = 0;
    while (!get_bit(b))
        if (++zeros > 31 || b->at > b->n_bits) return UINT32_MAX;
    return (UINT32_C(1) << zeros) - 1 + get_bits(b, zeros);
}

// Removes emulation prevention bytes (00 00 03).
static size_t unescape(const uint8_t *src, size_t bytes, uint8_t *dst, size_t room)
{
    size_t n = 0;
    int zeros = 0;
    for (size_t i = 0; i < bytes && n < room; i++) {
        if (zeros >= 2 && src[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = src[i] ? 0 : zeros + 1;
        dst[n++] = src[i];
    }
    return n;
}

// ---- NAL units ------------------------------------------------------------

struct nal_walk {
    const uint8_t *at, *end;
    int length_bytes;
};

static const uint8_t *find_start(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 3; p++)
        if (!p[0] && !p[1] && p[2] == 1) return p;
    return NULL;
}

static bool next_nal(struct nal_walk *w, const uint8_t **out_nal, size_t *out_bytes)
{
    if (w->length_bytes) {
        if (w->end - w->at <= w->length_bytes) return false;
        size_t len = 0;
        for (int i = 0; i < w->length_bytes; i++) len = len << 8 | *w->at++;
        if (!len || len > (size_t)(w->end - w->at)) return false;
        *out_nal = w->at;
        *out_bytes = len;
        w->at += len;
        return true;
    }
    for (;;) {
        const uint8_t *start = find_start(w->at, w->end);
        if (!start) return false;
        const uint8_t *nal = start + 3, *next = find_start(nal, w->end);
        w->at = next ? next : w->end;
        const uint8_t *stop = w->at;
        while (stop > nal && !stop[-1]) stop--; // trailing zeros belong to the next start code
        if (stop == nal) continue;
        *out_nal = nal;
        *out_bytes = (size_t)(stop - nal);
        return true;
    }
}

// ---- parameter sets -------------------------------------------------------

static uint32_t hevc_sps_id(struct bits *b)
{
    get_bits(b, 4);
    unsigned sub_layers = get_bits(b, 3);
    get_bit(b);
    b->at += 96; // general profile_tier_level
    unsigned profile = 0, level = 0;
    for (unsigned i = 0; i < 8 && sub_layers; i++) {
        unsigned has_profile = get_bit(b), has_level = get_bit(b);
        if (i < sub_layers) profile += has_profile, level += has_level;
    }
    b->at += 88 * (size_t)profile + 8 * (size_t)level;
    return get_ue(b);
}

static void put_set(struct entry_inspector *in, enum set_kind kind, const uint8_t *nal, size_t bytes, bool base,
                    struct entry_verdict *verdict)
{
    bool hevc = in->codec == AV_CODEC_ID_HEVC;
    uint8_t head[128];
    struct bits b = {head, 8 * unescape(nal, bytes, head, sizeof head), hevc ? 16 : 8};
    uint32_t id;
    if (kind == SET_VPS)
        id = get_bits(&b, 4);
    else if (kind == SET_PPS)
        id = get_ue(&b);
    else if (hevc)
        id = hevc_sps_id(&b);
    else
        b.at += 24, id = get_ue(&b);
    if (id >= MAX_SETS) return;
    struct param_set *set = &in->sets[kind][id];
    uint32_t crc = reel_crc32c(0, nal, bytes) | 1;
    if (!base && kind != SET_PPS && set->now && set->now != crc) verdict->sets_changed = true;
    set->now = crc;
    set->here = true;
    if (base) set->base = crc;
}

// Whether a decoder that starts at this packet would have the same sets.
static bool sets_complete(const struct entry_inspector *in)
{
    for (int k = 0; k < SET_KINDS; k++)
        for (int i = 0; i < MAX_SETS; i++) {
            const struct param_set *s = &in->sets[k][i];
            if (s->now && !s->here && s->now != s->base) return false;
        }
    return true;
}

static void forget_here(struct entry_inspector *in)
{
    for (int k = 0; k < SET_KINDS; k++)
        for (int i = 0; i < MAX_SETS; i++) in->sets[k][i].here = false;
}

// ---- H.264 ----------------------------------------------------------------

// recovery_frame_cnt of a recovery point SEI (payload type 6), or -1.
static int64_t recovery_count(const uint8_t *nal, size_t bytes)
{
    uint8_t sei[1024];
    size_t n = unescape(nal + 1, bytes - 1, sei, sizeof sei);
    for (size_t i = 0; i + 2 < n;) {
        size_t type = 0, size = 0;
        while (i < n && sei[i] == 255) type += 255, i++;
        if (i < n) type += sei[i++];
        while (i < n && sei[i] == 255) size += 255, i++;
        if (i < n) size += sei[i++];
        if (size > n - i) size = n - i;
        if (type == 6) {
            struct bits b = {sei + i, 8 * size, 0};
            uint32_t count = get_ue(&b);
            return count == UINT32_MAX ? -1 : (int64_t)count;
        }
        i += size;
    }
    return -1;
}

static void inspect_h264(struct entry_inspector *in, const AVPacket *packet, struct entry_verdict *v)
{
    struct nal_walk walk = {packet->data, packet->data + packet->size, in->length_bytes};
    const uint8_t *nal;
    size_t bytes;
    bool idr = false, recovery = false, all_intra = true, slices = false;
    while (next_nal(&walk, &nal, &bytes)) {
        unsigned type = nal[0] & 31;
        if (type == 7 || type == 8) put_set(in, type == 7 ? SET_SPS : SET_PPS, nal, bytes, false, v);
        if (type == 6 && recovery_count(nal, bytes) == 0) recovery = true;
        if (type == 5) idr = slices = true;
        if (type < 1 || type > 4) continue;
        uint8_t head[16];
        struct bits b = {head, 8 * unescape(nal, bytes, head, sizeof head), 8};
        get_ue(&b); // first_mb_in_slice
        uint32_t slice = get_ue(&b);
        if (slice % 5 != 2 && slice % 5 != 4) all_intra = false; // I, SI
        slices = true;
    }
    v->entry = slices && all_intra && (idr || recovery) && sets_complete(in);
}

// ---- HEVC -----------------------------------------------------------------

static void inspect_hevc(struct entry_inspector *in, const AVPacket *packet, struct entry_verdict *v)
{
    struct nal_walk walk = {packet->data, packet->data + packet->size, in->length_bytes};
    const uint8_t *nal;
    size_t bytes;
    bool irap = false, other = false;
    while (next_nal(&walk, &nal, &bytes)) {
        if (bytes < 2) continue;
        unsigned type = nal[0] >> 1 & 63, layer = (nal[0] & 1) << 5 | nal[1] >> 3;
        if (type >= 32 && type <= 34) put_set(in, (enum set_kind)(SET_VPS + (type - 32)), nal, bytes, false, v);
        if (layer || type > 31) continue;
        if (type >= 16 && type <= 21)
            irap = true;
        else
            other = true;
    }
    v->entry = irap && !other && sets_complete(in);
}

// ---- VP8, VP9, AV1 --------------------------------------------------------

static void inspect_vp8(const AVPacket *packet, struct entry_verdict *v)
{
    if (packet->size < 1) return;
    v->entry = !(packet->data[0] & 1);
    v->hidden = !(packet->data[0] >> 4 & 1);
}

static void vp9_frame(const uint8_t *data, size_t bytes, bool *out_key, bool *out_shown)
{
    struct bits b = {data, 8 * (bytes < 16 ? bytes : 16), 0};
    *out_key = *out_shown = false;
    if (get_bits(&b, 2) != 2) return;
    unsigned profile = get_bit(&b);
    profile |= get_bit(&b) << 1;
    if (profile == 3) get_bit(&b);
    if (get_bit(&b)) { // show_existing_frame
        *out_shown = true;
        return;
    }
    *out_key = !get_bit(&b);
    *out_shown = get_bit(&b);
}

static void inspect_vp9(const AVPacket *packet, struct entry_verdict *v)
{
    const uint8_t *data = packet->data;
    size_t size = (size_t)packet->size, sizes[8] = {size}, n = 1;
    unsigned mark = size ? data[size - 1] : 0;
    if ((mark & 0xe0) == 0xc0) { // superframe index, annex B
        size_t count = (mark & 7) + 1, width = (mark >> 3 & 3) + 1, index = 2 + width * count;
        if (size >= index && data[size - index] == mark) {
            n = count;
            for (size_t i = 0; i < count; i++) {
                sizes[i] = 0;
                for (size_t k = 0; k < width; k++) sizes[i] |= (size_t)data[size - index + 1 + i * width + k] << 8 * k;
            }
        }
    }
    bool any_shown = false;
    for (size_t i = 0, at = 0; i < n && sizes[i] <= size - at; at += sizes[i++]) {
        bool key, shown;
        vp9_frame(data + at, sizes[i], &key, &shown);
        if (i == 0) v->entry = key && shown;
        any_shown |= shown;
    }
    v->hidden = !any_shown;
}

static void inspect_av1(struct entry_inspector *in, const AVPacket *packet, struct entry_verdict *v)
{
    const uint8_t *p = packet->data, *end = p + packet->size;
    bool reduced = false, seen_sequence = false;
    while (p < end) {
        unsigned head = *p++, type = head >> 3 & 15;
        if (head & 4 && p < end) p++;
        size_t size = (size_t)(end - p);
        if (head & 2) { // leb128
            uint64_t value = 0;
            for (int i = 0; i < 8 && p < end; i++) {
                value |= (uint64_t)(*p & 127) << 7 * i;
                if (!(*p++ & 128)) break;
            }
            if (value > (uint64_t)(end - p)) return;
            size = (size_t)value;
        }
        struct bits b = {p, 8 * size, 0};
        if (type == 1) {
            uint32_t crc = reel_crc32c(0, p, size) | 1;
            if (in->sequence && crc != in->sequence) v->sets_changed = true;
            in->sequence = crc;
            get_bits(&b, 4);
            reduced = get_bit(&b);
            seen_sequence = true;
        }
        if (type == 3 || type == 6) { // the first frame header of the temporal unit decides
            v->entry = seen_sequence && (reduced || (!get_bit(&b) && get_bits(&b, 2) == 0 && get_bit(&b)));
            return;
        }
        p += size;
    }
}

// ---- MPEG and the rest ----------------------------------------------------

static void inspect_mpeg12(struct entry_inspector *in, const AVPacket *packet, struct entry_verdict *v)
{
    const uint8_t *end = packet->data + packet->size;
    bool sequence = false;
    for (const uint8_t *p = packet->data; (p = find_start(p, end)); p += 3) {
        if (end - p < 8) return;
        if (p[3] == 0xb3) { // only size, aspect and rate; quantiser tables may differ, they are in the entry
            uint32_t crc = reel_crc32c(0, p + 4, 4) | 1;
            if (in->sequence && crc != in->sequence) v->sets_changed = true;
            in->sequence = crc;
            sequence = true;
        }
        if (p[3] == 0x00) { // picture: temporal_reference 10 bits, type 3 bits
            v->entry = sequence && (p[5] >> 3 & 7) == 1;
            return;
        }
    }
}

static void inspect_mpeg4(const AVPacket *packet, struct entry_verdict *v)
{
    const uint8_t *end = packet->data + packet->size;
    const uint8_t *p = packet->data;
    while ((p = find_start(p, end)) && end - p > 4 && p[3] != 0xb6) p += 3;
    v->entry = p && end - p > 4 && p[4] >> 6 == 0;
}

// The keyframe bit is the range coder's first decision, on state 128.
static void inspect_ffv1(const AVPacket *packet, struct entry_verdict *v)
{
    v->entry =
        packet->size > 2 && (packet->data[0] << 8 | packet->data[1]) >= 0x7f80 && packet->flags & AV_PKT_FLAG_KEY;
}

// ---- a stream -------------------------------------------------------------

// Reads parameter sets from avcC (ISO 14496-15, 5.3.3), hvcC (8.3.3), or NAL units with start codes.
static void read_extradata(struct entry_inspector *in, const uint8_t *data, size_t bytes)
{
    bool hevc = in->codec == AV_CODEC_ID_HEVC;
    struct entry_verdict ignored;
    if (bytes < 7 || (!data[0] && !data[1] && data[2] <= 1)) {
        struct nal_walk walk = {data, data + bytes, 0};
        const uint8_t *nal;
        size_t n;
        while (next_nal(&walk, &nal, &n)) {
            unsigned type = hevc ? nal[0] >> 1 & 63 : nal[0] & 31;
            if (hevc && type >= 32 && type <= 34)
                put_set(in, (enum set_kind)(SET_VPS + (type - 32)), nal, n, true, &ignored);
            if (!hevc && (type == 7 || type == 8)) put_set(in, type == 7 ? SET_SPS : SET_PPS, nal, n, true, &ignored);
        }
        return;
    }
    if (hevc && bytes < 23) return;
    in->length_bytes = (data[hevc ? 21 : 4] & 3) + 1;
    const uint8_t *p = data + (hevc ? 23 : 6), *end = data + bytes;
    int groups = hevc ? data[22] : 2, count = hevc ? 0 : data[5] & 31;
    for (int g = 0; g < groups; g++) {
        if (hevc) {
            if (end - p < 3) return;
            count = p[1] << 8 | p[2];
            p += 3;
        } else if (g == 1) {
            if (end - p < 1) return;
            count = *p++;
        }
        for (int i = 0; i < count; i++) {
            if (end - p < 2) return;
            size_t n = (size_t)p[0] << 8 | p[1];
            p += 2;
            if (!n || n > (size_t)(end - p)) return;
            unsigned type = hevc ? p[0] >> 1 & 63 : 0;
            if (!hevc)
                put_set(in, g ? SET_PPS : SET_SPS, p, n, true, &ignored);
            else if (type >= 32 && type <= 34)
                put_set(in, (enum set_kind)(SET_VPS + (type - 32)), p, n, true, &ignored);
            p += n;
        }
    }
}

struct entry_inspector *entry_create(const AVCodecParameters *par)
{
    struct entry_inspector *in = calloc(1, sizeof *in);
    if (!in) return NULL;
    in->codec = par->codec_id;
    const AVCodecDescriptor *desc = avcodec_descriptor_get(par->codec_id);
    in->intra_only = desc && desc->props & AV_CODEC_PROP_INTRA_ONLY;
    if ((in->codec == AV_CODEC_ID_H264 || in->codec == AV_CODEC_ID_HEVC) && par->extradata_size > 0)
        read_extradata(in, par->extradata, (size_t)par->extradata_size);
    return in;
}

void entry_destroy(struct entry_inspector **inspector)
{
    free(*inspector);
    *inspector = NULL;
}

void entry_inspect(struct entry_inspector *in, const AVPacket *packet, struct entry_verdict *v)
{
    *v = (struct entry_verdict){0};
    size_t new_bytes;
    if (av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, &new_bytes)) v->sets_changed = true;
    forget_here(in);
    switch (in->codec) {
    case AV_CODEC_ID_H264:
        inspect_h264(in, packet, v);
        break;
    case AV_CODEC_ID_HEVC:
        inspect_hevc(in, packet, v);
        break;
    case AV_CODEC_ID_VP8:
        inspect_vp8(packet, v);
        break;
    case AV_CODEC_ID_VP9:
        inspect_vp9(packet, v);
        break;
    case AV_CODEC_ID_AV1:
        inspect_av1(in, packet, v);
        break;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        inspect_mpeg12(in, packet, v);
        break;
    case AV_CODEC_ID_MPEG4:
        inspect_mpeg4(packet, v);
        break;
    case AV_CODEC_ID_FFV1:
        inspect_ffv1(packet, v);
        break;
    default:
        v->entry = in->intra_only && packet->flags & AV_PKT_FLAG_KEY;
        break;
    }
    if (packet->flags & (AV_PKT_FLAG_DISCARD | AV_PKT_FLAG_CORRUPT)) v->entry = false;
}

bool entry_hidden(enum AVCodecID codec, const AVPacket *packet)
{
    struct entry_verdict v = {0};
    if (codec == AV_CODEC_ID_VP8) inspect_vp8(packet, &v);
    if (codec == AV_CODEC_ID_VP9) inspect_vp9(packet, &v);
    return v.hidden;
}
