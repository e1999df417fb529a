"""Kernels that read a tuple of arrays where CPython keeps it: a call costs the same for two arrays as for twenty.

numba unboxes arrays one by one, and Python looks at each dtype, shape and flags: for the 24 arrays of a step of Adam
that adds up. Here one address is handed over, and machine code looks at types, dtypes, shapes and
layouts itself.

What it reads is public: the fields of `PyArrayObject`, which are part of NumPy's binary interface, behind the header
of `PyObject`, and the items of `PyTupleObject`; Python tells the sizes of both.
"""

import numpy as np

from fastnn.kernels.compiler.policy import inner, kernel_with_gil
from fastnn.kernels.compiler.simd import call, get, pointer, pointer_at, put, stack_buffer

# Words of 8 bytes in an array's object; the type is the last one of the header.
_HEADER = object.__basicsize__ // 8
ARRAY_WORDS = _TYPE, _DATA, _NDIM, _DIMENSIONS, _DTYPE, _FLAGS = [_HEADER + word for word in (-1, 0, 1, 2, 5, 6)]

# The word of a dtype's object that tells dtypes apart, kind, type, byte order and number, without the byte of flags
# that NumPy keeps among them. Not the object itself: unpickled arrays have dtypes of their own.
DTYPE_WORD = _HEADER + 1
DTYPE_BITS = ~0xFF000000

# From the address of a tuple to that of its first item; and from there back to how many there are, in words.
ITEMS_AT = tuple.__basicsize__
N_ITEMS_WORD = (object.__basicsize__ - tuple.__basicsize__) // 8

# The number of dimensions and the flags are ints, of half a word.
HALF = 0xFFFFFFFF
_ALIGNED_ROWS = 0x1 | 0x100  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED

# What the table of such a kernel holds: its own address, that of `sum_terms`, that of NumPy's type of arrays, and what
# the dtypes have at DTYPE_WORD.
OP, SUM_TERMS, NDARRAY, FLOAT64, BOOL = range(5)


@inner
def shape_of(items, index, axis):
    """The length of an array along an axis."""
    return get(pointer_at(pointer_at(items, index, np.int64), _DIMENSIONS, np.int64), axis)


@inner
def numbers_of(items, index):
    """Where the numbers of a float64 array begin."""
    return pointer_at(pointer_at(items, index, np.int64), _DATA, np.float64)


@inner
def bytes_of(items, index):
    """Where the bytes of a bool array begin."""
    return pointer_at(pointer_at(items, index, np.int64), _DATA, np.uint8)


@inner
def are_matrices(items, table, n_float64, n_bool):
    """Whether objects are arrays, not of a subclass, with two axes and contiguous rows: of float64, then of bool."""
    if get(items, N_ITEMS_WORD) < n_float64 + n_bool:
        return False
    for index in range(n_float64 + n_bool):
        words = pointer_at(items, index, np.int64)
        # In this order: only arrays have what is asked for after the first question.
        if (
            get(words, _TYPE) != get(table, NDARRAY)
            or (get(pointer_at(words, _DTYPE, np.int64), DTYPE_WORD) & DTYPE_BITS)
            != get(table, FLOAT64 if index < n_float64 else BOOL)
            or (get(words, _NDIM) & HALF) != 2
            or (get(words, _FLAGS) & _ALIGNED_ROWS) != _ALIGNED_ROWS
        ):
            return False
    return True


@inner
def is_shaped(items, index, rows, columns):
    """Whether a matrix has that shape."""
    return shape_of(items, index, 0) == rows and shape_of(items, index, 1) == columns


# No other thread can resize an array meanwhile.
@kernel_with_gil
def on_objects(table, objects, n, code, a, b, c, d, e):
    """Call an op on the items of a tuple; return whether they were what it takes, and its result.

    Such an op has these parameters: `items`, the addresses of the objects; `table`, `n`, `code`, `a`, `b`, `c`, `d` and
    `e`, which mean what it says itself; and `result`, of which it sets the first number to 1 once it has done its work,
    and the second to what it returns.

    table: OP, SUM_TERMS, ...
    objects: where the items are in memory.
    """
    words = pointer(table)
    address = stack_buffer(words, 8)
    put(address, 0, objects)
    results = stack_buffer(pointer_at(words, OP, np.float64), 8)
    put(results, 0, 0.0)
    put(results, 1, 0.0)
    call(words, OP, pointer_at(address, 0, np.int64), words, n, code, a, b, c, d, e, results)
    return get(results, 0), get(results, 1)
