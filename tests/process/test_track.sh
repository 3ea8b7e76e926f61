#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --detect.track: objects keep their numbers through the video, as data and drawn; by any
# number of workers, whoever dies; the input is one segment; where nothing is found, refused.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip track "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# A network that finds cells of one colour, on two halves that stand still.
ffmpeg -v error -y -f lavfi -i "color=c=0xff0000:s=64x64:r=25:d=2,format=gbrp,drawbox=x=32:w=32:h=64:c=0x0000ff:t=fill" \
    -c:v ffv1 -g 5 "$work/a.mkv" </dev/null
objects() { # output [options]
    reel "$work/a.mkv" -o "$1" -y --backend onednn --model "$work/masked.onnx" --segment_seconds 0.4 --detect.score 0.99 \
        --detect.iou 0.3 --detect.max_objects 6 "${@:2}"
}
tracked() { objects "$1" --detect.track "${@:2}"; }

# The objects are those of a run without tracks, each with one number all the time.
rc=0
objects "$work/plain.jsonl" --gpu_num 1 || rc=$?
tracked "$work/a.jsonl" --gpu_num 1 --report "$work/report.json" || rc=$?
if ((rc)); then not_ok numbers "exit code $rc"
elif ! grep -q '"segments": 1,' "$work/report.json"; then not_ok numbers "not one segment: $(grep segments "$work/report.json")"
elif ! python3 - "$work/plain.jsonl" "$work/a.jsonl" <<'PY' >&2; then not_ok numbers "other objects or numbers"
import json, sys
plain, tracked = ([json.loads(line) for line in open(f)] for f in sys.argv[1:])
number = {}
for a, b in zip(plain, tracked):
    if [dict(o, track=None) for o in a["objects"]] != [dict(o, track=None) for o in b["objects"]]: sys.exit(f"{a}, {b}")
    for o in b["objects"]:
        if number.setdefault(str(o["box"]), o["track"]) != o["track"]: sys.exit(f"{o} of {b}")
sys.exit(None if len(tracked) == 50 and sorted(number.values()) == list(range(1, len(number) + 1)) and len(number) > 1 else str(number))
PY
else ok numbers; fi

same() { # name [options]: the same lines
    local rc=0 name=$1
    tracked "$work/o.jsonl" "${@:2}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! cmp "$work/a.jsonl" "$work/o.jsonl" >&2; then not_ok "$name" "other lines"
    else ok "$name"; fi
}
same four_workers --gpu_num 4 --lanes 3
REELMILL_CRASH=worker.before_done:25:9 same worker_dies --gpu_num 2
REELMILL_CRASH=aggregator.before_taken:30:9 same aggregator_dies --gpu_num 2
REELMILL_GPU_TWIN=1 same twin --gpu_num 1 --precision fp32

# Drawn: the numbers stand in the labels.
rc=0
objects "$work/plain.mkv" --gpu_num 1 --encoder ffv1 || rc=$?
tracked "$work/a.drawn.mkv" --gpu_num 2 --encoder ffv1 || rc=$?
pictures() { ffmpeg -v error -i "$1" -f framemd5 - </dev/null; }
if ((rc)); then not_ok drawn "exit code $rc"
elif [[ $(pictures "$work/plain.mkv") == "$(pictures "$work/a.drawn.mkv")" ]]; then not_ok drawn "as without numbers"
else ok drawn; fi

rc=0
reel "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/depth.onnx" --gpu_num 1 --detect.track || rc=$?
if ((rc != 2)); then not_ok no_objects "exit code $rc"
elif ! grep -q 'the model finds none' "$work/err"; then not_ok no_objects "the message says something else"
else ok no_objects; fi

# One person leaves a room, another comes in: each has one number from the first to the last frame.
data=${REELMILL_TESTDATA:-$root/../shared/testdata}
model=$data/models/det_yolox_nano.onnx film=$data/clips/people_one_by_one_h264.mp4
if [[ ! -f $model || ! -f $film ]]; then
    skip persons "no test data"
    finish
elif ((slow > 1)); then
    skip persons "too slow under sanitizers"
    finish
fi
rc=0
ffmpeg -v error -y -ss 15 -i "$film" -frames:v 150 -c:v libx264 -preset ultrafast -crf 16 -an "$work/film.mkv" </dev/null
reel "$work/film.mkv" -o "$work/film.jsonl" --backend onednn --model "$model" --gpu_num 2 --detect.track || rc=$?
persons=$(python3 - "$work/film.jsonl" <<'PY'
import collections, json, sys
seen = collections.Counter(o.get("track") for line in open(sys.argv[1]) for o in json.loads(line)["objects"] if o["label"] == "person")
print(sum(n > 30 for track, n in seen.items() if track), sum(n <= 30 for track, n in seen.items() if track))
PY
)
if ((rc)); then not_ok persons "exit code $rc"
elif [[ $persons != "2 0" ]]; then not_ok persons "followed and lost: $persons"
else ok persons; fi
finish
