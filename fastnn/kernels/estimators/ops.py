"""What the scikit-learn estimators do otherwise than the engine: shuffles of a running generator, losses in their form.

Leaves with the arguments of those in `stages`, whose places they take in a table. Their oracle is scikit-learn itself.
"""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import vector_math
from fastnn.kernels.compiler.policy import Numbers, Table, Words, inner, op
from fastnn.kernels.compiler.simd import advance, get, load, number_like, pointer_at, put, splat, store, where
from fastnn.kernels.compiler.tracing import absolute, traced_pass
from fastnn.kernels.compiler.tracing import where as either
from fastnn.kernels.compiler.vector_math import exp_of_negative, log1p_of_finite
from fastnn.kernels.formulas.activations import fill_pass
from fastnn.kernels.formulas.losses import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    POISSON,
    cross_entropy_panel,
    linear_row,
    weigh_panel,
)
from fastnn.kernels.formulas.mt19937 import SEEDS, SHIFTED, STATE
from fastnn.kernels.program.ops import OPS

# Words behind an order: the state of MT19937, how many of its words are used up, and whether to shuffle at all.
USED, SHUFFLES = STATE, STATE + 1
ORDER_TAIL = STATE + 2

# The first of a state's words that depends on words made in the same round.
SECOND = STATE - SHIFTED


@inner
def _next_vector(state, i, shifted):
    """Words i, ..., i + 15 of the next round, in place; every word they depend on is 16 or more places away."""
    y = (load(state, i) & splat(state, np.uint32(0x80000000))) | (
        load(state, i + 1) & splat(state, np.uint32(0x7FFFFFFF))
    )
    odd = (y & np.uint32(1)) == splat(state, np.uint32(1))
    word = load(state, shifted) ^ (y >> 1)
    store(state, i, where(odd, word ^ splat(state, np.uint32(0x9908B0DF)), word))


@inner
def _next_word(state, i):
    y = (get(state, i) & np.uint32(0x80000000)) | (get(state, (i + 1) % STATE) & np.uint32(0x7FFFFFFF))
    word = get(state, (i + SHIFTED) % STATE) ^ (y >> np.uint32(1))
    put(state, i, np.uint32(word ^ np.uint32(0x9908B0DF) if y & np.uint32(1) else word))


@inner
def _next_round(state):
    """Make the next 624 words of MT19937, as NumPy does."""
    whole = SECOND // SEEDS * SEEDS
    for i in range(0, whole, SEEDS):
        _next_vector(state, i, i + SHIFTED)
    for i in range(whole, SECOND):
        _next_word(state, i)
    end = SECOND + (STATE - 1 - SECOND) // SEEDS * SEEDS
    for i in range(SECOND, end, SEEDS):
        _next_vector(state, i, i - SECOND)
    for i in range(end, STATE):
        _next_word(state, i)


@op
def permute(order: Words, m: int, key0: int, key1: int, epoch: int):
    """Shuffle the order of the epoch before as `numpy.random.RandomState.shuffle` does, and move its state on."""
    state = advance(order, m)
    used = np.int64(get(state, USED))
    i = m - 1 if get(state, SHUFFLES) != 0 else 0
    while i > 0:
        mask = i
        for shift in (1, 2, 4, 8, 16):
            mask |= mask >> shift
        # Draws are cut to the bits of i, and rejected above it.
        while i > mask >> 1:
            if used == STATE:
                _next_round(state)
                used = 0
            y = get(state, used)
            used += 1
            y ^= y >> np.uint32(11)
            y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
            y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
            y ^= y >> np.uint32(18)
            drawn = np.int64(y) & mask
            accepted = drawn <= i
            # A rejected draw swaps i with itself: a branch would be mispredicted every third time.
            j = drawn if accepted else i
            last, other = get(order, i), get(order, j)
            put(order, i, other)
            put(order, j, last)
            i -= np.int64(accepted)
    put(state, USED, np.uint32(used))


def _bounded(loss, least, most):
    return either(loss < least, least, either(loss > most, most, loss))


