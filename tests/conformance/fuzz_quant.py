#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Quantised networks drawn at random, against ONNX Runtime.

    fuzz_quant.py --conformance build/release/tests/conformance/conformance
                  [--cases 500] [--seed 1] [--keep FOLDER]

Networks of picture operators between DequantizeLinear and QuantizeLinear, and
of QLinear* operators, of all four pairings of types, with scales for a tensor
or a channel. All scales are powers of two and all other numbers multiples of
them, so that float32 computes every intermediate result exactly: results are
the same bytes in whatever order and by whatever kernel they are computed, ties
included, and a single byte that differs is an error of somebody's.

Options, output and exit codes are those of fuzz_ops.py.
"""
import sys

from fuzz_ops import F32, I32, I64, I8, U8, Case, Net, helper, main, np, pick
from fuzz_ops import floats, ints


class QuantNet(Net):
    """Names are of dequantised values; q has for each its bytes, type, scale and zero point."""

    def __init__(self, rng):
        super().__init__(rng)
        n, c = pick(rng, 1, 1, 2), pick(rng, 1, 3, 4, 16, 20, 32)
        self.q, first = {}, [n, c, pick(rng, 1, 2, 4, 8, 16), pick(rng, 2, 4, 8, 16)]
        self.shape, self.first = {}, first
        self.bytes_in = rng.random() < 0.2
        kind = self.kind()
        if self.bytes_in:
            self.input_type = kind[0]
            self.back("x", first, kind)
        else:
            self.input_type = F32
            self.round("x", first, kind)

    def kind(self):
        rng, t = self.rng, pick(self.rng, U8, U8, I8)
        zero = pick(rng, 0, 128, int(rng.integers(0, 256))) if t == U8 else pick(rng, 0, 0, int(rng.integers(-128, 128)))
        return t, F32(2.0 ** -int(rng.integers(3, 7))), zero

    def params(self, kind):
        names = [self.constant(kind[1])]
        if kind[0] == I8 or kind[2] or self.rng.random() < 0.8:
            names.append(self.constant(np.array(kind[2], kind[0])))
        return names

    def back(self, name, shape, kind):
        y = self.node("DequantizeLinear", [name, *self.params(kind)], shape)
        self.q[y] = (name, *kind)
        return y

    def round(self, name, shape, kind=None):
        """name, quantised and dequantised."""
        kind = kind or self.kind()
        q = self.node("QuantizeLinear", [name, *self.params(kind)], shape)
        del self.shape[q]
        self.shape.pop(name, None)
        return self.back(q, shape, kind)

    def again(self, x):
        """x, sometimes by a DequantizeLinear of its own, as PyTorch writes them."""
        if self.rng.random() < 0.7:
            return x
        y = self.back(self.q[x][0], self.shape[x], self.q[x][1:])
        return y

    def step_weights(self, dims, axis=0):
        """Dequantised weights, and the scales (one or one a channel)."""
        rng, outputs = self.rng, dims[axis]
        fan = np.prod(dims) / outputs
        t = pick(rng, I8, I8, U8)
        power = -6 - int(np.log2(max(fan, 1)) / 2)
        scale = 2.0 ** rng.integers(power - 1, power + 1, outputs if rng.random() < 0.5 else ()).astype(F32)
        scale = scale.astype(F32)
        whole = rng.random() < 0.3  # all of the type's range
        low, high = (-128, 128) if t == I8 else (0, 256)
        w = rng.integers(low, high, dims) if whole else rng.integers(low + 78, high - 78, dims)
        zero = np.zeros(scale.shape, t) if t == I8 else rng.integers(100, 156, scale.shape).astype(t)
        names = [self.constant(w.astype(t)), self.constant(scale), self.constant(zero)]
        return names, scale

    def weighted(self, op, x, dims, axis, out_shape, **attrs):
        """Conv, ConvTranspose, MatMul or Gemm by constant weights."""
        rng = self.rng
        names, scale = self.step_weights(dims, axis)
        step = scale * self.q[x][2]
        outputs = dims[axis] * attrs.get("group", 1) if op == "ConvTranspose" else dims[axis]
        bias = []
        if op != "MatMul" and rng.random() < 0.6:
            number = rng.integers(-500, 500, outputs).astype(I32)
            steps = np.broadcast_to(step, (dims[axis],))
            steps = np.tile(steps, outputs // dims[axis])
            if rng.random() < 0.5:
                bias = [self.constant((number * steps).astype(F32))]
            else:
                b = self.node("DequantizeLinear", [self.constant(number), self.constant(steps.astype(F32)),
                                                   self.constant(np.zeros(outputs, I32))], [outputs], axis=0)
                del self.shape[b]
                bias = [b]
        w = self.node("DequantizeLinear", names, dims, **({"axis": axis} if scale.ndim or rng.random() < 0.5 else {}))
        del self.shape[w]
        return self.node(op, [self.again(x), w, *bias], out_shape, **attrs)

    def conv(self, x, to, k=3, s=1, group=1, d=1):
        n, c, h, w = self.shape[x]
        p = d * (k // 2)
        out = [n, to, (h + 2 * p - d * (k - 1) - 1) // s + 1, (w + 2 * p - d * (k - 1) - 1) // s + 1]
        return self.weighted("Conv", x, [to, c // group, k, k], 0, out, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4,
                             group=group, dilations=[d, d])

    def qlinear_conv(self, x, to, k):
        n, c, h, w = self.shape[x]
        names, scale = self.step_weights([to, c, k, k])
        kind = self.kind()
        ends = [self.constant(kind[1]), self.constant(np.array(kind[2], kind[0]))]
        q, t, xs, xz = self.q[x]
        bias = [self.constant(self.rng.integers(-500, 500, to).astype(I32))] if self.rng.random() < 0.6 else []
        y = self.node("QLinearConv", [q, self.constant(xs), self.constant(np.array(xz, t)), *names, *ends, *bias],
                      [n, to, h, w], kernel_shape=[k, k], pads=[k // 2] * 4)
        del self.shape[y]
        return self.back(y, [n, to, h, w], kind)

    def qlinear_binary(self, op, a, b):
        kind = (self.q[a][1], *self.kind()[1:2], self.kind()[2] if self.q[a][1] == U8 else 0)
        kind = (kind[0], kind[1], abs(kind[2]) // 2 * 2)  # ONNX Runtime rounds with the zero point added: other ties
        names = []
        for x in (a, b):
            q, t, scale, zero = self.q[x]
            names += [q, self.constant(scale), self.constant(np.array(zero, t))]
        names += [self.constant(kind[1]), self.constant(np.array(kind[2], kind[0]))]
        y = self.node(op, names, self.shape[a], domain="com.microsoft")
        del self.shape[y]
        return self.back(y, self.shape[a], kind)

    def act(self, x):
        rng, (n, c) = self.rng, self.shape[x][:2]
        op = pick(rng, "Relu", "LeakyRelu", "Clip", "PRelu", "Sigmoid", "Tanh", "Abs", "Neg", "norm", "scale", "silu")
        if op == "norm":
            numbers = [pick(rng, 0.5, 1, 2), 0, 0, pick(rng, 1, 4, 0.25)]
            b = [np.full(c, v, F32) for v in numbers]
            b[1], b[2] = rng.integers(-16, 16, (2, c)).astype(F32) / 8
            b[0] *= np.where(rng.random(c) < 0.3, F32(-1), F32(1))
            return self.node("BatchNormalization", [x, *map(self.constant, b)], self.shape[x], epsilon=0.0)
        if op == "scale":
            by = (2.0 ** rng.integers(-2, 2, [c, 1, 1])).astype(F32) if rng.random() < 0.7 else F32(0.5)
            y = self.node(pick(rng, "Mul", "Div"), [x, self.constant(by)], self.shape[x])
            self.shape.pop(y)
            return self.node("Add", pick(rng, [y, self.constant(F32(0.125))], [self.constant(F32(-0.5)), y]), self.shape[x])
        if op == "silu" and x in self.q:
            f = self.round(self.node("Sigmoid", [x], self.shape[x]), self.shape[x], (U8, F32(2.0 ** -8), 0))
            return self.node("Mul", [x, f], self.shape[x])
        # of sums behind a convolution the last digit of a transcendental function decides now and then
        op = "Relu" if op == "silu" or (op in ("Sigmoid", "Tanh") and x not in self.q) else op
        more = [self.constant(F32(pick(rng, 0, -1))), self.constant(F32(2))] if op == "Clip" else [
            self.constant((rng.integers(-8, 9, pick(rng, [c, 1, 1], [1, 1, 1])) / 8).astype(F32))] if op == "PRelu" else []
        return self.node(op, [x, *more], self.shape[x], **({"alpha": 0.125} if op == "LeakyRelu" else {}))

    def move(self, x):
        """The float result of something that only moves elements."""
        rng, (n, c, h, w) = self.rng, self.shape[x]
        kind = int(rng.integers(0, 8))
        if kind == 0 and h * w < 200:
            return self.node("Resize", [x, "", self.constant(np.array([1, 1, 2, 2], F32))], [n, c, 2 * h, 2 * w],
                             mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        if kind == 1 and c % 4 == 0:
            return self.node("DepthToSpace", [x], [n, c // 4, 2 * h, 2 * w], blocksize=2, mode=pick(rng, "DCR", "CRD"))
        if kind == 2 and c > 1:
            a, b = sorted(int(i) for i in rng.choice(c + 1, 2, replace=False))
            return self.node("Slice", [x, *(self.constant(np.array([i], I64)) for i in (a, b, 1))], [n, b - a, h, w])
        if kind == 3 and h > 1 and w > 1:
            return self.node("MaxPool", [x], [n, c, h // 2, w // 2], kernel_shape=[2, 2], strides=[2, 2])
        if kind == 4:
            pads = [0, 0, *ints(rng, 0, 2, 2), 0, 0, *ints(rng, 0, 2, 2)]
            size = [n, c, 4 * ((h + pads[2] + pads[6] + 3) // 4), 4 * ((w + pads[3] + pads[7] + 3) // 4)]
            pads[6], pads[7] = size[2] - h - pads[2], size[3] - w - pads[3]  # sizes of 4: means stay exact
            more = [self.constant(F32(0))] if rng.random() < 0.5 else []
            return self.node("Pad", [x, self.constant(np.array(pads, I64)), *more], size, mode=pick(rng, "constant", "edge"))
        if kind == 5 and c % 2 == 0:
            y = self.node("Reshape", [x, self.constant(np.array([n, 2, c // 2, h, w], I64))], [n, 2, c // 2, h, w])
            y = self.node("Transpose", [y], [n, c // 2, 2, h, w], perm=[0, 2, 1, 3, 4])
            for v in [v for v, q in self.shape.items() if len(q) != 4]:
                del self.shape[v]
            return self.node("Reshape", [y, self.constant(np.array([n, c, h, w], I64))], [n, c, h, w])
        if kind == 6:
            return self.node("Transpose", [x], [n, c, w, h], perm=[0, 1, 3, 2])
        return self.node("Identity", [x], [n, c, h, w])

    def pooled(self, x):
        rng, (n, c, h, w) = self.rng, self.shape[x]
        square = (h & (h - 1)) == 0 and (w & (w - 1)) == 0
        kind = int(rng.integers(0, 4))
        if kind == 0 and square:
            return self.node("GlobalAveragePool", [x], [n, c, 1, 1])
        if kind == 1 and h > 1 and w > 1:
            return self.node("AveragePool", [x], [n, c, h // 2, w // 2], kernel_shape=[2, 2], strides=[2, 2])
        if kind == 2:
            return self.node("AveragePool", [x], [n, c, h + 1, w + 1], kernel_shape=[2, 2], pads=[1, 1, 1, 1],
                             count_include_pad=1)
        if h * w < 200:
            return self.node("Resize", [x, "", self.constant(np.array([1, 1, 2, 2], F32))], [n, c, 2 * h, 2 * w],
                             mode="linear", coordinate_transformation_mode=pick(rng, "half_pixel", "asymmetric"))
        return self.act(x)

    def two(self, x):
        """A sum, a product or a picture times one number a channel."""
        rng, shape = self.rng, self.shape[x]
        like = [v for v, s in self.shape.items() if s == shape and v in self.q]
        other = pick(rng, *like)
        ones = [v for v, s in self.shape.items() if s == [*shape[:2], 1, 1] and v in self.q]
        if ones and rng.random() < 0.5:
            one = pick(rng, *ones)
            return self.node(pick(rng, "Mul", "Add"), pick(rng, [x, one], [one, x]), shape)
        op = pick(rng, "Add", "Mul", "Sub", "Max", "qadd", "qmul")
        if op[0] == "q":
            if self.q[x][1] == self.q[other][1]:
                return self.qlinear_binary("QLinearAdd" if op == "qadd" else "QLinearMul", x, other)
            op = "Add"
        return self.node(op, [self.again(x), self.again(other)], shape)

    def deconv(self, x):
        rng, (n, c, h, w) = self.rng, self.shape[x]
        k, s, p = pick(rng, (2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 1, 1))
        to = pick(rng, 3, 8, 16, 20)
        out = [n, to, (h - 1) * s + k - 2 * p, (w - 1) * s + k - 2 * p]
        return self.weighted("ConvTranspose", x, [c, to, k, k], 1, out, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4)

    def joined(self, x):
        rng, (n, c, h, w) = self.rng, self.shape[x]
        parts = [v for v, s in self.shape.items() if s[0] == n and s[2:] == [h, w] and v in self.q]
        parts = [pick(rng, *parts) for _ in range(int(rng.integers(2, 4)))]
        total = sum(self.shape[v][1] for v in parts)
        return self.node("Concat", parts, [n, total, h, w], axis=1) if total < 100 else self.act(x)

    def product(self, x):
        """Rows of the last axis by a matrix."""
        rng, (n, c, h, w) = self.rng, self.shape[x]
        to = pick(rng, 4, 8, 17)
        return self.weighted("MatMul", x, [w, to], 1, [n, c, h, to])

    def step(self):
        rng = self.rng
        x = pick(rng, *[v for v in self.shape if v in self.q][-6:])
        n, c, h, w = self.shape[x]
        kind = int(rng.integers(0, 13))
        same = False
        if h * w > 1100:
            y = self.node("MaxPool", [x], [n, c, h // 4, w // 4], kernel_shape=[4, 4], strides=[4, 4])
        elif kind < 3:
            group = pick(rng, 1, 1, 1, 2) if c % 2 == 0 else 1
            y = self.conv(x, pick(rng, 4, 8, 16, 20, 32), pick(rng, 1, 3, 3, 5), pick(rng, 1, 1, 2), group=group)
        elif kind == 3:
            y = self.conv(x, c, 3, pick(rng, 1, 2), group=c)
        elif kind == 4:
            y = self.deconv(x) if h * w < 300 else self.act(x)
        elif kind == 5:
            y = self.pooled(x)
        elif kind == 6:
            y = self.two(x)
        elif kind == 7:
            y = self.joined(x)
        elif kind == 8:
            y = self.qlinear_conv(x, pick(rng, 4, 16, 20), pick(rng, 1, 3))
        elif kind == 9:
            y = self.product(x) if w > 1 else self.act(x)
        elif kind < 12:
            y, same = self.move(self.again(x)), rng.random() < 0.7
        else:
            y = self.act(x)
        if y in self.q:
            return
        shape = self.shape[y]
        if rng.random() < 0.3 and not same:
            del self.shape[y]
            self.shape[y] = shape
            z = self.act(y)
            self.shape.pop(y, None)
            y = z
        self.round(y, shape, self.q[x][1:] if same else None)


def make_quant(seed, number):
    rng = np.random.default_rng([seed, number, 8])
    net = QuantNet(rng)
    for _ in range(int(rng.integers(2, 9))):
        net.step()
    made = [o for n in net.nodes for o in n.output]
    read = {i for n in net.nodes for i in n.input}
    outs = [o for o in made if o not in read]
    if rng.random() < 0.4:  # another, floats or bytes
        outs.append(pick(rng, *made))
    outs = list(dict.fromkeys(outs))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(net.input_type))
    graph = helper.make_graph(net.nodes, "quant", [helper.make_tensor_value_info("x", kind, net.first)],
                              [helper.make_empty_tensor_value_info(o) for o in outs], net.fixed)
    imports = [helper.make_opsetid("", net.opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    case = Case(rng, "quant", net.opset).has(nodes=" ".join(n.op_type for n in net.nodes))
    if net.bytes_in:
        x = rng.integers(0, 256, net.first).astype(np.uint8).view(net.input_type)
    else:
        x = np.round(floats(rng, net.first) * 128).astype(F32) / F32(128)
    return case.give(x), model, {"x": x}


if __name__ == "__main__":
    sys.exit(main(make_quant))
