#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Frames in device rings, with host memory that stands for a device's: the same
# bytes as through host rings, on machines with and without peer access, with a
# full device, and whoever dies at whatever moment.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 9
unset REELMILL_DEVICES CUDA_VISIBLE_DEVICES
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 2 --sim_ms 1 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")

gpu() { printf 'gpu name="told" uuid=GPU-%s cc=9.0 sm=1 total=1000000000 free=%s peers=%s host=1\n' "$@"; }
machine() { { printf 'reelmill-devices 1\ncuda runtime=13000 driver=13000 cudnn=91900\n' && cat; } >"$work/devices"; }
export REELMILL_DEVICES=$work/devices

placed() { # name line ARGS...: the run's log has the line
    in_time "$1" "the log lacks \"$2\"" placed_in "$@"
}
placed_in() {
    local name=$1 line=$2 rc=0
    shift 2
    rm -f "$work/o.mkv"
    reel "$work/a.mp4" -o "$work/o.mkv" --sim_ms "$cost" --log_level debug "$@" || rc=$?
    grep -q -- "$line" "$work/err" || return
    check "$name" "$rc"
}

machine < <(gpu a 900000000 '')
placed one_gpu "frames and results on GPU 0" --gpu_num 1
placed more_workers "frames and results on GPU 0" --gpu_num 3 --aggregators 2
machine < <(gpu a 900000000 1 && gpu b 900000000 0)
placed peers "frames and results on GPU 1" --gpu_num 2
machine < <(gpu a 900000000 '' && gpu b 900000000 '')
placed no_peers "frames and results on GPU 1" --gpu_num 2
machine < <(gpu a 3500000 '')
placed little_memory "results on GPU 0" --gpu_num 1
machine < <(gpu a 100000 '')
placed no_memory "slots" --gpu_num 1
grep -q "on GPU" "$work/err" && not_ok no_memory_is_host "rings on a device" || ok no_memory_is_host
machine < <(gpu a 900000000 '')
REELMILL_DEVICE_MEMORY=off placed off "slots" --gpu_num 1
grep -q "on GPU" "$work/err" && not_ok off_is_off "rings on a device" || ok off_is_off
# Allocation fails in the middle of the run: one line, and on through host memory.
REELMILL_HOST_DEVICE_BYTES=1000000 placed device_full "frames go through host memory on GPU 0: .*the device is full" --gpu_num 1 --progress plain

machine < <(gpu a 900000000 1 && gpu b 900000000 0)
two=(--gpu_num 2 --decoders 2 --aggregators 2)
for point in worker.0/ring.opened:1:9 worker.1/ring.opened:3:11 decoder.mid_slot:40:9 decoder.copying:20:9 worker.mid_slot:15:9 \
    worker.before_done:25:9 aggregator.before_taken:30:9 aggregator.before_commit:1:9; do
    crash_at "$point" "${two[@]}"
done
# The first of two may come up when all lanes have gone to the second.
crash_at decoder.0/ring.made:1:9 --gpu_num 2 --decoders 1
for point in aggregator.0/ring.made:2:11 aggregator.0/ring.opened:1:9; do crash_at "$point" --gpu_num 2 --aggregators 1; done

kill_many worker 4 "${two[@]}"
kill_many decoder 3 "${two[@]}"
kill_many aggregator 3 "${two[@]}"

# Stopped for good before it has opened a ring: it makes no progress and is replaced.
stopped_at_ring() { # stage, options
    local rc=0 stage=$1
    shift
    rm -f "$work/o.mkv"
    REELMILL_CRASH=$stage.0/ring.opened:1:19 reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms "$cost" --hang_seconds 4 "$@" || rc=$?
    grep -q "makes no progress: killed" "$work/err" || return
    check "stopped_$stage" "$rc"
}
in_time stopped_worker "nothing was killed" stopped_at_ring worker
in_time stopped_aggregator "nothing was killed" stopped_at_ring aggregator --aggregators 1

killed_coordinator() {
    local rc=0
    rm -f "$work/o.mkv"
    REELMILL_CRASH=aggregator.before_publish:1:19 start "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 20
    wait_for 20 grep -qs ' SEGMENT ' "$work/.o.mkv.reelmill/journal" || not_ok killed_coordinator "no segment was committed"
    kill -9 $coordinator
    wait $coordinator 2>/dev/null || true
    reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 1 || rc=$?
    check killed_coordinator $rc
}
killed_coordinator
finish
