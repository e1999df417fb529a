"""Outputs and losses on a panel [output][width] of the last layer's sums.

A loss of an example is the sum over its outputs, in order. Elementwise losses take a row of the panel at a time, so
that the sums wait in memory, and the choice of the loss stays outside the loops over examples.
"""

import numpy as np

from fastnn.kernels.compiler import simd, vector_math
from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.compiler.tracing import absolute, traced, traced_pass, where
from fastnn.kernels.compiler.vector_math import exp_of_negative, log1p_of_finite
from fastnn.kernels.formulas.activations import fill_pass, logistic, product_pass

LINEAR, SIGMOID, SOFTMAX = range(3)
SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, POISSON, BINARY_CROSS_ENTROPY, CROSS_ENTROPY = range(6)


def _error(a, y, limit, half):
    """(d^2 / 2, d) where |d| <= limit, else (|d| - half, the sign of d), d = a - y.

    Huber's loss has limit 1 and half 1/2, the squared error limit inf, the absolute error limit 0 and half 0.
    """
    d = a - y
    size = absolute(d)
    return where(size > limit, size - half, d * d * 0.5), where(d > limit, 1.0, where(d < -limit, -1.0, d))


# The rows of a panel: (z, y, total) -> (total + the loss, scale times its derivative with respect to z).


def _linear_row(z, y, total, scale, limit, half):
    loss, slope = _error(z, y, limit, half)
    return total + loss, slope * scale


def _sigmoid_row(z, y, total, scale, limit, half):
    a, rest = logistic(z)
    loss, slope = _error(a, y, limit, half)
    return total + loss, slope * (a * rest) * scale


def _poisson_row(z, y, total, scale):
    rate = vector_math.exp(z)
    return total + (rate - y * z), (rate - y) * scale


def binary_cross_entropy(z, y):
    """(max(z, 0) - z y + log(1 + exp(-|z|)), sigma(z) - y)."""
    e = exp_of_negative(-absolute(z))
    large = 1.0 / (e + 1.0)
    return where(z <= 0.0, 0.0, z) - z * y + log1p_of_finite(e), where(z < 0.0, e * large, large) - y


def _binary_cross_entropy_row(z, y, total, scale, kept, spread):
    """With the targets y kept + spread."""
    loss, slope = binary_cross_entropy(z, y * kept + spread)
    return total + loss, slope * scale


def _sigmoid_delta(a, da):
    """da a (1 - a)."""
    return da * (a * (1.0 - a))


def _maximum(a, b):
    """The larger one; a NaN stays in `a`, and one in `b` comes out with the exponentials."""
    return where(b > a, b, a)


linear_row = traced_pass(_linear_row, 3, 2)
sigmoid_row = traced_pass(_sigmoid_row, 3, 2)
poisson_row = traced_pass(_poisson_row, 3, 2)
binary_cross_entropy_row = traced_pass(_binary_cross_entropy_row, 3, 2)
sigmoid_pass = traced_pass(lambda z: logistic(z)[0], 1)
sigmoid_delta_pass = traced_pass(_sigmoid_delta, 2)
maximum = traced(_maximum)
power = traced(exp_of_negative)
logarithm = traced(vector_math.log)


@inner
def _largest(z, n_y, width, t, n):
    largest = simd.load_part(z, t, n)
    for o in range(1, n_y):
        largest = maximum(largest, simd.load_part(z, o * width + t, n))
    return largest


@inner
def output_panel(output, z, n_y, width):
    """z = the outputs, in place."""
    if output == SIGMOID:
        sigmoid_pass(n_y * width, 1, z, z)
    elif output == SOFTMAX:
        for t in range(0, width, simd.lanes_of(z)):
            n = width - t
            largest = _largest(z, n_y, width, t, n)
            total = simd.splat(z, 0.0)
            for o in range(n_y):
                e = power(simd.load_part(z, o * width + t, n) - largest)
                total = total + e
                simd.store_part(z, o * width + t, e, n)
            for o in range(n_y):
                simd.store_part(z, o * width + t, simd.load_part(z, o * width + t, n) / total, n)


