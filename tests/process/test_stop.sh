#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Interrupted runs: exit code 130, nothing left but the parts, and a second
# run that goes on and gives the same bytes. The same after kill -9 of the
# coordinator, which also takes everybody with it within a second.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 13
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 2 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")
journal=$work/.o.mkv.reelmill/journal

# At least one segment is committed then, and the job cannot end: whoever comes to publish it is stopped there.
begin() {
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=aggregator.before_publish:1:19 start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 20
    wait_for 20 grep -qs ' SEGMENT ' "$journal" && return
    kill -9 $coordinator
    return 1
}

resume() { # name
    local before rc=0
    before=$(grep -c ' SEGMENT ' "$journal")
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --report "$work/r.json" || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc of the second run"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$1" "other bytes"
    elif ((before < 1)); then not_ok "$1" "nothing was committed before"
    elif [[ -e $work/.o.mkv.reelmill ]]; then not_ok "$1" "the parts were left"
    else ok "$1"; fi
}

signalled() { # signal
    local name=signal_$1 rc=0 t0 ms
    begin || { not_ok "$name" "no segment was committed"; return; }
    t0=${EPOCHREALTIME/[.,]/}
    kill -"$1" $coordinator
    wait $coordinator || rc=$?
    ms=$(((${EPOCHREALTIME/[.,]/} - t0) / 1000))
    if ((rc != 130)); then not_ok "$name" "exit code $rc"; return; fi
    if ((ms > 3000 * slow)); then not_ok "$name" "it took $ms ms"; return; fi
    if ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"; return; fi
    if [[ -e $work/o.mkv ]]; then not_ok "$name" "there is an output"; return; fi
    grep -q "interrupted" "$work/bg.err" || { not_ok "$name" "nothing was said"; return; }
    resume "$name"
}
signalled INT
signalled TERM
signalled HUP

# As nohup starts it: a terminal that closes ends nothing.
ignored_hup() {
    local rc=0
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    trap '' HUP
    start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 2
    trap - HUP
    wait_for 20 pgrep -P $coordinator -x aggregator >/dev/null || not_ok ignored_hup "it did not start"
    kill -HUP $coordinator
    wait $coordinator || rc=$?
    if ((rc)); then not_ok ignored_hup "exit code $rc"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok ignored_hup "other bytes"
    else ok ignored_hup; fi
}
ignored_hup

killed() {
    local pids
    begin || { not_ok killed "no segment was committed"; return; }
    mapfile -t pids < <(pgrep -P $coordinator)
    kill -9 $coordinator
    wait $coordinator 2>/dev/null
    if ! wait_for 2 all_gone "${pids[@]}"; then not_ok killed "lived on: $(ps -o pid,stat,comm -p "${pids[*]}")"; return; fi
    if ! nothing_left; then not_ok killed "left: $(ls "$XDG_RUNTIME_DIR")"; return; fi
    resume killed
}
killed

# At the commit itself.
for point in commit.before_journal:2:9 commit.after_journal:2:9; do
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=$point reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 2 && not_ok "$point" "it did not die"
    resume "crash_$point"
done

damaged_part() {
    begin || { not_ok damaged_part "no segment was committed"; return; }
    kill -INT $coordinator
    wait $coordinator
    local part
    part=$(ls -d "$work"/.o.mkv.reelmill/segment-*.part | head -n 1)
    printf 'x' | dd of="$part" bs=1 seek=100 conv=notrunc status=none
    resume damaged_part
}
damaged_part

other_configuration() {
    begin || { not_ok other_configuration "no segment was committed"; return; }
    kill -INT $coordinator
    wait $coordinator
    local rc=0
    reel "$work/a.mp4" -o "$work/o.mkv" --encoder_opts preset=ultrafast || rc=$?
    if ((rc != 2)); then not_ok other_configuration "exit code $rc"
    elif ! grep -q "another configuration" "$work/err"; then not_ok other_configuration "no reason was given"
    else
        rc=0
        reel "$work/a.mp4" -o "$work/o.mkv" --resume never --gpu_num 2 || rc=$?
        if ((rc)); then not_ok other_configuration "--resume never: exit code $rc"
        elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok other_configuration "--resume never: other bytes"
        else ok other_configuration; fi
    fi
}
other_configuration

# Many inputs: those that were finished are left alone, unless the command or the input is another one.
mkdir "$work/in"
for i in 1 2 3; do clip "$work/in/$i.mp4" 3; done
begin_many() {
    rm -rf "$work/many"
    # Nobody publishes the third before the first is done.
    REELMILL_CRASH=aggregator.before_publish:3:19 start "$work/in" -o "$work/many" --gpu_num 1 --lanes 1 --aggregators 1
    wait_for 60 grep -qs ' DONE ' "$work/many/.reelmill/1.mp4.done"
    kill -INT $coordinator
    wait $coordinator
    [[ -e $work/many/1.mp4 && ! -e $work/many/3.mp4 ]]
}
many_again() { # name, whether 1.mp4 is kept, exit code, arguments...
    local name=$1 kept=$2 code=$3 before rc=0
    shift 3
    before=$(stat -c %i "$work/many/1.mp4")
    reel "$work/in" -o "$work/many" --gpu_num 2 --report "$work/r.json" "$@" || rc=$?
    if ((rc != code)); then not_ok "$name" "exit code $rc"
    elif [[ $kept == yes && $(stat -c %i "$work/many/1.mp4") != "$before" ]]; then not_ok "$name" "the finished one was done again"
    elif [[ $kept == no && $(stat -c %i "$work/many/1.mp4") == "$before" ]]; then not_ok "$name" "the finished one was left"
    elif ((code == 0)) && [[ $(grep -c '"status": "done", "error": null, "frames_in": 75, "frames_out": 75' "$work/r.json") != 3 ]]; then not_ok "$name" "report: $(cat "$work/r.json")"
    elif ((code == 0)) && [[ $(ls -A "$work/many") != $'1.mp4\n2.mp4\n3.mp4' ]]; then not_ok "$name" "left: $(ls -A "$work/many")"
    else ok "$name"; fi
}
if begin_many; then many_again many_resumed yes 0; else not_ok many_resumed "it was not interrupted in the middle"; fi
if begin_many; then
    many_again many_other_configuration yes 1 --encoder_opts preset=ultrafast
    grep -q "another configuration" "$work/err" || not_ok many_other_configuration "no reason was given"
