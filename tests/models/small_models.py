#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes networks of a few numbers, whose results follow from the pictures alone:

    small_models.py FOLDER

clip.onnx     8 frames at once, (1,3,8,16,16): ten times the mean of each are the scores of 8 classes
clip_row.onnx   the same of (1,8,3,16,16); clip_last.onnx: of (1,T,16,16,3), any number of frames
apart.onnx    the mean of 5 frames, (1,3,5,16,16)
clip_dark.onnx  of 5 frames, (1,3,5,16,16): two classes, the mean of all and the reverse
flow.onnx     of 2 frames, an input each, 64x64: by how far (-2..2, -1..1) what is around a pixel has moved
flow_six.onnx, flow_row.onnx  the same of (1,6,64,64) and of (1,2,3,64,64); flow_any.onnx: of any size, names that tell nothing
detect.onnx   YOLOv8's form at 64x64: the mean red, green and blue of each cell of 8, 16 and 32 pixels are the scores of
              classes 0, 1, 2; its box is the cell, half as large again
masked.onnx   detect.onnx with masks in YOLOv8's form: where a quarter-size pixel has a cell's colour, less one half
heatmaps.onnx  three points of a body at 48x64, as HRNet's maps: the mean red, green and blue of 4x4 pixels
movenet.onnx  MoveNet's form at 48x64, integers: 17 points on a line, their score 1/2 and a quarter of the mean blue
yolov3-red.onnx  raw grids of one class at 64x64: red cells of 8, 16 and 32 pixels, by the first anchor
unknown_grids.onnx  the same; neither its name nor its operators tell whose they are
segment.onnx  the class of a pixel is 1, 2, 3 where red, green or blue is the brightest and above 0.5, else 0
behind.onnx   of 3 frames at once, for pictures of any size: the one behind the middle
before.onnx   of 5 frames at once: the first
row.onnx      of 5 frames at once as a dimension of their own, 64x64: the last
turned.onnx   of 5 frames at once, of any size: all of them, each a place later, the last one first
now.onnx      of 3 frames at once: the middle, so that nothing changes
oldest.onnx   of 15 frames at once: the first; newest.onnx: the last
each.onnx     of 3 frames, an input each, channels last: the one before the middle
delay.onnx    a state of its own: the frame before, black at first
brightest.onnx  the largest value that each sample has had so far; its state has an open shape, and may be one number
fed_back.onnx the same, by the picture that was made before
frame_before.onnx  the picture of the frame before is an input of its own
coarse.onnx   the larger of the picture and of what a state of half the size held; the picture's mean goes into the state
picky.onnx    as delay.onnx, but a white frame makes it fail
times.onnx    the picture times an input of one number
levels.onnx   pictures over the largest value of all that one run is given
matte.onnx    a foreground (the picture), a matte (the red of the frame before) and the state for it
depth.onnx    a plane without a fixed range: 300 and 1000 times green
middle.onnx   of 2 frames, an input each: their mean
timed.onnx    of 2 frames and a number: (1 - t) of the first, t of the second
last.onnx     the same, channels last, the number before the frames
seven.onnx    the same of 7 channels, t in the last
eight.onnx    the same, times what is in the eighth
eleven.onnx   the same of RIFE's 11: both frames are sampled by the grid, a step to the right and below
style.onnx    of 2 pictures whose names say nothing: their mean
stamped.onnx  of 2 frames, an input each: their mean, or a third picture where that is brighter
painted.onnx  each channel with the mean and deviation of the same channel of a second picture of any size (AdaIN)
swatch.onnx   the same, by a second picture of 32x32, channels last
plate.onnx    a foreground (the picture) and a matte: 1 where any channel differs from a second picture by more than 0.2
tints.onnx    64x64: the mean of the picture and of a background, times the first pixel of a third picture
lightness.onnx  64x64 in the form of Zhang et al.'s: of L, made -0.5..0.5, the mean of each 4x4 pixels; ab of it at 16x16
halved.onnx   the same of L less 50, as files made by Caffe have it, any size; ab of -110..110 as -1..1
tinted.onnx   64x64 in the form of DDColor's: ab of gray as R, G, B, which names do not tell
repainted.onnx  any size in the form of DeOldify's: each channel of gray as R, G, B by a factor of its own
narrow.onnx   any size, without padding: the pixel two rows above and two columns before, so the picture is 4 x 4 smaller
doubled.onnx  the same at 40x40, then each pixel four times: 72x72
patches.onnx  any size: a plane without a fixed range, of patches of 14 pixels; what does not fill one is left out
strength.onnx  of R, G, B and one channel more, which it adds to each

