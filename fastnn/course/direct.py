"""Whole functions of the notebooks in one call of machine code, for what notebooks give them.

That is float64 arrays of fitting shapes, of small nets. Each function returns None for anything else, having changed
nothing, and also while its machine code is neither in the cache nor worth compiling: a notebook calls most functions a
few times, in which NumPy is done before a compiler has begun. Its caller then goes the long way, checks included.
"""

import ctypes
import functools
import math
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.checks import layer_keys
from fastnn.course import first_run
from fastnn.kernels.compiler.host import JIT
from fastnn.kernels.compiler.policy import Op
from fastnn.kernels.course import functions
from fastnn.kernels.course.functions import DROPOUT, LOOK, PLAIN
from fastnn.kernels.course.objects import ARRAY_WORDS, DTYPE_BITS, DTYPE_WORD, HALF, ITEMS_AT, N_ITEMS_WORD, on_objects
from fastnn.kernels.course.ops import sum_terms
from fastnn.reference.course.layers import Arrays, Cache

# Calls after which machine code is loaded if the cache has it, which takes long where it is the first in a process, and
# after which it is compiled: whoever has called a function so often is likely to be in a loop.
FEW_CALLS, MANY_CALLS = 10, 100

# Parameters of an update, and outputs of a cost, beyond which it is left to threads.
MOST_NUMBERS = 1 << 16

_FLOAT64 = np.dtype(np.float64)
_BOOL = np.dtype(np.bool_)
_empty = np.empty


def _word(address: int, place: int) -> int:
    """Return a word of 8 bytes of memory."""
    return ctypes.c_int64.from_address(address + 8 * place).value


def _code(dtype: np.dtype) -> int:
    """Return what tells a dtype from others."""
    return _word(id(dtype), DTYPE_WORD) & DTYPE_BITS


def _is_as_expected() -> bool:
    """Whether arrays, tuples and dtypes lie in memory as `kernels.course.objects` reads them."""
    probe = np.arange(6.0).reshape(2, 3)
    items = (probe, _FLOAT64)
    kind, data, n_axes, dimensions, dtype, flags = [_word(id(probe), place) for place in ARRAY_WORDS]
    others = [np.dtype(name) for name in ("f4", ">f8", "i8", "u8", "?", "M8[s]", "O", "c8")]
    return (
        _word(id(items) + ITEMS_AT, 1) == id(_FLOAT64)
        and _word(id(items) + ITEMS_AT, N_ITEMS_WORD) == 2
        and (kind, data, dtype) == (id(np.ndarray), probe.ctypes.data, id(_FLOAT64))
        and (n_axes & HALF, flags & HALF) == (2, probe.flags.num)
        and [_word(dimensions, axis) for axis in (0, 1)] == [2, 3]
        and _code(pickle.loads(pickle.dumps(probe)).dtype) == _code(_FLOAT64)
        and len({_code(other) for other in (*others, _FLOAT64)}) == len(others) + 1
    )


def is_number(value: Any) -> bool:
    """Tell whether a value is a float, or an integer that is one exactly."""
    return isinstance(value, float) or (type(value) is int and -(2**53) <= value <= 2**53)


# What a look at something else than the arrays of a notebook may raise.
_OTHERWISE = AttributeError, IndexError, KeyError, MemoryError, OverflowError, TypeError, ValueError


class _Direct:
    """An op on the items of a tuple, and the table that it is called with as soon as there is machine code."""

    def __init__(self, op: Op) -> None:
        self.table: np.ndarray | None = None
        self._op, self._calls = op, 0

    def _is_worth_it(self, calls: int) -> bool:
        """Count calls, and tell whether to load or to compile."""
        few = self._calls < FEW_CALLS
        self._calls += calls
        if self._calls >= MANY_CALLS or not first_run.NUMPY_MEANWHILE:
            return True
        return few and self._calls >= FEW_CALLS and self._op.is_ready(_FLOAT64)

    def prepare(self, calls: int = 1) -> np.ndarray | None:
        """Return the table once there is machine code."""
        if not JIT or not self._is_worth_it(calls) or not _is_as_expected():
            return None
        addresses = [self._op.address(_FLOAT64), sum_terms.address(_FLOAT64)]
        self.table = np.array([*addresses, id(np.ndarray), _code(_FLOAT64), _code(_BOOL)], np.int64)
        return self.table


_forward, _backward, _cost = _Direct(functions.forward), _Direct(functions.backward), _Direct(functions.cost)
_update, _differences = _Direct(functions.update), _Direct(functions.differences)
_activation = _Direct(functions.activation)


