"""Losses in scikit-learn's form, which is their oracle: logarithms are cut, and the Poisson deviance is a half."""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import vector_math
from fastnn.kernels.compiler.policy import Numbers, Table, inner, op
from fastnn.kernels.compiler.simd import advance, get, number_like, pointer_at
from fastnn.kernels.compiler.tracing import traced_pass, where
from fastnn.kernels.formulas import losses
from fastnn.kernels.formulas.activations import fill_pass


def _bounded(loss, least, most):
    return where(loss < least, least, where(loss > most, most, loss))


def _log_loss_row(z, y, total, scale, kept, spread, least, most):
    """-log of a probability that is cut to [eps, 1 - eps]: scikit-learn's `binary_log_loss`.

    `z` and `y` are sums and targets, `total` what the losses are added to, and `scale` multiplies the slope; labels are
    smoothed to y `kept` + `spread`, and losses kept between `least` and `most`.
    """
    loss, slope = losses.binary_cross_entropy(z, y * kept + spread)
    return total + _bounded(loss, least, most), slope * scale


def _deviance_row(z, y, total, scale):
    """Half the Poisson deviance, y log(y / rate) - y + rate: scikit-learn's `poisson_loss`."""
    rate = vector_math.exp(z)
    positive = y > 0.0
    constant = where(positive, y * vector_math.log(where(positive, y, 1.0)), 0.0)
    return total + (constant - y * z - y + rate), (rate - y) * scale


log_loss_row = traced_pass(_log_loss_row, 3, 2)
deviance_row = traced_pass(_deviance_row, 3, 2)
bounded_pass = traced_pass(_bounded, 1)
scaled_pass = traced_pass(lambda loss, scale: loss * scale, 1)


@inner
def _loss_panel(
    loss, z, n_y, width, count, targets, weights, weighted, scale, smoothing, bounds, loss_scale, dz, terms, with_delta
):
    """As `output_loss_panel` of `formulas.losses`, whose output is that of the loss.

    bounds, loss_scale: of logarithmic losses, the least and the most; what other losses are multiplied by.
    """
    kept, wanted = 1.0 - smoothing, 2 if with_delta else 1
    if loss == losses.CROSS_ENTROPY:
        losses.cross_entropy_panel(z, n_y, width, count, targets, scale, kept, smoothing / n_y, dz, terms, with_delta)
        bounded_pass(count, 1, terms, terms, bounds[0], bounds[1])
    else:
        fill_pass(count, 1, terms, terms, 0.0)
        for o in range(n_y):
            row, y, out = advance(z, o * width), advance(targets, o * width), advance(dz, o * width)
            if loss == losses.BINARY_CROSS_ENTROPY:
                log_loss_row(
                    count, wanted, row, y, terms, terms, out, scale, kept, smoothing * 0.5, bounds[0], bounds[1]
                )
            elif loss == losses.POISSON:
                deviance_row(count, wanted, row, y, terms, terms, out, scale)
            else:
                losses.linear_row(count, wanted, row, y, terms, terms, out, scale, np.inf, 0.0)
        if loss_scale != 1.0:
            scaled_pass(count, 1, terms, terms, loss_scale)
    losses.weigh_panel(n_y, width, count, weights, weighted, dz, terms, with_delta)


@op
def output_loss(
    table: Table, a: Numbers, dz: Numbers, y: Numbers, weights: Numbers, terms: Numbers, n_y: int, width: int,
    panels: int, count: int, scale: float,
):  # fmt: skip
    """As `output_loss` of `program.outputs`, whose place it takes in the table of ops."""
    settings, reals = pointer_at(table, at.SETTINGS, np.int64), pointer_at(table, at.REALS, np.float64)
    loss = get(settings, at.LOSS)
    weighted, with_delta = get(settings, at.WEIGHTED) != 0, get(settings, at.TASK) != at.EVALUATE
    smoothing, scale_ = number_like(a, get(reals, at.SMOOTHING)), number_like(a, scale)
    bounds = number_like(a, get(reals, at.LEAST_LOSS)), number_like(a, get(reals, at.MOST_LOSS))
    loss_scale = number_like(a, get(reals, at.LOSS_SCALE))
    if n_y == 1:
        # Panels of one row lie one behind the other: a row as long as all of them.
        width, panels = width * panels, 1
    for panel in range(panels):
        start = panel * n_y * width
        _loss_panel(
            loss, advance(a, start), n_y, width, min(width, count - panel * width), advance(y, start),
            advance(weights, panel * width), weighted, scale_, smoothing, bounds, loss_scale, advance(dz, start),
            advance(terms, panel * width), with_delta,
        )  # fmt: skip
