"""The one micro-kernel: a tile of C = seed + W B that stays in registers while the sum runs, for every product.

A tile is `rows` rows by `vectors` registers of columns. In each step of the sum one row of B is loaded, and each of
`rows` numbers of W is broadcast against it. B is a packed panel, read once from start to end; W lies anywhere: two
strides say where the next row and the next step are, and a jump where the next panel of a sum over examples is. The
sum of an element is one chain of fma that begins with the seed, so no blocking of rows, columns or depth changes a bit.

Written as LLVM instructions and not with `simd`'s vectors: one numba operation a tile compiles ten times faster than
a hundred, and the accumulators are sure to be registers.
"""

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastnn.kernels.compiler.host import LEVEL, TILES

# What the accumulators begin with.
ZERO, BIAS, PARTIAL_SUM = 0, 1, 2

# What becomes of the sums Z before they are stored: Z; max(Z, 0), which keeps NaN; Z times `keep` where E > 0, else
# times 0; Z E.
PLAIN, RELU, RELU_SLOPE, SLOPE = range(4)

REGISTER_BYTES, WIDE, HEIGHTS, BROAD_HEIGHTS = TILES[LEVEL]

# Registers side by side in a broad tile: for few rows or short sums, whose instructions would be about weights.
BROAD = 8

# Rows of other arrays that a sum over panels asks for in a panel.
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
        instruction = self.builder.store(value, self.builder.bitcast(pointer, self.vector.as_pointer()))
        instruction.align = self.align

    def broadcast(self, pointer):
        return self.numbers(self.builder.load(pointer))

    def prefetch(self, pointer):
        i32, address = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [address, i32, i32, i32])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        arguments = [self.builder.bitcast(pointer, address), *(ir.Constant(i32, n) for n in (0, 3, 1))]
        self.builder.call(function, arguments)

    def zero(self):
        return ir.Constant(self.vector, [0.0] * self.lanes if self.lanes > 1 else 0.0)

    def numbers(self, value):
        """A number that is known only when the tile runs, in every lane."""
        if self.lanes == 1:
            return value
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def phis(self):
        return {cell: self.builder.phi(self.vector) for cell in self.cells}

    def cell(self, C, ldc, i, j):
        row = self.at(C, self.builder.mul(ldc, _constant(i)))
        return self.at(row, _constant(j * self.lanes))


def _begin(emit, blocks, seed, C, ldc, bias, next_block):
    """Write the three ways to begin the sums; the values that each gives to every cell."""
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


def _multiply_add(emit, w, row, b, sums):
    columns = [emit.load(emit.at(b, _constant(j * emit.lanes))) for j in emit.vectors]
    new = {}
    for i in emit.rows:
        weight = emit.broadcast(emit.at(w, emit.builder.mul(row, _constant(i))))
        for j in emit.vectors:
            new[i, j] = emit.builder.call(emit.fma, [weight, columns[j], sums[i, j]])
    return new


