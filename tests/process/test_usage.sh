#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Wrong usage and bad input: one clear message, the right exit code, nothing
# started or left. And many inputs, of which one is broken.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 3

refused() { # name code text ARGS...
    local name=$1 code=$2 text=$3 rc=0
    shift 3
    reel "$@" || rc=$?
    if ((rc != code)); then not_ok "$name" "exit code $rc, not $code"
    elif ! grep -qF -- "$text" "$work/err"; then not_ok "$name" "the message lacks \"$text\""
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok "$name"; fi
}

printf 'x' >"$work/exists.mkv"
: >"$work/empty.mp4"
head -c 4000 "$work/a.mp4" >"$work/cut.mp4"
noise 20000 >"$work/noise.mp4"
printf 'hello\n' >"$work/text.mp4"
ffmpeg -v error -y -f lavfi -i sine=d=1 -c:a aac "$work/audio.mp4" </dev/null
printf 'nonsense = 1;\n' >"$work/bad.cfg"

refused no_input 2 "no input was given" -o "$work/o.mkv"
refused no_output 2 "no output was given" "$work/a.mp4"
refused no_output_nor_model 2 "no output was given" --backend onednn "$work/a.mp4"
refused missing_input 2 "No such file" "$work/none.mp4" -o "$work/o.mkv"
refused unknown_option 2 "nonsense" --nonsense 3 "$work/a.mp4" -o "$work/o.mkv"
refused unknown_key 2 "bad.cfg:1" --config "$work/bad.cfg" "$work/a.mp4" -o "$work/o.mkv"
refused config_is_folder 2 "it is not a file" --config / "$work/a.mp4" -o "$work/o.mkv"
refused no_memory_at_all 1 "could not make rings" --memory 1K "$work/a.mp4" -o "$work/o.mkv"
refused unknown_extension 2 ".mp4 .mkv" "$work/a.mp4" -o "$work/o.xyz"
refused existing_output 2 "-y" "$work/a.mp4" -o "$work/exists.mkv"
refused same_file 2 "it is the input" "$work/a.mp4" -o "$work/a.mp4" -y
refused missing_plans 2 "could not read plans" "$work/a.mp4" -o "$work/o.mkv" --plans "$work/none.plans"
refused plans_of_no_gpu 2 "only --backend cudnn" "$work/a.mp4" -o "$work/o.mkv" --plans "$work/bad.cfg"
refused autotune_what 2 "name it with --model" --autotune "$work/o.plans" --backend cudnn
refused report_on_input 2 "it is the input" "$work/a.mp4" -o "$work/o.mkv" --report "$work/a.mp4"
refused report_on_folder 2 "it is a folder" "$work/a.mp4" -o "$work/o.mkv" --report "$work"
refused no_folder 2 "there is no folder" "$work/a.mp4" -o "$work/no/o.mkv"
refused live_of_two 2 "takes one" "$work/a.mp4" "$work/exists.mkv" -o "$work/o.mkv" --live
refused address_without_live 2 "use: --live" rtsp://127.0.0.1/x -o "$work/o.mkv"
refused no_model 2 "no model was given" --backend onednn "$work/a.mp4" -o "$work/o.mkv"
refused missing_model 2 "could not open model" --backend onednn --model "$work/m.onnx" "$work/a.mp4" -o "$work/o.mkv"
refused noise_model 2 "could not read model" --backend onednn --model "$work/noise.mp4" "$work/a.mp4" -o "$work/o.mkv"
refused dry_run_of_noise 2 "could not read model" --dry_run --backend onednn --model "$work/noise.mp4" "$work/a.mp4" -o "$work/o.mkv"
refused empty_input 1 "empty.mp4" "$work/empty.mp4" -o "$work/o.mkv"
refused cut_input 1 "cut.mp4" "$work/cut.mp4" -o "$work/o.mkv"
refused noise_input 1 "noise.mp4" "$work/noise.mp4" -o "$work/o.mkv"
refused text_input 1 "text.mp4" "$work/text.mp4" -o "$work/o.mkv"
refused audio_only 1 "audio.mp4" "$work/audio.mp4" -o "$work/o.mkv"
refused no_memory 1 "could not fit one lane into memory" "$work/a.mp4" -o "$work/o.mkv" --memory 200K
[[ ! -e $work/o.mkv ]] && ok no_output_left || not_ok no_output_left "there is an output"
[[ $(cat "$work/exists.mkv") == x ]] && ok existing_is_untouched || not_ok existing_is_untouched "it was changed"

