#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --live: files at their own pace, pipes, addresses; frames that are dropped because
# the model is too slow, and none when it is not; deaths in the middle; Ctrl-C as an
# end. Sums and states are looked at, and lower bounds of times: a loaded machine may
# take longer for anything.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

ffmpeg -v error -y -f lavfi -i "testsrc2=s=160x120:r=25:d=3" -f lavfi -i "sine=frequency=440:duration=3" -map 0 -map 1 \
    -c:v libx264 -preset ultrafast -g 25 -bf 0 -pix_fmt yuv420p -c:a aac "$work/a.mp4" </dev/null
ffmpeg -v error -y -i "$work/a.mp4" -c copy "$work/a.ts" </dev/null
patient=(--live --gpu_num 2 --sim_ms 1 --latency_ms 30000) # nothing is dropped, however slow the machine
report=$work/r.json

number() { sed -n "s/.*\"frames\": {.*\"$1\": \([0-9]*\).*/\1/p" "$report"; } # in, out, dropped
word() { sed -n "s/.*\"$1\": \([^,}]*\).*/\1/p" "$report" | head -n 1; }
times() { ffprobe -v error -select_streams v:0 -show_entries frame=pts_time -of csv=p=0 "$1" | tr -d , | grep .; }

# adds_up NAME: in = out + dropped, and the file has what is said.
adds_up() {
    local in out dropped
    in=$(number in) out=$(number out) dropped=$(number dropped)
    if [[ -z $in ]] || ((in != out + dropped)); then not_ok "$1" "in $in, out $out, dropped $dropped"
    elif [[ -n ${2-} && $(frames "$2" | head -n 1) != "$out" ]]; then not_ok "$1" "$(frames "$2") frames in the file, $out were said"
    elif ! nothing_left 3; then not_ok "$1" "left: $(ls "$XDG_RUNTIME_DIR")"
    else return 0; fi
    return 1
}

# ---- files ----------------------------------------------------------------------

paced() { # extension
    local rc=0 name=paced_$1 out=$work/paced.$1
    reel "${patient[@]}" "$work/a.mp4" -o "$out" --report "$report" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! adds_up "$name" "$out"; then return
    elif (($(number out) != 75 || $(number dropped) != 0)); then not_ok "$name" "out $(number out), dropped $(number dropped)"
    elif ! awk "BEGIN { exit !($(word wall_s) > 2.8) }"; then not_ok "$name" "75 frames in $(word wall_s) s"
    elif [[ $(times "$out" | head -n 1) != 0.000000 && $1 != ts ]]; then not_ok "$name" "begins at $(times "$out" | head -n 1)"
    elif [[ $(ffprobe -v error -select_streams a -show_entries stream=codec_name -of csv=p=0 "$out" | head -n 1) != aac ]]; then not_ok "$name" "no sound"
    elif [[ $(word kept) == *lost* || -e $work/.paced.$1.reelmill ]]; then not_ok "$name" "not all kept, or parts left"
    else ok "$name"; fi
}
paced mkv
paced mp4
paced ts

# A model that takes four times as long as there is: most frames must go, and those
# that stay have the times that they had.
late() {
    local rc=0
    reel --live --gpu_num 1 --sim_ms 160 --latency_ms 200 "$work/a.mp4" -o "$work/late.mkv" --report "$report" --progress plain || rc=$?
    if ((rc)); then not_ok late "exit code $rc"
    elif ! adds_up late "$work/late.mkv"; then return
    elif (($(number in) != 75 || $(number dropped) < 45 || $(number out) < 3)); then not_ok late "in $(number in), dropped $(number dropped)"
    elif ! grep -q "frames were dropped because" "$work/err"; then not_ok late "nothing was said"
    elif [[ $(word dropped) == 0 ]] || ! grep -q '"latency_ms": {"median": [0-9.]*[1-9]' "$report"; then not_ok late "no latency"
    elif comm -13 <(times "$work/a.mp4" | sort) <(times "$work/late.mkv" | sort) | grep -q .; then not_ok late "times that the input has not"
    else ok late; fi
}
late

# Lines of JSON are there as the frames are, one each.
lines() {
    local rc=0
    reel "${patient[@]}" "$work/a.mp4" -o "$work/lines.md5" --report "$report" || rc=$?
    if ((rc)); then not_ok lines "exit code $rc"
    elif ! adds_up lines; then return
    elif (($(grep -vc '^#' "$work/lines.md5") != 75)); then not_ok lines "$(grep -vc '^#' "$work/lines.md5") lines"
    else ok lines; fi
}
lines

# ---- pipes ----------------------------------------------------------------------

