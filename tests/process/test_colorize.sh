#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that colour, in the forms of Zhang et al.'s, Caffe's, DDColor and DeOldify: each
# pixel by the formulas of CIE Lab and sRGB, whatever the input's format; live, in pictures,
# by any number of workers, whoever dies, and by the GPU's twin.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip colorize "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# gray FILE FORMAT RANGE MATRIX [chroma]: ten frames, each of one gray, but the last: its right
# half is bright.
gray() {
    local top=255 deep=1
    [[ $2 == *10le ]] && top=1023 deep=4
    local lum="if(eq(N\,9)*gte(X\,48)\,$((220 * deep))\,$((20 * deep))+$((21 * deep))*N)" chroma=${5:-$(((top + 1) / 2))}
    ffmpeg -v error -y -f lavfi -i "color=s=96x72:r=10:d=1,format=$2,geq=lum='$lum':cb=$chroma:cr=$((top + 1 - chroma))" \
        -vf "setparams=range=$3:colorspace=$4" -c:v ffv1 -g 3 "$1" </dev/null || not_ok inputs "$1 was not made"
}
gray "$work/tv.mkv" yuv420p tv smpte170m
gray "$work/pc.mkv" yuv444p pc bt709
gray "$work/ten.mkv" yuv422p10le tv bt709
gray "$work/red.mkv" yuv420p tv smpte170m 90
# Newer FFmpegs drop the matrix of what has no colours: these would have BT.601 by their size.
ffmpeg -v error -y -i "$work/pc.mkv" -vf setparams=colorspace=smpte170m -pix_fmt gray -c:v ffv1 -g 3 "$work/gray.mkv" </dev/null
ffmpeg -v error -y -i "$work/ten.mkv" -vf setparams=colorspace=smpte170m -pix_fmt gray10le -c:v ffv1 -g 3 "$work/gray10.mkv" </dev/null

colour() { # input model output [options]
    reel "$work/$1.mkv" -o "$3" -y --backend onednn --model "$work/$2.onnx" --segment_seconds 0.3 --progress plain "${@:4}"
}

# Planes of both files as they are, by the formulas; of the last frame a pixel of either half,
# where the other's colours do not reach.
cat >"$work/check.py" <<'PY'
import subprocess, sys
source, made, model, matrix = sys.argv[1:]
KR, KB = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}[matrix]

def probe(path):
    run = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=pix_fmt,color_range",
                          "-of", "default=nw=1:nk=1", path], capture_output=True, text=True, check=True)
    return run.stdout.split()