hard_names() { # as long as a file system takes them; a % in a folder's name
    local rc=0 long
    long=$(printf 'n%.0s' {1..251}).mkv
    mkdir "$work/50%d"
    reel "$work/a.mp4" -o "$work/$long" || rc=$?
    reel "$work/a.mp4" -o "$work/50%d/%03d.png" || rc=$?
    reel "$work/50%d/%03d.png" -o "$work/50%d/back.mkv" || rc=$?
    if ((rc)); then not_ok hard_names "exit code $rc"
    elif [[ $(frames "$work/$long") != 75 || $(frames "$work/50%d/back.mkv") != 75 || ! -e $work/50%d/074.png ]]; then not_ok hard_names "frames are missing"
    elif [[ -n $(find "$work" -maxdepth 2 -name '.*.reelmill') ]]; then not_ok hard_names "parts were left"
    else ok hard_names; fi
}
hard_names

many() {
    local rc=0
    mkdir -p "$work/in/deep"
    clip "$work/in/one.mp4" 1
    clip "$work/in/deep/two.mkv" 3
    cp "$work/text.mp4" "$work/in/broken.mp4"
    clip "$work/in/three.mp4" 2
    reel "$work/in" -o "$work/many" --gpu_num 2 --report "$work/r.json" || rc=$?
    if ((rc != 1)); then not_ok many "exit code $rc"
    elif [[ $(frames "$work/many/one.mp4") != 25 || $(frames "$work/many/deep/two.mkv") != 75 || $(frames "$work/many/three.mp4") != 50 ]]; then
        not_ok many "frames are missing: $(find "$work/many" -type f)"
    elif [[ $(grep -c '"status": "done"' "$work/r.json") != 3 || $(grep -c '"status": "failed"' "$work/r.json") != 1 ]]; then
        not_ok many "report: $(cat "$work/r.json")"
    elif ! grep -q "broken.mp4" "$work/err"; then not_ok many "the broken one was not named"
    elif [[ $(find "$work/many" -path '*.reelmill*' ! -type d -printf '%P\n' | sort) != $'.reelmill/deep/two.mkv.done\n.reelmill/one.mp4.done\n.reelmill/three.mp4.done' ]]; then
        not_ok many "left beside the outputs: $(find "$work/many" -path '*.reelmill*')"
    elif ! nothing_left; then not_ok many "left: $(ls "$XDG_RUNTIME_DIR")"
    else ok many; fi
}
many

# The same command after that: what is done stays as it is, the others are tried again.
many_again() { # name exit-code
    local name=$1 code=$2 rc=0 before
    before=$(stat -c %i:%Y "$work/many/one.mp4" "$work/many/deep/two.mkv" "$work/many/three.mp4")
    reel "$work/in" -o "$work/many" --gpu_num 2 || rc=$?
    if ((rc != code)); then not_ok "$name" "exit code $rc"
    elif [[ $(stat -c %i:%Y "$work/many/one.mp4" "$work/many/deep/two.mkv" "$work/many/three.mp4") != "$before" ]]; then not_ok "$name" "finished ones were done again"
    elif ((code)) && ! grep -q "1 of 4 inputs failed; the same command retries them" "$work/err"; then not_ok "$name" "no word of how to go on"
    elif ((code == 0)) && [[ $(frames "$work/many/broken.mp4") != 25 || -n $(find "$work/many" -name '*.reelmill') ]]; then
        not_ok "$name" "not all is done, or parts were left"
    else ok "$name"; fi
}
many_again many_still_broken 1
clip "$work/in/broken.mp4" 1
many_again many_repaired 0

# The folder of an image pattern is made; null: has no name in the last line.
if reel "$work/a.mp4" -o "$work/new/deep/%03d.png" && [[ $(find "$work/new/deep" -name '???.png' | wc -l) == "$(frames "$work/a.mp4")" ]]; then ok pattern_folder
else not_ok pattern_folder "$(ls -R "$work/new")"; fi
if reel "$work/a.mp4" -o null: --progress plain && grep -q '^done: [0-9]* frames' "$work/err"; then ok null_summary
else not_ok null_summary "$(tail -n 1 "$work/err")"; fi

