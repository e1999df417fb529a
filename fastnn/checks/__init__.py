"""Checks of arguments, shared by the NumPy reference and the compiled functions.

Both sides call the same functions, so a bad argument gets the same sentence on both. Good input
leaves after a few attribute reads: nothing here looks at elements except `require_finite`, `targets` at
integer labels, `target_values` and `example_weights`, and what was wrong is worked out in helpers that only
bad input reaches.
"""

import contextlib
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, NoReturn, TypeVar

import numpy as np

from fastnn.interrupts import held, imported

__all__ = [
    "backward_arguments",
    "columns",
    "count",
    "decay_factor",
    "decay_rule",
    "difference_step",
    "example_weights",
    "examples",
    "finite_number",
    "flag",
    "float_dtype",
    "functions",
    "gradient_arrays",
    "gradients",
    "keep_probability",
    "l2_penalty",
    "labelled_examples",
    "labels",
    "layer_keys",
    "layer_sizes",
    "layers_for_data",
    "learning_rate",
    "legacy_seed",
    "moments",
    "needed_module",
    "network",
    "not_negative",
    "one_of",
    "one_regularizer",
    "outputs_and_labels",
    "pair_function",
    "parameter_arrays",
    "positive_number",
    "propagation_cache",
    "real_array",
    "real_number",
    "refuse_masked",
    "require_finite",
    "seed64",
    "target_values",
    "targets",
    "thread_count",
    "training_data",
]

Word = TypeVar("Word", bound=str)

_FLOAT64 = np.dtype(np.float64)
_FLOAT32 = np.dtype(np.float32)
# What is halfway between the largest float32 and what would be the next: from here on numbers are rounded to infinity.
_FLOAT32_OVERFLOW = (2.0 - 2.0**-24) * 2.0**127
_ndarray = np.ndarray
_REAL_KINDS = "fiub"
# Every real type that both NumPy and compiled code compute with: not float16, not long double.
_NATIVE_CHARACTERS = "dfiIlLqQbBhH?"

# Losses that do not allow all targets of shape (n_y, m).
BOUNDED_TARGETS = ("binary_cross_entropy", "cross_entropy", "poisson")

# Elements of an array that is copied sooner than NumPy prepares a reduction.
_FEW = 4096

# What Python and NumPy count among the integers.
_NO_NUMBERS = bool, np.timedelta64

# Arrays whose masks compiled code would not see, and whose * is a matrix product.
_OF_OTHER_ARITHMETIC = np.ma.MaskedArray, np.matrix

# The reciprocal of a smaller sum of weights is infinite.
SMALLEST_TOTAL = 1e-300


def real_array(name: str, value: Any) -> np.ndarray:
    """Return ``value`` as a non-empty array of real numbers, without a copy where none is needed."""
    if type(value) is np.ndarray:
        dtype = value.dtype
        if (dtype is _FLOAT64 or (dtype.char in _NATIVE_CHARACTERS and dtype.isnative)) and value.size:
            return value
    return _converted(name, value)


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
    if type(value) is _ndarray and (value.dtype is _FLOAT64 or value.dtype is _FLOAT32) and value.ndim == 2:
        n, m = value.shape
        if n == rows and m and value.flags.aligned:
            return value
    array = examples(name, value)
    if array.shape[0] != rows:
        raise ValueError(f"{name} must have shape ({rows}, m) with examples in columns, got shape {array.shape}")
    return _plain(array)


def targets(name: str, value: Any, n_y: int, m: int, softmax: bool) -> np.ndarray:
    """Return the targets of m examples: shape (n_y, m), or (m,) for the integer labels of a softmax."""
    if (
        type(value) is _ndarray
        and (value.dtype is _FLOAT64 or value.dtype is _FLOAT32)
        and value.shape == (n_y, m)
        and value.flags.aligned
    ):
        return value
    array = _plain(real_array(name, value))
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


def target_values(name: str, Y: np.ndarray, loss: Any) -> None:
    """Raise for targets of shape (n_y, m) for which a loss has no lower bound."""
    if Y.ndim == 1 or loss not in BOUNDED_TARGETS:
        return
    low, high = _extremes(Y)
    if low < 0:
        raise ValueError(f"{name} must not be negative with loss {loss!r}, got {low}")
    if loss == "binary_cross_entropy" and high > 1:
        raise ValueError(f"{name} must be in [0, 1] with loss {loss!r}, got {high}")


def example_weights(name: str, value: Any, m: int) -> np.ndarray | None:
    """Return None, or one finite weight that is not negative for each of m examples, as contiguous float64."""
    if value is None:
        return None
    array = real_array(name, value)
    if array.shape != (m,):
        raise ValueError(f"{name} must have shape ({m},), one weight for each example, got shape {array.shape}")
    array = np.ascontiguousarray(_plain(array), np.float64)
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


