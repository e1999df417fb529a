"""The one micro-kernel: a tile of C = seed + A B that stays in registers while the sum runs, for every product.

                      k                       NR                       NR
                 +---------+             +----------+             +----------+
                 |         |             | b0       |             |          |
         MR rows | a0 a1 . |    times  k | b1       |   added to  |  C       | MR rows
                 |         |             | .        |             |          |
                 +---------+             +----------+             +----------+
    A[i, p] at  i*rs_a + p*cs_a     B[p, j] at p*ldb + j     C[i, j] at i*ldc + j

    a tile is MR rows (one of `HEIGHTS`) by NR columns (`WIDE` registers, or `BROAD`, or one number), all in registers;
    in each step p of the sum a row of B is loaded, and each of MR numbers of A is broadcast against it;
    panels lie one behind the other, and the tile goes through all of them:

      C  |panel|panel|panel|     `c_panel` from one to the next       B  |panel|panel|panel|     `b_panel`

B is a packed panel, read once from start to end; A lies anywhere. The sum of an element is one chain of fma that begins
with the seed, so no blocking of rows, columns or k changes a bit. `sum_tile` instead adds one tile up over panels: A of
a panel is `a_panel` behind that of the one before, and B is read on.

Written as LLVM instructions and not with `simd`'s vectors: one numba operation a tile compiles ten times faster than
a hundred, and the accumulators are sure to be registers.
"""

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastnn.kernels.compiler.host import JIT, LEVEL, TILES
from fastnn.kernels.compiler.simd_llvm import _join, _prefetch, _splat

# What the accumulators begin with.
ZERO, BIAS, PARTIAL_SUM = 0, 1, 2

# What becomes of the sums Z before they are stored: Z; max(Z, 0), which keeps NaN; Z times `keep` where E > 0, else
# times 0; Z E.
PLAIN, RECTIFY, RELU_SLOPE, SLOPE = range(4)

# Of NR: WIDE registers side by side. Of MR: the heights that a tile may have, the tallest first.
REGISTER_BYTES, WIDE, HEIGHTS, BROAD_HEIGHTS = TILES[LEVEL]

# Registers side by side in a broad tile: for few rows or short sums, most of whose instructions would load weights.
BROAD = 8

# Rows of other arrays that a sum over panels prefetches in a panel.
ROWS_AHEAD = 2

_I64 = ir.IntType(64)


def _constant(number):
    return ir.Constant(_I64, number)


class _Emitter:
    """Writes the instructions of one tile; `lanes` is the length of its vectors, 1 for plain numbers."""

    def __init__(self, builder, number, rows, vectors, lanes):
        self.builder = builder
        self.number = number
        self.lanes = lanes
        self.cells = [(i, j) for i in range(rows) for j in range(vectors)]
        self.rows, self.vectors = range(rows), range(vectors)
        self.vector = ir.VectorType(number, lanes) if lanes > 1 else number
        bits = 64 if isinstance(number, ir.DoubleType) else 32
        name = f"llvm.fma.v{lanes}f{bits}" if lanes > 1 else f"llvm.fma.f{bits}"
        self.fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name)
        self.align = bits // 8
        self.row_bytes = vectors * lanes * self.align

    def at(self, pointer, offset):
        return self.builder.gep(pointer, [offset])

    def load(self, pointer):
        value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.align
        return value

    def store(self, value, pointer):
        self.builder.store(value, self.builder.bitcast(pointer, self.vector.as_pointer())).align = self.align

    def broadcast(self, pointer):
        return self.numbers(self.builder.load(pointer))

    def zero(self):
        return ir.Constant(self.vector, [0.0] * self.lanes if self.lanes > 1 else 0.0)

    def numbers(self, value):
        """A number that is known only when the tile runs, in every lane."""
        return value if self.lanes == 1 else _splat(self.builder, value, self.lanes)

    def phis(self):
        return {cell: self.builder.phi(self.vector) for cell in self.cells}

    def cell(self, C, ldc, i, j):
        row = self.at(C, self.builder.mul(ldc, _constant(i)))
        return self.at(row, _constant(j * self.lanes))


def _begin(emit, blocks, seed, C, ldc, bias, next_block):
    """Write the three ways to begin the sums; the values that each gives to every cell.

    `emit` writes them into `blocks`, by name, which all go on to `next_block`; `seed`, `C`, `ldc` and `bias` are LLVM
    values, as in `_product_tile`.
    """
    builder = emit.builder
    switch = builder.switch(seed, blocks["zero"])
    switch.add_case(_constant(BIAS), blocks["bias"])
    switch.add_case(_constant(PARTIAL_SUM), blocks["sum"])
    seeds = {}
    builder.position_at_end(blocks["zero"])
    seeds["zero"] = {cell: emit.zero() for cell in emit.cells}
    builder.branch(next_block)
    builder.position_at_end(blocks["bias"])
    biases = [emit.broadcast(emit.at(bias, _constant(i))) for i in emit.rows]
    seeds["bias"] = {(i, j): biases[i] for i, j in emit.cells}
    builder.branch(next_block)
    builder.position_at_end(blocks["sum"])
    seeds["sum"] = {(i, j): emit.load(emit.cell(C, ldc, i, j)) for i, j in emit.cells}
    builder.branch(next_block)
    return seeds


