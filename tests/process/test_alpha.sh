#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Transparent inputs: the alpha plane comes out with the model's picture, resized with it,
# from every way in which files hold it; by any number of workers, whoever dies; and what is
# said where an output has no place for it.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

# 20 frames whose transparency differs from pixel to pixel and from frame to frame.
moving="testsrc2=s=64x48:r=10:d=2,format=rgba64le,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='mod(X*1021+Y*307+N*4099,65536)'"
make() { ffmpeg -v error -y -f lavfi -i "$moving" "${@:2}" "$work/$1" </dev/null; }
mkdir "$work/pal" "$work/sizes"
make rgba.mov -pix_fmt rgba -c:v png
make two.mov -pix_fmt rgba -frames:v 2 -c:v png
make deep.mov -pix_fmt rgba64be -c:v png
make gray.mov -pix_fmt ya8 -c:v png
make planes.mkv -pix_fmt yuva444p10le -c:v ffv1 -g 5
make pal/%02d.png -vf "format=rgba,split[a][b];[a]palettegen[p];[b][p]paletteuse" -pix_fmt pal8
make opaque.mov -pix_fmt rgba -vf "geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(eq(N,0),65535,X*1000)'" -c:v png
# The second half in another size.
ffmpeg -v error -y -i "$work/rgba.mov" -frames:v 2 "$work/sizes/%d.png" </dev/null
ffmpeg -v error -y -i "$work/rgba.mov" -ss 0.2 -frames:v 2 -vf scale=96:64 -start_number 3 "$work/sizes/%d.png" </dev/null

alpha() { # file filters-behind [filters-before]: the alpha planes of all frames
    ffmpeg -v error -i "$1" -vf "${3:+$3,}alphaextract,$2" -f rawvideo - </dev/null
}
colour() { ffmpeg -v error -i "$1" -pix_fmt "$2" -f rawvideo - </dev/null; }

kept() { # name input output format of the same colour without alpha
    local rc=0 name=$1 input=$2 output=$work/$3
    reel "$work/$input" -o "$output" -y --gpu_num 1 "${@:6}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ -s $work/err ]] && grep -q transparen "$work/err"; then not_ok "$name" "it is said to be lost"
    elif ! cmp <(alpha "$work/$input" "format=$4" "${before:-}") <(alpha "$output" "format=$4") >&2; then not_ok "$name" "another alpha"
    elif ! cmp <(colour "$work/$input" "$5") <(colour "$output" "$5") >&2; then not_ok "$name" "other colours"
    else ok "$name"; fi
}
mkdir "$work/made"
kept rgba rgba.mov o.mkv gray rgb24 --encoder ffv1
kept deep deep.mov made/%d.png gray16le rgb48le
kept planes planes.mkv o.mkv gray10le yuv444p10le
kept gray gray.mov made/g%d.png gray gray
before=format=rgba kept palette pal/%02d.png made/p%d.png gray rgb24
kept opaque_at_first opaque.mov o.mkv gray rgb24 --alpha keep

# Resized as swscale resizes it.
rc=0
reel "$work/rgba.mov" -o "$work/twice.mkv" -y --backend onednn --model "$root/models/upscale2x-fast.onnx" || rc=$?
if ((rc)); then not_ok twice_as_large "exit code $rc"
elif ! cmp <(alpha "$work/rgba.mov" "scale=128:96:flags=bicubic+accurate_rnd+bitexact,format=gray") \
    <(alpha "$work/twice.mkv" format=gray) >&2; then not_ok twice_as_large "another alpha"
else ok twice_as_large; fi

# Frames of another size than the first: the same alpha as an input that was resized before.
rc=0
reel "$work/sizes/%d.png" -o "$work/made/s%d.png" -y --gpu_num 1 || rc=$?
if ((rc)); then not_ok sizes "exit code $rc"
elif ! cmp <(alpha "$work/sizes/3.png" "scale=64:48:flags=bicubic+accurate_rnd+bitexact,format=gray") \
    <(alpha "$work/made/s2.png" format=gray) >&2; then not_ok sizes "another alpha"
