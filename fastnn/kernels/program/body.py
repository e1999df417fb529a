"""The engine's one body: whole steps of training, or one pass forward or back, by every thread of a team.

Small networks train by the plan of `small`. For others, and for passes that are no training, a step has two phases,
each followed by a barrier. First examples: blocks of panels go forward through all layers and straight back, so that a
block's activations stay in the L2 cache. Then weights: every tile of dW belongs to one thread, which sums it
over all examples and updates its parameters. Every sum has one owner and one order, so the bits do not depend on the
number of threads.

Only addresses pass through here, no numbers: the body is compiled once for float32 and float64.
"""

import math

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Table, inner, op
from fastnn.kernels.compiler.simd import advance, bytes_at, call, get, integer_at, pointer_at, put
from fastnn.kernels.formulas.activations import RELU
from fastnn.kernels.formulas.optimizers import ADAM
from fastnn.kernels.matmul.micro_kernel import BIAS, PLAIN, RELU_SLOPE, ZERO
from fastnn.kernels.matmul.micro_kernel import RELU as RELU_SUMS
from fastnn.kernels.matmul.products import multiply_panels
from fastnn.kernels.matmul.weight_gradients import bias_groups, tiles_over_examples, tiles_over_inputs
from fastnn.kernels.program.teamwork import barrier, join, leave_together, part_begin


@inner
def _acts(table, layer, panel, width):
    start = integer_at(table, at.ACTS_AT, layer) + panel * integer_at(table, at.ROWS, layer) * width
    return bytes_at(table, at.ACTS, start, integer_at(table, at.SETTINGS, at.ITEM))


@inner
def _deltas(table, layer, panel, width):
    start = integer_at(table, at.DELTAS_AT, layer) + panel * integer_at(table, at.ROWS, layer) * width
    return bytes_at(table, at.DELTAS, start, integer_at(table, at.SETTINGS, at.ITEM))


@inner
def _pack(table, settings, layer, panel, panels, width):
    """Store panels of a layer a second time, packed."""
    item, wide = get(settings, at.ITEM), 2 * get(settings, at.LANES)
    units, chunk = integer_at(table, at.SIZES, layer), get(settings, at.CHUNK)
    start = integer_at(table, at.PACKED_AT, layer)
    for p in range(panel, panel + panels):
        acts = _acts(table, layer, p, width)
        for i in range(0, units, wide):
            packed = bytes_at(table, at.PACKED, start + i * chunk + p * width * wide, item)
            call(table, at.TRANSPOSE, advance(acts, i * width * item), width, min(wide, units - i), width, packed, wide)


@inner
def _drop(table, settings, layer, panel, panels, width, position, step, with_slopes):
    units = integer_at(table, at.SIZES, layer)
    keep = get(pointer_at(table, at.KEEPS, np.float64), layer)
    for p in range(panel, panel + panels):
        acts = _acts(table, layer, p, width)
        slopes = _deltas(table, layer, p, width) if layer > 0 else acts
        call(
            table, at.DROPOUT, table, acts, slopes, with_slopes, units, width, position + p * width, layer, step,
            get(settings, at.KEY0), get(settings, at.KEY1), integer_at(table, at.THRESHOLDS, layer), keep,
        )  # fmt: skip


@inner
def _input(table, settings, thread, first, position, size, panel, panels, width, step):
    item = get(settings, at.ITEM)
    packed = integer_at(table, at.PACKED_AT, 0) >= 0 and width > 1
    scratch = thread * get(settings, at.SCRATCH_SIZE)
    call(
        table, at.GATHER, table, _acts(table, 0, panel, width),
        integer_at(table, at.ROWS, 0) * width,
        bytes_at(table, at.PACKED, max(0, integer_at(table, at.PACKED_AT, 0)), item),
        get(settings, at.CHUNK) if packed else 0,
        bytes_at(table, at.SCRATCH, scratch + get(settings, at.TARGETS_IN), item),
        bytes_at(table, at.SCRATCH, scratch + get(settings, at.FACTORS_IN), item),
        thread, first, panel, panels, size, width,
    )  # fmt: skip
    if get(settings, at.MASKED) != 0 and integer_at(table, at.THRESHOLDS, 0) > 0:
        _drop(table, settings, 0, panel, panels, width, position, step, 0)
        if packed:
            _pack(table, settings, 0, panel, panels, width)


