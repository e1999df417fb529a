"""The plan for large networks, and for all that is no training: layer by layer, in two phases.

First examples: blocks of panels go forward through all layers and straight back, so that a block's activations stay in
the L2 cache. Then, behind a barrier, weights: every tile of dW belongs to one thread, which sums it over all examples
and updates its parameters. Every sum has one owner and one order, so the bits do not depend on the number of threads.

Only addresses pass through here, no numbers: one machine code serves float32 and float64. `small` does the same with
vectors of numbers, on one panel as wide as many of these, which is why the two share a layer's record and the ops, but
not the loops over layers.
"""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Table, inner, op
from fastnn.kernels.compiler.simd import advance, bytes_at, call, get, pointer_at
from fastnn.kernels.formulas.activations import RELU
from fastnn.kernels.matmul.gather import pack
from fastnn.kernels.matmul.micro_kernel import BIAS, PLAIN, RECTIFY, RELU_SLOPE, ZERO
from fastnn.kernels.matmul.products import multiply_panels
from fastnn.kernels.matmul.weight_gradients import bias_groups, tiles_over_examples, tiles_over_inputs
from fastnn.kernels.program.layers import activate_layer
from fastnn.kernels.program.randomness import drop
from fastnn.kernels.program.teamwork import barrier


@inner
def _acts(table, settings, record, panel):
    start = get(record, at.ACTS_AT) + panel * get(record, at.ROWS) * get(settings, at.WIDTH)
    return bytes_at(table, at.ACTS, start, get(settings, at.ITEM))


@inner
def _deltas(table, settings, record, panel):
    """A panel's dZ, and before that its slopes."""
    start = get(record, at.DELTAS_AT) + panel * get(record, at.ROWS) * get(settings, at.WIDTH)
    return bytes_at(table, at.DELTAS, start, get(settings, at.ITEM))


@inner
def _of_thread(table, settings, index, thread, rows):
    """What a thread has of TARGETS or FACTORS: a block of panels with so many rows."""
    columns = get(settings, at.BLOCK) * get(settings, at.WIDTH)
    return bytes_at(table, index, thread * columns * rows, get(settings, at.ITEM))


@inner
def _scratch(table, settings, thread, place):
    return bytes_at(table, at.SCRATCH, thread * get(settings, at.SCRATCH_SIZE) + place, get(settings, at.ITEM))


@inner
def _pack_panels(table, settings, record, panel, panels):
    """Store panels of a layer a second time, packed."""
    item, width, wide = get(settings, at.ITEM), get(settings, at.WIDTH), 2 * get(settings, at.LANES)
    for p in range(panel, panel + panels):
        packed = bytes_at(table, at.PACKED, get(record, at.PACKED_AT) + p * width * wide, item)
        acts = _acts(table, settings, record, p)
        pack(table, acts, get(record, at.UNITS), width, packed, get(settings, at.CHUNK), wide, item)


@inner
def _drop_panels(table, settings, layer, record, panel, panels, position, step, with_slopes):
    """Dropout of some panels of a layer.

    table, settings: of the run.
    layer, record: the layer.
    panel, panels, position: the first panel, counted in the chunk; how many; the chunk's first example in the batch.
    step: of training.
    with_slopes: whether slopes are dropped too.
    """
    width = get(settings, at.WIDTH)
    for p in range(panel, panel + panels):
        acts = _acts(table, settings, record, p)
        slopes = _deltas(table, settings, record, p) if layer > 0 else acts
        drop(table, layer, record, acts, slopes, with_slopes, width, position + p * width, step)


@inner
def _input(table, settings, thread, first, position, size, panel, panels, step):
    """Gather some panels of inputs; arguments are as in `examples`, and `panel`, `panels` as in `_drop_panels`."""
    item, width, record = get(settings, at.ITEM), get(settings, at.WIDTH), at.record_of(table, 0)
    packed = get(record, at.OVER_INPUTS) != 0 and width > 1
    n_y = get(at.record_of(table, get(settings, at.DEPTH)), at.UNITS)
    call(
        table, at.GATHER, table, _acts(table, settings, record, panel), get(record, at.ROWS) * width,
        bytes_at(table, at.PACKED, get(record, at.PACKED_AT), item), get(settings, at.CHUNK) if packed else 0,
        _of_thread(table, settings, at.TARGETS, thread, n_y), _of_thread(table, settings, at.FACTORS, thread, 1),
        thread, first, panel, panels, size, width,
    )  # fmt: skip
    if get(settings, at.MASKED) != 0 and get(record, at.THRESHOLD) > 0:
        _drop_panels(table, settings, 0, record, panel, panels, position, step, 0)
        if packed:
            _pack_panels(table, settings, record, panel, panels)


