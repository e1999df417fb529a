"""Figures to look at a training and at what it has learned; matplotlib is imported when one is drawn.

Figures are made by pyplot where it has a backend, and nothing is shown or blocks: a notebook shows them by itself,
elsewhere call ``matplotlib.pyplot.show``.
"""

import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.history import History
from fastnn.interrupts import imported
from fastnn.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["plot_decision_boundary", "plot_history"]

# Okabe and Ito's colours, which people with any colour vision can tell apart. With a marker for each class, 8 by 7 of
# them differ.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#666666")
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
# name in a history, label, colour, dashes
_LOSSES = (("loss", "loss", "#0072B2", "-"), ("validation_loss", "validation loss", "#D55E00", "--"))
_SCORE = ("validation_score", "validation score", "#009E73", "-.")
# Losses that fall by more than this are drawn on a logarithmic axis.
_WIDE = 20.0
# A curve of so few epochs has a mark at each; above so many, which may be noisy, it is thin.
_FEW, _LONG = 20, 200
# Above so many points a legend no longer looks for its best place, which takes long.
_MANY = 2000


class Fitted(Protocol):
    """What has a history to draw: an estimator."""

    @property
    def history_(self) -> History: ...


class Predictor(Protocol):
    """What predicts a value or a class for each row."""

    def predict(self, X: Any, /) -> ArrayLike: ...


def plot_history(source: History | Fitted, axes: "Axes | None" = None) -> "Axes":
    """Draw losses by epoch, and the validation score if there is one.

    Parameters
    ----------
    source : History, or object with one as ``history_``
        What to draw: what a training returned, or a fitted estimator.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Of the losses; a validation score is drawn over them, with an axis of its own on the right.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If source or axes is something else.
    ValueError
        If the history is empty.

    Notes
    -----
    The axis of the losses is logarithmic if they are positive and spread over more than a factor of 20. Values that are
    not finite leave a gap, and the legend says where the first one is.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from fastnn import plot_history
    >>> from fastnn.reference import Network, train
    >>> axes = plot_history(train(Network([1, 1]), [[1.0]], [[2.0]], epochs=5))
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('epoch', 'loss')
    """
    history = source if isinstance(source, History) else getattr(source, "history_", None)
    if not isinstance(history, History):
        raise TypeError(f"source must be a History or have one as history_, got {type(source).__name__}")
    if not history.epochs:
        raise ValueError("source must have an epoch at least, got an empty History")
    axes = _checked_axes("plot_history", axes)
    lines = [_curve(axes, history, *style) for style in _LOSSES if getattr(history, style[0])]
    finite = np.concatenate([line.get_ydata() for line in lines])
    finite = finite[np.isfinite(finite)]
    if finite.size and finite.min() > 0 and finite.max() > _WIDE * finite.min():
        axes.set_yscale("log")
    axes.set_title("Training history", pad=26)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True)
    axes.grid(alpha=0.3)
    top = axes
    if history.validation_score:
        top = axes.twinx()
        lines.append(_curve(top, history, *_SCORE))
        top.set_ylabel("validation score", color=_SCORE[2])
        top.tick_params(axis="y", colors=_SCORE[2])
    # Losses end at the bottom and scores at the top: only above the curves there is always room.
    top.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize="small")
    return axes


