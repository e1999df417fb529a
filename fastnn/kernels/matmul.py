"""Matrix products from register tiles, for operands that lie anywhere in memory.

Two shapes cover a fully connected net. `product_block` multiplies weights by examples, W A or W^T dZ: the lanes
run over examples, the weights are broadcast. `dot_block` multiplies dZ A^T: the lanes run along the sum over
examples and are added at the end. A tile of 4 x 2 keeps 8 accumulators busy, enough to hide the latency of two
fused multiply-adds a cycle, with 6 loads for 8 of them.
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
    store,
    store_part,
    total,
)


@inner
def _load_all(array, index, count):
    return load(array, index)


@inner
def _store_all(array, index, vector, count):
    store(array, index, vector)


def _product_tiles(load_lanes, store_lanes):
    """Tiles of 4 rows and of 1 row by two vectors of columns, of which n0 and n1 lanes exist."""

    @inner
    def rows4(W, w, row, step, depth, bias, b, A, a, lda, Z, z, ldz, n0, n1):
        lanes = lanes_of(A)
        c00 = c10 = c20 = c30 = splat(A, 0)
        if b >= 0:
            c00, c10 = broadcast(bias, b), broadcast(bias, b + 1)
            c20, c30 = broadcast(bias, b + 2), broadcast(bias, b + 3)
        c01, c11, c21, c31 = c00, c10, c20, c30
        for _ in range(depth):
            a0 = load_lanes(A, a, n0)
            a1 = load_lanes(A, a + lanes, n1)
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
    def rows1(W, w, step, depth, bias, b, A, a, lda, Z, z, n0, n1):
        lanes = lanes_of(A)
        c0 = splat(A, 0)
        if b >= 0:
            c0 = broadcast(bias, b)
        c1 = c0
        for _ in range(depth):
            w0 = broadcast(W, w)
            c0 = fma(w0, load_lanes(A, a, n0), c0)
            c1 = fma(w0, load_lanes(A, a + lanes, n1), c1)
            w += step
            a += lda
        store_lanes(Z, z, c0, n0)
        store_lanes(Z, z + lanes, c1, n1)

    return rows4, rows1


# Module globals: numba cannot cache a kernel that reaches other compiled functions through closure cells.
_whole4, _whole1 = _product_tiles(_load_all, _store_all)
_part4, _part1 = _product_tiles(load_part, store_part)


@inner
def product_block(W, w, row, step, n_out, depth, bias, b, A, a, lda, Z, z, ldz, columns):
    """Z[i, j] = bias[b + i] + sum_k W[i, k] A[k, j] for j < columns; without a bias if b is negative.

    W[i, k] lies at w + i*row + k*step, so that W^T is read in place; A[k, j] at a + k*lda + j and Z[i, j] at
    z + i*ldz + j. Every sum is one chain of fma from the bias on, in the order of k.
    """
    lanes = lanes_of(A)
    for j in range(0, columns, 2 * lanes):
        n0 = columns - j
        n1 = n0 - lanes
        i = 0
        while i < n_out:
            at, to, seed = w + i * row, z + i * ldz + j, b + i if b >= 0 else -1
            if i + 4 <= n_out:
                if n1 >= lanes:
                    _whole4(W, at, row, step, depth, bias, seed, A, a + j, lda, Z, to, ldz, n0, n1)
                else:
                    _part4(W, at, row, step, depth, bias, seed, A, a + j, lda, Z, to, ldz, n0, n1)
                i += 4
            else:
                if n1 >= lanes:
                    _whole1(W, at, step, depth, bias, seed, A, a + j, lda, Z, to, n0, n1)
                else:
                    _part1(W, at, step, depth, bias, seed, A, a + j, lda, Z, to, n0, n1)
                i += 1


@inner
def _add(G, at, number):
    put(G, at, get(G, at) + number)


@inner
def _dots4(D, d, ldd, d_block, A, a, lda, a_block, blocks, width, last, scale, G, g, ldg, columns):
    """G[0:4, 0:columns] += scale * dot products of 4 rows of D and `columns` (1 or 2) rows of A."""
    lanes = lanes_of(A)
    c00 = c01 = c10 = c11 = c20 = c21 = c30 = c31 = splat(A, 0)
    next_row = lda * (columns - 1)
    for block in range(blocks):
        count = last if block == blocks - 1 else width
        for j in range(0, count, lanes):
            if j + lanes <= count:
                a0 = load(A, a + j)
                a1 = load(A, a + next_row + j)
                d0 = load(D, d + j)
                d1 = load(D, d + ldd + j)
                d2 = load(D, d + 2 * ldd + j)
                d3 = load(D, d + 3 * ldd + j)
            else:
                a0 = load_part(A, a + j, count - j)
                a1 = load_part(A, a + next_row + j, count - j)
                d0 = load_part(D, d + j, count - j)
                d1 = load_part(D, d + ldd + j, count - j)
                d2 = load_part(D, d + 2 * ldd + j, count - j)
                d3 = load_part(D, d + 3 * ldd + j, count - j)
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
    _add(G, g, scale * total(c00))
    _add(G, g + ldg, scale * total(c10))
    _add(G, g + 2 * ldg, scale * total(c20))
    _add(G, g + 3 * ldg, scale * total(c30))
    if columns == 2:
        _add(G, g + 1, scale * total(c01))
        _add(G, g + ldg + 1, scale * total(c11))
        _add(G, g + 2 * ldg + 1, scale * total(c21))
        _add(G, g + 3 * ldg + 1, scale * total(c31))


@inner
def _dots1(D, d, d_block, A, a, lda, a_block, blocks, width, last, scale, G, g, columns):
    """G[0, 0:columns] += scale * dot products of one row of D and `columns` (1 or 2) rows of A."""
    lanes = lanes_of(A)
    c0 = c1 = splat(A, 0)
    next_row = lda * (columns - 1)
    for block in range(blocks):
        count = last if block == blocks - 1 else width
        for j in range(0, count, lanes):
            if j + lanes <= count:
                d0 = load(D, d + j)
                a0 = load(A, a + j)
                a1 = load(A, a + next_row + j)
            else:
                d0 = load_part(D, d + j, count - j)
                a0 = load_part(A, a + j, count - j)
                a1 = load_part(A, a + next_row + j, count - j)
            c0 = fma(d0, a0, c0)
            c1 = fma(d0, a1, c1)
        d += d_block
        a += a_block
    _add(G, g, scale * total(c0))
    if columns == 2:
        _add(G, g + 1, scale * total(c1))


@inner
def dot_block(D, d, ldd, d_block, rows, A, a, lda, a_block, columns, blocks, width, last, scale, G, g, ldg):
    """G[i, k] += scale * sum_j D[i, j] A[k, j] for i < rows and k < columns.

    The examples lie in `blocks` blocks, `width` in each and `last` in the last one, D's d_block and A's a_block
    elements apart; within a block D[i, j] is at d + i*ldd + j and A[k, j] at a + k*lda + j. A sum is one chain
    of fma in each lane, and then the lanes are added as a tree.
    """
    i = 0
    while i + 4 <= rows:
        for k in range(0, columns, 2):
            pair = min(2, columns - k)
            at = g + i * ldg + k
            _dots4(
                D,
                d + i * ldd,
                ldd,
                d_block,
                A,
                a + k * lda,
                lda,
                a_block,
                blocks,
                width,
                last,
                scale,
                G,
                at,
                ldg,
                pair,
            )
        i += 4
    while i < rows:
        for k in range(0, columns, 2):
            pair = min(2, columns - k)
            at = g + i * ldg + k
            _dots1(D, d + i * ldd, d_block, A, a + k * lda, lda, a_block, blocks, width, last, scale, G, at, pair)
        i += 1


@inner
def row_sum(D, d, d_block, blocks, width, last):
    """Sum of one row of D over all examples, laid out as in `dot_block`."""
    lanes = lanes_of(D)
    c = splat(D, 0)
    for block in range(blocks):
        count = last if block == blocks - 1 else width
        for j in range(0, count, lanes):
            c = c + load_part(D, d + j, count - j)
        d += d_block
    return total(c)
