#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A whole run the way it goes on a GPU, without one: the network by the GPU
# backend's host twin in fp16, the worker's device path, NHWC tensors. The
# pictures are those of the CPU backend (50 dB and more), for any number of
# workers the same bytes.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

model=$root/models/upscale2x.onnx
ffmpeg -v error -y -f lavfi -i testsrc2=s=90x62:r=25:d=0.2 -c:v ffv1 -pix_fmt yuv420p "$work/a.mkv" </dev/null

upscale() { # output workers [options]
    limit=240 reel "$work/a.mkv" -o "$1" -y --backend onednn --model "$model" --encoder ffv1 --gpu_num "$2" "${@:3}"
}

upscale "$work/cpu.mkv" 1 || not_ok reference "exit code $?"
export REELMILL_GPU_TWIN=1
for workers in 1 2; do
    upscale "$work/twin$workers.mkv" $workers || not_ok "twin_$workers" "exit code $?"
done
# Several frames a run, and on a device that has no room for so many.
rc=0
upscale "$work/twin4.mkv" 1 --batch 4 || rc=$?
if ((rc)); then not_ok batch "exit code $rc"
elif [[ $(sum "$work/twin4.mkv") != "$(sum "$work/twin1.mkv")" ]]; then not_ok batch "other bytes"
else ok batch; fi
REELMILL_HOST_DEVICE_BYTES=900000 upscale "$work/twin_less.mkv" 1 --batch 4 --progress plain || rc=$?
if ((rc)); then not_ok batch_without_room "exit code $rc"
elif ! grep -q "runs of 4 frames at once have no room: 2 from now on" "$work/err"; then not_ok batch_without_room "nobody said so"
elif [[ $(sum "$work/twin_less.mkv") != "$(sum "$work/twin1.mkv")" ]]; then not_ok batch_without_room "other bytes"
else ok batch_without_room; fi
rc=0
REELMILL_CRASH='worker.room:2:0' upscale "$work/twin_later.mkv" 1 --batch 4 --progress plain || rc=$?
if ((rc)); then not_ok batch_shrinks "exit code $rc"
elif ! grep -q "runs of 2 frames at once have no room: 1 from now on" "$work/err"; then not_ok batch_shrinks "nobody said so"
elif [[ $(sum "$work/twin_later.mkv") != "$(sum "$work/twin1.mkv")" ]]; then not_ok batch_shrinks "other bytes"
else ok batch_shrinks; fi
# What a network reads over all pictures of a run is one frame's.
if command -v python3 >/dev/null; then
    python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"
    ffmpeg -v error -y -f lavfi -i "testsrc2=s=64x48:r=25:d=0.8,format=gbrp,fade=in:0:20" -c:v ffv1 "$work/fade.mkv" </dev/null
    rc=0
    for batch in 1 4; do
        reel "$work/fade.mkv" -o "$work/levels$batch.mkv" -y --backend onednn --model "$work/levels.onnx" --encoder ffv1 \
            --gpu_num 1 --precision fp32 --batch $batch --log_level debug || rc=$?
    done
    if ((rc)); then not_ok pictures_of_a_run "exit code $rc"
    elif ! grep -q "device: [0-9]* frames" "$work/err"; then not_ok pictures_of_a_run "not by the device path"
    elif [[ $(sum "$work/levels1.mkv") != "$(sum "$work/levels4.mkv")" ]]; then not_ok pictures_of_a_run "other bytes"
    else ok pictures_of_a_run; fi
else
    skip pictures_of_a_run "no python3 on this machine"