standard_input() {
    local rc=0
    timeout --kill-after=5 $((60 * slow)) "$bin/coordinator" --backend sim --progress off "${patient[@]}" - -o "$work/pipe.mkv" \
        --report "$report" <"$work/a.ts" >"$work/out" 2>"$work/err" || rc=$?
    if ((rc)); then not_ok standard_input "exit code $rc"
    elif ! adds_up standard_input "$work/pipe.mkv"; then return
    elif (($(number out) != 75)); then not_ok standard_input "out $(number out)"
    else ok standard_input; fi
}
standard_input

# A stream without timestamps: one frame after the other.
raw_stream() {
    local rc=0
    ffmpeg -v error -y -i "$work/a.mp4" -c copy "$work/a.h264" </dev/null
    timeout --kill-after=5 $((60 * slow)) "$bin/coordinator" --backend sim --progress off "${patient[@]}" - -o "$work/raw.mkv" \
        --report "$report" <"$work/a.h264" >"$work/out" 2>"$work/err" || rc=$?
    if ((rc)); then not_ok raw_stream "exit code $rc"
    elif ! adds_up raw_stream "$work/raw.mkv"; then return
    elif [[ $(number out) != 75 || $(times "$work/raw.mkv" | tail -n 1) != 2.960000 ]]; then
        not_ok raw_stream "out $(number out), the last at $(times "$work/raw.mkv" | tail -n 1)"
    else ok raw_stream; fi
}
raw_stream

# A data track whose packets lie anywhere in time does not hold up the pictures: only
# the video's times are looked at. Here the sound is two seconds late.
late_sound() {
    local rc=0
    ffmpeg -v error -y -i "$work/a.mp4" -itsoffset 2 -i "$work/a.mp4" -map 0:v -map 1:a -c copy -max_interleave_delta 1 "$work/apart.mkv" </dev/null
    reel "${patient[@]}" "$work/apart.mkv" -o "$work/apart_out.mkv" --report "$report" || rc=$?
    if ((rc)); then not_ok late_sound "exit code $rc"
    elif ! adds_up late_sound "$work/apart_out.mkv"; then return
    elif (($(number out) != 75)); then not_ok late_sound "out $(number out)"
    else ok late_sound; fi
}
late_sound

# A FIFO is waited for, and is not lost with the decoder that read it.
fifo() {
    local rc=0 writer
    mkfifo "$work/fifo"
    start "${patient[@]}" "$work/fifo" -o "$work/fifo.mkv" --report "$report" --metrics 127.0.0.1:0
    wait_for 20 children $coordinator decoder >/dev/null
    ffmpeg -v error -re -i "$work/a.mp4" -c copy -f mpegts - >"$work/fifo" </dev/null &
    writer=$!
    wait_for 20 test -s "$work/fifo.mkv" || not_ok fifo "no output begins"
    kill -9 "$(children $coordinator decoder)"
    wait $coordinator || rc=$?
    wait $writer || { not_ok fifo "the writer was cut off"; return; }
    if ((rc)); then not_ok fifo "exit code $rc"
    elif ! adds_up fifo "$work/fifo.mkv"; then return
    elif (($(word attempts) != 2)); then not_ok fifo "$(word attempts) attempts"
    else ok fifo; fi
}
fifo

# So early that the next decoder needs the stream's head once more.
fifo_early() { # container crash
    local rc=0 name=fifo_early_$1_${2%%:*} writer
    rm -f "$work/early"
    mkfifo "$work/early"
    ffmpeg -v error -i "$work/a.mp4" -map 0:v -c copy -f "$1" - >"$work/early" </dev/null &
    writer=$!
    REELMILL_CRASH=$2 reel "${patient[@]}" "$work/early" -o "$work/early.mkv" -y --report "$report" || rc=$?
    if ! wait $writer; then not_ok "$name" "the writer was cut off"
    elif ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q 'crash point "decoder' "$work/err"; then not_ok "$name" "the point was not passed"
    elif (($(number out) + $(number dropped) != 75 || $(frames "$work/early.mkv") != $(number out))); then not_ok "$name" "out $(number out), dropped $(number dropped)"
    else ok "$name"; fi
}
for container in nut matroska mpegts; do fifo_early $container decoder.mid_slot:1:9; done
fifo_early nut decoder.opened:1:9

# An .mp4 whose index is at its end.
unreadable_pipe() {
    local rc=0
    timeout --kill-after=5 $((60 * slow)) "$bin/coordinator" --backend sim --progress off --live - -o "$work/no.mkv" \
        <"$work/a.mp4" >"$work/out" 2>"$work/err" || rc=$?
    if ((rc != 1)); then not_ok unreadable_pipe "exit code $rc"
    elif ! grep -q "a pipe needs a format" "$work/err"; then not_ok unreadable_pipe "not said what to do"
    elif [[ -e $work/no.mkv ]]; then not_ok unreadable_pipe "there is an output"
    else ok unreadable_pipe; fi
}
unreadable_pipe

