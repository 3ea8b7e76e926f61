# SPDX-License-Identifier: MIT
"""Cases of make_cases.py: float8, float4 and integers of 4 and 2 bits, in tensors,
initializers, casts and quantisation."""
import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto as T, helper, numpy_helper

FLOAT8 = ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"]
INTS = ["INT4", "UINT4", "INT2", "UINT2"]
LEVELS = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}


def np_type(name):
    return helper.tensor_dtype_to_np_dtype(getattr(T, name))


def random(*shape, seed=1, most=3.0):
    return np.random.default_rng(seed).uniform(-most, most, shape).astype(np.float32)


def codes(name, *shape, seed=2):
    rng = np.random.default_rng(seed)
    if name in LEVELS:
        low, high = LEVELS[name]
        return rng.integers(low, high + 1, shape).astype(np_type(name))
    values = rng.uniform(-6, 6, shape).astype(np.float32)
    return values.astype(np_type(name))


def model(nodes, inputs, outputs, initializers=(), opset=23):
    """inputs: arrays by name; outputs: (name, TensorProto type)."""
    def info(name, array):
        t = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, t, array.shape)
    graph = helper.make_graph(
        nodes, "g", [info(n, a) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, t, None) for n, t in outputs],
        [numpy_helper.from_array(a, n) for n, a in initializers])
    ir = 13 if opset > 24 else 11 if opset > 23 else 10
    return {"model": helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir),
            "inputs": list(inputs.values())}


def dense_floats():
    """Every value of the upper 16 bits of a float below 2^17, ties and their
    neighbours among them."""
    tops = np.arange(0x3500, 0x4800, dtype=np.uint32)
    bits = np.concatenate([tops << 16, (tops << 16) + 1, (tops << 16) - 1])
    x = bits.view(np.float32)
    return np.concatenate([x, -x, np.array([np.inf, -np.inf, 0, 1e-30, 3e38], np.float32)])


def nearest(x, name):
    """Positive finite doubles to the nearest value of a float8, ties to the even
    code, by looking at all of them."""
    positive = np.arange(128, dtype=np.uint8)
    values = positive.view(np_type(name)).astype(np.float64)
    positive, values = positive[np.isfinite(values)], values[np.isfinite(values)]
    distance = np.abs(x[:, None] - values[None, :])
    tied = distance == distance.min(axis=1, keepdims=True)
    order = np.where(tied, positive[None, :] % 2, 2)
    return positive[order.argmin(axis=1)].view(np_type(name))


def casts():
    for name in FLOAT8:
        for saturate in (0, 1):
            node = helper.make_node("Cast", ["x"], ["y"], to=getattr(T, name), saturate=saturate)
            yield f"cast_dense_{name}_{saturate}", model([node], {"x": dense_floats()}, [("y", getattr(T, name))])
        node = helper.make_node("Cast", ["x"], ["y"], to=T.FLOAT)
        every = np.arange(256, dtype=np.uint8).view(np_type(name))
        yield f"cast_every_{name}", model([node], {"x": every}, [("y", T.FLOAT)])
        node = helper.make_node("Cast", ["x"], ["y"], to=getattr(T, name))
        x = dense_floats()[:3000].astype(np.float64) * (1 + 2.0 ** -40)
        case = model([node], {"x": x}, [("y", getattr(T, name))])
        # ml_dtypes rounds doubles twice
        yield f"cast_double_{name}", case | {"outputs": [nearest(x, name)]}
        yield f"cast_int32_{name}", model([node], {"x": np.arange(-500, 500, dtype=np.int32)},
                                          [("y", getattr(T, name))])
        other = FLOAT8[(FLOAT8.index(name) + 1) % 4]
        node = helper.make_node("Cast", ["x"], ["y"], to=getattr(T, other))
        finite = every[np.isfinite(every.astype(np.float32))]
        yield f"cast_{name}_to_{other}", model([node], {"x": finite}, [("y", getattr(T, other))])
    for name in INTS:
        node = helper.make_node("Cast", ["x"], ["y"], to=getattr(T, name))
        yield f"cast_int32_{name}", model([node], {"x": np.arange(-40, 41, dtype=np.int32)},
                                          [("y", getattr(T, name))], opset=25)
        low, high = LEVELS[name]
        inside = np.linspace(low, high, 29).astype(np.float32)
        yield f"cast_float_{name}", model([node], {"x": inside}, [("y", getattr(T, name))], opset=25)
    half = dense_floats()[:5000:3].astype(np.float16)
    node = helper.make_node("CastLike", ["x", "t"], ["y"], saturate=0)
    yield "castlike_half_e5m2", model([node], {"x": half, "t": np.zeros(1, ml_dtypes.float8_e5m2)},
                                      [("y", T.FLOAT8E5M2)])


