#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a second run makes of the first one's folder: who still works there,
# frames that were filled in, an output that was cut off, a live run beside --gc.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 5
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

# The coordinator's lock is free, but a child of it lives and holds the run's.
child_lives() {
    local rc=0
    mkdir -p "$work/.o.mkv.reelmill"
    : >"$work/held"
    printf '4711 %s\n' "$work/held" >"$work/.o.mkv.reelmill/lock"
    exec 7>"$work/held"
    flock 7
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 7>&- || rc=$?
    exec 7>&-
    if ((rc != 2)); then not_ok child_lives "exit code $rc"
    elif ! grep -q "process 4711 is using it" "$work/err"; then not_ok child_lives "the holder was not named"
    elif [[ -e $work/o.mkv ]]; then not_ok child_lives "there is an output"
    else
        rc=0
        reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 || rc=$?
        if ((rc)); then not_ok child_lives "exit code $rc when it was gone"
        elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok child_lives "other bytes"
        else ok child_lives; fi
    fi
    rm -f "$work/o.mkv"
}
child_lives

# A frame was filled in and its segment committed; then the coordinator died. The next run still says so.
filled_in() {
    local rc=0
    REELMILL_CRASH='worker.before_run:1:6,commit.after_journal:1:9' \
        reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --lanes 1 --poison_tries 1 && not_ok filled_in "it did not die"
    grep -q ' QUARANTINE ' "$work/.o.mkv.reelmill/journal" || not_ok filled_in "nothing was quarantined"
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --poison_tries 1 --report "$work/r.json" || rc=$?
    if ((rc != 3)); then not_ok filled_in "exit code $rc"
    elif ! grep -q '"out": 125, "quarantined": 1' "$work/r.json"; then not_ok filled_in "report: $(grep '"frames": {' "$work/r.json")"
    else ok filled_in; fi
    rm -f "$work/o.mkv"
}
filled_in

# A frame is filled in as --poison says: by the input's picture, or by the one before.
hashes() { ffmpeg -v error -i "$1" -f framemd5 - </dev/null | sed '/^#/d; s/.*, *//'; }
filled_by() { # policy
    local n i same='' hash
    rm -f "$work/p.mkv"
    REELMILL_CRASH='worker.1/worker.before_run:1:6' reel "$work/a.mkv" -o "$work/p.mkv" --encoder ffv1 --gpu_num 2 --segment_seconds 60 \
        --sim_ms "$cost" --poison_tries 1 --poison "$1"
    n=$(sed -n 's/.* frame \([0-9]*\) of segment 0 crashes a process and is replaced/\1/p' "$work/err")
    ((n > 0)) || return # the first has none before it
    mapfile -t hash < <(hashes "$work/p.mkv")
    for ((i = 1; i < 125; i++)); do
        if [[ $1 == passthrough && ${hash[i]} == "${in_hash[i]}" ]]; then same+=" $i"; fi
        if [[ $1 == repeat && ${hash[i]} == "${hash[i - 1]}" ]]; then same+=" $i"; fi
    done
    if [[ $same == " $n" ]]; then ok "filled_by_$1"; else not_ok "filled_by_$1" "frame $n was filled in, but these are so:${same:- none}"; fi
}
ffmpeg -v error -y -i "$work/a.mp4" -c:v ffv1 "$work/a.mkv" </dev/null
mapfile -t in_hash < <(hashes "$work/a.mkv")
in_time filled_by_passthrough "no frame but the first was filled in" filled_by passthrough
in_time filled_by_repeat "no frame but the first was filled in" filled_by repeat

# A frame was given up, and the coordinator died before its segment was committed:
# the next run fills it in without another crash.
still_given_up() {
    local rc=0 first run=("$work/a.mkv" -o "$work/p.mkv" --encoder ffv1 --gpu_num 1 --lanes 1 --poison_tries 1 --poison passthrough) hash
    rm -rf "$work/p.mkv" "$work/.p.mkv.reelmill"
    REELMILL_CRASH=commit.after_journal:1:9 reel "${run[@]}"
    REELMILL_CRASH='worker.before_run:1:6,commit.before_journal:1:9' reel "${run[@]}" # the first frame that is left
    first=$(sed -n 's/.* SEGMENT n=0 frames=\([0-9]*\) .*/\1/p' "$work/.p.mkv.reelmill/journal")
    grep -q ' QUARANTINE segment=1 n=0$' "$work/.p.mkv.reelmill/journal" || not_ok still_given_up "nothing was given up"
    [[ $(grep -c ' SEGMENT ' "$work/.p.mkv.reelmill/journal") == 1 ]] || not_ok still_given_up "its segment was committed"
    reel "${run[@]}" || rc=$?
    mapfile -t hash < <(hashes "$work/p.mkv")
    if ((rc != 3)); then not_ok still_given_up "exit code $rc"
    elif [[ ${hash[first]} != "${in_hash[first]}" ]]; then not_ok still_given_up "frame $first was not filled in"
    elif [[ ${hash[first + 1]} == "${in_hash[first + 1]}" ]]; then not_ok still_given_up "frame $((first + 1)) was filled in"
    else ok still_given_up; fi
}
still_given_up

