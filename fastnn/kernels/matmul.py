"""Matrix products from register tiles, for operands that lie anywhere in memory.

Two shapes cover a fully connected net. `product_block` multiplies weights by examples, W A or W^T dZ: the lanes run
over examples, the weights are broadcast. `gradient_block` multiplies dZ A^T: for few rows the lanes run along the sum
over examples and are added at the end, for many A is transposed first. A tile of 4 x 2 keeps 8 accumulators busy,
enough to hide the latency of two fused multiply-adds a cycle, with 6 loads for 8 of them.
"""

from fastnn.kernels.policy import inner
from fastnn.kernels.simd import (
    broadcast,
    fma,
    get,
    lanes_of,
    load,
    load_part,
    put,
    splat,
    stack_buffer,
    store,
    store_part,
    total,
)

# Depth of a packed panel of two vectors of columns. It streams from the second-level cache while all rows pass over
# it: on a Zen 4 core of 58.7 GFLOP/s depths of 128, 256 and 512 give 46, 48 and 48 for 512 x 512 x 4096 in float64.
PANEL_DEPTH = 256
PANEL_ELEMENTS = 8192

# Up to this depth the columns are read where they lie: 128 cache lines, even if they fall together in a few sets.
DIRECT_DEPTH = 64

# Units on both sides from which transposing A pays, so that dZ A^T is a product of tiles too, without sums of lanes.
TRANSPOSED_UNITS = 16

# Examples in one chain of fma where the lanes run over examples.
EXAMPLES_PER_SUM = 256

# What the accumulators of a tile begin with.
ZERO, BIAS, PARTIAL_SUM = 0, 1, 2


@inner
def _variable(number):
    """The number, typed as any number: numba compiles a function anew for every constant that it is called with."""
    return number + 0


@inner
def _load_all(array, index, count):
    return load(array, index)


@inner
def _store_all(array, index, vector, count):
    store(array, index, vector)


def _product_tiles(load_lanes, store_lanes):
    """Tiles of 4 rows and of 1 row by two vectors of columns, of which n0 and n1 lanes exist in Z."""

    @inner
    def rows4(W, w, row, step, depth, seed, bias, b, A, a, lda, Z, z, ldz, n0, n1):
        lanes = lanes_of(A)
        c00 = c10 = c20 = c30 = splat(A, 0)
        if seed == BIAS:
            c00, c10 = broadcast(bias, b), broadcast(bias, b + 1)
            c20, c30 = broadcast(bias, b + 2), broadcast(bias, b + 3)
        c01, c11, c21, c31 = c00, c10, c20, c30
        if seed == PARTIAL_SUM:
            c00, c01 = load_lanes(Z, z, n0), load_lanes(Z, z + lanes, n1)
            c10, c11 = load_lanes(Z, z + ldz, n0), load_lanes(Z, z + ldz + lanes, n1)
            c20, c21 = load_lanes(Z, z + 2 * ldz, n0), load_lanes(Z, z + 2 * ldz + lanes, n1)
            c30, c31 = load_lanes(Z, z + 3 * ldz, n0), load_lanes(Z, z + 3 * ldz + lanes, n1)
        for _ in range(depth):
            a0 = load(A, a)
            a1 = load(A, a + lanes)
            w0 = broadcast(W, w)
            w1 = broadcast(W, w + row)
            w2 = broadcast(W, w + 2 * row)
            w3 = broadcast(W, w + 3 * row)
            c00 = fma(w0, a0, c00)
            c01 = fma(w0, a1, c01)
            c10 = fma(w1, a0, c10)
            c11 = fma(w1, a1, c11)
            c20 = fma(w2, a0, c20)
            c21 = fma(w2, a1, c21)
            c30 = fma(w3, a0, c30)
            c31 = fma(w3, a1, c31)
            w += step
            a += lda
        store_lanes(Z, z, c00, n0)
        store_lanes(Z, z + lanes, c01, n1)
        store_lanes(Z, z + ldz, c10, n0)
        store_lanes(Z, z + ldz + lanes, c11, n1)
        store_lanes(Z, z + 2 * ldz, c20, n0)
        store_lanes(Z, z + 2 * ldz + lanes, c21, n1)
        store_lanes(Z, z + 3 * ldz, c30, n0)
        store_lanes(Z, z + 3 * ldz + lanes, c31, n1)

    @inner
    def rows1(W, w, step, depth, seed, bias, b, A, a, lda, Z, z, n0, n1):
        lanes = lanes_of(A)
        c0 = c1 = splat(A, 0)
        if seed == BIAS:
            c0 = c1 = broadcast(bias, b)
        if seed == PARTIAL_SUM:
            c0, c1 = load_lanes(Z, z, n0), load_lanes(Z, z + lanes, n1)
        for _ in range(depth):
            w0 = broadcast(W, w)
            c0 = fma(w0, load(A, a), c0)
            c1 = fma(w0, load(A, a + lanes), c1)
            w += step
            a += lda
        store_lanes(Z, z, c0, n0)
        store_lanes(Z, z + lanes, c1, n1)

    return rows4, rows1


