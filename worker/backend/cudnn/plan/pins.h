// SPDX-License-Identifier: MIT
//
// Engines that were measured to be the best for a pattern on a kind of GPU. They replace the
// heuristics' first choice (plan.h). One table is built in; --autotune measures a table for a
// network and writes it, and --plans reads it. The choice is data and is never timed during a
// run, so every worker and every batch uses the same engine.
//
// An entry applies to a pattern with one image. From PINS_LARGE output pixels on it applies to
// any size, below that only to the size measured: the best engine depends on channels, filter
// and steps, and on the size only as long as a picture does not fill the GPU. Plain data and
// pure functions, without cuDNN or a device.
//
// Source of the built-in table: `--autotune` on an H200, cuDNN 9.14
// (docs/performance.md). An engine that the installed cuDNN does not list is skipped.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_PINS_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_PINS_H

#include "worker/backend/cudnn/plan/pattern.h"

#define PINS_LARGE 65536
#define PIN_MAX_KNOBS 24

struct gpu_pin {
    int steps;  // leading steps inside the plan
    int engine; // cuDNN's global index
    int n_knobs;
    struct {
        int type; // cudnnBackendKnobType_t
        int64_t value;
    } knob[PIN_MAX_KNOBS];
};

struct gpu_pins;

// The built-in table; never NULL. The caller must not free it.
const struct gpu_pins *gpu_pins_builtin(void);
// Make an empty table, and read one from a file. Errors: NOMEM; IO; CONFIG (names the line
// that --autotune did not write).
enum reel_err gpu_pins_create(struct gpu_pins **out_pins);
enum reel_err gpu_pins_read(const char *path, struct gpu_pins **out_pins);
// Accepts &NULL, writes NULL.
void gpu_pins_destroy(struct gpu_pins **pins);
int gpu_pins_count(const struct gpu_pins *pins);
// Replaces the pattern's entry. sm: 90 for compute capability 9.0. Errors: NOMEM.
enum reel_err gpu_pins_set(struct gpu_pins *pins, int sm, const struct gpu_pattern *pattern, const struct gpu_pin *pin);
// False: the table has no entry. pins may be NULL.
bool gpu_pins_find(const struct gpu_pins *pins, int sm, const struct gpu_pattern *pattern, struct gpu_pin *out_pin);
// Errors: IO.
enum reel_err gpu_pins_write(const struct gpu_pins *pins, const char *path);
// SHA-256 over all entries, for the journal; 32 bytes.
void gpu_pins_hash(const struct gpu_pins *pins, uint8_t out_hash[32]);

// "steps 2 engine 41 knobs 2=4,4=0" into buf; returns buf. That many bytes hold any.
#define GPU_PIN_TEXT_MAX 640
const char *gpu_pin_text(const struct gpu_pin *pin, char *buf, size_t buf_bytes);

#endif
