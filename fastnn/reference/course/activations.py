"""The two activation functions of the course."""

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks


def sigmoid(x: ArrayLike) -> np.ndarray:
    """Compute the logistic function, 1 / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers.

    Returns
    -------
    numpy.ndarray or numpy.floating, same shape
        Values in [0, 1]; integers and bools count as float64.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x is empty.

    Notes
    -----
    The course's plain form: for x far below zero exp(-x) overflows to infinity, with NumPy's
    warning, and the result is 0.

    Examples
    --------
    >>> print(sigmoid([0.0, 2.0]))
    [0.5        0.88079708]
    """
    return logistic(floating(checks.real_array("x", x)))


def relu(x: ArrayLike) -> np.ndarray:
    """Compute the rectified linear unit, max(0, x), element by element.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers.

    Returns
    -------
    numpy.ndarray or NumPy scalar, same shape
        x where it is positive, else 0; NaN stays NaN.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x is empty.

    Examples
    --------
    >>> print(relu([-1.0, 0.0, 2.0]))
    [0. 0. 2.]
    """
    a: np.ndarray = np.maximum(0, checks.real_array("x", x))
    return a


def logistic(Z: np.ndarray) -> np.ndarray:
    """Compute the sigmoid of a float array."""
    A: np.ndarray = 1 / (1 + np.exp(-Z))
    return A


def floating(array: np.ndarray) -> np.ndarray:
    """Return integers and bools as float64, floats as they are."""
    return array if array.dtype.kind == "f" else array.astype(np.float64)
