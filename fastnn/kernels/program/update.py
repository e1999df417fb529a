"""The update of the parameters: by the rule of `formulas.optimizers`, after gradients are reduced and clipped."""

import math

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.policy import Doubles, Numbers, Table, inner, op
from fastnn.kernels.formulas.optimizers import update_span
from fastnn.kernels.program.teamwork import barrier, part_begin

# What `update_parameters` does: adds up the partial gradients of a small mini-batch, updates the parameters, or both.
REDUCE, APPLY = 1, 2


@op
def update(table: Table, thread: int, g: Numbers, g_row: int, start: int, row: int, rows: int, n: int, decayed: int):
    """Update parameters by their gradients: a tile that has just been computed, or in a pass; both give the same bits.

    table, thread: of the run; whose STEP_REALS count.
    g, g_row: gradients [rows][n]; numbers from a row to the next.
    start, row, rows, n: where in THETA the first parameter is; numbers from a row to the next; rows, and how long.
    decayed: whether weight decay applies.
    """
    code = simd.get(simd.pointer_at(table, at.SETTINGS, np.int64), at.OPTIMIZER)
    reals = simd.pointer_at(table, at.REALS, np.float64)
    step_reals = at.step_reals_of(table, thread)
    theta, v = simd.numbers_at(table, at.THETA, g), simd.numbers_at(table, at.V, g)
    s, h = simd.numbers_at(table, at.S, g), simd.numbers_at(table, at.H, g)
    rate, decay = simd.get(step_reals, at.RATE), simd.get(step_reals, at.DECAY) if decayed != 0 else 0.0
    rate1, scale2 = simd.get(step_reals, at.FIRST_FACTOR), simd.get(step_reals, at.SECOND_FACTOR)
    factor = simd.get(step_reals, at.CLIP_FACTOR)
    beta1, beta2 = simd.get(reals, at.BETA1), simd.get(reals, at.BETA2)
    epsilon, tiny = simd.get(reals, at.EPSILON), simd.get(reals, at.TINY)
    for r in range(rows):
        k = start + r * row
        update_span(
            code, n, simd.advance(theta, k), simd.advance(g, r * g_row), simd.advance(v, k),
            simd.advance(s, k), simd.advance(h, k), rate, rate1, scale2, decay, factor, beta1, beta2, epsilon, tiny,
        )  # fmt: skip


@op
def reduce_gradients(table: Table, grads: Numbers, start: int, n: int, l2_scale: float):
    """grads += the other parts' gradients, and l2_scale times the parameters: for n parameters from `start` on."""
    settings = simd.pointer_at(table, at.SETTINGS, np.int64)
    theta, partial = simd.numbers_at(table, at.THETA, grads), simd.numbers_at(table, at.PARTIAL_GRADS, grads)
    size = simd.get(settings, at.PARTIAL_SIZE)
    factor = simd.number_like(grads, l2_scale)
    lanes, end = simd.lanes_of(grads), start + n
    for i in range(start, end, lanes):
        # There is room behind each array, but what lies behind these n is another thread's to write.
        g = simd.load(grads, i)
        for part in range(simd.get(settings, at.PARTS) - 1):
            g = g + simd.load(partial, part * size + i)
        if l2_scale != 0.0:
            g = simd.fma(simd.load_part(theta, i, end - i), factor, g)
        if end - i >= lanes:
            simd.store(grads, i, g)
        else:
            simd.store_part(grads, i, g, end - i)


@op
def sum_squares(x: Numbers, n: int, result: Doubles):
    """result += the sum of squares of n numbers: a sum in every lane of a vector, added as a tree."""
    sums = simd.splat(x, 0)
    for i in range(0, n, simd.lanes_of(x)):
        number = simd.load_part(x, i, n - i)
        sums = simd.fma(number, number, sums)
    simd.put(result, 0, simd.get(result, 0) + np.float64(simd.total(sums)))


