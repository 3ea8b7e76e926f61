// SPDX-License-Identifier: MIT
//
// What a small network needs to be run in bands, for the tests of graph/bands.c.
#ifndef REEL_TESTS_UNIT_WORKER_BANDS_MAKE_H
#define REEL_TESTS_UNIT_WORKER_BANDS_MAKE_H

#include "tests/unit/worker/graph_make.h"
#include "worker/graph/bands.h"

// Of the network whose output is `out`, after the passes. Destroys the graph.
static inline struct bands_need need_of(struct maker *m, struct value *out)
{
    struct bands_need need = {0};
    make_output(m, out);
    struct graph *passed = after_passes(m->graph, backend_find("onednn")->caps);
    if (passed) bands_need_of(passed, &need);
    graph_destroy(&passed);
    graph_destroy(&m->graph);
    return need;
}

#endif
