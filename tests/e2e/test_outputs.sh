#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The less usual outputs: .nut .avi .flv .mpg .m2ts .y4m .gif, and kinds of pictures.
# Without a model (sim), whose stamp in the upper left corner is cut away.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_ffmpeg "outputs" || exit 0

source_of() { ffmpeg -v error -y -f lavfi -i "testsrc2=size=${size:-192x108}:rate=25:duration=1.2" "$@"; }
hashes() { # file, pixel format
    ffmpeg -v error -threads 1 -i "$1" -map 0:v:0 -vf "format=$2,crop=iw-128:ih:128:0" -fps_mode passthrough -f framemd5 - | sed '/^#/d; s/.*, *//'
}
start_of() { ffprobe -v error -select_streams "$2:0" -show_entries stream=start_time -of csv=p=0 "$1" | head -n 1 | tr -dc 0-9.; }

ffmpeg -v error -y -f lavfi -i testsrc2=size=192x108:rate=25:duration=1.2 -f lavfi -i sine=duration=1.2 -map 0:v -map 1:a -map 1:a \
    -c:v libx264 -preset ultrafast -g 10 -bf 2 -c:a:0 aac -c:a:1 mp2 "$scratch/a.mkv"
ffmpeg -v error -y -f lavfi -i testsrc2=size=192x108:rate=30:duration=2 -vf "select='lt(mod(n,10),6)'" -fps_mode vfr -c:v ffv1 "$scratch/vfr.mkv"

# ---- containers ---------------------------------------------------------------

# All frames, one time apart, and sound that begins with them.
contained() { # ending, codec, exit code, audio codec
    local out=$scratch/o.$1 apart
    expect "exit code" "$3" "$(code_of "$scratch/a.mkv" -o "$out")" || { cat "$scratch/said"; return 1; }
    expect codec "$2" "$(stream "$out" v:0 codec_name)" && expect frames 30 "$(frames "$out")" &&
        expect audio "$4" "$(stream "$out" a:0 codec_name)" || return 1
    # A program stream has a time for each of its packets, not for each frame.
    if [[ $1 == mpg ]]; then
        expect duration 1.20 "$(printf %.2f "$(stream "$out" v:0 duration)")"
        return
    fi
    expect "one time apart" "0.04" "$(times "$out" | awk 'NR > 1 {printf "%.2f\n", $1 - a} {a = $1}' | uniq)" || return 1
    apart=$(awk -v a="$(start_of "$out" a)" -v v="$(start_of "$out" v)" 'BEGIN {d = a - v; print (d < 0 ? -d : d) < 0.03 ? "at once" : d}')
    expect "sound begins" "at once" "$apart"
}
check "nut" contained nut h264 0 aac
check "avi is mpeg-4" contained avi mpeg4 0 aac
check "flv" contained flv h264 3 aac # mp2 is not kept there
check "mpg is mpeg-2" contained mpg mpeg2video 3 mp2
check "m2ts" contained m2ts h264 0 aac

texts_in_nut() { # which has no place for their ends
    printf '1\n00:00:00,100 --> 00:00:00,500\nhello\n' >"$scratch/t.srt"
    ffmpeg -v error -y -i "$scratch/a.mkv" -i "$scratch/t.srt" -map 0:v -map 1 -c:v copy -c:s ass "$scratch/text.mkv" || return 1
    expect "exit code" 3 "$(code_of "$scratch/text.mkv" -o "$scratch/text.nut")" && said "subtitle stream 1 (ass) is not kept"
}
check "text subtitles in nut are not kept" texts_in_nut

h264_in_avi() { # which has no place for the times of B frames
    expect "exit code" 0 "$(code_of --encoder libx264 --encoder_opts preset=ultrafast "$scratch/a.mkv" -o "$scratch/h.avi")" &&
        expect "B frames" 0 "$(stream "$scratch/h.avi" v:0 has_b_frames)" && expect frames 30 "$(frames "$scratch/h.avi")"
}
check "h.264 in avi has no B frames" h264_in_avi

# Where nothing tells a player that pictures have the full range, they get the limited one.
white() { # ending, encoder, luma of white
    local out=$scratch/white_o.$1
    expect "exit code" 0 "$(code_of --encoder "$2" "$scratch/white.mkv" -o "$out")" &&
        expect white "$3" "$(ffmpeg -v error -i "$out" -frames:v 1 -vf "crop=2:2:190:100,format=$4" -f rawvideo - | od -An -tu"$5" -N"$5" | tr -d ' ')"
}
ffmpeg -v error -y -f lavfi -i color=white:size=192x108:rate=25:duration=0.4 -vf scale=out_range=pc,format=yuv422p -color_range pc -c:v ffv1 "$scratch/white.mkv"
check "full range in .nut" white nut ffv1 235 yuv422p 1
check "full range in .mkv" white mkv ffv1 255 yuv422p 1
check "full range in ProRes" white mov prores_ks 940 yuv422p10le 2

# ---- y4m ------------------------------------------------------------------------

