"""Whole functions of the notebooks, on nets of a notebook's size: one call for forward, backward, a cost, an update.

Each op looks first whether it has been given what it takes, float64 matrices of shapes that fit, and returns without
having touched anything if not; its caller then goes the long way, which knows what was wrong. The loops are plain:
layers have few units, and their products are over before a tile would be packed.
"""

import numpy as np
from numba.core import types

from fastnn.kernels.compiler.policy import Doubles, Integers, inner, op
from fastnn.kernels.compiler.simd import (
    advance,
    call,
    fma,
    get,
    lanes_of,
    load,
    load_part,
    put,
    splat,
    store,
    store_part,
    total,
)  # fmt: skip
from fastnn.kernels.compiler.together import Job, op_jobs
from fastnn.kernels.compiler.tracing import traced_pass, where
from fastnn.kernels.course.activations import activation_span, sigmoid_pass
from fastnn.kernels.course.backward import output_delta_pass, scaled_and_decayed_pass, scaled_pass
from fastnn.kernels.course.losses import cross_entropy_span
from fastnn.kernels.course.objects import SUM_TERMS, are_matrices, bytes_of, is_shaped, numbers_of, on_objects, shape_of
from fastnn.kernels.formulas.activations import relu_pass
from fastnn.kernels.formulas.optimizers import adam_pass, averaged_pass, sgd_pass

# Rules of `update`, by the arrays that each parameter brings: itself, its gradient, its moments.
GRADIENT_DESCENT, MOMENTUM, ADAM = 2, 3, 4

# What `forward` is asked for: to look at what it is given, to compute, to compute with dropout.
LOOK, PLAIN, DROPOUT = range(3)

# Multiply-adds of one pass beyond which tiles, packing and threads are worth their way, and weights of which any are.
MOST_WORK = 100_000_000
MOST_WEIGHTS = 4096


def _masked(a, u, keep):
    """a where u < keep, else 0, both divided by keep."""
    return where(u < keep, a, a * 0.0) / keep


def _gated(a, da):
    """da where a > 0, and da * 0 elsewhere, as NumPy multiplies by a mask."""
    return where(a > 0.0, da, da * 0.0)


masked_pass = traced_pass(_masked, 2)
gated_pass = traced_pass(_gated, 2)


@inner
def _product(w, row, column, n_out, n_in, x, m, bias, with_bias, z):
    """Z = W X, plus a bias for each row if there is one.

    w, row, column: W[i, k] is `w[i * row + k * column]`.
    n_out, n_in, m: rows of W, and of X, whose columns are m examples.
    x, bias, with_bias: X by rows; numbers [n_out], and whether they count.
    z: the result [n_out][m].
    """
    lanes = lanes_of(x)
    whole = m - m % lanes
    for i in range(n_out):
        start = 0.0
        if with_bias:
            start = get(bias, i)
        for j in range(0, whole, lanes):
            c = splat(x, start)
            for k in range(n_in):
                c = fma(load(x, k * m + j), get(w, i * row + k * column), c)
            store(z, i * m + j, c)
        if whole < m:
            c = splat(x, start)
            for k in range(n_in):
                c = fma(load_part(x, k * m + whole, m - whole), get(w, i * row + k * column), c)
            store_part(z, i * m + whole, c, m - whole)


@inner
def _dot(x, y, m):
    """The sum of x y over m numbers."""
    lanes = lanes_of(x)
    # Two chains: with one, a fma would wait for the last one.
    a, b = splat(x, 0.0), splat(x, 0.0)
    pairs = m - m % (2 * lanes)
    for j in range(0, pairs, 2 * lanes):
        a = fma(load(x, j), load(y, j), a)
        b = fma(load(x, j + lanes), load(y, j + lanes), b)
    for j in range(pairs, m, lanes):
        a = fma(load_part(x, j, m - j), load_part(y, j, m - j), a)
    return total(a + b)


@inner
def _sum(x, m):
    """The sum of m numbers."""
    lanes = lanes_of(x)
    a = splat(x, 0.0)
    whole = m - m % lanes
    for j in range(0, whole, lanes):
        a = a + load(x, j)
    if whole < m:
        a = a + load_part(x, whole, m - whole)
    return total(a)


