# SPDX-License-Identifier: MIT
"""An ONNX network as a torch.nn.Module, for bench_gpu.py's yardsticks.

It covers the operators of convolutional networks over pictures, with static
shapes folded where a node computes only shapes. The module's forward is
generated Python, one line a node, so that torch.compile sees straight code.
What it does not cover raises Unsupported with the operator's name; numerical
agreement with ONNX Runtime is checked by `python3 onnx_torch.py MODEL.onnx ...`.
"""
import re

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator


class Unsupported(Exception):
    pass


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def pads_of(a, spatial, x, lines, node):
    """(pad argument of torch, name of the maybe padded x)"""
    auto = a.get("auto_pad", b"NOTSET").decode()
    p = list(a.get("pads", [0] * (2 * spatial)))
    if auto not in ("NOTSET", "VALID"):
        raise Unsupported(f"{node.op_type} with auto_pad {auto}")
    if auto == "VALID":
        p = [0] * (2 * spatial)
    begin, end = p[:spatial], p[spatial:]
    if begin == end:
        return begin, x
    flat = []
    for b, e in reversed(list(zip(begin, end))):
        flat += [b, e]
    lines.append(f"p = F.pad({x}, {flat})")
    return [0] * spatial, "p"


class Writer:
    """Turns nodes into lines of forward(); constants become buffers."""

    def __init__(self, model):
        self.graph = model.graph
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.const = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        self.names, self.buffers, self.lines = {}, {}, []

    def name(self, value):
        if value in self.const:
            key = "c%d" % len(self.buffers) if value not in self.names else self.names[value][5:]
            self.buffers.setdefault(key, self.const[value])
            self.names[value] = "self." + key
        if value not in self.names:
            self.names[value] = "v%d" % len(self.names)
        return self.names[value]

    def value(self, node, i):
        """A constant input, or None when absent."""
        if i >= len(node.input) or not node.input[i]:
            return None
        if node.input[i] not in self.const:
            raise Unsupported(f"{node.op_type} with a computed input {i}")
        return self.const[node.input[i]]

    def write(self):
        for node in self.graph.node:
            if node.op_type == "Constant":
                a = attributes(node)
                self.const[node.output[0]] = (numpy_helper.to_array(a["value"]) if "value" in a else
                                              np.array(next(iter(a.values()))))
                continue
            if node.input and all(i in self.const for i in node.input if i):
                self.fold(node)
                continue
            method = getattr(self, "op_" + node.op_type, None)
            if method is None or node.domain not in ("", "ai.onnx"):
                raise Unsupported(node.op_type)
            try:
                expression = method(node, attributes(node))
            except (KeyError, IndexError, TypeError, ValueError) as e:
                raise Unsupported(f"{node.op_type} as in this file ({e})") from e
            if expression is not None:
                self.lines.append(f"{self.name(node.output[0])} = {expression}")

    def fold(self, node):
        """What constants alone decide is computed now, by onnx's own evaluator."""
        feeds = {i: self.const[i] for i in node.input if i}
        made = ReferenceEvaluator(node).run(None, feeds)
        self.const.update(zip(node.output, map(np.asarray, made)))

    def x(self, node, i=0):
        return self.name(node.input[i])

    # ---- operators ----

    def op_Conv(self, node, a):
        w = self.value(node, 1)
        spatial = w.ndim - 2
        pad, x = pads_of(a, spatial, self.x(node), self.lines, node)
        bias = self.x(node, 2) if len(node.input) > 2 else "None"
        stride, dil = list(a.get("strides", [1] * spatial)), list(a.get("dilations", [1] * spatial))
        return f"F.conv{spatial}d({x}, {self.x(node, 1)}, {bias}, {stride}, {pad}, {dil}, {a.get('group', 1)})"

    def op_ConvTranspose(self, node, a):
        w = self.value(node, 1)
        spatial = w.ndim - 2
        p = list(a.get("pads", [0] * (2 * spatial)))
        if p[:spatial] != p[spatial:] or a.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in a:
            raise Unsupported("ConvTranspose with uneven padding")
        bias = self.x(node, 2) if len(node.input) > 2 else "None"
        stride, out = list(a.get("strides", [1] * spatial)), list(a.get("output_padding", [0] * spatial))
        dil = list(a.get("dilations", [1] * spatial))
        return (f"F.conv_transpose{spatial}d({self.x(node)}, {self.x(node, 1)}, {bias}, {stride}, {p[:spatial]}, "
                f"{out}, {a.get('group', 1)}, {dil})")

    def op_Gemm(self, node, a):
        if a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0 or a.get("transA", 0):
            raise Unsupported("Gemm with alpha, beta or transA")
        bias = self.x(node, 2) if len(node.input) > 2 else "None"
        return f"F.linear({self.x(node)}, {self.x(node, 1)}{'' if a.get('transB', 0) else '.t()'}, {bias})"

    def op_BatchNormalization(self, node, a):
        s, b, m, v = (self.x(node, i) for i in range(1, 5))
        return f"F.batch_norm({self.x(node)}, {m}, {v}, {s}, {b}, False, 0.0, {a.get('epsilon', 1e-5)})"

    def op_InstanceNormalization(self, node, a):
        return (f"F.instance_norm({self.x(node)}, weight={self.x(node, 1)}, bias={self.x(node, 2)}, "
                f"eps={a.get('epsilon', 1e-5)})")

    def op_Relu(self, node, a):
        return f"F.relu({self.x(node)})"

    def op_LeakyRelu(self, node, a):
        return f"F.leaky_relu({self.x(node)}, {a.get('alpha', 0.01)})"

    def op_PRelu(self, node, a):
        return f"F.prelu({self.x(node)}, {self.x(node, 1)}.flatten())"

    def op_Sigmoid(self, node, a):
        return f"torch.sigmoid({self.x(node)})"

    def op_Tanh(self, node, a):
        return f"torch.tanh({self.x(node)})"

    def op_Elu(self, node, a):
        return f"F.elu({self.x(node)}, {a.get('alpha', 1.0)})"

    def op_HardSigmoid(self, node, a):
        return f"torch.clamp({self.x(node)} * {a.get('alpha', 0.2)} + {a.get('beta', 0.5)}, 0, 1)"

    def op_HardSwish(self, node, a):
        return f"F.hardswish({self.x(node)})"

    def op_Clip(self, node, a):
        lo = a.get("min", self.value(node, 1)) if self.opset < 11 else self.value(node, 1)
        hi = a.get("max", self.value(node, 2)) if self.opset < 11 else self.value(node, 2)
        lo, hi = (None if v is None else float(v) for v in (lo, hi))
        return f"torch.clamp({self.x(node)}, {lo}, {hi})"

    def binary(self, node, sign):
        return f"{self.x(node)} {sign} {self.x(node, 1)}"

    def op_Add(self, node, a):
        return self.binary(node, "+")

    def op_Sub(self, node, a):
        return self.binary(node, "-")

    def op_Mul(self, node, a):
        return self.binary(node, "*")

    def op_Div(self, node, a):
        return self.binary(node, "/")

    def op_Pow(self, node, a):
        return self.binary(node, "**")

    def op_Concat(self, node, a):
        return f"torch.cat([{', '.join(self.name(v) for v in node.input)}], {a['axis']})"

    def op_Identity(self, node, a):
        return self.x(node)

    op_Cast = op_Dropout = op_Identity  # the whole network runs in one type

    def op_DepthToSpace(self, node, a):
        if a.get("mode", b"DCR") != b"CRD":
            raise Unsupported("DepthToSpace DCR")
        return f"F.pixel_shuffle({self.x(node)}, {a['blocksize']})"

    def op_MaxPool(self, node, a):
        pad, x = pads_of(a, 2, self.x(node), self.lines, node)
        if x == "p":
            self.lines[-1] = self.lines[-1][:-1] + ", value=float('-inf'))"
        return (f"F.max_pool2d({x}, {list(a['kernel_shape'])}, {list(a.get('strides', [1, 1]))}, {pad}, "
                f"ceil_mode={bool(a.get('ceil_mode', 0))})")

    def op_AveragePool(self, node, a):
        pad, x = pads_of(a, 2, self.x(node), self.lines, node)
        return (f"F.avg_pool2d({x}, {list(a['kernel_shape'])}, {list(a.get('strides', [1, 1]))}, {pad}, "
                f"bool({a.get('ceil_mode', 0)}), bool({a.get('count_include_pad', 0)}))")

    def op_GlobalAveragePool(self, node, a):
        return f"{self.x(node)}.mean((2, 3), keepdim=True)"

    def op_Resize(self, node, a):
        scales = self.value(node, 2 if self.opset >= 11 else 1)
        sizes = self.value(node, 3) if self.opset >= 11 else None
        mode = a.get("mode", b"nearest").decode()
        how = {"nearest": "nearest", "linear": "bilinear"}.get(mode)
        coordinates = a.get("coordinate_transformation_mode", b"half_pixel" if self.opset >= 11 else b"asymmetric")
        # What F.interpolate computes: nearest by the floor of asymmetric coordinates
        # (whole factors: any mode), linear by half pixels or aligned corners.
        whole = scales is not None and scales.size and all(float(f).is_integer() for f in scales)
        if how is None or (how == "nearest" and coordinates != b"asymmetric" and not whole) or \
                (how == "bilinear" and coordinates == b"asymmetric"):
            raise Unsupported(f"Resize {mode} {coordinates.decode()}")
        align = "" if how == "nearest" else \
            f", align_corners={a.get('coordinate_transformation_mode', b'') == b'align_corners'}"
        if scales is not None and scales.size:
            return f"F.interpolate({self.x(node)}, scale_factor={[float(s) for s in scales[2:]]}, mode='{how}'{align})"
        return f"F.interpolate({self.x(node)}, size={[int(s) for s in sizes[2:]]}, mode='{how}'{align})"

    def op_Upsample(self, node, a):
        scales = a.get("scales")
        scales = self.value(node, 1) if scales is None else np.array(scales)
        how = "nearest" if a.get("mode", b"nearest") == b"nearest" else "bilinear"
        return f"F.interpolate({self.x(node)}, scale_factor={[float(s) for s in scales[2:]]}, mode='{how}')"

    def op_Pad(self, node, a):
        pads = [int(p) for p in (a["pads"] if self.opset < 11 else self.value(node, 1))]
        n, flat = len(pads) // 2, []
        for i in reversed(range(n)):
            flat += [pads[i], pads[n + i]]
        mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[a.get("mode", b"constant").decode()]
        while mode != "constant" and flat[-2:] == [0, 0] and len(flat) > 4:
            flat = flat[:-2]
        return f"F.pad({self.x(node)}, {flat}, '{mode}')"

    def op_Transpose(self, node, a):
        return f"{self.x(node)}.permute({list(a['perm'])})"

    def op_Reshape(self, node, a):
        shape = [int(d) for d in self.value(node, 1)]
        if 0 in shape:
            shape = [f"{self.x(node)}.shape[{i}]" if d == 0 else d for i, d in enumerate(shape)]
        return f"{self.x(node)}.reshape([{', '.join(map(str, shape))}])"

    def op_Flatten(self, node, a):
        return f"{self.x(node)}.flatten({a.get('axis', 1)})"

    def op_Softmax(self, node, a):
        return f"F.softmax({self.x(node)}, {a.get('axis', -1 if self.opset >= 13 else 1)})"

    def op_Slice(self, node, a):
        starts, ends, axes, steps = (self.value(node, i) for i in range(1, 5)) if self.opset >= 10 else \
            (a["starts"], a["ends"], a.get("axes"), None)
        axes = range(len(starts)) if axes is None else axes
        steps = [1] * len(starts) if steps is None else steps
        index = {}
        for s, e, ax, st in zip(starts, ends, axes, steps):
            if int(st) < 1 or int(ax) < 0:
                raise Unsupported("Slice with a negative step or axis")
            index[int(ax)] = f"{int(s)}:{min(int(e), 2**31)}:{int(st)}"
        return f"{self.x(node)}[{', '.join(index.get(i, ':') for i in range(max(index) + 1))}]"