@inner
def _forward_layer(table, settings, layer, position, panel, panels, width, step):
    item = get(settings, at.ITEM)
    n_in, n_out = integer_at(table, at.SIZES, layer - 1), integer_at(table, at.SIZES, layer)
    rows = integer_at(table, at.ROWS, layer)
    acts = _acts(table, layer, panel, width)
    is_last = layer == get(settings, at.DEPTH)
    code = integer_at(table, at.CODES, layer)
    multiply_panels(
        table, acts, rows * width, BIAS,
        bytes_at(table, at.THETA, integer_at(table, at.BIASES_AT, layer), item),
        bytes_at(table, at.THETA, integer_at(table, at.WEIGHTS_AT, layer), item), n_in, 1, n_out, n_in,
        _acts(table, layer - 1, panel, width), integer_at(table, at.ROWS, layer - 1) * width, panels, width,
        RELU_SUMS if code == RELU and not is_last else PLAIN, acts, 0.0, acts,
    )  # fmt: skip
    if is_last:
        return
    learns = get(settings, at.TASK) != at.EVALUATE and get(settings, at.TASK) != at.PREDICT
    with_slopes = 1 if learns and code != RELU else 0
    slopes = _deltas(table, layer, panel, width)
    # The rows that keep panels apart are swept over too: they are zero, or what an activation makes of it.
    size = panels * rows * width
    if code == at.USERS_OWN:
        call(pointer_at(table, at.USER_ACTIVATIONS, np.uintp), layer, acts, size, slopes, with_slopes)
    elif code != RELU:
        call(table, at.ACTIVATE, code, acts, size, slopes, with_slopes)
    if get(settings, at.MASKED) != 0 and integer_at(table, at.THRESHOLDS, layer) > 0:
        _drop(table, settings, layer, panel, panels, width, position, step, with_slopes)
    if learns and width > 1 and integer_at(table, at.PACKED_AT, layer) >= 0:
        _pack(table, settings, layer, panel, panels, width)


@inner
def _output(table, settings, thread, panel, panels, width, size, total_weight):
    item = get(settings, at.ITEM)
    scratch = thread * get(settings, at.SCRATCH_SIZE)
    task, depth = get(settings, at.TASK), get(settings, at.DEPTH)
    n_y = integer_at(table, at.SIZES, depth)
    acts = _acts(table, depth, panel, width)
    deltas = _deltas(table, depth, panel, width)
    count = min(panels * width, size - panel * width)
    if task <= at.EVALUATE:
        call(
            table, at.OUTPUT_LOSS, table, acts, deltas,
            bytes_at(table, at.SCRATCH, scratch + get(settings, at.TARGETS_IN), item),
            bytes_at(table, at.SCRATCH, scratch + get(settings, at.FACTORS_IN), item),
            bytes_at(table, at.TERMS, panel * width, item),
            n_y, width, panels, count, 1.0 / total_weight,
        )  # fmt: skip
    elif task == at.RETURN:
        call(table, at.OUTPUT_DELTA, table, acts, deltas, n_y, width, panels, panel * width, count)
    else:
        call(table, at.OUTPUT_ONLY, get(settings, at.OUTPUT), acts, n_y, width, panels)


