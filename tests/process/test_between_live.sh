#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that make frames between two, live: of frames that follow each other in the
# output, evenly between them, whichever were dropped and whoever dies; and
# in times rate = out + dropped.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip between_live "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# Every frame is another, so that no mixture is one of two others. The second one changes in its rate.
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=2 -c:v ffv1 -pix_fmt gbrp "$work/a.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -vf "select=not(between(mod(n\,10)\,3\,6))" -fps_mode vfr -c:v ffv1 "$work/vfr.mkv" </dev/null
report=$work/r.json
number() { sed -n "s/.*\"frames\": {.*\"$1\": \([0-9]*\).*/\1/p" "$report"; } # in, out, dropped

# look NAME RC INPUT RATE ENDS: what a run came to; several files are looked at one by one.
look() {
    local name=$1 rc=$2 input=$3 rate=$4 ends=$5 file total=0 torn=()
    [[ -e $work/o.2.mkv ]] && torn=(--torn)
    if ((rc)); then not_ok "$name" "exit code $rc"; return; fi
    if (($(number in) * rate != $(number out) + $(number dropped))); then
        not_ok "$name" "in $(number in), out $(number out), dropped $(number dropped)"; return
    fi
    for file in "$work"/o.mkv "$work"/o.[2-9].mkv; do
        [[ -e $file ]] || continue
        total=$((total + $(frames "$file")))
        [[ $file == */o.mkv ]] || continue # a later file begins at 0 again
        if ! python3 "$root/tests/models/between.py" "$work/$input.mkv" "$file" "$rate" 96 80 --some "$ends" "${torn[@]}" \
            2>"$work/why"; then
            not_ok "$name" "$(cat "$work/why")"; return
        fi
    done
    # What was on its way from a dead aggregator may have been written, and not be told.
    if ((total != $(number out))) && [[ ! -e $work/o.2.mkv ]]; then
        not_ok "$name" "$total frames in the output, $(number out) were said"
    elif ! nothing_left 3; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}

live() { # name input model rate ends [options]
    local rc=0 name=$1 input=$2 model=$3 rate=$4 ends=$5
    shift 5
    rm -f "$work"/o.mkv "$work"/o.[2-9].mkv
    reel --live "$work/$input.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 \
        --rate "$rate" --latency_ms 30000 --report "$report" "$@" || rc=$?
    look "$name" $rc "$input" "$rate" "$ends"
}
live twice_as_many a middle 2 1
(($(number out) == 100)) || not_ok twice_as_many "out $(number out)"
live three_times a timed 3 1 --gpu_num 3
live of_a_variable_rate vfr timed 3 1

# The bytes are those of the file, done as a file.
reel "$work/a.mkv" -o "$work/file.mkv" -y --backend onednn --model "$work/timed.onnx" --encoder ffv1 --rate 3
pictures() { ffmpeg -v error -i "$1" -f framemd5 - </dev/null | sed -n 's/^[^#].*, *//p'; }
live as_a_file a timed 3 1
[[ $(pictures "$work/o.mkv") == "$(pictures "$work/file.mkv")" ]] || not_ok as_a_file "other pictures"

# A worker stands still for as long as it takes to drop frames, and goes on.
dropped() {
    local rc=0
    rm -f "$work"/o.mkv "$work"/o.[2-9].mkv
    REELMILL_CRASH=worker.0/worker.before_run:6:19 start --live "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn \
        --model "$work/timed.onnx" --encoder ffv1 --gpu_num 1 --rate 3 --latency_ms 100 --report "$report" --progress plain
    wait_for 20 grep -qs 'crash point "worker.before_run"' "$work/bg.err" || not_ok dropped "it did not come so far"
    wait_for 20 grep -qs ' [1-9][0-9]* dropped' "$work/bg.err" || not_ok dropped "nothing was dropped"
    kill -CONT "$(children $coordinator worker)"
    wait $coordinator || rc=$?
    look dropped $rc a 3 1
    (($(number dropped) % 3 == 0 && $(number dropped) > 0)) || not_ok dropped "dropped $(number dropped)"
}
dropped

# Each stage, in the midst. What an aggregator had is lost, and the output goes on in another file.
REELMILL_CRASH=worker.0/worker.mid_slot:9:9 live worker_killed a timed 3 1
REELMILL_CRASH=worker.0/worker.before_run:7:11 live worker_crashes a timed 3 1
REELMILL_CRASH=decoder.0/decoder.before_decoded:20:9 live decoder_killed a timed 3 2
REELMILL_CRASH=aggregator.0/aggregator.before_taken:20:9 live aggregator_killed a timed 3 1

# Ctrl-C ends it properly.
interrupted() {
    local rc=0
    rm -f "$work"/o.mkv "$work"/o.[2-9].mkv
    start --live "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/timed.onnx" --encoder ffv1 --rate 3 \
        --latency_ms 30000 --report "$report"
    wait_for 20 test -s "$work/o.mkv" || not_ok interrupted "no output begins"
    kill -INT $coordinator
    wait $coordinator || rc=$?
    look interrupted $rc a 3 1
}
interrupted

# As pictures, numbered on.
as_pictures() {
    local rc=0
    reel --live "$work/a.mkv" -o "$work/p%03d.png" -y --backend onednn --model "$work/middle.onnx" --rate 2 --latency_ms 30000 \
        --report "$report" || rc=$?
    if ((rc)); then not_ok as_pictures "exit code $rc"
    elif [[ $(number out) != 100 || ! -e $work/p099.png || -e $work/p100.png ]]; then not_ok as_pictures "out $(number out)"
    else ok as_pictures; fi
}
as_pictures
finish
