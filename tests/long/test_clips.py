#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Every clip of the shared test data, without a model (`sim`): the frames that
# reach the output against a linear decode, their number against the table
# below, timestamps, audio packets, tags, the report. Segments are short, so
# that decoding starts at entries in the middle.
#
#   tests/long/test_clips.py [WORD...]     only clips whose names hold a word
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from media import (DATA, Cases, ffmpeg, fraction, frame_hashes, frame_times, our_hashes, packet_hashes, probe, reel,  # noqa: E402
                   streams)

# Clips that are whole: frames, as ffprobe counts them.
WHOLE = {
    "av1_8bit_1080x720_face.mp4": 30, "av1_hdr10_1080p60_mdcv_clli.mp4": 60, "bottles_h264.mp4": 1189,
    "cars_topview_h264.mp4": 377, "chaplin_people_bw.mp4": 241, "derived_10bit_hevc.mkv": 60,
    "derived_422_10bit_h264.mp4": 60, "derived_641x361_av1.mkv": 60, "derived_853x480_h264_444.mp4": 60,
    "derived_853x480_vp9.webm": 60, "derived_interlaced_bff_mpeg2.ts": 25, "derived_interlaced_tff_h264.mp4": 30,
    "derived_open_gop_h264.mp4": 90, "derived_open_gop_hevc.mp4": 90, "derived_vfr_faces_h264.mkv": 54,
    "dog_848x464.mp4": 96, "fire_phone_vfr_rot180.mp4": 25, "flower_960x540.mp4": 150,
    "flower_960x540_vp8.webm": 150, "friday_faces_bw_640x480.mp4": 185, "h264_bbb_bpyramid.mp4": 120,
    "h264_face.mp4": 30, "h264_face_ass.mkv": 30, "h264_face_bt601_640x428.mov": 30,
    "h264_face_fragmented.mp4": 30, "h264_face_srt.mkv": 30, "h264_face_vobsub.mkv": 30,
    "h264_long_10883_frames_black.mp4": 10883, "hevc_854x480_bframes.mp4": 30, "hevc_8k24_300ms.mp4": 8,
    "hevc_main10_hlg_color_chart.mp4": 9, "hevc_main10_hlg_vfr_bframes_rot90_editlist.mp4": 77,
    "hevc_ts.ts": 30, "mpeg4_bbb_176x144.mp4": 15, "mpeg4_sintel_like_960x400.avi": 96,
    "no_duration.webm": 74, "people_one_by_one_h264.mp4": 1394, "person_signing_fullrange.mkv": 77,
    "prores_422_10bit_180x144.mov": 40, "rot0_keyboard.mov": 3, "rot180_keyboard.mov": 3,
    "rot90_keyboard.mov": 3, "security_person_178x100.mp4": 512, "stream_of_water_480x360.mp4": 90,
    "traffic_motorbike_720p.mp4": 67, "vp9_bbb_642x642.webm": 90, "vp9_bbb_960x540_60fps_vorbis.webm": 60,
    "broken_missing_stsd_audio.mp4": 30,
}
# What of them a container of the input's kind cannot hold: exit code 3.
LOSSY = {
    "hevc_main10_hlg_vfr_bframes_rot90_editlist.mp4", "broken_missing_stsd_audio.mp4",
}
# Damaged: what is decoded is written, the rest is counted; how much follows from libavcodec.
DAMAGED = {
    "broken_bitflips_h264_face.mp4", "broken_lost_packets_hevc.ts", "broken_truncated_8subs.mkv",
    "broken_truncated_face.mkv", "broken_truncated_half.mp4", "broken_truncated_vp9.webm",
}
# Refused: a word of the message.
REFUSED = {
    "broken_empty.mp4": "empty", "broken_malformed_free_box.mp4": "", "broken_no_moov.mp4": "moov",
    "broken_random.mp4": "", "broken_truncated_h264_337frames.mp4": "", "vvc_unsupported.mp4": "decoder",
}
CONTAINERS = {".mp4", ".mkv", ".mov", ".webm", ".ts"}
QUICK = "preset=ultrafast"
TAGS = ("color_range", "color_space", "color_transfer", "color_primaries")