@inner
def _forward_layer(table, settings, layer, position, panel, panels, step):
    """Activations of some panels, slopes and packed activations; arguments are as in `_drop_panels`."""
    item, width, task = get(settings, at.ITEM), get(settings, at.WIDTH), get(settings, at.TASK)
    record, below = at.record_of(table, layer), at.record_of(table, layer - 1)
    n_in, n_out, rows = get(below, at.UNITS), get(record, at.UNITS), get(record, at.ROWS)
    acts = _acts(table, settings, record, panel)
    is_last, is_relu = layer == get(settings, at.DEPTH), get(record, at.ACTIVATION) == RELU
    multiply_panels(
        table, acts, rows * width, BIAS, bytes_at(table, at.THETA, get(record, at.BIASES_AT), item),
        bytes_at(table, at.THETA, get(record, at.WEIGHTS_AT), item), n_in, 1, n_out, n_in,
        _acts(table, settings, below, panel), get(below, at.ROWS) * width, panels, width,
        RECTIFY if is_relu and not is_last else PLAIN, acts, 0.0, acts,
    )  # fmt: skip
    if is_last:
        return
    learns = task != at.EVALUATE and task != at.PREDICT
    with_slopes = 1 if learns and not is_relu else 0
    # The rows that keep panels apart are swept over too: they are zero, or what an activation makes of it.
    slopes = _deltas(table, settings, record, panel)
    activate_layer(table, layer, record, acts, panels * rows * width, slopes, with_slopes)
    if get(settings, at.MASKED) != 0 and get(record, at.THRESHOLD) > 0:
        _drop_panels(table, settings, layer, record, panel, panels, position, step, with_slopes)
    if learns and width > 1 and get(record, at.OVER_INPUTS) != 0:
        _pack_panels(table, settings, record, panel, panels)


@inner
def _output(table, settings, thread, panel, panels, size, scale):
    """Outputs of some panels, and their losses and dZ where the task wants any.

    `scale` is 1 / the mini-batch's sum of weights; the other arguments are as in `_input`.
    """
    item, width, task = get(settings, at.ITEM), get(settings, at.WIDTH), get(settings, at.TASK)
    record = at.record_of(table, get(settings, at.DEPTH))
    n_y = get(record, at.UNITS)
    acts, deltas = _acts(table, settings, record, panel), _deltas(table, settings, record, panel)
    count = min(panels * width, size - panel * width)
    if get(settings, at.HAS_TARGETS) != 0:
        call(
            table, at.OUTPUT_LOSS, table, acts, deltas, _of_thread(table, settings, at.TARGETS, thread, n_y),
            _of_thread(table, settings, at.FACTORS, thread, 1), bytes_at(table, at.TERMS, panel * width, item),
            n_y, width, panels, count, scale,
        )  # fmt: skip
    elif task == at.RETURN:
        call(table, at.OUTPUT_DELTA, table, acts, deltas, n_y, width, panels, panel * width, count)
    else:
        call(table, at.OUTPUT_ONLY, get(settings, at.OUTPUT), acts, n_y, width, panels)


@inner
def _backward_layer(table, settings, thread, layer, panel, panels):
    """dZ of the layer below `layer`, for some panels."""
    item, width = get(settings, at.ITEM), get(settings, at.WIDTH)
    record, below = at.record_of(table, layer), at.record_of(table, layer - 1)
    n_in, n_out, rows = get(below, at.UNITS), get(record, at.UNITS), get(below, at.ROWS)
    is_relu = get(below, at.ACTIVATION) == RELU
    weights = bytes_at(table, at.THETA, get(record, at.WEIGHTS_AT), item)
    deltas = _deltas(table, settings, below, panel)
    # Slopes lie where dZ will be.
    da = deltas if is_relu else _scratch(table, settings, thread, 0)
    keep = get(pointer_at(table, at.KEEPS, np.float64), layer - 1) if get(settings, at.MASKED) != 0 else 1.0
    multiply_panels(
        table, da, rows * width, ZERO, weights, weights, 1, n_in, n_in, n_out,
        _deltas(table, settings, record, panel), get(record, at.ROWS) * width, panels, width,
        RELU_SLOPE if is_relu else PLAIN, _acts(table, settings, below, panel), keep,
        _scratch(table, settings, thread, get(settings, at.TILE_IN)),
    )  # fmt: skip
    if not is_relu:
        call(table, at.SLOPE, da, deltas, deltas, panels * rows * width)


@inner
def _input_gradient(table, settings, thread, panel, panels, size):
    """The gradient by X of some panels, for the caller."""
    item, width = get(settings, at.ITEM), get(settings, at.WIDTH)
    record = at.record_of(table, 1)
    n_in, n_out = get(at.record_of(table, 0), at.UNITS), get(record, at.UNITS)
    weights = bytes_at(table, at.THETA, get(record, at.WEIGHTS_AT), item)
    da = _scratch(table, settings, thread, 0)
    multiply_panels(
        table, da, n_in * width, ZERO, weights, weights, 1, n_in, n_in, n_out,
        _deltas(table, settings, record, panel), get(record, at.ROWS) * width, panels, width, PLAIN, da, 0.0,
        _scratch(table, settings, thread, get(settings, at.TILE_IN)),
    )  # fmt: skip
    count = min(panels * width, size - panel * width)
    call(
        table, at.DELIVER, da, n_in * width, n_in, width, count, bytes_at(table, at.OUT_DX, panel * width, item),
        get(settings, at.M), 1,
    )  # fmt: skip


