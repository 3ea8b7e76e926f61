#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --live to addresses, with the ffmpeg command at the other end, and an aggregator that
# dies: what is received and what is left is counted.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

ffmpeg -v error -y -f lavfi -i "testsrc2=s=160x120:r=25:d=1" -f lavfi -i "sine=frequency=440:duration=1" -map 0 -map 1 \
    -c:v libx264 -preset ultrafast -g 25 -bf 0 -pix_fmt yuv420p -c:a aac "$work/a.mp4" </dev/null
patient=(--live --gpu_num 2 --sim_ms 1 --latency_ms 30000) # nothing is dropped, however slow the machine
report=$work/r.json
port=$((20000 + $$ % 20000))

number() { sed -n "s/.*\"frames\": {.*\"$1\": \([0-9]*\).*/\1/p" "$report"; } # in, out, dropped
packets() { # file, v or a
    ffprobe -v error -count_packets -select_streams "$2" -show_entries stream=nb_read_packets -of csv=p=0 "$1" | tr -dc '0-9\n' |
        grep -m 1 . || echo 0
}
# Packets of sound that a receiver read, as its ffmpeg says at the end: the one of 7.1 writes none of those that RTSP brings.
sound() { sed -n 's/.*Input stream #0:[0-9]* (audio): \([0-9]*\) packets read.*/\1/p' "$1" | grep . || echo 0; }
bound() { grep -q ":$(printf %04X "$1") " /proc/net/tcp /proc/net/udp; }

# to NAME ADDRESS ENCODED... : ENCODED are the receiver's options, to its input.
to() {
    local name=$1 address=$2 rc=0 receiver got
    shift 2
    ffmpeg -v verbose -y "$@" -c copy "$work/$name.mkv" </dev/null 2>"$work/$name.err" &
    receiver=$!
    wait_for 20 bound "$port" || { not_ok "$name" "the receiver does not listen: $(tail -n 8 "$work/$name.err")"; return; }
    reel "${patient[@]}" "$work/a.mp4" -o "$address" --report "$report" || rc=$?
    wait_for 20 gone $receiver || kill -INT $receiver
    wait $receiver 2>/dev/null
    got=$(packets "$work/$name.mkv" v)
    if ((rc)); then not_ok "$name" "exit code $rc: $(cat "$work/err")"
    elif (($(number out) != 25 || $(number dropped) != 0)); then not_ok "$name" "out $(number out), dropped $(number dropped)"
    elif ((got < 24)); then not_ok "$name" "$got frames came: $(tail -n 8 "$work/$name.err")" # the last may lack its end
    elif (($(sound "$work/$name.err") < 38)); then not_ok "$name" "$(sound "$work/$name.err") packets of sound"
    else ok "$name"; fi
    port=$((port + 2))
}
has() { ffmpeg -v error -protocols 2>/dev/null | grep -qw "$1"; }

to tcp "tcp://127.0.0.1:$port" -f mpegts -i "tcp://127.0.0.1:$port?listen=1"
to rtmp "rtmp://127.0.0.1:$port/app/key" -listen 1 -i "rtmp://127.0.0.1:$port/app/key"
to rtsp "rtsp://127.0.0.1:$port/live" -rtsp_flags listen -i "rtsp://127.0.0.1:$port/live"
to http "http://127.0.0.1:$port/a.mkv" -listen 1 -i "http://127.0.0.1:$port/a.mkv"
to udp "udp://127.0.0.1:$port?pkt_size=1316" -f mpegts -i "udp://127.0.0.1:$port?timeout=3000000"
if has srt; then to srt "srt://127.0.0.1:$port" -f mpegts -i "srt://127.0.0.1:$port?mode=listener"; else skip srt "this FFmpeg has none"; fi

# Nobody is there from beginning to end.
nobody() {
    local rc=0
    reel "${patient[@]}" "$work/a.mp4" -o "tcp://127.0.0.1:$port" --report "$report" || rc=$?
    if ((rc != 1)); then not_ok nobody "exit code $rc"
    elif ! grep -q "could not connect to .*: Connection refused" "$work/err"; then not_ok nobody "$(cat "$work/err")"
    elif ! grep -q "all 25 frames were dropped" "$work/err"; then not_ok nobody "$(cat "$work/err")"
    else ok nobody; fi
}
nobody

# The process that writes dies: the file beside the first one has sound as well.
writer_dies() {
    local rc=0 both
    start "${patient[@]}" "$work/a.mp4" -o "$work/o.mkv" --report "$report"
    wait_for 20 test -s "$work/o.mkv" || not_ok writer_dies "no output begins"
    kill -9 "$(children $coordinator aggregator)"
    wait $coordinator || rc=$?
    both=$(($(packets "$work/o.mkv" v) + $(packets "$work/o.2.mkv" v)))
    if ((rc)); then not_ok writer_dies "exit code $rc"
    elif (($(number in) != $(number out) + $(number dropped))); then not_ok writer_dies "in $(number in), out $(number out), dropped $(number dropped)"
    elif ((both < $(number out) - 2 || both > 25)); then not_ok writer_dies "$both frames are there, $(number out) were said"
    elif ! grep -q '"files": \[.*o.2.mkv"\]' "$report"; then not_ok writer_dies "$(grep files "$report")"
    elif (($(packets "$work/o.2.mkv" a) < 10)); then not_ok writer_dies "no sound in the second file"
    else ok writer_dies; fi
}
writer_dies

finish