def plot_decision_boundary(
    estimator: Predictor,
    X: ArrayLike,
    y: ArrayLike,
    axes: "Axes | None" = None,
    resolution: int = 200,
    probabilities: bool = False,
) -> "Axes":
    """Draw what an estimator predicts in the plane of two features, and examples over it.

    Parameters
    ----------
    estimator : object
        Fitted; has ``predict`` for rows of two features. A classifier, with ``classes_``, gets a region for each class;
        a regressor filled contours. What is neither by its own account goes by y: floats are for a regressor.
    X : array_like or data frame, shape (m, 2)
        Examples in rows. A data frame's column names become labels, and `estimator` is given such frames.
    y : array_like, shape (m,)
        Their classes, of any type, or values.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a new figure.
    resolution : int
        The plane is predicted at so many points in each direction; at least 2.
    probabilities : bool
        Whether regions are paler where ``predict_proba`` is less sure of the class.

    Returns
    -------
    matplotlib.axes.Axes
        With regions, examples, and a legend of the classes or a colour bar.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If an argument is of another type.
    ValueError
        If shapes do not fit, or X is not finite.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from fastnn import plot_decision_boundary
    >>> class Diagonal:
    ...     def predict(self, X):
    ...         return np.where(X[:, 0] > X[:, 1], "below", "above")
    >>> axes = plot_decision_boundary(Diagonal(), [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]], ["above", "below", "below"])
    >>> axes.get_title(), [text.get_text() for text in axes.get_legend().get_texts()]
    ('Diagonal: accuracy 1.000', ['above', 'below'])
    """
    if isinstance(estimator, Network) or not callable(getattr(estimator, "predict", None)):
        raise TypeError(f"estimator must have predict for examples in rows, got {type(estimator).__name__}")
    framed = hasattr(X, "columns")
    points = checks.real_array("X", X)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"X must have shape (m, 2) to be drawn in the plane, got shape {points.shape}")
    checks.require_finite("X", points)
    rows: Any = X if framed else points
    points, y = points.astype(np.float64), np.asarray(y)
    if y.shape not in ((len(points),), (len(points), 1)):
        raise ValueError(f"y must have shape ({len(points)},), one value for each row of X, got shape {y.shape}")
    y = y.ravel()
    resolution = checks.count("resolution", resolution, 2)
    if checks.flag("probabilities", probabilities) and not hasattr(estimator, "predict_proba"):
        raise TypeError(f"probabilities needs an estimator with predict_proba, got {type(estimator).__name__}")
    axes = _checked_axes("plot_decision_boundary", axes)

    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.1 * (high - low), 0.5 * np.maximum(1.0, abs(low)))
    ticks = [np.linspace(low[k] - margin[k], high[k] + margin[k], resolution) for k in range(2)]
    grid = _like(rows, np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 2))
    predicted, fitted = _predicted(estimator, grid), _predicted(estimator, rows)
    if _classifies(estimator, y):
        classifier: Any = estimator
        probable = np.asarray(classifier.predict_proba(grid)) if probabilities else None
        _draw_regions(axes, ticks, predicted, probable, points, y)
        score = f"accuracy {np.mean(fitted == y):.3f}"
    else:
        y = y.astype(np.float64)
        _draw_contours(axes, ticks, predicted.astype(np.float64), points, y)
        spread = np.square(y - y.mean()).sum()
        score = f"R2 {1 - np.square(y - fitted).sum() / spread:.3f}" if spread else ""
    axes.set_title(": ".join(part for part in (type(estimator).__name__, score) if part))
    names = list(rows.columns) if framed else ["$x_1$", "$x_2$"]
    axes.set_xlabel(str(names[0]))
    axes.set_ylabel(str(names[1]))
    axes.set_xlim(ticks[0][0], ticks[0][-1])
    axes.set_ylim(ticks[1][0], ticks[1][-1])
    return axes


def _curve(axes: "Axes", history: History, name: str, label: str, colour: str, dashes: str) -> "Line2D":
    """Draw a list of a history, and return the line."""
    values = np.array(getattr(history, name))
    missing = ~np.isfinite(values)
    if missing.any():
        first = int(missing.argmax())
        label += f" ({values[first]} at {first + 1})"
    return axes.plot(
        np.arange(1, values.size + 1),
        np.where(missing, np.nan, values),
        color=colour,
        linestyle=dashes,
        linewidth=1.8 if values.size <= _LONG else 1.1,
        marker="o" if values.size <= _FEW else None,
        markersize=4,
        label=label,
    )[0]