Needs no package: the few fields of onnx.proto that occur are written by hand.
"""
import struct
import sys

SIDE = 64


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def data(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def value_info(name, dims, elem=1):
    shape = b"".join(data(1, data(2, d) if isinstance(d, str) else number(1, d) if d > 0 else b"") for d in dims)
    return data(1, name) + data(2, data(1, number(1, elem) + data(2, shape)))


def ints(name, values):
    return data(5, data(1, name) + b"".join(number(8, v) for v in values) + number(20, 7))


def an_int(name, value):
    return data(5, data(1, name) + number(3, value) + number(20, 2))


def a_string(name, value):
    return data(5, data(1, name) + data(4, value) + number(20, 3))


def node(op, inputs, outputs, *attributes):
    outputs = [outputs] if isinstance(outputs, str) else outputs
    named = b"".join(data(1, i) for i in inputs) + b"".join(data(2, o) for o in outputs)
    return data(1, named + data(4, op) + b"".join(attributes))


def floats(name, dims, values):
    return data(5, b"".join(number(1, d) for d in dims) + number(2, 1) + data(8, name)
                + data(9, struct.pack(f"<{len(values)}f", *values)))


def int64s(name, values):
    return data(5, number(1, len(values)) + number(2, 7) + data(8, name)
                + data(9, struct.pack(f"<{len(values)}q", *values)))


def write(path, graph, output, dims, picture=(1, 3, SIDE, SIDE), inputs=("picture",), opset=13, **others):
    """others: inputs before these, of a shape of their own."""
    finish(path, graph, [(i, others[i]) for i in others] + [(i, picture) for i in inputs], [(output, dims)], opset)


def finish(path, graph, inputs, outputs, opset=13):
    graph += data(2, "small") + b"".join(data(11, value_info(*i)) for i in inputs)
    graph += b"".join(data(12, value_info(*o)) for o in outputs)
    with open(path, "wb") as f:
        f.write(number(1, 8) + data(7, graph) + data(8, data(1, "") + number(2, opset)))


def cells():
    """The graph of detect.onnx up to its scores and boxes, and how many there are."""
    graph, scores, boxes = b"", [], []
    for size in 8, 16, 32:
        cells = SIDE // size
        graph += node("AveragePool", ["picture"], f"pool{size}", ints("kernel_shape", [size] * 2), ints("strides", [size] * 2))
        graph += int64s(f"shape{size}", [1, 3, cells * cells])
        graph += node("Reshape", [f"pool{size}", f"shape{size}"], f"rows{size}")
        scores.append(f"rows{size}")
        boxes += [((x + 0.5) * size, (y + 0.5) * size, 1.5 * size, 1.5 * size) for y in range(cells) for x in range(cells)]
    graph += node("Concat", scores, "scores", an_int("axis", 2))
    graph += floats("boxes", [1, 4, len(boxes)], [b[i] for i in range(4) for b in boxes])
    return graph, len(boxes)


def detect(path):
    graph, n = cells()
    graph += node("Concat", ["boxes", "scores"], "cells", an_int("axis", 1))
    write(path, graph, "cells", [1, 7, n])


def masked(path):
    graph, n = cells()
    graph += node("Concat", ["boxes", "scores", "scores"], "cells", an_int("axis", 1)) + floats("half", [], [0.5])
    graph += node("AveragePool", ["picture"], "small", ints("kernel_shape", [4] * 2), ints("strides", [4] * 2))
    graph += node("Sub", ["small", "half"], "prototypes")
    finish(path, graph, [("picture", [1, 3, SIDE, SIDE])], [("cells", [1, 10, n]), ("prototypes", [1, 3, SIDE // 4, SIDE // 4])])


def heatmaps(path):
    graph = node("AveragePool", ["picture"], "heatmaps", ints("kernel_shape", [4, 4]), ints("strides", [4, 4]))
    write(path, graph, "heatmaps", (1, 3, 16, 12), (1, 3, 64, 48))


def movenet(path):
    graph = node("Cast", ["picture"], "floats", an_int("to", 1))
    graph += node("ReduceMean", ["floats"], "mean", ints("axes", [1, 2]), an_int("keepdims", 1))
    graph += floats("times", [1, 1, 17, 3], [0, 0, 0.25] * 17)
    graph += floats("plus", [1, 1, 17, 3], [v for i in range(17) for v in (0.25 + i / 64, 0.5, 0.5)])
    graph += node("Mul", ["mean", "times"], "scores") + node("Add", ["scores", "plus"], "points")
    finish(path, graph, [("picture", (1, 64, 48, 3), 6)], [("points", (1, 1, 17, 3))])


def grids(path):
    biases = [0, 0, 0, 0, -20, 20] * 3
    graph = floats("w", [18, 3, 1, 1], [40 if i == 4 * 3 else 0 for i in range(18 * 3)]) + floats("b", [18], biases)
    outputs = []
    for size in 32, 16, 8:  # as Darknet orders them
        graph += node("AveragePool", ["picture"], f"cells{size}", ints("kernel_shape", [size] * 2), ints("strides", [size] * 2))
        graph += node("Conv", [f"cells{size}", "w", "b"], f"grid{size}")
        outputs.append((f"grid{size}", (1, 18, SIDE // size, SIDE // size)))
    finish(path, graph, [("picture", (1, 3, SIDE, SIDE))], outputs)


def segment(path):
    graph = floats("weight", [4, 3, 1, 1], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]) + floats("bias", [4], [0.5, 0, 0, 0])
    graph += node("Conv", ["picture", "weight", "bias"], "classes")
    write(path, graph, "classes", [1, 4, SIDE, SIDE])


def window(path, frames, seen, row=False):
    """The frame number `seen` of those at once."""
    size = [SIDE, SIDE] if row else ["height", "width"]
    weight = [float(k == 3 * seen + c) for c in range(3) for k in range(3 * frames)]
    graph = floats("weight", [3, 3 * frames, 1, 1], weight)
    if row:
        graph += int64s("shape", [1, 3 * frames, SIDE, SIDE]) + node("Reshape", ["picture", "shape"], "channels")
    graph += node("Conv", ["channels" if row else "picture", "weight"], "made")
    write(path, graph, "made", [1, 3] + size, [1, frames, 3] + size if row else [1, 3 * frames] + size)


def clip(path, frames, picture, classes=0):
    """The mean of each frame, ten times; with classes that of all against its reverse."""
    time = 2 if picture[1] == 3 else 1
    axes = [d for d in range(1, 5) if d != time or classes]
    graph = floats("ten", [2] if classes else [], [10, -10] if classes else [10])
    graph += node("ReduceMean", ["picture"], "mean", ints("axes", axes), an_int("keepdims", 0))
    if classes:
        graph += int64s("row", [1, 1]) + node("Reshape", ["mean", "row"], "one") + node("Mul", ["one", "ten"], "scores")
    else:
        graph += node("Mul", ["mean", "ten"], "scores")
    write(path, graph, "scores", [1, classes or frames], picture)


def flow(path, picture, inputs):
    """Of all shifts the one by which the second frame is most like the first, in 5x5 pixels."""
    first, second, graph = "first", "second", b""
    if len(inputs) == 2:
        first, second = inputs
    else:
        if len(picture) == 5:
            graph += int64s("six", [1, 6, SIDE, SIDE]) + node("Reshape", inputs + ["six"], "stacked")
        graph += int64s("threes", [3, 3])
        graph += node("Split", ["stacked" if len(picture) == 5 else inputs[0], "threes"], ["first", "second"], an_int("axis", 1))
    shifts = [(dx, dy) for dy in (-1, 0, 1) for dx in (-2, -1, 0, 1, 2)]
    graph += int64s("sides", [0, 0, 1, 2, 0, 0, 1, 2]) + int64s("axes", [2, 3])
    graph += node("Pad", [second, "sides"], "wide")
    for k, (dx, dy) in enumerate(shifts):
        begin, end = [1 + dy, 2 + dx], [(dy - 1) or 1 << 40, (dx - 2) or 1 << 40]
        graph += int64s(f"b{k}", begin) + int64s(f"e{k}", end) + node("Slice", ["wide", f"b{k}", f"e{k}", "axes"], f"s{k}")
        graph += node("Sub", [first, f"s{k}"], f"d{k}") + node("Abs", [f"d{k}"], f"a{k}")
        graph += node("ReduceMean", [f"a{k}"], f"m{k}", ints("axes", [1]))
    graph += node("Concat", [f"m{k}" for k in range(len(shifts))], "costs", an_int("axis", 1))
    graph += node("AveragePool", ["costs"], "around", ints("kernel_shape", [5, 5]), ints("pads", [2, 2, 2, 2]))
    graph += node("ArgMin", ["around"], "best", an_int("axis", 1), an_int("keepdims", 0))
    graph += floats("table", [len(shifts), 2], [float(v) for s in shifts for v in s])
    graph += node("Gather", ["table", "best"], "last") + node("Transpose", ["last"], "flow", ints("perm", [0, 3, 1, 2]))
    write(path, graph, "flow", [1, 2] + picture[-2:], picture, inputs)


def turned(path):
    graph = int64s("none", [0]) + int64s("four", [4]) + int64s("five", [5]) + int64s("axis", [1])
    graph += node("Slice", ["frames", "four", "five", "axis"], "last") + node("Slice", ["frames", "none", "four", "axis"], "others")
    graph += node("Concat", ["last", "others"], "made", an_int("axis", 1))
    size = [3, "height", "width"]
    finish(path, graph, [("frames", [1, 5] + size)], [("made", [1, 5] + size)])


def each(path):
    """Of three inputs the first; the others count nothing, but in the sum."""
    inputs = ["before", "now", "after"]
    graph = floats("nothing", [], [0]) + node("Add", ["now", "after"], "others") + node("Mul", ["others", "nothing"], "none")
    graph += node("Add", ["before", "none"], "made")
    size = ["height", "width"]
    write(path, graph, "made", [1] + size + [3], [1] + size + [3], inputs)


ANY = [1, 3, "height", "width"]


def delay(path):
    graph = node("Identity", ["state_in"], "made") + node("Identity", ["picture"], "state_out")
    finish(path, graph, [("picture", ANY), ("state_in", ANY)], [("made", ANY), ("state_out", ANY)])


def brightest(path):
    graph = node("Max", ["picture", "h"], "made") + node("Identity", ["made"], "h_out")
    finish(path, graph, [("h", ["n", "c", "y", "x"]), ("picture", ANY)],
           [("h_out", ["n2", "c2", "y2", "x2"]), ("made", ANY)])


def fed_back(path):
    finish(path, node("Max", ["picture", "prev_made"], "made"), [("picture", ANY), ("prev_made", ANY)], [("made", ANY)])


def frame_before(path):
    graph = floats("nothing", [], [0]) + node("Mul", ["frame", "nothing"], "none") + node("Add", ["prev_frame", "none"], "made")
    finish(path, graph, [("frame", ANY), ("prev_frame", ANY)], [("made", ANY)])


def coarse(path):
    """The state's name and shape tell nothing but its channels."""
    graph = floats("all", [4, 3, 1, 1], [1 / 3] * 12) + floats("scales", [4], [1, 1, 2, 2])
    graph += node("AveragePool", ["picture"], "small", ints("kernel_shape", [2, 2]), ints("strides", [2, 2]))
    graph += node("Conv", ["small", "all"], "y") + int64s("one", [1]) + int64s("none", [0])
    graph += node("Resize", ["x", "", "scales"], "large") + node("Slice", ["large", "none", "one", "one"], "first")
    graph += node("Max", ["picture", "first"], "made")
    half = [1, 4, -1, -1]
    finish(path, graph, [("picture", ANY), ("x", half)], [("y", half), ("made", ANY)])


