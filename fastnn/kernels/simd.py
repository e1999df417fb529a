"""The vocabulary of the vector kernels: LLVM vectors, or their plain twins where numba is switched off."""

from numba import config

if config.DISABLE_JIT:
    from fastnn.kernels import simd_plain as _vectors
else:
    from fastnn.kernels import simd_llvm as _vectors

VECTOR_BYTES = _vectors.VECTOR_BYTES
pointer = _vectors.pointer
pointer_table = _vectors.pointer_table
pointer_at = _vectors.pointer_at
stack_buffer = _vectors.stack_buffer
lanes_of = _vectors.lanes_of
get = _vectors.get
put = _vectors.put
load = _vectors.load
load_part = _vectors.load_part
store = _vectors.store
store_part = _vectors.store_part
broadcast = _vectors.broadcast
splat = _vectors.splat
fma = _vectors.fma
sqrt = _vectors.sqrt
rint = _vectors.rint
where = _vectors.where
as_integers = _vectors.as_integers
as_floats = _vectors.as_floats
total = _vectors.total
