#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What --setup installs where a GPU driver is, over a told /proc, with apt-get,
# dpkg, curl and pip played by scripts that only write down what was asked.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"

unset CUDA_ARCHS # a user's own choice goes before ours
log=$work/log
mkdir -p "$work/bin" "$work/proc/driver/nvidia" "$work/root/etc" "$work/tree"
for tool in apt-get dpkg curl; do printf '#!/bin/bash\necho "%s $*" >>"%s"\n' "$tool" "$log" >"$work/bin/$tool"; done
printf '#!/bin/bash\necho "install ok installed"\n' >"$work/bin/dpkg-query"
printf '#!/bin/bash\nexec "$@"\n' >"$work/bin/sudo"
printf '#!/bin/bash\nmkdir -p "${!#}/bin"; printf "#!/bin/bash\\necho pip \\$* >>%s\\n" >"${!#}/bin/pip"; chmod +x "${!#}/bin/pip"\n' "$log" >"$work/bin/python3"
chmod +x "$work"/bin/*
cp "$root/run.sh" "$work/tree/"
driver() { printf 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Wed\n' "$1" >"$work/proc/driver/nvidia/version"; }
system() { printf 'ID=%s\nVERSION_ID="%s"\n' "$1" "$2" >"$work/root/etc/os-release"; }

setup_on() { # name code text-in-log-or-messages...
    local name=$1 code=$2 rc=0 text
    shift 2
    : >"$log"
    PATH=$work/bin:/usr/bin:/bin REELMILL_PROC=$work/proc REELMILL_ROOT=$work/root timeout 20 \
        bash "$work/tree/run.sh" --setup >"$work/out" 2>"$work/err" </dev/null || rc=$?
    if ((rc != code)); then not_ok "$name" "exit code $rc"; return; fi
    for text in "$@"; do
        grep -qF -- "$text" "$log" "$work/err" || { not_ok "$name" "nothing says \"$text\": $(cat "$log")"; return; }
    done
    ok "$name"
}

: >"$work/tree/Makefile"
driver 580.65.06
system debian 12
setup_on debian 0 "from NVIDIA's repository (debian12), about 1.5 GB" "repos/debian12/" "dpkg -i" \
    "cuda-nvcc-13-0 cuda-cudart-dev-13-0 libcudnn9-dev-cuda-13 libnccl-dev"
system ubuntu 24.04
driver 535.104.05
setup_on older_driver 0 "repos/ubuntu2404/" "cuda-nvcc-12-0" "libcudnn9-dev-cuda-12"
driver 470.57.02
setup_on too_old_driver 1 "470.57.02 is too old"
driver 580.65.06
system arch ''
setup_on other_system 0 "no CUDA toolkit is here" "pip install -q nvidia-cudnn-cu13 nvidia-nccl-cu13"
rm -rf "$work/tree/.venv"
mkdir -p "$work/root/usr/local/cuda/bin" "$work/root/usr/local/cuda/lib64"
printf '#!/bin/bash\n' >"$work/root/usr/local/cuda/bin/nvcc" && chmod +x "$work/root/usr/local/cuda/bin/nvcc"
: >"$work/root/usr/local/cuda/lib64/libcudnn.so.9"
system debian 12
setup_on only_nccl 0 ": libnccl-dev"
grep -q cudnn "$log" && not_ok only_what_is_missing "$(cat "$log")" || ok only_what_is_missing
: >"$work/root/usr/local/cuda/lib64/libnccl.so.2"
setup_on complete 0 "the CUDA toolkit, cuDNN and NCCL are installed"
rm "$work/tree/Makefile" "$work/root/usr/local/cuda/lib64/libcudnn.so.9"
setup_on bundle 0 "pip install -q nvidia-cudnn-cu13"
rm -r "$work/proc/driver"
setup_on no_driver 0
[[ -s $log ]] && not_ok no_driver_nothing "$(cat "$log")" || ok no_driver_nothing

# What run.sh asks make for: kernels for the GPUs that are here, the oldest alone without one, all where one is too new.
: >"$work/tree/Makefile"
printf '#!/bin/bash\necho "make $*" >>"%s"; exit 1\n' "$log" >"$work/bin/make"
printf '#!/bin/bash\n' | tee "$work/bin/cc" >"$work/bin/pkg-config"
printf '#!/bin/bash\nprintf "sm_%%s\\n" 75 80 90 120\n' >"$work/root/usr/local/cuda/bin/nvcc"
chmod +x "$work"/bin/*
builds_for() { # name capabilities-told-by-nvidia-smi expected-CUDA_ARCHS (none: no such word)
    local name=$1 asked
    printf '#!/bin/bash\nprintf "%s"\n' "$2" >"$work/bin/nvidia-smi" && chmod +x "$work/bin/nvidia-smi"
    : >"$log"
    PATH=$work/bin:/usr/bin:/bin REELMILL_PROC=$work/proc REELMILL_ROOT=$work/root timeout 20 \
        bash "$work/tree/run.sh" --version >"$work/out" 2>"$work/err" </dev/null
    asked=$(grep -o 'CUDA_ARCHS=[0-9 ]* all' "$log")
    if ! grep -q '^make ' "$log"; then not_ok "$name" "make was not called: $(cat "$work/err")"
    elif [[ ${asked% all} != "${3:+CUDA_ARCHS=$3}" ]]; then not_ok "$name" "asked for \"$(cat "$log")\""
    else ok "$name"; fi
}
builds_for archs_without_gpu '' 75
mkdir -p "$work/proc/driver/nvidia" && driver 580.65.06
builds_for archs_of_the_gpus '12.0\\n8.0\\n8.0\\n' '80 120'
builds_for archs_of_a_newer_gpu '8.0\\n13.1\\n' ''
rm "$work/root/usr/local/cuda/bin/nvcc"

# Programs that are there are built again when a source is newer than they are, whatever its language.
mkdir -p "$work/tree/build/release" "$work"/tree/{common,coordinator,decoder,worker,aggregator,kernels/gpu}
printf '#!/bin/bash\n' | tee "$work"/tree/build/release/{coordinator,decoder,worker,aggregator} >/dev/null
chmod +x "$work"/tree/build/release/*
touch -d '2 hours ago' "$work"/tree/Makefile
built_after() { # name file yes|no: is make called when the file is an hour newer than the programs?
    local name=$1 file=$work/tree/$2 called=no
    touch -d '1 hour ago' "$work"/tree/build/release/*
    : >"$log" && : >"$file"
    PATH=$work/bin:/usr/bin:/bin REELMILL_PROC=$work/proc timeout 20 bash "$work/tree/run.sh" --version >"$work/out" 2>"$work/err" </dev/null
    grep -q '^make ' "$log" && called=yes
    rm "$file"
    if [[ $called == "$3" ]]; then ok "$name"; else not_ok "$name" "make called: $called"; fi
}
built_after newer_text_is_not_built kernels/notes.txt no
for f in common/a.h worker/a.c kernels/a.inc kernels/gpu/a.cu kernels/gpu/a.cuh; do built_after "newer_${f##*.}_is_built" "$f" yes; done
finish
