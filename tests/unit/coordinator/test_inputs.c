// SPDX-License-Identifier: MIT
//
// Inputs to jobs: folders, lists, patterns, where outputs go, what is refused.
#include "coordinator/inputs.h"

#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/rundir.h"
#include "tests/check.h"

static char root[64];
static struct reel_settings settings;
static struct inputs in;

static const char *at(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
    return path[turn];
}

static void touch(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    if (f) fputs(text, f), fclose(f);
}

static void begin(const char *output)
{
    snprintf(root, sizeof root, "/tmp/reelmill-test-inputs-%d", (int)getpid());
    reel_remove_tree(root);
    mkdir(root, 0755);
    mkdir(at("v"), 0755);
    mkdir(at("v/sub"), 0755);
    touch("v/b.mp4", "x");
    touch("v/a.avi", "x");
    touch("v/sub/c.mkv", "x");
    touch("v/readme.txt", "x");
    touch("v/.hidden.mp4", "x");
    memset(&settings, 0, sizeof settings);
    snprintf(settings.output, sizeof settings.output, "%s", output);
}

static enum reel_err collect(const char *word)
{
    inputs_fini(&in);
    return inputs_collect(&settings, &word, 1, "/run/x", &in);
}

static void folder(void)
{
    begin("");
    snprintf(settings.output, sizeof settings.output, "%s", at("out"));
    CHECK_INT(collect(at("v")), REEL_OK);
    CHECK_INT(in.n, 3);
    CHECK_STR(in.jobs[0].output, at("out/a.mkv")); // .avi is nothing that we write
    CHECK_STR(in.jobs[1].output, at("out/b.mp4"));
    CHECK_STR(in.jobs[2].output, at("out/sub/c.mkv"));
    CHECK_STR(in.jobs[2].parts_dir, at("out/sub/.c.mkv.reelmill"));
    snprintf(settings.output_format, sizeof settings.output_format, "jsonl");
    CHECK_INT(collect(at("v")), REEL_OK);
    CHECK_STR(in.jobs[1].output, at("out/b.jsonl"));
    CHECK_INT(in.jobs[1].kind, REEL_OUTPUT_JSONL);
}

static void list(void)
{
    begin("");
    snprintf(settings.output, sizeof settings.output, "%s", at("out"));
    char text[1024];
    snprintf(text, sizeof text, "# comment\n\n  %s  \r\n%s\nmissing/x.mp4\n", at("v/b.mp4"), at("v/sub"));
    touch("list.txt", text);
    char word[300];
    snprintf(word, sizeof word, "@%s", at("list.txt"));
    CHECK_INT(collect(word), REEL_OK);
    CHECK_INT(in.n, 3);
    CHECK_STR(in.jobs[0].output, at("out/b.mp4"));
    CHECK_STR(in.jobs[1].output, at("out/sub/c.mkv"));
    CHECK_STR(in.jobs[2].output, at("out/missing/x.mp4")); // fails as a job of its own
}

static void single(void)
{
    begin("");
    snprintf(settings.output, sizeof settings.output, "%s", at("o.mp4"));
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_INT(in.n, 1);
    CHECK_STR(in.jobs[0].parts_dir, at(".o.mp4.reelmill"));
    snprintf(settings.output, sizeof settings.output, "null:");
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_STR(in.jobs[0].parts_dir, "/run/x/job-0");
    snprintf(settings.output, sizeof settings.output, "%s", at("v/%06d.png"));
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_INT(in.jobs[0].kind, REEL_OUTPUT_IMAGES);
    CHECK_STR(in.jobs[0].parts_dir, at("v/._06d.png.reelmill"));
    snprintf(settings.output, sizeof settings.output, "%s", at("v"));
    CHECK_INT(collect(at("v/sub/c.mkv")), REEL_OK); // an existing folder
    CHECK_STR(in.jobs[0].output, at("v/c.mkv"));
}

// "null:" is no output; a name that begins so is a file.
static void null_is_a_word(void)
{
    begin("nullable.mp4");
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_INT(in.jobs[0].kind, REEL_OUTPUT_VIDEO);
    CHECK_HAS(in.jobs[0].output, "/nullable.mp4");
    CHECK_HAS(in.jobs[0].parts_dir, "/.nullable.mp4.reelmill");
    snprintf(settings.output, sizeof settings.output, "null");
    CHECK_INT(collect(at("v")), REEL_OK); // several inputs as well
    CHECK_INT(in.n, 3);
    CHECK_INT(in.jobs[2].kind, REEL_OUTPUT_NULL);
    CHECK_STR(in.jobs[2].parts_dir, "/run/x/job-2");
}