def picky(path):
    graph = node("ReduceMin", ["picture"], "least", an_int("keepdims", 0)) + floats("zero", [1], [0])
    graph += floats("little", [], [0.002]) + node("Add", ["least", "little"], "sum")
    graph += node("Cast", ["sum"], "index", an_int("to", 7)) + node("Gather", ["zero", "index"], "nothing")
    graph += node("Add", ["state_in", "nothing"], "made") + node("Identity", ["picture"], "state_out")
    finish(path, graph, [("picture", ANY), ("state_in", ANY)], [("made", ANY), ("state_out", ANY)])


def times(path):
    finish(path, node("Mul", ["picture", "gain"], "made"), [("picture", ANY), ("gain", [1])], [("made", ANY)])


def levels(path):
    some = ["n", 3, "height", "width"]
    graph = node("ReduceMax", ["pictures"], "largest", an_int("keepdims", 0)) + node("Div", ["pictures", "largest"], "made")
    finish(path, graph, [("pictures", some)], [("made", some)])


def matte(path):
    one = [1, 1, "height", "width"]
    graph = int64s("one", [1]) + int64s("none", [0]) + node("Slice", ["src", "none", "one", "one"], "r1o")
    graph += floats("low", [], [0]) + floats("high", [], [1])
    graph += node("Clip", ["src", "low", "high"], "fgr") + node("Clip", ["r1i", "low", "high"], "pha")
    finish(path, graph, [("src", ANY), ("r1i", one)], [("fgr", ANY), ("pha", one), ("r1o", one)])


