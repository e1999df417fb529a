"""Inverted dropout with given uniform numbers: the course draws them from NumPy's stream."""

from numba import prange

from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.course.activations import span


@inner
def _drop_span(uniform, keep_prob, a, mask, out):
    # Over slices counted from 0: with a lower bound in the index, numba's test for negative ones stays in the loop.
    for j in range(mask.size):
        mask[j] = uniform[j] < keep_prob
    for j in range(out.size):
        out[j] = a[j] * mask[j] / keep_prob


@parallel_kernel
def dropout_forward(uniform, keep_prob, A, D, out, n_threads):
    """D = uniform < keep_prob and out = A D / keep_prob, for flat arrays."""
    if n_threads == 1:
        _drop_span(uniform, keep_prob, A, D, out)
    else:
        for part in prange(n_threads):
            lo, hi = span(A.size, part, n_threads, 64)
            _drop_span(uniform[lo:hi], keep_prob, A[lo:hi], D[lo:hi], out[lo:hi])
