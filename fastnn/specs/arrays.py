"""The arrays that kernels work on: aligned, contiguous, and writeable where training changes them."""

import numpy as np
from numpy.typing import DTypeLike

CACHE_LINE = 64

# Flags in NumPy's C interface: contiguous, aligned, writeable.
CARRAY = 0x1 | 0x100 | 0x400


def aligned_zeros(size: int, dtype: DTypeLike) -> np.ndarray:
    """Make an array that vectors may be read from at every element.

    Parameters
    ----------
    size : int
        Number of elements.
    dtype : dtype
        Their type.

    Returns
    -------
    numpy.ndarray, shape (size,)
        Zeros that begin at a cache line (64 bytes) and have one to spare behind them.

    Examples
    --------
    >>> x = aligned_zeros(3, np.float32)
    >>> x.ctypes.data % 64, x
    (0, array([0., 0., 0.], dtype=float32))
    """
    n_bytes = size * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + 2 * CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n_bytes].view(dtype)


def require_writeable(name: str, array: np.ndarray) -> None:
    """Raise if training may not change an array: as NumPy does, a ValueError."""
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only, and training would change it: set its flags.writeable to True")
