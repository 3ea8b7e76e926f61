# SPDX-License-Identifier: MIT
#
# What the long tests share: the command under test, and what FFmpeg's own
# programs say about a file. No check stands here.
import fractions
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("REELMILL_BUILD", ROOT / "build/release"))
DATA = pathlib.Path(os.environ.get("REELMILL_TESTDATA", ROOT / "../shared/testdata"))
COORDINATOR = str(BUILD / "coordinator")


def reel(*args, timeout=600, env=None):
    """Runs the command; returns (exit code, stderr)."""
    words = [COORDINATOR, "--progress", "off", *map(str, args)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stderr


def ffmpeg(*args, timeout=600):
    words = ["ffmpeg", "-nostdin", "-v", "error", *map(str, args)]
    return subprocess.run(words, capture_output=True, timeout=timeout, check=False)


def probe(path, *args):
    words = ["ffprobe", "-v", "quiet", "-of", "json", *args, str(path)]
    out = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=300, check=False).stdout
    return json.loads(out or "{}")


def streams(path):
    return probe(path, "-show_streams", "-show_format", "-show_chapters")


def fraction(text):
    return fractions.Fraction(text)


def frame_hashes(path, video_filter="null", pix_fmt=None, select="0:v:0"):
    """Hashes of the frames of a linear decode, through a filter, in order."""
    # One thread: several conceal damage differently.
    args = ["-threads", "1", "-i", path, "-map", select, "-vf", video_filter, "-fps_mode", "passthrough"]
    if pix_fmt:
        args += ["-pix_fmt", pix_fmt]
    out = ffmpeg(*args, "-f", "framemd5", "-").stdout.decode()
    return [line.split(",")[5].strip() for line in out.splitlines() if line and line[0] != "#"]


def our_hashes(path):
    """(hashes, times in seconds) of a .md5 output of ours."""
    base, hashes, times = None, [], []
    for line in open(path, encoding="ascii"):
        if line.startswith("#tb 0:"):
            base = fraction(line.split(":")[1].strip())
        if line[0] == "#":
            continue
        words = [word.strip() for word in line.split(",")]
        hashes.append(words[5])
        times.append(int(words[2]) * base)
    return hashes, times


def frame_times(path, select="v:0"):
    """Times of the decoded frames in seconds, exact."""
    found = probe(path, "-select_streams", select, "-show_entries", "frame=pts,best_effort_timestamp:stream=time_base")
    if not found.get("streams"):
        return []
    base = fraction(found["streams"][0]["time_base"])
    stamps = [f.get("pts", f.get("best_effort_timestamp")) for f in found.get("frames", [])]
    return sorted(s * base for s in stamps if s is not None)


def packet_hashes(path, select):
    """Hash of each packet's payload of a stream, in order."""
    found = probe(path, "-select_streams", select, "-show_packets", "-show_data_hash", "md5",
                  "-show_entries", "packet=data_hash,pts_time,flags")
    return [(p["data_hash"], p.get("pts_time")) for p in found.get("packets", [])]


def file_hash(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class Cases:
    """Counts lines as tests/run reads them."""

    def __init__(self, only):
        self.only, self.failed = only, 0

    def wanted(self, name):
        return not self.only or any(word in name for word in self.only)

    def end(self, name, problems):
        if not problems:
            print(f"ok - {name}", flush=True)
            return
        self.failed += 1
        print(f"not ok - {name}", flush=True)
        for problem in problems:
            print(f"{name}: {problem}", file=sys.stderr, flush=True)

    def skip(self, name, why):
        print(f"ok - {name} # SKIP {why}", flush=True)

    def finish(self):
        sys.exit(1 if self.failed else 0)
