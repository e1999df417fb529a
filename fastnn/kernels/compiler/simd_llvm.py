"""Vectors as first-class values inside numba functions, emitted as LLVM vector instructions.

A vector fills 64 bytes: 8 doubles or 16 floats, whatever the host's registers. LLVM splits it where they are
narrower, so the order of every sum, and with it every bit, is the same on AVX-512, AVX2 and NEON.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import from_dtype
from numba.core import cgutils, types
from numba.core.errors import RequireLiteralValue
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

VECTOR_BYTES = 64

# What `element_at` reads, by its code.
NUMBER_TYPES = (
    np.float64, np.float32, np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8,
)  # fmt: skip


class Vector(types.Type):
    """The numba type of a vector of `lanes` numbers, or truth values, of type `dtype`."""

    def __init__(self, dtype, lanes):
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"vector({dtype} x {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        scalar = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(scalar, fe_type.lanes))


def _vector_of(pointer):
    return Vector(pointer.dtype, VECTOR_BYTES * 8 // pointer.dtype.bitwidth)


def _operands(*given):
    """The vector among the types of an operation's operands, and what these are converted to: numbers to its own."""
    vector = next(v for v in given if isinstance(v, Vector))
    return vector, [v if isinstance(v, Vector) else vector.dtype for v in given]


def _splat(builder, scalar, lanes):
    vector = ir.VectorType(scalar.type, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _wide(builder, vector, given, values):
    """LLVM values of the types `given` as vectors, with a number in every lane."""
    return [
        value if isinstance(ty, Vector) else _splat(builder, value, vector.lanes)
        for ty, value in zip(given, values, strict=True)
    ]


def _first_lanes(builder, count, lanes):
    """Mask of the lanes whose index is below `count`."""
    i64 = ir.IntType(64)
    index = ir.Constant(ir.VectorType(i64, lanes), list(range(lanes)))
    return builder.icmp_signed("<", index, _splat(builder, count, lanes))


def _call(builder, name, result, arguments):
    function_type = ir.FunctionType(result, [a.type for a in arguments])
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, arguments)


def _suffix(llvm_type):
    return f"v{llvm_type.count}{'f64' if isinstance(llvm_type.element, ir.DoubleType) else 'f32'}"


def _place(builder, pointer, index, llvm_type):
    """Where element `index` is, as a pointer to values of that type."""
    return builder.bitcast(builder.gep(pointer, [index]), llvm_type.as_pointer())


def _prefetch(builder, pointer):
    """Prefetch the cache line that a pointer is in, which will be read."""
    start = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    _call(builder, "llvm.prefetch.p0", ir.VoidType(), [start, *(ir.Constant(ir.IntType(32), n) for n in (0, 3, 1))])


def _join(phis, values, block):
    """Let every phi have its value where control comes from that block."""
    for phi, value in zip(phis, values, strict=True):
        phi.add_incoming(value, block)


@intrinsic
def pointer(typingctx, array):
    """Where the elements of a contiguous array begin; the caller keeps the array alive.

    One machine word, where an array is seven and a reference count: a step of [2, 5, 2, 1] took 2.3 us with arrays
    and 1.0 with pointers.
    It is also not indexed from the end, so that no access carries a test for negative indices.
    """

    def codegen(context, builder, sig, args):
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    if array.layout != "C":
        raise TypeError(f"a pointer needs a contiguous array, got layout {array.layout}")
    return types.CPointer(array.dtype)(array), codegen


def pointer_table(arrays):
    """Addresses of contiguous arrays, for `pointer_at`; the caller keeps the arrays alive."""
    return np.array([array.ctypes.data for array in arrays], np.uintp)


@intrinsic
def put_address(typingctx, table, index, array):
    """Let entry `index` of a `pointer_table` refer to an array."""

    def codegen(context, builder, sig, args):
        entries = context.make_array(sig.args[0])(context, builder, args[0]).data
        data = context.make_array(sig.args[2])(context, builder, args[2]).data
        builder.store(data, _place(builder, entries, args[1], data.type))
        return context.get_dummy_value()

    return types.void(table, types.int64, array), codegen


@intrinsic
def pointer_at(typingctx, table, index, dtype):
    """Entry `index` of a `pointer_table`, as a pointer to elements of that dtype."""
    result = types.CPointer(dtype.dtype)

    def codegen(context, builder, sig, args):
        entries = args[0]
        if isinstance(sig.args[0], types.Array):
            entries = context.make_array(sig.args[0])(context, builder, entries).data
        return builder.load(_place(builder, entries, args[1], context.get_value_type(result)))

    return result(table, types.int64, dtype), codegen


