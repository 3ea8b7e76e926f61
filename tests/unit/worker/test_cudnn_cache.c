// SPDX-License-Identifier: MIT
//
// The plan cache: what it gives back, what it takes for absent, and several
// processes that store at once.
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"
#include "worker/backend/cudnn/plan/cache.h"

static char dir[CHECK_FOLDER_BYTES];

static int count_files(void)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void remove_dir(void)
{
    DIR *d = opendir(dir);
    char path[600];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static bool loads(const char *key, const char *want)
{
    char *body = NULL;
    size_t bytes = 0;
    if (plan_cache_load(dir, key, &body, &bytes)) return false;
    bool same = bytes == strlen(want) && !memcmp(body, want, bytes + 1);
    free(body);
    return same;
}

static void test_default_dir(void)
{
    char buf[256];
    setenv("REELMILL_CACHE", "/a", 1);
    setenv("XDG_CACHE_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    CHECK_STR(plan_cache_default_dir(buf, sizeof buf), "/a/plans");
    unsetenv("REELMILL_CACHE");
    CHECK_STR(plan_cache_default_dir(buf, sizeof buf), "/x/reelmill/plans");
    setenv("XDG_CACHE_HOME", "relative", 1);
    CHECK_STR(plan_cache_default_dir(buf, sizeof buf), "/h/.cache/reelmill/plans");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    CHECK_STR(plan_cache_default_dir(buf, sizeof buf), "");
    CHECK_INT(plan_cache_store("", "key", "body", 4), REEL_OK);
    char *body;
    size_t bytes;
    CHECK_INT(plan_cache_load("", "key", &body, &bytes), REEL_AGAIN);
}

static void test_stores_and_loads(void)
{
    check_folder(dir);
    CHECK(!loads("key", "body"));
    CHECK_INT(plan_cache_store(dir, "key", "body", 4), REEL_OK);
    CHECK_INT(plan_cache_store(dir, "key 2", "", 0), REEL_OK);
    CHECK(loads("key", "body"));
    CHECK(loads("key 2", ""));
    CHECK(!loads("key 3", ""));
    CHECK_INT(plan_cache_store(dir, "key", "another", 7), REEL_OK);
    CHECK(loads("key", "another"));
    CHECK_INT(count_files(), 2);
    remove_dir();
}

// A file cut anywhere, or with any byte changed, is absent.
static void test_damage_is_absence(void)
{
    check_folder(dir);
    const char *key = "cudnn 91900 sm 900", *body = "{\"cudnnVersion\":91900}";
    char path[600], whole[600], other[600];
    CHECK_INT(plan_cache_store(dir, key, body, strlen(body)), REEL_OK);
    plan_cache_path(dir, key, path, sizeof path);
    FILE *f = fopen(path, "rb");
    size_t bytes = fread(whole, 1, sizeof whole, f);
    fclose(f);
    for (size_t cut = 0; cut < bytes; cut++) {
        CHECK_INT(truncate(path, (off_t)cut), 0);
        CHECK_MSG(!loads(key, body), "loads when cut at %zu of %zu", cut, bytes);
        f = fopen(path, "wb"), fwrite(whole, 1, bytes, f), fclose(f);
    }
    for (size_t at = 0; at < bytes; at++) {
        whole[at] ^= 4;
        f = fopen(path, "wb"), fwrite(whole, 1, bytes, f), fclose(f);
        CHECK_MSG(!loads(key, body), "loads with byte %zu of %zu changed", at, bytes);
        whole[at] ^= 4;
    }
    f = fopen(path, "wb"), fwrite(whole, 1, bytes, f), fputc('x', f), fclose(f);
    CHECK(!loads(key, body));
    // A good file under the name of another key (a library's other version).
    const char *later = "cudnn 92000 sm 900";
    plan_cache_path(dir, later, other, sizeof other);
    f = fopen(other, "wb"), fwrite(whole, 1, bytes, f), fclose(f);
    CHECK(!loads(later, body));
    // Storing mends it.
    CHECK_INT(plan_cache_store(dir, key, body, strlen(body)), REEL_OK);
    CHECK(loads(key, body));
    remove_dir();
}

// Workers that start together store the same plans: a reader sees one or none.
static void test_writers_at_once(void)
{
    check_folder(dir);
    enum { WRITERS = 4, ROUNDS = 60, BYTES = 40000 };
    static char body[BYTES + 1];
    memset(body, 'p', BYTES);
    pid_t child[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            for (int r = 0; r < ROUNDS; r++)
                if (plan_cache_store(dir, "key", body, BYTES)) _exit(1);
            _exit(0);
        }
    }
    int torn = 0;
    for (int r = 0; r < ROUNDS; r++) {
        char *got = NULL;
        size_t bytes = 0;
        if (plan_cache_load(dir, "key", &got, &bytes)) continue; // not yet there
        torn += bytes != BYTES || memcmp(got, body, BYTES) != 0;
        free(got);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 1;
        waitpid(child[i], &status, 0);
        CHECK_INT(status, 0);
    }
    CHECK_INT(torn, 0);
    CHECK(loads("key", body));
    CHECK_INT(count_files(), 1);
    remove_dir();
}

static void test_no_place(void)
{
    check_folder(dir);
    char file[300], below[400];
    snprintf(file, sizeof file, "%s/file", dir);
    fclose(fopen(file, "wb"));
    snprintf(below, sizeof below, "%s/plans", file);
    CHECK_INT(plan_cache_store(below, "key", "body", 4), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "could not make folder");
    CHECK_HAS(reel_fail_text(), "Not a directory");
    snprintf(below, sizeof below, "%s/a/b/c", dir);
    CHECK_INT(plan_cache_store(below, "key", "body", 4), REEL_OK);
    char path[600], *body = NULL;
    size_t bytes;
    CHECK_INT(plan_cache_load(below, "key", &body, &bytes), REEL_OK);
    free(body);
    unlink(plan_cache_path(below, "key", path, sizeof path));
    rmdir(below);
    snprintf(below, sizeof below, "%s/a/b", dir), rmdir(below);
    snprintf(below, sizeof below, "%s/a", dir), rmdir(below);
    remove_dir();
}

CHECK_MAIN({"default dir", test_default_dir}, {"stores and loads", test_stores_and_loads},
           {"damage is absence", test_damage_is_absence}, {"writers at once", test_writers_at_once},
           {"no place", test_no_place})
