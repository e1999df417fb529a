"""Learning rates by epochs."""

from collections.abc import Callable
from dataclasses import dataclass

from fastnn import checks
from fastnn.callbacks.protocol import Owner
from fastnn.history import History

__all__ = ["LearningRateScheduler"]


@dataclass(eq=False)
class LearningRateScheduler:
    """Sets the learning rate before every epoch.

    Parameters
    ----------
    schedule : callable
        Called as ``schedule(epoch, rate)`` with the epoch, counted from 0 in each training, and the present rate;
        returns the epoch's rate.

    Raises
    ------
    TypeError
        If `schedule` is no function; in training, if it returns no number, or the optimiser has no learning rate.
    ValueError
        In training, if the rate is negative or not finite.

    Notes
    -----
    A schedule of the optimiser's own, which goes by steps, is replaced by the constant rates of the epochs. The last
    one stays when the training is over.

    Examples
    --------
    >>> from fastnn import SGD, LearningRateScheduler
    >>> from fastnn.reference import Network, train
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    >>> history = train(Network([1, 1]), [[1.0]], [[1.0]], epochs=3, optimizer=SGD(0.4), callbacks=[halve])
    >>> history.learning_rate
    [0.4, 0.2, 0.1]
    """

    schedule: Callable[[int, float], float]

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            raise TypeError(f"schedule must be a function of an epoch and a rate, got {self.schedule!r}")

    def begin(self, owner: Owner, history: History, epochs: int) -> None:
        """Set the first epoch's rate."""
        self._first, self._epochs = history.epochs, epochs
        self._set(owner, 0)

    def __call__(self, owner: Owner, history: History) -> None:
        """Set the next epoch's rate."""
        self._set(owner, history.epochs - self._first)

    def _set(self, owner: Owner, epoch: int) -> None:
        """Set the rate of an epoch, if one comes."""
        if epoch < self._epochs:
            rate = owner.get_learning_rate()
            owner.set_learning_rate(checks.not_negative(f"schedule({epoch}, {rate})", self.schedule(epoch, rate)))
