#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --verify: what it says of equal and of other pictures, and that nothing is left.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
export TMPDIR=$work/tmp
mkdir "$TMPDIR"

# ---- the comparison ------------------------------------------------------------

lossless() { # file, filters, [format]
    ffmpeg -v error -y -f lavfi -i "testsrc2=s=96x64:r=25:d=1" -vf "format=${3:-yuv420p}$2" -c:v ffv1 "$work/$1.mkv" </dev/null
}
compare() { # name, exit code, text, file, reference
    local rc=0
    "$bin/aggregator" --compare reference "$work/${5:-same}.mkv" other "$work/$4.mkv" >"$work/out" 2>"$work/err" || rc=$?
    if ((rc != $2)); then not_ok "$1" "exit code $rc: $(cat "$work/out" "$work/err")"
    elif ! grep -Eq "$3" "$work/out" "$work/err"; then not_ok "$1" "no \"$3\" in: $(cat "$work/out" "$work/err")"
    else ok "$1"; fi
}
lossless same ""
lossless one ",lutyuv=y='if(between(val,100,200),val+1,val)'"
lossless two ",lutyuv=u='if(between(val,100,200),val-2,val)'"
lossless late ",lutyuv=y='val+9':enable='gte(n,7)'"
lossless fewer ",trim=end_frame=24"
lossless other_times ",setpts=PTS+0.04/TB*gte(N\,20)"
lossless size ",scale=48:32"
lossless ten "" yuv420p10le
lossless ten_four ",lutyuv=y='if(between(val,400,800),val+4,val)'" yuv420p10le
lossless ten_six ",lutyuv=y='if(between(val,400,800),val+6,val)'" yuv420p10le
echo nothing >"$work/broken.mkv"
compare equal 0 'other +25 +same +25 +0 +inf +-$' same
compare one_step 0 'other +25 +same +0 +1 +[0-9.]+ dB +0$' one
compare two_steps_in_chroma 1 'other +25 +same +0 +2 .* 0  <-$' two
compare from_frame_7 1 'other +25 +same +7 +9 .* 7  <-$' late
compare frame_missing 1 'other +24 +same +24 +0 +inf +-  <-$' fewer
compare other_timestamps 1 'other +25 +5 other +25 +0 ' other_times
compare other_size 1 'could not compare pictures: 96x64 yuv420p and 48x32' size
compare ten_bits_one_step 0 'other +25 +same +0 +1 ' ten_four ten
compare ten_bits_more 1 'other +25 +same +0 +1.5 ' ten_six ten
compare unreadable 1 'could not read ".*broken.mkv"' broken

# ---- the command ---------------------------------------------------------------

verify() { # name, exit code, text, arguments...
    local name=$1 want_rc=$2 text=$3 rc=0
    shift 3
    timeout --kill-after=5 "$((60 * slow))" "$bin/coordinator" --verify "$@" >"$work/out" 2>"$work/err" </dev/null || rc=$?
    if ((rc != want_rc)); then not_ok "$name" "exit code $rc"
    elif ! grep -Eq "$text" "$work/out" "$work/err"; then not_ok "$name" "no \"$text\" in: $(cat "$work/out")"
    elif [[ -n $(ls -A "$TMPDIR") ]] || ! nothing_left; then not_ok "$name" "left: $(ls "$TMPDIR")"
    else ok "$name"; fi
}
clip "$work/a.mp4" 5 -c:v libx264 -preset ultrafast -g 250 -pix_fmt yuv420p
model=$root/models/upscale2x-fast.onnx

verify simulated 0 '3 simulated workers +50 +same +50 +0 +inf' --backend sim --sim_ms 0,0,0 "$work/a.mp4"
verify workers 0 '2 CPU workers +8 +same +8 +0 +inf' --verify_seconds 0.3 --gpu_num 2 --model "$model" "$work/a.mp4"
verify split 0 '2 CPU workers, split frames +8 +same +8 +0 +inf' --verify_seconds 0.3 --gpu_num 2 --split spatial --model "$model" "$work/a.mp4"
# The program of the GPU, carried out here: its sums are other ones.
export REELMILL_GPU_TWIN=1
verify gpu_twin 0 '2 GPU-twin workers +2 +same +[0-2] +[01] ' --verify_seconds 0.08 --gpu_num 2 --model "$model" "$work/a.mp4"
unset REELMILL_GPU_TWIN
# What the command names besides is not written.
verify output_untouched 0 'simulated workers' --backend sim "$work/a.mp4" -o "$work/o.mp4" --report "$work/r.json" --encoder libx264
if [[ -e $work/o.mp4 || -e $work/r.json ]]; then not_ok nothing_written "an output or report is there"; else ok nothing_written; fi

verify two_inputs 2 'looks at one input, 2 were given' --backend sim "$work/a.mp4" "$work/a.mp4"
verify no_input 2 'looks at one input, 0 were given' --backend sim
verify no_file 2 'nothere.mp4' --backend sim "$work/nothere.mp4"
noise 3000 >"$work/bad.mp4"
verify bad_file 1 'could not verify: the run on one simulated worker failed' --backend sim "$work/bad.mp4"

# Ctrl-C in the middle of a run.
begun() { compgen -G "$TMPDIR/reelmill-verify-*/.0.mkv.reelmill" >/dev/null; }
"$bin/coordinator" --verify --backend sim --sim_ms 500 "$work/a.mp4" >"$work/out" 2>"$work/bg.err" </dev/null &
coordinator=$!
wait_for 10 begun
kill -INT "$coordinator"
rc=0
wait "$coordinator" || rc=$?
if ((rc != 130)); then not_ok interrupted "exit code $rc"
elif [[ -n $(ls -A "$TMPDIR") ]] || ! nothing_left; then not_ok interrupted "left: $(ls "$TMPDIR")"
else ok interrupted; fi
# What a killed --verify leaves is removed by the next run, or by --gc.
rc=0
"$bin/coordinator" --verify --backend sim --sim_ms 20 "$work/a.mp4" >"$work/out" 2>"$work/err" </dev/null &
coordinator=$!
has_part() { compgen -G "$TMPDIR/reelmill-verify-$coordinator-*/.0.mkv.reelmill/*" >/dev/null; }
wait_for 20 has_part || not_ok killed "it did not come so far"
"$bin/coordinator" --gc >"$work/gc" 2>&1 || rc=$?
if ((rc)) || ! has_part; then not_ok killed "a folder in use was removed: $(cat "$work/gc")"; fi
kill -9 "$coordinator"
wait "$coordinator" 2>/dev/null
nothing_left || true # its children end
"$bin/coordinator" --gc >"$work/gc" 2>&1 || rc=$?
if ((rc)); then not_ok killed "exit code $rc"
elif [[ -n $(ls -A "$TMPDIR") ]]; then not_ok killed "left: $(ls "$TMPDIR"), $(cat "$work/gc")"
else ok killed; fi

finish
