// SPDX-License-Identifier: MIT
//
// `decoder --picture`: decodes one picture file for a model's input (common/picture.h)
// and ends. It is a process of its own, so that a hostile file cannot harm anything
// else.
#ifndef REEL_DECODER_PICTURE_H
#define REEL_DECODER_PICTURE_H

#include <stdbool.h>

#define PICTURE_MARK "--picture" // argv[1]; then FILE, the memory file, the pipe, millions of pixels

bool picture_is_asked(int argc, char **argv);
// Fills the memory file, answers by the pipe; the exit code.
int picture_main(int argc, char **argv);

#endif
