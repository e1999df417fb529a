"""Products of the caller's row-major matrices, by the engine's tiles.

Strips of columns are packed into panels [panel][row][example], as wide as a tile and filled up with zeros; the engine's
product multiplies whole panels; what exists of the result is unpacked. Packing moves an element once for as many
multiply-adds as there are units, and the product is the machine code that training runs, called by its address.
"""

import functools

import numpy as np

from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.host import JIT
from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.matmul.dots import COLUMNS, DOT_HEIGHT, dot_tile, row_sums
from fastnn.kernels.matmul.micro_kernel import PARTIAL_SUM, PLAIN, ZERO
from fastnn.kernels.matmul.products import COPY_VECTORS, LONG, MANY, product

# Elements of a strip's operand and result: 256 KB of doubles stay in the L2 cache.
STRIP_ELEMENTS = 1 << 15

# Units (in panels) and examples that are packed at a time for dZ A^T: 128 KB of doubles.
PACKED_PANELS = 2
PACKED_EXAMPLES = 512

# Examples in one chain of fma where the lanes run over examples.
EXAMPLES_PER_SUM = 256


@functools.cache
def products(dtype):
    """Table for the kernels: the address of the engine's product for that type of numbers."""
    return np.array([product.address(dtype)], np.uintp if JIT else object)


@inner
def panel_width(like):
    """Examples, or units of a packed matrix, in a panel."""
    return 2 * simd.lanes_of(like)


@inner
def panels_in(columns, like):
    """Panels that hold so many columns."""
    return (columns + panel_width(like) - 1) // panel_width(like)


