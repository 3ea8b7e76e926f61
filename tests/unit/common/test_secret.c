// SPDX-License-Identifier: MIT
//
// Secrets of addresses in what is shown.
#include "tests/check.h"

#include "common/err.h"
#include "common/secret.h"

static const struct row {
    const char *text, *shown;
} rows[] = {
    {"rtsp://ann:pa:ss@cam/1", "rtsp://ann:***@cam/1"},
    {"rtsp://ann:x@cam", "rtsp://ann:*@cam"},
    {"rtsp://ann:p@ss@cam/a@b", "rtsp://ann:***@cam/a@b"},
    {"rtsp://ann@cam:554/1", "rtsp://ann@cam:554/1"},
    {"http://cam:8080/@x:y", "http://cam:8080/@x:y"},
    {"rtmp://live.example/app/live_1234?x=1", "rtmp://live.example/app/***"},
    {"RTMPS://a:bcde@h:443/app/k", "RTMPS://a:***@h:443/app/*"},
    {"rtmp://h/app", "rtmp://h/app"},
    {"srt://h:9000?mode=caller&passphrase=0123456789&latency=20", "srt://h:9000?mode=caller&passphrase=***&latency=20"},
    {"srt://h:9000?streamid=#!::u=me,p=you", "srt://h:9000?streamid=***"},
    {"https://h/a.m3u8?Access_Token=abcd&q=1&keyless&sig=", "https://h/a.m3u8?Access_Token=***&q=1&keyless&sig="},
    {"could not open \"rtsp://u:pass1@h/1\": no answer; rtmp://h/a/key22 is next",
     "could not open \"rtsp://u:***@h/1\": no answer; rtmp://h/a/*** is next"},
    {"frames/%06d.png", "frames/%06d.png"},
    {"://", "://"},
    {"rtmp:///", "rtmp:///"},
    {"", ""},
};

static void hidden(void)
{
    char out[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_MSG(!strcmp(reel_shown(rows[i].text, out, sizeof out), rows[i].shown), "\"%s\" is shown as \"%s\"",
                  rows[i].text, out);
}

static void in_failures(void)
{
    reel_fail(REEL_ERR_IO, "could not open \"%s\"", "rtsp://u:password@h/");
    CHECK(!strcmp(reel_fail_text(), "could not open \"rtsp://u:***@h/\""));
    reel_fail_prefix(REEL_ERR_IO, "http://h/?token=%s: ", "12345");
    CHECK(!strcmp(reel_fail_text(), "http://h/?token=***: could not open \"rtsp://u:***@h/\""));
}

CHECK_MAIN({"secret: hidden", hidden}, {"secret: in failures", in_failures})
