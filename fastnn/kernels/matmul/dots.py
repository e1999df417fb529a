"""Sums over examples whose lanes run along the examples: for layers too small to pack their input for.

A tile is a few rows of D (of dZ) by four rows of A. Each lane sums every vector's element of its place, from panel to
panel; in the end the lanes are added as a tree, neighbours first (`simd.total`), four sums at a time.
"""

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastnn.kernels.compiler import simd_plain
from fastnn.kernels.compiler.host import JIT, LEVEL
from fastnn.kernels.compiler.simd_llvm import VECTOR_BYTES, _call, _first_lanes, _join

COLUMNS = 4

# Rows of dZ in a tile, the tallest first: with four, 16 sums fill half of AVX-512's registers; elsewhere vectors take
# two registers.
HEIGHTS = (4, 2, 1) if LEVEL == "avx512" else (2, 1)
DOT_HEIGHT = HEIGHTS[0]


class _Emitter:
    def __init__(self, builder, number, size):
        self.builder = builder
        self.lanes = VECTOR_BYTES // size
        self.size = size
        self.vector = ir.VectorType(number, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * size}"

    def fma(self, a, b, c):
        return _call(self.builder, f"llvm.fma.{self.suffix}", self.vector, [a, b, c])

    def load(self, pointer, mask=None):
        start = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            value = self.builder.load(start)
            value.align = self.size
            return value
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        align = ir.Constant(ir.IntType(32), self.size)
        arguments = [start, align, mask, zero]
        return _call(self.builder, f"llvm.masked.load.{self.suffix}.p0", self.vector, arguments)

    def added(self, a, b, first, second):
        """Elements `first` of two vectors laid end to end plus elements `second`."""
        picks = [
            ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), [int(k) for k in indices])
            for indices in (first, second)
        ]
        return self.builder.fadd(*(self.builder.shuffle_vector(a, b, indices) for indices in picks))

    def paired(self, a, b):
        """Sums of neighbours: in each 16 bytes those of a, then those of b."""
        # Within 16 bytes a shuffle takes one cycle, across them three.
        within = np.arange(self.lanes).reshape(-1, 16 // self.size)
        places = np.stack([within, within + self.lanes], axis=1)
        return self.added(a, b, places[..., 0::2].ravel(), places[..., 1::2].ravel())

    def totals(self, sums):
        """The totals of four vectors, as a vector of four: neighbours first, then neighbouring pairs, and so on."""
        a, b = self.paired(sums[0], sums[1]), self.paired(sums[2], sums[3])
        if self.size == 4:
            value = self.paired(a, b)
            blocks = np.arange(self.lanes).reshape(-1, COLUMNS)
        else:
            pairs = np.arange(2 * self.lanes).reshape(-1, 2)
            value = self.added(a, b, pairs[0::2].ravel(), pairs[1::2].ravel())
            # Two blocks of the first two totals, then two of the others.
            blocks = np.arange(self.lanes).reshape(2, 2, 2).swapaxes(0, 1).reshape(2, COLUMNS)
        while len(blocks) > 1:
            value = self.added(value, value, blocks[0::2].ravel(), blocks[1::2].ravel())
            blocks = np.arange(COLUMNS * len(blocks) // 2).reshape(-1, COLUMNS)
        return value


def _emit(emit, rows, D, d_row, d_rows, d_panel, A, a_row, a_rows, a_panel, panels, width, last):
    """Write the loops, with `emit`; the vectors of sums, by (row, column). Without `A` they are sums of D's rows alone.

    `rows` is how many rows of D a tile has; the others are LLVM values, as in `_dot_tile`.
    """
    builder, i64 = emit.builder, ir.IntType(64)

    def constant(number):
        return ir.Constant(i64, number)

    def offset(stride, present, k):
        """Where row k is; the last one there is again, beyond it."""
        inside = builder.icmp_signed("<", constant(k), present)
        return builder.mul(stride, builder.select(inside, constant(k), builder.sub(present, constant(1))))

    d_at = [offset(d_row, d_rows, i) for i in range(rows)]
    a_at = [offset(a_row, a_rows, j) for j in range(COLUMNS)] if A else [None]
    cells = [(i, j) for i in range(rows) for j in range(len(a_at))]
    zero = ir.Constant(emit.vector, [0.0] * emit.lanes)
    before = builder.block
    names = ("panel", "vector", "rest", "masked", "next", "end")
    blocks = {name: builder.append_basic_block(name) for name in names}
    builder.branch(blocks["panel"])

    def products(d, a, sums, mask=None):
        left = [emit.load(builder.gep(d, [at]), mask) for at in d_at]
        if not A:
            return {(i, 0): builder.fadd(left[i], sums[i, 0]) for i, _ in cells}
        right = [emit.load(builder.gep(a, [at]), mask) for at in a_at]
        return {(i, j): emit.fma(left[i], right[j], sums[i, j]) for i, j in cells}

    def phis():
        return {cell: builder.phi(emit.vector) for cell in cells}

    builder.position_at_end(blocks["panel"])
    panel, d, a = builder.phi(i64), builder.phi(D.type), builder.phi(D.type)
    begun = phis()
    _join((panel, d, a, *begun.values()), (constant(0), D, A or D, *(zero for _ in cells)), before)
    next_panel = builder.add(panel, constant(1))
    is_last = builder.icmp_signed("==", next_panel, panels)
    examples = builder.select(is_last, last, width)
    rest = builder.and_(examples, constant(emit.lanes - 1))
    whole = builder.sub(examples, rest)
    builder.cbranch(builder.icmp_signed(">", whole, constant(0)), blocks["vector"], blocks["rest"])

    builder.position_at_end(blocks["vector"])
    t, sums = builder.phi(i64), phis()
    _join((t, *sums.values()), (constant(0), *begun.values()), blocks["panel"])
    new = products(builder.gep(d, [t]), builder.gep(a, [t]), sums)
    next_t = builder.add(t, constant(emit.lanes))
    _join((t, *sums.values()), (next_t, *new.values()), blocks["vector"])
    builder.cbranch(builder.icmp_signed("<", next_t, whole), blocks["vector"], blocks["rest"])

    builder.position_at_end(blocks["rest"])
    after = phis()
    _join(after.values(), begun.values(), blocks["panel"])
    _join(after.values(), new.values(), blocks["vector"])
    builder.cbranch(builder.icmp_signed(">", rest, constant(0)), blocks["masked"], blocks["next"])

    builder.position_at_end(blocks["masked"])
    # Columns that are no examples hold what a layer makes of zeros, which may be infinite.
    final = products(builder.gep(d, [whole]), builder.gep(a, [whole]), after, _first_lanes(builder, rest, emit.lanes))
    builder.branch(blocks["next"])

    builder.position_at_end(blocks["next"])
    done = phis()
    _join(done.values(), after.values(), blocks["rest"])
    _join(done.values(), final.values(), blocks["masked"])
    _join(begun.values(), done.values(), blocks["next"])
    _join((panel, d, a), (next_panel, builder.gep(d, [d_panel]), builder.gep(a, [a_panel])), blocks["next"])
    builder.cbranch(is_last, blocks["end"], blocks["panel"])

    builder.position_at_end(blocks["end"])
    return done


def _store_totals(emit, sums, tile):
    row = emit.totals(sums)
    emit.builder.store(row, emit.builder.bitcast(tile, row.type.as_pointer())).align = emit.size


@intrinsic
def _dot_tile(typingctx, D, d_row, d_rows, d_panel, A, a_row, a_rows, a_panel, panels, width, last, tile, tile_row):
    """Tile [i, j] = sum over examples of D[i] A[j], for up to DOT_HEIGHT rows of D and four of A.

    D, d_row, d_rows, d_panel: the first panel's first row; numbers from a row to the next; how many rows there are, of
    which the tile takes as many as it can; numbers from a panel to the next.
    A, a_row, a_rows, a_panel: the same of A.
    panels, width, last: how many panels; examples in a panel, and in the last one.
    tile, tile_row: the results; numbers from a row to the next.
    """
    i64, number = types.int64, ir.IntType(64)

    def codegen(context, builder, sig, args):
        emit = _Emitter(builder, context.get_value_type(D.dtype), D.dtype.bitwidth // 8)
        *described, tile, tile_row = args
        following = builder.append_basic_block("after")
        for rows, lower in zip(HEIGHTS, (*HEIGHTS[1:], 0), strict=True):
            block, otherwise = builder.append_basic_block("tile"), builder.append_basic_block("fewer")
            more = builder.icmp_signed(">", described[2], ir.Constant(number, lower))
            builder.cbranch(more, block, otherwise)
            builder.position_at_end(block)
            sums = _emit(emit, rows, *described)
            for i in range(rows):
                start = builder.gep(tile, [builder.mul(tile_row, ir.Constant(number, i))])
                _store_totals(emit, [sums[i, j] for j in range(COLUMNS)], start)
            builder.branch(following)
            builder.position_at_end(otherwise)
        builder.branch(following)
        builder.position_at_end(following)
        return context.get_dummy_value()

    return types.void(D, i64, i64, i64, D, i64, i64, i64, i64, i64, i64, D, i64), codegen


@intrinsic
def _row_sums(typingctx, D, d_row, d_rows, d_panel, panels, width, last, out):
    """out[i] = sum over examples of row i of D, for four rows.

    `D`, `d_row`, `d_rows`, `d_panel`, `panels`, `width` and `last` are as in `_dot_tile`; `out` is room for four.
    """
    i64 = types.int64

    def codegen(context, builder, sig, args):
        emit = _Emitter(builder, context.get_value_type(D.dtype), D.dtype.bitwidth // 8)
        D_, d_row_, d_rows_, d_panel_, panels_, width_, last_, out_ = args
        sums = _emit(emit, COLUMNS, D_, d_row_, d_rows_, d_panel_, None, None, None, d_panel_, panels_, width_, last_)
        _store_totals(emit, [sums[i, 0] for i in range(COLUMNS)], out_)
        return context.get_dummy_value()

    return types.void(D, i64, i64, i64, i64, i64, i64, D), codegen


def _plain_dot_tile(D, d_row, d_rows, d_panel, A, a_row, a_rows, a_panel, panels, width, last, tile, tile_row):
    """As `_dot_tile` says."""
    for i in range(min(DOT_HEIGHT, d_rows)):
        for j in range(min(COLUMNS, a_rows)):
            sums = np.zeros(VECTOR_BYTES // D.itemsize, D.dtype)
            for panel in range(panels):
                d, a = D[panel * d_panel + i * d_row :], A[panel * a_panel + j * a_row :]
                examples = last if panel == panels - 1 else width
                for t in range(0, examples, sums.size):
                    n = examples - t
                    sums = sums + simd_plain.load_part(d, t, n) * simd_plain.load_part(a, t, n)
            tile[i * tile_row + j] = simd_plain.total(sums)


def _plain_row_sums(D, d_row, d_rows, d_panel, panels, width, last, out):
    """As `_row_sums` says."""
    for i in range(min(COLUMNS, d_rows)):
        sums = np.zeros(VECTOR_BYTES // D.itemsize, D.dtype)
        for panel in range(panels):
            examples = last if panel == panels - 1 else width
            for t in range(0, examples, sums.size):
                sums = sums + simd_plain.load_part(D[panel * d_panel + i * d_row :], t, examples - t)
        out[i] = simd_plain.total(sums)


dot_tile: Callable[..., None] = _dot_tile if JIT else _plain_dot_tile
row_sums: Callable[..., None] = _row_sums if JIT else _plain_row_sums
