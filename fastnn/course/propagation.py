"""Compiled twins of the functions that several notebooks share: activations, forward, backward, costs.

Everything here checks its arguments as the reference does and leaves the arithmetic to the kernels. Dtypes without
kernels (float16 parameters) go to the reference.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.course import direct
from fastnn.course.first_run import pays
from fastnn.engine.runtime import launch
from fastnn.kernels.course.activations import RELU, SIGMOID, activation_forward
from fastnn.kernels.course.backward import hidden_backward, output_delta, weight_gradient
from fastnn.kernels.course.dropout import dropout_forward
from fastnn.kernels.course.forward import layer_forward
from fastnn.kernels.course.losses import SQUARES_PER_SUM, cross_entropy, square_sum
from fastnn.kernels.matmul.matrices import products
from fastnn.reference.course import activations, layers, propagation
from fastnn.reference.course.layers import Arrays, Cache

Twin = TypeVar("Twin", bound=Callable[..., object])

_FLOAT64 = np.dtype(np.float64)
_FLOAT32 = np.dtype(np.float32)

# Machine code does silently what NumPy would warn about.
silent = np.errstate(all="ignore")

# Serial time of the kernels, rough: nanoseconds per multiply-add, and per element of each pass.
FMA_NS = 0.06
RELU_NS = 0.3
SIGMOID_NS = 1.2
COST_NS = 3.0
DROPOUT_NS = 2.0
FRESH_NS = 1.0  # an element of memory that the kernel is the first to touch


def documented_as(reference: Callable[..., object]) -> Callable[[Twin], Twin]:
    """Give a twin the docstring of the reference function, which says what both compute."""

    def document(function: Twin) -> Twin:
        function.__doc__ = reference.__doc__
        return function

    return document


def compiled_dtype(*arrays: np.ndarray) -> np.dtype | None:
    """Return the dtype that NumPy would compute with, float64 for integers; None if there is no kernel for it."""
    for array in arrays:
        if array.dtype is not _FLOAT64:
            dtype = np.result_type(*[a.dtype for a in arrays])
            if dtype.kind != "f":
                return _FLOAT64
            return dtype if dtype in (_FLOAT64, _FLOAT32) else None
    return _FLOAT64


def ready(array: np.ndarray, dtype: np.dtype | None) -> np.ndarray:
    """Return the array contiguous and of that dtype, itself if it is so already."""
    if array.dtype is dtype and array.flags.c_contiguous:
        return array
    return np.ascontiguousarray(array, dtype)


@silent
def _activation(x: np.ndarray, dtype: np.dtype | None, activation: int, element_ns: float) -> np.ndarray:
    """Return the activation of x, in a fresh array or as a scalar."""
    if x.ndim != 2:  # kernels are compiled for matrices
        out = _activation(x.reshape(1, -1), dtype, activation, element_ns)
        return out.reshape(x.shape) if x.ndim else out[0, 0]
    work_ns = element_ns * x.size
    if not pays(activation_forward, work_ns):
        found = direct.activation(x, activation)
        if found is not None:
            return found
        if activation == RELU:
            rectified: np.ndarray = np.maximum(0, x)
            return rectified
        return activations.logistic(x if x.dtype is dtype else x.astype(dtype))
    x = ready(x, dtype)
    out = np.empty(x.shape, dtype)
    launch(activation_forward, work_ns, x, out, activation)
    return out


@documented_as(activations.sigmoid)
def sigmoid(x: ArrayLike) -> np.ndarray:
    x = checks.real_array("x", x)
    return _activation(x, compiled_dtype(x), SIGMOID, SIGMOID_NS)


@documented_as(activations.relu)
def relu(x: ArrayLike) -> np.ndarray:
    x = checks.real_array("x", x)
    if x.dtype.kind != "f":
        return activations.relu(x)
    return _activation(x, x.dtype, RELU, RELU_NS)


@silent
def _layer(W: np.ndarray, A_prev: np.ndarray, b: np.ndarray, activation: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Z and A of one layer, or those of the reference where there is no kernel for the dtype."""
    dtype = compiled_dtype(W, A_prev, b)
    shape = (W.shape[0], A_prev.shape[1])
    pass_ns = (RELU_NS if activation == RELU else SIGMOID_NS) + 2 * FRESH_NS
    work_ns = FMA_NS * W.size * shape[1] + pass_ns * shape[0] * shape[1]
    # A mapping of the user's own may give other arrays than those that were checked.
    fit = W.shape[1:] == A_prev.shape[:1] and b.shape == (W.shape[0], 1)
    if dtype is None or not fit or not pays(layer_forward, work_ns):
        Z = np.dot(W, A_prev) + b
        return Z, np.maximum(0, Z) if activation == RELU else activations.logistic(Z)
    W, A_prev, b = ready(W, dtype), ready(A_prev, dtype), ready(b, dtype)
    Z, A = np.empty(shape, dtype), np.empty(shape, dtype)
    launch(layer_forward, work_ns, products(dtype), W, A_prev, b, Z, A, activation)
    return Z, A


