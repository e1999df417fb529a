"""Arrays of real numbers, whatever they stand for."""

import math
from typing import Any

import numpy as np

FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)

# What is halfway between the largest float32 and what would be the next: from here on numbers are rounded to infinity.
FLOAT32_OVERFLOW = (2.0 - 2.0**-24) * 2.0**127
REAL_KINDS = "fiub"

# Every real type that both NumPy and compiled code compute with: not float16, not long double.
NATIVE_CHARACTERS = "dfiIlLqQbBhH?"

# Elements of an array that is copied faster than NumPy prepares a reduction.
FEW = 4096

# Arrays whose masks compiled code would not see, and whose * is a matrix product.
OTHER_ARITHMETIC = np.ma.MaskedArray, np.matrix


def real_array(name: str, value: Any) -> np.ndarray:
    """Return ``value`` as a non-empty array of real numbers, without a copy where none is needed."""
    if type(value) is np.ndarray:
        dtype = value.dtype
        if (dtype is FLOAT64 or (dtype.char in NATIVE_CHARACTERS and dtype.isnative)) and value.size:
            return value
    return _converted(name, value)


def refuse_masked(name: str, value: Any) -> None:
    """Raise if an array, or a row of a list, has masked entries, which `numpy.asarray` takes for numbers."""
    rows = value if isinstance(value, list | tuple) else (value,)
    masked = sum(int(np.ma.getmaskarray(row).sum()) for row in rows if isinstance(row, np.ma.MaskedArray))
    if masked:
        raise ValueError(
            f"{name} must have no masked entries, got {masked}: fill them first, with numpy.ma.filled, or leave their "
            "examples out"
        )


def require_finite(name: str, array: np.ndarray, dtype: np.dtype = FLOAT64) -> None:
    """Raise if an array holds NaN or infinity, or what becomes infinite in the dtype that it is computed in."""
    if array.dtype.kind != "f":
        return
    narrower = dtype.itemsize < array.dtype.itemsize
    if narrower or array.size < FEW:
        low, high = extremes(array)
        bound = FLOAT32_OVERFLOW if narrower else math.inf
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
        fits = np.abs(array) < FLOAT32_OVERFLOW
        what = f"within {dtype}, in which the network computes"
    if not fits.all():
        index = tuple(int(i) for i in np.unravel_index(np.argmin(fits), array.shape))
        raise ValueError(f"{name} must be {what}, got {float(array[index])} at index {index}")


def plain(array: np.ndarray) -> np.ndarray:
    """Return an array whose elements sit at multiples of their size, with uint8 for bool."""
    if array.dtype.char == "?":
        return array.view(np.uint8)
    return array if array.flags.aligned else array.copy()


def extremes(array: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest element, NaN if there is one."""
    if array.size < FEW:
        # Methods of an array are called faster than ufuncs' reductions, but copy what is not contiguous.
        return array.item(array.argmin()), array.item(array.argmax())
    with np.errstate(invalid="ignore"):
        return array.min(), array.max()


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
    if dtype.kind not in REAL_KINDS:
        raise TypeError(f"{name} must hold real numbers (float, integer or bool), got dtype {dtype}")
    if not array.size:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if dtype.char not in NATIVE_CHARACTERS:
        return array.astype(np.float64)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _refuse_masked_and_sparse(name: str, value: Any) -> None:
    """Raise for what `numpy.asarray` would take for something else: it forgets masks, and sees no numbers in sparse."""
    if hasattr(value, "tocsr"):
        raise TypeError(
            f"{name} must be dense, got a sparse {type(value).__name__}: give its toarray() "
            "(MLPClassifier and MLPRegressor take sparse tables)"
        )
    refuse_masked(name, value)
