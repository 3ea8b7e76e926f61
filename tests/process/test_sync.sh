#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Sound starts as much before or behind the first picture as in the input.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

start_of() { ffprobe -v error -select_streams "$2" -show_entries stream=start_time -of csv=p=0 "$1" | grep -m 1 -o '[-0-9.]*'; } # FILE v|a
# FILE: the sound's start minus the picture's, in ms
offset() { awk -v a="$(start_of "$1" a)" -v v="$(start_of "$1" v)" 'BEGIN { printf "%.0f", (a - v) * 1000 }'; }

same_offset() { # name input output option...
    local name=$1 input=$2 output=$3 rc=0 want got
    shift 3
    reel "$@" -y --sim_ms 0 "$input" -o "$output" || rc=$?
    want=$(offset "$input")
    got=$(offset "$output")
    if ((rc)); then not_ok "$name" "exit code $rc: $(cat "$work/err")"
    elif ((got > want + 1 || got < want - 1)); then not_ok "$name" "sound starts $got ms behind the picture, $want in the input"
    else ok "$name"; fi
}

picture=(-f lavfi -i "testsrc2=s=64x48:r=25:d=1")
tone=(-f lavfi -i "sine=frequency=440:duration=1")
coded=(-c:v libx264 -preset ultrafast -pix_fmt yuv420p)

# A copy of a copy, so that what is added each time would show.
if ffmpeg -v error -y "${picture[@]}" "${tone[@]}" "${coded[@]}" -c:a libopus "$work/opus.mkv" </dev/null 2>/dev/null; then
    same_offset opus_mkv "$work/opus.mkv" "$work/once.mkv"
    same_offset opus_mkv_again "$work/once.mkv" "$work/twice.mkv"
    same_offset opus_mp4 "$work/opus.mkv" "$work/opus.mp4"
    same_offset opus_mp4_to_mkv "$work/opus.mp4" "$work/back.mkv"
    ffmpeg -v error -y "${picture[@]}" -itsoffset 0.2 "${tone[@]}" -map 0 -map 1 "${coded[@]}" -c:a libopus "$work/late_opus.mp4" </dev/null
    same_offset opus_live_mkv "$work/late_opus.mp4" "$work/live.mkv" --live --latency_ms 30000
else
    skip opus "this FFmpeg has no libopus"
fi

ffmpeg -v error -y "${picture[@]}" -itsoffset 0.2 "${tone[@]}" -map 0 -map 1 "${coded[@]}" -c:a aac "$work/late.mp4" </dev/null
for end in mp4 mov mkv; do same_offset "late_live_$end" "$work/late.mp4" "$work/late_live.$end" --live --latency_ms 30000; done
same_offset late_mp4 "$work/late.mp4" "$work/late_o.mp4"

# Sound that the input's edit list hides is not heard before the first picture.
ffmpeg -v error -y "${picture[@]}" "${tone[@]}" "${coded[@]}" -g 25 -c:a aac "$work/whole.mp4" </dev/null
ffmpeg -v error -y -ss 0.6 -i "$work/whole.mp4" -c copy "$work/edit.mp4" </dev/null
hidden() { # extension
    local rc=0 got
    reel -y --sim_ms 0 "$work/edit.mp4" -o "$work/edit_o.$1" || rc=$?
    got=$(offset "$work/edit_o.$1")
    if ((rc)); then not_ok "hidden_$1" "exit code $rc: $(cat "$work/err")"
    elif ((got < -100 || got > 20)); then not_ok "hidden_$1" "sound starts $got ms behind the picture"
    else ok "hidden_$1"; fi
}
for end in mkv ts mp4; do hidden $end; done

finish
