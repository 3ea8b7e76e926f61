// SPDX-License-Identifier: MIT
//
// Still pictures that a model takes beside the frames (a style, a background): how
// the setting io.pictures names them, and how they reach the workers. A decoder
// process of its own (`decoder --picture`) decodes the file into a memory file; the
// coordinator makes that, seals it and hands it to each worker, and reads nothing
// of it but the header.
#ifndef REEL_COMMON_PICTURE_H
#define REEL_COMMON_PICTURE_H

#include "common/frame.h"
#include "common/settings.h"

#define REEL_MAX_PICTURES 8
#define REEL_PICTURE_OFFSET 4096u // of the slot in the memory file: a page

// What io.pictures says: the file for an input.
struct reel_picture_name {
    char input[SET_WORD];
    char path[SET_PATH];
};

// "INPUT=FILE,INPUT=FILE": the number of them in *out_n. Errors: CONFIG.
enum reel_err reel_pictures_parse(const char *text, struct reel_picture_name out[REEL_MAX_PICTURES], int *out_n);

// Whether such a text gives this input a picture; errors in it are reported by
// reel_pictures_parse().
bool reel_pictures_name(const char *text, const char *input);

// The head of the memory file; a slot of the geometry is at REEL_PICTURE_OFFSET.
// Written by the decoder before the file is sealed, never changed.
struct reel_picture {
    char magic[8]; // REEL_PICTURE_MAGIC
    struct reel_geometry geometry;
    struct reel_colour colour;
    uint8_t sha256[32]; // of the picture's file: what an output depends on
};
#define REEL_PICTURE_MAGIC "reelpic1"
_Static_assert(sizeof(struct reel_picture) <= REEL_PICTURE_OFFSET, "the slot lies behind the head");

// The answer of `decoder --picture` to the coordinator, written once to a pipe.
struct reel_picture_answer {
    int32_t err; // enum reel_err
    char text[REEL_ERROR_TEXT_MAX];
};

// Maps a sealed one for reading, for this process's life, and checks it. Errors: IO,
// PROTO.
enum reel_err reel_picture_attach(int fd, const struct reel_picture **out_picture);
static inline const uint8_t *reel_picture_slot(const struct reel_picture *picture)
{
    return (const uint8_t *)picture + REEL_PICTURE_OFFSET;
}

#endif
