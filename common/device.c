// SPDX-License-Identifier: MIT
//
// The table of GPUs as text and back, and what generations of GPUs can decode
// and encode. See device.h. Calls no driver.
#include "common/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "reelmill-devices 1"
#define FILE_MAX 65536

static const struct {
    uint32_t bit;
    const char *name, *text;
} codec_names[] = {
    {REEL_GPU_H264, "h264", "h264"},
    {REEL_GPU_HEVC, "hevc", "hevc"},
    {REEL_GPU_HEVC_10BIT, "hevc10", "hevc 10 bit"},
    {REEL_GPU_AV1, "av1", "av1"},
    {REEL_GPU_VP8, "vp8", "vp8"},
    {REEL_GPU_VP9, "vp9", "vp9"},
    {REEL_GPU_MPEG2, "mpeg2", "mpeg2"},
    {REEL_GPU_MPEG4, "mpeg4", "mpeg4"},
    {REEL_GPU_VC1, "vc1", "vc1"},
    {REEL_GPU_MJPEG, "mjpeg", "mjpeg"},
};
#define N_CODECS (sizeof codec_names / sizeof codec_names[0])

// ---- what a generation can do -------------------------------------------------

// Whether the name contains the word: "L40S" is an L40, but "RTX A1000" is no A100.
static bool is_named(const struct reel_gpu *g, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = g->name; (at = strstr(at, word)); at += n) {
        if (at != g->name && isalnum((unsigned char)at[-1])) continue;
        if (at[n] == 'S' && !isalnum((unsigned char)at[n + 1])) return true;
        if (!isalnum((unsigned char)at[n])) return true;
    }
    return false;
}

// Chips without display and NVENC (T4, A10, L4 and L40 have both).
static bool is_compute_chip(const struct reel_gpu *g)
{
    static const char *const names[] = {"A100",  "A30",  "A800", "H100", "H200",  "H800", "H20",
                                        "GH200", "B100", "B200", "B300", "GB200", "GB300"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_named(g, names[i])) return true;
    // Other names: all chips with compute capability 8.0, 9.0 and 10.x are of this kind.
    return (g->cc_major == 8 && g->cc_minor == 0) || g->cc_major == 9 || g->cc_major == 10;
}

// Number of NVDEC engines. A MIG slice has some of them; 1 is assumed.
static uint32_t engines_of(const struct reel_gpu *g)
{
    static const struct {
        const char *name;
        uint32_t engines;
    } known[] = {{"A30", 4},       {"L4", 4},        {"RTX PRO 6000 Blackwell", 4},
                 {"L40", 3},       {"L20", 3},       {"RTX 6000 Ada Generation", 3},
                 {"A10", 2},       {"A10G", 2},      {"A16", 2},
                 {"A2", 2},        {"A40", 2},       {"T4", 2},
                 {"RTX A5000", 2}, {"RTX A6000", 2}, {"RTX 5080", 2},
                 {"RTX 5090", 2}};
    if (g->mig) return 1;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is_named(g, known[i].name)) return known[i].engines;
    int cc = g->cc_major * 10 + g->cc_minor;
    return cc == 80 ? 5 : g->cc_major == 9 || g->cc_major == 10 ? 7 : 1;
}

void reel_gpu_codecs(struct reel_gpu *g)
{
    int cc = g->cc_major * 10 + g->cc_minor;
    g->decode = REEL_GPU_H264 | REEL_GPU_HEVC | REEL_GPU_HEVC_10BIT | REEL_GPU_VP8 | REEL_GPU_VP9 | REEL_GPU_MPEG2 |
                REEL_GPU_MPEG4 | REEL_GPU_VC1 | REEL_GPU_MJPEG;
    // AV1 decoding came with Ampere's GA10x (8.6); GA100 and GH100 have none.
    if (cc == 86 || cc == 87 || cc == 89 || cc >= 100) g->decode |= REEL_GPU_AV1;
    g->decode_engines = engines_of(g);
    g->encode = 0;
    g->encode_sessions = 0;
    if (is_compute_chip(g)) return;
    g->encode = REEL_GPU_H264 | REEL_GPU_HEVC | REEL_GPU_HEVC_10BIT;
    if (cc == 89 || cc >= 120) g->encode |= REEL_GPU_AV1; // Ada, Blackwell
    // Consumer cards: eight sessions in one machine since driver 550.
    if (strstr(g->name, "GeForce") || strstr(g->name, "TITAN")) g->encode_sessions = 8;
}

