#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures an upscaler as it is used: through ./run.sh, against ffmpeg's bicubic.

    python3 models/train/evaluate.py [--model FILE.onnx ...] [--clips FILE ...] [--markdown]

A clip is cut down by 2, encoded, upscaled by `./run.sh` (and by `ffmpeg -vf
scale=flags=bicubic`) into a lossless file, and compared with the clip itself:
PSNR-Y in dB of all frames, and flicker, the RMS of the error's change from one
frame to the next in steps of 8 bits. By default on the clips that train.py
holds out, each after several scalers and encoders. Needs NumPy and the ffmpeg
command. The exit code is 1 when a clip is below bicubic or flickers more.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

import data

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What one meets: ffmpeg's default scaler and each encoder at its usual quality, and a camera-like scaler.
CASES = {
    "x264 crf 23": ("bicubic", data.X264, 23),
    "x265 crf 28": ("bicubic", data.X265, 28),
    "vp9 crf 31": ("bicubic", data.VP9, 31),
    "x264 crf 18, area": ("area", data.X264, 18),
}


def measure(path, high):
    out = data.luma(path, high.shape[2], high.shape[1])
    if len(out) != len(high):
        sys.exit(f'could not compare "{path}": it has {len(out)} frames instead of {len(high)}')
    error = out.astype(np.float32) - high
    mse = float((error**2).mean())
    change = float((np.diff(error, axis=0)**2).mean()) if len(high) > 1 else 0.0
    return 10 * np.log10(255**2 / max(mse, 1e-3)), change**0.5


def upscale(model, source, work):
    out = os.path.join(work, "network.mkv")
    command = [os.path.join(ROOT, "run.sh"), "--model", model, source, "-o", out, "-y", "--progress", "off",
               "--encoder", "ffv1", "--encoder_opts", "", "--log_level", "error"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return out


def bicubic(source, width, height, work):
    out = os.path.join(work, "bicubic.mkv")
    data.run(["-y", "-i", source, "-vf", f"scale={width}:{height}:flags=bicubic", "-c:v", "ffv1", out])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="ONNX files (models/upscale2x.onnx and -fast)")
    parser.add_argument("--clips", nargs="*", help="video files instead of the held-out ones")
    parser.add_argument("--case", action="append", choices=CASES, help="only these ways of losing size")
    parser.add_argument("--frames", type=int, default=24, help="how many frames of each clip")
    parser.add_argument("--work", default="/tmp/reelmill-train", help="folder for the clips' variants")
    options = parser.parse_args()
    models = options.model or [os.path.join(ROOT, "models", n) for n in ("upscale2x.onnx", "upscale2x-fast.onnx")]
    root = os.environ.get("REELMILL_TESTDATA", os.path.join(ROOT, "..", "shared", "testdata"))
    clips = options.clips or [os.path.join(root, "clips", n) for n in data.HELD_OUT]
    missing = [c for c in clips if not os.path.exists(c)]
    if missing:
        sys.exit(f'could not find clip "{missing[0]}"\nset REELMILL_TESTDATA or name clips with --clips')
    os.makedirs(options.work, exist_ok=True)
    names = [os.path.splitext(os.path.basename(m))[0] for m in models]
    print("| clip | case | bicubic | " + " | ".join(f"{n} (gain)" for n in names) + " | flicker: bicubic, "
          + ", ".join(names) + " |\n|---|---|---|" + "---|" * len(names) + "---|")
    gains, worse = {n: [] for n in names}, 0
    out = tempfile.TemporaryDirectory()
    for path in clips:
        base = os.path.basename(path)
        source = data.master(path, options.work, 1, data.SKIP.get(base, 0), options.frames)
        width, height = data.size(source)
        high = data.luma(source, width, height).astype(np.float32)
        for case in options.case or CASES:
            small = data.reduce_file(source, *CASES[case], options.work)
            psnr, flicker = measure(bicubic(small, width, height, out.name), high)
            cells, flickers = [], [f"{flicker:.2f}"]
            for name, model in zip(names, models):
                ours, change = measure(upscale(model, small, out.name), high)
                gains[name].append(ours - psnr)
                worse += ours < psnr or change > flicker
                cells.append(f"{ours:.2f} ({ours - psnr:+.2f})")
                flickers.append(f"{change:.2f}" + (" !" if change > flicker else ""))
            print(f"| {base.split('.')[0]} | {case} | {psnr:.2f} | {' | '.join(cells)} | {', '.join(flickers)} |", flush=True)
    for name in names:
        print(f"{name}: {np.mean(gains[name]):+.2f} dB in the mean, {min(gains[name]):+.2f} dB at worst")
    print("below bicubic or with more flicker:", worse)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
