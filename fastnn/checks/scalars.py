"""Numbers, words and flags."""

import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

Word = TypeVar("Word", bound=str)

# What Python and NumPy count among the integers.
NO_NUMBERS = bool, np.timedelta64


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
    number = _integer(name, value, minimum)
    if number >= 2**63:
        raise ValueError(f"{name} must be less than 2**63, got {number}")
    return number


def real_number(name: str, value: Any) -> float:
    """Return ``value`` as a float; NaN and infinity pass, bool does not."""
    if type(value) is float:
        return value
    if type(value) is int:
        return _as_float(name, value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, NO_NUMBERS) or not isinstance(value, numbers.Real):
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
    """Return the weight of the past in a moving average, or dropout's fraction, as a float in [0, 1)."""
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


def legacy_seed(seed: Any) -> int | None:
    """Return a seed of NumPy's legacy stream, or None for a fresh one."""
    if seed is None:
        return None
    number = count("seed", seed, 0)
    if number >= 2**32:
        raise ValueError(f"seed must be less than 2**32, got {number}")
    return number


def thread_count(value: Any) -> int | None:
    """Return a number of threads: None for as many as pay, -1 for all, or a ceiling of at least 1."""
    if value is None:
        return None
    number = count("n_threads", value, -1)
    if number == 0:
        raise ValueError("n_threads must be None, -1 or at least 1, got 0")
    return number


def learning_rate(name: str, value: Any) -> float | Callable[[int], float]:
    """Return a learning rate: a float that is not negative, or a function of the step."""
    if isinstance(value, type):
        raise TypeError(f"{name} must be a number or a function of the step, got the class {value.__name__}")
    if callable(value):
        schedule: Callable[[int], float] = value
        return schedule
    return not_negative(name, value)


def float_dtype(name: str, value: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype."""
    dtype: np.dtype[Any] | None
    try:
        dtype = None if value is None else np.dtype(value)
    except TypeError:
        dtype = None
    # NumPy reads None as float64, also where it compares dtypes.
    if dtype is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{name} must be float32 or float64, got {value!r}")
    return dtype


def _integer(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``."""
    if type(value) is not int and (isinstance(value, NO_NUMBERS) or not isinstance(value, numbers.Integral)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    number = int(value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def _as_float(name: str, value: Any) -> float:
    """Return a real number as a float."""
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must fit into a float, got an integer beyond 1e308") from None
