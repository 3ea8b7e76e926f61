#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that look at the frames around each: what comes out is one of these, so
# that the frames of the output are the input's, moved. In segments and in one piece, by
# any number of workers, whoever dies, in tiles, from pictures that are resized, and by
# the GPU's twin.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip windows "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

pictures() { ffmpeg -v error -i "$1" -f framemd5 - </dev/null | sed -n 's/^[^#].*, *//p'; }

# Line i of stdin is line i + $1, the first and last for those beyond the ends.
moved() {
    awk -v by="$1" '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++) { k = i + by; if (k < 1) k = 1; if (k > NR) k = NR; print line[k] } }'
}

ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=2 -c:v ffv1 -pix_fmt gbrp -g 5 "$work/a.mkv" </dev/null
ffmpeg -v error -y -f lavfi -i testsrc2=s=64x64:r=25:d=1 -c:v ffv1 -pix_fmt gbrp "$work/small.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 2 -c copy "$work/two.mkv" </dev/null
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 1 -c copy "$work/one.mkv" </dev/null

# An entry a second is kept, and the first one.
segments() {
    case ${1##*/} in
        a.mkv) echo 3 ;;
        slow.mkv) echo 11 ;;
        small.mkv) echo 2 ;;
        *) echo 1 ;;
    esac
}

