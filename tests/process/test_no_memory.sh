#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A worker for which there is no memory: the others do its work, the bytes are
# the same, no frame is suspected; without others the run fails and says why.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 5
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 2 --sim_ms 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

left_out() { # name fault workers
    local name=$1 rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH=$2 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num "$3" --sim_ms "$cost" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif (($(grep -c "worker [0-9] is left out, the others do its work: .*memory" "$work/err") < $3 - 1)); then return 1
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$name" "other bytes"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
in_time at_the_start "too few were left out" left_out at_the_start 'worker.1/worker.load:1*:0' 2
in_time in_the_middle "too few were left out" left_out in_the_middle 'worker.0/worker.memory:10*:0' 2
in_time two_of_three "too few were left out" left_out two_of_three 'worker.0/worker.load:1*:0,worker.2/worker.memory:5*:0' 3

alone() { # name fault
    local name=$1 rc=0
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=$2 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 1 || rc=$?
    if ((rc != 1)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "memory is used up" "$work/err"; then not_ok "$name" "no reason"
    elif [[ -e $work/o.mkv ]]; then not_ok "$name" "there is an output"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
alone nobody_loads 'worker.load:1*:0'
alone nobody_runs 'worker.memory:1*:0'

# Addresses are limited, as some batch systems do: said before any process starts, with what helps.
few_addresses() {
    local rc=0
    (ulimit -v 2000000 && reel "$work/a.mp4" -o "$work/v.mkv" --lanes 2 --memory 2G) || rc=$?
    if ((rc != 1)); then not_ok few_addresses "exit code $rc"
    elif ! grep -q "ulimit -v unlimited" "$work/err" || grep -q "restarting it" "$work/err"; then not_ok few_addresses "$(cat "$work/err")"
    elif ! nothing_left; then not_ok few_addresses "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok few_addresses; fi
}

# The same for open files, which libzmq would answer with an abort.
few_files() {
    local rc=0
    (ulimit -n 40 && reel "$work/a.mp4" -o "$work/n.mkv" --gpu_num 4 --lanes 2) || rc=$?
    if ((rc != 1)); then not_ok few_files "exit code $rc"
    elif ! grep -q "ulimit -n 8192" "$work/err" || grep -q "restarting it" "$work/err"; then not_ok few_files "$(cat "$work/err")"
    elif ! nothing_left; then not_ok few_files "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok few_files; fi
}
few_files

# A limit of file sizes holds for rings in memory, too: they are smaller then. The output is none of its
# business until it is too large, which is said; the limit's signal ends no process.
file_size() {
    local rc=0
    rm -f "$work/o.mkv"
    (ulimit -f 20000 && reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2) || rc=$?
    if ((rc)); then not_ok file_size "exit code $rc"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok file_size "other bytes"
    else ok file_size; fi
    rc=0
    (ulimit -f 20000 && reel "$work/a.mp4" -o "$work/o.y4m" --post_filter scale=480:360) || rc=$?
    if ((rc != 1)); then not_ok file_too_large "exit code $rc"
    elif ! grep -q "could not write file \"$work/.*: File too large" "$work/err" || grep -q "restarting it" "$work/err"; then
        not_ok file_too_large "$(cat "$work/err")"
    elif ! nothing_left; then not_ok file_too_large "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok file_too_large; fi
    rc=0
    (ulimit -f 100 && reel "$work/a.mp4" -o "$work/f.mkv") || rc=$?
    if ((rc != 1)); then not_ok no_room_for_rings "exit code $rc"
    elif ! grep -q "only 100 kB is allowed (the largest file by ulimit -f)" "$work/err"; then not_ok no_room_for_rings "$(cat "$work/err")"
    else ok no_room_for_rings; fi
}
file_size

if ((slow > 1)); then skip few_addresses "a sanitizer needs more of them than there are"; else few_addresses; fi
finish
