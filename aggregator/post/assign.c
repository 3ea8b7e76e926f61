// SPDX-License-Identifier: MIT
//
// Assigns rows to columns by shortest augmenting paths (the Hungarian method in the form of Jonker and
// Volgenant, 1987). See assign.h.
#include "aggregator/post/assign.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

// n <= m. Rows and columns are counted from 1; 0 stands for none.
struct problem {
    const float *weight;
    int n, m;
    bool turned; // the weights are (m, n)
    double *u, *v, *least;
    int *row_of, *from;
    bool *seen;
};

static double cost(const struct problem *p, int row, int col)
{
    const size_t r = (size_t)row - 1, c = (size_t)col - 1;
    return -(double)p->weight[p->turned ? c * (size_t)p->n + r : r * (size_t)p->m + c];
}

// The column that the cheapest path reaches next. Brings the potentials up to it.
static int next_column(struct problem *p, int col)
{
    const int row = p->row_of[col];
    double step = INFINITY;
    int next = 0;
    for (int j = 1; j <= p->m; j++) {
        if (p->seen[j]) continue;
        const double d = cost(p, row, j) - p->u[row] - p->v[j];
        if (d < p->least[j]) p->least[j] = d, p->from[j] = col;
        if (p->least[j] < step) step = p->least[j], next = j;
    }
    for (int j = 0; j <= p->m; j++)
        if (p->seen[j])
            p->u[p->row_of[j]] += step, p->v[j] -= step;
        else
            p->least[j] -= step;
    return next;
}

static void place(struct problem *p, int row)
{
    for (int j = 0; j <= p->m; j++) p->least[j] = INFINITY, p->seen[j] = false;
    p->row_of[0] = row;
    int col = 0;
    do {
        p->seen[col] = true;
        col = next_column(p, col);
    } while (p->row_of[col]);
    for (; col; col = p->from[col]) p->row_of[col] = p->row_of[p->from[col]];
}

enum reel_err assign(const float *weight, int rows, int cols, int *out)
{
    const bool turned = rows > cols;
    struct problem p = {.weight = weight, .n = turned ? cols : rows, .m = turned ? rows : cols, .turned = turned};
    for (int i = 0; i < rows; i++) out[i] = -1;
    if (!p.n) return REEL_OK;
    const size_t room = (size_t)p.m + 1;
    double *numbers = calloc(3 * room, sizeof *numbers);
    int *indices = calloc(2 * room, sizeof *indices);
    p.seen = calloc(room, sizeof *p.seen);
    enum reel_err err = REEL_OK;
    if (numbers && indices && p.seen) {
        p.u = numbers, p.v = numbers + room, p.least = numbers + 2 * room;
        p.row_of = indices, p.from = indices + room;
        for (int row = 1; row <= p.n; row++) place(&p, row);
        for (int col = 1; col <= p.m; col++) {
            const int row = p.row_of[col];
            if (row && cost(&p, row, col) < 0) out[turned ? col - 1 : row - 1] = turned ? row - 1 : col - 1;
        }
    } else {
        err = reel_fail(REEL_ERR_NOMEM, "could not match %d objects: out of memory", rows);
    }
    free(numbers);
    free(indices);
    free(p.seen);
    return err;
}
