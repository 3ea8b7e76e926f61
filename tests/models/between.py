#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether a video has the frames of another and, between two of them, their mixtures:

    between.py IN OUT RATE WIDTH HEIGHT [--most D] [--cut N]... [--moved] [--none]

Every RATE-th frame of OUT must be one of IN, the k-th behind it (1 - k / RATE) of it and the rest of the next one, but for
--most D (0) in a sample. Behind the last frame, and behind those of --cut, the nearest frame is repeated. --moved: mixtures
are one pixel further right and below (what eleven.onnx of small_models.py makes). --none: no mixtures, all are repeated.

--some N: of a live input. OUT need not have all frames of IN, and begins at 0 s: those that it has are known by their times
(milliseconds, of Matroska), and the mixtures are of two that follow each other in OUT, evenly between them in time. Up to N
frames, the last one among them, have nothing made behind them: there an attempt ended. --torn: OUT may end in their midst.

Both are decoded as planar RGB of 8 bits. Exit code 1, and a line, where they differ. Needs no package.
"""
import argparse
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("source")
parser.add_argument("made")
parser.add_argument("rate", type=int)
parser.add_argument("width", type=int)
parser.add_argument("height", type=int)
parser.add_argument("--most", type=int, default=0)
parser.add_argument("--cut", type=int, action="append", default=[])
parser.add_argument("--moved", action="store_true")
parser.add_argument("--none", action="store_true")
parser.add_argument("--some", type=int)
parser.add_argument("--torn", action="store_true")
a = parser.parse_args()


def frames(path):
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gbrp", "-fps_mode", "passthrough", "-"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    size = 3 * a.width * a.height
    return [raw[i:i + size] for i in range(0, len(raw), size)]


def moved(frame):
    w, h = a.width, a.height
    out = bytearray()
    for p in range(3):
        for y in range(h):
            row = frame[(p * h + min(y + 1, h - 1)) * w:][:w]
            out += row[1:] + row[-1:]
    return bytes(out)


def expected(source, n, k):
    last = n + 1 == len(source)
    if k == 0 or last:
        return source[n]
    if n in a.cut or a.none:
        return source[n + 1] if 2 * k > a.rate else source[n]
    first, second = source[n], source[n + 1]
    if a.moved:
        first, second = moved(first), moved(second)
    return bytes((x * (a.rate - k) * 2 + y * k * 2 + a.rate) // (2 * a.rate) for x, y in zip(first, second))


def times(path):
    text = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts", "-of", "csv=p=0", path],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True).stdout
    return sorted(int(line.strip(",")) for line in text.split())


def mixed(first, second, k):
    return bytes((x * (a.rate - k) * 2 + y * k * 2 + a.rate) // (2 * a.rate) for x, y in zip(first, second))


def check_some(source, made):
    at, ends = times(a.made), 0
    begin = times(a.source)
    known = dict(zip((t - begin[0] for t in begin), source))
    whole = (len(made) // a.rate - 1) * a.rate if a.torn else len(made)  # what the last whole one led to is not there
    if len(made) != len(at) or whole % a.rate:
        sys.exit(f"{len(made)} frames, {len(at)} times")
    if any(x >= y for x, y in zip(at, at[1:])):
        sys.exit("times go back")
    for n in range(0, whole, a.rate):
        if made[n] != known.get(at[n]):
            sys.exit(f"picture {n} at {at[n]} ms is not the frame of that time")
        group, later = made[n:n + a.rate], n + a.rate
        if later < len(made) and group == [group[0]] + [mixed(group[0], made[later], k) for k in range(1, a.rate)]:
            for k in range(a.rate):
                if abs(at[n + k] - at[n] - (at[later] - at[n]) * k / a.rate) > 1:
                    sys.exit(f"picture {n + k} is at {at[n + k]} ms, between {at[n]} and {at[later]} ms")
        elif group == [group[0]] * a.rate:
            ends += 1
        else:
            sys.exit(f"behind the frame at {at[n]} ms is neither a mixture with the next one nor itself")
    if ends > a.some:
        sys.exit(f"{ends} frames have nothing made behind them")


source, made = frames(a.source), frames(a.made)
if a.some is not None:
    check_some(source, made)
    sys.exit(0)
if len(made) != a.rate * len(source):
    sys.exit(f"{len(made)} frames of {len(source)}")
for n in range(len(source)):
    for k in range(a.rate):
        want, have = expected(source, n, k), made[n * a.rate + k]
        if want == have:
            continue
        most = max(abs(x - y) for x, y in zip(want, have))
        if k == 0 or most > a.most:
            sys.exit(f"frame {n}, picture {k} behind it: differs by {most}")
