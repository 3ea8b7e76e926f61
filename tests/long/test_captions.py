#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Closed captions inside the video (CEA-708 in SEI messages, as broadcasts have
# them) go through to the output, frame by frame. The clip is made here: a
# caption of its own is put before each picture of an H.264 stream.
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from media import Cases, ffmpeg, probe, reel  # noqa: E402


def caption(number):
    """An SEI NAL unit with three bytes of captions (ATSC A/53 Part 4, 6.2.3)."""
    triplet = bytes([0xFC, 0x80 | number % 96 + 32, 0x80])
    user = b"\xb5\x00\x31GA94\x03" + bytes([0xC1, 0xFF]) + triplet + b"\xff"
    payload = bytes([4, len(user)]) + user + b"\x80"
    return b"\x00\x00\x00\x01\x06" + re.sub(b"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


def make(work):
    plain = work / "plain.h264"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=1", "-c:v", "libx264", "-preset", "ultrafast", "-g", "10",
           "-x264-params", "slices=1:bframes=0", "-f", "h264", "-y", plain)
    out, number = b"", 0
    for unit in re.split(b"(?=\x00\x00\x01)", plain.read_bytes()):
        if len(unit) > 3 and unit[3] & 31 in (1, 5):
            out += caption(number)
            number += 1
        out += unit
    captioned = work / "captioned.h264"
    captioned.write_bytes(out)
    clip = work / "clip.ts"
    ffmpeg("-r", "25", "-i", captioned, "-c", "copy", "-y", clip)
    return clip


def captions(path):
    """Frames with captions, and a hash over all of their packets' captions as FFmpeg extracts them."""
    frames = probe(path, "-select_streams", "v:0", "-show_frames").get("frames", [])
    there = [any("Closed Captions" in s.get("side_data_type", "") for s in f.get("side_data_list", [])) for f in frames]
    text = ffmpeg("-f", "lavfi", "-i", f"movie={path}[out0+subcc]", "-map", "0:s", "-c", "copy", "-f", "data", "-").stdout
    return there, text


def main():
    cases = Cases(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="reelmill-captions.") as temporary:
        work = pathlib.Path(temporary)
        clip = make(work)
        there, text = captions(clip)
        if len(there) != 25 or not all(there) or not text:
            cases.skip("captions", f"no clip with captions could be made: {sum(there)} of {len(there)} frames have some")
            return
        for suffix in (".mp4", ".mkv", ".ts"):
            out = work / f"out{suffix}"
            code, said = reel("--backend", "sim", "--gpu_num", 2, "--segment_seconds", 0.4, "-y", clip, "-o", out)
            after, kept = captions(out)
            problems = [] if code == 0 else [f"exit code {code}: {said}"]
            if after != there:
                problems.append(f"{sum(after)} of {len(after)} frames have captions")
            if kept != text:
                problems.append("the captions' bytes differ")
            cases.end(f"captions_in{suffix}", problems)
    cases.finish()


main()
