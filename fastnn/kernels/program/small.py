"""The plan for small networks: a panel of examples goes forward, back and into the gradients while it is in the cache.

A mini-batch is cut into a few parts, by its size and the network's alone. Each part belongs to one thread, which keeps
gradients of its own for it, so that no activation travels to another core; a step's only meetings are before the parts
are added up, in their order, and after the update. The workspace is a panel's, whatever the mini-batch.
"""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Doubles, Numbers, Table, inner, op
from fastnn.kernels.compiler.simd import (
    advance,
    broadcast,
    call,
    fma,
    get,
    integer_at,
    lanes_of,
    load,
    load_part,
    number_like,
    numbers_at,
    pointer_at,
    put,
    splat,
    stack_buffer,
    store,
    store_part,
    total,
)
from fastnn.kernels.formulas.activations import RELU
from fastnn.kernels.matmul.dots import COLUMNS, ROWS, dots, row_sums
from fastnn.kernels.matmul.micro_kernel import BIAS, PARTIAL_SUM, PLAIN, RELU_SLOPE, SLOPE, ZERO
from fastnn.kernels.matmul.micro_kernel import RELU as RELU_SUMS
from fastnn.kernels.matmul.products import multiply_blocks
from fastnn.kernels.program.teamwork import part_begin

_dots0, _dots1, _dots2 = dots
R0, R1, R2 = ROWS

# Inputs of a layer whose sums along the examples are made before they are stored, and room for a tile of them.
DOT_INPUTS = 64
DOT_ROW = DOT_INPUTS + 16
TILE_SIZE = 4 * DOT_ROW

# Rows of dW whose last, narrow panel of inputs is summed at a time.
TAIL_ROWS = 8


@inner
def _record(records, layer):
    return advance(records, layer * at.RECORD)


@inner
def _pack(table, acts, units, columns, packed):
    """Store a layer's activations a second time: [panel of units][example][unit]."""
    wide = 2 * lanes_of(acts)
    for i in range(0, units, wide):
        call(
            table, at.TRANSPOSE, advance(acts, i * columns), columns, min(wide, units - i), columns,
            advance(packed, i * columns), wide,
        )  # fmt: skip


@inner
def _write_ones(acts, units, columns):
    """A row of ones behind a layer's activations: summed against it, dZ gives db."""
    for j in range(0, columns, lanes_of(acts)):
        store(acts, units * columns + j, splat(acts, 1))


@inner
def _drop(table, settings, layer, acts, slopes, with_slopes, units, columns, position, step):
    call(
        table, at.DROPOUT, table, acts, slopes, with_slopes, units, columns, position, layer, step,
        get(settings, at.KEY0), get(settings, at.KEY1),
        get(pointer_at(table, at.THRESHOLDS, np.int64), layer), get(pointer_at(table, at.KEEPS, np.float64), layer),
    )  # fmt: skip


@inner
def _input(table, settings, record, thread, x, packed, targets, factors, first, position, examples, columns, step):
    units, over_inputs = get(record, at.UNITS), columns > 1 and get(record, at.OVER_INPUTS) != 0
    call(
        table, at.GATHER, table, x, 0, packed, columns if over_inputs else 0, targets, factors, thread,
        first + position, 0, 1, examples, columns,
    )  # fmt: skip
    if get(record, at.DROPS) != 0:
        _drop(table, settings, 0, x, x, 0, units, columns, position, step)
        if over_inputs:
            _pack(table, x, units, columns, packed)
    if columns > 1 and not over_inputs:
        _write_ones(x, units, columns)


