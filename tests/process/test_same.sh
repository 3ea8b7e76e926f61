#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The output is complete and the same for any number of processes.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 9 # 225 frames, 5 segments of 2 s

counts_are_exact() {
    local name=counts_are_exact rc=0
    reel "$work/a.mp4" -o "$work/first.mkv" --gpu_num 1 --decoders 1 --aggregators 1 --report "$work/r.json" || rc=$?
    ((rc == 0)) || { not_ok $name "exit code $rc"; return; }
    local n
    n=$(frames "$work/first.mkv")
    [[ $n == 225 ]] || { not_ok $name "$n frames of 225"; return; }
    grep -q '"frames": {"in": 225, "out": 225, "quarantined": 0, "dropped": 0, "unreadable": 0' "$work/r.json" ||
        { not_ok $name "report: $(grep '"frames": {' "$work/r.json")"; return; }
    grep -q '"status": "done", "error": null, "frames_in": 225, "frames_out": 225, "segments": 5' "$work/r.json" ||
        { not_ok $name "report: $(grep '"status"' "$work/r.json")"; return; }
    nothing_left || { not_ok $name "left: $(ls "$XDG_RUNTIME_DIR")"; return; }
    [[ ! -e $work/.first.mkv.reelmill ]] || { not_ok $name "the parts were left"; return; }
    ok $name
}

same_bytes() { # workers decoders aggregators lanes sim_ms
    local name="same_bytes_w$1_d$2_a$3_l$4" rc=0
    reel "$work/a.mp4" -o "$work/other.mkv" -y --gpu_num "$1" --decoders "$2" --aggregators "$3" --lanes "$4" --sim_ms "$5" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $(sum "$work/other.mkv") != "$(sum "$work/first.mkv")" ]]; then not_ok "$name" "other bytes"
    else ok "$name"; fi
}

counts_are_exact
for workers in 1 2 4; do
    for decoders in 1 3; do
        for aggregators in 1 3; do same_bytes $workers $decoders $aggregators auto 0; done
    done
done
same_bytes 3 2 2 6 1
same_bytes 2 1 1 1 0
# Shells allow few open files; more processes than that would leave room for are run all the same.
few_descriptors() {
    local rc=0
    (ulimit -Sn 48 && reel "$work/a.mp4" -o "$work/other.mkv" -y --gpu_num 16) || rc=$?
    if ((rc)); then not_ok few_descriptors "exit code $rc"
    elif [[ $(sum "$work/other.mkv") != "$(sum "$work/first.mkv")" ]]; then not_ok few_descriptors "other bytes"
    else ok few_descriptors; fi
}
few_descriptors
# What lies beside the output is nobody's to write over, whatever its name.
neighbours_stay() {
    local rc=0
    echo mine >"$work/other.mkv.tmp"
    reel "$work/a.mp4" -o "$work/other.mkv" -y --gpu_num 1 || rc=$?
    if ((rc)); then not_ok neighbours_stay "exit code $rc"
    elif [[ $(cat "$work/other.mkv.tmp" 2>&1) != mine ]]; then not_ok neighbours_stay "other.mkv.tmp is another"
    else ok neighbours_stay; fi
}
neighbours_stay
finish
