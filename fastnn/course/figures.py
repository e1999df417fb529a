"""Figures of experiments: cost curves side by side, and decision boundaries.

They are made without pyplot: no display is needed, and no figure of the caller's is touched.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fastnn.course import experiments
from fastnn.course.experiments import Outcome

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_CURVES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"))
_CLASSES = (("#0072B2", "#BFDDF0", "o"), ("#D55E00", "#F8D9BF", "^"))
_PIXELS_PER_INCH = 110


def cost_curves(outcomes: Sequence[Outcome], stand_in: bool = False) -> Figure:
    """Draw the cost curves, a panel for each group of experiments, side by side.

    Parameters
    ----------
    outcomes : sequence of Outcome
        At least one; those of a group next to each other.
    stand_in : bool
        Whether the football data set was the stand-in, which the titles then say.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas, ready for `savefig`.

    Notes
    -----
    Costs that are not finite leave a gap, and the legend says where.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from fastnn.course.datasets import football_stand_in
    >>> short = replace(experiments.EXPERIMENTS["none"], settings={"num_iterations": 5})
    >>> outcome = experiments.run(short, football_stand_in(), timed=False)
    >>> cost_curves([outcome], stand_in=True).axes[0].get_title()
    'regularization (stand-in data)'
    """
    groups = _groups(outcomes)
    figure = _figure(max(5.5, 4.4 * len(groups)), 4.4)
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        for outcome, (colour, dashes) in zip(group, _CURVES, strict=False):
            costs = np.array(outcome.curve.costs)
            missing = ~np.isfinite(costs)
            label = outcome.experiment.title
            if missing.any():
                at = outcome.curve.iterations[int(np.flatnonzero(missing)[0])]
                label += f" ({costs[missing][0]} at {at})"
            axes.plot(
                outcome.curve.iterations,
                np.where(missing, np.nan, costs),
                color=colour,
                linestyle=dashes,
                linewidth=1.8,
                marker="o" if (~missing).sum() == 1 else None,
                label=label,
            )
        axes.set_title(_group_title(group, stand_in))
        axes.set_xlabel("epoch" if group[0].experiment.counts == "num_epochs" else "iteration")
        axes.set_ylabel("cost")
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8.5)
    return figure


def decision_boundaries(outcomes: Sequence[Outcome], stand_in: bool = False) -> Figure:
    """Draw for each experiment the regions that its network makes, and the training examples over them.

    Parameters
    ----------
    outcomes : sequence of Outcome
        At least one; those of a group, which make a row, next to each other.
    stand_in : bool
        Whether the football data set was the stand-in, which the titles then say.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas, ready for `savefig`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from fastnn.course.datasets import football_stand_in
    >>> short = replace(experiments.EXPERIMENTS["none"], settings={"num_iterations": 5})
    >>> outcome = experiments.run(short, football_stand_in(), timed=False)
    >>> decision_boundaries([outcome]).axes[0].get_title().splitlines()[0]
    'no regularization'
    """
    groups = _groups(outcomes)
    columns = max(len(group) for group in groups)
    row, key = 3.9, 0.55  # inches
    figure = _figure(max(4.8, 3.4 * columns), row * len(groups) + key)
    rows: Any = figure.subfigures(len(groups) + 1, 1, height_ratios=[row] * len(groups) + [key])
    *parts, bottom = rows
    for part, group in zip(parts, groups, strict=True):
        part.suptitle(_group_title(group, stand_in), x=0.01, ha="left", fontweight="bold")
        # A row with fewer panels keeps the panels' size: the rest of its axes stay empty.
        panels = part.subplots(1, columns, squeeze=False)[0]
        for axes in panels[len(group) :]:
            axes.set_axis_off()
        for axes, outcome in zip(panels, group, strict=False):
            _boundary(axes, outcome)
    marks = [
        Line2D([], [], color=dark, marker=marker, linestyle="none", label=f"training example of class {k}")
        for k, (dark, _, marker) in enumerate(_CLASSES)
    ]
    areas = [Patch(facecolor=light, label=f"predicted class {k}") for k, (_, light, _) in enumerate(_CLASSES)]
    bottom.legend(handles=[*marks, *areas], loc="center", ncols=min(4, max(2, columns)))
    return figure


def _boundary(axes: Axes, outcome: Outcome) -> None:
    """Draw one network's regions, and its training examples."""
    X, Y = outcome.data.train_X, outcome.data.train_Y
    low, high = X.min(axis=1), X.max(axis=1)
    margin = 0.12 * (high - low) + 1e-3
    low, high = low - margin, high + margin
    ticks = round(experiments.GRID_POINTS**0.5)
    x1, x2 = np.meshgrid(*(np.linspace(low[k], high[k], ticks) for k in range(2)))
    classes = outcome.classify(np.stack([x1.ravel(), x2.ravel()])).reshape(x1.shape)
    colours = ListedColormap([light for _, light, _ in _CLASSES])
    axes.imshow(
        classes, cmap=colours, vmin=0, vmax=1, origin="lower", extent=(low[0], high[0], low[1], high[1]), aspect="auto"
    )
    if classes.any() and not classes.all():
        axes.contour(x1, x2, classes, levels=[0.5], colors="0.25", linewidths=0.8)
    for k, (dark, _, marker) in enumerate(_CLASSES):
        of_class = Y[0] == k
        axes.scatter(
            X[0, of_class], X[1, of_class], s=14, marker=marker, color=dark, edgecolors="white", linewidths=0.4
        )
    accuracy = f"train {outcome.train_accuracy:.3f}"
    if outcome.test_accuracy is not None:
        accuracy += f", test {outcome.test_accuracy:.3f}"
    axes.set_box_aspect(1)
    axes.set_title(f"{outcome.experiment.title}\naccuracy: {accuracy}", fontsize=10)
    axes.set_xlabel("$x_1$")
    axes.set_ylabel("$x_2$")


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure with a canvas of its own."""
    figure = Figure(figsize=(width, height), dpi=_PIXELS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _groups(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Return the outcomes group by group."""
    return [list(group) for _, group in groupby(outcomes, key=lambda outcome: outcome.experiment.group)]


def _group_title(group: Sequence[Outcome], stand_in: bool) -> str:
    """Return a panel's title, which says when the data is not the course's."""
    first = group[0].experiment
    return f"{first.group} (stand-in data)" if stand_in and first.data == "football" else first.group
