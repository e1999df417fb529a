"""The vectors of `simd_llvm` as small NumPy arrays: for NUMBA_DISABLE_JIT, coverage and the debugger."""

import numpy as np

VECTOR_BYTES = 64


def pointer(array):
    """Where the elements of a contiguous array begin: the array itself, flat."""
    return array.reshape(-1)


def pointer_table(arrays):
    """The arrays themselves, flat."""
    return tuple(array.reshape(-1) for array in arrays)


def pointer_at(table, index, dtype):
    """Entry `index` of a `pointer_table`."""
    return table[index]


def stack_buffer(array, count):
    """Room for `count` elements of `array`'s type."""
    return np.empty(count, array.dtype)


def lanes_of(array):
    """Number of elements of `array`'s type in a vector."""
    return VECTOR_BYTES // array.itemsize


def get(array, index):
    """Element `index`."""
    return array[index]


def put(array, index, number):
    """Set element `index`."""
    array[index] = number


def load(array, index):
    """Vector of the elements of a contiguous 1-D `array` from `index` on."""
    return array[index : index + VECTOR_BYTES // array.itemsize].copy()


def load_part(array, index, count):
    """Like `load`, but touches only the first `count` elements; the other lanes are zero."""
    vector = np.zeros(VECTOR_BYTES // array.itemsize, array.dtype)
    count = min(max(count, 0), vector.size)
    vector[:count] = array[index : index + count]
    return vector


def store(array, index, vector):
    """Write `vector` to the elements of a contiguous 1-D `array` from `index` on."""
    array[index : index + vector.size] = vector


def store_part(array, index, vector, count):
    """Like `store`, but touches only the first `count` elements."""
    count = min(max(count, 0), vector.size)
    array[index : index + count] = vector[:count]


def splat(array, number):
    """Vector of `array`'s type with `number` in every lane."""
    return np.full(VECTOR_BYTES // array.itemsize, number, array.dtype)


def broadcast(array, index):
    """Vector with element `index` of a contiguous 1-D `array` in every lane."""
    return splat(array, array[index])


def fma(a, b, c):
    """`a * b + c`; rounded twice here, once by the processor."""
    return a * b + c


def sqrt(vector):
    """Square root of every lane, correctly rounded."""
    return np.sqrt(vector)


def rint(vector):
    """Every lane rounded to the nearest integer, ties to even."""
    return np.rint(vector)


def where(mask, a, b):
    """Lane by lane `a` where `mask` is true, else `b`; one of the two may be a scalar."""
    dtype = a.dtype if isinstance(a, np.ndarray) else b.dtype
    return np.where(mask, a, b).astype(dtype)


def as_integers(vector):
    """The bits of a vector of floats, as integers of the same width."""
    return vector.view(f"i{vector.itemsize}")


def as_floats(vector):
    """The floats whose bits are the integers of `vector`."""
    return vector.view(f"f{vector.itemsize}")


def total(vector):
    """Sum of the lanes, neighbours first: ((0+1)+(2+3))+((4+5)+(6+7)), as NumPy adds its 8 partial sums."""
    while vector.size > 1:
        vector = vector[0::2] + vector[1::2]
    return vector[0]
