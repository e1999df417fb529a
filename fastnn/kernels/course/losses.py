"""The course's cross-entropy, term by term in its own unstable form, and sums in NumPy's order."""

import numpy as np
from numba import prange

from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.compiler.simd import fma, get, lanes_of, load_part, pointer, splat, store_part, total, where
from fastnn.kernels.course.activations import log, span


@inner
def cross_entropy_terms(a, y, skip_nan):
    """-log(a) y - log(1 - a) (1 - y); log(0) is -inf, and 0 * inf is nan, or 0 with `skip_nan`."""
    term = log(a) * -1.0 * y + log(1.0 - a) * -1.0 * (1.0 - y)
    if skip_nan:
        term = where(term != term, 0.0, term)
    return term


@inner
def cross_entropy_span(a, a_at, y, y_at, terms, at, size, skip_nan):
    """Cross-entropy of `size` elements: terms[at + j] is that of a[a_at + j] against y[y_at + j].

    `skip_nan` is as in `cross_entropy_terms`.
    """
    lanes = lanes_of(a)
    for j in range(0, size, lanes):
        n = size - j
        a_, y_ = load_part(a, a_at + j, n), load_part(y, y_at + j, n)
        store_part(terms, at + j, cross_entropy_terms(a_, y_, skip_nan), n)


@inner
def _sum_leaf(x, lo, n):
    # np.add.reduce adds up to 128 contiguous numbers in 8 interleaved partial sums.
    tail = lo
    s = get(x, lo) * 0
    if n >= 8:
        r0, r1, r2, r3 = get(x, lo), get(x, lo + 1), get(x, lo + 2), get(x, lo + 3)
        r4, r5, r6, r7 = get(x, lo + 4), get(x, lo + 5), get(x, lo + 6), get(x, lo + 7)
        tail = lo + n // 8 * 8
        for j in range(lo + 8, tail, 8):
            r0 += get(x, j)
            r1 += get(x, j + 1)
            r2 += get(x, j + 2)
            r3 += get(x, j + 3)
            r4 += get(x, j + 4)
            r5 += get(x, j + 5)
            r6 += get(x, j + 6)
            r7 += get(x, j + 7)
        s = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    elif n > 0:
        s = get(x, lo)
        tail = lo + 1
    for j in range(tail, lo + n):
        s += get(x, j)
    return s


@inner
def pairwise_sum(x, size):
    """Sum of `size` numbers in the order of np.sum, so that printed costs agree to the last digit.

    NumPy halves the range, down to 128 numbers, and adds the two sums. The recursion is spelled out: numba 0.68
    crashes on a function that calls itself once it comes from the cache.
    """
    start, length, halves_done = np.zeros(64, np.int64), np.zeros(64, np.int64), np.zeros(64, np.int64)
    left = np.zeros(64)
    length[0] = size
    depth = 0
    result = 0.0
    while depth >= 0:
        lo, n = start[depth], length[depth]
        half = n // 2 // 8 * 8
        if n <= 128:
            result = _sum_leaf(x, lo, n)
            depth -= 1
        elif halves_done[depth] == 0:
            halves_done[depth] = 1
            depth += 1
            start[depth], length[depth], halves_done[depth] = lo, half, 0
        elif halves_done[depth] == 1:
            halves_done[depth] = 2
            left[depth] = result
            depth += 1
            start[depth], length[depth], halves_done[depth] = lo + half, n - half, 0
        else:
            result = left[depth] + result
            depth -= 1
    return result


@parallel_kernel
def cross_entropy(A, Y, terms, skip_nan, n_threads):
    """Sum of the cross-entropy of all elements of A against Y; `terms` is flat scratch of their size."""
    if n_threads == 1:
        cross_entropy_span(pointer(A), 0, pointer(Y), 0, pointer(terms), 0, A.size, skip_nan)
    else:
        for part in prange(n_threads):
            lo, hi = span(A.size, part, n_threads, 64)
            cross_entropy_span(pointer(A), lo, pointer(Y), lo, pointer(terms), lo, hi - lo, skip_nan)
    return pairwise_sum(pointer(terms), A.size)


SQUARES_PER_SUM = 16384


@inner
def _square_sum(w, lo, hi):
    lanes = lanes_of(w)
    c = splat(w, 0)
    for j in range(lo, hi, lanes):
        x = load_part(w, j, hi - j)
        c = fma(x, x, c)
    return total(c)


@inner
def _square_sums(W, partial, part, parts):
    for k in range(part, partial.size, parts):
        lo = k * SQUARES_PER_SUM
        partial[k] = _square_sum(pointer(W), lo, min(lo + SQUARES_PER_SUM, W.size))


@parallel_kernel
def square_sum(W, partial, n_threads):
    """Sum of the squares of W; `partial` is scratch for one number per SQUARES_PER_SUM elements.

    The blocks do not depend on the number of threads, so the sum does not either.
    """
    if n_threads == 1:
        _square_sums(W, partial, 0, 1)
    else:
        for part in prange(n_threads):
            _square_sums(W, partial, part, n_threads)
    return pairwise_sum(pointer(partial), partial.size)