@intrinsic
def integer_at(typingctx, table, index, position):
    """Number `position` of the int64 array that entry `index` of a `pointer_table` refers to."""

    def codegen(context, builder, sig, args):
        array = builder.load(_place(builder, args[0], args[1], ir.IntType(64).as_pointer()))
        return builder.load(builder.gep(array, [args[2]]))

    return types.int64(table, types.int64, types.int64), codegen


@intrinsic
def bytes_at(typingctx, table, index, element, size):
    """Where element `element` of the array at entry `index` of a `pointer_table` is, if elements have `size` bytes."""
    result = types.CPointer(types.uint8)

    def codegen(context, builder, sig, args):
        array = builder.load(_place(builder, args[0], args[1], context.get_value_type(result)))
        return builder.gep(array, [builder.mul(args[2], args[3])])

    return result(table, types.int64, types.int64, types.int64), codegen


@intrinsic
def numbers_at(typingctx, table, index, like):
    """Entry `index` of a `pointer_table`, as a pointer of the type of `like`."""

    def codegen(context, builder, sig, args):
        return builder.load(_place(builder, args[0], args[1], args[2].type))

    return like(table, types.int64, like), codegen


@intrinsic
def as_numbers(typingctx, data, like):
    """A pointer to bytes as one of the type of `like`."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], args[1].type)

    return like(data, like), codegen


@intrinsic
def advance(typingctx, pointer, count):
    """The pointer moved on by `count` elements."""

    def codegen(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), codegen


@intrinsic
def number_like(typingctx, pointer, number):
    """A float, rounded to the type of `pointer`'s elements."""

    def codegen(context, builder, sig, args):
        return context.cast(builder, args[1], types.float64, sig.return_type)

    return pointer.dtype(pointer, types.float64), codegen


@intrinsic
def call(typingctx, table, index, *arguments):
    """Call the op whose address is entry `index` of a `pointer_table`; numbers go as int64 or float64."""
    words = [types.float64 if isinstance(ty, types.Float) else types.int64 for ty in arguments]
    passed = [ty if isinstance(ty, types.CPointer) else word for ty, word in zip(arguments, words, strict=True)]

    def codegen(context, builder, sig, args):
        # numba's convention: room for a result, though there is none; for an exception; then the arguments.
        with builder.goto_entry_block():
            result = builder.alloca(ir.IntType(8).as_pointer())
        exception = builder.function.args[1]
        packed = [result, exception, *cgutils.unpack_tuple(builder, args[2])]
        function_type = ir.FunctionType(ir.IntType(32), [value.type for value in packed])
        builder.call(builder.load(_place(builder, args[0], args[1], function_type.as_pointer())), packed)
        return context.get_dummy_value()

    return types.void(table, types.int64, types.Tuple(passed)), codegen


