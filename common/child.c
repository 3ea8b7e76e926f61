// SPDX-License-Identifier: MIT
//
// The common beginning of the stages. See child.h.
#include "common/child.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/child_args.h"
#include "common/child_rings.h"
#include "common/life.h"
#include "common/log.h"
#include "common/shm.h"

static const char *const stage_names[REEL_STAGES] = {"coordinator", "decoder", "worker", "aggregator"};

bool reel_child_is(int argc, char **argv)
{
    return argc == ARG_COUNT && !strcmp(argv[1], CHILD_MARK);
}

enum reel_err reel_child_settings(int fd, struct reel_settings *settings)
{
    const void *data;
    size_t bytes;
    enum reel_err err = reel_shm_attach(fd, &data, &bytes);
    if (err) return err;
    char *text = strndup(data, bytes);
    if (!text) return reel_fail(REEL_ERR_NOMEM, "could not read the configuration: out of memory");
    const struct opt_table *table = reel_settings_table();
    bool *set = calloc((size_t)table->n, sizeof *set);
    opt_defaults(table, settings);
    err = set ? opt_load_text(table, text, "the coordinator's configuration", settings, set) : REEL_ERR_NOMEM;
    free(set);
    free(text);
    return err;
}

static enum reel_err map_rings(struct reel_child *c, char *fds, uint64_t in_bytes, uint64_t out_bytes)
{
    c->device_rings = calloc(2 * (size_t)c->lanes + 1, sizeof *c->device_rings);
    c->in = calloc(c->lanes, sizeof *c->in);
    c->out = calloc(c->lanes, sizeof *c->out);
    if (!c->in || !c->out || !c->device_rings) return reel_fail(REEL_ERR_NOMEM, "could not map rings: out of memory");
    char *p = fds;
    for (uint32_t i = 0; i < c->lanes; i++) {
        int in_fd = (int)strtol(p, &p, 10);
        if (*p++ != ':') return reel_fail(REEL_ERR_PROTO, "could not map rings: bad list");
        int out_fd = (int)strtol(p, &p, 10);
        if (*p == ',') p++;
        enum reel_err err = reel_ring_init(&c->in[i], in_fd, in_bytes);
        if (!err) err = reel_ring_init(&c->out[i], out_fd, out_bytes);
        if (err) return err;
        // The mapping is enough; the coordinator owns the object.
        close(in_fd);
        close(out_fd);
    }
    return REEL_OK;
}

static enum reel_err take_pictures(struct reel_child *c, const char *fds)
{
    if (!strcmp(fds, "-")) return REEL_OK;
    char *end = (char *)fds;
    for (const char *p = fds; *p && c->n_pictures < REEL_MAX_PICTURES; p = *end == ',' ? end + 1 : end) {
        c->picture_fds[c->n_pictures++] = (int)strtol(p, &end, 10);
        if (end == p) break;
    }
    return *end ? reel_fail(REEL_ERR_PROTO, "could not take the pictures: bad list") : REEL_OK;
}

static enum reel_err attach(char **argv, struct reel_child *c)
{
    enum reel_err err = reel_life_adopt(atoi(argv[ARG_PARENT]));
    if (err) return err;
    umask(077);
    if ((err = reel_child_settings(atoi(argv[ARG_SETTINGS]), &c->settings))) return err;
    reel_log_init(stage_names[c->stage], (int)c->index, (enum reel_log_level)c->settings.log_level,
                  c->settings.log_dir);
    if ((err = reel_jobs_attach(atoi(argv[ARG_JOBS]), &c->jobs))) return err;
    if ((err = reel_stat_attach(atoi(argv[ARG_STAT]), &c->stat))) return err;
    uint32_t row = (uint32_t)strtoul(argv[ARG_ROW], NULL, 10);
    if (row >= REEL_STAT_ROWS) return reel_fail(REEL_ERR_PROTO, "statistics row %u is out of range", row);
    c->row = &c->stat->row[row];
    err =
        map_rings(c, argv[ARG_RINGS], strtoull(argv[ARG_IN_BYTES], NULL, 10), strtoull(argv[ARG_OUT_BYTES], NULL, 10));
    if (!err) err = take_pictures(c, argv[ARG_PICTURES]);
    if (err) return err;
    struct reel_box_fds box;
    if (sscanf(argv[ARG_BOX], "%d,%d,%d", &box.memory, &box.child_bell, &box.hub_bell) != 3)
        return reel_fail(REEL_ERR_PROTO, "could not open bus: bad list of descriptors");
    return reel_bus_open_peer(argv[ARG_BUS], reel_peer_make(c->stage, c->index, c->incarnation), &box, &c->bus);
}

