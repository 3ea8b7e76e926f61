#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whole models against ONNX Runtime.

Makes a folder in the form of ONNX's backend tests for every model (outputs from
ONNX Runtime on one thread) and runs the conformance program over it:

    compare_ort.py --conformance build/release/tests/conformance/conformance \
                   --backend onednn [--clip FILE.mp4] MODEL.onnx|FOLDER ...

Pictures are frames of --clip, scaled and in the range the network was trained
for; without it, smooth noise. Other inputs are random numbers.

A difference counts as relative to the largest magnitude of the output; --rel is
the limit (1e-4). Outputs below 1e-2 everywhere, the scores of detectors that
see nothing, count as relative to 1e-2. A float16 model is compared in float32,
as our executor computes it; where its outputs are float16 they are rounded to
that on both sides, and one step of float16 is allowed. Needs numpy, onnx and
onnxruntime; exits 77 without them.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import types

try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

# Inputs that mean something else than a picture.
SPECIAL = {
    "sr": lambda shape: np.array(16000, np.int64).reshape(shape),
    "config": lambda shape: np.array([100, 0.45, 0.2], np.float32),
}


def extents(name, dims, h, w):
    """A full shape for an input: what the file fixes, else sensible sizes."""
    last = len(dims) == 4 and isinstance(dims[3], int) and 1 <= dims[3] <= 4 and not (
        isinstance(dims[1], int) and 1 <= dims[1] <= 4)
    out = []
    for i, d in enumerate(dims):
        if isinstance(d, int) and d > 0:
            out.append(d)
        elif len(dims) == 4:
            out.append((1, h, w, 3)[i] if last else (1, 3, h, w)[i])
        else:
            out.append({"sequence": 576, "batch": 1}.get(d, 84 if name == "detection" and i == 1 else
                                                         300 if name == "detection" and i == 2 else 1))
    return out


def picture(shape, rng):
    """Smooth noise in 0..1 with some edges, so that activations look real."""
    x = rng.random(shape, np.float32)
    if len(shape) < 4:
        return x
    for axis in (2, 3) if shape[1] <= shape[3] else (1, 2):
        for _ in range(3):
            x = (x + np.roll(x, 1, axis) + np.roll(x, -1, axis)) / 3
    x = (x - x.min()) / max(float(x.max() - x.min()), 1e-6)
    return x + 0.1 * rng.random(shape, np.float32)


# What a network was trained on: (mean, gain) of 0..255, BGR or not; else 0..1, RGB.
TRAINED_ON = {
    "face_ultraface": (127, 1 / 128, False), "face_yunet": (0, 1, True), "det_yolox": (0, 1, True),
    "face_retinaface": (np.array([104, 117, 123]), 1, True), "style_": (0, 1, False), "det_fastestdet": (0, 1 / 255, True),
    "ocr_": (np.array([123.7, 116.3, 103.5]), 1 / 58, True), "cls_squeezenet": (np.array([123.7, 116.3, 103.5]), 1 / 58, False),
    "pose_": (127.5, 1 / 127.5, False), "seg_": (127.5, 1 / 127.5, False), "track_": (0, 1, True), "cls_mnist": (0, 1, False),
}


def frame(clip, seed, shape, name):
    """Frame 10 seed of a clip at the input's size, or None when it is no picture."""
    nhwc = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
    if len(shape) != 4 or shape[0] != 1 or shape[3 if nhwc else 1] not in (1, 3):
        return None
    h, w, c = (shape[1], shape[2], shape[3]) if nhwc else (shape[2], shape[3], shape[1])
    command = ["ffmpeg", "-v", "error", "-i", clip, "-vf", f"select='eq(n,{10 * seed})',scale={w}:{h}", "-frames:v", "1", "-f",
               "rawvideo", "-pix_fmt", "gray" if c == 1 else "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    x = np.frombuffer(raw, np.uint8).reshape(h, w, c).astype(np.float32)
    mean, gain, bgr = next((v for k, v in TRAINED_ON.items() if name.startswith(k)), (0, 1 / 255, False))
    x = (x[..., ::-1] if bgr else x)
    x = (x - (mean if np.ndim(mean) == 0 or c == 3 else mean.mean())) * gain
    return np.ascontiguousarray((x if nhwc else x.transpose(2, 0, 1))[None], np.float32)


def make_input(info, rng, args, name):
    h, w = args.h, args.w
    shape = extents(info.name, info.shape, h, w)
    if info.name in SPECIAL:
        return SPECIAL[info.name](shape)
    if "int" in info.type:
        return rng.integers(0, 50, shape).astype(np.int64 if "64" in info.type else np.int32)
    x = frame(args.clip, args.seed, shape, name) if args.clip else None
    if x is None:
        x = picture(shape, rng)
        if info.name == "inputImage":  # the WinML style networks take 0..255
            x *= 255
    return x.astype(np.float16 if "float16" in info.type else np.float32)


def in_float32(model):
    """A float16 network in float32, but for the types of its inputs and outputs
    (as our executor runs it: ONNX Runtime rounds between some of its kernels)."""
    graph, f16, f32 = model.graph, onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    half = [t for t in graph.initializer if t.data_type == f16]
    for t in half:
        t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float32), t.name))
    del graph.value_info[:]
    for node in graph.node:
        for a in node.attribute:
            if a.name == "to" and a.i == f16:
                a.i = f32
            if a.type == onnx.AttributeProto.TENSOR and a.t.data_type == f16:
                a.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(a.t).astype(np.float32), a.t.name))
    for v in list(graph.input) + list(graph.output):
        if v.type.tensor_type.elem_type == f16:
            v.type.tensor_type.elem_type = f32
    return model