else not_ok many_other_configuration "it was not interrupted in the middle"; fi
if begin_many; then
    touch "$work/in/1.mp4"
    many_again many_newer_input no 0
else not_ok many_newer_input "it was not interrupted in the middle"; fi

# Two runs for one output: the second waits, then names the first.
locked() {
    begin || { not_ok locked "no segment was committed"; return; }
    local rc=0 holder=$coordinator
    kill -STOP $holder
    reel "$work/a.mp4" -o "$work/o.mkv" || rc=$?
    kill -CONT $holder
    kill -INT $holder
    wait $holder
    if ((rc != 2)); then not_ok locked "exit code $rc"
    elif ! grep -q "process $holder is using it" "$work/err"; then not_ok locked "the holder was not named"
    else ok locked; fi
}
locked

# The first ends while the second waits: what it wrote is not replaced without -y.
has_open() { find "/proc/$1/fd" -lname "$2" 2>/dev/null | grep -q .; }
waited_for() {
    begin || { not_ok waited_for "no segment was committed"; return; }
    local first=0 second=0 pid
    "$bin/coordinator" --backend sim --progress off "$work/a.mp4" -o "$work/o.mkv" --pre_filter hflip >"$work/out" 2>"$work/err" </dev/null &
    pid=$!
    wait_for 20 has_open "$pid" "$work/.o.mkv.reelmill/lock" || not_ok waited_for "the second does not wait"
    wait_for 20 grep -qs 'crash point "aggregator.before_publish"' "$work/bg.err" || not_ok waited_for "the first does not publish"
    pkill -CONT -P "$coordinator" -x aggregator
    wait "$coordinator" || first=$?
    wait "$pid" || second=$?
    if ((first || second != 2)); then not_ok waited_for "exit codes $first and $second"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok waited_for "other bytes"
    elif [[ -e $work/.o.mkv.reelmill ]]; then not_ok waited_for "the parts folder was left"
    elif ! grep -q "it exists" "$work/err" && ! grep -q "is using it" "$work/err"; then not_ok waited_for "no reason was given"
    else ok waited_for; fi
}
waited_for

# A directory that a dead run left (its guard was killed as well) is swept.
swept() {
    begin || { not_ok swept "no segment was committed"; return; }
    local pids guard
    mapfile -t pids < <(pgrep -P $coordinator)
    guard=$(for p in "${pids[@]}"; do [[ $(cat "/proc/$p/comm") == reelmill-guard ]] && echo "$p"; done)
    [[ -n $guard ]] || { not_ok swept "there is no guard"; return; }
    kill -9 "$guard" $coordinator
    wait $coordinator 2>/dev/null
    wait_for 5 all_gone "${pids[@]}" || { not_ok swept "lived on: ${pids[*]}"; return; }
    # A thread that is still exiting may hold the lock.
    wait_for 5 flock -n "$(echo "$XDG_RUNTIME_DIR"/reelmill-*/lock)" true
    if no_run_dir; then not_ok swept "nothing was left to sweep"; return; fi
    "$bin/coordinator" --gc >"$work/out"
    if ! no_run_dir; then not_ok swept "--gc left $(ls "$XDG_RUNTIME_DIR")"
    elif ! grep -q "removed 1 leftover" "$work/out"; then not_ok swept "it said: $(cat "$work/out")"
    else ok swept; fi
}
swept

# The same where nobody asks for the coordinator's exit code, as in a container whose first
# process is no init: the dead one keeps its number.
unreaped() {
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=aggregator.before_publish:1:19 bash -c '"$@" & exec sleep 600' - \
        "$bin/coordinator" --backend sim --progress off --segment_seconds 2 "$work/a.mp4" -o "$work/o.mkv" >"$work/bg.out" 2>"$work/bg.err" </dev/null &
    local parent=$! dead pids guard
    wait_for 20 grep -qs ' SEGMENT ' "$journal" || not_ok unreaped "no segment was committed"
    dead=$(children "$parent" coordinator)
    mapfile -t pids < <(pgrep -P "$dead")
    guard=$(for p in "${pids[@]}"; do [[ $(cat "/proc/$p/comm") == reelmill-guard ]] && echo "$p"; done)
    kill -9 "$guard" "$dead"
    wait_for 5 all_gone "$dead" "${pids[@]}" || not_ok unreaped "lived on: $dead ${pids[*]}"
    wait_for 5 flock -n "$(echo "$XDG_RUNTIME_DIR"/reelmill-*/lock)" true
    [[ -e /proc/$dead ]] || not_ok unreaped "somebody asked for its exit code"
    "$bin/coordinator" --gc >"$work/out"
    kill "$parent"
    wait "$parent" 2>/dev/null
    if no_run_dir; then ok unreaped; else not_ok unreaped "--gc left $(ls "$XDG_RUNTIME_DIR")"; fi
}
unreaped
finish
