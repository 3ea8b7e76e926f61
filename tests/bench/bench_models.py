#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our CPU executor beside ONNX Runtime, model by model.

    bench_models.py --worker build/release/worker [--threads 1,2] [--rounds 3]
                    [--limit 1.0] MODEL.onnx|FOLDER ...

Both sides run the same shapes, ONNX Runtime with its best CPU settings (all
graph optimisations, sequential execution, that many threads, spinning). The
rounds alternate between the two, so that what else the machine does hits both;
a round's ratio is that of the two fastest runs in it, the table shows the
median of the rounds' ratios, the fastest times, the time to set up and the
peak memory of a process that does nothing else. The last line is the geometric
mean. Exit code 1 when a worker fails; 77 without numpy or onnxruntime.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import time

try:
    import numpy as np
    import onnxruntime as ort
except ImportError as e:
    print(f"skipped: {e} (pip install numpy onnxruntime, or set PYTHON to an interpreter that has them)")
    sys.exit(77)

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
# Inputs that are not pictures, by name: what the model expects to be told.
SPECIAL = {"sr": 16000, "config": [100, 0.45, 0.2]}
SYMBOLS = {"batch": 1, "sequence": 576}


def extents(info, h, w):
    """A full shape: what the file fixes, else a picture of h x w."""
    dims = [d if isinstance(d, int) and d > 0 else None for d in info.shape]
    if len(dims) == 4:
        last = dims[3] is not None and dims[3] <= 4 and not (dims[1] is not None and dims[1] <= 4)
        usual = (1, h, w, 3) if last else (1, 3, h, w)
        return [d or u for d, u in zip(dims, usual)]
    if info.name == "detection":
        return [d or u for d, u in zip(dims, (1, 84, 300))]
    return [d or SYMBOLS.get(s, 1) for d, s in zip(dims, info.shape)]


def make_input(info, shape, rng):
    if info.name in SPECIAL:
        return np.array(SPECIAL[info.name]).astype(TYPES[info.type]).reshape(shape)
    if "float" in info.type or "double" in info.type:
        return rng.random(shape).astype(TYPES[info.type])
    return rng.integers(0, 2, shape).astype(TYPES[info.type])


def open_session(path, threads):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def fastest(session, feeds, seconds):
    best, begin, runs = math.inf, time.perf_counter(), 0
    while runs < 3 or time.perf_counter() - begin < seconds:
        t = time.perf_counter()
        session.run(None, feeds)
        best = min(best, time.perf_counter() - t)
        runs += 1
    return best * 1e3


# Run in a process of its own: set-up time and peak memory of ONNX Runtime.
ALONE = """
import sys, json, time
sys.path.insert(0, sys.argv[1])
import numpy as np, onnxruntime, bench_models as b
peak = lambda: next(int(l.split()[1]) / 1024 for l in open("/proc/self/status") if l.startswith("VmHWM"))
base = peak()
t = time.perf_counter()
s = b.open_session(sys.argv[2], int(sys.argv[3]))
setup = (time.perf_counter() - t) * 1e3
rng = np.random.default_rng(1)
s.run(None, {i.name: b.make_input(i, b.extents(i, int(sys.argv[4]), int(sys.argv[5])), rng) for i in s.get_inputs()})
print(json.dumps([setup, peak() - base]))
"""


def ort_alone(path, threads, h, w):
    here = os.path.dirname(os.path.abspath(__file__))
    r = subprocess.run([sys.executable, "-c", ALONE, here, path, str(threads), str(h), str(w)],
                       capture_output=True, text=True)
    return json.loads(r.stdout.splitlines()[-1]) if r.returncode == 0 else (math.nan, math.nan)


def ours(worker, path, threads, shapes):
    text = ",".join("x".join(map(str, s)) if s else "scalar" for s in shapes)
    # The shell stands between, because a process inherits the peak memory of the
    # one that starts it.
    command = ["sh", "-c", '"$@"; exit $?', "sh", worker, "--bench_model", path, "--backend", "onednn", "--threads", str(threads), "--shape", text]
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        return None, (r.stderr or r.stdout).strip().splitlines()[-1:]
    return json.loads(r.stdout.splitlines()[-1]), None


def picture_size(name):
    if name.startswith(("sr_", "lowlight")):
        return 180, 320
    return (256, 256) if name.startswith("denoise") else (320, 320)


def bench_model(args, path, threads):
    """A row of the table, None when ONNX Runtime refuses the model."""
    name = os.path.basename(path)[:-5]
    h, w = picture_size(name)
    try:
        session = open_session(path, threads)
        rng = np.random.default_rng(1)
        shapes = [extents(i, h, w) for i in session.get_inputs()]
        feeds = {i.name: make_input(i, s, rng) for i, s in zip(session.get_inputs(), shapes)}
        session.run(None, feeds)
    except Exception as e:  # its exceptions have no common base
        print(f"{name:38} {threads}  ONNX Runtime refuses it: {str(e).splitlines()[0][:70]}")
        return None
    ratios, best, best_ort, got = [], math.inf, math.inf, None
    for _ in range(args.rounds):
        got, error = ours(args.worker, path, threads, shapes)
        if error is not None:
            print(f"{name:38} {threads}  FAILED: {error}")
            return math.nan
        other = fastest(session, feeds, args.seconds)
        ratios.append(got["ms_min"] / other)
        best, best_ort = min(best, got["ms_min"]), min(best_ort, other)
    setup, memory = ort_alone(path, threads, h, w)
    ratio = sorted(ratios)[len(ratios) // 2]
    mark = " slower" if ratio > args.limit else ""
    print(f"{name:38} {threads} {best:10.3f} {best_ort:10.3f} {ratio:7.3f} {got['setup_ms']:8.1f} {setup:8.1f} "
          f"{got['peak_mb']:8.1f} {memory:8.1f}{mark}", flush=True)
    return ratio


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.7, help="of ONNX Runtime a round")
    parser.add_argument("--limit", type=float, default=1.0, help="ratio above which a row is marked")
    parser.add_argument("paths", nargs="+")
    args = parser.parse_args()
    models = []
    for path in args.paths:
        models += sorted(os.path.join(path, f) for f in os.listdir(path) if f.endswith(".onnx")) \
            if os.path.isdir(path) else [path]
    print(f"ONNX Runtime {ort.__version__}; times in ms; peak memory in MB: ours of the whole process, theirs above the interpreter's")
    print(f"{'model':38} T {'ours':>10} {'ORT':>10} {'ratio':>7} {'set-up':>8} {'ORT':>8} {'peak':>8} {'ORT':>8}")
    failed = False
    for threads in map(int, args.threads.split(",")):
        rows = [r for r in (bench_model(args, m, threads) for m in models) if r is not None]
        failed |= any(math.isnan(r) for r in rows)
        good = [r for r in rows if not math.isnan(r)]
        if good:
            mean = math.exp(sum(map(math.log, good)) / len(good))
            over = sum(r > args.limit for r in good)
            print(f"geometric mean on {threads} thread(s): {mean:.3f} over {len(good)} models, {over} above {args.limit}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
