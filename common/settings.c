// SPDX-License-Identifier: MIT
//
// The table of all options. See settings.h; --help and --dump_config are made from it.
#include "common/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct reel_settings, field), sizeof(((struct reel_settings *)0)->field)
#define BOOL(name, letter, field, flags, section, help)                                    \
    {                                                                                      \
        name, letter, OPT_BOOL, AT(field), "false", 0, 0, NULL, NULL, flags, section, help \
    }
#define INT(name, field, absent, min, max, unit, flags, section, help)                  \
    {                                                                                   \
        name, 0, OPT_INT, AT(field), absent, min, max, NULL, unit, flags, section, help \
    }
#define COUNT(name, field, max, unit, flags, section, help)                                  \
    {                                                                                        \
        name, 0, OPT_COUNT_AUTO, AT(field), "auto", 1, max, NULL, unit, flags, section, help \
    }
#define REAL(name, field, absent, min, max, unit, flags, section, help)                    \
    {                                                                                      \
        name, 0, OPT_DOUBLE, AT(field), absent, min, max, NULL, unit, flags, section, help \
    }
#define TEXT(name, letter, field, absent, unit, flags, section, help)                       \
    {                                                                                       \
        name, letter, OPT_STRING, AT(field), absent, 0, 0, NULL, unit, flags, section, help \
    }
#define ENUM(name, field, absent, choices, flags, section, help)                        \
    {                                                                                   \
        name, 0, OPT_ENUM, AT(field), absent, 0, 0, choices, NULL, flags, section, help \
    }
#define LIST(name, field, section, help)                                          \
    {                                                                             \
        name, 0, OPT_FLOATS, AT(field), "", 0, 0, NULL, "A,B,C", 0, section, help \
    }

#define HEADS                                                                                         \
    "auto,ssd,yunet,yunet_2021,yolox,yolov5,yolov8,retinaface,fastestdet,detr,rtdetr,yolo_nas,lists," \
    "scrfd,nanodet,picodet,yolov3,yolov4,yolov7,yolov5_face,yolov5_pose,centernet,heatmap,simcc,movenet"
#define FREE OPT_NO_OUTPUT

