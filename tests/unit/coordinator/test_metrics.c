// SPDX-License-Identifier: MIT
//
// What clients may ask of --metrics, in what words; what it answers; and that
// nothing they or a torn board say leads anywhere else.
#include "tests/check.h"

#include "coordinator/metrics/http.h"
#include "coordinator/metrics/text.h"

// ---- requests -------------------------------------------------------------------

static void requests(void)
{
    static const struct {
        const char *text;
        int status;
        enum metrics_document document;
        bool head_only;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, METRICS_PAGE, false},
        {"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n", 200, METRICS_TEXT, false},
        {"GET /status.json HTTP/1.0\n\n", 200, METRICS_STATUS, false},
        {"HEAD /metrics HTTP/1.1\r\n\r\n", 200, METRICS_TEXT, true},
        {"\r\n\r\nGET /metrics?name[]=x HTTP/1.1\r\n\r\n", 200, METRICS_TEXT, false},
        {"GET http://a.b:9400/metrics HTTP/1.1\r\n\r\n", 200, METRICS_TEXT, false},
        {"GET http://a.b HTTP/1.1\r\n\r\n", 200, METRICS_PAGE, false},
        {"GET /metrics HTTP/1.1\r\n\r\nand what comes behind it", 200, METRICS_TEXT, false},
        {"GET /metric HTTP/1.1\r\n\r\n", 404, 0, false},
        {"GET /metrics/ HTTP/1.1\r\n\r\n", 404, 0, false},
        {"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404, 0, false},
        {"HEAD /x HTTP/1.1\r\n\r\n", 404, 0, true},
        {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405, 0, false},
        {"PUT / HTTP/1.1\r\n\r\n", 405, 0, false},
        {"get / HTTP/1.1\r\n\r\n", 405, 0, false},
        {"GET / HTTP/2.0\r\n\r\n", 505, 0, false},
        {"GET / HTTP/11\r\n\r\n", 400, 0, false},
        {"GET /\r\n\r\n", 400, 0, false},
        {"GET  / HTTP/1.1\r\n\r\n", 400, 0, false},
        {"GET / HTTP/1.1 \r\n\r\n", 200, METRICS_PAGE, false}, // a space behind is forgiven
        {"GET / HTTP/1.1 x\r\n\r\n", 400, 0, false},
        {"GET * HTTP/1.1\r\n\r\n", 400, 0, false},
        {"G\x01T / HTTP/1.1\r\n\r\n", 400, 0, false},
        {"GET /\x7f HTTP/1.1\r\n\r\n", 400, 0, false},
        {" \r\n\r\n", 400, 0, false},
        {"\x16\x03\x01\x02\r\n\r\n", 400, 0, false}, // TLS
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct metrics_request r;
        CHECK_MSG(metrics_parse_request(rows[i].text, strlen(rows[i].text), &r), "row %zu is not whole", i);
        CHECK_MSG(r.status == rows[i].status, "row %zu: %d, not %d", i, r.status, rows[i].status);
        CHECK_MSG(r.head_only == rows[i].head_only, "row %zu: HEAD", i);
        CHECK_MSG(r.status != 200 || r.document == rows[i].document, "row %zu: document %d", i, (int)r.document);
    }
}