@inner
def _backward_layer(table, settings, thread, layer, panel, panels, width):
    """dZ of the layer below `layer`."""
    item = get(settings, at.ITEM)
    scratch = thread * get(settings, at.SCRATCH_SIZE)
    n_in, n_out = integer_at(table, at.SIZES, layer - 1), integer_at(table, at.SIZES, layer)
    rows, rows_out = integer_at(table, at.ROWS, layer - 1), integer_at(table, at.ROWS, layer)
    code = integer_at(table, at.CODES, layer - 1)
    weights = bytes_at(table, at.THETA, integer_at(table, at.WEIGHTS_AT, layer), item)
    deltas = _deltas(table, layer - 1, panel, width)
    acts = _acts(table, layer - 1, panel, width)
    # Slopes lie where dZ will be.
    da = deltas if code == RELU else bytes_at(table, at.SCRATCH, scratch + get(settings, at.DA_IN), item)
    keep = get(pointer_at(table, at.KEEPS, np.float64), layer - 1) if get(settings, at.MASKED) != 0 else 1.0
    multiply_panels(
        table, da, rows * width, ZERO, weights, weights, 1, n_in, n_in, n_out,
        _deltas(table, layer, panel, width), rows_out * width, panels, width,
        RELU_SLOPE if code == RELU else PLAIN, acts, keep,
        bytes_at(table, at.SCRATCH, scratch + get(settings, at.TILE_IN), item),
    )  # fmt: skip
    if code != RELU:
        call(table, at.SLOPE, da, deltas, deltas, panels * rows * width)


@inner
def _input_gradient(table, settings, thread, panel, panels, width, size):
    item = get(settings, at.ITEM)
    scratch = thread * get(settings, at.SCRATCH_SIZE)
    n_in, n_out = integer_at(table, at.SIZES, 0), integer_at(table, at.SIZES, 1)
    weights = bytes_at(table, at.THETA, integer_at(table, at.WEIGHTS_AT, 1), item)
    da = bytes_at(table, at.SCRATCH, scratch + get(settings, at.DA_IN), item)
    multiply_panels(
        table, da, n_in * width, ZERO, weights, weights, 1, n_in, n_in, n_out,
        _deltas(table, 1, panel, width), integer_at(table, at.ROWS, 1) * width, panels, width, PLAIN, da, 0.0,
        bytes_at(table, at.SCRATCH, scratch + get(settings, at.TILE_IN), item),
    )  # fmt: skip
    count = min(panels * width, size - panel * width)
    call(
        table, at.DELIVER, da, n_in * width, n_in, width, count, bytes_at(table, at.OUT_DX, panel * width, item),
        get(settings, at.M), 1,
    )  # fmt: skip


@op
def examples(table: Table, thread: int, n: int, first: int, position: int, size: int, total_weight: float, step: int):
    """Forward and back: a thread's panels of `size` examples, from `first` of the order on, `position` in the batch."""
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
                _input(table, settings, thread, first, position, size, panel, panels, width, step)
            for layer in range(1, depth + 1):
                _forward_layer(table, settings, layer, position, panel, panels, width, step)
        _output(table, settings, thread, panel, panels, width, size, total_weight)
        if task == at.PREDICT or task == at.REMEMBER:
            n_y = integer_at(table, at.SIZES, depth)
            example = get(settings, at.OUT_EXAMPLE)
            call(
                table, at.DELIVER, _acts(table, depth, panel, width), n_y * width, n_y,
                width, min(panels * width, size - panel * width),
                bytes_at(table, at.OUT, (first + panel * width) * example, item), get(settings, at.OUT_UNIT), example,
            )  # fmt: skip
        elif task != at.EVALUATE:
            for layer in range(depth, 1, -1):
                _backward_layer(table, settings, thread, layer, panel, panels, width)
            if get(settings, at.DX) != 0:
                _input_gradient(table, settings, thread, panel, panels, width, size)


