// SPDX-License-Identifier: MIT
//
// Pictures that the model is given beside the frames (io.pictures): each is decoded by a
// decoder process of its own before the workers start, into a memory file that all of
// them inherit (common/picture.h).
#ifndef REEL_COORDINATOR_PICTURES_H
#define REEL_COORDINATOR_PICTURES_H

#include "common/picture.h"

struct pictures {
    int n;
    struct reel_picture_name name[REEL_MAX_PICTURES];
    int fd[REEL_MAX_PICTURES]; // sealed memory files
    uint8_t sha256[REEL_MAX_PICTURES][32];
};

// Decodes them all; a decoder that is killed is started again. Errors: CONFIG (the setting, a
// file that is missing or no picture, or crashes its decoder each time), IO, NOMEM, GONE (as
// we were told to stop); nothing is held then.
enum reel_err pictures_open(const struct reel_settings *settings, struct pictures *out);
void pictures_close(struct pictures *pictures);
// The configuration's text with a line for each picture: a changed one is another
// configuration. Consumes text, NULL or not; returns NULL when out of memory.
char *pictures_add_text(const struct pictures *pictures, char *text);

#endif
