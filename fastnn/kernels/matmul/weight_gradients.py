"""dW = dZ A^T and db, every tile of them owned by one thread, and what is done with a tile while it is in the cache.

The sum over a chunk's examples is one chain of fma for an element. Where a layer has few inputs, its lanes run along
the examples instead (a chain in each lane, added as a tree): the choice is made by the layer's inputs and the panel's
width alone, so that the bits do not depend on the threads.
"""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.policy import Numbers, Table, inner, op
from fastnn.kernels.matmul.dots import COLUMNS as DOT_COLUMNS
from fastnn.kernels.matmul.dots import DOT_HEIGHT, dot_tile, row_sums
from fastnn.kernels.matmul.gather import packed_width
from fastnn.kernels.matmul.micro_kernel import WIDE, registers_lanes, sum_tile
from fastnn.kernels.matmul.products import tile_height

# Rows of a layer that are completed together, whatever the heights of tiles: sums of squares are added in this order.
GROUP_ROWS, DOT_ROWS = 8, 4

# Packed panels that a tile of dZ meets before the next tile is begun: 4 x 128 KB stay in the L2 cache.
PACKED_GROUP = 4

# Rows of the bias gradient that are finished together.
BIAS_ROWS = 32


@inner
def tiles_over_inputs(n_in, n_out, lanes):
    """Tiles of a layer's dW that `gradient_over_inputs` works through."""
    return ((n_in + 2 * lanes - 1) // (2 * lanes)) * ((n_out + GROUP_ROWS - 1) // GROUP_ROWS)


@inner
def tiles_over_examples(n_in, n_out, lanes):
    """Tiles of a layer's dW that `gradient_over_examples` works through."""
    return ((n_in + 2 * lanes - 1) // (2 * lanes)) * ((n_out + DOT_ROWS - 1) // DOT_ROWS)


@inner
def bias_groups(n_out):
    """Groups of rows that `bias_gradient` works through."""
    return (n_out + BIAS_ROWS - 1) // BIAS_ROWS


@inner
def _complete(table, thread, tile, tile_row, start, row, rows, n, decayed, slot, begun, ends):
    """Add what earlier chunks left, and the L2 term; store the gradients, unless they are for an update at once.

    table, thread: of the run; whose STEP_REALS count.
    tile, tile_row: sums of a chunk [rows][n]; numbers from a row to the next.
    start, row, rows, n: where in GRADS the tile begins; numbers from its row to the next; its rows and columns.
    decayed: whether the L2 penalty applies.
    slot: the tile's entry of WEIGHT_SUMSQ and GRAD_SUMSQ.
    begun, ends: whether chunks of the mini-batch came before this one; whether it is the last.
    """
    settings, reals = simd.pointer_at(table, at.SETTINGS, np.int64), simd.pointer_at(table, at.REALS, np.float64)
    fused = ends != 0 and simd.get(settings, at.FUSED) != 0
    l2_scale = simd.get(at.step_reals_of(table, thread), at.L2_SCALE) if decayed != 0 and ends != 0 else 0.0
    clipped = simd.get(reals, at.CLIP) > 0.0
    if begun != 0 or l2_scale != 0.0 or not fused:
        lanes = simd.lanes_of(tile)
        theta, grads = simd.numbers_at(table, at.THETA, tile), simd.numbers_at(table, at.GRADS, tile)
        weight_sumsq, grad_sumsq = simd.splat(tile, 0), simd.splat(tile, 0)
        for r in range(rows):
            for j in range(0, n, lanes):
                i, k = start + r * row + j, n - j
                g = simd.load_part(tile, r * tile_row + j, k)
                if begun != 0:
                    g = simd.load_part(grads, i, k) + g
                if l2_scale != 0.0:
                    w = simd.load_part(theta, i, k)
                    g = simd.fma(w, l2_scale, g)
                    weight_sumsq = simd.fma(w, w, weight_sumsq)
                if clipped:
                    grad_sumsq = simd.fma(g, g, grad_sumsq)
                if fused:
                    simd.store(tile, r * tile_row + j, g)
                else:
                    simd.store_part(grads, i, g, k)
        if l2_scale != 0.0:
            simd.put(simd.pointer_at(table, at.WEIGHT_SUMSQ, np.float64), slot, np.float64(simd.total(weight_sumsq)))
        if clipped:
            simd.put(simd.pointer_at(table, at.GRAD_SUMSQ, np.float64), slot, np.float64(simd.total(grad_sumsq)))


@inner
def _settle(table, thread, tile, tile_row, start, row, rows, n, decayed, slot, begun, ends):
    """Complete the gradients of a tile, as `_complete`, and update its parameters unless they have to wait."""
    _complete(table, thread, tile, tile_row, start, row, rows, n, decayed, slot, begun, ends)
    if ends != 0 and simd.get(simd.pointer_at(table, at.SETTINGS, np.int64), at.FUSED) != 0:
        simd.call(table, at.UPDATE, table, thread, tile, tile_row, start, row, rows, n, decayed)


@op
def gradient_over_inputs(
    table: Table, like: Numbers, thread: int, layer: int, lo: int, hi: int, count: int, begun: int, ends: int
):
    """Tiles lo to hi of one layer's dW, by packed activations: lanes run over the inputs.

    table, like, thread, layer: of the run; any pointer to numbers; whose SCRATCH is used; whose weights.
    lo, hi: tiles, counted as `tiles_over_inputs` does.
    count: examples in the chunk.
    begun, ends: whether chunks of the mini-batch came before this one; whether it is the last.
    """
    settings = simd.pointer_at(table, at.SETTINGS, np.int64)
    record, below = at.record_of(table, layer), at.record_of(table, layer - 1)
    n_in, n_out = simd.get(below, at.UNITS), simd.get(record, at.UNITS)
    start, slot = simd.get(record, at.WEIGHTS_AT), simd.get(record, at.SUMSQ_AT)
    width, chunk = simd.get(settings, at.WIDTH), simd.get(settings, at.CHUNK)
    d_panel = simd.get(record, at.ROWS) * width
    D = simd.advance(simd.numbers_at(table, at.DELTAS, like), simd.get(record, at.DELTAS_AT))
    A = simd.advance(simd.numbers_at(table, at.PACKED, like), simd.get(below, at.PACKED_AT))
    tiles = simd.advance(
        simd.numbers_at(table, at.SCRATCH, like),
        thread * simd.get(settings, at.SCRATCH_SIZE) + simd.get(settings, at.TILE_IN),
    )
    wide = packed_width(like)
    tiles_row = PACKED_GROUP * wide
    panels = (count + width - 1) // width
    last = count - (panels - 1) * width
    fused = ends != 0 and simd.get(settings, at.FUSED) != 0
    adaptive = simd.get(settings, at.ADAPTIVE) != 0
    theta, v, s = (
        simd.numbers_at(table, at.THETA, like),
        simd.numbers_at(table, at.V, like),
        simd.numbers_at(table, at.S, like),
    )
    columns, groups = (n_in + wide - 1) // wide, (n_out + GROUP_ROWS - 1) // GROUP_ROWS
    begin = 0
    for item in range(lo, hi):
        group = item // (PACKED_GROUP * groups)
        within = item - group * PACKED_GROUP * groups
        size = min(PACKED_GROUP, columns - group * PACKED_GROUP)
        place, first = within % size, within // size * GROUP_ROWS
        rows = min(GROUP_ROWS, n_out - first)
        column = group * PACKED_GROUP + place
        a, tile = simd.advance(A, column * chunk * wide), simd.advance(tiles, place * wide)
        n = min(wide, n_in - column * wide)
        here = start + first * n_in + column * wide
        i = 0
        while i < rows:
            height = tile_height(rows - i)
            d = simd.advance(D, (first + i) * width)
            x = simd.advance(theta, here + i * n_in)
            y, z = (simd.advance(v, here + i * n_in), simd.advance(s, here + i * n_in)) if adaptive else (x, x)
            for j in range(0, wide, WIDE * registers_lanes(tile)):
                sum_tile(
                    height, simd.advance(tile, i * tiles_row + j), tiles_row, d, width, 1, d_panel, simd.advance(a, j),
                    wide, panels, width, last, simd.advance(x, j), simd.advance(y, j), simd.advance(z, j), n_in,
                )  # fmt: skip
            i += height
        _complete(table, thread, tile, tiles_row, here, n_in, rows, n, 1, slot + item, begun, ends)
        # Tiles side by side are updated together: runs of 512 bytes, which the processor foresees.
        if item == lo or place == 0:
            begin = place
        if fused and (item == hi - 1 or place == size - 1):
            left = (place - begin) * wide
            simd.call(
                table, at.UPDATE, table, thread, simd.advance(tiles, begin * wide), tiles_row, here - left, n_in, rows,
                left + n, 1,
            )  # fmt: skip


@op
def gradient_over_examples(
    table: Table, like: Numbers, thread: int, layer: int, lo: int, hi: int, count: int, begun: int, ends: int
):
    """As `gradient_over_inputs`, with lanes that run over the examples, and tiles of `tiles_over_examples`."""
    settings = simd.pointer_at(table, at.SETTINGS, np.int64)
    record, below = at.record_of(table, layer), at.record_of(table, layer - 1)
    n_in, n_out = simd.get(below, at.UNITS), simd.get(record, at.UNITS)
    start, slot = simd.get(record, at.WEIGHTS_AT), simd.get(record, at.SUMSQ_AT)
    width = simd.get(settings, at.WIDTH)
    a_panel, d_panel = simd.get(below, at.ROWS) * width, simd.get(record, at.ROWS) * width
    D = simd.advance(simd.numbers_at(table, at.DELTAS, like), simd.get(record, at.DELTAS_AT))
    A = simd.advance(simd.numbers_at(table, at.ACTS, like), simd.get(below, at.ACTS_AT))
    tile = simd.advance(
        simd.numbers_at(table, at.SCRATCH, like),
        thread * simd.get(settings, at.SCRATCH_SIZE) + simd.get(settings, at.TILE_IN),
    )
    tile_row = packed_width(like)
    panels = (count + width - 1) // width
    last = count - (panels - 1) * width
    columns = (n_in + tile_row - 1) // tile_row
    for item in range(lo, hi):
        first, at_column = item // columns * DOT_ROWS, item % columns * tile_row
        rows, n = min(DOT_ROWS, n_out - first), min(tile_row, n_in - at_column)
        for k in range(0, n, DOT_COLUMNS):
            a, left = simd.advance(A, (at_column + k) * width), n - k
            for i in range(0, rows, DOT_HEIGHT):
                d, cell = simd.advance(D, (first + i) * width), simd.advance(tile, i * tile_row + k)
                dot_tile(d, width, rows - i, d_panel, a, width, left, a_panel, panels, width, last, cell, tile_row)
        here = start + first * n_in + at_column
        _settle(table, thread, tile, tile_row, here, n_in, rows, n, 1, slot + item, begun, ends)


@op
def bias_gradient(
    table: Table, like: Numbers, thread: int, layer: int, lo: int, hi: int, count: int, slot: int, begun: int, ends: int
):
    """Groups lo to hi of 32 rows of one layer's db, the sums of dZ over the examples.

    `slot` is the first group's entry of the sums of squares; the other arguments are as in `gradient_over_inputs`.
    """
    settings, record = simd.pointer_at(table, at.SETTINGS, np.int64), at.record_of(table, layer)
    n_out, start = simd.get(record, at.UNITS), simd.get(record, at.BIASES_AT)
    width = simd.get(settings, at.WIDTH)
    d_panel = simd.get(record, at.ROWS) * width
    D = simd.advance(simd.numbers_at(table, at.DELTAS, like), simd.get(record, at.DELTAS_AT))
    tile = simd.advance(
        simd.numbers_at(table, at.SCRATCH, like),
        thread * simd.get(settings, at.SCRATCH_SIZE) + simd.get(settings, at.TILE_IN),
    )
    panels = (count + width - 1) // width
    last = count - (panels - 1) * width
    for item in range(lo, hi):
        first = item * BIAS_ROWS
        rows = min(BIAS_ROWS, n_out - first)
        if width == 1:
            for i in range(rows):
                simd.put(tile, i, simd.get(D, first + i))
        else:
            for i in range(0, rows, 4):
                d = simd.advance(D, (first + i) * width)
                row_sums(d, width, rows - i, d_panel, panels, width, last, simd.advance(tile, i))
        _settle(table, thread, tile, rows, start + first, rows, 1, rows, 0, slot + item, begun, ends)