def _multiply_add(emit, a, rs_a, b, sums):
    """Write one step of the sum; the new sums by cell."""
    columns = [emit.load(emit.at(b, _constant(j * emit.lanes))) for j in emit.vectors]
    new = {}
    for i in emit.rows:
        number = emit.broadcast(emit.at(a, emit.builder.mul(rs_a, _constant(i))))
        for j in emit.vectors:
            new[i, j] = emit.builder.call(emit.fma, [number, columns[j], sums[i, j]])
    return new


def _finish(emit, sums, epilogue, C, ldc, E, keep, following):
    """Write the four ways to store a tile's `sums`; each goes on to the block `following`.

    `emit` writes them; `epilogue`, `C`, `ldc`, `E` and `keep` are LLVM values, as in `_product_tile`.
    """
    builder = emit.builder

    def relu(z, _):
        return builder.select(builder.fcmp_ordered("<", z, emit.zero()), emit.zero(), z)

    def relu_slope(z, e):
        # Times 0, so that an infinite sum gives NaN as in NumPy.
        scale = builder.select(builder.fcmp_ordered(">", e, emit.zero()), emit.numbers(keep), emit.zero())
        return builder.fmul(z, scale)

    ways = {PLAIN: lambda z, _: z, RECTIFY: relu, RELU_SLOPE: relu_slope, SLOPE: builder.fmul}
    blocks = {way: builder.append_basic_block("store") for way in ways}
    switch = builder.switch(epilogue, blocks[PLAIN])
    for way, formula in ways.items():
        if way != PLAIN:
            switch.add_case(_constant(way), blocks[way])
        builder.position_at_end(blocks[way])
        for i, j in emit.cells:
            e = emit.load(emit.cell(E, ldc, i, j)) if way in (RELU_SLOPE, SLOPE) else None
            emit.store(formula(sums[i, j], e), emit.cell(C, ldc, i, j))
        builder.branch(following)


def _emit_product(
    emit, C, c_panel, ldc, seed, bias, A, rs_a, cs_a, B, b_panel, ldb, panels, k, epilogue, E, keep
):  # fmt: skip
    """Write the loops of `_product_tile`, with `emit`, over its arguments as LLVM values."""
    builder = emit.builder
    before = builder.block
    names = ("panel", "zero", "bias", "sum", "begin", "step", "end", "next")
    blocks = {name: builder.append_basic_block(name) for name in names}
    done = builder.append_basic_block("done")
    builder.branch(blocks["panel"])
    builder.position_at_end(blocks["panel"])
    panel, c, first, e = builder.phi(_I64), builder.phi(C.type), builder.phi(B.type), builder.phi(E.type)
    _join((panel, c, first, e), (_constant(0), C, B, E), before)
    seeds = _begin(emit, blocks, seed, c, ldc, bias, blocks["begin"])

    # One place for the sums to begin at, or LLVM writes the loop three times.
    builder.position_at_end(blocks["begin"])
    begun = emit.phis()
    for name, values in seeds.items():
        _join(begun.values(), values.values(), blocks[name])
    builder.branch(blocks["step"])

    builder.position_at_end(blocks["step"])
    step, a, b = builder.phi(_I64), builder.phi(A.type), builder.phi(B.type)
    sums = emit.phis()
    _join((step, a, b, *sums.values()), (_constant(0), A, first, *begun.values()), blocks["begin"])
    new = _multiply_add(emit, a, rs_a, b, sums)
    next_step = builder.add(step, _constant(1))
    _join((step, a, b), (next_step, emit.at(a, cs_a), emit.at(b, ldb)), blocks["step"])
    _join(sums.values(), new.values(), blocks["step"])
    builder.cbranch(builder.icmp_signed("<", next_step, k), blocks["step"], blocks["end"])

    builder.position_at_end(blocks["end"])
    _finish(emit, new, epilogue, c, ldc, e, keep, blocks["next"])
    builder.position_at_end(blocks["next"])
    next_panel = builder.add(panel, _constant(1))
    _join((panel, first), (next_panel, emit.at(first, b_panel)), blocks["next"])
    _join((c, e), (emit.at(c, c_panel), emit.at(e, c_panel)), blocks["next"])
    builder.cbranch(builder.icmp_signed("<", next_panel, panels), blocks["panel"], done)
    builder.position_at_end(done)


