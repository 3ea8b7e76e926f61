#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Boxes, labels and masks over pictures in device rings, with host memory that
# stands for a device's: they are drawn by the encoder's side, on copies of its
# own, as on a GPU's surfaces. The same bytes as through host rings, whoever dies.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip overlays "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

unset REELMILL_DEVICES CUDA_VISIBLE_DEVICES
printf 'reelmill-devices 1\ncuda runtime=13000 driver=13000 cudnn=91900\ngpu name="told" uuid=GPU-a cc=9.0 sm=1 total=1000000000 free=900000000 peers= host=1\n' >"$work/devices"

draw() { # input output task [options]
    reel "$1" -o "$2" -y --backend onednn --model "$work/$3.onnx" --task "$3" --segment_seconds 1 --gpu_num 1 "${@:4}"
}

# What the log of a device's run says of frames, and whether it must say that they are drawn late.
same() { # name input log late task [options]
    local rc=0 name=$1 input=$2 line=$3 late=$4
    shift 4
    rm -f "$work/host.mkv" "$work/device.mkv"
    draw "$input" "$work/host.mkv" "$@" || { not_ok "$name" "through host rings: exit code $?"; return; }
    grep -q "drawn by the encoder" "$work/err" && { not_ok "$name" "host rings are not a device's"; return; }
    REELMILL_DEVICES=$work/devices draw "$input" "$work/device.mkv" "$@" --log_level debug || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q -- "$line on GPU 0" "$work/err"; then not_ok "$name" "the log lacks \"$line\""
    elif [[ $late != "$(grep -q 'drawn by the encoder' "$work/err" && echo late || echo here)" ]]; then not_ok "$name" "not drawn $late"
    elif [[ $(sum "$work/host.mkv") != "$(sum "$work/device.mkv")" ]]; then not_ok "$name" "other bytes"
    else ok "$name"; fi
}

clip "$work/a.mp4" 3
clip "$work/ten.mkv" 1 -c:v ffv1 -pix_fmt yuv420p10le
clip "$work/odd.mkv" 1 -c:v ffv1 -pix_fmt yuv420p -vf crop=159:119:0:0
clip "$work/wide.mkv" 1 -c:v ffv1 -pix_fmt yuv444p
same boxes "$work/a.mp4" frames late detect
same many_boxes "$work/a.mp4" frames late detect --detect.score 0.1 --detect.line_width 3
same ten_bits "$work/ten.mkv" frames late detect --encoder ffv1
same odd_size "$work/odd.mkv" frames late detect --encoder ffv1
same masks "$work/a.mp4" "frames and results" late segment
same masks_in_ten_bits "$work/ten.mkv" "frames and results" late segment --encoder ffv1
same masks_alone "$work/a.mp4" "frames and results" late segment --segment.picture mask
# What is converted on its way is drawn on before that.
same filtered "$work/a.mp4" frames here detect --post_filter hflip
same fine_chroma "$work/wide.mkv" frames here detect --encoder ffv1

# A plane of no fixed range: gray from each picture's smallest value to its largest, or as is said.
gray_of() { # options...: smallest and largest value of the second picture
    rm -f "$work"/p?.png
    reel "$work/a.mp4" -o "$work/p%d.png" --backend onednn --model "$work/depth.onnx" "$@" &&
        ffmpeg -v error -i "$work/p1.png" -f rawvideo -pix_fmt gray - | od -An -v -tu1 -w1 |
        awk 'NR == 1 { low = high = $1 } { low = $1 < low ? $1 : low; high = $1 > high ? $1 : high } END { print low + 0, high + 0 }'
}
depth=$(gray_of)
if [[ $depth == "0 255" ]]; then ok depth; else not_ok depth "from smallest to largest: $depth"; fi
depth=$(gray_of --io.range 0-1 --io.mean 0 --io.std 1 --io.out_range 0-255)
if [[ $depth == "255 255" ]]; then ok depth_of_stated_range; else not_ok depth_of_stated_range "$depth"; fi

# Somebody dies in the middle of it.
for task in detect segment; do
    draw "$work/a.mp4" "$work/want.mkv" $task || not_ok "$task" "exit code $?"
    for point in worker.before_done:25:9 decoder.mid_slot:40:9 aggregator.before_taken:30:9; do
        rc=0
        rm -f "$work/o.mkv"
        REELMILL_DEVICES=$work/devices REELMILL_CRASH=$point draw "$work/a.mp4" "$work/o.mkv" $task || rc=$?
        if ((rc)); then not_ok "$task-$point" "exit code $rc"
        elif ! grep -q "crash point \"${point%%:*}\"" "$work/err"; then not_ok "$task-$point" "the point was not passed"
        elif [[ $(sum "$work/want.mkv") != "$(sum "$work/o.mkv")" ]]; then not_ok "$task-$point" "other bytes"
        else ok "$task-$point"; fi
    done
done
finish