@functools.lru_cache
def _names(n_entries: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return W1, b1, ... and dW1, db1, ..., as many as the dict of parameters has entries."""
    keys = layer_keys[n_entries]
    names = tuple(name for weight, bias, _, _ in keys for name in (weight, bias))
    return names, tuple("d" + name for name in names)


@functools.lru_cache
def _gradient_names(n_layers: int, z: str, a: str) -> tuple[str, ...]:
    """Return dZL, dWL, dbL, dA(L-1), ..., dZ1, dW1, db1 with that writing of dZ and dA."""
    names: list[str] = []
    for layer in range(n_layers, 0, -1):
        names += [f"{z}{layer}", f"dW{layer}", f"db{layer}", f"{a}{layer - 1}"]
    return tuple(names[:-1])


def activation(x: np.ndarray, code: int) -> np.ndarray | None:
    """Return the relu or the sigmoid of a matrix."""
    table = _activation.table
    if table is None:
        table = _activation.prepare()
        if table is None:
            return None
    try:
        out = _empty(x.shape)
    except _OTHERWISE:
        return None
    objects = x, out
    done, _ = on_objects(table, id(objects) + ITEMS_AT, 0, code, 0.0, 0.0, 0.0, 0.0, 0.0)
    return out if done else None


def forward(X: Any, parameters: Arrays, keep_prob: float | None = None) -> tuple[np.ndarray, Cache] | None:
    """Return the output and the cache of a forward pass, with dropout from NumPy's stream if keep_prob is given."""
    table = _forward.table
    if table is None:
        table = _forward.prepare()
        if table is None:
            return None
    try:
        given: list[np.ndarray] = [X]
        made: list[np.ndarray] = []
        m = X.shape[1]
        if not X.flags.c_contiguous:
            given = [X.copy()]
        keys = layer_keys[len(parameters)]
        for weight, bias, _, _ in keys:
            W = parameters[weight]
            shape = (W.shape[0], m)
            given += (W, parameters[bias])
            made += (_empty(shape), _empty(shape))
    except _OTHERWISE:
        return None
    n = len(keys)
    if keep_prob is None:
        objects = (*given, *made)
        done, _ = on_objects(table, id(objects) + ITEMS_AT, n, PLAIN, 0.0, 0.0, 0.0, 0.0, 0.0)
        if not done:
            return None
        cache: list[np.ndarray] = []
        for layer in range(0, 2 * n, 2):
            cache += (made[layer], made[layer + 1], given[layer + 1], given[layer + 2])
        return made[-1], tuple(cache)
    return _forward_with_dropout(table, given, made, n, keep_prob)


def _forward_with_dropout(
    table: np.ndarray, given: list[np.ndarray], made: list[np.ndarray], n: int, keep_prob: float
) -> tuple[np.ndarray, Cache] | None:
    """Do what `forward` does, once the numbers are known to be drawn for nothing else."""
    objects = (*given, *made)
    # NumPy's stream stays where it is if this is not for us.
    done, _ = on_objects(table, id(objects) + ITEMS_AT, n, LOOK, 0.0, 0.0, 0.0, 0.0, 0.0)
    if not done:
        return None
    hidden = made[: 2 * n - 2 : 2]
    np.random.seed(1)
    uniform = [np.random.rand(*Z.shape) for Z in hidden]
    masks = [_empty(Z.shape, _BOOL) for Z in hidden]
    objects = (*objects, *uniform, *masks)
    done, _ = on_objects(table, id(objects) + ITEMS_AT, n, DROPOUT, float(keep_prob), 0.0, 0.0, 0.0, 0.0)
    if not done:  # another thread has reshaped an array meanwhile
        return None
    cache: list[np.ndarray] = []
    for layer, mask in enumerate(masks):
        cache += (made[2 * layer], mask, made[2 * layer + 1], given[2 * layer + 1], given[2 * layer + 2])
    return made[-1], (*cache, *made[-2:], *given[-2:])


def _labels(Y: np.ndarray) -> np.ndarray:
    """Return labels as a float64 matrix."""
    if Y.ndim == 1:
        Y = Y.reshape(1, -1)
    if Y.dtype.kind in "biu":
        return Y.astype(_FLOAT64)
    return Y


def backward(
    X: Any,
    Y: Any,
    cache: Sequence[np.ndarray],
    mean: bool = False,
    lambd: float | None = None,
    keep_prob: float | None = None,
) -> Arrays | None:
    """Return all gradients; with `mean` the 1/m sits inside dz of the output layer, otherwise in dW and db."""
    table = _backward.table
    if table is None:
        table = _backward.prepare()
        if table is None:
            return None
    if not isinstance(cache, tuple | list):
        return None
    try:
        m = X.shape[1]
        if not X.flags.c_contiguous:
            X = X.copy()
        Y = _labels(Y)
        masks: tuple[np.ndarray, ...] = ()
        if keep_prob is not None:
            masks = tuple(cache[1:-4:5])
            cache = [array for place, array in enumerate(cache) if place % 5 != 1 or place >= len(cache) - 4]
        n, rest = divmod(len(cache), 4)
        if rest or not n or not m:
            return None
        made: list[np.ndarray] = []
        for place in range(len(cache) - 4, -4, -4):
            made += (_empty(cache[place].shape), _empty(cache[place + 2].shape), _empty(cache[place + 3].shape))
            if place:
                made.append(_empty(cache[place - 3].shape))
    except _OTHERWISE:
        return None
    objects = (X, Y, *cache, *made, *masks)
    within, after = (1.0 / m, 1.0) if mean else (1.0, 1.0 / m)
    decayed, decay = (0.0, 0.0) if lambd is None else (1.0, float(lambd / m))
    done, _ = on_objects(
        table, id(objects) + ITEMS_AT, n, 0 if keep_prob is None else 1, within, after, decayed, decay,
        float(keep_prob or 1.0),
    )  # fmt: skip
    if not done:
        return None
    return dict(zip(_gradient_names(n, *(("dz", "da") if mean else ("dZ", "dA"))), made, strict=True))


def cost(
    A: Any, Y: Any, skip_nan: bool, mean: bool, parameters: Sequence[np.ndarray] = (), penalty: float = 0.0
) -> np.float64 | None:
    """Return the cross-entropy of all outputs, its mean over examples if asked for, plus penalty times squares.

    parameters: W1, b1, ..., WL, bL, of whose weights the squares are summed.
    """
    table = _cost.table
    if table is None:
        table = _cost.prepare()
        if table is None:
            return None
    try:
        rows, m = A.shape
        if rows * m > MOST_NUMBERS:
            return None
        objects = (A, _labels(Y), _empty(A.shape), *parameters)
        factor = 1.0 / m if mean else 1.0
    except (*_OTHERWISE, ZeroDivisionError):
        return None
    code = 1 if skip_nan else 0
    done, result = on_objects(table, id(objects) + ITEMS_AT, len(parameters) // 2, code, factor, penalty, 0.0, 0.0, 0.0)
    return np.float64(result) if done else None


def cost_with_weights(A: Any, Y: Any, parameters: Arrays, lambd: float) -> np.float64 | None:
    """Return the mean cross-entropy, without its NaN, plus lambd / (2 m) times the squares of all weights."""
    try:
        arrays = [parameters[name] for name in _names(len(parameters))[0]]
        penalty = lambd / (2 * A.shape[1])
    except (*_OTHERWISE, ZeroDivisionError):
        return None
    return cost(A, Y, True, True, arrays, penalty)


def update(
    rule: int, parameters: Arrays, grads: Arrays, moments: tuple[Arrays, ...], rate: float,
    b: float = 0.0, c: float = 0.0, d: float = 0.0, e: float = 0.0,
) -> bool:  # fmt: skip
    """Take a step by one of the rules of `kernels.course.functions`, and say whether it is taken.

    rate, b, c, d, e: as `update` there takes them.
    """
    table = _update.table
    if table is None:
        table = _update.prepare()
        if table is None:
            return False
    try:
        names, of_gradients = _names(len(parameters))
        old = [parameters[name] for name in names]
        if sum([array.size for array in old]) > MOST_NUMBERS:
            return False
        new = [array.copy() for array in old]
        gradients = [grads[name] for name in of_gradients]
        moved = [moment[name].copy() for moment in moments for name in of_gradients]
    except _OTHERWISE:
        return False
    n = len(names)
    objects = (*new, *gradients, *moved)
    done, _ = on_objects(table, id(objects) + ITEMS_AT, n, rule, rate, b, c, d, e)
    if not done:
        return False
    # One by one: mappings which are not dicts may have no `update`.
    for k, name in enumerate(names):
        parameters[name] = new[k]
    for k, name in enumerate(of_gradients * len(moments)):
        moments[k // n][name] = moved[k]
    return True


def differences(
    theta: np.ndarray, shapes: Sequence[tuple[int, ...]], X: np.ndarray, Y: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the costs with each parameter in turn moved by +epsilon and by -epsilon.

    theta, shapes: all parameters, W1, b1, ..., WL, bL, and their shapes.
    X, Y: contiguous float64 matrices, which fit them.
    """
    table = _differences.table
    if table is None:
        table = _differences.prepare(1 + theta.size // 50)
        if table is None:
            return None
    moved, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        moved.append(theta[start : start + size].reshape(shape).copy())
        start += size
    m = X.shape[1]
    room = [_empty((shape[0], m)) for shape in shapes[::2]]
    J = _empty((2, theta.size))
    objects = (X, Y, *moved, *room, _empty(Y.shape), J)
    on_objects(table, id(objects) + ITEMS_AT, len(room), 0, epsilon, 0.0, 0.0, 0.0, 0.0)
    return J[0].reshape(-1, 1), J[1].reshape(-1, 1)