@op
def weights(table: Table, thread: int, n: int, size: int, begun: int, ends: int):
    """A thread's tiles of all weight gradients, and the updates that go with them."""
    settings = pointer_at(table, at.SETTINGS, np.int64)
    theta = pointer_at(table, at.THETA, np.uint8)
    lanes = get(settings, at.LANES)
    for layer in range(1, get(settings, at.DEPTH) + 1):
        n_in, n_out = integer_at(table, at.SIZES, layer - 1), integer_at(table, at.SIZES, layer)
        over_inputs = integer_at(table, at.PACKED_AT, layer - 1) >= 0
        tiles = tiles_over_inputs(n_in, n_out, lanes) if over_inputs else tiles_over_examples(n_in, n_out, lanes)
        lo, hi = tiles * thread // n, tiles * (thread + 1) // n
        if lo < hi:
            leaf_ = at.GRADIENT_OVER_INPUTS if over_inputs else at.GRADIENT_OVER_EXAMPLES
            call(table, leaf_, table, theta, thread, layer, lo, hi, size, begun, ends)
        slot = integer_at(table, at.SLOTS_AT, layer) + tiles
        groups = bias_groups(n_out)
        lo, hi = groups * thread // n, groups * (thread + 1) // n
        if lo < hi:
            call(table, at.BIAS_GRADIENT, table, theta, thread, layer, lo, hi, size, slot, begun, ends)


@inner
def _batch(table, team, settings, steps, thread, n, first, count, total_weight, step):
    """Both phases for one mini-batch, chunk by chunk; the last barrier is left to the caller."""
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
            call(table, at.SUM_TERMS, pointer_at(table, at.TERMS, np.uint8), size, advance(steps, at.LOSS_SUM))
        if task != at.EVALUATE:
            begun, ends = 1 if begin > 0 else 0, 1 if begin + size == count else 0
            call(table, at.WEIGHTS_PHASE, table, thread, n, size, begun, ends)


@inner
def _cost(table, settings, steps):
    """The cost of a mini-batch, times its sum of weights."""
    squares = 0.0
    if get(steps, at.L2_SCALE) != 0.0:
        for slot in range(get(settings, at.N_SLOTS)):
            squares += get(pointer_at(table, at.WEIGHT_SUMSQ, np.float64), slot)
    return get(steps, at.LOSS_SUM) + 0.5 * get(pointer_at(table, at.REALS, np.float64), at.L2) * squares


@inner
def _clip_factor(table, settings, thread, n, clip):
    """What the update multiplies gradients by. Where no such number will do, they are clipped here, and it is 1."""
    tiny, size = get(pointer_at(table, at.REALS, np.float64), at.TINY), get(settings, at.N_PARAMETERS)
    squares = 0.0
    for slot in range(get(settings, at.N_SLOTS)):
        squares += get(pointer_at(table, at.GRAD_SUMSQ, np.float64), slot)
    norm = math.sqrt(squares)
    factor = clip / norm if norm > clip else 1.0
    # Squares overflow to a factor of 0. Of those that are denormal, size * tiny may be missing.
    if factor < tiny or (clip * clip < size * tiny * 2.0**53 and norm < math.inf):
        if thread == 0:
            call(table, at.CLIP_WIDELY, pointer_at(table, at.GRADS, np.uint8), size, clip)
        barrier(pointer_at(table, at.TEAM, np.int64), n)
        factor = 1.0
    return factor


# What `update_parameters` does: adds up what the parts of a small mini-batch have left, moves the parameters, or both.
REDUCE, APPLY = 1, 2


@op
def update_parameters(table: Table, thread: int, n: int, phases: int):
    """A thread's share of the update, where it is a pass of its own: gradients had to be complete first, or are few."""
    settings = pointer_at(table, at.SETTINGS, np.int64)
    steps = advance(pointer_at(table, at.STEP_REALS, np.float64), thread * at.STEP_REALS_STRIDE)
    clip = get(pointer_at(table, at.REALS, np.float64), at.CLIP)
    if phases & APPLY != 0 and clip > 0.0:
        put(steps, at.CLIP_FACTOR, _clip_factor(table, settings, thread, n, clip))
    share = get(steps, at.L2_SCALE) if phases & REDUCE != 0 else 0.0
    if get(settings, at.PARTS) <= 1 and share == 0.0:
        phases = phases & APPLY
    if get(steps, at.DECAY) == 0.0 and share == 0.0:
        _update_span(table, thread, n, 0, get(settings, at.N_PARAMETERS), 0, phases, 0.0)
    else:
        for layer in range(1, get(settings, at.DEPTH) + 1):
            weights, biases = integer_at(table, at.WEIGHTS_AT, layer), integer_at(table, at.BIASES_AT, layer)
            _update_span(table, thread, n, weights, biases - weights, 1, phases, share)
            _update_span(table, thread, n, biases, integer_at(table, at.SIZES, layer), 0, phases, 0.0)