@inner
def _is_forward(items, table, n, dropout):
    """Whether items are what `forward` takes."""
    hidden = n - 1 if dropout else 0
    if not are_matrices(items, table, 1 + 4 * n + hidden, hidden):
        return False
    n_in, m = shape_of(items, 0, 0), shape_of(items, 0, 1)
    if m == 0 or n_in == 0:
        return False
    weights = 0
    for layer in range(n):
        w, z = 1 + 2 * layer, 1 + 2 * n + 2 * layer
        n_out = shape_of(items, w, 0)
        if n_out == 0 or not (is_shaped(items, w, n_out, n_in) and is_shaped(items, w + 1, n_out, 1)):
            return False
        if not (is_shaped(items, z, n_out, m) and is_shaped(items, z + 1, n_out, m)):
            return False
        if layer < hidden:
            uniform = 1 + 4 * n + layer
            if not (is_shaped(items, uniform, n_out, m) and is_shaped(items, uniform + hidden, n_out, m)):
                return False
        weights += n_out * n_in
        n_in = n_out
    return weights <= MOST_WEIGHTS and weights * m <= MOST_WORK


@op
def forward(
    items: Integers, table: Integers, n: int, code: int, a: float, b: float, c: float, d: float, e: float,
    result: Doubles,
):  # fmt: skip
    """Forward through n layers, hidden ones relu, the last one sigmoid; called by `on_objects`.

    items: X, W1, b1, ..., Wn, bn, then what is written, Z1, A1, ..., Zn, An. With dropout the uniform numbers of each
    hidden layer follow, then the masks to be written.
    code, a: LOOK, PLAIN or DROPOUT; keep_prob.
    """
    if not _is_forward(items, table, n, code == DROPOUT):
        return
    if code == LOOK:
        put(result, 0, 1.0)
        return
    m = shape_of(items, 0, 1)
    below = numbers_of(items, 0)
    for layer in range(n):
        w, out = 1 + 2 * layer, 1 + 2 * n + 2 * layer
        n_out, n_in = shape_of(items, w, 0), shape_of(items, w, 1)
        z, act = numbers_of(items, out), numbers_of(items, out + 1)
        _product(numbers_of(items, w), n_in, 1, n_out, n_in, below, m, numbers_of(items, w + 1), True, z)
        if layer == n - 1:
            sigmoid_pass(n_out * m, 1, z, act)
        else:
            relu_pass(n_out * m, 1, z, act)
            if code == DROPOUT:
                uniform, mask = numbers_of(items, 1 + 4 * n + layer), bytes_of(items, 5 * n + layer)
                masked_pass(n_out * m, 1, act, uniform, act, a)
                for j in range(n_out * m):
                    put(mask, j, np.uint8(get(uniform, j) < a))
        below = act
    put(result, 0, 1.0)


@inner
def _is_backward(items, table, n, dropout):
    """Whether items are what `backward` takes."""
    hidden = n - 1 if dropout else 0
    if not are_matrices(items, table, 1 + 8 * n, hidden):
        return False
    n_in, m = shape_of(items, 0, 0), shape_of(items, 0, 1)
    if m == 0 or n_in == 0:
        return False
    weights = 0
    for layer in range(n):
        z, dz = 2 + 4 * layer, 2 + 4 * n + 4 * (n - 1 - layer)
        n_out = shape_of(items, z, 0)
        if n_out == 0 or not (is_shaped(items, z, n_out, m) and is_shaped(items, z + 1, n_out, m)):
            return False
        if not (is_shaped(items, z + 2, n_out, n_in) and is_shaped(items, z + 3, n_out, 1)):
            return False
        if not (is_shaped(items, dz, n_out, m) and is_shaped(items, dz + 1, n_out, n_in)):
            return False
        if not is_shaped(items, dz + 2, n_out, 1) or (layer > 0 and not is_shaped(items, dz + 3, n_in, m)):
            return False
        if layer < hidden and not is_shaped(items, 1 + 8 * n + layer, n_out, m):
            return False
        weights += n_out * n_in
        n_in = n_out
    return weights <= MOST_WEIGHTS and weights * m <= MOST_WORK and is_shaped(items, 1, n_in, m)


