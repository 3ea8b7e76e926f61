#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Which GPUs are used, over told tables of machines (REELMILL_DEVICES): all by
# default, --gpu_num, --gpu_ids, CUDA_VISIBLE_DEVICES, and a clear answer where
# it cannot be.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"

: >"$work/in.mp4"
cp "$root/models/upscale2x.onnx" "$work/model.onnx"

gpu() { # name cc uuid further...
    printf 'gpu name="%s" cc=%s uuid=%s pci=0000:0%s:00.0 sm=132 total=150000000000 free=149000000000 numa=0 %s\n' "$1" "$2" "$3" "${3: -1}" "${*:4}"
}
machine() { # cudnn; gpu lines on stdin
    { printf 'reelmill-devices 1\ncuda runtime=13000 driver=13000 cudnn=%s\n' "$1" && cat; } >"$work/devices"
}

listing() {
    timeout 20 "$bin/coordinator" --list_gpus >"$work/out" 2>"$work/err" </dev/null
}
plan() { # ARGS...: what a run over GPUs would start
    timeout 20 "$bin/coordinator" --backend cudnn --model "$work/model.onnx" --dry_run "$@" "$work/in.mp4" -o "$work/o.mkv" \
        >"$work/out" 2>"$work/err" </dev/null
}
planned() { # name workers ARGS...
    local name=$1 text="backend cudnn, $2" rc=0
    shift 2
    plan "$@" || rc=$?
    if ((rc)) || ! grep -qF "$text" "$work/out"; then not_ok "$name" "exit code $rc: $(cat "$work/out" "$work/err")"; else ok "$name"; fi
}
refused() { # name text ARGS...
    local name=$1 text=$2 rc=0
    shift 2
    plan "$@" || rc=$?
    if ((rc != 2)); then not_ok "$name" "exit code $rc"
    elif ! grep -qF -- "$text" "$work/err"; then not_ok "$name" "the message lacks \"$text\""
    else ok "$name"; fi
}
shows() { # name text...
    local name=$1 text
    shift
    listing || { not_ok "$name" "exit code $?" && return; }
    for text in "$@"; do
        grep -qF -- "$text" "$work/out" || { not_ok "$name" "the list lacks \"$text\": $(cat "$work/out")" && return; }
    done
    ok "$name"
}

if "$bin/coordinator" --doctor | grep -q 'without CUDA'; then
    skip devices "a build without CUDA"
    finish
fi
unset CUDA_VISIBLE_DEVICES
if [[ -e /dev/nvidiactl ]]; then
    skip "list_without_gpu" "there is a GPU driver"
else
    unset REELMILL_DEVICES
    shows list_without_gpu "no NVIDIA driver was found"
    refused no_driver "there is no NVIDIA driver"
fi

export REELMILL_DEVICES=$work/devices
machine 91900 < <(gpu "NVIDIA H200" 9.0 GPU-aaaaaaa0 decode=h264,hevc,hevc10,vp9 nvdecs=7 peers=1 vmm=1
    gpu "NVIDIA H200" 9.0 GPU-bbbbbbb1 decode=h264,hevc,hevc10,vp9 peers=0 vmm=1
    gpu "NVIDIA GeForce RTX 4090" 8.9 GPU-ccccccc2 decode=h264,av1 encode=h264,hevc,av1 sessions=8
    gpu "NVIDIA GeForce GTX 1080" 6.1 GPU-ddddddd3 decode=h264)
shows list "0: NVIDIA H200, 140 GB (139 GB free), 132 SM, compute capability 9.0, 0000:00:00.0, NUMA node 0, GPU-aaaaaaa0" \
    "NVDEC x7: h264, hevc 10 bit, vp9; NVENC: none; peer access to 1" "NVDEC: h264, hevc 10 bit, vp9; NVENC: none" "NVENC: h264, hevc, av1 (8 at a time); peer access to none" \
    "too old: not used" "driver for CUDA 13.0" "cuDNN 9.19.0"
