"""What training runs return, and how the costs of steps become the losses of epochs."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["EpochSums", "History"]


@dataclass
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

    Examples
    --------
    >>> from fastnn.reference import Network, train
    >>> history = train(Network([1, 1], initializer="zeros"), [[1.0, 3.0]], [[2.0, 2.0]], epochs=2, batch_size=None)
    >>> history.epochs, history.loss[0], history.learning_rate, history.stopped
    (2, 2.0, [0.001, 0.001], False)
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.loss)


class EpochSums:
    """Turns the costs of steps into losses of epochs, in one order however the steps were cut into slices."""

    def __init__(self, steps: int, history: History) -> None:
        self._steps, self._history = steps, history
        self._weighted = self._sums = np.empty(0)

    @property
    def place(self) -> int:
        """Steps done of the present epoch."""
        return self._sums.size

    def add(self, step_rates: np.ndarray, costs: np.ndarray, sums: np.ndarray) -> None:
        """Take in a slice, and note the epochs that it ends."""
        steps = self._steps
        self._history.learning_rate += step_rates[steps - 1 - self.place :: steps].tolist()
        with np.errstate(all="ignore"):  # a training that diverges says so by its losses
            weighted = np.concatenate([self._weighted, costs * sums])
            sums = np.concatenate([self._sums, sums])
            end = sums.size - sums.size % steps
            totals = weighted[:end].reshape(-1, steps).sum(axis=1)
            self._history.loss += (totals / sums[:end].reshape(-1, steps).sum(axis=1)).tolist()
        self._weighted, self._sums = weighted[end:].copy(), sums[end:].copy()
