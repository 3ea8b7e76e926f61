#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What goes in comes out: codecs and containers in and out, subtitles,
# chapters, attachments, covers, metadata, rotation, aspect, fields, colour.
# Without a model (sim): only media is tried here.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_ffmpeg "formats" || exit 0

encoders=$(ffmpeg -hide_banner -v error -encoders | awk '{print $2}')
has() { grep -qx -- "$1" <<<"$encoders"; }
fast() { # options that make an encoder quick
    case $1 in
    libx264 | libx265) echo preset=ultrafast ;;
    libsvtav1) echo preset=12 ;;
    libaom-av1) echo cpu-used=8:usage=realtime ;;
    libvpx*) echo deadline=realtime:cpu-used=8 ;;
    esac
}
moving() { ffmpeg -v error -y -f lavfi -i testsrc2=size=192x108:rate=25:duration=1.2 "$@"; }
hashes() { ffmpeg -v error -threads 1 -i "$1" -map 0:v:0 -vf crop=iw-128:ih:128:0 -fps_mode passthrough -f framemd5 - | sed '/^#/d; s/.*, *//'; }

# ---- codecs in ----------------------------------------------------------------

codec_in() { # encoder, container, output options...
    local file=$scratch/in-$1.$2
    moving -c:v "$1" "${@:3}" "$file" || return 1
    sim --decoders 2 --post_filter crop=iw-128:ih:128:0 "$file" -o "$scratch/in.md5" || return 1
    expect "frames of a linear decode" "$(hashes "$file")" "$(sed '/^#/d; s/.*, *//' "$scratch/in.md5")" &&
        expect frames 30 "$(grep -vc '^#' "$scratch/in.md5")"
}
try_codec() { # name, encoder, container, options...
    local name=$1
    shift
    if has "$1"; then check "$name in" codec_in "$@"; else skip "$name in" "this FFmpeg has no $1"; fi
}
try_codec "h264 open gop" libx264 mp4 -preset ultrafast -bf 3 -g 8 -x264-params open-gop=1:b-pyramid=normal
try_codec "h264 intra refresh" libx264 mkv -preset ultrafast -g 8 -intra-refresh 1
try_codec "hevc open gop" libx265 mkv -preset ultrafast -bf 3 -g 8 -x265-params open-gop=1:log-level=error
try_codec "mpeg-2" mpeg2video ts -g 8 -bf 2
try_codec "mpeg-4" mpeg4 avi -g 8 -bf 2
try_codec "vp8" libvpx webm -g 8 -deadline realtime -cpu-used 8
try_codec "vp9" libvpx-vp9 webm -g 8 -deadline realtime -cpu-used 8
try_codec "av1" libaom-av1 mkv -g 8 -usage realtime -cpu-used 8
try_codec "prores" prores_ks mov
try_codec "mjpeg" mjpeg mov -pix_fmt yuvj420p
try_codec "ffv1" ffv1 mkv

# A filter behind the model that mixes pictures sees the whole video, whatever the segments.
mixed() {
    moving -c:v libx264 -preset ultrafast -g 5 "$scratch/mixed.mp4" || return 1
    local filter=crop=iw-128:ih:128:0,tmix=frames=3
    sim --lanes 2 --post_filter "$filter" "$scratch/mixed.mp4" -o "$scratch/mixed.md5" || return 1
    expect "the filter's pictures over all" \
        "$(ffmpeg -v error -threads 1 -i "$scratch/mixed.mp4" -vf "$filter" -f framemd5 - | sed '/^#/d; s/.*, *//')" \
        "$(sed '/^#/d; s/.*, *//' "$scratch/mixed.md5")"
}
check "a filter of several pictures sees no cuts" mixed

