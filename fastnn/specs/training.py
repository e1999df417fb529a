"""How a network is trained: what is minimised, and by which rule."""

from dataclasses import dataclass

from fastnn.losses import SMOOTHED, name_of
from fastnn.optimizers import LBFGS, AdamW, Optimizer, UpdateRule
from fastnn.specs.objective import Objective


@dataclass(frozen=True)
class Training:
    """All settings of a training but the learning rate, which every step is given; all of them checked by the caller.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    rule : UpdateRule or None
        How a step updates the parameters; None where it is not the engine that does.
    clip_norm : float or None
        Largest 2-norm of a step's gradient.
    seed : int
        64 bits, for the masks of dropout and the orders of epochs.

    Examples
    --------
    >>> from fastnn.optimizers import Momentum
    >>> training = Training(Objective("huber", l2=0.1), Momentum(0.5).rule())
    >>> training.objective.l2, training.rule.name, training.clip_norm
    (0.1, 'averaged', None)
    """

    objective: Objective
    rule: UpdateRule | None = None
    clip_norm: float | None = None
    seed: int = 0


def check_combination(objective: Objective, optimizer: Optimizer, weight_decay: float, clip_norm: float | None) -> None:
    """Raise for settings that do not go together."""
    if objective.label_smoothing and objective.loss not in SMOOTHED:
        words = " or ".join(repr(name) for name in SMOOTHED)
        raise ValueError(f"label_smoothing needs the loss {words}, got {name_of(objective.loss)!r}")
    if weight_decay and isinstance(optimizer, AdamW):
        raise ValueError(f"weight_decay must be 0 with AdamW, which has its own, got {weight_decay}")
    if isinstance(optimizer, LBFGS):
        for name, value in (("dropout", objective.dropout), ("clip_norm", clip_norm), ("weight_decay", weight_decay)):
            if value:
                raise ValueError(f"{name} does not go with LBFGS, which needs one cost for all its steps, got {value}")
