// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/settings.h"

static struct reel_settings settings;
static bool set[256];
static const char *words[16];
static int n_words;

static enum reel_err parse(int argc, char **argv)
{
    memset(set, 0, sizeof set);
    opt_defaults(reel_settings_table(), &settings);
    return opt_parse_argv(reel_settings_table(), argc, argv, &settings, set, words, &n_words);
}
#define PARSE(...) parse((int)(sizeof((char *[]){"x", __VA_ARGS__}) / sizeof(char *)), (char *[]){"x", __VA_ARGS__})

static void defaults(void)
{
    CHECK(reel_settings_table()->n <= 256);
    CHECK_INT(PARSE("in.mp4"), REEL_OK);
    CHECK_INT(n_words, 1);
    CHECK_NEAR(settings.segment_seconds, 10, 0);
    CHECK_INT(settings.threads, 1);
    CHECK_INT(settings.encoder_threads, 4);
    CHECK_INT(settings.gpu_num, 0);
    CHECK(settings.detect.draw_labels);
}

static void command_line(void)
{
    CHECK_INT(PARSE("--gpu-num", "4", "a", "-o", "out.mkv", "--segment_seconds=2.5", "-y", "--no_detect.draw_labels",
                    "--io.mean", "0.1,0.2,0.3", "--", "--b"),
              REEL_OK);
    CHECK_INT(settings.gpu_num, 4);
    CHECK_STR(settings.output, "out.mkv");
    CHECK_NEAR(settings.segment_seconds, 2.5, 0);
    CHECK(settings.overwrite && !settings.detect.draw_labels);
    CHECK_INT(settings.io.mean.n, 3);
    CHECK_NEAR(settings.io.mean.v[2], 0.3, 0);
    CHECK_INT(n_words, 2);
    CHECK_STR(words[1], "--b");
}

static void refused(void)
{
    CHECK_INT(PARSE("--gpu_nmu", "4"), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "gpu_num");
    CHECK_INT(PARSE("--threads", "zero"), REEL_ERR_CONFIG);
    CHECK_INT(PARSE("--threads", "0"), REEL_ERR_CONFIG);
    CHECK_INT(PARSE("--threads", "1.5"), REEL_ERR_CONFIG);
    CHECK_INT(PARSE("--gpu_num", "0"), REEL_ERR_CONFIG);
    CHECK_INT(PARSE("--backend", "cuda"), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "onednn");
    CHECK_INT(PARSE("--model"), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "needs a value");
    CHECK_INT(PARSE("--latency_ms", "0"), REEL_ERR_CONFIG);
}

static void file(void)
{
    char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];
    check_folder(folder);
    snprintf(path, sizeof path, "%s/a.cfg", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    const char *text =
        "gpu_num = 2;\nmodel = \"m.onnx\";\nio = {\n  mean = (0.5, 0.25, 1);\n};\nsegment_seconds = 4;\n";
    CHECK_INT(write(fd, text, strlen(text)), (long)strlen(text));
    close(fd);
    memset(set, 0, sizeof set);
    CHECK_INT(PARSE("--gpu_num", "3"), REEL_OK);
    enum reel_err err = opt_load_file(reel_settings_table(), path, &settings, set);
    unlink(path);
    rmdir(folder);
    CHECK_MSG(!err, "%s", reel_fail_text());
    CHECK_INT(settings.gpu_num, 3); // the command line wins
    CHECK_STR(settings.model, "m.onnx");
    CHECK_INT(settings.io.mean.n, 3);
    CHECK_NEAR(settings.io.mean.v[1], 0.25, 0);
    CHECK_NEAR(settings.segment_seconds, 4, 0);
}

static void file_errors(void)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"gpu_num = 2;\nmodle = 3;\n", "f.cfg:2: unknown key \"modle\""},
        {"\nio = {\n mean = \"a\"; };", "f.cfg:3:"},
        {"threads = 0;", "f.cfg:1:"},
        {"threads = ", "f.cfg:1:"},
        {"latency_ms = 0;", "f.cfg:1:"},
        {"demo = true;", "command-line only"},
        {"io = { deep = { x = 1; }; };", "unknown key"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(set, 0, sizeof set);
        opt_defaults(reel_settings_table(), &settings);
        CHECK_INT(opt_load_text(reel_settings_table(), bad[i].text, "f.cfg", &settings, set), REEL_ERR_CONFIG);
        CHECK_HAS(reel_fail_text(), bad[i].part);
    }
}

// What is dumped reads back as the same settings.
static void dump_round_trip(void)
{
    CHECK_INT(PARSE("--gpu_num", "4", "-o", "a \"quoted\" \\ name.mkv", "--sim_ms", "10,40", "--io.std", "0.1,0.2",
                    "--segment_seconds", "3", "--backend", "sim"),
              REEL_OK);
    static struct reel_settings copy;
    char *text = opt_dump(reel_settings_table(), &settings, false);
    memset(set, 0, sizeof set);
    opt_defaults(reel_settings_table(), &copy);
    enum reel_err err = opt_load_text(reel_settings_table(), text, "dump", &copy, set);
    char *again = opt_dump(reel_settings_table(), &copy, false);
    bool same = !strcmp(text, again);
    free(text);
    free(again);
    CHECK_MSG(!err, "%s", reel_fail_text());
    CHECK(same);
    CHECK_STR(copy.output, settings.output);
    CHECK_INT(copy.backend, SET_BACKEND_SIM);
}

// Scale and places do not change output bytes; what a network sees does.
static void dump_for_hash(void)
{
    CHECK_INT(PARSE("--gpu_num", "4", "--report", "r.json"), REEL_OK);
    char *a = opt_dump(reel_settings_table(), &settings, true);
    CHECK_INT(PARSE("--gpu_num", "1", "--lanes", "3"), REEL_OK);
    char *b = opt_dump(reel_settings_table(), &settings, true);
    CHECK_INT(PARSE("--segment_seconds", "5"), REEL_OK);
    char *c = opt_dump(reel_settings_table(), &settings, true);
    bool equal = !strcmp(a, b), differ = strcmp(b, c) != 0;
    free(a);
    free(b);
    free(c);
    CHECK(equal);
    CHECK(differ);
}

static void sizes(void)
{
    uint64_t bytes;
    int w, h;
    CHECK_INT(reel_parse_bytes("1.5G", 0, &bytes), REEL_OK);
    CHECK_INT(bytes, 1610612736);
    CHECK_INT(reel_parse_bytes("25%", 4000, &bytes), REEL_OK);
    CHECK_INT(bytes, 1000);
    CHECK_INT(reel_parse_bytes("12X", 0, &bytes), REEL_ERR_CONFIG);
    CHECK_INT(reel_parse_bytes("-1", 0, &bytes), REEL_ERR_CONFIG);
    CHECK_INT(reel_parse_size("640x360", &w, &h), REEL_OK);
    CHECK_INT(w * 10000 + h, 6400360);
    CHECK_INT(reel_parse_size("640", &w, &h), REEL_ERR_CONFIG);
    CHECK_INT(reel_parse_size("0x1", &w, &h), REEL_ERR_CONFIG);
}

CHECK_MAIN({"opt defaults", defaults}, {"opt command line", command_line}, {"opt refused", refused}, {"opt file", file},
           {"opt file errors", file_errors}, {"opt dump round trip", dump_round_trip},
           {"opt dump for the hash", dump_for_hash}, {"opt sizes", sizes})