def crop(width, height):
    """sim writes the frame's number into the upper left corner: what lies right of it (or below) is compared."""
    if width < 128 or height < 64:
        return "null"
    return "crop=iw-128:ih:128:0" if width > 160 else "crop=iw:ih-128:0:128"


def upright(path):
    found = streams(path)
    video = next(s for s in found["streams"] if s["codec_type"] == "video" and not s["disposition"]["attached_pic"])
    turn = 0
    for side in video.get("side_data_list", []):
        turn = int(side.get("rotation", turn))
    size = (video["width"], video["height"])
    return (size[::-1] if turn % 180 else size), video, found


def check_frames(clip, work, segment_seconds, select="0:v:0"):
    """Hashes and times of a .md5 output against a linear decode."""
    problems = []
    (width, height), video, _ = upright(clip)
    part = crop(width, height)
    out = work / "frames.md5"
    report = work / "report.json"
    code, text = reel("--backend", "sim", "--gpu_num", 2, "--decoders", 2, "--lanes", 3, "--segment_seconds", segment_seconds,
                      "--post_filter", part, "-y", "--report", report, clip, "-o", out)
    if code not in (0, 3):
        return [f"exit code {code}: {text}"], None
    hashes, times = our_hashes(out)
    wanted = frame_hashes(clip, part, video["pix_fmt"], select)
    if hashes != wanted:
        first = next((i for i, (a, b) in enumerate(zip(hashes, wanted)) if a != b), min(len(hashes), len(wanted)))
        problems.append(f"frames differ from a linear decode: {len(hashes)} of {len(wanted)}, first at {first}")
    stated = frame_times(clip)
    # The file's start (of all its streams) is subtracted.
    off = [i for i, (a, b) in enumerate(zip(stated, times)) if a - stated[0] != b - times[0]]
    if len(stated) == len(times) and off:
        problems.append(f"time of frame {off[0]} is {float(times[off[0]])}, in the file {float(stated[off[0]])}")
    found = json.loads(report.read_text())
    if found["jobs"][0]["frames_out"] != len(hashes) or found["frames"]["out"] != len(hashes):
        problems.append(f"the report says {found['frames']}, {len(hashes)} frames are there")
    return problems, len(hashes)


def audio_of(path):
    found = [s for s in streams(path).get("streams", []) if s["codec_type"] == "audio"]
    return [(s["codec_name"], packet_hashes(path, f"a:{i}")) for i, s in enumerate(found) if s.get("codec_name")]


def check_video(clip, out, frames, start):
    """A video output of the same container against its input."""
    problems = []
    (width, height), video, found = upright(clip)
    made = streams(out)
    result = next((s for s in made.get("streams", []) if s["codec_type"] == "video"), None)
    if result is None:
        return ["the output has no video"]
    if (result["width"], result["height"]) != (width, height):
        problems.append(f"size {result['width']}x{result['height']}, upright input {width}x{height}")
    times, stated = frame_times(out), frame_times(clip)
    if len(times) != frames:
        problems.append(f"{len(times)} frames, {frames} in the input")
    base = fraction(result["time_base"])
    if len(times) == len(stated):
        # Each container has a tick of its own: half of it may be lost.
        off = [abs((a - times[0]) - (b - stated[0])) for a, b in zip(times, stated)]
        if max(off, default=0) > base:
            problems.append(f"time of frame {off.index(max(off))} is off by {float(max(off))} s")
    for tag in TAGS:
        want = video.get(tag)
        if want not in (None, "unknown", "reserved") and result.get(tag) != want:
            problems.append(f"{tag}: {result.get(tag)}, in the input {want}")
    sar = video.get("sample_aspect_ratio")
    if sar not in (None, "0:1") and result.get("sample_aspect_ratio") != sar:
        a, b = fraction(result.get("sample_aspect_ratio", "0:1").replace(":", "/")), fraction(sar.replace(":", "/"))
        if abs(a / b - 1) > 0.001:
            problems.append(f"sample aspect ratio {result.get('sample_aspect_ratio')}, in the input {sar}")
    before, after = audio_of(clip), audio_of(out)
    if [c for c, _ in before] != [c for c, _ in after]:
        problems.append(f"audio {[c for c, _ in after]}, in the input {[c for c, _ in before]}")
    else:
        for i, ((_, a), (_, b)) in enumerate(zip(before, after)):
            if [h for h, _ in a] != [h for h, _ in b]:
                problems.append(f"audio stream {i}: {len(b)} packets, other than the input's {len(a)}")
            elif a and a[0][1] and b[0][1]:
                # Sound stays with the pictures.
                lag = (float(b[0][1]) - float(times[0])) - (float(a[0][1]) - float(stated[0]))
                if abs(lag) > 0.002:
                    problems.append(f"audio stream {i} is {lag:.4f} s late")
    kinds = [[s["codec_type"] for s in f["streams"] if s["codec_type"] in ("subtitle", "attachment")] for f in (found, made)]
    if kinds[0] != kinds[1]:
        problems.append(f"streams {kinds[1]}, in the input {kinds[0]}")
    if len(found.get("chapters", [])) != len(made.get("chapters", [])):
        problems.append("chapters are missing")
    return problems


