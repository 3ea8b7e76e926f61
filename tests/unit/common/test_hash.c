// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include "common/hash.h"
#include "common/job.h"

static const char *sha(const char *text, size_t n, size_t chunk)
{
    static char hex[65];
    uint8_t hash[32];
    struct reel_sha256 s;
    reel_sha256_init(&s);
    for (size_t at = 0; at < n; at += chunk) reel_sha256_update(&s, text + at, n - at < chunk ? n - at : chunk);
    reel_sha256_final(&s, hash);
    return reel_hex(hash, sizeof hash, hex);
}

// FIPS 180-4 examples, in one piece and in odd pieces.
static void sha256(void)
{
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    CHECK_STR(sha("", 0, 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_STR(sha("abc", 3, 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for (size_t chunk = 1; chunk < 57; chunk += 5)
        CHECK_STR(sha(two, 56, chunk), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char million[1000000];
    memset(million, 'a', sizeof million);
    CHECK_STR(sha(million, sizeof million, 977), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// RFC 3720, B.4.
static void crc32c(void)
{
    uint8_t data[32] = {0};
    CHECK_INT(reel_crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, 32);
    CHECK_INT(reel_crc32c(0, data, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) data[i] = (uint8_t)i;
    CHECK_INT(reel_crc32c(0, data, 32), 0x46dd794e);
    CHECK_INT(reel_crc32c(reel_crc32c(0, data, 13), data + 13, 19), 0x46dd794e);
}

static void output_kinds(void)
{
    enum reel_output_kind kind;
    const char *why;
    CHECK(reel_output_kind_of("a/b.MKV", &kind, &why) && kind == REEL_OUTPUT_VIDEO);
    CHECK(reel_output_kind_of("null:", &kind, &why) && kind == REEL_OUTPUT_NULL);
    CHECK(reel_output_kind_of("x.jsonl", &kind, &why) && kind == REEL_OUTPUT_JSONL);
    CHECK(reel_output_kind_of("f/%06d.png", &kind, &why) && kind == REEL_OUTPUT_IMAGES);
    CHECK(reel_output_kind_of("one.png", &kind, &why) && kind == REEL_OUTPUT_IMAGES); // of a single picture
    CHECK(reel_output_kind_of("a%b/one.png", &kind, &why) && kind == REEL_OUTPUT_IMAGES);
    CHECK(!reel_output_kind_of("f/%s.png", &kind, &why));
    CHECK_HAS(why, "frames/%06d.png");
    CHECK(!reel_output_kind_of("one.flo", &kind, &why));
    CHECK_HAS(why, "pattern");
    CHECK(!reel_output_kind_of("f/%d%d.png", &kind, &why));
    CHECK(!reel_output_kind_of("noext", &kind, &why));
    CHECK(!reel_output_kind_of("a.mkv/x", &kind, &why));
    CHECK(reel_output_kind_of("rtmp://host/app/key", &kind, &why) && kind == REEL_OUTPUT_STREAM);
    CHECK(reel_output_kind_of("SRT://host:9000?mode=caller", &kind, &why) && kind == REEL_OUTPUT_STREAM);
    CHECK(reel_output_kind_of("http://host/a.mp4", &kind, &why) && kind == REEL_OUTPUT_STREAM);
    CHECK(!reel_output_kind_of("gopher://host/a.mp4", &kind, &why));
    CHECK_HAS(why, "rtmp://");
    CHECK(!reel_output_kind_of("file:///a/b", &kind, &why));
    CHECK(reel_is_url("rtsp://x") && !reel_is_url("/a/b://c") && !reel_is_url("://x") && !reel_is_url("null:"));
}

static void job_table(void)
{
    struct reel_job in[2] = {{0, REEL_OUTPUT_VIDEO, "a.mp4", "/o/a.mp4", "/o/.a.mp4.reelmill"},
                             {1, REEL_OUTPUT_NULL, "b", "null:", "/tmp/x"}};
    int fd;
    struct reel_jobs *jobs;
    struct reel_job job;
    CHECK_INT(reel_jobs_publish(in, 2, &fd), REEL_OK);
    CHECK_INT(reel_jobs_attach(fd, &jobs), REEL_OK);
    CHECK_INT(reel_jobs_count(jobs), 2);
    CHECK_INT(reel_jobs_get(jobs, 1, &job), REEL_OK);
    CHECK_STR(job.output, "null:");
    CHECK_INT(reel_jobs_get(jobs, 0, &job), REEL_OK);
    CHECK_STR(job.parts_dir, "/o/.a.mp4.reelmill");
    char buf[REEL_PATH_BYTES];
    CHECK_STR(reel_part_path(&job, 12, buf), "/o/.a.mp4.reelmill/segment-000012.part");
    CHECK_STR(reel_live_copy_path(&job, 3, buf), "/o/.a.mp4.reelmill/copy.part.3");
    CHECK_STR(reel_live_state_path(&job, buf), "/o/.a.mp4.reelmill/live");
    CHECK_STR(reel_live_file_path(&job, 1, buf), "/o/a.mp4");
    CHECK_STR(reel_live_file_path(&job, 2, buf), "/o/a.2.mp4");
    CHECK_INT(reel_jobs_get(jobs, 2, &job), REEL_ERR_PROTO);
    reel_jobs_detach(&jobs);
}

CHECK_MAIN({"sha-256", sha256}, {"crc-32c", crc32c}, {"output kinds", output_kinds}, {"job table", job_table})
