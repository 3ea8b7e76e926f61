// SPDX-License-Identifier: MIT
//
// Numbered images as an input: one file is one packet. Called by demux.c.
// libav's own image2 demuxer opens files by itself and stops at the first gap;
// this one reads exactly the files of one folder that match the pattern, in
// the order of their numbers.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decoder/demux.h"

#define MAX_IMAGE_BYTES (1 << 30) // a packet's size is an int
#define MAX_IMAGES 100000000      // more cannot be frames of a video

struct images {
    char *pattern;
    size_t folder_len; // including the slash
    size_t prefix_len; // of the path before the number
    const char *suffix;
    int digits;       // of %0Nd; 0: %d
    int64_t *numbers; // sorted
    int64_t n, room;
    enum AVCodecID codec;
    char path[PATH_MAX];
};

static const struct {
    const char *extension;
    enum AVCodecID codec;
} codecs[] = {
    {"png", AV_CODEC_ID_PNG},      {"jpg", AV_CODEC_ID_MJPEG},    {"jpeg", AV_CODEC_ID_MJPEG}, {"bmp", AV_CODEC_ID_BMP},
    {"tif", AV_CODEC_ID_TIFF},     {"tiff", AV_CODEC_ID_TIFF},    {"webp", AV_CODEC_ID_WEBP},  {"ppm", AV_CODEC_ID_PPM},
    {"pgm", AV_CODEC_ID_PGM},      {"tga", AV_CODEC_ID_TARGA},    {"dpx", AV_CODEC_ID_DPX},    {"exr", AV_CODEC_ID_EXR},
    {"jp2", AV_CODEC_ID_JPEG2000}, {"j2k", AV_CODEC_ID_JPEG2000}, {"qoi", AV_CODEC_ID_QOI},
};

// Finds the one %d or %0Nd of the file's name. Returns its length, 0 when there is not exactly one.
static size_t find_number(const char *path, size_t *out_at, int *out_digits)
{
    size_t found = 0;
    const char *slash = strrchr(path, '/');
    for (size_t i = slash ? (size_t)(slash - path) : 0; path[i]; i++) {
        if (path[i] != '%') continue;
        size_t k = i + 1;
        int digits = 0;
        if (path[k] == '0') {
            k++;
            while (isdigit((unsigned char)path[k]) && digits < 100) digits = digits * 10 + (path[k++] - '0');
        }
        if (path[k] != 'd' || found || digits > 18) return 0;
        found = k + 1 - i;
        *out_at = i;
        *out_digits = digits;
        i = k;
    }
    return found;
}

bool images_is_pattern(const char *path)
{
    size_t at;
    int digits;
    struct stat st;
    return find_number(path, &at, &digits) && stat(path, &st) != 0;
}

static enum AVCodecID codec_of(const char *suffix)
{
    const char *dot = strrchr(suffix, '.');
    if (!dot) return AV_CODEC_ID_NONE;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (!strcasecmp(dot + 1, codecs[i].extension)) return codecs[i].codec;
    return AV_CODEC_ID_NONE;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The number for which the pattern gives this name, or -1.
static int64_t number_of(const struct images *im, const char *name)
{
    size_t prefix = im->prefix_len - im->folder_len;
    if (strncmp(name, im->pattern + im->folder_len, prefix)) return -1;
    const char *p = name + prefix;
    size_t digits = strspn(p, "0123456789");
    if (!digits || digits > 18 || strcmp(p + digits, im->suffix)) return -1;
    if (im->digits ? digits < (size_t)im->digits || (digits > (size_t)im->digits && p[0] == '0')
                   : digits > 1 && p[0] == '0')
        return -1;
    return strtoll(p, NULL, 10);
}

static enum reel_err list(struct images *im, const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) return reel_fail(REEL_ERR_IO, "could not open folder \"%s\": %s", folder, strerror(errno));
    enum reel_err err = REEL_OK;
    for (struct dirent *e; !err && (e = readdir(dir));) {
        int64_t number = number_of(im, e->d_name);
        if (number < 0) continue;
        if (im->n == im->room) {
            int64_t room = im->room ? 2 * im->room : 1024;
            int64_t *grown = room > MAX_IMAGES ? NULL : realloc(im->numbers, (size_t)room * sizeof *grown);
            if (!grown) {
                err = reel_fail(REEL_ERR_NOMEM, "could not list images \"%s\": too many", im->pattern);
                break;
            }
            im->numbers = grown;
            im->room = room;
        }
        im->numbers[im->n++] = number;
    }
    closedir(dir);
    if (im->n) qsort(im->numbers, (size_t)im->n, sizeof *im->numbers, by_value);
    return err;
}