// The parts of two outputs never share a folder, which must not contain a %.
static void percent_signs(void)
{
    begin("");
    touch("v/x%y.mp4", "x");
    touch("v/x_y.mp4", "x");
    snprintf(settings.output, sizeof settings.output, "%s", at("out"));
    CHECK_INT(collect(at("v")), REEL_OK);
    CHECK_INT(in.n, 5);
    CHECK_STR(in.jobs[3].output, at("out/x%y.mp4"));
    CHECK(!strchr(in.jobs[3].parts_dir, '%'));
    CHECK_STR(in.jobs[4].parts_dir, at("out/.x_y.mp4.reelmill"));
    CHECK(strcmp(in.jobs[3].parts_dir, in.jobs[4].parts_dir) != 0);
}

// A symbolic link as the output: its target is written.
static void link_as_output(void)
{
    begin("");
    snprintf(settings.output, sizeof settings.output, "%s", at("link.mp4"));
    CHECK_INT(symlink("v/new.mp4", at("link.mp4")), 0); // does not exist yet
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_STR(in.jobs[0].output, at("v/new.mp4"));
    CHECK_STR(in.jobs[0].parts_dir, at("v/.new.mp4.reelmill"));
    touch("v/new.mp4", "x");
    CHECK_INT(collect(at("v/b.mp4")), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "it exists");
    CHECK_INT(symlink("link.mp4", at("again.mp4")), 0);
    settings.overwrite = true;
    snprintf(settings.output, sizeof settings.output, "%s", at("again.mp4"));
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_STR(in.jobs[0].output, at("v/new.mp4"));
    CHECK_INT(collect(at("v/new.mp4")), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "it is the input");
    CHECK_INT(symlink("v/readme.txt", at("text.mp4")), 0); // no video: the link is replaced
    snprintf(settings.output, sizeof settings.output, "%s", at("text.mp4"));
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_STR(in.jobs[0].output, at("text.mp4"));
    CHECK_INT(symlink("round.mp4", at("round.mp4")), 0);
    snprintf(settings.output, sizeof settings.output, "%s", at("round.mp4"));
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
}

// A pipe as the output would become a file, and its reader would wait for ever.
static void pipe_as_output(void)
{
    begin("");
    settings.overwrite = true;
    snprintf(settings.output, sizeof settings.output, "%s", at("pipe.mkv"));
    CHECK_INT(mkfifo(at("pipe.mkv"), 0666), 0);
    CHECK_INT(collect(at("v/b.mp4")), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "no regular file");
    settings.live = true; // live video is written into it
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
}

// A link to a folder that it lies in: each file is taken once.
static void links_that_lead_back(void)
{
    begin("");
    snprintf(settings.output, sizeof settings.output, "%s", at("out"));
    CHECK_INT(symlink("..", at("v/sub/up")), 0);
    CHECK_INT(symlink(".", at("v/here")), 0);
    CHECK_INT(symlink("sub", at("v/twin")), 0); // another name of a folder beside it is another folder
    CHECK_INT(collect(at("v")), REEL_OK);
    CHECK_INT(in.n, 4);
    CHECK_STR(in.jobs[3].output, at("out/twin/c.mkv"));
}

// Names as long as a file system takes them, and a % in a folder's name.
static void hard_names(void)
{
    begin("");
    char name[2][260];
    for (int i = 0; i < 2; i++) {
        memset(name[i], 'n', 250);
        snprintf(name[i] + 250, 10, "%d.mp4", i);
        snprintf(settings.output, sizeof settings.output, "%s/%s", root, name[i]);
        CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
        const char *folder = strrchr(in.jobs[0].parts_dir, '/') + 1;
        CHECK_INT(strlen(folder), 255);
        CHECK_HAS(folder, ".reelmill");
        if (i) CHECK(strcmp(folder, name[0]));
        snprintf(name[0], sizeof name[0], "%s", folder);
    }
    mkdir(at("50%d"), 0755);
    touch("50%d/07.png", "x");
    snprintf(settings.output, sizeof settings.output, "%s", at("50%d/%02d.jpg"));
    CHECK_INT(collect(at("50%d/%02d.png")), REEL_OK);
    CHECK_INT(in.jobs[0].kind, REEL_OUTPUT_IMAGES);
    touch("50%d/00.jpg", "x");
    CHECK_INT(collect(at("50%d/%02d.png")), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "50%d/00.jpg\": it exists");
}