fi
# Frames for which there is no room go through in tiles, and a resume keeps to them where there is room again.
ffmpeg -v error -y -f lavfi -i testsrc2=s=320x64:r=20:d=0.2 -c:v ffv1 -pix_fmt yuv420p "$work/wide.mkv" </dev/null
wide() { # output [options]
    limit=240 reel "$work/wide.mkv" -o "$1" -y --backend onednn --model "$root/models/upscale2x-fast.onnx" --encoder ffv1 \
        --gpu_num 1 --batch 1 --segment_seconds 0.1 --lanes 1 --progress plain "${@:2}"
}
cut="frames of 320x64 are cut into .* for lack of memory, .*: the same pixels as untiled"
rc=0
wide "$work/whole.mkv" || not_ok whole "exit code $?"
export REELMILL_HOST_DEVICE_BYTES=600000
wide "$work/tiled.mkv" || rc=$?
if ((rc)); then not_ok tiles_without_room "exit code $rc"
elif ! grep -q "$cut" "$work/err"; then not_ok tiles_without_room "nobody said so"
elif [[ $(sum "$work/tiled.mkv") != "$(sum "$work/whole.mkv")" ]]; then not_ok tiles_without_room "other bytes"
else ok tiles_without_room; fi
if wide "$work/none.mkv" --tile off; then not_ok tiles_off "it went through"
elif ! grep -q "no memory for" "$work/err"; then not_ok tiles_off "$(tail -n 2 "$work/err")"
else ok tiles_off; fi
REELMILL_CRASH='commit.after_journal:1:9' wide "$work/later.mkv" && not_ok tiles_resumed "it did not die"
unset REELMILL_HOST_DEVICE_BYTES
wide "$work/later.mkv" || rc=$?
if ((rc)); then not_ok tiles_resumed "exit code $rc"
elif ! grep -q "$cut" "$work/err"; then not_ok tiles_resumed "the resume took whole frames"
elif [[ $(sum "$work/later.mkv") != "$(sum "$work/whole.mkv")" ]]; then not_ok tiles_resumed "other bytes"
else ok tiles_resumed; fi
# In fp8: the same bytes from any number of workers and frames a run, since all have the same scales; a resume keeps to it.
for workers in 1 2; do
    upscale "$work/fp8_$workers.mkv" $workers --precision fp8 --batch $((3 - workers)) --report "$work/fp8.json" || not_ok "fp8_$workers" "exit code $?"
done
if [[ $(sum "$work/fp8_1.mkv") != "$(sum "$work/fp8_2.mkv")" ]]; then not_ok fp8_workers "other bytes"; else ok fp8_workers; fi
if grep -q '"device": "cpu .*, fp8"' "$work/fp8.json"; then ok fp8_reported; else not_ok fp8_reported "$(cat "$work/fp8.json")"; fi
if [[ $(sum "$work/fp8_1.mkv") == "$(sum "$work/twin1.mkv")" ]]; then not_ok fp8_runs "the bytes of fp16"; else ok fp8_runs; fi
rc=0
REELMILL_CRASH='commit.after_journal:1:9' upscale "$work/fp8.mkv" 1 --precision fp8 --segment_seconds 0.1 && not_ok fp8_resumed "it did not die"
limit=240 reel "$work/a.mkv" -o "$work/fp8.mkv" --backend onednn --model "$model" --encoder ffv1 --gpu_num 1 \
    --segment_seconds 0.1 --precision fp16 || rc=$?
if ((rc != 2)); then not_ok fp8_resumed "a resume in fp16: exit code $rc: $(tail -n 2 "$work/err")"
elif ! grep -q precision "$work/err"; then not_ok fp8_resumed "$(tail -n 3 "$work/err")"
else ok fp8_resumed; fi
unset REELMILL_GPU_TWIN

psnr=$(ffmpeg -v info -i "$work/cpu.mkv" -i "$work/twin1.mkv" -lavfi psnr -f null - 2>&1 </dev/null |
    grep -o 'average:[0-9.inf]*' | tail -n 1 | cut -d: -f2)
if [[ $psnr == inf ]] || { [[ $psnr =~ ^[0-9.]+$ ]] && ((${psnr%%.*} >= 50)); }; then
    ok twin_pictures
else
    not_ok twin_pictures "PSNR ${psnr:-none} dB"
fi
# fp16 rounds somewhere: equal bytes would mean that the twin did not run
if [[ $(sum "$work/cpu.mkv") == "$(sum "$work/twin1.mkv")" ]]; then not_ok twin_runs "the CPU backend's bytes"; else ok twin_runs; fi
if [[ $(sum "$work/twin1.mkv") == "$(sum "$work/twin2.mkv")" ]]; then ok twin_workers; else not_ok twin_workers "other bytes"; fi
finish