@op
def backward(
    items: Integers, table: Integers, n: int, code: int, a: float, b: float, c: float, d: float, e: float,
    result: Doubles,
):  # fmt: skip
    """Backward through n layers: the gradients of the mean cross-entropy, plus an L2 term; called by `on_objects`.

    items: X, Y, Z1, A1, W1, b1, ..., Zn, An, Wn, bn, then what is written, dZn, dWn, dbn, dA(n-1), dZ(n-1), ..., dW1,
    db1. With dropout the masks of the hidden layers follow.
    code: whether there is dropout.
    a, b: by which dZn, and every dW and db are multiplied.
    c, d: whether there is an L2 term, and its factor.
    e: keep_prob.
    """
    if not _is_backward(items, table, n, code != 0):
        return
    m = shape_of(items, 0, 1)
    out = 2 + 4 * n
    dz = numbers_of(items, out)
    output_delta_pass(shape_of(items, out, 0) * m, 1, numbers_of(items, out - 3), numbers_of(items, 1), dz, a)
    for layer in range(n - 1, -1, -1):
        below = 4 * layer - 1 if layer > 0 else 0
        a_prev, w = numbers_of(items, below), numbers_of(items, 4 + 4 * layer)
        dw, db = numbers_of(items, out + 1), numbers_of(items, out + 2)
        n_out, n_in = shape_of(items, out + 1, 0), shape_of(items, out + 1, 1)
        for i in range(n_out):
            row = advance(dz, i * m)
            for k in range(n_in):
                put(dw, i * n_in + k, _dot(row, advance(a_prev, k * m), m))
            put(db, i, _sum(row, m) * b)
        if c != 0.0:
            scaled_and_decayed_pass(n_out * n_in, 1, dw, w, dw, b, d)
        else:
            scaled_pass(n_out * n_in, 1, dw, dw, b)
        if layer > 0:
            da = numbers_of(items, out + 3)
            dz_prev = numbers_of(items, out + 4)
            _product(w, 1, n_in, n_in, n_out, dz, m, w, False, da)
            if code != 0:
                mask = bytes_of(items, 8 * n + layer)
                for j in range(n_in * m):
                    put(da, j, get(da, j) * get(mask, j) / e)
            gated_pass(n_in * m, 1, a_prev, da, dz_prev)
            dz = dz_prev
        out += 4
    put(result, 0, 1.0)


@op
def cost(
    items: Integers, table: Integers, n: int, code: int, a: float, b: float, c: float, d: float, e: float,
    result: Doubles,
):  # fmt: skip
    """The sum of the cross-entropy of outputs, and that of the squares of all weights; called by `on_objects`.

    items: outputs A, labels Y, as much room for the terms, then W1, b1, ..., Wn, bn.
    n, code: layers; whether NaN counts as 0.
    a, b: by which either sum is multiplied.
    """
    if not are_matrices(items, table, 3 + 2 * n, 0):
        return
    rows, m = shape_of(items, 0, 0), shape_of(items, 0, 1)
    if rows * m == 0 or not (is_shaped(items, 1, rows, m) and is_shaped(items, 2, rows, m)):
        return
    for k in range(3, 3 + 2 * n):
        if shape_of(items, k, 0) * shape_of(items, k, 1) == 0:
            return
    terms = numbers_of(items, 2)
    cross_entropy_span(numbers_of(items, 0), 0, numbers_of(items, 1), 0, terms, 0, rows * m, code != 0)
    call(table, SUM_TERMS, terms, rows * m, advance(result, 1))
    put(result, 1, get(result, 1) * a)
    squares = 0.0
    for k in range(3, 3 + 2 * n, 2):
        w = numbers_of(items, k)
        squares += _dot(w, w, shape_of(items, k, 0) * shape_of(items, k, 1))
    if n > 0:
        put(result, 1, get(result, 1) + squares * b)
    put(result, 0, 1.0)


