#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the bundled 2x upscalers and exports them as ONNX.

    python3 models/train/train.py --size base --minutes 60 --out models/upscale2x.onnx
    python3 models/train/train.py --size fast --minutes 30 --out models/upscale2x-fast.onnx

Needs PyTorch, NumPy, onnx and the ffmpeg command. Clips are looked for in
$REELMILL_TESTDATA/clips (default ../shared/testdata/clips); which are trained
on and which are held out is fixed below. Pairs are made as the network will
meet them: a frame is cut down by 2 (area), encoded by libx264 at CRF 23,
decoded, and must become the frame again.

The network is a small residual CNN on RGB in 0..1. Its skip path is a grouped
5x5 convolution that starts as exact bicubic interpolation (a = -0.5), so an
untrained network is bicubic, and training can only be asked for what bicubic
lacks. Everything is convolution, ReLU, Add and DepthToSpace.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

TRAIN = ["flower_960x540.mp4", "friday_faces_bw_640x480.mp4", "bottles_h264.mp4", "cars_topview_h264.mp4",
         "people_one_by_one_h264.mp4", "vp9_bbb_642x642.webm"]
HELD_OUT = ["stream_of_water_480x360.mp4", "person_signing_fullrange.mkv", "mpeg4_sintel_like_960x400.avi",
            "vp9_bbb_960x540_60fps_vorbis.webm"]
SIZES = {"base": (16, 4), "fast": (8, 2)}  # channels, hidden layers


def cubic(x, a=-0.5):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def bicubic_weights():
    """(12, 1, 5, 5): for each colour four kernels, one per output phase."""
    taps = []
    for phase in range(2):
        centre = -0.25 if phase == 0 else 0.25
        taps.append(np.array([cubic(k - 2 - centre) for k in range(5)]))
    kernels = [np.outer(taps[y], taps[x]) for y in range(2) for x in range(2)]
    return torch.tensor(np.stack(kernels * 3), dtype=torch.float32).reshape(12, 1, 5, 5)


class Upscaler(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.skip = nn.Conv2d(3, 12, 5, groups=3, bias=False)
        self.skip.weight.data.copy_(bicubic_weights())
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(hidden))
        self.tail = nn.Conv2d(channels, 12, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, x):
        y = F.relu(self.head(x))
        for layer in self.body:
            y = F.relu(layer(y))
        y = self.tail(y) + self.skip(F.pad(x, (2, 2, 2, 2), mode="replicate"))
        return F.pixel_shuffle(y, 2)

    def flops(self):
        """Per input pixel; a multiply-add counts as two."""
        return 2 * sum(m.weight.numel() for m in self.modules() if isinstance(m, nn.Conv2d))


def decode(source, filters, width, height, limit):
    """Frames of a file as (N, H, W, 3) uint8."""
    command = ["ffmpeg", "-v", "error", "-i", source, "-vf", filters, "-frames:v", str(limit),
               "-vsync", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    frames = np.frombuffer(raw, np.uint8)
    n = frames.size // (width * height * 3)
    return frames[:n * width * height * 3].reshape(n, height, width, 3)


def pair(path, work, crf, every, limit):
    """A clip's frames and their degraded halves: two (N, H, W, 3) arrays."""
    probe = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height",
                            "-of", "csv=p=0", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    width, height = (int(v) // 4 * 4 for v in probe.strip().strip(",").split(",")[:2])
    small = os.path.join(work, f"{os.path.basename(path)}.{crf}.mp4")
    pick = f"select='not(mod(n,{every}))',crop={width}:{height}:0:0"
    if not os.path.exists(small):
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-vf",
                        f"{pick},scale={width // 2}:{height // 2}:flags=area", "-an", "-frames:v", str(limit),
                        "-vsync", "passthrough", "-c:v", "libx264", "-crf", str(crf), "-pix_fmt", "yuv420p", small],
                       check=True)
    low = decode(small, "null", width // 2, height // 2, limit)
    high = decode(path, pick, width, height, limit)
    n = min(len(low), len(high))
    return low[:n], high[:n]


def tensor(frames):
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


def luma(x):
    return (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)


def evaluate(net, clips):
    """PSNR-Y and flicker (RMS of the error's change from frame to frame)."""
    rows = {}
    with torch.no_grad():
        for name, (low, high) in clips.items():
            total, flicker, before = 0.0, 0.0, None
            for i in range(len(low)):
                out = net(tensor(low[i:i + 1])).clamp(0, 1).mul(255).round() / 255
                error = (luma(out) - luma(tensor(high[i:i + 1])))[:, 8:-8, 8:-8]
                total += -10 * math.log10(max(float((error**2).mean()), 1e-10))
                if before is not None:
                    flicker += float(((error - before)**2).mean())
                before = error
            rows[name] = (total / len(low), 255 * math.sqrt(flicker / max(1, len(low) - 1)))
    return rows


def batches(clips, rng, size, patch):
    names = list(clips)
    while True:
        low, high = [], []
        for _ in range(size):
            a, b = clips[names[rng.integers(len(names))]]
            i = rng.integers(len(a))
            y, x = rng.integers(a.shape[1] - patch + 1), rng.integers(a.shape[2] - patch + 1)
            p, q = a[i, y:y + patch, x:x + patch], b[i, 2 * y:2 * (y + patch), 2 * x:2 * (x + patch)]
            if rng.integers(2):
                p, q = p[:, ::-1], q[:, ::-1]
            if rng.integers(2):
                p, q = p.transpose(1, 0, 2), q.transpose(1, 0, 2)
            low.append(p)
            high.append(q)
        yield tensor(np.stack(low)), tensor(np.stack(high))


def train(net, clips, minutes, seed):
    rng = np.random.default_rng(seed)
    source = batches(clips, rng, 16, 48)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    begin, step, shown = time.time(), 0, 0.0
    while True:
        done = (time.time() - begin) / (60 * minutes)
        if done >= 1:
            return step
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * done)) + 1e-5
        low, high = next(source)
        difference = net(low) - high
        loss = torch.sqrt(difference**2 + 1e-6).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        shown += float(loss.detach())
        if step % 500 == 0:
            print(f"step {step}: loss {shown / 500:.5f}, {100 * done:.0f}% of the time", flush=True)
            shown = 0.0


