#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Frames that crash whoever works on them, and no others between them: each is
# given up after its tries, before the patience with the worker ends.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

# All frames of a short video crash whoever works on them: each is filled in after its tries.
poison_all() { # name, frames, tries
    local rc=0
    clip "$work/few.mp4" "$(awk "BEGIN { print $2 / 25 }")"
    REELMILL_CRASH='worker.before_run:1*:6' reel "$work/few.mp4" -o "$work/few.mkv" -y --gpu_num 1 --poison_tries "$3" --report "$work/r.json" || rc=$?
    if ((rc != 3)); then not_ok "$1" "exit code $rc"
    elif ! grep -q "\"out\": $2, \"quarantined\": $2" "$work/r.json"; then not_ok "$1" "report: $(grep '"frames": {' "$work/r.json")"
    else ok "$1"; fi
}
poison_all poison_two 2 3
poison_all poison_more_tries 1 7

# One crash with several frames in the worker's hands, and one try allowed: which
# of them it was is not known, so none is given up.
not_alone() {
    local rc=0
    clip "$work/a.mp4" 3
    reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 1 || not_ok not_alone "exit code $? without a crash"
    want=$(sum "$work/want.mkv")
    REELMILL_CRASH='worker.before_run:20:6' reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --sim_ms 8 --poison_tries 1 || rc=$?
    grep -q 'crash point "worker.before_run"' "$work/err" || not_ok not_alone "the point was not passed"
    check not_alone $rc
}
not_alone

finish
