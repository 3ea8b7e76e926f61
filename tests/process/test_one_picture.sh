#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A single picture becomes a single file, whose name needs no number; a video does not.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

ffmpeg -v error -y -f lavfi -i testsrc2=s=64x48 -frames:v 1 "$work/photo.png" </dev/null
clip "$work/a.mp4" 1
pixels() { ffmpeg -v error -i "$1" -f rawvideo -pix_fmt rgb24 - </dev/null | sha256sum; }

one() { # name input output
    local rc=0
    reel "$work/$2" -o "$work/$3" --gpu_num 1 || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc"
    elif [[ $(pixels "$work/$3") != $(pixels "$work/$2") ]]; then not_ok "$1" "other pixels"
    else ok "$1"; fi
}
one png photo.png large.png
one ppm photo.png large.ppm
mkdir "$work/100%"
one no_number_in_a_folder photo.png 100%/large.png

several() {
    local rc=0
    cp "$work/photo.png" "$work/other.png"
    reel "$work/photo.png" "$work/other.png" "$work/a.mp4" -o "$work/many/" --gpu_num 1 || rc=$?
    if ((rc)); then not_ok several "exit code $rc"
    elif [[ $(cd "$work/many" && echo *) != "a.mp4 other.png photo.png" ]]; then not_ok several "$(ls "$work/many")"
    elif [[ $(pixels "$work/many/other.png") != $(pixels "$work/photo.png") ]]; then not_ok several "other pixels"
    else ok several; fi
}
several

refused() { # name text args...
    local rc=0
    reel "${@:3}" || rc=$?
    if ((rc != 2)); then not_ok "$1" "exit code $rc"
    elif ! grep -q "$2" "$work/err"; then not_ok "$1" "$(<"$work/err")"
    else ok "$1"; fi
}
refused existing 'large.png": it exists' "$work/photo.png" -o "$work/large.png"
refused video 'more than one picture comes out.*own' "$work/a.mp4" -o "$work/video.png"
refused animation 'can be a .gif or a .webm' "$work/a.mp4" -o "$work/video.webp"
refused two_numbers 'takes one %d' "$work/photo.png" -o "$work/%d-%d.png"
refused no_number 'takes one %d' "$work/photo.png" -o "$work/100%.png"
finish
