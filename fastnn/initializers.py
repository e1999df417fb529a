"""Initial weights of the engine's networks."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastnn import checks

__all__ = ["INITIALIZERS", "Initializer", "draw_weights"]

Initializer = Literal[
    "zeros", "normal", "he", "he_uniform", "glorot", "glorot_uniform", "lecun", "lecun_uniform",
]  # fmt: skip
INITIALIZERS: tuple[Initializer, ...] = get_args(Initializer)

# Variance of a weight from the sizes before and after it, and whether weights are uniform.
_SPREADS: dict[Initializer, tuple[Callable[[int, int], float], bool]] = {
    "zeros": (lambda n_in, n_out: 0.0, False),
    "normal": (lambda n_in, n_out: 0.01**2, False),
    "he": (lambda n_in, n_out: 2.0 / n_in, False),
    "he_uniform": (lambda n_in, n_out: 2.0 / n_in, True),
    "glorot": (lambda n_in, n_out: 2.0 / (n_in + n_out), False),
    "glorot_uniform": (lambda n_in, n_out: 2.0 / (n_in + n_out), True),
    "lecun": (lambda n_in, n_out: 1.0 / n_in, False),
    "lecun_uniform": (lambda n_in, n_out: 1.0 / n_in, True),
}


def draw_weights(
    initializer: Initializer, layer_sizes: Sequence[int], seed: int | None = None
) -> list[NDArray[np.float64]]:
    """Draw the weights of a network, layer by layer; biases start at zero and are not drawn.

    Parameters
    ----------
    initializer : str
        ``"zeros"``; ``"normal"``, standard deviation 0.01; ``"he"``, ``"glorot"`` or ``"lecun"``, normal with variance
        2 / n_in, 2 / (n_in + n_out) or 1 / n_in; or ``"he_uniform"``, ``"glorot_uniform"``, ``"lecun_uniform"``,
        uniform with the same variance v, between -sqrt(3 v) and sqrt(3 v).
    layer_sizes : sequence of int
        Sizes of the layers, the input's first.
    seed : int, optional
        Seed of the stream, in [0, 2**32); None takes a fresh one from the operating system.

    Returns
    -------
    list of numpy.ndarray
        W1 of shape (layer_sizes[1], layer_sizes[0]), W2, ...; float64.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    A stream of its own, ``numpy.random.RandomState``, whose numbers NumPy never changes: the global one is neither
    read nor moved. Not truncated. With ``"zeros"`` all units of a layer stay equal for ever.

    Examples
    --------
    >>> W1, W2 = draw_weights("he", [2, 3, 1], seed=0)
    >>> print(W1.round(3))
    [[ 1.764  0.4  ]
     [ 0.979  2.241]
     [ 1.868 -0.977]]
    """
    variance, uniform = _SPREADS[checks.one_of("initializer", initializer, INITIALIZERS)]
    sizes = checks.layer_sizes("layer_sizes", layer_sizes)
    stream = np.random.RandomState(checks.legacy_seed(seed))
    weights = []
    for n_in, n_out in itertools.pairwise(sizes):
        v = variance(n_in, n_out)
        if v == 0:
            W = np.zeros((n_out, n_in))
        elif uniform:
            W = stream.uniform(-np.sqrt(3.0 * v), np.sqrt(3.0 * v), (n_out, n_in))
        else:
            W = np.sqrt(v) * stream.randn(n_out, n_in)
        weights.append(W)
    return weights