repeated_times() { # every frame is kept, a repeated time moves by one tick, and it is said
    moving -vf "setpts='if(eq(mod(N,5),3),N-1,N)/25/TB'" -fps_mode passthrough -c:v ffv1 "$scratch/repeated.mkv" || return 1
    expect "exit code" 3 "$(code_of "$scratch/repeated.mkv" -o "$scratch/o.mkv")" && said "6 timestamps repeat and 0 go back" &&
        expect frames 30 "$(frames "$scratch/o.mkv")" && expect "times of their own" 30 "$(times "$scratch/o.mkv" | uniq | wc -l)" &&
        expect "the fourth" 0.081 "$(times "$scratch/o.mkv" | sed -n 4p | sed 's/0*$//')"
}
check "repeated timestamps" repeated_times

# ---- encoders and containers out ------------------------------------------------

moving -f lavfi -i sine=duration=1.2 -c:v libx264 -preset ultrafast -g 10 -bf 2 -c:a aac "$scratch/a.mp4"

codec_out() { # encoder, container, codec name
    local out=$scratch/out.$2
    sim --encoder "$1" --encoder_opts "$(fast "$1")" "$scratch/a.mp4" -o "$out" || return 1
    expect codec "$3" "$(stream "$out" v:0 codec_name)" && expect frames 30 "$(frames "$out")" || return 1
    local want got
    want=$(times "$scratch/a.mp4" | awk '{printf "%.3f\n", $1 - 0}' | awk 'NR==1{f=$1}{printf "%.3f\n",$1-f}')
    got=$(times "$out" | awk 'NR==1{f=$1}{printf "%.3f\n",$1-f}')
    expect times "$want" "$got"
}
try_encoder() {
    local name="$1 in .$2"
    if has "$1"; then check "$name" codec_out "$@"; else skip "$name" "this FFmpeg has no $1"; fi
}
for row in "libx264 mp4 h264" "libx264 mov h264" "libx264 ts h264" "libx265 mp4 hevc" "libx265 ts hevc" "libsvtav1 mp4 av1" \
    "libaom-av1 mkv av1" "prores_ks mov prores" "ffv1 mkv ffv1" "mpeg2video ts mpeg2video" "mpeg4 mp4 mpeg4" "mjpeg mov mjpeg"; do
    # shellcheck disable=SC2086
    try_encoder $row
done
webm() { # AAC cannot be kept in webm: said, exit code 3
    expect "exit code" 3 "$(code_of --encoder_opts "$(fast libvpx)" "$scratch/a.mp4" -o "$scratch/out.webm")" || return 1
    said "audio" && expect codec vp9 "$(stream "$scratch/out.webm" v:0 codec_name)" && expect frames 30 "$(frames "$scratch/out.webm")"
}
check "webm by default is vp9, lost audio is said" webm

refused() { fails_with 2 "$@" && nothing_left; } # word, arguments...
check "unknown encoder" refused "libx265" --backend sim "$scratch/a.mp4" -o "$scratch/no.mp4" --encoder libx256
check "unknown encoder option" refused "preste" --backend sim "$scratch/a.mp4" -o "$scratch/no.mp4" --encoder_opts preste=fast
check "wrong value of an encoder option" refused "preset" --backend sim "$scratch/a.mp4" -o "$scratch/no.mp4" --encoder_opts preset=quickest
check "encoder that the container does not hold" refused "webm" --backend sim "$scratch/a.mp4" -o "$scratch/no.webm" --encoder libx264
check "unknown filter" refused "nosuchfilter" --backend sim "$scratch/a.mp4" -o "$scratch/no.mp4" --post_filter nosuchfilter
ffmpeg -v error -y -f lavfi -i testsrc2=size=192x108:rate=25:duration=3 -c:v libx264 -preset ultrafast -g 25 "$scratch/long.mp4"
check "filter that needs the whole video" refused "holds back more than 64 pictures" --backend sim "$scratch/long.mp4" -o "$scratch/no.mp4" --post_filter reverse

# ---- other streams ----------------------------------------------------------------

