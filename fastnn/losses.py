"""Names of activations, outputs and losses, and which loss goes with which output."""

from collections.abc import Callable

from fastnn import checks

__all__ = ["HIDDEN_ACTIVATIONS", "LOSSES", "OUTPUTS", "SMOOTHED", "checked_loss", "name_of"]

HIDDEN_ACTIVATIONS = (
    "identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus",
)  # fmt: skip

# The first one of each output is its default.
LOSSES = {
    "linear": ("squared_error", "absolute_error", "huber", "poisson"),
    "sigmoid": ("binary_cross_entropy", "squared_error", "absolute_error", "huber"),
    "softmax": ("cross_entropy",),
}
OUTPUTS = tuple(LOSSES)

SMOOTHED = ("binary_cross_entropy", "cross_entropy")


def checked_loss(loss: str | Callable | None, output: str) -> str | Callable:
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


def name_of(choice: object) -> str:
    """Return the name of an activation or a loss, be it a word or a function."""
    return choice if isinstance(choice, str) else getattr(choice, "__name__", repr(choice))
