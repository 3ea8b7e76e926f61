#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks alone on a GPU: ours beside PyTorch and beside what the GPU can do.

    bench_gpu.py --worker build/release/worker [--device 0] [--precision fp16]
                 [--budget 600] [--plans FILE] [--json FILE] [--only NAME,...] MODEL.onnx|FOLDER ...

For every network and size, in one run on one GPU:
  ours      worker --bench_model, backend cudnn
  eager     the same network in PyTorch: fp16, channels-last, cudnn.benchmark
  compiled  the same under torch.compile (CUDA graphs: mode reduce-overhead)
  floor     the larger of FLOP / measured matrix-product rate and bytes /
            measured copy rate, each convolution reading its input and writing
            its output once
SR networks at 1080p and 4K inputs, the others at their own size; two networks
are made here with random weights (SRVGG compact and RRDB-23, as Real-ESRGAN's).
Rounds alternate between the three, the table shows medians. Without torch or
onnx the columns that need them stay empty and a line says so. When --budget
seconds are gone no further network is begun. Exit codes: 0, 1 (a worker
failed), 77 (no NVIDIA GPU).
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
MISSING = []
try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    onnx = None
    MISSING.append(f"no floor and no made networks: {e}")
try:
    import torch
    if not torch.cuda.is_available():
        raise ImportError("torch sees no GPU")
    if onnx:
        import onnx_torch
except ImportError as e:
    torch = None
    MISSING.append(f"no PyTorch columns: {e}")

HD, UHD = (1080, 1920), (2160, 3840)
# Networks over pictures of any size, by the beginning of their file names.
ANY_SIZE = ("sr_realesr", "denoise_ircnn", "upscale2x", "srvgg", "rrdb")
SKIP = ("bad_", "rnn_", "tfm_", "fn_", "det_nms", "cls_speech", "sr_espcn_x3_supres")


# ---- networks made here --------------------------------------------------------

def save_net(path, nodes, weights, out_channels, scale):
    x = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])
    y = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, out_channels, "oh", "ow"])
    graph = helper.make_graph(nodes, "net", [x], [y], [numpy_helper.from_array(a, n) for n, a in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


class Maker:
    def __init__(self):
        self.nodes, self.weights, self.n = [], {}, 0
        self.rng = np.random.default_rng(1)

    def add(self, op, inputs, **attributes):
        self.n += 1
        self.nodes.append(helper.make_node(op, inputs, [f"t{self.n}"], **attributes))
        return f"t{self.n}"

    def constant(self, array):
        self.n += 1
        self.weights[f"w{self.n}"] = array
        return f"w{self.n}"

    def conv(self, x, c, k, gain=1.0):
        w = self.rng.standard_normal((k, c, 3, 3)).astype(np.float32) * gain / np.sqrt(c * 9.0)
        return self.add("Conv", [x, self.constant(w.astype(np.float32)), self.constant(np.zeros(k, np.float32))],
                        kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def upsample(self, x, scale):
        return self.add("Resize", [x, "", self.constant(np.array([1, 1, scale, scale], np.float32))], mode="nearest",
                        coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def make_srvgg(path, features=64, convs=16, scale=4):
    """SRVGGNetCompact (Real-ESRGAN): convolutions with PReLU, pixel shuffle, nearest base."""
    m = Maker()
    slope = lambda: m.constant(np.full((features, 1, 1), 0.25, np.float32))
    x = m.add("PRelu", [m.conv("input", 3, features), slope()])
    for _ in range(convs):
        x = m.add("PRelu", [m.conv(x, features, features), slope()])
    x = m.add("DepthToSpace", [m.conv(x, features, 3 * scale * scale)], blocksize=scale, mode="CRD")
    m.nodes.append(helper.make_node("Add", [x, m.upsample("input", scale)], ["output"]))
    save_net(path, m.nodes, m.weights, 3, scale)


def make_rrdb(path, blocks=23, features=64, growth=32):
    """RRDBNet x4 (ESRGAN, Wang et al. 2018)."""
    m = Maker()
    fifth = m.constant(np.array(0.2, np.float32))
    lrelu = lambda v: m.add("LeakyRelu", [v], alpha=0.2)
    first = x = m.conv("input", 3, features)
    for _ in range(blocks):
        block = x
        for _ in range(3):
            parts = [x]
            for i in range(4):
                joined = m.add("Concat", parts, axis=1) if i else x
                parts.append(lrelu(m.conv(joined, features + i * growth, growth)))
            end = m.conv(m.add("Concat", parts, axis=1), features + 4 * growth, features)
            x = m.add("Add", [m.add("Mul", [end, fifth]), x])
        x = m.add("Add", [m.add("Mul", [x, fifth]), block])
    x = m.add("Add", [m.conv(x, features, features), first])
    for _ in range(2):
        x = lrelu(m.conv(m.upsample(x, 2), features, features))
    x = lrelu(m.conv(x, features, features))
    w = m.rng.standard_normal((3, features, 3, 3)).astype(np.float32) / 24
    m.nodes.append(helper.make_node("Conv", [x, m.constant(w), m.constant(np.zeros(3, np.float32))], ["output"],
                                    kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
    save_net(path, m.nodes, m.weights, 3, 4)


# ---- what the GPU can do -----------------------------------------------------------

def torch_rates(device):
    """Matrix products 8192^3 in fp16 on random data, and a copy of 2 GB."""
    with torch.cuda.device(device):
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.float16) for _ in range(2))
        product = median_ms(lambda: a @ b, 0.5)
        x = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
        y = torch.empty_like(x)
        copy = median_ms(lambda: y.copy_(x), 0.5)
    return 2 * 8192.0**3 / product * 1e3, 2.0 * (1 << 30) / copy * 1e3


def driver_copy_rate(device):
    """The copy rate by the driver alone, where there is no torch."""
    cu = ctypes.CDLL("libcuda.so.1")
    ctx, a, b, start, end, ms = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_uint64(), ctypes.c_void_p(), \
        ctypes.c_void_p(), ctypes.c_float()
    size, rounds = 1 << 30, 10
    calls = [lambda: cu.cuInit(0), lambda: cu.cuDevicePrimaryCtxRetain(ctypes.byref(ctx), device),
             lambda: cu.cuCtxSetCurrent(ctx), lambda: cu.cuMemAlloc_v2(ctypes.byref(a), ctypes.c_size_t(size)),
             lambda: cu.cuMemAlloc_v2(ctypes.byref(b), ctypes.c_size_t(size)),
             lambda: cu.cuEventCreate(ctypes.byref(start), 0), lambda: cu.cuEventCreate(ctypes.byref(end), 0),
             lambda: cu.cuMemcpyDtoDAsync_v2(b, a, ctypes.c_size_t(size), None), lambda: cu.cuEventRecord(start, None)]
    calls += [lambda: cu.cuMemcpyDtoDAsync_v2(b, a, ctypes.c_size_t(size), None)] * rounds
    calls += [lambda: cu.cuEventRecord(end, None), lambda: cu.cuEventSynchronize(end),
              lambda: cu.cuEventElapsedTime_v2(ctypes.byref(ms), start, end)
              if hasattr(cu, "cuEventElapsedTime_v2") else cu.cuEventElapsedTime(ctypes.byref(ms), start, end),
              lambda: cu.cuMemFree_v2(a), lambda: cu.cuMemFree_v2(b)]
    for call in calls:
        code = call()
        if code:
            raise OSError(f"the CUDA driver says {code}")
    return 2.0 * size * rounds / ms.value * 1e3


def static_shapes(path, h, w):
    model = onnx.load(path)
    constants = {t.name for t in model.graph.initializer}
    for value in model.graph.input:
        if value.name in constants:
            continue
        dims = value.type.tensor_type.shape.dim
        for d, usual in zip(dims, (1, 3, h, w)):
            if not d.dim_value:
                d.dim_value = usual
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {t.name: list(t.dims) for t in model.graph.initializer}
    for value in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output):
        shapes.setdefault(value.name, [d.dim_value for d in value.type.tensor_type.shape.dim])
    return model, shapes


def input_shape(path, h, w):
    model, shapes = static_shapes(path, h, w)
    constants = {t.name for t in model.graph.initializer}
    return shapes[next(i.name for i in model.graph.input if i.name not in constants)]


def work_of(path, h, w):
    """(FLOP, bytes at 2 bytes an element) of the convolutions and products; None when a shape is unknown."""
    model, shapes = static_shapes(path, h, w)
    size = lambda name: float(np.prod(shapes.get(name) or [0]))
    flop = moved = 0.0
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            continue
        x, y, weights = size(node.input[0]), size(node.output[0]), shapes.get(node.input[1]) or [0]
        if x <= 0 or y <= 0 or min(weights) <= 0:
            return None
        per = float(np.prod(weights[1:]))
        if node.op_type in ("MatMul", "Gemm"):
            per = float(shapes[node.input[0]][-1])
        flop += 2 * per * (x if node.op_type == "ConvTranspose" else y)
        moved += 2 * (x + y + float(np.prod(weights)))
    return flop, moved


# ---- timing ------------------------------------------------------------------------

def median_ms(run, seconds):
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    times, begin = [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - begin < seconds and len(times) < 500):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def ours_ms(args, path, shape):
    command = [args.worker, "--bench_model", path, "--backend", "cudnn", "--precision", args.precision,
               "--gpu_ids", str(args.device), "--shape", "x".join(map(str, shape))]
    if args.plans:
        command += ["--plans", args.plans]
    r = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if r.returncode:
        return None, (r.stderr or r.stdout).strip().splitlines()[-1:]
    return json.loads(r.stdout.splitlines()[-1]), None


def torch_net(path, shape, device):
    net = onnx_torch.Net(path).eval().half().to(f"cuda:{device}", memory_format=torch.channels_last)
    x = torch.rand(shape, device=f"cuda:{device}").half()
    return net, x.to(memory_format=torch.channels_last) if x.ndim == 4 else x


def bench_one(args, path, h, w, rates):
    name = os.path.basename(path)[:-5]
    row = {"net": name, "errors": []}
    shape = (1, 3, h, w)
    if onnx:
        try:
            shape, work = input_shape(path, h, w), work_of(path, h, w)
        except Exception as e:  # a file that onnx cannot infer shapes of: no floor
            work = None
            row["errors"].append(f"no floor: {str(e).splitlines()[0][:120]}")
        if work and all(rates):
            row["gflop"], row["mbytes"] = work[0] / 1e9, work[1] / 1e6
            row["floor_ms"] = max(work[0] / rates[0], work[1] / rates[1]) * 1e3
    row["shape"] = "x".join(map(str, shape))
    eager = compiled = None
    if torch and onnx:
        try:
            net, x = torch_net(path, shape, args.device)
            eager = lambda: net(x)
            fast = torch.compile(net, mode="reduce-overhead")
            compiled = lambda: fast(x)
        except onnx_torch.Unsupported as e:
            row["errors"].append(f"PyTorch: not covered: {e}")
    ours, times = [], {"eager": [], "compiled": []}
    for _ in range(args.rounds):
        result, error = ours_ms(args, path, shape)
        if error:
            row["errors"].append("ours: " + " ".join(error))
            row["failed"] = True
        else:
            ours.append(result)
        for key, run in (("eager", eager), ("compiled", compiled)):
            try:
                with torch.inference_mode() if run else open(os.devnull):
                    if run:
                        times[key].append(median_ms(run, args.seconds))
            except Exception as e:  # out of memory, a compiler's refusal: a column less
                row["errors"].append(f"{key}: {type(e).__name__}: {str(e).splitlines()[0][:150] if str(e) else ''}")
                if key == "eager":
                    eager = None
                else:
                    compiled = None
                torch.cuda.empty_cache()
    if ours:
        key = "ms_device" if "ms_device" in ours[0] else "ms_median"
        row["host_copies"] = key == "ms_median"
        row["ours_ms"] = statistics.median(r[key] for r in ours)
        row["setup_ms"] = [r["setup_ms"] for r in ours]
    for key, list_ms in times.items():
        if list_ms:
            row[key + "_ms"] = statistics.median(list_ms)
    if torch:
        torch.cuda.empty_cache()
    return row


# ---- the table ---------------------------------------------------------------------

def number(row, key, form="{:.2f}"):
    return form.format(row[key]) if key in row else ""


def ratio(row, top, bottom):
    return f"{row[top] / row[bottom]:.2f}" if top in row and bottom in row and row[bottom] else ""


def print_row(row):
    fps = f"{1000 / row['ours_ms']:.1f}" if row.get("ours_ms") else ""
    print(f"| {row['net']} | {row['shape']} | {number(row, 'ours_ms')}{'*' if row.get('host_copies') else ''} | {fps} | "
          f"{number(row, 'eager_ms')} | {number(row, 'compiled_ms')} | {ratio(row, 'compiled_ms', 'ours_ms')} | "
          f"{number(row, 'floor_ms')} | {ratio(row, 'floor_ms', 'ours_ms')} |", flush=True)
    for error in row["errors"]:
        print(f"  {row['net']}: {error}", file=sys.stderr, flush=True)


def networks(args, folder):
    """(path, height, width), the important ones first."""
    made = []
    if onnx:
        make_srvgg(os.path.join(folder, "srvgg_16x64_x4.onnx"))
        make_rrdb(os.path.join(folder, "rrdb_23_x4.onnx"))
        made = [os.path.join(folder, n) for n in ("srvgg_16x64_x4.onnx", "rrdb_23_x4.onnx")]
    given = []
    for path in args.models:
        given += sorted(os.path.join(path, n) for n in os.listdir(path)) if os.path.isdir(path) else [path]
    given = [p for p in given if p.endswith(".onnx") and not os.path.basename(p).startswith(SKIP)]
    given.sort(key=lambda p: not os.path.basename(p).startswith(ANY_SIZE))
    for path in made + given:
        base = os.path.basename(path)
        if args.only and not any(o in base for o in args.only.split(",")):
            continue
        for h, w in (HD, UHD) if base.startswith(ANY_SIZE) else ((640, 640),):
            if not (base.startswith("rrdb") and h == UHD[0]):  # 2 TB of activations a second: 1080p says enough
                yield path, h, w


def has_gpu():
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout.strip()
    except OSError:
        return "GPU (by the driver)" if os.path.exists("/dev/nvidia0") else ""


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--worker", required=True)
    p.add_argument("--device", type=int, default=0)
    p.add_argument("--precision", default="fp16")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=0.5, help="of one PyTorch measurement")
    p.add_argument("--plans", default="", help="engines that --autotune has measured")
    p.add_argument("--budget", type=float, default=600)
    p.add_argument("--only", default="", help="parts of file names")
    p.add_argument("--json", default="")
    p.add_argument("models", nargs="*")
    args = p.parse_args()
    gpu = has_gpu()
    if not gpu:
        print("skipped: no NVIDIA GPU here (nvidia-smi finds none)")
        return 77
    print(gpu.splitlines()[0])
    for line in MISSING:
        print(line)
    rates = [0.0, 0.0]
    if torch:
        torch.backends.cudnn.benchmark = True
        rates = torch_rates(args.device)
    else:
        try:
            rates[1] = driver_copy_rate(args.device)
        except OSError as e:
            print(f"no copy rate: {e}")
    print(f"measured: {rates[0] / 1e12:.0f} TFLOP/s (fp16 matrix product), {rates[1] / 1e12:.2f} TB/s (copy, read + write)\n")
    print("| network | input | ours ms | fps | eager ms | compiled ms | compiled / ours | floor ms | floor / ours |\n"
          "|---|---|---|---|---|---|---|---|---|")
    begin, rows = time.time(), []
    with tempfile.TemporaryDirectory() as folder:
        for path, h, w in networks(args, folder):
            if time.time() - begin > args.budget:
                print(f"the budget of {args.budget:.0f} s is gone: {os.path.basename(path)} and what follows were not run")
                break
            rows.append(bench_one(args, path, h, w, rates))
            print_row(rows[-1])
    if any(r.get("host_copies") for r in rows):
        print("\n*: with the copies of the input and output between host and GPU")
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"gpu": gpu, "flop_per_s": rates[0], "copy_bytes_per_s": rates[1], "rows": rows}, f, indent=1)
    return 1 if any(r.get("failed") for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
