#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# One frame over several workers that give each other rows between the layers of
# the network: frames so small that bands with their whole overlap are not worth
# it. The bytes of --split off, for any number of workers, and when a worker dies,
# stops or crashes at its band while the others wait for its rows. On CPUs, and as on
# GPUs: by the GPU backend's twin and the worker's device path.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

network=(--backend onednn --model "$root/models/upscale2x-fast.onnx" --encoder ffv1)
limit=120
ffmpeg -v error -y -f lavfi -i "testsrc2=s=96x132:r=25:d=2.4" -c:v ffv1 -pix_fmt yuv420p "$work/a.mkv" </dev/null
reel "$work/a.mkv" -o "$work/want.mkv" "${network[@]}" --gpu_num 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

together() { # name, whether workers did (y or n), options...
    local name=$1 does=$2 rc=0 said=n
    shift 2
    reel "$work/a.mkv" -o "$work/o.mkv" -y "${network[@]}" --progress plain --split spatial "$@" || rc=$?
    if grep -q "in bands that exchange rows" "$work/err"; then said=y; fi
    if [[ $said != "$does" ]]; then not_ok "$name" "its frames were done otherwise"; else check "$name" $rc; fi
}
together two_workers y --gpu_num 2
together three_workers y --gpu_num 3
together more_workers_than_bands y --gpu_num 7

# At every stage of a frame, by itself and from outside, and the stop that holds up the rest until it counts as hung.
hurt() { # name, point, options...
    local point=$2 name=$1
    shift 2
    REELMILL_CRASH=$point together "$name" y "$@"
    grep -q "crash point" "$work/err" || not_ok "$name" "the point was not passed"
}
hurt killed_before_a_band worker.1/worker.before_run:7:9 --gpu_num 2
hurt killed_at_an_exchange worker.0/worker.exchange:60:9 --gpu_num 3
hurt killed_in_its_slot worker.1/worker.mid_slot:9:9 --gpu_num 3
hurt killed_before_it_says_so worker.1/worker.before_done:9:9 --gpu_num 2
hurt killed_again_and_again 'worker.1/worker.exchange:90*:9' --gpu_num 2
hurt crashes_at_an_exchange worker.1/worker.exchange:61:11 --gpu_num 3
hurt stopped_at_an_exchange worker.1/worker.exchange:50:19 --gpu_num 2 --hang_seconds 2
hurt spare_takes_over worker.0/worker.exchange:50:9 --gpu_num 7

# A band that crashes whoever does it: its frames are filled in, as many as there are and no hang.
poison() {
    local rc=0
    ffmpeg -v error -y -i "$work/a.mkv" -frames:v 2 -c copy "$work/few.mkv" </dev/null
    REELMILL_CRASH='worker.1/worker.exchange:3*:6' reel "$work/few.mkv" -o "$work/o.mkv" -y "${network[@]}" --gpu_num 2 \
        --split spatial --poison_tries 2 --report "$work/r.json" || rc=$?
    if ((rc != 3)); then not_ok poison "exit code $rc"
    elif ! grep -q '"out": 2, "quarantined": 2' "$work/r.json"; then not_ok poison "report: $(grep '"frames": {' "$work/r.json")"
    elif ! nothing_left 2; then not_ok poison "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok poison; fi
}
poison

# Without memory for one worker there is no team: frames go whole, the same bytes.
REELMILL_CRASH='worker.1/worker.memory:4*:0' together left_out y --gpu_num 2
grep -q "each frame is no longer split" "$work/err" || not_ok left_out "the team was not given up"

# As on GPUs.
gpu() {
    export REELMILL_GPU_TWIN=1
    reel "$work/a.mkv" -o "$work/want.mkv" -y "${network[@]}" --gpu_num 1 || not_ok gpu_reference "exit code $?"
    want=$(sum "$work/want.mkv")
    together gpu_two_workers y --gpu_num 2
    together gpu_three_workers y --gpu_num 3
    hurt gpu_killed_at_an_exchange worker.0/worker.exchange:60:9 --gpu_num 3
    hurt gpu_killed_before_it_says_so worker.1/worker.before_done:9:9 --gpu_num 2
    hurt gpu_crashes_at_an_exchange worker.1/worker.exchange:61:11 --gpu_num 3
    hurt gpu_stopped_at_an_exchange worker.1/worker.exchange:50:19 --gpu_num 2 --hang_seconds 2
    REELMILL_CRASH='worker.1/worker.memory:4*:0' together gpu_left_out y --gpu_num 2
    unset REELMILL_GPU_TWIN
}
gpu

# From device to device, by a library that stands for NCCL. After a death rows go through host memory.
direct() {
    export REELMILL_GPU_TWIN=1 FAKE_NCCL=$work/nccl REELMILL_NCCL=$bin/tests/process/libfake_nccl.so
    local name=direct_$1 joined
    shift
    rm -rf "$FAKE_NCCL"
    mkdir "$FAKE_NCCL"
    if [[ $1 == worker.* ]]; then hurt "$name" "$@"; else together "$name" y "$@"; fi
    joined=$(grep -c joined "$FAKE_NCCL/log")
    if ((!joined || joined != $(grep -c "aborted after [1-9]" "$FAKE_NCCL/log") + $(grep -c . <<<"${killed:-}"))); then
        not_ok "$name" "rows did not go from device to device: $(cat "$FAKE_NCCL/log")"
    fi
    unset REELMILL_GPU_TWIN FAKE_NCCL REELMILL_NCCL
}
direct two_workers --gpu_num 2
direct three_workers --gpu_num 3
killed=1 direct killed_at_an_exchange worker.1/worker.exchange:60:9 --gpu_num 3
killed=1 direct killed_before_it_says_so worker.0/worker.before_done:9:9 --gpu_num 2
killed=1 direct stopped_at_an_exchange worker.1/worker.exchange:50:19 --gpu_num 2 --hang_seconds 2
# Without it they go through host memory.
REELMILL_NCCL=/nowhere/libnccl.so REELMILL_GPU_TWIN=1 together direct_no_library y --gpu_num 2

# Interrupted while one of them waits for another, who is stopped.
interrupted() {
    local rc=0
    REELMILL_CRASH=worker.1/worker.exchange:50:19 start "$work/a.mkv" -o "$work/i.mkv" "${network[@]}" --gpu_num 2 --split spatial
    wait_for 20 grep -qs "crash point" "$work/bg.err" || not_ok interrupted "the point was not passed"
    kill -INT $coordinator
    wait $coordinator || rc=$?
    if ((rc != 130)); then not_ok interrupted "exit code $rc"
    elif ! nothing_left 3; then not_ok interrupted "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok interrupted; fi
}
interrupted
finish