def read(path, fmt):
    deep = fmt.endswith("10le")
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", fmt, "-"],
                         capture_output=True, check=True).stdout
    sub = 0 if fmt.startswith("gray") else {"420": 2, "422": 1, "444": 0}[fmt[3:6]]
    w, h = 96, 72
    cw, ch = w >> (sub > 0), h >> (sub > 1)
    size = (w * h + (0 if fmt.startswith("gray") else 2 * cw * ch)) * (1 + deep)
    frames = []
    for at in range(0, len(raw), size):
        data = raw[at:at + size]
        values = [data[i] | data[i + 1] << 8 for i in range(0, size, 2)] if deep else list(data)
        def pixel(x, y, values=values):
            place = (y * ch // h) * cw + x * cw // w
            return [values[y * w + x]] + [values[w * h + c * cw * ch + place] for c in range(2) if not fmt.startswith("gray")]
        frames.append(pixel)
    return frames, 10 if deep else 8

def to_lab(v):
    line = v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
    return 116 * (line ** (1 / 3) if line > 216 / 24389 else (24389 / 27 * line + 16) / 116) - 16

def to_rgb(light, a, b):
    fy = (light + 16) / 116
    x, y, z = (f ** 3 if f > 6 / 29 else (116 * f - 16) * 27 / 24389 for f in (fy + a / 500, fy, fy - b / 200))
    x, z = x * 0.95047, z * 1.08883
    rgb = 3.2404542 * x - 1.5371385 * y - 0.4985314 * z, -0.969266 * x + 1.8760108 * y + 0.041556 * z, \
        0.0556434 * x - 0.2040259 * y + 1.0572252 * z
    rgb = (min(max(c, 0), 1) for c in rgb)
    return [12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in rgb]

def coloured(v):
    light = to_lab(v)
    if model == "lightness": return to_rgb(light, (light - 50) * 0.6 + 15, (light - 50) * -0.4 + 10)
    if model == "halved":
        from math import tanh
        return to_rgb(light, 110 * tanh((light - 50) * 0.006 + 0.15), 110 * tanh((light - 50) * -0.004 + 0.1))
    if model == "tinted": return to_rgb(light, 40 * v + 5, -60 * v + 20)
    rgb = [0.9 * v, 0.7 * v, 0.4 * v]
    by = v - KR * rgb[0] - KB * rgb[2] - (1 - KR - KB) * rgb[1]
    return [min(max(c + by, 0), 1) for c in rgb]

def samples(rgb, depth, full):
    luma = KR * rgb[0] + (1 - KR - KB) * rgb[1] + KB * rgb[2]
    cb, cr = (rgb[2] - luma) / 2 / (1 - KB), (rgb[0] - luma) / 2 / (1 - KR)
    unit, top = 1 << depth - 8, (1 << depth) - 1
    if full: return [luma * top, cb * top + 128 * unit, cr * top + 128 * unit]
    return [luma * 219 * unit + 16 * unit] + [c * 224 * unit + 128 * unit for c in (cb, cr)]

fmt, kind = probe(source)
out_fmt, out_kind = probe(made)
want_fmt = {"gray": "yuv420p", "gray10le": "yuv420p10le"}.get(fmt, fmt)
if (out_fmt, out_kind) != (want_fmt, kind): sys.exit(f"{out_fmt} {out_kind} of {fmt} {kind}")
(before, depth), (after, _) = read(source, fmt), read(made, out_fmt)
if len(before) != 10 or len(after) != 10: sys.exit(f"{len(before)} and {len(after)} frames")
for n in range(10):
    for x, y in [(4, 3), (40, 36), (91, 70)] if n < 9 else [(4, 3), (30, 60), (66, 8), (91, 70)]:
        luma, unit = before[n](x, y)[0], 1 << depth - 8
        v = luma / ((1 << depth) - 1) if kind == "pc" else (luma - 16 * unit) / 219 / unit
        want, got = samples(coloured(v), depth, kind == "pc"), after[n](x, y)
        if any(abs(a - b) > 0.5 + 0.1 * unit for a, b in zip(want, got)): sys.exit(f"frame {n} at {x},{y}: {got}, not {want}")
PY

formula() { # name input model matrix text [options]
    local rc=0 name=$1 why
    colour "$2" "$3" "$work/o.mkv" --encoder ffv1 --gpu_num 1 "${@:6}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q -- "$5" "$work/err"; then not_ok "$name" "it was said: $(head -n 3 "$work/err")"
    elif ! why=$(python3 "$work/check.py" "$work/$2.mkv" "$work/o.mkv" "$3" "$4" 2>&1); then not_ok "$name" "$why"
    else ok "$name"; fi
}
first="reads L 0..100 NCHW, 64x64, stretched frames; it colours gray pictures (its first operator is for L of Lab"
formula lightness tv lightness 601 "$first"
formula full_range pc lightness 709 "$first"
formula ten_bits ten lightness 709 "$first"
formula gray_made_of_colours gray lightness 601 "$first"
formula gray_of_ten_bits gray10 lightness 601 "$first"
formula with_borders tv lightness 601 "letterboxed frames" --io.resize letterbox
formula stated tv lightness 601 "(as stated in the settings)" --task colorize --io.channels l --io.range 0-100
formula of_caffe tv halved 601 "reads L -50..50 NCHW, 256x256, stretched frames" --io.range=-50-50
formula by_its_name ten halved 709 "(by the output's name" --io.range=-50-50
formula as_rgb tv tinted 601 "reads gray as RGB 0..1 NCHW, 64x64, stretched frames" --task colorize
formula as_rgb_ten ten tinted 709 "luma is the frame's, ab the network's" --task colorize
formula as_a_picture tv repainted 601 "chroma that of the network's picture" --task colorize
cp "$work/repainted.onnx" "$work/deoldify.onnx"
formula by_the_file tv deoldify 601 "(by the file's name; --task image"

# What names do not tell stays what it was, and is said.
rc=0
colour tv tinted "$work/o.mkv" --encoder ffv1 || rc=$?
if ((rc)); then not_ok not_told "exit code $rc"
elif ! grep -q "one of 2 classes" "$work/err" || ! grep -q "use --task colorize" "$work/err"; then not_ok not_told "$(cat "$work/err")"
else ok not_told; fi

# Frames of all networks but of one colour each: the same bytes, whoever does what.
colour tv lightness "$work/a.md5" --gpu_num 1 || not_ok bytes "they were not made"
same() { # name input [options]
    local rc=0 name=$1
    colour "$2" lightness "$work/o.md5" "${@:3}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $(sum "$work/a.md5") != "$(sum "$work/o.md5")" ]]; then not_ok "$name" "other pictures"
    else ok "$name"; fi
}
same chroma_does_not_count red --gpu_num 1
same four_workers tv --gpu_num 4 --lanes 3 --decoders 2
REELMILL_CRASH=worker.before_done:5:9 same worker_dies tv --gpu_num 2
REELMILL_GPU_TWIN=1 same twin tv --gpu_num 1 --precision fp32
REELMILL_GPU_TWIN=1 same twin_in_batches tv --gpu_num 1 --precision fp32 --batch 4
same split tv --gpu_num 2 --split spatial

rc=0
colour tv lightness "$work/live.mkv" --live --encoder ffv1 --latency_ms 5000 || rc=$?
if ((rc)); then not_ok live "exit code $rc"
elif ! why=$(python3 "$work/check.py" "$work/tv.mkv" "$work/live.mkv" lightness 601 2>&1); then not_ok live "$why"
else ok live; fi

rc=0
colour gray10 lightness "$work/%02d.png" || rc=$?
kind=$(ffprobe -v error -show_entries stream=pix_fmt -of csv=p=0 "$work/05.png")
if ((rc)); then not_ok pictures "exit code $rc"
elif [[ $kind != rgb48be ]]; then not_ok pictures "$kind"
else ok pictures; fi

cp "$work/tv.mkv" "$work/a.mkv"
model_refused crop 'io.resize "crop"' --model "$work/lightness.onnx" --io.resize crop
model_refused tiles 'io.resize "tile"' --model "$work/lightness.onnx" --io.resize tile
model_refused range 'io.out_range "minmax"' --model "$work/lightness.onnx" --io.out_range minmax
model_refused no_colours 'is not a map of two channels' --model "$work/depth.onnx" --task colorize
model_refused no_lightness 'takes L of Lab' --model "$work/repainted.onnx" --io.channels l
rc=0
colour tv lightness "$work/o.jsonl" || rc=$?
if ((rc != 2)); then not_ok lines "exit code $rc"
elif ! grep -q "makes pictures" "$work/err"; then not_ok lines "$(tail -n 3 "$work/err")"
else ok lines; fi
finish
