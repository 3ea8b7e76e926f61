// SPDX-License-Identifier: MIT
//
// Files that appear complete or not at all: written under a temporary name,
// synced, renamed. Also chooses those names and removes leftovers. Called by
// all processes.
#ifndef REEL_COMMON_FILES_H
#define REEL_COMMON_FILES_H

#include <stdbool.h>

#include "common/err.h"

#define REEL_PATH_BYTES 4352

// The temporary name of a part, in a buf of at least REEL_PATH_BYTES. It is
// unique to this process: one that has not yet heard that its part was given to
// another may go on writing, and removes only its own file. Files that others
// began for this part are removed here; a file with this very name, left by a
// dead process with the same pid, is not.
const char *reel_part_begin(const char *part, char *buf);
// fsync(file), rename, fsync(folder). D3: a failed fsync is final. Errors: IO.
enum reel_err reel_commit_file(int fd, const char *temporary, const char *path);
// The same to a name at which nothing may be; AGAIN: there is something. The temporary name
// may stay, as a second one of the file. A link that leads nowhere is replaced.
enum reel_err reel_commit_new_file(int fd, const char *temporary, const char *path);
// Whether both names are there, of one file.
bool reel_is_same_file(const char *a, const char *b);
// Removes a file, or a folder with all that is in it; follows no links.
void reel_remove_tree(const char *path);

#endif
