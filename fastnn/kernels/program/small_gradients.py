"""dW and db of one panel of a small network: by lanes that run over the inputs or, for few, over the examples."""

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.matmul.dots import COLUMNS, DOT_HEIGHT, dot_tile, row_sums
from fastnn.kernels.matmul.micro_kernel import PARTIAL_SUM, PLAIN

# Inputs of a layer whose sums along the examples are made before they are stored, and room for a tile of them.
DOT_INPUTS = 64
DOT_ROW = DOT_INPUTS + 16
TILE_SIZE = 4 * DOT_ROW

# Rows of dW whose last, narrow panel of inputs is summed at a time.
TAIL_ROWS = 8


@inner
def _gradient_over_inputs(table, grads, bias_grads, seed, D, n_out, packed, n_in, columns, examples, tile):
    """dW by lanes that run over the inputs, and db by lanes that run over the examples.

    table: whose ops multiply.
    grads, bias_grads, seed: results [n_out][n_in] and [n_out]; ZERO, or PARTIAL_SUM to add to them.
    D, n_out: dZ [n_out][columns].
    packed, n_in: packed activations of the layer below, panels [columns][unit]; its units.
    columns, examples: of the panel; how many of them are examples.
    tile: room for TILE_SIZE numbers.
    """
    wide = 2 * simd.lanes_of(D)
    panels = n_in // wide
    if panels > 0:
        simd.call(
            table, at.PRODUCT, grads, wide, n_in, seed, grads, D, columns, 1, n_out, examples, packed, wide * columns,
            wide, panels, wide, PLAIN, grads, 0.0, tile,
        )  # fmt: skip
    k, n = panels * wide, n_in - panels * wide
    if n > 0:
        for i in range(0, n_out, TAIL_ROWS):
            rows = min(TAIL_ROWS, n_out - i)
            if seed == PARTIAL_SUM:
                for r in range(rows):
                    for j in range(0, wide, simd.lanes_of(D)):
                        simd.store(tile, r * wide + j, simd.load_part(grads, (i + r) * n_in + k + j, n - j))
            simd.call(
                table, at.PRODUCT, tile, 0, wide, seed, tile, simd.advance(D, i * columns), columns, 1, rows, examples,
                simd.advance(packed, k * columns), 0, wide, 1, wide, PLAIN, tile, 0.0, tile,
            )  # fmt: skip
            for r in range(rows):
                for j in range(0, n, simd.lanes_of(D)):
                    simd.store_part(grads, (i + r) * n_in + k + j, simd.load(tile, r * wide + j), n - j)
    for i in range(0, n_out, COLUMNS):
        rows = min(COLUMNS, n_out - i)
        row_sums(simd.advance(D, i * columns), columns, rows, 0, 1, examples, examples, tile)
        for r in range(rows):
            sum_ = simd.get(tile, r)
            simd.put(bias_grads, i + r, simd.get(bias_grads, i + r) + sum_ if seed == PARTIAL_SUM else sum_)


@inner
def _gradient_over_examples(grads, bias_grads, seed, D, n_out, A, n_in, columns, examples, tile):
    """As `_gradient_over_inputs`, with lanes that run over the examples.

    `A` are the activations of the layer below, [n_in + 1][columns], with ones in the last row.
    """
    for first in range(0, n_in + 1, DOT_INPUTS):
        n = min(DOT_INPUTS, n_in - first)
        for i in range(0, n_out, DOT_HEIGHT):
            rows = min(DOT_HEIGHT, n_out - i)
            d = simd.advance(D, i * columns)
            for k in range(0, min(DOT_INPUTS, n_in + 1 - first), COLUMNS):
                a, left, cell = simd.advance(A, (first + k) * columns), n_in + 1 - first - k, simd.advance(tile, k)
                dot_tile(d, columns, rows, 0, a, columns, left, 0, 1, examples, examples, cell, DOT_ROW)
            for r in range(rows):
                row = (i + r) * n_in + first
                for k in range(0, n, simd.lanes_of(grads)):
                    sums = simd.load(tile, r * DOT_ROW + k)
                    if seed == PARTIAL_SUM:
                        sums = simd.load_part(grads, row + k, n - k) + sums
                    simd.store_part(grads, row + k, sums, n - k)
                if n_in - first < DOT_INPUTS:
                    sum_ = simd.get(tile, r * DOT_ROW + n_in - first)
                    simd.put(bias_grads, i + r, simd.get(bias_grads, i + r) + sum_ if seed == PARTIAL_SUM else sum_)


@inner
def _gradient_of_one(grads, bias_grads, D, n_out, A, n_in):
    """dW and db of a single example."""
    lanes = simd.lanes_of(D)
    for i in range(n_out):
        d = simd.broadcast(D, i)
        simd.put(bias_grads, i, simd.get(D, i))
        for k in range(0, n_in, lanes):
            simd.store_part(grads, i * n_in + k, d * simd.load_part(A, k, n_in - k), n_in - k)


@inner
def layer_gradient(table, scratch, grads, seed, record, below, A, packed, columns, examples, tile):
    """A layer's dW and db of one panel, from its dZ in `scratch`.

    `record` and `below` are the layer's and that of the one below; `grads` are a part's gradients of all parameters;
    `A` and `packed` are the activations below, twice; the other arguments are as in `_gradient_over_inputs`.
    """
    n_out, n_in = simd.get(record, at.UNITS), simd.get(below, at.UNITS)
    D = simd.advance(scratch, simd.get(record, at.DELTAS_AT))
    own = simd.advance(grads, simd.get(record, at.WEIGHTS_AT))
    biases = simd.advance(grads, simd.get(record, at.BIASES_AT))
    if columns == 1:
        _gradient_of_one(own, biases, D, n_out, A, n_in)
    elif simd.get(below, at.OVER_INPUTS) != 0:
        _gradient_over_inputs(table, own, biases, seed, D, n_out, packed, n_in, columns, examples, tile)
    else:
        _gradient_over_examples(own, biases, seed, D, n_out, A, n_in, columns, examples, tile)
