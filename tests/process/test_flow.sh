#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Optical flow, by a network that finds whole shifts of what is around a pixel: a
# pattern that moves by a known way has the colour of that way in the middle of each
# frame, or is that way in a .flo file, by any number of workers, whoever dies. The last
# frame does not move; as numbers its motion is unknown.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip flow "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# moving FILE FRAMES DX DY [W H]: a pattern without repetition that moves by so many pixels a frame.
moving() {
    python3 - "$2" "$3" "$4" "${5:-64}" "${6:-64}" <<'END' |
import sys
frames, dx, dy, w, h = map(int, sys.argv[1:])
def at(x, y, c):
    v = (x * 2654435761 + y * 2246822519 + c * 3266489917) & 0xffffffff
    v = (v ^ v >> 15) * 2246822519 & 0xffffffff
    return (v ^ v >> 13) >> 8 & 255
for n in range(frames):
    sys.stdout.buffer.write(bytes(at(x - n * dx, y - n * dy, c) for y in range(h) for x in range(w) for c in range(3)))
END
        ffmpeg -v error -y -f rawvideo -pix_fmt rgb24 -s "${5:-64}x${6:-64}" -r 25 -i - -c:v ffv1 -pix_fmt gbrp -g 5 "$work/$1.mkv"
}
moving a 24 2 -1
moving down 4 0 1
moving wide 4 -1 1 84 70
moving one 1 0 0

# The colour in the middle of every frame: by the wheel's own description, not by the program's code.
cat >"$work/expect.py" <<'END'
import colorsys, math, sys
data, frames, w, h, u, v, most = sys.stdin.buffer.read(), *map(int, sys.argv[1:6]), float(sys.argv[6])
wheel, pure = [], [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)]
for k, steps in enumerate((15, 6, 4, 11, 13, 6)):
    wheel += [[a + (b - a) * i / steps for a, b in zip(pure[k], pure[k + 1])] for i in range(steps)]
