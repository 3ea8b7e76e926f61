#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Cut-outs with transparency (--segment.picture cutout): the pictures are the input's, the
# alpha plane is the mask; by any number of workers, whoever dies; and where there is no
# mask, or no place for one.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip cutout "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"

# RGB and 10 bit 4:2:0, for a matte that is the red of the frame before; and two halves of other colours for a
# network that finds objects with masks.
source_of="testsrc2=s=64x48:r=25:d=1.2,format=gbrp"
ffmpeg -v error -y -f lavfi -i "$source_of" -c:v ffv1 -g 5 "$work/a.mkv" </dev/null
ffmpeg -v error -y -f lavfi -i "$source_of" -vf scale=out_range=tv,format=yuv420p10 -c:v ffv1 -g 5 "$work/b.mkv" </dev/null
ffmpeg -v error -y -f lavfi -i "color=c=0xff0000:s=64x64:r=25:d=1.2,format=gbrp,drawbox=x=32:w=32:h=64:c=0x0000ff:t=fill" \
    -vf scale=out_range=tv,format=yuv420p -c:v ffv1 -g 5 "$work/c.mkv" </dev/null

matte() { # input output [options]
    reel "$1" -o "$2" -y --backend onednn --model "$work/matte.onnx" --gpu_num 1 "${@:3}"
}
objects() { # output [options]
    reel "$work/c.mkv" -o "$1" -y --backend onednn --model "$work/masked.onnx" --segment_seconds 0.4 --detect.score 0.99 \
        --detect.iou 0.3 --detect.max_objects 5 "${@:2}"
}
samples() { # file filters: all pictures' bytes
    ffmpeg -v error -i "$1" -vf "$2" -f rawvideo - </dev/null
}
probe() { ffprobe -v error -select_streams v -count_frames -show_entries stream=pix_fmt,nb_read_frames -of csv=p=0 "$1"; }

cut_out() { # name input pixel_format the_same_without_alpha format_of_alpha bits
    local rc=0 name=$1 input=$2 file=$work/$1.mkv
    matte "$input" "$work/mask.mkv" --encoder ffv1 --segment.picture mask || rc=$?
    matte "$input" "$file" --segment.picture cutout || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ $(probe "$file") != "$3,30" ]]; then not_ok "$name" "$(probe "$file")"
    elif ! cmp <(samples "$file" "format=$4") <(samples "$input" "format=$4") >&2; then not_ok "$name" "other pictures than the input's"
    elif ! python3 -c '
import array, sys
mask, bits = open(sys.argv[1], "rb").read(), int(sys.argv[3])
alpha = array.array("H" if bits > 8 else "B", open(sys.argv[2], "rb").read())
top = (1 << bits) - 1
sys.exit(len(mask) != 30 * 64 * 48 or len(set(mask)) < 4 or list(alpha) != [(v * top + 127) // 255 for v in mask])' \
        <(samples "$work/mask.mkv" format=gray) <(samples "$file" "alphaextract,format=$5") "$6"; then
        not_ok "$name" "alpha is not the matte"
    else ok "$name"; fi
}
cut_out rgb "$work/a.mkv" bgra rgb24 gray 8
cut_out ten_bits "$work/b.mkv" yuva420p10le yuv420p10le gray10le 10

# All objects' pixels, and no others.
rc=0
objects "$work/o.jsonl" --gpu_num 1 || rc=$?
objects "$work/objects.mkv" --gpu_num 1 --segment.picture cutout || rc=$?
samples "$work/objects.mkv" alphaextract,format=gray >"$work/alpha"
if ((rc)); then not_ok objects "exit code $rc"
elif ! python3 - "$work/o.jsonl" "$work/alpha" <<'PY' >&2; then not_ok objects "alpha is not the masks"
import json, sys
alpha, opaque = open(sys.argv[2], "rb").read(), 0
for n, line in enumerate(open(sys.argv[1])):
    want = bytearray(64 * 64)
    for o in json.loads(line)["objects"]:
        at = 0
        for i, run in enumerate(o["rle"]["counts"]):
            for p in range(at, at + run * (i % 2)): want[p % 64 * 64 + p // 64] = 255
            at += run
    if alpha[n * 4096:(n + 1) * 4096] != want: sys.exit(f"frame {n}")
    opaque += sum(want) // 255
sys.exit(None if n == 29 and 1000 < opaque < 30 * 4000 else f"{n + 1} frames, {opaque} opaque pixels")
PY
else ok objects; fi

same() { # name [options]: the same file
    local rc=0 name=$1
    objects "$work/o.mkv" --segment.picture cutout "${@:2}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! cmp "$work/objects.mkv" "$work/o.mkv" >&2; then not_ok "$name" "another file"
    else ok "$name"; fi
}
same four_workers --gpu_num 4
REELMILL_CRASH=worker.before_done:12:9 same worker_dies --gpu_num 2
REELMILL_CRASH=aggregator.before_taken:14:9 same aggregator_dies --gpu_num 2
REELMILL_GPU_TWIN=1 same twin --gpu_num 1 --precision fp32

# Each kind of file that holds it, by its own encoder, from several segments.
holds() { # file probe [decoder]
    local rc=0 name=${1//[^a-z]/} file=$work/$1 first
    objects "$file" --gpu_num 2 --segment.picture cutout || rc=$?
    first=${file/\%d/0}
    ffmpeg -v error -y "${@:3}" -i "$first" -frames:v 1 -vf alphaextract,format=gray -f rawvideo "$work/first" </dev/null
    if ((rc)); then not_ok "holds_$name" "exit code $rc"
    elif [[ $(ffprobe -v error -show_entries stream=codec_name,pix_fmt:stream_tags=alpha_mode -of csv=p=0 "$first") != "$2" ]]; then
        not_ok "holds_$name" "$(ffprobe -v error -show_entries stream=codec_name,pix_fmt:stream_tags=alpha_mode -of csv=p=0 "$first")"
    elif ! python3 - "$work/alpha" "$work/first" <<'PY' >&2; then not_ok "holds_$name" "another alpha"
import sys
want, got = (open(f, "rb").read()[:4096] for f in sys.argv[1:])
sys.exit(len(got) != 4096 or sum((a < 128) != (b < 128) for a, b in zip(want, got)) > 60)
PY
    else ok "holds_$name"; fi
}
holds o.mov prores,yuva444p10le
holds %d.png png,rgba
if [[ $(ffmpeg -v error -encoders) == *" libvpx-vp9 "* ]]; then
    holds o.webm vp9,yuv420p,1 -c:v libvpx-vp9 # FFmpeg's own decoder of VP9 does not look at alpha
else
    skip holds_owebm "this FFmpeg has no libvpx-vp9"
fi

refused() { # name text [options]
    local rc=0 name=$1 text=$2
    shift 2
    "$@" || rc=$?
    if ((rc != 2)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "$text" "$work/err"; then not_ok "$name" "the message says something else"
    else ok "$name"; fi
}
refused no_place '\.mov (prores_ks)' objects "$work/o.mp4" --gpu_num 1 --segment.picture cutout
refused no_alpha_of_encoder 'encoder "libx264": it takes none' objects "$work/o.mkv" --gpu_num 1 --segment.picture cutout --encoder libx264
refused no_mask 'the model makes no matte' reel "$work/a.mkv" -o "$work/o.mkv" -y --backend onednn --model "$work/depth.onnx" \
    --gpu_num 1 --segment.picture cutout
finish