@inner
def _update_span(table, thread, n, start, size, decayed, phases, share):
    item = integer_at(table, at.SETTINGS, at.ITEM)
    lines = (size + 15) // 16
    lo, hi = part_begin(lines, thread, n) * 16, min(part_begin(lines, thread + 1, n) * 16, size)
    if lo < hi:
        if phases & REDUCE != 0:
            call(table, at.REDUCE_PARTS, table, pointer_at(table, at.GRADS, np.uint8), start + lo, hi - lo, share)
        if phases & APPLY != 0:
            grads = bytes_at(table, at.GRADS, start + lo, item)
            call(table, at.UPDATE, table, thread, grads, 0, start + lo, 0, 1, hi - lo, decayed)


@inner
def _small_batch(table, team, settings, steps, thread, n, first, count, total_weight, step):
    """One mini-batch of a small network up to its update; see `small`."""
    reals = pointer_at(table, at.REALS, np.float64)
    call(
        table, at.SMALL_EXAMPLES, table, pointer_at(table, at.THETA, np.uint8), thread, n, first, count, total_weight,
        step,
    )  # fmt: skip
    put(steps, at.LOSS_SUM, 0.0)
    squares = pointer_at(table, at.WEIGHT_SUMSQ, np.float64)
    if thread == 0 and get(steps, at.L2_SCALE) != 0.0:
        put(squares, 0, 0.0)
        for layer in range(1, get(settings, at.DEPTH) + 1):
            start, end = integer_at(table, at.WEIGHTS_AT, layer), integer_at(table, at.BIASES_AT, layer)
            weights = bytes_at(table, at.THETA, start, get(settings, at.ITEM))
            call(table, at.SUM_SQUARES, weights, end - start, squares)
    barrier(team, n)
    if thread == 0:
        if get(settings, at.TERMS_KEPT) == 0:
            for part in range(get(settings, at.PARTS)):
                loss = get(pointer_at(table, at.PART_LOSSES, np.float64), part)
                put(steps, at.LOSS_SUM, get(steps, at.LOSS_SUM) + loss)
        elif get(settings, at.COSTED) != 0:
            call(table, at.SUM_TERMS, pointer_at(table, at.TERMS, np.uint8), count, advance(steps, at.LOSS_SUM))
    phases = REDUCE | APPLY
    if get(reals, at.CLIP) > 0.0:
        call(table, at.UPDATE_PARAMETERS, table, thread, n, REDUCE)
        barrier(team, n)
        if thread == 0:
            norms = pointer_at(table, at.GRAD_SUMSQ, np.float64)
            put(norms, 0, 0.0)
            grads = pointer_at(table, at.GRADS, np.uint8)
            call(table, at.SUM_SQUARES, grads, get(settings, at.N_PARAMETERS), norms)
        barrier(team, n)
        phases = APPLY
    call(table, at.UPDATE_PARAMETERS, table, thread, n, phases)


@inner
def _weight_sum(table, settings, first, count, total):
    weights, order = pointer_at(table, at.WEIGHTS, np.float64), pointer_at(table, at.ORDER, np.uint32)
    for t in range(first, first + count):
        total += get(weights, np.int64(get(order, t)) if get(settings, at.SHUFFLE) != 0 else t)
    return total


