// SPDX-License-Identifier: MIT
//
// A mixed-radix Fourier transform for one element type, by decimation in
// frequency; included by signal.c with REAL and FN(name) defined. Numbers are
// interleaved real and imaginary parts. It has no include guard on purpose.

// to = a * root
static inline void FN(turn)(REAL *to, const REAL *a, const double *root)
{
    REAL c = (REAL)root[0], s = (REAL)root[1], re = a[0] * c - a[1] * s, im = a[0] * s + a[1] * c;
    to[0] = re, to[1] = im;
}

static void FN(butterfly2)(REAL *t)
{
    REAL re = t[2], im = t[3];
    t[2] = t[0] - re, t[3] = t[1] - im;
    t[0] += re, t[1] += im;
}

// sign: +1 for the inverse transform, whose roots turn the other way
static void FN(butterfly4)(REAL *t, REAL sign)
{
    REAL ar = t[0] + t[4], ai = t[1] + t[5], br = t[0] - t[4], bi = t[1] - t[5];
    REAL cr = t[2] + t[6], ci = t[3] + t[7], dr = t[2] - t[6], di = t[3] - t[7];
    t[0] = ar + cr, t[1] = ai + ci;
    t[4] = ar - cr, t[5] = ai - ci;
    t[2] = br - sign * di, t[3] = bi + sign * dr;
    t[6] = br + sign * di, t[7] = bi - sign * dr;
}

// An odd number of points: sums and differences of mirrored points meet cosines
// and sines. roots: the p-th roots of one, `step` numbers apart.
static void FN(butterfly_odd)(REAL *t, int64_t p, const double *roots, int64_t step, REAL *room)
{
    int64_t half = p / 2;
    REAL *sum = room, *diff = room + 2 * (half + 1), first[2] = {t[0], t[1]}, re = t[0], im = t[1];
    for (int64_t j = 1; j <= half; j++)
        for (int c = 0; c < 2; c++) {
            sum[2 * j + c] = t[2 * j + c] + t[2 * (p - j) + c];
            diff[2 * j + c] = t[2 * j + c] - t[2 * (p - j) + c];
        }
    for (int64_t j = 1; j <= half; j++) re += sum[2 * j], im += sum[2 * j + 1];
    t[0] = re, t[1] = im;
    for (int64_t k = 1; k <= half; k++) {
        REAL even_re = first[0], even_im = first[1], odd_re = 0, odd_im = 0;
        for (int64_t j = 1; j <= half; j++) {
            const double *root = roots + 2 * step * (j * k % p);
            REAL c = (REAL)root[0], s = (REAL)root[1];
            even_re += c * sum[2 * j], even_im += c * sum[2 * j + 1];
            odd_re += s * diff[2 * j + 1], odd_im += s * diff[2 * j];
        }
        t[2 * k] = even_re - odd_re, t[2 * k + 1] = even_im + odd_im;
        t[2 * (p - k)] = even_re + odd_re, t[2 * (p - k) + 1] = even_im - odd_im;
    }
}

// Transforms `in` (n numbers) to out, whose numbers are `stride` apart. level
// counts the factors used so far; work has room for 2 n numbers.
static void FN(decimate)(const struct fourier *f, int level, int64_t n, const REAL *in, REAL *out, int64_t stride,
                         REAL *work)
{
    if (n == 1) {
        out[0] = in[0], out[1] = in[1];
        return;
    }
    int64_t p = f->factor[level], m = n / p, unit = f->n / n;
    REAL *t = (REAL *)f->points, *room = t + 2 * p;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < p; j++) t[2 * j] = in[2 * (i + j * m)], t[2 * j + 1] = in[2 * (i + j * m) + 1];
        if (p == 2)
            FN(butterfly2)(t);
        else if (p == 4)
            FN(butterfly4)(t, f->inverse ? 1 : -1);
        else
            FN(butterfly_odd)(t, p, f->roots, f->n / p, room);
        for (int64_t k = 0; k < p; k++) FN(turn)(work + 2 * (k * m + i), t + 2 * k, f->roots + 2 * (i * k * unit));
    }
    for (int64_t k = 0; k < p; k++)
        FN(decimate)(f, level + 1, m, work + 2 * k * m, out + 2 * k * stride, stride * p, work + 2 * n);
}

// Transforms x (n numbers) in place and multiplies by factor.
static void FN(transform)(const struct fourier *f, REAL *x, REAL factor)
{
    REAL *out = f->work;
    FN(decimate)(f, 0, f->n, x, out, 1, out + 2 * f->n);
    for (int64_t i = 0; i < 2 * f->n; i++) x[i] = out[i] * factor;
}
