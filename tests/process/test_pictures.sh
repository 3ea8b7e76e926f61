#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Models that are given a picture beside the frames: a style at its own size, a
# background as large as the frames, both in tiles, beside two frames. The pictures
# that come out are computed here from the frames and the picture; the same bytes by
# any number of workers, whoever dies, and by the GPU's twin. What is refused, and how.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip pictures "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

ffmpeg -v error -y -f lavfi -i testsrc2=s=96x80:r=25:d=1 -c:v ffv1 -pix_fmt gbrp -g 5 "$work/a.mkv" </dev/null
picture() { ffmpeg -v error -y -f lavfi -i "$1" -frames:v 1 "$work/$2" </dev/null; }
picture 'gradients=s=50x40:c0=red:c1=orange:x0=0:y0=0:x1=49:y1=39:seed=3' style.png
picture color=0x3050a0:s=64x64 blue.png # of one colour, and of no size of the frames
ffmpeg -v error -y -i "$work/a.mkv" -frames:v 1 "$work/plate.png" </dev/null

# What comes out of frames and picture, by definition: exit code 1 and a line where a
# sample is further off than `most`.
cat >"$work/expected.py" <<'EOF'
import subprocess
import sys

how, source, made, picture, most = sys.argv[1:6]
most = int(most)


def pixels(path):
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    return raw


def moments(samples):
    mean = sum(samples) / len(samples)
    return mean, (sum((v - mean) ** 2 for v in samples) / len(samples) + 1e-5 * 255 ** 2) ** 0.5


size = 96 * 80 * 3
frames, out, given = pixels(source), pixels(made), pixels(picture)
n = len(frames) // size
look = [moments(given[c::3]) for c in range(3)]
if len(out) != n * size * (2 if how == "stamp" else 1):
    sys.exit(f"{len(out) // size} frames of {n}")
for k in range(0, n, 4):
    frame = frames[k * size:][:size]
    if how == "paint":
        own = [moments(frame[c::3]) for c in range(3)]
        want = [(v - own[i % 3][0]) / own[i % 3][1] * look[i % 3][1] + look[i % 3][0] for i, v in enumerate(frame)]
        have = out[k * size:][:size]
    elif how == "plate":  # in green where the plate is seen; 51 of 255 is neither more nor less
        want, have = [], out[k * size:][:size]
        for i in range(0, size, 3):
            away = max(abs(frame[i + c] - given[(i + c) % len(given)]) for c in range(3))
            want += [have[i + c] if away == 51 else frame[i + c] if away > 51 else (0, 255, 0)[c] for c in range(3)]
    elif how == "tint":  # the background is the first frame
        want = [(v + b) / 2 * given[i % 3] / 255 for i, (v, b) in enumerate(zip(frame, frames[:size]))]
        have = out[k * size:][:size]
    else:  # behind frame k, which is not the last
        after = frames[min(k + 1, n - 1) * size:][:size]
        want = [max((v + w) / 2, given[i % 3]) for i, (v, w) in enumerate(zip(frame, after))]
        have = out[(2 * k + 1) * size:][:size]
        if k + 1 == n:
            break
    worst = max(abs(min(max(w, 0), 255) - h) for w, h in zip(want, have))
    if worst > most + 0.51:
        sys.exit(f"frame {k}: differs by {worst:.2f}")
EOF

given() { # name how model picture(of what is expected) pictures [options]
    local rc=0 name=$1 how=$2 model=$3 expected=$4 pictures=$5
    shift 5
    reel "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/$model.onnx" --encoder ffv1 --gpu_num 2 \
        --segment_seconds 0.2 --progress plain --io.pictures "$pictures" "$@" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "^pictures: " "$work/err"; then not_ok "$name" "nobody said that there is a picture"
    elif ! python3 "$work/expected.py" "$how" "$work/a.mkv" "$work/o.mkv" "$work/$expected" "${most:-0}" 2>"$work/why"; then
        not_ok "$name" "$(cat "$work/why")"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}
