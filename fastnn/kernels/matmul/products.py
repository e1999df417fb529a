"""Matrix products for panels of examples, from the micro-kernel's tiles: W A and W^T dZ of a layer."""

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Numbers, inner, op
from fastnn.kernels.compiler.simd import advance, call, lanes_of, load, load_part, number_like, store
from fastnn.kernels.matmul import micro_kernel as tiles

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

H0, H1, H2, H3 = tiles.HEIGHTS
BROAD_HEIGHT, _ = tiles.BROAD_HEIGHTS

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
def _copied_columns(A, cs_a, rows, steps, copy, tile):
    """Copy `rows` rows of A, tile behind tile, step by step of the sum: that is how they lie in memory."""
    for p in range(steps - 1):
        here, to = advance(A, p * cs_a), advance(copy, p * H0)
        for i in range(0, rows, H0):
            # What a vector has too much belongs to the next step, and is written over by it.
            store(to, i // H0 * tile, load(here, i))
    here, to = advance(A, (steps - 1) * cs_a), advance(copy, (steps - 1) * H0)
    for i in range(0, rows, H0):
        store(to, i // H0 * tile, load_part(here, i, min(H0, rows - i)))


@op
def product(
    C: Numbers, c_panel: int, ldc: int, seed: int, bias: Numbers, A: Numbers, rs_a: int, cs_a: int, rows: int,
    k: int, B: Numbers, b_panel: int, ldb: int, panels: int, width: int, epilogue: int, E: Numbers, keep: float,
    copy: Numbers,
):  # fmt: skip
    """C = epilogue(seed + A B) for `panels` panels: C[i, j] = seed + sum_p A[i*rs_a + p*cs_a] B[p, j].

    C, c_panel, ldc: results, in panels [rows][width]; numbers from a panel, from a row to the next.
    seed, bias: what sums begin with: ZERO; BIAS, which is bias[i]; PARTIAL_SUM, which is what C holds.
    A, rs_a, cs_a: matrix [rows][k]; numbers from a row, from a column to the next.
    rows, k: rows of A and C; the length of the sums.
    B, b_panel, ldb: panels [k][width]; numbers from a panel, from a row to the next.
    panels, width: how many panels; their columns, 128 bytes wide.
    epilogue, E, keep: what becomes of the sums, see `micro_kernel`; E lies as C does.
    copy: room for COPY_VECTORS vectors, where A is read by columns (`rs_a` 1, `cs_a` more).
    """
    lanes = tiles.registers_lanes(C)
    keep_ = number_like(C, keep)
    # Rows are read where they lie. Columns, one step of a large matrix from the next, come from far away, and steps a
    # multiple of 1024 bytes apart share their cache sets: read for many panels they are worth a copy, with which
    # W^T dZ of 512 x 256 in float64 reaches 94 % of the processor's multiply-adds, without it 82.
    copied = panels >= MANY and k >= LONG and rs_a == 1 and cs_a >= lanes_of(C)
    tile = H0 * DEPTH_BLOCK + lanes_of(C)
    together = COPIED_VECTORS * lanes_of(C) // H0 * H0
    block = k
    if k > DEPTH_BLOCK:
        deepest = DEPTH_BLOCK if copied else max(DEPTH_BLOCK, DEEP // panels)
        blocks = (k + deepest - 1) // deepest
        block = (k + blocks - 1) // blocks
    p = 0
    # Not a range, which divides by its step.
    while p < k:
        steps = min(block, k - p)
        begin = seed if p == 0 else tiles.PARTIAL_SUM
        end = epilogue if p + steps == k else tiles.PLAIN
        i = 0
        while i < rows:
            height = tile_height(rows - i)
            a, first = advance(A, i * rs_a + p * cs_a), advance(bias, i)
            a_row, a_step = rs_a, cs_a
            if copied:
                at_row = i % together
                if at_row == 0:
                    _copied_columns(a, cs_a, min(together, rows - i), steps, copy, tile)
                a = advance(copy, at_row // H0 * tile + at_row % H0)
                a_row, a_step = 1, H0
            c, b, e = advance(C, i * ldc), advance(B, p * ldb), advance(E, i * ldc)
            for j in range(0, width, tiles.WIDE * lanes):
                tiles.wide_tile(
                    height, advance(c, j), c_panel, ldc, begin, first, a, a_row, a_step, advance(b, j), b_panel, ldb,
                    panels, steps, end, advance(e, j), keep_,
                )  # fmt: skip
            i += height
        p += steps


@op
def product_of_one(
    C: Numbers, seed: int, bias: Numbers, A: Numbers, rs_a: int, cs_a: int, rows: int, k: int, B: Numbers,
    epilogue: int, E: Numbers, keep: float,
):  # fmt: skip
    """As `product`, for a single example: C, B and E are vectors."""
    keep_ = number_like(C, keep)
    i = 0
    while i < rows:
        height = tile_height(rows - i)
        c, first, a, e = advance(C, i), advance(bias, i), advance(A, i * rs_a), advance(E, i)
        tiles.single_tile(height, c, 1, 1, seed, first, a, rs_a, cs_a, B, 1, 1, 1, k, epilogue, e, keep_)
        i += height


@op
def broad_product(
    C: Numbers, columns: int, seed: int, bias: Numbers, A: Numbers, rs_a: int, cs_a: int, rows: int, k: int,
    B: Numbers, spans: int, epilogue: int, E: Numbers, keep: float,
):  # fmt: skip
    """As `product`, where C, B and E are one panel `columns` wide: for its first `spans` times BROAD registers."""
    span, keep_ = tiles.BROAD * tiles.registers_lanes(C), number_like(C, keep)
    i = 0
    while i < rows:
        height = BROAD_HEIGHT if rows - i >= BROAD_HEIGHT else 1
        c, a, first, e = advance(C, i * columns), advance(A, i * rs_a), advance(bias, i), advance(E, i * columns)
        tiles.broad_tile(
            height, c, span, columns, seed, first, a, rs_a, cs_a, B, span, columns, spans, k, epilogue, e, keep_
        )  # fmt: skip
        i += height


@inner
def multiply_panels(
    table, C, c_panel, seed, bias, A, rs_a, cs_a, rows, k, B, b_panel, panels, width, epilogue, E, keep, copy
):  # fmt: skip
    """As `product`, by the ops of `table`, with rows as long as a panel is wide; `width` may be 1, for one example."""
    if width == 1:
        call(table, at.PRODUCT_OF_ONE, C, seed, bias, A, rs_a, cs_a, rows, k, B, epilogue, E, keep)
    else:
        call(
            table, at.PRODUCT, C, c_panel, width, seed, bias, A, rs_a, cs_a, rows, k, B, b_panel, width, panels,
            width, epilogue, E, keep, copy,
        )  # fmt: skip


@inner
def multiply_blocks(table, C, seed, bias, A, rs_a, cs_a, rows, k, B, blocks, width, epilogue, E, keep, copy):
    """As `product`, by the ops of `table`, for one panel: `blocks` blocks of `width` columns side by side.

    Pointers are to numbers; `width` may be 1, for one example.
    """
    if width == 1:
        call(table, at.PRODUCT_OF_ONE, C, seed, bias, A, rs_a, cs_a, rows, k, B, epilogue, E, keep)
        return
    columns, done = blocks * width, 0
    if rows <= FEW_ROWS or k <= SHORT:
        span = tiles.BROAD * tiles.registers_lanes(C)
        spans = columns // span
        if spans > 0:
            call(
                table, at.BROAD_PRODUCT, C, columns, seed, bias, A, rs_a, cs_a, rows, k, B, spans, epilogue, E, keep
            )  # fmt: skip
        done = spans * span
    if done < columns:
        left = blocks if done == 0 else (columns - done) // (2 * lanes_of(C))
        call(
            table, at.PRODUCT, advance(C, done), width, columns, seed, bias, A, rs_a, cs_a, rows, k,
            advance(B, done), width, columns, left, width, epilogue, advance(E, done), keep, copy,
        )  # fmt: skip