class Net(torch.nn.Module):
    def __init__(self, path):
        super().__init__()
        model = onnx.load(path)
        w = Writer(model)
        w.write()
        inputs = [i.name for i in model.graph.input if i.name not in w.const]
        # Nodes in order of need; unused constants are never registered.
        for key, array in w.buffers.items():
            t = torch.from_numpy(np.array(array))
            self.register_buffer(key, t.float() if t.is_floating_point() else t)
        args = ", ".join(w.name(i) for i in inputs)
        result = ", ".join(w.name(o.name) for o in model.graph.output)
        self.source = f"def forward(self, {args}):\n" + "".join(f"    {line}\n" for line in w.lines) + \
            f"    return {result}\n"
        scope = {"torch": torch, "F": F}
        exec(compile(self.source, re.sub(r"\W", "_", path), "exec"), scope)  # generated above, from our own table
        self.run = scope["forward"].__get__(self)

    def forward(self, *args):
        return self.run(*args)


def main():
    import sys

    import onnxruntime as ort
    worst = 0
    for path in sys.argv[1:]:
        try:
            net = Net(path).eval()
        except Unsupported as e:
            print(f"{path}: not covered: {e}")
            continue
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        info = session.get_inputs()[0]
        shape = [d if isinstance(d, int) else u for d, u in zip(info.shape, (1, 3, 96, 128))]
        x = np.random.default_rng(1).random(shape).astype(np.float16 if "16" in info.type else np.float32)
        want = session.run(None, {info.name: x})[0].astype(np.float32)
        with torch.no_grad():
            got = net(torch.from_numpy(x).float())
        got = (got[0] if isinstance(got, tuple) else got).numpy()
        error = float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-9)) if got.shape == want.shape else np.inf
        worst = max(worst, error)
        print(f"{path}: largest difference {error:.2g} of the largest value")
    sys.exit(0 if worst < 0.02 else 1)  # files with fp16 arithmetic differ by their own rounding


if __name__ == "__main__":
    main()