def depth(path):
    graph = int64s("one", [1]) + int64s("two", [2]) + node("Slice", ["picture", "one", "two", "one"], "green")
    graph += floats("scale", [], [1000]) + node("Mul", ["green", "scale"], "scaled")
    graph += floats("base", [], [300]) + node("Add", ["scaled", "base"], "sum") + node("Relu", ["sum"], "depth")
    finish(path, graph, [("picture", ANY)], [("depth", [1, 1, "height", "width"])])


for make in turned, delay, brightest, fed_back, frame_before, coarse, picky, times, levels, matte, depth:
    make(f"{sys.argv[1]}/{make.__name__}.onnx")


PLANE = ["height", "width"]


def mean(path, inputs):
    graph = floats("half", [], [0.5]) + node("Add", inputs, "sum") + node("Mul", ["sum", "half"], "made")
    write(path, graph, "made", [1, 3] + PLANE, [1, 3] + PLANE, inputs)


def blend(first, second, time, output="made"):
    return node("Sub", [second, first], "change") + node("Mul", ["change", time], "part") + node("Add", [first, "part"], output)


def timed(path, inputs, picture):
    write(path, blend(*inputs, "timestep"), "made", picture, picture, inputs, timestep=[1])


def channels(path, parts):
    """Two frames and planes behind them, all channels of one input."""
    graph = int64s("parts", [3, 3] + [1] * parts)
    planes = ["time", "x", "y", "step_x", "step_y"] if parts > 2 else ["time", "scale"][:parts]
    graph += node("Split", ["picture", "parts"], ["first", "second"] + planes, an_int("axis", 1))
    frames = ["first", "second"]
    if parts == 2:
        graph += node("Mul", ["second", "scale"], "scaled")
        frames[1] = "scaled"
    if parts > 2:
        graph += node("Add", ["x", "step_x"], "right") + node("Add", ["y", "step_y"], "below")
        graph += node("Concat", ["right", "below"], "places", an_int("axis", 1))
        graph += node("Transpose", ["places"], "grid", ints("perm", [0, 2, 3, 1]))
        for i, name in enumerate(frames):
            graph += node("GridSample", [name, "grid"], f"{name}_moved", an_int("align_corners", 1),
                          a_string("padding_mode", "border"))
            frames[i] = f"{name}_moved"
    graph += blend(*frames, "time")
    write(path, graph, "made", [1, 3] + PLANE, [1, 6 + parts] + PLANE, opset=16)


