"""The estimators' tables: checked as scikit-learn checks them, and as the engine reads them."""

import math
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import validate_data

from fastnn._model import Model
from fastnn._workspace import SparseColumns

__all__ = ["checked_pair", "checked_table", "engine_columns", "engine_targets", "largest"]

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


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
        # Sooner than `sum`, which adds more exactly.
        return math.isfinite(np.einsum("ij->" if numbers.ndim == 2 else "i->", numbers))


def checked_table(estimator: Any, X: Any) -> Any:
    """Return a table to apply a fitted estimator to; of any real dtype."""
    if _is_plain(estimator, X, reset=False):
        return X
    return validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False)


def checked_pair(estimator: Any, X: Any, y: Any, reset: bool, kinds: str, numeric: bool) -> tuple[Any, np.ndarray]:
    """Return table and targets to fit; targets of these kinds of dtype are seen at once to be fit."""
    if (
        type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in kinds and _is_plain(estimator, X, reset)
        and y.size == X.shape[0] and (y.dtype.kind != "f" or _is_finite(y))
    ):  # fmt: skip
        if reset:
            estimator.n_features_in_ = X.shape[1]
            estimator.__dict__.pop("feature_names_in_", None)
        return X, y
    return validate_data(
        estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=numeric,
        dtype=(np.float64, np.float32), reset=reset,
    )  # fmt: skip


def engine_columns(X: Any, dtype: np.dtype) -> np.ndarray | SparseColumns:
    """Return a checked table as the engine reads it: examples in columns, without a copy where possible."""
    if isinstance(X, np.ndarray):
        return X.T
    X = X.tocsr()
    X.check_format(full_check=True)
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


def engine_targets(y: np.ndarray, model: Model) -> np.ndarray:
    """Return targets as the engine reads them."""
    if y.dtype == bool:
        y = y.view(np.uint8)
    if y.ndim == 2:
        return y.T
    return y if model.output == "softmax" else y.reshape(1, -1)
