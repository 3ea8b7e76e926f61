// SPDX-License-Identifier: MIT
//
// Options, one-shot commands and automatic numbers. See command.h.
#include "coordinator/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "common/shm.h"
#include "coordinator/cgroup.h"
#include "coordinator/devices.h"
#include "coordinator/scale.h"

// ---- options --------------------------------------------------------------------

// Paths in a configuration file are relative to its folder.
static void settle_paths(struct reel_settings *s, const bool by_command_line[4])
{
    char *const paths[4] = {s->model, s->detect.labels, s->classify.labels, s->segment.labels};
    const char *slash = strrchr(s->config, '/');
    for (int i = 0; slash && i < 4; i++) {
        char whole[SET_PATH];
        if (by_command_line[i] || !paths[i][0] || paths[i][0] == '/') continue;
        int n = snprintf(whole, sizeof whole, "%.*s/%s", (int)(slash - s->config), s->config, paths[i]);
        if (n < SET_PATH) memcpy(paths[i], whole, (size_t)n + 1);
    }
}

// If neither a model nor a configuration was given and the output can be pictures, uses the
// configuration that run.sh names (the bundled upscaler).
static void settle_default(struct reel_settings *s, int n_words)
{
    const char *config = getenv("REELMILL_DEFAULT_CONFIG");
    const char *dot = strrchr(strcmp(s->output, "-") ? s->output : s->output_format, '.');
    if (!config || !n_words || !(s->output[0] || s->verify) || s->model[0] || s->config[0] ||
        s->backend == SET_BACKEND_SIM)
        return;
    if ((reel_settings_task(s) > REEL_TASK_IMAGE) || (dot && !strcmp(dot, ".jsonl"))) return;
    if (!strcmp(s->output, "-") && !strcmp(s->output_format, "jsonl")) return;
    if (snprintf(s->config, sizeof s->config, "%s", config) >= (int)sizeof s->config) s->config[0] = 0;
    if (s->config[0] && s->progress != SET_PROGRESS_OFF)
        fprintf(stderr, "note: no model was given: the bundled one makes the video twice as large (%s)\n", config);
}

// Checks --start, --end and --duration.
static enum reel_err check_part(const struct reel_settings *s)
{
    int64_t start_us, end_us;
    enum reel_err err = reel_settings_part(s, &start_us, &end_us);
    if (err || !s->live || (!start_us && end_us == INT64_MAX)) return err;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use --%s with --live: a live input is taken as it comes, to its end or "
                     "Ctrl-C\nof a file: leave out --live",
                     *s->start ? "start"
                     : *s->end ? "end"
                               : "duration");
}

enum reel_err command_parse(int argc, char **argv, struct reel_settings *s, const char ***out_words, int *out_n)
{
    const struct opt_table *table = reel_settings_table();
    bool *set = calloc((size_t)table->n, sizeof *set);
    const char **words = calloc((size_t)argc + 1, sizeof *words);
    if (!set || !words) return reel_fail(REEL_ERR_NOMEM, "could not read the command line: out of memory");
    opt_defaults(table, s);
    enum reel_err err = opt_parse_argv(table, argc, argv, s, set, words, out_n);
    if (!err) settle_default(s, *out_n);
    bool given[4] = {s->model[0], s->detect.labels[0], s->classify.labels[0], s->segment.labels[0]};
    if (!err && s->config[0]) err = opt_load_file(table, s->config, s, set);
    if (!err) settle_paths(s, given);
    if (!err) err = check_part(s);
    free(set);
    *out_words = words;
    return err;
}

// ---- one-shot commands ----------------------------------------------------------

// Replaces this process by the program `name` in the same folder, with the same arguments.
// Returns only on failure.
static int exec_beside(const char *name, char **argv)
{
    char path[4200];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    snprintf(slash ? slash + 1 : path, 64, "%s", name);
    argv[0] = (char *)name;
    execv(path, argv);
    fprintf(stderr, "reelmill: could not start program \"%s\": %s\nbuild it with: make\n", path, strerror(errno));
    return EXIT_FAILED;
}

static int list_gpus(void)
{
    if (!REEL_CUDA) printf("this build has no GPU support (built without CUDA)\n");
    if (!devices_driver()) {
        printf("no NVIDIA driver was found: there is no GPU to use\n");
        return EXIT_DONE;
    }
    static struct reel_gpu_table table;
    if (devices_ask(&table)) {
        fprintf(stderr, "reelmill: %s\n", reel_fail_text());
        return EXIT_FAILED;
    }
    devices_print(&table, stdout);
    if (!REEL_CUDA) printf("to install what is missing: ./run.sh --setup\n");
    return EXIT_DONE;
}

