// SPDX-License-Identifier: MIT
//
// All settings of a run: one struct, one option table, read by the coordinator
// from the command line and configuration files, and by every child from the
// effective configuration that it inherits.
#ifndef REEL_COMMON_SETTINGS_H
#define REEL_COMMON_SETTINGS_H

#include "common/frame.h"
#include "common/opt.h"

#define SET_PATH 4096
#define SET_TEXT 1024
#define SET_WORD 64

enum set_backend { SET_BACKEND_AUTO, SET_BACKEND_CUDNN, SET_BACKEND_ONEDNN, SET_BACKEND_SIM };
enum set_precision {
    SET_PRECISION_AUTO,
    SET_PRECISION_FP32,
    SET_PRECISION_TF32,
    SET_PRECISION_FP16,
    SET_PRECISION_BF16,
    SET_PRECISION_FP8,
};
enum set_progress { SET_PROGRESS_AUTO, SET_PROGRESS_BAR, SET_PROGRESS_PLAIN, SET_PROGRESS_JSON, SET_PROGRESS_OFF };
enum set_resume { SET_RESUME_AUTO, SET_RESUME_NEVER };
enum set_layout { SET_LAYOUT_AUTO, SET_LAYOUT_NCHW, SET_LAYOUT_NHWC };
enum set_channels { SET_CHANNELS_AUTO, SET_CHANNELS_RGB, SET_CHANNELS_BGR, SET_CHANNELS_Y, SET_CHANNELS_L };
enum set_range {
    SET_RANGE_AUTO,
    SET_RANGE_0_1,
    SET_RANGE_0_255,
    SET_RANGE_M1_1,
    SET_RANGE_FURTHER,                   // from here on the input's and the output's are others
    SET_RANGE_0_100 = SET_RANGE_FURTHER, // io.range: of L
    SET_RANGE_M50_50,
    SET_RANGE_MINMAX = SET_RANGE_FURTHER, // io.out_range
};
enum set_begin { SET_BEGIN_AUTO, SET_BEGIN_ZEROS, SET_BEGIN_PICTURE };
enum set_resize { SET_RESIZE_AUTO, SET_RESIZE_LETTERBOX, SET_RESIZE_STRETCH, SET_RESIZE_CROP, SET_RESIZE_TILE };
enum set_head {
    SET_HEAD_AUTO,
    SET_HEAD_SSD,        // scores + boxes, corner form in 0..1 (UltraFace)
    SET_HEAD_YUNET,      // YuNet 2023: cls/obj/bbox/kps per stride
    SET_HEAD_YUNET_2021, // loc/conf/iou with priors
    SET_HEAD_YOLOX,
    SET_HEAD_YOLOV5,
    SET_HEAD_YOLOV8,
    SET_HEAD_RETINAFACE,
    SET_HEAD_FASTESTDET,
    SET_HEAD_DETR,     // class scores by softmax + boxes, middle form in 0..1; the last class is none
    SET_HEAD_RTDETR,   // the same with scores by sigmoid and no such class
    SET_HEAD_YOLO_NAS, // boxes, corner form in pixels + scores
    SET_HEAD_LISTS,    // boxes, labels and scores of what was found
    SET_HEAD_SCRFD,    // scores, distances to the sides and points of each stride (faces)
    SET_HEAD_NANODET,  // scores and distributions of such distances in one output
    SET_HEAD_PICODET,  // the same, an output for each stride
    SET_HEAD_YOLOV3,   // raw grids with anchors; YOLOV5 may be such, too
    SET_HEAD_YOLOV4,
    SET_HEAD_YOLOV7,
    SET_HEAD_YOLOV5_FACE, // YOLOv5's rows with the points of a face
    SET_HEAD_YOLOV5_POSE, // the same of a body
    SET_HEAD_CENTERNET,   // maps of middles, sizes and offsets
    SET_HEAD_HEATMAP,     // a map for each point of one body or hand
    SET_HEAD_SIMCC,       // the same, columns and rows apart
    SET_HEAD_MOVENET,     // points y x score
};
enum set_picture_size { SET_PICTURE_SIZE_AUTO, SET_PICTURE_SIZE_FRAME, SET_PICTURE_SIZE_OWN };
enum set_picture { SET_PICTURE_OVERLAY, SET_PICTURE_MASK, SET_PICTURE_CUTOUT };
enum set_alpha { SET_ALPHA_AUTO, SET_ALPHA_KEEP, SET_ALPHA_DROP };
enum set_split { SET_SPLIT_OFF, SET_SPLIT_SPATIAL };
enum set_poison { SET_POISON_REPEAT, SET_POISON_PASSTHROUGH, SET_POISON_FAIL };

