// SPDX-License-Identifier: MIT
//
// Committing files: into a folder that may be written, but not read.
#include "common/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

#define NOBODY 65534

static void folder_that_cannot_be_read(void)
{
    char folder[CHECK_FOLDER_BYTES], from[CHECK_FOLDER_BYTES + 8], to[CHECK_FOLDER_BYTES + 8];
    check_folder(folder);
    snprintf(from, sizeof from, "%s/a.tmp", folder);
    snprintf(to, sizeof to, "%s/a", folder);
    const bool root = !geteuid(); // may read everything
    if (root) CHECK_INT(chown(folder, NOBODY, (gid_t)-1) || seteuid(NOBODY), 0);
    int fd = open(from, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK_INT(chmod(folder, 0300), 0);
    CHECK(access(folder, R_OK) || root); // access() asks for the real user
    enum reel_err err = reel_commit_file(fd, from, to);
    const bool there = !access(to, F_OK);
    close(fd);
    chmod(folder, 0700);
    if (root && seteuid(0)) abort();
    reel_remove_tree(folder);
    CHECK_INT(err, REEL_OK);
    CHECK(there);
}

CHECK_MAIN({"folder_that_cannot_be_read", folder_that_cannot_be_read})
