"""How every kernel is compiled: the one place that says it.

Arithmetic is exact IEEE: no fastmath flag anywhere, contraction only where a kernel writes `fma` itself, and
`error_model="numpy"`, so that a division by zero gives inf or nan as in NumPy.
"""

import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numba.core import types
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu_options import ParallelOptions
from numba.core.dispatcher import _FunctionCompiler
from numba.core.errors import NumbaError, UnsupportedBytecodeError
from numba.core.registry import cpu_target

from fastnn.interrupts import held
from fastnn.kernels.compiler.cache import KernelCache
from fastnn.kernels.compiler.host import JIT

# An instance, not a dict: numba empties a dict at the first use and then switches everything back on.
EXPLICIT_PRANGE_ONLY = ParallelOptions(
    {
        "comprehension": False,
        "reduction": False,
        "inplace_binop": False,
        "setitem": False,
        "numpy": False,
        "stencil": False,
        "fusion": False,
        "prange": True,
    }
)


# Stack that LLVM is given where threads have less, by `threading.stack_size`: with 64 KB it crashes.
LLVM_STACK = 8 << 20


def _undisturbed(function, *arguments, **options):
    """Call what compiles, with Ctrl-C held back and room on the stack."""
    with held():
        size = threading.stack_size()
        if not 0 < size < LLVM_STACK or threading.current_thread() is threading.main_thread():
            return function(*arguments, **options)
        with ThreadPoolExecutor(1) as pool:
            threading.stack_size(LLVM_STACK)
            try:
                future = pool.submit(function, *arguments, **options)
            finally:
                threading.stack_size(size)
            return future.result()


def _compiled(function, parallel, nogil=True):
    options = {"parallel": EXPLICIT_PRANGE_ONLY} if parallel else {}
    dispatcher = numba.njit(nogil=nogil, error_model="numpy", no_cfunc_wrapper=True, **options)(function)
    dispatcher._cache = KernelCache(function)
    # What numba calls for arguments of new types, and what we do beforehand.
    dispatcher._compile_for_args = functools.partial(_undisturbed, dispatcher._compile_for_args)
    dispatcher.compile = functools.partial(_undisturbed, dispatcher.compile)
    return dispatcher


class Numbers:
    """In the annotations of an op: a pointer to numbers of the net's type."""


class Table:
    """In the annotations of an op: a pointer to a table of pointers (`simd.pointer_table`)."""


class Bytes:
    """In the annotations of an op: a pointer to numbers of any type."""


class Words:
    """In the annotations of an op: a pointer to uint32."""


class Integers:
    """In the annotations of an op: a pointer to int64."""


class Doubles:
    """In the annotations of an op: a pointer to float64, whatever the net's type."""


class _NativeCompiler(_FunctionCompiler):
    def _customize_flags(self, flags):
        flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        return flags


class _Native(CFunc):
    """Machine code whose address is that of numba's own function, not of a wrapper with the calling convention of C.

    A wrapper passes all arguments on, and waits where it reads two of them at once that were stored one by one: 7 % of
    a step of [2, 5, 2, 1] with 64 examples, 14 % of one of [2, 10, 5, 1] with a single one.
    """

    def __init__(self, function, signature):
        super().__init__(function, signature, {}, {"error_model": "numpy"})
        self._compiler = _NativeCompiler(function, self._targetdescr, self._compiler.targetoptions, {}, Compiler)

    @global_compiler_lock
    def compile(self):
        """Compile, or load from the cache."""
        compiled = self._cache.load_overload(self._sig, self._targetdescr.target_context)
        if compiled is None:
            compiled = self._compile_uncached()
            self._cache.save_overload(self._sig, compiled)
        else:
            self._cache_hits += 1
        self._library = compiled.library
        self._wrapper_name = compiled.fndesc.llvm_func_name
        self._wrapper_address = self._library.get_pointer_to_function(self._wrapper_name)


