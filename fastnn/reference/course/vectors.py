"""Conversions between dicts of parameters or gradients and one column of numbers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course.layers import Arrays

# The network of the notebook, [4, 5, 3, 1].
_NOTEBOOK_SHAPES = {"W1": (5, 4), "b1": (5, 1), "W2": (3, 5), "b2": (3, 1), "W3": (1, 3), "b3": (1, 1)}


def dictionary_to_vector(parameters: Arrays) -> tuple[np.ndarray, list[str]]:
    """Roll the parameters into one column: W1, b1, ..., WL, bL, each row by row.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    theta : numpy.ndarray, shape (n, 1)
        All numbers.
    keys : list of str
        For each number the key that it comes from.

    Raises
    ------
    TypeError
        If parameters is not a dict of arrays of real numbers.
    ValueError
        If a parameter is missing.

    Examples
    --------
    >>> theta, keys = dictionary_to_vector({"W1": np.array([[1.0, 2.0]]), "b1": np.array([[3.0]])})
    >>> print(theta.T, keys)
    [[1. 2. 3.]] ['W1', 'W1', 'b1']
    """
    checks.parameter_arrays(parameters)
    names = parameter_names(len(parameters) // 2)
    keys = [name for name in names for _ in range(parameters[name].size)]
    return column([parameters[name] for name in names]), keys


def vector_to_dictionary(theta: ArrayLike) -> Arrays:
    """Unroll a column of 47 numbers into the parameters of the notebook's network [4, 5, 3, 1].

    Parameters
    ----------
    theta : array_like, shape (47, 1) or (47,)
        W1 (5, 4), b1 (5, 1), W2 (3, 5), b2 (3, 1), W3 (1, 3), b3 (1, 1), each row by row.

    Returns
    -------
    dict
        W1, b1, W2, b2, W3, b3, as views of theta.

    Raises
    ------
    TypeError
        If theta does not hold real numbers.
    ValueError
        If theta has another shape.

    Examples
    --------
    >>> parameters = vector_to_dictionary(np.arange(47.0).reshape(47, 1))
    >>> print(parameters["W3"], parameters["b3"])
    [[43. 44. 45.]] [[46.]]
    """
    theta = checks.real_array("theta", theta)
    if theta.shape not in ((47, 1), (47,)):
        raise ValueError(f"theta must have shape (47, 1), got shape {theta.shape}")
    return unrolled(theta, _NOTEBOOK_SHAPES)


def gradients_to_vector(gradients: Arrays) -> np.ndarray:
    """Roll gradients into one column: dW1, db1, ..., dWL, dbL, each row by row.

    Parameters
    ----------
    gradients : dict
        dW1, db1, ..., dWL, dbL; other entries are left out.

    Returns
    -------
    numpy.ndarray, shape (n, 1)
        All numbers.

    Raises
    ------
    TypeError
        If gradients is not a dict of arrays of real numbers.
    ValueError
        If dW1 or a db is missing.

    Examples
    --------
    >>> gradients = {"dZ1": np.zeros((1, 9)), "dW1": np.array([[1.0, 2.0]]), "db1": np.array([[3.0]])}
    >>> print(gradients_to_vector(gradients).T)
    [[1. 2. 3.]]
    """
    return column(checks.gradient_arrays("gradients", gradients))


def parameter_names(n_layers: int) -> list[str]:
    """Return W1, b1, ..., WL, bL."""
    return [f"{letter}{layer}" for layer in range(1, n_layers + 1) for letter in "Wb"]


def column(arrays: list[np.ndarray]) -> np.ndarray:
    """Put the numbers of arrays, row by row, below each other in a new array of shape (n, 1)."""
    return np.concatenate([array.reshape(-1, 1) for array in arrays])


def unrolled(theta: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Cut theta into arrays of these shapes."""
    parameters, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        parameters[name] = theta[start:stop].reshape(shape)
        start = stop
    return parameters
