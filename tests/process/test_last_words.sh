#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Why a process ended is heard however late its messages come: here the
# coordinator is made to read its sockets slowly.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

if ((slow > 1)) || ! command -v cc >/dev/null; then
    skip last_words "needs a C compiler, and no sanitizer's library before its own"
    exit 0
fi
cat >"$work/slow.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
ssize_t recv(int fd, void *to, size_t bytes, int flags)
{
    ssize_t (*real)(int, void *, size_t, int) = dlsym(RTLD_NEXT, "recv");
    if (strstr(program_invocation_name, "coordinator")) usleep(40000);
    return real(fd, to, bytes, flags);
}
C
cc -shared -fPIC "$work/slow.c" -o "$work/slow.so" -ldl || { not_ok last_words "the slow recv() does not compile"; finish; }
clip "$work/a.mp4" 1
noise 3000 >"$work/bad.onnx"
LD_PRELOAD=$work/slow.so reel "$work/a.mp4" -o null: --backend onednn --model "$work/bad.onnx"
rc=$?
if ((rc != 2)); then not_ok last_words "exit code $rc"
elif ! grep -q "bad.onnx.*not an ONNX model" "$work/err"; then not_ok last_words "the reason was not heard"
else ok last_words; fi
finish
