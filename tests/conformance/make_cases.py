#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes folders in the form of ONNX's node tests for cases that ONNX's own set
leaves out, with the onnx package's reference implementation as the oracle:

  make_cases.py DIR && conformance DIR    (make conformance-cases)

Each case is a model in ONNX's text form (onnx.parser) and its inputs; the
inputs' values are drawn from a fixed seed. Needs the onnx Python package, and
onnxruntime for the cases that the reference implementation gets wrong.
"""
import os
import sys

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import cases_fused
import cases_sequence
import cases_types


def tensor_of(value, name):
    """A TensorProto of a NumPy array, or of (array, ONNX type)."""
    if isinstance(value, onnx.TensorProto):
        value.name = name
        return value
    return numpy_helper.from_array(np.asarray(value), name)


def write_case(folder, name, case):
    model = case["model"]
    if isinstance(model, str):
        model = onnx.parser.parse_model(model)
    path = os.path.join(folder, "test_" + name)
    data = os.path.join(path, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    names = [i.name for i in model.graph.input]
    inputs = [tensor_of(v, n) for n, v in zip(names, case["inputs"])]
    if "outputs" in case:
        results = case["outputs"]
    else:
        feeds = {t.name: numpy_helper.to_array(t) for t in inputs}
        if case.get("by_ort"):
            import onnxruntime
            results = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
        else:
            results = ReferenceEvaluator(model).run(None, feeds)
    onnx.save(model, os.path.join(path, "model.onnx"))
    for i, t in enumerate(inputs):
        with open(os.path.join(data, f"input_{i}.pb"), "wb") as f:
            f.write(t.SerializeToString())
    for i, (o, r) in enumerate(zip(model.graph.output, results)):
        with open(os.path.join(data, f"output_{i}.pb"), "wb") as f:
            f.write(tensor_of(r, o.name).SerializeToString())


def main():
    folder = sys.argv[1]
    made = 0
    for module in (cases_fused, cases_sequence, cases_types):
        for name, case in module.cases():
            write_case(folder, name, case)
            made += 1
    print(f"{made} cases in {folder}")


if __name__ == "__main__":
    main()
