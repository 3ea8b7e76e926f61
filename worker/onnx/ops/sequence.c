// SPDX-License-Identifier: MIT
//
// The table entries of the operators on sequences and optionals. They vanish
// before anything is computed (graph/sequence.c); what does not is refused there
// with its reason. Here stands only what the importer and the documentation need,
// and the refusal for those who run a graph as it was read.
#include "worker/onnx/ops/work.h"

static enum reel_err unresolved(const struct op_call *call)
{
    (void)call;
    return reel_fail(REEL_ERR_UNSUPPORTED, "its sequence is not known before the run");
}

#define STATIC "lengths and positions known before the run"
#define ENTRY(NAME, SINCE, MIN_IN, MAX_IN, MAX_OUT, LIMITS)                                                      \
    {                                                                                                            \
        "", NAME, SINCE, OPSET_LAST, MIN_IN, MAX_IN, 1, MAX_OUT, TYPES_ANY, OP_SEQUENCE, unresolved, unresolved, \
            LIMITS                                                                                               \
    }

const struct op_def ops_sequence[] = {
    ENTRY("SequenceConstruct", 11, 1, -1, 1, STATIC),
    ENTRY("SequenceEmpty", 11, 0, 0, 1, STATIC),
    ENTRY("SequenceInsert", 11, 2, 3, 1, STATIC),
    ENTRY("SequenceErase", 11, 1, 2, 1, STATIC),
    ENTRY("SequenceAt", 11, 2, 2, 1, STATIC),
    ENTRY("SequenceLength", 11, 1, 1, 1, STATIC),
    ENTRY("SplitToSequence", 11, 1, 2, 1, STATIC),
    ENTRY("ConcatFromSequence", 11, 1, 1, 1, STATIC),
    ENTRY("SequenceMap", 17, 1, -1, -1, STATIC),
    ENTRY("Optional", 15, 0, 1, 1, "whether there is an element is known before the run"),
    ENTRY("OptionalGetElement", 15, 1, 1, 1, "whether there is an element is known before the run"),
    ENTRY("OptionalHasElement", 15, 0, 1, 1, "whether there is an element is known before the run"),
};
const int ops_sequence_count = sizeof ops_sequence / sizeof ops_sequence[0];
