// SPDX-License-Identifier: MIT
//
// Journals: what is written is read back; a file cut at any byte is a shorter
// journal, a flipped bit before the last line is an error; what differs is named.
#include "coordinator/journal.h"

#include <unistd.h>

#include "common/hash.h"
#include "tests/check.h"

static char path[64];

static struct journal_header header_of(const char *config)
{
    return (struct journal_header){.input = (char *)"aa11",
                                   .model = (char *)"none",
                                   .config = (char *)config,
                                   .build = (char *)"reelmill 1\ndecoder: libavcodec 59 100%",
                                   .device = (char *)"cpu avx2",
                                   .segments = 3,
                                   .tile_pixels = 65536};
}

static void write_journal(void)
{
    snprintf(path, sizeof path, "/tmp/reelmill-test-journal-%d", (int)getpid());
    unlink(path);
    struct journal *j = NULL;
    struct journal_header h = header_of("segment_seconds = 10.0;\ntask = \"auto\";\n");
    struct journal_segment s = {.segment = 1,
                                .frames = 250,
                                .bytes = 12345678901,
                                .sha256 = {1, 2, 255},
                                .ledger = {.packets = 251, .hidden = 1, .decoded = 250, .encoded = 250}};
    CHECK_INT(journal_open(path, 0, &j), REEL_OK);
    CHECK_INT(journal_put_header(j, &h), REEL_OK);
    CHECK_INT(journal_put_segment(j, &s), REEL_OK);
    CHECK_INT(journal_put_quarantine(j, 1, 77), REEL_OK);
    s.segment = 0;
    CHECK_INT(journal_put_segment(j, &s), REEL_OK);
    journal_close(&j);
}

static size_t load(char *buf, size_t bytes)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(buf, 1, bytes, f) : 0;
    if (f) fclose(f);
    return n;
}

static void store(const char *buf, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    if (f) fwrite(buf, 1, bytes, f), fclose(f);
}

static void round_trip(void)
{
    write_journal();
    struct journal_content c;
    CHECK_INT(journal_read(path, &c), REEL_OK);
    CHECK(c.has_header && !c.done);
    CHECK_STR(c.header.config, "segment_seconds = 10.0;\ntask = \"auto\";\n");
    CHECK_STR(c.header.build, "reelmill 1\ndecoder: libavcodec 59 100%");
    CHECK_INT(c.n_segments, 2);
    CHECK_INT(c.segments[0].segment, 1);
    CHECK_INT(c.segments[0].bytes, 12345678901);
    CHECK_INT(c.segments[0].sha256[2], 255);
    CHECK_INT(c.segments[0].ledger.hidden, 1);
    CHECK_INT(c.segments[0].ledger.encoded, 250);
    CHECK_INT(c.n_quarantined, 1);
    CHECK_INT(c.quarantined[0].n, 77);
    journal_content_fini(&c);
    unlink(path);
    CHECK_INT(journal_read(path, &c), REEL_OK); // a missing one is empty
    CHECK(!c.has_header);
}

static void torn_tail_is_ignored(void)
{
    write_journal();
    static char whole[8192];
    size_t n = load(whole, sizeof whole);
    CHECK(n > 300);
    for (size_t cut = 0; cut < n; cut++) {
        store(whole, cut);
        struct journal_content c;
        CHECK_MSG(journal_read(path, &c) == REEL_OK, "cut at %zu: %s", cut, reel_fail_text());
        CHECK(c.whole_bytes <= cut);
        CHECK_MSG(c.n_segments <= 1, "cut at %zu: %u segments", cut, c.n_segments);
        // What follows is appended behind the last whole line.
        if (c.has_header) {
            struct journal *j = NULL;
            CHECK_INT(journal_open(path, c.whole_bytes, &j), REEL_OK);
            CHECK_INT(journal_put_done(j, 9, 258), REEL_OK);
            journal_close(&j);
            journal_content_fini(&c);
            CHECK_INT(journal_read(path, &c), REEL_OK);
            CHECK(c.done && c.done_bytes == 9 && c.done_kept == 258);
        }
        journal_content_fini(&c);
    }
    unlink(path);
}

static void torn_middle_is_an_error(void)
{
    write_journal();
    static char whole[8192];
    size_t n = load(whole, sizeof whole), last = n - 1;
    while (last && whole[last - 1] != '\n') last--;
    // Up to the newline before the last line: that one gone, both are one torn tail, done again.
    for (size_t at = 0; at + 1 < last; at++) {
        whole[at] ^= 4;
        store(whole, n);
        struct journal_content c;
        CHECK_MSG(journal_read(path, &c) == REEL_ERR_INPUT, "a flip at %zu went unseen", at);
        whole[at] ^= 4;
    }
    CHECK_HAS(reel_fail_text(), "is damaged");
    unlink(path);
}

static void another_version_is_named(void)
{
    write_journal();
    static char whole[8192];
    size_t n = load(whole, sizeof whole), line = strcspn(whole, "\n");
    char *format = strstr(whole, "format=");
    CHECK(format != NULL && format < whole + line);
    format[strlen("format=")] = '1';
    char crc[9];
    snprintf(crc, sizeof crc, "%08x", reel_crc32c(0, whole + 9, line - 9));
    memcpy(whole, crc, 8);
    store(whole, n);
    struct journal_content c;
    CHECK_INT(journal_read(path, &c), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "another version of reelmill wrote it (format 1");
    unlink(path);
}

static void other_runs_are_refused(void)
{
    struct journal_header a = header_of("x = 1;\ny = 2;"), b = header_of("x = 1;\ny = 3;");
    CHECK_INT(journal_match(&a, &a), REEL_OK);
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "configuration (then \"y = 2;\", now \"y = 3;\")");
    b = a;
    b.device = (char *)"cpu avx512";
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "kind of device");
    b = a;
    b.input = (char *)"ab";
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "another input");
    b = a;
    b.build = (char *)"reelmill 0.0.9";
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "another build");
    b = a;
    b.model = (char *)"cd";
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "another model");
    b = a;
    b.segments = 4;
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    b = a;
    b.tile_pixels = 0;
    CHECK_INT(journal_match(&a, &b), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "tiles of at most 65536 pixels");
}

CHECK_MAIN({"round_trip", round_trip}, {"torn_tail_is_ignored", torn_tail_is_ignored},
           {"torn_middle_is_an_error", torn_middle_is_an_error}, {"another_version_is_named", another_version_is_named},
           {"other_runs_are_refused", other_runs_are_refused})
