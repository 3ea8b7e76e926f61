#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# reelmill: runs a neural network over video on every GPU (or core) of a
# machine.
#
#   ./run.sh [options] INPUT... -o OUTPUT     ./run.sh --help lists the options
#   ./run.sh --demo                           the bundled model over the bundled clip
#   ./run.sh --setup                          install what is missing, and end
#
# Installs nothing unless asked (--setup, --demo asks too), builds when the
# binaries are older than the sources, runs the coordinator, and starts it again
# with resume when it was killed.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
build=$root/build/${REELMILL_VARIANT:-release}

say() { printf '%s\n' "$*" >&2; }
die() { # exit code, text
    local code=$1
    shift
    say "reelmill: $*"
    exit "$code"
}

# ---- setup --------------------------------------------------------------------

packages=(build-essential pkg-config libavformat-dev libavcodec-dev libavfilter-dev libavutil-dev libswscale-dev
    libzmq3-dev libconfig-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev ffmpeg procps)

missing_packages() {
    local p
    [[ -f $root/Makefile ]] || return 0 # a bundle: all is in it
    for p in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$p"
    done
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die 1 "could not install packages: neither root nor sudo is there; as root: apt-get install ${packages[*]}"
    fi
}

setup() {
    if [[ ! -f $root/Makefile ]]; then # a bundle
        setup_cuda
        return
    fi
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        die 1 "could not install packages: this is no Debian or Ubuntu; install by hand the like of: ${packages[*]}"
    local missing
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]} == 0)); then
        say "reelmill: all packages are installed"
    else
        say "reelmill: installing from the distribution (about 200 MB): ${missing[*]}"
        as_root apt-get -o DPkg::Lock::Timeout=600 update -q >&2
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -q -y \
            --no-install-recommends "${missing[@]}" >&2 ||
            die 1 "could not install packages: apt-get failed; its messages are above"
    fi
    setup_cuda
}

# Where a GPU driver is: the CUDA toolkit (to build with) and cuDNN and NCCL (to
# run with), from NVIDIA, after saying what and how much.
proc=${REELMILL_PROC:-/proc}

# CUDA's major version that the driver takes (NVIDIA's table of minimum drivers).
cuda_major() {
    local driver
    driver=$(grep -oE '[0-9]{3}\.[0-9]+(\.[0-9]+)?' "$proc/driver/nvidia/version" | head -n 1)
    if ((${driver%%.*} >= 580)); then
        printf 13
    elif ((${driver%%.*} >= 525)); then
        printf 12
    else
        die 1 "could not set up CUDA: the NVIDIA driver $driver is too old; version 525 or later is needed"
    fi
}

has_library() { # file, folder in NVIDIA's wheels
    local f
    for f in /usr/local/cuda/lib64/"$1" /usr/lib/*/"$1" "$root"/.venv/lib/python3*/site-packages/nvidia/"$2"/lib/"$1"; do
        [[ -e ${REELMILL_ROOT-}$f ]] && return 0
    done
    return 1
}

cuda_missing() {
    if [[ -f $root/Makefile ]] && ! command -v nvcc >/dev/null && [[ ! -x ${REELMILL_ROOT-}/usr/local/cuda/bin/nvcc ]]; then
        printf 'toolkit\n'
    fi
    has_library libcudnn.so.9 cudnn || printf 'cudnn\n'
    has_library libnccl.so.2 nccl || printf 'nccl\n'
}

# NVIDIA's repository for this distribution; nothing where it has none.
cuda_repository() {
    local ID='' VERSION_ID=''
    # shellcheck disable=SC1091
    . "${REELMILL_ROOT-}/etc/os-release"
    case $ID$VERSION_ID in
    debian12 | debian13) printf '%s' "$ID$VERSION_ID" ;;
    ubuntu22.04 | ubuntu24.04) printf '%s' "${ID}${VERSION_ID/./}" ;;
    esac
}

agreed() { # text: a person is asked, a script has asked already
    say "$1"
    [[ -t 0 ]] || return 0
    local answer
    read -rp 'install it? [Y/n] ' answer
    [[ $answer != [nN]* ]]
}

