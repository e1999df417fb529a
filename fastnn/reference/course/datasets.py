"""The data sets of the notebooks: circles, moons, football, the planar spiral and cats."""

import os
from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course.figures import draw_examples


def load_circles(is_plot: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw two noisy circles, one in the other, to train and to test on.

    It is `load_dataset` of the initialization notebook.

    Parameters
    ----------
    is_plot : bool
        Whether to draw a scatter of the training set.

    Returns
    -------
    train_X : numpy.ndarray, shape (2, 300), float64
    train_Y : numpy.ndarray, shape (1, 300), int64
    test_X : numpy.ndarray, shape (2, 100), float64
    test_Y : numpy.ndarray, shape (1, 100), int64

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    TypeError
        If is_plot is not a bool.

    Notes
    -----
    NumPy's global stream is seeded with 1 before the first and with 2 before the second set.

    Examples
    --------
    >>> train_X, train_Y, test_X, test_Y = load_circles()  # doctest: +SKIP
    """
    is_plot = checks.flag("is_plot", is_plot)
    datasets = checks.needed_module("sklearn.datasets", "scikit-learn", "load_dataset")
    np.random.seed(1)
    train_X, train_Y = datasets.make_circles(n_samples=300, noise=0.05)
    np.random.seed(2)
    test_X, test_Y = datasets.make_circles(n_samples=100, noise=0.05)
    train_X, train_Y = train_X.T, train_Y.reshape(1, -1)  # (2, 300), (1, 300)
    test_X, test_Y = test_X.T, test_Y.reshape(1, -1)  # (2, 100), (1, 100)
    if is_plot:
        draw_examples(train_X, train_Y)
    return train_X, train_Y, test_X, test_Y


def load_moons(is_plot: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Draw two noisy half-moons to train on.

    It is `load_dataset` of the optimization notebook.

    Parameters
    ----------
    is_plot : bool
        Whether to draw a scatter of them.

    Returns
    -------
    train_X : numpy.ndarray, shape (2, 300), float64
    train_Y : numpy.ndarray, shape (1, 300), int64

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    TypeError
        If is_plot is not a bool.

    Notes
    -----
    NumPy's global stream is seeded with 3.

    Examples
    --------
    >>> train_X, train_Y = load_moons()  # doctest: +SKIP
    """
    is_plot = checks.flag("is_plot", is_plot)
    datasets = checks.needed_module("sklearn.datasets", "scikit-learn", "load_dataset")
    np.random.seed(3)
    train_X, train_Y = datasets.make_moons(n_samples=300, noise=0.2)
    train_X, train_Y = train_X.T, train_Y.reshape(1, -1)  # (2, 300), (1, 300)
    if is_plot:
        draw_examples(train_X, train_Y)
    return train_X, train_Y


def load_2D_dataset(
    path: str | os.PathLike[str] | None = None, is_plot: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read the football data set.

    Parameters
    ----------
    path : path-like, optional
        The file data.mat or the folder that holds it. By default datasets/data.mat under the
        working directory, where the notebooks have it.
    is_plot : bool
        Whether to draw a scatter of the training set.

    Returns
    -------
    train_X : numpy.ndarray, shape (2, 211), float64
    train_Y : numpy.ndarray, shape (1, 211), uint8
    test_X : numpy.ndarray, shape (2, 200), float64
    test_Y : numpy.ndarray, shape (1, 200), uint8

    Raises
    ------
    ImportError
        If SciPy is missing.
    TypeError
        If path is neither a string nor a path, or is_plot not a bool.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file does not hold X, y, Xval and yval.

    Notes
    -----
    The file belongs to the course and does not come with fastnn.

    Examples
    --------
    >>> train_X, train_Y, test_X, test_Y = load_2D_dataset("datasets")  # doctest: +SKIP
    """
    is_plot = checks.flag("is_plot", is_plot)
    file = Path("datasets") / "data.mat" if path is None else _checked_path(path)
    if file.is_dir():
        file = file / "data.mat"
    if not file.is_file():
        raise FileNotFoundError(
            f"the football data set was looked for at {file.absolute()} and is not there; "
            f"give load_2D_dataset(path=...) the place of data.mat"
        )
    data = checks.needed_module("scipy.io", "scipy", "load_2D_dataset").loadmat(file)
    _require_entries(file, data, "X", "y", "Xval", "yval")
    train_X, train_Y, test_X, test_Y = (np.ascontiguousarray(data[key].T) for key in ("X", "y", "Xval", "yval"))
    if is_plot:
        draw_examples(train_X, train_Y)
    return train_X, train_Y, test_X, test_Y


def load_planar_dataset(randomness: float, seed: int, is_plot: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Draw two spirals of 25 points each.

    r = c t^2 + randomness * noise, with c = 0.3 for the first and 0.2 for the second; the points
    are (r cos t, r sin t).

    Parameters
    ----------
    randomness : float
        Standard deviation of the noise.
    seed : int
        Seed of NumPy's global stream.
    is_plot : bool
        Whether to draw a scatter of the points.

    Returns
    -------
    X : numpy.ndarray, shape (2, 50), float64
    Y : numpy.ndarray, shape (1, 50), uint8

    Raises
    ------
    TypeError, ValueError
        If randomness is not a real number, seed not an integer in [0, 2**32), or is_plot not a bool.

    Examples
    --------
    >>> X, Y = load_planar_dataset(0.5, 1)
    >>> X.shape, Y.shape, Y.dtype
    ((2, 50), (1, 50), dtype('uint8'))
    """
    randomness = checks.real_number("randomness", randomness)
    checked_seed, is_plot = checks.legacy_seed(seed), checks.flag("is_plot", is_plot)
    np.random.seed(checked_seed)
    n = 25
    pi = 3.1415  # the course's
    X = np.empty((2, 2 * n))
    for k, curl in enumerate((0.3, 0.2)):
        t = np.linspace(k, 4 * pi, n)
        r = curl * np.square(t) + np.random.randn(n) * randomness
        X[:, k * n : (k + 1) * n] = r * np.cos(t), r * np.sin(t)
    Y = np.repeat(np.array([[0, 1]], dtype=np.uint8), n, axis=1)
    if is_plot:
        draw_examples(X, Y)
    return X, Y


def load_cats(
    path: str | os.PathLike[str] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read the pictures of cats and of other things.

    It is `load_cat_dataset` of the initialization notebook and `load_dataset` of the regularization notebook, which
    no cell of theirs calls.

    Parameters
    ----------
    path : path-like, optional
        The folder that holds train_catvnoncat.h5 and test_catvnoncat.h5. By default datasets under the
        working directory, where the notebooks have it.

    Returns
    -------
    train_X : numpy.ndarray, shape (n_x, m), float64
        Pictures in columns, their bytes divided by 255.
    train_Y : numpy.ndarray, shape (1, m)
        Labels, 1 for a cat.
    test_X : numpy.ndarray, shape (n_x, k), float64
    test_Y : numpy.ndarray, shape (1, k)
    classes : numpy.ndarray
        The names of the labels, as bytes.

    Raises
    ------
    ImportError
        If h5py is missing.
    TypeError
        If path is neither a string nor a path.
    FileNotFoundError
        If a file is not there.
    ValueError
        If a file does not hold what its name says.

    Notes
    -----
    The files belong to the course and do not come with fastnn.

    Examples
    --------
    >>> train_X, train_Y, test_X, test_Y, classes = load_cats("datasets")  # doctest: +SKIP
    """
    folder = Path("datasets") if path is None else _checked_path(path)
    files = [folder / f"{part}_catvnoncat.h5" for part in ("train", "test")]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"the cats were looked for at {file.absolute()} and are not there; give path=... the folder of "
                f"train_catvnoncat.h5 and test_catvnoncat.h5"
            )
    h5py = checks.needed_module("h5py", "h5py", "the data set of cats")
    with h5py.File(files[0], "r") as data:
        _require_entries(files[0], data, "train_set_x", "train_set_y")
        train_X, train_Y = _columns(data["train_set_x"], data["train_set_y"])
    with h5py.File(files[1], "r") as data:
        _require_entries(files[1], data, "test_set_x", "test_set_y", "list_classes")
        test_X, test_Y = _columns(data["test_set_x"], data["test_set_y"])
        classes = np.array(data["list_classes"])
    return train_X, train_Y, test_X, test_Y, classes


def _columns(pictures: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures, one after another, as columns of numbers from 0 to 1, and their labels as a row."""
    X, Y = np.array(pictures), np.array(labels)
    return X.reshape(len(X), -1).T / 255, Y.reshape(1, -1)  # (n_x, m), (1, m)


def _checked_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that the caller has given."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a string or a path, got {path!r}")
    return Path(path)


def _require_entries(file: Path, data: Container[str], *names: str) -> None:
    """Raise unless a file holds these arrays."""
    missing = [name for name in names if name not in data]
    if missing:
        *first, last = names
        raise ValueError(f"{file.absolute()} must hold {', '.join(first)} and {last}, and lacks {', '.join(missing)}")
