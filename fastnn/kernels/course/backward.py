"""Backward: gradients of the course's losses, for whole layers."""

import numpy as np
from numba import prange

from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.compiler.simd import advance, pointer
from fastnn.kernels.compiler.tracing import traced_pass
from fastnn.kernels.course.activations import span
from fastnn.kernels.formulas.activations import relu_delta_pass
from fastnn.kernels.matmul.matrices import (
    bias_gradient,
    copied_scratch,
    gradient,
    over_inputs,
    packed_scratch,
    strip_columns,
    strip_product,
    unpack_row,
)
from fastnn.kernels.matmul.micro_kernel import ZERO


def _output_delta(a, y, scale):
    """scale (a - y)."""
    return (a - y) * scale


def _scaled(g, scale):
    """scale g."""
    return g * scale


def _scaled_and_decayed(g, w, scale, decay):
    """scale g + decay w, which with an infinite weight shows even where decay is 0."""
    return g * scale + w * decay


output_delta_pass = traced_pass(_output_delta, 2)
scaled_pass = traced_pass(_scaled, 1)
scaled_and_decayed_pass = traced_pass(_scaled_and_decayed, 2)


@parallel_kernel
def output_delta(A, Y, scale, dZ, n_threads):
    """dZ = scale (A - Y)."""
    if n_threads == 1:
        output_delta_pass(A.size, 1, pointer(A), pointer(Y), pointer(dZ), scale)
    else:
        for part in prange(n_threads):
            lo, hi = span(A.size, part, n_threads, 64)
            a, y, dz = advance(pointer(A), lo), advance(pointer(Y), lo), advance(pointer(dZ), lo)
            output_delta_pass(hi - lo, 1, a, y, dz, scale)


@inner
def _hidden_columns(products, W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, scratch, strip, part, parts):
    """Part `part` of `parts` of `hidden_backward`'s columns, `strip` at a time, with `scratch` for these."""
    n_out, n_in = W.shape
    m = dZ.shape[1]
    lo, hi = span(m, part, parts, 64)
    w, da = pointer(W), pointer(dA_prev)
    for j in range(lo, hi, strip):
        n = min(strip, hi - j)
        panels = strip_product(
            pointer(products), w, 1, n_in, n_in, n_out, ZERO, w, advance(pointer(dZ), j), m, n, pointer(scratch)
        )
        for i in range(n_in):
            at = i * m + j
            unpack_row(panels, i, n_in, n, advance(da, at))
            if D.size > 0:
                row, mask = dA_prev[i, j : j + n], D[i, j : j + n]
                for k in range(row.size):
                    row[k] = row[k] * mask[k] / keep_prob
            relu_delta_pass(n, 1, advance(pointer(A_prev), at), advance(da, at), advance(pointer(dZ_prev), at), 1.0)


@parallel_kernel
def hidden_backward(products, W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, n_threads):
    """dA_prev = W^T dZ, times D / keep_prob unless D is empty; dZ_prev = dA_prev where A_prev > 0, else 0.

    products: from `matmul.matrices`.
    W, dZ, A_prev: weights [n_out][n_in] of a layer, its dZ [n_out][m], the activations [n_in][m] of the layer below.
    D, keep_prob: dropout's mask of these [n_in][m], or empty.
    dA_prev, dZ_prev: results [n_in][m].
    n_threads: how many divide the columns among them.
    """
    units = W.shape[0] + W.shape[1]
    strip = strip_columns(units, dZ.shape[1], pointer(dZ))
    room = units * strip + copied_scratch(W.shape[0], strip, pointer(dZ))
    if n_threads == 1:
        scratch = np.empty(room, dZ.dtype)
        _hidden_columns(products, W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, scratch, strip, 0, 1)
    else:
        for part in prange(n_threads):
            scratch = np.empty(room, dZ.dtype)
            _hidden_columns(products, W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, scratch, strip, part, n_threads)


@inner
def _weight_gradient_rows(products, dZ, A_prev, W, scale, decayed, decay, dW, db, packed, scratch, lo, hi):
    """Rows `lo` to `hi` of `weight_gradient`; `packed` and `scratch` are as in `gradient`."""
    m = dZ.shape[1]
    n_in = A_prev.shape[0]
    dz, dw = advance(pointer(dZ), lo * m), advance(pointer(dW), lo * n_in)
    size = (hi - lo) * n_in
    gradient(pointer(products), dz, hi - lo, pointer(A_prev), n_in, m, packed, dw, pointer(scratch))
    if decayed:
        scaled_and_decayed_pass(size, 1, dw, advance(pointer(W), lo * n_in), dw, scale, decay)
    else:
        scaled_pass(size, 1, dw, dw, scale)
    bias_gradient(dz, hi - lo, m, scale, advance(pointer(db), lo))


@parallel_kernel
def weight_gradient(products, dZ, A_prev, W, scale, decayed, decay, dW, db, n_threads):
    """dW = scale dZ A_prev^T, + decay W if `decayed`; db = scale * sum of dZ over examples.

    products: from `matmul.matrices`.
    dZ, A_prev, W: dZ [n_out][m] of a layer, the activations [n_in][m] of the layer below, the weights [n_out][n_in].
    scale, decayed, decay: usually 1 / m; whether there is an L2 term; its coefficient.
    dW, db: results [n_out][n_in] and [n_out][1].
    n_threads: how many divide the rows among them.
    """
    n_out, m = dZ.shape
    n_in = A_prev.shape[0]
    packed = over_inputs(n_out, n_in, pointer(dZ))
    if n_threads == 1:
        scratch = np.empty(packed_scratch(n_out, n_in, m, pointer(dZ)) if packed else 0, dZ.dtype)
        _weight_gradient_rows(products, dZ, A_prev, W, scale, decayed, decay, dW, db, packed, scratch, 0, n_out)
    else:
        for part in prange(n_threads):
            lo, hi = span(n_out, part, n_threads, 4)
            scratch = np.empty(packed_scratch(hi - lo, n_in, m, pointer(dZ)) if packed else 0, dZ.dtype)
            _weight_gradient_rows(products, dZ, A_prev, W, scale, decayed, decay, dW, db, packed, scratch, lo, hi)
