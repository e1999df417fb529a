"""Forward: Z = W A + b and its activation, for whole layers."""

import numpy as np
from numba import prange

from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.compiler.simd import advance, pointer
from fastnn.kernels.course.activations import activation_span, span
from fastnn.kernels.matmul.matrices import strip_columns, strip_product, unpack_row
from fastnn.kernels.matmul.micro_kernel import BIAS


@inner
def _layer_columns(products, W, A_prev, b, Z, A, activation, scratch, strip, part, parts):
    """Part `part` of `parts` of `layer_forward`'s columns, `strip` at a time, with `scratch` for these."""
    n_out, n_in = W.shape
    m = Z.shape[1]
    z, a = pointer(Z), pointer(A)
    lo, hi = span(m, part, parts, 64)
    for j in range(lo, hi, strip):
        n = min(strip, hi - j)
        panels = strip_product(
            pointer(products), pointer(W), n_in, 1, n_out, n_in, BIAS, pointer(b), advance(pointer(A_prev), j), m, n,
            pointer(scratch),
        )  # fmt: skip
        for i in range(n_out):
            row = advance(z, i * m + j)
            unpack_row(panels, i, n_out, n, row)
            activation_span(activation, row, advance(a, i * m + j), n)


@parallel_kernel
def layer_forward(products, W, A_prev, b, Z, A, activation, n_threads):
    """Z = W A_prev + b and A = activation(Z).

    products: from `matmul.matrices`.
    W, A_prev, b: weights [n_out][n_in], the activations [n_in][m] of the layer below, biases [n_out][1].
    Z, A: results [n_out][m], which may be one array.
    activation: RELU or SIGMOID.
    n_threads: how many divide the columns among them.
    """
    units = W.shape[0] + W.shape[1]
    strip = strip_columns(units, Z.shape[1], pointer(Z))
    if n_threads == 1:
        scratch = np.empty(units * strip, Z.dtype)
        _layer_columns(products, W, A_prev, b, Z, A, activation, scratch, strip, 0, 1)
    else:
        for part in prange(n_threads):
            scratch = np.empty(units * strip, Z.dtype)
            _layer_columns(products, W, A_prev, b, Z, A, activation, scratch, strip, part, n_threads)