def _finish(emit, sums, epilogue, C, ldc, E, keep, following):
    """Write the four ways to store a tile's sums; each goes on to the block `following`."""
    builder = emit.builder

    def relu(z, _):
        return builder.select(builder.fcmp_ordered("<", z, emit.zero()), emit.zero(), z)

    def relu_slope(z, e):
        # Times 0, so that an infinite sum gives NaN as in NumPy.
        scale = builder.select(builder.fcmp_ordered(">", e, emit.zero()), emit.numbers(keep), emit.zero())
        return builder.fmul(z, scale)

    ways = {PLAIN: lambda z, _: z, RELU: relu, RELU_SLOPE: relu_slope, SLOPE: builder.fmul}
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
    emit, C, c_panel, ldc, seed, bias, W, row, step, B, b_panel, width, panels, depth, epilogue, E, keep
):  # fmt: skip
    builder = emit.builder
    before = builder.block
    names = ("panel", "zero", "bias", "sum", "begin", "k", "end", "next")
    blocks = {name: builder.append_basic_block(name) for name in names}
    done = builder.append_basic_block("done")
    builder.branch(blocks["panel"])
    builder.position_at_end(blocks["panel"])
    panel, c, first, e = builder.phi(_I64), builder.phi(C.type), builder.phi(B.type), builder.phi(E.type)
    for phi, value in ((panel, _constant(0)), (c, C), (first, B), (e, E)):
        phi.add_incoming(value, before)
    seeds = _begin(emit, blocks, seed, c, ldc, bias, blocks["begin"])

    # One place for the sums to begin at, or LLVM writes the loop three times.
    builder.position_at_end(blocks["begin"])
    begun = emit.phis()
    for name, values in seeds.items():
        for cell in emit.cells:
            begun[cell].add_incoming(values[cell], blocks[name])
    builder.branch(blocks["k"])

    builder.position_at_end(blocks["k"])
    k, w, b = builder.phi(_I64), builder.phi(W.type), builder.phi(B.type)
    sums = emit.phis()
    for phi, value in ((k, _constant(0)), (w, W), (b, first)):
        phi.add_incoming(value, blocks["begin"])
    for cell in emit.cells:
        sums[cell].add_incoming(begun[cell], blocks["begin"])
    new = _multiply_add(emit, w, row, b, sums)
    next_k = builder.add(k, _constant(1))
    for phi, value in ((k, next_k), (w, emit.at(w, step)), (b, emit.at(b, width))):
        phi.add_incoming(value, blocks["k"])
    for cell in emit.cells:
        sums[cell].add_incoming(new[cell], blocks["k"])
    builder.cbranch(builder.icmp_signed("<", next_k, depth), blocks["k"], blocks["end"])

    builder.position_at_end(blocks["end"])
    _finish(emit, new, epilogue, c, ldc, e, keep, blocks["next"])
    builder.position_at_end(blocks["next"])
    next_panel = builder.add(panel, _constant(1))
    for phi, value in ((panel, next_panel), (first, emit.at(first, b_panel))):
        phi.add_incoming(value, blocks["next"])
    for phi, value in ((c, emit.at(c, c_panel)), (e, emit.at(e, c_panel))):
        phi.add_incoming(value, blocks["next"])
    builder.cbranch(builder.icmp_signed("<", next_panel, panels), blocks["panel"], done)
    builder.position_at_end(done)