@silent
def _dropped(A: np.ndarray, keep_prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask drawn from NumPy's stream, and A with it: A D / keep_prob."""
    uniform = np.random.rand(*A.shape)
    if A.dtype not in (_FLOAT64, _FLOAT32) or not pays(dropout_forward, DROPOUT_NS * A.size):
        D = uniform < keep_prob
        return D, A * D / keep_prob
    D, kept = np.empty(A.shape, np.bool_), np.empty_like(A)
    flat = [array.reshape(-1) for array in (uniform, A, D, kept)]
    launch(dropout_forward, DROPOUT_NS * A.size, flat[0], keep_prob, *flat[1:])
    return D, kept


def forward(X: np.ndarray, parameters: Arrays, keep_prob: float | None = None) -> tuple[np.ndarray, Cache]:
    """Run LINEAR-RELU layers, with dropout if keep_prob is given, and a LINEAR-SIGMOID one on checked arguments."""
    n_layers = len(parameters) // 2
    A = X  # (n_x, m)
    cache: list[np.ndarray] = []
    for layer in range(1, n_layers):
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        Z, A = _layer(W, A, b, RELU)  # (n_l, m)
        if keep_prob is None:
            cache += (Z, A, W, b)
        else:
            D, A = _dropped(A, keep_prob)
            cache += (Z, D, A, W, b)
    W, b = parameters[f"W{n_layers}"], parameters[f"b{n_layers}"]
    Z, A = _layer(W, A, b, SIGMOID)
    return A, (*cache, Z, A, W, b)


@documented_as(propagation.forward_propagation)
def forward_propagation(X: ArrayLike, parameters: Arrays) -> tuple[np.ndarray, Cache]:
    found = direct.forward(X, parameters)
    if found is not None:
        return found
    X = checks.examples("X", X)
    checks.network(parameters, X.shape[0])
    return forward(layers.input_for(X, parameters), parameters)


_NO_MASK = np.zeros((0, 0), np.bool_)


def _cache_dtype(X: np.ndarray, Y: np.ndarray, cache: Sequence[np.ndarray]) -> np.dtype | None:
    """Return the one float dtype of a cache, to which X and Y fit; None where promotions are NumPy's."""
    dtype = cache[-3].dtype
    for array in cache:
        if array.dtype is not dtype and array.dtype != dtype and array.dtype.kind != "b":
            return None
    return dtype if compiled_dtype(cache[-3], X, Y) == dtype else None


@silent
def backward(
    X: np.ndarray,
    Y: np.ndarray,
    cache: Sequence[np.ndarray],
    mean: bool = False,
    lambd: float | None = None,
    keep_prob: float | None = None,
) -> Arrays:
    """Go backward through all layers on checked arguments.

    With `mean` the 1/m sits inside dz of the output layer, otherwise in dW and db.
    """
    dtype = _cache_dtype(X, Y, cache)
    weights = sum(array.size for array in cache[-2 :: -4 if keep_prob is None else -5])
    if dtype is None or not pays(weight_gradient, FMA_NS * weights * X.shape[1]):
        if mean:
            return layers.mean_backward(X, Y, cache)
        return layers.total_backward(X, Y, cache, lambd, keep_prob)
    stack = layers.per_layer(cache, 4 if keep_prob is None else 5)
    m = X.shape[1]
    scale = 1.0 if mean else 1.0 / m
    table, A = products(dtype), ready(cache[-3], dtype)
    dZ = np.empty(A.shape, dtype)  # (n_L, m)
    launch(output_delta, RELU_NS * A.size, A, ready(Y, dtype), 1.0 / m if mean else 1.0, dZ)
    z, a = ("dz", "da") if mean else ("dZ", "dA")
    grads = {}
    for layer in range(len(stack), 0, -1):
        W = ready(stack[layer - 1][-2], dtype)  # (n_l, n_{l-1})
        below = stack[layer - 2]
        A_prev = ready(below[-3] if layer > 1 else X, dtype)  # (n_{l-1}, m)
        dW, db = np.empty(W.shape, dtype), np.empty((W.shape[0], 1), dtype)
        work_ns = FMA_NS * W.size * m
        launch(
            weight_gradient, work_ns + FRESH_NS * dW.size,
            table, dZ, A_prev, W, scale, lambd is not None, (lambd or 0.0) / m, dW, db,
        )  # fmt: skip
        grads[f"{z}{layer}"], grads[f"dW{layer}"], grads[f"db{layer}"] = dZ, dW, db
        if layer > 1:
            D = _NO_MASK if keep_prob is None else ready(below[1], below[1].dtype)
            dA, dZ_prev = np.empty(A_prev.shape, dtype), np.empty(A_prev.shape, dtype)
            work_ns += 2 * FRESH_NS * dA.size
            launch(hidden_backward, work_ns, table, W, dZ, A_prev, D, keep_prob or 1.0, dA, dZ_prev)
            grads[f"{a}{layer - 1}"] = dA
            dZ = dZ_prev
    return grads


@documented_as(propagation.backward_propagation)
def backward_propagation(X: ArrayLike, Y: ArrayLike, cache: Cache) -> Arrays:
    found = direct.backward(X, Y, cache, mean=True)
    if found is not None:
        return found
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return backward(X, Y, cache, mean=True)


@silent
def total_cross_entropy(A: np.ndarray, Y: np.ndarray, skip_nan: bool) -> np.floating:
    """Return the sum of -y log(a) - (1-y) log(1-a) over all outputs, with or without its NaN."""
    # In NumPy 1.0 - Y makes float64 of integers, and the cost with it.
    dtype = compiled_dtype(A, Y) if Y.dtype.kind == "f" else _FLOAT64
    if dtype is None or compiled_dtype(A) is None or not pays(cross_entropy, COST_NS * A.size):
        cost: np.floating = (np.nansum if skip_nan else np.sum)(layers.cross_entropy(A, Y))
        return cost
    terms = np.empty(A.size, dtype)
    total = launch(cross_entropy, COST_NS * A.size, ready(A, dtype), ready(Y, dtype), terms, skip_nan)
    result: np.floating = dtype.type(total)
    return result


def mean_cross_entropy(A: np.ndarray, Y: np.ndarray) -> np.floating:
    """Return the mean cross-entropy over examples, leaving out NaN as the course does."""
    cost: np.floating = 1.0 / Y.shape[1] * total_cross_entropy(A, Y, skip_nan=True)
    return cost


@silent
def squared_weights(parameters: Arrays) -> np.floating:
    """Return the sum of the squares of all weights."""
    total: Any = 0
    for layer in range(1, len(parameters) // 2 + 1):
        W = parameters[f"W{layer}"]
        dtype = compiled_dtype(W)
        if dtype is None or not pays(square_sum, RELU_NS * W.size):
            total = total + np.sum(np.square(W))
            continue
        partial = np.empty((W.size + SQUARES_PER_SUM - 1) // SQUARES_PER_SUM, dtype)
        matrix = W if W.ndim == 2 else W.reshape(1, -1)  # kernels are compiled for matrices
        total = total + dtype.type(launch(square_sum, RELU_NS * W.size, ready(matrix, dtype), partial))
    squares: np.floating = total
    return squares


@documented_as(propagation.predict)
def predict(X: ArrayLike, y: ArrayLike, parameters: Arrays) -> np.ndarray:
    X, y = checks.labelled_examples(X, y, parameters)
    a, _ = forward(layers.input_for(X, parameters), parameters)
    return layers.predictions(a, y)


@documented_as(propagation.predict_dec)
def predict_dec(parameters: Arrays, X: ArrayLike) -> np.ndarray:
    a, _ = forward_propagation(X, parameters)
    return layers.decide(a)