@inner
def _forward_layer(table, settings, scratch, theta, layer, record, below, n_in, blocks, width, position, step):
    """A layer's activations, slopes and packed activations."""
    n_out, code, is_last = get(record, at.UNITS), get(record, at.CODE), layer == get(settings, at.DEPTH)
    acts, columns = advance(scratch, get(record, at.A_AT)), blocks * width
    multiply_blocks(
        table, acts, BIAS, advance(theta, get(record, at.B_AT)),
        advance(theta, get(record, at.W_AT)), n_in, 1, n_out, n_in, below, blocks, width,
        RELU_SUMS if code == RELU and not is_last else PLAIN, acts, 0.0, acts,
    )  # fmt: skip
    if is_last:
        return
    with_slopes = 1 if code != RELU else 0
    if with_slopes != 0:
        slopes = advance(scratch, get(record, at.SLOPES_AT))
        if code == at.USERS_OWN:
            call(pointer_at(table, at.USER_ACTIVATIONS, np.uintp), layer, acts, n_out * columns, slopes, 1)
        else:
            call(table, at.ACTIVATE, code, acts, n_out * columns, slopes, 1)
    if get(record, at.DROPS) != 0:
        slopes = advance(scratch, get(record, at.SLOPES_AT)) if with_slopes != 0 else acts
        _drop(table, settings, layer, acts, slopes, with_slopes, n_out, columns, position, step)
    if columns > 1:
        if get(record, at.OVER_INPUTS) != 0:
            _pack(table, acts, n_out, columns, advance(scratch, get(record, at.T_AT)))
        else:
            _write_ones(acts, n_out, columns)


@inner
def _backward_layer(table, scratch, theta, layer, record, below, blocks, width):
    """dZ of the layer below `layer`."""
    n_out, n_in = get(record, at.UNITS), get(below, at.UNITS)
    weights = advance(theta, get(record, at.W_AT))
    relu = get(below, at.CODE) == RELU
    deltas = advance(scratch, get(below, at.D_AT))
    factors = advance(scratch, get(below, at.A_AT) if relu else get(below, at.SLOPES_AT))
    keep = get(pointer_at(table, at.KEEPS, np.float64), layer - 1)
    multiply_blocks(
        table, deltas, ZERO, weights, weights, 1, n_in, n_in, n_out,
        advance(scratch, get(record, at.D_AT)), blocks, width,
        RELU_SLOPE if relu else SLOPE, factors, keep,
        advance(scratch, integer_at(table, at.SETTINGS, at.TILE_IN)),
    )  # fmt: skip


@inner
def _gradient_over_inputs(table, grads, bias_grads, seed, D, n_out, T, n_in, columns, examples, tile):
    """dW by lanes that run over the inputs, and db by lanes that run over the examples."""
    wide = 2 * lanes_of(D)
    panels = n_in // wide
    if panels > 0:
        call(
            table, at.PRODUCT, grads, wide, n_in, seed, grads, D, columns, 1, n_out, examples, T, wide * columns, wide,
            panels, wide, PLAIN, grads, 0.0, tile,
        )  # fmt: skip
    k, n = panels * wide, n_in - panels * wide
    if n > 0:
        for i in range(0, n_out, TAIL_ROWS):
            rows = min(TAIL_ROWS, n_out - i)
            if seed == PARTIAL_SUM:
                for r in range(rows):
                    for j in range(0, wide, lanes_of(D)):
                        store(tile, r * wide + j, load_part(grads, (i + r) * n_in + k + j, n - j))
            call(
                table, at.PRODUCT, tile, 0, wide, seed, tile, advance(D, i * columns), columns, 1, rows, examples,
                advance(T, k * columns), 0, wide, 1, wide, PLAIN, tile, 0.0, tile,
            )  # fmt: skip
            for r in range(rows):
                for j in range(0, n, lanes_of(D)):
                    store_part(grads, (i + r) * n_in + k + j, load(tile, r * wide + j), n - j)
    for i in range(0, n_out, COLUMNS):
        rows = min(COLUMNS, n_out - i)
        row_sums(advance(D, i * columns), columns, rows, 0, 1, examples, examples, tile)
        for r in range(rows):
            sum_ = get(tile, r)
            put(bias_grads, i + r, get(bias_grads, i + r) + sum_ if seed == PARTIAL_SUM else sum_)


