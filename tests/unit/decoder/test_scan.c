// SPDX-License-Identifier: MIT
//
// The scan: what it says about good files (every clip of the shared test data
// gives the frames that its manifest lists), how bad ones are refused, and
// what ends in the copy part.
#include "common/pack.h"
#include "tests/unit/decoder/clip.h"

// ---- the shared clips -----------------------------------------------------

// Column number (from 1) of a table row, without blanks around it.
static bool column(const char *row, int number, char *buf, size_t bytes)
{
    const char *p = row;
    while (number-- > 0)
        if (!(p = strchr(p, '|')))
            return false;
        else
            p++;
    const char *end = strchr(p, '|');
    if (!end) return false;
    while (*p == ' ') p++;
    while (end > p && end[-1] == ' ') end--;
    snprintf(buf, bytes, "%.*s", (int)(end - p), p);
    return true;
}

static void check_clip(const char *path, const char *codec, const char *size, const char *frames, const char *rotation)
{
    struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    int expected = strcmp(frames, "None") ? atoi(frames) : 0;
    if (!expected) {
        CHECK_MSG(scan.err, "%s: was scanned, but holds no frame", path);
        CHECK_HAS(scan.text, path);
        return;
    }
    CHECK_MSG(!scan.err, "%s: %s", path, scan.text);
    const struct reel_media *m = &scan.scanned.media;
    CHECK_MSG(!strncmp(codec, m->codec, strlen(m->codec)), "%s: codec %s, not %s", path, m->codec, codec);
    char own[32];
    bool turned = m->rotation % 180;
    snprintf(own, sizeof own, "%ux%u", turned ? m->height : m->width, turned ? m->width : m->height);
    CHECK_MSG(!strcmp(own, size), "%s: size %s, not %s", path, own, size);
    CHECK_MSG((360 - m->rotation) % 180 == (360 + atoi(rotation)) % 180, "%s: rotation %d of %s", path, m->rotation,
              rotation);
    struct clip_frames linear = {0};
    struct demux_pool *pool = demux_pool_create(NULL);
    enum reel_err err = clip_segment(&scan, pool, NULL, INT64_MIN, INT64_MAX, &linear);
    demux_pool_destroy(&pool);
    CHECK_MSG(!err, "%s: %s", path, reel_fail_text());
    CHECK_MSG(linear.n == expected, "%s: %d frames, the manifest says %d", path, linear.n, expected);
    CHECK_MSG(linear.ledger.packets == m->n_packets, "%s: %lld packets of %lld", path, (long long)linear.ledger.packets,
              (long long)m->n_packets);
    if (!linear.ledger.errors)
        CHECK_MSG(linear.at[0].pts == m->first_pts && linear.at[linear.n - 1].pts == m->last_pts,
                  "%s: frames from %lld to %lld, the scan says %lld to %lld", path, (long long)linear.at[0].pts,
                  (long long)linear.at[linear.n - 1].pts, (long long)m->first_pts, (long long)m->last_pts);
    free(linear.at);
    free(scan.entries);
}

static void test_manifest(void)
{
    const char *dir = clip_testdata();
    if (!dir) SKIP("no test data (REELMILL_TESTDATA)");
    char path[1400], row[4096];
    snprintf(path, sizeof path, "%s/../MANIFEST.md", dir);
    FILE *manifest = fopen(path, "r");
    if (!manifest) SKIP("the test data has no manifest");
    int clips = 0, bad = 0;
    while (fgets(row, sizeof row, manifest)) {
        char name[256], codec[64], size[64], rotation[32], frames[32], last[64];
        if (!column(row, 16, last, sizeof last) || !column(row, 1, name, sizeof name) || !strchr(name, '.')) continue;
        column(row, 3, codec, sizeof codec);
        column(row, 4, size, sizeof size);
        column(row, 8, rotation, sizeof rotation);
        column(row, 11, frames, sizeof frames);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        // Long and large ones take a minute under the sanitizers.
        if (!getenv("CLIP_ALL") && (strstr(name, "10883") || strstr(name, "8k24"))) continue;
        check_clip(path, codec, size, frames, rotation);
        bad += check_now.failed;
        check_now.failed = false;
        clips++;
    }
    fclose(manifest);
    CHECK_MSG(!bad, "%d of %d clips differ", bad, clips);
    CHECK_MSG(clips > 40, "only %d rows understood", clips);
}