static int doctor(const struct reel_settings *s)
{
    struct memory_limits memory;
    int code = EXIT_DONE;
    if (memory_limits(s->memory, &memory)) {
        fprintf(stderr, "reelmill: %s\n", reel_fail_text());
        return EXIT_USAGE;
    }
    char a[32], b[32];
    printf("reelmill %s, ZeroMQ %s, %s\n", REEL_VERSION, reel_bus_library(), REEL_CUDA ? "with CUDA" : "without CUDA");
    printf("cores: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    printf("memory: %s free, rings and models may use %s\n", memory_text(memory.available, a),
           memory_text(memory.budget, b));
    printf("shared memory: %s\n",
           reel_shm_choose(memory.budget) == REEL_SHM_POSIX ? "/dev/shm" : "memfd (/dev/shm is too small)");
    static struct reel_gpu_table gpus;
    printf("GPU driver: %s\n", devices_driver() ? "present" : "none");
    if (devices_driver() && !devices_ask(&gpus)) devices_print(&gpus, stdout);
    char dir[4096], path[4200];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    dir[n > 0 ? n : 0] = 0;
    char *slash = strrchr(dir, '/');
    if (slash) *slash = 0;
    for (int stage = REEL_DECODER; stage < REEL_STAGES; stage++) {
        snprintf(path, sizeof path, "%s/%s", dir, supervise_stage_name((enum reel_stage)stage));
        bool there = !access(path, X_OK);
        printf("program %s: %s\n", supervise_stage_name((enum reel_stage)stage),
               there ? "found" : "missing (build it with: make)");
        if (!there) code = EXIT_FAILED;
    }
    if (devices_driver() && !REEL_CUDA)
        printf("note: a GPU is present, but this build cannot use it: ./run.sh --setup\n");
    return code;
}

bool command_once(const struct reel_settings *s, char **argv, int *out_code)
{
    const struct opt_table *table = reel_settings_table();
    *out_code = EXIT_DONE;
    if (s->help) {
        struct winsize size;
        printf("usage: ./run.sh [options] INPUT... -o OUTPUT\n\n"
               "Runs a neural network (ONNX) over every frame of videos, on all GPUs or cores. Without --model\n"
               "the bundled network makes them twice as wide and tall.\n");
        opt_help(table, stdout, !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 100);
    } else if (s->version) {
        printf("reelmill %s\n", REEL_VERSION);
    } else if (s->dump_config) {
        char *text = opt_dump(table, s, false);
        fputs(text ? text : "", stdout);
        free(text);
    } else if (s->gc) {
        int n = rundir_sweep();
        printf("removed %d leftover run director%s\n", n, n == 1 ? "y" : "ies");
    } else if (s->doctor) {
        *out_code = doctor(s);
    } else if (s->list_gpus) {
        *out_code = list_gpus();
    } else if (s->setup || s->demo) {
        fprintf(stderr, "reelmill: --setup and --demo are commands of run.sh: ./run.sh %s\n",
                s->setup ? "--setup" : "--demo");
        *out_code = EXIT_USAGE;
    } else if (s->eval_model[0] || s->bench_model[0] || s->autotune[0] || s->dump_graph) {
        *out_code = exec_beside("worker", argv);
    } else {
        return false;
    }
    return true;
}

// ---- what is written beside the output -------------------------------------------

static enum reel_err check_writable(const char *what, const char *path)
{
    struct stat st;
    if (path[0] && !stat(path, &st) && S_ISDIR(st.st_mode))
        return reel_fail(REEL_ERR_CONFIG, "could not write %s \"%s\": it is a folder", what, path);
    if (!path[0] || !access(path, W_OK)) return REEL_OK;
    int why = errno;
    char folder[SET_PATH + 2];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    else
        snprintf(folder, sizeof folder, ".");
    if (why == ENOENT && !access(folder, W_OK | X_OK)) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG, "could not write %s \"%s\": %s", what, path, strerror(errno));
}