def exact_norms(model):
    """InstanceNormalization as two passes of other operators: ONNX Runtime's own
    is off by up to 4e-4 of the largest value on frames (against double)."""
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset >= 18 or not any(n.op_type == "InstanceNormalization" for n in model.graph.node):
        return model
    nodes = []
    for i, n in enumerate(model.graph.node):
        if n.op_type != "InstanceNormalization":
            nodes.append(n)
            continue
        x, scale, bias = n.input
        name, node = (lambda k: f"exact_norm_{i}_{k}"), onnx.helper.make_node
        epsilon = next((a.f for a in n.attribute if a.name == "epsilon"), 1e-5)
        model.graph.initializer.append(numpy_helper.from_array(np.float32(epsilon).reshape(1), name("e")))
        model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1, 1, 1], np.int64), name("c")))
        nodes += [node("ReduceMean", [x], [name("m")], axes=[2, 3]), node("Sub", [x, name("m")], [name("d")]),
                  node("Mul", [name("d"), name("d")], [name("q")]), node("ReduceMean", [name("q")], [name("v")], axes=[2, 3]),
                  node("Add", [name("v"), name("e")], [name("w")]), node("Sqrt", [name("w")], [name("r")]),
                  node("Div", [name("d"), name("r")], [name("n")]), node("Reshape", [scale, name("c")], [name("s")]),
                  node("Reshape", [bias, name("c")], [name("b")]), node("Mul", [name("n"), name("s")], [name("t")]),
                  node("Add", [name("t"), name("b")], [n.output[0]])]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def make_test(path, folder, args):
    """Writes the test; returns None, or why ONNX Runtime refuses the model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    rng = np.random.default_rng(args.seed)
    try:
        model = onnx.load(path)
        half = {v.name for v in list(model.graph.input) + list(model.graph.output)
                if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
        wide = any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer)
        source = exact_norms(in_float32(model) if wide else model).SerializeToString()
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its exceptions have no common base
        # Some files it calls invalid run by the definitions in onnx.reference.
        try:
            session = ReferenceEvaluator(model)
            named = {v.name: v for v in model.graph.input}
            kinds = {onnx.TensorProto.INT64: "tensor(int64)", onnx.TensorProto.INT32: "tensor(int32)"}
            infos = [types.SimpleNamespace(
                name=n, type=kinds.get(named[n].type.tensor_type.elem_type, "tensor(float)"),
                shape=[d.dim_value or d.dim_param for d in named[n].type.tensor_type.shape.dim])
                for n in session.input_names]
            outs = [types.SimpleNamespace(name=n) for n in session.output_names]
            session.get_inputs, session.get_outputs = lambda: infos, lambda: outs
        except Exception:
            return str(e).splitlines()[0][:120]
    name = os.path.basename(path)
    feeds = {i.name: make_input(i, rng, args, name) for i in session.get_inputs()}
    try:
        results = session.run(None, feeds)
        feeds = {n: x.astype(np.float16) if n in half else x for n, x in feeds.items()}
        results = [x.astype(np.float16) if o.name in half else x for o, x in zip(session.get_outputs(), results)]
    except Exception as e:
        return str(e).splitlines()[0][:120]
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    os.symlink(os.path.abspath(path), os.path.join(folder, "model.onnx"))
    for kind, arrays in (("input", feeds.values()), ("output", results)):
        for i, array in enumerate(arrays):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as f:
                f.write(numpy_helper.from_array(np.asarray(array)).SerializeToString())
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--conformance", required=True)
    parser.add_argument("--backend", default="onednn")
    parser.add_argument("--raw", action="store_true", help="the interpreter on the graph as imported")
    parser.add_argument("--rel", type=float, default=1e-4)
    parser.add_argument("--size", default="128x160", help="HxW of open extents")
    parser.add_argument("--seed", type=int, default=1, help="of the noise; with --clip, ten times this is the frame")
    parser.add_argument("--clip", help="take pictures from this video")
    args = parser.parse_args()
    args.h, args.w = (int(x) for x in args.size.split("x"))
    if args.clip and not shutil.which("ffmpeg"):
        print("skipped: ffmpeg is missing")
        return 77
    paths = []
    for m in args.models:
        paths += sorted(os.path.join(m, f) for f in os.listdir(m) if f.endswith(".onnx")) if os.path.isdir(m) else [m]
    refused = []
    with tempfile.TemporaryDirectory() as top:
        for path in paths:
            name = os.path.basename(path)[:-5]
            why = make_test(path, os.path.join(top, name), args)
            if why:
                refused.append((name, why))
        command = [args.conformance, "--verbose", "--of_max", str(args.rel)]
        command += ["--raw"] if args.raw else ["--backend", args.backend]
        code = subprocess.run(command + [top], check=False).returncode if os.listdir(top) else 2
    for name, why in refused:
        print(f"not compared: {name}: ONNX Runtime says: {why}")
    return code


if __name__ == "__main__":
    sys.exit(main())
