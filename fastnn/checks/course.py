"""The course's dicts of parameters and gradients, the caches of its forward passes, and settings of its own."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn.checks.arrays import FLOAT64, OTHER_ARITHMETIC, REAL_KINDS
from fastnn.checks.data import examples, labels
from fastnn.checks.scalars import finite_number, real_number

ndarray = np.ndarray


def network(parameters: Mapping[str, np.ndarray], n_x: int | None = None) -> int:
    """Check the parameters of a whole network and return its number of layers."""
    try:
        n_previous = n_x
        keys = layer_keys[len(parameters)]
        for weight, bias, _, _ in keys:
            W = parameters[weight]
            b = parameters[bias]
            if type(W) is not ndarray or type(b) is not ndarray:
                break
            n_l, columns = W.shape
            # b of shape (n_l, 1) with n_l not 0, and columns not 0: neither array is empty.
            if b.shape != (n_l, 1) or not n_l or not columns:
                break
            if columns != n_previous and n_previous is not None:
                break
            if W.dtype is not FLOAT64 and W.dtype.kind not in REAL_KINDS:
                break
            if b.dtype is not FLOAT64 and b.dtype.kind not in REAL_KINDS:
                break
            n_previous = n_l
        else:
            return len(keys)
    except (KeyError, TypeError, ValueError):
        pass  # the careful way below says what was wrong
    return _careful_network(parameters, n_x)


def labelled_examples(
    X: Any, y: Any, parameters: Mapping[str, np.ndarray], name: str = "y"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the examples and labels of a prediction, which fit the network."""
    X = examples("X", X)
    n_layers = network(parameters, X.shape[0])
    y = labels(name, y, X.shape[1])
    shape = (parameters[f"W{n_layers}"].shape[0], X.shape[1])
    if y.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got shape {y.shape}")
    return X, y


def parameter_arrays(parameters: Mapping[str, np.ndarray]) -> int:
    """Check that W1, b1, ..., WL, bL are real arrays, of any shapes, and return L.

    The updates work element by element, so layers need not fit each other here.
    """
    n_layers = _layer_count(parameters)
    for weight, bias, _, _ in layer_keys[2 * n_layers]:
        _stored_array("parameters", parameters, weight)
        _stored_array("parameters", parameters, bias)
    return n_layers


def companions(owner: str, parameters: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]) -> int:
    """Check that ``arrays``, gradients or moments, has an entry of every parameter's shape, and return L."""
    try:
        keys = layer_keys[len(parameters)]
        for weight, bias, d_weight, d_bias in keys:
            W, dW = parameters[weight], arrays[d_weight]
            if not (type(W) is type(dW) is ndarray and W.shape == dW.shape and W.size):
                break
            if not (W.dtype is dW.dtype is FLOAT64 or (W.dtype.kind in REAL_KINDS and dW.dtype.kind in REAL_KINDS)):
                break
            b, db = parameters[bias], arrays[d_bias]
            if not (type(b) is type(db) is ndarray and b.shape == db.shape and b.size):
                break
            if not (b.dtype is db.dtype is FLOAT64 or (b.dtype.kind in REAL_KINDS and db.dtype.kind in REAL_KINDS)):
                break
        else:
            return len(keys)
    except (KeyError, TypeError, IndexError):
        pass  # the careful way below says what was wrong
    n_layers = _layer_count(parameters)
    for weight, bias, d_weight, d_bias in layer_keys[2 * n_layers]:
        for key, d_key in ((weight, d_weight), (bias, d_bias)):
            shape = _stored_array("parameters", parameters, key).shape
            given = _stored_array(owner, arrays, d_key).shape
            if given != shape:
                raise ValueError(f"{owner}[{d_key!r}] must have the shape of {key}, {shape}, got shape {given}")
    return n_layers


