# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the end-to-end tests share: a scratch folder, generated clips, the
# command under test, and checks that print one line a case.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/noise.bash
. "$root/tests/noise.bash"
build=${REELMILL_BUILD:-$root/build/release}
scratch=$(mktemp -d)
export XDG_RUNTIME_DIR=$scratch/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
trap 'rm -rf "$scratch"' EXIT
slow=${REELMILL_TEST_SLOW:-1} # times are so many times longer: under sanitizers

reel() { "$build/coordinator" --progress off "$@"; }

# Without a model, in short segments: where only media is tried.
sim() { reel --backend sim --gpu_num 2 --segment_seconds 0.4 -y "$@"; }
# The exit code of such a run, its words in $scratch/said.
code_of() {
    local rc=0
    sim "$@" >"$scratch/said" 2>&1 || rc=$?
    echo "$rc"
}
said() { grep -qi -- "$1" "$scratch/said" || { echo "no \"$1\" in: $(cat "$scratch/said")"; return 1; }; }
ok() { printf 'ok - %s\n' "$1"; }
not_ok() { # name, reason
    printf 'not ok - %s\n' "$1"
    printf '%s: %s\n' "$1" "${2-}" >&2
}
skip() { printf 'ok - %s # SKIP %s\n' "$1" "$2"; }

# Runs a case: a function that prints why and returns non-zero when it fails.
check() { # name, function, arguments...
    local name=$1 why
    shift
    if why=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$why"; fi
}

need_ffmpeg() { # case names...
    command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null && return 0
    local name
    for name in "$@"; do skip "$name" "no ffmpeg command to make clips with"; done
    return 1
}

# Frames that a linear decode of the first video stream gives.
frames() { ffprobe -v error -select_streams v:0 -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$1" | head -n 1 | tr -dc 0-9; }
# Presentation times of the frames, one a line, in seconds.
times() { ffprobe -v error -select_streams v:0 -show_entries frame=pts_time -of csv=p=0 "$1" | tr -d ',' | grep . | sort -n; }
stream() { # file, selector, entry
    ffprobe -v error -select_streams "$2" -show_entries "stream=$3" -of csv=p=0 "$1" | head -n 1 | sed 's/,*$//'
}

# expect WHAT WANT GOT
expect() {
    [[ $2 == "$3" ]] && return 0
    echo "$1: wanted \"$2\", got \"$3\""
    return 1
}

# Runs the command; checks its exit code and that stderr has a word.
fails_with() { # code, word, arguments...
    local code=$1 word=$2 rc=0 text
    shift 2
    text=$(timeout "$((60 * slow))" "$build/coordinator" --progress off "$@" 2>&1 </dev/null) || rc=$?
    expect "exit code of $*" "$code" "$rc" || { echo "$text"; return 1; }
    grep -qi -- "$word" <<<"$text" || { echo "no \"$word\" in: $text"; return 1; }
}

# $runsh: run.sh without its sources, as in a bundle: it does not build in the
# middle of a test because somebody has touched one.
make_home() {
    mkdir "$scratch/home" "$scratch/home/build" && cp "$root/run.sh" "$scratch/home/" && ln -s "$root/models" "$root/configs" "$scratch/home/" &&
        ln -s "$build" "$scratch/home/build/release" || exit 1
    unset REELMILL_VARIANT
    # shellcheck disable=SC2034 # its callers use it
    runsh=$scratch/home/run.sh
}

# No process of ours, no run folder, no part is left.
nothing_left() {
    local left
    left=$(find "$XDG_RUNTIME_DIR" -mindepth 1 | head -n 3)
    [[ -z $left ]] || { echo "left behind: $left"; return 1; }
}

make_clip() { # file, seconds, extra ffmpeg output arguments...
    local out=$1 seconds=$2
    shift 2
    ffmpeg -v error -y -f lavfi -i "testsrc2=size=192x108:rate=25:duration=$seconds" -f lavfi -i "sine=frequency=440:duration=$seconds" \
        -map 0:v -map 1:a -c:a aac -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p "$@" "$out"
}