def _draw_regions(
    axes: "Axes",
    ticks: list[np.ndarray],
    predicted: np.ndarray,
    probable: np.ndarray | None,
    points: np.ndarray,
    y: np.ndarray,
) -> None:
    """Draw a region for each class that is predicted, and the examples of each."""
    from matplotlib.colors import to_rgb

    classes = np.unique(np.concatenate([y, predicted]))
    codes = np.searchsorted(classes, predicted)
    dark = np.array([to_rgb(_COLOURS[k % len(_COLOURS)]) for k in range(len(classes))])
    strength = np.full(codes.shape, 0.3)
    if probable is not None:
        even = 1 / probable.shape[1]
        strength = 0.05 + 0.45 * (probable.max(axis=1) - even) / (1 - even) if probable.shape[1] > 1 else strength
    shape = (ticks[1].size, ticks[0].size)
    colours = 1 - strength[:, None] * (1 - dark[codes])
    # The outermost points are the centres of the outermost cells.
    (left, right), (bottom, top) = ((t[0] - (t[1] - t[0]) / 2, t[-1] + (t[1] - t[0]) / 2) for t in ticks)
    axes.imshow(colours.reshape(*shape, 3), origin="lower", extent=(left, right, bottom, top), aspect="auto", zorder=0)
    codes = codes.reshape(shape)
    for k in np.unique(codes)[1:]:
        # Below this class or not: every boundary lies between two such sets.
        axes.contour(*ticks, codes >= k, levels=[0.5], colors="0.25", linewidths=0.8)
    for k, name in enumerate(classes):
        of_class = y == name
        axes.scatter(
            points[of_class, 0], points[of_class, 1], s=22, color=dark[k], marker=_MARKERS[k % len(_MARKERS)],
            edgecolors="white", linewidths=0.5, label=str(name),
        )  # fmt: skip
    axes.legend(title="class", loc="best" if len(points) <= _MANY else "upper right")


def _draw_contours(
    axes: "Axes", ticks: list[np.ndarray], predicted: np.ndarray, points: np.ndarray, y: np.ndarray
) -> None:
    """Draw predicted values as filled contours, the examples in the same colours, and what these mean."""
    from matplotlib.ticker import MaxNLocator

    both = np.concatenate([predicted, y])
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    levels = MaxNLocator(20).tick_values(low, high)
    values = np.ma.masked_invalid(predicted.reshape(ticks[1].size, ticks[0].size))
    # cividis looks alike to people with any colour vision.
    filled = axes.contourf(*ticks, values, levels=levels, cmap="cividis", zorder=0)
    x1, x2 = points.T
    norm: Any = filled.norm  # hints call it a Norm here, a Normalize below
    axes.scatter(x1, x2, c=y, s=22, cmap=filled.cmap, norm=norm, edgecolors="white", linewidths=0.7)
    axes.figure.colorbar(filled, ax=axes, label="value")


def _predicted(estimator: Predictor, X: Any) -> np.ndarray:
    """Return one prediction for each row."""
    values = np.asarray(estimator.predict(X))
    if values.shape not in ((len(X),), (len(X), 1)):
        raise ValueError(f"predict of estimator must return one value a row, got shape {values.shape} for {len(X)}")
    return values.ravel()


def _classifies(estimator: Predictor, y: np.ndarray) -> bool:
    """Tell whether predictions are classes."""
    if hasattr(estimator, "classes_"):
        return True
    tags = getattr(estimator, "__sklearn_tags__", None)
    kind = tags().estimator_type if callable(tags) else None
    return y.dtype.kind != "f" if kind is None else kind != "regressor"


def _like(X: Any, points: np.ndarray) -> Any:
    """Return points as a frame with the columns of X, or of its dtype, so that an estimator gets what it knows."""
    if hasattr(X, "columns"):
        return type(X)(dict(zip(X.columns, points.T, strict=True)))
    dtype = getattr(X, "dtype", points.dtype)
    return points.astype(dtype) if np.dtype(dtype).kind == "f" else points


def _checked_axes(name: str, axes: "Axes | None") -> "Axes":
    """Return the caller's axes, or those of a new figure."""
    Axes: type = checks.needed_module("matplotlib.axes", "matplotlib", name).Axes
    if axes is None:
        return _new_axes()
    if not isinstance(axes, Axes):
        raise TypeError(f"axes must be None or matplotlib's Axes, got {type(axes).__name__}")
    return axes


def _new_axes() -> "Axes":
    """Return the axes of a new figure: pyplot's where it can make one, or one that can be saved only."""
    if threading.current_thread() is threading.main_thread():
        pyplot = imported("matplotlib.pyplot")
        try:
            axes: Axes = pyplot.subplots(layout="constrained")[1]
            return axes
        except ImportError:  # the backend that was asked for needs a display
            pass
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots()
