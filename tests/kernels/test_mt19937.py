"""Shuffles drawn in vector lanes are those of NumPy's legacy generator."""

import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT

from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import pointer
from fastnn.kernels.formulas import mt19937
from fastnn.kernels.formulas.mt19937 import SEEDS, STATE


@kernel
def shuffled(first_seed, state, words, picks, orders, m):
    mt19937.permutations(first_seed, pointer(state), pointer(words), pointer(picks), pointer(orders), m)


def permutations(first_seed, m):
    """Return 16 permutations, after a check that only their array was written."""
    scratch = [np.full(STATE * SEEDS + 2, 9, np.uint32) for _ in range(2)]
    picks, orders = (np.full(SEEDS * m + 2, -5, np.int32) for _ in range(2))
    shuffled(first_seed, *(array[1:-1] for array in (*scratch, picks, orders)), m)
    for array, filler in zip((*scratch, picks, orders), (9, 9, -5, -5), strict=True):
        assert array[0] == array[-1] == filler
    return orders[1:-1].reshape(SEEDS, m)


SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 255, 256, 257, 300]
if JIT:
    SIZES += [623, 624, 625, 626, 1000, 1023, 1024, 1025, 1247, 1248, 1249, 4096, 9999, 65535, 65536, 65537, 70000]


@pytest.mark.parametrize("first_seed", [0, 11, 2**31 - 8, 2**31])
@pytest.mark.parametrize("m", SIZES)
def test_permutations_are_those_of_numpy(m, first_seed):
    out = permutations(first_seed, m)
    for lane in range(SEEDS):
        npt.assert_array_equal(out[lane], np.random.RandomState(first_seed + lane).permutation(m))


def test_the_legacy_state_is_that_of_the_global_stream():
    # `np.random.seed(s); np.random.permutation(m)` is what the notebooks call.
    np.random.seed(13)
    npt.assert_array_equal(permutations(11, 300)[2], np.random.permutation(300))


@pytest.mark.needs_jit
def test_many_seeds():
    for first_seed in range(0, 4000, SEEDS):
        out = permutations(first_seed, 37)
        for lane in range(SEEDS):
            npt.assert_array_equal(out[lane], np.random.RandomState(first_seed + lane).permutation(37))


def test_the_last_seeds_that_numpy_takes():
    first_seed = 2**32 - SEEDS
    npt.assert_array_equal(permutations(first_seed, 20)[-1], np.random.RandomState(2**32 - 1).permutation(20))