printf '1\n00:00:00,200 --> 00:00:00,900\nOne <i>line</i>\n' >"$scratch/s.srt"
printf ';FFMETADATA1\ntitle=A title\ncomment=said\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=First\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1200\ntitle=Second\n' >"$scratch/meta.txt"
ffmpeg -v error -y -i "$scratch/a.mp4" -i "$scratch/s.srt" -i "$scratch/meta.txt" -map 0 -map 1 -map_metadata 2 -map_chapters 2 -c copy -c:s srt \
    -metadata:s:a:0 language=ger -metadata:s:s:0 language=fre -attach "$scratch/s.srt" -metadata:s:t mimetype=text/plain "$scratch/rich.mkv"
printf 'P6 2 2 255\n\1\1\1\2\2\2\3\3\3\4\4\4' >"$scratch/c.ppm"
ffmpeg -v error -y -i "$scratch/c.ppm" "$scratch/cover.png"
ffmpeg -v error -y -i "$scratch/a.mp4" -i "$scratch/cover.png" -map 0 -map 1 -c copy -disposition:v:1 attached_pic "$scratch/cover.mp4"

texts() { ffprobe -v error -show_entries "$2" -of csv=p=0 "$1" | tr '\n' ' '; }
line_of() { ffmpeg -v error -i "$1" -map 0:s:0 -f srt - | sed -n 3p; }
rich_mkv() {
    sim "$scratch/rich.mkv" -o "$scratch/o.mkv" || return 1
    expect subtitles subrip "$(stream "$scratch/o.mkv" s:0 codec_name)" && expect line "One <i>line</i>" "$(line_of "$scratch/o.mkv")" &&
        expect chapters "First Second " "$(texts "$scratch/o.mkv" chapter_tags=title)" &&
        expect title "A title" "$(texts "$scratch/o.mkv" format_tags=title | sed 's/ *$//')" &&
        expect language "ger fre " "$(texts "$scratch/o.mkv" stream_tags=language | tr -s ' ' | sed 's/^ //')" &&
        expect attachment 1 "$(ffprobe -v error -select_streams t -show_entries stream=index -of csv=p=0 "$scratch/o.mkv" | grep -c .)" &&
        expect audio "$(ffprobe -v error -select_streams a -show_packets -show_data_hash md5 -show_entries packet=data_hash -of csv=p=0 "$scratch/rich.mkv")" \
            "$(ffprobe -v error -select_streams a -show_packets -show_data_hash md5 -show_entries packet=data_hash -of csv=p=0 "$scratch/o.mkv")"
}
rich_mp4() { # the attachment cannot be kept there
    expect "exit code" 3 "$(code_of "$scratch/rich.mkv" -o "$scratch/o.mp4" --report "$scratch/r.json")" && said "attachment" &&
        expect subtitles mov_text "$(stream "$scratch/o.mp4" s:0 codec_name)" && expect line "One <i>line</i>" "$(line_of "$scratch/o.mp4")" &&
        expect chapters "First Second " "$(texts "$scratch/o.mp4" chapter_tags=title)" &&
        expect kept '"audio": "all", "subtitles": "all", "chapters": "all", "attachments": "lost", "metadata": "all", "timestamps": "all"' \
            "$(grep -o '"audio": "all".*"timestamps": "all"' "$scratch/r.json")"
}
rich_webm() {
    expect "exit code" 3 "$(code_of --encoder_opts "$(fast libvpx)" "$scratch/rich.mkv" -o "$scratch/o.webm")" && said "audio" && said "attachment" &&
        expect subtitles webvtt "$(stream "$scratch/o.webm" s:0 codec_name)" && expect line "One <i>line</i>" "$(line_of "$scratch/o.webm")"
}
rich_ts() {
    expect "exit code" 3 "$(code_of "$scratch/rich.mkv" -o "$scratch/o.ts")" && said "subtitle" && said "chapters" && said "attachment" &&
        expect audio aac "$(stream "$scratch/o.ts" a:0 codec_name)" && expect frames 30 "$(frames "$scratch/o.ts")"
}
mov_text_to_mkv() {
    sim "$scratch/o.mp4" -o "$scratch/o2.mkv" || return 1
    expect subtitles subrip "$(stream "$scratch/o2.mkv" s:0 codec_name)" && expect line "One <i>line</i>" "$(line_of "$scratch/o2.mkv")" &&
        expect chapters "First Second " "$(texts "$scratch/o2.mkv" chapter_tags=title)"
}
cover() {
    sim "$scratch/cover.mp4" -o "$scratch/o3.mp4" && sim "$scratch/cover.mp4" -o "$scratch/o3.mkv" || return 1
    expect "cover in mp4" 1 "$(stream "$scratch/o3.mp4" v:1 disposition=attached_pic >/dev/null; ffprobe -v error -show_entries stream_disposition=attached_pic -of csv=p=0 "$scratch/o3.mp4" | grep -c 1)" &&
        expect "cover in mkv" 1 "$(ffprobe -v error -show_entries stream_disposition=attached_pic -of csv=p=0 "$scratch/o3.mkv" | grep -c 1)" &&
        expect frames 30 "$(frames "$scratch/o3.mp4")"
}
check "subtitles, chapters, attachment, tags in mkv" rich_mkv
check "the same in mp4" rich_mp4
check "the same in webm" rich_webm
check "the same in ts" rich_ts
check "mov_text back to srt" mov_text_to_mkv
check "cover pictures" cover

