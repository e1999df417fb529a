"""What trainings return."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastnn.checks import needed_module

if TYPE_CHECKING:
    import pandas

__all__ = ["History"]

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
        """Return the epochs, column by column.

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
        columns: dict[str, list[float]] = {"epoch": list(range(1, epochs + 1))}
        for name in _COLUMNS:
            values = getattr(self, name)
            if values:
                columns[name] = values[:epochs] + [math.nan] * (epochs - len(values))
        return columns

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the epochs as a data frame.

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
        columns = self.as_dict()
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in columns)
        rows = ["".join(f"<td>{value:.6g}</td>" for value in row) for row in zip(*columns.values(), strict=True)]
        if len(rows) > _SHOWN:
            half = _SHOWN // 2
            rows[half : len(rows) - half + 1] = ["<td>…</td>" * len(columns)]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
