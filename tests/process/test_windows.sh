#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that look at the frames around each: what comes out is one of these, so
# that the frames of the output are the input's, moved. By any number of workers,
# whoever dies, in tiles, from pictures that are resized, and by the GPU's twin.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip windows "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

pictures() { ffmpeg -v error -i "$1" -f framemd5 - </dev/null | sed -n 's/^[^#].*, *//p'; }

# Line i of stdin is line i + $1, the first and last for those beyond the ends.
moved() {
    awk -v by="$1" '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++) { k = i + by; if (k < 1) k = 1; if (k > NR) k = NR; print line[k] } }'
}

ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=2 -c:v ffv1 -pix_fmt gbrp -g 5 "$work/a.mkv" </dev/null
ffmpeg -v error -y -f lavfi -i testsrc2=s=64x64:r=25:d=1 -c:v ffv1 -pix_fmt gbrp "$work/small.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 2 -c copy "$work/two.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 1 -c copy "$work/one.mkv" </dev/null

window() { # name input model by [options]
    local rc=0 name=$1 input=$work/$2.mkv model=$3 by=$4
    shift 4
    reel "$input" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 \
        --segment_seconds 0.2 --progress plain "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "frames at once" "$work/err"; then not_ok "$name" "nobody said that it looks at several"
    elif [[ $(pictures "$work/o.mkv") != "$(pictures "$input" | moved "$by")" ]]; then not_ok "$name" "other pictures"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
window the_one_behind a behind 1
window two_before a before -2
window more_workers a before -2 --gpu_num 5
window one_worker a behind 1 --gpu_num 1
window fewer_frames_than_seen two before -2
window one_frame one behind 1
window in_tiles a behind 1 --tile 48x48
window a_dimension_of_its_own small row 2
window tiles_of_a_fixed_size a row 2
window an_input_each a each -1
window an_input_each_in_tiles a each -1 --tile 48x48
window not_split a behind 1 --split spatial
# By the worker's device path: one frame a run and several, and what has another layout there.
for batch in 1 4; do
    REELMILL_GPU_TWIN=1 window gpu_twin_$batch a behind 1 --batch $batch --log_level debug
    grep -q "device: [0-9]* frames" "$work/err" || not_ok gpu_twin_$batch "not by the device path"
done
REELMILL_GPU_TWIN=1 window gpu_twin_two_before a before -2 --precision fp32 --gpu_num 3
REELMILL_GPU_TWIN=1 window gpu_twin_row small row 2
REELMILL_GPU_TWIN=1 window gpu_twin_tiles a row 2
REELMILL_GPU_TWIN=1 window gpu_twin_an_input_each a each -1

# Each stage, in the midst.
killed() { REELMILL_CRASH=$2 window "$1" a before -2; }
killed worker_killed worker.1/worker.mid_slot:9:9
killed worker_crashes worker.0/worker.before_run:7:11
killed decoder_killed decoder.0/decoder.mid_slot:20:9
killed aggregator_killed aggregator.0/aggregator.before_commit:1:9

# Frames that no worker survives are filled in, and hold up nobody.
poison() {
    local rc=0
    REELMILL_CRASH='worker.before_run:1*:6' reel "$work/two.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/behind.onnx" \
        --encoder ffv1 --gpu_num 1 --poison_tries 2 || rc=$?
    if ((rc != 3)); then not_ok poison "exit code $rc"
    elif [[ $(frames "$work/o.mkv") != 2 ]]; then not_ok poison "$(frames "$work/o.mkv") frames"
    else ok poison; fi
}
poison

# Begun, killed when its one segment was there, taken up again.
resumed() {
    local rc=0
    rm -f "$work/later.mkv"
    REELMILL_CRASH=commit.after_journal:1:9 reel "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/before.onnx" \
        --encoder ffv1 --gpu_num 2 && not_ok resumed "it did not die"
    reel "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/before.onnx" --encoder ffv1 --gpu_num 2 || rc=$?
    if ((rc)); then not_ok resumed "exit code $rc"
    elif [[ $(pictures "$work/later.mkv") != "$(pictures "$work/a.mkv" | moved -2)" ]]; then not_ok resumed "other pictures"
    else ok resumed; fi
}
resumed

# What is no window, and what makes no picture.
model_refused even_number "io.frames 4" --model "$work/before.onnx" --io.frames 4
model_refused another_number "nor an odd number of frames" --model "$work/before.onnx" --io.frames 3
model_refused one_of_the_frames "leave io.input out" --model "$work/each.onnx" --io.input now
model_refused no_such_input 'has no input "next"' --model "$work/each.onnx" --io.input next
model_refused no_picture "makes no picture of them" --model "$work/before.onnx" --task tensor
finish
