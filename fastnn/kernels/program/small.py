"""The plan for small networks: a panel of examples goes forward, back and into the gradients while it is in the cache.

A mini-batch is cut into a few parts, by its size and the network's alone. Each part belongs to one thread, which sums
partial gradients for it, so that no activation travels to another core; a step's only barriers are before the partial
gradients are reduced, in their order, and after the update. The workspace is a panel's, whatever the mini-batch.

A panel is `blocks` blocks of examples side by side, `columns` in all: [unit][columns].
"""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.policy import Numbers, Table, inner, op
from fastnn.kernels.compiler.simd import advance, call, get, numbers_at, pointer_at, put
from fastnn.kernels.formulas.activations import RELU
from fastnn.kernels.matmul.gather import pack
from fastnn.kernels.matmul.micro_kernel import BIAS, PARTIAL_SUM, PLAIN, RECTIFY, RELU_SLOPE, SLOPE, ZERO
from fastnn.kernels.matmul.products import multiply_blocks
from fastnn.kernels.program.layers import activate_layer
from fastnn.kernels.program.randomness import drop
from fastnn.kernels.program.small_gradients import TILE_SIZE, layer_gradient
from fastnn.kernels.program.teamwork import barrier, part_begin
from fastnn.kernels.program.update import APPLY, REDUCE


@inner
def _write_ones(acts, units, columns):
    """A row of ones behind a layer's activations: summed against it, dZ gives db."""
    for j in range(0, columns, simd.lanes_of(acts)):
        simd.store(acts, units * columns + j, simd.splat(acts, 1))


@inner
def _input(table, thread, x, packed, targets, factors, first, position, examples, columns, step):
    """Gather one panel.

    table, thread: of the run; whose OFFSETS are used.
    x, packed, targets, factors: where inputs, packed inputs, targets and sample weights go.
    first, position: the mini-batch's first example, counted in the order; the panel's first, counted in the mini-batch.
    examples, columns: how many there are; how many there is room for.
    step: of training.
    """
    record = at.record_of(table, 0)
    units, over_inputs = get(record, at.UNITS), columns > 1 and get(record, at.OVER_INPUTS) != 0
    call(
        table, at.GATHER, table, x, 0, packed, columns if over_inputs else 0, targets, factors, thread,
        first + position, 0, 1, examples, columns,
    )  # fmt: skip
    if get(record, at.THRESHOLD) > 0:
        drop(table, 0, record, x, x, 0, columns, position, step)
        if over_inputs:
            pack(table, x, units, columns, packed, columns, 2 * simd.lanes_of(x), 1)
    if columns > 1 and not over_inputs:
        _write_ones(x, units, columns)


@inner
def _forward_layer(table, settings, scratch, theta, layer, record, below, n_in, blocks, width, position, step):
    """A layer's activations, slopes and packed activations, for one panel.

    table, settings: of the run.
    scratch, theta: the thread's SCRATCH; all parameters.
    layer, record: the layer.
    below, n_in: activations of the layer below; its units.
    blocks, width: of the panel.
    position, step: the panel's first example, counted in the mini-batch; step of training.
    """
    n_out = get(record, at.UNITS)
    is_last, is_relu = layer == get(settings, at.DEPTH), get(record, at.ACTIVATION) == RELU
    acts, columns = advance(scratch, get(record, at.ACTS_AT)), blocks * width
    multiply_blocks(
        table, acts, BIAS, advance(theta, get(record, at.BIASES_AT)),
        advance(theta, get(record, at.WEIGHTS_AT)), n_in, 1, n_out, n_in, below, blocks, width,
        RECTIFY if is_relu and not is_last else PLAIN, acts, 0.0, acts,
    )  # fmt: skip
    if is_last:
        return
    slopes, with_slopes = acts, 0
    if not is_relu:
        slopes, with_slopes = advance(scratch, get(record, at.SLOPES_AT)), 1
        activate_layer(table, layer, record, acts, n_out * columns, slopes, with_slopes)
    if get(record, at.THRESHOLD) > 0:
        drop(table, layer, record, acts, slopes, with_slopes, columns, position, step)
    if columns > 1:
        if get(record, at.OVER_INPUTS) != 0:
            packed = advance(scratch, get(record, at.PACKED_AT))
            pack(table, acts, n_out, columns, packed, columns, 2 * simd.lanes_of(acts), 1)
        else:
            _write_ones(acts, n_out, columns)


