#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that carry a state from frame to frame. Their outputs follow from the
# frames before alone: the one before, the largest values so far, a matte. By any number
# of workers, whoever dies and begins again, with frames that are filled in, in
# tiles, and by the GPU's twin.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip states "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# Of 8-bit RGB pictures of $2 bytes on stdin: what each becomes, as hashes.
expected() { # before|brightest|first_before|halved bytes
    python3 -c '
import hashlib, sys
how, size = sys.argv[1], int(sys.argv[2])
data = sys.stdin.buffer.read()
frames = [data[i:i + size] for i in range(0, len(data), size)]
state = frames[0] if how == "first_before" else bytes(size)
for frame in frames:
    if how == "brightest":
        state = made = bytes(map(max, frame, state))
    elif how == "halved":
        made = bytes(b // 2 for b in frame)
    else:
        made, state = state, frame
    print(hashlib.md5(made).hexdigest())
' "$@"
}
raw() { ffmpeg -v error -i "$1" -f rawvideo -pix_fmt rgb24 - </dev/null; }
pictures() { raw "$1" | python3 -c '
import hashlib, sys
size = int(sys.argv[1])
while frame := sys.stdin.buffer.read(size): print(hashlib.md5(frame).hexdigest())' "$2"; }

size=$((96 * 80 * 3))
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=2 -c:v ffv1 -pix_fmt gbrp -g 5 "$work/a.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 1 -c copy "$work/one.mkv" </dev/null
# Values that are even, so that their half is exact.
ffmpeg -v error -y -i "$work/a.mkv" -vf "lutrgb=r=2*floor(val/2):g=2*floor(val/2):b=2*floor(val/2)" -frames:v 5 \
    -c:v ffv1 -pix_fmt gbrp "$work/even.mkv" </dev/null
for how in before brightest first_before; do raw "$work/a.mkv" | expected $how $size >"$work/$how"; done
raw "$work/even.mkv" | expected halved $size >"$work/halved"

state() { # name input model want [options]
    local rc=0 name=$1 input=$work/$2.mkv model=$3 wanted=$4
    shift 4
    reel "$input" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 \
        --segment_seconds 0.2 --progress plain "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -Eq "^(state|constants): " "$work/err"; then not_ok "$name" "nobody said that there is a state"
    elif [[ $(pictures "$work/o.mkv" $size) != "$(head -n "$(frames "$input")" "$work/$wanted")" ]]; then
        not_ok "$name" "other pictures"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
state the_frame_before a delay before
state one_worker a delay before --gpu_num 1
state many_workers a brightest brightest --gpu_num 4 --lanes 4
state one_frame one delay before
state a_state_of_one_number_at_first a brightest brightest
state what_was_made_is_fed_back a fed_back brightest
state what_was_fed_is_fed_again a frame_before first_before
state stated_in_words a delay before --io.state state_in=state_out --io.input picture
state the_input_as_the_state a frame_before before --io.state prev_frame=frame --io.state_begin zeros
state the_first_picture_as_the_state a delay first_before --io.state_begin picture
state tiles_have_states_of_their_own a brightest brightest --tile 48x48
state not_split a delay before --split spatial
state a_constant even times halved --io.constants gain=0.5
# By the program for a GPU, carried out on the CPU.
for model in delay brightest fed_back; do
    wanted=brightest
    [[ $model == delay ]] && wanted=before
    REELMILL_GPU_TWIN=1 state gpu_twin_$model a $model $wanted --precision fp32
done
REELMILL_GPU_TWIN=1 state gpu_twin_half_precision a delay before --gpu_num 3 --log_level debug
grep -q "device: [0-9]* frames" "$work/err" || not_ok gpu_twin_half_precision "not by the device path"
REELMILL_GPU_TWIN=1 state gpu_twin_frame_before a frame_before first_before --log_level debug
grep -q "device: [0-9]* frames" "$work/err" || not_ok gpu_twin_frame_before "not by the device path"
REELMILL_GPU_TWIN=1 state gpu_twin_tiles a brightest brightest --tile 48x48
REELMILL_GPU_TWIN=1 REELMILL_CRASH=worker.0/worker.mid_slot:9:9 state gpu_twin_killed a brightest brightest

"$bin/worker" --list_devices >"$work/devices" 2>&1
if grep -q "^gpu " "$work/devices" && ! grep -q "cudnn=0" "$work/devices"; then
    for precision in fp32 fp16; do
        state on_a_gpu_$precision a brightest brightest --backend cudnn --gpu_num 1 --workers_per_gpu 2 --precision $precision
        state on_a_gpu_delay_$precision a delay before --backend cudnn --gpu_num 1 --precision $precision
        state on_a_gpu_before_$precision a frame_before first_before --backend cudnn --gpu_num 1 --precision $precision
    done
else
    skip on_a_gpu "no GPU"
fi

# In segments that begin some frames sooner. One frame is all that this network's state is made of.
rest=(--warmup_frames 1)
state warmed_up a delay before "${rest[@]}"
[[ $(grep -c 'in each of [3-9] segments' "$work/err") == 1 ]] || not_ok warmed_up "other segments"
state warmed_up_one_worker a delay before "${rest[@]}" --gpu_num 1
state warmed_up_many a delay before "${rest[@]}" --gpu_num 3 --lanes 3 --decoders 2
for at in worker.1/worker.mid_slot:9:9 worker.0/worker.before_run:7:11 decoder.0/decoder.mid_slot:20:9 aggregator.0/aggregator.before_commit:3:9; do
    REELMILL_CRASH=$at state "warmed_up_$at" a delay before "${rest[@]}" --lanes 3
done
# More than a segment, from the file's beginning for the first ones: what is forgotten is the same for all.
forgets() {
    local first='' workers rc=0
    for workers in 1 3; do
        reel "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/brightest.onnx" --encoder ffv1 --gpu_num $workers \
            --segment_seconds 0.2 --lanes $workers --warmup_frames 12 --report "$work/report.json" || rc=$?
        [[ -n $first ]] || first=$(pictures "$work/o.mkv" $size)
    done
    if ((rc)); then not_ok forgets "exit code $rc"
    elif [[ $(pictures "$work/o.mkv" $size) != "$first" ]]; then not_ok forgets "other pictures by other workers"
    elif [[ $(head -n 17 <<<"$first") != "$(head -n 17 "$work/brightest")" ]]; then not_ok forgets "the beginning is not exact"
    elif [[ $first == "$(cat "$work/brightest")" ]]; then not_ok forgets "nothing was forgotten"
    elif ! grep -q '"warmup_frames": 12' "$work/report.json"; then not_ok forgets "the report does not say so"
    elif ! grep -q '"in": 50, "out": 50,' "$work/report.json"; then not_ok forgets "$(grep frames "$work/report.json" | head -n 1)"
    else ok forgets; fi
}
forgets

# A foreground (the picture) and a matte (the red of the frame before): each alone, and both over a colour, by the
# network's own foreground and by the input.
cut_out() { # name how [options]
    local rc=0 name=$1 how=$2 format=rgb24
    shift 2
    [[ $how == matte ]] && format=gray
    reel "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/matte.onnx" --encoder ffv1 --gpu_num 2 "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"; return; fi
    ffmpeg -v error -y -i "$work/o.mkv" -f rawvideo -pix_fmt $format "$work/o.raw" </dev/null
    raw "$work/a.mkv" >"$work/a.raw"
    if ! python3 -c '
import sys
how, size = sys.argv[1], int(sys.argv[2])
a, o = open(sys.argv[3], "rb").read(), open(sys.argv[4], "rb").read()
colour, red = (10, 200, 30), bytes(size // 3)
worst, made = 0, 0
for i in range(0, len(a), size):
    frame = a[i:i + size]
    if how == "matte":
        want = list(red)
    elif how == "foreground":
        want = list(frame)
    else:
        want = [f * m / 255 + (255 - m) * colour[k % 3] / 255 for k, (f, m) in enumerate(zip(frame, (m for m in red for _ in "rgb")))]
    got = o[made:made + len(want)]
    worst = max([worst] + [abs(x - y) for x, y in zip(want, got)]) if len(got) == len(want) else 255
    made, red = made + len(want), frame[::3]
sys.exit(worst > (1 if how == "over" else 0) or made != len(o))' "$how" $size "$work/a.raw" "$work/o.raw"; then
        not_ok "$name" "other pictures"
    else ok "$name"; fi
}
cut_out matte matte --segment.picture mask
cut_out foreground foreground --io.output fgr
cut_out over_a_colour over --background 10,200,30
cut_out input_over_a_colour over --background 10,200,30 --io.output pha
REELMILL_GPU_TWIN=1 cut_out gpu_twin_over_a_colour over --background 10,200,30 --precision fp32

# Each stage, in the midst: the lane begins again.
killed() { REELMILL_CRASH=$2 state "$1" a brightest brightest --gpu_num "${3:-2}"; }
killed worker_killed worker.0/worker.mid_slot:9:9
killed worker_killed_at_the_end worker.0/worker.before_done:50:9 1
killed worker_crashes worker.0/worker.before_run:7:11
killed decoder_killed decoder.0/decoder.mid_slot:20:9
killed aggregator_killed aggregator.0/aggregator.before_commit:1:9

# Several lanes: each is one worker's, and they are shared out.
lanes() {
    local rc=0 i
    mkdir -p "$work/many"
    for i in 1 2 3 4; do cp "$work/a.mkv" "$work/many/$i.mkv"; done
    REELMILL_CRASH=worker.1/worker.mid_slot:30:9 reel "$work/many" -o "$work/made" -y --backend onednn --model "$work/brightest.onnx" \
        --encoder ffv1 --gpu_num 2 --lanes 4 --report "$work/report.json" || rc=$?
    if ((rc)); then not_ok lanes "exit code $rc"
    else
        for i in 1 2 3 4; do
            [[ $(pictures "$work/made/$i.mkv" $size) == "$(cat "$work/brightest")" ]] || { not_ok lanes "other pictures"; return; }
        done
        ok lanes
    fi
}
lanes

# A frame at which the network fails is filled in; the state is that of the frame before it.
poison() {
    local rc=0
    ffmpeg -v error -y -i "$work/a.mkv" -vf "drawbox=c=white:t=fill:enable='eq(n,3)'" -frames:v 6 -c:v ffv1 -pix_fmt gbrp \
        "$work/white.mkv" </dev/null
    { sed -n 1,3p "$work/before"; sed -n 3,4p "$work/before"; raw "$work/white.mkv" | expected before $size | sed -n 6p; } >"$work/filled"
    reel "$work/white.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/picky.onnx" --encoder ffv1 --gpu_num 2 \
        --poison_tries 2 || rc=$?
    if ((rc != 3)); then not_ok poison "exit code $rc"
    elif [[ $(pictures "$work/o.mkv" $size) != "$(cat "$work/filled")" ]]; then not_ok poison "other pictures"
    else ok poison; fi
}
poison

# A live input goes on, whoever dies or fails: what comes next begins with no state, and the frame is filled in.
live() { # name model frames rc [options]
    local rc=0 name=$1 model=$2 want=$3 code=$4
    reel --live "$work/live.ts" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 || rc=$?
    if ((rc != code)); then not_ok "$name" "exit code $rc"
    elif [[ $(frames "$work/o.mkv") != "$want" ]]; then not_ok "$name" "$(frames "$work/o.mkv") frames"
    else ok "$name"; fi
}
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=1 -vf "drawbox=c=white:t=fill:enable='eq(n,9)'" -c:v libx264 -qp 0 -bf 0 \
    -f mpegts "$work/live.ts" </dev/null
live live brightest 25 0
REELMILL_CRASH=worker.0/worker.mid_slot:9:9 live live_worker_killed brightest 25 0
live live_frame_fails picky 25 3

# Begun, killed when its one segment was there, taken up again; killed before, begun again.
resumed() { # name crash point
    local rc=0
    rm -f "$work/later.mkv"
    REELMILL_CRASH=$2 reel "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/brightest.onnx" \
        --encoder ffv1 --gpu_num 2 && not_ok "$1" "it did not die"
    reel "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/brightest.onnx" --encoder ffv1 --gpu_num 2 || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc"
    elif [[ $(pictures "$work/later.mkv" $size) != "$(cat "$work/brightest")" ]]; then not_ok "$1" "other pictures"
    else ok "$1"; fi
}
resumed resumed commit.after_journal:1:9
resumed begun_again commit.before_journal:1:9

# The network alone: the state's shape follows from the picture's.
timed() {
    local rc=0
    timeout 60 "$bin/worker" --backend onednn --bench_model "$work/coarse.onnx" --shape 1x3x64x96 >"$work/out" 2>"$work/err" || rc=$?
    if ((rc)); then not_ok timed "exit code $rc"
    elif ! grep -q "input  x: float32 1x4x32x48" "$work/out"; then not_ok timed "$(cat "$work/out")"
    else ok timed; fi
}
timed

model_refused a_number_is_missing 'io.constants "gain=NUMBER"' --model "$work/times.onnx"
model_refused no_number 'it has no number' --model "$work/times.onnx" --io.constants gain=much
model_refused no_such_constant 'there is no input of this name' --model "$work/times.onnx" --io.constants again=1
model_refused no_state 'io.state "state_in=OUTPUT"' --model "$work/delay.onnx" --io.state none
model_refused no_such_output 'there is no output of this name' --model "$work/delay.onnx" --io.state state_in=nothing
model_refused no_colour 'it is R,G,B' --model "$work/matte.onnx" --background 10,200
model_refused no_pair 'it has no "="' --model "$work/delay.onnx" --io.state state_in
finish