def moments(name, axes):
    """The mean and the standard deviation of each channel."""
    return (node("ReduceMean", [name], f"{name}_mean", ints("axes", axes)) + node("Sub", [name, f"{name}_mean"], f"{name}_off")
            + node("Mul", [f"{name}_off"] * 2, f"{name}_square") + node("ReduceMean", [f"{name}_square"], f"{name}_var", ints("axes", axes))
            + node("Add", [f"{name}_var", "little"], f"{name}_more") + node("Sqrt", [f"{name}_more"], f"{name}_std"))


def paint(name, style_shape, last=False):
    graph = floats("little", [], [1e-5]) + moments("content", [2, 3])
    graph += node("Transpose", ["style"], "look", ints("perm", [0, 3, 1, 2])) if last else node("Identity", ["style"], "look")
    graph += moments("look", [2, 3]) + node("Div", ["content_off", "content_std"], "plain")
    graph += node("Mul", ["plain", "look_std"], "dyed") + node("Add", ["dyed", "look_mean"], "made")
    finish(f"{sys.argv[1]}/{name}.onnx", graph, [("content", ANY), ("style", style_shape)], [("made", ANY)])


def plate():
    one = [1, 1] + PLANE
    graph = node("Sub", ["src", "bgr"], "change") + node("Abs", ["change"], "size") + floats("least", [], [0.2])
    graph += node("ReduceMax", ["size"], "most", ints("axes", [1])) + node("Greater", ["most", "least"], "over")
    graph += node("Cast", ["over"], "flat", an_int("to", 1)) + floats("low", [], [0]) + floats("high", [], [1])
    graph += node("Clip", ["src", "low", "high"], "fgr") + node("Clip", ["flat", "low", "high"], "pha")
    finish(f"{sys.argv[1]}/plate.onnx", graph, [("src", ANY), ("bgr", ANY)], [("fgr", ANY), ("pha", one)])


