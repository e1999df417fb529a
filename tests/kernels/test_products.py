"""The engine's products, by panels and for one example, with all that may begin and end their sums."""

import numpy as np
import pytest
from engine_cases import assert_close
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import VECTOR_BYTES, pointer
from fastnn.kernels.matmul.micro_kernel import BIAS, PARTIAL_SUM, PLAIN, RECTIFY, RELU_SLOPE, SLOPE, ZERO
from fastnn.kernels.matmul.products import (
    COPY_VECTORS,
    broad_product,
    multiply_blocks,
    multiply_panels,
    product,
    product_of_one,
)

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 17, 40) if not config.DISABLE_JIT else (1, 2, 3, 5)
DEPTHS = (*SIZES, 65, 300, 530) if not config.DISABLE_JIT else SIZES


@kernel
def panels_of(
    table, C, c_panel, seed, bias, A, rs_a, cs_a, rows, k, B, b_panel, panels, width, epilogue, E, keep, copy
):  # fmt: skip
    multiply_panels(
        pointer(table), pointer(C), c_panel, seed, pointer(bias), pointer(A), rs_a, cs_a, rows, k, pointer(B),
        b_panel, panels, width, epilogue, pointer(E), keep, pointer(copy),
    )  # fmt: skip


@kernel
def blocks_of(table, C, seed, bias, A, rs_a, cs_a, rows, k, B, blocks, width, epilogue, E, keep, copy):
    multiply_blocks(
        pointer(table), pointer(C), seed, pointer(bias), pointer(A), rs_a, cs_a, rows, k, pointer(B), blocks, width,
        epilogue, pointer(E), keep, pointer(copy),
    )  # fmt: skip


def table(dtype):
    ops = {at.PRODUCT: product, at.PRODUCT_OF_ONE: product_of_one, at.BROAD_PRODUCT: broad_product}
    entries = np.zeros(at.TABLE_SIZE, object if config.DISABLE_JIT else np.uintp)
    for index, op in ops.items():
        entries[index] = op.address(dtype)
    return entries


def expected(C, seed, bias, W, B, epilogue, E, keep):
    Z = (C if seed == PARTIAL_SUM else bias[:, None] if seed == BIAS else 0) + W.astype(np.float64) @ B
    if epilogue == RECTIFY:
        return np.maximum(Z, 0)
    return Z * {PLAIN: 1, RELU_SLOPE: np.where(E > 0, keep, 0), SLOPE: E}.get(epilogue, 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(
    rows=st.sampled_from(SIZES), depth=st.sampled_from(DEPTHS), panels=st.integers(0, 18),
    together=st.booleans(), by_columns=st.booleans(), seed=st.sampled_from([ZERO, BIAS, PARTIAL_SUM]),
    epilogue=st.sampled_from([PLAIN, RECTIFY, RELU_SLOPE, SLOPE]), draw=st.integers(0, 99),
)  # fmt: skip
def test_products(dtype, rows, depth, panels, together, by_columns, seed, epilogue, draw):
    rng = np.random.default_rng(draw)
    width = 2 * VECTOR_BYTES // np.dtype(dtype).itemsize if panels else 1
    columns = max(1, panels) * width
    W, bias = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal(rows).astype(dtype)
    B = rng.standard_normal((depth, columns)).astype(dtype)
    C, E = rng.standard_normal((2, rows, columns)).astype(dtype)
    weights, row, step = (np.ascontiguousarray(W.T), 1, rows) if by_columns else (W, depth, 1)
    result = expected(C, seed, bias, W, B, epilogue, E, 1.25).astype(dtype)

    def laid_out(matrix):
        """Panel behind panel, or side by side as the blocks of one."""
        return matrix.copy() if together else np.stack(np.split(matrix, max(1, panels), axis=1))

    out, b, e = laid_out(C), laid_out(B), laid_out(E)
    copy = np.empty(COPY_VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize, dtype)
    if together:
        blocks_of(
            table(dtype), out, seed, bias, weights, row, step, rows, depth, b, max(1, panels), width, epilogue, e, 1.25,
            copy,
        )  # fmt: skip
    else:
        panels_of(
            table(dtype), out, rows * width, seed, bias, weights, row, step, rows, depth, b, depth * width,
            max(1, panels), width, epilogue, e, 1.25, copy,
        )  # fmt: skip
    assert_close(out, laid_out(result), dtype)


@pytest.mark.parametrize("epilogue", [PLAIN, RECTIFY, RELU_SLOPE])
def test_sums_that_are_no_numbers_stay_none(epilogue):
    W, B = np.array([[1.0], [np.inf], [np.nan]]), np.ones((1, 16))
    out, bias, E = np.zeros((3, 16)), np.zeros(3), np.zeros((3, 16))
    with np.errstate(invalid="ignore"):
        panels_of(table(np.float64), out, 48, ZERO, bias, W, 1, 1, 3, 1, B, 16, 1, 16, epilogue, E, 1.0, out)
    # 0 times infinity is NaN, as in NumPy.
    wanted = {PLAIN: [1, np.inf, np.nan], RECTIFY: [1, np.inf, np.nan], RELU_SLOPE: [0, np.nan, np.nan]}[epilogue]
    np.testing.assert_array_equal(out, np.repeat(np.array(wanted)[:, None], 16, axis=1))