// Checked at the start, so that a wrong path does not fail after hours.
enum reel_err command_check_files(const struct reel_settings *s)
{
    if (s->log_dir[0] && ((mkdir(s->log_dir, 0777) && errno != EEXIST) || access(s->log_dir, W_OK | X_OK)))
        return reel_fail(REEL_ERR_CONFIG, "could not write logs to folder \"%s\": %s", s->log_dir, strerror(errno));
    if (s->plans[0] && access(s->plans, R_OK))
        return reel_fail(REEL_ERR_CONFIG, "could not read plans \"%s\": %s", s->plans, strerror(errno));
    if (s->trace[0] && !strcmp(s->trace, s->report))
        return reel_fail(REEL_ERR_CONFIG, "could not write trace \"%s\": it is also the report", s->trace);
    enum reel_err err = s->metrics[0] ? metrics_check(s->metrics) : REEL_OK;
    if (!err) err = check_writable("report", s->report);
    return err ? err : check_writable("trace", s->trace);
}

// ---- scale ----------------------------------------------------------------------

// Cores that this process may use, by its affinity and the quota of its control groups.
static uint32_t count_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    long cores = sched_getaffinity(0, sizeof set, &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    const uint32_t quota = cgroup_cores(CGROUP_ROOT, CGROUP_SELF);
    if (quota && quota < cores) cores = quota;
    return cores > 0 ? (uint32_t)cores : 1;
}

static enum reel_err settle_backend(struct reel_settings *s)
{
    bool driver = devices_driver();
    if (s->backend == SET_BACKEND_AUTO && !driver) s->backend = SET_BACKEND_ONEDNN;
    if (s->backend == SET_BACKEND_AUTO) s->backend = SET_BACKEND_CUDNN;
    if (s->backend == SET_BACKEND_CUDNN && !REEL_CUDA)
        return reel_fail(REEL_ERR_CONFIG, "could not use the GPU: this build has no CUDA\nto install it: ./run.sh "
                                          "--setup; to use the CPU: --backend onednn");
    if (s->backend == SET_BACKEND_CUDNN && !driver)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use the GPU: there is no NVIDIA driver\nto use the CPU: --backend onednn");
    if (s->backend != SET_BACKEND_SIM && !s->model[0])
        return reel_fail(REEL_ERR_CONFIG, "no model was given\nname one with --model FILE.onnx");
    if (s->backend != SET_BACKEND_SIM && access(s->model, R_OK))
        return reel_fail(REEL_ERR_CONFIG, "could not open model \"%s\": %s", s->model, strerror(errno));
    return REEL_OK;
}

// One or more workers on every chosen GPU; consecutive workers are on different GPUs.
static enum reel_err scale_gpus(struct run *run)
{
    const struct reel_settings *s = &run->settings;
    uint32_t ids[REEL_MAX_GPUS], n;
    enum reel_err err = devices_ask(&run->gpus);
    if (!err) err = devices_choose(s, &run->gpus, ids, &n);
    if (err) return err;
    if (!run->gpus.cudnn)
        return reel_fail(REEL_ERR_CONFIG, "could not use the GPU: cuDNN 9 is not installed\nto install it: ./run.sh "
                                          "--setup; to use the CPU: --backend onednn");
    uint32_t each = s->workers_per_gpu ? (uint32_t)s->workers_per_gpu : 1;
    if (n * each > LANE_MAX_WORKERS)
        return reel_fail(REEL_ERR_CONFIG, "could not start %u workers: at most %d", n * each, LANE_MAX_WORKERS);
    for (uint32_t i = 0; i < n * each; i++) run->worker_devices[run->workers++] = (int)ids[i % n];
    for (uint32_t i = 0; !s->gpu_ids[0] && i < run->gpus.n && s->progress != SET_PROGRESS_OFF; i++)
        if (!devices_usable(&run->gpus.gpu[i]))
            fprintf(stderr, "note: GPU %u (%s) is too old and is not used\n", i, run->gpus.gpu[i].name);
    return REEL_OK;
}

static uint32_t count_commas(const char *text)
{
    uint32_t n = 1;
    for (; *text; text++) n += *text == ',';
    return n;
}

// With REELMILL_DEVICES and host=1, CPU workers are spread over the listed devices as they
// would be over GPUs.
static enum reel_err scale_host_devices(struct run *run)
{
    const char *told = getenv(REEL_DEVICES_ENV);
    if (!told || !*told) return REEL_OK;
    enum reel_err err = devices_ask(&run->gpus);
    for (uint32_t i = 0; i < run->gpus.n; i++)
        if (!run->gpus.gpu[i].host) run->gpus.n = 0;
    for (uint32_t i = 0; !err && run->gpus.n && i < run->workers; i++) run->worker_devices[i] = (int)(i % run->gpus.n);
    return err;
}

