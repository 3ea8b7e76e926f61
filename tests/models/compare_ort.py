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
that on both sides, and one step of float16 is allowed. Where a model is over the
limit, it is judged again by onnx.reference in double precision, and how far ONNX
Runtime is from that is printed: its sums in float32 lose more than the limit in
networks that normalise whole pictures. --psnr DB compares the
outputs' PSNR instead, for executors in 16-bit floats (--precision). Needs numpy,
onnx and onnxruntime; exits 77 without them.
"""
import argparse
import os
import re
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
    from onnx.reference.op_run import OpRun
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
    if "int8" in info.type:
        return rng.integers(0, 128, shape).astype(np.uint8 if "uint8" in info.type else np.int8)
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


class Conv(OpRun):
    """Convolution as one matrix product per tap: onnx.reference's own gathers
    all taps first, gigabytes for a picture."""

    op_domain = ""

    def _run(self, x, w, bias=None, auto_pad=None, dilations=None, group=1, kernel_shape=None, pads=None, strides=None):
        taps = w.shape[2:]
        d, s, p = dilations or [1, 1], strides or [1, 1], pads or [0] * 4
        if len(taps) != 2:
            raise NotImplementedError("only 2-d convolutions")
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            room = [max((-(-x.shape[2 + i] // s[i]) - 1) * s[i] + d[i] * (taps[i] - 1) + 1 - x.shape[2 + i], 0) for i in range(2)]
            less, more = [r // 2 for r in room], [r - r // 2 for r in room]
            p = less + more if auto_pad == "SAME_UPPER" else more + less
        elif auto_pad == "VALID":
            p = [0] * 4
        x = np.pad(x, ((0, 0), (0, 0), (p[0], p[2]), (p[1], p[3])))
        oh, ow = ((x.shape[2 + i] - d[i] * (taps[i] - 1) - 1) // s[i] + 1 for i in range(2))
        n, co, ci = len(x), w.shape[0] // group, w.shape[1]
        y = np.zeros((n, group, co, oh * ow), x.dtype)
        for ky in range(taps[0]):
            for kx in range(taps[1]):
                part = x[:, :, ky * d[0]:ky * d[0] + s[0] * (oh - 1) + 1:s[0], kx * d[1]:kx * d[1] + s[1] * (ow - 1) + 1:s[1]]
                y += w[:, :, ky, kx].reshape(group, co, ci) @ part.reshape(n, group, ci, oh * ow)
        y = y.reshape(n, group * co, oh, ow)
        return (y if bias is None else y + bias.reshape(-1, 1, 1),)


def in_double(path, feeds):
    """The model's outputs in double precision by onnx.reference, with those of
    ONNX Runtime as float32's types; None where that cannot run it."""
    model = onnx.load(path)
    f32, f64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

    def widen(t):
        if t.data_type == f32:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))

    nodes = []
    for node in model.graph.node:  # ImageScaler, Crop and Affine (gone since opset 10) have no definition there
        if node.op_type == "Affine":
            factor, shift = (next((a.f for a in node.attribute if a.name == n), d) for n, d in (("alpha", 1), ("beta", 0)))
            out = node.output[0]
            for i, x in enumerate((factor, shift)):
                model.graph.initializer.append(numpy_helper.from_array(np.float32(x).reshape(1), f"{out}_{i}"))
            nodes += [onnx.helper.make_node("Mul", [node.input[0], f"{out}_0"], [f"{out}_2"]),
                      onnx.helper.make_node("Add", [f"{out}_2", f"{out}_1"], [out])]
            continue
        if node.op_type == "Crop":
            left, top, right, bottom = next(a for a in node.attribute if a.name == "border").ints
            size = next((list(a.ints) for a in node.attribute if a.name == "scale"), None)
            ends = [top + size[0], left + size[1]] if size else [-bottom or 2**31 - 1, -right or 2**31 - 1]
            nodes.append(onnx.helper.make_node("Slice", node.input, node.output, axes=[2, 3], starts=[top, left], ends=ends))
            continue
        if node.op_type != "ImageScaler":
            nodes.append(node)
            continue
        scale, bias = (next(a for a in node.attribute if a.name == n) for n in ("scale", "bias"))
        out, new = node.output[0], [np.float32(scale.f).reshape(1), np.array(bias.floats, np.float32).reshape(1, -1, 1, 1)]
        model.graph.initializer.extend(numpy_helper.from_array(x, f"{out}_{i}") for i, x in enumerate(new))
        nodes += [onnx.helper.make_node("Mul", [node.input[0], f"{out}_0"], [f"{out}_2"]),
                  onnx.helper.make_node("Add", [f"{out}_2", f"{out}_1"], [out])]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for t in model.graph.initializer:
        widen(t)
    for node in model.graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                widen(a.t)
            if a.name == "to" and a.i == f32:
                a.i = f64
    del model.graph.value_info[:]
    try:
        results = ReferenceEvaluator(model, new_ops=[Conv]).run(
            None, {n: x.astype(np.float64) if x.dtype == np.float32 else x for n, x in feeds.items()})
    except Exception as e:  # what it does not know
        print(f"not judged in double precision: {str(e)[:100]}")
        return None
    return [r.astype(np.float32) if r.dtype == np.float64 else r for r in results]


