#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Detections of the whole pipeline against ONNX Runtime, on frames of real clips.

    compare_detect.py [--run ./run.sh] [--frames 6] MODELS_FOLDER CLIPS_FOLDER

For each detector of the test data a few frames of a clip that shows its objects
are scaled to the network's size and stored without loss (4:4:4), so that the
pipeline has nothing to scale. run.sh writes its .jsonl from that file; beside
it the same frames go through ONNX Runtime and through the decoding that the
network's authors publish, written here in numpy. Each object must have its
partner of the same class, with a score within 1e-3 and every edge of the box
within half a pixel. Objects whose score lies within 1e-3 of the threshold may
be missing on one side.

Exits 77 without numpy, onnxruntime, ffmpeg or the files.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnxruntime as ort
except ImportError as e:
    print(f"skipped: {e} (pip install numpy onnxruntime, or set PYTHON to an interpreter that has them)")
    sys.exit(77)

SCORE, IOU = 0.5, 0.45


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def grid(w, h, step):
    y, x = np.mgrid[: -(-h // step), : -(-w // step)]
    return x.ravel(), y.ravel()


def priors(w, h, levels):
    """Centres and sizes of SSD's boxes, in pixels: (step, columns, rows, sizes)."""
    out = []
    for step, cols, rows, sizes in levels:
        for y in range(rows):
            for x in range(cols):
                out += [((x + 0.5) * step, (y + 0.5) * step, s) for s in sizes]
    return np.array(out)


def offsets(prior, loc):
    """Boxes of SSD's offsets with variances 0.1 and 0.2, as corners."""
    centre = prior[:, :2] + loc[:, :2] * 0.1 * prior[:, 2:]
    size = prior[:, 2:] * np.exp(loc[:, 2:4] * 0.2)
    return np.hstack([centre - size / 2, centre + size / 2])


def by_centre(cx, cy, w, h):
    return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1)


# ---- each returns boxes (N,4) as corners in pixels, scores (N), classes (N) ----


def ultraface(out, w, h):
    scores, boxes = out["scores"][0][:, 1], out["boxes"][0]
    return boxes * [w, h, w, h], scores, np.zeros(len(boxes), int)


def ultraface_raw(out, w, h):
    """The simplified export ends before its boxes are decoded."""
    scores, loc = (next(o[0] for o in out.values() if o.shape[-1] == n) for n in (2, 4))
    sizes = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
    levels = [(8 << i, -(-w // (8 << i)), -(-h // (8 << i)), s) for i, s in enumerate(sizes)]
    return offsets(priors(w, h, levels), loc), scores[:, 1], np.zeros(len(loc), int)


def yunet(out, w, h):
    boxes, scores = [], []
    for s in (8, 16, 32):
        x, y = grid(w, h, s)
        b = out[f"bbox_{s}"][0]
        boxes.append(by_centre((x + b[:, 0]) * s, (y + b[:, 1]) * s, np.exp(b[:, 2]) * s, np.exp(b[:, 3]) * s))
        scores.append(np.sqrt(np.clip(out[f"cls_{s}"][0][:, 0], 0, 1) * np.clip(out[f"obj_{s}"][0][:, 0], 0, 1)))
    boxes = np.vstack(boxes)
    return boxes, np.concatenate(scores), np.zeros(len(boxes), int)


def yunet_2021(out, w, h):
    loc, conf, iou = out["loc"], out["conf"], out["iou"]
    loc, conf, iou = (a.reshape(-1, c) for a, c in ((loc, 14), (conf, 2), (iou, 1)))
    cols, rows, levels = (w + 1) // 2 // 2, (h + 1) // 2 // 2, []
    for step, sizes in ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256))):
        cols, rows = cols // 2, rows // 2
        levels.append((step, cols, rows, sizes))
    scores = np.sqrt(np.clip(conf[:, 1], 0, 1) * np.clip(iou[:, 0], 0, 1))
    return offsets(priors(w, h, levels), loc), scores, np.zeros(len(loc), int)


def retinaface(out, w, h):
    loc, conf = (next(o[0] for o in out.values() if o.shape[-1] == n) for n in (4, 2))
    levels = [(s, -(-w // s), -(-h // s), sizes) for s, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))]
    return offsets(priors(w, h, levels), loc), conf[:, 1], np.zeros(len(loc), int)


def yolox(out, w, h):
    rows, at, boxes = list(out.values())[0][0], 0, []
    for s in (8, 16, 32):
        x, y = grid(w, h, s)
        r = rows[at:at + len(x)]
        boxes.append(by_centre((r[:, 0] + x) * s, (r[:, 1] + y) * s, np.exp(r[:, 2]) * s, np.exp(r[:, 3]) * s))
        at += len(x)
    return np.vstack(boxes), rows[:, 4] * rows[:, 5:].max(1), rows[:, 5:].argmax(1)


def fastestdet(out, w, h):
    t = list(out.values())[0][0]
    _, rows, cols = t.shape
    y, x = np.mgrid[:rows, :cols]
    t, x, y = t.reshape(len(t), -1), x.ravel(), y.ravel()
    boxes = by_centre((x + np.tanh(t[1])) / cols * w, (y + np.tanh(t[2])) / rows * h, sigmoid(t[3]) * w, sigmoid(t[4]) * h)
    return boxes, t[0] ** 0.6 * t[5:].max(0) ** 0.4, t[5:].argmax(0)


class Detector:
    def __init__(self, model, clip, decode, bgr, mean=0.0, gain=1.0, size=None):
        self.model, self.clip, self.decode, self.bgr, self.mean, self.gain = model, clip, decode, bgr, mean, gain
        self.size = size  # width, height where the file leaves them open


FACES = "h264_face.mp4"
DETECTORS = [
    Detector("face_ultraface_rfb320", FACES, ultraface, False, 127, 1 / 128),
    Detector("face_ultraface_rfb320_simplified", "friday_faces_bw_640x480.mp4", ultraface_raw, False, 127, 1 / 128),
    Detector("face_ultraface_slim320", "friday_faces_bw_640x480.mp4", ultraface, False, 127, 1 / 128),
    Detector("face_yunet_n_dynamic", "friday_faces_bw_640x480.mp4", yunet, True, size=(640, 480)),
    Detector("face_yunet_s_dynamic", FACES, yunet, True, size=(416, 288)),
    Detector("face_yunet_2021_160x120", FACES, yunet_2021, True),
    Detector("face_retinaface_mbnet025", "friday_faces_bw_640x480.mp4", retinaface, True, (104, 117, 123), size=(352, 320)),
    Detector("det_yolox_nano", "traffic_motorbike_720p.mp4", yolox, True),
    Detector("det_fastestdet_352", "traffic_motorbike_720p.mp4", fastestdet, True, 0, 1 / 255),
]

# ---- frames ---------------------------------------------------------------------


def store_frames(clip, w, h, count, path):
    """Every tenth frame at that size, 4:4:4 of BT.601 in 16..235, without loss."""
    scale = f"select='not(mod(n\\,10))',scale={w}:{h}:flags=bicubic:out_color_matrix=bt601:out_range=tv,format=yuv444p"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", clip, "-vf", scale, "-vsync", "vfr", "-frames:v", str(count), "-an",
                    "-c:v", "ffv1", "-color_range", "tv", "-colorspace", "smpte170m", path], check=True,
                   stdin=subprocess.DEVNULL)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vsync", "passthrough", "-f", "rawvideo", "-"], check=True, capture_output=True,
                         stdin=subprocess.DEVNULL).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 3, h, w).astype(np.float64)


