"""The engine's network in plain NumPy."""

from fastnn import network

__all__ = ["Network"]


class Network(network.Network):
    """A fully connected network of any depth, computed in plain NumPy: everything else is `fastnn.Network`'s.

    Parameters
    ----------
    layer_sizes, hidden_activation, output, initializer, dtype, seed
        As for `fastnn.Network`; functions of one's own need no compilation here.

    Examples
    --------
    >>> from fastnn.reference import Network
    >>> print(Network([2, 1], initializer="zeros").predict([[1.0], [2.0]]))
    [[0.]]
    """

    @staticmethod
    def _engine_class() -> type:
        from fastnn.reference.engine import Engine

        return Engine