def modernised(model):
    """A model of opset 1 in the words of opset 13, as far as the test data needs
    it: broadcasting along an axis, shapes as attributes."""
    fixed = {t.name: t for t in model.graph.initializer}
    nodes = []
    kinds = onnx.AttributeProto
    for i, n in enumerate(model.graph.node):
        for a in n.attribute:  # the first files do not say which
            a.type = a.type or (kinds.INTS if a.ints else kinds.FLOAT if a.HasField("f") else kinds.INT)
        had = {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute}
        if n.op_type in ("Add", "Mul", "Sub", "Div") and had.get("broadcast"):
            array = numpy_helper.to_array(fixed[n.input[1]])
            array = array.reshape(array.shape + (1,) * (4 - had.get("axis", 4 - array.ndim) - array.ndim))
            model.graph.initializer.append(numpy_helper.from_array(array, f"modern_{i}"))
            n = onnx.helper.make_node(n.op_type, [n.input[0], f"modern_{i}"], n.output)
        elif n.op_type == "Reshape" and "shape" in had:
            model.graph.initializer.append(numpy_helper.from_array(np.array(had["shape"], np.int64), f"modern_{i}"))
            n = onnx.helper.make_node("Reshape", [n.input[0], f"modern_{i}"], n.output)
        nodes.append(n)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", 13))
    model.ir_version = 8
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
        source = in_float32(model).SerializeToString() if wide else path
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its exceptions have no common base
        # Some files it calls invalid run by the definitions in onnx.reference.
        try:
            old = not model.opset_import
            session = ReferenceEvaluator(modernised(model) if old else model, new_ops=[Conv] if old else None)
            given = {t.name for t in model.graph.initializer}
            named = {v.name: v for v in model.graph.input}
            kinds = {onnx.TensorProto.INT64: "tensor(int64)", onnx.TensorProto.INT32: "tensor(int32)"}
            infos = [types.SimpleNamespace(
                name=n, type=kinds.get(named[n].type.tensor_type.elem_type, "tensor(float)"),
                shape=[d.dim_value or d.dim_param for d in named[n].type.tensor_type.shape.dim])
                for n in session.input_names if n not in given]
            outs = [types.SimpleNamespace(name=n) for n in session.output_names]
            session.get_inputs, session.get_outputs = lambda: infos, lambda: outs
        except Exception as second:
            return f"{str(e).splitlines()[0][:120]}; onnx.reference: {str(second)[:80]}"
    name = os.path.basename(path)
    feeds = {i.name: make_input(i, rng, args, name) for i in session.get_inputs()}
    feeds = {n: x.astype(np.float16).astype(x.dtype) if n in half else x for n, x in feeds.items()}
    try:
        results = session.run(None, feeds)
        feeds = {n: x.astype(np.float16) if n in half else x for n, x in feeds.items()}
        results = [x.astype(np.float16) if o.name in half else x for o, x in zip(session.get_outputs(), results)]
    except Exception as e:
        return str(e).splitlines()[0][:120]
    write_test(path, folder, feeds.values(), results)
    return None


