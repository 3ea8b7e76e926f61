// SPDX-License-Identifier: MIT
//
// The kind of a live input, derived from its name: it determines the coordinator's
// rules and how the decoder reads. A name that is nothing else is a file, which
// need not exist.
#ifndef REEL_COMMON_INPUT_H
#define REEL_COMMON_INPUT_H

#include <stdbool.h>

enum reel_input_kind {
    REEL_INPUT_FILE,    // read at its own pace; ends, and can be read again
    REEL_INPUT_PIPE,    // "-" (standard input) or a FIFO: ends, and cannot be read again
    REEL_INPUT_NETWORK, // an address: may break off, and is opened again
    REEL_INPUT_DEVICE,  // a camera (/dev/videoN): the same
};

// False for an address with an unsupported protocol (*out_why lists the supported
// ones).
bool reel_input_kind_of(const char *name, enum reel_input_kind *out_kind, const char **out_why);
// Whether a network input comes in pieces, as fast as the network gives them, and is
// therefore read at the pace of its timestamps (HLS, files over HTTP).
bool reel_input_in_pieces(const char *name);
// Whether it is opened again when it breaks off.
bool reel_input_reopens(enum reel_input_kind kind);

#endif
