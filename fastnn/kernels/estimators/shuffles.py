"""Shuffles of a running NumPy generator, whose state lies in GENERATOR, an epoch at a time."""

import numpy as np

from fastnn.kernels.compiler.policy import Words, inner, op
from fastnn.kernels.compiler.simd import get, load, put, splat, store, where
from fastnn.kernels.formulas.mt19937 import SEEDS, SHIFTED, STATE

# GENERATOR: the state of MT19937, how many of its words are used up, and whether to shuffle at all.
USED, SHUFFLES = STATE, STATE + 1
GENERATOR_WORDS = STATE + 2

# The first of a state's words that depends on words made in the same round.
SECOND = STATE - SHIFTED


@inner
def _next_vector(state, i, shifted):
    """Words i, ..., i + 15 of the next round, in place; every word they depend on is 16 or more places away."""
    y = (load(state, i) & splat(state, np.uint32(0x80000000))) | (
        load(state, i + 1) & splat(state, np.uint32(0x7FFFFFFF))
    )
    odd = (y & np.uint32(1)) == splat(state, np.uint32(1))
    word = load(state, shifted) ^ (y >> 1)
    store(state, i, where(odd, word ^ splat(state, np.uint32(0x9908B0DF)), word))


@inner
def _next_word(state, i):
    y = (get(state, i) & np.uint32(0x80000000)) | (get(state, (i + 1) % STATE) & np.uint32(0x7FFFFFFF))
    word = get(state, (i + SHIFTED) % STATE) ^ (y >> np.uint32(1))
    put(state, i, np.uint32(word ^ np.uint32(0x9908B0DF) if y & np.uint32(1) else word))


@inner
def _next_round(state):
    """Make the next 624 words of MT19937, as NumPy does."""
    whole = SECOND // SEEDS * SEEDS
    for i in range(0, whole, SEEDS):
        _next_vector(state, i, i + SHIFTED)
    for i in range(whole, SECOND):
        _next_word(state, i)
    end = SECOND + (STATE - 1 - SECOND) // SEEDS * SEEDS
    for i in range(SECOND, end, SEEDS):
        _next_vector(state, i, i - SECOND)
    for i in range(end, STATE):
        _next_word(state, i)


@op
def permute(order: Words, state: Words, m: int, key0: int, key1: int, epoch: int):
    """Shuffle the order of the epoch before as `numpy.random.RandomState.shuffle` does, and move its state on."""
    used = np.int64(get(state, USED))
    i = m - 1 if get(state, SHUFFLES) != 0 else 0
    while i > 0:
        mask = i
        for shift in (1, 2, 4, 8, 16):
            mask |= mask >> shift
        # Draws are cut to the bits of i, and rejected above it.
        while i > mask >> 1:
            if used == STATE:
                _next_round(state)
                used = np.int64(0)
            y = get(state, used)
            used += 1
            y ^= y >> np.uint32(11)
            y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
            y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
            y ^= y >> np.uint32(18)
            drawn = np.int64(y) & mask
            accepted = drawn <= i
            # A rejected draw swaps i with itself: a branch would be mispredicted every third time.
            j = drawn if accepted else i
            last, other = get(order, i), get(order, j)
            put(order, i, other)
            put(order, j, last)
            i -= int(accepted)
    put(state, USED, np.uint32(used))
