// SPDX-License-Identifier: MIT
//
// The command line of a child, as child_args.c writes and child.c reads it.
// Private to these two.
#ifndef REEL_COMMON_CHILD_ARGS_H
#define REEL_COMMON_CHILD_ARGS_H

#define CHILD_MARK "--child" // argv[1]

// Numbers of a child as one argument each, in this order.
enum {
    ARG_STAGE = 2,
    ARG_INDEX,
    ARG_INCARNATION,
    ARG_PARENT,
    ARG_DEVICE,
    ARG_MEM,
    ARG_WIRE,
    ARG_BUS,
    ARG_BOX,
    ARG_SETTINGS,
    ARG_JOBS,
    ARG_STAT,
    ARG_ROW,
    ARG_LANES,
    ARG_IN_BYTES,
    ARG_OUT_BYTES,
    ARG_COLLECTIVE,
    ARG_WORKERS,
    ARG_INPUT,
    ARG_HEAD,
    ARG_OUTPUT,
    ARG_PICTURES, // "fd,fd"; "-": none
    ARG_RINGS,
    ARG_COUNT
};

#endif