// ---- bad input ------------------------------------------------------------

static void refused(const char *input, const char *part)
{
    struct clip_scan scan = clip_scan(input, "null:", REEL_OUTPUT_NULL);
    CHECK_MSG(scan.err, "%s was taken", input);
    CHECK_HAS(scan.text, part);
    CHECK_HAS(scan.text, "could not");
}

static const char *write_file(const char *name, const char *text)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", clip_dir, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0) abort();
    fclose(f);
    return path;
}

static void test_bad_files(void)
{
    refused("/nonexistent/in.mp4", "No such file");
    refused("/tmp", "folder");
    refused("/dev/null", "regular");
    refused(write_file("empty.mp4", ""), "empty");
    refused(write_file("text.mp4", "this is no video at all\n"), "recognise it as a media file");
    refused("/nonexistent/%03d.png", "folder");
}

// A playlist dressed as video must open nothing.
static void test_playlists(void)
{
    static const char hls[] =
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    static const char concat[] = "ffconcat version 1.0\nfile /etc/passwd\n";
    refused(write_file("hls.mp4", hls), "could not read video"); // FFmpeg 7.1 does not even take it for a playlist
    refused(write_file("concat.mp4", concat), "is not accepted");
}

static void test_audio_only(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make("-f lavfi -i sine=d=1 -c:a aac", "audio.mp4", path, sizeof path)) SKIP("no aac");
    refused(path, "only audio");
}

static void test_max_pixels(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make("-f lavfi -i testsrc2=s=640x480 -frames:v 2 -c:v mjpeg", "big.avi", path, sizeof path))
        SKIP("no mjpeg");
    double before = clip_settings.max_pixels;
    clip_settings.max_pixels = 0.1;
    refused(path, "max_pixels");
    clip_settings.max_pixels = before;
}

// ---- facts ----------------------------------------------------------------

static void test_timeline(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    // Audio begins at 10 s, video 0.4 s later.
    if (!clip_make(
            "-f lavfi -i sine=d=2 -itsoffset 0.4 -f lavfi -i testsrc2=s=64x64:r=25:d=1 -map 1 -map 0 -c:v mpeg2video "
            "-c:a flac -output_ts_offset 10",
            "offset.mkv", path, sizeof path))
        SKIP("this ffmpeg cannot make the clip");
    char out[300];
    snprintf(out, sizeof out, "%s/out.mkv", clip_dir);
    struct clip_scan scan = clip_scan(path, out, REEL_OUTPUT_VIDEO);
    CHECK_MSG(!scan.err, "%s", scan.text);
    const struct reel_media *m = &scan.scanned.media;
    CHECK_INT(m->time_base.den, 1000);
    CHECK_INT(m->first_pts, 400);
    CHECK_INT(m->frame_rate.num / m->frame_rate.den, 25);
    CHECK_INT(scan.scanned.kept.audio, REEL_KEPT_ALL);
    CHECK_INT(scan.scanned.kept.timestamps, REEL_KEPT_ALL);
    free(scan.entries);
}

// MPEG-TS counts 33 bits: a recording may pass 0 in the middle.
static void test_wrap(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make("-f lavfi -i testsrc2=s=64x64:r=25:d=4 -c:v mpeg2video -g 12 -output_ts_offset 95441.7", "wrap.ts",
                   path, sizeof path))
        SKIP("this ffmpeg cannot make the clip");
    struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    CHECK_MSG(!scan.err, "%s", scan.text);
    const struct reel_media *m = &scan.scanned.media;
    CHECK_INT(m->last_pts - m->first_pts, 99 * 3600);
    CHECK_INT(m->flags & (REEL_MEDIA_NO_CUT | REEL_MEDIA_VFR), 0);
    free(scan.entries);
}