def tints():
    """The frames' input is of 64x64 as well: they go in tiles, and of the background the same tiles."""
    fixed = [1, 3, SIDE, SIDE]
    graph = int64s("none", [0, 0]) + int64s("ones", [1, 1]) + int64s("sides", [2, 3]) + floats("half", [], [0.5])
    graph += node("Slice", ["swatch", "none", "ones", "sides"], "first") + node("Add", ["picture", "background"], "sum")
    graph += node("Mul", ["sum", "half"], "mean") + node("Mul", ["mean", "first"], "made")
    finish(f"{sys.argv[1]}/tints.onnx", graph, [("swatch", fixed), ("picture", fixed), ("background", fixed)], [("made", fixed)])


def stamped():
    graph = floats("half", [], [0.5]) + node("Add", ["img0", "img1"], "sum") + node("Mul", ["sum", "half"], "mean")
    graph += node("Max", ["mean", "stamp"], "made")
    finish(f"{sys.argv[1]}/stamped.onnx", graph, [("img0", ANY), ("stamp", ANY), ("img1", ANY)], [("made", ANY)])


def narrow():
    graph = floats("corner", [3, 1, 5, 5], [float(i % 25 == 0) for i in range(75)])
    graph += node("Conv", ["picture", "corner"], "made", an_int("group", 3))
    write(f"{sys.argv[1]}/narrow.onnx", graph, "made", [1, 3, "low", "thin"], ANY)
    graph = floats("corner", [3, 1, 5, 5], [float(i % 25 == 0) for i in range(75)]) + floats("four", [3, 1, 2, 2], [1.0] * 12)
    graph += node("Conv", ["picture", "corner"], "part", an_int("group", 3))
    graph += node("ConvTranspose", ["part", "four"], "made", an_int("group", 3), ints("strides", [2, 2]))
    write(f"{sys.argv[1]}/doubled.onnx", graph, "made", [1, 3, 72, 72], [1, 3, 40, 40])


def strength():
    graph = floats("sum", [3, 4, 1, 1], [1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1]) + node("Conv", ["picture", "sum"], "made")
    write(f"{sys.argv[1]}/strength.onnx", graph, "made", ANY, [1, 4, "height", "width"])


def patches():
    graph = floats("in", [1, 3, 14, 14], [1 / 588] * 588) + floats("out", [1, 1, 14, 14], [1.0] * 196)
    graph += node("Conv", ["picture", "in"], "patch", ints("strides", [14, 14]))
    graph += node("ConvTranspose", ["patch", "out"], "depth", ints("strides", [14, 14]))
    write(f"{sys.argv[1]}/patches.onnx", graph, "depth", [1, 1, "low", "thin"], ANY)


def coloured(graph, light, weights, biases, name):
    graph += node("AveragePool", [light], "mean", ints("kernel_shape", [4] * 2), ints("strides", [4] * 2))
    graph += floats("weight", [2, 1, 1, 1], weights) + floats("bias", [2], biases)
    return graph + node("Conv", ["mean", "weight", "bias"], name)