// Byte by byte: whole with the last byte of the empty line and not before.
static void in_pieces(void)
{
    static const char text[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    struct metrics_request r;
    for (size_t n = 0; n + 1 < sizeof text - 1; n++) CHECK_MSG(!metrics_parse_request(text, n, &r), "%zu bytes", n);
    CHECK(metrics_parse_request(text, sizeof text - 1, &r));
    CHECK_INT(r.status, 200);
}

static void too_large(void)
{
    static char text[METRICS_REQUEST_BYTES];
    static const char *const begins[] = {"GET / HTTP/1.1\r\nX: ", "", "\n\n\n\n"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct metrics_request r;
        memset(text, i == 2 ? '\n' : 'a', sizeof text);
        memcpy(text, begins[i], strlen(begins[i]));
        CHECK(metrics_parse_request(text, sizeof text, &r) || i == 2);
        if (i < 2) CHECK_INT(r.status, 431);
    }
}

// Random bytes and mutated requests, in a block of exactly their size.
static void random_bytes(void)
{
    static const char seedling[] = "GET http://a/metrics?x HTTP/1.1\r\nHost: a\r\n\r\n";
    uint64_t state = 20240607;
    int seen[600] = {0};
    for (int i = 0; i < 200000; i++) {
        size_t n = check_rand(&state) % 64;
        bool mutate = i & 1;
        if (mutate) n = sizeof seedling - 1 - check_rand(&state) % 4;
        char *text = malloc(n ? n : 1);
        for (size_t k = 0; k < n; k++) text[k] = mutate ? seedling[k] : (char)check_rand(&state);
        for (int k = 0; mutate && k < 3; k++)
            if (n) text[check_rand(&state) % n] = "\r\n /?:\0HTTPG1."[check_rand(&state) % 13];
        struct metrics_request r;
        bool whole = metrics_parse_request(text, n, &r);
        free(text);
        CHECK(!whole || r.status == 200 || r.status == 400 || r.status == 404 || r.status == 405 || r.status == 505);
        CHECK((unsigned)r.document < METRICS_DOCUMENTS);
        seen[whole ? r.status : 0]++;
        char head[512];
        size_t bytes = metrics_answer_head(&r, 5, 0, head, sizeof head);
        CHECK(bytes == strlen(head) && bytes > 4 && !strcmp(head + bytes - 4, "\r\n\r\n"));
    }
    CHECK(seen[0] && seen[200] && seen[400] && seen[404] && seen[405] && seen[505]);
}

static void heads(void)
{
    char head[512];
    struct metrics_request r = {.status = 200, .document = METRICS_TEXT};
    metrics_answer_head(&r, 1234, 1700000000, head, sizeof head);
    CHECK_HAS(head, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    CHECK_HAS(head, "Content-Length: 1234\r\n");
    CHECK_HAS(head, "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n");
    r.status = 405;
    metrics_answer_head(&r, 0, 0, head, sizeof head);
    CHECK_HAS(head, "HTTP/1.1 405 Method Not Allowed\r\n");
    CHECK_HAS(head, "Allow: GET, HEAD\r\n");
}

static void addresses(void)
{
    static const struct {
        const char *text, *host; // NULL: refused
        unsigned port;
        bool all;
    } rows[] = {
        {"127.0.0.1:9400", "127.0.0.1", 9400, false},
        {"9400", "127.0.0.1", 9400, false},
        {"0", "127.0.0.1", 0, false},
        {":9400", "", 9400, true},
        {"*:9400", "", 9400, true},
        {"[::1]:9400", "::1", 9400, false},
        {"[::]:80", "::", 80, false},
        {"localhost:65535", "localhost", 65535, false},
        {"::1:9400", NULL, 0, false},
        {"[::1]", NULL, 0, false},
        {"[]:1", NULL, 0, false},
        {"[::1:9400", NULL, 0, false},
        {"a:65536", NULL, 0, false},
        {"a:-1", NULL, 0, false},
        {"a: 1", NULL, 0, false},
        {"a:", NULL, 0, false},
        {":", NULL, 0, false},
        {"a b:1", NULL, 0, false},
        {"host", NULL, 0, false},
        {"99999999999", NULL, 0, false},
        {"http://a:1", NULL, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[METRICS_HOST_BYTES];
        unsigned port = 0;
        bool all, good = metrics_parse_address(rows[i].text, host, &port, &all);
        CHECK_MSG(good == (rows[i].host != NULL), "\"%s\"", rows[i].text);
        if (!good) continue;
        CHECK_STR(host, rows[i].host);
        CHECK_INT(port, rows[i].port);
        CHECK_INT(all, rows[i].all);
    }
}

// ---- texts ----------------------------------------------------------------------

static struct metrics_data *board(void)
{
    static struct metrics_data d;
    memset(&d, 0, sizeof d);
    d.frames = 50, d.frames_total = 100, d.fps = 12.5, d.eta_s = 4, d.jobs[METRICS_RUNNING] = 2;
    snprintf(d.bottleneck_stage, sizeof d.bottleneck_stage, "worker");
    snprintf(d.bottleneck, sizeof d.bottleneck, "bound by the model");
    d.n_processes = 3;
    for (uint32_t i = 0; i < 3; i++)
        d.process[i] = (struct metrics_process){.stage = REEL_DECODER + i, .up = 1, .frames = 10 + i, .busy_s = 1.5};
    snprintf(d.process[1].device, sizeof d.process[1].device, "a \"GPU\" \\ #0\n\x01\xff");
    d.n_jobs = 1;
    d.job[0] = (struct metrics_job){.state = METRICS_RUNNING, .frames = 50, .total = 100};
    snprintf(d.job[0].name, sizeof d.job[0].name, "a \"b\"</script>.mp4");
    return &d;
}

// Each line is a comment or NAME[{labels}] NUMBER, each metric after its TYPE.
static bool well_formed(char *text, char *why, size_t bytes)
{
    char typed[128] = "", *state = NULL;
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        snprintf(why, bytes, "%s", line);
        if (!strncmp(line, "# HELP reelmill_", 16)) continue;
        if (sscanf(line, "# TYPE %127s", typed) == 1) {
            const char *type = strrchr(line, ' ') + 1;
            bool total = strlen(typed) > 6 && !strcmp(typed + strlen(typed) - 6, "_total");
            if (strcmp(type, total ? "counter" : "gauge")) return false;
            continue;
        }
        size_t name = strcspn(line, "{ ");
        if (!typed[0] || strlen(typed) != name || strncmp(line, typed, name)) return false;
        char *value = strrchr(line, ' ');
        char *end;
        strtod(value + 1, &end);
        if (*end || (line[name] == '{' && value[-1] != '}')) return false;
    }
    return true;
}

static void prometheus(void)
{
    size_t bytes;
    char *text = metrics_prometheus(board(), &bytes), why[256];
    CHECK(text && strlen(text) == bytes && text[bytes - 1] == '\n');
    CHECK_HAS(text, "\nreelmill_frames_total{stage=\"worker\"} 11\n");
    CHECK_HAS(text, "\nreelmill_jobs{state=\"running\"} 2\n");
    CHECK_HAS(text, "\nreelmill_bottleneck{stage=\"worker\"} 1\n");
    CHECK_HAS(text, "\nreelmill_eta_seconds 4.0\n");
    CHECK_HAS(text, "\nreelmill_process_busy_seconds_total{stage=\"aggregator\",index=\"0\"} 1.5\n");
    CHECK_HAS(text, "device=\"a \\\"GPU\\\" \\\\ #0\\n??\"} 1\n");
    CHECK_MSG(well_formed(text, why, sizeof why), "%s", why);
    free(text);
    struct metrics_data *d = board();
    d->eta_s = -1, d->frames_total = 0;
    text = metrics_prometheus(d, &bytes);
    CHECK_HAS(text, "\nreelmill_eta_seconds NaN\n");
    CHECK_HAS(text, "\nreelmill_frames_expected NaN\n");
    free(text);
}

static void status(void)
{
    size_t bytes;
    char *text = metrics_status(board(), &bytes);
    CHECK(text && strlen(text) == bytes);
    CHECK_HAS(text, "\"frames\":50,\"total\":100,\"fps\":12.50,\"eta_s\":4.0");
    CHECK_HAS(text, "{\"name\":\"a \\\"b\\\"</script>.mp4\",\"state\":\"running\"");
    CHECK_HAS(text, "\"bottleneck\":{\"stage\":\"worker\",\"text\":\"bound by the model\"}");
    free(text);
}

// A board of any content: no crash, no reading beyond it (ASan).
static void torn_board(void)
{
    uint64_t state = 7;
    struct metrics_data *d = malloc(sizeof *d);
    for (int i = 0; i < 20; i++) {
        for (size_t k = 0; k < sizeof *d; k++) ((char *)d)[k] = (char)(check_rand(&state) | 1);
        size_t bytes;
        char *text = metrics_prometheus(d, &bytes), why[256];
        CHECK(text);
        CHECK_MSG(well_formed(text, why, sizeof why), "%s", why);
        free(text);
        text = metrics_status(d, &bytes);
        CHECK(text);
        free(text);
    }
    free(d);
}

CHECK_MAIN({"metrics: requests", requests}, {"metrics: a request in pieces", in_pieces},
           {"metrics: too large requests", too_large}, {"metrics: random bytes", random_bytes},
           {"metrics: heads of answers", heads}, {"metrics: addresses", addresses},
           {"metrics: Prometheus' text", prometheus}, {"metrics: the page's JSON", status},
           {"metrics: a torn board", torn_board})