def gradient_arrays(name: str, grads: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return dW1, db1, ..., dWL, dbL, as many as there are."""
    arrays = [_stored_array(name, grads, "dW1"), _stored_array(name, grads, "db1")]
    layer = 2
    while f"dW{layer}" in grads:
        arrays += [_stored_array(name, grads, f"dW{layer}"), _stored_array(name, grads, f"db{layer}")]
        layer += 1
    return arrays


def propagation_cache(cache: Sequence[np.ndarray], entries: int, X: np.ndarray, Y: np.ndarray) -> int:
    """Check a forward pass's cache against the data, and return the number of layers."""
    if (type(cache) is tuple or isinstance(cache, tuple | list)) and cache:
        n_layers, rest = divmod(len(cache) - 4 + entries, entries)
        if not rest and n_layers and _cache_fits(cache, n_layers, entries, X.shape, Y.shape):
            return n_layers
    return _careful_cache(cache, entries, X, Y)


def backward_arguments(X: Any, Y: Any, cache: Sequence[np.ndarray], entries: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the data of a backward pass, which fits the cache."""
    X = examples("X", X)
    Y = labels("Y", Y, X.shape[1])
    propagation_cache(cache, entries, X, Y)
    return X, Y


def keep_probability(keep_prob: Any) -> float:
    """Return dropout's keep probability as a float in (0, 1]."""
    number = real_number("keep_prob", keep_prob)
    if 0.0 < number <= 1.0:
        return number
    raise ValueError(f"keep_prob must be in (0, 1], got {keep_prob}")


def l2_penalty(lambd: Any) -> float:
    """Return the L2 coefficient as a finite float that is not negative."""
    number = real_number("lambd", lambd)
    if 0.0 <= number < math.inf:
        return number
    raise ValueError(f"lambd must be finite and not negative, got {lambd}")


def one_regularizer(lambd: float, keep_prob: float) -> None:
    """Raise if both L2 and dropout are asked for, which the course's model does not combine."""
    if lambd != 0 and keep_prob < 1:
        raise ValueError(
            f"lambd and keep_prob cannot be used together: lambd must be 0 or keep_prob 1, "
            f"got lambd={lambd} and keep_prob={keep_prob}"
        )


def difference_step(epsilon: Any) -> float:
    """Return the step of a finite difference: finite and not zero."""
    number = finite_number("epsilon", epsilon)
    if number == 0:
        raise ValueError(f"epsilon must not be zero, got {epsilon}")
    return number


def decay_rule(decay: Any) -> Callable[[float, int, float], float] | None:
    """Return a learning-rate decay: None or a function of (learning_rate0, epoch, decay_rate)."""
    if decay is None:
        return None
    if callable(decay):
        rule: Callable[[float, int, float], float] = decay
        return rule
    raise TypeError(f"decay must be None or a function of (learning_rate0, epoch, decay_rate), got {decay!r}")


class _LayerKeys(dict[int, tuple[tuple[str, str, str, str], ...]]):
    """The keys (Wl, bl, dWl, dbl) of every layer, by the number of entries of parameters."""

    def __missing__(self, n_entries: int) -> tuple[tuple[str, str, str, str], ...]:
        n_layers, odd = divmod(n_entries, 2)
        if odd or not n_layers:
            raise KeyError(n_entries)
        keys = tuple((f"W{l}", f"b{l}", f"dW{l}", f"db{l}") for l in range(1, n_layers + 1))
        if n_layers < 100:
            self[n_entries] = keys
        return keys


layer_keys = _LayerKeys()


def _layer_count(parameters: Any) -> int:
    """Return L from the number of entries, two a layer."""
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a dict of W1, b1, ..., WL, bL, got {type(parameters).__name__}")
    n_layers, odd = divmod(len(parameters), 2)
    if odd or not n_layers:
        raise ValueError(f"parameters must hold W1, b1, ..., WL, bL and nothing else, got {list(parameters)}")
    return n_layers


def _stored_array(owner: str, arrays: Any, key: str) -> np.ndarray:
    """Return one array of a dict."""
    try:
        array = arrays[key]
    except (KeyError, TypeError, IndexError):
        if not isinstance(arrays, Mapping):
            raise TypeError(f"{owner} must be a dict, got {type(arrays).__name__}") from None
        raise ValueError(f"{owner} must hold {key!r}, got {list(arrays)}") from None
    if not isinstance(array, np.ndarray) or isinstance(array, OTHER_ARITHMETIC):
        raise TypeError(f"{owner}[{key!r}] must be an array, got {type(array).__name__}")
    if array.dtype is not FLOAT64 and array.dtype.kind not in REAL_KINDS:
        raise TypeError(f"{owner}[{key!r}] must hold real numbers, got dtype {array.dtype}")
    if not array.size:
        raise ValueError(f"{owner}[{key!r}] must not be empty, got shape {array.shape}")
    return array


def _cache_fits(
    cache: Sequence[Any], n_layers: int, entries: int, x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> bool:
    """Tell whether every entry is a real array of the shape that the layers before it imply."""
    for array in cache:
        if type(array) is not ndarray:
            return False
        if array.dtype is not FLOAT64 and array.dtype.kind not in REAL_KINDS:
            return False
    n_previous, m = x_shape
    place = 0
    for layer in range(1, n_layers + 1):
        shape = cache[place].shape
        if layer == n_layers:
            if shape != y_shape:
                return False
        elif entries == 5:
            place += 1
            if cache[place].shape != shape:
                return False
        if not shape or not shape[0]:
            return False
        n_l = shape[0]
        if cache[place + 1].shape != shape or shape != (n_l, m):
            return False
        if cache[place + 2].shape != (n_l, n_previous) or cache[place + 3].shape != (n_l, 1):
            return False
        n_previous = n_l
        place += 4
    return True


def _careful_network(parameters: Any, n_x: int | None) -> int:
    """Do what `network` does for parameters that are not plainly good."""
    n_layers = parameter_arrays(parameters)
    n_previous = n_x
    for index, (weight, bias, _, _) in enumerate(layer_keys[2 * n_layers]):
        W, b = parameters[weight], parameters[bias]
        if W.ndim != 2:
            raise ValueError(f"{weight} must have shape (n_{index + 1}, n_{index}), got shape {W.shape}")
        if n_previous is not None and W.shape[1] != n_previous:
            before = "X" if index == 0 else f"W{index}"
            raise ValueError(
                f"{weight} must have as many columns as {before} has rows, {n_previous}, got shape {W.shape}"
            )
        if b.shape != (W.shape[0], 1):
            raise ValueError(f"{bias} must have shape ({W.shape[0]}, 1), got shape {b.shape}")
        n_previous = W.shape[0]
    return n_layers


def _careful_cache(cache: Any, entries: int, X: np.ndarray, Y: np.ndarray) -> int:
    """Do what `propagation_cache` does for a cache that is not plainly good."""
    per_layer = "(Z, D, A, W, b)" if entries == 5 else "(Z, A, W, b)"
    if not isinstance(cache, tuple | list):
        raise TypeError(f"cache must be the tuple that the forward pass returned, got {type(cache).__name__}")
    n_layers, rest = divmod(len(cache) - 4 + entries, entries)
    if rest or not n_layers:
        last = ", and 4 for the last" if entries == 5 else ""
        raise ValueError(f"cache must hold {per_layer} for each layer{last}, got {len(cache)} entries")
    names = ["Z", "D", "A", "W", "b"] if entries == 5 else ["Z", "A", "W", "b"]
    m, n_previous, n_l = X.shape[1], X.shape[0], 0
    for index, array in enumerate(cache):
        layer = index // entries + 1
        letters = ["Z", "A", "W", "b"] if layer == n_layers else names
        letter = letters[index - (layer - 1) * entries]
        name = f"{letter}{layer} in cache"
        if not isinstance(array, np.ndarray) or isinstance(array, OTHER_ARITHMETIC):
            raise TypeError(f"{name} must be an array, got {type(array).__name__}")
        if array.dtype.kind not in REAL_KINDS:
            raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
        if letter == "Z":
            is_last = layer == n_layers
            n_l = Y.shape[0] if is_last else (array.shape[0] if array.ndim else 0)
            if array.shape != (n_l, m) or not n_l:
                wanted = f"the shape of Y, {Y.shape}" if is_last else f"shape (n_{layer}, {m})"
                raise ValueError(f"{name} must have {wanted}, got shape {array.shape}")
        shape = {"W": (n_l, n_previous), "b": (n_l, 1)}.get(letter, (n_l, m))
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got shape {array.shape}")
        if letter == "b":
            n_previous = n_l
    return n_layers
