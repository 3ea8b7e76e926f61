#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The numbers by which a trained network is settled against flicker, and how they are found.

    python3 models/train/train.py --net base --weights base.pt    # trains
    python3 models/train/settle.py --net base --start base.pt     # prints "keep" and "kernel" for NUMBERS

A sharper picture shows more of an encoder's changes from frame to frame, and on
a nearly still one they are all that changes. So part of what was learnt is
given up: `keep` says how much stays of what a network adds to ffmpeg's bicubic,
and a 5x5 kernel is added. The output is linear in these 16 numbers, so error
and flicker are quadratic, and those that are best for

    sum of weights * error / bicubic's + price * sum of weights * flicker / bicubic's

(mean squares) come from one system of equations. Errors are taken of the
validation clips, and of soft, grainy and nearly still pictures made of clips
that are trained on; flicker of the validation clips that have too much of it.
Only the price and the last four numbers are chosen by hand, as rounding to
8 bits, which the equations do not see, decides there.

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
    "base": {"keep": 0.5, "kernel": [-0.0017, -0.0009, 0.0173, -0.0104, 0.0011, 0.0083, -0.0209, 0.0011, 0.0044,
                                     -0.0367, 0.0287, 0.008, -0.0331, 0.0034, -0.0009],
             "shift": -0.1, "calm": 0.15, "calmer": 0.2, "calm shift": -0.07},
    "fast": {"keep": 0.546, "kernel": [-0.0027, -0.0009, 0.0222, -0.0132, 0.0018, 0.0101, -0.0217, 0.0049, 0.003,
                                       -0.0623, 0.0409, 0.0049, -0.035, 0.0036, -0.0007],
             "shift": -0.1, "calm": 0.15, "calmer": 0.2, "calm shift": -0.07},
}
CASES = {"x264": "x264 crf 23", "x265": "x265 crf 28", "vp9": "vp9 crf 31", "area": "x264 crf 18, area"}
PRICE = {"base": 4.3, "fast": 4.8}
WATER, FACE, TRAILER = (data.VALIDATION[i][0] for i in (0, 5, 6))
STILL = ("trim=start_frame=40:end_frame=41,scale=iw*0.9:ih*0.9,loop=loop=11:size=1,setpts=N/30/TB,"
         "rotate=0.0004*sin(n*1.7):c=gray,crop=floor((iw-32)/4)*4:floor((ih-32)/4)*4,noise=c0s=2:c0f=t:c0_seed=1")
# Name: clip that is trained on, and what is done to it before it is cut down (all by the area scaler).
MADE = {
    "grain of film": (data.TRAIN[1], "trim=start_frame=30"),
    "still film": (data.TRAIN[1], STILL),
    "soft": (data.TRAIN[0], "trim=start_frame=30,gblur=0.8"),
    "soft grain": (data.TRAIN[0], "trim=start_frame=30,gblur=1.2,noise=c0s=5:c0f=t:c0_seed=1,gblur=0.6"),
    "still flower": (data.TRAIN[0], STILL),
}
ERROR = {**{(item[0], "x264"): 1 / 7 for item in data.VALIDATION}, (TRAILER, "x265"): 0.05,
         **{(name, "area"): 0.04 for name in MADE}}
FLICKER = {(FACE, "vp9"): 0.3, (FACE, "x264"): 0.2, (FACE, "x265"): 0.1, (FACE, "area"): 0.1, (WATER, "x265"): 0.05}
FLICKER_WATER = {"base": 0.16, "fast": 0.13}


def made(name, clips, work):
    clip, filters = MADE[name]
    out = os.path.join(work, f"made-{name.replace(' ', '-')}.mkv")
    if not os.path.exists(out):
        source = data.master(os.path.join(clips, clip), work, 1, 0, data.FRAMES)
        data.run(["-y", "-i", source, "-vf", f"{filters},setpts=N/30/TB,format=yuv420p", "-frames:v", "12", "-c:v",
                  "ffv1", out + ".part.mkv"])
        os.rename(out + ".part.mkv", out)
    return out


def moments(net, source, case, frames, work):
    """Mean products of the error of bicubic with nothing kept and of what each number adds to it, and the same of
    their changes from frame to frame, divided by what ffmpeg's bicubic has: two of (17, 17)."""
    width, height = data.size(source)
    high = torch.from_numpy(data.luma(source, width, height)[:frames].astype(np.float32))[:, None]
    small = data.reduce_file(source, *evaluate.CASES[CASES[case]], work)
    low = torch.from_numpy(data.luma(small, width // 2, height // 2)[:frames].astype(np.float32))[:, None]
    plain = data.luma(small, width, height, f"scale={width}:{height}:flags=bicubic,format=yuv420p")[:frames]
    plain = torch.from_numpy(plain.astype(np.float32))[:, None] - high
    with torch.no_grad():
        bicubic = nets.apply(low, nets.kernels(nets.ffmpeg_cubic))
        learnt = torch.cat([net((x[None] - 16) / 219) * 219 + 16 for x in low]) - bicubic
        parts = [bicubic + NUMBERS["base"]["shift"] - high, learnt]
        parts += [nets.apply(low - 128, nets.mirrored(np.eye(15)[i])) for i in range(15)]

    def products(planes):
        rows = torch.stack([p.flatten() for p in planes])
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NUMBERS, default="base")
    parser.add_argument("--start", required=True, help="PyTorch file of weights that train.py wrote")
    parser.add_argument("--price", type=float, help="of flicker; more of it keeps less")
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
    for name, case in sorted({*ERROR, *flicker}):
        source = made(name, clips, options.work) if name in MADE else data.measured(items[name], clips, options.work)
        frames = 12 if name in (WATER, FACE) else 4
        error, change = moments(net, source, case, frames, options.work)
        total += ERROR.get((name, case), 0) * error + price * flicker.get((name, case), 0) * change
    numbers = solve(total)
    print(f'"keep": {numbers[0]:.3f}, "kernel": {[round(float(v), 4) for v in numbers[1:]]}')


if __name__ == "__main__":
    main()