def external_files(path):
    """The files beside the model in which its weights lie."""
    model = onnx.load(path, load_external_data=False)
    return {e.value for t in model.graph.initializer for e in t.external_data if e.key == "location"}


def write_test(path, folder, feeds, results):
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    if not os.path.islink(os.path.join(folder, "model.onnx")):
        os.symlink(os.path.abspath(path), os.path.join(folder, "model.onnx"))
    for name in external_files(path):  # copied: they are not read through symbolic links
        if not os.path.exists(os.path.join(folder, name)):
            shutil.copy(os.path.join(os.path.dirname(path), name), os.path.join(folder, name))
    for kind, arrays in (("input", feeds), ("output", results)):
        for i, array in enumerate(arrays):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as f:
                f.write(numpy_helper.from_array(np.asarray(array)).SerializeToString())


def judge(path, folder):
    """Puts outputs in double precision in the place of ONNX Runtime's; False
    when that is not possible. Says how far ONNX Runtime was from them."""
    def load(kind, i):
        return numpy_helper.to_array(onnx.load_tensor(os.path.join(folder, "test_data_set_0", f"{kind}_{i}.pb")))

    graph = onnx.load(path).graph
    given = {t.name for t in graph.initializer}  # older files list them as inputs too
    names = [v.name for v in graph.input if v.name not in given]
    feeds = [load("input", i) for i in range(len(names))]
    results = in_double(path, dict(zip(names, feeds)))
    if results is None:
        return False
    off = max(float(np.abs(r - load("output", i)).max() / max(np.abs(r).max(), 1e-2)) for i, r in enumerate(results))
    print(f"{os.path.basename(folder)}: ONNX Runtime is {off:.1e} from double precision, against which we are judged now")
    write_test(path, folder, feeds, results)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--conformance", required=True)
    parser.add_argument("--backend", default="onednn")
    parser.add_argument("--raw", action="store_true", help="the interpreter on the graph as imported")
    parser.add_argument("--rel", type=float, default=1e-4)
    parser.add_argument("--psnr", type=float, help="least PSNR in dB, instead of --rel")
    parser.add_argument("--precision", default="auto", help="of the backend: fp32, tf32, fp16, bf16")
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
        command = [args.conformance, "--verbose", "--precision", args.precision]
        command += ["--psnr", str(args.psnr)] if args.psnr else ["--of_max", str(args.rel)]
        command += ["--raw"] if args.raw else ["--backend", args.backend]
        if not os.listdir(top):
            print("no model was compared")
            print(*(f"not compared: {name}: ONNX Runtime says: {why}" for name, why in refused), sep="\n")
            return 2
        r = subprocess.run(command + [top], check=False, capture_output=True, text=True)
        print(r.stdout + r.stderr, end="", flush=True)
        code = r.returncode
        failed = re.findall(r"^FAILED +([^:\n]+): output", r.stdout, re.M)
        by_name = {os.path.basename(p)[:-5]: p for p in paths}
        if code and failed and r.stdout.count("\nFAILED ") + r.stdout.startswith("FAILED ") == len(failed):
            folders = [os.path.join(top, n) for n in failed if judge(by_name[n], os.path.join(top, n))]
            code = subprocess.run(command + folders, check=False).returncode if len(folders) == len(failed) else code
    for name, why in refused:
        print(f"not compared: {name}: ONNX Runtime says: {why}")
    return code


if __name__ == "__main__":
    sys.exit(main())
