"""How a training runs its callbacks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from fastnn.history import History
from fastnn.network import Network


class Owner(Protocol):
    """What a training belongs to, as far as the callbacks here know it: a trainer, or an estimator."""

    def get_learning_rate(self) -> float:
        """Return the learning rate of the next step."""

    def set_learning_rate(self, rate: float) -> None:
        """Go on with a constant learning rate."""


# An owner's own type is what a user's function is written for.
Callback = Callable[[Any, History], object]


@contextmanager
def running(callbacks: Sequence[Callback], owner: Owner, history: History, epochs: int) -> Iterator[Callable[[], bool]]:
    """Begin callbacks, and end those that have begun.

    Parameters
    ----------
    callbacks : sequence of callable
        In the order that they are called in, at the end too.
    owner : object
        What trains.
    history : History
        What the owner fills.
    epochs : int
        How many are planned.

    Yields
    ------
    callable
        To be called after every epoch: calls every callback, and tells whether any wants to end the training.

    Examples
    --------
    >>> history = History()
    >>> with running([lambda owner, history: history.epochs == 2], None, history, 3) as after_epoch:
    ...     for loss in (3.0, 2.0):
    ...         history.loss.append(loss)
    ...         print(after_epoch())
    False
    True
    """

    def after_epoch() -> bool:
        answers = [callback(owner, history) for callback in callbacks]  # each is called, whatever others say
        return any(answers)

    begun: list[Callback] = []
    try:
        for callback in callbacks:
            begin = getattr(callback, "begin", None)
            if begin is not None:
                begin(owner, history, epochs)
            begun.append(callback)
        yield after_epoch
    finally:
        _end(begun, owner, history)


def _end(callbacks: Sequence[Callback], owner: Owner, history: History) -> None:
    """End callbacks in their order: all of them, also if one raises."""
    if not callbacks:
        return
    with ExitStack() as ends:
        # What it was given last it calls first.
        for callback in reversed(callbacks):
            end = getattr(callback, "end", None)
            if end is not None:
                ends.callback(end, owner, history)


def network_of(owner: Any) -> Network:
    """Return the network that a trainer, or an estimator, trains."""
    network: Network = owner.network if getattr(owner, "network_", None) is None else owner.network_
    return network
