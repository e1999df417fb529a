"""The vocabulary of the vector kernels: LLVM vectors, or their plain twins where numba is switched off."""

from typing import TYPE_CHECKING

from fastnn.kernels.compiler.host import JIT

if TYPE_CHECKING or not JIT:
    from fastnn.kernels.compiler.simd_plain import *
else:
    from fastnn.kernels.compiler.simd_llvm import *
