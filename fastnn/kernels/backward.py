"""Backward: gradients of the course's losses, for whole layers and for a block of examples through all layers."""

from numba import prange

from fastnn.kernels.elementwise import span
from fastnn.kernels.forward import STRIP
from fastnn.kernels.matmul import EXAMPLES_PER_SUM, TRANSPOSED_UNITS, gradient_block, product_block, row_sum
from fastnn.kernels.policy import inner, parallel_kernel
from fastnn.kernels.simd import get, lanes_of, load_part, pointer, put, splat, store_part, where


@inner
def output_delta_span(a, a_at, y, y_at, scale, dz, dz_at, size):
    """dZ = scale (A - Y)."""
    lanes = lanes_of(a)
    for j in range(0, size, lanes):
        n = size - j
        store_part(dz, dz_at + j, (load_part(a, a_at + j, n) - load_part(y, y_at + j, n)) * scale, n)


@inner
def relu_delta_span(da, da_at, a, a_at, scale, dz, dz_at, size):
    """dZ = dA * scale where A > 0, else dA * 0 (so that inf becomes nan as in NumPy); da and dz may be one array."""
    lanes = lanes_of(a)
    for j in range(0, size, lanes):
        n = size - j
        slope = where(load_part(a, a_at + j, n) > 0.0, splat(a, scale), 0.0)
        store_part(dz, dz_at + j, load_part(da, da_at + j, n) * slope, n)


@parallel_kernel
def output_delta(A, Y, scale, dZ, n_threads):
    """dZ = scale (A - Y)."""
    if n_threads == 1:
        output_delta_span(pointer(A), 0, pointer(Y), 0, scale, pointer(dZ), 0, A.size)
    else:
        for part in prange(n_threads):
            lo, hi = span(A.size, part, n_threads, 64)
            output_delta_span(pointer(A), lo, pointer(Y), lo, scale, pointer(dZ), lo, hi - lo)


@inner
def _hidden_columns(W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, part, parts):
    n_out, n_in = W.shape
    m = dZ.shape[1]
    lo, hi = span(m, part, parts, 64)
    w, da = pointer(W), pointer(dA_prev)
    for j in range(lo, hi, STRIP):
        n = min(STRIP, hi - j)
        product_block(w, 0, 1, n_in, n_in, n_out, w, -1, pointer(dZ), j, m, da, j, m, n)
        for i in range(n_in):
            at = i * m + j
            if D.size > 0:
                row, mask = dA_prev[i, j : j + n], D[i, j : j + n]
                for k in range(row.size):
                    row[k] = row[k] * mask[k] / keep_prob
            relu_delta_span(da, at, pointer(A_prev), at, 1, pointer(dZ_prev), at, n)


@parallel_kernel
def hidden_backward(W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, n_threads):
    """dA_prev = W^T dZ, times D / keep_prob unless D is empty; dZ_prev = dA_prev where A_prev > 0, else 0.

    The columns are shared out among the threads.
    """
    if n_threads == 1:
        _hidden_columns(W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, 0, 1)
    else:
        for part in prange(n_threads):
            _hidden_columns(W, dZ, A_prev, D, keep_prob, dA_prev, dZ_prev, part, n_threads)


@inner
def _scale_and_decay(w, scale, decayed, decay, dw, lo, hi):
    """dW = scale dW, and + decay W if `decayed`, which with an infinite weight shows even where decay is 0."""
    lanes = lanes_of(w)
    for j in range(lo, hi, lanes):
        n = hi - j
        gradient = load_part(dw, j, n) * scale
        if decayed:
            gradient = gradient + load_part(w, j, n) * decay
        store_part(dw, j, gradient, n)


