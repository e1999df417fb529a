"""The data of the experiments, as arrays and nothing else: the notebooks' loaders draw a scatter too.

Circles and moons are those of `load_dataset`. The football data set belongs to the course and does not come with
fastnn; `football_stand_in` has its shape where it is not at hand.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastnn.interrupts import imported
from fastnn.reference.course.datasets import load_circles, load_moons

# Outline of the stand-in's field, and the noise around its boundary; see `football_stand_in`.
_LEFT_BOTTOM, _RIGHT_TOP = np.array([-0.6, -0.65]), np.array([0.3, 0.55])
_SPREAD = 0.11


class Data(NamedTuple):
    """Examples in columns with their labels, to train on and, where there are some, to test on.

    Parameters
    ----------
    train_X : numpy.ndarray, shape (2, m)
        Examples to train on.
    train_Y : numpy.ndarray, shape (1, m)
        Their labels, 0 or 1.
    test_X : numpy.ndarray, shape (2, k), optional
        Examples to test on.
    test_Y : numpy.ndarray, shape (1, k), optional
        Their labels.

    Examples
    --------
    >>> Data(np.zeros((2, 3)), np.zeros((1, 3))).test_X is None
    True
    """

    train_X: np.ndarray
    train_Y: np.ndarray
    test_X: np.ndarray | None = None
    test_Y: np.ndarray | None = None


def circles() -> Data:
    """Draw two noisy circles, one in the other: 300 points to train on, 100 to test on.

    Returns
    -------
    Data
        float64 coordinates, int64 labels.

    Raises
    ------
    ImportError
        If scikit-learn is missing.

    Notes
    -----
    The initialization notebook's `load_dataset`: NumPy's global stream is seeded with 1 before the first set and
    with 2 before the second.

    Examples
    --------
    >>> circles().train_X.shape
    (2, 300)
    """
    return Data(*load_circles(is_plot=False))


def moons() -> Data:
    """Draw two noisy half-moons, 300 points to train on.

    Returns
    -------
    Data
        float64 coordinates, int64 labels; no test set.

    Raises
    ------
    ImportError
        If scikit-learn is missing.

    Notes
    -----
    The optimization notebook's `load_dataset`: NumPy's global stream is seeded with 3.

    Examples
    --------
    >>> moons().train_X.shape
    (2, 300)
    """
    return Data(*load_moons(is_plot=False))


def football_file(path: str | os.PathLike[str] | None = None) -> Path | None:
    """Find data.mat, the football data set.

    Parameters
    ----------
    path : path-like, optional
        The file, or the folder that holds data.mat. By default datasets/data.mat under the working directory.

    Returns
    -------
    pathlib.Path or None
        The file; None if no path was given and there is none in the default place.

    Raises
    ------
    FileNotFoundError
        If a path was given and there is no such file.

    Examples
    --------
    >>> football_file("no/such/place")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no football data set at no/such/place; expected data.mat or the folder that holds it
    """
    file = Path("datasets/data.mat" if path is None else path)
    if file.is_dir():
        file = file / "data.mat"
    if file.is_file():
        return file
    if path is None:
        return None
    raise FileNotFoundError(f"no football data set at {path}; expected data.mat or the folder that holds it")


def football(file: str | os.PathLike[str]) -> Data:
    """Read the football data set of the regularization notebook.

    Parameters
    ----------
    file : path-like
        A MATLAB file that holds X (m, 2), y (m, 1), Xval (k, 2) and yval (k, 1).

    Returns
    -------
    Data
        In the dtypes of the file: float64 coordinates and uint8 labels in the course's own.

    Raises
    ------
    ImportError
        If SciPy is missing.
    ValueError
        If the file cannot be read as a MATLAB file, or what it holds is not a football data set.

    Examples
    --------
    >>> football("datasets/data.mat").train_X.shape  # doctest: +SKIP
    (2, 211)
    """
    loadmat = imported("scipy.io").loadmat
    try:
        contents = loadmat(file)
    except Exception as error:  # damaged files make it raise almost anything
        raise ValueError(f"{file} cannot be read as a MATLAB file: {error}") from error
    missing = [name for name in ("X", "y", "Xval", "yval") if not isinstance(contents.get(name), np.ndarray)]
    if missing:
        raise ValueError(f"{file} must hold arrays X, y, Xval and yval, and lacks {', '.join(missing)}")
    for points, labels in (("X", "y"), ("Xval", "yval")):
        X, Y = contents[points], contents[labels]
        if X.size == 0 or X.shape[1:] != (2,) or Y.shape != (X.shape[0], 1):
            raise ValueError(
                f"{file} must hold {points} of shape (m, 2) and {labels} of shape (m, 1), "
                f"got shapes {X.shape} and {Y.shape}"
            )
        if not {X.dtype.kind, Y.dtype.kind} <= set("fiu") or not np.isfinite(X).all() or not np.isin(Y, (0, 1)).all():
            raise ValueError(f"{file} must hold finite numbers in {points} and only 0 and 1 in {labels}")
    return Data(*(np.ascontiguousarray(contents[name].T) for name in ("X", "y", "Xval", "yval")))


def football_stand_in() -> Data:
    """Draw a data set like the football one: 211 points to train on, 200 to test on.

    Points are uniform on a field of about 0.9 by 1.2. Label 1 is drawn for those right of the curve
    x1 = 0.3 x2 + 0.12 sin(5 x2) - 0.12, the distance having normal noise, so that the classes overlap: a network
    without regularization learns the noise.

    Returns
    -------
    Data
        float64 coordinates, uint8 labels; the same at every call.

    Notes
    -----
    NumPy's global stream is left alone.

    Examples
    --------
    >>> data = football_stand_in()
    >>> data.train_X.shape, data.test_Y.shape, data.test_Y.dtype
    ((2, 211), (1, 200), dtype('uint8'))
    """
    rng = np.random.RandomState(2)

    def draw(m: int) -> tuple[np.ndarray, np.ndarray]:
        X = rng.uniform(_LEFT_BOTTOM, _RIGHT_TOP, (m, 2)).T  # (2, m)
        x1, x2 = X
        distance = x1 - (0.3 * x2 + 0.12 * np.sin(5 * x2) - 0.12)
        Y = distance + _SPREAD * rng.standard_normal(m) > 0
        return np.ascontiguousarray(X), Y.astype(np.uint8).reshape(1, m)

    return Data(*draw(211), *draw(200))
