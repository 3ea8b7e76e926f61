// SPDX-License-Identifier: MIT
//
// Reads the names of classes. See labels.h.
#include "aggregator/post/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/post/model_names.h"
#include "common/frame.h"

#define MAX_FILE_BYTES (1 << 20)

struct labels {
    char *text; // the file's text; each line ends with NUL
    char **line;
    int n;
};

// The COCO detection classes in the order of 80-class models.
static const char *const coco[] = {
    "person",         "bicycle",    "car",           "motorcycle",    "airplane",     "bus",           "train",
    "truck",          "boat",       "traffic light", "fire hydrant",  "stop sign",    "parking meter", "bench",
    "bird",           "cat",        "dog",           "horse",         "sheep",        "cow",           "elephant",
    "bear",           "zebra",      "giraffe",       "backpack",      "umbrella",     "handbag",       "tie",
    "suitcase",       "frisbee",    "skis",          "snowboard",     "sports ball",  "kite",          "baseball bat",
    "baseball glove", "skateboard", "surfboard",     "tennis racket", "bottle",       "wine glass",    "cup",
    "fork",           "knife",      "spoon",         "bowl",          "banana",       "apple",         "sandwich",
    "orange",         "broccoli",   "carrot",        "hot dog",       "pizza",        "donut",         "cake",
    "chair",          "couch",      "potted plant",  "bed",           "dining table", "toilet",        "tv",
    "laptop",         "mouse",      "remote",        "keyboard",      "cell phone",   "microwave",     "oven",
    "toaster",        "sink",       "refrigerator",  "book",          "clock",        "vase",          "scissors",
    "teddy bear",     "hair drier", "toothbrush"};
_Static_assert(sizeof coco / sizeof *coco == 80, "80 classes");

static const char *const voc[] = {"background", "aeroplane", "bicycle",   "bird",   "boat",        "bottle",
                                  "bus",        "car",       "cat",       "chair",  "cow",         "diningtable",
                                  "dog",        "horse",     "motorbike", "person", "pottedplant", "sheep",
                                  "sofa",       "train",     "tvmonitor"};
_Static_assert(sizeof voc / sizeof *voc == 21, "20 classes and the background");

static enum reel_err read_text(const char *path, char **out_text)
{
    FILE *f = fopen(path, "re");
    if (!f) return reel_fail(REEL_ERR_CONFIG, "could not open label file \"%s\": %s", path, strerror(errno));
    char *text = malloc(MAX_FILE_BYTES + 2);
    size_t n = text ? fread(text, 1, MAX_FILE_BYTES + 1, f) : 0;
    enum reel_err err = REEL_OK;
    if (!text)
        err = reel_fail(REEL_ERR_NOMEM, "could not read label file \"%s\": out of memory", path);
    else if (ferror(f))
        err = reel_fail(REEL_ERR_CONFIG, "could not read label file \"%s\": %s", path, strerror(errno));
    else if (n > MAX_FILE_BYTES)
        err = reel_fail(REEL_ERR_CONFIG, "could not read label file \"%s\": it is larger than %d bytes", path,
                        MAX_FILE_BYTES);
    else if (memchr(text, 0, n))
        err = reel_fail(REEL_ERR_CONFIG, "could not read label file \"%s\": not a text file", path);
    fclose(f);
    if (err) {
        free(text);
        return err;
    }
    text[n] = 0;
    *out_text = text;
    return REEL_OK;
}

enum reel_err labels_load(const char *path, const char *model, struct labels **out_labels)
{
    *out_labels = NULL;
    char *text = NULL;
    enum reel_err err = REEL_OK;
    if (*path)
        err = read_text(path, &text);
    else if (*model)
        text = model_names_read(model);
    if (err || !text) return err;
    int lines = 1;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    struct labels *l = calloc(1, sizeof *l);
    if (l) l->line = calloc((size_t)lines, sizeof *l->line);
    if (!l || !l->line) {
        free(l);
        free(text);
        return reel_fail(REEL_ERR_NOMEM, "could not read names of classes: out of memory");
    }
    l->text = text;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        if (!rest && !*line) break; // nothing behind the last newline
        line[strcspn(line, "\r")] = 0;
        l->line[l->n++] = line;
    }
    *out_labels = l;
    return REEL_OK;
}

void labels_free(struct labels **labels)
{
    if (!*labels) return;
    free((*labels)->line);
    free((*labels)->text);
    free(*labels);
    *labels = NULL;
}

const char *labels_name(const struct labels *l, uint32_t set, int id, char *buf, size_t bytes)
{
    if (l && id >= 0 && id < l->n && *l->line[id]) return l->line[id];
    if (!l && set == REEL_LABELS_COCO && id >= 0 && id < 80) return coco[id];
    if (!l && set == REEL_LABELS_VOC && id >= 0 && id < 21) return voc[id];
    if (!l && set == REEL_LABELS_FACE) return "face";
    snprintf(buf, bytes, "%d", id);
    return buf;
}
