#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that make frames between two: every picture that comes out is one of the
# input's or the known mixture of two, at its time, by any number of workers, whoever
# dies, in tiles and by the GPU's twin; nothing is made across a cut.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip between "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=1 -c:v ffv1 -pix_fmt gbrp -g 5 "$work/a.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 2 -c copy "$work/two.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 1 -c copy "$work/one.mkv" </dev/null
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=4 -c:v ffv1 -pix_fmt gbrp -g 5 "$work/long.mkv" </dev/null
# 7 frames of one scene, 6 of another.
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=0.28 -f lavfi -i gradients=s=96x80:r=25:d=0.24:seed=4:speed=0.01 \
    -filter_complex "[0]format=gbrp[a];[1]format=gbrp[b];[a][b]concat" -c:v ffv1 "$work/cut.mkv" </dev/null

times() { ffprobe -v error -select_streams v:0 -show_entries packet=pts -of csv=p=0 "$1" | tr -d , | sort -n | tr '\n' ' '; }

between() { # name input model rate [checks] -- [options]
    local rc=0 name=$1 input=$work/$2.mkv model=$3 rate=$4 checks=()
    shift 4
    while (($#)) && [[ $1 != -- ]]; do checks+=("$1") && shift; done
    reel "$input" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 \
        --segment_seconds 0.2 --rate "$rate" --progress plain "${@:2}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "$rate out for each in" "$work/err"; then not_ok "$name" "nobody said how many come out"
    elif ! python3 "$root/tests/models/between.py" "$input" "$work/o.mkv" "$rate" 96 80 "${checks[@]}" 2>"$work/why"; then
        not_ok "$name" "$(cat "$work/why")"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
between an_input_each a middle 2
between by_halves a middle 4 --most 1
between by_halves_of_halves a middle 8 --most 1
between a_number a timed 3
between channels_last a last 5
between seven_channels a seven 2
between eight_channels a eight 3
between eleven_channels a eleven 3 --moved --most 1
between stated a style 2 -- --io.frames 2
between one_worker a timed 3 -- --gpu_num 1
between more_workers a middle 2 -- --gpu_num 5
between two_frames two timed 3
between one_frame one middle 2
between in_tiles a middle 2 --most 1 -- --tile 64x64
between time_in_tiles a seven 3 -- --tile 64x64
between not_split a middle 2 -- --split spatial
for batch in 1 4; do REELMILL_GPU_TWIN=1 between gpu_twin_$batch a middle 2 --most 1 -- --batch $batch; done
REELMILL_GPU_TWIN=1 between gpu_twin_eleven a eleven 3 --moved --most 1 -- --precision fp32

# Several pictures in a slot of a ring in memory that stands for a device's.
printf '%s\n' 'reelmill-devices 1' 'cuda runtime=13000 driver=13000 cudnn=91900' \
    'gpu name="told" uuid=GPU-a cc=9.0 sm=1 total=1000000000 free=900000000 peers= host=1' >"$work/devices"
REELMILL_DEVICES=$work/devices between device_rings a timed 3 -- --log_level debug
grep -q "frames and results on GPU 0" "$work/err" || not_ok device_rings "they lay in host memory"

# Through the device path, in float32, the bytes are the host path's, by host rings and by
# device rings: times as an input, as a plane, with a grid, halves of halves.
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 7 -pix_fmt yuv420p10 -c:v ffv1 "$work/deep.mkv" </dev/null
by_the_device() { # name input model rate [options]
    local rc=0 name=$1 how=(--backend onednn --model "$work/$3.onnx" --rate "$4" --encoder ffv1 --gpu_num 2 --segment_seconds 0.2)
    local input=$work/$2.mkv
    shift 4
    reel "$input" -o "$work/host.mkv" -y "${how[@]}" "$@" || rc=$?
    REELMILL_GPU_TWIN=1 reel "$input" -o "$work/twin.mkv" -y "${how[@]}" --precision fp32 --log_level debug "$@" || rc=$?
    grep -q "device: [0-9]* frames" "$work/err" || not_ok "$name" "not by the device path"
    REELMILL_GPU_TWIN=1 REELMILL_DEVICES=$work/devices reel "$input" -o "$work/rings.mkv" -y "${how[@]}" --precision fp32 \
        --log_level debug "$@" || rc=$?
    grep -q "frames and results on GPU 0" "$work/err" || not_ok "$name" "they lay in host memory"
    grep -q "device: [0-9]* frames" "$work/err" || not_ok "$name" "not by the device path"
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $(sum "$work/host.mkv") != "$(sum "$work/twin.mkv")" ]]; then not_ok "$name" "other bytes"
    elif [[ $(sum "$work/host.mkv") != "$(sum "$work/rings.mkv")" ]]; then not_ok "$name" "other bytes by device rings"
    else ok "$name"; fi
}
by_the_device device_number deep timed 3
by_the_device device_halves deep middle 8
by_the_device device_plane deep seven 2
by_the_device device_planes a eight 5
by_the_device device_grid a eleven 3
by_the_device device_cut cut middle 4
by_the_device device_all_cuts a timed 2 --scene_cut 0
by_the_device device_one_frame one timed 3
# Tiles of two frames go by the host, as tiles of all that is seen at once do; so do inputs that are joined channels last.
REELMILL_GPU_TWIN=1 between gpu_twin_last a last 3 --most 1
REELMILL_GPU_TWIN=1 between gpu_twin_tiles a middle 2 --most 1 -- --tile 64x64
REELMILL_GPU_TWIN=1 REELMILL_CRASH=worker.1/worker.mid_slot:4:9 between gpu_twin_killed a timed 3 --most 1

# The nearest frame on either side of a cut; none where there are to be none.
between cut cut middle 4 --most 1 --cut 6
between cut_odd cut timed 3 --cut 6
between in_segments long timed 2
between no_cuts cut middle 2 -- --scene_cut 1
between all_cuts a timed 3 --none -- --scene_cut 0

killed() { REELMILL_CRASH=$2 between "$1" a timed 3; }
killed worker_killed worker.1/worker.mid_slot:4:9
killed worker_crashes worker.0/worker.before_run:5:11
killed decoder_killed decoder.0/decoder.mid_slot:12:9
killed aggregator_killed aggregator.0/aggregator.before_commit:1:9

# The same bytes of any number of workers, also compressed ones.
same() {
    local n sums=() rc=0
    for n in 1 2 4; do
        reel "$work/long.mkv" -o "$work/$n.mp4" -y --backend onednn --model "$work/timed.onnx" --rate 3 --gpu_num "$n"
        reel "$work/long.mkv" -o "$work/$n.md5" -y --backend onednn --model "$work/timed.onnx" --rate 3 --gpu_num "$n"
        sums+=("$(sum "$work/$n.mp4") $(sum "$work/$n.md5")")
    done
    # However the input is cut, each picture is the same.
    reel "$work/long.mkv" -o "$work/cut.md5" -y --backend onednn --model "$work/timed.onnx" --rate 3 --gpu_num 2 --segment_seconds 0.2 \
        --lanes 3 --report "$work/report" || rc=$?
    if ((rc)); then not_ok same "exit code $rc"
    elif ! grep -q '"segments": [3-5],' "$work/report"; then not_ok same "$(grep segments "$work/report")"
    elif [[ $(sum "$work/cut.md5") != "$(sum "$work/1.md5")" ]]; then not_ok same "other pictures in segments"
    elif [[ ${sums[0]} != "${sums[1]}" ]] || [[ ${sums[0]} != "${sums[2]}" ]]; then not_ok same "other bytes: ${sums[*]}"
    elif ! grep -q '^#tb 0: 1/3000$' "$work/1.md5"; then not_ok same "$(head -n 5 "$work/1.md5")"
    else ok same; fi
}
same

# Frames that no worker survives: the frame itself stands for what would lie behind it.
poison() {
    local rc=0
    REELMILL_CRASH='worker.before_run:1*:6' reel "$work/two.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/timed.onnx" \
        --rate 3 --encoder ffv1 --gpu_num 1 --poison_tries 2 || rc=$?
    if ((rc != 3)); then not_ok poison "exit code $rc"
    elif [[ $(frames "$work/o.mkv") != 6 ]]; then not_ok poison "$(frames "$work/o.mkv") frames"
    elif [[ $(ffmpeg -v error -i "$work/o.mkv" -f framemd5 - </dev/null | sed -n 's/^[^#].*, *//p' | sort -u | wc -l) != 2 ]]; then
        not_ok poison "other pictures than the two"
    else ok poison; fi
}
poison

resumed() {
    local rc=0
    rm -f "$work/later.mkv"
    REELMILL_CRASH=commit.after_journal:1:9 reel "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/middle.onnx" \
        --encoder ffv1 --gpu_num 2 --segment_seconds 0.2 && not_ok resumed "it did not die"
    reel "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/middle.onnx" --encoder ffv1 --gpu_num 2 \
        --segment_seconds 0.2 --report "$work/report" || rc=$?
    if ((rc)); then not_ok resumed "exit code $rc"
    elif ! python3 "$root/tests/models/between.py" "$work/a.mkv" "$work/later.mkv" 2 96 80 2>"$work/why"; then
        not_ok resumed "$(cat "$work/why")"
    elif ! grep -q '"frames": {"in": 25, "out": 50' "$work/report"; then not_ok resumed "$(grep '"frames"' "$work/report")"
    else ok resumed; fi
}
resumed

# A picture every 100 ms, but one for half a second, and sound beside them: the sound
# is untouched, what is made lies evenly between its two.
variable() {
    local rc=0 want
    ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=10:d=1 -f lavfi -i sine=d=2 -vf "setpts='if(gte(N,4),N+4,N)'" \
        -fps_mode passthrough -c:v libx264 -bf 0 -pix_fmt yuv420p -video_track_timescale 10 -c:a aac "$work/v.mp4" </dev/null
    reel "$work/v.mp4" -o "$work/v2.mp4" -y --backend onednn --model "$work/middle.onnx" --rate 4 --gpu_num 2 || rc=$?
    want=$(ffprobe -v error -select_streams v:0 -show_entries packet=pts_time -of csv=p=0 "$work/v.mp4" | tr -d , | sort -n |
        awk '{ t[NR] = $1 } END { t[NR + 1] = t[NR] + 0.1; for (i = 1; i <= NR; i++) for (k = 0; k < 4; k++) printf "%.4f ", t[i] + (t[i + 1] - t[i]) * k / 4 }')
    sounds() { ffmpeg -v error -i "$1" -map 0:a -c copy -f md5 - </dev/null; }
    if ((rc)); then not_ok variable "exit code $rc"
    elif [[ $(ffprobe -v error -select_streams v:0 -show_entries packet=pts_time -of csv=p=0 "$work/v2.mp4" | tr -d , | sort -n |
        awk '{ printf "%.4f ", $1 }') != "$want" ]]; then not_ok variable "times $(times "$work/v2.mp4"), not $want"
    elif [[ $(sounds "$work/v.mp4") != "$(sounds "$work/v2.mp4")" ]]; then not_ok variable "other sound"
    else ok variable; fi
}
variable

images() {
    local rc=0
    reel "$work/two.mkv" -o "$work/f/%03d.png" -y --backend onednn --model "$work/timed.onnx" --rate 3 || rc=$?
    ffmpeg -v error -y -i "$work/f/%03d.png" -c:v ffv1 -pix_fmt gbrp "$work/o.mkv" </dev/null
    if ((rc)); then not_ok images "exit code $rc"
    elif ! python3 "$root/tests/models/between.py" "$work/two.mkv" "$work/o.mkv" 3 96 80 2>"$work/why"; then not_ok images "$(cat "$work/why")"
    else ok images; fi
}
images

nothing_written() { # null: has its frames too
    local rc=0
    reel "$work/a.mkv" -o null: --backend onednn --model "$work/timed.onnx" --rate 5 --report "$work/report" || rc=$?
    if ((rc)); then not_ok nothing_written "exit code $rc"
    elif ! grep -q '"frames": {"in": 25, "out": 125' "$work/report"; then not_ok nothing_written "$(grep '"frames"' "$work/report")"
    else ok nothing_written; fi
}
nothing_written

verified() {
    local rc=0
    reel "$work/a.mkv" --verify --backend onednn --model "$work/timed.onnx" --rate 3 || rc=$?
    if ((rc)); then not_ok verified "exit code $rc"; else ok verified; fi
}
verified

model_refused two_pictures "io.frames 2" --model "$work/style.onnx"
model_refused a_third_by_halves "takes no time" --model "$work/middle.onnx" --rate 3
model_refused nothing_between "does not interpolate frames" --model "$work/behind.onnx" --rate 2
model_refused without_a_model "without a model" --backend sim --rate 2
model_refused no_such_time "io.time \"when\"" --model "$work/middle.onnx" --io.time when
model_refused once "rate" --model "$work/middle.onnx" --rate 1
finish