def to_rgb(yuv):
    """BT.601 (ITU-R BT.601, 2.5.1), 16..235, as numbers 0..255."""
    y, cb, cr = (yuv[0] - 16) * 255 / 219, (yuv[1] - 128) * 255 / 224, (yuv[2] - 128) * 255 / 224
    kr, kb = 0.299, 0.114
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return np.clip(np.stack([r, g, b]), 0, 255)


# ---- one detector ----------------------------------------------------------------


def suppress(boxes, scores, classes):
    """Greedy suppression inside each class."""
    order, kept = np.argsort(-scores, kind="stable"), []
    area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    for i in order:
        for k in kept:
            if classes[i] != classes[k]:
                continue
            side = np.minimum(boxes[i, 2:], boxes[k, 2:]) - np.maximum(boxes[i, :2], boxes[k, :2])
            common = np.prod(np.maximum(side, 0))
            if common > IOU * (area[i] + area[k] - common):
                break
        else:
            kept.append(i)
    return kept


def expected(d, session, yuv, w, h):
    rgb = to_rgb(yuv)
    x = ((rgb[::-1] if d.bgr else rgb) - np.reshape(d.mean, (-1, 1, 1))) * d.gain
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, session.run(None, {session.get_inputs()[0].name: x[None].astype(np.float32)})))
    boxes, scores, classes = d.decode(out, w, h)
    good = scores >= SCORE
    boxes, scores, classes = boxes[good], scores[good], classes[good]
    kept = suppress(boxes, scores, classes)
    boxes = np.clip(boxes, 0, [w, h, w, h])
    return [(int(classes[i]), float(scores[i]), boxes[i]) for i in kept]