// Two recordings put together: the second goes on where the first ends, sound
// too, whichever way their clocks jump; a lane, which sees the video alone, and
// the copy, which sees all, agree.
static void test_splices(void)
{
    static const char *const joins[][3] = {
        {"one", "one", "twice.ts"}, {"later", "one", "back.ts"}, {"one", "later", "ahead.ts"}};
    char path[256], command[1024];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
#define SOURCES \
    "-f lavfi -i testsrc2=s=64x64:r=25:d=1 -f lavfi -i sine=d=1 -c:v mpeg2video -g 12 -bf 2 -c:a mp2 -f mpegts "
    if (!clip_make(SOURCES, "one", path, sizeof path) ||
        !clip_make(SOURCES "-output_ts_offset 30000", "later", path, sizeof path))
        SKIP("this ffmpeg cannot make the clip");
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "cd '%s' && cat %s %s >%s", clip_dir, joins[i][0], joins[i][1], joins[i][2]);
        snprintf(path, sizeof path, "%s/%s", clip_dir, joins[i][2]);
        CHECK_INT(system(command), 0);
        struct clip_scan scan = clip_scan(path, "out.mkv", REEL_OUTPUT_VIDEO);
        CHECK_MSG(!scan.err, "%s", scan.text);
        const struct reel_media *m = &scan.scanned.media;
        CHECK_INT(m->last_pts - m->first_pts, 49 * 3600);
        CHECK_INT(m->flags & (REEL_MEDIA_NO_CUT | REEL_MEDIA_VFR), REEL_MEDIA_NO_CUT);
        CHECK_INT(scan.scanned.kept.timestamps, REEL_KEPT_PART);
        CHECK_HAS(clip_said, "the clock restarts 1 times");
        struct demux_pool *pool = demux_pool_create(NULL);
        struct clip_frames frames = {0};
        CHECK_INT(clip_segment(&scan, pool, NULL, INT64_MIN, INT64_MAX, &frames), REEL_OK);
        CHECK_INT(frames.n, 50);
        for (int k = 1; k < frames.n; k++) CHECK_INT(frames.at[k].pts - frames.at[k - 1].pts, 3600);
        CHECK_INT(frames.ledger.moved, 0);
        free(frames.at);
        demux_pool_destroy(&pool);

        static struct reel_pack_record rec;
        struct reel_pack_reader *copy;
        char part[REEL_PATH_BYTES];
        CHECK_INT(reel_pack_open(reel_copy_part_path(&scan.job, part), &copy), REEL_OK);
        int64_t last = INT64_MIN;
        while (!reel_pack_read(copy, &rec)) {
            if (rec.type != REEL_PACK_PACKET) continue;
            int64_t step = last == INT64_MIN ? 0 : rec.u.packet.pts - last;
            CHECK_MSG(step >= 0 && step < 9000, "sound goes on %lld ticks later", (long long)step);
            last = rec.u.packet.pts;
        }
        reel_pack_close(&copy);
        CHECK(llabs(last - m->last_pts) < 9000);
        free(scan.entries);
    }
}

