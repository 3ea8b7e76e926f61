// SPDX-License-Identifier: MIT
//
// The part of HTTP/1.1 (RFC 9112) that serving three read-only documents needs:
// which one is requested, and the head of the response. Pure: bytes in, bytes out;
// called by metrics/serve.c. Only the first line of a request is interpreted, and
// each connection is closed after its response.
#ifndef COORDINATOR_METRICS_HTTP_H
#define COORDINATOR_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define METRICS_REQUEST_BYTES 8192 // of a request's head at most

enum metrics_document {
    METRICS_PAGE,   // "/": HTML
    METRICS_TEXT,   // "/metrics": Prometheus
    METRICS_STATUS, // "/status.json": what the page shows
    METRICS_DOCUMENTS,
};

struct metrics_request {
    int status; // 200, 400, 404, 405, 431, 505
    enum metrics_document document;
    bool head_only;
};

// False: the request is not whole yet, and may still grow (n is below
// METRICS_REQUEST_BYTES). text need not end with NUL and may hold any bytes.
bool metrics_parse_request(const char *text, size_t n, struct metrics_request *out);

// The head of the answer, its length returned; cut to what fits in out (512 bytes
// are enough).
size_t metrics_answer_head(const struct metrics_request *request, size_t body_bytes, time_t now, char *out,
                           size_t bytes);
// The body of an answer that is not 200.
const char *metrics_status_text(int status);

// --metrics: "ADDR:PORT", "[IPV6]:PORT", ":PORT" and "*:PORT" (all addresses), or
// "PORT" (this machine alone). *out_all: all addresses; host is "" then. Port 0:
// any free port. False: none of these.
#define METRICS_HOST_BYTES 256
bool metrics_parse_address(const char *text, char host[static METRICS_HOST_BYTES], unsigned *out_port, bool *out_all);

#endif