struct reel_settings {
    // what to do
    char output[SET_PATH];
    char model[SET_PATH];
    char config[SET_PATH];
    int task; // 0 auto, 1 image, 2 detect, 3 classify, 4 segment, 5 tensor, 6 colorize, 7 flow (see settings_task)
    char output_format[SET_WORD];

    // devices and scale
    int gpu_num; // 0 = all / as many as fit
    char gpu_ids[SET_TEXT];
    int backend;
    int workers_per_gpu, decoders, aggregators, lanes; // 0 = auto
    int threads, decoder_threads, encoder_threads;
    int batch;     // 0 = auto
    int precision; // enum set_precision
    char plans[SET_PATH];
    char tile[SET_WORD];
    char memory[SET_WORD];

    // media
    char encoder[SET_WORD];
    char encoder_opts[SET_TEXT];
    char pre_filter[SET_TEXT], post_filter[SET_TEXT];
    double segment_seconds;
    int warmup_frames; // of networks with a state
    double frame_rate; // of inputs without timestamps (image sequences, raw streams)
    double max_pixels; // refuse larger pictures (millions)
    char start[SET_WORD], end[SET_WORD], duration[SET_WORD]; // of the part that is processed (reel_settings_part)
    int rate;         // frames out for each in, of networks that make some between two; 0 = auto: 2
    int alpha;        // enum set_alpha
    double scene_cut; // frames that differ by more are of two scenes

    // running
    int resume;
    bool overwrite;
    bool live;
    int latency_ms;
    int progress;
    char report[SET_PATH];
    int log_level;
    char log_dir[SET_PATH];
    char metrics[SET_WORD];
    char sim_ms[SET_TEXT];
    int split;
    char trace[SET_PATH];
    int poison; // what fills in for a quarantined frame
    int poison_tries;
    bool allow_degrade;
    double hang_seconds;

    // one-shot commands
    bool setup, doctor, gc, dry_run, list_gpus, dump_config, dump_graph, verify, version, help, demo;
    double verify_seconds;
    char bench_model[SET_PATH], autotune[SET_PATH], shape[SET_WORD];
    char eval_model[SET_PATH], eval_inputs[SET_PATH], eval_outputs[SET_PATH];

    // io: what the network's input and output mean
    struct {
        int layout, channels, range;
        int frames;                  // that the network sees at once; 0: guessed
        struct opt_floats mean, std; // of values in 0..1, per channel of the network's order
        char size[SET_WORD];         // "WxH" of the network's input when it is dynamic
        int resize;
        int out_channels, out_range;
        struct opt_floats out_mean, out_std;
        char input[SET_WORD], output[SET_WORD]; // names, when there are several
        char state[SET_TEXT], constants[SET_TEXT];
        char pictures[SET_PATH]; // "INPUT=FILE,..." (picture.h)
        int picture_size;        // enum set_picture_size
        char time[SET_WORD];     // of the input that takes the time between two frames
        int state_begin;         // enum set_begin
        bool residual;           // the output is added to the (resized) input
    } io;

    struct {
        int head;
        double score, iou;
        int max_objects;
        char labels[SET_PATH];
        int line_width; // pixels, 0 = by picture size
        bool draw_labels;
        bool track;
        double track_seconds;
    } detect;

    struct {
        int top_k;
        int stride; // of a clip's frames
        char labels[SET_PATH];
    } classify;

    struct {
        double most; // pixels; 0: by the width
        bool per_frame;
    } flow;

    struct {
        int picture; // enum set_picture
        char labels[SET_PATH];
        double opacity, threshold;
    } segment;
    struct opt_floats background; // R, G, B 0..255 behind what a matte or mask cuts out; none: no such picture
};

const struct opt_table *reel_settings_table(void);
// task as the enum of frame.h.
enum reel_task reel_settings_task(const struct reel_settings *s);
// The score from which on workers report objects: below detect.score when they are tracked.
double reel_settings_score(const struct reel_settings *s);
// "512M", "8G", "75%" of total -> bytes; 0 for "". CONFIG when it is no size.
enum reel_err reel_parse_bytes(const char *text, uint64_t total, uint64_t *out_bytes);
// A time as FFmpeg's users write it, to microseconds: seconds ("12.5", "250ms"), MM:SS or
// HH:MM:SS, the last with a fraction. `option` is named in messages. CONFIG when it is none, or
// negative.
enum reel_err reel_parse_time(const char *option, const char *text, int64_t *out_us);
// The part of each input that is processed (--start, --end, --duration): from *out_start_us (0: its
// beginning) to before *out_end_us (INT64_MAX: its end). CONFIG when it is empty or not understood.
enum reel_err reel_settings_part(const struct reel_settings *s, int64_t *out_start_us, int64_t *out_end_us);
// "640x360" -> 640, 360. CONFIG otherwise.
enum reel_err reel_parse_size(const char *text, int *out_w, int *out_h);

#endif