@op
def update(
    items: Integers, table: Integers, n: int, code: int, a: float, b: float, c: float, d: float, e: float,
    result: Doubles,
):  # fmt: skip
    """Update n matrices and their moments in place; called by `on_objects`.

    items: the n matrices, their gradients, and the moments that the rule has, of which it brings code - 2.
    code: GRADIENT_DESCENT, MOMENTUM or ADAM.
    a: rate, Adam's with the correction of v.
    b, c, d, e: beta1; beta2, epsilon, the correction of s.
    """
    if not are_matrices(items, table, code * n, 0):
        return
    for k in range(n):
        rows, columns = shape_of(items, k, 0), shape_of(items, k, 1)
        if rows * columns == 0:
            return
        for other in range(n + k, code * n, n):
            if not is_shaped(items, other, rows, columns):
                return
    for k in range(n):
        size = shape_of(items, k, 0) * shape_of(items, k, 1)
        w, g = numbers_of(items, k), numbers_of(items, n + k)
        # Nothing is decayed, clipped or flushed to zero: a decay of 0, a factor of 1, a smallest moment of 0 say so.
        if code == GRADIENT_DESCENT:
            sgd_pass(size, 1, w, g, w, a, 0.0, 1.0)
        elif code == MOMENTUM:
            v = numbers_of(items, 2 * n + k)
            averaged_pass(size, 2, w, g, v, w, v, a, 0.0, 1.0, b, 1.0 - b, 0.0)
        else:
            v, s = numbers_of(items, 2 * n + k), numbers_of(items, 3 * n + k)
            adam_pass(size, 3, w, g, v, s, w, v, s, a, e, 0.0, 1.0, b, 1.0 - b, c, 1.0 - c, d, 0.0)
    put(result, 0, 1.0)


@inner
def _mean_cost(items, table, n, m, terms, result):
    """The mean cross-entropy of a net on m examples; items as in `differences`."""
    below = numbers_of(items, 0)
    for layer in range(n):
        w, out = 2 + 2 * layer, 2 + 2 * n + layer
        n_out, n_in = shape_of(items, w, 0), shape_of(items, w, 1)
        act = numbers_of(items, out)
        _product(numbers_of(items, w), n_in, 1, n_out, n_in, below, m, numbers_of(items, w + 1), True, act)
        if layer == n - 1:
            sigmoid_pass(n_out * m, 1, act, act)
            cross_entropy_span(act, 0, numbers_of(items, 1), 0, terms, 0, n_out * m, False)
            put(result, 1, 0.0)
            call(table, SUM_TERMS, terms, n_out * m, advance(result, 1))
        else:
            relu_pass(n_out * m, 1, act, act)
        below = act
    return get(result, 1) * (1.0 / m)


@op
def differences(
    items: Integers, table: Integers, n: int, code: int, a: float, b: float, c: float, d: float, e: float,
    result: Doubles,
):  # fmt: skip
    """The costs with each parameter in turn moved to either side; called by `on_objects`.

    items: X, Y, W1, b1, ..., Wn, bn, which change meanwhile, room for the activations of each layer and for the terms
    of a cost, and the costs to be written, a row for each side. All fit each other.
    a: how far parameters are moved.
    """
    m = shape_of(items, 0, 1)
    terms, above, at = numbers_of(items, 2 + 3 * n), numbers_of(items, 3 + 3 * n), 0
    below = advance(above, shape_of(items, 3 + 3 * n, 1))
    for k in range(2, 2 + 2 * n):
        w = numbers_of(items, k)
        for j in range(shape_of(items, k, 0) * shape_of(items, k, 1)):
            original = get(w, j)
            put(w, j, original + a)
            put(above, at, _mean_cost(items, table, n, m, terms, result))
            put(w, j, original - a)
            put(below, at, _mean_cost(items, table, n, m, terms, result))
            put(w, j, original)
            at += 1


@op
def activation(
    items: Integers, table: Integers, n: int, code: int, a: float, b: float, c: float, d: float, e: float,
    result: Doubles,
):  # fmt: skip
    """Activations: items are Z, and A to be written; code is RELU or SIGMOID. It is called by `on_objects`."""
    if not are_matrices(items, table, 2, 0):
        return
    rows, m = shape_of(items, 0, 0), shape_of(items, 0, 1)
    if not is_shaped(items, 1, rows, m):
        return
    activation_span(code, numbers_of(items, 0), numbers_of(items, 1), rows * m)
    put(result, 0, 1.0)


def jobs():
    """Return what there is to compile for them: the ops, and `on_objects`."""
    table = types.Array(types.int64, 1, "C")
    ops = forward, backward, cost, update, differences, activation
    return [*op_jobs(ops, "float64"), Job(on_objects, (table, *(types.int64,) * 3, *(types.float64,) * 5))]