style=style=$work/style.png
given a_style paint painted style.png "$style"
grep -q "style from style.png (50x40), at 50x40$" "$work/err" || not_ok a_style "$(grep pictures: "$work/err")"
given one_worker paint painted style.png "$style" --gpu_num 1
given many_workers paint painted style.png "$style" --gpu_num 5 --lanes 3
most=6 given a_fixed_size paint swatch style.png "$style" # which changes the deviation a little
grep -q "at 32x32$" "$work/err" || not_ok a_fixed_size "$(grep pictures: "$work/err")"
green=(--background "0,255,0")
given a_background plate plate plate.png "bgr=$work/plate.png" "${green[@]}"
grep -q "bgr from plate.png (96x80), as large as the frames$" "$work/err" || not_ok a_background "$(grep pictures: "$work/err")"
given a_frame_of_a_video plate plate plate.png "bgr=$work/a.mkv" "${green[@]}"
given a_background_of_another_size plate plate blue.png "bgr=$work/blue.png" "${green[@]}"
given a_background_in_tiles plate plate plate.png "bgr=$work/plate.png" "${green[@]}" --tile 48x48
given a_background_split plate plate plate.png "bgr=$work/plate.png" "${green[@]}" --split spatial
given three_pictures tint tints blue.png "swatch=$work/blue.png,background=$work/a.mkv"
grep -q "swatch from blue.png (64x64), at 64x64; background from a.mkv (96x80), as large as the frames$" "$work/err" ||
    not_ok three_pictures "$(grep pictures: "$work/err")"
given beside_two_frames stamp stamped blue.png "stamp=$work/blue.png"

# By the program for a GPU, carried out on the CPU: the same bytes, in float32.
twin() { # name how model picture pictures [options]
    local want_sum
    given "$@"
    want_sum=$(sum "$work/o.mkv")
    REELMILL_GPU_TWIN=1 given "gpu_twin_$1" "${@:2}" --precision fp32 --log_level debug
    if ! grep -q "device: [0-9]* frames" "$work/err"; then not_ok "gpu_twin_$1" "not by the device path"
    elif [[ $(sum "$work/o.mkv") != "$want_sum" ]]; then not_ok "gpu_twin_$1" "other bytes"
    else ok "gpu_twin_$1_bytes"; fi
}
twin style paint painted style.png "$style"
twin background plate plate blue.png "bgr=$work/blue.png" "${green[@]}"
twin tiles tint tints blue.png "swatch=$work/blue.png,background=$work/a.mkv"
twin two_frames stamp stamped blue.png "stamp=$work/blue.png"
most=2 REELMILL_GPU_TWIN=1 given gpu_twin_half paint painted style.png "$style"

killed() { REELMILL_CRASH=$2 given "$1" paint painted style.png "$style"; }
killed worker_killed worker.1/worker.mid_slot:4:9
killed worker_crashes worker.0/worker.before_run:5:11
killed decoder_killed decoder.0/decoder.mid_slot:12:9
killed picture_decoder_killed decoder.picture:1:9
killed picture_decoder_crashes decoder.picture:1:11

picture_stopped() {
    decoder=$(pgrep -P $coordinator -f -- "decoder --picture") && grep -q '^State:.T' "/proc/$decoder/status" 2>/dev/null
}
# Ctrl-C while a picture is decoded, which goes to the decoder as well.
interrupted() {
    local rc=0 decoder
    REELMILL_CRASH=decoder.picture:1:19 start "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/painted.onnx" --io.pictures "$style"
    wait_for 20 picture_stopped || not_ok interrupted "it did not come so far"
    kill -INT $coordinator
    kill -KILL "$decoder"
    wait $coordinator || rc=$?
    if ((rc != 130)); then not_ok interrupted "exit code $rc"
    elif ! grep -q "interrupted" "$work/bg.err" || grep -q "could not" "$work/bg.err"; then not_ok interrupted "$(cat "$work/bg.err")"
    else ok interrupted; fi
}
interrupted

# The coordinator is killed: who decodes a picture ends with it, stopped or not.
orphaned() {
    local decoder
    REELMILL_CRASH=decoder.picture:1:19 start "$work/a.mkv" -o "$work/later.mkv" --backend onednn --model "$work/painted.onnx" --io.pictures "$style"
    wait_for 20 picture_stopped || not_ok orphaned "it did not come so far"
    kill -KILL $coordinator
    wait $coordinator 2>/dev/null
    if wait_for 5 gone "$decoder"; then ok orphaned; else not_ok orphaned "it lives" && kill -KILL "$decoder"; fi
    "$bin/coordinator" --gc >/dev/null
}
orphaned

