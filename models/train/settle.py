#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The numbers by which a trained network is settled against flicker, and how they are found.

    python3 models/train/train.py --net base --weights base.pt    # trains
    python3 models/train/settle.py --net base --start base.pt     # a first "keep" and "kernel" for NUMBERS
    python3 models/train/settle.py --net base --start base.pt --search 500    # walks on from NUMBERS

A sharper picture shows more of an encoder's changes from frame to frame, and on
a nearly still one they are all that changes. So part of what was learnt is
given up: `keep` says how much stays of what a network adds to ffmpeg's bicubic,
and a 5x5 kernel is added. The output is linear in these 16 numbers, so error
and flicker are quadratic, and those that are best for

    sum of weights * error / bicubic's + price * sum of weights * flicker / bicubic's

(mean squares) come from one system of equations. Errors are taken of the
validation clips, and of soft, grainy and nearly still pictures made of clips
that are trained on; flicker of the validation clips that have too much of it.
Rounding to 8 bits, which the equations do not see, decides whether a clip has
more flicker than bicubic or less by a thousandth. So a random walk follows over
all 20 numbers: it looks for the least error (the same quadratic form) with
every clip of BOUNDS, rounded as the engine rounds, within its bounds.

train.py applies NUMBERS; nothing else depends on this file.
"""
import argparse
import os

import numpy as np
import torch

import data
import evaluate
import nets

# See nets.Upscaler.settle(); in steps of 8 bits. The shift is there as ffmpeg's scaler rounds down what is half-way.
NUMBERS = {
    "base": {"keep": 0.52, "kernel": [0.0032, 0.0005, 0.0048, -0.0066, 0.007, -0.0033, 0.0012, -0.0027, -0.0012,
                                      -0.0672, 0.0441, -0.006, -0.0286, 0.0069, 0.0001],
             "shift": -0.114, "calm": 0.418, "calmer": 0.236, "calm shift": -0.087},
    "fast": {"keep": 0.414, "kernel": [-0.0078, 0.009, 0.0064, -0.0296, 0.0097, 0.0056, -0.0063, 0.022, -0.0008,
                                       -0.0453, 0.0133, -0.0062, -0.0057, 0.0119, -0.0055],
             "shift": -0.106, "calm": 0.42, "calmer": 0.177, "calm shift": -0.091},
}
CASES = {"x264": "x264 crf 23", "x265": "x265 crf 28", "vp9": "vp9 crf 31", "area": "x264 crf 18, area"}
PRICE = {"base": 4.3, "fast": 4.8}
WATER, FACE, TRAILER, CAMERA, GRAIN, BLACK = (data.VALIDATION[i][0] for i in (0, 5, 6, 7, 8, 9))
STILL = ("trim=start_frame=40:end_frame=41,scale=iw*0.9:ih*0.9,loop=loop=11:size=1,setpts=N/30/TB,"
         "rotate=0.0004*sin(n*1.7):c=gray,crop=floor((iw-32)/4)*4:floor((ih-32)/4)*4,noise=c0s=2:c0f=t:c0_seed=1")
# Name: clip that is trained on, and what is done to it before it is cut down (all by the area scaler).
MADE = {
    "grain of film": (data.TRAIN[1], "trim=start_frame=30"),
    "still film": (data.TRAIN[1], STILL),
    "soft": (data.TRAIN[0], "trim=start_frame=30,gblur=0.8"),
    "soft grain": (data.TRAIN[0], "trim=start_frame=30,gblur=1.2,noise=c0s=5:c0f=t:c0_seed=1,gblur=0.6"),
    "still flower": (data.TRAIN[0], STILL),
    # the still picture of tests/e2e/test_upscaler.sh
    "still demo": (os.path.join(evaluate.ROOT, "models", "demo", "demo.mp4"),
                   "trim=start_frame=60:end_frame=61,loop=loop=11:size=1,setpts=N/30/TB,gblur=0.7,"
                   "rotate=0.0005*sin(n):c=gray,crop=464:256,noise=c0s=1:c0f=t:c0_seed=1"),
}
ERROR = {**{(item[0], "x264"): 1 / 7 for item in data.VALIDATION[:7]}, (TRAILER, "x265"): 0.05,
         **{(name, "area"): 0.04 for name in MADE if name != "still demo"}}
FLICKER = {(FACE, "vp9"): 0.3, (FACE, "x264"): 0.2, (FACE, "x265"): 0.1, (FACE, "area"): 0.1, (WATER, "x265"): 0.05}
FLICKER_WATER = {"base": 0.16, "fast": 0.13}
# What the walk must keep to: (clip, case): (least gain in dB, most flicker beside bicubic's), the quickest to find out
# first. The black recording's other two codings are not among them: see models/README.md.
BOUNDS = {(CAMERA, "vp9"): (0, 0.9997), (CAMERA, "area"): (0, 0.9997), (CAMERA, "x264"): (0, 0.9997),
          ("still demo", "x264"): (0, 0.9999), (WATER, "area"): (0, 0.9997), (WATER, "x265"): (0, 0.9997),
          **{(FACE, case): (0, 0.9997) for case in CASES}, (GRAIN, "area"): (0.0012, 1), (GRAIN, "vp9"): (0.0012, 1),
          (BLACK, "x264"): (0.0005, 0.9999), (BLACK, "area"): (0.0005, 0.9999)}
STRIDES = {"shift": 0.012, "calm": 0.03, "calmer": 0.03, "calm shift": 0.008}


def made(name, clips, work):
    clip, filters = MADE[name]
    out = os.path.join(work, f"made-{name.replace(' ', '-')}.mkv")
    if not os.path.exists(out):
        source = data.master(os.path.join(clips, clip), work, 1, 0, data.FRAMES)
        data.run(["-y", "-i", source, "-vf", f"{filters},setpts=N/30/TB,format=yuv420p", "-frames:v", "12", "-c:v",
                  "ffv1", out + ".part.mkv"])
        os.rename(out + ".part.mkv", out)
    return out


def planes(net, source, case, frames, work):
    """Of the first frames: what is true, the input, ffmpeg's bicubic, and what was learnt beside it; (N, 1, H, W)."""
    width, height = data.size(source)
    small = data.reduce_file(source, *evaluate.CASES[CASES[case]], work)
    high = data.luma(source, width, height)
    low = data.luma(small, width // 2, height // 2)
    plain = data.luma(small, width, height, f"scale={width}:{height}:flags=bicubic,format=yuv420p")
    high, low, plain = (torch.from_numpy(v[:frames].astype(np.float32))[:, None] for v in (high, low, plain))
    with torch.no_grad():
        learnt = torch.cat([net((x[None] - 16) / 219) * 219 + 16 for x in low])
    return high, low, plain, learnt - nets.apply(low, nets.kernels(nets.ffmpeg_cubic))


def moments(net, source, case, frames, work):
    """Mean products of the error of bicubic with nothing kept and of what each number adds to it, and the same of
    their changes from frame to frame, divided by what ffmpeg's bicubic has: two of (17, 17)."""
    high, low, plain, learnt = planes(net, source, case, frames, work)
    plain = plain - high
    parts = [nets.apply(low, nets.kernels(nets.ffmpeg_cubic)) + NUMBERS["base"]["shift"] - high, learnt]
    parts += [nets.apply(low - 128, nets.mirrored(np.eye(15)[i])) for i in range(15)]

    def products(of):
        rows = torch.stack([p.flatten() for p in of])
        return (rows @ rows.T / rows.shape[1]).double().numpy()

    change = [p[1:] - p[:-1] for p in parts]
    return (products(parts) / float((plain**2).mean()),
            products(change) / float(((plain[1:] - plain[:-1])**2).mean()))


def solve(total):
    """The 16 numbers that make (1, numbers) total (1, numbers) least, with a kernel that sums to nothing."""
    square = total[1:, 1:] + np.eye(16) * 1e-6 * np.trace(total[1:, 1:]) / 16
    sums = np.array([0.0] + [float(nets.mirrored(np.eye(15)[i])[0].sum()) for i in range(15)])
    left = np.block([[square, sums[:, None]], [sums[None], np.zeros((1, 1))]])
    return np.linalg.solve(left, np.append(-total[0, 1:], 0))[:16]


def beside_bicubic(of, numbers):
    """Gain in dB and ratio of flicker of planes that are settled by the numbers and rounded, as by nets.Upscaler."""
    high, low, plain, learnt = of
    cubic = nets.kernels(nets.ffmpeg_cubic)
    added = nets.mirrored(numbers["kernel"])
    added = added - added.mean((1, 2, 3), keepdim=True)
    calm = numbers["calmer"] * nets.kernels(nets.spline) + (1 - numbers["calmer"]) * cubic
    sharp = nets.apply(low, cubic + added) + numbers["keep"] * learnt + numbers["shift"]
    calm = nets.apply(low, calm) + numbers["calm shift"]
    out = sharp + (calm - sharp).clamp(-numbers["calm"], numbers["calm"])
    ours, theirs = (out + 0.5).floor().clamp(0, 255) - high, plain - high
    change = [float((e[1:] - e[:-1]).double().pow(2).mean()) for e in (ours, theirs)]
    error = [max(1e-3, float(e.double().pow(2).mean())) for e in (ours, theirs)]
    return 10 * np.log10(error[1] / error[0]), (change[0] / change[1])**0.5


def cost(numbers, total, cases, least=np.inf):
    """The error, and what is lacking to the bounds; no more is measured once it is above `least`."""
    row = np.array([1, numbers["keep"], *numbers["kernel"]])
    out = row @ total @ row
    for key, of in cases.items():
        if out > least:
            break
        gain, ratio = beside_bicubic(of, numbers)
        out += 10 * max(0, BOUNDS[key][0] - gain) + 80 * max(0, ratio - BOUNDS[key][1])
    return out


def walk(numbers, total, cases, steps):
    """Random steps from the numbers, long where the error hardly changes; those that cost less are taken."""
    rng, best = np.random.default_rng(1), cost(numbers, total, cases)
    print(f"start: {best:.4f}", flush=True)
    value, vector = np.linalg.eigh(total[1:, 1:] + np.eye(16) * 1e-6 * np.trace(total[1:, 1:]) / 16)
    for step in range(steps):
        stride = vector / value**0.5 @ rng.normal(size=16) * 10**rng.uniform(-2.7, -1.5)
        tried = {"keep": round(numbers["keep"] + stride[0], 3),
                 "kernel": [round(v + float(s), 4) for v, s in zip(numbers["kernel"], stride[1:])]}
        scale = 10**rng.uniform(-1, 0) * (rng.random() < 0.7)
        tried.update({k: round(numbers[k] + float(rng.normal()) * scale * s, 3) for k, s in STRIDES.items()})
        now = cost(tried, total, cases, best)
        if now < best:
            numbers, best = tried, now
            print(f"step {step}: {best:.4f} {numbers}", flush=True)
    return numbers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NUMBERS, default="base")
    parser.add_argument("--start", required=True, help="PyTorch file of weights that train.py wrote")
    parser.add_argument("--price", type=float, help="of flicker; more of it keeps less")
    parser.add_argument("--search", type=int, default=0, help="steps to walk from NUMBERS, some 4 seconds each")
    parser.add_argument("--work", default="/tmp/reelmill-train", help="folder for the clips' variants")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = os.path.join(os.environ.get("REELMILL_TESTDATA", "../shared/testdata"), "clips")
    os.makedirs(options.work, exist_ok=True)
    net = nets.NETS[options.net]()
    net.load_state_dict(torch.load(options.start))
    net.hush()
    price = PRICE[options.net] if options.price is None else options.price
    flicker = {**FLICKER, (WATER, "area"): FLICKER_WATER[options.net]}
    items, total = {item[0]: item for item in data.VALIDATION}, np.zeros((17, 17))

    def source_of(name):
        return made(name, clips, options.work) if name in MADE else data.measured(items[name], clips, options.work)

    for name, case in sorted(ERROR if options.search else {*ERROR, *flicker}):
        frames = 12 if name in (WATER, FACE) else 4
        error, change = moments(net, source_of(name), case, frames, options.work)
        total += ERROR.get((name, case), 0) * error
        if not options.search:
            total += price * flicker.get((name, case), 0) * change
    if options.search:
        cases = {key: planes(net, source_of(key[0]), key[1], data.MEASURED, options.work) for key in BOUNDS}
        walk(NUMBERS[options.net], total, cases, options.search)
        return
    numbers = solve(total)
    print(f'"keep": {numbers[0]:.3f}, "kernel": {[round(float(v), 4) for v in numbers[1:]]}')


if __name__ == "__main__":
    main()