static const struct opt_def defs[] = {
    TEXT("output", 'o', output, "", "OUT", FREE, "Main",
         "output file (.mp4 .mkv .mov .webm .ts .avi .gif .y4m .jsonl ...), image pattern (%06d.png), motion "
         "(%06d.flo), - for standard output, null:, or a folder for several inputs"),
    TEXT("model", 'm', model, "", "FILE", FREE, "Main", "the ONNX model"),
    TEXT("config", 'c', config, "", "FILE", OPT_CLI_ONLY | FREE, "Main",
         "a libconfig file with any of these options; the command line wins"),
    ENUM("task", task, "auto", "auto,image,detect,classify,segment,tensor,colorize,flow", 0, "Main",
         "what the model's outputs mean"),
    TEXT("output_format", 0, output_format, "auto", ".EXT", FREE, "Main",
         "extension of the files in an output folder (auto: the input's), or of standard output (auto: .mkv, .jsonl)"),
    BOOL("overwrite", 'y', overwrite, FREE, "Main", "replace an existing output"),

    COUNT("gpu_num", gpu_num, 64, "N", FREE, "Devices", "number of GPUs; with onednn and sim, number of workers"),
    TEXT("gpu_ids", 0, gpu_ids, "", "0,2", FREE, "Devices", "numbers of the GPUs to use (--list_gpus shows them)"),
    ENUM("backend", backend, "auto", "auto,cudnn,onednn,sim", 0, "Devices",
         "auto: cudnn where there is a GPU, else onednn"),
    COUNT("workers_per_gpu", workers_per_gpu, 16, "N", FREE, "Devices", "worker processes on each GPU"),
    COUNT("decoders", decoders, 64, "N", FREE, "Devices", "decoder processes"),
    COUNT("aggregators", aggregators, 64, "N", FREE, "Devices", "aggregator (encoder) processes"),
    COUNT("lanes", lanes, 64, "N", FREE, "Devices", "segments in progress at once"),
    INT("threads", threads, "1", 1, 256, "N", 0, "Devices", "compute threads of one CPU worker"),
    INT("decoder_threads", decoder_threads, "1", 1, 64, "N", 0, "Devices", "threads of one decoder's codec"),
    INT("encoder_threads", encoder_threads, "4", 1, 64, "N", 0, "Devices", "threads of one encoder"),
    COUNT("batch", batch, 8, "N", 0, "Devices", "frames per run of the network on a GPU; CPUs always take one"),
    ENUM("precision", precision, "auto", "auto,fp32,tf32,fp16,bf16,fp8", 0, "Devices", "arithmetic of the network"),
    TEXT("plans", 0, plans, "", "FILE", 0, "Devices", "cuDNN engines to use, measured with --autotune"),
    TEXT("tile", 0, tile, "auto", "WxH", 0, "Devices", "cut frames into tiles: auto, off or a size"),
    TEXT("memory", 0, memory, "", "SIZE", FREE, "Devices", "memory limit for rings and models (8G, 50%)"),

    TEXT("encoder", 0, encoder, "", "NAME", 0, "Media", "FFmpeg encoder; the default depends on the container"),
    TEXT("encoder_opts", 0, encoder_opts, "", "k=v:k=v", 0, "Media", "options of the encoder"),
    TEXT("pre_filter", 0, pre_filter, "", "FILTERS", 0, "Media", "FFmpeg filters before the model"),
    TEXT("post_filter", 0, post_filter, "", "FILTERS", 0, "Media", "FFmpeg filters after the model"),
    REAL("segment_seconds", segment_seconds, "10", 0.1, 86400, "S", 0, "Media",
         "length of a segment, the unit of decoding, encoding and resuming"),
    INT("warmup_frames", warmup_frames, "0", 0, 100000, "N", 0, "Media",
        "for networks with a state: frames that each segment sees before its first; 0: the whole input is one segment, "
        "and exact"),
    REAL("frame_rate", frame_rate, "25", 0.01, 1000, "FPS", 0, "Media", "frame rate of inputs that have no timestamps"),
    TEXT("start", 0, start, "", "TIME", 0, "Media",
         "process each input from this time on: seconds (12.5), MM:SS or HH:MM:SS.mmm"),
    TEXT("end", 0, end, "", "TIME", 0, "Media", "process each input up to this time"),
    TEXT("duration", 0, duration, "", "TIME", 0, "Media", "how much to process, from --start on; instead of --end"),
    REAL("max_pixels", max_pixels, "300", 0.001, 1000, "M", FREE, "Media",
         "refuse larger pictures (millions of pixels)"),
    {"rate", 0, OPT_COUNT_AUTO, AT(rate), "auto", 2, REEL_MAX_RATE, NULL, "N", 0, "Media",
     "output frames for each input frame, for interpolation networks; auto: 2"},
    ENUM("alpha", alpha, "auto", "auto,keep,drop", 0, "Media",
         "transparency of the input; auto: kept where the output's format holds it"),
    REAL("scene_cut", scene_cut, "0.25", 0, 1, "P", 0, "Media",
         "two frames that differ by more are a scene cut, across which nothing is interpolated (1: no cuts)"),

    ENUM("resume", resume, "auto", "auto,never", FREE, "Running", "continue where an interrupted run stopped"),
    BOOL("live", 0, live, FREE, "Running",
         "read one input in real time (an address, a camera, a pipe, - for standard input, or a file at its own pace); "
         "frames that would be late are dropped and counted"),
    INT("latency_ms", latency_ms, "500", 1, 60000, "MS", FREE, "Running",
        "with --live: drop a frame that has waited this long for a worker"),
    ENUM("progress", progress, "auto", "auto,bar,plain,json,off", FREE, "Running", "how progress is shown"),
    TEXT("report", 0, report, "", "FILE", FREE, "Running", "write a JSON report"),
    ENUM("log_level", log_level, "warn", "off,error,warn,info,debug,trace", FREE, "Running", "what is logged"),
    TEXT("log_dir", 0, log_dir, "", "DIR", FREE, "Running", "write one log file per process to this folder"),
    TEXT("metrics", 0, metrics, "", "ADDR:PORT", FREE, "Running",
         "serve Prometheus metrics and a live page; :PORT listens on all addresses, PORT on this machine only"),
    TEXT("sim_ms", 0, sim_ms, "0", "LIST", FREE, "Running",
         "with --backend sim: time per frame in ms, one value or one per device"),
    ENUM("split", split, "off", "off,spatial", 0, "Running",
         "split each frame over several workers, for lower latency"),
    TEXT("trace", 0, trace, "", "FILE", FREE, "Running",
         "write a Chrome trace of every stage (JSON, for ui.perfetto.dev)"),
    ENUM("poison", poison, "repeat", "repeat,passthrough,fail", 0, "Running",
         "what replaces a frame that repeatedly crashes a stage"),
    INT("poison_tries", poison_tries, "3", 1, 100, "N", 0, "Running", "crashes at one frame before it is replaced"),
    BOOL("allow_degrade", 0, allow_degrade, 0, "Running", "rather than fail, allow measures that change output bytes"),
    REAL("hang_seconds", hang_seconds, "120", 1, 86400, "S", FREE, "Running",
         "kill and replace a process that makes no progress for this long"),

    BOOL("setup", 0, setup, OPT_ACTION | FREE, "Commands", "install what is missing, and exit"),
    BOOL("doctor", 0, doctor, OPT_ACTION | FREE, "Commands", "check this machine, and exit"),
    BOOL("gc", 0, gc, OPT_ACTION | FREE, "Commands", "remove leftovers of dead runs, and exit"),
    BOOL("dry_run", 0, dry_run, OPT_ACTION | FREE, "Commands",
         "print what would be done and what the model is taken for, and exit"),
    BOOL("list_gpus", 0, list_gpus, OPT_ACTION | FREE, "Commands", "list the GPUs, and exit"),
    BOOL("dump_config", 0, dump_config, OPT_ACTION | FREE, "Commands", "print the effective configuration, and exit"),
    BOOL("dump_graph", 0, dump_graph, OPT_ACTION | FREE, "Commands",
         "print the network before and after the graph passes, and exit"),
    BOOL("verify", 0, verify, OPT_ACTION | FREE, "Commands",
         "compare the output of every kind of device with that of one CPU worker, for the beginning of an input, and "
         "exit"),
    REAL("verify_seconds", verify_seconds, "2", 0.01, 86400, "S", FREE, "Commands",
         "how much of the input --verify compares"),
    BOOL("version", 0, version, OPT_ACTION | FREE, "Commands", "print the version, and exit"),
    BOOL("help", 'h', help, OPT_ACTION | FREE, "Commands", "print this help, and exit"),
    BOOL("demo", 0, demo, OPT_ACTION | FREE, "Commands", "run the bundled model over the bundled clip"),
    TEXT("bench_model", 0, bench_model, "", "FILE", OPT_ACTION | FREE, "Commands", "time a network alone"),
    TEXT("autotune", 0, autotune, "", "FILE", OPT_ACTION | FREE, "Commands",
         "measure the cuDNN engines for --model at --shape on a GPU, and write the best to FILE for --plans"),
    TEXT("shape", 0, shape, "", "1x3x360x640", OPT_ACTION | FREE, "Commands",
         "input shape for --bench_model, --autotune and --dump_graph"),
    TEXT("eval_model", 0, eval_model, "", "FILE", OPT_ACTION | FREE, "Commands", "run a network once on NumPy tensors"),
    TEXT("eval_inputs", 0, eval_inputs, "", "NAME=F.npy,..", OPT_ACTION | FREE, "Commands", "inputs of --eval_model"),
    TEXT("eval_outputs", 0, eval_outputs, "", "DIR", OPT_ACTION | FREE, "Commands",
         "folder for the outputs of --eval_model"),

    ENUM("io.layout", io.layout, "auto", "auto,nchw,nhwc", 0, "Network input and output", "order of the dimensions"),
    ENUM("io.channels", io.channels, "auto", "auto,rgb,bgr,y,l", 0, "Network input and output",
         "channels of the input; l: lightness of CIE Lab, for networks that colour"),
    INT("io.frames", io.frames, "0", 0, 64, "N", 0, "Network input and output",
        "frames that the network sees at once: with an odd number it makes the middle one, with 2 the frames between "
        "them; any number for those that classify clips (0: guessed)"),
    ENUM("io.range", io.range, "auto", "auto,0-1,0-255,-1-1,0-100,-50-50", 0, "Network input and output",
         "value range of the input; the last two are for L"),
    LIST("io.mean", io.mean, "Network input and output", "mean per channel, subtracted from values in 0..1"),
    LIST("io.std", io.std, "Network input and output",
         "standard deviation per channel, by which values in 0..1 are divided"),
    TEXT("io.size", 0, io.size, "", "WxH", 0, "Network input and output",
         "input size, for networks that take any size"),
    ENUM("io.resize", io.resize, "auto", "auto,letterbox,stretch,crop,tile", 0, "Network input and output",
         "how a frame is fitted to the input size"),
    ENUM("io.out_channels", io.out_channels, "auto", "auto,rgb,bgr,y", 0, "Network input and output",
         "channels of the output picture"),
    ENUM("io.out_range", io.out_range, "auto", "auto,0-1,0-255,-1-1,minmax", 0, "Network input and output",
         "value range of the output picture, or of ab (colouring)"),
    LIST("io.out_mean", io.out_mean, "Network input and output", "mean per channel, added to output values in 0..1"),
    LIST("io.out_std", io.out_std, "Network input and output",
         "standard deviation per channel, by which output values are multiplied"),
    TEXT("io.input", 0, io.input, "", "NAME", 0, "Network input and output", "which input takes the picture"),
    TEXT("io.time", 0, io.time, "", "NAME", 0, "Network input and output",
         "which input takes the time between two frames (0 to 1)"),
    TEXT("io.output", 0, io.output, "", "NAME", 0, "Network input and output", "which output is used"),
    TEXT("io.state", 0, io.state, "", "IN=OUT,..", 0, "Network input and output",
         "inputs that take the value which an output (or the input picture) had in the previous frame, or none; "
         "default: guessed"),
    ENUM("io.state_begin", io.state_begin, "auto", "auto,zeros,picture", 0, "Network input and output",
         "initial value of states: zeros, or the first picture for those that are pictures"),
    TEXT("io.constants", 0, io.constants, "", "IN=N,..", 0, "Network input and output",
         "inputs that are the same number for all frames, or whose one channel more than a picture has is "
         "(a denoiser's strength)"),
    TEXT("io.pictures", 0, io.pictures, "", "IN=FILE,..", FREE, "Network input and output",
         "inputs that take a picture from a file, the same for all frames (a style, a background)"),
    ENUM("io.picture_size", io.picture_size, "auto", "auto,frame,own", 0, "Network input and output",
         "size of these pictures: that of the frames, or their own"),
    BOOL("io.residual", 0, io.residual, 0, "Network input and output", "the output is added to the input picture"),

    ENUM("detect.head", detect.head, "auto", HEADS, 0, "Detection", "format of the network's outputs"),
    REAL("detect.score", detect.score, "0.5", 0, 1, "P", 0, "Detection", "minimum score of an object"),
    REAL("detect.iou", detect.iou, "0.45", 0, 1, "P", 0, "Detection",
         "overlap (IoU) above which the weaker box is removed"),
    INT("detect.max_objects", detect.max_objects, "300", 1, 4096, "N", 0, "Detection",
        "maximum number of objects per frame"),
    TEXT("detect.labels", 0, detect.labels, "", "FILE", 0, "Detection", "class names, one per line"),
    INT("detect.line_width", detect.line_width, "0", 0, 64, "PX", 0, "Detection",
        "line width of drawn boxes; 0: depends on the picture size"),
    {"detect.draw_labels", 0, OPT_BOOL, AT(detect.draw_labels), "true", 0, 0, NULL, NULL, 0, "Detection",
     "write names and scores beside the boxes"},
    {"detect.track", 0, OPT_BOOL, AT(detect.track), "false", 0, 0, NULL, NULL, 0, "Detection",
     "give each object a number that stays the same from frame to frame; an input is then one segment"},
    REAL("detect.track_seconds", detect.track_seconds, "1", 0, 3600, "S", 0, "Detection",
         "how long an object that is out of sight keeps its number"),
    INT("classify.top_k", classify.top_k, "5", 1, 100, "N", 0, "Classification", "how many classes are reported"),
    INT("classify.stride", classify.stride, "1", 1, 64, "N", 0, "Classification",
        "networks that see a clip: its frames are every Nth of the video"),
    TEXT("classify.labels", 0, classify.labels, "", "FILE", 0, "Classification", "class names, one per line"),
    REAL("flow.max", flow.most, "0", 0, 32768, "PX", 0, "Optical flow",
         "motion in pixels that has full colour; 0: a 32nd of the frame's width"),
    BOOL("flow.per_frame", 0, flow.per_frame, 0, "Optical flow",
         "the longest motion of each frame has full colour, instead of a fixed one; the colours then flicker"),
    LIST("background", background, "Segmentation",
         "R,G,B in 0..255: output what the matte or the classes cut out, over this colour"),
    ENUM("segment.picture", segment.picture, "overlay", "overlay,mask,cutout", 0, "Segmentation",
         "what a video output shows: the mask over the picture, the mask alone, or what it covers, transparent "
         "elsewhere (.mov .webm .mkv .png)"),
    TEXT("segment.labels", 0, segment.labels, "", "FILE", 0, "Segmentation", "class names, one per line"),
    REAL("segment.opacity", segment.opacity, "0.5", 0, 1, "P", 0, "Segmentation", "opacity of the overlay"),
    REAL("segment.threshold", segment.threshold, "0.5", 0, 1, "P", 0, "Segmentation",
         "threshold for a single class, and for the masks of objects"),
};