// The text must be numbers separated by commas.
static enum reel_err check_sim_ms(const char *text)
{
    const char *p = text;
    for (char *end; *p; p = *end ? end + 1 : end) {
        double ms = strtod(p, &end);
        bool good = end != p && (!*end || (*end == ',' && end[1])) && ms >= 0 && ms <= 3600000;
        if (!good)
            return reel_fail(REEL_ERR_CONFIG, "could not read --sim_ms \"%s\": use milliseconds like 10 or 10,10,40",
                             text);
    }
    return REEL_OK;
}

static enum reel_err scale_cpu(struct run *run)
{
    const struct reel_settings *s = &run->settings;
    enum reel_err err = s->backend == SET_BACKEND_SIM ? check_sim_ms(s->sim_ms) : REEL_OK;
    if (err) return err;
    if (s->gpu_ids[0])
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use --gpu_ids: the backend is not a GPU's\nfor CPU workers: --gpu_num N");
    uint32_t fit = run->cores / (uint32_t)s->threads;
    if (!fit) fit = 1;
    uint32_t listed = s->backend == SET_BACKEND_SIM ? count_commas(s->sim_ms) : 1;
    uint32_t n = s->gpu_num ? (uint32_t)s->gpu_num : listed > 1 ? listed : fit;
    n *= s->workers_per_gpu ? (uint32_t)s->workers_per_gpu : 1;
    if (n > LANE_MAX_WORKERS)
        return reel_fail(REEL_ERR_CONFIG, "could not start %u workers: at most %d", n, LANE_MAX_WORKERS);
    if (s->backend == SET_BACKEND_ONEDNN && n * (uint32_t)s->threads > run->cores && s->progress != SET_PROGRESS_OFF)
        fprintf(stderr, "note: %u workers of %d threads share %u cores\n", n, s->threads, run->cores);
    run->workers = n;
    for (uint32_t i = 0; i < n; i++) run->worker_devices[i] = (int)i;
    return scale_host_devices(run);
}

// Whether pictures will be encoded on the processor. An output folder is taken for a folder
// of videos.
static bool encodes_on_cpu(const struct reel_settings *s, const struct reel_gpu_table *gpus)
{
    enum reel_output_kind kind;
    const char *why;
    char format[SET_WORD + 4];
    snprintf(format, sizeof format, "x%s%s", *s->output_format == '.' ? "" : ".", s->output_format);
    bool known = reel_output_kind_of(s->output, &kind, &why) || reel_output_kind_of(format, &kind, &why);
    if (known && kind != REEL_OUTPUT_VIDEO && kind != REEL_OUTPUT_IMAGES) return false;
    uint32_t nvenc = 0;
    for (uint32_t i = 0; i < gpus->n; i++) nvenc |= gpus->gpu[i].encode;
    return !(nvenc && strstr(s->encoder, "_nvenc"));
}

enum reel_err command_scale(struct run *run)
{
    struct reel_settings *s = &run->settings;
    run->cores = count_cores();
    enum reel_err err = settle_backend(s);
    if (!err && s->plans[0] && s->backend != SET_BACKEND_CUDNN)
        err = reel_fail(REEL_ERR_CONFIG, "could not use plans \"%s\": only --backend cudnn has engines to choose",
                        s->plans);
    if (!err) err = s->backend == SET_BACKEND_CUDNN ? scale_gpus(run) : scale_cpu(run);
    if (err) return err;
    uint32_t n_gpus = 0;
    int gpus[LANE_MAX_WORKERS];
    for (uint32_t i = 0; i < run->workers && run->gpus.n; i++) {
        uint32_t k = 0;
        while (k < n_gpus && gpus[k] != run->worker_devices[i]) k++;
        if (k == n_gpus) gpus[n_gpus++] = run->worker_devices[i];
    }
    struct scale_ask ask = {.cores = run->cores,
                            .on_gpus = s->backend == SET_BACKEND_CUDNN,
                            .gpus = gpus,
                            .n_gpus = n_gpus,
                            .gpu = run->gpus.gpu,
                            .encodes = encodes_on_cpu(s, &run->gpus),
                            .encoder_threads = (uint32_t)s->encoder_threads,
                            .decoders = (uint32_t)s->decoders,
                            .aggregators = (uint32_t)s->aggregators,
                            .lanes = (uint32_t)s->lanes,
                            .most_lanes = RUN_MAX_LANES};
    struct scale scale;
    scale_decide(&ask, &scale);
    if (s->live) scale = (struct scale){1, 1, 2}; // two lanes: an attempt can begin while the last one is closed
    run->decoders = scale.decoders;
    run->aggregators = scale.aggregators;
    // A stream on standard output is written by one more aggregator, which has no lane, so that
    // a crash in an encoder does not end the stream.
    run->streams = !strcmp(s->output, "-") && !s->live;
    if (run->streams) run->aggregators++;
    run->n_lanes = scale.lanes;
    for (uint32_t i = 0; i < SUPERVISE_MAX; i++)
        run->decoder_devices[i] = run->aggregator_devices[i] = n_gpus ? gpus[i % n_gpus] : -1;
    run->mem_kind = n_gpus ? rings_kind(&run->gpus) : REEL_MEM_NONE;
    if (run->workers + run->decoders + run->aggregators > SUPERVISE_MAX)
        return reel_fail(REEL_ERR_CONFIG, "could not start %u processes: at most %d",
                         run->workers + run->decoders + run->aggregators, SUPERVISE_MAX);
    return REEL_OK;
}

