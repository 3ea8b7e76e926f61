#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The fault matrix: every crash point, at its first, middle and last hit, by
# SIGKILL, SIGSEGV and by being stopped; every pair of stages at once; the
# coordinator at each commit. Each time the bytes are those of a quiet run, and
# nothing is left. tests/process/test_kill.sh has the quick part of it.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/../process/lib.bash"
need_ffmpeg
export limit=600 # seconds for one run, read by reel(): the machine may be busy

clip "$work/a.mp4" 9 # 225 frames, 5 segments
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

verdict() { # name rc
    if (($2)); then not_ok "$1" "exit code $2"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$1" "other bytes"
    elif ! nothing_left; then not_ok "$1" "left: $(ls "$XDG_RUNTIME_DIR")"
    elif [[ -e $work/.o.mkv.reelmill ]]; then not_ok "$1" "the parts were left"
    else ok "$1"; fi
}

at_point() { # point:hit:signal, processes of a stage
    local name="$1_n$2" rc=0 hang=120
    [[ $1 == *:19 ]] && hang=3 # stopped: only a deadline finds it
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    REELMILL_CRASH=$1 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num "$2" --decoders "$2" --aggregators "$2" --hang_seconds $hang || rc=$?
    if ! grep -q "crash point \"${1%%:*}\"" "$work/err"; then not_ok "$name" "the point was not passed"; return; fi
    verdict "$name" $rc
}

# One process a stage: the hits are known.
for row in "decoder.start 1" "worker.start 1" "aggregator.start 1" "decoder.scan 1 113 225" "decoder.mid_slot 1 113 225" \
    "decoder.before_decoded 1 113 225" "decoder.after_decoded 1 113 225" "decoder.before_lane_end 1 3 5" "worker.before_run 1 113 225" \
    "worker.mid_slot 1 113 225" "worker.before_done 1 113 225" "aggregator.before_taken 1 113 225" "aggregator.before_commit 1 3 5" \
    "aggregator.after_rename 1 3 5" "aggregator.mid_mux 1 113" "aggregator.before_publish 1"; do
    read -ra words <<<"$row"
    for hit in "${words[@]:1}"; do
        for signal in 9 11 19; do at_point "${words[0]}:$hit:$signal" 1; done
    done
done

# Several stages in one run, each of their processes once.
for row in "decoder.mid_slot:20:9,worker.mid_slot:20:9" "worker.before_done:10:11,aggregator.before_taken:10:9" \
    "decoder.before_lane_end:1:9,aggregator.before_commit:1:9" "decoder.scan:50:9,worker.start:1:9,aggregator.start:1:9" \
    "decoder.after_decoded:30:9,worker.before_run:30:11,aggregator.after_rename:1:9"; do
    at_point "$row" 2
done

# The coordinator at each commit, then a resume, killed once more, then to the end.
for point in commit.before_journal commit.after_journal; do
    for hit in 1 3 5; do
        rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
        REELMILL_CRASH=$point:$hit:9 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 && not_ok "$point:$hit" "it did not die"
        # After the last commit there is no other to be killed at.
        [[ $point:$hit == commit.after_journal:5 ]] || REELMILL_CRASH=$point:1:9 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2
        rc=0
        REELMILL_CRASH=aggregator.verify:1:9 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 || rc=$?
        verdict "$point:$hit:9" $rc
    done
done

# Kills from outside, at times that nobody chose.
storm() { # seed
    local name=storm_$1 rc=0 pid kills=0
    RANDOM=$1
    rm -rf "$work/o.mkv" "$work/.o.mkv.reelmill"
    start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 3 --decoders 2 --aggregators 2 --sim_ms 60
    while ! gone $coordinator && ((kills < 12)); do
        local all
        mapfile -t all < <(pgrep -P $coordinator)
        if ((${#all[@]})); then
            pid=${all[RANDOM % ${#all[@]}]}
            kill -9 "$pid" 2>/dev/null && kills=$((kills + 1))
        fi
        read -rt "0.$((RANDOM % 4 + 1))" <> <(:) || true
    done
    wait $coordinator || rc=$?
    ((kills >= 6)) || not_ok "$name" "only $kills kills"
    verdict "$name" $rc
}
for seed in 1 2 3 4 5; do storm $seed; done
finish
