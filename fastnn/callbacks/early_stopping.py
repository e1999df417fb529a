"""Early stopping."""

import math
from dataclasses import dataclass

import numpy as np

from fastnn import checks
from fastnn.callbacks.monitoring import checked_monitor, monitored_value, recorded_monitor, warn_of_no_best
from fastnn.callbacks.protocol import Owner, network_of
from fastnn.history import History

__all__ = ["EarlyStopping"]


@dataclass(eq=False)
class EarlyStopping:
    """Ends a training that no longer improves, and gives back the best weights.

    Parameters
    ----------
    monitor : str, optional
        ``"loss"`` or ``"validation_loss"``, of which less is better, or ``"validation_score"``, of which more is. None
        takes the first of validation score, validation loss and loss that the training records.
    patience : int
        The training ends after so many epochs in a row without improvement; at least 1.
    min_delta : float
        Only what is better by more than that is an improvement; not negative.
    restore_best : bool
        Whether the network has the weights of its best epoch at the end, also if the training was ended by something
        else.

    Attributes
    ----------
    best_epoch_ : int or None
        Epoch, counted from 1, of the best value; None as long as there is none. NaN and infinities are never best.
    best_value_ : float or None
        That value.
    stopped_epoch_ : int or None
        Epoch after which this callback ended the training, or None.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range; in training, if `monitor` is not recorded.

    Notes
    -----
    The best epoch is the one with the best value, be it better by less than `min_delta`. An epoch's loss is a mean over
    its steps, so it was made by earlier weights than those at the end of the epoch, which are kept. The optimiser's
    moments are not given back.

    Examples
    --------
    >>> from fastnn import SGD, EarlyStopping
    >>> from fastnn.reference import Network, Trainer
    >>> trainer = Trainer(Network([1, 1], initializer="zeros"), SGD(0.5))
    >>> stopping = EarlyStopping(patience=3, min_delta=1e-3)
    >>> history = trainer.fit([[1.0, 2.0]], [[2.0, 4.0]], epochs=100, batch_size=None, callbacks=[stopping])
    >>> history.stopped, stopping.best_epoch_ == stopping.stopped_epoch_ == history.epochs < 100
    (True, True)
    """

    monitor: str | None = None
    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        self.monitor = checked_monitor(self.monitor)
        self.patience = checks.count("patience", self.patience, 1)
        self.min_delta = checks.not_negative("min_delta", self.min_delta)
        self.restore_best = checks.flag("restore_best", self.restore_best)

    def begin(self, owner: Owner, history: History, epochs: int) -> None:
        """Forget earlier trainings."""
        self.best_epoch_: int | None = None
        self.best_value_: float | None = None
        self.stopped_epoch_: int | None = None
        self._recorded: str | None = None
        self._best = self._improved = math.inf
        self._weights: np.ndarray | None = None
        self._waited = 0

    def __call__(self, owner: Owner, history: History) -> bool:
        """Look at an epoch's value."""
        if self._recorded is None:
            self._recorded = recorded_monitor(self.monitor, history)
        value, cost = monitored_value(self._recorded, history)
        if -math.inf < cost < self._best:
            if self.restore_best:
                self._weights = network_of(owner).vector.copy()
            self._best, self.best_value_, self.best_epoch_ = cost, value, history.epochs
        if -math.inf < cost < self._improved - self.min_delta:
            self._improved, self._waited = cost, 0
        else:
            self._waited += 1
        if self._waited < self.patience:
            return False
        self.stopped_epoch_ = history.epochs
        return True

    def end(self, owner: Owner, history: History) -> None:
        """Give back the best weights."""
        if self.restore_best and self.best_epoch_ is None:
            warn_of_no_best(self._recorded, history, "EarlyStopping leaves the weights of the last epoch")
        if self._weights is not None:
            network_of(owner).vector[:] = self._weights
            self._weights = None