// ---- printing -----------------------------------------------------------------

struct text {
    char *at;
    size_t left;
    bool full;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at, t->left, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->left) {
        t->full = true;
        return;
    }
    t->at += n;
    t->left -= (size_t)n;
}

static void put_codecs(struct text *t, const char *key, uint32_t codecs)
{
    put(t, " %s=", key);
    const char *comma = "";
    for (size_t i = 0; i < N_CODECS; i++) {
        if (!(codecs & codec_names[i].bit)) continue;
        put(t, "%s%s", comma, codec_names[i].name);
        comma = ",";
    }
}

static void put_gpu(struct text *t, const struct reel_gpu *g)
{
    put(t, "gpu name=\"%s\" uuid=%s pci=%s cc=%d.%d sm=%d total=%llu free=%llu numa=%d", g->name, g->uuid, g->pci,
        g->cc_major, g->cc_minor, g->sm_count, (unsigned long long)g->total_bytes, (unsigned long long)g->free_bytes,
        g->numa_node);
    put_codecs(t, "decode", g->decode);
    put(t, " nvdecs=%u", g->decode_engines);
    put_codecs(t, "encode", g->encode);
    put(t, " sessions=%d peers=", g->encode_sessions);
    const char *comma = "";
    for (uint32_t i = 0; i < REEL_MAX_GPUS; i++) {
        if (!(g->peers >> i & 1)) continue;
        put(t, "%s%u", comma, i);
        comma = ",";
    }
    put(t, " mig=%d vmm=%d host=%d\n", g->mig, g->vmm, g->host);
}

int reel_gpu_table_print(const struct reel_gpu_table *table, char *out, size_t bytes)
{
    struct text t = {out, bytes, false};
    put(&t, MARK "\ncuda runtime=%d driver=%d cudnn=%d\n", table->runtime, table->driver, table->cudnn);
    for (uint32_t i = 0; i < table->n; i++) put_gpu(&t, &table->gpu[i]);
    if (table->trouble[0]) {
        put(&t, "trouble \"");
        for (const char *p = table->trouble; *p; p++) put(&t, "%s", *p == '\n' ? "\\n" : (char[]){*p, 0});
        put(&t, "\"\n");
    }
    return t.full ? -1 : (int)(t.at - out);
}

const char *reel_gpu_codec_text(uint32_t codecs, char *buf, size_t bytes)
{
    struct text t = {buf, bytes, false};
    if (bytes) buf[0] = 0;
    const char *comma = "";
    for (size_t i = 0; i < N_CODECS; i++) {
        uint32_t bit = codec_names[i].bit;
        // "hevc 10 bit" says "hevc" too.
        if (!(codecs & bit) || (bit == REEL_GPU_HEVC && codecs & REEL_GPU_HEVC_10BIT)) continue;
        put(&t, "%s%s", comma, codec_names[i].text);
        comma = ", ";
    }
    if (!codecs) put(&t, "none");
    return buf;
}

// ---- reading ------------------------------------------------------------------

static uint32_t read_codecs(const char *list)
{
    uint32_t codecs = 0;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        for (size_t i = 0; i < N_CODECS; i++)
            if (strlen(codec_names[i].name) == len && !strncmp(codec_names[i].name, p, len))
                codecs |= codec_names[i].bit;
        p += len + (p[len] == ',');
    }
    return codecs;
}

static uint64_t read_bits(const char *list)
{
    uint64_t bits = 0;
    for (const char *p = list; isdigit((unsigned char)*p);) {
        char *end;
        unsigned long bit = strtoul(p, &end, 10);
        if (bit < REEL_MAX_GPUS) bits |= UINT64_C(1) << bit;
        p = *end == ',' ? end + 1 : end;
    }
    return bits;
}

