// SPDX-License-Identifier: MIT
//
// Files that become visible whole: written under another name, synced, renamed.
// What those other names are, and their removal. Called by all processes.
#ifndef REEL_COMMON_FILES_H
#define REEL_COMMON_FILES_H

#include "common/err.h"

#define REEL_PATH_BYTES 4352

// The name under which a part is written before it is renamed, in a buf of at
// least REEL_PATH_BYTES: a name of this process alone. One that has yet to hear
// that its part was given to another goes on writing, and removes what is its
// own. What others began of this part is removed here; a file of this name, left
// by a dead process of the same number, is not.
const char *reel_part_begin(const char *part, char *buf);
// fsync(file), rename, fsync(folder). D3: a failed fsync is final. Errors: IO.
enum reel_err reel_commit_file(int fd, const char *temporary, const char *path);
// Removes a file, or a folder with all that is in it; follows no links.
void reel_remove_tree(const char *path);

#endif
