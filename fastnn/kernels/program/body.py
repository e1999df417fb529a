"""The engine's one body: whole steps of training, or one pass forward or back, by every thread of a team.

Small networks train by the plan of `small`; others, and all passes that are no training, go by the plan of `large`.
"""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Table, inner, op
from fastnn.kernels.compiler.simd import call, get, pointer_at, put
from fastnn.kernels.program.large import large_batch
from fastnn.kernels.program.small import small_batch
from fastnn.kernels.program.teamwork import barrier, join, leave_together
from fastnn.kernels.program.update import APPLY


@inner
def _cost(table, settings, step_reals):
    """The cost of a mini-batch, times its sum of weights."""
    squares = 0.0
    if get(step_reals, at.L2_SCALE) != 0.0:
        for k in range(get(settings, at.N_SUMSQ)):
            squares += get(pointer_at(table, at.WEIGHT_SUMSQ, np.float64), k)
    return get(step_reals, at.LOSS_SUM) + 0.5 * get(pointer_at(table, at.REALS, np.float64), at.L2) * squares


@inner
def _weight_sum(table, settings, first, count, total):
    """The total plus the sample weights of `count` examples from `first` of the order on."""
    weights, order = pointer_at(table, at.SAMPLE_WEIGHTS, np.float64), pointer_at(table, at.ORDER, np.uint32)
    for t in range(first, first + count):
        total += get(weights, np.int64(get(order, t)) if get(settings, at.SHUFFLE) != 0 else t)
    return total


@inner
def _train(table, team, settings, step_reals, thread, n):
    """Steps of training, through as many epochs as they take."""
    reals, powers = pointer_at(table, at.REALS, np.float64), pointer_at(table, at.POWERS, np.float64)
    rates, costs = pointer_at(table, at.RATES, np.float64), pointer_at(table, at.COSTS, np.float64)
    sums = pointer_at(table, at.SUMS, np.float64)
    m, batch = get(settings, at.M), get(settings, at.BATCH)
    adaptive = get(settings, at.ADAPTIVE) != 0
    power1, power2 = get(powers, 0), get(powers, 1)
    first, epoch, step = get(settings, at.START), get(settings, at.EPOCH), get(settings, at.STEP)
    done = 0
    leaving = False
    while done < get(settings, at.STEPS) and not leaving:
        if first == 0 and get(settings, at.SHUFFLE) != 0:
            if thread == 0:
                call(
                    table, at.PERMUTE, pointer_at(table, at.ORDER, np.uint8), pointer_at(table, at.GENERATOR, np.uint8),
                    m, get(settings, at.KEY0), get(settings, at.KEY1), epoch,
                )  # fmt: skip
            barrier(team, n)
        count = min(batch, m - first)
        total_weight = float(count)
        if get(settings, at.WEIGHTED) != 0:
            total_weight = _weight_sum(table, settings, first, count, 0.0)
        cost = 0.0
        if total_weight > 0.0:
            rate = get(rates, done)
            put(step_reals, at.RATE, rate)
            if adaptive:
                power1, power2 = power1 * get(reals, at.BETA1), power2 * get(reals, at.BETA2)
                power1 = power1 if power1 > 1e-300 else 0.0
                power2 = power2 if power2 > 1e-300 else 0.0
                put(step_reals, at.FIRST_FACTOR, rate / (1.0 - power1))
                put(step_reals, at.SECOND_FACTOR, 1.0 / (1.0 - power2))
            put(step_reals, at.L2_SCALE, get(reals, at.L2) / total_weight)
            put(step_reals, at.DECAY, rate * get(reals, at.WEIGHT_DECAY))
            put(step_reals, at.CLIP_FACTOR, 1.0)
            if get(settings, at.PARTS) != 0:
                small_batch(table, team, settings, step_reals, thread, n, first, count, total_weight, step)
            else:
                put(step_reals, at.LOSS_SUM, 0.0)
                large_batch(table, team, settings, step_reals, thread, n, first, count, total_weight, step)
                if get(settings, at.FUSED) == 0:
                    barrier(team, n)
                    call(table, at.UPDATE_PARAMETERS, table, thread, n, APPLY)
        leaving = leave_together(team, n)
        if thread == 0:
            if total_weight > 0.0:
                cost = _cost(table, settings, step_reals)
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
    """What one thread does in a run: steps of training, or one pass; see `layout` for what the table holds."""
    team, settings = pointer_at(table, at.TEAM, np.int64), pointer_at(table, at.SETTINGS, np.int64)
    if not join(team, n):
        return
    step_reals = at.step_reals_of(table, thread)
    if get(settings, at.TASK) == at.TRAIN:
        _train(table, team, settings, step_reals, thread, n)
        return
    first, m = get(settings, at.START), get(settings, at.M)
    costs, sums = pointer_at(table, at.COSTS, np.float64), pointer_at(table, at.SUMS, np.float64)
    # Very many examples come in several runs, each of which goes on with the sums of the last one.
    put(step_reals, at.LOSS_SUM, get(costs, 0))
    before = get(sums, 0)
    total_weight = _weight_sum(table, settings, first, m, before) if get(settings, at.WEIGHTED) != 0 else before + m
    put(step_reals, at.L2_SCALE, get(pointer_at(table, at.REALS, np.float64), at.L2) / total_weight)
    put(step_reals, at.CLIP_FACTOR, 1.0)
    large_batch(table, team, settings, step_reals, thread, n, first, m, total_weight, get(settings, at.STEP))
    barrier(team, n)
    if thread == 0 and get(settings, at.HAS_TARGETS) != 0:
        put(costs, 0, _cost(table, settings, step_reals))
        put(sums, 0, total_weight)
