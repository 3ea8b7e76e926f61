// SPDX-License-Identifier: MIT
//
// Temporary names, commit, removal. See files.h.
#include "common/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 64

static void remove_at(int parent, const char *name, int depth)
{
    if (!unlinkat(parent, name, 0) || depth > MAX_DEPTH) return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) remove_at(fd, e->d_name, depth + 1);
    closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void reel_remove_tree(const char *path)
{
    remove_at(AT_FDCWD, path, 0);
}

// "segment-000003.part.4711.tmp" is one of "segment-000003.part".
static bool is_temporary_of(const char *name, const char *part)
{
    size_t n = strlen(part);
    if (strncmp(name, part, n) || name[n] != '.') return false;
    size_t digits = strspn(name + n + 1, "0123456789");
    return digits && !strcmp(name + n + 1 + digits, ".tmp");
}

const char *reel_part_begin(const char *part, char *buf)
{
    char path[REEL_PATH_BYTES];
    snprintf(buf, REEL_PATH_BYTES, "%s.%d.tmp", part, (int)getpid());
    snprintf(path, sizeof path, "%s", part);
    const char *name = strrchr(part, '/') ? strrchr(part, '/') + 1 : part;
    const char *own = buf + (name - part);
    DIR *dir = opendir(dirname(path));
    if (!dir) return buf;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (is_temporary_of(e->d_name, name) && strcmp(e->d_name, own)) remove_at(dirfd(dir), e->d_name, 0);
    closedir(dir);
    return buf;
}

static enum reel_err sync_file(int fd, const char *temporary)
{
    if (!fsync(fd)) return REEL_OK;
    return reel_fail(REEL_ERR_IO, "could not write file \"%s\" to disk: %s", temporary, strerror(errno));
}

static enum reel_err sync_folder_of(const char *path)
{
    char folder[REEL_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    int dir = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 && errno == EACCES) return REEL_OK; // a folder in which files can be put, but not seen
    if (dir < 0) return reel_fail(REEL_ERR_IO, "could not open the folder of \"%s\": %s", path, strerror(errno));
    int rc = fsync(dir), error = errno;
    close(dir);
    // Some file systems cannot sync folders (EINVAL).
    if (rc && error != EINVAL)
        return reel_fail(REEL_ERR_IO, "could not write the folder of \"%s\" to disk: %s", path, strerror(error));
    return REEL_OK;
}

enum reel_err reel_commit_file(int fd, const char *temporary, const char *path)
{
    enum reel_err err = sync_file(fd, temporary);
    if (err) return err;
    if (rename(temporary, path))
        return reel_fail(REEL_ERR_IO, "could not rename file \"%s\": %s", temporary, strerror(errno));
    return sync_folder_of(path);
}

// Gives a file a name that nothing has; false: errno says why. Not all file systems have
// links (FAT), and not all can rename without replacing (NFS): there it is looked for before.
static bool name_new(const char *temporary, const char *path)
{
    struct stat st;
    if (!link(temporary, path)) return true;
    if (errno == EEXIST && stat(path, &st) && errno == ENOENT) return !rename(temporary, path);
    if (errno == EEXIST) return false;
    if (!renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE)) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;
    errno = EEXIST;
    return lstat(path, &st) && !rename(temporary, path);
}

enum reel_err reel_commit_new_file(int fd, const char *temporary, const char *path)
{
    enum reel_err err = sync_file(fd, temporary);
    if (err) return err;
    if (!name_new(temporary, path)) {
        if (errno == EEXIST) return REEL_AGAIN;
        return reel_fail(REEL_ERR_IO, "could not rename file \"%s\": %s", temporary, strerror(errno));
    }
    return sync_folder_of(path);
}

bool reel_is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !lstat(a, &x) && !lstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
