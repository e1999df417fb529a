"""What training runs return, and how the costs of steps become the losses of epochs."""

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fastnn.checks import needed_module

if TYPE_CHECKING:
    import pandas

__all__ = ["Divergence", "EpochSums", "History"]

_COLUMNS = ("loss", "validation_loss", "validation_score", "learning_rate", "seconds")
# A notebook shows so many rows at most: of a longer history the first, an ellipsis and the last.
_SHOWN = 20


@dataclass(repr=False)
class History:
    """What a training run has seen, epoch by epoch.

    Parameters
    ----------
    loss : list of float
        Mean of the cost over an epoch's examples, each before its step's update: with L2, with dropout, weighted by
        the sample weights.
    validation_loss : list of float
        Mean loss over the validation data after the epoch, without L2 and dropout; empty without such data.
    learning_rate : list of float
        Rate of the epoch's last step; empty for L-BFGS.
    stopped : bool
        Whether training ended before all its epochs: a callback asked for it, Ctrl-C was pressed, or L-BFGS converged.
    validation_score : list of float
        Mean accuracy or R2 over the validation data after the epoch; filled by estimators, empty for a `Trainer`.
    seconds : list of float
        Time from the beginning of the call to the end of the epoch's last step. A compiled call of many epochs is timed
        as a whole, and its epochs are taken to be equally long. Not compared by ``==``.

    Notes
    -----
    In a notebook a history shows as a table.

    Examples
    --------
    >>> from fastnn.reference import Network, train
    >>> history = train(Network([1, 1], initializer="zeros"), [[1.0, 3.0]], [[2.0, 2.0]], epochs=2, batch_size=None)
    >>> history.epochs, history.loss[0], history.learning_rate, history.stopped
    (2, 2.0, [0.001, 0.001], False)
    >>> History(loss=[3.0, 2.0, 1.0], validation_loss=[3.0, 2.5, 1.5], stopped=True)
    <History of 3 epochs, stopped early: loss 1, validation_loss 1.5>
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    stopped: bool = False
    validation_score: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.loss)

    def as_dict(self) -> dict[str, list[float]]:
        """Return the table of epochs, column by column.

        Returns
        -------
        dict of list
            ``"epoch"``, counted from 1, and those of ``"loss"``, ``"validation_loss"``, ``"validation_score"``,
            ``"learning_rate"`` and ``"seconds"`` that have values: copies, all of one length. NaN stands for what an
            interrupted epoch did not come to.

        Examples
        --------
        >>> History(loss=[2.0, 1.0], learning_rate=[0.1, 0.05]).as_dict()
        {'epoch': [1, 2], 'loss': [2.0, 1.0], 'learning_rate': [0.1, 0.05]}
        """
        epochs = self.epochs
        table: dict[str, list[float]] = {"epoch": list(range(1, epochs + 1))}
        for name in _COLUMNS:
            values = getattr(self, name)
            if values:
                table[name] = values[:epochs] + [math.nan] * (epochs - len(values))
        return table

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the table of epochs as a data frame.

        Returns
        -------
        pandas.DataFrame
            The columns of `as_dict`, with the epochs, counted from 1, as its index.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> print(History(loss=[2.0, 1.0], learning_rate=[0.1, 0.05]).to_pandas().loc[2])
        loss             1.00
        learning_rate    0.05
        Name: 2, dtype: float64
        """
        pandas = needed_module("pandas", "pandas", "to_pandas")
        return pandas.DataFrame(self.as_dict()).set_index("epoch")

    def __repr__(self) -> str:
        last = [f"{name} {getattr(self, name)[-1]:.6g}" for name in _COLUMNS[:3] if getattr(self, name)]
        if self.seconds:
            last.append(f"{self.seconds[-1]:.3g} s")
        number = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        ended = ", stopped early" if self.stopped else ""
        return f"<History of {number}{ended}{': ' if last else ''}{', '.join(last)}>"

    def _repr_html_(self) -> str:
        table = self.as_dict()
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in table)
        rows = ["".join(f"<td>{value:.6g}</td>" for value in row) for row in zip(*table.values(), strict=True)]
        if len(rows) > _SHOWN:
            half = _SHOWN // 2
            rows[half : len(rows) - half + 1] = ["<td>…</td>" * len(table)]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class EpochSums:
    """Turns the costs of steps into losses of epochs, in one order however the steps were cut into slices."""

    def __init__(self, steps: int, history: History) -> None:
        self._steps, self._history = steps, history
        self._weighted = self._sums = np.empty(0)

    @property
    def place(self) -> int:
        """Steps done of the present epoch."""
        return self._sums.size

    def add(self, step_rates: np.ndarray, costs: np.ndarray, sums: np.ndarray, begin: float, end: float) -> None:
        """Take in a slice, which ran from one second to another, and note the epochs that it ends."""
        steps = self._steps
        first = steps - self.place
        self._history.learning_rate += step_rates[first - 1 :: steps].tolist()
        share, ends = (end - begin) / costs.size, range(first, costs.size + 1, steps)
        if len(ends) < 16:  # NumPy takes longer than these, and a callback may want a slice for each epoch
            self._history.seconds += [begin + share * done for done in ends]
        else:
            self._history.seconds += (begin + share * np.arange(first, costs.size + 1, steps)).tolist()
        with np.errstate(all="ignore"):  # a training that diverges says so by its losses
            weighted = np.concatenate([self._weighted, costs * sums])
            sums = np.concatenate([self._sums, sums])
            whole = sums.size - sums.size % steps
            totals = weighted[:whole].reshape(-1, steps).sum(axis=1)
            self._history.loss += (totals / sums[:whole].reshape(-1, steps).sum(axis=1)).tolist()
        self._weighted, self._sums = weighted[whole:].copy(), sums[whole:].copy()


class Divergence:
    """Warns once if a training diverges, or comes to a standstill by numbers that have no end."""

    def __init__(self, history: History) -> None:
        self._history, self._warned = history, False

    def look(self) -> None:
        """Look at the epochs so far."""
        if not self._warned:
            self._warn_of_losses(5)

    def at_end(self, theta: np.ndarray, squares: np.ndarray) -> None:
        """Look at all epochs, and at the weights and the moments of squared gradients that they have left."""
        losses = self._history.loss
        # NaN counts as the smallest and the largest; an overflow of this sum proves nothing.
        if not math.isfinite(sum(losses) + theta.item(theta.argmin()) - theta.item(theta.argmax())):
            if not self._warned and not all(map(math.isfinite, losses)):
                self._warn_of_losses(4)
            elif not self._warned and not np.isfinite(theta).all():
                self._warn(f"there are weights that are not finite after epoch {len(losses)}", 3)
        if not self._warned and squares.size and not squares.item(squares.argmax()) < math.inf:
            warnings.warn(
                f"some weights stand still, because the squares of their gradients overflow {squares.dtype}: "
                "scale X or Y, or take a float64 network",
                RuntimeWarning, 3,
            )  # fmt: skip

    def _warn_of_losses(self, level: int) -> None:
        epoch, loss = next((k, v) for k, v in enumerate(self._history.loss, 1) if not math.isfinite(v))
        self._warn(f"the loss of epoch {epoch} is {loss}", level)

    def _warn(self, what: str, level: int) -> None:
        self._warned = True
        warnings.warn(f"training diverges: {what}; a smaller learning rate may help", RuntimeWarning, level + 1)