def compare(want, have):
    """The worst differences of score and edge, or why an object has no partner."""
    worst_score = worst_edge = 0.0
    have = [(o["class"], o["score"], np.array(o["box"])) for o in have]
    have = [(c, s, np.concatenate([b[:2], b[:2] + b[2:]])) for c, s, b in have]
    for c, s, b in want:
        pairs = [(np.abs(b - o[2]).max(), i) for i, o in enumerate(have) if o[0] == c]
        if not pairs or min(pairs)[0] > 0.5:
            if s < SCORE + 1e-3:
                continue
            return f"no partner for class {c}, score {s:.4f}, box {np.round(b, 1).tolist()}"
        edge, i = min(pairs)
        worst_edge, worst_score = max(worst_edge, edge), max(worst_score, abs(have[i][1] - s))
        del have[i]
    left = [o for o in have if o[1] > SCORE + 1e-3]
    return f"{len(left)} too many, as class {left[0][0]}, score {left[0][1]}" if left else (worst_score, worst_edge)


def check(args, d, folder):
    model, clip = os.path.join(args.models, d.model + ".onnx"), os.path.join(args.clips, d.clip)
    if not os.path.exists(model) or not os.path.exists(clip):
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    w, h = d.size or session.get_inputs()[0].shape[:1:-1]
    frames = store_frames(clip, w, h, args.frames, os.path.join(folder, "in.mkv"))
    config = os.path.join(folder, "detect.cfg")
    with open(config, "w") as f:
        f.write(f'task = "detect";\ndetect = {{ score = {SCORE}; iou = {IOU}; }};\nio = {{ size = "{w}x{h}"; }};\n')
    out = os.path.join(folder, "out.jsonl")
    r = subprocess.run([args.run, "--config", config, "--backend", "onednn", "--gpu_num", "1", "--model", model, "--progress",
                        "off", "-y", os.path.join(folder, "in.mkv"), "-o", out], capture_output=True, text=True)
    if r.returncode:
        return f"run.sh ended with {r.returncode}: {r.stderr.strip()[-300:]}"
    with open(out) as f:
        lines = [json.loads(line) for line in f]
    if len(lines) != len(frames):
        return f"{len(lines)} lines for {len(frames)} frames"
    objects, score, edge = 0, 0.0, 0.0
    for yuv, line in zip(frames, lines):
        want = expected(d, session, yuv, w, h)
        got = compare(want, line["objects"])
        if isinstance(got, str):
            return f"frame {line['frame']}: {got}"
        objects, score, edge = objects + len(want), max(score, got[0]), max(edge, got[1])
    if not objects:
        return "nothing was found in any frame: this tests nothing"
    if score > 1e-3:
        return f"a score differs by {score:.2g}"
    return objects, score, edge


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models")
    parser.add_argument("clips")
    parser.add_argument("--run", default="./run.sh")
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--only", default="", help="part of a model's name")
    args = parser.parse_args()
    if not shutil.which("ffmpeg"):
        print("skipped: ffmpeg is missing")
        return 77
    bad = done = 0
    for d in DETECTORS:
        if args.only not in d.model:
            continue
        with tempfile.TemporaryDirectory() as folder:
            got = check(args, d, folder)
        if got is None:
            continue
        done += 1
        if isinstance(got, str):
            bad += 1
            print(f"not ok - {d.model}: {got}", flush=True)
        else:
            print(f"ok - {d.model}: {got[0]} objects, scores within {got[1]:.1g}, edges within {got[2]:.2g} px", flush=True)
    if not done:
        print("skipped: no model or no clip was found")
        return 77
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