@inner
def _weight_gradient_rows(dZ, A_prev, W, scale, decayed, decay, dW, db, part, parts):
    n_out, m = dZ.shape
    n_in = A_prev.shape[0]
    lo, hi = span(n_out, part, parts, 4)
    dz, dw = pointer(dZ), pointer(dW)
    width = min(m, EXAMPLES_PER_SUM)
    blocks = (m + width - 1) // width
    last = m - (blocks - 1) * width
    gradient_block(
        dz, lo * m, m, width, hi - lo, pointer(A_prev), 0, m, width, n_in, blocks, width, last,
        min(n_out, n_in) >= TRANSPOSED_UNITS, dw, lo * n_in, n_in,
    )  # fmt: skip
    _scale_and_decay(pointer(W), scale, decayed, decay, dw, lo * n_in, hi * n_in)
    for i in range(lo, hi):
        put(pointer(db), i, scale * row_sum(dz, i * m, 0, 1, m, m))


@parallel_kernel
def weight_gradient(dZ, A_prev, W, scale, decayed, decay, dW, db, n_threads):
    """dW = scale dZ A_prev^T, + decay W if `decayed`; db = scale * sum of dZ over examples; each thread owns rows."""
    if n_threads == 1:
        _weight_gradient_rows(dZ, A_prev, W, scale, decayed, decay, dW, db, 0, 1)
    else:
        for part in prange(n_threads):
            _weight_gradient_rows(dZ, A_prev, W, scale, decayed, decay, dW, db, part, n_threads)


@inner
def block_backward(net, at, d_at, y_at, columns, scale, keep):
    """dZ of all layers for one block of examples, down from scale (A_L - Y); `keep` is 1 / keep_prob.

    Laid out as in `block_forward`, but deltas has no layer 0. Columns from `columns` on are zero in every dZ, so
    that sums over whole vectors of examples are right.
    """
    acts, deltas, width = net.acts, net.deltas, net.width
    lanes = lanes_of(acts)
    n_x = get(net.sizes, 0)
    a = at + get(net.units_at, net.depth) * width
    dz = d_at + (get(net.units_at, net.depth) - n_x) * width
    for i in range(get(net.sizes, net.depth)):
        for j in range(0, width, lanes):
            n = columns - j
            delta = load_part(acts, a + i * width + j, n) - load_part(net.targets, y_at + i * width + j, n)
            store_part(deltas, dz + i * width + j, delta * scale, lanes)
    for l in range(net.depth, 1, -1):
        n_in, n_out = get(net.sizes, l - 1), get(net.sizes, l)
        units = get(net.units_at, l - 1)
        da = d_at + (units - n_x) * width
        product_block(
            net.theta, get(net.weights_at, l), 1, n_in, n_in, n_out, net.theta, -1,
            deltas, dz, width, deltas, da, width, width,
        )  # fmt: skip
        relu_delta_span(deltas, da, acts, at + units * width, keep, deltas, da, n_in * width)
        dz = da


@inner
def layer_gradient(net, a_block, d_block, blocks, scale, decay, l, part, parts):
    """One part's rows of dW = scale dZ A^T + decay W and of db, layer l, summed over all blocks of examples."""
    width, theta, grads, deltas = net.width, net.theta, net.grads, net.deltas
    n_in, n_out = get(net.sizes, l - 1), get(net.sizes, l)
    lo, hi = span(n_out, part, parts, 4)
    dz = (get(net.units_at, l) - get(net.sizes, 0) + lo) * width
    a = get(net.units_at, l - 1) * width
    w, b = get(net.weights_at, l), get(net.biases_at, l)
    gradient_block(
        deltas, dz, width, d_block, hi - lo, net.acts, a, width, a_block, n_in, blocks, width, width,
        min(n_out, n_in) >= TRANSPOSED_UNITS, grads, w + lo * n_in, n_in,
    )  # fmt: skip
    _scale_and_decay(theta, scale, decay != 0.0, decay, grads, w + lo * n_in, w + hi * n_in)
    for i in range(lo, hi):
        put(grads, b + i, scale * row_sum(deltas, dz + (i - lo) * width, d_block, blocks, width, width))