// One key=value of a gpu line. False: an unknown key.
static bool take_gpu(struct reel_gpu *g, const char *key, const char *value)
{
    if (!strcmp(key, "name"))
        snprintf(g->name, sizeof g->name, "%s", value);
    else if (!strcmp(key, "uuid"))
        snprintf(g->uuid, sizeof g->uuid, "%s", value);
    else if (!strcmp(key, "pci"))
        snprintf(g->pci, sizeof g->pci, "%s", value);
    else if (!strcmp(key, "cc"))
        return sscanf(value, "%d.%d", &g->cc_major, &g->cc_minor) == 2;
    else if (!strcmp(key, "sm"))
        g->sm_count = atoi(value);
    else if (!strcmp(key, "total"))
        g->total_bytes = strtoull(value, NULL, 10);
    else if (!strcmp(key, "free"))
        g->free_bytes = strtoull(value, NULL, 10);
    else if (!strcmp(key, "numa"))
        g->numa_node = atoi(value);
    else if (!strcmp(key, "decode"))
        g->decode = read_codecs(value);
    else if (!strcmp(key, "nvdecs"))
        g->decode_engines = (uint32_t)strtoul(value, NULL, 10);
    else if (!strcmp(key, "encode"))
        g->encode = read_codecs(value);
    else if (!strcmp(key, "sessions"))
        g->encode_sessions = atoi(value);
    else if (!strcmp(key, "peers"))
        g->peers = read_bits(value);
    else if (!strcmp(key, "mig"))
        g->mig = atoi(value);
    else if (!strcmp(key, "vmm"))
        g->vmm = atoi(value);
    else if (!strcmp(key, "host"))
        g->host = atoi(value);
    else
        return false;
    return true;
}

static bool take_cuda(struct reel_gpu_table *t, const char *key, const char *value)
{
    int v = atoi(value);
    if (!strcmp(key, "runtime"))
        t->runtime = v;
    else if (!strcmp(key, "driver"))
        t->driver = v;
    else if (!strcmp(key, "cudnn"))
        t->cudnn = v;
    else
        return false;
    return true;
}

// Splits the next key=value or key="value" at *p in place. False at the end of the line, or,
// with *out_bad set, when the text has another form.
static bool next_pair(char **p, char **out_key, char **out_value, bool *out_bad)
{
    *p += strspn(*p, " \t");
    *out_bad = false;
    if (!**p) return false;
    *out_bad = true;
    char *equals = strchr(*p, '=');
    if (!equals) return false;
    *equals = 0;
    *out_key = *p;
    *out_value = equals + 1;
    char stop = ' ';
    if (**out_value == '"') {
        ++*out_value;
        stop = '"';
    }
    char *end = strchr(*out_value, stop);
    if (!end && stop == '"') return false;
    *p = end ? end + 1 : *out_value + strlen(*out_value);
    if (end) *end = 0;
    *out_bad = false;
    return true;
}

static void take_trouble(struct reel_gpu_table *t, const char *quoted)
{
    size_t n = 0;
    for (const char *p = quoted + 1; *p && *p != '"' && n + 1 < sizeof t->trouble; p++) {
        bool newline = p[0] == '\\' && p[1] == 'n';
        t->trouble[n++] = newline ? '\n' : *p;
        p += newline;
    }
    t->trouble[n] = 0;
}

static bool take_line(struct reel_gpu_table *t, char *line)
{
    bool is_gpu = !strncmp(line, "gpu ", 4);
    if (!strncmp(line, "trouble \"", 9)) {
        take_trouble(t, line + 8);
        return true;
    }
    if (!is_gpu && strncmp(line, "cuda ", 5)) return false;
    if (is_gpu && t->n == REEL_MAX_GPUS) return false;
    struct reel_gpu *g = &t->gpu[t->n < REEL_MAX_GPUS ? t->n : 0];
    if (is_gpu) *g = (struct reel_gpu){.numa_node = -1};
    char *p = line + (is_gpu ? 4 : 5), *key, *value;
    bool bad;
    while (next_pair(&p, &key, &value, &bad))
        if (!(is_gpu ? take_gpu(g, key, value) : take_cuda(t, key, value))) return false;
    t->n += is_gpu && !bad;
    return !bad;
}

