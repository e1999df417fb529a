"""Products of row-major matrices against NumPy: any shape and strides; sums in NumPy's order."""

import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT
from hypothesis import given
from hypothesis import strategies as st
from strategies import Canaries

from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import advance, pointer
from fastnn.kernels.course import losses
from fastnn.kernels.matmul import matrices
from fastnn.kernels.matmul.micro_kernel import BIAS, ZERO

TOLERANCES = {"float64": 1e-13, "float32": 2e-5}
SENTINEL = -77.0


@kernel
def strip_product(table, W, w, row, step, n_out, depth, seed, bias, A, a, lda, Z, z, ldz, columns, scratch):
    panels = matrices.strip_product(
        pointer(table), advance(pointer(W), w), row, step, n_out, depth, seed, pointer(bias),
        advance(pointer(A), a), lda, columns, pointer(scratch),
    )  # fmt: skip
    for i in range(n_out):
        matrices.unpack_row(panels, i, n_out, columns, advance(pointer(Z), z + i * ldz))


@kernel
def strip_columns(rows, columns, like):
    return matrices.strip_columns(rows, columns, pointer(like))


@kernel
def copied_scratch(depth, columns, like):
    return matrices.copied_scratch(depth, columns, pointer(like))


@kernel
def packed_scratch(rows, units, examples, like):
    return matrices.packed_scratch(rows, units, examples, pointer(like))


@kernel
def gradient(table, D, rows, A, units, m, packed, G, scratch):
    matrices.gradient(
        pointer(table), pointer(D), rows, pointer(A), units, m, packed, pointer(G), pointer(scratch)
    )  # fmt: skip


@kernel
def bias_gradient(D, scale, out):
    matrices.bias_gradient(pointer(D), D.shape[0], D.shape[1], scale, pointer(out))


@kernel
def pairwise(x):
    return losses.pairwise_sum(pointer(x), x.size)


LARGEST = 70 if JIT else 9
sizes = st.one_of(st.integers(1, 9), st.integers(1, LARGEST))
# The product takes long sums in parts.
depths = st.one_of(sizes, st.sampled_from([64, 65, 255, 256, 257, 300, 600] if JIT else [5, 20]))
examples = st.one_of(sizes, st.sampled_from([127, 129, 255, 256, 257, 511, 513, 1100] if JIT else [17]))
dtypes = st.sampled_from(list(TOLERANCES))
seeds = st.integers(0, 2**32 - 1)
gaps = st.integers(0, 5)


def scattered(matrix, at, row, step, rng):
    """Lay a matrix out with element (i, k) at + i*row + k*step, amid NaN."""
    n, k = matrix.shape
    flat = np.full(at + (n - 1) * row + (k - 1) * step + 1 + int(rng.integers(0, 3)), np.nan, matrix.dtype)
    np.lib.stride_tricks.as_strided(
        flat[at:], matrix.shape, (row * matrix.itemsize, step * matrix.itemsize)
    )[...] = matrix  # fmt: skip
    return flat


def assert_block(flat, at, stride, ref, scale, tolerance):
    """Check a block of results, and that nothing else was written."""
    rows, columns = ref.shape
    inside = np.zeros(flat.size, bool)
    for i in range(rows):
        inside[at + i * stride : at + i * stride + columns] = True
    npt.assert_array_equal(flat[~inside], np.full(np.count_nonzero(~inside), SENTINEL, flat.dtype))
    assert np.all(np.abs(flat[inside].reshape(ref.shape) - ref) <= tolerance * scale)


def multiply(W, row, step, n_out, depth, bias, A, lda, columns, Z, ldz, starts=(0, 0, 0)):
    """Z = bias + W A, in strips, with scratch of just the size that is asked for."""
    table, (w, a, z) = matrices.products(Z.dtype), starts
    seed = ZERO if bias is None else BIAS
    bias = np.zeros(n_out, Z.dtype) if bias is None else bias
    strip = strip_columns(n_out + depth, columns, Z)
    memory = Canaries()
    copied = copied_scratch(depth, strip, Z) if row == 1 else 0
    scratch = memory.empty((n_out + depth) * strip + copied, Z.dtype, np.nan)
    for j in range(0, columns, strip):
        n = min(strip, columns - j)
        strip_product(
            table, W, w, row, step, n_out, depth, seed, bias, A, a + j, lda, Z, z + j, ldz, n, scratch
        )  # fmt: skip
    memory.check()


