#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Identical bytes with real arithmetic on real clips: the bundled upscaler (and
# a detector, where the test data is) over 1, 2 and 4 workers, 1 and 3 decoders,
# 1 and 3 aggregators, 1 and 4 lanes, and with workers killed on the way.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/../process/lib.bash"
need_ffmpeg

data=${REELMILL_TESTDATA:-$root/../shared/testdata}
run() { # output, arguments...
    timeout 900 "$bin/coordinator" --backend onednn --progress off --segment_seconds 0.5 -y "${@:2}" -o "$1" >"$work/out" 2>"$work/err" </dev/null
}

same() { # name, extension, arguments...
    local name=$1 extension=$2 want="" got rc w d a l
    shift 2
    for w in 1 2 4; do
        for d in 1 3; do
            for a in 1 3; do
                l=$((d == a ? 1 : 4))
                rc=0
                run "$work/o.$extension" --gpu_num $w --decoders $d --aggregators $a --lanes $l "$@" || rc=$?
                if ((rc)); then not_ok "$name" "exit code $rc with $w workers, $d decoders, $a aggregators, $l lanes"; return; fi
                got=$(sum "$work/o.$extension")
                want=${want:-$got}
                [[ $got == "$want" ]] || { not_ok "$name" "other bytes with $w workers, $d decoders, $a aggregators, $l lanes"; return; }
            done
        done
    done
    ok "$name"
    rc=0
    REELMILL_CRASH='worker.before_done:3:9,worker.mid_slot:8:11,aggregator.before_taken:9:9,decoder.mid_slot:12:9' \
        run "$work/o.$extension" --gpu_num 2 --decoders 2 --aggregators 2 "$@" || rc=$?
    if ((rc)); then not_ok "${name}_killed" "exit code $rc"
    elif [[ $(sum "$work/o.$extension") != "$want" ]]; then not_ok "${name}_killed" "other bytes"
    else ok "${name}_killed"; fi
}

ffmpeg -v error -y -f lavfi -i "mandelbrot=s=160x96:r=25" -frames:v 40 -c:v libx264 -preset ultrafast -g 10 -bf 2 "$work/made.mp4"
same upscaled_made mkv --model "$root/models/upscale2x.onnx" "$work/made.mp4"
if [[ -d $data/clips ]]; then
    same upscaled_qcif mp4 --model "$root/models/upscale2x.onnx" "$data/clips/mpeg4_bbb_176x144.mp4"
    same upscaled_prores mkv --model "$root/models/upscale2x.onnx" "$data/clips/prores_422_10bit_180x144.mov"
    same faces jsonl --model "$data/models/face_ultraface_rfb320.onnx" "$data/clips/derived_vfr_faces_h264.mkv"
    same faces_drawn webm --encoder_opts deadline=realtime:cpu-used=8 --model "$data/models/face_ultraface_rfb320.onnx" "$data/clips/derived_vfr_faces_h264.mkv"
    same objects md5 --model "$data/models/det_yolox_nano.onnx" "$data/clips/h264_face.mp4"
else
    skip real_clips "the shared test data is not there (REELMILL_TESTDATA)"
fi
finish