# Module globals: numba cannot cache a kernel that reaches other compiled functions through closure cells.
_whole4, _whole1 = _product_tiles(_load_all, _store_all)
_part4, _part1 = _product_tiles(load_part, store_part)


@inner
def _pack(A, a, lda, depth, n0, n1, panel):
    lanes = lanes_of(A)
    for k in range(depth):
        store(panel, 2 * lanes * k, load_part(A, a + k * lda, n0))
        store(panel, 2 * lanes * k + lanes, load_part(A, a + k * lda + lanes, n1))


@inner
def _product_columns(W, w, row, step, n_out, depth, seed, bias, b, A, a, lda, Z, z, ldz, n0, n1):
    whole = n1 >= lanes_of(A)
    i = 0
    while i < n_out:
        at, to = w + i * row, z + i * ldz
        if i + 4 <= n_out:
            if whole:
                _whole4(W, at, row, step, depth, seed, bias, b + i, A, a, lda, Z, to, ldz, n0, n1)
            else:
                _part4(W, at, row, step, depth, seed, bias, b + i, A, a, lda, Z, to, ldz, n0, n1)
            i += 4
        else:
            if whole:
                _whole1(W, at, step, depth, seed, bias, b + i, A, a, lda, Z, to, n0, n1)
            else:
                _part1(W, at, step, depth, seed, bias, b + i, A, a, lda, Z, to, n0, n1)
            i += 1


@inner
def product_block(W, w, row, step, n_out, depth, bias, b, A, a, lda, Z, z, ldz, columns):
    """Z[i, j] = bias[b + i] + sum_k W[i, k] A[k, j] for j < columns; without a bias if b is negative.

    W[i, k] lies at w + i*row + k*step, so that W^T is read in place; A[k, j] at a + k*lda + j and Z[i, j] at
    z + i*ldz + j. Every sum is one chain of fma from the bias on, in the order of k.
    """
    lanes = lanes_of(A)
    panel = stack_buffer(A, PANEL_ELEMENTS)
    first = BIAS if b >= 0 else ZERO
    row, step, b, start = _variable(row), _variable(step), _variable(b), _variable(0)
    for j in range(0, columns, 2 * lanes):
        n0 = columns - j
        n1 = n0 - lanes
        if n1 >= lanes and depth <= DIRECT_DEPTH:
            _product_columns(W, w, row, step, n_out, depth, first, bias, b, A, a + j, lda, Z, z + j, ldz, n0, n1)
        else:
            for k in range(0, depth, PANEL_DEPTH):
                deep = min(PANEL_DEPTH, depth - k)
                seed = first if k == 0 else PARTIAL_SUM
                _pack(A, a + k * lda + j, lda, deep, n0, n1, panel)
                _product_columns(
                    W,
                    w + k * step,
                    row,
                    step,
                    n_out,
                    deep,
                    seed,
                    bias,
                    b,
                    panel,
                    start,
                    2 * lanes,
                    Z,
                    z + j,
                    ldz,
                    n0,
                    n1,
                )


@inner
def _add(G, at, number):
    put(G, at, get(G, at) + number)


@inner
def _dots4(D, d, ldd, d_block, A, a, lda, a_block, blocks, width, last, G, g, ldg, columns):
    """G[0:4, 0:columns] += dot products of 4 rows of D and `columns` (1 or 2) rows of A."""
    lanes = lanes_of(A)
    c00 = c01 = c10 = c11 = c20 = c21 = c30 = c31 = splat(A, 0)
    next_row = lda * (columns - 1)
    for block in range(blocks):
        count = last if block == blocks - 1 else width
        for j in range(0, count, lanes):
            n = count - j
            if n >= lanes:
                a0 = load(A, a + j)
                a1 = load(A, a + next_row + j)
                d0 = load(D, d + j)
                d1 = load(D, d + ldd + j)
                d2 = load(D, d + 2 * ldd + j)
                d3 = load(D, d + 3 * ldd + j)
            else:
                a0 = load_part(A, a + j, n)
                a1 = load_part(A, a + next_row + j, n)
                d0 = load_part(D, d + j, n)
                d1 = load_part(D, d + ldd + j, n)
                d2 = load_part(D, d + 2 * ldd + j, n)
                d3 = load_part(D, d + 3 * ldd + j, n)
            c00 = fma(d0, a0, c00)
            c01 = fma(d0, a1, c01)
            c10 = fma(d1, a0, c10)
            c11 = fma(d1, a1, c11)
            c20 = fma(d2, a0, c20)
            c21 = fma(d2, a1, c21)
            c30 = fma(d3, a0, c30)
            c31 = fma(d3, a1, c31)
        d += d_block
        a += a_block
    _add(G, g, total(c00))
    _add(G, g + ldg, total(c10))
    _add(G, g + 2 * ldg, total(c20))
    _add(G, g + 3 * ldg, total(c30))
    if columns == 2:
        _add(G, g + 1, total(c01))
        _add(G, g + ldg + 1, total(c11))
        _add(G, g + 2 * ldg + 1, total(c21))
        _add(G, g + 3 * ldg + 1, total(c31))