static void test_formats(void)
{
    static const struct {
        const char *make, *name;
        struct reel_pixel_format format;
        uint8_t full;
    } rows[] = {
        {"-pix_fmt rgb24", "rgb.png", {REEL_PIX_GBR, 8, 0, 0}, 1},
        {"-pix_fmt rgb48be", "rgb48.png", {REEL_PIX_GBR, 16, 0, 0}, 1},
        {"-pix_fmt pal8", "pal.png", {REEL_PIX_GBR, 8, 0, 0}, 1},
        {"-pix_fmt gray", "gray.png", {REEL_PIX_GRAY, 8, 0, 0}, 0},
        {"-pix_fmt gray16be", "gray16.png", {REEL_PIX_GRAY, 16, 0, 0}, 0},
        {"-pix_fmt yuvj422p", "full.jpg", {REEL_PIX_YUV, 8, 1, 0}, 1},
        {"-pix_fmt yuv444p10le -c:v ffv1", "p444.mkv", {REEL_PIX_YUV, 10, 0, 0}, 0},
        {"-pix_fmt yuv411p -c:v ffv1", "p411.mkv", {REEL_PIX_YUV, 8, 1, 0}, 0},
        {"-pix_fmt yuv440p -c:v ffv1", "p440.mkv", {REEL_PIX_YUV, 8, 0, 0}, 0},
        {"-pix_fmt uyvy422 -c:v rawvideo", "packed.nut", {REEL_PIX_YUV, 8, 1, 0}, 0},
        {"-pix_fmt nv12 -c:v rawvideo", "nv12.nut", {REEL_PIX_YUV, 8, 1, 1}, 0},
    };
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[256], args[256];
        snprintf(args, sizeof args, "-f lavfi -i testsrc2=s=67x45 -frames:v 1 %s", rows[i].make);
        if (!clip_make(args, rows[i].name, path, sizeof path)) CHECK_MSG(0, "could not make %s", rows[i].name);
        struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
        CHECK_MSG(!scan.err, "%s: %s", rows[i].name, scan.text);
        const struct reel_pixel_format f = scan.scanned.media.format;
        CHECK_MSG(!memcmp(&f, &rows[i].format, sizeof f), "%s: layout %u depth %u chroma %u %u", rows[i].name, f.layout,
                  f.depth, f.log2_chroma_w, f.log2_chroma_h);
        CHECK_MSG(!rows[i].full || scan.scanned.media.colour.full_range == 1, "%s: not full range", rows[i].name);
        struct clip_frames frames = {0};
        struct demux_pool *pool = demux_pool_create(NULL);
        CHECK_INT(clip_segment(&scan, pool, NULL, INT64_MIN, INT64_MAX, &frames), REEL_OK);
        CHECK_INT(frames.n, 1);
        demux_pool_destroy(&pool);
        free(frames.at);
        free(scan.entries);
    }
}

static void test_pre_filter(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make("-f lavfi -i testsrc2=s=192x108:r=24:d=3 -c:v libx264 -g 24 -preset veryfast", "filter.mp4", path,
                   sizeof path))
        SKIP("this ffmpeg cannot make the clip");
    snprintf(clip_settings.pre_filter, sizeof clip_settings.pre_filter, "scale=96:54,hflip");
    struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    CHECK_MSG(!scan.err, "%s", scan.text);
    CHECK_INT(scan.scanned.media.width, 96);
    CHECK_INT(scan.scanned.n_entries, 2);
    free(scan.entries);

    snprintf(clip_settings.pre_filter, sizeof clip_settings.pre_filter, "fps=12");
    scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    CHECK_MSG(!scan.err, "%s", scan.text);
    CHECK(scan.scanned.media.flags & REEL_MEDIA_NO_CUT);
    CHECK_INT(scan.scanned.media.time_base.den, 12);
    struct clip_frames frames = {0};
    struct demux_pool *pool = demux_pool_create(NULL);
    CHECK_INT(clip_segment(&scan, pool, NULL, INT64_MIN, INT64_MAX, &frames), REEL_OK);
    CHECK_INT(frames.n, 36);
    CHECK_INT(frames.ledger.filtered, 36);
    CHECK_INT(frames.at[35].pts, 35);
    demux_pool_destroy(&pool);
    free(frames.at);
    free(scan.entries);

    // More frames than there were, up to the end of the last one; also where the file has no timestamps.
    char raw[256];
    const char *const files[] = {path, raw};
    if (!clip_make("-f lavfi -i testsrc2=s=192x108:r=24:d=3 -c:v libx264 -preset veryfast", "filter.h264", raw,
                   sizeof raw))
        SKIP("this ffmpeg cannot make the clip");
    snprintf(clip_settings.pre_filter, sizeof clip_settings.pre_filter, "fps=48");
    for (int i = 0; i < 2; i++) {
        scan = clip_scan(files[i], "null:", REEL_OUTPUT_NULL);
        CHECK_MSG(!scan.err, "%s", scan.text);
        CHECK_INT(scan.scanned.media.time_base.den, 48);
        CHECK_INT(scan.scanned.media.frame_rate.num, 48);
        CHECK_INT(scan.scanned.media.last_duration, 1);
        frames = (struct clip_frames){0};
        pool = demux_pool_create(NULL);
        CHECK_INT(clip_segment(&scan, pool, NULL, INT64_MIN, INT64_MAX, &frames), REEL_OK);
        CHECK_INT(frames.n, 144);
        CHECK_INT(frames.at[143].pts, 143);
        demux_pool_destroy(&pool);
        free(frames.at);
        free(scan.entries);
    }

    snprintf(clip_settings.pre_filter, sizeof clip_settings.pre_filter, "nosuchfilter");
    refused(path, "nosuchfilter");
    clip_settings.pre_filter[0] = 0;
}