// Has a worker say what the model reads and makes, as it would in a run. Returns an exit code.
static int print_guess(const struct reel_settings *s)
{
    int fd = -1, status = 0;
    char *text = opt_dump(reel_settings_table(), s, false), number[16];
    enum reel_err err = text ? reel_shm_publish("reelmill-settings", text, strlen(text), &fd)
                             : reel_fail(REEL_ERR_NOMEM, "could not hand down the configuration: out of memory");
    free(text);
    if (err) {
        fprintf(stderr, "reelmill: %s\n", reel_fail_text());
        return EXIT_FAILED;
    }
    fflush(stdout);
    const pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fcntl(fd, F_SETFD, 0);
        snprintf(number, sizeof number, "%d", fd);
        _exit(exec_beside("worker", (char *[]){NULL, "--guess", number, NULL}));
    }
    close(fd);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (reel_life_stops()) return EXIT_INTERRUPTED;
    if (pid > 0 && WIFEXITED(status)) return WEXITSTATUS(status);
    fprintf(stderr, "reelmill: could not look at model \"%s\": %s\n", s->model,
            pid > 0 ? strsignal(WTERMSIG(status)) : strerror(errno));
    return EXIT_FAILED;
}

int command_print_plan(struct run *run)
{
    static const char *const backends[] = {"auto", "cudnn", "onednn", "sim"};
    char a[32], b[32];
    const struct reel_settings *s = &run->settings;
    printf("backend %s, %u worker%s, %u decoder%s, %u aggregator%s, %u lanes, segments of %g s\n", backends[s->backend],
           run->workers, run->workers == 1 ? "" : "s", run->decoders, run->decoders == 1 ? "" : "s", run->aggregators,
           run->aggregators == 1 ? "" : "s", run->n_lanes, s->segment_seconds);
    if (s->model[0]) printf("model %s\n", s->model);
    if (s->model[0] && s->backend != SET_BACKEND_SIM) {
        const int code = *s->io.pictures ? EXIT_DONE : print_guess(s); // its pictures have not been read
        if (code != EXIT_DONE) return code;
    }
    if (s->start[0] || s->end[0] || s->duration[0])
        printf("of each input: from %s %s%s\n", s->start[0] ? s->start : "its beginning",
               s->end[0]        ? "to "
               : s->duration[0] ? "for "
                                : "to its end",
               s->end[0] ? s->end : s->duration);
    if (!memory_limits(s->memory, &run->memory))
        printf("memory: %s free, rings, models and codecs may use %s\n", memory_text(run->memory.available, a),
               memory_text(run->memory.budget, b));
    printf("%u job%s:\n", run->inputs.n, run->inputs.n == 1 ? "" : "s");
    for (uint32_t i = 0; i < run->inputs.n; i++) {
        char path[REEL_PATH_BYTES];
        const struct reel_job *job = &run->inputs.jobs[i];
        bool resumes = s->resume == SET_RESUME_AUTO && !access(reel_journal_path(job, path), F_OK);
        printf("  %s -> %s%s\n", job->input, job->output, resumes ? " (resumes)" : "");
    }
    printf("nothing was started\n");
    return EXIT_DONE;
}
