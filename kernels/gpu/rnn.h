// SPDX-License-Identifier: MIT
//
// Recurrent layers on a GPU: all steps of RNN, GRU and LSTM (ONNX, opset 14). The products with
// the inputs have been computed before. The rules are those of ops.h.
#ifndef REEL_KERNELS_GPU_RNN_H
#define REEL_KERNELS_GPU_RNN_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

enum gpu_cell { GPU_CELL_RNN, GPU_CELL_GRU, GPU_CELL_LSTM };

struct gpu_activation {
    int op; // enum gpu_op without an operand
    float alpha, beta;
};

// Gates are in ONNX's order: GRU z r h, LSTM i o f c. A layer's states are kept in shared
// memory, so hidden is at most GPU_RNN_MOST_HIDDEN.
struct gpu_rnn {
    int kind;                    // enum gpu_cell
    int xw_elem, r_elem, y_elem; // y_elem: of all three results
    int h_elem, c_elem;          // of the initial states
    int steps, batch, hidden, directions;
    bool reverse;     // the only direction is the reverse one
    bool batch_first; // of the results and initial states
    bool linear_before_reset, input_forget;
    float clip;                      // 0: none
    struct gpu_activation act[2][3]; // of each direction
};
#define GPU_RNN_MOST_HIDDEN 1024

// Number of gates of a cell.
#define GPU_RNN_GATES(kind) ((kind) == GPU_CELL_RNN ? 1 : (kind) == GPU_CELL_GRU ? 3 : 4)

struct gpu_rnn_data {
    const void *xw;        // (batch,steps,directions,gates*hidden)
    const void *r;         // (directions,hidden,gates*hidden): transposed
    const float *bias;     // (directions,gates*hidden), then (directions,hidden) beside h in GRU's reset product
    const float *peep;     // (directions,3,hidden), i o f; NULL: none
    const int32_t *length; // (batch), limited to 0..steps; NULL: steps
    const void *h, *c;     // initial states, (directions,batch,hidden) or batch first; NULL: zeros
    void *y; // (steps,directions,batch,hidden) or (batch,steps,directions,hidden); the three results may be NULL
    void *last_h, *last_c;
};
int gpu_rnn(const struct gpu_rnn *p, const struct gpu_rnn_data *d, void *stream);
void gpu_rnn_ref(const struct gpu_rnn *p, const struct gpu_rnn_data *d);

#ifdef __cplusplus
}
#endif
#endif
