"""Data sets, with examples in columns, and the sizes of layers that fit them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.checks.arrays import FLOAT32, FLOAT64, plain, real_array, require_finite
from fastnn.checks.scalars import count

ndarray = np.ndarray

# The reciprocal of a smaller sum of weights is infinite.
SMALLEST_TOTAL = 1e-300


def examples(name: str, value: Any) -> np.ndarray:
    """Return ``value`` as a real matrix whose columns are examples."""
    array = real_array(name, value)
    if array.ndim != 2:
        rows = "n_x" if name == "X" else "n"
        raise ValueError(f"{name} must have shape ({rows}, m) with examples in columns, got shape {array.shape}")
    return array


def labels(name: str, value: Any, m: int) -> np.ndarray:
    """Return ``value`` as a real matrix with ``m`` columns; one dimension is read as one row."""
    array = real_array(name, value)
    if array.ndim == 1:
        array = array.reshape(1, array.size)
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (n_y, m) or (m,), got shape {array.shape}")
    if array.shape[1] != m:
        raise ValueError(f"{name} must have one column for each of the {m} examples, got shape {array.shape}")
    return array


def columns(name: str, value: Any, rows: int) -> np.ndarray:
    """Return ``value`` as an aligned real matrix with ``rows`` rows, uncopied if it is one; bool is read as uint8."""
    if type(value) is ndarray and (value.dtype is FLOAT64 or value.dtype is FLOAT32) and value.ndim == 2:
        n, m = value.shape
        if n == rows and m and value.flags.aligned:
            return value
    array = examples(name, value)
    if array.shape[0] != rows:
        raise ValueError(f"{name} must have shape ({rows}, m) with examples in columns, got shape {array.shape}")
    return plain(array)


def targets(name: str, value: Any, n_y: int, m: int, softmax: bool) -> np.ndarray:
    """Return the targets of m examples: shape (n_y, m), or (m,) for the integer labels of a softmax."""
    if (
        type(value) is ndarray
        and (value.dtype is FLOAT64 or value.dtype is FLOAT32)
        and value.shape == (n_y, m)
        and value.flags.aligned
    ):
        return value
    array = plain(real_array(name, value))
    shape = array.shape
    if shape == (n_y, m):
        return array
    if shape != (m,) or not (softmax or n_y == 1):
        labels = " or, for integer labels, (m,)" if softmax else ""
        raise ValueError(f"{name} must have shape ({n_y}, m){labels} with m = {m}, got shape {shape}")
    if not softmax:
        return array.reshape(1, m)
    if array.dtype.kind == "f":
        raise TypeError(f"{name} of shape (m,) must hold integer labels, got dtype {array.dtype}")
    # Labels are indices: unlike other values they are always looked at.
    # `min` and `max` are Python functions over a ufunc, which take 0.7 us each for a short array; these take 0.1.
    low, high = array.item(array.argmin()), array.item(array.argmax())
    if low < 0 or high >= n_y:
        raise ValueError(f"{name} must hold labels from 0 to {n_y - 1}, got {low if low < 0 else high}")
    return array


def example_weights(name: str, value: Any, m: int) -> np.ndarray | None:
    """Return None, or one finite weight that is not negative for each of m examples, as contiguous float64."""
    if value is None:
        return None
    array = real_array(name, value)
    if array.shape != (m,):
        raise ValueError(f"{name} must have shape ({m},), one weight for each example, got shape {array.shape}")
    array = np.ascontiguousarray(plain(array), np.float64)
    if not (array.min() >= 0 and array.max() < math.inf):
        bad = array[~((array >= 0) & (array < math.inf))][0]
        raise ValueError(f"{name} must be finite and not negative, got {bad}")
    with np.errstate(over="ignore"):
        total = float(array.sum())
    if total == math.inf or 0 < total < SMALLEST_TOTAL:
        raise ValueError(f"{name} must have a sum between {SMALLEST_TOTAL:.0e} and 1.8e308, or of 0, got {total}")
    return array


def outputs_and_labels(name: str, activation: Any, Y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's output and its labels, of one shape."""
    activation = examples(name, activation)
    Y = labels("Y", Y, activation.shape[1])
    if activation.shape != Y.shape:
        raise ValueError(f"Y must have the shape of {name}, {activation.shape}, got shape {Y.shape}")
    if activation.dtype.kind != "f":
        activation = activation.astype(np.float64)
    return activation, Y


def training_data(X: Any, Y: Any, n_y: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the data of a training run: matching shapes and finite values."""
    X = examples("X", X)
    Y = labels("Y", Y, X.shape[1])
    if n_y is not None and Y.shape[0] != n_y:
        raise ValueError(f"Y must have shape ({n_y}, {X.shape[1]}), got shape {Y.shape}")
    require_finite("X", X)
    require_finite("Y", Y)
    return X, Y


def layer_sizes(name: str, layers_dims: Sequence[int]) -> list[int]:
    """Return layer sizes as a list of ints, the input's first."""
    # Sets have no order, of a dict it would be the keys; arrays, and columns of pandas, are no Sequence.
    ordered = isinstance(layers_dims, Sequence) or getattr(layers_dims, "ndim", 0) == 1
    if not ordered or isinstance(layers_dims, str | bytes | bytearray | memoryview):
        raise TypeError(f"{name} must be a sequence of integers, got {layers_dims!r}")
    sizes = [count(f"{name}[{i}]", size, 1) for i, size in enumerate(layers_dims)]
    if len(sizes) < 2:
        raise ValueError(f"{name} must have at least 2 entries, for the input and one layer, got {sizes}")
    return sizes


def layers_for_data(name: str, layers_dims: Sequence[int], X: np.ndarray, Y: np.ndarray) -> list[int]:
    """Return layer sizes as a list of ints that fits the data."""
    sizes = layer_sizes(name, layers_dims)
    if sizes[0] != X.shape[0]:
        raise ValueError(f"{name} must begin with the number of rows of X, {X.shape[0]}, got {sizes}")
    if sizes[-1] != Y.shape[0]:
        raise ValueError(f"{name} must end with the number of rows of Y, {Y.shape[0]}, got {sizes}")
    return sizes
