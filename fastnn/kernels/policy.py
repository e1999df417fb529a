"""How every kernel is compiled, and where its machine code is kept: the one place that says it.

Arithmetic is exact IEEE: no fastmath flag anywhere, contraction only where a kernel writes `fma` itself, and
`error_model="numpy"`, so that a division by zero gives inf or nan as in NumPy.
"""

import contextlib
import hashlib
import pickle
import sys
import threading
from pathlib import Path

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.cpu_options import ParallelOptions

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


def _fingerprint():
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


_FINGERPRINT = _fingerprint()


class KernelCache(FunctionCache):
    """Numba's cache on disk, stamped with all kernel files.

    Numba's own stamp covers the file of the function alone and would go on using a kernel whose callee in
    another file was edited. A damaged, foreign or unwritable cache costs a compilation, never an error.
    """

    def __init__(self, py_func, parallel):
        super().__init__(py_func)
        self._cache_file._source_stamp = _FINGERPRINT
        self._parallel = parallel
        self._notice = None

    def _index_key(self, sig, codegen):
        # One Python function may be compiled both ways (train.py), and numba's own key leaves bounds checks out.
        return (*super()._index_key(sig, codegen), self._parallel, bool(numba.config.BOUNDSCHECK))

    def load_overload(self, sig, target_context):
        """Compiled code for the argument types `sig`, or None."""
        loaded = super().load_overload(sig, target_context)
        # Two processes that save their first kernels at once may give one file name to two signatures.
        if loaded is not None and tuple(loaded.signature.args) != tuple(sig):
            loaded = None
        if loaded is None:
            name = self._py_func.__name__
            self._notice = threading.Timer(
                1.0, print, [f"fastnn: compiling {name}, once for this machine"], {"file": sys.stderr}
            )
            self._notice.daemon = True
            self._notice.start()
        return loaded

    def save_overload(self, sig, data):
        """Keep the compiled code `data` for the argument types `sig`."""
        if self._notice is not None:
            self._notice.cancel()
        super().save_overload(sig, data)

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self):
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError, ValueError, KeyError):
            yield


def _compiled(function, parallel):
    options = {"parallel": EXPLICIT_PRANGE_ONLY} if parallel else {}
    dispatcher = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)
    # numba refuses to cache where neither the package nor the user's cache folder can be written.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = KernelCache(function, parallel)
    return dispatcher


if numba.config.DISABLE_JIT:
    # What the machine code does silently (overflow, log(0)), NumPy's scalars would warn about.
    inner = inlined = kernel = parallel_kernel = np.errstate(all="ignore")
else:

    def inner(function):
        """Compile a function that only kernels call: it is kept within their machine code."""
        return numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)

    def inlined(function):
        """Write a function that has one caller into it.

        LLVM optimizes a compiled function once for itself and once more with each function around it: without
        the six levels of train.py a first training takes 9.4-10.5 s instead of 13.
        """
        return numba.njit(error_model="numpy", inline="always")(function)

    def kernel(function):
        """Compile a serial kernel that Python calls."""
        return _compiled(function, parallel=False)

    def parallel_kernel(function):
        """Compile a kernel with a parallel region; its last argument says on how many threads it runs."""
        return _compiled(function, parallel=True)
