"""W A and W^T dZ for panels of examples, from tiles (tiles.py): forward and backward of a layer."""

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Numbers, inner, op
from fastnn.kernels.compiler.simd import advance, call, lanes_of, load, load_part, number_like, store
from fastnn.kernels.matmul.micro_kernel import (
    BROAD,
    BROAD_HEIGHTS,
    HEIGHTS,
    PARTIAL_SUM,
    PLAIN,
    WIDE,
    broad,
    registers_lanes,
    single,
    wide,
)

# Steps of the sum after which the next rows are begun: a panel's part, 32 KB, stays in the L2 cache. Of few
# panels longer parts do, which saves partial sums: W A of 512 x 784 for 4 panels (float64) gains 3 %.
DEPTH_BLOCK = 256
DEEP = 16 * DEPTH_BLOCK

# A sum so long, over so many panels, is worth a copy of columns of weights.
LONG, MANY = 64, 8

# A copy is so many vectors wide. Its room, in vectors, has for every tile what the last vector has too much. It is the
# caller's: on the stack its 68 KB would be half of what a thread with 128 KB has.
COPIED_VECTORS = 4
COPY_VECTORS = COPIED_VECTORS * (DEPTH_BLOCK + 16)

_wide0, _wide1, _wide2, _wide3 = wide
_single0, _single1, _single2, _single3 = single
_broad0, _broad1 = broad
H0, H1, H2, H3 = HEIGHTS
BROAD_HEIGHT, _ = BROAD_HEIGHTS

# Broad tiles are for no more rows, or for no longer sums.
FEW_ROWS, SHORT = 4, 8


@inner
def tile_height(rows):
    """Height of the next tile where `rows` rows are left."""
    if rows >= H0:
        return H0
    if rows >= H1:
        return H1
    return H2 if rows >= H2 else H3


@inner
def _wide_panels(
    height, C, c_panel, ldc, seed, bias, W, row, step, B, b_panel, ldb, panels, width, depth, columns, epilogue, E, keep
):  # fmt: skip
    for j in range(0, width, columns):
        c, b, e = advance(C, j), advance(B, j), advance(E, j)
        if height == H0:
            _wide0(c, c_panel, ldc, seed, bias, W, row, step, b, b_panel, ldb, panels, depth, epilogue, e, keep)
        elif height == H1:
            _wide1(c, c_panel, ldc, seed, bias, W, row, step, b, b_panel, ldb, panels, depth, epilogue, e, keep)
        elif height == H2:
            _wide2(c, c_panel, ldc, seed, bias, W, row, step, b, b_panel, ldb, panels, depth, epilogue, e, keep)
        else:
            _wide3(c, c_panel, ldc, seed, bias, W, row, step, b, b_panel, ldb, panels, depth, epilogue, e, keep)


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