# ---- deaths ---------------------------------------------------------------------

# killed STAGE EXTENSION: in the middle of a file that goes on.
killed() {
    local rc=0 name=killed_$1_$2 out=$work/killed.$2
    rm -f "$work"/killed.*
    start "${patient[@]}" "$work/a.mp4" -o "$out" --report "$report"
    wait_for 20 test -s "$out" || not_ok "$name" "no output begins"
    kill -9 "$(children $coordinator "$1")" || not_ok "$name" "nobody to kill"
    wait $coordinator || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"; return; fi
    # What a dead aggregator had before it is gone; nothing else is.
    if [[ $1 == aggregator ]]; then
        adds_up "$name" || return
        (($(number in) == 75 && $(word attempts) == 2)) || { not_ok "$name" "in $(number in), $(word attempts) attempts"; return; }
    else
        adds_up "$name" "$out" || return
        (($(number out) == 75)) || { not_ok "$name" "out $(number out)"; return; }
    fi
    frames "$out" | grep -q '[1-9]' || { not_ok "$name" "the output cannot be read"; return; }
    if [[ $1 == aggregator && $2 == mkv && ! -s $work/killed.2.mkv ]]; then not_ok "$name" "no second file"; return; fi
    ok "$name"
}
killed decoder mkv
killed worker mkv
killed aggregator mkv
killed aggregator ts

# ---- the end --------------------------------------------------------------------

# An input without end: Ctrl-C finishes the output. It was readable before.
interrupted() { # signal
    local rc=0 name=interrupted_$1 feeder pids
    rm -f "$work/cut.mp4" "$work/endless"
    mkfifo "$work/endless"
    ffmpeg -v error -re -stream_loop -1 -i "$work/a.mp4" -c copy -f mpegts - >"$work/endless" </dev/null &
    feeder=$!
    start "${patient[@]}" "$work/endless" -o "$work/cut.mp4" --report "$report"
    wait_for 20 test -s "$work/cut.mp4" || not_ok "$name" "no output begins"
    readable() { cp "$work/cut.mp4" "$work/now.mp4" && [[ $(frames "$work/now.mp4" 2>/dev/null) =~ ^[0-9]+$ && $(frames "$work/now.mp4" 2>/dev/null) -ge 5 ]]; }
    wait_for 20 readable || not_ok "$name" "it cannot be read while it is written"
    # All get it, as from a terminal or of a service.
    mapfile -t pids < <(pgrep -P $coordinator)
    kill -"$1" $coordinator "${pids[@]}"
    wait $coordinator || rc=$?
    kill $feeder 2>/dev/null
    wait $feeder 2>/dev/null
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! adds_up "$name" "$work/cut.mp4"; then return
    elif [[ $(word status) != '"done"' || $(word attempts) != 1 ]]; then not_ok "$name" "status $(word status), $(word attempts) attempts"
    else ok "$name"; fi
}
interrupted INT
interrupted TERM

# Twice: at once, whatever is not done.
interrupted_twice() {
    local rc=0
    rm -f "$work/cut.mkv"
    REELMILL_CRASH=aggregator.before_taken:5:19 start "${patient[@]}" "$work/a.mp4" -o "$work/cut.mkv"
    wait_for 20 grep -qs 'crash point "aggregator.before_taken"' "$work/bg.err" || not_ok interrupted_twice "it did not come so far"
    kill -INT $coordinator
    pause 0.8
    gone $coordinator && not_ok interrupted_twice "ended at the first signal"
    kill -INT $coordinator
    wait $coordinator || rc=$?
    if ((rc != 130)); then not_ok interrupted_twice "exit code $rc"
    elif ! nothing_left 3; then not_ok interrupted_twice "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok interrupted_twice; fi
}
interrupted_twice

# The coordinator is killed: what was written stays readable, and run.sh does not begin again.
coordinator_killed() {
    local rc=0 shell
    make_home
    rm -f "$work/cut.mkv"
    "$runsh" --backend sim --progress off "${patient[@]}" "$work/a.mp4" -o "$work/cut.mkv" 2>"$work/bg.err" &
    shell=$!
    wait_for 20 test -s "$work/cut.mkv" || not_ok coordinator_killed "no output begins"
    kill -9 "$(pgrep -P $shell -x coordinator)"
    wait $shell || rc=$?
    if ((rc != 137)); then not_ok coordinator_killed "exit code $rc"
    elif ! grep -q "has what had come" "$work/bg.err"; then not_ok coordinator_killed "$(cat "$work/bg.err")"
    elif ! frames "$work/cut.mkv" | grep -q '[1-9]'; then not_ok coordinator_killed "the output cannot be read"
    elif ! nothing_left 3; then not_ok coordinator_killed "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok coordinator_killed; fi
}
coordinator_killed

