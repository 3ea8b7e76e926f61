#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the bundled 2x upscalers and exports them as ONNX.

    python3 models/train/train.py --net base --out models/upscale2x.onnx
    python3 models/train/train.py --net fast --out models/upscale2x-fast.onnx
    python3 models/train/train.py --net fsrcnn          # the yardstick, not exported

Needs PyTorch, NumPy, onnx (Debian: python3-torch python3-onnx) and the ffmpeg
command. Clips are looked for in $REELMILL_TESTDATA/clips (default
../shared/testdata/clips); data.py says which are trained on and which are held
out, nets.py what the networks are. The number of steps is fixed, so that a run
gives the same network, but for rounding, however slow the machine is.

The loss is the squared error of luma, divided by bicubic's on the same source:
to first order, its mean is the gain in dB. The same of the error's change from
a frame to the next is added, so that the network may not flicker. In the end
the network is settled by the numbers of settle.py: about half of what it adds
to bicubic is kept. It costs 0.4 dB in the mean and takes off the flicker that
sharper still pictures have.
"""
import argparse
import json
import math
import os
import sys

import numpy as np
import torch

import data
import export
import nets
import settle


def tensor(frames):
    """(N, H, W) limited-range uint8 -> (N, 1, H, W) in 0..1."""
    return (torch.from_numpy(np.array(frames, np.float32))[:, None] - 16) / 219


def evaluate(net, clips):
    """{name: (PSNR-Y, flicker)}: flicker is the RMS of the error's change from frame to frame, in steps of 8 bits."""
    rows = {}
    with torch.no_grad():
        for name, (low, high) in clips.items():
            total, flicker, before = 0.0, 0.0, None
            for i in range(len(low)):
                out = (net(tensor(low[i:i + 1])) * 219 + 16).round().clamp(0, 255)
                error = out[0, 0] - torch.from_numpy(high[i].astype(np.float32))
                total += 10 * math.log10(255**2 / max(float((error**2).mean()), 1e-3))
                if before is not None:
                    flicker += float(((error - before)**2).mean())
                before = error
            rows[name] = (total / len(low), math.sqrt(flicker / max(1, len(low) - 1)))
    return rows


def batches(sources, rng, pairs, patch):
    """Endless (low, high, weight): 2 * pairs patches, a patch's next frame `pairs` further on; (pairs, 2) weights
    of the error and of its change."""
    weights = []
    with torch.no_grad():
        for low, high in sources:
            error = [nets.bicubic(tensor(low[::6, k])) - tensor(high[::6, k]) for k in range(2)]
            weights.append([1 / (float((error[0]**2).mean()) + 2e-5),
                            1 / (float(((error[0] - error[1])**2).mean()) + 5e-6)])
    while True:
        low, high, weight = [], [], []
        for _ in range(pairs):
            k = rng.integers(len(sources))
            a, b = sources[k]
            i, flip, turn = rng.integers(len(a)), rng.integers(2), rng.integers(2)
            y, x = rng.integers(a.shape[2] - patch + 1), rng.integers(a.shape[3] - patch + 1)
            p, q = a[i, :, y:y + patch, x:x + patch], b[i, :, 2 * y:2 * (y + patch), 2 * x:2 * (x + patch)]
            if rng.integers(2):  # forwards or backwards in time
                p, q = p[::-1], q[::-1]
            if flip:
                p, q = p[:, :, ::-1], q[:, :, ::-1]
            if turn:
                p, q = p.transpose(0, 2, 1), q.transpose(0, 2, 1)
            low.append(p)
            high.append(q)
            weight.append(weights[k])
        order = np.stack(low), np.stack(high)
        low, high = (tensor(np.concatenate([v[:, 0], v[:, 1]])) for v in order)
        yield low, high, torch.tensor(weight, dtype=torch.float32).view(-1, 2, 1, 1, 1)


def train(net, sources, options, report):
    source = batches(sources, np.random.default_rng(options.seed), 8, options.patch)
    optimiser = torch.optim.Adam(net.parameters(), lr=options.rate)
    mean = {k: v.detach().clone() for k, v in net.state_dict().items()}  # of the weights, over some hundred steps
    shown = 0.0
    edge = 8  # the patch's border, where the network sees padding that a frame has not
    for step in range(1, options.steps + 1):
        warm = min(1, step / 200)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / options.steps)) + 1e-6
        low, high, weight = next(source)
        error = (net(low.contiguous(memory_format=torch.channels_last)) - high)[:, :, edge:-edge, edge:-edge]
        now, then = error.chunk(2)
        loss = ((now**2 + then**2) * weight[:, 0] / 2).mean()
        loss = loss + options.flicker * ((now - then)**2 * weight[:, 1]).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        shown += float(loss.detach())
        with torch.no_grad():
            for k, v in net.state_dict().items():
                mean[k].lerp_(v, 1 / min(step, 500))
        if step % 500 == 0:
            print(f"step {step} of {options.steps}: loss {shown / 500:.4f}", flush=True)
            shown = 0.0
        if options.watch and step % options.watch == 0:
            now = net.state_dict()
            now = {k: v.clone() for k, v in now.items()}
            net.load_state_dict(mean)
            report(step)
            if options.weights:
                torch.save(mean, options.weights)
            net.load_state_dict(now)
    net.load_state_dict(mean)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=nets.NETS, default="base")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate of the first step")
    parser.add_argument("--flicker", type=float, default=0.3, help="weight of the error's change between frames")
    parser.add_argument("--patch", type=int, default=48, help="side of an input patch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--watch", type=int, default=0, help="measure every so many steps")
    parser.add_argument("--work", default="/tmp/reelmill-train", help="folder for the clips' variants")
    parser.add_argument("--weights", help="PyTorch file to write the weights to, as they were learnt")
    parser.add_argument("--start", help="such a file to begin with (with --steps 0 only to settle and export)")
    parser.add_argument("--out", help="ONNX file to write")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
    clips = os.path.join(os.environ.get("REELMILL_TESTDATA", "../shared/testdata"), "clips")
    if not os.path.isdir(clips):
        sys.exit(f'could not find clips: no folder "{clips}"\nset REELMILL_TESTDATA')

    net = nets.NETS[options.net]()
    print(f"{options.net}: {net.flops()} FLOP per input pixel, {sum(p.numel() for p in net.parameters())} weights")
    held_out = data.validation_set(clips, options.work)
    before = evaluate(nets.bicubic, held_out)

    def report(step):
        gain = []
        print(f"after {step} steps\n{'held-out clip':34} bicubic  network   gain  flicker (bicubic)")
        for name, (psnr, flicker) in evaluate(net, held_out).items():
            gain.append(psnr - before[name][0])
            print(f"{name:34} {before[name][0]:7.2f}  {psnr:7.2f}  {gain[-1]:+.2f}  {flicker:.3f} "
                  f"({before[name][1]:.3f})")
        print(json.dumps({"net": options.net, "steps": step, "seed": options.seed,
                          "mean_gain_db": round(sum(gain) / len(gain), 3), "min_gain_db": round(min(gain), 3)}), flush=True)

    if options.start:
        net.load_state_dict(torch.load(options.start))
    if options.steps:
        net = net.to(memory_format=torch.channels_last)
        train(net, data.training_set(clips, options.work), options, report)
        if options.weights:
            torch.save(net.state_dict(), options.weights)
    if options.net in settle.NUMBERS:
        net.settle(settle.NUMBERS[options.net])
    report(options.steps)
    if options.out:
        export.save(net, options.out)


if __name__ == "__main__":
    main()