y4m() { # pixel format
    size=192x${2:-108} source_of -pix_fmt "$1" -strict -1 -c:v ffv1 "$scratch/y.mkv" || return 1
    expect "exit code" 0 "$(code_of "$scratch/y.mkv" -o "$scratch/o.y4m")" && expect format "$1" "$(stream "$scratch/o.y4m" v:0 pix_fmt)" &&
        expect rate 25/1 "$(stream "$scratch/o.y4m" v:0 r_frame_rate)" &&
        expect pictures "$(hashes "$scratch/y.mkv" "$1")" "$(hashes "$scratch/o.y4m" "$1")"
}
for format in yuv420p yuv422p10le yuv444p12le gray; do check "y4m of $format" y4m $format; done
check "y4m of an odd size" y4m yuv420p 109

# Pictures at no fixed rate lie on one: near their times, and it is said.
rated() { # ending, frames
    expect "exit code" 3 "$(code_of "$scratch/vfr.mkv" -o "$scratch/o.$1")" && said "no fixed rate" && expect frames "$2" "$(frames "$scratch/o.$1")" || return 1
    [[ $1 == y4m ]] || expect "times that are far off" "" "$(paste <(times "$scratch/o.$1") <(times "$scratch/vfr.mkv") | awk '{d = $1 - $2} d > 0.02 || d < -0.02')"
}
check "avi of a variable rate keeps times on its grid" rated avi 36
check "y4m of a variable rate repeats" rated y4m 56

# ---- gif ------------------------------------------------------------------------

gif() {
    expect "exit code" 0 "$(code_of "$scratch/a.mkv" -o "$scratch/1.gif" --gpu_num 1)" && sim --gpu_num 3 --lanes 3 "$scratch/a.mkv" -o "$scratch/o.gif" &&
        cmp "$scratch/1.gif" "$scratch/o.gif" && expect frames 30 "$(frames "$scratch/o.gif")" &&
        expect "one time apart" 0.04 "$(times "$scratch/o.gif" | awk 'NR > 1 {printf "%.2f\n", $1 - a} {a = $1}' | uniq)" &&
        expect "plays for ever" 1 "$(head -c 1200 "$scratch/o.gif" | grep -c NETSCAPE2.0)" || return 1
    # Beside the same pictures as RGB, which have the chroma of edges as these do.
    local psnr
    sim "$scratch/a.mkv" -o "$scratch/gif%03d.png" 2>/dev/null || return 1
    psnr=$(ffmpeg -v info -i "$scratch/o.gif" -i "$scratch/gif%03d.png" -filter_complex '[0]setpts=N/25/TB,format=gbrp,crop=iw-128:ih:128:0[a];[1]setpts=N/25/TB,format=gbrp,crop=iw-128:ih:128:0[b];[a][b]psnr' \
        -f null - 2>&1 | grep -o 'average:[0-9]*' | tail -n 1)
    ((${psnr#*:} >= 35)) || { echo "$psnr dB"; return 1; }
}
check "gif" gif
gif_again() { # a process that dies while it is put together
    rm -f "$scratch/o.gif"
    REELMILL_CRASH=aggregator.mid_mux:7:9 sim "$scratch/a.mkv" -o "$scratch/o.gif" 2>/dev/null && cmp "$scratch/1.gif" "$scratch/o.gif"
}
check "gif whose process dies is the same" gif_again

# ---- pictures -------------------------------------------------------------------

# White and black of a limited range, fine colours, and 10 bits.
size=320x180 source_of -pix_fmt yuv420p -frames:v 3 -c:v ffv1 "$scratch/p8.mkv"
size=320x180 source_of -pix_fmt yuv444p10le -frames:v 3 -c:v ffv1 "$scratch/p10.mkv"
for bits in 8 10; do sim "$scratch/p$bits.mkv" -o "$scratch/p$bits/%d.png"; done

exact() { # ending, bits, pixel format in which they are compared
    sim "$scratch/p$2.mkv" -o "$scratch/p$2/%d.$1" && expect pictures 3 "$(find "$scratch/p$2" -name "*.$1" | wc -l)" &&
        expect "pictures of the .png" "$(hashes "$scratch/p$2/1.png" "$3")" "$(hashes "$scratch/p$2/1.$1" "$3")"
}
for ending in tif bmp ppm dpx; do check ".$ending is as the .png" exact $ending 8 rgb24; done
for ending in tif ppm; do check ".$ending of 10 bits is as the .png, in 16" exact $ending 10 rgb48le; done

near() { # ending, bits, decibels
    sim "$scratch/p$2.mkv" -o "$scratch/p$2/%d.$1" || return 1
    local psnr
    psnr=$(ffmpeg -v info -i "$scratch/p$2/1.$1" -i "$scratch/p$2/1.png" -filter_complex '[0]scale=iw/4:-1:flags=area,format=gbrp[a];[1]scale=iw/4:-1:flags=area,format=gbrp[b];[a][b]psnr' \
        -f null - 2>&1 | grep -o 'average:[0-9a-z]*' | tail -n 1)
    [[ ${psnr#*:} == inf ]] || ((${psnr#*:} >= $3)) || { echo "$psnr dB"; return 1; }
}
check ".jpg has the .png's colours" near jpg 8 30
check ".webp has the .png's colours" near webp 8 30
check ".dpx of 10 bits" near dpx 10 45
exr() {
    near exr 10 45 && expect format gbrpf32le "$(stream "$scratch/p10/1.exr" v:0 pix_fmt)"
}
check ".exr is float" exr
check "unknown endings name those that are known" fails_with 2 ".gif .y4m" --backend sim "$scratch/a.mkv" -o "$scratch/o.xyz"