def export(net, path):
    """Writes the network node by node, so that the file holds nothing else."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, weights = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(value, name))
        return name

    def conv(name, module, source, padding):
        inputs = [source, constant(name + ".weight", module.weight.detach().numpy())]
        if module.bias is not None:
            inputs.append(constant(name + ".bias", module.bias.detach().numpy()))
        k = module.kernel_size[0]
        nodes.append(helper.make_node("Conv", inputs, [name], name=name, kernel_shape=[k, k], pads=[padding] * 4,
                                      group=module.groups))
        return name

    def relu(source):
        nodes.append(helper.make_node("Relu", [source], [source + ".relu"], name=source + ".relu"))
        return source + ".relu"

    x = relu(conv("head", net.head, "input", 1))
    for i, layer in enumerate(net.body):
        x = relu(conv(f"body{i}", layer, x, 1))
    x = conv("tail", net.tail, x, 1)
    pads = constant("pads", np.array([0, 0, 2, 2, 0, 0, 2, 2], np.int64))
    nodes.append(helper.make_node("Pad", ["input", pads], ["edge"], name="edge", mode="edge"))
    skip = conv("skip", net.skip, "edge", 0)
    nodes.append(helper.make_node("Add", [x, skip], ["sum"], name="sum"))
    nodes.append(helper.make_node("DepthToSpace", ["sum"], ["output"], name="shuffle", blocksize=2, mode="CRD"))
    shape = ["N", 3, "H", "W"]
    graph = helper.make_graph(nodes, "upscale2x", [helper.make_tensor_value_info("input", 1, shape)],
                              [helper.make_tensor_value_info("output", 1, ["N", 3, "2H", "2W"])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="reelmill",
                              ir_version=8)
    model.doc_string = "2x upscaling of RGB pictures in 0..1"
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crf", type=int, default=23)
    parser.add_argument("--work", default="/tmp/reelmill-train", help="folder for degraded clips")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
    root = os.environ.get("REELMILL_TESTDATA", "../shared/testdata")
    clips = os.path.join(root, "clips")
    if not os.path.isdir(clips):
        sys.exit(f'could not find clips: no folder "{clips}"; set REELMILL_TESTDATA')
    train_set = {n: pair(os.path.join(clips, n), options.work, options.crf, 5, 60) for n in TRAIN}
    held_out = {n: pair(os.path.join(clips, n), options.work, options.crf, 1, 16) for n in HELD_OUT}
    net = Upscaler(*SIZES[options.size])
    print(f"{options.size}: {net.flops()} FLOP per input pixel, {sum(p.numel() for p in net.parameters())} weights")
    bicubic = evaluate(net, held_out)
    steps = train(net, train_set, options.minutes, options.seed)
    result = evaluate(net, held_out)
    gain = []
    print(f"after {steps} steps\n{'held-out clip':36} bicubic  network  gain  flicker (bicubic)")
    for name, (psnr, flicker) in result.items():
        gain.append(psnr - bicubic[name][0])
        print(f"{name:36} {bicubic[name][0]:7.2f}  {psnr:7.2f}  {gain[-1]:+.2f}  {flicker:.3f} ({bicubic[name][1]:.3f})")
    export(net, options.out)
    print(json.dumps({"mean_gain_db": sum(gain) / len(gain), "min_gain_db": min(gain), "steps": steps, "seed": options.seed}))


if __name__ == "__main__":
    main()
