#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Standard output as the output: nothing but the video goes there, in order and while
# the rest is still made; readers that are slow, or end; deaths; live input.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
export TMPDIR=$work/tmp # the parts lie there
mkdir "$TMPDIR"

ffmpeg -v error -y -f lavfi -i testsrc2=s=160x120:r=25:d=6 -f lavfi -i sine=d=6 -c:v libx264 -preset ultrafast -g 13 -bf 2 \
    -pix_fmt yuv420p -c:a aac "$work/a.mp4" </dev/null
run=("$bin/coordinator" --backend sim --progress off --segment_seconds 0.5)
fast=(--encoder_opts preset=ultrafast)
packets() { ffprobe -v error -show_packets -show_data_hash md5 -show_entries packet=stream_index,pts_time,dts_time,data_hash -of csv=p=0 "$1" | sort; }
decoded() { ffprobe -v error -select_streams v:0 -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$1" | head -n 1 | tr -dc 0-9; }
parts() { find "$TMPDIR" -name 'segment-*.part' 2>/dev/null | wc -l; }
clean() { nothing_left && [[ -z $(find "$TMPDIR" -mindepth 1 -print -quit) ]]; }
# shellcheck disable=SC2317 # wait_for calls them
begun() { [[ -s $1 ]]; }
# shellcheck disable=SC2317
few() { (($(parts) >= $1)); }

"${run[@]}" "${fast[@]}" --gpu_num 1 "$work/a.mp4" -o "$work/a.mkv" 2>/dev/null </dev/null

as_a_file() {
    "${run[@]}" "${fast[@]}" --gpu_num 1 "$work/a.mp4" -o - 2>"$work/err" </dev/null | cat >"$work/1.mkv"
    [[ ${PIPESTATUS[0]} == 0 ]] || return 1
    "${run[@]}" "${fast[@]}" --gpu_num 3 --lanes 3 --aggregators 2 "$work/a.mp4" -o - --output_format mkv 2>"$work/err" </dev/null >"$work/3.mkv" || return 1
    cmp "$work/1.mkv" "$work/3.mkv" && cmp <(packets "$work/a.mkv") <(packets "$work/1.mkv") && [[ $(decoded "$work/1.mkv") == 150 ]] && clean
}
if as_a_file; then ok packets_of_the_file; else not_ok packets_of_the_file "not those of the file, or not the same on 1 and 3 workers"; fi

formats() {
    local e fast=("${fast[@]}")
    for e in nut ts mp4 flv y4m; do
        [[ $e == y4m ]] && fast=()
        "${run[@]}" "${fast[@]}" "$work/a.mp4" -o - --output_format ".$e" 2>"$work/err" </dev/null | cat >"$work/o.$e"
        [[ ${PIPESTATUS[0]} == 0 && $(decoded "$work/o.$e") == 150 ]] || { echo "$e"; return 1; }
        # Sound begins as far from the video as in the file.
        [[ $e == y4m ]] || ffprobe -v error -show_entries stream=start_time -of csv=p=0 "$work/o.$e" | grep . | sort -n |
            awk 'NR == 1 {a = $1} END {d = $1 - a; exit !(NR >= 2 && d < 0.03)}' || { echo "$e: sound is off"; return 1; }
    done
    "${run[@]}" "$work/a.mp4" -o "$work/want.md5" 2>/dev/null </dev/null
    "${run[@]}" "$work/a.mp4" -o - --output_format .md5 2>"$work/err" </dev/null | cmp - "$work/want.md5"
}
if why=$(formats); then ok formats; else not_ok formats "$why"; fi

# What is read first was written when the last was not begun, and few parts wait for a reader.
in_order_and_few() {
    local at stopped
    mkfifo "$work/pipe"
    "${run[@]}" --lanes 1 --aggregators 1 --gpu_num 1 --sim_ms 2 "$work/a.mp4" -o - --output_format y4m >"$work/pipe" 2>"$work/err" </dev/null &
    coordinator=$!
    exec 9<"$work/pipe"
    head -c 100 <&9 >"$work/begin" # waits for the first part
    wait_for 20 few 2
    pause 1 # it would go on to the end in this time
    at=$(parts)
    kill -0 "$coordinator" 2>/dev/null && stopped=yes
    cat <&9 >"$work/rest"
    exec 9<&-
    wait "$coordinator" || return 1
    cat "$work/begin" "$work/rest" >"$work/slow.y4m"
    [[ ${stopped-} == yes && $at -le 4 && $(decoded "$work/slow.y4m") == 150 ]] || { echo "$at parts lay there"; return 1; }
    clean
}
if why=$(in_order_and_few); then ok in_order_and_bounded; else not_ok in_order_and_bounded "$why"; fi

reader_ends() {
    local rc
    "${run[@]}" --sim_ms 3 "$work/a.mp4" -o - --output_format "$1" "${@:2}" 2>"$work/err" </dev/null | head -c 1000 >"$work/begin"
    rc=${PIPESTATUS[0]}
    echo "exit code $rc"
    [[ $rc == 1 ]] && grep -q "its reader has ended" "$work/err" && clean
}
for e in mkv y4m md5; do
    if why=$(reader_ends $e); then ok "reader_ends_$e"; else not_ok "reader_ends_$e" "$why"; fi
done
if why=$(reader_ends mkv --live); then ok reader_ends_live; else not_ok reader_ends_live "$why"; fi

dies() { # process, which of them, exit code
    local rc=0
    rm -f "$work/k.mkv"
    "${run[@]}" "${fast[@]}" --aggregators 1 --gpu_num 2 --sim_ms 50 "$work/a.mp4" -o - --output_format mkv >"$work/k.mkv" 2>"$work/bg.err" </dev/null &
    coordinator=$!
    wait_for 20 begun "$work/k.mkv"
    kill -9 "$(children "$coordinator" "$1" "$2" | tail -n 1)"
    wait "$coordinator" || rc=$?
    [[ $rc == "$3" ]] || { echo "exit code $rc"; return 1; }
    [[ $3 != 0 ]] || cmp "$work/k.mkv" "$work/1.mkv" || return 1
    [[ $3 != 1 ]] || grep -q "cannot be taken back" "$work/bg.err" || return 1
    clean
}
if why=$(dies worker 1 0); then ok worker_dies; else not_ok worker_dies "$why"; fi
if why=$(dies aggregator 1 0); then ok encoder_dies; else not_ok encoder_dies "$why"; fi
if why=$(dies aggregator 2 1); then ok writer_dies; else not_ok writer_dies "$why"; fi

# All is encoded before the process that writes is up again: a second of video, in one segment.
writer_is_late() {
    local rc=0
    REELMILL_CRASH=aggregator.1/aggregator.start timeout "$((60 * slow))" "${run[@]}" "${fast[@]}" --segment_seconds 100 --aggregators 1 --sim_ms 0 \
        "$work/short.mkv" -o - --output_format mkv >"$work/late.mkv" 2>"$work/err" </dev/null || rc=$?
    [[ $rc == 0 && $(decoded "$work/late.mkv") == 25 ]] || { echo "exit code $rc: $(cat "$work/err")"; return 1; }
    grep -q 'crash point "aggregator.start"' "$work/err" && clean
}
clip "$work/short.mkv" 1
if why=$(writer_is_late); then ok writer_is_late; else not_ok writer_is_late "$why"; fi

coordinator_dies() {
    rm -f "$work/k.mkv"
    "${run[@]}" --sim_ms 40 "$work/a.mp4" -o - >"$work/k.mkv" 2>"$work/bg.err" </dev/null &
    coordinator=$!
    wait_for 20 begun "$work/k.mkv"
    kill -9 "$coordinator"
    wait "$coordinator" 2>/dev/null
    wait_for 10 clean
}
if coordinator_dies 2>/dev/null; then ok coordinator_dies; else not_ok coordinator_dies "left: $(find "$TMPDIR" | head -n 3)"; fi

refused() { # name, text, arguments...
    local rc=0
    "${run[@]}" "${@:3}" 2>"$work/err" </dev/null | cat >"$work/nothing"
    rc=${PIPESTATUS[0]}
    if [[ $rc == 2 && ! -s $work/nothing ]] && grep -qF -- "$2" "$work/err" && clean; then ok "$1"; else not_ok "$1" "exit code $rc"; fi
}
refused no_gif "--output_format .mkv" "$work/a.mp4" -o - --output_format gif
refused no_pictures ".nut .mkv" "$work/a.mp4" -o - --output_format .png
refused one_input "it takes one" "$work/a.mp4" "$work/a.mkv" -o -
if command -v script >/dev/null; then
    said=$(script -qec "${run[*]} $work/a.mp4 -o -" /dev/null </dev/null 2>&1)
    if [[ $said == *"it is a terminal"* ]]; then ok no_terminal; else not_ok no_terminal "$said"; fi
else
    skip no_terminal "no script command"
fi
"$bin/coordinator" --backend sim "$work/a.mp4" -o - 2>"$work/err" </dev/null >/dev/null
if grep -q "written as .mkv; --output_format" "$work/err"; then ok default_is_said; else not_ok default_is_said; fi

live() { # format
    "${run[@]}" --live --latency_ms 20000 "$work/short.mkv" -o - --output_format "$1" 2>"$work/err" </dev/null | cat >"$work/l.$1"
    [[ ${PIPESTATUS[0]} == 0 ]] || return 1
    echo "$(decoded "$work/l.$1") frames"
    [[ $(decoded "$work/l.$1") == 25 ]] && clean
}
for e in mkv y4m; do
    if why=$(live $e); then ok "live_$e"; else not_ok "live_$e" "$why"; fi
done
finish