else ok sizes; fi

# Objects drawn into the picture leave its transparency alone.
if command -v python3 >/dev/null; then
    python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"
    kept_drawn() {
        local rc=0
        reel "$work/rgba.mov" -o "$work/drawn.mkv" -y --backend onednn --model "$work/detect.onnx" --gpu_num 1 || rc=$?
        if ((rc)); then not_ok drawn "exit code $rc"
        elif ! cmp <(alpha "$work/rgba.mov" format=gray) <(alpha "$work/drawn.mkv" format=gray) >&2; then not_ok drawn "another alpha"
        elif cmp -s <(colour "$work/rgba.mov" rgb24) <(colour "$work/drawn.mkv" rgb24); then not_ok drawn "nothing is drawn"
        else ok drawn; fi
    }
    kept_drawn

    # Frames between two have the mixture of both alpha planes, and the last frame's stays; whoever dies, live too.
    between() { # name output checks-of-frames [options]
        local rc=0
        reel "$work/rgba.mov" -o "$2" -y --backend onednn --model "$work/middle.onnx" --rate 2 --encoder ffv1 --segment_seconds 0.5 \
            "${@:3}" || rc=$?
        alpha "$work/rgba.mov" format=gray >"$work/alpha_in"
        alpha "$2" format=gray >"$work/alpha_out"
        if ((rc)); then not_ok "$1" "exit code $rc"
        elif grep -q transparen "$work/err"; then not_ok "$1" "it is said to be lost"
        elif ! python3 - "$work/alpha_in" "$work/alpha_out" >&2 <<'PYTHON'
import sys
a, b = (open(f, "rb").read() for f in sys.argv[1:])
size = 64 * 48
a, b = ([d[i:i + size] for i in range(0, len(d), size)] for d in (a, b))
want = []
for n, frame in enumerate(a):
    later = a[min(n + 1, len(a) - 1)]
    want += [frame, bytes((p + q + 1) // 2 for p, q in zip(frame, later))]
sys.exit(None if b == want else f"{len(b)} frames; differ: {[i for i in range(min(len(b), len(want))) if b[i] != want[i]]}")
PYTHON
        then not_ok "$1" "another alpha"
        else ok "$1"; fi
    }
    between between_two "$work/o.mkv" --gpu_num 1
    between between_two_workers "$work/o.mkv" --gpu_num 3
    REELMILL_CRASH=aggregator.before_taken:3:9 between between_two_killed "$work/o.mkv" --gpu_num 2
else
    skip drawn "no python3 on this machine"
fi

same() { # name [options]: the same file, and with REELMILL_CRASH a process that was replaced
    local rc=0 name=$1
    reel "$work/rgba.mov" -o "$work/again.mkv" -y --segment_seconds 0.5 --report "$work/report" "${@:2}" || rc=$?
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif [[ -n ${REELMILL_CRASH:-} ]] && ! grep -q '"restarts": [1-9]' "$work/report"; then not_ok "$name" "nothing died"
    elif ! cmp "$work/once.mkv" "$work/again.mkv" >&2; then not_ok "$name" "another file"
    else ok "$name"; fi
}
reel "$work/rgba.mov" -o "$work/once.mkv" -y --segment_seconds 0.5 --gpu_num 1 || not_ok once "exit code $?"
same four_workers --gpu_num 4
REELMILL_CRASH=decoder.mid_slot:3:9 same decoder_dies --gpu_num 2
REELMILL_CRASH=aggregator.before_taken:3:9 same aggregator_dies --gpu_num 2
REELMILL_CRASH=worker.before_done:5:9 same worker_dies --gpu_num 2

# Frames that are given up: the first is the input's, the second the first again, with their transparency.
given_up() {
    local rc=0
    REELMILL_CRASH='worker.before_run:1*:6' reel "$work/two.mov" -o "$work/o.mkv" -y --encoder ffv1 --gpu_num 1 --poison_tries 1 || rc=$?
    alpha "$work/two.mov" format=gray | head -c $((64 * 48)) >"$work/first"
    if ((rc != 3)); then not_ok given_up "exit code $rc"
    elif ! cmp <(cat "$work/first" "$work/first") <(alpha "$work/o.mkv" format=gray) >&2; then not_ok given_up "another alpha"
    else ok given_up; fi
}
given_up

# A filter behind the model sees it, too.
rc=0
reel "$work/rgba.mov" -o "$work/o.mkv" -y --encoder ffv1 --gpu_num 1 --post_filter hflip || rc=$?
if ((rc)); then not_ok filter "exit code $rc"
elif ! cmp <(alpha "$work/rgba.mov" hflip,format=gray) <(alpha "$work/o.mkv" format=gray) >&2; then not_ok filter "another alpha"
else ok filter; fi

# Each kind of file, as its players want it.
holds() { # file probe [decoder]
    local rc=0 file=$work/$1 found
    reel "$work/rgba.mov" -o "$file" -y --gpu_num 1 || rc=$?
    found=$(ffprobe -v error -show_entries stream=codec_name,pix_fmt:stream_tags=alpha_mode -of csv=p=0 "$file")
    if ((rc && rc != 3)); then not_ok "holds_$1" "exit code $rc"
    elif [[ $found != "$2" ]]; then not_ok "holds_$1" "$found"
    else ok "holds_$1"; fi
}
holds o.mov prores,yuva444p10le
if [[ $(ffmpeg -v error -encoders) == *" libvpx-vp9 "* ]]; then
    holds o.webm vp9,yuv420p,1
    # And back: FFmpeg's own decoder of VP9 does not look at alpha.
    rc=0
    reel "$work/o.webm" -o "$work/back.mkv" -y --gpu_num 1 || rc=$?
    if ((rc)); then not_ok webm "exit code $rc"
    elif ! cmp <(ffmpeg -v error -c:v libvpx-vp9 -i "$work/o.webm" -vf alphaextract,format=gray -f rawvideo - </dev/null) \
        <(alpha "$work/back.mkv" format=gray) >&2; then not_ok webm "another alpha"
    else ok webm; fi
else
    skip holds_o.webm "this FFmpeg has no libvpx-vp9"
fi

# No place for it.
lost() { # name exit_code text [options]
    local rc=0 name=$1 want=$2 text=$3
    shift 3
    reel "$@" -y --gpu_num 1 --report "$work/report" || rc=$?
    if ((rc != want)); then not_ok "$name" "exit code $rc"
    elif [[ -n $text ]] && ! grep -q "$text" "$work/err"; then not_ok "$name" "the message says something else"
    elif [[ -z $text ]] && grep -q transparen "$work/err"; then not_ok "$name" "transparency is mentioned"
    else ok "$name"; fi
}
lost no_place 3 'transparency is not kept.*mp4' "$work/rgba.mov" -o "$work/o.mp4"
if grep -q '"colour": "part"' "$work/report"; then ok report; else not_ok report "$(grep kept "$work/report")"; fi
lost dropped 0 '' "$work/rgba.mov" -o "$work/o.mkv" --alpha drop --encoder ffv1
if [[ $(ffprobe -v error -show_entries stream=pix_fmt -of csv=p=0 "$work/o.mkv") == bgr0 ]]; then ok dropped_format
else not_ok dropped_format "$(ffprobe -v error -show_entries stream=pix_fmt -of csv=p=0 "$work/o.mkv")"; fi
lost unused 0 'first frame is opaque' "$work/opaque.mov" -o "$work/o.mov"
lost unused_no_place 0 'transparency is not kept' "$work/opaque.mov" -o "$work/o.mp4"
lost refused 2 'alpha keep.*mp4' "$work/rgba.mov" -o "$work/o.mp4" --alpha keep
lost refused_by_encoder 2 'alpha keep.*libx264' "$work/rgba.mov" -o "$work/o.mkv" --alpha keep --encoder libx264
finish
