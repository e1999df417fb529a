"""The vocabulary of the vector kernels: LLVM vectors, or their plain twins where numba is switched off."""

from typing import TYPE_CHECKING

from fastnn.kernels.compiler.host import JIT

if TYPE_CHECKING or not JIT:
    from fastnn.kernels.compiler import simd_plain as _vectors
else:
    from fastnn.kernels.compiler import simd_llvm as _vectors

VECTOR_BYTES = _vectors.VECTOR_BYTES
NUMBER_TYPES = _vectors.NUMBER_TYPES
pointer = _vectors.pointer
pointer_table = _vectors.pointer_table
put_address = _vectors.put_address
pointer_at = _vectors.pointer_at
integer_at = _vectors.integer_at
bytes_at = _vectors.bytes_at
numbers_at = _vectors.numbers_at
as_numbers = _vectors.as_numbers
advance = _vectors.advance
number_like = _vectors.number_like
call = _vectors.call
element_at = _vectors.element_at
transpose_tile = _vectors.transpose_tile
stack_buffer = _vectors.stack_buffer
lanes_of = _vectors.lanes_of
get = _vectors.get
put = _vectors.put
load = _vectors.load
prefetch = _vectors.prefetch
load_part = _vectors.load_part
store = _vectors.store
store_part = _vectors.store_part
broadcast = _vectors.broadcast
splat = _vectors.splat
fma = _vectors.fma
sqrt = _vectors.sqrt
rint = _vectors.rint
fabs = _vectors.fabs
where = _vectors.where
as_integers = _vectors.as_integers
as_floats = _vectors.as_floats
total = _vectors.total