@inner
def _backward_layer(table, scratch, theta, layer, record, below, blocks, width):
    """dZ of the layer below `layer`, for one panel.

    `below` is that layer's record; the other arguments are as in `_forward_layer` of this file.
    """
    n_out, n_in = get(record, at.UNITS), get(below, at.UNITS)
    weights = advance(theta, get(record, at.WEIGHTS_AT))
    relu = get(below, at.ACTIVATION) == RELU
    deltas = advance(scratch, get(below, at.DELTAS_AT))
    factors = advance(scratch, get(below, at.ACTS_AT) if relu else get(below, at.SLOPES_AT))
    keep = get(pointer_at(table, at.KEEPS, np.float64), layer - 1)
    multiply_blocks(
        table, deltas, ZERO, weights, weights, 1, n_in, n_in, n_out,
        advance(scratch, get(record, at.DELTAS_AT)), blocks, width,
        RELU_SLOPE if relu else SLOPE, factors, keep,
        advance(scratch, simd.integer_at(table, at.SETTINGS, at.TILE_IN)),
    )  # fmt: skip


@inner
def _panel(table, settings, scratch, theta, grads, loss, seed, thread, first, position, examples, scale, step):
    """One panel's way: forward, its losses, back, and into a part's gradients.

    table, settings: of the run.
    scratch, theta: the thread's SCRATCH; all parameters.
    grads, loss, seed: the part's gradients and sum of losses; ZERO for its first panel, PARTIAL_SUM for others.
    thread: which one.
    first, position: the mini-batch's first example, counted in the order; the panel's first, counted in the mini-batch.
    examples: how many the panel has.
    scale: 1 / the mini-batch's sum of weights.
    step: of training.
    """
    depth, wide = get(settings, at.DEPTH), 2 * simd.lanes_of(theta)
    width = 1 if get(settings, at.WIDTH) == 1 else wide
    blocks = 1 if width == 1 else (examples + wide - 1) // wide
    columns = blocks * width
    tile = simd.stack_buffer(theta, TILE_SIZE)
    # A mini-batch of all examples is gathered in the first step of a run, and stays where it is; otherwise every thread
    # has room for one panel.
    packed_once = get(settings, at.PACKED_ONCE) != 0
    column = position if packed_once else thread * get(settings, at.PANEL)
    inputs, last = at.record_of(table, 0), at.record_of(table, depth)
    n_x, n_y = get(inputs, at.UNITS), get(last, at.UNITS)
    x = advance(numbers_at(table, at.ACTS, theta), column * get(inputs, at.ROWS))
    packed_x = advance(numbers_at(table, at.PACKED, theta), column * ((n_x + wide - 1) // wide * wide))
    targets = advance(numbers_at(table, at.TARGETS, theta), column * n_y)
    factors = advance(numbers_at(table, at.FACTORS, theta), column)
    if not packed_once or step == get(settings, at.STEP):
        _input(table, thread, x, packed_x, targets, factors, first, position, examples, columns, step)
    below, n_in = x, n_x
    record = inputs
    for layer in range(1, depth + 1):
        record = advance(record, at.RECORD)
        _forward_layer(table, settings, scratch, theta, layer, record, below, n_in, blocks, width, position, step)
        below, n_in = advance(scratch, get(record, at.ACTS_AT)), get(record, at.UNITS)
    kept = get(settings, at.TERMS_KEPT) != 0
    terms = advance(numbers_at(table, at.TERMS, theta), position if kept else thread * get(settings, at.PANEL))
    call(
        table, at.OUTPUT_LOSS, table, advance(scratch, get(last, at.ACTS_AT)),
        advance(scratch, get(last, at.DELTAS_AT)), targets, factors, terms, n_y, columns, 1, examples, scale,
    )  # fmt: skip
    if not kept:
        call(table, at.SUM_TERMS, terms, examples, loss)
    for layer in range(depth, 0, -1):
        lower = advance(inputs, (layer - 1) * at.RECORD)
        A, packed = x, packed_x
        if layer > 1:
            A, packed = advance(scratch, get(lower, at.ACTS_AT)), advance(scratch, get(lower, at.PACKED_AT))
        layer_gradient(table, scratch, grads, seed, record, lower, A, packed, columns, examples, tile)
        if layer > 1:
            # Takes the place of the activations, or of the slopes.
            _backward_layer(table, scratch, theta, layer, record, lower, blocks, width)
        record = lower


@op
def small_examples(
    table: Table, theta: Numbers, thread: int, n: int, first: int, count: int, total_weight: float, step: int
):
    """Losses and gradients of a thread's parts of a mini-batch.

    table, theta, thread, n: of the run; all parameters; which thread, of how many.
    first, count, total_weight: the mini-batch's first example, counted in the order; how many; their sum of weights.
    step: of training.
    """
    settings = pointer_at(table, at.SETTINGS, np.int64)
    scratch = advance(numbers_at(table, at.SCRATCH, theta), thread * get(settings, at.SCRATCH_SIZE))
    parts, widest = get(settings, at.PARTS), get(settings, at.PANEL)
    width = 1 if get(settings, at.WIDTH) == 1 else 2 * simd.lanes_of(theta)
    blocks = 1 if width == 1 else (count + width - 1) // width
    for part in range(part_begin(parts, thread, n), part_begin(parts, thread + 1, n)):
        grads = numbers_at(table, at.GRADS, theta)
        if part > 0:
            grads = advance(numbers_at(table, at.PARTIAL_GRADS, theta), (part - 1) * get(settings, at.PARTIAL_SIZE))
        loss = advance(pointer_at(table, at.PARTIAL_LOSSES, np.float64), part)
        put(loss, 0, 0.0)
        begin = part_begin(blocks, part, parts) * width
        end = min(part_begin(blocks, part + 1, parts) * width, count)
        if begin >= end:
            for i in range(0, get(settings, at.N_PARAMETERS), simd.lanes_of(theta)):
                simd.store(grads, i, simd.splat(theta, 0))
        position, seed = begin, ZERO
        while position < end:
            _panel(
                table, settings, scratch, theta, grads, loss, seed, thread, first, position,
                min(widest, end - position), 1.0 / total_weight, step,
            )  # fmt: skip
            position, seed = position + widest, PARTIAL_SUM


@inner
def small_batch(table, team, settings, step_reals, thread, n, first, count, total_weight, step):
    """One mini-batch with its update, by addresses alone; arguments are as in `large_batch`."""
    reals = pointer_at(table, at.REALS, np.float64)
    call(
        table, at.SMALL_EXAMPLES, table, pointer_at(table, at.THETA, np.uint8), thread, n, first, count, total_weight,
        step,
    )  # fmt: skip
    put(step_reals, at.LOSS_SUM, 0.0)
    weight_sumsq = pointer_at(table, at.WEIGHT_SUMSQ, np.float64)
    if thread == 0 and get(step_reals, at.L2_SCALE) != 0.0:
        put(weight_sumsq, 0, 0.0)
        for layer in range(1, get(settings, at.DEPTH) + 1):
            record = at.record_of(table, layer)
            start, end = get(record, at.WEIGHTS_AT), get(record, at.BIASES_AT)
            weights = simd.bytes_at(table, at.THETA, start, get(settings, at.ITEM))
            call(table, at.SUM_SQUARES, weights, end - start, weight_sumsq)
    barrier(team, n)
    if thread == 0:
        if get(settings, at.TERMS_KEPT) == 0:
            for part in range(get(settings, at.PARTS)):
                loss = get(pointer_at(table, at.PARTIAL_LOSSES, np.float64), part)
                put(step_reals, at.LOSS_SUM, get(step_reals, at.LOSS_SUM) + loss)
        elif get(settings, at.COSTED) != 0:
            call(table, at.SUM_TERMS, pointer_at(table, at.TERMS, np.uint8), count, advance(step_reals, at.LOSS_SUM))
    phases = REDUCE | APPLY
    if get(reals, at.CLIP) > 0.0:
        call(table, at.UPDATE_PARAMETERS, table, thread, n, REDUCE)
        barrier(team, n)
        if thread == 0:
            grad_sumsq = pointer_at(table, at.GRAD_SUMSQ, np.float64)
            put(grad_sumsq, 0, 0.0)
            grads = pointer_at(table, at.GRADS, np.uint8)
            call(table, at.SUM_SQUARES, grads, get(settings, at.N_PARAMETERS), grad_sumsq)
        barrier(team, n)
        phases = APPLY
    call(table, at.UPDATE_PARAMETERS, table, thread, n, phases)
