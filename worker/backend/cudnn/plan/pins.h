// SPDX-License-Identifier: MIT
//
// Engines that were measured to be best for a pattern on a kind of GPU, in place
// of the heuristics' first (plan.h). A table of them is built in; --autotune
// measures one for a network and writes it, --plans reads it. The choice is data,
// never a clock in a run: every worker and every batch takes the same engine.
//
// An entry holds for a pattern of one image at any size from PINS_LARGE output
// pixels on, below that for the very size: what is best depends on channels,
// filter and steps, and on the size only while a picture does not fill the GPU.
// Plain data and pure functions: no cuDNN, no device.
//
// Source of the built-in table: `--autotune` on an H200, cuDNN 9.14
// (docs/performance.md). An engine that this cuDNN does not list is passed over.
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

// The table that comes with the program; never NULL, not to be freed.
const struct gpu_pins *gpu_pins_builtin(void);
// An empty table, and one read from a file. Errors: NOMEM; IO; CONFIG (the line
// that is none of --autotune's).
enum reel_err gpu_pins_create(struct gpu_pins **out_pins);
enum reel_err gpu_pins_read(const char *path, struct gpu_pins **out_pins);
// Accepts &NULL, writes NULL.
void gpu_pins_destroy(struct gpu_pins **pins);
int gpu_pins_count(const struct gpu_pins *pins);
// Replaces the pattern's entry. sm: 90 for compute capability 9.0. Errors: NOMEM.
enum reel_err gpu_pins_set(struct gpu_pins *pins, int sm, const struct gpu_pattern *pattern, const struct gpu_pin *pin);
// pins may be NULL: nothing is found.
bool gpu_pins_find(const struct gpu_pins *pins, int sm, const struct gpu_pattern *pattern, struct gpu_pin *out_pin);
// Errors: IO.
enum reel_err gpu_pins_write(const struct gpu_pins *pins, const char *path);
// SHA-256 over all entries, for the journal; 32 bytes.
void gpu_pins_hash(const struct gpu_pins *pins, uint8_t out_hash[32]);

// "steps 2 engine 41 knobs 2=4,4=0" into buf; returns buf. That many bytes hold any.
#define GPU_PIN_TEXT_MAX 640
const char *gpu_pin_text(const struct gpu_pin *pin, char *buf, size_t buf_bytes);

#endif