# A run that lives: --gc leaves its directory alone; and its report, when it is interrupted.
live_run() {
    local rc=0
    REELMILL_CRASH=aggregator.before_publish:1:19 start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --report "$work/r.json"
    wait_for 20 grep -qs 'crash point "aggregator.before_publish"' "$work/bg.err" || { kill -9 $coordinator; not_ok live_run "it did not come so far"; return; }
    "$bin/coordinator" --gc >"$work/out"
    if no_run_dir; then not_ok gc_of_a_live_run "it was removed: $(cat "$work/out")"; else ok gc_of_a_live_run; fi
    kill -INT $coordinator
    wait $coordinator || rc=$?
    if ((rc != 130)); then not_ok report_of_an_interrupted_run "exit code $rc"
    elif ! grep -q '"status": "interrupted", "error": null' "$work/r.json"; then not_ok report_of_an_interrupted_run "$(grep '"status"' "$work/r.json")"
    else ok report_of_an_interrupted_run; fi
    # The same when the coordinator's number went to another process, as its children may live on.
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    mkdir -p "$XDG_RUNTIME_DIR/reelmill-99999999-00000001"
    exec 7>"$XDG_RUNTIME_DIR/reelmill-99999999-00000001/lock"
    flock 7
    "$bin/coordinator" --gc >"$work/out" 7>&-
    if no_run_dir; then not_ok gc_of_a_held_directory "it was removed"; else ok gc_of_a_held_directory; fi
    exec 7>&-
    "$bin/coordinator" --gc >"$work/out"
    no_run_dir || not_ok gc_of_a_held_directory "it was left when it was free"
}
live_run

# Of several inputs one was finished, and then its output was cut off: it is done again. Whoever decodes stops
# in the second one, while the aggregator may take its time with the first.
cut_output() {
    local rc=0
    mkdir "$work/in"
    clip "$work/in/1.mp4" 2
    clip "$work/in/2.mp4" 2
    REELMILL_CRASH=decoder.before_decoded:60:19 start "$work/in" -o "$work/many" --gpu_num 1 --lanes 1 --decoders 1
    wait_for 60 grep -qs ' DONE ' "$work/many/.reelmill/1.mp4.done" || { kill -9 $coordinator; not_ok cut_output "nothing was finished"; return; }
    kill -INT $coordinator
    wait $coordinator
    truncate -s 5000 "$work/many/1.mp4"
    reel "$work/in" -o "$work/many" --gpu_num 1 || rc=$?
    if ((rc)); then not_ok cut_output "exit code $rc"
    elif [[ $(frames "$work/many/1.mp4") != 50 ]]; then not_ok cut_output "the stump was left"
    else ok cut_output; fi
}
cut_output

# The coordinator dies when all is done and said: the same command finds nothing left to do.
done_undropped() {
    local rc=0 before
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=done.before_drop:1:9 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 && not_ok done_undropped "it did not die"
    before=$(stat -c %i "$work/o.mkv")
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 1 --report "$work/r.json" || rc=$?
    if ((rc)); then not_ok done_undropped "exit code $rc"
    elif [[ $(stat -c %i "$work/o.mkv") != "$before" || $(sum "$work/o.mkv") != "$want" ]]; then not_ok done_undropped "it was done again"
    elif [[ -e $work/.o.mkv.reelmill ]]; then not_ok done_undropped "the folder was left"
    elif ! grep -q '"in": 125, "out": 125,' "$work/r.json"; then not_ok done_undropped "$(grep '"in"' "$work/r.json")"
    else ok done_undropped; fi
    rm -f "$work/o.mkv"
}
done_undropped

# The coordinator dies when the first is done, and its journal not yet in its place.
done_unmoved() {
    local rc=0 before
    REELMILL_CRASH=done.before_move:1:9 reel "$work/in" -o "$work/unmoved" --gpu_num 1 --lanes 1 --aggregators 1
    before=$(stat -c %i "$work/unmoved/1.mp4")
    [[ -e $work/unmoved/.1.mp4.reelmill/journal && ! -e $work/unmoved/.reelmill/1.mp4.done ]] || not_ok done_unmoved "it did not die there"
    reel "$work/in" -o "$work/unmoved" --gpu_num 1 || rc=$?
    if ((rc)); then not_ok done_unmoved "exit code $rc"
    elif [[ $(stat -c %i "$work/unmoved/1.mp4") != "$before" ]]; then not_ok done_unmoved "it was done again"
    elif [[ $(ls -A "$work/unmoved") != $'1.mp4\n2.mp4' ]]; then not_ok done_unmoved "left: $(ls -A "$work/unmoved")"
    else ok done_unmoved; fi
}
done_unmoved