@inner
def output_delta_panel(output, a, da, n_y, width):
    """From a derivative with respect to the outputs a, that with respect to z, in place of `da`."""
    if output == SIGMOID:
        sigmoid_delta_pass(n_y * width, 1, a, da, da)
    elif output == SOFTMAX:
        for t in range(0, width, simd.lanes_of(a)):
            n = width - t
            mean = simd.splat(a, 0.0)
            for o in range(n_y):
                mean = simd.fma(simd.load_part(a, o * width + t, n), simd.load_part(da, o * width + t, n), mean)
            for o in range(n_y):
                at = o * width + t
                simd.store_part(da, at, simd.load_part(a, at, n) * (simd.load_part(da, at, n) - mean), n)


@inner
def cross_entropy_panel(z, n_y, width, count, targets, scale, kept, spread, dz, terms, with_delta):
    """-sum over the outputs of y log(softmax(z)), and its derivative with respect to z.

    z, n_y, width, count, targets, scale, dz, terms, with_delta: as in `output_loss_panel`.
    kept, spread: labels are smoothed to y kept + spread.
    """
    for t in range(0, count, simd.lanes_of(z)):
        n = count - t
        largest = _largest(z, n_y, width, t, n)
        total, mass, product = simd.splat(z, 0.0), simd.splat(z, 0.0), simd.splat(z, 0.0)
        for o in range(n_y):
            at = o * width + t
            below = simd.load_part(z, at, n) - largest
            y = simd.load_part(targets, at, n) * kept + spread
            e = power(below)
            total, mass, product = total + e, mass + y, simd.fma(y, below, product)
            if with_delta:
                simd.store_part(dz, at, e, n)
        simd.store_part(terms, t, mass * logarithm(total) - product, n)
        if with_delta:
            mass = mass / total
            for o in range(n_y):
                at = o * width + t
                y = simd.load_part(targets, at, n) * kept + spread
                simd.store_part(dz, at, (simd.load_part(dz, at, n) * mass - y) * scale, n)


@inner
def weigh_panel(n_y, width, count, weights, weighted, dz, terms, with_delta):
    """Multiply losses, and dz if wanted, by the weights if there are any; dz is 0 where there are no examples.

    Arguments are as in `output_loss_panel`.
    """
    if weighted:
        product_pass(count, 1, terms, weights, terms)
    if with_delta:
        for o in range(n_y):
            out = simd.advance(dz, o * width)
            if weighted:
                product_pass(count, 1, out, weights, out)
            fill_pass(width - count, 1, simd.advance(out, count), simd.advance(out, count), 0.0)


@inner
def output_loss_panel(
    output, loss, z, n_y, width, count, targets, weights, weighted, scale, smoothing, dz, terms, with_delta
):
    """terms[t] = every example's loss, and dz = scale times its derivative with respect to z, if wanted.

    output, loss: codes.
    z, n_y, width, count: panel [n_y][width] of sums, of which `count` columns are examples.
    targets: panel [n_y][width].
    weights, weighted: for each example what its loss and dz are multiplied by; whether there are any.
    scale, smoothing: what dz is multiplied by; how far labels are smoothed.
    dz, terms, with_delta: results, a panel [n_y][width], which may be z and is 0 where there are no examples, and a
    number for each example; whether dz is wanted.
    """
    kept, wanted = 1.0 - smoothing, 2 if with_delta else 1
    if loss == CROSS_ENTROPY:
        spread = smoothing / n_y
        cross_entropy_panel(z, n_y, width, count, targets, scale, kept, spread, dz, terms, with_delta)
    else:
        spread = smoothing * 0.5
        limit = np.inf if loss == SQUARED_ERROR else 0.0 if loss == ABSOLUTE_ERROR else 1.0
        half = 0.5 if loss == HUBER else 0.0
        fill_pass(count, 1, terms, terms, 0.0)
        for o in range(n_y):
            row, y, out = simd.advance(z, o * width), simd.advance(targets, o * width), simd.advance(dz, o * width)
            if loss == BINARY_CROSS_ENTROPY:
                binary_cross_entropy_row(count, wanted, row, y, terms, terms, out, scale, kept, spread)
            elif loss == POISSON:
                poisson_row(count, wanted, row, y, terms, terms, out, scale)
            elif output == LINEAR:
                linear_row(count, wanted, row, y, terms, terms, out, scale, limit, half)
            else:
                sigmoid_row(count, wanted, row, y, terms, terms, out, scale, limit, half)
    weigh_panel(n_y, width, count, weights, weighted, dz, terms, with_delta)