enum reel_err reel_gpu_table_parse(const char *text, struct reel_gpu_table *out)
{
    memset(out, 0, sizeof *out);
    int number = 0;
    for (const char *p = text; *p; number++) {
        size_t len = strcspn(p, "\n");
        char line[1024];
        if (len >= sizeof line)
            return reel_fail(REEL_ERR_INPUT, "could not read the table of GPUs: line %d is too long", number + 1);
        memcpy(line, p, len);
        line[len] = 0;
        p += len + (p[len] == '\n');
        if (!number && strcmp(line, MARK))
            return reel_fail(REEL_ERR_INPUT, "could not read the table of GPUs: it does not begin with \"" MARK "\"");
        if (!number || !line[0] || line[0] == '#') continue;
        if (!take_line(out, line))
            return reel_fail(REEL_ERR_INPUT, "could not read the table of GPUs: line %d is not understood", number + 1);
    }
    return number ? REEL_OK : reel_fail(REEL_ERR_INPUT, "could not read the table of GPUs: it is empty");
}

// ---- CUDA_VISIBLE_DEVICES -------------------------------------------------------

static int find_device(const struct reel_gpu_table *t, const char *word, size_t len)
{
    if (len && isdigit((unsigned char)word[0])) {
        char *end;
        unsigned long i = strtoul(word, &end, 10);
        return end == word + len && i < t->n ? (int)i : -1;
    }
    int found = -1;
    for (uint32_t i = 0; i < t->n && len; i++) {
        if (strncmp(t->gpu[i].uuid, word, len)) continue;
        if (found >= 0) return -1; // an ambiguous prefix
        found = (int)i;
    }
    return found;
}

void reel_gpu_table_select(struct reel_gpu_table *t, const char *list)
{
    if (!list) return;
    int order[REEL_MAX_GPUS], n = 0;
    for (const char *p = list; *p && n < REEL_MAX_GPUS;) {
        p += strspn(p, " ");
        size_t len = strcspn(p, ", ");
        int i = find_device(t, p, len);
        for (int k = 0; k < n; k++)
            if (order[k] == i) i = -1; // named twice: the list ends here, as in CUDA
        if (i < 0) break;
        order[n++] = i;
        p += len;
        p += strspn(p, " ");
        if (*p == ',') p++;
    }
    struct reel_gpu_table old = *t;
    t->n = (uint32_t)n;
    for (int i = 0; i < n; i++) {
        t->gpu[i] = old.gpu[order[i]];
        t->gpu[i].peers = 0;
        for (int k = 0; k < n; k++)
            if (old.gpu[order[i]].peers >> order[k] & 1) t->gpu[i].peers |= UINT64_C(1) << k;
    }
    if (!n && old.n)
        snprintf(t->trouble, sizeof t->trouble, "could not use a GPU: CUDA_VISIBLE_DEVICES=%.100s shows none of %u",
                 list, old.n);
}

enum reel_err reel_gpu_table_told(struct reel_gpu_table *out)
{
    const char *path = getenv(REEL_DEVICES_ENV);
    if (!path || !*path) return REEL_AGAIN;
    FILE *f = fopen(path, "re");
    if (!f) return reel_fail(REEL_ERR_INPUT, "could not open table of GPUs \"%s\": %s", path, strerror(errno));
    char *text = calloc(1, FILE_MAX);
    size_t n = text ? fread(text, 1, FILE_MAX - 1, f) : 0;
    fclose(f);
    enum reel_err err = n ? reel_gpu_table_parse(text, out)
                          : reel_fail(REEL_ERR_INPUT, "could not read table of GPUs \"%s\": it is empty", path);
    free(text);
    if (!err) reel_gpu_table_select(out, getenv("CUDA_VISIBLE_DEVICES"));
    return err;
}