#define REFUSED(word, part)                        \
    do {                                           \
        CHECK_INT(collect(word), REEL_ERR_CONFIG); \
        CHECK_HAS(reel_fail_text(), part);         \
        CHECK_INT(in.n, 0);                        \
    } while (0)

static void refused(void)
{
    begin("");
    CHECK_INT(inputs_given(&settings, 0), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "no input was given");
    CHECK_INT(inputs_given(&settings, 1), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "no output was given");
    snprintf(settings.output, sizeof settings.output, "%s", at("o.xyz"));
    REFUSED(at("v/b.mp4"), ".mp4 .mkv");
    snprintf(settings.output, sizeof settings.output, "%s", at("o.mp4"));
    REFUSED(at("nothing.mp4"), "No such file");
    snprintf(settings.output, sizeof settings.output, "%s", at("no/o.mp4"));
    REFUSED(at("v/b.mp4"), "there is no folder");
    snprintf(settings.output, sizeof settings.output, "%s", at("v/b.mp4"));
    REFUSED(at("v/b.mp4"), "it is the input");
    snprintf(settings.output, sizeof settings.output, "%s", at("v/sub/c.mkv"));
    REFUSED(at("v/b.mp4"), "-y");
    settings.overwrite = true;
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    settings.overwrite = false;
    REFUSED(at("v"), "this is a file");
    snprintf(settings.output, sizeof settings.output, "%s", at("v"));
    REFUSED(at("v"), "is the input");
    snprintf(settings.output, sizeof settings.output, "%s", at("out"));
    snprintf(settings.output_format, sizeof settings.output_format, ".mp4");
    touch("v/b.mov", "x");
    REFUSED(at("v"), "would both be written there");
    CHECK_HAS(reel_fail_text(), "their common parent folder");
    mkdir(at("empty"), 0755);
    REFUSED(at("empty"), "could not find a video");
}

static void live(void)
{
    begin("");
    settings.live = true;
    snprintf(settings.output, sizeof settings.output, "%s", at("live.mkv"));
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_INT(in.jobs[0].kind, REEL_OUTPUT_STREAM); // a file that is written as it comes
    inputs_fini(&in);
    CHECK_INT(collect("rtsp://camera/stream"), REEL_OK);
    CHECK_STR(in.jobs[0].input, "rtsp://camera/stream");
    inputs_fini(&in);
    snprintf(settings.output, sizeof settings.output, "rtmp://host/app/key");
    CHECK_INT(collect(at("v/b.mp4")), REEL_OK);
    CHECK_STR(in.jobs[0].output, "rtmp://host/app/key");
    CHECK_STR(in.jobs[0].parts_dir, "/run/x/job-0"); // no place beside an address
    inputs_fini(&in);
    REFUSED("gopher://x/y", "rtsp://");
    REFUSED(at("v"), "no video file");
    REFUSED(at("nothing.mp4"), "No such file");
    REFUSED("%06d.png", "No such file");
    const char *const two[] = {at("v/b.mp4"), "-"};
    CHECK_INT(inputs_collect(&settings, two, 2, at("run"), &in), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "takes one");
    snprintf(settings.output, sizeof settings.output, "%s", at("v"));
    REFUSED(at("v/b.mp4"), "one file or address");
    settings.split = SET_SPLIT_SPATIAL;
    REFUSED(at("v/b.mp4"), "--split");
    settings.split = SET_SPLIT_OFF;
    settings.live = false;
    snprintf(settings.output, sizeof settings.output, "%s", at("live.mkv"));
    REFUSED("rtsp://camera/stream", "--live");
    REFUSED("-", "--live");
    snprintf(settings.output, sizeof settings.output, "rtmp://host/app/key");
    REFUSED(at("v/b.mp4"), "--live");
}

static void clean(void)
{
    inputs_fini(&in);
    reel_remove_tree(root);
    CHECK(access(root, F_OK));
}

CHECK_MAIN({"hard_names", hard_names}, {"null_is_a_word", null_is_a_word}, {"percent_signs", percent_signs},
           {"link_as_output", link_as_output}, {"pipe_as_output", pipe_as_output},
           {"links_that_lead_back", links_that_lead_back}, {"folder", folder}, {"list", list}, {"single", single},
           {"refused", refused}, {"live", live}, {"clean", clean})