@inner
def _dots1(D, d, d_block, A, a, lda, a_block, blocks, width, last, G, g, columns):
    """G[0, 0:columns] += dot products of one row of D and `columns` (1 or 2) rows of A."""
    lanes = lanes_of(A)
    c0 = c1 = splat(A, 0)
    next_row = lda * (columns - 1)
    for block in range(blocks):
        count = last if block == blocks - 1 else width
        for j in range(0, count, lanes):
            n = count - j
            if n >= lanes:
                d0, a0, a1 = load(D, d + j), load(A, a + j), load(A, a + next_row + j)
            else:
                d0, a0, a1 = load_part(D, d + j, n), load_part(A, a + j, n), load_part(A, a + next_row + j, n)
            c0 = fma(d0, a0, c0)
            c1 = fma(d0, a1, c1)
        d += d_block
        a += a_block
    _add(G, g, total(c0))
    if columns == 2:
        _add(G, g + 1, total(c1))


@inner
def _gradient_by_dots(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, G, g, ldg):
    lanes = lanes_of(G)
    for i in range(rows):
        for k in range(0, columns, lanes):
            store_part(G, g + i * ldg + k, splat(G, 0), columns - k)
    step = max(1, EXAMPLES_PER_SUM // width)
    for block in range(0, blocks, step):
        chunk = min(step, blocks - block)
        end = last if block + chunk == blocks else width
        dz, x = d + block * d_block, a + block * a_block
        for k in range(0, columns, 2):
            pair = min(2, columns - k)
            i = 0
            while i < rows:
                row, to = dz + i * ldd, g + i * ldg + k
                if i + 4 <= rows:
                    _dots4(D, row, ldd, d_block, A, x + k * lda, lda, a_block, chunk, width, end, G, to, ldg, pair)
                    i += 4
                else:
                    _dots1(D, row, d_block, A, x + k * lda, lda, a_block, chunk, width, end, G, to, pair)
                    i += 1


@inner
def _pack_transposed(A, a, lda, columns, depth, panel):
    width = 2 * lanes_of(A)
    for k in range(columns):
        for j in range(depth):
            put(panel, j * width + k, get(A, a + k * lda + j))
    for k in range(columns, width):  # columns that do not exist are multiplied too
        for j in range(depth):
            put(panel, j * width + k, 0)


@inner
def _gradient_by_products(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, G, g, ldg):
    lanes = lanes_of(A)
    step, start = _variable(1), _variable(0)
    panel = stack_buffer(A, PANEL_ELEMENTS)
    for block in range(blocks):
        seed = ZERO if block == 0 else PARTIAL_SUM
        depth = last if block == blocks - 1 else width
        dz, x = d + block * d_block, a + block * a_block
        for k in range(0, columns, 2 * lanes):
            n0 = columns - k
            n1 = n0 - lanes
            _pack_transposed(A, x + k * lda, lda, min(n0, 2 * lanes), depth, panel)
            _product_columns(
                D, dz, ldd, step, rows, depth, seed, D, start, panel, start, 2 * lanes, G, g + k, ldg, n0, n1
            )


@inner
def gradient_block(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, transposed, G, g, ldg):
    """G[i, k] = sum_j D[i, j] A[k, j] for i < rows and k < columns.

    The examples lie in `blocks` blocks, `width` (at most PANEL_DEPTH) in each and `last` in the last one, D's d_block
    and A's a_block elements apart; within a block D[i, j] is at d + i*ldd + j and A[k, j] at a + k*lda + j.

    With `transposed` a sum is one chain of fma over all examples; else it is one in each lane over EXAMPLES_PER_SUM
    examples, whose lanes are added as a tree. The caller chooses by the size of the layer, not of its share of it, so
    that the bits do not depend on the shares.
    """
    if transposed:
        _gradient_by_products(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, G, g, ldg)
    else:
        _gradient_by_dots(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, G, g, ldg)


@inner
def row_sum(D, d, d_block, blocks, width, last):
    """Sum of one row of D over all examples, laid out as in `gradient_block`."""
    lanes = lanes_of(D)
    c = splat(D, 0)
    for block in range(blocks):
        count = last if block == blocks - 1 else width
        for j in range(0, count, lanes):
            c = c + load_part(D, d + j, count - j)
        d += d_block
    return total(c)
