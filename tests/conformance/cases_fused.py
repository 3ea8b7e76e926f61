# SPDX-License-Identifier: MIT
"""Operators that ONNX Runtime's optimiser and quantiser write in the place of
several, with ONNX Runtime as the oracle."""
import numpy as np
from onnx import TensorProto as T
from onnx import helper, numpy_helper

MS = "com.microsoft"


def model(op, inputs, fixed, shape, domain=MS, kind=T.FLOAT, **attrs):
    """One node. inputs and fixed: lists of (name, array or None); the node reads
    them in the order of `inputs` and then of `fixed`."""
    names = [n if a is not None else "" for n, a in inputs + fixed]
    node = helper.make_node(op, names, ["y"], "node", domain=domain, **attrs)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", kind, shape)],
                              [numpy_helper.from_array(a, n) for n, a in fixed if a is not None])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(MS, 1)]
    return {"model": helper.make_model(graph, opset_imports=opsets, ir_version=8), "inputs": [a for _, a in inputs],
            "by_ort": True}


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def cases():
    rng = np.random.default_rng(3)
    x, w, b, z = floats(rng, 1, 4, 7, 9), floats(rng, 6, 4, 3, 3), floats(rng, 6), floats(rng, 1, 6, 7, 9)
    for name, params in (("Relu", None), ("Sigmoid", None), ("Tanh", None), ("LeakyRelu", [0.2]),
                         ("Clip", [-0.5, 1.5]), ("HardSigmoid", [0.3, 0.4])):
        more = {"activation_params": params} if params else {}
        yield f"fused_conv_{name.lower()}", model("FusedConv", [("x", x)], [("w", w), ("b", b)], [1, 6, 7, 9],
                                                  activation=name, pads=[1, 1, 1, 1], **more)
    yield "fused_conv_adds", model("FusedConv", [("x", x)], [("w", w), ("b", b), ("z", z)], [1, 6, 7, 9],
                                   activation="Relu", pads=[1, 1, 1, 1])
    yield "fused_gemm", model("FusedGemm", [("x", floats(rng, 3, 5))], [("w", floats(rng, 4, 5)), ("b", floats(rng, 4))],
                              [3, 4], transB=1, alpha=0.5, beta=2.0, activation="LeakyRelu", activation_alpha=0.1)
    # (rows, batches, columns): what attention's transposes become
    a, c = floats(rng, 5, 2, 3), floats(rng, 2, 3, 4)
    yield "fused_matmul_batch_a", model("FusedMatMul", [("x", a)], [("w", c)], [2, 5, 4], transBatchA=1, alpha=0.5)
    yield "fused_matmul_batch_a_turned", model("FusedMatMul", [("x", floats(rng, 3, 2, 5))], [("w", c)], [2, 5, 4],
                                               transBatchA=1, transA=1)
    yield "fused_matmul_batch_b", model("FusedMatMul", [("x", floats(rng, 2, 4, 3))], [("w", a)], [2, 4, 5],
                                        transBatchB=1, transB=1)
    yield "fused_matmul_batch_ab", model("FusedMatMul", [("x", a)], [("w", floats(rng, 3, 2, 6))], [2, 5, 6],
                                         transBatchA=1, transBatchB=1)
    q = rng.integers(0, 256, (5, 4)).astype(np.uint8)
    scales, zeros, bias = (np.abs(floats(rng, 4)) / 50 + 0.01), rng.integers(100, 150, 4).astype(np.uint8), floats(rng, 4)
    fixed = [("w", q), ("ws", scales), ("wz", zeros), ("b", bias)]
    yield "dynamic_quantize_matmul", model("DynamicQuantizeMatMul", [("x", floats(rng, 3, 5))], fixed, [3, 4])
    yield "matmul_integer_to_float", model("MatMulIntegerToFloat", [("x", rng.integers(0, 256, (3, 5)).astype(np.uint8))],
                                           [("w", q), ("xs", np.float32(0.1).reshape(1)), ("ws", scales),
                                            ("xz", np.uint8([120])), ("wz", zeros), ("b", bias)], [3, 4])
    picture = rng.integers(0, 256, (1, 7, 9, 4)).astype(np.uint8)
    filters = rng.integers(-128, 128, (6, 4, 3, 3)).astype(np.int8)
    fixed = [("xs", np.float32(0.02)), ("xz", np.uint8(120)), ("w", filters), ("ws", np.abs(floats(rng, 6)) / 50 + 0.01),
             ("wz", np.zeros(6, np.int8)), ("ys", np.float32(0.5)), ("yz", np.uint8(110)),
             ("b", rng.integers(-900, 900, 6).astype(np.int32))]
    yield "qlinear_conv_nhwc", model("QLinearConv", [("x", picture)], fixed, [1, 7, 9, 6], kind=T.UINT8, channels_last=1,
                                     pads=[1, 1, 1, 1])
    yield "nhwc_max_pool", model("NhwcMaxPool", [("x", picture)], [], [1, 3, 4, 4], kind=T.UINT8, kernel_shape=[3, 3],
                                 strides=[2, 2])
    pool = [("xs", np.float32(0.02)), ("xz", np.uint8(120)), ("ys", np.float32(0.01)), ("yz", np.uint8(110))]
    yield "qlinear_average_pool_nhwc", model("QLinearAveragePool", [("x", picture)], pool, [1, 3, 4, 4], kind=T.UINT8,
                                             kernel_shape=[3, 3], strides=[2, 2], channels_last=1)
    yield "qlinear_global_pool_nhwc", model("QLinearGlobalAveragePool", [("x", picture)], pool, [1, 1, 1, 4],
                                            kind=T.UINT8, channels_last=1)
    yes, u, v = rng.random((4, 5)) > 0.5, *(rng.integers(0, 256, s).astype(np.uint8) for s in ((4, 5), (1, 5)))
    names = ("xs", "xz"), ("ys", "yz"), ("zs", "zz")
    (xs, xz), (ys, yz), (zs, zz) = ([(n, np.float32(0.1 * i + 0.1)), (m, np.uint8(90 + i))]
                                    for i, (n, m) in enumerate(names))
    where = model("QLinearWhere", [("c", yes), ("u", u)], [xs, xz, ("v", v), ys, yz, zs, zz], [4, 5], kind=T.UINT8)
    yield "qlinear_where", where
    grid = (rng.random((1, 5, 6, 2)) * 2 - 1).astype(np.float32)
    yield "grid_sample_of_ms", model("GridSample", [("x", x), ("g", grid)], [], [1, 4, 5, 6], mode="bilinear",
                                     padding_mode="border", align_corners=1)
    yield "trilu_of_ms", model("Trilu", [("x", floats(rng, 4, 5))], [("k", np.int64(1))], [4, 5], upper=1)
    yield "rms_norm_of_ort", model("SimplifiedLayerNormalization", [("x", floats(rng, 4, 5))], [("s", floats(rng, 5))],
                                   [4, 5], domain="", axis=-1, epsilon=1e-5)
    yield "layer_norm_before_17", model("LayerNormalization", [("x", floats(rng, 4, 5))],
                                        [("s", floats(rng, 5)), ("b", floats(rng, 5))], [4, 5], domain="", axis=-1)
    yield from attention_cases(rng)
    yield from packed_cases(rng)