def refuse_masked(name: str, value: Any) -> None:
    """Raise if an array, or a row of a list, has masked entries, which `numpy.asarray` takes for numbers."""
    rows = value if isinstance(value, list | tuple) else (value,)
    masked = sum(int(np.ma.count_masked(row)) for row in rows if isinstance(row, np.ma.MaskedArray))
    if masked:
        raise ValueError(
            f"{name} must have no masked entries, got {masked}: fill them first, with numpy.ma.filled, or leave their "
            "examples out"
        )


def require_finite(name: str, array: np.ndarray, dtype: np.dtype = _FLOAT64) -> None:
    """Raise if an array holds NaN or infinity, or what becomes infinite in the dtype that it is computed in."""
    if array.dtype.kind != "f":
        return
    narrower = dtype.itemsize < array.dtype.itemsize
    if narrower or array.size < _FEW:
        low, high = _extremes(array)
        bound = _FLOAT32_OVERFLOW if narrower else math.inf
        if -bound < low and high < bound:
            return
    else:
        with np.errstate(all="ignore"):
            # One pass without memory of its own; a sum that overflows proves nothing.
            if math.isfinite(array.sum()):
                return
    fits = np.isfinite(array)
    what = "finite"
    if narrower and fits.all():
        fits = np.abs(array) < _FLOAT32_OVERFLOW
        what = f"within {dtype}, in which the network computes"
    if not fits.all():
        index = tuple(int(i) for i in np.unravel_index(np.argmin(fits), array.shape))
        raise ValueError(f"{name} must be {what}, got {float(array[index])} at index {index}")


def network(parameters: Mapping[str, np.ndarray], n_x: int | None = None) -> int:
    """Check the parameters of a whole network and return its number of layers."""
    try:
        n_previous = n_x
        keys = layer_keys[len(parameters)]
        for weight, bias, _, _ in keys:
            W = parameters[weight]
            b = parameters[bias]
            if type(W) is not _ndarray or type(b) is not _ndarray:
                break
            n_l, columns = W.shape
            # b of shape (n_l, 1) with n_l not 0, and columns not 0: neither array is empty.
            if b.shape != (n_l, 1) or not n_l or not columns:
                break
            if columns != n_previous and n_previous is not None:
                break
            if W.dtype is not _FLOAT64 and W.dtype.kind not in _REAL_KINDS:
                break
            if b.dtype is not _FLOAT64 and b.dtype.kind not in _REAL_KINDS:
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


def gradients(parameters: Mapping[str, np.ndarray], grads: Mapping[str, np.ndarray], name: str = "grads") -> int:
    """Check that every parameter has a gradient of its shape, and return L."""
    return _companions(name, parameters, grads)


