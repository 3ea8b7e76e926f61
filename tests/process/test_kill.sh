#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Any process may die at any time: the bytes are the same, and nothing is left.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 9
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 2 --sim_ms 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

two=(--gpu_num 2 --decoders 2 --aggregators 2)
for point in decoder.scan:1:9 decoder.mid_slot:1:11 decoder.mid_slot:40:9 decoder.before_decoded:20:6 \
    decoder.before_lane_end:1:9 worker.before_run:1:9 worker.before_run:20:6 worker.mid_slot:15:9 worker.mid_slot:30:11 \
    worker.before_done:25:9 worker.untold:4:9 'worker.before_done:20*:9' aggregator.before_taken:30:9 aggregator.before_taken:1:11 \
    aggregator.before_commit:1:9 aggregator.after_rename:1:9 aggregator.mid_mux:1:6 aggregator.before_publish:1:9; do
    crash_at "$point" "${two[@]}"
done

# Killed from outside, again and again.
kill_many worker 4 "${two[@]}"
kill_many decoder 3 "${two[@]}"
kill_many aggregator 3 "${two[@]}"

# Several die while the coordinator does not look: it sees all these deaths at
# once, and each is one restart.
at_once() { # name stages...
    local rc=0 name=$1 stage restarts pids=()
    shift
    rm -f "$work/o.mkv"
    start "$work/a.mp4" -o "$work/o.mkv" --sim_ms $((4 * cost)) "${two[@]}" --lanes 3 --report "$work/r.json"
    wait_for 10 test -e "$work/.o.mkv.reelmill/journal"
    kill -STOP "$coordinator"
    for stage; do mapfile -t -O ${#pids[@]} pids < <(children "$coordinator" "$stage" 2); done
    kill -9 "${pids[@]}" 2>/dev/null && wait_for 10 all_gone "${pids[@]}" || rc=7
    kill -CONT "$coordinator"
    wait "$coordinator" || rc=$?
    ((rc != 7)) || return
    check "$name" $rc
    restarts=$(grep -o '"restarts": 1' "$work/r.json" | wc -l)
    ((restarts == 2 * $#)) || not_ok "$name restarts" "$restarts processes were started again, $((2 * $#)) had died"
}
in_time at_once_workers "too late" at_once at_once_workers worker
in_time at_once_all "too late" at_once at_once_all aggregator worker decoder

# Stopped just before it commits, while its decoder dies: another writes the
# segment, and what the first one says when it goes on is of a time gone by.
late='' part='' # the stopped process and its first file
stopped_writer() {
    late=$(pgrep -P "$coordinator" -x aggregator -r T) && part=$(compgen -G "$work/.o.mkv.reelmill/segment-*.part.$late.tmp" | head -n 1)
}
late_commit() {
    local rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH='aggregator.0/aggregator.before_commit:1:19' start "$work/a.mp4" -o "$work/o.mkv" --sim_ms $((4 * cost)) "${two[@]}" \
        --lanes 3 --hang_seconds 30
    wait_for 10 stopped_writer || part=
    # shellcheck disable=SC2046 # two numbers
    kill -9 $(children $coordinator decoder 2) 2>/dev/null
    [[ -n $part ]] && wait_for 10 test -e "${part%".$late.tmp"}"
    kill -CONT "$late" 2>/dev/null || rc=7
    wait $coordinator || rc=$?
    [[ -n $part ]] && ((rc != 7)) || return
    check late_commit $rc
}
in_time late_commit "nobody was stopped before a commit" late_commit

# A process that is stopped makes no progress: it is replaced.
stopped() {
    local name=stopped_$1 rc=0
    rm -f "$work/o.mkv"
    start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms $((4 * cost)) --hang_seconds 1
    wait_for 10 test -e "$work/.o.mkv.reelmill/journal"
    kill -STOP "$(children $coordinator "$1")" 2>/dev/null
    wait $coordinator || rc=$?
    grep -q "is stopped by a signal and makes no progress: killed" "$work/bg.err" || return
    check "$name" $rc
}
in_time stopped_worker "nothing was killed" stopped worker
in_time stopped_decoder "nothing was killed" stopped decoder
in_time stopped_aggregator "nothing was killed" stopped aggregator

# It cannot start, or crashes at once each time: an end with a reason, soon.
hopeless() {
    local rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH='worker.before_run:1*:6' reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 || rc=$?
    if ((rc != 1)); then not_ok hopeless "exit code $rc"
    elif ! grep -q "could not keep worker 0 running" "$work/err"; then not_ok hopeless "no reason was given"
    elif ! nothing_left; then not_ok hopeless "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok hopeless; fi
}
hopeless

# One crash at a frame that was tried alone, and one try allowed: it is filled in, and said.
poison() {
    local rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH='worker.before_run:1:6' reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --poison_tries 1 --report "$work/r.json" || rc=$?
    if ((rc != 3)); then not_ok poison "exit code $rc"
    elif [[ $(frames "$work/o.mkv") != 225 ]]; then not_ok poison "$(frames "$work/o.mkv") frames of 225"
    elif ! grep -q '"out": 225, "quarantined": 1' "$work/r.json"; then not_ok poison "report: $(grep '"frames": {' "$work/r.json")"
    elif ! nothing_left; then not_ok poison "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok poison; fi
    rc=0
    REELMILL_CRASH='worker.before_run:1:9' reel "$work/a.mp4" -o "$work/o.mkv" -y --gpu_num 1 --poison_tries 1 || rc=$?
    check poison_not_by_a_kill $rc
    rc=0
    REELMILL_CRASH='worker.before_run:1:6' reel "$work/a.mp4" -o "$work/f.mkv" --gpu_num 1 --poison_tries 1 --poison fail || rc=$?
    if ((rc != 1)); then not_ok poison_fail "exit code $rc"
    elif ! grep -q "frame 0 of segment 0 crashed a process" "$work/err"; then not_ok poison_fail "no reason was given"
    else ok poison_fail; fi
}
poison

# Sixty pictures wait in the encoder until the end of the segment: their packets are progress, however long
# all of them take.
clip "$work/long.mkv" 2.4 -vf scale=640:480,noise=alls=40:allf=t -c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p
rc=0
reel "$work/long.mkv" -o "$work/flushed.mkv" -y --hang_seconds 1 --encoder_opts preset=slow:rc-lookahead=60:b_strategy=0:bf=0:crf=10 || rc=$?
if ((rc)); then not_ok long_flush "exit code $rc: $(cat "$work/err")"
elif grep -q "no progress" "$work/err"; then not_ok long_flush "$(cat "$work/err")"
elif [[ $(frames "$work/flushed.mkv") != 60 ]]; then not_ok long_flush "$(frames "$work/flushed.mkv") frames of 60"
else ok long_flush; fi


# Somebody cleans up: the run directory is removed (as a login's XDG_RUNTIME_DIR is at logout), its parent
# with it, or only the socket. Processes that die afterwards are replaced as ever.
cleaned_up() { # name, what is removed
    local name=cleaned_up_$1 rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH=aggregator.before_publish:1:19 start "$work/a.mp4" -o "$work/o.mkv" --sim_ms 1
    wait_for 20 grep -qs 'crash point "aggregator.before_publish"' "$work/bg.err" || not_ok "$name" "it did not come so far"
    eval "rm -rf $2"
    if ! wait_for 20 grep -qs 'was removed by somebody' "$work/bg.err"; then
        not_ok "$name" "nobody noticed"
        kill -9 "$coordinator"
        mkdir -m 700 "$XDG_RUNTIME_DIR" 2>/dev/null
        return
    fi
    pkill -9 -P "$coordinator" -x 'decoder|worker|aggregator'
    wait "$coordinator" || rc=$?
    mkdir -m 700 "$XDG_RUNTIME_DIR" 2>/dev/null
    if compgen -G "/tmp/reelmill-$coordinator-*" >/dev/null; then not_ok "$name" "left a directory in /tmp"; else check "$name" "$rc"; fi
}
cleaned_up socket "$XDG_RUNTIME_DIR/reelmill-*/bus"
cleaned_up directory "$XDG_RUNTIME_DIR/reelmill-*"
cleaned_up parent "$XDG_RUNTIME_DIR"

# XDG_RUNTIME_DIR takes no more files: /tmp does.
rc=0
if ((EUID == 0)) && unshare -m true 2>/dev/null; then
    # shellcheck disable=SC2016
    unshare -m bash -c 'mount -t tmpfs -o nr_inodes=1 none "$XDG_RUNTIME_DIR" && exec "$@"' _ \
        "$bin/coordinator" --backend sim --progress off "$work/a.mp4" -o null: >"$work/out" 2>"$work/err" </dev/null || rc=$?
    if ((rc)); then not_ok full_run_dir "exit code $rc"; else ok full_run_dir; fi
else skip full_run_dir "only root can mount"; fi

# A guard that is stopped does not keep the run from ending.
rc=0
is_over() { [[ ! -e /proc/$coordinator/exe ]]; }
has_guard() { guard=$(pgrep -P "$coordinator" -x reelmill-guard); }
start "$work/a.mp4" -o null: --sim_ms 5
wait_for 20 has_guard && kill -STOP "$guard"
wait_for 40 is_over || kill -9 "$coordinator" "$guard"
wait "$coordinator" || rc=$?
if ((rc)); then not_ok stopped_guard "exit code $rc"
elif ! nothing_left; then not_ok stopped_guard "left: $(ls "$XDG_RUNTIME_DIR")"
else ok stopped_guard; fi

# Without an output nothing can be resumed, and so nothing is written that could be missed.
rc=0
REELMILL_CRASH=decoder.scan:1:19 start "$work/a.mp4" -o null:
wait_for 20 grep -qs 'crash point "decoder.scan"' "$work/bg.err" || not_ok cleaned_up_null "it did not come so far"
rm -rf "$XDG_RUNTIME_DIR"/reelmill-*
wait_for 20 grep -qs 'was removed by somebody' "$work/bg.err" || not_ok cleaned_up_null "nobody noticed"
pkill -9 -P "$coordinator" -x decoder
wait "$coordinator" || rc=$?
if ((rc)); then not_ok cleaned_up_null "exit code $rc"
elif ! nothing_left; then not_ok cleaned_up_null "left: $(ls "$XDG_RUNTIME_DIR")"
else ok cleaned_up_null; fi
finish
