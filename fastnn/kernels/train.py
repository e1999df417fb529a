"""The course's training loops: whole epochs of shuffle, gather, forward, cost, backward and update in one call.

A step has three phases, each shared out among the threads and followed by a join: blocks of examples go forward
and back; rows of the weight gradients are summed over all examples; spans of the parameters are updated. Every
sum belongs to one thread and has one order, so the bits do not depend on their number.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastnn.kernels.backward import block_backward, layer_gradient
from fastnn.kernels.elementwise import span
from fastnn.kernels.forward import block_forward
from fastnn.kernels.losses import cross_entropy_span, pairwise_sum
from fastnn.kernels.optimizers import ADAM, GRADIENT_DESCENT, MOMENTUM, adam_span, gd_span, momentum_span
from fastnn.kernels.policy import inlined, inner, kernel, parallel_kernel
from fastnn.kernels.random import SEEDS, permutations
from fastnn.kernels.simd import get, pointer_at, put

BLOCK = 64


# What lies where in the table of pointers that `train` takes. By pointers, and not as arrays or tuples of them,
# because numba counts references to arrays around every call: 0.3 us of a step of 1 us.
(
    # int64, an entry for every layer, the input being layer 0: units, where W_l and b_l begin, units before l
    SIZES, WEIGHTS_AT, BIASES_AT, UNITS_AT,
    # float64: all parameters, W_l row-major and b_l in turn; their gradients; two moments; beta1^t and beta2^t
    THETA, GRADS, V, S, POWERS,
    # float64: the data, feature-major; dropout masks (1 / keep_prob or 0) laid out as ACTS, or anything
    X, Y, MASKS,
    # float64 scratch: one mini-batch in blocks of `width` examples, and its cost, term by term
    ACTS, DELTAS, TARGETS, TERMS,
    # uint32 and int32 scratch of `permutations`; without shuffling only ORDERS is read, 0 to m - 1
    STATE, WORDS, PICKS, ORDERS,
) = range(20)  # fmt: skip


class Settings(NamedTuple):
    """What to compute."""

    depth: int
    m: int
    batch: int
    n_parameters: int
    optimizer: int
    beta: float
    beta1: float
    beta2: float
    epsilon: float
    lambd: float
    keep: float  # 1 / keep_prob; 1 means no masks
    scaled_delta: bool  # whether 1/m sits inside dZ (initialization, optimization) or outside (regularization)
    skip_nan: bool  # whether the cost is a nansum
    first_seed: int  # of epoch 0; negative: no shuffling


class Net(NamedTuple):
    """The table, typed, with the sizes that go with it."""

    depth: int
    width: int  # examples in a block
    sizes: Any
    weights_at: Any
    biases_at: Any
    units_at: Any
    theta: Any
    grads: Any
    acts: Any
    deltas: Any
    targets: Any
    masks: Any


@inner
def _net(table, depth, width):
    return Net(
        depth,
        width,
        pointer_at(table, SIZES, np.int64),
        pointer_at(table, WEIGHTS_AT, np.int64),
        pointer_at(table, BIASES_AT, np.int64),
        pointer_at(table, UNITS_AT, np.int64),
        pointer_at(table, THETA, np.float64),
        pointer_at(table, GRADS, np.float64),
        pointer_at(table, ACTS, np.float64),
        pointer_at(table, DELTAS, np.float64),
        pointer_at(table, TARGETS, np.float64),
        pointer_at(table, MASKS, np.float64),
    )


@inner
def _gather(x, m, rows, order, start, columns, out, at, width):
    for i in range(rows):
        for j in range(columns):
            put(out, at + i * width + j, get(x, i * m + np.int64(get(order, start + j))))
        # Forward computes whole tiles of 16 columns, and an example left there by another batch might overflow.
        for j in range(columns, min((columns + 15) // 16 * 16, width)):
            put(out, at + i * width + j, 0.0)


@inlined
def _examples(net, table, settings, order_at, start, count, gather, with_cost, part, parts):
    width, m = net.width, settings.m
    x, y = pointer_at(table, X, np.float64), pointer_at(table, Y, np.float64)
    terms, orders = pointer_at(table, TERMS, np.float64), pointer_at(table, ORDERS, np.int32)
    n_x, n_y = get(net.sizes, 0), get(net.sizes, net.depth)
    output = get(net.units_at, net.depth)
    units = output + n_y
    blocks = (count + width - 1) // width
    scale = 1.0 / count if settings.scaled_delta else 1.0
    lo, hi = span(blocks, part, parts, 1)
    for block in range(lo, hi):
        at, d_at, y_at = block * units * width, block * (units - n_x) * width, block * n_y * width
        columns = min(width, count - block * width)
        if gather:
            first = order_at + start + block * width
            _gather(x, m, n_x, orders, first, columns, net.acts, at, width)
            _gather(y, m, n_y, orders, first, columns, net.targets, y_at, width)
        block_forward(net, at, (columns + 15) // 16 * 16, at if settings.keep != 1.0 else -1)
        if with_cost:
            for i in range(n_y):
                cross_entropy_span(
                    net.acts, at + (output + i) * width, net.targets, y_at + i * width,
                    terms, i * count + block * width, columns, settings.skip_nan,
                )  # fmt: skip
        block_backward(net, at, d_at, y_at, columns, scale, settings.keep)


@inlined
def _weight_gradients(net, settings, count, part, parts):
    width = net.width
    units = get(net.units_at, net.depth) + get(net.sizes, net.depth)
    a_block, d_block = units * width, (units - get(net.sizes, 0)) * width
    blocks = (count + width - 1) // width
    scale = 1.0 if settings.scaled_delta else 1.0 / count
    decay = settings.lambd / count
    for l in range(1, net.depth + 1):
        layer_gradient(net, a_block, d_block, blocks, scale, decay, l, part, parts)


@inner
def _update(net, table, settings, rate, part, parts):
    w, g = net.theta, net.grads
    v, s, powers = (
        pointer_at(table, V, np.float64),
        pointer_at(table, S, np.float64),
        pointer_at(table, POWERS, np.float64),
    )
    lo, hi = span(settings.n_parameters, part, parts, 64)
    if settings.optimizer == GRADIENT_DESCENT:
        gd_span(w, g, rate, w, lo, hi)
    elif settings.optimizer == MOMENTUM:
        momentum_span(w, g, v, settings.beta, 1.0 - settings.beta, rate, w, v, lo, hi)
    elif settings.optimizer == ADAM:
        beta1, beta2 = settings.beta1, settings.beta2
        unbias1, unbias2 = 1.0 / (1.0 - get(powers, 0)), 1.0 / (1.0 - get(powers, 1))
        adam_span(
            w,
            g,
            v,
            s,
            beta1,
            1.0 - beta1,
            unbias1,
            beta2,
            1.0 - beta2,
            unbias2,
            settings.epsilon,
            rate,
            w,
            v,
            s,
            lo,
            hi,
        )


@inlined
def _phase(phase, table, settings, width, order_at, start, count, gather, with_cost, rate, part, parts):
    net = _net(table, settings.depth, width)
    if phase == 0:
        _examples(net, table, settings, order_at, start, count, gather, with_cost, part, parts)
    elif phase == 1:
        _weight_gradients(net, settings, count, part, parts)
    else:
        _update(net, table, settings, rate, part, parts)


@inlined
def _shuffle(table, settings, epoch, first):
    """Draw the shuffles of the next 16 epochs when the last are used up; where in `orders` this epoch's begins."""
    row = epoch % SEEDS
    if first or row == 0:
        permutations(
            settings.first_seed + epoch - row, pointer_at(table, STATE, np.uint32), pointer_at(table, WORDS, np.uint32),
            pointer_at(table, PICKS, np.int32), pointer_at(table, ORDERS, np.int32), settings.m,
        )  # fmt: skip
    return row * settings.m