@op
def clip_widely(g: Numbers, n: int, clip: float):
    """Scale n gradients down to a 2-norm of `clip`, however large or small they are; infinite ones become NaN."""
    largest = 0.0
    for i in range(n):
        largest = max(largest, abs(float(simd.get(g, i))))
    if largest == 0.0:
        return
    squares = 0.0
    for i in range(n):
        ratio = float(simd.get(g, i)) / largest
        squares += ratio * ratio
    # Beside an infinite gradient all finite ones are nothing.
    norm = math.sqrt(squares) if largest < math.inf else 1.0
    if norm > clip / largest:
        for i in range(n):
            simd.put(g, i, simd.number_like(g, float(simd.get(g, i)) / largest * (clip / norm)))


@inner
def _clip_factor(table, settings, thread, n, clip):
    """What the update multiplies gradients by. Where no such number will do, they are clipped here, and it is 1."""
    tiny, size = simd.get(simd.pointer_at(table, at.REALS, np.float64), at.TINY), simd.get(settings, at.N_PARAMETERS)
    squares = 0.0
    for slot in range(simd.get(settings, at.N_SUMSQ)):
        squares += simd.get(simd.pointer_at(table, at.GRAD_SUMSQ, np.float64), slot)
    norm = math.sqrt(squares)
    factor = clip / norm if norm > clip else 1.0
    # Squares overflow to a factor of 0. Of those that are denormal, size * tiny may be missing.
    if factor < tiny or (clip * clip < size * tiny * 2.0**53 and norm < math.inf):
        if thread == 0:
            simd.call(table, at.CLIP_WIDELY, simd.pointer_at(table, at.GRADS, np.uint8), size, clip)
        barrier(simd.pointer_at(table, at.TEAM, np.int64), n)
        factor = 1.0
    return factor


@inner
def _update_span(table, thread, n, start, size, decayed, phases, l2_scale):
    """A thread's range of `size` consecutive parameters, cut at multiples of 16.

    table, thread, n: of the run; which thread, of how many.
    start, size: the parameters.
    decayed, l2_scale: whether weight decay applies; the L2 penalty's coefficient, or 0 where it does not apply.
    phases: REDUCE, APPLY, or both.
    """
    item = simd.integer_at(table, at.SETTINGS, at.ITEM)
    lines = (size + 15) // 16
    lo, hi = part_begin(lines, thread, n) * 16, min(part_begin(lines, thread + 1, n) * 16, size)
    if lo < hi:
        if phases & REDUCE != 0:
            grads = simd.pointer_at(table, at.GRADS, np.uint8)
            simd.call(table, at.REDUCE_GRADIENTS, table, grads, start + lo, hi - lo, l2_scale)
        if phases & APPLY != 0:
            grads = simd.bytes_at(table, at.GRADS, start + lo, item)
            simd.call(table, at.UPDATE, table, thread, grads, 0, start + lo, 0, 1, hi - lo, decayed)


@op
def update_parameters(table: Table, thread: int, n: int, phases: int):
    """A thread's range of the parameters, where the update is a pass: gradients must be complete first, or are few."""
    settings = simd.pointer_at(table, at.SETTINGS, np.int64)
    step_reals = at.step_reals_of(table, thread)
    clip = simd.get(simd.pointer_at(table, at.REALS, np.float64), at.CLIP)
    if phases & APPLY != 0 and clip > 0.0:
        simd.put(step_reals, at.CLIP_FACTOR, _clip_factor(table, settings, thread, n, clip))
    l2_scale = simd.get(step_reals, at.L2_SCALE) if phases & REDUCE != 0 else 0.0
    if simd.get(settings, at.PARTS) <= 1 and l2_scale == 0.0:
        phases = phases & APPLY
    if simd.get(step_reals, at.DECAY) == 0.0 and l2_scale == 0.0:
        _update_span(table, thread, n, 0, simd.get(settings, at.N_PARAMETERS), 0, phases, 0.0)
    else:
        for layer in range(1, simd.get(settings, at.DEPTH) + 1):
            record = at.record_of(table, layer)
            weights, biases = simd.get(record, at.WEIGHTS_AT), simd.get(record, at.BIASES_AT)
            _update_span(table, thread, n, weights, biases - weights, 1, phases, l2_scale)
            _update_span(table, thread, n, biases, simd.get(record, at.UNITS), 0, phases, 0.0)