@inner
def strip_columns(rows, columns, like):
    """Columns to multiply at a time where `rows` rows of operand and result belong to each, for up to `columns`."""
    fitting = max(1, STRIP_ELEMENTS // (rows * panel_width(like)))
    return min(fitting, panels_in(columns, like)) * panel_width(like)


@inner
def pack(A, row, rows, columns, panels):
    """Copy rows of `columns` numbers that lie `row` apart to panels [panel][row][example]."""
    lanes, width = simd.lanes_of(A), panel_width(A)
    for k in range(rows):
        for j in range(0, columns, width):
            at, to, n = k * row + j, j * rows + k * width, columns - j
            if n >= width:
                simd.store(panels, to, simd.load(A, at))
                simd.store(panels, to + lanes, simd.load(A, at + lanes))
            else:
                simd.store(panels, to, simd.load_part(A, at, n))
                simd.store(panels, to + lanes, simd.load_part(A, at + lanes, n - lanes))


@inner
def unpack_row(panels, k, rows, columns, out):
    """out[:columns] = row k of panels [panel][row][example]."""
    lanes, width = simd.lanes_of(out), panel_width(out)
    for j in range(0, columns, width):
        at, n = j * rows + k * width, columns - j
        if n >= width:
            simd.store(out, j, simd.load(panels, at))
            simd.store(out, j + lanes, simd.load(panels, at + lanes))
        else:
            simd.store_part(out, j, simd.load(panels, at), n)
            simd.store_part(out, j + lanes, simd.load(panels, at + lanes), n - lanes)


@inner
def copied_scratch(depth, columns, like):
    """Numbers that a strip's product needs for its copy of weights that are read by columns."""
    return COPY_VECTORS * simd.lanes_of(like) if panels_in(columns, like) >= MANY and depth >= LONG else 0


@inner
def strip_product(table, A, rs_a, cs_a, rows, k, seed, bias, B, ldb, columns, scratch):
    """Panels of seed + A B, for a strip of columns of B, behind panels of these in `scratch`.

    table: from `products`.
    A, rs_a, cs_a: matrix [rows][k]; numbers from a row, from a column to the next.
    rows, k: rows of A and of the result; columns of A and rows of B.
    seed, bias: ZERO, or BIAS with one of each row.
    B, ldb, columns: matrix [k][columns]; numbers from a row to the next.
    scratch: room for k + rows numbers for each column, and, where A is read by columns, `copied_scratch` more.
    """
    width, panels = panel_width(B), panels_in(columns, B)
    pack(B, ldb, k, columns, scratch)
    result = simd.advance(scratch, panels * width * k)
    simd.call(
        table, 0, result, rows * width, width, seed, bias, A, rs_a, cs_a, rows, k, scratch, k * width, width, panels,
        width, PLAIN, result, 0.0, simd.advance(result, panels * width * rows),
    )  # fmt: skip
    return result


@inner
def _pack(A, row, units, examples, panel):
    """panel[t, i] = A[i, t], and 0 for units that do not exist."""
    lanes, width = simd.lanes_of(A), panel_width(A)
    whole_units, whole_examples = units // lanes * lanes, examples // lanes * lanes
    for i in range(0, whole_units, lanes):
        for t in range(0, whole_examples, lanes):
            simd.transpose_tile(simd.advance(A, i * row + t), row, simd.advance(panel, t * width + i), width)
    for t in range(examples):
        for i in range(whole_units if t < whole_examples else 0, units):
            simd.put(panel, t * width + i, simd.get(A, i * row + t))
        for i in range(units, width):
            simd.put(panel, t * width + i, 0)


@inner
def packed_scratch(rows, units, examples, like):
    """Numbers that `gradient_over_inputs` needs for `rows` rows."""
    width = panel_width(like)
    return min(PACKED_PANELS, panels_in(units, like)) * width * (min(PACKED_EXAMPLES, examples) + rows)


@inner
def _gradient_over_inputs(table, D, rows, A, units, m, G, scratch):
    """As `gradient`, with lanes that run over the units of A, which is packed."""
    width = panel_width(A)
    deepest = min(PACKED_EXAMPLES, m)
    for first in range(0, units, PACKED_PANELS * width):
        n = min(PACKED_PANELS * width, units - first)
        panels = panels_in(n, A)
        sums = simd.advance(scratch, panels * width * deepest)
        for j in range(0, m, PACKED_EXAMPLES):
            k = min(PACKED_EXAMPLES, m - j)
            for i in range(0, n, width):
                _pack(simd.advance(A, (first + i) * m + j), m, min(width, n - i), k, simd.advance(scratch, i * k))
            simd.call(
                table, 0, sums, rows * width, width, ZERO if j == 0 else PARTIAL_SUM, D, simd.advance(D, j), m, 1, rows,
                k, scratch, k * width, width, panels, width, PLAIN, sums, 0.0, scratch,
            )  # fmt: skip
        for i in range(rows):
            unpack_row(sums, i, rows, n, simd.advance(G, i * units + first))


@inner
def _gradient_over_examples(D, rows, A, units, m, G):
    """As `gradient`, with lanes that run over the examples."""
    tile = simd.stack_buffer(G, 16)
    for k in range(rows * units):
        simd.put(G, k, 0)
    for j in range(0, m, EXAMPLES_PER_SUM):
        examples = min(EXAMPLES_PER_SUM, m - j)
        for k in range(0, units, COLUMNS):
            for i in range(0, rows, DOT_HEIGHT):
                dot_tile(
                    simd.advance(D, i * m + j), m, rows - i, 0, simd.advance(A, k * m + j), m, units - k, 0, 1,
                    examples, examples, tile, COLUMNS,
                )  # fmt: skip
                for r in range(min(DOT_HEIGHT, rows - i)):
                    for c in range(min(COLUMNS, units - k)):
                        at = (i + r) * units + k + c
                        simd.put(G, at, simd.get(G, at) + simd.get(tile, r * COLUMNS + c))


@inner
def over_inputs(n_out, n_in, like):
    """Whether dZ A^T of such a layer is a product of tiles, for which A is packed; else its lanes run over examples."""
    return min(n_out, n_in) >= panel_width(like)


@inner
def gradient(table, D, rows, A, units, m, packed, G, scratch):
    """G = D A^T.

    table: from `products`.
    D, rows: some rows of dZ [rows][m].
    A, units, m: activations [units][m].
    packed: what `over_inputs` says of the whole layer, not of these rows, so that bits do not depend on the threads.
    G: results [rows][units].
    scratch: room for `packed_scratch` numbers, if packed.
    """
    if packed:
        _gradient_over_inputs(table, D, rows, A, units, m, G, scratch)
    else:
        _gradient_over_examples(D, rows, A, units, m, G)


@inner
def bias_gradient(D, rows, m, scale, out):
    """out[i] = scale times the sum of row i of D."""
    sums = simd.stack_buffer(D, 16)
    for i in range(0, rows, COLUMNS):
        row_sums(simd.advance(D, i * m), m, rows - i, 0, 1, m, m, sums)
        for r in range(min(COLUMNS, rows - i)):
            simd.put(out, i + r, scale * simd.get(sums, r))
