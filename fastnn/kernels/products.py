"""W A and W^T dZ for panels of examples, from tiles (tiles.py): forward and backward of a layer."""

from fastnn.kernels.policy import Numbers, inner, leaf
from fastnn.kernels.simd import advance, lanes_of, load_part, stack_buffer, store
from fastnn.kernels.tiles import HEIGHTS, PARTIAL_SUM, WIDE, registers_lanes, single, wide

# Steps of the sum after which the next rows are begun: a panel's part, 32 KB, stays in the second-level cache.
DEPTH_BLOCK = 256

# A sum so long is worth a copy of its weights.
LONG = 64

# Room for the tallest tile's rows of weights, apart by an odd number of cache lines.
COPY_ROW = DEPTH_BLOCK + 16
COPY_SIZE = 8 * COPY_ROW

_wide0, _wide1, _wide2, _wide3 = wide
_single0, _single1, _single2, _single3 = single
H0, H1, H2, H3 = HEIGHTS


@inner
def tile_height(rows):
    """Height of the next tile where `rows` rows are left."""
    if rows >= H0:
        return H0
    if rows >= H1:
        return H1
    return H2 if rows >= H2 else H3


@inner
def _wide_panels(height, C, c_panel, width, seed, bias, W, row, step, B, b_panel, panels, depth, columns):
    for j in range(0, width, columns):
        c, b = advance(C, j), advance(B, j)
        if height == H0:
            _wide0(c, c_panel, width, seed, bias, W, row, step, b, b_panel, width, panels, depth)
        elif height == H1:
            _wide1(c, c_panel, width, seed, bias, W, row, step, b, b_panel, width, panels, depth)
        elif height == H2:
            _wide2(c, c_panel, width, seed, bias, W, row, step, b, b_panel, width, panels, depth)
        else:
            _wide3(c, c_panel, width, seed, bias, W, row, step, b, b_panel, width, panels, depth)


@inner
def _single_columns(height, C, c_panel, seed, bias, W, row, step, B, b_panel, panels, depth):
    if height == H0:
        _single0(C, c_panel, 1, seed, bias, W, row, step, B, b_panel, 1, panels, depth)
    elif height == H1:
        _single1(C, c_panel, 1, seed, bias, W, row, step, B, b_panel, 1, panels, depth)
    elif height == H2:
        _single2(C, c_panel, 1, seed, bias, W, row, step, B, b_panel, 1, panels, depth)
    else:
        _single3(C, c_panel, 1, seed, bias, W, row, step, B, b_panel, 1, panels, depth)


@inner
def _copied_rows(W, row, step, rows, steps, copy):
    """Copy a tile's weights to where they crowd no cache set: row by row if they lie so, else step by step."""
    lanes = lanes_of(W)
    if step == 1:
        for i in range(rows):
            for k in range(0, steps, lanes):
                store(copy, i * COPY_ROW + k, load_part(W, i * row + k, steps - k))
    else:
        for k in range(steps):
            store(copy, k * H0, load_part(W, k * step, rows))


@leaf
def product(
    C: Numbers, c_panel: int, seed: int, bias: Numbers, W: Numbers, row: int, step: int, rows: int, depth: int,
    B: Numbers, b_panel: int, panels: int, width: int,
):  # fmt: skip
    """C = seed + W B for `panels` panels: C[i, j] = seed + sum_k W[i*row + k*step] B[k, j].

    The seed is 0 or, with `seed` BIAS, bias[i]. Panels are `width` examples wide: 128 bytes, or one example.
    """
    lanes = registers_lanes(C)
    # Rows or steps a multiple of 1024 bytes apart share their cache sets, and rows of a large matrix come from far
    # away: read for several panels they are worth a copy.
    copied = panels >= 4 and width > 1 and depth >= LONG and (step == 1 or row == 1)
    copy = stack_buffer(C, COPY_SIZE)
    blocks = (depth + DEPTH_BLOCK - 1) // DEPTH_BLOCK
    block = (depth + blocks - 1) // blocks
    for k in range(0, depth, block):
        steps = min(block, depth - k)
        begin = seed if k == 0 else PARTIAL_SUM
        i = 0
        while i < rows:
            height = tile_height(rows - i)
            weights, first = advance(W, i * row + k * step), advance(bias, i)
            weights_row, weights_step = row, step
            if copied:
                _copied_rows(weights, row, step, height, steps, copy)
                weights = copy
                weights_row, weights_step = (COPY_ROW, 1) if step == 1 else (1, H0)
            c, b = advance(C, i * width), advance(B, k * width)
            if width == 1:
                _single_columns(
                    height, c, c_panel, begin, first, weights, weights_row, weights_step, b, b_panel, panels, steps
                )
            else:
                _wide_panels(
                    height, c, c_panel, width, begin, first, weights, weights_row, weights_step, b, b_panel, panels,
                    steps, WIDE * lanes,
                )  # fmt: skip
            i += height