# Pictures of several inputs: those of the first are there and stay, until one is missing.
picture_folders() { # what is done to the first output, whether it is kept
    local name=picture_folders_$2 rc=0 before
    rm -rf "$work/pictures"
    REELMILL_CRASH=aggregator.mid_mux:60:19 start "$work/in" -o "$work/pictures" --output_format %03d.png --gpu_num 1 --lanes 1 --aggregators 1
    wait_for 60 grep -qs ' DONE ' "$work/pictures/.reelmill/1.%03d.png.done" || { kill -9 $coordinator; not_ok "$name" "nothing was finished"; return; }
    kill -INT $coordinator
    wait $coordinator
    before=$(stat -c %i "$work/pictures/1.000.png")
    $1
    reel "$work/in" -o "$work/pictures" --output_format %03d.png --gpu_num 1 || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $([[ $(stat -c %i "$work/pictures/1.000.png") == "$before" ]] && echo kept || echo anew) != "$2" ]]; then not_ok "$name" "it was not $2"
    elif [[ $(cd "$work/pictures" && ls -A) != "$(printf '%s\n' {1,2}.{000..049}.png)" ]]; then
        not_ok "$name" "there are: $(ls -A "$work/pictures" | tr '\n' ' ')"
    else ok "$name"; fi
}
picture_folders true kept
picture_folders "rm $work/pictures/1.007.png" anew

# Of several inputs one was finished with a frame filled in: the next run leaves it alone, and still says so.
done_filled_in() {
    local rc=0 before run=("$work/in" -o "$work/filled" --gpu_num 1 --lanes 1 --decoders 1 --poison_tries 1)
    REELMILL_CRASH='worker.before_run:1:6,decoder.before_decoded:60:19' start "${run[@]}"
    wait_for 60 grep -qs ' DONE ' "$work/filled/.reelmill/1.mp4.done" || { kill -9 $coordinator; not_ok done_filled_in "nothing was finished"; return; }
    kill -INT $coordinator
    wait $coordinator
    before=$(stat -c %i "$work/filled/1.mp4")
    reel "${run[@]}" --report "$work/r.json" || rc=$?
    if ((rc != 3)); then not_ok done_filled_in "exit code $rc"
    elif [[ $(stat -c %i "$work/filled/1.mp4") != "$before" ]]; then not_ok done_filled_in "it was done again"
    elif ! grep -q '"out": 100, "quarantined": 1' "$work/r.json"; then not_ok done_filled_in "report: $(grep '"frames": {' "$work/r.json")"
    else ok done_filled_in; fi
}
done_filled_in

# The copied streams are gone when all is put together: that is a failure, no output without sound.
copy_removed() {
    local rc=0 streams
    ffmpeg -v error -y -f lavfi -i "sine=duration=5" -i "$work/a.mp4" -map 1:v -map 0:a -c:v copy -c:a aac "$work/sound.mp4" </dev/null
    REELMILL_CRASH=aggregator.before_commit:1:19 start "$work/sound.mp4" -o "$work/sound.mkv" --lanes 1 --aggregators 1
    wait_for 20 grep -qs 'crash point "aggregator.before_commit"' "$work/bg.err" || not_ok copy_removed "it did not come so far"
    rm "$work/.sound.mkv.reelmill/copy.part" || not_ok copy_removed "there is no such part"
    pkill -CONT -P "$coordinator" -x aggregator
    wait "$coordinator" || rc=$?
    if ((rc != 1)); then not_ok copy_removed "exit code $rc"; return; fi
    grep -q "other streams, in \".*/copy.part\", were removed" "$work/bg.err" || not_ok copy_removed "$(tail -n 2 "$work/bg.err")"
    [[ ! -e $work/sound.mkv ]] || not_ok copy_removed "there is an output"
    rc=0
    reel "$work/sound.mp4" -o "$work/sound.mkv" || rc=$?
    streams=$(ffprobe -v error -show_entries stream=codec_type -of csv=p=0 "$work/sound.mkv" | tr -d ',\n')
    if ((rc)); then not_ok copy_removed "exit code $rc of the second run"
    elif [[ $streams != videoaudio ]]; then not_ok copy_removed "there are $streams"
    else ok copy_removed; fi
}
copy_removed
# A file system without locks, as some networks have: the run goes on, and a second one at the same time is
# still refused on this machine.
cat >"$work/nolocks.c" <<'EOF'
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int flock(int fd, int operation)
{
    char link[64], path[PATH_MAX] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, ".reelmill/lock")) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_flock, fd, operation);
}
EOF
if cc -shared -fPIC -o "$work/nolocks.so" "$work/nolocks.c" 2>/dev/null &&
    LD_PRELOAD=$work/nolocks.so "$bin/coordinator" --version >/dev/null 2>&1; then
    rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH=aggregator.before_publish:1:19 LD_PRELOAD=$work/nolocks.so start "$work/a.mp4" -o "$work/o.mkv"
    wait_for 20 grep -qs 'crash point "aggregator.before_publish"' "$work/bg.err" || not_ok no_locks "it did not come so far"
    LD_PRELOAD=$work/nolocks.so reel "$work/a.mp4" -o "$work/o.mkv" -y && not_ok no_locks "a second run was not refused"
    grep -q "is using it" "$work/err" || not_ok no_locks "$(cat "$work/err")"
    pkill -CONT -P "$coordinator" -x aggregator
    wait "$coordinator" || rc=$?
    check no_locks "$rc"
else skip no_locks "no compiler, or nothing can be loaded before a sanitizer"; fi

finish
