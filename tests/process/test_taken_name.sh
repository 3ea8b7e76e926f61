#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A file that somebody else puts at the output's name during a run, or between two runs: it is
# never replaced without -y, the result is kept and named; and a process or the whole run that
# dies right after it has published knows its own file again.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 4
for name in mkv mp4 gif md5; do
    reel "$work/a.mp4" -o "$work/want.$name" --gpu_num 1 || not_ok reference "exit code $?"
done

# Runs up to just before the output gets its name.
held() { # point, args...
    local at=$1
    shift
    rm -rf "$work"/o.* "$work"/.o.*.reelmill
    REELMILL_CRASH=$at:1:19 start "$work/a.mp4" --gpu_num 1 --aggregators 1 "$@"
    wait_for 30 grep -qs "crash point \"$at\"" "$work/bg.err"
}
go_on() { # its exit code is $rc
    rc=0
    kill -CONT "$(children "$coordinator" aggregator)"
    wait "$coordinator" || rc=$?
}

put_during_the_run() { # NAME, POINT, EXTENSION
    local ext=$3 name=$1
    held "$2" -o "$work/o.$ext" --report "$work/r.json" --progress plain || { not_ok "$name" "it did not come so far"; return; }
    echo precious >"$work/o.$ext"
    echo precious too >"$work/o.2.$ext"
    go_on
    if ((rc != 3)); then not_ok "$name" "exit code $rc"
    elif [[ $(<"$work/o.$ext") != precious || $(<"$work/o.2.$ext") != "precious too" ]]; then not_ok "$name" "it was replaced"
    elif [[ $(sum "$work/o.3.$ext") != $(sum "$work/want.$ext") ]]; then not_ok "$name" "the result is not there"
    elif ! grep -q "o.$ext\" was made by somebody else during the run .* the result is \".*/o.3.$ext\"" "$work/bg.err"; then
        not_ok "$name" "not said: $(<"$work/bg.err")"
    elif ! grep -q "^done, under another name" "$work/bg.err"; then not_ok "$name" "$(tail -n 1 "$work/bg.err")"
    elif ! grep -q "\"output\": \".*/o.3.$ext\", \"status\": \"done\"" "$work/r.json"; then not_ok "$name" "not in the report"
    elif [[ -e $work/.o.$ext.reelmill ]]; then not_ok "$name" "parts are left"
    else ok "$name"; fi
}
put_during_the_run put_video aggregator.before_publish mkv
put_during_the_run put_mp4 aggregator.before_publish mp4
put_during_the_run put_gif aggregator.before_publish gif
put_during_the_run put_text aggregator.before_taken md5 # of a frame: long before the end

replaced_with_y() {
    held aggregator.before_publish -o "$work/o.mkv" -y || { not_ok replaced_with_y "it did not come so far"; return; }
    echo old >"$work/o.mkv"
    go_on
    if ((rc)); then not_ok replaced_with_y "exit code $rc"
    elif [[ $(sum "$work/o.mkv") != $(sum "$work/want.mkv") ]]; then not_ok replaced_with_y "it was not replaced"
    else ok replaced_with_y; fi
}
replaced_with_y

# A link that leads nowhere is no file: it was there before, and is replaced as it always was.
dangling_link() {
    local rc=0
    rm -rf "$work"/o.* "$work"/.o.*.reelmill
    ln -s nowhere/at/all "$work/o.mkv"
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 || rc=$?
    if ((rc)); then not_ok dangling_link "exit code $rc"
    elif [[ -L $work/o.mkv || $(sum "$work/o.mkv") != $(sum "$work/want.mkv") ]]; then not_ok dangling_link "not replaced"
    else ok dangling_link; fi
}
dangling_link

# A file that appears between a run that was interrupted and the same command is not replaced.
put_between_runs() {
    local rc=0
    held aggregator.before_publish -o "$work/o.mkv" || { not_ok put_between_runs "it did not come so far"; return; }
    kill -9 "$coordinator"
    nothing_left 5 || true
    echo precious >"$work/o.mkv"
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 || rc=$?
    if ((rc != 2)) || ! grep -q "it exists, and the interrupted run did not write it" "$work/err"; then
        not_ok put_between_runs "exit code $rc"
    elif [[ $(<"$work/o.mkv") != precious ]]; then not_ok put_between_runs "it was replaced"
    else
        rc=0
        reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 -y --report "$work/r.json" || rc=$?
        if ((rc)) || [[ $(sum "$work/o.mkv") != $(sum "$work/want.mkv") ]]; then not_ok put_between_runs "with -y: exit code $rc"
        elif ! grep -A 1 '"worker": \[' "$work/r.json" | grep -q '"frames": 0,'; then not_ok put_between_runs "frames were done again"
        else ok put_between_runs; fi
    fi
}
put_between_runs

# It has its name, and nobody has heard: the file there is our own.
died_published() { # NAME, EXTENSION
    local rc=0
    rm -rf "$work"/o.* "$work"/.o.*.reelmill
    REELMILL_CRASH=aggregator.published:1:9 reel "$work/a.mp4" -o "$work/o.$2" --gpu_num 1 --aggregators 1 --log_level info || rc=$?
    if ((rc)); then not_ok "$1" "exit code $rc"
    elif ! grep -q "restarting it" "$work/err"; then not_ok "$1" "nobody died"
    elif [[ $(sum "$work/o.$2") != $(sum "$work/want.$2") ]]; then not_ok "$1" "other bytes"
    elif compgen -G "$work/*o.2.*" >/dev/null; then not_ok "$1" "it took its own file for somebody else's"
    else ok "$1"; fi
}
died_published died_published mkv
died_published died_published_mp4 mp4
died_published died_published_text md5

killed_published() {
    local rc=0
    held aggregator.published -o "$work/o.mp4" || { not_ok killed_published "it did not come so far"; return; }
    kill -9 "$coordinator"
    nothing_left 5 || true
    reel "$work/a.mp4" -o "$work/o.mp4" --gpu_num 1 || rc=$?
    if ((rc)) || [[ $(sum "$work/o.mp4") != $(sum "$work/want.mp4") ]]; then not_ok killed_published "exit code $rc"
    elif [[ $(echo "$work"/o.* "$work"/.o.*) != "$work/o.mp4 $work/.o.*" ]]; then not_ok killed_published "left: $(ls -A "$work")"
    else ok killed_published; fi
}
killed_published

finish