enum reel_err images_open(const char *pattern, struct images **out_images)
{
    size_t at;
    int digits;
    size_t len = find_number(pattern, &at, &digits);
    if (!len || strlen(pattern) + 24 > PATH_MAX)
        return reel_fail(REEL_ERR_INPUT, "could not open images \"%s\": the file name needs one %%d or %%0Nd", pattern);
    struct images *im = calloc(1, sizeof *im);
    char *folder = NULL;
    enum reel_err err = REEL_OK;
    if (!im || !(im->pattern = strdup(pattern)) || !(folder = strdup(pattern))) {
        err = reel_fail(REEL_ERR_NOMEM, "could not open images \"%s\": out of memory", pattern);
        goto out;
    }
    const char *slash = strrchr(pattern, '/');
    im->folder_len = slash ? (size_t)(slash - pattern) + 1 : 0;
    im->prefix_len = at;
    im->suffix = im->pattern + at + len;
    im->digits = digits;
    im->codec = codec_of(im->suffix);
    if (im->codec == AV_CODEC_ID_NONE) {
        err = reel_fail(
            REEL_ERR_UNSUPPORTED,
            "could not open images \"%s\": no image format is known for \"%s\"\nuse png, jpg, bmp, tif, webp, "
            "ppm, pgm, tga, dpx, exr, jp2 or qoi",
            pattern, im->suffix);
        goto out;
    }
    folder[im->folder_len] = 0;
    err = list(im, im->folder_len ? folder : ".");
    if (!err && !im->n) err = reel_fail(REEL_ERR_INPUT, "could not open images \"%s\": no file matches", pattern);
out:
    free(folder);
    if (err) images_close(&im);
    *out_images = im;
    return err;
}

void images_close(struct images **images)
{
    struct images *im = *images;
    if (!im) return;
    free(im->numbers);
    free(im->pattern);
    free(im);
    *images = NULL;
}

enum AVCodecID images_codec(const struct images *im)
{
    return im->codec;
}

int64_t images_count(const struct images *im)
{
    return im->n;
}

int64_t images_missing(const struct images *im)
{
    return im->numbers[im->n - 1] - im->numbers[0] + 1 - im->n;
}

const char *images_path(struct images *im, int64_t no)
{
    snprintf(im->path, sizeof im->path, "%.*s%0*lld%s", (int)im->prefix_len, im->pattern, im->digits ? im->digits : 1,
             (long long)im->numbers[no], im->suffix);
    return im->path;
}

enum reel_err images_read(struct images *im, int64_t no, AVPacket *packet)
{
    if (no >= im->n) return REEL_EOF;
    const char *path = images_path(im, no);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // does not wait if it is a named pipe
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not open image \"%s\": %s", path, strerror(errno));
    struct stat st;
    enum reel_err err = REEL_OK;
    if (fstat(fd, &st)) {
        err = reel_fail(REEL_ERR_IO, "could not read image \"%s\": %s", path, strerror(errno));
        goto out;
    }
    // A file that is empty, huge or not regular is one unreadable frame and does not end the job.
    bool usable = S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MAX_IMAGE_BYTES;
    if (av_new_packet(packet, usable ? (int)st.st_size : 1) < 0) {
        err = reel_fail(REEL_ERR_NOMEM, "could not read image \"%s\": out of memory", path);
        goto out;
    }
    if (!usable) packet->data[0] = 0;
    int done = usable ? 0 : 1;
    while (done < packet->size) {
        ssize_t n = read(fd, packet->data + done, (size_t)(packet->size - done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            err = reel_fail(REEL_ERR_IO, "could not read image \"%s\": %s", path,
                            n ? strerror(errno) : "it became shorter");
            av_packet_unref(packet);
            goto out;
        }
        done += (int)n;
    }
    packet->pts = packet->dts = no;
    packet->duration = 1;
    packet->flags = AV_PKT_FLAG_KEY;
out:
    close(fd);
    return err;
}