# A resume takes the same picture, wherever it lies now; another one is another configuration.
resumed() {
    local rc=0 args=(--backend onednn --model "$work/painted.onnx" --encoder ffv1 --gpu_num 2 --segment_seconds 0.2)
    REELMILL_CRASH=commit.after_journal:1:9 reel "$work/a.mkv" -o "$work/later.mkv" "${args[@]}" --io.pictures "$style" &&
        not_ok resumed "it did not die"
    reel "$work/a.mkv" -o "$work/later.mkv" "${args[@]}" --io.pictures "style=$work/blue.png" || rc=$?
    if ((rc != 2)); then not_ok another_picture "exit code $rc"
    elif ! grep -q "another configuration (then \"picture for style: [0-9a-f]*\", now \"picture for style: " "$work/err"; then
        not_ok another_picture "$(tail -n 3 "$work/err")"
    else ok another_picture; fi
    rc=0
    cp "$work/style.png" "$work/same.png"
    reel "$work/a.mkv" -o "$work/later.mkv" "${args[@]}" --io.pictures "style=$work/same.png" || rc=$?
    if ((rc)); then not_ok resumed "exit code $rc"
    elif ! python3 "$work/expected.py" paint "$work/a.mkv" "$work/later.mkv" "$work/style.png" 0 2>"$work/why"; then
        not_ok resumed "$(cat "$work/why")"
    else ok resumed; fi
}
resumed

# In a configuration file.
configured() {
    local rc=0
    printf 'model = "%s";\nio = { pictures = "style=%s"; };\n' "$work/painted.onnx" "$work/style.png" >"$work/style.cfg"
    reel "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --config "$work/style.cfg" --encoder ffv1 || rc=$?
    if ((rc)); then not_ok configured "exit code $rc"
    elif ! python3 "$work/expected.py" paint "$work/a.mkv" "$work/o.mkv" "$work/style.png" 0 2>"$work/why"; then
        not_ok configured "$(cat "$work/why")"
    else ok configured; fi
}
configured

timed() {
    local rc=0
    "$bin/coordinator" --backend onednn --bench_model "$work/plate.onnx" --shape 1x3x80x96 --io.pictures bgr=plate.png \
        >"$work/out" 2>"$work/err" || rc=$?
    if ((rc)) || ! grep -q "^input  bgr: float32 1x3x80x96$" "$work/out"; then not_ok timed "exit code $rc"; else ok timed; fi
}
timed

printf 'no picture\n' >"$work/text.png"
head -c 200 "$work/style.png" >"$work/cut.png"
: >"$work/empty.png"
painted=(--model "$work/painted.onnx")
model_refused not_given 'io.pictures "style=FILE"' "${painted[@]}"
model_refused no_such_input 'its inputs: "content", "style"' "${painted[@]}" --io.pictures "styl=$work/style.png"
model_refused no_such_file "could not open picture \"$work/none.png\": No such file" "${painted[@]}" --io.pictures "style=$work/none.png"
model_refused no_picture "could not read picture \"$work/text.png\": " "${painted[@]}" --io.pictures "style=$work/text.png"
model_refused cut_off "could not read picture \"$work/cut.png\": " "${painted[@]}" --io.pictures "style=$work/cut.png"
model_refused empty "could not read picture \"$work/empty.png\": the file is empty" "${painted[@]}" --io.pictures "style=$work/empty.png"
model_refused a_folder "it is not a file" "${painted[@]}" --io.pictures "style=$work"
model_refused too_large "raise --max_pixels" "${painted[@]}" --io.pictures "$style" --max_pixels 0.001
model_refused no_name "it is a list of INPUT=FILE" "${painted[@]}" --io.pictures style.png
model_refused no_frames "leaves no input for the frames" "${painted[@]}" --io.pictures "$style,content=$work/style.png"
model_refused not_as_it_is "io.picture_size" --model "$work/plate.onnx" --io.pictures "bgr=$work/blue.png" --io.picture_size own
model_refused without_a_model "without a model" --backend sim --io.pictures "$style"
REELMILL_CRASH='decoder.picture:1*:11' model_refused decoder_crashes "its decoder was killed by signal 11" "${painted[@]}" --io.pictures "$style"
finish