@op
def product(
    C: Numbers, c_panel: int, ldc: int, seed: int, bias: Numbers, W: Numbers, row: int, step: int, rows: int,
    depth: int, B: Numbers, b_panel: int, ldb: int, panels: int, width: int, epilogue: int, E: Numbers, keep: float,
    copy: Numbers,
):  # fmt: skip
    """C = epilogue(seed + W B) for `panels` panels: C[i, j] = seed + sum_k W[i*row + k*step] B[k, j].

    The seed is 0; with `seed` BIAS bias[i]; with PARTIAL_SUM what C holds. Panels are `width` columns wide, 128 bytes.
    Rows of C lie `ldc` apart, those of B `ldb`; E, of which some epilogues read, lies as C does. Where W is read by
    columns (`row` 1, `step` more), `copy` is room for COPY_VECTORS vectors.
    """
    lanes = registers_lanes(C)
    keep_ = number_like(C, keep)
    # Rows are read where they lie. Columns, one step of a large matrix from the next, come from far away, and steps a
    # multiple of 1024 bytes apart share their cache sets: read for many panels they are worth a copy, with which
    # W^T dZ of 512 x 256 in float64 reaches 94 % of the processor's multiply-adds, without it 82.
    copied = panels >= MANY and depth >= LONG and row == 1 and step >= lanes_of(C)
    tile = H0 * DEPTH_BLOCK + lanes_of(C)
    together = COPIED_VECTORS * lanes_of(C) // H0 * H0
    block = depth
    if depth > DEPTH_BLOCK:
        deepest = DEPTH_BLOCK if copied else max(DEPTH_BLOCK, DEEP // panels)
        blocks = (depth + deepest - 1) // deepest
        block = (depth + blocks - 1) // blocks
    k = 0
    # Not a range, which divides by its step.
    while k < depth:
        steps = min(block, depth - k)
        begin = seed if k == 0 else PARTIAL_SUM
        end = epilogue if k + steps == depth else PLAIN
        i = 0
        while i < rows:
            height = tile_height(rows - i)
            weights, first = advance(W, i * row + k * step), advance(bias, i)
            weights_row, weights_step = row, step
            if copied:
                at_row = i % together
                if at_row == 0:
                    _copied_columns(weights, step, min(together, rows - i), steps, copy, tile)
                weights = advance(copy, at_row // H0 * tile + at_row % H0)
                weights_row, weights_step = 1, H0
            c, b, e = advance(C, i * ldc), advance(B, k * ldb), advance(E, i * ldc)
            _wide_panels(
                height, c, c_panel, ldc, begin, first, weights, weights_row, weights_step, b, b_panel, ldb, panels,
                width, steps, WIDE * lanes, end, e, keep_,
            )  # fmt: skip
            i += height
        k += steps


@op
def product_of_one(
    C: Numbers, seed: int, bias: Numbers, W: Numbers, row: int, step: int, rows: int, depth: int, B: Numbers,
    epilogue: int, E: Numbers, keep: float,
):  # fmt: skip
    """As `product`, for a single example."""
    keep_ = number_like(C, keep)
    i = 0
    while i < rows:
        height = tile_height(rows - i)
        c, first, w, e = advance(C, i), advance(bias, i), advance(W, i * row), advance(E, i)
        if height == H0:
            _single0(c, 1, 1, seed, first, w, row, step, B, 1, 1, 1, depth, epilogue, e, keep_)
        elif height == H1:
            _single1(c, 1, 1, seed, first, w, row, step, B, 1, 1, 1, depth, epilogue, e, keep_)
        elif height == H2:
            _single2(c, 1, 1, seed, first, w, row, step, B, 1, 1, 1, depth, epilogue, e, keep_)
        else:
            _single3(c, 1, 1, seed, first, w, row, step, B, 1, 1, 1, depth, epilogue, e, keep_)
        i += height


@op
def broad_product(
    C: Numbers, columns: int, seed: int, bias: Numbers, W: Numbers, row: int, step: int, rows: int, depth: int,
    B: Numbers, spans: int, epilogue: int, E: Numbers, keep: float,
):  # fmt: skip
    """As `product`, for the first `spans` times 8 registers of rows of so many columns."""
    span, keep_ = BROAD * registers_lanes(C), number_like(C, keep)
    i = 0
    while i < rows:
        c, w, first, e = advance(C, i * columns), advance(W, i * row), advance(bias, i), advance(E, i * columns)
        if rows - i >= BROAD_HEIGHT:
            _broad0(c, span, columns, seed, first, w, row, step, B, span, columns, spans, depth, epilogue, e, keep_)
            i += BROAD_HEIGHT
        else:
            _broad1(c, span, columns, seed, first, w, row, step, B, span, columns, spans, depth, epilogue, e, keep_)
            i += 1


@inner
def multiply_panels(
    table, C, c_panel, seed, bias, W, row, step, rows, depth, B, b_panel, panels, width, epilogue, E, keep, copy
):  # fmt: skip
    """The product for one panel behind the other."""
    if width == 1:
        call(table, at.PRODUCT_OF_ONE, C, seed, bias, W, row, step, rows, depth, B, epilogue, E, keep)
    else:
        call(
            table, at.PRODUCT, C, c_panel, width, seed, bias, W, row, step, rows, depth, B, b_panel, width, panels,
            width, epilogue, E, keep, copy,
        )  # fmt: skip


@inner
def multiply_blocks(table, C, seed, bias, W, row, step, rows, depth, B, blocks, width, epilogue, E, keep, copy):
    """The product for blocks of columns side by side; pointers are to numbers."""
    if width == 1:
        call(table, at.PRODUCT_OF_ONE, C, seed, bias, W, row, step, rows, depth, B, epilogue, E, keep)
        return
    columns, done = blocks * width, 0
    if rows <= FEW_ROWS or depth <= SHORT:
        span = BROAD * registers_lanes(C)
        spans = columns // span
        if spans > 0:
            call(
                table, at.BROAD_PRODUCT, C, columns, seed, bias, W, row, step, rows, depth, B, spans, epilogue, E, keep
            )
        done = spans * span
    if done < columns:
        left = blocks if done == 0 else (columns - done) // (2 * lanes_of(C))
        call(
            table, at.PRODUCT, advance(C, done), width, columns, seed, bias, W, row, step, rows, depth,
            advance(B, done), width, columns, left, width, epilogue, advance(E, done), keep, copy,
        )  # fmt: skip