// ---- the copy part --------------------------------------------------------

struct part {
    int streams, packets, chapters;
    int media_type[16], codec[16], of_stream[16];
    char language[16][16], title[64], first_text[256];
};

static void read_part(struct part *part)
{
    char path[REEL_PATH_BYTES];
    struct reel_job job = {.parts_dir = clip_dir};
    struct reel_pack_reader *r;
    struct reel_pack_record *rec = malloc(sizeof *rec);
    *part = (struct part){0};
    CHECK_INT(reel_pack_open(reel_copy_part_path(&job, path), &r), REEL_OK);
    enum reel_err err;
    while (!(err = reel_pack_read(r, rec))) {
        if (rec->type == REEL_PACK_STREAM && part->streams < 16) {
            int i = part->streams++;
            part->media_type[i] = rec->u.stream.media_type;
            part->codec[i] = (int)rec->u.stream.codec_id;
            for (uint32_t k = 0; k < rec->u.stream.n_text; k++)
                if (!strcmp(rec->u.stream.text[k].key, "language"))
                    snprintf(part->language[i], 16, "%s", rec->u.stream.text[k].value);
        }
        if (rec->type == REEL_PACK_CHAPTER) part->chapters++;
        if (rec->type == REEL_PACK_PACKET) {
            part->packets++;
            part->of_stream[rec->u.packet.stream & 15]++;
            if (part->media_type[rec->u.packet.stream & 15] == AVMEDIA_TYPE_SUBTITLE && !part->first_text[0])
                snprintf(part->first_text, sizeof part->first_text, "%.*s", (int)rec->u.packet.bytes - 2,
                         rec->u.packet.data + 2);
        }
        if (rec->type == REEL_PACK_GLOBALS)
            for (uint32_t k = 0; k < rec->u.globals.n; k++)
                if (!strcmp(rec->u.globals.text[k].key, "title"))
                    snprintf(part->title, sizeof part->title, "%s", rec->u.globals.text[k].value);
    }
    CHECK_INT(err, REEL_EOF);
    reel_pack_close(&r);
    free(rec);
}

static bool make_rich(char *path, size_t bytes)
{
    write_file("subs.srt", "1\n00:00:00,500 --> 00:00:01,500\nhello there\n\n2\n00:00:01,600 --> 00:00:01,900\nbye\n");
    write_file("meta.txt",
               ";FFMETADATA1\ntitle=A title\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=one\n[CHAPTER]\n"
               "TIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=two\n");
    write_file("font.ttf", "not a font, but bytes");
    return clip_make("-f lavfi -i testsrc2=s=64x64:r=25:d=2 -f lavfi -i sine=d=2 -i subs.srt -f ffmetadata -i meta.txt "
                     "-map 0 -map 1 -map 1 -map 2 -map_metadata 3 -c:v mpeg4 -c:a:0 aac -c:a:1 pcm_s16le -c:s srt "
                     "-metadata:s:a:0 language=fin -attach font.ttf -metadata:s:t mimetype=application/x-truetype-font",
                     "rich.mkv", path, bytes);
}

