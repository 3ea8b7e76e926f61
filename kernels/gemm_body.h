// SPDX-License-Identifier: MIT
//
// The body of one matrix product; included by gemm.c once per element type with
// REAL, VEC (GEMM_NR of REAL), and FN(name) defined. Goto's blocking: panels of
// B (KC x NR) and of A (MR x KC) are packed, a micro kernel keeps an MR x NR
// tile of C in registers. It has no include guard on purpose.

static void FN(pack_a)(REAL *dst, const REAL *a, int64_t a_row, int64_t a_col, int64_t rows, int64_t depth)
{
    for (int64_t p = 0; p < depth; p++)
        for (int64_t i = 0; i < GEMM_MR; i++) dst[p * GEMM_MR + i] = i < rows ? a[i * a_row + p * a_col] : 0;
}

static void FN(pack_b)(REAL *dst, const REAL *b, int64_t b_row, int64_t b_col, int64_t depth, int64_t cols)
{
    for (int64_t p = 0; p < depth; p++, dst += GEMM_NR) {
        if (b_col == 1 && cols == GEMM_NR) {
            memcpy(dst, b + p * b_row, sizeof(REAL) * GEMM_NR);
            continue;
        }
        for (int64_t j = 0; j < GEMM_NR; j++) dst[j] = j < cols ? b[p * b_row + j * b_col] : 0;
    }
}

HOT static void FN(tile)(int64_t depth, const REAL *a, const REAL *b, REAL *c, int64_t c_row, int64_t rows,
                         int64_t cols, bool add)
{
    VEC acc[GEMM_MR] = {0};
    for (int64_t p = 0; p < depth; p++) {
        VEC bv;
        memcpy(&bv, b + p * GEMM_NR, sizeof bv);
#pragma GCC unroll 8
        for (int i = 0; i < GEMM_MR; i++) acc[i] += a[p * GEMM_MR + i] * bv;
    }
    for (int i = 0; i < rows; i++) {
        REAL row[GEMM_NR];
        memcpy(row, &acc[i], sizeof row);
        REAL *to = c + i * c_row;
        if (add)
            for (int64_t j = 0; j < cols; j++) to[j] += row[j];
        else
            for (int64_t j = 0; j < cols; j++) to[j] = row[j];
    }
}

bool FN(gemm)(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t a_row, int64_t a_col, const REAL *b,
              int64_t b_row, int64_t b_col, REAL *c, int64_t c_row, bool accumulate)
{
    if (m <= 0 || n <= 0) return true;
    if (k <= 0) {
        for (int64_t i = 0; !accumulate && i < m; i++) memset(c + i * c_row, 0, sizeof(REAL) * (size_t)n);
        return true;
    }
    int64_t kc = k < GEMM_KC ? k : GEMM_KC, nc = n < GEMM_NC ? n : GEMM_NC;
    int64_t nc_padded = (nc + GEMM_NR - 1) / GEMM_NR * GEMM_NR;
    size_t b_bytes = sizeof(REAL) * (size_t)(kc * nc_padded), a_bytes = sizeof(REAL) * (size_t)(kc * GEMM_MR);
    REAL *packed = aligned_alloc(64, (b_bytes + a_bytes + 127) / 64 * 64);
    if (!packed) return false;
    REAL *packed_a = packed + kc * nc_padded;

    for (int64_t j0 = 0; j0 < n; j0 += nc) {
        int64_t cols = n - j0 < nc ? n - j0 : nc;
        for (int64_t p0 = 0; p0 < k; p0 += kc) {
            int64_t depth = k - p0 < kc ? k - p0 : kc;
            for (int64_t j = 0; j < cols; j += GEMM_NR)
                FN(pack_b)
                (packed + j * depth, b + p0 * b_row + (j0 + j) * b_col, b_row, b_col, depth,
                 cols - j < GEMM_NR ? cols - j : GEMM_NR);
            bool add = accumulate || p0 > 0;
            for (int64_t i = 0; i < m; i += GEMM_MR) {
                int64_t rows = m - i < GEMM_MR ? m - i : GEMM_MR;
                FN(pack_a)(packed_a, a + i * a_row + p0 * a_col, a_row, a_col, rows, depth);
                for (int64_t j = 0; j < cols; j += GEMM_NR)
                    FN(tile)
                    (depth, packed_a, packed + j * depth, c + i * c_row + j0 + j, c_row, rows,
                     cols - j < GEMM_NR ? cols - j : GEMM_NR, add);
            }
        }
    }
    free(packed);
    return true;
}
