"""The vectors of `simd_llvm` as small NumPy arrays: for NUMBA_DISABLE_JIT, coverage and the debugger."""

import numpy as np

VECTOR_BYTES = 64

NUMBER_TYPES = (
    np.float64, np.float32, np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8,
)  # fmt: skip


def pointer(array):
    """Where the elements of a contiguous array begin: the array itself, flat."""
    return array.reshape(-1)


def pointer_table(arrays):
    """The arrays themselves, flat."""
    return tuple(array.reshape(-1) for array in arrays)


def put_address(table, index, array):
    """Without JIT a table is a tuple, and cannot be changed."""
    raise NotImplementedError("tables are made anew without JIT")


def pointer_at(table, index, dtype):
    """Entry `index` of a `pointer_table`."""
    return table[index]


def integer_at(table, index, position):
    """Number `position` of entry `index` of a `pointer_table`."""
    return int(table[index][position])


def bytes_at(table, index, element, size):
    """Entry `index` of a `pointer_table` from element `element` on."""
    return table[index][element:]


def numbers_at(table, index, like):
    """Entry `index` of a `pointer_table`."""
    return table[index]


def as_numbers(data, like):
    """An array of bytes as one of the type of `like`."""
    return data[: data.size // like.itemsize * like.itemsize].view(like.dtype)


def advance(array, count):
    """The array from element `count` on."""
    return array[count:]


def number_like(array, number):
    """A float, rounded to the type of `array`'s elements."""
    return array.dtype.type(number)


def call(table, index, *arguments):
    """Call the function that is entry `index` of the table."""
    table[index](*arguments)


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


def prefetch(array, index):
    """Nothing: a hint to the processor."""


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


def element_at(data, offset, code, like):
    """The number `offset` bytes into `data`, of type NUMBER_TYPES[code], converted to the type of `like`."""
    stored = np.dtype(NUMBER_TYPES[code])
    return like.dtype.type(data.view(np.uint8)[offset : offset + stored.itemsize].view(stored)[0])


def transpose_tile(source, source_row, target, target_row):
    """Write a square of as many rows and columns as a vector has lanes, transposed."""
    n = VECTOR_BYTES // source.itemsize
    square = np.array([source[i * source_row : i * source_row + n] for i in range(n)])
    for i in range(n):
        target[i * target_row : i * target_row + n] = square[:, i]


# Further twins of `tracing`'s operations.
sqrt, rint, absolute, copysign = np.sqrt, np.rint, np.absolute, np.copysign


def low_halves(even, odd):
    """The low 32 bits of the lanes of `even` and `odd` in turn, as a vector of 32-bit integers."""
    return np.stack((even, odd), 1).ravel().astype(np.uint32)
