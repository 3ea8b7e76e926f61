// SPDX-License-Identifier: MIT
//
// Text as it stands in JSON: escapes, and bytes that are no UTF-8.
#include "common/json.h"

#include "tests/check.h"

static void strings(void)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"a\"b\\c\nd\te\x7f", "a\\\"b\\\\c\\nd\\u0009e\\u007f"},
        {"\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x8e\x9e", "\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x8e\x9e"},
        {"latin\xe9.mp4", "latin\\ufffd.mp4"},
        {"cut\xe6\x97", "cut\\ufffd\\ufffd"},
        {"\xc0\xaf", "\\ufffd\\ufffd"},                       // overlong
        {"\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd"},            // overlong
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},            // half of a surrogate pair
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, // above U+10FFFF
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[128], next[REEL_JSON_NEXT];
        size_t at = 0;
        const char *text = rows[i].text;
        for (size_t n; (n = reel_json_next(&text, next)); at += n) memcpy(json + at, next, n);
        json[at] = 0;
        CHECK_STR(json, rows[i].json);
    }
}

CHECK_MAIN({"json: strings", strings})