def _log_loss_row(z, y, total, share, kept, spread, least, most):
    """-log of a probability that is cut to [eps, 1 - eps]: scikit-learn's `binary_log_loss`."""
    y = y * kept + spread
    e = exp_of_negative(-absolute(z))
    large = 1.0 / (e + 1.0)
    loss = _bounded(either(z <= 0.0, 0.0, z) - z * y + log1p_of_finite(e), least, most)
    return total + loss, (either(z < 0.0, e * large, large) - y) * share


def _deviance_row(z, y, total, share):
    """Half the Poisson deviance, y log(y / rate) - y + rate: scikit-learn's `poisson_loss`."""
    rate = vector_math.exp(z)
    positive = y > 0.0
    constant = either(positive, y * vector_math.log(either(positive, y, 1.0)), 0.0)
    return total + (constant - y * z - y + rate), (rate - y) * share


log_loss_row = traced_pass(_log_loss_row, 3, 2)
deviance_row = traced_pass(_deviance_row, 3, 2)
bounded_pass = traced_pass(_bounded, 1)
scaled_pass = traced_pass(lambda loss, share: loss * share, 1)


@inner
def _loss_panel(
    loss, z, n_y, width, count, targets, weights, weighted, share, smoothing, bounds, loss_share, dz, terms, with_delta
):
    """As `outputs.output_loss_panel`, with scikit-learn's losses."""
    kept, wanted = 1.0 - smoothing, 2 if with_delta else 1
    if loss == CROSS_ENTROPY:
        cross_entropy_panel(z, n_y, width, count, targets, share, kept, smoothing / n_y, dz, terms, with_delta)
        bounded_pass(count, 1, terms, terms, bounds[0], bounds[1])
    else:
        fill_pass(count, 1, terms, terms, 0.0)
        for o in range(n_y):
            row, y, out = advance(z, o * width), advance(targets, o * width), advance(dz, o * width)
            if loss == BINARY_CROSS_ENTROPY:
                log_loss_row(
                    count, wanted, row, y, terms, terms, out, share, kept, smoothing * 0.5, bounds[0], bounds[1]
                )
            elif loss == POISSON:
                deviance_row(count, wanted, row, y, terms, terms, out, share)
            else:
                linear_row(count, wanted, row, y, terms, terms, out, share, np.inf, 0.0)
        if loss_share != 1.0:
            scaled_pass(count, 1, terms, terms, loss_share)
    weigh_panel(n_y, width, count, weights, weighted, dz, terms, with_delta)


@op
def output_loss(
    table: Table, a: Numbers, dz: Numbers, y: Numbers, factors: Numbers, terms: Numbers, n_y: int, width: int,
    panels: int, count: int, share: float,
):  # fmt: skip
    """Losses of all examples and, unless only they are wanted, dZ; in panels of which `count` columns are examples."""
    settings, reals = pointer_at(table, at.SETTINGS, np.int64), pointer_at(table, at.REALS, np.float64)
    loss = get(settings, at.LOSS)
    weighted, with_delta = get(settings, at.WEIGHTED) != 0, get(settings, at.TASK) != at.EVALUATE
    smoothing, shared = number_like(a, get(reals, at.SMOOTHING)), number_like(a, share)
    bounds = number_like(a, get(reals, at.LEAST_LOSS)), number_like(a, get(reals, at.MOST_LOSS))
    loss_share = number_like(a, get(reals, at.LOSS_SCALE))
    if n_y == 1:
        # Panels of one row lie one behind the other: a row as long as all of them.
        width, panels = width * panels, 1
    for panel in range(panels):
        start = panel * n_y * width
        _loss_panel(
            loss, advance(a, start), n_y, width, min(width, count - panel * width), advance(y, start),
            advance(factors, panel * width), weighted, shared, smoothing, bounds, loss_share, advance(dz, start),
            advance(terms, panel * width), with_delta,
        )  # fmt: skip


# The scikit-learn estimators: their losses and their shuffles.
ESTIMATOR_OPS = {**OPS, at.OUTPUT_LOSS: output_loss, at.PERMUTE: permute}
