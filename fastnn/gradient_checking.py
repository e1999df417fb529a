"""The gradient checking notebook, compiled: the differences of all parameters in parallel.

Names, signatures and results are those of `fastnn.reference.gradient_checking`; what has no kernel work is the
reference's own.
"""

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.course import direct, propagation
from fastnn.course.propagation import relu, sigmoid
from fastnn.engine.runtime import available_threads, launch
from fastnn.engine.slices import SLICE_SECONDS
from fastnn.kernels.course.gradient_check import BLOCK, cost_differences
from fastnn.kernels.matmul.matrices import products
from fastnn.reference import gradient_checking as reference
from fastnn.reference.course import layers
from fastnn.reference.course.layers import Arrays, Cache
from fastnn.reference.gradient_checking import (
    backward_propagation,
    dictionary_to_vector,
    forward_propagation,
    gradient_check,
    gradients_to_vector,
    vector_to_dictionary,
)

__all__ = [
    "backward_propagation",
    "backward_propagation_n",
    "dictionary_to_vector",
    "forward_propagation",
    "forward_propagation_n",
    "gradient_check",
    "gradient_check_n",
    "gradients_to_vector",
    "relu",
    "sigmoid",
    "vector_to_dictionary",
]


# A check that takes machine code less than this takes NumPy as long as a compiler.
SMALL_CHECK_NS = 5e6


@propagation.documented_as(reference.forward_propagation_n)
def forward_propagation_n(  # noqa: D103
    X: ArrayLike, Y: ArrayLike, parameters: Arrays
) -> tuple[np.floating, Cache]:
    found = direct.forward(X, parameters)
    if found is not None:
        mean = direct.cost(found[0], Y, skip_nan=False, mean=True)
        if mean is not None:
            return mean, found[1]
    X, Y = checks.labelled_examples(X, Y, parameters, "Y")
    A, cache = propagation.forward(layers.input_for(X, parameters), parameters)
    return 1.0 / X.shape[1] * propagation.total_cross_entropy(A, Y, skip_nan=False), cache


@propagation.documented_as(reference.backward_propagation_n)
def backward_propagation_n(X: ArrayLike, Y: ArrayLike, cache: Cache) -> Arrays:  # noqa: D103
    found = direct.backward(X, Y, cache)
    if found is not None:
        return found
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return propagation.backward(X, Y, cache)


@propagation.documented_as(reference.gradient_check_n)
def gradient_check_n(  # noqa: D103
    parameters: Arrays, gradients: Arrays, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-7
) -> np.floating:
    return reference.verdict(reference.compare_gradients(_costs_around, parameters, gradients, X, Y, epsilon))


def _layer_table(sizes: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Return sizes, where W_l and b_l begin in a flat vector, units before layer l, and the vector's size."""
    dims = np.array(sizes, np.int64)
    weights_at, biases_at = np.zeros_like(dims), np.zeros_like(dims)
    units_at = np.concatenate([[0], np.cumsum(dims)[:-1]])
    end = 0
    for layer in range(1, dims.size):
        weights_at[layer] = end
        biases_at[layer] = end + dims[layer] * dims[layer - 1]
        end = int(biases_at[layer] + dims[layer])
    return dims, weights_at, biases_at, units_at, end


def _costs_around(
    theta: np.ndarray, shapes: dict[str, tuple[int, ...]], X: np.ndarray, Y: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the costs with each parameter in turn moved by +epsilon and by -epsilon."""
    X, Y = np.ascontiguousarray(X, np.float64), np.ascontiguousarray(Y, np.float64)
    sizes = [X.shape[0], *(shape[0] for name, shape in shapes.items() if name.startswith("W"))]
    n_parameters = theta.size
    fitting = [shape for n_in, n_out in itertools.pairwise(sizes) for shape in ((n_out, n_in), (n_out, 1))]
    if [*shapes.values()] != fitting or sum(map(math.prod, fitting)) != n_parameters or Y.shape[0] != sizes[-1]:
        # A dict of the user's own, or another thread, has changed them since they were checked: NumPy tells.
        return reference.costs_around(theta, shapes, X, Y, epsilon)
    check_ns = 2 * X.shape[1] * (propagation.FMA_NS * n_parameters + propagation.SIGMOID_NS * sum(sizes[1:]))
    if check_ns * n_parameters < SMALL_CHECK_NS:
        found = direct.differences(theta, list(shapes.values()), X, Y, epsilon)
        if found is not None:
            return found
        with np.errstate(all="ignore"):
            return reference.costs_around(theta, shapes, X, Y, epsilon)
    *table, _ = _layer_table(sizes)
    threads = available_threads()
    thetas = np.repeat(theta.reshape(1, -1), threads, axis=0)
    acts = np.zeros((threads, sum(sizes) * BLOCK))
    terms = np.zeros((threads, Y.size))
    J = np.empty((2, n_parameters))
    # In slices, for Ctrl-C is seen only between calls.
    step = max(1, int(SLICE_SECONDS * 1e9 / check_ns))
    for first in range(0, n_parameters, step):
        part = np.empty((2, min(step, n_parameters - first)))
        launch(
            cost_differences, check_ns * part.shape[1],
            products(theta.dtype), *table, X, Y, epsilon, first, part, thetas, acts, terms,
        )  # fmt: skip
        J[:, first : first + step] = part
    return J[0].reshape(-1, 1), J[1].reshape(-1, 1)
