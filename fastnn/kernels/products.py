"""W A and W^T dZ for panels of examples, from tiles (tiles.py): forward and backward of a layer."""

from fastnn.kernels.policy import Numbers, inner, leaf
from fastnn.kernels.simd import advance, lanes_of, load, load_part, stack_buffer, store
from fastnn.kernels.tiles import HEIGHTS, PARTIAL_SUM, WIDE, registers_lanes, single, wide

# Steps of the sum after which the next rows are begun: a panel's part, 32 KB, stays in the second-level cache. Of few
# panels longer parts do, which saves partial sums: W A of 512 x 784 for 4 panels (float64) gains 3 %.
DEPTH_BLOCK = 256
DEEP = 16 * DEPTH_BLOCK

# A sum so long, over so many panels, is worth a copy of columns of weights.
LONG, MANY = 64, 8

# Room for the tiles of a copy, so many vectors wide, each with what its last vector has too much.
COPIED_VECTORS = 4
COPY_SIZE = 16 * COPIED_VECTORS * (DEPTH_BLOCK + 16)

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
def _copied_columns(W, step, rows, steps, copy, tile):
    """Copy the weights of several tiles, tile behind tile, step by step: that is how they lie in memory."""
    for k in range(steps - 1):
        here, to = advance(W, k * step), advance(copy, k * H0)
        for i in range(0, rows, H0):
            # What a vector has too much belongs to the next step, and is written over by it.
            store(to, i // H0 * tile, load(here, i))
    here, to = advance(W, (steps - 1) * step), advance(copy, (steps - 1) * H0)
    for i in range(0, rows, H0):
        store(to, i // H0 * tile, load_part(here, i, min(H0, rows - i)))


@leaf
def product(
    C: Numbers, c_panel: int, seed: int, bias: Numbers, W: Numbers, row: int, step: int, rows: int, depth: int,
    B: Numbers, b_panel: int, panels: int, width: int,
):  # fmt: skip
    """C = seed + W B for `panels` panels: C[i, j] = seed + sum_k W[i*row + k*step] B[k, j].

    The seed is 0 or, with `seed` BIAS, bias[i]. Panels are `width` examples wide: 128 bytes, or one example.
    """
    lanes = registers_lanes(C)
    # Rows are read where they lie. Columns, one step of a large matrix from the next, come from far away, and steps a
    # multiple of 1024 bytes apart share their cache sets: read for many panels they are worth a copy, with which
    # W^T dZ of 512 x 256 in float64 reaches 94 % of the processor's multiply-adds, without it 82.
    copied = panels >= MANY and width > 1 and depth >= LONG and row == 1 and step >= lanes_of(C)
    copy = stack_buffer(C, COPY_SIZE)
    tile = H0 * DEPTH_BLOCK + lanes_of(C)
    together = COPIED_VECTORS * lanes_of(C) // H0 * H0
    deepest = DEPTH_BLOCK if copied else max(DEPTH_BLOCK, DEEP // panels)
    blocks = (depth + deepest - 1) // deepest
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
                at = i % together
                if at == 0:
                    _copied_columns(weights, step, min(together, rows - i), steps, copy, tile)
                weights = advance(copy, at // H0 * tile + at % H0)
                weights_row, weights_step = 1, H0
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