const struct opt_table *reel_settings_table(void)
{
    static const struct opt_table table = {defs, sizeof defs / sizeof defs[0]};
    return &table;
}

double reel_settings_score(const struct reel_settings *s)
{
    // Weak detections continue a track (ByteTrack's lower threshold).
    return s->detect.track && s->detect.score > 0.1 ? 0.1 : s->detect.score;
}

enum reel_task reel_settings_task(const struct reel_settings *s)
{
    static const enum reel_task tasks[] = {REEL_TASK_AUTO,    REEL_TASK_IMAGE,  REEL_TASK_DETECT,   REEL_TASK_CLASSIFY,
                                           REEL_TASK_SEGMENT, REEL_TASK_TENSOR, REEL_TASK_COLORIZE, REEL_TASK_FLOW};
    return tasks[s->task];
}

enum reel_err reel_parse_bytes(const char *text, uint64_t total, uint64_t *out_bytes)
{
    *out_bytes = 0;
    if (!*text) return REEL_OK;
    char *end;
    double value = strtod(text, &end);
    double unit = 1;
    switch (toupper((unsigned char)*end)) {
    case 'K':
        unit = 1024.0, end++;
        break;
    case 'M':
        unit = 1048576.0, end++;
        break;
    case 'G':
        unit = 1073741824.0, end++;
        break;
    case 'T':
        unit = 1099511627776.0, end++;
        break;
    case '%':
        unit = (double)total / 100, end++;
        break;
    default:
        break;
    }
    if (end != text && toupper((unsigned char)*end) == 'B') end++;
    if (end == text || *end || !(value > 0) || value * unit > 1e18)
        return reel_fail(REEL_ERR_CONFIG, "could not read size \"%s\": use a number with K, M, G or %%, like 8G", text);
    *out_bytes = (uint64_t)(value * unit);
    return REEL_OK;
}