def _emit_sum(emit, C, ldc, W, row, step, jump, B, width, panels, inner, last, *ahead):
    builder = emit.builder
    before = builder.block
    blocks = {name: builder.append_basic_block(name) for name in ("panel", "ahead", "begin", "k", "next", "end")}
    builder.branch(blocks["panel"])
    builder.position_at_end(blocks["panel"])
    panel, panel_W, panel_B = builder.phi(_I64), builder.phi(W.type), builder.phi(B.type)
    panel_sums = emit.phis()
    for phi, value in ((panel, _constant(0)), (panel_W, W), (panel_B, B)):
        phi.add_incoming(value, before)
    for cell in emit.cells:
        panel_sums[cell].add_incoming(emit.zero(), before)
    next_panel = builder.add(panel, _constant(1))
    is_last = builder.icmp_signed("==", next_panel, panels)
    depth = builder.select(is_last, last, inner)
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
                emit.prefetch(emit.at(array, builder.add(start, _constant(line * 64 // emit.align))))
    builder.branch(blocks["begin"])
    builder.position_at_end(blocks["begin"])
    builder.branch(blocks["k"])

    builder.position_at_end(blocks["k"])
    k, w, b = builder.phi(_I64), builder.phi(W.type), builder.phi(B.type)
    sums = emit.phis()
    for phi, value in ((k, _constant(0)), (w, panel_W), (b, panel_B)):
        phi.add_incoming(value, blocks["begin"])
    for cell in emit.cells:
        sums[cell].add_incoming(panel_sums[cell], blocks["begin"])
    # A panel's rows of W lie together; the next panel's come from far away while this one is summed: without this
    # dW of 784 x 512 in float64 reaches 52 % of the processor's multiply-adds, with it 90.
    emit.prefetch(emit.at(panel_W, builder.add(jump, builder.mul(k, _constant(64 // emit.align)))))
    new = _multiply_add(emit, w, row, b, sums)
    next_k, next_b = builder.add(k, _constant(1)), emit.at(b, width)
    for phi, value in ((k, next_k), (w, emit.at(w, step)), (b, next_b)):
        phi.add_incoming(value, blocks["k"])
    for cell in emit.cells:
        sums[cell].add_incoming(new[cell], blocks["k"])
    builder.cbranch(builder.icmp_signed("<", next_k, depth), blocks["k"], blocks["next"])

    builder.position_at_end(blocks["next"])
    for phi, value in ((panel, next_panel), (panel_W, emit.at(panel_W, jump)), (panel_B, next_b)):
        phi.add_incoming(value, blocks["next"])
    for cell in emit.cells:
        panel_sums[cell].add_incoming(new[cell], blocks["next"])
    builder.cbranch(is_last, blocks["end"], blocks["panel"])
    builder.position_at_end(blocks["end"])
    for i, j in emit.cells:
        emit.store(new[i, j], emit.cell(C, ldc, i, j))


def _emitter(context, builder, sig, rows, vectors):
    number = context.get_value_type(sig.args[0].dtype)
    size = sig.args[0].dtype.bitwidth // 8
    lanes = max(1, REGISTER_BYTES // size) if vectors else 1
    return _Emitter(builder, number, rows, max(1, vectors), lanes)


def _product_tile(rows, vectors):
    """C = seed + W B for one tile of every panel, and the epilogue; with no registers, of single columns."""

    @intrinsic
    def tile(
        typingctx, C, c_panel, ldc, seed, bias, W, row, step, B, b_panel, width, panels, depth, epilogue, E, keep
    ):  # fmt: skip
        i64 = types.int64

        def codegen(context, builder, sig, args):
            _emit_product(_emitter(context, builder, sig, rows, vectors), *args)
            return context.get_dummy_value()

        return types.void(C, i64, i64, i64, C, C, i64, i64, C, i64, i64, i64, i64, i64, C, C.dtype), codegen

    return tile


def _sum_tile(rows, vectors):
    """C = W B for one tile, summed over panels: W of a panel is `jump` behind that of the one before.

    Meanwhile the same tile of three other arrays comes into the cache, if the sum has panels enough.
    """

    @intrinsic
    def tile(typingctx, C, ldc, W, row, step, jump, B, width, panels, inner, last, x, y, z, ahead_row):
        i64 = types.int64

        def codegen(context, builder, sig, args):
            _emit_sum(_emitter(context, builder, sig, rows, vectors), *args)
            return context.get_dummy_value()

        return types.void(C, i64, C, i64, i64, i64, C, i64, i64, i64, i64, C, C, C, i64), codegen

    return tile


def _columns(array, vectors):
    return vectors * max(1, REGISTER_BYTES // array.itemsize) if vectors else 1


def _plain_product_tile(rows, vectors):
    def tile(C, c_panel, ldc, seed, bias, W, row, step, B, b_panel, width, panels, depth, epilogue, E, keep):
        columns = _columns(C, vectors)
        for panel in range(panels):
            for i in range(rows):
                start = panel * c_panel + i * ldc
                out = C[start : start + columns]
                sums = out.copy() if seed == PARTIAL_SUM else np.full_like(out, bias[i] if seed == BIAS else 0)
                for k in range(depth):
                    b = panel * b_panel + k * width
                    sums = sums + W[i * row + k * step] * B[b : b + columns]
                if epilogue == RELU:
                    sums = np.where(sums < 0, 0, sums)
                elif epilogue == RELU_SLOPE:
                    sums = sums * np.where(E[start : start + columns] > 0, keep, 0)
                elif epilogue == SLOPE:
                    sums = sums * E[start : start + columns]
                out[:] = sums

    return tile


def _plain_sum_tile(rows, vectors):
    def tile(C, ldc, W, row, step, jump, B, width, panels, inner, last, x, y, z, ahead_row):
        columns = _columns(C, vectors)
        for i in range(rows):
            sums = np.zeros(columns, C.dtype)
            b = 0
            for panel in range(panels):
                for k in range(last if panel == panels - 1 else inner):
                    sums = sums + W[i * row + panel * jump + k * step] * B[b : b + columns]
                    b += width
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
registers_lanes = _plain_registers_lanes if config.DISABLE_JIT else _registers_lanes

_product, _sum = (_plain_product_tile, _plain_sum_tile) if config.DISABLE_JIT else (_product_tile, _sum_tile)

# Module globals: numba cannot cache a kernel that reaches them through a closure.
wide = [_product(rows, WIDE) for rows in HEIGHTS]
broad = [_product(rows, BROAD) for rows in BROAD_HEIGHTS]
single = [_product(rows, 0) for rows in HEIGHTS]
over_panels = [_sum(rows, WIDE) for rows in HEIGHTS]