# ---- pictures -------------------------------------------------------------------

upright() {
    moving -c:v libx264 -preset ultrafast "$scratch/flat.mp4" && ffmpeg -v error -y -i "$scratch/flat.mp4" -c copy -metadata:s:v rotate=90 "$scratch/turned.mp4" || return 1
    [[ $(ffprobe -v error -show_entries stream_side_data=rotation -of csv=p=0 "$scratch/turned.mp4" | tr -d '\n') == *90* ]] ||
        ffmpeg -v error -y -display_rotation 90 -i "$scratch/flat.mp4" -c copy "$scratch/turned.mp4" || return 1
    sim "$scratch/turned.mp4" -o "$scratch/o.mp4" || return 1
    expect size 108,192 "$(stream "$scratch/o.mp4" v:0 width,height)" && expect rotation "" "$(ffprobe -v error -show_entries stream_side_data=rotation -of csv=p=0 "$scratch/o.mp4" | tr -d '\n,')"
}
aspect() {
    moving -vf setsar=16/15 -c:v libx264 -preset ultrafast "$scratch/sar.mkv" || return 1
    local kind
    for kind in mkv mp4 mov ts; do
        sim "$scratch/sar.mkv" -o "$scratch/o.$kind" && expect "aspect in .$kind" 16:15 "$(stream "$scratch/o.$kind" v:0 sample_aspect_ratio)" || return 1
    done
}
fields() {
    moving -vf "scale=192:112,tinterlace=interleave_top,setfield=tff" -c:v libx264 -preset ultrafast -flags +ildct+ilme -x264-params tff=1 "$scratch/woven.mp4" || return 1
    expect "exit code" 0 "$(code_of "$scratch/woven.mp4" -o "$scratch/o.mp4")" && expect fields tt "$(stream "$scratch/o.mp4" v:0 field_order)" &&
        expect warnings 1 "$(grep -c -i interlaced "$scratch/said")" || return 1
    expect "exit code" 0 "$(code_of --pre_filter bwdif=send_frame "$scratch/woven.mp4" -o "$scratch/o.mp4")" &&
        expect "fields behind bwdif" progressive "$(stream "$scratch/o.mp4" v:0 field_order)" && expect words "" "$(cat "$scratch/said")"
}
odd_size() {
    moving -vf format=yuv444p,crop=191:107 -c:v libx264 -preset ultrafast "$scratch/odd.mkv" && sim "$scratch/odd.mkv" -o "$scratch/o.mkv" || return 1
    expect size 191,107 "$(stream "$scratch/o.mkv" v:0 width,height)" && expect format yuv444p "$(stream "$scratch/o.mkv" v:0 pix_fmt)"
}
only_range_known() { # x264 leaves it out of its header
    moving -c:v ffv1 -color_range tv "$scratch/range.mkv" || return 1
    local kind
    for kind in mp4 ts; do
        sim "$scratch/range.mkv" -o "$scratch/o.$kind" && expect "range in .$kind" tv "$(stream "$scratch/o.$kind" v:0 color_range)" && expect frames 30 "$(frames "$scratch/o.$kind")" || return 1
    done
    has libx265 || return 0
    sim --encoder libx265 --encoder_opts preset=ultrafast "$scratch/range.mkv" -o "$scratch/o.mp4" && expect "range of hevc" tv "$(stream "$scratch/o.mp4" v:0 color_range)"
}
hdr() {
    has libx265 || return 0
    moving -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -x265-params "log-level=error:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400" \
        "$scratch/hdr.mp4" || return 1
    local kind side='red_x,max_luminance,max_content,max_average' want
    # An encoder's note is side data as well, of no such fields. ffprobe 6 shows what stands in the stream and in the
    # container twice, in other fractions.
    light() {
        ffprobe -v error -read_intervals '%+#1' -show_entries "frame_side_data=$side" -of flat "$1" |
            sed -E 's/.*\.([a-z_]+)="?([^"]*)"?/\1 \2/' | awk '{ split($2, f, "/"); print $1, f[2] ? f[1] / f[2] : f[1] }' |
            sort -u | tr '\n' ' '
    }
    want=$(light "$scratch/hdr.mp4")
    for kind in mp4 mkv; do
        sim --encoder libx265 --encoder_opts preset=ultrafast "$scratch/hdr.mp4" -o "$scratch/o.$kind" || return 1
        expect "colour in .$kind" "tv,bt2020nc,smpte2084,bt2020" "$(stream "$scratch/o.$kind" v:0 color_range,color_space,color_transfer,color_primaries)" &&
            expect format yuv420p10le "$(stream "$scratch/o.$kind" v:0 pix_fmt)" &&
            expect "light in .$kind" "$want" "$(light "$scratch/o.$kind")" || return 1
    done
    [[ $want == *"max_luminance 1000 "* ]] || { echo "the clip has no HDR data: $want"; return 1; }
}
check "rotated clips come out upright" upright
check "sample aspect ratio" aspect
check "fields stay woven, with one warning" fields
check "odd size" odd_size
check "a range that is all that is known" only_range_known
check "HDR10" hdr