def _emit_sum(emit, C, ldc, A, rs_a, cs_a, a_panel, B, ldb, panels, k, last_k, *ahead):
    """Write the loops of `_sum_tile`, with `emit`, over its arguments as LLVM values."""
    builder = emit.builder
    before = builder.block
    blocks = {name: builder.append_basic_block(name) for name in ("panel", "ahead", "begin", "step", "next", "end")}
    builder.branch(blocks["panel"])
    builder.position_at_end(blocks["panel"])
    panel, panel_A, panel_B = builder.phi(_I64), builder.phi(A.type), builder.phi(B.type)
    panel_sums = emit.phis()
    _join((panel, panel_A, panel_B), (_constant(0), A, B), before)
    _join(panel_sums.values(), (emit.zero() for _ in emit.cells), before)
    next_panel = builder.add(panel, _constant(1))
    is_last = builder.icmp_signed("==", next_panel, panels)
    steps = builder.select(is_last, last_k, k)
    first = builder.mul(panel, _constant(ROWS_AHEAD))
    builder.cbranch(builder.icmp_signed("<", first, _constant(len(emit.rows))), blocks["ahead"], blocks["begin"])

    # All at once they would keep the loads of B waiting: dW of 784 x 512 with its update, 128 examples in float32, is
    # at 67 % of the processor's multiply-adds then, like this at 73.
    builder.position_at_end(blocks["ahead"])
    *arrays, ahead_row = ahead
    for i in range(min(ROWS_AHEAD, len(emit.rows))):
        start = builder.mul(builder.add(first, _constant(i)), ahead_row)
        for array in arrays:
            for line in range(emit.row_bytes // 64):
                _prefetch(builder, emit.at(array, builder.add(start, _constant(line * 64 // emit.align))))
    builder.branch(blocks["begin"])
    builder.position_at_end(blocks["begin"])
    builder.branch(blocks["step"])

    builder.position_at_end(blocks["step"])
    step, a, b = builder.phi(_I64), builder.phi(A.type), builder.phi(B.type)
    sums = emit.phis()
    _join((step, a, b), (_constant(0), panel_A, panel_B), blocks["begin"])
    _join(sums.values(), panel_sums.values(), blocks["begin"])
    # A panel's rows of A lie together; the next panel's come from far away while this one is summed: without this
    # dW of 784 x 512 in float64 reaches 52 % of the processor's multiply-adds, with it 90.
    _prefetch(builder, emit.at(panel_A, builder.add(a_panel, builder.mul(step, _constant(64 // emit.align)))))
    new = _multiply_add(emit, a, rs_a, b, sums)
    next_step, next_b = builder.add(step, _constant(1)), emit.at(b, ldb)
    _join((step, a, b), (next_step, emit.at(a, cs_a), next_b), blocks["step"])
    _join(sums.values(), new.values(), blocks["step"])
    builder.cbranch(builder.icmp_signed("<", next_step, steps), blocks["step"], blocks["next"])

    builder.position_at_end(blocks["next"])
    _join((panel, panel_A, panel_B), (next_panel, emit.at(panel_A, a_panel), next_b), blocks["next"])
    _join(panel_sums.values(), new.values(), blocks["next"])
    builder.cbranch(is_last, blocks["end"], blocks["panel"])
    builder.position_at_end(blocks["end"])
    for i, j in emit.cells:
        emit.store(new[i, j], emit.cell(C, ldc, i, j))


def _emit_by_height(context, builder, sig, args, heights, vectors, emit):
    """Write a tile of every height, and choose by the first argument, the height, which of them runs.

    context, builder, sig, args: as numba gives them to who writes an intrinsic.
    heights, vectors: of the tiles: rows; registers side by side, or 0 for single numbers.
    emit: function that writes one.
    """
    height, *described = args
    number, size = context.get_value_type(sig.args[1].dtype), sig.args[1].dtype.bitwidth // 8
    lanes = max(1, REGISTER_BYTES // size) if vectors else 1
    blocks = {rows: builder.append_basic_block("tile") for rows in dict.fromkeys(heights)}
    following = builder.append_basic_block("after")
    switch = builder.switch(height, blocks[heights[-1]])
    for rows, block in blocks.items():
        if rows != heights[-1]:
            switch.add_case(_constant(rows), block)
        builder.position_at_end(block)
        emit(_Emitter(builder, number, rows, max(1, vectors), lanes), *described)
        builder.branch(following)
    builder.position_at_end(following)
    return context.get_dummy_value()


def _product_tile(heights, vectors):
    """Make the tile of C = epilogue(seed + A B), for every panel; with no registers, that of single columns.

    Its arguments, strides in numbers:
    height: MR, one of `heights`.
    C, c_panel, ldc: the first panel's tile; from a panel to the next; from a row to the next.
    seed, bias: ZERO, BIAS with `bias` of the first row, or PARTIAL_SUM.
    A, rs_a, cs_a: the first row; from a row to the next; from a step of the sum to the next.
    B, b_panel, ldb: the first panel's columns; from a panel to the next; from a step to the next.
    panels, k: how many panels, and steps of the sum.
    epilogue, E, keep: PLAIN, RECTIFY, RELU_SLOPE or SLOPE; what the last two read lies as C does.
    """

    @intrinsic
    def tile(
        typingctx, height, C, c_panel, ldc, seed, bias, A, rs_a, cs_a, B, b_panel, ldb, panels, k, epilogue, E, keep
    ):  # fmt: skip
        """As `_product_tile` says."""
        i64 = types.int64

        def codegen(context, builder, sig, args):
            return _emit_by_height(context, builder, sig, args, heights, vectors, _emit_product)

        return types.void(i64, C, i64, i64, i64, C, C, i64, i64, C, i64, i64, i64, i64, i64, C, C.dtype), codegen

    return tile


def _sum_tile(heights, vectors):
    """Make the tile of C = A B, summed over panels.

    Its arguments, strides in numbers:
    height: MR, one of `heights`.
    C, ldc: the tile; from a row to the next.
    A, rs_a, cs_a, a_panel: the first panel's first row; from a row, a step of the sum, a panel to the next.
    B, ldb: the columns of the first step; from a step to the next, panels included.
    panels, k, last_k: how many panels, steps of the sum in a panel, and in the last one.
    x, y, z, ahead_row: the same tile of three other arrays, which meanwhile comes into the cache, if the sum has panels
    enough; from a row of these to the next.
    """

    @intrinsic
    def tile(typingctx, height, C, ldc, A, rs_a, cs_a, a_panel, B, ldb, panels, k, last_k, x, y, z, ahead_row):
        """As `_sum_tile` says."""
        i64 = types.int64

        def codegen(context, builder, sig, args):
            return _emit_by_height(context, builder, sig, args, heights, vectors, _emit_sum)

        return types.void(i64, C, i64, C, i64, i64, i64, C, i64, i64, i64, i64, C, C, C, i64), codegen

    return tile


def _columns(array, vectors):
    return vectors * max(1, REGISTER_BYTES // array.itemsize) if vectors else 1


def _plain_product_tile(heights, vectors):
    def tile(height, C, c_panel, ldc, seed, bias, A, rs_a, cs_a, B, b_panel, ldb, panels, k, epilogue, E, keep):
        """As `_product_tile` says."""
        columns = _columns(C, vectors)
        for panel in range(panels):
            for i in range(height):
                start = panel * c_panel + i * ldc
                out = C[start : start + columns]
                sums = out.copy() if seed == PARTIAL_SUM else np.full_like(out, bias[i] if seed == BIAS else 0)
                for step in range(k):
                    b = panel * b_panel + step * ldb
                    sums = sums + A[i * rs_a + step * cs_a] * B[b : b + columns]
                if epilogue == RECTIFY:
                    sums = np.where(sums < 0, 0, sums)
                elif epilogue == RELU_SLOPE:
                    sums = sums * np.where(E[start : start + columns] > 0, keep, 0)
                elif epilogue == SLOPE:
                    sums = sums * E[start : start + columns]
                out[:] = sums

    return tile


def _plain_sum_tile(heights, vectors):
    def tile(height, C, ldc, A, rs_a, cs_a, a_panel, B, ldb, panels, k, last_k, x, y, z, ahead_row):
        """As `_sum_tile` says."""
        columns = _columns(C, vectors)
        for i in range(height):
            sums = np.zeros(columns, C.dtype)
            b = 0
            for panel in range(panels):
                for step in range(last_k if panel == panels - 1 else k):
                    sums = sums + A[i * rs_a + panel * a_panel + step * cs_a] * B[b : b + columns]
                    b += ldb
            C[i * ldc : i * ldc + columns] = sums

    return tile


@intrinsic
def _registers_lanes(typingctx, pointer):
    def codegen(context, builder, sig, args):
        return _constant(max(1, REGISTER_BYTES * 8 // sig.args[0].dtype.bitwidth))

    return types.int64(pointer), codegen


def _plain_registers_lanes(array):
    return max(1, REGISTER_BYTES // array.itemsize)


# Elements of `pointer`'s type in a register.
registers_lanes: Callable[..., int] = _registers_lanes if JIT else _plain_registers_lanes

_product, _sum = (_product_tile, _sum_tile) if JIT else (_plain_product_tile, _plain_sum_tile)

# Module globals: numba cannot cache a kernel that reaches them through a closure.
wide_tile = _product(HEIGHTS, WIDE)
broad_tile = _product(BROAD_HEIGHTS, BROAD)
single_tile = _product(HEIGHTS, 0)
sum_tile = _sum(HEIGHTS, WIDE)