class Op:
    """A kernel that other kernels call by its address (`simd.call`).

    It is compiled by itself, once for a type of numbers: an `inner` function is optimized again within each of its
    callers, and twins compiled into a serial and a parallel caller may differ in speed and even in bits.
    Parameters are annotated with one of the pointer types above, `int` (int64) or `float` (float64).
    """

    def __init__(self, function, cached=True):
        self.function = function
        self._cached = cached
        self._compiled = {}

    def _signature(self, dtype):
        numba_types = {
            Table: types.CPointer(types.uintp),
            Numbers: types.CPointer(numba.from_dtype(dtype)),
            Bytes: types.CPointer(types.uint8),
            Words: types.CPointer(types.uint32),
            Integers: types.CPointer(types.int64),
            Doubles: types.CPointer(types.float64),
            int: types.int64,
            float: types.float64,
        }
        return [numba_types[annotation] for annotation in self.function.__annotations__.values()], types.void

    def dtype_of(self, dtype):
        """The type of numbers whose code serves that type: float64 for both where no parameter points to numbers."""
        return np.dtype(dtype if Numbers in self.function.__annotations__.values() else np.float64)

    def is_ready(self, dtype):
        """Whether the code for that type of numbers is loaded, or in the cache."""
        if dtype in self._compiled:
            return True
        target_context = cpu_target.target_context
        return self._cached and KernelCache(self.function).holds(tuple(self._signature(dtype)[0]), target_context)

    def compiled(self, dtype):
        """The numba function object for that type of numbers; compiles if need be."""
        dtype = self.dtype_of(dtype)
        if dtype not in self._compiled:
            _undisturbed(self._compile, dtype)
        return self._compiled[dtype]

    def _compile(self, dtype):
        native = _Native(self.function, self._signature(dtype))
        if self._cached:
            native._cache = KernelCache(self.function)
        native.compile()
        self._compiled[dtype] = native

    def address(self, dtype):
        """Where the machine code for that type of numbers begins; without JIT the Python function itself."""
        return self.compiled(np.dtype(dtype)).address if JIT else self.function


def op(function):
    """Make a function that kernels call by its address; see `Op`."""
    return Op(function)


class _UsersOp(Op):
    def __init__(self, function, described):
        # Numba's cache cannot tell two of them apart.
        super().__init__(function, cached=False)
        self._described = described

    def compiled(self, dtype):
        try:
            return super().compiled(dtype)
        except (NumbaError, UnsupportedBytecodeError) as error:
            raise TypeError(f"{self._described} must be a function that numba.njit can compile: {error}") from error


def users_op(function, described):
    """Make an op of a function that holds one of the user's, which errors call as it is `described`."""
    return _UsersOp(function, described)


def users_function(function):
    """Compile a user's function for numbers, unless numba has done so or is switched off."""
    if not JIT or hasattr(function, "py_func"):
        return function
    return numba.njit(error_model="numpy")(function)


def _no_code_of_its_own(flags):
    # A caller links the LLVM code; machine code for the function alone would be a sixth of a first training's time.
    flags.no_compile = True
    return flags


# What machine code does silently (overflow, log(0)), NumPy's scalars would warn about.
_silent = np.errstate(all="ignore")


def inner(function, inlined=False):
    """Compile a function that only kernels call: it is kept within their machine code, if wanted without a call."""
    if not JIT:
        return _silent(function)
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": inlined}
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    dispatcher._compiler._customize_flags = _no_code_of_its_own

    def add_overload(compiled):
        # numba finds the code of a callee by its entry point, of which any unique object takes the place.
        entry = object()
        dispatcher.targetctx.insert_user_function(entry, compiled.fndesc, [compiled.library])
        dispatcher.overloads[tuple(compiled.signature.args)] = compiled._replace(entry_point=entry)

    dispatcher.add_overload = add_overload
    return dispatcher


def kernel(function):
    """Compile a serial kernel that Python calls."""
    return _compiled(function, parallel=False) if JIT else _silent(function)


def kernel_with_gil(function):
    """Compile a serial kernel that Python calls and that no other Python thread runs beside."""
    return _compiled(function, parallel=False, nogil=False) if JIT else _silent(function)


def parallel_kernel(function):
    """Compile a kernel with a parallel region; its last argument says on how many threads it runs."""
    return _compiled(function, parallel=True) if JIT else _silent(function)
