"""Functions, and modules that not everyone has installed."""

import contextlib
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np

from fastnn.interrupts import held, imported

Pair = TypeVar("Pair", bound=Callable[..., tuple[float, float]])


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


def pair_function(name: str, function: Pair, pair: str, *arguments: np.floating) -> Pair:
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


def needed_module(module: str, library: str, name: str) -> ModuleType:
    """Import a module of an optional library for ``name``, which cannot do without."""
    try:
        return imported(module)
    except ImportError as error:
        raise ImportError(f"{name} needs {library}, which is not installed") from error