def quantised():
    for name in FLOAT8 + ["INT4", "UINT4", "FLOAT4E2M1"]:
        t = getattr(T, name)
        opset = 23 if name == "FLOAT4E2M1" else 21
        scale = np.array([0.5, 0.013, 2.0], np.float32)
        zero = codes(name, 3) if name in LEVELS else np.zeros(3, np_type(name))
        q = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=1)
        yield f"quantize_axis_{name}", model([q], {"x": random(2, 3, 5, most=40)}, [("y", t)],
                                             [("s", scale), ("z", zero)], opset)
        d = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["y"], axis=1)
        yield f"dequantize_axis_{name}", model([d], {"w": codes(name, 2, 3, 5)}, [("y", T.FLOAT)],
                                               [("s", scale), ("z", zero)], opset)
        # blocks along the first and the last axis, weights of a MatMul
        for axis in (0, -1):
            w, blocks = codes(name, 8, 6), (2, 6) if axis == 0 else (8, 2)
            block = 4 if axis == 0 else 3
            d = helper.make_node("DequantizeLinear", ["w", "s"], ["f"], axis=axis, block_size=block)
            m = helper.make_node("MatMul", ["x", "f"], ["y"])
            yield f"blocked_weights_{name}_{axis % 2}", model(
                [d, m], {"x": random(3, 8)}, [("y", T.FLOAT)],
                [("w", w), ("s", np.abs(random(*blocks, seed=5)) + 0.1)], opset)
        q = helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=t, axis=1, block_size=2)
        d = helper.make_node("DequantizeLinear", ["q", "s"], ["y"], axis=1, block_size=2)
        yield f"blocked_round_{name}", model([q, d], {"x": random(3, 4, most=20)}, [("y", T.FLOAT)],
                                             [("s", np.abs(random(3, 2, seed=6)) + 0.2)], opset)
        # convolution weights an output channel
        d = helper.make_node("DequantizeLinear", ["w", "s"], ["f"], axis=0)
        c = helper.make_node("Conv", ["x", "f"], ["y"], pads=[1, 1, 1, 1])
        yield f"conv_weights_{name}", model([d, c], {"x": random(1, 3, 6, 7)}, [("y", T.FLOAT)],
                                            [("w", codes(name, 4, 3, 3, 3)),
                                             ("s", np.abs(random(4, seed=7)) + 0.1)], opset)
    # a network in halves with weights of 4 bits
    d = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"], axis=0, block_size=4, output_dtype=T.FLOAT16)
    m = helper.make_node("MatMul", ["x", "f"], ["y"])
    yield "half_int4_weights", model([d, m], {"x": np.rint(random(3, 8)).astype(np.float16)}, [("y", T.FLOAT16)],
                                     [("w", codes("INT4", 8, 6)), ("z", codes("INT4", 2, 6, seed=4)),
                                      ("s", 2 ** np.rint(random(2, 6, seed=5)))], 23)
    q = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], saturate=0)
    for name in FLOAT8:
        yield f"quantize_no_saturate_{name}", model(
            [q], {"x": np.array([1e6, -1e6, 449, 463, 465, 241, 250, 0, -0.0, 3], np.float32)},
            [("y", getattr(T, name))], [("s", np.float32(1)), ("z", np.zeros((), np_type(name)))], 21)


def moves():
    for name in FLOAT8[:1] + INTS + ["FLOAT4E2M1"]:
        t, opset = getattr(T, name), 25
        x = codes(name, 3, 5)  # an odd count: the last byte of a file is half used
        r = helper.make_node("Reshape", ["x", "n"], ["r"])
        p = helper.make_node("Transpose", ["r"], ["t"], perm=[1, 0])
        i = helper.make_node("Identity", ["t"], ["y"])
        yield f"move_{name}", model([r, p, i], {"x": x}, [("y", t)], [("n", np.array([5, 3]))], opset)
        pad = helper.make_node("Pad", ["x", "n"], ["y"])
        yield f"pad_{name}", model([pad], {"x": x}, [("y", t)], [("n", np.array([0, 1, 2, 0]))], opset)
        weights = codes(name, 7, seed=9)
        c = helper.make_node("Cast", ["w"], ["f"], to=T.FLOAT)
        a = helper.make_node("Add", ["x", "f"], ["y"])
        yield f"initializer_{name}", model([c, a], {"x": random(7)}, [("y", T.FLOAT)], [("w", weights)], opset)
        # the same in int32_data
        typed = helper.make_tensor("w", t, [7], weights.astype(np.float32))
        case = model([c, a], {"x": random(7)}, [("y", T.FLOAT)], [], opset)
        case["model"].graph.initializer.append(typed)
        yield f"initializer_fields_{name}", case


def cases():
    for group in (casts, quantised, moves):
        yield from group()
