"""Figures of the notebooks: cost curve, scatter of a data set, decision boundary.

A cost curve and a scatter are drawn into the current axes while those are empty, as a notebook's figure with a size of
its own is. Otherwise into a figure of ours, one for all cost curves and one for all data sets, cleared and reused. On a
backend without windows (agg and the like) nothing is shown: the figure stays the current one, so that
`matplotlib.pyplot.savefig` finds it.
"""

import importlib.util
import threading
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.interrupts import imported

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS, _EXAMPLES = "fastnn", "fastnn data"
_WITHOUT_WINDOWS = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}
_GRID_STEP = 0.01
_MAX_GRID_POINTS = 25_000_000
_MAX_AXIS_POINTS = 5000  # its square is _MAX_GRID_POINTS


def plot_decision_boundary(model: Callable[[np.ndarray], np.ndarray], X: ArrayLike, y: ArrayLike) -> None:
    """Draw the regions that a classifier of points in the plane makes, and the examples over them.

    Parameters
    ----------
    model : callable
        Takes an array of shape (k, 2), a point a row, and returns k decisions, of any shape.
    X : array_like, shape (2, m)
        Examples in columns.
    y : array_like, shape (1, m) or (m,)
        Labels, which colour the examples.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError
        If X or y does not hold real numbers, or model is not callable.
    ValueError
        If shapes do not fit, or X is not finite.

    Notes
    -----
    Drawn into the current axes, so that a title or limits set before stay. The grid has steps of
    0.01 and a margin of 1 around the examples. Only where that would make more than 25 million
    points are the steps larger: each axis then has at most 5000.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0, 1]])
    >>> plot_decision_boundary(lambda points: points[:, 0] > 0.5, X, y)
    """
    if not callable(model):
        raise TypeError(f"model must be a function of an array of shape (k, 2), got {model!r}")
    X = checks.examples("X", X)
    if X.shape[0] != 2:
        raise ValueError(f"X must have shape (2, m) to be drawn in the plane, got shape {X.shape}")
    checks.require_finite("X", X)
    y = checks.labels("y", y, X.shape[1])
    if y.shape[0] != 1:
        raise ValueError(f"y must have shape (1, {X.shape[1]}) or ({X.shape[1]},), got shape {y.shape}")
    if not _available():
        raise ImportError("plot_decision_boundary needs matplotlib, which is not installed")
    plt = imported("matplotlib.pyplot")
    x1, x2 = _grid(np.asarray(X, dtype=np.float64))
    points = np.column_stack([x1.ravel(), x2.ravel()])  # (k, 2)
    decisions = np.asarray(model(points)).reshape(x1.shape)
    axes = _current_axes(plt)
    axes.contourf(x1, x2, decisions, cmap="Spectral")
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    axes.scatter(X[0], X[1], c=y.ravel(), cmap="Spectral")
    _show(plt)


def draw_costs(costs: Sequence[float | np.floating], x_label: str, title: str) -> None:
    """Draw a cost curve if there is one and matplotlib can; a failure is a warning."""
    if len(costs):
        _draw_if_possible("the cost curve", _COSTS, lambda axes: _cost_curve(axes, costs, x_label, title), shown=True)


def draw_examples(X: np.ndarray, Y: np.ndarray) -> None:
    """Draw the points of a data set, X (2, m), in the colours of Y (1, m), if matplotlib can.

    It is not shown yet, so that a title may follow: a notebook shows what a cell has drawn at its end.
    """
    _draw_if_possible(
        "the data set",
        _EXAMPLES,
        lambda axes: axes.scatter(X[0], X[1], c=Y.ravel(), s=40, cmap="Spectral"),
        shown=False,
    )


def _cost_curve(axes: "Axes", costs: Sequence[float | np.floating], x_label: str, title: str) -> None:
    """Draw costs with the notebooks' labels."""
    axes.plot(np.asarray(costs))
    axes.set_ylabel("cost")
    axes.set_xlabel(x_label)
    axes.set_title(title)


def _draw_if_possible(what: str, figure: str, draw: Callable[["Axes"], object], shown: bool) -> None:
    """Draw into empty axes or our cleared figure; without matplotlib, or off the main thread, do nothing."""
    if not _on_main_thread() or not _available():
        return
    try:
        plt = imported("matplotlib.pyplot")
        draw(_empty_axes(plt, figure))
        if shown:
            _show(plt)
    except Exception as error:  # whatever goes wrong here, the caller's result must get through
        warnings.warn(f"{what} could not be drawn: {error}", RuntimeWarning, stacklevel=2)


def _empty_axes(plt: ModuleType, figure: str) -> "Axes":
    """Return the current axes if nothing was drawn into them, or else those of our figure."""
    if plt.get_fignums():
        axes: Axes = plt.gca()
        if not axes.has_data():
            return axes
    axes = plt.figure(figure, clear=True).gca()
    return axes


def _current_axes(plt: ModuleType) -> "Axes":
    """Return the current axes; if they are ours, without the points and lines of the last drawing."""
    if not plt.get_fignums():
        plt.figure(_COSTS)
    axes: Axes = plt.gca()
    if plt.gcf().get_label() in (_COSTS, _EXAMPLES):
        for artist in [*axes.lines, *axes.collections]:
            artist.remove()
        axes.relim()
    return axes


def _show(plt: ModuleType) -> None:
    """Show the figure if the backend has a way to and this thread may."""
    if plt.get_backend().lower() not in _WITHOUT_WINDOWS and _on_main_thread():
        plt.show()


def _grid(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of a grid over the examples and a margin of 1."""
    low, high = X.min(axis=1) - 1, X.max(axis=1) + 1  # (2,)
    steps = np.full(2, _GRID_STEP)
    extents = high - low
    if np.prod(np.ceil(extents / steps)) > _MAX_GRID_POINTS:
        steps = np.maximum(steps, extents / _MAX_AXIS_POINTS)
    ticks = [low[i] + steps[i] * np.arange(np.ceil(extents[i] / steps[i])) for i in range(2)]
    return tuple(np.meshgrid(*ticks))


def _available() -> bool:
    """Tell whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def _on_main_thread() -> bool:
    """Tell whether windows may be opened from here."""
    return threading.current_thread() is threading.main_thread()
