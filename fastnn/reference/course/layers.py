"""The formulas that the course modules share, without checks of arguments.

The public functions check what they are given and call these; the training loops check once and
call these at every step.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from fastnn.reference.course.activations import floating, logistic

Arrays = dict[str, np.ndarray]
# What a forward pass leaves to the backward pass.
Cache = tuple[np.ndarray, ...]


def draw_parameters(layers_dims: Sequence[int], scaled: Callable[[np.ndarray, int], np.ndarray]) -> Arrays:
    """Seed NumPy's global stream with 3 and draw W1, W2, ..., each scaled by its number of inputs."""
    np.random.seed(3)
    parameters = {}
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(layers_dims), start=1):
        parameters[f"W{layer}"] = scaled(np.random.randn(n_out, n_in), n_in)  # (n_l, n_{l-1})
        parameters[f"b{layer}"] = np.zeros((n_out, 1))  # (n_l, 1)
    return parameters


def he(W: np.ndarray, n_in: int) -> np.ndarray:
    """Scale standard normal draws by sqrt(2 / n_in)."""
    scaled: np.ndarray = W * np.sqrt(2.0 / n_in)
    return scaled


def forward(X: np.ndarray, parameters: Arrays, keep_prob: float | None = None) -> tuple[np.ndarray, Cache]:
    """Run LINEAR-RELU layers and a LINEAR-SIGMOID one; the cache holds (Z, A, W, b) for each layer.

    With `keep_prob` hidden layers have dropout, by masks D from NumPy's global stream: (Z, D, A, W, b).
    """
    n_layers = len(parameters) // 2
    A = X  # (n_x, m)
    cache: list[np.ndarray] = []
    for layer in range(1, n_layers + 1):
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        Z = np.dot(W, A) + b  # (n_l, m)
        A = np.maximum(0, Z) if layer < n_layers else logistic(Z)  # (n_l, m)
        cache.append(Z)
        if keep_prob is not None and layer < n_layers:
            D = np.random.rand(*Z.shape) < keep_prob  # (n_l, m), bool
            A = A * D / keep_prob
            cache.append(D)
        cache += (A, W, b)
    return A, tuple(cache)


def input_for(X: np.ndarray, parameters: Arrays) -> np.ndarray:
    """Return X as float64 if neither X nor W1 is float, so that products cannot overflow as integers."""
    return X if parameters["W1"].dtype.kind == "f" else floating(X)


def per_layer(cache: Sequence[np.ndarray], entries: int) -> list[Sequence[np.ndarray]]:
    """Split a cache into (Z, A, W, b) for each layer, or (Z, D, A, W, b) for hidden ones if entries is 5."""
    hidden = len(cache) - 4
    return [cache[start : start + entries] for start in range(0, hidden, entries)] + [cache[hidden:]]


def backward(
    X: np.ndarray,
    dZ: np.ndarray,
    cache: Sequence[np.ndarray],
    z: str,
    a: str,
    factor: float | None = None,
    lambd: float | None = None,
    keep_prob: float | None = None,
) -> Arrays:
    """Carry dZ of the output layer down to the first; `factor` scales every dW and db, not dZ and dA."""
    stack = per_layer(cache, 4 if keep_prob is None else 5)
    m = X.shape[1]
    grads: Arrays = {}
    for layer in range(len(stack), 0, -1):
        W = stack[layer - 1][-2]  # (n_l, n_{l-1})
        below = stack[layer - 2]  # the hidden layer that feeds this one
        A_prev = below[-3] if layer > 1 else X  # (n_{l-1}, m)

        dW = np.dot(dZ, A_prev.T)  # (n_l, n_{l-1})
        db = np.sum(dZ, axis=1, keepdims=True)  # (n_l, 1)
        if factor is not None:
            dW, db = factor * dW, factor * db
        if lambd is not None:
            dW = dW + (lambd / m) * W
        grads |= {f"{z}{layer}": dZ, f"dW{layer}": dW, f"db{layer}": db}

        if layer > 1:
            dA = np.dot(W.T, dZ)  # (n_{l-1}, m)
            if keep_prob is not None:
                dA = dA * below[1] / keep_prob  # the mask D of the layer below
            dZ = dA * (A_prev > 0)  # (n_{l-1}, m)
            grads[f"{a}{layer - 1}"] = dA
    return grads


def mean_backward(X: np.ndarray, Y: np.ndarray, cache: Sequence[np.ndarray]) -> Arrays:
    """Go backward with the 1/m inside dz of the output layer: keys dz3, dW3, db3, da2, ..., db1."""
    dZ = 1.0 / X.shape[1] * (floating(cache[-3]) - Y)  # (n_y, m)
    return backward(X, dZ, cache, "dz", "da")


def total_backward(
    X: np.ndarray,
    Y: np.ndarray,
    cache: Sequence[np.ndarray],
    lambd: float | None = None,
    keep_prob: float | None = None,
) -> Arrays:
    """Go backward with the 1/m in dW and db only: keys dZ3, dW3, db3, dA2, ..., db1."""
    dZ = floating(cache[-3]) - Y  # (n_y, m)
    return backward(X, dZ, cache, "dZ", "dA", 1.0 / X.shape[1], lambd, keep_prob)


def cross_entropy(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Compute -y log(a) - (1-y) log(1-a) for every output."""
    # 1.0, not 1: with labels of an unsigned type 1 - Y would wrap around.
    losses: np.ndarray = -np.log(A) * Y + -np.log(1 - A) * (1.0 - Y)  # (n_y, m)
    return losses


def mean_cross_entropy(A: np.ndarray, Y: np.ndarray) -> np.floating:
    """Compute the mean cross-entropy over examples, leaving out NaN as the course does."""
    cost: np.floating = 1.0 / Y.shape[1] * np.nansum(cross_entropy(A, Y))
    return cost


def gradient_step(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    """Rebind every W to W - learning_rate dW and every b to b - learning_rate db."""
    for layer in range(1, len(parameters) // 2 + 1):
        parameters[f"W{layer}"] = parameters[f"W{layer}"] - learning_rate * grads[f"dW{layer}"]
        parameters[f"b{layer}"] = parameters[f"b{layer}"] - learning_rate * grads[f"db{layer}"]
    return parameters


def decide(A: np.ndarray) -> np.ndarray:
    """Tell which outputs are above one half, strictly."""
    return A > 0.5


def predictions(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return decisions as 0 and 1, and print the fraction that equals the labels."""
    p = decide(A).astype(np.int64)  # (n_y, m)
    print("Accuracy: " + str(np.mean(p == y)))
    return p