@intrinsic
def stack_buffer(typingctx, pointer, count):
    """Room for a constant `count` of elements of `pointer`'s type, until the calling function returns."""

    def codegen(context, builder, sig, args):
        element = context.get_data_type(sig.args[0].dtype)
        # As vectors, so that the room is aligned like one.
        lanes = _vector_of(sig.args[0]).lanes
        room = ir.ArrayType(ir.VectorType(element, lanes), sig.args[1].literal_value // lanes)
        # Not cgutils.alloca_once, which fills the room with zeros at every call: 1 us for the 64 KB of a panel.
        with builder.goto_entry_block():
            start = builder.alloca(room)
        return builder.bitcast(start, element.as_pointer())

    if not isinstance(count, types.IntegerLiteral):
        raise RequireLiteralValue("the count of a stack_buffer must be a constant")
    return pointer(pointer, count), codegen


@intrinsic
def lanes_of(typingctx, pointer):
    """Number of elements of `pointer`'s type in a vector."""

    def codegen(context, builder, sig, args):
        return context.get_constant(types.int64, _vector_of(sig.args[0]).lanes)

    return types.int64(pointer), codegen


@intrinsic
def get(typingctx, pointer, index):
    """Element `index`."""

    def codegen(context, builder, sig, args):
        return context.unpack_value(builder, sig.return_type, builder.gep(args[0], [args[1]]))

    return pointer.dtype(pointer, types.int64), codegen


@intrinsic
def put(typingctx, pointer, index, number):
    """Set element `index`."""

    def codegen(context, builder, sig, args):
        context.pack_value(builder, sig.args[0].dtype, args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, pointer.dtype), codegen


@intrinsic
def load(typingctx, pointer, index):
    """Vector of the elements that `pointer` points to, from `index` on."""
    result = _vector_of(pointer)

    def codegen(context, builder, sig, args):
        value = builder.load(_place(builder, *args, context.get_value_type(sig.return_type)))
        value.align = sig.return_type.dtype.bitwidth // 8
        return value

    return result(pointer, types.int64), codegen


@intrinsic
def prefetch(typingctx, pointer, index):
    """Prefetch the cache line of element `index`, which will be read."""

    def codegen(context, builder, sig, args):
        _prefetch(builder, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64), codegen


@intrinsic
def load_part(typingctx, pointer, index, count):
    """Like `load`, but touches only the first `count` elements; the other lanes are zero."""
    result = _vector_of(pointer)

    def codegen(context, builder, sig, args):
        llvm_type = context.get_value_type(sig.return_type)
        start = _place(builder, args[0], args[1], llvm_type)
        align = ir.Constant(ir.IntType(32), sig.return_type.dtype.bitwidth // 8)
        mask = _first_lanes(builder, args[2], sig.return_type.lanes)
        zero = ir.Constant(llvm_type, [0] * sig.return_type.lanes)
        name = f"llvm.masked.load.{_suffix(llvm_type)}.p0"
        return _call(builder, name, llvm_type, [start, align, mask, zero])

    return result(pointer, types.int64, types.int64), codegen


@intrinsic
def store(typingctx, pointer, index, vector):
    """Write `vector` to the elements that `pointer` points to, from `index` on."""

    def codegen(context, builder, sig, args):
        start = _place(builder, args[0], args[1], args[2].type)
        builder.store(args[2], start).align = sig.args[0].dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(pointer, types.int64, vector), codegen


@intrinsic
def store_part(typingctx, pointer, index, vector, count):
    """Like `store`, but touches only the first `count` elements."""

    def codegen(context, builder, sig, args):
        value, start = args[2], _place(builder, args[0], args[1], args[2].type)
        align = ir.Constant(ir.IntType(32), sig.args[0].dtype.bitwidth // 8)
        mask = _first_lanes(builder, args[3], sig.args[2].lanes)
        name = f"llvm.masked.store.{_suffix(value.type)}.p0"
        _call(builder, name, ir.VoidType(), [value, start, align, mask])
        return context.get_dummy_value()

    return types.void(pointer, types.int64, vector, types.int64), codegen


@intrinsic
def splat(typingctx, pointer, number):
    """Vector for `pointer`'s elements with `number` in every lane."""
    result = _vector_of(pointer)

    def codegen(context, builder, sig, args):
        return _splat(builder, args[1], sig.return_type.lanes)

    return result(pointer, pointer.dtype), codegen


@intrinsic
def broadcast(typingctx, pointer, index):
    """Vector with element `index` in every lane."""
    result = _vector_of(pointer)

    def codegen(context, builder, sig, args):
        number = builder.load(builder.gep(args[0], [args[1]]))
        return _splat(builder, number, sig.return_type.lanes)

    return result(pointer, types.int64), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """`a * b + c`, rounded once. Any of the three may be a scalar."""
    vector, converted = _operands(a, b, c)

    def codegen(context, builder, sig, args):
        wide = _wide(builder, vector, sig.args, args)
        return _call(builder, f"llvm.fma.{_suffix(wide[0].type)}", wide[0].type, wide)

    return vector(*converted), codegen


@intrinsic
def where(typingctx, mask, a, b):
    """Lane by lane `a` where `mask` is true, else `b`; one of the two may be a scalar."""
    vector, converted = _operands(a, b)

    def codegen(context, builder, sig, args):
        return builder.select(args[0], *_wide(builder, vector, sig.args[1:], args[1:]))

    return vector(mask, *converted), codegen


@intrinsic
def total(typingctx, vector):
    """Sum of the lanes, neighbours first: ((0+1)+(2+3))+((4+5)+(6+7)), as NumPy adds its 8 partial sums."""

    def codegen(context, builder, sig, args):
        value = args[0]
        i32 = ir.IntType(32)
        while value.type.count > 1:
            half = value.type.count // 2
            picks = [ir.Constant(ir.VectorType(i32, half), [2 * k + start for k in range(half)]) for start in (0, 1)]
            undefined = ir.Constant(value.type, ir.Undefined)
            value = builder.fadd(*(builder.shuffle_vector(value, undefined, lanes) for lanes in picks))
        return builder.extract_element(value, ir.Constant(i32, 0))

    return vector.dtype(vector), codegen


def _register(operation, emit, result_of):
    """Make `operation` work on two vectors, or on a vector and a scalar."""

    @infer_global(operation)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            has_vector = any(isinstance(a, Vector) for a in args)
            if not has_vector or not all(isinstance(a, Vector | types.Float | types.Integer) for a in args):
                return None
            vector, converted = _operands(*args)
            return signature(result_of(vector), *converted)

    def lower(context, builder, sig, args):
        vector, _ = _operands(*sig.args)
        return emit(builder, vector, *_wide(builder, vector, sig.args, args))

    for pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(operation, *pair)(lower)


def _by_kind(float_name, integer_name):
    def emit(builder, vector, a, b):
        name = float_name if isinstance(vector.dtype, types.Float) else integer_name
        if name == "ashr" and not vector.dtype.signed:
            name = "lshr"
        return getattr(builder, name)(a, b)

    return emit


def _comparison(symbol):
    def emit(builder, vector, a, b):
        if isinstance(vector.dtype, types.Integer):
            return builder.icmp_unsigned(symbol, a, b)
        # "!=" has to be true for NaN, "==" false.
        compare = builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered
        return compare(symbol, a, b)

    return emit


for _operation, _float, _integer in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None),
    (operator.lshift, None, "shl"),
    (operator.rshift, None, "ashr"),
    (operator.and_, None, "and_"),
    (operator.or_, None, "or_"),
    (operator.xor, None, "xor"),
):
    _register(_operation, _by_kind(_float, _integer), lambda vector: vector)
for _operation, _symbol in ((operator.eq, "=="), (operator.ne, "!=")):
    _register(_operation, _comparison(_symbol), lambda vector: Vector(types.boolean, vector.lanes))


@intrinsic
def element_at(typingctx, data, offset, code, like):
    """The number `offset` bytes into `data`, of type NUMBER_TYPES[code], converted to the type of `like`'s elements.

    The choice is made at every element: ten loops would be twice as fast and take 1.5 s to compile, not 0.1.
    """

    def codegen(context, builder, sig, args):
        start = builder.gep(builder.bitcast(args[0], ir.IntType(8).as_pointer()), [args[1]])
        done = builder.append_basic_block("converted")
        unknown = builder.append_basic_block("unknown")
        switch = builder.switch(args[2], unknown)
        numbers = []
        for k, dtype in enumerate(NUMBER_TYPES):
            stored = from_dtype(np.dtype(dtype))
            block = builder.append_basic_block(f"from_{dtype.__name__}")
            switch.add_case(ir.Constant(ir.IntType(64), k), block)
            builder.position_at_end(block)
            number = builder.load(builder.bitcast(start, context.get_data_type(stored).as_pointer()))
            number.align = 1
            numbers.append((context.cast(builder, number, stored, sig.return_type), builder.block))
            builder.branch(done)
        builder.position_at_end(unknown)
        builder.unreachable()
        builder.position_at_end(done)
        result = builder.phi(context.get_value_type(sig.return_type))
        for number, block in numbers:
            result.add_incoming(number, block)
        return result

    return like.dtype(data, types.int64, types.int64, like), codegen


@intrinsic
def transpose_tile(typingctx, source, source_row, target, target_row):
    """Write a square of as many rows and columns as a vector has lanes, transposed."""

    def codegen(context, builder, sig, args):
        source_, source_row_, target_, target_row_ = args
        vector_type = _vector_of(sig.args[0])
        n = vector_type.lanes
        llvm_type = context.get_value_type(vector_type)
        align = vector_type.dtype.bitwidth // 8
        rows = []
        for i in range(n):
            start = builder.gep(source_, [builder.mul(source_row_, ir.Constant(ir.IntType(64), i))])
            row = builder.load(builder.bitcast(start, llvm_type.as_pointer()))
            row.align = align
            rows.append(row)
        # Swap blocks of half the size off the diagonal, then of a quarter, down to single elements.
        half = n // 2
        while half:
            low = [(k if not k & half else k - half + n) for k in range(n)]
            high = [(k + half if not k & half else k + n) for k in range(n)]
            for i in range(n):
                if not i & half:
                    rows[i], rows[i + half] = (
                        builder.shuffle_vector(
                            rows[i], rows[i + half], ir.Constant(ir.VectorType(ir.IntType(32), n), picks)
                        )
                        for picks in (low, high)
                    )
            half //= 2
        for i, row in enumerate(rows):
            start = builder.gep(target_, [builder.mul(target_row_, ir.Constant(ir.IntType(64), i))])
            builder.store(row, builder.bitcast(start, llvm_type.as_pointer())).align = align
        return context.get_dummy_value()

    return types.void(source, types.int64, source, types.int64), codegen
