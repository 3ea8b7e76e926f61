#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Ctrl-C and kill -9 of the coordinator in every phase. A stage is held at a
# crash point (stopped), so that the phase is certain; then the coordinator is
# interrupted or killed, nobody is left, and the next run gives the same bytes.
# And run.sh: it dies and everybody with it, the coordinator dies and it starts
# it again.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 5
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

finish_it() { # name: the next run gives the bytes
    local rc=0
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc of the second run"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$1" "other bytes"
    elif [[ -e $work/.o.mkv.reelmill ]]; then not_ok "$1" "the parts were left"
    else ok "$1"; fi
}

hold() { # point:hit: starts a run whose stage stops there
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=$1:19 start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --decoders 1 --aggregators 1
    wait_for 20 grep -qs "crash point \"${1%%:*}\"" "$work/bg.err" && return
    kill -9 $coordinator
    return 1
}

interrupted() { # point:hit
    local name=interrupt_${1%%:*} rc=0 t0
    hold "$1" || { not_ok "$name" "the point was not reached"; return; }
    t0=${EPOCHREALTIME/[.,]/}
    kill -INT $coordinator
    wait $coordinator || rc=$?
    local ms=$(((${EPOCHREALTIME/[.,]/} - t0) / 1000))
    if ((rc != 130)); then not_ok "$name" "exit code $rc"
    elif ((ms > 3000 * slow)); then not_ok "$name" "it took $ms ms"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    elif [[ -e $work/o.mkv ]]; then not_ok "$name" "there is an output"
    else finish_it "$name"; fi
}

killed() { # point:hit
    local name=kill_coordinator_${1%%:*} pids
    hold "$1" || { not_ok "$name" "the point was not reached"; return; }
    mapfile -t pids < <(pgrep -P $coordinator)
    kill -9 $coordinator
    wait $coordinator 2>/dev/null
    if ! wait_for 2 all_gone "${pids[@]}"; then not_ok "$name" "lived on: $(ps -o pid,stat,comm -p "${pids[*]}")"
    elif ! nothing_left 6; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else finish_it "$name"; fi
}

for point in worker.start:1 decoder.start:1 decoder.scan:20 decoder.mid_slot:3 worker.before_run:60 worker.before_done:125 \
    aggregator.before_taken:60 aggregator.before_commit:2 aggregator.mid_mux:1 aggregator.before_publish:1; do
    interrupted $point
    killed $point
done

# Interrupted again while it resumes.
again() {
    local name=interrupt_resume rc=0
    hold aggregator.before_publish:1 || { not_ok $name "the point was not reached"; return; }
    kill -INT $coordinator
    wait $coordinator
    REELMILL_CRASH=aggregator.verify:2:19 start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --aggregators 1
    wait_for 20 grep -qs 'crash point "aggregator.verify"' "$work/bg.err" || { kill -9 $coordinator; not_ok $name "no part was verified"; return; }
    kill -INT $coordinator
    wait $coordinator || rc=$?
    if ((rc != 130)); then not_ok $name "exit code $rc"; return; fi
    finish_it $name
}
again

# ---- run.sh -------------------------------------------------------------------

make_home
# The worker stops at frame 105, when two of three segments are committed: so the next coordinator's worker has too few
# frames left to stop there again.
start_runsh() {
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill" "$work/bg.err"
    set -m # else it would be started with SIGINT ignored
    REELMILL_CRASH=worker.before_done:105:19 "$runsh" --backend sim --progress off --segment_seconds 2 "$work/a.mp4" -o "$work/o.mkv" \
        --gpu_num 1 --lanes 1 >"$work/bg.out" 2>"$work/bg.err" </dev/null &
    runner=$!
    set +m
    if wait_for 20 grep -qs 'crash point "worker.before_done"' "$work/bg.err"; then
        coordinator=$(children $runner coordinator)
        [[ -n $coordinator ]] && return
    fi
    kill -9 $runner
    return 1
}

runsh_killed() { # run.sh dies: everybody ends within a second, and what is done is kept
    local name=kill_run.sh pids
    start_runsh || { not_ok $name "it did not start"; return; }
    mapfile -t pids < <(pgrep -P "$coordinator")
    pids+=("$coordinator")
    kill -9 $runner
    wait $runner 2>/dev/null
    if ! wait_for 3 all_gone "${pids[@]}"; then not_ok $name "lived on: $(ps -o pid,stat,comm -p "${pids[*]}")"
    elif ! nothing_left 4; then not_ok $name "left: $(ls "$XDG_RUNTIME_DIR")"
    else finish_it $name; fi
}
runsh_killed

coordinator_killed() { # run.sh starts it again, with resume
    local name=run.sh_restarts rc=0
    start_runsh || { not_ok $name "it did not start"; return; }
    kill -9 "$coordinator"
    wait $runner || rc=$?
    if ((rc)); then not_ok $name "exit code $rc"
    elif ! grep -q "restarting it" "$work/bg.err"; then not_ok $name "nothing was said"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok $name "other bytes"
    elif ! nothing_left; then not_ok $name "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok $name; fi
}
coordinator_killed

runsh_interrupted() {
    local name=run.sh_interrupt rc=0
    start_runsh || { not_ok $name "it did not start"; return; }
    kill -INT $runner
    wait $runner || rc=$?
    if ((rc != 130)); then not_ok $name "exit code $rc"
    elif ! nothing_left; then not_ok $name "left: $(ls "$XDG_RUNTIME_DIR")"
    else finish_it $name; fi
}
runsh_interrupted
finish