# ---- addresses ------------------------------------------------------------------

command -v python3 >/dev/null || { skip network "no python3 on this machine"; finish; }

# Servers that are of no use to anybody else: they say their port, and end with the test.
cat >"$work/server.py" <<'P'
import http.server, os, socket, struct, sys, threading, time
what, path = sys.argv[1], sys.argv[2]
data = open(path, "rb").read() if what != "http" else b""
if what == "tcp":
    s = socket.create_server(("127.0.0.1", 0))
    print(s.getsockname()[1], flush=True)
    for turn in range(2):
        c, _ = s.accept()
        c.sendall(data[: len(data) // 2] if turn == 0 else data)
        if turn == 0:  # as a cable that is pulled, when all of it was read
            time.sleep(1)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
else:
    os.chdir(path)
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    print(s.server_address[1], flush=True)
    s.serve_forever()
P
serve() { # what, path: $server, $port
    rm -f "$work/port"
    python3 "$work/server.py" "$1" "$2" >"$work/port" &
    server=$!
    wait_for 20 test -s "$work/port"
    port=$(<"$work/port")
}

# The connection breaks off in the middle and is made again; then the server ends it.
broken_off() {
    local rc=0
    serve tcp "$work/a.ts"
    reel "${patient[@]}" "tcp://127.0.0.1:$port" -o "$work/tcp.mkv" --report "$report" || rc=$?
    kill $server 2>/dev/null
    wait $server 2>/dev/null
    if ((rc != 0 && rc != 3)); then not_ok broken_off "exit code $rc" # 3: a picture was cut in two
    elif ! adds_up broken_off "$work/tcp.mkv"; then return
    elif ! grep -q "broke off (.*): reopening in 0.5 s" "$work/err"; then not_ok broken_off "$(cat "$work/err")"
    elif ! times "$work/tcp.mkv" | sort -nc 2>/dev/null; then not_ok broken_off "times go back"
    elif (($(number out) < 50)); then not_ok broken_off "out $(number out)"
    else ok broken_off; fi
}
broken_off

# A playlist whose pieces come as fast as the network is: at the pace of its times all the same.
playlist() {
    local rc=0
    mkdir -p "$work/www"
    ffmpeg -v error -y -i "$work/a.mp4" -c copy -f hls -hls_time 1 -hls_playlist_type vod "$work/www/a.m3u8" </dev/null
    serve http "$work/www"
    reel "${patient[@]}" "http://127.0.0.1:$port/a.m3u8" -o "$work/hls.mkv" --report "$report" || rc=$?
    if ((rc)); then not_ok playlist "exit code $rc"
    elif ! adds_up playlist "$work/hls.mkv"; then :
    elif (($(number out) != 75)); then not_ok playlist "out $(number out)"
    else ok playlist; fi
    # One that wants a file of this machine.
    printf '#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://%s/a.ts\n#EXT-X-ENDLIST\n' "$work" >"$work/www/bad.m3u8"
    rc=0
    reel "${patient[@]}" "http://127.0.0.1:$port/bad.m3u8" -o "$work/bad.mkv" || rc=$?
    if ((rc != 1)); then not_ok playlist_of_files "exit code $rc"
    elif [[ -e $work/bad.mkv ]]; then not_ok playlist_of_files "there is an output"
    else ok playlist_of_files; fi
    rc=0
    reel "${patient[@]}" "http://127.0.0.1:$port/none.ts" -o "$work/bad.mkv" || rc=$?
    if ((rc != 1)) || ! grep -q "404" "$work/err"; then not_ok missing_page "exit code $rc: $(cat "$work/err")"; else ok missing_page; fi
    kill $server
    wait $server 2>/dev/null
}
playlist

# Passwords, tokens and stream keys are not in what is shown or kept.
secrets() {
    local rc=0
    reel "${patient[@]}" "http://ann:pa55word@127.0.0.1:1/a.ts?token=t0ken" -o "rtmp://127.0.0.1:1/app/5tream" \
        --report "$report" --trace "$work/trace.json" --log_level debug || rc=$?
    if ((rc != 1)); then not_ok secrets "exit code $rc"
    elif ! grep -q "http://ann:\*\*\*@127.0.0.1:1/a.ts?token=\*\*\*" "$work/err"; then not_ok secrets "$(cat "$work/err")"
    elif ! grep -q '"output": "rtmp://127.0.0.1:1/app/\*\*\*"' "$report"; then not_ok secrets "$(cat "$report")"
    elif grep -n "pa55word\|t0ken\|5tream" "$work/out" "$work/err" "$report" "$work/trace.json"; then not_ok secrets "shown"
    else ok secrets; fi
}
secrets

finish
