"""The estimators' tables: checked as scikit-learn checks them, and as the engine reads them."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_array, validate_data

from fastnn.checks import refuse_masked
from fastnn.engine.workspace import SparseColumns
from fastnn.specs import Architecture

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
REAL_KINDS = "fiub"


class SparseTable(Protocol):
    """A sparse matrix or array of SciPy's."""

    def tocsr(self) -> object:
        """Return it row by row."""


Table = ArrayLike | SparseTable


def _is_plain(estimator: Any, X: Any, reset: bool) -> bool:
    """Whether X is an array that scikit-learn would return as it is, without a warning.

    Its own checks, which look for frames of many libraries, take longer than the prediction of a row.
    """
    if type(X) is not np.ndarray or X.dtype not in FLOATS or X.ndim != 2 or not X.size:
        return False
    fitted = estimator.__dict__
    if not reset and ("feature_names_in_" in fitted or X.shape[1] != fitted.get("n_features_in_")):
        return False
    return _is_finite(X)


def _is_finite(numbers: np.ndarray) -> bool:
    """Whether no number is NaN or infinite, at a glance: no if their sum is too large, yes if told to assume it."""
    if get_config()["assume_finite"]:
        return True
    with np.errstate(all="ignore"):
        # Faster than `sum`, which adds more exactly.
        return math.isfinite(np.einsum("ij->" if numbers.ndim == 2 else "i->", numbers))


def refuse_times(name: str, value: Any) -> None:
    """Raise for dates and durations where scikit-learn's checks make numbers of them, and of NaT too."""
    if type(value) is np.ndarray and value.dtype.kind in REAL_KINDS:
        return
    try:
        array = np.asarray(value)
    except Exception:  # of what is no array, and not like one, scikit-learn makes no numbers
        return
    if array.dtype.kind in "mM":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    if array.dtype.kind == "O":
        for item in array.flat:
            if isinstance(item, np.datetime64 | np.timedelta64):
                raise TypeError(f"{name} must hold numbers, got {item!r}")


def require_format(table: Any) -> None:
    """Raise for a sparse table whose indices lead elsewhere; kernels trust them, and so do SciPy's conversions."""
    if issparse(table):
        table.check_format(full_check=True)


def checked_table(estimator: Any, X: Any) -> Any:
    """Return a table to apply a fitted estimator to; of any real dtype."""
    if _is_plain(estimator, X, reset=False):
        return X
    refuse_masked("X", X)
    table = validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False)
    if table.dtype.kind not in REAL_KINDS:
        # scikit-learn leaves these to NumPy's product, which has the words for what is no number.
        np.matmul(table, estimator.coefs_[0])
    refuse_times("X", X)
    require_format(table)
    return table


def checked_pair(estimator: Any, X: Any, y: Any, reset: bool, kinds: str, numeric: bool) -> tuple[Any, np.ndarray]:
    """Return table and targets to fit, these in one dimension if one column has them all.

    Targets of these kinds of dtype are seen at once to be fit.
    """
    if (
        type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in kinds and _is_plain(estimator, X, reset)
        and y.size == X.shape[0] and (y.dtype.kind != "f" or _is_finite(y))
    ):  # fmt: skip
        if reset:
            estimator.n_features_in_ = X.shape[1]
            estimator.__dict__.pop("feature_names_in_", None)
        return X, y
    refuse_masked("X", X)
    refuse_masked("y", y)
    table, targets = validate_data(
        estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=numeric,
        dtype=(np.float64, np.float32), reset=reset,
    )  # fmt: skip
    refuse_times("X", X)
    require_format(table)
    if issparse(targets) and (numeric or targets.ndim == 1):
        check_array(targets, accept_sparse=False, ensure_2d=False, input_name="y")
    if numeric:
        refuse_other_than_numbers("y", y, targets, table.dtype)
    elif targets.dtype.kind in "mM" and np.isnat(targets).any():
        raise ValueError("Input y contains NaT.")
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = column_or_1d(targets, warn=True)
    return table, targets


def refuse_other_than_numbers(name: str, given: Any, y: np.ndarray, dtype: np.dtype) -> None:
    """Raise for targets of a regression that passed scikit-learn's checks and are no numbers."""
    if y.dtype.kind not in REAL_KINDS:
        # scikit-learn leaves these to NumPy's difference from the outputs, which has the words.
        np.subtract(y, dtype.type(0))
    refuse_times(name, given)


def engine_columns(X: Any, dtype: np.dtype) -> np.ndarray | SparseColumns:
    """Return a checked table as the engine reads it: examples in columns, without a copy where possible."""
    if isinstance(X, np.ndarray):
        return X.T
    X = X.tocsr()
    numbers = np.ascontiguousarray(X.data, dtype)
    columns = X.indices if X.indices.dtype in (np.int32, np.int64) else X.indices.astype(np.int64)
    # A copy, checked as such: kernels trust the starts of rows, and the caller's may change at any time.
    starts = np.array(X.indptr, np.int64)
    if starts[0] < 0 or starts[-1] > min(numbers.size, columns.size) or (starts[1:] < starts[:-1]).any():
        raise ValueError("X must not change while it is read: its indptr no longer fits its data")
    return SparseColumns(numbers, np.ascontiguousarray(columns), starts, X.shape[1])


def largest(numbers: Any) -> float:
    """Return the largest magnitude in a checked table, or in targets."""
    if not isinstance(numbers, np.ndarray):
        numbers = numbers.data
    return max(float(numbers.max()), -float(numbers.min())) if numbers.size else 0.0


def engine_targets(y: np.ndarray, architecture: Architecture) -> np.ndarray:
    """Return targets as the engine reads them."""
    if y.dtype == bool:
        y = y.view(np.uint8)
    if y.ndim == 2:
        return y.T
    return y if architecture.output == "softmax" else y.reshape(1, -1)