planned all_by_default "3 workers"
planned gpu_num "2 workers" --gpu_num 2
planned gpu_ids "2 workers" --gpu_ids 2,0
planned workers_per_gpu "6 workers" --workers_per_gpu 2
refused more_than_there_are "--workers_per_gpu" --gpu_num 4
refused more_names_the_cpu "--backend onednn" --gpu_num 4
refused no_such_id "could not use GPU 7: there are 4" --gpu_ids 0,7
refused twice "could not use GPU 1 twice" --gpu_ids 1,1
refused too_old "GTX 1080" --gpu_ids 3
refused num_against_ids "give one of the two" --gpu_num 3 --gpu_ids 0,1
refused no_number "use numbers like 0,2" --gpu_ids zero
planned fp8 "3 workers" --precision fp8
CUDA_VISIBLE_DEVICES=1,0 planned visible_numbers "2 workers"
CUDA_VISIBLE_DEVICES=GPU-c planned visible_uuid "1 worker,"
CUDA_VISIBLE_DEVICES='' refused visible_none "CUDA_VISIBLE_DEVICES="

# fp8 came with compute capability 8.9.
machine 91900 < <(gpu "NVIDIA L4" 8.9 GPU-aaaaaaa0
    gpu "NVIDIA A100" 8.0 GPU-bbbbbbb1
    gpu "Tesla T4" 7.5 GPU-ccccccc2
    gpu "NVIDIA GeForce RTX 3090" 8.6 GPU-ddddddd3)
refused fp8_none "GPU 1 (NVIDIA A100) has compute capability 8.0, fp8 needs 8.9 (Ada, Hopper, Blackwell)" --precision fp8
refused fp8_turing "GPU 2 (Tesla T4) has compute capability 7.5" --precision fp8 --gpu_ids 2
refused fp8_ampere "use --precision fp16" --precision fp8 --gpu_ids 3
planned fp8_named "1 worker," --precision fp8 --gpu_ids 0

machine 91900 < <(gpu "NVIDIA H100 80GB HBM3 MIG 1g.10gb" 9.0 MIG-11111111 mig=1)
shows list_mig "a MIG slice"
planned mig "1 worker,"

machine 0 < <(gpu "NVIDIA H200" 9.0 GPU-aaaaaaa0)
shows list_without_cudnn "cuDNN not found (./run.sh --setup installs it)"
refused no_cudnn "./run.sh --setup"
# Never silently the CPU: a GPU without its libraries is an error for the default backend too.
timeout 20 "$bin/coordinator" --model "$work/model.onnx" --dry_run "$work/in.mp4" -o "$work/o.mkv" >"$work/out" 2>"$work/err" </dev/null
(($? == 2)) && grep -qF 'cuDNN 9 is not installed' "$work/err" && ok auto_is_never_the_cpu || not_ok auto_is_never_the_cpu "$(cat "$work/out" "$work/err")"

{ printf 'reelmill-devices 1\ncuda runtime=13000 driver=12020 cudnn=0\n' && printf 'trouble "could not use a GPU: the driver is too old\\ninstall a newer one"\n'; } >"$work/devices"
shows list_trouble "the driver is too old"
refused trouble "the driver is too old"
printf 'no table\n' >"$work/devices"
refused no_table "could not read the table of GPUs"
rm "$work/devices"
unset REELMILL_DEVICES

# An encoder of GPUs where there is none: in software, with one line.
stand_in() {
    command -v ffmpeg >/dev/null || { skip encoder_without_gpu "no ffmpeg on this machine" && return; }
    ffmpeg -v error -encoders 2>/dev/null | grep -q hevc_nvenc || { skip encoder_without_gpu "this FFmpeg has no NVENC" && return; }
    [[ ! -e /dev/nvidiactl ]] || { skip encoder_without_gpu "there is a GPU driver" && return; }
    local rc=0
    clip "$work/a.mp4" 1
    reel "$work/a.mp4" -o "$work/o.mkv" --encoder h264_nvenc --encoder_opts preset=p7 --gpu_num 1 || rc=$?
    if ((rc)); then not_ok encoder_without_gpu "exit code $rc"
    elif ! grep -qF "(h264_nvenc): libx264 encodes on the CPU" "$work/err"; then not_ok encoder_without_gpu "nothing is said"
    elif [[ $(frames "$work/o.mkv") != 25 ]]; then not_ok encoder_without_gpu "$(frames "$work/o.mkv") frames"
    else ok encoder_without_gpu; fi
}
stand_in
finish