@inlined
def _count_step(table, settings):
    """beta1^t and beta2^t of the next t."""
    powers = pointer_at(table, POWERS, np.float64)
    put(powers, 0, get(powers, 0) * settings.beta1)
    put(powers, 1, get(powers, 1) * settings.beta2)


@inlined
def _batch_cost(table, settings, count):
    n_y = get(pointer_at(table, SIZES, np.int64), settings.depth)
    return pairwise_sum(pointer_at(table, TERMS, np.float64), n_y * count)


def _train(table, settings, rates, first_epoch, with_cost, n_threads):
    """Train for rates.size epochs from `first_epoch` on; the total cost of the first one before its updates, or 0.

    An epoch's shuffle is NumPy's for the seed first_seed + epoch; without shuffling there is one batch of all
    examples, gathered once.
    """
    m, batch = settings.m, min(settings.batch, settings.m)
    width = min(BLOCK, (batch + 15) // 16 * 16)
    shuffled = settings.first_seed >= 0
    cost = 0.0
    for e in range(rates.size):
        order_at = _shuffle(table, settings, first_epoch + e, e == 0) if shuffled else 0
        costed = with_cost and e == 0
        gather = shuffled or e == 0
        for start in range(0, m, batch):
            count = min(batch, m - start)
            _count_step(table, settings)
            for phase in range(3):
                for part in prange(n_threads):
                    _phase(
                        phase,
                        table,
                        settings,
                        width,
                        order_at,
                        start,
                        count,
                        gather,
                        costed,
                        rates[e],
                        part,
                        n_threads,
                    )
            if costed:
                cost += _batch_cost(table, settings, count)
    return cost


# Compiled twice, for the parallel one takes three times as long and the nets of the course never need it.
train_serial = kernel(_train)
train_parallel = parallel_kernel(_train)