cuda_from_repository() { # CUDA's major, distribution, parts...
    local major=$1 distribution=$2 part names=() key
    shift 2
    for part in "$@"; do
        case $part in
        toolkit) names+=("cuda-nvcc-$major-0" "cuda-cudart-dev-$major-0") ;;
        cudnn) names+=("libcudnn9-dev-cuda-$major") ;;
        nccl) names+=(libnccl-dev) ;;
        esac
    done
    agreed "reelmill: a GPU driver is here; from NVIDIA's repository ($distribution), about 1.5 GB: ${names[*]}" || return 0
    key=$(mktemp --suffix=.deb)
    command -v curl >/dev/null || as_root apt-get -o DPkg::Lock::Timeout=600 install -q -y curl >&2
    curl -fsSL -o "$key" "https://developer.download.nvidia.com/compute/cuda/repos/$distribution/$(uname -m)/cuda-keyring_1.1-1_all.deb" ||
        die 1 "could not set up CUDA: NVIDIA's repository cannot be reached"
    as_root dpkg -i "$key" >&2
    rm -f "$key"
    as_root apt-get -o DPkg::Lock::Timeout=600 update -q >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends \
        "${names[@]}" >&2 || die 1 "could not set up CUDA: apt-get failed; its messages are above"
}

cuda_from_wheels() { # CUDA's major, parts...
    local major=$1 part names=()
    shift
    for part in "$@"; do
        [[ $part == toolkit ]] || names+=("nvidia-$part-cu$major")
    done
    ((${#names[@]})) || return 0
    command -v python3 >/dev/null || die 1 "could not set up CUDA: python3 is missing; install cuDNN 9 by hand"
    agreed "reelmill: a GPU driver is here; from PyPI into $root/.venv, about 1.2 GB: ${names[*]}" || return 0
    [[ -d $root/.venv ]] || python3 -m venv "$root/.venv"
    "$root/.venv/bin/pip" install -q "${names[@]}" >&2 || die 1 "could not set up CUDA: pip failed; its messages are above"
}

setup_cuda() {
    [[ -e $proc/driver/nvidia/version ]] || return 0
    local major distribution missing
    mapfile -t missing < <(cuda_missing)
    if ((${#missing[@]} == 0)); then
        say "reelmill: the CUDA toolkit, cuDNN and NCCL are installed"
        return 0
    fi
    major=$(cuda_major) || exit 1
    distribution=$(cuda_repository)
    if [[ -n $distribution && -f $root/Makefile ]]; then
        cuda_from_repository "$major" "$distribution" "${missing[@]}"
    else
        [[ " ${missing[*]} " != *" toolkit "* ]] ||
            say "reelmill: no CUDA toolkit is here, and NVIDIA has no repository for this system: install it from developer.nvidia.com"
        cuda_from_wheels "$major" "${missing[@]}"
    fi
}

# ---- build --------------------------------------------------------------------

need_build() {
    local stage
    for stage in coordinator decoder worker aggregator; do
        [[ -x $build/$stage ]] || return 0
    done
    [[ -f $root/Makefile ]] || return 1 # a bundle: binaries only
    [[ -n $(find "$root"/{common,coordinator,decoder,worker,aggregator,kernels} "$root/Makefile" \
        -newer "$build/coordinator" \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.inc' -o -name Makefile \) \
        -print -quit) ]]
}

# Compute capabilities to build kernels for: those of the GPUs here, which
# takes a fraction of the time of all. Without a GPU the oldest alone: its PTX
# runs on every later one. Nothing: make decides.
cuda_archs() {
    local nvcc=${REELMILL_ROOT-}/usr/local/cuda/bin/nvcc known archs
    [[ -x $nvcc ]] || nvcc=$(command -v nvcc) || return 0
    known=$("$nvcc" --list-gpu-code 2>/dev/null | tr '\n' ' ')
    if [[ ! -e $proc/driver/nvidia/version ]]; then
        [[ $known =~ sm_([0-9]+) ]] && printf '%s\n' "${BASH_REMATCH[1]}"
        return 0
    fi
    archs=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d '. ' | sort -nu) || return 0
    local a
    for a in $archs; do [[ " $known " == *" sm_$a "* ]] || return 0; done
    printf '%s\n' "$archs" | xargs
}

ensure_built() {
    need_build || return 0
    command -v make >/dev/null && command -v cc >/dev/null && pkg-config --exists libavcodec 2>/dev/null ||
        die 2 "could not build: packages are missing; install them with: ./run.sh --setup"
    say "reelmill: building (once, some minutes)"
    local log archs options=(VARIANT="${REELMILL_VARIANT:-release}")
    log=$(mktemp)
    archs=${CUDA_ARCHS-$(cuda_archs)}
    [[ -z $archs ]] || options+=(CUDA_ARCHS="$archs")
    if ! make -C "$root" -j"$(nproc)" "${options[@]}" all >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die 1 "could not build; the log's end is above; ./run.sh --setup installs missing packages"
    fi
    rm -f "$log"
}

# ---- run ----------------------------------------------------------------------

# A bundle's C++ library serves where the machine has none of its own; elsewhere
# the machine's is the newer one.
use_fallback_libraries() {
    local f
    [[ -d $root/build/lib/fallback ]] || return 0
    for f in /lib/libstdc++.so.6 /usr/lib/libstdc++.so.6 /lib64/libstdc++.so.6 /usr/lib64/libstdc++.so.6 /usr/lib/*/libstdc++.so.6; do
        [[ -e $f ]] && return 0
    done
    export LD_LIBRARY_PATH=$root/build/lib/fallback${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

child=0
forward() { ((child)) && kill -s "$1" "$child" 2>/dev/null || true; }

# A live input does not come again, and what standard output has had cannot be taken
# back: there is nothing to resume.
comes_once() {
    local word before=
    for word in "$@"; do
        case ${word,,} in
        --live | --live=true | --live=1 | --live=yes | --live=on | -o- | --output=-) return 0 ;;
        -) if [[ $before == -o || $before == --output ]]; then return 0; fi ;;
        esac
        before=$word
    done
    return 1
}

# The coordinator, again with resume when it was killed by a signal; not for
# ever: a run that is killed five times has another problem.
run_coordinator() {
    [[ -z ${VIRTUAL_ENV-} && -d $root/.venv ]] && export VIRTUAL_ENV=$root/.venv # cuDNN may lie there
    use_fallback_libraries
    local tries=0 most=5 rc
    if comes_once "$@"; then most=1; fi
    trap 'forward INT' INT
    trap 'forward TERM' TERM
    trap 'forward HUP' HUP
    while :; do
        REELMILL_PARENT=$$ REELMILL_LIFE=$((tries + 1)) "$build/coordinator" "$@" <&0 &
        child=$!
        rc=0
        wait "$child" 2>/dev/null || rc=$? # else bash says "Killed", and this line
        while kill -0 "$child" 2>/dev/null; do # a trap ended the wait
            rc=0
            wait "$child" 2>/dev/null || rc=$?
        done
        if ((rc <= 128 || rc == 130 || rc == 143 || ++tries >= most)); then break; fi
        say "reelmill: the coordinator ended with signal $((rc - 128)); restarting it"
    done
    if ((most == 1 && rc > 128 && rc != 130 && rc != 143)); then
        say "reelmill: the coordinator ended with signal $((rc - 128)); the output has what had come by then"
    fi
    return "$rc"
}

# ---- demo ---------------------------------------------------------------------

# A piece of a frame before (enlarged as players do, bicubic) beside the same piece after, each pixel four.
demo_still() { # input, output, picture
    local piece="crop=240:270:430:55,format=rgb24,scale=480:540:flags=neighbor"
    ffmpeg -v error -nostdin -y -ss 3 -i "$1" -ss 3 -i "$2" -frames:v 1 -filter_complex \
        "[0:v]scale=iw*2:ih*2:flags=bicubic,${piece}[a];[1:v]${piece},pad=iw+4:ih:4:0:white[b];[a][b]hstack" "$3"
}

demo() {
    local out=${TMPDIR:-/tmp}/reelmill-demo.mp4 clip=$root/models/demo/demo.mp4 rc=0 i words=("$@")
    for ((i = 0; i < ${#words[@]}; i++)); do # -o FILE puts it elsewhere
        case ${words[i]} in
        -o | --output) out=${words[i + 1]-} ;;
        --output=*) out=${words[i]#*=} ;;
        -o?*) out=${words[i]#-o} ;;
        esac
    done
    if command -v dpkg-query >/dev/null && [[ -n $(missing_packages) ]]; then setup; fi
    ensure_built
    [[ -f $clip ]] || die 1 "could not find the bundled clip \"$clip\""
    say "reelmill: the bundled clip, twice as large (--demo)"
    run_coordinator --config "$root/configs/upscale.cfg" "$clip" -o "$out" -y "$@" || rc=$?
    if ((rc == 0)); then
        [[ -f $out ]] || return 0 # null:, or what is no one file
        say "reelmill: the video is $out"
        if command -v ffmpeg >/dev/null && demo_still "$clip" "$out" "${out%.*}.png"; then
            say "reelmill: before | after is ${out%.*}.png"
        fi
    fi
    return "$rc"
}

main() {
    local word rest=()
    for word in "$@"; do
        case $word in
        --setup)
            setup
            exit 0
            ;;
        --demo) demo=1 ;;
        *) rest+=("$word") ;;
        esac
    done
    if [[ -n ${demo-} ]]; then
        demo "${rest[@]}"
        exit $?
    fi
    ensure_built
    export REELMILL_DEFAULT_CONFIG=$root/configs/upscale.cfg # for a run that names no model
    local rc=0
    run_coordinator "$@" || rc=$?
    exit "$rc"
}

main "$@"
