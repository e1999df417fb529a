"""Users' functions of scalars, applied to arrays."""

from collections.abc import Callable

import numpy as np


def apply_scalar(function: Callable[..., tuple[float, float]], *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply a function of scalars that returns two numbers, element by element.

    Parameters
    ----------
    function : callable
        Takes a scalar from each array.
    *arrays : numpy.ndarray
        Of one shape and dtype.

    Returns
    -------
    first, second : numpy.ndarray
        The function's two results, of the arrays' shape and dtype.

    Examples
    --------
    >>> apply_scalar(lambda x, y: (x + y, x * y), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    (array([4., 6.]), array([3., 8.]))
    """
    # NumPy's scalars, not Python's: as in compiled code a division by zero is no exception, and float32 stays float32.
    first, second = np.empty_like(arrays[0]), np.empty_like(arrays[0])
    for index in np.ndindex(first.shape):
        first[index], second[index] = function(*(array[index] for array in arrays))
    return first, second