enum reel_err reel_child_open(int argc, char **argv, struct reel_child *out_child)
{
    *out_child = (struct reel_child){.device = -1, .collective_fd = -1};
    if (!reel_child_is(argc, argv)) return reel_fail(REEL_ERR_CONFIG, "this program is started by the coordinator");
    out_child->stage = (enum reel_stage)atoi(argv[ARG_STAGE]);
    if ((unsigned)out_child->stage >= REEL_STAGES) return reel_fail(REEL_ERR_PROTO, "unknown stage");
    out_child->index = (uint32_t)strtoul(argv[ARG_INDEX], NULL, 10);
    out_child->incarnation = (uint32_t)strtoul(argv[ARG_INCARNATION], NULL, 10);
    out_child->device = atoi(argv[ARG_DEVICE]);
    out_child->mem_kind = (enum reel_mem_kind)atoi(argv[ARG_MEM]);
    out_child->wire_fd = atoi(argv[ARG_WIRE]);
    out_child->collective_fd = atoi(argv[ARG_COLLECTIVE]);
    out_child->workers = (uint32_t)strtoul(argv[ARG_WORKERS], NULL, 10);
    out_child->input_fd = atoi(argv[ARG_INPUT]);
    out_child->head_fd = atoi(argv[ARG_HEAD]);
    out_child->output_fd = atoi(argv[ARG_OUTPUT]);
    out_child->lanes = (uint32_t)strtoul(argv[ARG_LANES], NULL, 10);
    reel_log_init(stage_names[out_child->stage], (int)out_child->index, REEL_LOG_WARN, NULL);
    reel_crash_init(stage_names[out_child->stage], (int)out_child->index, out_child->incarnation);
    static const char *const at_start[REEL_STAGES] = {"coordinator.start", "decoder.start", "worker.start",
                                                      "aggregator.start"};
    reel_crash_point(at_start[out_child->stage]);
    enum reel_err err = attach(argv, out_child);
    // A service manager or a terminal sends these signals to all processes at once. As with
    // SIGINT, the coordinator decides what to do: the end of a live output must still be written.
    if (!err && out_child->settings.live) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
    }
    if (err && err != REEL_GONE) reel_error("child", "%s", reel_fail_text());
    if (err) reel_child_close(out_child);
    return err;
}

void reel_child_close(struct reel_child *child)
{
    // The coordinator reads messages up to this number from a process that exits by itself
    // (closing the bus waits until they are sent).
    if (child->bus && child->row && !reel_bus_flush(child->bus))
        atomic_store(&child->row->said, reel_bus_sent(child->bus));
    reel_bus_close(&child->bus);
    reel_child_rings_fini(child);
    for (uint32_t i = 0; i < child->lanes; i++) {
        if (child->in) reel_ring_fini(&child->in[i]);
        if (child->out) reel_ring_fini(&child->out[i]);
    }
    free(child->in);
    free(child->out);
    child->in = child->out = NULL;
    reel_jobs_detach(&child->jobs);
}

enum reel_err reel_child_hello(struct reel_child *child, const char *build, const char *device, const char *device_kind)
{
    struct reel_rec_hello hello = {.stage = child->stage, .index = child->index, .pid = getpid()};
    snprintf(hello.version, sizeof hello.version, "%s", REEL_VERSION);
    snprintf(hello.build, sizeof hello.build, "%s", build);
    snprintf(hello.device, sizeof hello.device, "%s", device);
    snprintf(hello.device_kind, sizeof hello.device_kind, "%s", device_kind);
    enum reel_err err = reel_bus_post(child->bus, REEL_BUS_HUB, REEL_MSG_HELLO, &hello);
    return err ? err : reel_bus_flush(child->bus);
}

enum reel_err reel_child_failed(struct reel_child *child, enum reel_scope scope, enum reel_err err, uint32_t job,
                                uint32_t lane, uint32_t epoch, uint32_t n)
{
    struct reel_rec_failed failed = {
        .scope = scope, .err = err, .job = job, .lane = lane, .epoch = epoch, .n = n, .part = child->part};
    snprintf(failed.text, sizeof failed.text, "%s", reel_fail_text());
    enum reel_err sent = reel_bus_post(child->bus, REEL_BUS_HUB, REEL_MSG_FAILED, &failed);
    return sent ? sent : reel_bus_flush(child->bus);
}

enum reel_err reel_child_note(struct reel_child *child, int level, uint32_t job, const char *fmt, ...)
{
    struct reel_rec_note note = {.level = (uint32_t)level, .job = job};
    va_list args;
    va_start(args, fmt);
    vsnprintf(note.text, sizeof note.text, fmt, args);
    va_end(args);
    return reel_bus_post(child->bus, REEL_BUS_HUB, REEL_MSG_NOTE, &note);
}
