"""What a network is: its layers, and the type of its numbers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fastnn.activations import Activation
from fastnn.losses import Output


@dataclass(frozen=True)
class Architecture:
    """The layers of a network; all of it checked by the caller.

    Parameters
    ----------
    sizes : tuple of int
        n_0, ..., n_L: sizes of the layers, the input's first.
    hidden : tuple of str or callable
        Activations of the L-1 hidden layers, by the names of `fastnn.activations.HIDDEN_ACTIVATIONS`; a function of a
        scalar z returns f(z) and f'(z).
    output : str
        One of `fastnn.losses.OUTPUTS`.
    dtype : numpy.dtype
        float32 or float64: type of parameters, moments and arithmetic.

    Examples
    --------
    >>> Architecture((2, 3, 1), ("tanh",), "sigmoid", np.dtype("f8")).n_parameters
    13
    """

    sizes: tuple[int, ...]
    hidden: tuple[Activation, ...]
    output: Output
    dtype: np.dtype

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))

    def split(self, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Cut a flat array of all parameters into layers.

        Parameters
        ----------
        flat : numpy.ndarray, shape (n_parameters,)
            Parameters, gradients or moments: W1 (row by row), b1, ..., WL, bL.

        Returns
        -------
        list of (W, b)
            Views of `flat`, W of shape (n_l, n_{l-1}) and b of shape (n_l, 1).

        Examples
        --------
        >>> Architecture((2, 1), (), "linear", np.dtype("f8")).split(np.array([1.0, 2.0, 3.0]))
        [(array([[1., 2.]]), array([[3.]]))]
        """
        layers, start = [], 0
        for n_in, n_out in pairwise(self.sizes):
            middle, end = start + n_out * n_in, start + n_out * (n_in + 1)
            layers.append((flat[start:middle].reshape(n_out, n_in), flat[middle:end].reshape(n_out, 1)))
            start = end
        return layers
