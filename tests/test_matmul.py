"""Products of tiles against NumPy: any shape, strides, and blocks of examples; sums in NumPy's order."""

import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT
from hypothesis import given
from hypothesis import strategies as st

from fastnn.kernels import losses, matmul
from fastnn.kernels.policy import kernel
from fastnn.kernels.simd import pointer

TOLERANCES = {"float64": 1e-13, "float32": 2e-5}
SENTINEL = -77.0


@kernel
def product(W, w, row, step, n_out, depth, bias, b, A, a, lda, Z, z, ldz, columns):
    matmul.product_block(
        pointer(W), w, row, step, n_out, depth, pointer(bias), b, pointer(A), a, lda, pointer(Z), z, ldz, columns
    )


@kernel
def gradient(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, transposed, G, g, ldg):
    matmul.gradient_block(
        pointer(D), d, ldd, d_block, rows, pointer(A), a, lda, a_block, columns, blocks, width, last, transposed,
        pointer(G), g, ldg,
    )  # fmt: skip


@kernel
def sum_of_row(D, d, d_block, blocks, width, last):
    return matmul.row_sum(pointer(D), d, d_block, blocks, width, last)


@kernel
def pairwise(x):
    return losses.pairwise_sum(pointer(x), x.size)


LARGEST = 70 if JIT else 9
sizes = st.one_of(st.integers(1, 9), st.integers(1, LARGEST))
# Beyond 64 columns are packed, and from 256 on in several panels.
depths = st.one_of(sizes, st.sampled_from([64, 65, 255, 256, 257, 300, 600] if JIT else [5, 20]))
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


@given(seeds, dtypes, sizes, depths, st.one_of(sizes, st.sampled_from([127, 129] if JIT else [17])), gaps,
       st.booleans(), st.booleans())  # fmt: skip
def test_product_block(seed, dtype, n_out, depth, columns, gap, transposed, biased):
    rng = np.random.default_rng(seed)
    W, A = rng.standard_normal((n_out, depth)).astype(dtype), rng.standard_normal((depth, columns)).astype(dtype)
    bias = rng.standard_normal(n_out + gap).astype(dtype)
    row, step = (1, n_out + gap) if transposed else (depth + gap, 1)
    lda, ldz = columns + gap, columns + 2 * gap
    w, a, z, b = (int(at) for at in rng.integers(0, 6, 4))
    b = min(b, gap) if biased else -1
    Z = np.full(z + (n_out - 1) * ldz + columns + 3, SENTINEL, dtype)
    flat_W, flat_A = scattered(W, w, row, step, rng), scattered(A, a, lda, 1, rng)
    product(flat_W, w, row, step, n_out, depth, bias, b, flat_A, a, lda, Z, z, ldz, columns)
    W, A = W.astype(np.float64), A.astype(np.float64)
    added = bias[b : b + n_out, None] if biased else np.zeros((n_out, 1))
    assert_block(Z, z, ldz, W @ A + added, np.abs(W) @ np.abs(A) + np.abs(added), TOLERANCES[dtype])


@given(seeds, dtypes, sizes, sizes, st.integers(1, 9 if JIT else 3), st.sampled_from([1, 5, 16, 64, 100, 256]),
       gaps, st.booleans(), st.data())  # fmt: skip
def test_gradient_block_and_row_sum(seed, dtype, rows, columns, blocks, width, gap, transposed, data):
    if not JIT:
        width = min(width, 16)
    last = data.draw(st.integers(1, width), label="last")
    rng = np.random.default_rng(seed)
    ldd, lda, ldg = width + gap, width + 2 * gap, columns + gap
    d_block, a_block = rows * ldd + gap, columns * lda + 3 * gap
    d, a, g = (int(at) for at in rng.integers(0, 6, 3))
    D = np.full(d + blocks * d_block + 1, np.nan, dtype)
    A = np.full(a + blocks * a_block + 1, np.nan, dtype)
    G = np.full(g + rows * ldg + 3, SENTINEL, dtype)
    ref, scale, sums, sum_scale = (np.zeros(shape) for shape in [(rows, columns)] * 2 + [rows] * 2)
    for block in range(blocks):
        m = last if block == blocks - 1 else width
        deltas, acts = rng.standard_normal((rows, m)).astype(dtype), rng.standard_normal((columns, m)).astype(dtype)
        for i in range(rows):
            D[d + block * d_block + i * ldd :][:m] = deltas[i]
        for k in range(columns):
            A[a + block * a_block + k * lda :][:m] = acts[k]
        deltas, acts = deltas.astype(np.float64), acts.astype(np.float64)
        ref += deltas @ acts.T
        scale += np.abs(deltas) @ np.abs(acts.T)
        sums += deltas.sum(1)
        sum_scale += np.abs(deltas).sum(1)
    gradient(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, transposed, G, g, ldg)
    assert_block(G, g, ldg, ref, scale, TOLERANCES[dtype])
    for i in range(rows):
        total = sum_of_row(D, d + i * ldd, d_block, blocks, width, last)
        assert abs(total - sums[i]) <= TOLERANCES[dtype] * sum_scale[i]


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_part_of_the_columns_has_the_bits_of_the_whole(dtype):
    rng = np.random.default_rng(0)
    n_out, depth, m = (13, 70, 131) if JIT else (5, 6, 35)
    W, A = rng.standard_normal((n_out, depth)).astype(dtype), rng.standard_normal((depth, m)).astype(dtype)
    bias, whole, parts = np.zeros(n_out, dtype), np.empty((n_out, m), dtype), np.empty((n_out, m), dtype)
    product(W, 0, depth, 1, n_out, depth, bias, 0, A, 0, m, whole, 0, m, m)
    for lo in range(0, m, 17):
        product(W, 0, depth, 1, n_out, depth, bias, 0, A, lo, m, parts, lo, m, min(17, m - lo))
    npt.assert_array_equal(parts, whole)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_part_of_the_rows_has_the_bits_of_the_whole(transposed):
    rng = np.random.default_rng(1)
    rows, columns, m = (21, 19, 150) if JIT else (6, 5, 20)
    D, A = rng.standard_normal((rows, m)), rng.standard_normal((columns, m))
    whole, parts = np.empty((rows, columns)), np.empty((rows, columns))
    gradient(D, 0, m, m, rows, A, 0, m, m, columns, 1, m, m, transposed, whole, 0, columns)
    for lo in range(0, rows, 3):
        n = min(3, rows - lo)
        gradient(D, lo * m, m, m, n, A, 0, m, m, columns, 1, m, m, transposed, parts, lo * columns, columns)
    npt.assert_array_equal(parts, whole)


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
