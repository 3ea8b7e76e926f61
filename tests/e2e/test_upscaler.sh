#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What the bundled upscalers are for: on a rendered scene (the demo clip, which
# is not trained on), cut down by 2 and encoded, they beat bicubic in PSNR-Y and
# do not flicker more, nor on a picture that hardly moves, where the encoder's
# small changes are all that one sees. The same measure finds a network with a
# dead layer out.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_ffmpeg "base beats bicubic" "fast beats bicubic" "nobody names a model" "a degraded network is found out" \
    "base keeps still" "fast keeps still" || exit 0

# A figure that ffmpeg's psnr filter gives of two videos' luma: 1.23 or inf.
psnr_y() { # file, filters that end in psnr, files...
    local graph=$1 inputs=() file
    shift
    for file in "$@"; do inputs+=(-i "$file"); done
    ffmpeg -v info -nostdin "${inputs[@]}" -lavfi "$graph" -f null - 2>&1 | sed -n 's/.*PSNR y:\([0-9.inf]*\).*/\1/p'
}
quality() { psnr_y "[0:v]extractplanes=y[a];[1:v]extractplanes=y[b];[a][b]psnr" "$1" "$scratch/true.mkv"; }
# How still the error is: its change from a frame to the next, as a PSNR (128 is no error, no change).
stillness() {
    psnr_y "[0:v]extractplanes=y[a];[1:v]extractplanes=y,split[b][c];[c]geq=lum=128[flat];
        [a][b]blend=all_mode=grainextract,tblend=all_mode=grainextract[d];[d][flat]psnr=shortest=1" "$1" "$scratch/true.mkv"
}

# better FILE GAIN: FILE is at least GAIN dB above bicubic and its error is no less still.
better() {
    local got still
    got=$(quality "$1") still=$(stillness "$1")
    echo "PSNR-Y $got dB, bicubic $bicubic_db; stillness $still dB, bicubic $bicubic_still"
    awk -v a="$got" -v b="$bicubic_db" -v gain="$2" -v s="$still" -v t="$bicubic_still" \
        'BEGIN { exit !(b > 20 && t > 20 && a >= b + gain && s >= t) }'
}

upscale() { # model, output, arguments...
    local model=$1 out=$2
    shift 2
    reel ${model:+--model "$model"} "$scratch/small.mp4" -o "$out" --encoder ffv1 --encoder_opts "" -y "$@"
}

beats() { # model, dB
    upscale "$root/models/$1" "$scratch/$1.mkv" && better "$scratch/$1.mkv" "$2"
}

no_model() { # as `./run.sh in.mp4 -o out.mkv` starts it
    REELMILL_DEFAULT_CONFIG=$root/configs/upscale.cfg upscale "" "$scratch/plain.mkv" &&
        expect picture "$(sha256sum <"$scratch/upscale2x.onnx.mkv")" "$(sha256sum <"$scratch/plain.mkv")"
}

# The weights of one layer become zeros.
degraded() {
    local at model count gain
    for model in upscale2x upscale2x-fast; do
        gain=$([[ $model == upscale2x ]] && echo 0.5 || echo 0.3)
        count=$([[ $model == upscale2x ]] && echo 36864 || echo 9216) # 32x32x3x3 and 16x16x3x3 floats
        cp "$root/models/$model.onnx" "$scratch/bad.onnx"
        at=$(grep -abo "body1.weight" "$scratch/bad.onnx" | tail -n 1 | cut -d: -f1)
        dd if=/dev/zero of="$scratch/bad.onnx" bs=1 seek=$((at + 32)) count=$((count - 32)) conv=notrunc status=none || return 1
        upscale "$scratch/bad.onnx" "$scratch/bad.mkv" || return 1
        if better "$scratch/bad.mkv" "$gain"; then
            echo "$model with a dead layer passed"
            return 1
        fi
    done
}

# cut_down WIDTH HEIGHT: what a network is given of true.mkv, and what it must beat.
cut_down() {
    ffmpeg -v error -y -i "$scratch/true.mkv" -vf "scale=$(($1 / 2)):$(($2 / 2))" -c:v libx264 -threads 1 -crf 23 \
        -pix_fmt yuv420p "$scratch/small.mp4"
    ffmpeg -v error -y -i "$scratch/small.mp4" -vf "scale=$1:$2:flags=bicubic" -c:v ffv1 "$scratch/bicubic.mkv"
    bicubic_db=$(quality "$scratch/bicubic.mkv") bicubic_still=$(stillness "$scratch/bicubic.mkv")
}

ffmpeg -v error -y -i "$root/models/demo/demo.mp4" -an -vf trim=start_frame=60,setpts=N/24/TB,crop=480:268:0:0 \
    -frames:v 12 -c:v ffv1 "$scratch/true.mkv"
cut_down 480 268
check "base beats bicubic" beats upscale2x.onnx 0.5
check "fast beats bicubic" beats upscale2x-fast.onnx 0.3
check "nobody names a model" no_model
check "a degraded network is found out" degraded

# One picture of it, turned by fractions of a pixel, with a camera's noise.
ffmpeg -v error -y -i "$root/models/demo/demo.mp4" -an -vf trim=start_frame=60,crop=480:268:0:0 -frames:v 1 "$scratch/one.png"
ffmpeg -v error -y -loop 1 -i "$scratch/one.png" -frames:v 12 -c:v ffv1 -vf \
    "gblur=0.7,rotate=0.0005*sin(n):c=gray,crop=464:256,noise=c0s=1:c0f=t:c0_seed=1,format=yuv420p" "$scratch/true.mkv"
cut_down 464 256
check "base keeps still" beats upscale2x.onnx 0.5
check "fast keeps still" beats upscale2x-fast.onnx 0.4
