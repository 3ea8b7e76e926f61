# SPDX-License-Identifier: MIT
#
# What the process tests share: the binaries, a folder of their own, clips, and
# the lines that tests/run counts. Source it first.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/noise.bash
. "$root/tests/noise.bash"
bin=${REELMILL_BUILD:-$root/build/release}
work=$(mktemp -d "${TMPDIR:-/tmp}/reelmill-test.XXXXXX")
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
unset REELMILL_CRASH REELMILL_PARENT
failed=0
trap 'rm -rf "$work"' EXIT
slow=${REELMILL_TEST_SLOW:-1} # times are so many times longer: under sanitizers

ok() { printf 'ok - %s\n' "$1"; }
not_ok() { # name why...
    printf 'not ok - %s\n' "$1"
    printf '%s: %s\n' "$1" "${*:2}" >&2
    local file
    for file in "$work/err" "$work/bg.err"; do [[ -s $file ]] && tail -n 8 "$file" | sed 's/^/    /' >&2; done
    failed=1
}
skip() { printf 'ok - %s # SKIP %s\n' "$1" "$2"; }
finish() { exit "$failed"; }

# Skips the whole program.
need_ffmpeg() {
    command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null && return
    skip "$(basename "$0" .sh)" "no ffmpeg on this machine"
    exit 0
}

# clip FILE SECONDS [ffmpeg output options]: moving pictures with a number in each frame.
clip() {
    local file=$1 seconds=$2
    shift 2
    (($#)) || set -- -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p
    ffmpeg -v error -y -f lavfi -i "testsrc2=s=160x120:r=25:d=$seconds" "$@" "$file" </dev/null
}

# reel ARGS...: runs the coordinator with simulated workers; output in $work/out, $work/err.
reel() {
    timeout --kill-after=5 "$((${limit:-60} * slow))" "$bin/coordinator" --backend sim --progress off --segment_seconds 2 "$@" \
        >"$work/out" 2>"$work/err" </dev/null
}

# start ARGS...: the same in the background; its output in $work/bg.err, its process in $coordinator.
start() {
    rm -f "$work/bg.err" # nobody waits for a line of the run before
    "$bin/coordinator" --backend sim --progress off --segment_seconds 2 "$@" >"$work/bg.out" 2>"$work/bg.err" </dev/null &
    # shellcheck disable=SC2034 # its callers use it
    coordinator=$!
}

# model_refused NAME TEXT [options]: a run of $work/a.mkv ends with exit code 2 and says the text.
model_refused() {
    local rc=0 name=$1 text=$2
    shift 2
    reel "$work/a.mkv" -o "$work/no.mkv" --backend onednn "$@" || rc=$?
    if ((rc != 2)); then not_ok "$name" "exit code $rc"
    elif ! grep -q -- "$text" "$work/err"; then not_ok "$name" "$(tail -n 3 "$work/err")"
    else ok "$name"; fi
}

sum() { sha256sum <"$1" | cut -c1-64; }
frames() { ffprobe -v error -count_packets -select_streams v:0 -show_entries stream=nb_read_packets -of csv=p=0 "$1" | tr -d ,; }
# Parent, name. Of a coordinator's workers not the one that only asks for GPUs, at the start.
children() {
    local pattern=(-x "$2")
    [[ $2 == coordinator ]] || pattern=(-f "^$2 --child ")
    pgrep -P "$1" "${pattern[@]}" | head -n "${3:-1}"
}

pause() { read -rt "$1" <> <(:) || true; } # seconds, without a process

# wait_for SECONDS COMMAND...: polls until it holds.
wait_for() {
    local until=$((${EPOCHREALTIME/[.,]/} + $1 * slow * 1000000))
    shift
    while ! "$@"; do
        ((${EPOCHREALTIME/[.,]/} < until)) || return 1
        pause 0.02
    done
}

# in_time NAME WHY COMMAND...: what is tried on a run must meet it while it
# lasts. The command returns 1 when it came too late, and is called again with
# frames that cost more ($cost, in ms).
in_time() {
    local name=$1 why=$2
    shift 2
    for cost in 1 8 40; do "$@" && return; done
    not_ok "$name" "$why"
}

# Kills processes of a stage of $coordinator, one after the other; false when it
# ended before all were.
kill_again_and_again() { # stage times
    local killed=0 pid
    while ((killed < $2)) && ! gone "$coordinator"; do
        pid=$(children "$coordinator" "$1" 3 | tail -n 1)
        if [[ -n $pid ]] && kill -9 "$pid" 2>/dev/null; then killed=$((killed + 1)); fi
        pause 0.1
    done
    ((killed == $2))
}

# $runsh: run.sh without its sources, as in a bundle: it does not build in the
# middle of a test because somebody has touched one.
make_home() {
    mkdir "$work/home" "$work/home/build" && cp "$root/run.sh" "$work/home/" && ln -s "$root/models" "$root/configs" "$work/home/" &&
        ln -s "$bin" "$work/home/build/release" || exit 1
    unset REELMILL_VARIANT
    # shellcheck disable=SC2034 # its callers use it
    runsh=$work/home/run.sh
}

gone() { # a zombie that nobody reaped yet is gone as well
    local state
    state=$(sed -n 's/^.*) \(.\) .*/\1/p' "/proc/$1/stat" 2>/dev/null)
    [[ -z $state || $state == Z ]]
}
all_gone() { local p; for p; do gone "$p" || return 1; done; }
# What a run may leave behind: no process of ours, no run directory, no shared memory.
no_run_dir() { [[ -z $(ls -A "$XDG_RUNTIME_DIR") ]]; }
no_process() { ! pgrep -f "^(decoder|worker|aggregator) --child .*$XDG_RUNTIME_DIR" >/dev/null; }
no_memory_left() { ! compgen -G '/dev/shm/reelmill-*' >/dev/null; } # a run beside us has one for a moment
nothing_left() { wait_for "${1:-2}" no_run_dir && wait_for 2 no_process && wait_for 2 no_memory_left; }

# ---- the same bytes, whoever dies ----------------------------------------------

want='' # the sum of the right output; set by the tests

# check NAME RC: the run ended well, $work/o.mkv has the sum $want, nothing is left.
check() {
    if (($2)); then not_ok "$1" "exit code $2"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$1" "other bytes"
    elif ! nothing_left 2; then not_ok "$1" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$1"; fi
}

# crash_at POINT:HIT:SIGNAL ARGS...: $work/a.mp4 to $work/o.mkv. A point that is
# never passed would prove nothing: its line must be there.
crash_at() { in_time "crash_$1" "the point was not passed" crash_once "$@"; }
crash_once() {
    local rc=0 at=$1 point=${1%%:*}
    shift
    rm -f "$work/o.mkv"
    REELMILL_CRASH=$at reel "$work/a.mp4" -o "$work/o.mkv" --sim_ms "$cost" "$@" || rc=$?
    grep -q "crash point \"${point#*/}\"" "$work/err" || return
    check "crash_$at" "$rc"
}

# kill_many STAGE TIMES ARGS...: the same run, whose processes of that stage are
# killed from outside, one after the other.
kill_many() { in_time "kill_$1" "too few kills" kill_many_once "$@"; }
kill_many_once() {
    local stage=$1 times=$2 rc=0 all=0
    shift 2
    rm -f "$work/o.mkv"
    start "$work/a.mp4" -o "$work/o.mkv" --sim_ms $((4 * cost)) "$@"
    kill_again_and_again "$stage" "$times" || all=1
    wait $coordinator || rc=$?
    ((all == 0 || rc)) || return
    check "kill_$stage" $rc
}