window() { # name input model by [options]
    local rc=0 name=$1 input=$work/$2.mkv model=$3 by=$4
    shift 4
    reel "$input" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 \
        --segment_seconds 0.2 --progress plain --report "$work/report.json" "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "\"segments\": $(segments "$input")," "$work/report.json"; then
        not_ok "$name" "other segments: $(grep segments "$work/report.json")"
    elif ! grep -q "frames at once" "$work/err"; then not_ok "$name" "nobody said that it looks at several"
    elif [[ $(pictures "$work/o.mkv") != "$(pictures "$input" | moved "$by")" ]]; then not_ok "$name" "other pictures"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
# Three pictures a second, of which two segments and a half are seen on either side.
ffmpeg -v error -y -f lavfi -i testsrc2=s=64x64:r=3:d=10 -c:v ffv1 -pix_fmt gbrp -g 1 "$work/slow.mkv" </dev/null
window the_one_behind a behind 1
window two_before a before -2
window more_workers a before -2 --gpu_num 5
window one_worker a behind 1 --gpu_num 1
window fewer_frames_than_seen two before -2
window many_lanes a before -2 --gpu_num 3 --lanes 3 --decoders 2 --aggregators 2
window segments_shorter_than_what_is_seen_before slow oldest -7 --lanes 4
window segments_shorter_than_what_is_seen_behind slow newest 7 --lanes 4 --decoders 2
window one_frame one behind 1
window in_tiles a behind 1 --tile 48x48
window a_dimension_of_its_own small row 2
window tiles_of_a_fixed_size a row 2
window as_many_as_are_seen a turned -1
grep -q 'the middle one of the 5 that each run makes' "$work/err" || not_ok as_many_as_are_seen "nobody said so"
window an_input_each a each -1
window an_input_each_in_tiles a each -1 --tile 48x48
window not_split a behind 1 --split spatial
# By the worker's device path: one frame a run and several, and what has another layout there.
for batch in 1 4; do
    REELMILL_GPU_TWIN=1 window gpu_twin_$batch a behind 1 --batch $batch --log_level debug
    grep -q "device: [0-9]* frames" "$work/err" || not_ok gpu_twin_$batch "not by the device path"
done
REELMILL_GPU_TWIN=1 window gpu_twin_two_before a before -2 --precision fp32 --gpu_num 3
REELMILL_GPU_TWIN=1 window gpu_twin_row small row 2
REELMILL_GPU_TWIN=1 window gpu_twin_tiles a row 2
REELMILL_GPU_TWIN=1 window gpu_twin_an_input_each a each -1
REELMILL_GPU_TWIN=1 window gpu_twin_as_many_as_are_seen a turned -1

# Each stage, in the midst.
killed() { REELMILL_CRASH=$2 window "$1" a before -2; }
killed worker_killed worker.1/worker.mid_slot:9:9
killed worker_crashes worker.0/worker.before_run:7:11
killed decoder_killed decoder.0/decoder.mid_slot:20:9
killed decoder_killed_before_the_range decoder.0/decoder.before_decoded:8:9
killed aggregator_killed aggregator.0/aggregator.before_commit:1:9
killed aggregator_killed_later aggregator.0/aggregator.before_commit:2:9
REELMILL_CRASH=decoder.0/decoder.mid_slot:40:9 window decoder_killed_in_short_segments slow newest 7 --lanes 4

# In segments as in one piece, of codecs whose pictures refer to others, and where some are broken.
same() { # name file seconds rc
    local rc name=$1 input=$2 made='' parts='' first='' one i
    for i in now before; do
        for one in $3 1000; do
            rc=0
            reel "$input" -o "$work/o.mkv" -y --backend onednn --model "$work/$i.onnx" --encoder ffv1 --gpu_num 2 --lanes 3 \
                --decoders 2 --segment_seconds "$one" --report "$work/report.json" || rc=$?
            ((rc == 0 || rc == $4)) || { not_ok "$name" "exit code $rc"; return; }
            made=$(pictures "$work/o.mkv")
            [[ $one == "$3" ]] || continue
            grep -q '"segments": [2-9],' "$work/report.json" || { not_ok "$name" "it was not cut"; return; }
            [[ $i == now ]] && first=$made
            [[ $i == now || $made == "$(moved -2 <<<"$first")" ]] || { not_ok "$name" "neighbours are not what they are"; return; }
            parts=$made
        done
        [[ $made == "$parts" ]] || { not_ok "$name" "$i: other pictures in one piece"; return; }
    done
    ok "$name"
}
# Bytes $4 to $5 behind keyframe $3 of $1 are others in $2.
broken() { # input output keyframe from to
    python3 - "$1" "$2" "$(ffprobe -v error -select_streams v:0 -show_entries packet=pos,flags -of csv=p=0 \
        "$1" | awk -F, '$2 ~ /K/ { print $1 }' | sed -n "$3p")" "$4" "$5" <<'END'
import sys
data, at = bytearray(open(sys.argv[1], "rb").read()), int(sys.argv[3])
for i in range(at + int(sys.argv[4]), at + int(sys.argv[5]), 40): data[i] ^= 0x55
open(sys.argv[2], "wb").write(data)
END
}
open_gop=(-fflags +bitexact -c:v libx264 -preset fast -g 25 -bf 3 -x264-params open-gop=1:scenecut=0)
from=(-v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=4)
if ffmpeg "${from[@]}" "${open_gop[@]}" "$work/open.mkv" </dev/null; then
    same open_gop "$work/open.mkv" 0.2 0
    ffmpeg "${from[@]}" "${open_gop[@]}" "$work/open.ts" </dev/null
    same open_gop_in_ts "$work/open.ts" 0.2 0
    broken "$work/open.mkv" "$work/broken.mkv" 3 -900 -100
    same broken_before_a_cut "$work/broken.mkv" 0.2 3
else
    skip open_gop "no libx264"
fi
# The place from which they would be decoded gives others by itself: from further back.
ffmpeg "${from[@]}" -fflags +bitexact -c:v mpeg4 -g 25 -bf 2 -b:v 1M "$work/asp.mkv" </dev/null
broken "$work/asp.mkv" "$work/no_entry.mkv" 2 300 400
same broken_where_decoding_would_begin "$work/no_entry.mkv" 2 0

# Frames that no worker survives are filled in, and hold up nobody.
poison() {
    local rc=0
    REELMILL_CRASH='worker.before_run:1*:6' reel "$work/two.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/behind.onnx" \
        --encoder ffv1 --gpu_num 1 --poison_tries 2 || rc=$?
    if ((rc != 3)); then not_ok poison "exit code $rc"
    elif [[ $(frames "$work/o.mkv") != 2 ]]; then not_ok poison "$(frames "$work/o.mkv") frames"
    else ok poison; fi
}
poison

made_by() { # stage: frames of the last run
    sed -n "/\"$1\": \[/,/\]/s/.*\"frames\": \([0-9]*\).*/\1/p" "$work/report.json" | awk '{ n += $1 } END { print n }'
}

# Begun, killed when two of its segments were there, taken up again.
resumed() {
    local rc=0
    local run=("$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/before.onnx" --encoder ffv1 --gpu_num 2 --segment_seconds 0.2)
    rm -f "$work/later.mkv"
    REELMILL_CRASH=commit.after_journal:2:9 reel "${run[@]}" && not_ok resumed "it did not die"
    reel "${run[@]}" --report "$work/report.json" || rc=$?
    if ((rc)); then not_ok resumed "exit code $rc"
    elif [[ $(pictures "$work/later.mkv") != "$(pictures "$work/a.mkv" | moved -2)" ]]; then not_ok resumed "other pictures"
    elif [[ $(made_by worker) -ge 45 ]]; then not_ok resumed "it began anew"
    else ok resumed; fi
}
resumed

# What is no window, and what makes no picture.
model_refused even_number "io.frames 4" --model "$work/before.onnx" --io.frames 4
model_refused another_number "nor an odd number of frames" --model "$work/before.onnx" --io.frames 3
model_refused one_of_the_frames "leave io.input out" --model "$work/each.onnx" --io.input now
model_refused no_such_input 'has no input "next"' --model "$work/each.onnx" --io.input next
model_refused no_picture "does not make a picture of them" --model "$work/before.onnx" --task segment
finish
