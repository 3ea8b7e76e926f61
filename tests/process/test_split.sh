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

for workers in 1 2 3 8; do
    rc=0
    reel "$work/a.mp4" -o "$work/o.mkv" -y --gpu_num $workers --split spatial --report "$work/r.json" || rc=$?
    check "split_over_$workers" $rc
    # Every worker answers for its part of each of 125 frames.
    shares=$(grep -o '"device": "sim[^}]*"frames": [0-9]*' "$work/r.json" | sed 's/.*: //' | paste -sd+)
    [[ $((shares)) == $((125 * workers)) ]] || not_ok "parts_of_$workers" "workers did $shares parts"
done

for point in worker.before_run:1:9 worker.mid_slot:15:11 worker.before_done:25:9 'worker.before_done:20*:9'; do
    crash_at "$point" --gpu_num 3 --split spatial
done

kill_many worker 4 --gpu_num 3 --split spatial

# The bundled network: the bytes of --split off and of frames uncut, with odd and even sizes and both kinds of chroma.
network() { # name size pix_fmt note options, once for each run...
    local name=$1 size=$2 format=$3 note=$4 words rc=0
    shift 4
    ffmpeg -v error -y -f lavfi -i "testsrc2=s=$size:r=25:d=0.08" -c:v ffv1 -pix_fmt "$format" "$work/n.mkv" </dev/null
    want=''
    for words in "$@"; do
        # shellcheck disable=SC2086 # words
        limit=120 reel "$work/n.mkv" -o "$work/o.mkv" -y --backend onednn --model "$root/models/upscale2x-fast.onnx" \
            --encoder ffv1 --progress plain $words || rc=$?
        [[ -n $want ]] || { want=$(sum "$work/o.mkv"); continue; } # the first run is the reference
        grep -q "$note" "$work/err" || { not_ok "$name $words" "its frames were not cut"; return; }
        check "$name $words" $rc
    done
}
split="each frame is split over . workers"
network split_network_odd 191x333 yuv420p "$split" '--gpu_num 1' '--gpu_num 2 --split spatial' '--gpu_num 3 --split spatial'
network split_network_444 96x402 yuv444p "$split" '--gpu_num 1' '--gpu_num 2 --split spatial'
network tiles_of_large_frames 2049x1301 yuv420p "cut into [0-9 x]* tiles of .*: the same pixels as untiled$" \
    '--gpu_num 1 --tile off' '--gpu_num 1' '--gpu_num 2'
finish
