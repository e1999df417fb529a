"""NumPy's legacy shuffles, sixteen epochs at a time: MT19937 in vector lanes, one seed a lane.

Seeding is a chain of 624 multiplications that a processor cannot overlap within one generator, and it alone
costs as much as the arithmetic of a small net's epoch. In lanes it costs a sixteenth.
"""

import numpy as np

from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.compiler.simd import get, load, put, splat, store, where

SEEDS = 16  # 32-bit words in a vector
STATE = 624
SHIFTED = 397


@inner
def seed_lanes(first_seed, state):
    """Fill state[624 * 16] as np.random.seed does, lane k with first_seed + k."""
    for k in range(SEEDS):
        put(state, k, np.uint32(first_seed + k))
    word = load(state, 0)
    for i in range(1, STATE):
        word = ((word >> 30) ^ word) * np.uint32(1812433253) + np.uint32(i)
        store(state, i * SEEDS, word)


@inner
def next_words(state, words):
    """Advance all lanes by 624 draws of 32 bits: words[i * 16 + lane]."""
    upper = splat(state, np.uint32(0x80000000))
    lower = splat(state, np.uint32(0x7FFFFFFF))
    for i in range(STATE):
        after = load(state, (i + 1) % STATE * SEEDS)
        y = (load(state, i * SEEDS) & upper) | (after & lower)
        odd = (y & np.uint32(1)) == splat(state, np.uint32(1))
        y = load(state, (i + SHIFTED) % STATE * SEEDS) ^ (y >> 1)
        y = where(odd, y ^ splat(state, np.uint32(0x9908B0DF)), y)
        store(state, i * SEEDS, y)
        y = y ^ (y >> 11)
        y = y ^ ((y << 7) & splat(state, np.uint32(0x9D2C5680)))
        y = y ^ ((y << 15) & splat(state, np.uint32(0xEFC60000)))
        store(words, i * SEEDS, y ^ (y >> 18))


@inner
def _draw_picks(words, lane, i, picks, at_lane):
    """Draw picks of i, i - 1, ..., each at most i, until the words run out; the next i to draw for.

    As NumPy does: a word is cut to the bits of i and rejected above it. Counting down by the comparison's result
    takes the place of a branch that would be mispredicted every third time.
    """
    at = lane
    end = STATE * SEEDS
    while i > 0 and at < end:
        mask = i
        for shift in (1, 2, 4, 8, 16):
            mask |= mask >> shift
        lowest = mask >> 1
        while i > lowest and at < end:
            value = np.int64(get(words, at)) & mask
            put(picks, at_lane + i, np.int32(value))
            i -= np.int64(value <= i)
            at += SEEDS
    return i


@inner
def permutations(first_seed, state, words, picks, orders, m):
    """orders[k * m:][:m] = np.random.permutation(m) after np.random.seed(first_seed + k), for k < 16.

    `state` and `words` are scratch of 624 * 16 uint32, `picks` of 16 * m int32.
    """
    seed_lanes(first_seed, state)
    for lane in range(SEEDS):
        put(picks, lane * m, np.int32(m - 1))  # pick 0 is never drawn: it holds the next i to draw for
    unfinished = m > 1
    while unfinished:
        unfinished = False
        next_words(state, words)
        for lane in range(SEEDS):
            i = _draw_picks(words, lane, np.int64(get(picks, lane * m)), picks, lane * m)
            put(picks, lane * m, np.int32(i))
            unfinished = unfinished or i > 0
    for lane in range(SEEDS):
        at = lane * m
        for i in range(m):
            put(orders, at + i, np.int32(i))
        for i in range(m - 1, 0, -1):
            j = np.int64(get(picks, at + i))
            last = get(orders, at + i)
            put(orders, at + i, get(orders, at + j))
            put(orders, at + j, last)
