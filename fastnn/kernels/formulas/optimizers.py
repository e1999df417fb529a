"""The optimisers' update rules on vectors, and the pass that applies one to a piece of the arena.

One rule has two callers: the tile of weight gradients that has just been computed, and a pass over the whole arena.
Both give the same bits.
"""

import math

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Numbers, Table, op
from fastnn.kernels.compiler.simd import advance, get, number_like, numbers_at, pointer_at, put
from fastnn.kernels.compiler.tracing import absolute, fma, sqrt, traced_pass, where

SGD, CLASSICAL, NESTEROV, AVERAGED, RMSPROP, ADAM, AMSGRAD = range(7)


def _flushed(moment, tiny):
    # A dead unit's moments shrink to denormals and stay: 0.9 times the smallest one rounds to itself.
    return where(absolute(moment) < tiny, 0.0, moment)


def _decayed(w, decay):
    # Not w times a decay of 0: that would make NaN of an infinite weight.
    return where(decay > 0.0, w * decay, 0.0)


def _sgd(w, g, rate, decay, factor):
    """w - rate g."""
    return w - g * factor * rate - _decayed(w, decay)


def _classical(w, g, v, rate, decay, factor, mu, tiny):
    """v = mu v - rate g; w + v."""
    v = _flushed(fma(v, mu, g * factor * -rate), tiny)
    return w + v - _decayed(w, decay), v


def _nesterov(w, g, v, rate, decay, factor, mu, tiny):
    """v = mu v - rate g; w + mu v - rate g."""
    down = g * factor * -rate
    v = _flushed(fma(v, mu, down), tiny)
    return w + fma(v, mu, down) - _decayed(w, decay), v


def _averaged(w, g, v, rate, decay, factor, beta, rest, tiny):
    """v = beta v + (1 - beta) g; w - rate v."""
    v = _flushed(fma(v, beta, g * factor * rest), tiny)
    return w - v * rate - _decayed(w, decay), v


def _rmsprop(w, g, s, rate, decay, factor, rho, rest, epsilon, tiny):
    """s = rho s + (1 - rho) g^2; w - rate g / (sqrt(s) + epsilon)."""
    g = g * factor
    s = _flushed(fma(s, rho, g * g * rest), tiny)
    return w - g * rate / (sqrt(s) + epsilon) - _decayed(w, decay), s


def _moments(g, v, s, beta1, rest1, beta2, rest2, tiny):
    return _flushed(fma(v, beta1, g * rest1), tiny), _flushed(fma(s, beta2, g * g * rest2), tiny)


def _adam(w, g, v, s, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny):
    """v and s averages of g and g^2; w - rate c1 v / (sqrt(s c2) + epsilon), rate1 = rate c1 and scale2 = c2."""
    v, s = _moments(g * factor, v, s, beta1, rest1, beta2, rest2, tiny)
    return w - v * rate1 / (sqrt(s * scale2) + epsilon) - _decayed(w, decay), v, s


def _amsgrad(w, g, v, s, h, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny):
    """As Adam, with the largest s so far."""
    v, s = _moments(g * factor, v, s, beta1, rest1, beta2, rest2, tiny)
    h = where(h > s, h, s)
    return w - v * rate1 / (sqrt(h * scale2) + epsilon) - _decayed(w, decay), v, s, h


sgd_pass = traced_pass(_sgd, 2, 1)
classical_pass = traced_pass(_classical, 3, 2)
nesterov_pass = traced_pass(_nesterov, 3, 2)
averaged_pass = traced_pass(_averaged, 3, 2)
rmsprop_pass = traced_pass(_rmsprop, 3, 2)
adam_pass = traced_pass(_adam, 4, 3)
amsgrad_pass = traced_pass(_amsgrad, 5, 4)


@op
def update(table: Table, thread: int, g: Numbers, g_row: int, start: int, row: int, rows: int, n: int, decayed: int):
    """Update `rows` runs of n parameters, the first at `start` of the arena, by the gradients `g`."""
    code = get(pointer_at(table, at.SETTINGS, np.int64), at.OPTIMIZER)
    reals = pointer_at(table, at.REALS, np.float64)
    steps = advance(pointer_at(table, at.STEP_REALS, np.float64), thread * at.STEP_REALS_STRIDE)
    theta, v = numbers_at(table, at.THETA, g), numbers_at(table, at.V, g)
    s, h = numbers_at(table, at.S, g), numbers_at(table, at.H, g)
    rate, decay = get(steps, at.RATE), get(steps, at.DECAY) if decayed != 0 else 0.0
    rate1, scale2, factor = get(steps, at.FIRST_FACTOR), get(steps, at.SECOND_FACTOR), get(steps, at.CLIP_FACTOR)
    beta1, beta2 = get(reals, at.BETA1), get(reals, at.BETA2)
    rest1, rest2 = 1.0 - beta1, 1.0 - beta2
    epsilon, tiny = get(reals, at.EPSILON), get(reals, at.TINY)
    for r in range(rows):
        k = start + r * row
        w, g_, v_, s_, h_ = advance(theta, k), advance(g, r * g_row), advance(v, k), advance(s, k), advance(h, k)
        if code == ADAM:
            adam_pass(
                n, 3, w, g_, v_, s_, w, v_, s_, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny
            )
        elif code == SGD:
            sgd_pass(n, 1, w, g_, w, rate, decay, factor)
        elif code == CLASSICAL:
            classical_pass(n, 2, w, g_, v_, w, v_, rate, decay, factor, beta1, tiny)
        elif code == NESTEROV:
            nesterov_pass(n, 2, w, g_, v_, w, v_, rate, decay, factor, beta1, tiny)
        elif code == AVERAGED:
            averaged_pass(n, 2, w, g_, v_, w, v_, rate, decay, factor, beta1, rest1, tiny)
        elif code == RMSPROP:
            rmsprop_pass(n, 2, w, g_, s_, w, s_, rate, decay, factor, beta2, rest2, epsilon, tiny)
        else:
            amsgrad_pass(
                n, 4, w, g_, v_, s_, h_, w, v_, s_, h_, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2,
                epsilon, tiny,
            )  # fmt: skip


@op
def clip_widely(g: Numbers, n: int, clip: float):
    """Scale n gradients down to a 2-norm of `clip`, however large or small they are; infinite ones become NaN."""
    largest = 0.0
    for i in range(n):
        largest = max(largest, abs(float(get(g, i))))
    if largest == 0.0:
        return
    squares = 0.0
    for i in range(n):
        share = float(get(g, i)) / largest
        squares += share * share
    # Beside an infinite gradient all finite ones are nothing.
    norm = math.sqrt(squares) if largest < math.inf else 1.0
    if norm > clip / largest:
        for i in range(n):
            put(g, i, number_like(g, float(get(g, i)) / largest * (clip / norm)))