enum reel_err reel_parse_size(const char *text, int *out_w, int *out_h)
{
    int used = 0;
    if (sscanf(text, "%dx%d%n", out_w, out_h, &used) == 2 && !text[used] && *out_w > 0 && *out_h > 0 &&
        *out_w <= 32768 && *out_h <= 32768)
        return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG, "could not read size \"%s\": use WIDTHxHEIGHT, like 640x360", text);
}

// ---- times ----------------------------------------------------------------------

#define MOST_SECONDS INT64_C(10000000) // 115 days: anything longer is a typing error

// Reads a whole number, at most MOST_SECONDS. False: there is none.
static bool read_whole(const char **text, int64_t *out)
{
    const char *p = *text;
    *out = 0;
    for (; isdigit((unsigned char)*p); p++)
        if (*out <= MOST_SECONDS) *out = 10 * *out + (*p - '0');
    bool any = p != *text;
    *text = p;
    return any && *out <= MOST_SECONDS;
}

// Reads digits after the point, as microseconds; further digits are dropped.
static int64_t read_fraction(const char **text)
{
    int64_t us = 0, place = 100000;
    const char *p = *text + 1;
    for (; isdigit((unsigned char)*p); p++, place /= 10) us += (*p - '0') * place;
    *text = p;
    return us;
}

