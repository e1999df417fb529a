"""Counter-based random numbers, Philox4x32-10: dropout's masks and an epoch's order.

A number depends on the seed and on its place alone, so any thread can draw any of them. Words are drawn in vectors of
64-bit integers, whose lower halves hold them: those are what processors multiply in one instruction.
"""

import numpy as np

from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.compiler.simd import get, lanes_of, load, put, stack_buffer, store
from fastnn.kernels.compiler.tracing import low_halves, traced_fill, where

WORD = 0xFFFFFFFF
PERMUTATION_LAYER = WORD  # no layer has this number, so no mask has a counter that a permutation has


def _words(c0, c1, c2, c3, k0, k1):
    """The four words of Philox4x32-10 at the counters (c0, c1, c2, c3) under the key (k0, k1)."""
    for _ in range(10):
        # The upper halves are of no use, and masked where they would matter.
        p0, p1 = (c0 & WORD) * 0xD2511F53, (c2 & WORD) * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1, (p0 >> 32) ^ c3 ^ k1, p0
        k0, k1 = k0 + 0x9E3779B9, k1 + 0xBB67AE85
    return c0 & WORD, c1 & WORD, c2 & WORD, c3 & WORD


def _masks(index, c0, c0_step, c1, c1_step, c2, c3, k0, k1, threshold, scale):
    """0 where a word is below the threshold, else the scale: the four words at as many counters as a vector has lanes.

    The counters are (c0, c1, c2, c3), then (c0 + c0_step, c1 + c1_step, c2, c3) and so on, `index` being the lane; the
    key is (k0, k1).
    """
    if scale.dtype == np.float64:
        words = _words(c0 + index * c0_step, c1 + index * c1_step, c2, c3, k0, k1)
    else:
        even, odd = (
            _words(c0 + lane * c0_step, c1 + lane * c1_step, c2, c3, k0, k1) for lane in (index * 2, index * 2 + 1)
        )
        words = [low_halves(a, b) for a, b in zip(even, odd, strict=True)]
        threshold = low_halves(threshold, threshold)
    return [where(word < threshold, 0.0, scale) for word in words]


def _picks(index, block, epoch, k0, k1):
    """floor(w_i (i + 1) / 2^32) for the words w_i at 16 counters from `block` on, i = 4 (block + lane) + word."""
    halves = []
    for c0 in (block + index * 2, block + (index * 2 + 1)):
        words = _words(c0, c0 ^ c0, (c0 ^ c0) + PERMUTATION_LAYER, epoch, k0, k1)
        halves.append([(word * ((c0 * 4 + (q + 1)) & WORD)) >> 32 for q, word in enumerate(words)])
    return [low_halves(a, b) for a, b in zip(*halves, strict=True)]


draw_masks = traced_fill(_masks)
draw_picks = traced_fill(_picks)


@inner
def dropout_panel(a, slopes, n_units, width, position, layer, step, key0, key1, threshold, scale, with_slopes):
    """a[unit, t] *= 0 or scale, for the examples `position`, `position + 1`, ... of a mini-batch; slopes too if wanted.

    An element is dropped if word unit % 4 at the counter (example, unit // 4, layer, step) is below the threshold.

    a, slopes, with_slopes: panels [unit][width]; whether slopes are wanted.
    n_units, width, position: the panel's size, width 1 or a multiple of a vector's lanes; its first example.
    layer, step, key0, key1: the layer, step of training and seed.
    threshold, scale: of 2^32 words, how many drop an element; what the others are multiplied by.
    """
    lanes = lanes_of(a)
    masks = stack_buffer(a, 64)
    # Lanes are examples, or for a single example every fourth unit.
    along = 0 if width == 1 else 1
    units = 4 if along else 4 * lanes
    for first in range(0, n_units, units):
        for t in range(0, width, lanes):
            draw_masks(masks, position + t, along, first >> 2, 1 - along, layer, step, key0, key1, threshold, scale)
            for unit in range(first, first + units if first + units < n_units else n_units):
                if along:
                    mask = load(masks, (unit - first) * lanes)
                    at = unit * width + t
                    store(a, at, load(a, at) * mask)
                    if with_slopes:
                        store(slopes, at, load(slopes, at) * mask)
                else:
                    factor = get(masks, (unit & 3) * lanes + ((unit - first) >> 2))
                    put(a, unit, get(a, unit) * factor)
                    if with_slopes:
                        put(slopes, unit, get(slopes, unit) * factor)


@inner
def _swap(order, i, pick):
    j = np.int64(pick)
    last = get(order, i)
    put(order, i, get(order, j))
    put(order, j, last)


@inner
def permutation(order, m, key0, key1, epoch):
    """order[:m] = a shuffle of 0, ..., m - 1, as 32-bit integers, by Fisher and Yates.

    For i = m - 1, ..., 1 it swaps the entries i and floor(w_i (i + 1) / 2^32), where w_i is word i % 4 at the counter
    (i // 4, 0, 2^32 - 1, epoch).
    """
    for i in range(m):
        put(order, i, np.uint32(i))
    picks = stack_buffer(order, 64)
    i = m - 1
    while i > 0:
        first = i & -64
        draw_picks(picks, first >> 2, epoch, key0, key1)
        # Down to where 64 picks are left to take, and no index has to be worked out.
        while i & 63 != 63 and i > 0 and i >= first:
            _swap(order, i, get(picks, (i & 3) * 16 + ((i - first) >> 2)))
            i -= 1
        if i >= first and i > 0:
            for block in range(15, -1, -1):
                i = first + 4 * block
                _swap(order, i + 3, get(picks, 48 + block))
                _swap(order, i + 2, get(picks, 32 + block))
                _swap(order, i + 1, get(picks, 16 + block))
                # Entry 0 is at last swapped with itself.
                _swap(order, i, get(picks, block))
            i = first - 1