@inner
def _gradient_over_examples(grads, bias_grads, seed, D, n_out, A, n_in, columns, examples, tile):
    """dW and db by lanes that run over the examples; behind the activations are ones."""
    for first in range(0, n_in + 1, DOT_INPUTS):
        n = min(DOT_INPUTS, n_in - first)
        for i in range(0, n_out, R0):
            rows = min(R0, n_out - i)
            d = advance(D, i * columns)
            for k in range(0, min(DOT_INPUTS, n_in + 1 - first), COLUMNS):
                a, left, cell = advance(A, (first + k) * columns), n_in + 1 - first - k, advance(tile, k)
                if rows > R1:
                    _dots0(d, columns, rows, 0, a, columns, left, 0, 1, examples, examples, cell, DOT_ROW)
                elif rows > R2:
                    _dots1(d, columns, rows, 0, a, columns, left, 0, 1, examples, examples, cell, DOT_ROW)
                else:
                    _dots2(d, columns, rows, 0, a, columns, left, 0, 1, examples, examples, cell, DOT_ROW)
            for r in range(rows):
                row = (i + r) * n_in + first
                for k in range(0, n, lanes_of(grads)):
                    sums = load(tile, r * DOT_ROW + k)
                    if seed == PARTIAL_SUM:
                        sums = load_part(grads, row + k, n - k) + sums
                    store_part(grads, row + k, sums, n - k)
                if n_in - first < DOT_INPUTS:
                    sum_ = get(tile, r * DOT_ROW + n_in - first)
                    put(bias_grads, i + r, get(bias_grads, i + r) + sum_ if seed == PARTIAL_SUM else sum_)


@inner
def _gradient_of_one(grads, bias_grads, D, n_out, A, n_in):
    """dW and db of a single example."""
    lanes = lanes_of(D)
    for i in range(n_out):
        d = broadcast(D, i)
        put(bias_grads, i, get(D, i))
        for k in range(0, n_in, lanes):
            store_part(grads, i * n_in + k, d * load_part(A, k, n_in - k), n_in - k)


@inner
def _gradient(table, scratch, grads, seed, record, below, A, T, columns, examples, tile):
    n_out, n_in = get(record, at.UNITS), get(below, at.UNITS)
    D, own, biases = advance(scratch, get(record, at.D_AT)), advance(grads, get(record, at.W_AT)), get(record, at.B_AT)
    if columns == 1:
        _gradient_of_one(own, advance(grads, biases), D, n_out, A, n_in)
    elif get(below, at.OVER_INPUTS) != 0:
        _gradient_over_inputs(table, own, advance(grads, biases), seed, D, n_out, T, n_in, columns, examples, tile)
    else:
        _gradient_over_examples(own, advance(grads, biases), seed, D, n_out, A, n_in, columns, examples, tile)


@inner
def _panel(
    table, settings, records, scratch, theta, grads, loss, seed, thread, first, position, examples, factor, step
):  # fmt: skip
    """One panel's way: forward, its losses, back, and into a part's gradients."""
    depth, wide = get(settings, at.DEPTH), 2 * lanes_of(theta)
    width = 1 if get(settings, at.WIDTH) == 1 else wide
    blocks = 1 if width == 1 else (examples + wide - 1) // wide
    columns = blocks * width
    tile = stack_buffer(theta, TILE_SIZE)
    # A mini-batch of all examples is gathered in the first step of a run, and stays.
    still = get(settings, at.PACKED_ONCE) != 0
    where = position if still else thread * get(settings, at.PANEL)
    inputs = numbers_at(table, at.ACTS, theta)
    n_y = get(_record(records, depth), at.UNITS)
    x = advance(inputs, where * get(records, at.A_AT))
    packed_x = advance(inputs, get(settings, at.PACKED_IN) + where * get(records, at.T_AT))
    targets = advance(inputs, get(settings, at.TARGETS_IN) + where * n_y)
    factors = advance(inputs, get(settings, at.FACTORS_IN) + where)
    if not still or step == get(settings, at.STEP):
        _input(
            table, settings, records, thread, x, packed_x, targets, factors, first, position, examples, columns, step
        )
    below, n_in = x, get(records, at.UNITS)
    for layer in range(1, depth + 1):
        record = _record(records, layer)
        _forward_layer(table, settings, scratch, theta, layer, record, below, n_in, blocks, width, position, step)
        below, n_in = advance(scratch, get(record, at.A_AT)), get(record, at.UNITS)
    record, kept = _record(records, depth), get(settings, at.TERMS_KEPT) != 0
    terms = advance(numbers_at(table, at.TERMS, theta), position if kept else thread * get(settings, at.PANEL))
    call(
        table, at.OUTPUT_LOSS, table, advance(scratch, get(record, at.A_AT)), advance(scratch, get(record, at.D_AT)),
        targets, factors, terms, n_y, columns, 1, examples, factor,
    )  # fmt: skip
    if not kept:
        call(table, at.SUM_TERMS, terms, examples, loss)
    for layer in range(depth, 0, -1):
        record, lower = _record(records, layer), _record(records, layer - 1)
        A, T = x, packed_x
        if layer > 1:
            A, T = advance(scratch, get(lower, at.A_AT)), advance(scratch, get(lower, at.T_AT))
        _gradient(table, scratch, grads, seed, record, lower, A, T, columns, examples, tile)
        if layer > 1:
            # Takes the place of the activations, or of the slopes.
            _backward_layer(table, scratch, theta, layer, record, lower, blocks, width)


