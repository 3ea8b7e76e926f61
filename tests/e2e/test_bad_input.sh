#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Mistakes and damaged files: one clear message, the right exit code, nothing
# left behind.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

model=$root/models/upscale2x.onnx
clip=$root/models/demo/demo.mp4
out=$scratch/out.mp4

bad() { # name, code, word, arguments...
    local name=$1
    shift
    check "$name" clean_failure "$@"
}
clean_failure() {
    fails_with "$@" && nothing_left && { [[ ! -e $out ]] || { echo "there is an output"; return 1; }; } &&
        expect "parts folders" "" "$(find "$scratch" -name '.*.reelmill')"
}

: >"$scratch/empty.mp4"
noise 4096 >"$scratch/random.mp4"
noise 4096 >"$scratch/random.onnx"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n' >"$scratch/lfs.onnx"
printf 'gpu_num = 1;\nmodle = "x";\n' >"$scratch/bad.cfg"

# Relu on inputs that are no pictures: 1x10, and five channels.
base64 -d >"$scratch/rank2.onnx" <<<CAgSADo7CgwKAXgSAXkiBFJlbHUSAWdaEwoBeBIOCgwIARIICgIIAQoCCApiEwoBeRIOCgwIARIICgIIAQoCCApCBAoAEA0=
base64 -d >"$scratch/five.onnx" <<<CAgSADpLCgwKAXgSAXkiBFJlbHUSAWdaGwoBeBIWChQIARIQCgIIAQoCCAUKAggICgIICGIbCgF5EhYKFAgBEhAKAggBCgIIBQoCCAgKAggIQgQKABAN

bad "no input" 2 "input" --model "$model" -o "$out"
bad "no output" 2 "output" --model "$model" "$scratch/random.mp4"
bad "unknown option" 2 "gpu_num" --gpu_nun 3 "$scratch/random.mp4" -o "$out"
bad "two live inputs" 2 "--live takes one" --live --model "$model" "$clip" "$scratch/random.mp4" -o "$scratch/"
bad "unknown key" 2 "bad.cfg:2" --config "$scratch/bad.cfg" "$scratch/random.mp4" -o "$out"
bad "unknown extension" 2 ".mkv" --model "$model" "$scratch/random.mp4" -o "$scratch/out.xyz"
bad "missing input" 2 "nothere.mp4" --model "$model" "$scratch/nothere.mp4" -o "$out"
bad "missing model" 2 "nothere.onnx" --model "$scratch/nothere.onnx" "$scratch/random.mp4" -o "$out"
bad "output equal to input" 2 "random.mp4" --model "$model" "$scratch/random.mp4" -o "$scratch/random.mp4"
bad "unwritable output" 2 "/proc" --model "$model" "$scratch/random.mp4" -o /proc/out.mp4
bad "empty input" 1 "empty.mp4" --model "$model" "$scratch/empty.mp4" -o "$out"
bad "random input" 1 "media file" --model "$model" "$scratch/random.mp4" -o "$out"
bad "random model" 2 "random.onnx" --model "$scratch/random.onnx" "$clip" -o "$out"
bad "git-lfs pointer" 2 "LFS" --model "$scratch/lfs.onnx" "$clip" -o "$out"

bad "metrics at no address" 2 "could not read --metrics" --metrics 127.0.0.1 --model "$model" "$scratch/random.mp4" -o "$out"
bad "trace in no folder" 2 "could not write trace" --trace "$scratch/no/t.json" --model "$model" "$scratch/random.mp4" -o "$out"
bad "report in no folder" 2 "could not write report" --report "$scratch/no/r.json" --model "$model" "$scratch/random.mp4" -o "$out"
bad "logs in no folder" 2 "could not write logs" --log_dir "$scratch/no/logs" --model "$model" "$scratch/random.mp4" -o "$out"
bad "simulated cost that is no number" 2 "sim_ms" --backend sim --sim_ms 10,x "$scratch/random.mp4" -o "$out"
bad "no such filter" 2 "No such filter: 'scael'" --backend sim --pre_filter scael=3 "$clip" -o "$out"
bad "no such option of a filter" 2 "ption 'foo'" --backend sim --pre_filter scale=3:4:foo=1 "$clip" -o "$out"
bad "too many workers" 2 "between 1 and 64" --gpu_num 65 --model "$model" "$scratch/random.mp4" -o "$out"
bad "no workers" 2 "between 1 and 64" --gpu_num 0 --model "$model" "$scratch/random.mp4" -o "$out"
bad "network input" 2 "--live" --model "$model" http://localhost/a.mp4 -o "$out"
if [[ ! -e /dev/nvidia0 && ! -e /proc/driver/nvidia/version ]]; then
    bad "a GPU where there is none" 2 "--backend onednn" --backend cudnn --gpu_num 4 --model "$model" "$scratch/random.mp4" -o "$out"
fi