def gradient_arrays(name: str, grads: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return dW1, db1, ..., dWL, dbL, as many as there are."""
    arrays = [_stored_array(name, grads, "dW1"), _stored_array(name, grads, "db1")]
    layer = 2
    while f"dW{layer}" in grads:
        arrays += [_stored_array(name, grads, f"dW{layer}"), _stored_array(name, grads, f"db{layer}")]
        layer += 1
    return arrays


def moments(name: str, parameters: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]) -> int:
    """Check that every parameter has a moment (velocity) of its shape, and return L."""
    return _companions(name, parameters, values)


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


def one_of(name: str, value: Any, allowed: Iterable[Word]) -> Word:
    """Return ``value`` if it is one of the allowed words."""
    allowed = tuple(allowed)
    if isinstance(value, str) and value in allowed:
        return value
    words = ", ".join(repr(word) for word in allowed)
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{name} must be one of {words}, got {value!r}")


def count(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum`` that fits into 64 bits; bool is not an integer."""
    value = _integer(name, value, minimum)
    if value >= 2**63:
        raise ValueError(f"{name} must be less than 2**63, got {value}")
    return value


def real_number(name: str, value: Any) -> float:
    """Return ``value`` as a float; NaN and infinity pass, bool does not."""
    if type(value) is float:
        return value
    if type(value) is int:
        return _as_float(name, value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, _NO_NUMBERS) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    return _as_float(name, value)


def finite_number(name: str, value: Any) -> float:
    """Return ``value`` as a finite float."""
    number = real_number(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def positive_number(name: str, value: Any) -> float:
    """Return ``value`` as a finite float above 0."""
    number = finite_number(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {value}")
    return number


def not_negative(name: str, value: Any) -> float:
    """Return ``value`` as a finite float that is not negative."""
    number = finite_number(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return number


def decay_factor(name: str, value: Any) -> float:
    """Return the weight of the past in a moving average, or dropout's share, as a float in [0, 1)."""
    number = real_number(name, value)
    if not 0.0 <= number < 1.0:
        raise ValueError(f"{name} must be in [0, 1), got {value}")
    return number


def flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def seed64(value: Any) -> int:
    """Return a seed of 64 bits."""
    seed = _integer("seed", value, 0)
    if seed >= 2**64:
        raise ValueError(f"seed must be less than 2**64, got {seed}")
    return seed


def thread_count(value: Any) -> int | None:
    """Return a number of threads: None for as many as pay, -1 for all, or a ceiling of at least 1."""
    if value is None:
        return None
    number = count("n_threads", value, -1)
    if number == 0:
        raise ValueError("n_threads must be None, -1 or at least 1, got 0")
    return number


def functions(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """Return a sequence of functions as a tuple; a class is none, though it can be called."""
    if not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{name} must be a sequence of functions, got {value!r}")
    found = tuple(value)
    for i, function in enumerate(found):
        if isinstance(function, type):
            raise TypeError(f"{name}[{i}] must be a function or an instance, got the class {function.__name__}")
        if not callable(function):
            raise TypeError(f"{name}[{i}] must be a function, got {function!r}")
    return found


def pair_function(name: str, function: Callable, pair: str, *arguments: np.floating) -> Callable:
    """Return a function that gives two numbers; it is called once to see, because later an engine calls it.

    Numba compiles nothing else that can be called.
    """
    is_compiled = hasattr(function, "py_func")
    if not (isinstance(function, FunctionType) or is_compiled):
        raise TypeError(
            f"{name} must be made by def, lambda or numba.njit, got {function!r}: write a function that calls it"
        )
    try:
        # The call compiles what numba has wrapped.
        with np.errstate(all="ignore"), held() if is_compiled else contextlib.nullcontext():
            result = function(*arguments)
    except Exception as error:
        raise TypeError(f"{name} must take {len(arguments)} number(s), and raised {error!r}") from error
    try:
        first, second = result
        float(first), float(second)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must return two numbers, {pair}, got {result!r}") from None
    return function


def float_dtype(name: str, value: Any) -> np.dtype:
    """Return float32 or float64 as a dtype."""
    try:
        dtype = None if value is None else np.dtype(value)
    except TypeError:
        dtype = None
    # NumPy reads None as float64, also where it compares dtypes.
    if dtype is None or dtype not in (np.dtype(np.float32), _FLOAT64):
        raise ValueError(f"{name} must be float32 or float64, got {value!r}")
    return dtype


def legacy_seed(seed: Any) -> int | None:
    """Return a seed of NumPy's legacy stream, or None for a fresh one."""
    if seed is None:
        return None
    seed = count("seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"seed must be less than 2**32, got {seed}")
    return seed


def learning_rate(value: Any) -> float | Callable[[int], float]:
    """Return a learning rate: a float that is not negative, or a function of the step."""
    if isinstance(value, type):
        raise TypeError(f"learning_rate must be a number or a function of the step, got the class {value.__name__}")
    if callable(value):
        return value
    return not_negative("learning_rate", value)


def difference_step(epsilon: Any) -> float:
    """Return the step of a finite difference: finite and not zero."""
    number = finite_number("epsilon", epsilon)
    if number == 0:
        raise ValueError(f"epsilon must not be zero, got {epsilon}")
    return number


def decay_rule(decay: Any) -> Callable[[float, int, float], float] | None:
    """Return a learning-rate decay: None or a function of (learning_rate0, epoch, decay_rate)."""
    if decay is None or callable(decay):
        return decay
    raise TypeError(f"decay must be None or a function of (learning_rate0, epoch, decay_rate), got {decay!r}")


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


def needed_module(module: str, library: str, name: str) -> ModuleType:
    """Import a module of an optional library for ``name``, which cannot do without."""
    try:
        return imported(module)
    except ImportError as error:
        raise ImportError(f"{name} needs {library}, which is not installed") from error


def _integer(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``."""
    if type(value) is not int:
        if isinstance(value, _NO_NUMBERS) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        value = int(value)
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return value


def _as_float(name: str, value: Any) -> float:
    """Return a real number as a float."""
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must fit into a float, got an integer beyond 1e308") from None


class _LayerKeys(dict):
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


def _converted(name: str, value: Any) -> np.ndarray:
    """Return what `real_array` returns for a value that is not plainly good."""
    _refuse_masked_and_sparse(name, value)
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(value, list | tuple) and "inhomogeneous" in str(error):
            raise ValueError(f"{name} must be an array, got a sequence of unequal rows") from None
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} must be an array, got {type(value).__name__}, which NumPy cannot read: {error}") from error
    dtype = array.dtype
    if dtype.kind not in _REAL_KINDS:
        raise TypeError(f"{name} must hold real numbers (float, integer or bool), got dtype {dtype}")
    if not array.size:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if dtype.char not in _NATIVE_CHARACTERS:
        return array.astype(np.float64)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _extremes(array: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest element, NaN if there is one."""
    if array.size < _FEW:
        # Methods of an array are called faster than ufuncs' reductions, but copy what is not contiguous.
        return array.item(array.argmin()), array.item(array.argmax())
    with np.errstate(invalid="ignore"):
        return array.min(), array.max()


def _refuse_masked_and_sparse(name: str, value: Any) -> None:
    """Raise for what `numpy.asarray` would take for something else: it forgets masks, and sees no numbers in sparse."""
    if hasattr(value, "tocsr"):
        raise TypeError(
            f"{name} must be dense, got a sparse {type(value).__name__}: give its toarray() "
            "(MLPClassifier and MLPRegressor take sparse tables)"
        )
    refuse_masked(name, value)


def _plain(array: np.ndarray) -> np.ndarray:
    """Return an array whose elements sit at multiples of their size, with uint8 for bool."""
    if array.dtype.char == "?":
        return array.view(np.uint8)
    return array if array.flags.aligned else array.copy()


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
        _explain_missing(owner, arrays, key)
    if not isinstance(array, np.ndarray) or isinstance(array, _OF_OTHER_ARITHMETIC):
        raise TypeError(f"{owner}[{key!r}] must be an array, got {type(array).__name__}")
    if array.dtype is not _FLOAT64 and array.dtype.kind not in _REAL_KINDS:
        raise TypeError(f"{owner}[{key!r}] must hold real numbers, got dtype {array.dtype}")
    if not array.size:
        raise ValueError(f"{owner}[{key!r}] must not be empty, got shape {array.shape}")
    return array


def _companions(owner: str, parameters: Any, arrays: Any) -> int:
    """Check that ``arrays`` has an entry of equal shape for every parameter; return L."""
    try:
        keys = layer_keys[len(parameters)]
        for weight, bias, d_weight, d_bias in keys:
            W, dW = parameters[weight], arrays[d_weight]
            if not (type(W) is type(dW) is _ndarray and W.shape == dW.shape and W.size):
                break
            if not (W.dtype is dW.dtype is _FLOAT64 or (W.dtype.kind in _REAL_KINDS and dW.dtype.kind in _REAL_KINDS)):
                break
            b, db = parameters[bias], arrays[d_bias]
            if not (type(b) is type(db) is _ndarray and b.shape == db.shape and b.size):
                break
            if not (b.dtype is db.dtype is _FLOAT64 or (b.dtype.kind in _REAL_KINDS and db.dtype.kind in _REAL_KINDS)):
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


def _cache_fits(
    cache: Sequence[Any], n_layers: int, entries: int, x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> bool:
    """Tell whether every entry is a real array of the shape that the layers before it imply."""
    for array in cache:
        if type(array) is not _ndarray:
            return False
        if array.dtype is not _FLOAT64 and array.dtype.kind not in _REAL_KINDS:
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


def _explain_missing(owner: str, arrays: Any, key: str) -> NoReturn:
    """Raise for a dict that is none or lacks a key."""
    if not isinstance(arrays, Mapping):
        raise TypeError(f"{owner} must be a dict, got {type(arrays).__name__}") from None
    raise ValueError(f"{owner} must hold {key!r}, got {list(arrays)}") from None


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
        if not isinstance(array, np.ndarray) or isinstance(array, _OF_OTHER_ARITHMETIC):
            raise TypeError(f"{name} must be an array, got {type(array).__name__}")
        if array.dtype.kind not in _REAL_KINDS:
            raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
        if letter == "Z":
            last = layer == n_layers
            n_l = Y.shape[0] if last else (array.shape[0] if array.ndim else 0)
            if array.shape != (n_l, m) or not n_l:
                wanted = f"the shape of Y, {Y.shape}" if last else f"shape (n_{layer}, {m})"
                raise ValueError(f"{name} must have {wanted}, got shape {array.shape}")
        shape = {"W": (n_l, n_previous), "b": (n_l, 1)}.get(letter, (n_l, m))
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got shape {array.shape}")
        if letter == "b":
            n_previous = n_l
    return n_layers
