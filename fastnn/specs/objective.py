"""What a training minimises."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastnn import checks
from fastnn.losses import Loss


@dataclass(frozen=True)
class Objective:
    """The cost of a mini-batch: (1/S) sum_t w_t loss_t + l2 / (2 S) sum of W^2, S being the sum of the weights w_t.

    All of it is checked by the caller.

    Parameters
    ----------
    loss : str or callable
        One of the output's losses, `fastnn.losses.LOSSES`; a function of scalars a, y returns the loss and its
        derivative with respect to a.
    l2 : float
        Factor of the squared weights.
    dropout : tuple of float
        Shares of units dropped: in the input, then in the hidden layers; L numbers in [0, 1), or none at all.
    label_smoothing : float
        Share of a target that is spread over all classes; cross-entropies only.

    Examples
    --------
    >>> Objective("squared_error", dropout=(0.0, 0.5)).drop(1), Objective("squared_error").drop(1)
    (0.5, 0.0)
    """

    loss: Loss
    l2: float = 0.0
    dropout: tuple[float, ...] = ()
    label_smoothing: float = 0.0

    def drop(self, layer: int) -> float:
        """Fraction of a layer's units that are dropped, the input being layer 0."""
        return self.dropout[layer] if self.dropout else 0.0


def dropout_rates(dropout: float | Sequence[float] | np.ndarray, n_hidden: int) -> tuple[float, ...]:
    """Return one fraction for the input and one for each hidden layer; nothing if all of them are 0."""
    if isinstance(dropout, Sequence | np.ndarray) and not isinstance(dropout, str):
        if getattr(dropout, "ndim", 1) != 1 or len(dropout) != n_hidden + 1:
            raise ValueError(
                f"dropout must be a number, or have {n_hidden + 1} entries for the input and {n_hidden} hidden layers, "
                f"got {dropout!r}"
            )
        dropped = tuple(checks.decay_factor(f"dropout[{i}]", rate) for i, rate in enumerate(dropout))
    else:
        rate = checks.decay_factor("dropout", dropout)
        if rate and not n_hidden:
            raise ValueError(
                f"dropout must be a sequence, for the input, in a network without hidden layers, got {rate}"
            )
        dropped = (0.0,) + (rate,) * n_hidden
    return dropped if any(dropped) else ()