# ---- image sequences ---------------------------------------------------------------

sequence_in() {
    mkdir -p "$scratch/seq" && moving -frames:v 6 -start_number 7 "$scratch/seq/%03d.png" || return 1
    sim --frame_rate 12 "$scratch/seq/%03d.png" -o "$scratch/o.mp4" || return 1
    expect frames 6 "$(frames "$scratch/o.mp4")" && expect rate 12/1 "$(stream "$scratch/o.mp4" v:0 r_frame_rate)"
}
sequence_out() {
    mkdir -p "$scratch/jpg" && sim "$scratch/a.mp4" -o "$scratch/jpg/%04d.jpg" || return 1
    expect files 30 "$(find "$scratch/jpg" -name '0*.jpg' | wc -l)" && expect size 192,108 "$(stream "$scratch/jpg/0029.jpg" v:0 width,height)"
}
gray_in() { # gray image files use all values
    mkdir -p "$scratch/gray" && moving -frames:v 2 -pix_fmt gray "$scratch/gray/%d.png" && sim "$scratch/gray/%d.png" -o "$scratch/o.mkv" --encoder ffv1 || return 1
    expect range pc "$(stream "$scratch/o.mkv" v:0 color_range)"
}
check "images in" sequence_in
check "images out" sequence_out
check "gray images in" gray_in
check "nothing is left" nothing_left