@op
def small_examples(
    table: Table, theta: Numbers, thread: int, n: int, first: int, count: int, total_weight: float, step: int
):
    """Losses and gradients of a thread's parts of the `count` examples from `first` of the order on."""
    settings, records = pointer_at(table, at.SETTINGS, np.int64), pointer_at(table, at.RECORDS, np.int64)
    scratch = advance(numbers_at(table, at.SCRATCH, theta), thread * get(settings, at.SCRATCH_SIZE))
    parts, deepest = get(settings, at.PARTS), get(settings, at.PANEL)
    width = 1 if get(settings, at.WIDTH) == 1 else 2 * lanes_of(theta)
    blocks = 1 if width == 1 else (count + width - 1) // width
    for part in range(part_begin(parts, thread, n), part_begin(parts, thread + 1, n)):
        grads = numbers_at(table, at.GRADS, theta)
        if part > 0:
            grads = advance(numbers_at(table, at.PART_GRADS, theta), (part - 1) * get(settings, at.PART_SIZE))
        loss = advance(pointer_at(table, at.PART_LOSSES, np.float64), part)
        put(loss, 0, 0.0)
        begin = part_begin(blocks, part, parts) * width
        end = min(part_begin(blocks, part + 1, parts) * width, count)
        if begin >= end:
            for i in range(0, get(settings, at.N_PARAMETERS), lanes_of(theta)):
                store(grads, i, splat(theta, 0))
        position, seed = begin, ZERO
        while position < end:
            _panel(
                table, settings, records, scratch, theta, grads, loss, seed, thread, first, position,
                min(deepest, end - position), 1.0 / total_weight, step,
            )  # fmt: skip
            position, seed = position + deepest, PARTIAL_SUM


@op
def reduce_parts(table: Table, grads: Numbers, start: int, n: int, share: float):
    """Add the parts' gradients, and share times the parameters themselves, for n parameters from `start` on."""
    settings = pointer_at(table, at.SETTINGS, np.int64)
    theta, others = numbers_at(table, at.THETA, grads), numbers_at(table, at.PART_GRADS, grads)
    size = get(settings, at.PART_SIZE)
    factor = number_like(grads, share)
    lanes, end = lanes_of(grads), start + n
    for i in range(start, end, lanes):
        # There is room behind each array, but what lies behind these n is another thread's to write.
        g = load(grads, i)
        for part in range(get(settings, at.PARTS) - 1):
            g = g + load(others, part * size + i)
        if share != 0.0:
            g = fma(load_part(theta, i, end - i), factor, g)
        if end - i >= lanes:
            store(grads, i, g)
        else:
            store_part(grads, i, g, end - i)


@op
def sum_squares(x: Numbers, n: int, result: Doubles):
    """result += the sum of squares of n numbers: a sum in every lane of a vector, added as a tree."""
    sums = splat(x, 0)
    for i in range(0, n, lanes_of(x)):
        number = load_part(x, i, n - i)
        sums = fma(number, number, sums)
    put(result, 0, get(result, 0) + np.float64(total(sums)))