def attention_cases(rng):
    x, w, b = floats(rng, 2, 7, 12), floats(rng, 12, 36) / 3, floats(rng, 36)
    bias = floats(rng, 2, 3, 7, 7)
    yield "attention_of_ms", model("Attention", [("x", x)], [("w", w), ("b", b)], [2, 7, 12], num_heads=3)
    yield "attention_of_ms_causal", model("Attention", [("x", x)], [("w", w), ("b", b)], [2, 7, 12], num_heads=3,
                                          unidirectional=1, scale=0.3)
    yield "attention_of_ms_adds", model("Attention", [("x", x)], [("w", w), ("b", b), ("m", None), ("p", None),
                                                                  ("a", bias)], [2, 7, 12], num_heads=3)
    yield "attention_of_ms_widths", model("Attention", [("x", x)], [("w", floats(rng, 12, 30) / 3),
                                                                    ("b", floats(rng, 30))], [2, 7, 6], num_heads=3,
                                          qkv_hidden_sizes=[12, 12, 6])
    yield "transpose_matmul", model("TransposeMatMul", [("x", floats(rng, 2, 4, 3))], [("w", floats(rng, 2, 5, 4))],
                                    [2, 3, 5], transA=1, transB=1, alpha=0.5)


def packed_cases(rng):
    for bits, k, block in ((4, 40, 16), (4, 64, 32), (8, 40, 32), (2, 48, 16), (4, 16, 16)):
        blocks, n = -(-k // block), 5
        w = rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8)
        scales, zeros = floats(rng, n * blocks) / 9, rng.integers(0, 256, n * -(-blocks * bits // 8)).astype(np.uint8)
        sizes = {"K": k, "N": n, "bits": bits, "block_size": block}
        for more in (0, 1):
            fixed = [("w", w), ("s", scales)] + ([("z", zeros), ("g", None), ("b", floats(rng, n))] if more else [])
            name = f"matmul_of_{bits}_bits_{k}" + ("_zeros_bias" if more else "")
            yield name, model("MatMulNBits", [("x", floats(rng, 2, 3, k))], fixed, [2, 3, n], **sizes)
    for kind in (0, 1):
        k, n, block = 24, 5, 16
        fixed = [("w", rng.integers(0, 256, (n * k + 1) // 2).astype(np.uint8)),
                 ("s", np.abs(floats(rng, -(-k * n // block))))]
        yield f"matmul_bnb4_{kind}", model("MatMulBnb4", [("x", floats(rng, 3, k))], fixed, [3, n], K=k, N=n,
                                           block_size=block, quant_type=kind)