static bool read_time(const char *p, int64_t *out_us)
{
    int64_t field[3], fraction = 0;
    int n = 0;
    field[n++] = 0;
    if (*p == '.' ? !isdigit((unsigned char)p[1]) : !read_whole(&p, &field[0])) return false; // ".5" is allowed
    while (*p == ':') {
        p++;
        if (n == 3 || !read_whole(&p, &field[n++])) return false;
    }
    if (*p == '.') fraction = read_fraction(&p);
    int64_t seconds = 0, unit = 1000000;
    if (n == 1 && !strcmp(p, "ms")) unit = 1000;
    if (n == 1 && !strcmp(p, "us")) unit = 1;
    if (n == 1 && (unit < 1000000 || !strcmp(p, "s"))) p += strlen(p);
    for (int i = 0; i < n; i++) {
        if (i && field[i] >= 60) return false;
        seconds = 60 * seconds + field[i];
    }
    *out_us = seconds * unit + fraction * unit / 1000000;
    return !*p && seconds <= MOST_SECONDS;
}

enum reel_err reel_parse_time(const char *option, const char *text, int64_t *out_us)
{
    *out_us = 0;
    if (*text == '-')
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use --%s %s: it is negative\ntimes count from the beginning of the input", option,
                         text);
    if (read_time(text, out_us)) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not read --%s \"%s\": use seconds (12.5), MM:SS (1:30) or HH:MM:SS.mmm (1:02:03.250)",
                     option, text);
}

enum reel_err reel_settings_part(const struct reel_settings *s, int64_t *out_start_us, int64_t *out_end_us)
{
    enum reel_err err = REEL_OK;
    int64_t length = 0;
    *out_start_us = 0;
    *out_end_us = INT64_MAX;
    if (*s->start) err = reel_parse_time("start", s->start, out_start_us);
    if (!err && *s->end && *s->duration)
        return reel_fail(REEL_ERR_CONFIG, "could not use --end %s and --duration %s: give one of them", s->end,
                         s->duration);
    if (!err && *s->end) err = reel_parse_time("end", s->end, out_end_us);
    if (!err && *s->duration) err = reel_parse_time("duration", s->duration, &length);
    if (err) return err;
    if (*s->duration && !length)
        return reel_fail(REEL_ERR_CONFIG, "could not use --duration %s: nothing would be left", s->duration);
    if (*s->duration) *out_end_us = *out_start_us + length;
    if (*out_end_us > *out_start_us) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use --end %s: it is not after --start %s\n--end is a time of the "
                     "input; for a length use --duration",
                     s->end, *s->start ? s->start : "0");
}
