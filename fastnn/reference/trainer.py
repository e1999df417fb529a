"""The engine's training in plain NumPy."""

from collections.abc import Iterable
from typing import Unpack

from numpy.typing import ArrayLike

from fastnn import trainer
from fastnn.callbacks import Callback
from fastnn.history import History
from fastnn.network import Network

__all__ = ["Trainer", "train"]


class Trainer(trainer.Trainer):
    """Trains a network in place, computed in plain NumPy: everything else is `fastnn.Trainer`'s.

    Parameters
    ----------
    network, optimizer, loss, l2, weight_decay, dropout, clip_norm, label_smoothing, n_threads, seed
        As for `fastnn.Trainer`; functions of one's own need no compilation here, and there are no threads.

    Examples
    --------
    >>> from fastnn.reference import Network, Trainer
    >>> trainer = Trainer(Network([1, 1], initializer="zeros"))
    >>> trainer.fit([[1.0, 2.0]], [[2.0, 4.0]], epochs=2).loss[0]
    5.0
    """

    @staticmethod
    def _engine_class() -> type:
        from fastnn.reference.engine import Engine

        return Engine


def train(
    network: Network,
    X: ArrayLike,
    Y: ArrayLike,
    epochs: int = 10,
    batch_size: int | None = 64,
    sample_weight: ArrayLike | None = None,
    shuffle: bool = True,
    validation: tuple[ArrayLike, ...] | None = None,
    callbacks: Iterable[Callback] = (),
    **trainer_options: Unpack[trainer.TrainerOptions],
) -> History:
    """Train a network in place, computed in plain NumPy: `Trainer` and `Trainer.fit` in one.

    Parameters
    ----------
    network, X, Y, epochs, batch_size, sample_weight, shuffle, validation, callbacks, **trainer_options
        As for `fastnn.train`.

    Returns
    -------
    History
        Losses of the epochs.

    Raises
    ------
    TypeError, ValueError
        As `Trainer` and `Trainer.fit` do.

    Examples
    --------
    >>> from fastnn import SGD
    >>> from fastnn.reference import Network, train
    >>> history = train(Network([1, 1], initializer="zeros"), [[1.0]], [[1.0]], epochs=3, optimizer=SGD(0.5))
    >>> history.loss
    [0.5, 0.0, 0.0]
    """
    trainer = Trainer(network, **trainer_options)
    return trainer.fit(X, Y, epochs, batch_size, sample_weight, shuffle, validation, callbacks)
