#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# One frame over several workers: the bytes of --split off, for any number of
# workers, and when workers die at their parts.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 5
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 2 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

check() { # name rc
    if (($2)); then not_ok "$1" "exit code $2"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$1" "other bytes"
    elif ! nothing_left; then not_ok "$1" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$1"; fi
}

for workers in 1 2 3 8; do
    rc=0
    reel "$work/a.mp4" -o "$work/o.mkv" -y --gpu_num $workers --split spatial --report "$work/r.json" || rc=$?
    check "split_over_$workers" $rc
    # Every worker answers for its part of each of 125 frames.
    shares=$(grep -o '"device": "sim[^}]*"frames": [0-9]*' "$work/r.json" | sed 's/.*: //' | paste -sd+)
    [[ $((shares)) == $((125 * workers)) ]] || not_ok "parts_of_$workers" "workers did $shares parts"
done

at_point() { # point:hit:signal
    local rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH=$1 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 3 --split spatial --sim_ms 2 || rc=$?
    if ! grep -q "crash point \"${1%%:*}\"" "$work/err"; then not_ok "split_crash_$1" "the point was not passed"; return; fi
    check "split_crash_$1" "$rc"
}
for point in worker.before_run:1:9 worker.mid_slot:15:11 worker.before_done:25:9 'worker.before_done:20*:9'; do
    at_point "$point"
done

killed_workers() {
    local rc=0 killed=0 pid
    rm -f "$work/o.mkv"
    start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 3 --split spatial --sim_ms 12
    while ((killed < 4)) && ! gone $coordinator; do
        pid=$(children $coordinator worker 3 | tail -n 1)
        if [[ -n $pid ]] && kill -9 "$pid" 2>/dev/null; then killed=$((killed + 1)); fi
        read -rt 0.1 <> <(:) || true
    done
    wait $coordinator || rc=$?
    ((killed == 4)) || { not_ok split_killed "only $killed kills"; return; }
    check split_killed $rc
}
killed_workers

# The bundled network: same picture, and each worker with less than the whole.
network() {
    local rc=0 extra
    ffmpeg -v error -y -f lavfi -i testsrc2=s=192x400:r=25:d=0.12 -c:v ffv1 -pix_fmt yuv420p "$work/n.mkv" </dev/null
    for extra in "off 1" "spatial 2" "spatial 3"; do
        # shellcheck disable=SC2086 # two words
        set -- $extra
        limit=120 reel "$work/n.mkv" -o "$work/n$2.mkv" --backend onednn --model "$root/models/upscale2x.onnx" \
            --encoder ffv1 --split "$1" --gpu_num "$2" || { not_ok split_network "exit code $?"; return; }
    done
    [[ $(sum "$work/n1.mkv") == "$(sum "$work/n2.mkv")" ]] || { not_ok split_network_2 "other bytes"; return; }
    [[ $(sum "$work/n1.mkv") == "$(sum "$work/n3.mkv")" ]] || { not_ok split_network_3 "other bytes"; return; }
    ok split_network
}
network
finish