place = (math.atan2(-v, -u) / math.pi + 1) / 2 * 54
low, way = int(place), place - int(place)
full = [a + (b - a) * way for a, b in zip(wheel[low], wheel[(low + 1) % 55])]
length = math.hypot(u, v) / most
colour = [1 - length * (1 - c) if length <= 1 else 0.75 * c for c in full]
assert len(data) == frames * w * h * 3, len(data)
for n in range(frames):
    want = [round(255 * c) for c in (colour if n + 1 < frames else (1, 1, 1))]
    for y, x in ((h // 2, w // 2), (h // 3, w // 3), (2 * h // 3, w // 2)):
        at = ((n * h + y) * w + x) * 3
        got = list(data[at:at + 3])
        assert max(abs(a - b) for a, b in zip(got, want)) <= 1, "frame %d at %d,%d: %s, not %s" % (n, x, y, got, want)
END

flow() { # name input frames WxH u v most model [options]
    local rc=0 name=$1 input=$2 frames=$3 size=$4 u=$5 v=$6 most=$7 model=$8
    shift 8
    reel "$work/$input.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --io.range 0-1 --encoder ffv1 \
        --segment_seconds 0.2 --gpu_num 2 --progress plain "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "it measures the motion from each frame to the next" "$work/err"; then not_ok "$name" "nobody said so"
    elif ! ffmpeg -v error -i "$work/o.mkv" -f rawvideo -pix_fmt rgb24 - </dev/null |
        python3 "$work/expect.py" "$frames" "${size%x*}" "${size#*x}" "$u" "$v" "$most" 2>"$work/why"; then
        not_ok "$name" "$(tail -n 1 "$work/why")"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
flow to_the_right a 24 64x64 2 -1 4 flow --flow.max 4
first=$(sum "$work/o.mkv")
flow one_worker a 24 64x64 2 -1 4 flow --flow.max 4 --gpu_num 1 --lanes 1
[[ $(sum "$work/o.mkv") == "$first" ]] || not_ok one_worker "other bytes"
flow of_the_width a 24 64x64 2 -1 2 flow
flow six_channels a 24 64x64 2 -1 4 flow_six --flow.max 4
flow a_row a 24 64x64 2 -1 4 flow_row --flow.max 4
flow down down 4 64x64 0 1 4 flow --flow.max 4
flow stated wide 4 84x70 -1 1 3 flow_any --flow.max 3 --task flow
flow too_long a 24 64x64 2 -1 1 flow --flow.max 1
flow one_frame one 1 64x64 0 0 4 flow
REELMILL_GPU_TWIN=1 flow gpu_twin a 24 64x64 2 -1 4 flow --flow.max 4 --precision fp32

killed() { # name, place
    REELMILL_CRASH=$2 flow "$1" a 24 64x64 2 -1 4 flow --flow.max 4
    [[ $(sum "$work/o.mkv") == "$first" ]] || not_ok "$1" "other bytes"
}
killed worker_killed worker.1/worker.mid_slot:9:9
killed worker_crashes worker.0/worker.before_run:7:11
killed decoder_killed decoder.0/decoder.mid_slot:12:9
killed aggregator_killed aggregator.0/aggregator.before_commit:2:9

# A network of another size than the frames: longer motions, of the frame's pixels.
ffmpeg -v error -y -i "$work/down.mkv" -vf scale=128:192:flags=neighbor -c:v ffv1 "$work/large.mkv" </dev/null
flow in_the_frames_pixels large 4 128x192 0 3 4 flow --flow.max 4

# Each frame by its longest motion: that has full colour.
flow per_frame down 4 64x64 0 1 1 flow --flow.per_frame --pre_filter null

model_refused rate "makes no frames, it measures motion" --model "$work/flow.onnx" --rate 2
model_refused no_flow "is not the motion between two frames" --model "$work/middle.onnx" --task flow
model_refused names "task flow" --model "$work/flow_any.onnx"
model_refused crop "would lack its borders" --model "$work/flow.onnx" --io.resize crop

# ---- numbers -----------------------------------------------------------------------

# Files 0 to frames - 1 in a folder: head, size, the motion in the middle; unknown in all of those named.
cat >"$work/expect_flo.py" <<'END'
import os, struct, sys
folder, frames, w, h, u, v = sys.argv[1], *map(int, sys.argv[2:5]), *map(float, sys.argv[5:7])
unknown = set(map(int, sys.argv[7:])) | {frames - 1}
names = sorted(os.listdir(folder))
assert names == ["%06d.flo" % n for n in range(frames)], names
for n, name in enumerate(names):
    data = open(os.path.join(folder, name), "rb").read()
    tag, width, height = struct.unpack("<fii", data[:12])
    assert (tag, width, height) == (202021.25, w, h), (tag, width, height)
    assert len(data) == 12 + 8 * w * h, len(data)
    values = struct.unpack("<%df" % (2 * w * h), data[12:])
    if n in unknown:
        assert min(values) > 1e9, "frame %d is known" % n
        continue
    assert max(values) < 1e9, "frame %d is unknown" % n
    for y, x in ((h // 2, w // 2), (h // 3, w // 3), (2 * h // 3, w // 2)):
        got = values[2 * (y * w + x):2 * (y * w + x) + 2]
        assert max(abs(got[0] - u), abs(got[1] - v)) < 1e-3, "frame %d at %d,%d: %s" % (n, x, y, got)
END

# run_numbers INPUT MODEL [options]: $work/n/%06d.flo.
run_numbers() {
    reel "$work/$1.mkv" -o "$work/n/%06d.flo" --backend onednn --model "$work/$2.onnx" --io.range 0-1 \
        --segment_seconds 0.2 --gpu_num 2 --progress plain "${@:3}"
}
# numbers_are NAME FRAMES WxH U V [unknown frames]: what is in $work/n.
numbers_are() {
    if ! python3 "$work/expect_flo.py" "$work/n" "$2" "${3%x*}" "${3#*x}" "${@:4}" 2>"$work/why"; then
        not_ok "$1" "$(tail -n 1 "$work/why")"
    elif ! nothing_left; then not_ok "$1" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$1"; fi
}
numbers() { # name input frames WxH u v model [options]
    local rc=0
    rm -rf "$work/n"
    run_numbers "$2" "$7" "${@:8}" || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc"; else numbers_are "$1" "$3" "$4" "$5" "$6"; fi
}
flo_sum() { (cd "$work/n" && sha256sum -- * | sha256sum); }
flo_same() { [[ $(flo_sum) == "$flo" ]] || not_ok "$1" "other bytes"; }

numbers flo a 24 64x64 2 -1 flow
flo=$(flo_sum)
if run_numbers a flow --resume never; then not_ok flo_exists "it was replaced"
elif ! grep -q '000000.flo": it exists' "$work/err"; then not_ok flo_exists "$(tail -n 2 "$work/err")"
else ok flo_exists; fi
for workers in 1 3; do
    numbers flo_workers_$workers a 24 64x64 2 -1 flow --gpu_num $workers --lanes $workers
    flo_same flo_workers_$workers
done
numbers flo_wide wide 4 84x70 -1 1 flow_any --task flow
numbers flo_in_the_frames_pixels large 4 128x192 0 3 flow # the network sees 64x64
REELMILL_GPU_TWIN=1 numbers flo_gpu_twin a 24 64x64 2 -1 flow --precision fp32
flo_killed() { # name, place
    REELMILL_CRASH=$2 numbers "$1" a 24 64x64 2 -1 flow
    flo_same "$1"
}
flo_killed flo_worker_killed worker.1/worker.mid_slot:9:9
flo_killed flo_decoder_killed decoder.0/decoder.mid_slot:12:9
flo_killed flo_aggregator_killed aggregator.0/aggregator.before_commit:2:9
flo_killed flo_join_killed aggregator.mid_mux:7:9

given_up() { # every frame, after its tries
    local rc=0
    rm -rf "$work/n"
    REELMILL_CRASH='worker.before_run:1*:6' run_numbers down flow --gpu_num 1 --lanes 1 --poison_tries 1 || rc=$?
    if ((rc != 3)); then not_ok flo_given_up "exit code $rc"; else numbers_are flo_given_up 4 64x64 0 1 0 1 2; fi
}
given_up

resumed() { # killed in the middle: the same command goes on and does only the rest
    local rc=0
    rm -rf "$work/n"
    REELMILL_CRASH=commit.after_journal:1:9 run_numbers a flow --lanes 1 || rc=$?
    ((rc == 137)) || { not_ok flo_resumed "the first one: exit code $rc"; return; }
    rc=0
    run_numbers a flow --report "$work/report" || rc=$?
    if ((rc)); then not_ok flo_resumed "exit code $rc"
    elif ! python3 -c 'import json, sys; sys.exit(not 0 < sum(w["frames"] for w in json.load(sys.stdin)["stages"]["worker"]) < 24)' \
        <"$work/report"; then not_ok flo_resumed "all was done again, or nothing"
    else
        numbers_are flo_resumed 24 64x64 2 -1
        flo_same flo_resumed
    fi
}
resumed

# A model without motion; motion as lines; a name without a number; standard output.
flo_refused() { # name text output [options]
    local rc=0
    reel "$work/a.mkv" -o "$3" --backend onednn "${@:4}" || rc=$?
    if ((rc != 2)); then not_ok "$1" "exit code $rc"
    elif ! grep -q -- "$2" "$work/err"; then not_ok "$1" "$(tail -n 3 "$work/err")"
    else ok "$1"; fi
}
flo_refused flo_of_pictures "the model does not measure it" "$work/no/%d.flo" --model "$work/middle.onnx"
flo_refused flo_of_tensors "the model does not measure it" "$work/no/%d.flo" --model "$work/flow.onnx" --task tensor
flo_refused flo_one_file "like motion/%06d.flo" "$work/no.flo" --model "$work/flow.onnx"
flo_refused flow_as_lines "the model makes pictures" "$work/no.jsonl" --model "$work/flow.onnx"
flo_refused flo_to_stdout "to standard output" - --output_format .flo --model "$work/flow.onnx"
finish
