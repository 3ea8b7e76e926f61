// SPDX-License-Identifier: MIT
//
// The aggregator's main function: attaches to the run, says hello, and serves until it is told to end.
#include <stdio.h>
#include <string.h>

#include "aggregator/aggregator.h"
#include "aggregator/compare.h"
#include "aggregator/encode.h"
#include "common/log.h"

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--compare")) return compare_main(argc, argv);
    struct aggregator a = {0};
    enum reel_err err = reel_child_open(argc, argv, &a.child);
    if (err) {
        if (err == REEL_ERR_CONFIG) fprintf(stderr, "aggregator: %s\n", reel_fail_text());
        return err == REEL_ERR_CONFIG ? 2 : 1;
    }

    char build[256];
    err = aggregator_init(&a);
    if (!err) err = reel_child_hello(&a.child, encode_libraries(build, sizeof build), "cpu", "cpu");
    if (!err) err = aggregator_collect(&a);

    if (err && err != REEL_GONE) {
        reel_error("main", "%s", reel_fail_text());
        reel_child_failed(&a.child, REEL_SCOPE_PROCESS, err, REEL_NO_JOB, 0, 0, REEL_NO_FRAME);
    }
    aggregator_fini(&a);
    reel_child_close(&a.child);
    return err ? 1 : 0;
}
