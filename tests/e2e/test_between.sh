#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# More frames of a network that makes some between two, as a user asks for them, in
# each container: so many frames, evenly in time, with the sound and for as long as before.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
need_ffmpeg mp4 mkv mov ts images own || exit 0
command -v python3 >/dev/null || { skip between "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$scratch" || not_ok models "they were not made"

ffmpeg -v error -y -f lavfi -i testsrc2=s=128x96:r=24:d=3 -f lavfi -i sine=f=440:d=3 -c:v libx264 -preset ultrafast -g 24 \
    -pix_fmt yuv420p -c:a aac "$scratch/in.mp4" </dev/null

twice() { reel "$scratch/in.mp4" --config "$root/configs/between.cfg" --model "$scratch/middle.onnx" --gpu_num 2 -o "$1" 2>&1; }

sound() { ffmpeg -v error -i "$1" -map 0:a -c copy -f md5 - </dev/null; }

# Gaps of the times on stdin, rounded to milliseconds: the smallest and the largest.
gaps() { awk 'NR > 1 { g = int(($1 - t) * 1000 + 0.5); if (!lo || g < lo) lo = g; if (g > hi) hi = g } { t = $1 } END { print lo, hi }'; }

container() { # ending, whether its packets of sound are the input's
    local out=$scratch/out.$1 lo hi
    twice "$out" || return
    expect frames 144 "$(frames "$out")" || return
    read -r lo hi < <(times "$out" | gaps)
    if ((lo < 20 || hi > 22)); then
        echo "gaps of $lo to $hi ms, not 20.8"
        return 1
    fi
    [[ $2 == no ]] || expect sound "$(sound "$scratch/in.mp4")" "$(sound "$out")" || return
    awk -v d="$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$out")" 'BEGIN { exit !(d > 2.9 && d < 3.1) }' || echo "other duration"
}
check mp4 container mp4 yes
check mkv container mkv yes
check mov container mov yes
check ts container ts no

images() {
    twice "$scratch/p/%04d.png" || return
    expect pictures 144 "$(find "$scratch/p" -name '*.png' | wc -l)"
}
check images images

# Every second picture is the input's own, sample by sample.
own() {
    twice "$scratch/out.md5" || return
    expect pictures "$(ffmpeg -v error -i "$scratch/in.mp4" -map 0:v -f framemd5 - </dev/null | sed -n 's/^[^#].*, *//p' | md5sum)" \
        "$(sed -n 's/^[^#].*, *//p' "$scratch/out.md5" | awk 'NR % 2' | md5sum)"
}
check own own
