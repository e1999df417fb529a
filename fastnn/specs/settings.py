"""Checks of a trainer's settings, alone and together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.losses import SMOOTHED
from fastnn.optimizers import LBFGS, AdamW
from fastnn.specs.model import Model

__all__ = ["check_combination", "dropout_rates", "name_of"]


def dropout_rates(dropout: Any, n_hidden: int) -> tuple[float, ...]:
    """Return one share for the input and one for each hidden layer; nothing if all of them are 0."""
    if isinstance(dropout, Sequence | np.ndarray) and not isinstance(dropout, str):
        if getattr(dropout, "ndim", 1) != 1 or len(dropout) != n_hidden + 1:
            raise ValueError(
                f"dropout must be a number, or have {n_hidden + 1} entries for the input and {n_hidden} hidden layers, "
                f"got {dropout!r}"
            )
        shares = tuple(checks.decay_factor(f"dropout[{i}]", share) for i, share in enumerate(dropout))
    else:
        share = checks.decay_factor("dropout", dropout)
        if share and not n_hidden:
            raise ValueError(
                f"dropout must be a sequence, for the input, in a network without hidden layers, got {share}"
            )
        shares = (0.0,) + (share,) * n_hidden
    return shares if any(shares) else ()


def check_combination(settings: Model) -> None:
    """Raise for settings that do not go together."""
    if settings.label_smoothing and settings.loss not in SMOOTHED:
        words = " or ".join(repr(name) for name in SMOOTHED)
        raise ValueError(f"label_smoothing needs the loss {words}, got {name_of(settings.loss)!r}")
    if settings.weight_decay and isinstance(settings.optimizer, AdamW):
        raise ValueError(f"weight_decay must be 0 with AdamW, which has its own, got {settings.weight_decay}")
    if isinstance(settings.optimizer, LBFGS):
        for name in ("dropout", "clip_norm", "weight_decay"):
            value = getattr(settings, name)
            if value:
                raise ValueError(f"{name} does not go with LBFGS, which needs one cost for all its steps, got {value}")


def name_of(choice: Any) -> str:
    """Return the name of an activation or a loss, be it a word or a function."""
    return choice if isinstance(choice, str) else getattr(choice, "__name__", repr(choice))
