#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Points of one body from heatmaps and from MoveNet's integers, and boxes from raw grids: as
# data, the numbers of which follow from the pictures; by several workers and by the GPU's
# twin; drawn. What nothing tells is refused with what to state.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip poses "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# A red, a moving green and a blue cell of 4x4 pixels.
ffmpeg -v error -y -f lavfi -i "color=c=black:s=48x64:r=25:d=1.2,format=gbrp,geq=r='255*between(X,8,11)*between(Y,12,15)':g='255*between(X,4*mod(N,10),4*mod(N,10)+3)*between(Y,32,35)':b='255*between(X,40,43)*between(Y,56,59)'" \
    -c:v ffv1 -pix_fmt gbrp -g 5 "$work/body.mkv" </dev/null
ffmpeg -v error -y -f lavfi -i "color=c=black:s=64x64:r=25:d=0.4,format=gbrp,drawbox=x=16:y=24:w=8:h=8:c=0xff0000:t=fill" \
    -c:v ffv1 -pix_fmt gbrp "$work/red.mkv" </dev/null

run() { # model input output [options]
    reel "$work/$2" -o "$work/$3" -y --backend onednn --model "$work/$1.onnx" --segment_seconds 0.4 "${@:4}"
}

cat >"$work/check.py" <<'PY'
import json, sys
kind, lines = sys.argv[1], open(sys.argv[2]).read().splitlines()
for n, line in enumerate(lines):
    objects = json.loads(line)["objects"]
    if len(objects) != 1: sys.exit(f"frame {n}: {len(objects)} objects")
    o, x = objects[0], 4 * (n % 10)
    if kind == "heatmaps": # a cell's corner, as published
        want = [8, 12, 1], [x, 32, 1], [40, 56, 1]
        box, score = [min(8, x), 12, 40 - min(8, x), 44], 1
    elif kind == "movenet": # (1/4 + i/64) * 64, 48 / 2; the mean blue is 255 / 192
        want = [[24, 16 + i, 0.5 + 255 / 768] for i in range(17)]
        box, score = [24, 16, 1, 16], 0.5 + 255 / 768
    else: # the middle of the cell, and the first anchor of stride 8
        want, box, score = [], [15, 21.5, 10, 13], 1
    got = o.get("points", [])
    near = lambda a, b: len(a) == len(b) and all(abs(p - q) < 1e-3 for p, q in zip(a, b))
    if len(got) != len(want) or not all(map(near, got, want)): sys.exit(f"frame {n}: points {got}, not {want}")
    if not near(o["box"], box) or abs(o["score"] - score) > 1e-3: sys.exit(f"frame {n}: {o['box']} {o['score']}")
    if kind == "movenet" and o["label"] != "person": sys.exit(o["label"])
print(len(lines))
PY

reads() { # name kind model input frames [options]
    local rc=0 counted
    run "$3" "$4" out.jsonl "${@:6}" || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc"
    elif ! counted=$(python3 "$work/check.py" "$2" "$work/out.jsonl" 2>&1); then not_ok "$1" "$counted"
    elif [[ $counted != "$5" ]]; then not_ok "$1" "$counted lines, not $5"
    else ok "$1"; fi
}
reads heatmaps heatmaps heatmaps body.mkv 30 --io.range 0-1 --gpu_num 1
reads heatmaps_three_workers heatmaps heatmaps body.mkv 30 --io.range 0-1 --gpu_num 3
REELMILL_GPU_TWIN=1 reads heatmaps_twin heatmaps heatmaps body.mkv 30 --io.range 0-1 --gpu_num 1 --precision fp32
reads integers movenet movenet body.mkv 30 --gpu_num 2
REELMILL_GPU_TWIN=1 reads integers_twin movenet movenet body.mkv 30 --gpu_num 1 --precision fp32
reads grids grids yolov3-red red.mkv 10 --gpu_num 1
REELMILL_GPU_TWIN=1 reads grids_twin grids yolov3-red red.mkv 10 --gpu_num 1 --precision fp32
reads stated_grids grids unknown_grids red.mkv 10 --gpu_num 1 --detect.head yolov3

# Nothing tells whose grids they are.
rc=0
run unknown_grids red.mkv out.jsonl --gpu_num 1 || rc=$?
if ((rc != 2)); then not_ok unknown_grids "exit code $rc"
elif ! grep -q "state detect.head yolov3, yolov4, yolov5 or yolov7" "$work/err"; then not_ok unknown_grids "it does not say what to do"
else ok unknown_grids; fi

# Points are drawn in white, even where nothing else is.
rc=0
run heatmaps body.mkv m.mkv --encoder ffv1 --no_detect.draw_labels --gpu_num 1 || rc=$?
pixel() { ffmpeg -v error -i "$work/m.mkv" -frames:v 1 -vf "format=rgb24,crop=1:1:$1:$2" -f rawvideo - </dev/null | od -An -tx1; }
if ((rc)); then not_ok drawn "exit code $rc"
elif [[ $(pixel 40 56) != *"ff ff ff"* ]]; then not_ok drawn "$(pixel 40 56)"
else ok drawn; fi
finish
