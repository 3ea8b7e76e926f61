#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The main job on generated clips with the bundled upscaler: frame counts,
# timestamps, audio, size, and equal bytes for any number of processes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

model=$root/models/upscale2x.onnx
names=("upscaled video is whole" "same bytes on any number of processes" "variable frame rate is kept" "ten bits stay ten bits"
    "null output" "report has its keys" "images are numbered" "several inputs, one broken")
need_ffmpeg "${names[@]}" || exit 0

whole() {
    make_clip "$scratch/a.mp4" 2 -metadata title="A title" || return 1
    reel --model "$model" --gpu_num 2 --segment_seconds 1 "$scratch/a.mp4" -o "$scratch/a-out.mp4" || return 1
    expect frames 50 "$(frames "$scratch/a-out.mp4")" &&
        expect size 384,216 "$(stream "$scratch/a-out.mp4" v:0 width,height)" &&
        expect audio aac "$(stream "$scratch/a-out.mp4" a:0 codec_name)" &&
        expect times "$(times "$scratch/a.mp4" | md5sum)" "$(times "$scratch/a-out.mp4" | md5sum)" &&
        expect title "A title" "$(ffprobe -v error -show_entries format_tags=title -of csv=p=0 "$scratch/a-out.mp4")" &&
        expect parts "" "$(find "$scratch" -name '.*reelmill')" && nothing_left
}

same_bytes() {
    local want="" got w d a
    for spec in "1 1 1 1" "2 1 1 2" "4 3 3 3" "2 3 1 1"; do
        read -r w d a l <<<"$spec"
        reel --model "$model" --gpu_num "$w" --decoders "$d" --aggregators "$a" --lanes "$l" --segment_seconds 0.7 -y \
            "$scratch/a.mp4" -o "$scratch/b.mkv" || return 1
        got=$(sha256sum <"$scratch/b.mkv")
        want=${want:-$got}
        expect "bytes with $w workers, $d decoders, $a aggregators, $l lanes" "$want" "$got" || return 1
    done
}

vfr() {
    ffmpeg -v error -y -i "$scratch/a.mp4" -vf "select='not(between(mod(n,10),4,6))'" -vsync vfr -c:v libx264 -preset ultrafast -an \
        "$scratch/vfr.mkv" || return 1
    reel --model "$model" "$scratch/vfr.mkv" -o "$scratch/vfr-out.mkv" || return 1
    expect times "$(times "$scratch/vfr.mkv")" "$(times "$scratch/vfr-out.mkv")"
}

ten_bits() {
    make_clip "$scratch/ten.mkv" 1 -vf setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709 -pix_fmt yuv420p10le -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv || return 1
    reel --model "$model" "$scratch/ten.mkv" -o "$scratch/ten-out.mkv" || return 1
    expect format yuv420p10le "$(stream "$scratch/ten-out.mkv" v:0 pix_fmt)" &&
        expect colour "tv,bt709,bt709,bt709" "$(stream "$scratch/ten-out.mkv" v:0 color_range,color_space,color_transfer,color_primaries)"
}

null_output() { reel --model "$model" "$scratch/a.mp4" -o null: && nothing_left; }

report() {
    reel --model "$model" "$scratch/a.mp4" -o "$scratch/r.mp4" --report "$scratch/r.json" || return 1
    local key
    for key in version wall_s fps frames in out quarantined dropped unreadable hidden jobs input output status error frames_in frames_out \
        segments seconds stages decoder worker aggregator busy_fraction restarts bottleneck text kept audio timestamps colour; do
        grep -q "\"$key\"" "$scratch/r.json" || { echo "no \"$key\" in $(cat "$scratch/r.json")"; return 1; }
    done
}

images() {
    mkdir -p "$scratch/png"
    reel --model "$model" --segment_seconds 0.5 "$scratch/a.mp4" -o "$scratch/png/%04d.png" || return 1
    expect files 50 "$(find "$scratch/png" -name '*.png' | wc -l)" && expect first 0000.png "$(find "$scratch/png" -name '*.png' -printf '%f\n' | sort | head -n 1)"
}

several() {
    mkdir -p "$scratch/in/deep" && cp "$scratch/a.mp4" "$scratch/in/deep/one.mp4" && cp "$scratch/a.mp4" "$scratch/in/two.mp4" || return 1
    noise 5000 >"$scratch/in/bad.mp4"
    local rc=0 text
    text=$(reel --model "$model" "$scratch/in" -o "$scratch/out" 2>&1) || rc=$?
    expect "exit code" 1 "$rc" || { echo "$text"; return 1; }
    grep -q bad.mp4 <<<"$text" || { echo "bad.mp4 is not named: $text"; return 1; }
    expect one 50 "$(frames "$scratch/out/deep/one.mp4")" && expect two 50 "$(frames "$scratch/out/two.mp4")"
}

functions=(whole same_bytes vfr ten_bits null_output report images several)
for i in "${!names[@]}"; do check "${names[i]}" "${functions[i]}"; done
