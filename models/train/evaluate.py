#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures an upscaler as it is used: through ./run.sh, against ffmpeg's bicubic.

    python3 models/train/evaluate.py [--set validation|test] [--model FILE.onnx ...] [--clips FILE ...]

A clip is cut down by 2, encoded, upscaled by `./run.sh` (and by `ffmpeg -vf
scale=flags=bicubic`) into a lossless file, and compared with the clip itself:
PSNR-Y in dB of all frames, and flicker, the RMS of the error's change from one
frame to the next in steps of 8 bits. By default on the clips of data.py that
settings were chosen on (validation) and on those that nothing was chosen on
(test), each after several scalers and encoders. Needs NumPy and the ffmpeg
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


class Table:
    """Rows of one set of clips, printed as they come, and what is to be said at its end."""

    def __init__(self, title, names):
        self.names, self.gains, self.worse = names, {n: {} for n in names}, []
        print(f"\n### {title}\n\n| clip | case | bicubic | " + " | ".join(f"{n} (gain)" for n in names)
              + " | flicker: bicubic, " + ", ".join(names) + " |\n|---|---|---|" + "---|" * len(names) + "---|")

    def row(self, clip, case, plain, ours):
        """Pairs of PSNR-Y and flicker: bicubic's, and each model's."""
        cells, flickers = [], [f"{plain[1]:.3f}"]
        for name, (psnr, flicker) in zip(self.names, ours):
            gain = psnr - plain[0]
            self.gains[name].setdefault(case, []).append(gain)
            if gain < 0 or flicker > plain[1]:
                self.worse.append(f"{clip}, {case}, {name}: {gain:+.3f} dB, flicker {flicker:.4f} ({plain[1]:.4f})")
            cells.append(f"{psnr:.2f} ({gain:+.2f})")
            flickers.append(f"{flicker:.3f}" + (" !" if flicker > plain[1] else ""))
        print(f"| {clip} | {case} | {plain[0]:.2f} | {' | '.join(cells)} | {', '.join(flickers)} |", flush=True)

    def end(self):
        print()
        for name, cases in self.gains.items():
            for case, gains in cases.items():
                print(f"{name}, {case}: {np.mean(gains):+.2f} dB in the mean, {min(gains):+.2f} dB at worst")
        print(f"below bicubic or with more flicker: {len(self.worse)}", *self.worse, sep="\n  ", flush=True)
        return len(self.worse)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="ONNX files (models/upscale2x.onnx and -fast)")
    parser.add_argument("--set", action="append", choices=["validation", "test"], help="only these clips of data.py")
    parser.add_argument("--clips", nargs="*", help="video files instead")
    parser.add_argument("--case", action="append", choices=CASES, help="only these ways of losing size")
    parser.add_argument("--frames", type=int, default=data.MEASURED, help="how many frames of each clip")
    parser.add_argument("--work", default="/tmp/reelmill-train", help="folder for the clips' variants")
    options = parser.parse_args()
    models = options.model or [os.path.join(ROOT, "models", n) for n in ("upscale2x.onnx", "upscale2x-fast.onnx")]
    root = os.environ.get("REELMILL_TESTDATA", os.path.join(ROOT, "..", "shared", "testdata"))
    clips = os.path.join(root, "clips")
    sets = {"clips": [(c, 1, 0) for c in options.clips]} if options.clips else {
        name: {"validation": data.VALIDATION, "test": data.TEST}[name] for name in options.set or ("validation", "test")}
    for item in (i for s in sets.values() for i in s):
        if not item[0].startswith("scene:") and not os.path.exists(os.path.join(clips, item[0])):
            sys.exit(f'could not find clip "{item[0]}"\nset REELMILL_TESTDATA or name clips with --clips')
    os.makedirs(options.work, exist_ok=True)
    names, worse, out = [os.path.splitext(os.path.basename(m))[0] for m in models], 0, tempfile.TemporaryDirectory()
    for title, items in sets.items():
        table = Table(title, names)
        for item in items:
            source = data.measured(item, clips, options.work, options.frames)
            width, height = data.size(source)
            high = data.luma(source, width, height).astype(np.float32)
            for case in options.case or CASES:
                small = data.reduce_file(source, *CASES[case], options.work)
                plain = measure(bicubic(small, width, height, out.name), high)
                ours = [measure(upscale(m, small, out.name), high) for m in models]
                table.row(os.path.basename(item[0]).split(".")[0] + f" {width}x{height}", case, plain, ours)
        worse += table.end()
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