one_shot() { # name text ARGS...
    local name=$1 text=$2 rc=0
    shift 2
    "$bin/coordinator" "$@" >"$work/out" 2>"$work/err" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -q -- "$text" "$work/out"; then not_ok "$name" "the answer lacks \"$text\""
    else ok "$name"; fi
}
one_shot version "reelmill [0-9]" --version
one_shot help "--segment[_-]seconds" --help
one_shot dump_config "segment_seconds" --dump_config
one_shot doctor "program worker: found" --doctor
one_shot list_gpus "GPU" --list_gpus
one_shot dry_run "nothing was started" --dry_run --backend sim "$work/a.mp4" -o "$work/o.mkv"
one_shot dry_run_says_what_a_model_does "makes a luma picture 0..1 2 times as large" \
    --dry_run --backend onednn --model "$root/models/upscale2x.onnx" "$work/a.mp4" -o "$work/o.mkv"

# '-' and '_' are the same, a file's keys are options, and the command line wins.
printf 'gpu_num = 3;\nsegment_seconds = 4.0;\nio = { range = "0-255"; };\n' >"$work/good.cfg"
same_names() {
    "$bin/coordinator" --config "$work/good.cfg" --gpu-num 2 --detect.max-objects 7 --dump-config >"$work/out" 2>"$work/err" || { not_ok same_names "exit code $?"; return; }
    local line
    for line in 'gpu_num = 2' 'segment_seconds = 4.0' 'range = "0-255"' 'max_objects = 7'; do
        grep -q "$line" "$work/out" || { not_ok same_names "no \"$line\""; return; }
    done
    # What is dumped is a configuration.
    "$bin/coordinator" --config "$work/out" --dump_config >"$work/out2" 2>"$work/err" || { not_ok same_names "the dump is refused"; return; }
    if cmp -s "$work/out" "$work/out2"; then ok same_names; else not_ok same_names "the dump's dump differs"; fi
}
same_names

refused_key() { # name text file line
    local rc=0
    printf '%b' "$2" >"$work/k.cfg"
    "$bin/coordinator" --config "$work/k.cfg" "$work/a.mp4" -o null: >/dev/null 2>"$work/err" || rc=$?
    if ((rc != 2)); then not_ok "$1" "exit code $rc"
    elif ! grep -q "k.cfg:$3: " "$work/err"; then not_ok "$1" "no file and line in: $(cat "$work/err")"
    else ok "$1"; fi
}
refused_key key_not_a_number '\ngpu_num = "x";\n' 2
refused_key key_syntax 'gpu_num = 2;\nlanes = ;\n' 2
refused_key key_choice 'io = { layout = "abc"; };\n' 1
refused_key key_out_of_range '\n\nthreads = 0;\n' 3
refused_key key_of_the_command_line 'config = "x";\n' 1

bar_on_a_terminal() {
    command -v script >/dev/null || { skip bar_on_a_terminal "no script command"; return; }
    TERM=xterm script -qec "$bin/coordinator --backend sim --sim_ms 20 --gpu_num 1 $work/a.mp4 -o null:" /dev/null >"$work/out" 2>&1 </dev/null
    if ! grep -aqE '\[#+\.*\] +[0-9.]+% +[0-9]+/75 +[0-9.]+ fps +ETA' "$work/out"; then not_ok bar_on_a_terminal "no bar in: $(tr '\r' '\n' <"$work/out" | tail -n 3)"
    elif ! grep -aq 'w0 ' "$work/out"; then not_ok bar_on_a_terminal "no worker's speed"
    else ok bar_on_a_terminal; fi
}
bar_on_a_terminal

json_progress() {
    reel "$work/a.mp4" -o null: --progress json || not_ok json_progress "exit code $?"
    if tail -n 1 "$work/out" | grep -q '"frames":75,"total":75,.*"done":1'; then ok json_progress; else not_ok json_progress "$(tail -n 1 "$work/out")"; fi
}
json_progress

# Thread-local storage lies in every thread's stack, those of libraries included: SVT-AV1
# from 2.0 asks for 1 MB, and its threads do not start where a program takes more.
small_thread_storage() {
    command -v readelf >/dev/null || { skip small_thread_storage "no readelf command"; return; }
    local program bytes
    for program in coordinator decoder worker aggregator; do
        bytes=$(readelf -lW "$bin/$program" | awk '$1 == "TLS" { print $6 }')
        if ((${bytes:-0} > 65536)); then not_ok small_thread_storage "$program has $((bytes)) bytes"; return; fi
    done
    ok small_thread_storage
}
small_thread_storage
finish
