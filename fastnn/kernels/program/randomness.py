"""What is random in a step: dropout's masks, and the order of an epoch."""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Numbers, Table, Words, inner, op
from fastnn.kernels.compiler.simd import call, get, number_like, pointer_at
from fastnn.kernels.formulas.philox import dropout_panel, permutation


@op
def dropout(
    table: Table, acts: Numbers, slopes: Numbers, with_slopes: int, units: int, width: int, position: int, layer: int,
    step: int, key0: int, key1: int, threshold: int, keep: float,
):  # fmt: skip
    """Multiply one panel, and its slopes if wanted, by the masks of its examples: 0 or `keep`.

    table: of the run; here it is not read, but an op in this one's place may.
    acts, slopes, with_slopes: panels [units][width]; whether there are slopes.
    units, width, position: the panel's size; its first example, counted in the mini-batch.
    layer, step, key0, key1: what masks depend on beside unit and example: layer, step of training, seed.
    threshold, keep: of 2^32 words, how many drop a unit; what the others are multiplied by.
    """
    dropout_panel(
        acts, slopes, units, width, position, layer, step, key0, key1, threshold, number_like(acts, keep),
        with_slopes != 0,
    )  # fmt: skip


@inner
def drop(table, layer, record, acts, slopes, with_slopes, width, position, step):
    """As `dropout`, for a layer of either plan, by the table's op; `record` is the layer's."""
    settings = pointer_at(table, at.SETTINGS, np.int64)
    call(
        table, at.DROPOUT, table, acts, slopes, with_slopes, get(record, at.UNITS), width, position, layer, step,
        get(settings, at.KEY0), get(settings, at.KEY1), get(record, at.THRESHOLD),
        get(pointer_at(table, at.KEEPS, np.float64), layer),
    )  # fmt: skip


@op
def permute(order: Words, generator: Words, m: int, key0: int, key1: int, epoch: int):
    """The order of an epoch, which depends on the seed and the epoch alone: no generator is read, or moved on."""
    permutation(order, m, key0, key1, epoch)
