"""Functions of vectors written once in Python, run on NumPy's arrays or emitted as LLVM instructions.

numba compiles an operation of a kernel in about 1 ms, so that exp alone took 50. A function without branches need not
go through it: called with `Traced` values, it writes its instructions itself, and to numba is a single operation.
"""

import functools

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastnn.kernels.compiler import simd_plain
from fastnn.kernels.compiler.host import JIT
from fastnn.kernels.compiler.simd_llvm import VECTOR_BYTES, Vector, _first_lanes, _splat

_LLVM_TYPES = {
    "f8": ir.DoubleType(), "f4": ir.FloatType(),
    "i8": ir.IntType(64), "i4": ir.IntType(32), "u8": ir.IntType(64), "u4": ir.IntType(32),
}  # fmt: skip


class Traced:
    """A vector in the LLVM code being written; `dtype` is NumPy's, or bool for a mask."""

    __array_ufunc__ = None  # NumPy's scalars leave the operators to this class

    def __init__(self, builder, value, dtype):
        self.builder = builder
        self.value = value
        self.dtype = dtype

    def same(self, value):
        """A vector of this one's type with that LLVM value."""
        return Traced(self.builder, value, self.dtype)

    def wide(self, number):
        """The LLVM value of a vector, or of a number in every lane."""
        if isinstance(number, Traced):
            return number.value
        return ir.Constant(self.value.type, [number] * self.value.type.count)

    def _arithmetic(self, operation, a, b):
        return self.same(getattr(self.builder, operation)(a, b))

    def _by_kind(self, operation, a, b):
        return self._arithmetic(f"f{operation}" if self.dtype.kind == "f" else operation, a, b)

    def _compare(self, symbol, other):
        if self.dtype.kind == "f":
            # "!=" has to be true for NaN, every other comparison false.
            compare = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
        else:
            compare = self.builder.icmp_signed if self.dtype.kind == "i" else self.builder.icmp_unsigned
        return Traced(self.builder, compare(symbol, self.value, self.wide(other)), np.dtype(bool))

    def __add__(self, other):
        return self._by_kind("add", self.value, self.wide(other))

    def __sub__(self, other):
        return self._by_kind("sub", self.value, self.wide(other))

    def __rsub__(self, other):
        return self._by_kind("sub", self.wide(other), self.value)

    def __mul__(self, other):
        return self._by_kind("mul", self.value, self.wide(other))

    def __truediv__(self, other):
        return self._arithmetic("fdiv", self.value, self.wide(other))

    def __rtruediv__(self, other):
        return self._arithmetic("fdiv", self.wide(other), self.value)

    def __neg__(self):
        return self.same(self.builder.fneg(self.value))

    def __lshift__(self, other):
        return self._arithmetic("shl", self.value, self.wide(other))

    def __rshift__(self, other):
        return self._arithmetic("ashr" if self.dtype.kind == "i" else "lshr", self.value, self.wide(other))

    def __and__(self, other):
        return self._arithmetic("and_", self.value, self.wide(other))

    def __xor__(self, other):
        return self._arithmetic("xor", self.value, self.wide(other))

    def __lt__(self, other):
        return self._compare("<", other)

    def __le__(self, other):
        return self._compare("<=", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def __ge__(self, other):
        return self._compare(">=", other)

    def __eq__(self, other):
        return self._compare("==", other)

    def __ne__(self, other):
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]
    __radd__, __rmul__ = __add__, __mul__


def _operation(function):
    """Give an operation of `simd_plain` its way of writing LLVM code: function(vector, *arguments)."""
    plain = getattr(simd_plain, function.__name__)

    @functools.wraps(function)
    def either(*arguments):
        vector = next((a for a in arguments if isinstance(a, Traced) and a.dtype.kind != "b"), None)
        return plain(*arguments) if vector is None else function(vector, *arguments)

    return either


def _call(vector, name, *arguments):
    wide = [vector.wide(a) for a in arguments]
    kind = vector.value.type
    name = f"llvm.{name}.v{kind.count}f{vector.dtype.itemsize * 8}"
    function = cgutils.get_or_insert_function(vector.builder.module, ir.FunctionType(kind, [kind] * len(wide)), name)
    return vector.same(vector.builder.call(function, wide))


def _reinterpret(vector, kind):
    dtype = np.dtype(f"{kind}{vector.dtype.itemsize}")
    llvm_type = ir.VectorType(_LLVM_TYPES[dtype.str[1:]], vector.value.type.count)
    return Traced(vector.builder, vector.builder.bitcast(vector.value, llvm_type), dtype)


