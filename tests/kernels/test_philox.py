"""Masks and permutations of kernels are those of the NumPy reference, bit for bit, and nothing else is touched."""

import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import binding
from numba.core.caching import NullCache

from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import VECTOR_BYTES, advance, pointer
from fastnn.kernels.formulas.philox import dropout_panel, permutation
from fastnn.reference.formulas import philox as reference

DTYPES = ("float64", "float32")
MARGIN = 70  # numbers around every buffer

seeds = st.integers(0, 2**64 - 1)
counters = st.integers(0, 2**32 - 1)


@kernel
def drop(a, slopes, margin, n_units, width, position, layer, step, key0, key1, threshold, scale, with_slopes):
    dropout_panel(
        advance(pointer(a), margin), advance(pointer(slopes), margin), n_units, width, position, layer, step, key0,
        key1, threshold, scale, with_slopes,
    )  # fmt: skip


@kernel
def shuffle(order, m, key0, key1, epoch):
    permutation(pointer(order), m, key0, key1, epoch)


def keys(seed):
    return seed & 0xFFFFFFFF, seed >> 32


def dropped(a, slopes, position, layer, step, seed, rate, with_slopes=True):
    """Return a panel and its slopes after dropout, and whether what lies around them is untouched."""
    n_units, width = a.shape
    rng = np.random.default_rng(0)
    arenas = [rng.standard_normal(a.size + 2 * MARGIN).astype(a.dtype) for _ in range(2)]
    for arena, values in zip(arenas, (a, slopes), strict=True):
        arena[MARGIN:-MARGIN] = values.ravel()
    before = [arena.copy() for arena in arenas]
    threshold = int(rate * 2**32)
    drop(
        *arenas, MARGIN, n_units, width, position, layer, step, *keys(seed), threshold, 1 / (1 - rate), with_slopes
    )  # fmt: skip
    for arena, old in zip(arenas, before, strict=True):
        npt.assert_array_equal(arena[:MARGIN], old[:MARGIN])
        npt.assert_array_equal(arena[-MARGIN:], old[-MARGIN:])
    return [arena[MARGIN:-MARGIN].reshape(a.shape) for arena in arenas]


@pytest.mark.parametrize("name", DTYPES)
@given(
    n_units=st.integers(1, 150),
    vectors=st.integers(0, 3),
    position=st.integers(0, 2**20),
    layer=st.integers(0, 9),
    step=counters,
    seed=seeds,
    rate=st.sampled_from([0.0, 1e-9, 0.2, 0.5, 0.99, 1 - 2**-31]),
    with_slopes=st.booleans(),
)
def test_masks_are_the_references(name, n_units, vectors, position, layer, step, seed, rate, with_slopes):
    width = max(1, vectors * VECTOR_BYTES // np.dtype(name).itemsize)
    rng = np.random.default_rng(n_units)
    a, slopes = rng.standard_normal((2, n_units, width)).astype(name)
    out, out_slopes = dropped(a, slopes, position, layer, step, seed, rate, with_slopes)
    words = reference.philox(seed, position + np.arange(width), np.arange(-(-n_units // 4))[:, None], layer, step)
    words = words.transpose(0, 2, 1).reshape(-1, width)[:n_units]
    mask = np.where(words < int(rate * 2**32), 0, 1 / (1 - rate)).astype(name)
    npt.assert_array_equal(out, a * mask)
    npt.assert_array_equal(out_slopes, slopes * mask if with_slopes else slopes)


@pytest.mark.parametrize("name", DTYPES)
def test_panels_together_are_the_mask_of_a_batch(name):
    lanes = VECTOR_BYTES // np.dtype(name).itemsize
    mask = reference.dropout_mask(99, 7, 2, 13, 4 * lanes, 0.3, name)
    ones = np.ones((13, 2 * lanes), name)
    panels = [dropped(ones, ones, position, 2, 7, 99, 0.3)[0] for position in (0, 2 * lanes)]
    npt.assert_array_equal(np.hstack(panels), mask)
    alone = np.hstack([dropped(ones[:, :1], ones[:, :1], t, 2, 7, 99, 0.3)[0] for t in range(4 * lanes)])
    npt.assert_array_equal(alone, mask)


def test_a_dropped_infinity_is_nan():
    a = np.full((4, 1), np.inf)
    npt.assert_array_equal(dropped(a, a, 0, 1, 0, 0, 1 - 2**-31)[0], np.full((4, 1), np.nan))


def shuffled(seed, epoch, m):
    order = np.full(m + 2 * MARGIN, 123456789, np.uint32)
    shuffle(order[MARGIN:], m, *keys(seed), epoch)
    assert (np.delete(order, np.s_[MARGIN : MARGIN + m]) == 123456789).all()
    return order[MARGIN : MARGIN + m]


@given(m=st.integers(1, 700), seed=seeds, epoch=counters)
def test_permutations_are_the_references(m, seed, epoch):
    npt.assert_array_equal(shuffled(seed, epoch, m), reference.permutation(seed, epoch, m))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 63, 64, 65, 127, 128, 129, 50_000 if JIT else 1000])
def test_permutations_of_many_sizes(m):
    npt.assert_array_equal(shuffled(2**63 + 5, 3, m), reference.permutation(2**63 + 5, 3, m))


@pytest.mark.needs_jit
@pytest.mark.parametrize("name", DTYPES)
def test_words_are_multiplied_in_one_instruction(name):
    if "x86" not in binding.get_default_triple():
        pytest.skip("not an x86 processor")
    drop_again = kernel(drop.py_func)
    drop_again._cache = NullCache()  # code from the cache cannot be read
    a = np.ones(8 * 32, name)
    drop_again(a, a, 0, 8, 32, 0, 1, 0, 0, 0, 2**31, 2.0, False)
    (assembly,) = drop_again.inspect_asm().values()
    assert "pmuludq" in assembly
    assert "pmullq" not in assembly