def whole(cases, clip, frames, work):
    name = clip.name
    step = 20 if frames > 5000 else 0.4
    problems, seen = check_frames(clip, work, step)
    if seen is not None and seen != frames:
        problems.append(f"{seen} frames, the table says {frames}")
    suffix = clip.suffix if clip.suffix in CONTAINERS else ".mkv"
    if frames < 5000 and "8k" not in name:
        out = work / f"video{suffix}"
        options = [] if suffix == ".webm" else ["--encoder", "libx264", "--encoder_opts", QUICK]
        if suffix == ".webm":
            options = ["--encoder_opts", "deadline=realtime:cpu-used=8"]
        code, text = reel("--backend", "sim", "--segment_seconds", 1, "-y", *options, clip, "-o", out)
        want = 3 if name in LOSSY else 0
        if code != want:
            problems.append(f"exit code {code}, wanted {want}: {text}")
        if code in (0, 3):
            problems += check_video(clip, out, frames, 0)
        if code == 3 and not text.strip():
            problems.append("exit code 3 without a word why")
    cases.end(name, problems)


def damaged(cases, clip, work):
    problems, seen = check_frames(clip, work, 86400)
    found = json.loads((work / "report.json").read_text()) if seen else {}
    if seen == 0:
        problems.append("not one frame")
    if "bitflips" in clip.name and found and not found["frames"]["unreadable"]:
        pass  # concealed by libavcodec: all frames are there
    cases.end(clip.name, problems)


def refused(cases, clip, word, work):
    problems = []
    out = work / "none.mp4"
    code, text = reel("--backend", "sim", "-y", clip, "-o", out)
    if code != 1:
        problems.append(f"exit code {code}, wanted 1")
    if clip.name not in text or word not in text:
        problems.append(f"the message names neither file nor reason: {text}")
    if text.count("\n") > 4:
        problems.append(f"more than one message: {text}")
    if list(work.glob("none*")) or list(work.glob(".none*")):
        problems.append("something was left")
    cases.end(clip.name, problems)


def main():
    cases = Cases(sys.argv[1:])
    folder = DATA / "clips"
    if not folder.is_dir():
        cases.skip("clips", "the shared test data is not there (REELMILL_TESTDATA)")
        return
    for clip in sorted(folder.iterdir()):
        if not cases.wanted(clip.name):
            continue
        with tempfile.TemporaryDirectory(prefix="reelmill-clips.") as temporary:
            work = pathlib.Path(temporary)
            if clip.name in WHOLE:
                whole(cases, clip, WHOLE[clip.name], work)
            elif clip.name in DAMAGED:
                damaged(cases, clip, work)
            elif clip.name in REFUSED:
                refused(cases, clip, REFUSED[clip.name], work)
            elif clip.suffix != ".h264":
                cases.end(clip.name, ["the table does not name it"])
    cases.finish()


main()