@_operation
def fma(vector, a, b, c):
    """a b + c, rounded once."""
    return _call(vector, "fma", a, b, c)


@_operation
def rint(vector, x):
    """Rounded to the nearest integer, ties to even."""
    return _call(vector, "rint", x)


@_operation
def sqrt(vector, x):
    """Square root, correctly rounded."""
    return _call(vector, "sqrt", x)


@_operation
def absolute(vector, x):
    """Without its sign."""
    return _call(vector, "fabs", x)


@_operation
def copysign(vector, x, sign):
    """x with the sign of `sign`."""
    return _call(vector, "copysign", x, sign)


@_operation
def where(vector, mask, a, b):
    """a where the mask is true, else b."""
    return vector.same(vector.builder.select(mask.value, vector.wide(a), vector.wide(b)))


@_operation
def low_halves(vector, even, odd):
    """The low 32 bits of the lanes of `even` and `odd` in turn."""
    llvm_type = ir.VectorType(_LLVM_TYPES["u4"], 2 * even.value.type.count)
    a, b = (vector.builder.bitcast(v.value, llvm_type) for v in (even, odd))
    picks = [k + j for k in range(0, llvm_type.count, 2) for j in (0, llvm_type.count)]
    is_packed = ir.Constant(ir.VectorType(ir.IntType(32), llvm_type.count), picks)
    return Traced(vector.builder, vector.builder.shuffle_vector(a, b, is_packed), np.dtype(np.uint32))


def full_like(x, number):
    """Vector of x's type with `number` in every lane."""
    return x.same(x.wide(number)) if isinstance(x, Traced) else np.full_like(x, number)


@_operation
def as_integers(vector, x):
    """The bits of floats, as integers of the same width."""
    return _reinterpret(x, "i")


@_operation
def as_floats(vector, x):
    """The floats whose bits are the integers of x."""
    return _reinterpret(x, "f")


def polynomial(x, coefficients):
    """c0 + c1 x + c2 x^2 + ... by Horner's rule."""
    result = fma(x, coefficients[-1], coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        result = fma(result, x, coefficient)
    return result


def _traced(builder, ty, value):
    dtype = types.float64 if isinstance(ty, types.Float) else ty.dtype
    return Traced(builder, value, np.dtype(str(dtype)))


def traced(function, results=1):
    """The function as an operation of kernels: of vectors, it returns one of their type or a tuple of that many."""
    if not JIT:
        return np.errstate(all="ignore")(function)

    @intrinsic
    def operation(typingctx, first, *others):
        vector = types.UniTuple(first, results) if results > 1 else first

        def codegen(context, builder, sig, args):
            values = [args[0], *cgutils.unpack_tuple(builder, args[1])]
            out = function(*(_traced(builder, first, value) for value in values))
            return out.value if results == 1 else cgutils.pack_array(builder, [v.value for v in out])

        return vector(first, types.Tuple(others)), codegen

    operation.__doc__ = function.__doc__
    return operation


def traced_pass(function, inputs, outputs=1):
    """A pass of the function over memory: an operation (n, wanted, *inputs, *outputs, *scalars) of kernels.

    The first n elements that each of the `inputs` pointers points to, and the scalars in every lane, are the
    function's arguments. The first `wanted` of its `outputs` results are written; an output may be an input.
    """
    if not JIT:
        return _plain_pass(function, inputs, outputs)

    @intrinsic
    def operation(typingctx, n, wanted, *rest):
        number = rest[0].dtype
        passed = types.Tuple([ty if isinstance(ty, types.CPointer) else number for ty in rest])

        def codegen(context, builder, sig, args):
            pointers = cgutils.unpack_tuple(builder, args[2])
            _emit_pass(context, builder, function, inputs, outputs, number, args[0], args[1], pointers)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, passed), codegen

    operation.__doc__ = function.__doc__
    return operation


def _plain_pass(function, inputs, outputs):
    @np.errstate(all="ignore")
    def operation(n, wanted, *rest):
        arguments = [array[:n] for array in rest[:inputs]]
        scalars = [np.full_like(arguments[0], number) for number in rest[inputs + outputs :]]
        results = function(*arguments, *scalars)
        results = results if outputs > 1 else (results,)
        for array, result in list(zip(rest[inputs:], results, strict=False))[:wanted]:
            array[:n] = result

    return operation


