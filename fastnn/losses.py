"""Names of outputs and losses, which loss goes with which output, and the targets that it allows.

With a for an output and y for its target, summed over the outputs of an example:

- ``"squared_error"``: (a - y)^2 / 2
- ``"absolute_error"``: |a - y|
- ``"huber"``: the squared error up to |a - y| = 1, the absolute error less 1/2 from there on
- ``"poisson"``: exp(a) - y a
- ``"binary_cross_entropy"``: -y log(a) - (1 - y) log(1 - a)
- ``"cross_entropy"``: -y log(a)
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from fastnn import checks
from fastnn.checks.arrays import extremes

__all__ = [
    "BOUNDED_TARGETS",
    "LOSSES",
    "LOSS_NAMES",
    "OUTPUTS",
    "SMOOTHED",
    "Loss",
    "LossName",
    "Output",
    "check_targets",
    "checked_loss",
    "name_of",
]

Output = Literal["linear", "sigmoid", "softmax"]
# A place in this list is the output's code in `fastnn.kernels.formulas.losses`.
OUTPUTS: tuple[Output, ...] = get_args(Output)

# A place in this list is the loss's code in `fastnn.kernels.formulas.losses`.
LossName = Literal["squared_error", "absolute_error", "huber", "poisson", "binary_cross_entropy", "cross_entropy"]
LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)

# A name, or a function of an output a and its target y that returns the loss and its derivative with respect to a.
Loss = LossName | Callable[[float, float], tuple[float, float]]


# The first one of each output is its default.
LOSSES: dict[Output, tuple[LossName, ...]] = {
    "linear": ("squared_error", "absolute_error", "huber", "poisson"),
    "sigmoid": ("binary_cross_entropy", "squared_error", "absolute_error", "huber"),
    "softmax": ("cross_entropy",),
}

SMOOTHED: tuple[LossName, ...] = ("binary_cross_entropy", "cross_entropy")

# Losses that do not allow all targets of shape (n_y, m).
BOUNDED_TARGETS: tuple[LossName, ...] = ("binary_cross_entropy", "cross_entropy", "poisson")


def checked_loss(loss: Loss | None, output: Output) -> Loss:
    """Return the loss that goes with an output.

    Parameters
    ----------
    loss : str, callable or None
        A name; a function of an output a and its target y, both scalars, that returns the loss and its derivative
        with respect to a; or None for the output's default.
    output : str
        One of `OUTPUTS`.

    Returns
    -------
    str or callable
        The loss.

    Raises
    ------
    TypeError, ValueError
        If there is no such loss, or it does not go with the output.

    Examples
    --------
    >>> checked_loss(None, "sigmoid")
    'binary_cross_entropy'
    >>> checked_loss("poisson", "softmax")
    Traceback (most recent call last):
    ...
    ValueError: loss of a softmax output must be one of 'cross_entropy', got 'poisson'
    """
    if loss is None:
        return LOSSES[output][0]
    if callable(loss):
        if output == "softmax":
            raise ValueError("loss of a softmax output must be 'cross_entropy', got a function")
        return loss
    return checks.one_of(f"loss of a {output} output", loss, LOSSES[output])


def check_targets(name: str, Y: np.ndarray, loss: Loss) -> None:
    """Raise for targets of shape (n_y, m) for which a loss has no lower bound.

    Parameters
    ----------
    name : str
        What the caller calls the targets.
    Y : numpy.ndarray
        Targets, or the integer labels of a softmax, of shape (m,), which are not looked at.
    loss : str or callable
        The loss.

    Raises
    ------
    ValueError
        If a target is negative or, for ``"binary_cross_entropy"``, above 1.

    Examples
    --------
    >>> check_targets("Y", np.array([[0.5, 2.0]]), "poisson")
    >>> check_targets("Y", np.array([[0.5, 2.0]]), "binary_cross_entropy")
    Traceback (most recent call last):
    ...
    ValueError: Y must be in [0, 1] with loss 'binary_cross_entropy', got 2.0
    """
    if Y.ndim == 1 or loss not in BOUNDED_TARGETS:
        return
    low, high = extremes(Y)
    if low < 0:
        raise ValueError(f"{name} must not be negative with loss {loss!r}, got {low}")
    if loss == "binary_cross_entropy" and high > 1:
        raise ValueError(f"{name} must be in [0, 1] with loss {loss!r}, got {high}")


def name_of(choice: object) -> str:
    """Return the name of an activation or a loss, be it a word or a function."""
    return choice if isinstance(choice, str) else getattr(choice, "__name__", repr(choice))