@given(seeds, dtypes, sizes, depths, examples, gaps, st.booleans(), st.booleans())
def test_strip_products(seed, dtype, n_out, depth, columns, gap, transposed, biased):
    rng = np.random.default_rng(seed)
    W, A = rng.standard_normal((n_out, depth)).astype(dtype), rng.standard_normal((depth, columns)).astype(dtype)
    bias = rng.standard_normal(n_out).astype(dtype) if biased else None
    row, step = (1, n_out + gap) if transposed else (depth + gap, 1)
    lda, ldz = columns + gap, columns + 2 * gap
    w, a, z = (int(at) for at in rng.integers(0, 6, 3))
    Z = np.full(z + (n_out - 1) * ldz + columns + 3, SENTINEL, dtype)
    flat_W, flat_A = scattered(W, w, row, step, rng), scattered(A, a, lda, 1, rng)
    multiply(flat_W, row, step, n_out, depth, bias, flat_A, lda, columns, Z, ldz, (w, a, z))
    W, A = W.astype(np.float64), A.astype(np.float64)
    added = bias[:, None] if biased else np.zeros((n_out, 1))
    assert_block(Z, z, ldz, W @ A + added, np.abs(W) @ np.abs(A) + np.abs(added), TOLERANCES[dtype])


def gradient_of(D, A, packed):
    """D A^T, with scratch of just the size that is asked for."""
    rows, m = D.shape
    G = np.full((rows, len(A)), SENTINEL, D.dtype)
    memory = Canaries()
    scratch = memory.empty(packed_scratch(rows, len(A), m, D) if packed else 0, D.dtype, np.nan)
    gradient(matrices.products(D.dtype), D, rows, A, len(A), m, packed, G, scratch)
    memory.check()
    return G


@given(seeds, dtypes, sizes, st.one_of(sizes, st.sampled_from([63, 64, 65, 129] if JIT else [17])), examples,
       st.booleans())  # fmt: skip
def test_gradients_of_weights_and_biases(seed, dtype, rows, units, m, packed):
    rng, tolerance = np.random.default_rng(seed), TOLERANCES[dtype]
    D, A = rng.standard_normal((rows, m)).astype(dtype), rng.standard_normal((units, m)).astype(dtype)
    out, sums = gradient_of(D, A, packed), np.full(rows + 1, SENTINEL, dtype)
    bias_gradient(D, 0.5, sums)
    D, A = D.astype(np.float64), A.astype(np.float64)
    assert np.all(np.abs(out - D @ A.T) <= tolerance * (np.abs(D) @ np.abs(A.T)))
    assert np.all(np.abs(sums[:-1] - 0.5 * D.sum(1)) <= tolerance * np.abs(D).sum(1))
    assert sums[-1] == SENTINEL


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_part_of_the_columns_has_the_bits_of_the_whole(dtype):
    rng = np.random.default_rng(0)
    n_out, depth, m = (13, 70, 131) if JIT else (5, 6, 35)
    W, A = rng.standard_normal((n_out, depth)).astype(dtype), rng.standard_normal((depth, m)).astype(dtype)
    bias, whole, parts = np.ones(n_out, dtype), np.empty((n_out, m), dtype), np.empty((n_out, m), dtype)
    multiply(W, depth, 1, n_out, depth, bias, A, m, m, whole, m)
    for lo in range(0, m, 17):
        multiply(W, depth, 1, n_out, depth, bias, A, m, min(17, m - lo), parts, m, (0, lo, lo))
    npt.assert_array_equal(parts, whole)


@pytest.mark.parametrize("packed", [False, True])
def test_a_part_of_the_rows_has_the_bits_of_the_whole(packed):
    rng = np.random.default_rng(1)
    rows, units, m = (21, 19, 700) if JIT else (6, 5, 20)
    D, A = rng.standard_normal((rows, m)), rng.standard_normal((units, m))
    whole = gradient_of(D, A, packed)
    for lo in range(0, rows, 3):
        npt.assert_array_equal(gradient_of(D[lo : lo + 3], A, packed), whole[lo : lo + 3])


SUMS = [0, 1, 2, 7, 8, 9, 15, 16, 17, 127, 128, 129, 136, 137, 255, 256, 257, 300, 1000, 1023, 1025, 4097]
if JIT:
    SUMS += [*range(130, 700, 19), 9_999, 65_535, 65_537, 100_003, 1_000_001]


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_pairwise_sum_adds_in_the_order_of_numpy(dtype):
    rng = np.random.default_rng(2)
    for size in SUMS:
        if size == 0 and not JIT:
            continue  # a NumPy array has no element to take the type from
        x = (rng.standard_normal(max(size, 1)) * 10 ** rng.uniform(-3, 3, max(size, 1))).astype(dtype)[:size]
        if dtype == "float64" or size <= 128:
            assert pairwise(x) == np.sum(x), size
        else:
            # Partial sums of float32 are added in float64: nearer to the truth than NumPy, not its bits.
            assert abs(pairwise(x) - np.sum(x.astype(np.float64))) <= 1e-6 * np.sum(np.abs(x))


def test_pairwise_sum_passes_on_infinities_and_nan():
    for x in ([np.inf, 1.0], [np.inf, -np.inf], [np.nan, 1.0], [1e308, 1e308]):
        x = np.array(x)
        with np.errstate(all="ignore"):
            npt.assert_array_equal(pairwise(x), np.sum(x))