static void test_copy_mkv(void)
{
    char path[256], out[300];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!make_rich(path, sizeof path)) SKIP("this ffmpeg cannot make the clip");
    snprintf(out, sizeof out, "%s/out.mkv", clip_dir);
    struct clip_scan scan = clip_scan(path, out, REEL_OUTPUT_VIDEO);
    CHECK_MSG(!scan.err, "%s", scan.text);
    CHECK_INT(scan.scanned.kept.audio, REEL_KEPT_ALL);
    CHECK_INT(scan.scanned.kept.subtitles, REEL_KEPT_ALL);
    CHECK_INT(scan.scanned.kept.chapters, REEL_KEPT_ALL);
    CHECK_INT(scan.scanned.kept.attachments, REEL_KEPT_ALL);
    CHECK_INT(scan.scanned.kept.metadata, REEL_KEPT_ALL);
    CHECK_STR(clip_said, "");
    struct part part;
    read_part(&part);
    CHECK_INT(part.streams, 4);
    CHECK_INT(part.chapters, 2);
    CHECK_STR(part.title, "A title");
    CHECK_STR(part.language[0], "fin");
    CHECK_INT(part.codec[2], AV_CODEC_ID_SUBRIP);
    CHECK_INT(part.of_stream[2], 2);
    CHECK_INT(part.media_type[3], AVMEDIA_TYPE_ATTACHMENT);
    CHECK(part.of_stream[0] > 80);
    free(scan.entries);
}

static void test_copy_mp4(void)
{
    char path[256], out[300];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!make_rich(path, sizeof path)) SKIP("this ffmpeg cannot make the clip");
    snprintf(out, sizeof out, "%s/out.mp4", clip_dir);
    struct clip_scan scan = clip_scan(path, out, REEL_OUTPUT_VIDEO);
    CHECK_MSG(!scan.err, "%s", scan.text);
    CHECK_INT(scan.scanned.kept.subtitles, REEL_KEPT_ALL);
    CHECK_INT(scan.scanned.kept.attachments, REEL_KEPT_LOST);
    CHECK_HAS(clip_said, "ttf");
    struct part part;
    read_part(&part);
    int text = -1;
    for (int i = 0; i < part.streams; i++)
        if (part.codec[i] == AV_CODEC_ID_MOV_TEXT) text = i;
    CHECK(text >= 0);
    CHECK_INT(part.of_stream[text], 2);
    CHECK_STR(part.first_text, "hello there");
    // PCM has a place in mp4 only since FFmpeg 6.1.
    bool pcm =
        avformat_query_codec(av_guess_format("mp4", NULL, NULL), AV_CODEC_ID_PCM_S16LE, FF_COMPLIANCE_NORMAL) == 1;
    CHECK_INT(scan.scanned.kept.audio, pcm ? REEL_KEPT_ALL : REEL_KEPT_PART);
    if (!pcm) CHECK_HAS(clip_said, "pcm_s16le");
    free(scan.entries);
}

static void test_copy_unasked(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!make_rich(path, sizeof path)) SKIP("this ffmpeg cannot make the clip");
    struct clip_scan scan = clip_scan(path, "out.jsonl", REEL_OUTPUT_JSONL);
    CHECK_MSG(!scan.err, "%s", scan.text);
    CHECK_INT(scan.scanned.kept.audio, REEL_KEPT_UNASKED);
    CHECK_INT(scan.scanned.copy_bytes, 0);
    CHECK_STR(clip_said, "");
    free(scan.entries);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"bad files", test_bad_files},
        {"playlists", test_playlists},
        {"audio only", test_audio_only},
        {"max_pixels", test_max_pixels},
        {"timeline", test_timeline},
        {"33 bit wrap", test_wrap},
        {"splices", test_splices},
        {"pixel formats", test_formats},
        {"pre_filter", test_pre_filter},
        {"copy into mkv", test_copy_mkv},
        {"copy into mp4", test_copy_mp4},
        {"copy unasked", test_copy_unasked},
        {"manifest of the test data", test_manifest},
    };
    clip_begin();
    int rc = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    clip_end();
    return rc;
}