@op
def examples(table: Table, thread: int, n: int, first: int, position: int, size: int, total_weight: float, step: int):
    """Forward and back: a thread's panels of a chunk of examples.

    table, thread, n: of the run; which thread, of how many.
    first, position, size: the chunk's first example, counted in the order, in the mini-batch; how many it has.
    total_weight: the mini-batch's sum of sample weights.
    step: of training.
    """
    settings = pointer_at(table, at.SETTINGS, np.int64)
    item = get(settings, at.ITEM)
    task, depth, width = get(settings, at.TASK), get(settings, at.DEPTH), get(settings, at.WIDTH)
    n_panels = (size + width - 1) // width
    lo, hi = n_panels * thread // n, n_panels * (thread + 1) // n
    for panel in range(lo, hi, get(settings, at.BLOCK)):
        panels = min(get(settings, at.BLOCK), hi - panel)
        if task != at.RETURN:
            # A mini-batch of all examples is gathered in the first step of a run.
            if get(settings, at.PACKED_ONCE) == 0 or step == get(settings, at.STEP):
                _input(table, settings, thread, first, position, size, panel, panels, step)
            for layer in range(1, depth + 1):
                _forward_layer(table, settings, layer, position, panel, panels, step)
        _output(table, settings, thread, panel, panels, size, 1.0 / total_weight)
        if task == at.PREDICT or task == at.REMEMBER:
            record, example = at.record_of(table, depth), get(settings, at.OUT_EXAMPLE)
            n_y = get(record, at.UNITS)
            call(
                table, at.DELIVER, _acts(table, settings, record, panel), n_y * width, n_y,
                width, min(panels * width, size - panel * width),
                bytes_at(table, at.OUT, (first + panel * width) * example, item), get(settings, at.OUT_UNIT), example,
            )  # fmt: skip
        elif task != at.EVALUATE:
            for layer in range(depth, 1, -1):
                _backward_layer(table, settings, thread, layer, panel, panels)
            if get(settings, at.DX) != 0:
                _input_gradient(table, settings, thread, panel, panels, size)


@op
def weights_phase(table: Table, thread: int, n: int, size: int, begun: int, ends: int):
    """A thread's tiles of all weight gradients, for a chunk of `size` examples, and the updates that go with them."""
    settings = pointer_at(table, at.SETTINGS, np.int64)
    theta = pointer_at(table, at.THETA, np.uint8)
    lanes = get(settings, at.LANES)
    for layer in range(1, get(settings, at.DEPTH) + 1):
        record, below = at.record_of(table, layer), at.record_of(table, layer - 1)
        n_in, n_out = get(below, at.UNITS), get(record, at.UNITS)
        over_inputs = get(below, at.OVER_INPUTS) != 0
        tiles = tiles_over_inputs(n_in, n_out, lanes) if over_inputs else tiles_over_examples(n_in, n_out, lanes)
        lo, hi = tiles * thread // n, tiles * (thread + 1) // n
        if lo < hi:
            gradient = at.GRADIENT_OVER_INPUTS if over_inputs else at.GRADIENT_OVER_EXAMPLES
            call(table, gradient, table, theta, thread, layer, lo, hi, size, begun, ends)
        slot = get(record, at.SUMSQ_AT) + tiles
        groups = bias_groups(n_out)
        lo, hi = groups * thread // n, groups * (thread + 1) // n
        if lo < hi:
            call(table, at.BIAS_GRADIENT, table, theta, thread, layer, lo, hi, size, slot, begun, ends)


@inner
def large_batch(table, team, settings, step_reals, thread, n, first, count, total_weight, step):
    """Both phases for one mini-batch, chunk by chunk; the last barrier is left to the caller.

    table, team, settings: of the run.
    step_reals, thread, n: the thread's; which thread, of how many.
    first, count, total_weight: the first example, counted in the order; how many; their sum of weights.
    step: of training.
    """
    task, chunk = get(settings, at.TASK), get(settings, at.CHUNK)
    for begin in range(0, count, chunk):
        size = min(chunk, count - begin)
        if begin > 0:
            barrier(team, n)
        call(table, at.EXAMPLES, table, thread, n, first + begin, begin, size, total_weight, step)
        if task == at.PREDICT or task == at.REMEMBER:
            continue
        barrier(team, n)
        if thread == 0 and task != at.RETURN and get(settings, at.COSTED) != 0:
            call(table, at.SUM_TERMS, pointer_at(table, at.TERMS, np.uint8), size, advance(step_reals, at.LOSS_SUM))
        if task != at.EVALUATE:
            begun, ends = 1 if begin > 0 else 0, 1 if begin + size == count else 0
            call(table, at.WEIGHTS_PHASE, table, thread, n, size, begun, ends)
