#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every worker has the network compiled before its first frame of a video comes;
# for single pictures, which only one worker sees, none does so in vain.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

ahead() { grep "before any frame" "$work/err" | grep -o "worker\[.\]" | sort -u | wc -l; }
net=(--backend onednn --model "$root/models/upscale2x-fast.onnx" --gpu_num 3 --lanes 1 --log_level debug)

# Long enough for the last worker to be up before the end.
ffmpeg -v error -y -f lavfi -i testsrc2=s=160x120:r=25:d=16 -c:v mpeg4 "$work/a.mkv" </dev/null
reel "$work/a.mkv" -o null: "${net[@]}" || not_ok video "exit code $?"
if (($(ahead) == 3)); then ok video; else not_ok video "$(ahead) of 3 workers had the network before a frame"; fi

mkdir "$work/in"
for size in 40x40 44x40 48x40; do
    ffmpeg -v error -y -f lavfi -i testsrc2=s=$size:d=0.04 -frames:v 1 -c:v ffv1 "$work/in/$size.mkv" </dev/null
done
reel "$work/in" -o "$work/made" "${net[@]}" || not_ok pictures "exit code $?"
if (($(ahead) == 0)); then ok pictures; else not_ok pictures "$(ahead) networks were made ahead for single pictures"; fi
finish
