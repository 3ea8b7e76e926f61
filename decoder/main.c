// SPDX-License-Identifier: MIT
//
// The decoder process: scans inputs for the plan, decodes segments into the
// input rings. Started by the coordinator, one or more per run. All its state can be made
// again from the input file. `decoder --picture` only decodes one picture for the model (picture.h).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "decoder/decoder.h"
#include "decoder/live.h"
#include "decoder/nvdec.h"
#include "decoder/picture.h"

// DECODED messages are sent in groups at least this far apart.
#define TELL_US 250
// With a live input this process reports progress at least this often, even if no data comes.
#define ALIVE_MS 500

static void set_state(struct decoder *d, enum reel_stat_state state)
{
    atomic_store_explicit(&d->child.row->state, state, memory_order_relaxed);
}

// Waits for a message, or for data of a live input.
static enum reel_err wait_for_more(struct decoder *d)
{
    bool rung = false;
    int bell = d->live ? live_bell(d->live) : -1;
    enum reel_err err = reel_bus_wait(d->child.bus, &bell, &rung, d->live ? 1 : 0, d->live ? ALIVE_MS : -1);
    uint64_t count;
    if (rung && read(bell, &count, sizeof count) < 0 && errno != EAGAIN)
        return reel_fail(REEL_ERR_IO, "could not read an event descriptor: %s", strerror(errno));
    if (d->live) reel_stat_add(&d->child.row->progress, 1);
    return err == REEL_AGAIN ? REEL_OK : err;
}

static enum reel_err serve(struct decoder *d)
{
    while (!d->quit) {
        enum reel_err err = decoder_listen(d);
        if (err || d->quit) return err;
        set_state(d, REEL_STATE_BUSY);
        bool worked;
        err = decoder_step(d, &worked);
        if (!err && worked) err = reel_bus_flush_paced(d->child.bus, TELL_US);
        if (err) return err;
        if (worked) continue;
        set_state(d, REEL_STATE_IDLE);
        if ((err = wait_for_more(d))) return err;
    }
    return REEL_OK;
}

int main(int argc, char **argv)
{
    struct decoder d = {0};
    if (picture_is_asked(argc, argv)) return picture_main(argc, argv);
    if (reel_child_open(argc, argv, &d.child)) return 1;

    char build[256];
    enum reel_err err = decoder_init(&d);
    const char *device = d.nvdec ? nvdec_name(d.nvdec) : "cpu";
    if (!err) err = reel_child_hello(&d.child, decoder_build(build, sizeof build), device, device);
    if (!err) err = serve(&d);

    // GONE: the coordinator is dead. Every other error is reported to it.
    if (err && err != REEL_GONE) {
        reel_error("main", "%s", reel_fail_text());
        reel_child_failed(&d.child, REEL_SCOPE_PROCESS, err, REEL_NO_JOB, 0, 0, REEL_NO_FRAME);
    }
    decoder_fini(&d);
    reel_child_close(&d.child);
    return err ? 1 : 0;
}
