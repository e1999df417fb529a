"""Names of activations, outputs and losses, and which loss goes with which output."""

from collections.abc import Callable
from typing import Literal, get_args

from fastnn import checks

__all__ = [
    "HIDDEN_ACTIVATIONS",
    "LOSSES",
    "OUTPUTS",
    "SMOOTHED",
    "Activation",
    "HiddenActivation",
    "Loss",
    "LossName",
    "Output",
    "checked_loss",
]

HiddenActivation = Literal[
    "identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus",
]  # fmt: skip
HIDDEN_ACTIVATIONS: tuple[HiddenActivation, ...] = get_args(HiddenActivation)

# A name, or a function of a scalar z that returns f(z) and f'(z).
Activation = HiddenActivation | Callable[[float], tuple[float, float]]

Output = Literal["linear", "sigmoid", "softmax"]
OUTPUTS: tuple[Output, ...] = get_args(Output)

LossName = Literal["squared_error", "absolute_error", "huber", "poisson", "binary_cross_entropy", "cross_entropy"]

# A name, or a function of an output a and its target y that returns the loss and its derivative with respect to a.
Loss = LossName | Callable[[float, float], tuple[float, float]]


# The first one of each output is its default.
LOSSES: dict[Output, tuple[LossName, ...]] = {
    "linear": ("squared_error", "absolute_error", "huber", "poisson"),
    "sigmoid": ("binary_cross_entropy", "squared_error", "absolute_error", "huber"),
    "softmax": ("cross_entropy",),
}

SMOOTHED: tuple[LossName, ...] = ("binary_cross_entropy", "cross_entropy")


def checked_loss(loss: Loss | None, output: Output) -> Loss:
    """Return the loss that goes with an output.

    Parameters
    ----------
    loss : str, callable or None
        A name; a function of an output a and its target y, both scalars, that returns the loss and its derivative by
        a; or None for the output's default.
    output : str
        ``"linear"``, ``"sigmoid"`` or ``"softmax"``.

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