def _emit_pass(context, builder, function, inputs, outputs, number, n, wanted, rest):
    """Write the loop of `traced_pass`, whose arguments `n`, `wanted` and, in `rest`, the others are LLVM values.

    `context` and `builder` are numba's; `function`, `inputs` and `outputs` those of the pass; `number` is the type of
    elements.
    """
    lanes = VECTOR_BYTES * 8 // number.bitwidth
    vector = Vector(number, lanes)
    llvm_type = context.get_value_type(vector)
    step = ir.Constant(n.type, lanes)
    scalars = [_traced(builder, vector, _splat(builder, value, lanes)) for value in rest[inputs + outputs :]]
    with cgutils.for_range_slice(builder, ir.Constant(n.type, 0), n, step, inc=True) as (j, _):
        left = builder.sub(n, j)
        full = builder.icmp_signed(">=", left, step)
        # The last vector differs by a branch around each access, so that the function is written down once.
        mask = _first_lanes(builder, left, lanes)
        places = [builder.bitcast(builder.gep(p, [j]), llvm_type.as_pointer()) for p in rest[: inputs + outputs]]
        arguments = _load_either(builder, places[:inputs], full, mask, llvm_type, number)
        results = function(*(_traced(builder, vector, value) for value in arguments), *scalars)
        results = [v.value for v in (results if outputs > 1 else (results,))]
        for i, (place, value) in enumerate(zip(places[inputs:], results, strict=True)):
            with builder.if_then(builder.icmp_signed(">", wanted, ir.Constant(wanted.type, i)), likely=True):
                _store_either(builder, place, value, full, mask, number)


def _masked(builder, kind, result, llvm_type, arguments):
    name = f"llvm.masked.{kind}.v{llvm_type.count}f{64 if isinstance(llvm_type.element, ir.DoubleType) else 32}.p0"
    function_type = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def _load_either(builder, places, full, mask, llvm_type, number):
    align = number.bitwidth // 8
    with builder.if_else(full, likely=True) as (whole, part):
        with whole:
            loaded = [builder.load(place) for place in places]
            for value in loaded:
                value.align = align
            from_whole = builder.block
        with part:
            zero = ir.Constant(llvm_type, [0] * llvm_type.count)
            masked = [
                _masked(builder, "load", llvm_type, llvm_type, [place, ir.Constant(ir.IntType(32), align), mask, zero])
                for place in places
            ]
            from_part = builder.block
    values = []
    for a, b in zip(loaded, masked, strict=True):
        value = builder.phi(llvm_type)
        value.add_incoming(a, from_whole)
        value.add_incoming(b, from_part)
        values.append(value)
    return values


def _store_either(builder, place, value, full, mask, number):
    align = number.bitwidth // 8
    with builder.if_else(full, likely=True) as (whole, part):
        with whole:
            builder.store(value, place).align = align
        with part:
            arguments = [value, place, ir.Constant(ir.IntType(32), align), mask]
            _masked(builder, "store", ir.VoidType(), value.type, arguments)


def traced_fill(function):
    """An operation (target, *numbers) of kernels that writes the function's vectors to memory, one after the other.

    The function's first argument is a vector of the 64-bit integers 0, 1, 2, ...; then come the numbers in every lane:
    integers as unsigned ones of 64 bits, floats of the type of the target's elements.
    """
    words = VECTOR_BYTES // 8
    if not JIT:

        @np.errstate(all="ignore")
        def plain(target, *numbers):
            dtypes = [target.dtype if isinstance(x, float | np.floating) else np.uint64 for x in numbers]
            wide = [np.full(VECTOR_BYTES // np.dtype(t).itemsize, x, t) for t, x in zip(dtypes, numbers, strict=True)]
            written = np.concatenate(function(np.arange(words, dtype=np.uint64), *wide))
            target[: written.size] = written

        return plain

    @intrinsic
    def operation(typingctx, target, *numbers):
        passed = types.Tuple([target.dtype if isinstance(ty, types.Float) else types.uint64 for ty in numbers])

        def codegen(context, builder, sig, args):
            arguments = []
            for ty, value in zip(passed, cgutils.unpack_tuple(builder, args[1]), strict=True):
                vector = Vector(ty, VECTOR_BYTES * 8 // ty.bitwidth)
                arguments.append(_traced(builder, vector, _splat(builder, value, vector.lanes)))
            index = ir.Constant(ir.VectorType(ir.IntType(64), words), list(range(words)))
            at = args[0]
            for result in function(Traced(builder, index, np.dtype(np.uint64)), *arguments):
                place = builder.bitcast(at, result.value.type.as_pointer())
                builder.store(result.value, place).align = result.dtype.itemsize
                at = builder.gep(at, [ir.Constant(ir.IntType(64), result.value.type.count)])
            return context.get_dummy_value()

        return types.void(target, passed), codegen

    operation.__doc__ = function.__doc__
    return operation
