#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Mistakes and damaged files: one clear message, the right exit code, nothing
# left behind.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

model=$root/models/upscale2x.onnx
out=$scratch/out.mp4

bad() { # name, code, word, arguments...
    local name=$1
    shift
    check "$name" clean_failure "$@"
}
clean_failure() {
    fails_with "$@" && nothing_left && { [[ ! -e $out ]] || { echo "there is an output"; return 1; }; }
}

: >"$scratch/empty.mp4"
head -c 4096 /dev/urandom >"$scratch/random.mp4"
head -c 4096 /dev/urandom >"$scratch/random.onnx"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n' >"$scratch/lfs.onnx"
printf 'gpu_num = 1;\nmodle = "x";\n' >"$scratch/bad.cfg"

bad "no input" 2 "input" --model "$model" -o "$out"
bad "no output" 2 "output" --model "$model" "$scratch/random.mp4"
bad "unknown option" 2 "gpu_num" --gpu_nun 3 "$scratch/random.mp4" -o "$out"
bad "later option" 2 "not available in this build" --live "$scratch/random.mp4" -o "$out"
bad "unknown key" 2 "bad.cfg:2" --config "$scratch/bad.cfg" "$scratch/random.mp4" -o "$out"
bad "unknown extension" 2 ".mkv" --model "$model" "$scratch/random.mp4" -o "$scratch/out.xyz"
bad "missing input" 2 "nothere.mp4" --model "$model" "$scratch/nothere.mp4" -o "$out"
bad "missing model" 2 "nothere.onnx" --model "$scratch/nothere.onnx" "$scratch/random.mp4" -o "$out"
bad "output equal to input" 2 "random.mp4" --model "$model" "$scratch/random.mp4" -o "$scratch/random.mp4"
bad "unwritable output" 2 "/proc" --model "$model" "$scratch/random.mp4" -o /proc/out.mp4
bad "empty input" 1 "empty.mp4" --model "$model" "$scratch/empty.mp4" -o "$out"
bad "random input" 1 "random.mp4" --model "$model" "$scratch/random.mp4" -o "$out"
bad "random model" 2 "random.onnx" --model "$scratch/random.onnx" "$scratch/random.mp4" -o "$out"
bad "git-lfs pointer" 2 "LFS" --model "$scratch/lfs.onnx" "$scratch/random.mp4" -o "$out"

names=("existing output" "audio only" "truncated input")
need_ffmpeg "${names[@]}" || exit 0

existing() {
    make_clip "$scratch/a.mp4" 1 && cp "$scratch/a.mp4" "$scratch/old.mp4" && fails_with 2 "-y" --model "$model" "$scratch/a.mp4" -o "$scratch/old.mp4" &&
        cmp "$scratch/a.mp4" "$scratch/old.mp4"
}
audio_only() {
    ffmpeg -v error -y -f lavfi -i sine=duration=1 "$scratch/sound.mp4" && clean_failure 1 "no video" --model "$model" "$scratch/sound.mp4" -o "$out"
}
truncated() { # decodes what is there
    make_clip "$scratch/long.mkv" 3 -g 10 && head -c $(($(stat -c %s "$scratch/long.mkv") / 2)) "$scratch/long.mkv" >"$scratch/cut.mkv" || return 1
    local rc=0
    reel --model "$model" "$scratch/cut.mkv" -o "$scratch/cut-out.mkv" || rc=$?
    [[ $rc == 0 || $rc == 3 ]] || { echo "exit code $rc"; return 1; }
    expect frames "$(frames "$scratch/cut.mkv")" "$(frames "$scratch/cut-out.mkv")"
}
check "${names[0]}" existing
check "${names[1]}" audio_only
check "${names[2]}" truncated
