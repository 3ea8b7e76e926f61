#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Masks of objects, from a network in the form of YOLOv8's segmenting exports: as data,
# where each pixel is compared, and over pictures; by any number of workers, whoever dies,
# and by the GPU's twin.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip masks "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# One half is red and the other blue, in turns.
blue=w=32:h=64:c=0x0000ff:t=fill
ffmpeg -v error -y -f lavfi -i "color=c=0xff0000:s=64x64:r=25:d=2,format=gbrp,drawbox=x=32:$blue:enable='not(mod(n,2))',drawbox=x=0:$blue:enable='mod(n,2)'" \
    -c:v ffv1 -pix_fmt gbrp -g 5 "$work/a.mkv" </dev/null

find_in() { # output [options]: boxes of at least 0.99: cells of one colour
    reel "$work/a.mkv" -o "$1" -y --backend onednn --model "$work/masked.onnx" --segment_seconds 0.4 \
        --detect.score 0.99 --detect.iou 0.3 "${@:2}"
}

# Each object's mask is its colour's half within its box, where no object before it has any.
cat >"$work/check.py" <<'PY'
import json, sys
objects = 0
for n, line in enumerate(open(sys.argv[1])):
    taken = set()
    for o in json.loads(line)["objects"]:
        x, y, w, h = o["box"]
        runs, at, mask = o["rle"]["counts"], 0, set()
        for i, run in enumerate(runs):
            if i % 2: mask |= {divmod(p, 64) for p in range(at, at + run)}
            at += run
        half = range(32) if o["class"] == n % 2 * 2 else range(32, 64)
        box = {(px, py) for px in half for py in range(64) if x <= px + .5 < x + w and y <= py + .5 < y + h}
        if o["rle"]["size"] != [64, 64] or at != 64 * 64 or len(mask) != o["pixels"]: sys.exit(f"frame {n}: {o}")
        if o["class"] == 1 or mask != box - taken: sys.exit(f"frame {n}: {sorted(mask ^ (box - taken))} of {o}")
        taken |= mask
        objects += 1
print(n + 1, objects)
PY

rc=0
find_in "$work/a.jsonl" --gpu_num 1 || rc=$?
if ((rc)); then not_ok pixels "exit code $rc"
elif ! counted=$(python3 "$work/check.py" "$work/a.jsonl" 2>&1); then not_ok pixels "$counted"
elif [[ ${counted% *} != 50 ]] || ((${counted#* } < 400)); then not_ok pixels "frames and objects: $counted"
else ok pixels; fi

same() { # name [options]: the same lines
    local rc=0 name=$1
    shift
    rm -f "$work/o.jsonl"
    find_in "$work/o.jsonl" "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $(sum "$work/a.jsonl") != "$(sum "$work/o.jsonl")" ]]; then not_ok "$name" "other lines"
    else ok "$name"; fi
}
same four_workers --gpu_num 4
REELMILL_CRASH=worker.before_done:25:9 same worker_dies --gpu_num 2
REELMILL_CRASH=aggregator.before_taken:30:9 same aggregator_dies --gpu_num 2
REELMILL_GPU_TWIN=1 same twin --gpu_num 1 --precision fp32

# Over the picture: the boxes' colours on the objects.
rc=0
find_in "$work/m.mkv" --encoder ffv1 --segment.opacity 1 --no_detect.draw_labels || rc=$?
pixel() { ffmpeg -v error -i "$work/m.mkv" -frames:v 1 -vf "format=rgb24,crop=1:1:$1:$2" -f rawvideo - </dev/null | od -An -tx1; }
if ((rc)); then not_ok drawn "exit code $rc"
elif [[ $(pixel 11 21) == *"ff 00 00"* || $(pixel 11 21) == "$(pixel 53 21)" ]]; then not_ok drawn "$(pixel 11 21),$(pixel 53 21)"
elif [[ $(pixel 53 21) == *"00 00 ff"* ]]; then not_ok drawn "$(pixel 53 21)"
else ok drawn; fi
finish
