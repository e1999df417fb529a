"""What the course's `model`s put into the table of ops: their loss in its own form, NumPy's masks and shuffles."""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Doubles, Numbers, Table, Words, op
from fastnn.kernels.compiler.simd import (
    advance,
    get,
    lanes_of,
    load_part,
    numbers_at,
    pointer_at,
    put,
    splat,
    store_part,
)
from fastnn.kernels.course.activations import sigmoid
from fastnn.kernels.course.losses import cross_entropy_terms, pairwise_sum
from fastnn.kernels.formulas.mt19937 import SEEDS, STATE, permutations
from fastnn.kernels.program.ops import OPS


@op
def output_loss(
    table: Table, a: Numbers, dz: Numbers, y: Numbers, weights: Numbers, terms: Numbers, n_y: int, width: int,
    panels: int, count: int, scale: float,
):  # fmt: skip
    """A = sigmoid(Z) in place, dZ = scale (A - Y), and where costs are wanted the cross-entropy of every example.

    Otherwise as `output_loss` of `program.outputs`, whose place it takes.
    """
    settings = pointer_at(table, at.SETTINGS, np.int64)
    skip_nan = get(settings, at.SKIP_NAN) != 0
    lanes = lanes_of(a)
    for panel in range(panels):
        examples = min(width, count - panel * width)
        for i in range(n_y):
            row = (panel * n_y + i) * width
            for j in range(0, width, lanes):
                n, room = max(0, examples - j), width - j
                output, target = sigmoid(load_part(a, row + j, room)), load_part(y, row + j, n)
                store_part(a, row + j, output, room)
                if n < lanes:
                    store_part(dz, row + j, splat(dz, 0), room)
                store_part(dz, row + j, (output - target) * scale, n)
                if get(settings, at.COSTED) != 0:
                    term = cross_entropy_terms(output, target, skip_nan)
                    if i > 0:
                        term = term + load_part(terms, panel * width + j, n)
                    store_part(terms, panel * width + j, term, n)


@op
def sum_terms(terms: Numbers, size: int, result: Doubles):
    """result += the sum of `size` terms in the order of np.sum, so that printed costs agree to the last digit."""
    put(result, 0, get(result, 0) + pairwise_sum(terms, size))


@op
def dropout(
    table: Table, acts: Numbers, slopes: Numbers, with_slopes: int, units: int, width: int, position: int, layer: int,
    step: int, key0: int, key1: int, threshold: int, keep: float,
):  # fmt: skip
    """Multiply one panel by the masks that were drawn for these examples, 0 or 1 / keep_prob.

    As `dropout` of `program.randomness`, whose place it takes: layers are relu's, which keep no slopes.
    """
    m = get(pointer_at(table, at.SETTINGS, np.int64), at.M)
    # Each unit of a hidden layer has a row of masks.
    row = get(at.record_of(table, layer), at.MASKS_AT)
    masks = numbers_at(table, at.MASKS, acts)
    examples = min(width, m - position)
    for i in range(units):
        for j in range(0, examples, lanes_of(acts)):
            n = examples - j
            mask = load_part(masks, (row + i) * m + position + j, n)
            store_part(acts, i * width + j, load_part(acts, i * width + j, n) * mask, n)


def generator_words(m):
    """Words of GENERATOR for m examples: the number of the last draw, 16 orders, their picks, and 16 states, twice."""
    return 1 + 2 * SEEDS * m + 2 * SEEDS * STATE


@op
def permute(order: Words, drawn: Words, m: int, first_seed: int, key1: int, epoch: int):
    """The order that np.random.permutation(m) gives after np.random.seed(first_seed + epoch), 16 epochs at a time."""
    orders = advance(drawn, 1)
    picks = advance(orders, SEEDS * m)
    state = advance(picks, SEEDS * m)
    row = epoch % SEEDS
    if np.int64(get(drawn, 0)) != epoch // SEEDS + 1:
        permutations(first_seed + epoch - row, state, advance(state, SEEDS * STATE), picks, orders, m)
        put(drawn, 0, np.uint32(epoch // SEEDS + 1))
    for i in range(m):
        put(order, i, get(orders, row * m + i))


COURSE_OPS = {
    **OPS,
    at.DROPOUT: dropout,
    at.OUTPUT_LOSS: output_loss,
    at.SUM_TERMS: sum_terms,
    at.PERMUTE: permute,
}
