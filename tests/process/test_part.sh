#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A part of an input (--start, --end, --duration): its frames are those of the whole run,
# what is beside them stays with them, and nothing depends on how many processes there are.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
export LC_ALL=C

# Pictures depend on nothing but themselves: twice as large, by a network.
real() { reel "$@" --backend onednn --model "$root/tests/models/rgb2x.onnx" -y; }

# "time hash" of each frame of an .md5 output; behind that, moved by $2 seconds.
lines() {
    awk -F'[ ,:/]+' -v by="${2:-0}" '/^#tb/ { tick = $3 / $4 }
        !/^#/ { printf "%.5f %s\n", $3 * tick + by, $NF }' "$1"
}
# The lines of the whole run in [$2, $3).
lines_of() { lines "$1" | awk -v from="$2" -v to="$3" '$1 >= from - 1e-6 && $1 < to - 1e-6'; }

# part NAME INPUT FROM TO OPTIONS...: the same frames and distances as the whole run has there.
part() {
    local name=$1 input=$2 from=$3 to=$4 rc=0 zero n
    shift 4
    local whole=$work/whole_${input//[^a-z0-9]/_}.md5
    [[ -e $whole ]] || real "$input" -o "$whole" || { not_ok "$name" "whole: exit code $?"; return; }
    real "$input" -o "$work/part.md5" --report "$work/r.json" "$@" || rc=$?
    lines_of "$whole" "$from" "$to" >"$work/expected"
    zero=$(head -n 1 "$work/expected" | cut -d' ' -f1)
    n=$(wc -l <"$work/expected")
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ((n < 5)); then not_ok "$name" "only $n frames to compare"
    elif [[ $(lines "$work/part.md5" | head -n 1 | cut -d' ' -f1) != 0.00000 ]]; then not_ok "$name" "it does not begin at 0"
    elif ! diff <(lines "$work/part.md5" "$zero") "$work/expected" >"$work/diff"; then not_ok "$name" "$(head -n 5 "$work/diff")"
    elif ! grep -q "\"in\": $n, \"out\": $n, \"quarantined\": 0, \"dropped\": 0, \"unreadable\": 0," "$work/r.json"; then
        not_ok "$name" "report: $(grep '"frames": {' "$work/r.json")"
    else ok "$name"; fi
}

source=testsrc2=s=96x64:r=25:d=6
make() { ffmpeg -v error -y -f lavfi -i "$source" "$@" </dev/null; }
make -c:v libx264 -g 50 -bf 3 -x264-params open-gop=1:b-pyramid=normal -pix_fmt yuv420p "$work/open.mp4"
make -c:v mpeg2video -g 12 -bf 2 "$work/b.ts"
make -c:v libx264 -g 60 -bf 2 -f h264 "$work/raw.h264"
make -c:v mpeg4 -g 30 -bf 2 "$work/a.avi"
make -vf "select='mod(n,7)-mod(n,3)'" -vsync vfr -c:v libx264 -g 40 "$work/vfr.mkv"
ffmpeg -v error -y -ss 0.5 -i "$work/open.mp4" -c copy "$work/edit.mp4" </dev/null # an edit list hides what is before
mkdir "$work/frames" && make "$work/frames/%03d.png"

part open_gop "$work/open.mp4" 2.3 4.5 --start 2.3 --end 4.5
part open_gop_short "$work/open.mp4" 2.02 2.4 --start 2.02 --duration 0.38 --segment_seconds 0.1
part open_gop_segments "$work/open.mp4" 1.1 5.9 --start 1.1 --end 5.9 --segment_seconds 1 --gpu_num 3 --decoders 2
part only_the_end "$work/open.mp4" 3 99 --start 0:03
part only_the_beginning "$work/open.mp4" 0 1.5 --end 00:00:01.500
part transport_stream "$work/b.ts" 1.5 4 --start 1.5 --end 4
part no_timestamps "$work/raw.h264" 1.5 4 --start 1500ms --end 4s
part avi "$work/a.avi" 1.5 4 --start 1.5 --end 4
part variable_rate "$work/vfr.mkv" 1.5 4 --start 1.5 --end 4
part edit_list "$work/edit.mp4" 1.5 4 --start 1.5 --end 4
part images "$work/frames/%03d.png" 1.5 4 --start 1.5 --end 4
part filtered "$work/open.mp4" 2.3 4.5 --start 2.3 --end 4.5 --pre_filter 'bwdif=deint=interlaced'

# What a network sees around a frame is there at the part's ends as well.
if command -v python3 >/dev/null && python3 "$root/tests/models/small_models.py" "$work"; then
    real() { reel "$@" --backend onednn --model "$work/$network.onnx" -y; }
    ffmpeg -v error -y -f lavfi -i testsrc2=s=64x48:r=25:d=3 -c:v libx264 -g 20 -bf 2 "$work/seen.mp4" </dev/null
    for network in behind before oldest newest; do
        rm -f "$work"/whole_*seen*
        part "sees_around_$network" "$work/seen.mp4" 1.3 2.1 --start 1.3 --end 2.1 --segment_seconds 0.5
    done
    # With a state: a warm-up reaches over the part's beginning.
    network=delay
    rm -f "$work"/whole_*seen*
    part warmed_up "$work/seen.mp4" 1.3 2.1 --start 1.3 --end 2.1 --warmup_frames 1
    # Frames between two: those from the part's first frame to the frame behind its last one.
    network=middle
    rm -f "$work"/whole_*seen*
    real "$work/seen.mp4" -o "$work/part.md5" --start 1.28 --end 2.08 || not_ok between "exit code $?"
    real "$work/seen.mp4" -o "$work/whole.md5" || not_ok between "whole: exit code $?"
    if diff <(lines "$work/part.md5" 1.28) <(lines_of "$work/whole.md5" 1.28 2.08) >"$work/diff"; then ok between
    else not_ok between "$(head -n 5 "$work/diff")"; fi
else
    skip sees_around "no python3 on this machine"
fi

# ---- beside the video ---------------------------------------------------------------

# A flash of a frame and a beep with it, each second; a line of text for each of them, and chapters.
for ((i = 0; i < 60; i++)); do
    printf '%d\n00:00:%02d,000 --> 00:00:%02d,900\nsecond %d\n\n' $((i + 1)) $i $i $i
done >"$work/text.srt"
printf ';FFMETADATA1\n' >"$work/chapters"
for ((i = 0; i < 6; i++)); do printf '[CHAPTER]\nTIMEBASE=1/1\nSTART=%d\nEND=%d\ntitle=c%d\n' $((10 * i)) $((10 * i + 10)) $i; done >>"$work/chapters"
ffmpeg -v error -y -f lavfi -i "color=black:s=96x64:r=25:d=60,drawbox=c=white:t=fill:enable='eq(mod(n,25),0)'" \
    -f lavfi -i "aevalsrc='if(lt(mod(t,1),0.05),sin(2*PI*1000*t),0)':s=48000:d=60" -i "$work/text.srt" -i "$work/chapters" \
    -map 0 -map 1 -map 2 -map_metadata 3 -c:v libx264 -g 250 -bf 2 -pix_fmt yuv420p -c:a pcm_s16le -c:s srt "$work/beep.mkv" </dev/null
ffmpeg -v error -y -i "$work/beep.mkv" -map 0 -c:v copy -c:a aac -c:s mov_text "$work/beep.mp4" </dev/null

times() { ffprobe -v error -select_streams "$2" -show_entries packet=pts_time -of csv=p=0 "$1" | tr -d , ; }
# Times of beeps, of flashes, in ms.
beeps() { ffmpeg -v info -i "$1" -af silencedetect=n=0.1:d=0.3 -f null - 2>&1 </dev/null | sed -n 's/.*silence_end: \([0-9.]*\).*/\1/p' | awk '{ printf "%d\n", 1000 * $1 + 0.5 }'; }
flashes() { ffmpeg -v info -i "$1" -an -vf blackdetect=d=0.1 -f null - 2>&1 </dev/null | sed -n 's/.*black_end:\([0-9.]*\).*/\1/p' | awk '{ printf "%d\n", 1000 * $1 + 0.5 }'; }

in_time_with_the_picture() { # input output
    local name=sync_${1#*.}_to_${2#*.} rc=0 b f off
    reel "$work/$1" -o "$work/$2" -y --backend onednn --model "$root/tests/models/rgb2x.onnx" --start 35.37 --end 39.5 || rc=$?
    mapfile -t b < <(beeps "$work/$2")
    mapfile -t f < <(flashes "$work/$2")
    ((rc == 0)) || { not_ok "$name" "exit code $rc"; return; }
    ((${#b[@]} >= 4 && ${#f[@]} >= 4)) || { not_ok "$name" "beeps ${b[*]}, flashes ${f[*]}"; return; }
    # Less than a packet is missing at the beginning.
    off=$(times "$work/$2" a | head -n 1 | awk '{ printf "%d\n", ($1 > 0 ? 1000 * $1 + 0.5 : 0) }')
    [[ $off =~ ^[0-9]+$ && $off -lt 25 ]] || { not_ok "$name" "sound begins at $off ms"; return; }
    local i
    for ((i = 0; i < 4; i++)); do
        ((b[i] - f[i] <= 2 && f[i] - b[i] <= 2)) || { not_ok "$name" "beeps ${b[*]}, flashes ${f[*]}"; return; }
    done
    ok "$name"
}
in_time_with_the_picture beep.mp4 o.mp4
in_time_with_the_picture beep.mp4 o.mkv
in_time_with_the_picture beep.mkv o.mkv

# Packets are those of the input, all moved by the same time.
moved_packets() {
    reel "$work/beep.mkv" -o "$work/o.mkv" -y --start 35.36 --end 39.5 || not_ok moved_packets "exit code $?"
    of() { ffmpeg -v error -i "$1" -map 0:a -c copy -copyts -f framemd5 - </dev/null | awk -F'[ ,:/]+' -v by="$2" '/^#tb/ { tick = $3 / $4 } !/^#/ { printf "%.3f %s\n", $3 * tick + by, $NF }'; }
    of "$work/o.mkv" 35.36 >"$work/packets"
    if (($(wc -l <"$work/packets") < 50)); then not_ok moved_packets "$(wc -l <"$work/packets") packets"
    elif [[ -n $(comm -23 <(sort "$work/packets") <(of "$work/beep.mkv" 0 | sort)) ]]; then
        not_ok moved_packets "$(comm -23 <(sort "$work/packets") <(of "$work/beep.mkv" 0 | sort) | head -n 3)"
    else ok moved_packets; fi
}
moved_packets

text_and_chapters() { # input output
    local name=text_and_chapters_${2#*.} rc=0 text chapters
    reel "$work/$1" -o "$work/$2" -y --start 29.4 --end 41 || rc=$?
    text=$(ffmpeg -v error -i "$work/$2" -map 0:s -f srt - </dev/null | grep -e '-->\|second' | head -n 4 | tr '\n' '|')
    chapters=$(ffprobe -v error -show_entries chapter=start_time,end_time:chapter_tags=title -of csv=p=0 "$work/$2" | tr '\n' ' ')
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $text != '00:00:00,000 --> 00:00:00,500|second 29|00:00:00,600 --> 00:00:01,500|second 30|' ]]; then not_ok "$name" "text $text"
    elif [[ $chapters != '0.000000,0.600000,c2 0.600000,10.600000,c3 10.600000,11.600000,c4 ' ]]; then not_ok "$name" "chapters $chapters"
    else ok "$name"; fi
}
text_and_chapters beep.mkv o.mkv
text_and_chapters beep.mp4 o.mp4

# ---- a late part costs no more than an early one ---------------------------------------

# Bytes that the decoder read; the container's index leads to the part.
far() {
    local name=far_$1 input=$work/far.$1 rc=0
    real_far() { reel "$input" -o "$work/far_$2.md5" -y --backend onednn --model "$root/tests/models/rgb2x.onnx" --start 9:00 --end 9:02 --log_level debug; }
    real_far "$1" "$1" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif grep -q 'reading from the start' "$work/err"; then not_ok "$name" "it was read from the start"
    else ok "$name"; fi
}
ffmpeg -v error -y -f lavfi -i testsrc2=s=64x48:r=10:d=600 -c:v libx264 -preset ultrafast -bf 2 -g 50 "$work/far.mp4" </dev/null
ffmpeg -v error -y -i "$work/far.mp4" -c copy "$work/far.mkv" </dev/null
ffmpeg -v error -y -i "$work/far.mp4" -c copy "$work/far.ts" </dev/null
for kind in mp4 mkv ts; do far $kind; done
if [[ $(lines "$work/far_mp4.md5" | wc -l) == 20 ]] && cmp <(lines "$work/far_mp4.md5") <(lines "$work/far_ts.md5") &&
    cmp <(lines "$work/far_mp4.md5" | cut -d' ' -f2) <(lines "$work/far_mkv.md5" | cut -d' ' -f2); then ok far_same_frames
else not_ok far_same_frames "$(head -n 12 "$work"/far_*.md5)"; fi

# ---- determinism, deaths, resume -----------------------------------------------------

same() { # name options
    local name=$1 rc=0
    shift
    reel "$work/beep.mp4" -o "$work/o.mp4" -y --start 12.34 --end 31 "$@" || rc=$?
    want=${want:-$(sum "$work/o.mp4")}
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $(sum "$work/o.mp4") != "$want" ]]; then not_ok "$name" "other bytes"
    else ok "$name"; fi
}
want=
same one_worker --gpu_num 1 --decoders 1 --aggregators 1 --lanes 1
same many_workers --gpu_num 4 --decoders 3 --aggregators 2 --lanes 5
REELMILL_CRASH=decoder.0/decoder.scan:100:9 same scan_killed --gpu_num 2 --decoders 1
REELMILL_CRASH=decoder.0/decoder.mid_slot:30:9 same decoder_killed --gpu_num 2 --decoders 1

other_part_is_refused() {
    local name=other_part_is_refused rc=0
    REELMILL_CRASH='commit.after_journal:1:9' reel "$work/beep.mp4" -o "$work/r.mp4" --start 8 --end 28 --gpu_num 1 --lanes 1
    reel "$work/beep.mp4" -o "$work/r.mp4" --start 8 --end 29 --gpu_num 1 || rc=$?
    if ((rc != 2)); then not_ok $name "exit code $rc"
    elif ! grep -q 'end = "28"' "$work/err" || ! grep -q 'end = "29"' "$work/err"; then not_ok $name "$(cat "$work/err")"
    else ok $name; fi
    rc=0
    reel "$work/beep.mp4" -o "$work/r.mp4" --start 8 --end 28 --gpu_num 1 --report "$work/r.json" || rc=$?
    if ((rc)) || [[ $(frames "$work/r.mp4") != 500 ]]; then not_ok resumed_part "exit code $rc"; else ok resumed_part; fi
}
other_part_is_refused

# ---- several inputs, errors ------------------------------------------------------------

several() {
    local rc=0
    mkdir "$work/in" && cp "$work/open.mp4" "$work/in/short.mp4" && cp "$work/beep.mp4" "$work/in/long.mp4"
    reel "$work/in" -o "$work/out.d/" --start 10 --end 11 --output_format mkv || rc=$?
    if ((rc != 1)); then not_ok several "exit code $rc"
    elif ! grep -q 'short.mp4.*from 0:00:10 to 0:00:11: its last frame is at 5.960 s' "$work/err"; then not_ok several "$(cat "$work/err")"
    elif [[ $(frames "$work/out.d/long.mkv") != 25 ]]; then not_ok several "$(ls "$work/out.d")"
    else ok several; fi
}
several

refused() { # name exit-code text options
    local name=$1 code=$2 text=$3 rc=0
    shift 3
    reel "$work/open.mp4" -o "$work/no.mp4" -y "$@" || rc=$?
    if ((rc != code)); then not_ok "$name" "exit code $rc"
    elif ! grep -q -- "$text" "$work/err"; then not_ok "$name" "$(cat "$work/err")"
    else ok "$name"; fi
}
refused end_before_start 2 'end 1: it is not after --start 2' --start 2 --end 1
refused end_is_start 2 'not after --start 2' --start 2 --end 2
refused negative 2 'start -1: it is negative' --start=-1
refused no_time 2 'use seconds (12.5), MM:SS (1:30) or HH:MM:SS.mmm' --start abc
refused both_ends 2 'give one of them' --end 3 --duration 3
refused beyond_the_end 1 'its last frame is at 5.960 s' --start 1:00
refused between_frames 1 'no frame begins in that time' --start 1.01 --end 1.02
refused live 2 'start with --live' --start 1 --live
if reel "$work/open.mp4" -o "$work/no.mp4" --start 1 --duration 2 --dry_run && grep -q 'from 1 for 2' "$work/out"; then ok dry_run
else not_ok dry_run "$(cat "$work/out")"; fi

verify_respects_the_start() {
    local rc=0
    reel "$work/open.mp4" --verify --verify_seconds 1 --start 2 || rc=$?
    if ((rc == 0)) && grep -q ' 25 ' "$work/out"; then ok verify_respects_the_start; else not_ok verify_respects_the_start "$rc $(cat "$work/out")"; fi
}
verify_respects_the_start
finish