names=("existing output" "audio only" "truncated input" "no pictures" "model of wrong rank" "model of five channels" "size changes within"
    "damage in the middle" "output is a link to the input" "missing labels" "collisions" "list and folders"
    "the same mistake for all inputs")
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
no_pictures() {
    local kind
    for kind in mkv mp4 avi; do
        ffmpeg -v error -y -f lavfi -i testsrc2=s=192x108:d=1 -frames:v 0 -c:v libx264 "$scratch/zero.$kind" || return 1
        clean_failure 1 "zero.$kind" --model "$model" "$scratch/zero.$kind" -o "$out" || return 1
    done
}
wrong_rank() { clean_failure 2 "is not a picture" --backend onednn --model "$scratch/rank2.onnx" "$scratch/a.mp4" -o "$out"; }
five_channels() { clean_failure 2 "has 5 channels" --backend onednn --model "$scratch/five.onnx" "$scratch/a.mp4" -o "$out"; }
size_changes() { # converted to the first size, said once, nothing lost
    ffmpeg -v error -y -f lavfi -i testsrc2=s=192x108:r=25:d=1 -c:v libx264 -preset ultrafast -bsf:v h264_mp4toannexb -f h264 "$scratch/1.h264" &&
        ffmpeg -v error -y -f lavfi -i testsrc2=s=96x64:r=25:d=1 -c:v libx264 -preset ultrafast -f h264 "$scratch/2.h264" || return 1
    cat "$scratch/1.h264" "$scratch/2.h264" >"$scratch/changes.h264"
    local rc=0 text
    text=$(reel --backend sim "$scratch/changes.h264" -o "$scratch/changes.mp4" 2>&1) || rc=$?
    expect "exit code" 0 "$rc" && expect frames 50 "$(frames "$scratch/changes.mp4")" && expect size 192,108 "$(stream "$scratch/changes.mp4" v:0 width,height)" &&
        expect "times it is said" 1 "$(grep -c "changes to 96x64" <<<"$text")" || { echo "$text"; return 1; }
}
damaged() { # what is decoded is written, what is not is counted: exit code 3
    # Every packet of ProRes stands alone: the heads of five are overwritten.
    ffmpeg -v error -y -f lavfi -i testsrc2=s=192x108:r=25:d=2 -c:v prores_ks "$scratch/damaged.mov" || return 1
    local at
    for at in $(ffprobe -v error -show_entries packet=pos -of csv=p=0 "$scratch/damaged.mov" | tr -d , | sed -n '20,24p'); do
        printf 'xxxxxxxx' | dd of="$scratch/damaged.mov" bs=1 seek="$at" conv=notrunc status=none
    done
    local rc=0 text
    text=$(reel --backend sim "$scratch/damaged.mov" -o "$scratch/damaged.mkv" --report "$scratch/d.json" 2>&1) || rc=$?
    expect "exit code" 3 "$rc" && grep -q "5 of its 50 packets gave no picture" <<<"$text" || { echo "$text"; return 1; }
    expect frames 45 "$(frames "$scratch/damaged.mkv")" &&
        expect counts '"in": 45, "out": 45, "quarantined": 0, "dropped": 0, "unreadable": 5' "$(grep -o '"in": .*"unreadable": [0-9]*' "$scratch/d.json")"
}
linked() {
    ln -sf a.mp4 "$scratch/symbolic.mp4" && ln -f "$scratch/a.mp4" "$scratch/hard.mp4" || return 1
    local before
    before=$(sha256sum <"$scratch/a.mp4")
    fails_with 2 "it is the input" --model "$model" -y "$scratch/a.mp4" -o "$scratch/symbolic.mp4" &&
        fails_with 2 "it is the input" --model "$model" -y "$scratch/a.mp4" -o "$scratch/hard.mp4" &&
        fails_with 2 "it is the input" --model "$model" -y "$scratch/symbolic.mp4" -o "$scratch/a.mp4" && expect input "$before" "$(sha256sum <"$scratch/a.mp4")"
}
labels() { clean_failure 2 "no-labels.txt" --backend onednn --task segment --segment.labels "$scratch/no-labels.txt" --model "$model" "$scratch/a.mp4" -o "$scratch/out.jsonl"; }
collisions() {
    mkdir -p "$scratch/two" && cp "$scratch/a.mp4" "$scratch/two/x.avi" && cp "$scratch/a.mp4" "$scratch/two/x.mkv" || return 1
    fails_with 2 "would both be written there" --backend sim "$scratch/two" -o "$scratch/two-out" && [[ ! -e $scratch/two-out ]]
}
all_wrong() { # every input meets the same mistake: it is the command's
    mkdir -p "$scratch/pair" && cp "$scratch/a.mp4" "$scratch/pair/1.mp4" && cp "$scratch/a.mp4" "$scratch/pair/2.mp4" || return 1
    fails_with 2 "makes pictures" --model "$model" "$scratch/pair" -o "$scratch/pair-out" --output_format .jsonl
}
lists() {
    mkdir -p "$scratch/tree/sub" && cp "$scratch/a.mp4" "$scratch/tree/sub/b.mp4" && cp "$scratch/a.mp4" "$scratch/tree/a.mov" || return 1
    printf '# a comment\n\ntree/sub\n%s/tree/a.mov\nmissing.mp4\n' "$scratch" >"$scratch/list.txt"
    local rc=0 text
    text=$(cd "$scratch" && reel --backend sim @list.txt -o listed --report listed.json 2>&1) || rc=$?
    expect "exit code" 1 "$rc" && grep -q "missing.mp4" <<<"$text" || { echo "$text"; return 1; }
    expect files "a.mov tree/sub/b.mp4 " "$(cd "$scratch/listed" && find . -type f ! -path '*/.*' -printf '%P\n' | sort | tr '\n' ' ')" &&
        expect rows 3 "$(grep -c '"input"' "$scratch/listed.json")"
}
check "${names[0]}" existing
check "${names[1]}" audio_only
check "${names[2]}" truncated
check "${names[3]}" no_pictures
check "${names[4]}" wrong_rank
check "${names[5]}" five_channels
check "${names[6]}" size_changes
check "${names[7]}" damaged
check "${names[8]}" linked
check "${names[9]}" labels
check "${names[10]}" collisions
check "${names[11]}" lists
check "${names[12]}" all_wrong
