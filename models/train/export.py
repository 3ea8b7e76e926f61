# SPDX-License-Identifier: MIT
"""Writes a trained network as ONNX, node by node, so that the file holds
nothing else.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

import nets

# Channels of DepthToSpace by 4 in the order in which two by 2 have them.
TWICE = np.arange(16).reshape(2, 2, 2, 2).transpose(1, 3, 0, 2).ravel()


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, name, source, weight, bias=None, **attributes):
        inputs = [source, self.constant(name + ".weight", weight)]
        if bias is not None:
            inputs.append(self.constant(name + ".bias", bias))
        return self.add("Conv", inputs, name, kernel_shape=list(weight.shape[2:]), **attributes)

    def act(self, name, source, weight, bias, **attributes):
        x = self.conv(name, source, numpy(weight), numpy(bias), **attributes)
        return self.add("LeakyRelu", [x], name + ".relu", alpha=nets.SLOPE)


def numpy(value):
    return np.ascontiguousarray(value.detach().numpy())


def save(net, path):
    g = Graph()
    pads = g.constant("pads", np.array([0, 0, 2, 2, 0, 0, 2, 2], np.int64))
    edge = g.add("Pad", ["input", pads], "edge", mode="edge")
    x = g.act("head", edge, net.head_weight(), net.head.bias, strides=[2, 2])
    for i, layer in enumerate(net.body):
        x = g.act(f"body{i}", x, layer.weight, layer.bias, pads=[1] * 4)
    weight, bias = (numpy(v)[TWICE] for v in net.tail_weight())
    tail = g.conv("tail", x, weight, bias, pads=[1] * 4)
    detail = g.add("DepthToSpace", [tail], "detail", blocksize=2, mode="CRD")
    skip = numpy(net.skip_weight())
    # Both of these are a convolution and its epilogue: sharp - calm, within bounds, and sharp less of that.
    shift = np.full(4, -net.calm_shift, np.float32)
    beyond = g.conv("beyond", edge, skip - numpy(net.calm_weight()), shift)
    beyond = g.add("Add", [beyond, detail], "beyond.all")
    bounds = [g.constant(name, np.float32(value)) for name, value in (("low", -net.calm), ("high", net.calm))]
    beyond = g.add("Clip", [beyond, *bounds], "beyond.clip")
    beyond = g.add("Mul", [beyond, g.constant("less", np.float32(-1))], "beyond.less")
    sharp = g.add("Add", [g.conv("sharp", edge, skip), detail], "sharp.all")
    g.add("DepthToSpace", [g.add("Add", [sharp, beyond], "settled")], "output", blocksize=2, mode="CRD")
    graph = helper.make_graph(
        g.nodes, "upscale2x", [helper.make_tensor_value_info("input", 1, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info("output", 1, ["N", 1, "2H", "2W"])], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="reelmill")
    model.ir_version = 8
    model.doc_string = "2x upscaling of luma in 0..1; H and W even"
    onnx.checker.check_model(model)
    onnx.save(model, path)