@inner
def _train(table, team, settings, steps, thread, n):
    reals, powers = pointer_at(table, at.REALS, np.float64), pointer_at(table, at.POWERS, np.float64)
    rates, costs = pointer_at(table, at.RATES, np.float64), pointer_at(table, at.COSTS, np.float64)
    sums = pointer_at(table, at.SUMS, np.float64)
    m, batch = get(settings, at.M), get(settings, at.BATCH)
    adaptive = get(settings, at.OPTIMIZER) >= ADAM
    power1, power2 = get(powers, 0), get(powers, 1)
    first, epoch, step = get(settings, at.START), get(settings, at.EPOCH), get(settings, at.STEP)
    done = 0
    leaving = False
    while done < get(settings, at.STEPS) and not leaving:
        if first == 0 and get(settings, at.SHUFFLE) != 0:
            if thread == 0:
                call(
                    table, at.PERMUTE, pointer_at(table, at.ORDER, np.uint8), m, get(settings, at.KEY0),
                    get(settings, at.KEY1), epoch,
                )  # fmt: skip
            barrier(team, n)
        count = min(batch, m - first)
        total_weight = float(count)
        if get(settings, at.WEIGHTED) != 0:
            total_weight = _weight_sum(table, settings, first, count, 0.0)
        cost = 0.0
        if total_weight > 0.0:
            rate = get(rates, done)
            put(steps, at.RATE, rate)
            if adaptive:
                power1, power2 = power1 * get(reals, at.BETA1), power2 * get(reals, at.BETA2)
                power1 = power1 if power1 > 1e-300 else 0.0
                power2 = power2 if power2 > 1e-300 else 0.0
                put(steps, at.FIRST_FACTOR, rate / (1.0 - power1))
                put(steps, at.SECOND_FACTOR, 1.0 / (1.0 - power2))
            put(steps, at.L2_SCALE, get(reals, at.L2) / total_weight)
            put(steps, at.DECAY, rate * get(reals, at.WEIGHT_DECAY))
            put(steps, at.CLIP_FACTOR, 1.0)
            if get(settings, at.PARTS) != 0:
                _small_batch(table, team, settings, steps, thread, n, first, count, total_weight, step)
            else:
                put(steps, at.LOSS_SUM, 0.0)
                _batch(table, team, settings, steps, thread, n, first, count, total_weight, step)
                if get(settings, at.FUSED) == 0:
                    barrier(team, n)
                    call(table, at.UPDATE_PARAMETERS, table, thread, n, APPLY)
        leaving = leave_together(team, n)
        if thread == 0:
            if total_weight > 0.0:
                cost = _cost(table, settings, steps)
            put(costs, done, cost)
            put(sums, done, total_weight)
        done, step, first = done + 1, step + 1, first + count
        if first == m:
            first, epoch = 0, epoch + 1
    if thread == 0:
        put(powers, 0, power1)
        put(powers, 1, power2)
        put(settings, at.DONE, done)


@op
def body(table: Table, thread: int, n: int):
    """One thread's share of a run; see `layout` for what the table holds."""
    team, settings = pointer_at(table, at.TEAM, np.int64), pointer_at(table, at.SETTINGS, np.int64)
    if not join(team, n):
        return
    steps = advance(pointer_at(table, at.STEP_REALS, np.float64), thread * at.STEP_REALS_STRIDE)
    if get(settings, at.TASK) == at.TRAIN:
        _train(table, team, settings, steps, thread, n)
        return
    first, m = get(settings, at.START), get(settings, at.M)
    costs, sums = pointer_at(table, at.COSTS, np.float64), pointer_at(table, at.SUMS, np.float64)
    # Very many examples come in several runs, each of which goes on with the sums of the last one.
    put(steps, at.LOSS_SUM, get(costs, 0))
    before = get(sums, 0)
    total_weight = _weight_sum(table, settings, first, m, before) if get(settings, at.WEIGHTED) != 0 else before + m
    put(steps, at.L2_SCALE, get(pointer_at(table, at.REALS, np.float64), at.L2) / total_weight)
    put(steps, at.CLIP_FACTOR, 1.0)
    _batch(table, team, settings, steps, thread, n, first, m, total_weight, get(settings, at.STEP))
    barrier(team, n)
    if thread == 0 and get(settings, at.TASK) <= at.EVALUATE:
        put(costs, 0, _cost(table, settings, steps))
        put(sums, 0, total_weight)
