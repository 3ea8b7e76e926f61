// SPDX-License-Identifier: MIT
//
// What is said to have bounded a run: a table of busy shares.
#include "tests/check.h"

#include "coordinator/coordinator.h"

struct row {
    double busy[REEL_STAGES], cores_used[REEL_STAGES];
    uint32_t cores, processes;
    uint64_t segments;
    const char *stage, *says, *advises;
    bool keeps, on_cpu, uncoded, no_cuts, live, dropped;
};

static const struct row rows[] = {
    // A device that works all the time, cores to spare.
    {{0, 0.2, 0.99, 0.3},
     {0, 0.2, 0.1, 0.3},
     8,
     1,
     4,
     "worker",
     "bound by the model (99% busy; decoding 80% idle, encoding 70% idle): more devices",
     "--gpu_num"},
    {{0, 0.97, 0.4, 0.3}, {0, 1, 0.1, 0.3}, 8, 1, 4, "decoder", "bound by decoding (97% busy", "more --decoders would"},
    // More decoders would have nothing to do.
    {{0, 0.97, 0.4, 0.3},
     {0, 1, 0.1, 0.3},
     8,
     4,
     4,
     "decoder",
     "model 60% idle, encoding 70% idle",
     "--decoder_threads"},
    {{0, 0.1, 0.4, 0.93}, {0, 0.1, 0.1, 4}, 8, 1, 4, "aggregator", "bound by encoding (93% busy", "more --aggregators"},
    {{0, 0.1, 0.4, 0.93},
     {0, 0.1, 0.1, 4},
     8,
     4,
     4,
     "aggregator",
     "decoding 90% idle",
     "a faster preset in --encoder_opts"},
    // All cores: whoever takes most of them, however busy its process looks.
    {{0, 0.1, 0.99, 0.9},
     {0.02, 0.1, 1.1, 0.7},
     2,
     1,
     9,
     "worker",
     "bound by the CPU: all 2 cores",
     "a GPU, or more cores"},
    {{0, 0.1, 0.99, 0.5},
     {0.02, 0.1, 0.5, 3.2},
     4,
     1,
     9,
     "aggregator",
     "mostly with encoding (50% busy",
     "faster preset"},
    {{0, 0.99, 0.5, 0.5}, {0.02, 1.6, 0.2, 0.1}, 2, 2, 9, "decoder", "mostly with decoding", "more cores would help"},
    // Nobody was busy enough.
    {{0, 0.3, 0.6, 0.2}, {0, 0.3, 0.1, 0.2}, 8, 1, 1, "worker", "bound by no single stage: the model", "--lanes"},
    {{0, 0, 0, 0}, {0, 0, 0, 0}, 8, 1, 1, "worker", "bound by no single stage", "--lanes"},
    // The limit itself: 85% is busy.
    {{0, 0.85, 0.1, 0.1}, {0, 0.5, 0.1, 0.1}, 8, 1, 4, "decoder", "bound by decoding (85% busy", "--decoders"},
    {{0, 0.84, 0.1, 0.1}, {0, 0.5, 0.1, 0.1}, 8, 1, 4, "decoder", "bound by no single stage: decoding", "--lanes"},
    // A state keeps one of four workers busy, and nothing for the others.
    {{0, 0.1, 0.24, 0.1}, {0}, 8, 4, 1, "worker", "bound by the model (96% busy", "--warmup_frames", .keeps = true},
    {{0, 0.1, 0.97, 0.1}, {0}, 8, 4, 9, "worker", "bound by the model (97% busy", "devices (--gpu_num)", .keeps = true},
    {{0, 0.1, 0.97, 0.1},
     {0},
     8,
     4,
     9,
     "worker",
     "bound by the model",
     "workers (--gpu_num), or a GPU",
     .on_cpu = true},
    // Workers without a state share what there is; a state's one worker has all there is to do, or nothing yet.
    {{0, 0.1, 0.24, 0.1}, {0}, 8, 4, 1, "worker", "bound by no single stage: the model was busiest (24%", "--lanes"},
    {{0, 0.1, 0.5, 0.1}, {0}, 8, 4, 1, "worker", "bound by the model (100% busy", "--warmup_frames", .keeps = true},
    {{0, 0.1, 0.2, 0.1}, {0}, 8, 4, 0, "worker", "the model was busiest (20%", "--lanes", .keeps = true},
    // Inputs that cannot be cut: more processes help where there are more inputs than processes.
    {{0, 0.97, 0.4, 0.3}, {0}, 8, 1, 1, "decoder", "idle): --decoder_threads would", "", .no_cuts = true},
    {{0, 0.97, 0.4, 0.3}, {0}, 8, 1, 4, "decoder", "idle): more --decoders would", "", .no_cuts = true},
    {{0, 0.1, 0.4, 0.93},
     {0},
     8,
     1,
     1,
     "aggregator",
     "idle): a faster preset in --encoder_opts would",
     "",
     .no_cuts = true},
    {{0, 0.1, 0.4, 0.93}, {0}, 8, 1, 4, "aggregator", "idle): more --aggregators, or", "", .no_cuts = true},
    // The cores' own limit, and what the coordinator takes of them.
    {{0, 0.9, 0.4, 0.3}, {0, 3.4, 0, 0}, 4, 1, 4, "decoder", "bound by the CPU: all 4 cores", "more cores"},
    {{0, 0.3, 0.4, 0.3}, {0.9, 0.3, 0.4, 0.2}, 2, 1, 4, "worker", "bound by the CPU: all 2 cores", "more cores"},
    // Live: the input gives the pace, unless frames came too late.
    {{0, 0.3, 0.6, 0.2}, {0}, 8, 1, 1, "worker", "bound by the input", "the model was busiest (60%", .live = true},
    {{0, 0.3, 0.6, 0.2},
     {0},
     8,
     1,
     1,
     "worker",
     "bound by no single stage: the model",
     "larger --latency_ms",
     .live = true,
     .dropped = true},
    // Results are not encoded.
    {{0, 0.97, 0.4, 0.3},
     {0},
     8,
     1,
     4,
     "decoder",
     "bound by decoding (97% busy; the model 60% idle, writing",
     "--decoders",
     .uncoded = true},
    {{0, 0.1, 0.4, 0.93}, {0}, 8, 1, 4, "aggregator", "bound by writing", "more --aggregators would", .uncoded = true},
    {{0, 0.1, 0.4, 0.93}, {0}, 8, 4, 4, "aggregator", "bound by writing", ": a smaller --segment", .uncoded = true},
    {{0, 0.1, 0.4, 0.5},
     {0, 0.1, 0.5, 3.2},
     4,
     1,
     9,
     "aggregator",
     "mostly with writing",
     "idle): more cores",
     .uncoded = true},
};

static void verdicts(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        struct shares in = {.cores = r->cores,
                            .segments = r->segments,
                            .keeps = r->keeps,
                            .on_cpu = r->on_cpu,
                            .uncoded = r->uncoded,
                            .no_cuts = r->no_cuts,
                            .live = r->live,
                            .dropped = r->dropped};
        for (int s = 0; s < REEL_STAGES; s++)
            in.busy[s] = r->busy[s], in.cores_used[s] = r->cores_used[s], in.processes[s] = r->processes;
        struct bottleneck out;
        report_judge(&in, &out);
        CHECK_STR(out.stage, r->stage);
        CHECK_HAS(out.text, r->says);
        CHECK_HAS(out.text, r->advises);
    }
}

CHECK_MAIN({"report: verdicts", verdicts})
