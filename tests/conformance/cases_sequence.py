# SPDX-License-Identifier: MIT
"""Cases of make_cases.py: sequences as exporters write them, optionals, and
loops that unroll."""
import numpy as np

HEAD = '<ir_version: 8, opset_import: ["" : %d]>\n'


def draw(*shape):
    return np.random.default_rng(sum(shape) + len(shape)).uniform(-2, 2, shape).astype(np.float32)


# name: (text, input shapes or arrays[, opset])
CASES = {
    # torch.split and torch.cat, chunks of one size with a rest
    "seq_split_scalar_concat": ("""g (float[2,7,3] x) => (float[2,7,3] y) {
        n = Constant <value_int = 3> ()
        s = SplitToSequence <axis = 1> (x, n)
        y = ConcatFromSequence <axis = 1> (s) }""", [(2, 7, 3)]),
    "seq_split_list_at": ("""g (float[2,6] x) => (float[2,3] y, float[2,1] z) {
        n = Constant <value_ints = [1, 2, 3]> ()
        s = SplitToSequence <axis = -1> (x, n)
        last = Constant <value_int = -1> ()
        first = Constant <value_int = 0> ()
        y = SequenceAt (s, last)
        z = SequenceAt (s, first) }""", [(2, 6)]),
    # torch.unbind and torch.stack on another axis
    "seq_unbind_stack": ("""g (float[3,4,5] x) => (float[4,3,5] y) {
        s = SplitToSequence <axis = 0, keepdims = 0> (x)
        y = ConcatFromSequence <axis = 1, new_axis = 1> (s) }""", [(3, 4, 5)]),
    "seq_unbind_stack_behind": ("""g (float[3,4] x) => (float[4,3] y) {
        s = SplitToSequence <axis = 0, keepdims = 0> (x)
        y = ConcatFromSequence <axis = -1, new_axis = 1> (s) }""", [(3, 4)]),
    # keepdims counts only without a split
    "seq_split_keepdims_ignored": ("""g (float[4,2] x) => (float[4,2] y) {
        n = Constant <value_int = 1> ()
        s = SplitToSequence <axis = 0, keepdims = 0> (x, n)
        y = ConcatFromSequence <axis = 0> (s) }""", [(4, 2)]),
    "seq_split_int32_list": ("""g (float[5] x) => (float[5] y) {
        n = Constant <value = int32[2] {4, 1}> ()
        s = SplitToSequence (x, n)
        y = ConcatFromSequence <axis = 0> (s) }""", [(5,)]),
    "seq_split_one": ("""g (float[1,3] x) => (float[1,3] y) {
        s = SplitToSequence (x)
        y = ConcatFromSequence <axis = -2> (s) }""", [(1, 3)]),
    # a list of constants: extents of the input
    "seq_unbind_shape": ("""g (float[2,6,4] x) => (float[4,12] y) {
        n = Shape (x)
        s = SplitToSequence <keepdims = 0> (n)
        zero = Constant <value_int = 0> ()
        one = Constant <value_int = 1> ()
        two = Constant <value_int = 2> ()
        a = SequenceAt (s, zero)
        b = SequenceAt (s, one)
        c = SequenceAt (s, two)
        ab = Mul (a, b)
        t = SequenceConstruct (c, ab)
        m = ConcatFromSequence <axis = 0, new_axis = 1> (t)
        y = Reshape (x, m) }""", [(2, 6, 4)]),
    "seq_split_constant": ("""g (float[2] x) => (float[2] y) {
        k = Constant <value = float[6] {1, 2, 3, 4, 5, 6}> ()
        n = Constant <value_int = 2> ()
        s = SplitToSequence (k, n)
        one = Constant <value_int = 1> ()
        v = SequenceAt (s, one)
        y = Mul (x, v) }""", [(2,)]),
    # lists that are built, changed and read
    "seq_insert_erase": ("""g (float[2] a, float[2] b, float[2] c) => (float[4] y, int64 n) {
        s0 = SequenceEmpty ()
        s1 = SequenceInsert (s0, a)
        s2 = SequenceInsert (s1, b)
        zero = Constant <value_int = 0> ()
        s3 = SequenceInsert (s2, c, zero)
        minus = Constant <value_int = -2> ()
        s4 = SequenceErase (s3, minus)
        y = ConcatFromSequence <axis = 0> (s4)
        n = SequenceLength (s4) }""", [(2,), (2,), (2,)]),
    "seq_insert_negative": ("""g (float[2] a, float[2] b, float[2] c) => (float[3,2] y) {
        s = SequenceConstruct (a, b)
        at = Constant <value_int = -1> ()
        t = SequenceInsert (s, c, at)
        y = ConcatFromSequence <axis = 0, new_axis = 1> (t) }""", [(2,), (2,), (2,)]),
    "seq_erase_last": ("""g (float[2] a, float[3] b) => (float[2] y, int64 n) {
        s = SequenceConstruct (a, b)
        t = SequenceErase (s)
        u = Identity (t)
        y = ConcatFromSequence <axis = 0> (u)
        n = SequenceLength (u) }""", [(2,), (3,)], 16),
    "seq_at_int32": ("""g (float[2] a, float[3] b) => (float[3] y) {
        s = SequenceConstruct (a, b)
        i = Constant <value = int32 {1}> ()
        y = SequenceAt (s, i) }""", [(2,), (3,)]),
    # a position that comes from a length
    "seq_at_computed": ("""g (float[6,2] x) => (float[1,2] y) {
        s = SplitToSequence <axis = 0> (x)
        n = SequenceLength (s)
        two = Constant <value_int = 2> ()
        at = Sub (n, two)
        y = SequenceAt (s, at) }""", [(6, 2)]),
    "seq_split_from_shape": ("""g (float[1,8,3,3] x) => (float[1,8,3,3] y) {
        sh = Shape (x)
        one = Constant <value_int = 1> ()
        c = Gather (sh, one)
        two = Constant <value_int = 2> ()
        half = Div (c, two)
        s = SplitToSequence <axis = 1> (x, half)
        zero = Constant <value_int = 0> ()
        a = SequenceAt (s, zero)
        b = SequenceAt (s, one)
        y = Concat <axis = 1> (b, a) }""", [(1, 8, 3, 3)]),
    "seq_of_ints": ("""g (int64[4] x) => (int64[2,2] y) {
        n = Constant <value_int = 2> ()
        s = SplitToSequence (x, n)
        y = ConcatFromSequence <axis = 0, new_axis = 1> (s) }""", [np.arange(4)]),
    "seq_twice_same": ("""g (float[2] a) => (float[6] y) {
        s = SequenceConstruct (a, a, a)
        y = ConcatFromSequence <axis = 0> (s) }""", [(2,)]),
    # scalars of a sequence become a vector
    "seq_stack_scalars": ("""g (float a, float b) => (float[2] y) {
        s = SequenceConstruct (a, b)
        y = ConcatFromSequence <axis = 0, new_axis = 1> (s) }""", [np.float32(3), np.float32(-1)]),
    # branches: chosen before the run, and within one that is not
    "seq_if_constant": ("""g (float[2] a, float[2] b) => (float[4] y) {
        t = Constant <value = bool {1}> ()
        s = If (t) <then_branch = th () => (seq(float[2]) p) { p = SequenceConstruct (b, a) },
                    else_branch = el () => (seq(float[2]) q) { q = SequenceConstruct (a) }>
        y = ConcatFromSequence <axis = 0> (s) }""", [(2,), (2,)]),
    "seq_inside_branch": ("""g (bool c, float[4] a) => (float[4] y) {
        y = If (c) <then_branch = th () => (float[4] p) {
                      n = Constant <value_int = 1> ()
                      s = SplitToSequence (a, n)
                      i = Constant <value_int = 2> ()
                      e = SequenceErase (s, i)
                      f = SequenceInsert (e, a1)
                      p = ConcatFromSequence <axis = 0> (f) },
                    else_branch = el () => (float[4] q) { q = Neg (a) }>
        }""".replace("float[4] a)", "float[4] a, float[1] a1)"), [np.array(True), (4,), (1,)]),
    "seq_outer_read_in_branch": ("""g (bool c, float[4] a) => (float[2] y) {
        n = Constant <value_int = 2> ()
        s = SplitToSequence (a, n)
        y = If (c) <then_branch = th () => (float[2] p) {
                      i = Constant <value_int = 1> ()
                      p = SequenceAt (s, i) },
                    else_branch = el () => (float[2] q) {
                      i = Constant <value_int = 0> ()
                      q = SequenceAt (s, i) }>
        }""", [np.array(False), (4,)]),
    # loops: for i in range(n): out.append(f(xs[i]))
    "seq_loop_append": ("""g (float[3,2] x) => (float[3,2] y) {
        s = SplitToSequence <axis = 0, keepdims = 0> (x)
        n = SequenceLength (s)
        t = Constant <value = bool {1}> ()
        e = SequenceEmpty ()
        r = Loop (n, t, e) <body = b (int64 i, bool c, seq(float[2]) l) => (bool c2, seq(float[2]) l2) {
              c2 = Identity (c)
              v = SequenceAt (s, i)
              f = CastLike (i, v)
              w = Mul (v, f)
              l2 = SequenceInsert (l, w) }>
        y = ConcatFromSequence <axis = 0, new_axis = 1> (r) }""", [(3, 2)]),
    # while len(l) < 3: the condition is computed from the sequence
    "seq_loop_while": ("""g (float[2] a) => (float[3,2] y) {
        t = Constant <value = bool {1}> ()
        e = SequenceConstruct (a)
        three = Constant <value_int = 3> ()
        r = Loop ("", t, e) <body = b (int64 i, bool c, seq(float[2]) l) => (bool c2, seq(float[2]) l2) {
              one = Constant <value_int = -1> ()
              v = SequenceAt (l, one)
              w = Add (v, v)
              l2 = SequenceInsert (l, w)
              n = SequenceLength (l2)
              c2 = Less (n, three) }>
        y = ConcatFromSequence <axis = 0, new_axis = 1> (r) }""", [(2,)]),
    "seq_loop_nested": ("""g (float[2,3] x) => (float[6] y) {
        two = Constant <value_int = 2> ()
        three = Constant <value_int = 3> ()
        t = Constant <value = bool {1}> ()
        e = SequenceEmpty ()
        r = Loop (two, t, e) <body = b (int64 i, bool c, seq(float) l) => (bool c2, seq(float) l3) {
              c2 = Identity (c)
              row = Gather <axis = 0> (x, i)
              l3 = Loop (three, c, l) <body = bb (int64 j, bool d, seq(float) m) => (bool d2, seq(float) m2) {
                    d2 = Identity (d)
                    v = Gather <axis = 0> (row, j)
                    m2 = SequenceInsert (m, v, i) }> }>
        y = ConcatFromSequence <axis = 0, new_axis = 1> (r) }""", [(2, 3)]),
    # an If within the loop that the turn's number decides
    "seq_loop_if": ("""g (float[2] a) => (float[6] y) {
        n = Constant <value_int = 3> ()
        t = Constant <value = bool {1}> ()
        one = Constant <value_int = 1> ()
        e = SequenceEmpty ()
        r = Loop (n, t, e) <body = b (int64 i, bool c, seq(float[2]) l) => (bool c2, seq(float[2]) l2) {
              c2 = Identity (c)
              mid = Equal (i, one)
              l2 = If (mid) <then_branch = th () => (seq(float[2]) p) { m = Neg (a)
                                                                         p = SequenceInsert (l, m) },
                             else_branch = el () => (seq(float[2]) q) { q = SequenceInsert (l, a) }> }>
        y = ConcatFromSequence <axis = 0> (r) }""", [(2,)]),
    # loops without sequences: carried values, scan outputs, an early end
    "loop_carried_and_scans": ("""g (float[2] a) => (float[2] y, float[4,2] z, int64[4] k) {
        n = Constant <value_int = 4> ()
        t = Constant <value = bool {1}> ()
        y, z, k = Loop (n, t, a) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w, float[2] u, int64 j) {
              c2 = Identity (c)
              w = Add (v, a)
              u = Mul (w, v)
              j = Identity (i) }> }""", [(2,)]),
    "loop_no_condition": ("""g (float[2] a) => (float[2] y) {
        n = Constant <value_int = 3> ()
        y = Loop (n, "", a) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w) {
              c2 = Constant <value = bool {1}> ()
              w = Add (v, v) }> }""", [(2,)]),
    "loop_swaps": ("""g (float[2] a, float[2] b) => (float[2] y, float[2] z) {
        n = Constant <value_int = 3> ()
        t = Constant <value = bool {1}> ()
        y, z = Loop (n, t, a, b) <body = bb (int64 i, bool c, float[2] p, float[2] q) => (bool c2, float[2] q2, float[2] p2) {
              c2 = Identity (c)
              q2 = Identity (q)
              p2 = Identity (p) }> }""", [(2,), (2,)]),
    "loop_never": ("""g (float[2] a) => (float[2] y) {
        n = Constant <value_int = 0> ()
        t = Constant <value = bool {1}> ()
        y = Loop (n, t, a) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w) {
              c2 = Identity (c)
              w = Add (v, v) }> }""", [(2,)]),
    "loop_false_at_once": ("""g (float[2] a) => (float[2] y) {
        n = Constant <value_int = 5> ()
        t = Constant <value = bool {0}> ()
        y = Loop (n, t, a) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w) {
              c2 = Identity (c)
              w = Add (v, v) }> }""", [(2,)]),
    "loop_stops_by_data": ("""g (float[2] a, float m) => (float[2] y) {
        n = Constant <value_int = 9> ()
        t = Constant <value = bool {1}> ()
        y = Loop (n, t, a) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w) {
              w = Add (v, v)
              mx = ReduceMax <keepdims = 0> (w)
              c2 = Less (mx, m) }> }""", [(2,), np.float32(10)]),
    "loop_with_data_branch": ("""g (float[2] a, bool f) => (float[2] y) {
        n = Constant <value_int = 3> ()
        t = Constant <value = bool {1}> ()
        y = Loop (n, t, a) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w) {
              c2 = Identity (c)
              w = If (f) <then_branch = th () => (float[2] p) { p = Add (v, a) },
                          else_branch = el () => (float[2] q) { q = Mul (v, a) }> }> }""", [(2,), np.array(True)]),
    "loop_conv_weights_shared": ("""g (float[1,2,5,5] x, float[2,2,3,3] k) => (float[1,2,5,5] y) {
        n = Constant <value_int = 3> ()
        t = Constant <value = bool {1}> ()
        y = Loop (n, t, x) <body = b (int64 i, bool c, float[1,2,5,5] v) => (bool c2, float[1,2,5,5] w) {
              c2 = Identity (c)
              h = Conv <pads = [1,1,1,1]> (v, k)
              w = Tanh (h) }> }""", [(1, 2, 5, 5), (2, 2, 3, 3)]),
    # optionals
    "optional_round": ("""g (float[2] a) => (float[2] y, bool h, bool n) {
        o = Optional (a)
        y = OptionalGetElement (o)
        h = OptionalHasElement (o)
        e = Optional <type = float[2]> ()
        n = OptionalHasElement (e) }""".replace("e = Optional <type = float[2]> ()\n", "")
                       .replace("OptionalHasElement (e)", "OptionalHasElement ()"), [(2,)], 18),
    # numbers of a sequence's elements that differ
    "seq_concat_ragged": ("""g (float[2,3] a, float[1,3] b) => (float[3,3] y) {
        s = SequenceConstruct (a, b)
        y = ConcatFromSequence <axis = -2> (s) }""", [(2, 3), (1, 3)]),
    "seq_half": ("""g (float16[4,3] x) => (float16[3,4] y) {
        s = SplitToSequence <axis = 0, keepdims = 0> (x)
        y = ConcatFromSequence <axis = 1, new_axis = 1> (s) }""", [draw(4, 3).astype(np.float16)]),
}


# Where the reference implementation is not ONNX: it gives scan outputs of scalars
# and elements of optionals an axis, and mistakes missing conditions and positions.
BY_ORT = {"loop_carried_and_scans", "loop_no_condition", "optional_round", "seq_loop_nested"}


def cases():
    for name, (text, inputs, *opset) in CASES.items():
        arrays = [draw(*i) if isinstance(i, tuple) else i for i in inputs]
        yield name, {"model": HEAD % (opset[0] if opset else 18) + text, "inputs": arrays, "by_ort": name in BY_ORT}
