#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that classify clips. The scores of these are the means of the frames that
# they see, and each frame of the input has a brightness of its own: so the classes
# tell which frames a clip had, at the ends, in segments, by any number of workers,
# whoever dies.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip clips "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# Frame n has the value 4 n.
ramp() { # file frames
    ffmpeg -v error -y -f lavfi -i "color=black:s=24x16:r=25:d=3,format=gbrp,geq=r=4*N:g=4*N:b=4*N" -frames:v "$2" \
        -c:v ffv1 -g 5 "$work/$1.mkv" </dev/null
}
ramp a 60
ramp three 3
ramp one 1
for i in 1 2 3 4 5 6 7 8; do echo "place $i"; done >"$work/labels.txt"

# The scores of every frame, from the frames that its clip has.
cat >"$work/expect.py" <<'END'
import json, math, sys
path, frames, seen, step = sys.argv[1], *map(int, sys.argv[2:5])
lines = [json.loads(line) for line in open(path)]
assert [l["frame"] for l in lines] == list(range(frames)), "frames: %s" % [l["frame"] for l in lines]
for n, line in enumerate(lines):
    assert abs(line["pts"] - n / 25) < 1e-3, line["pts"]
    clip = [min(max(n + (i - seen // 2) * step, 0), frames - 1) for i in range(seen)]
    weights = [math.exp(10 * 4 * k / 255) for k in clip]
    score = {c["class"]: c["score"] for c in line["classes"]}
    assert len(score) == seen, line
    for i in range(seen):
        want = weights[i] / sum(weights)
        assert abs(score[i] - want) < 2e-5, "frame %d, place %d: %g, not %g" % (n, i, score[i], want)
END

run=(--backend onednn --io.range 0-1 --classify.top_k 8 --segment_seconds 0.2)
clips() { # name input frames model seen step [options]
    local rc=0 name=$1 input=$2 frames=$3 model=$4 seen=$5 step=$6
    shift 6
    reel "$work/$input.mkv" -o "$work/o.jsonl" -y --model "$work/$model.onnx" "${run[@]}" --gpu_num 2 --progress plain \
        --classify.stride "$step" "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "$seen frames at once" "$work/err"; then not_ok "$name" "nobody said that it sees a clip"
    elif ! python3 "$work/expect.py" "$work/o.jsonl" "$frames" "$seen" "$step" 2>"$work/why"; then
        not_ok "$name" "$(tail -n 1 "$work/why")"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
clips channels_first a 60 clip 8 1
cp "$work/o.jsonl" "$work/first.jsonl"
clips one_worker a 60 clip 8 1 --gpu_num 1 --lanes 1
cmp -s "$work/o.jsonl" "$work/first.jsonl" || not_ok one_worker "other bytes"
clips many_lanes a 60 clip 8 1 --gpu_num 4 --lanes 4 --decoders 2
clips frames_first a 60 clip_row 8 1
clips channels_last_of_any_number a 60 clip_last 6 1 --io.frames 6
clips sixteen_unless_said a 60 clip_last 16 1 --classify.top_k 16
clips every_third a 60 clip 8 3
clips every_sixteenth a 60 clip 8 16 --lanes 3
clips stated a 60 clip 8 2 --task classify
clips shorter_than_a_clip three 3 clip 8 1
clips one_frame one 1 clip 8 4
REELMILL_GPU_TWIN=1 clips gpu_twin a 60 clip 8 2 --precision fp32

killed() { # name, place
    REELMILL_CRASH=$2 clips "$1" a 60 clip 8 1
    cmp -s "$work/o.jsonl" "$work/first.jsonl" || not_ok "$1" "other bytes"
}
killed worker_killed worker.1/worker.mid_slot:9:9
killed worker_crashes worker.0/worker.before_run:7:11
killed decoder_killed decoder.0/decoder.mid_slot:20:9
killed aggregator_killed aggregator.0/aggregator.before_commit:2:9

# As data and burned in, with names.
outputs() {
    local rc=0
    reel "$work/a.mkv" -o "$work/o.jsonl" -y --model "$work/clip.onnx" "${run[@]}" --classify.labels "$work/labels.txt" || rc=$?
    grep -q '"label":"place 8"' "$work/o.jsonl" || rc=10
    reel "$work/a.mkv" -o "$work/o.mkv" -y --model "$work/clip_dark.onnx" "${run[@]}" --encoder ffv1 || rc=$?
    if ((rc)); then not_ok outputs "code $rc"
    elif [[ $(frames "$work/o.mkv") != 60 ]]; then not_ok outputs "$(frames "$work/o.mkv") frames"
    else ok outputs; fi
}
outputs

# In real time the newest frames come later, and nothing else differs.
live() {
    local rc=0
    reel --live "$work/a.mkv" -o "$work/live.jsonl" --model "$work/clip.onnx" "${run[@]}" --latency_ms 5000 || rc=$?
    if ((rc)); then not_ok live "exit code $rc"
    elif ! python3 "$work/expect.py" "$work/live.jsonl" 60 8 1 2>"$work/why"; then not_ok live "$(tail -n 1 "$work/why")"
    else ok live; fi
}
live

model_refused too_far_apart "would span 449 of the video" --model "$work/clip.onnx" --classify.stride 64
model_refused another_number "the model takes 8" --model "$work/clip.onnx" --io.frames 6
model_refused no_clip "sees no clip" --model "$work/segment.onnx" --classify.stride 2
model_refused wrong_task "is not a map of classes" --model "$work/clip.onnx" --task segment

# Raw outputs of a clip, or of each frame and the next: the motion as numbers.
tensors() {
    local rc=0
    reel "$work/a.mkv" -o "$work/t.jsonl" -y --model "$work/clip.onnx" "${run[@]}" --task tensor --io.resize crop || rc=$?
    reel "$work/a.mkv" -o "$work/u.jsonl" -y --model "$work/flow.onnx" --backend onednn --io.range 0-1 --task tensor --duration 0.2 || rc=$?
    if ((rc)); then not_ok tensors "exit code $rc"
    elif ! python3 - "$work/t.jsonl" "$work/u.jsonl" <<'END' 2>"$work/why"; then not_ok tensors "$(tail -n 1 "$work/why")"
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == 60, len(rows)
for n, row in enumerate(rows):
    (one,) = row["tensors"]
    want = [10 * 4 * min(max(n + i - 4, 0), 59) / 255 for i in range(8)]
    assert one["shape"] == [1, 8] and max(abs(a - b) for a, b in zip(one["data"], want)) < 1e-4, (n, one, want)
rows = [json.loads(line) for line in open(sys.argv[2])]
assert len(rows) == 5 and all(r["tensors"][0]["shape"] == [1, 2, 64, 64] for r in rows), len(rows)
END
    else ok tensors; fi
}
tensors
model_refused no_labels "missing.txt" --model "$work/clip.onnx" --classify.labels "$work/missing.txt"
model_refused even_picture "it makes a picture of 5 frames whose channels stand apart" --model "$work/apart.onnx"
finish