def colouring():
    side = [1, 1, SIDE, SIDE]
    graph = floats("fifty", [], [50]) + floats("hundred", [], [100])
    graph += node("Sub", ["light", "fifty"], "centred") + node("Div", ["centred", "hundred"], "half")
    graph = coloured(graph, "half", [60, -40], [15, 10], "made")
    finish(f"{sys.argv[1]}/lightness.onnx", graph, [("light", side)], [("made", [1, 2, SIDE // 4, SIDE // 4])])
    graph = coloured(b"", "data_l", [0.006, -0.004], [0.15, 0.1], "inner") + node("Tanh", ["inner"], "class8_ab")
    any_size = [1, 1, "height", "width"]
    finish(f"{sys.argv[1]}/halved.onnx", graph, [("data_l", any_size)], [("class8_ab", [1, 2, "low", "narrow"])])
    graph = floats("weight", [2, 3, 1, 1], [20, 10, 10, -10, -20, -30]) + floats("bias", [2], [5, 20])
    graph += node("Conv", ["picture", "weight", "bias"], "made")
    write(f"{sys.argv[1]}/tinted.onnx", graph, "made", [1, 2, SIDE, SIDE])
    graph = floats("weight", [3, 3, 1, 1], [0.9, 0, 0, 0, 0.7, 0, 0, 0, 0.4]) + node("Conv", ["picture", "weight"], "made")
    write(f"{sys.argv[1]}/repainted.onnx", graph, "made", ANY, ANY)


colouring()
narrow()
strength()
patches()
stamped()
paint("painted", [1, 3, "style_height", "style_width"])
paint("swatch", [1, 32, 32, 3], last=True)
plate()
tints()
detect(sys.argv[1] + "/detect.onnx")
masked(sys.argv[1] + "/masked.onnx")
heatmaps(sys.argv[1] + "/heatmaps.onnx")
movenet(sys.argv[1] + "/movenet.onnx")
grids(sys.argv[1] + "/yolov3-red.onnx")
grids(sys.argv[1] + "/unknown_grids.onnx")
segment(sys.argv[1] + "/segment.onnx")
window(sys.argv[1] + "/behind.onnx", 3, 2)
window(sys.argv[1] + "/before.onnx", 5, 0)
window(sys.argv[1] + "/now.onnx", 3, 1)
window(sys.argv[1] + "/oldest.onnx", 15, 0)
window(sys.argv[1] + "/newest.onnx", 15, 14)
window(sys.argv[1] + "/row.onnx", 5, 4, row=True)
each(sys.argv[1] + "/each.onnx")
flow(sys.argv[1] + "/flow.onnx", [1, 3, SIDE, SIDE], ["image1", "image2"])
flow(sys.argv[1] + "/flow_six.onnx", [1, 6, SIDE, SIDE], ["images"])
flow(sys.argv[1] + "/flow_row.onnx", [1, 2, 3, SIDE, SIDE], ["images"])
flow(sys.argv[1] + "/flow_any.onnx", [1, 3, "height", "width"], ["here", "there"])
write(sys.argv[1] + "/apart.onnx", node("ReduceMean", ["picture"], "made", ints("axes", [2]), an_int("keepdims", 0)),
      "made", [1, 3, 16, 16], [1, 3, 5, 16, 16])
clip(sys.argv[1] + "/clip.onnx", 8, [1, 3, 8, 16, 16])
clip(sys.argv[1] + "/clip_row.onnx", 8, [1, 8, 3, 16, 16])
clip(sys.argv[1] + "/clip_last.onnx", "frames", [1, "frames", 16, 16, 3])
clip(sys.argv[1] + "/clip_dark.onnx", 5, [1, 3, 5, 16, 16], classes=2)
mean(sys.argv[1] + "/middle.onnx", ["img0", "img1"])
mean(sys.argv[1] + "/style.onnx", ["content", "style"])
timed(sys.argv[1] + "/timed.onnx", ["img0", "img1"], [1, 3] + PLANE)
timed(sys.argv[1] + "/last.onnx", ["x0", "x1"], [1] + PLANE + [3])
channels(sys.argv[1] + "/seven.onnx", 1)
channels(sys.argv[1] + "/eight.onnx", 2)
channels(sys.argv[1] + "/eleven.onnx", 5)
