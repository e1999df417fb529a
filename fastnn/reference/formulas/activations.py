"""Activations of the engine's hidden layers: functions of z that return the activation and its slope.

NaN gives a NaN activation. Values and slopes have z's shape and dtype.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.activations import Activation, HiddenActivation
from fastnn.reference.formulas.scalar_functions import apply_scalar

LEAK = 0.01
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772

ArrayFunction = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def identity(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = z, slope 1.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Examples
    --------
    >>> identity(np.array([-2.0, 3.0]))
    (array([-2.,  3.]), array([1., 1.]))
    """
    return z.copy(), np.ones_like(z)


def relu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = max(z, 0), slope 1 where z > 0, else 0.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Examples
    --------
    >>> relu(np.array([-2.0, 0.0, 3.0]))
    (array([0., 0., 3.]), array([0., 0., 1.]))
    """
    return np.maximum(z, 0), (z > 0).astype(z.dtype)


def leaky_relu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = z where z > 0, else 0.01 z; slope 1 or 0.01.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Examples
    --------
    >>> leaky_relu(np.array([-2.0, 3.0]))
    (array([-0.02,  3.  ]), array([0.01, 1.  ]))
    """
    slope = np.where(z > 0, 1, LEAK).astype(z.dtype)
    return slope * z, slope


def elu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = z where z > 0, else exp(z) - 1; slope 1 or exp(z).

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Notes
    -----
    Clevert, Unterthiner and Hochreiter (2016) with alpha = 1.

    Examples
    --------
    >>> elu(np.array([-np.inf, 3.0]))
    (array([-1.,  3.]), array([0., 1.]))
    """
    below = np.minimum(z, 0)
    return np.where(z > 0, z, np.expm1(below)), np.exp(below)


def selu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = scale z where z > 0, else scale alpha (exp(z) - 1); slope scale or scale alpha exp(z).

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Notes
    -----
    Klambauer et al. (2017): scale = 1.0507009873554805, alpha = 1.6732632423543772 keep mean 0 and variance 1.

    Examples
    --------
    >>> a, slope = selu(np.array([-np.inf, 1.0]))
    >>> print(a.round(4), slope.round(4))
    [-1.7581  1.0507] [0.     1.0507]
    """
    below = np.minimum(z, 0)
    a = np.where(z > 0, z, SELU_ALPHA * np.expm1(below))
    slope = np.where(z > 0, 1, SELU_ALPHA * np.exp(below))
    return SELU_SCALE * a, SELU_SCALE * slope


def gelu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = z Phi(z), slope Phi(z) + z phi(z), with the normal distribution's Phi and phi.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Notes
    -----
    Hendrycks and Gimpel (2016), the exact form: Phi(z) = erfc(-z / sqrt 2) / 2, always computed in float64.

    Examples
    --------
    >>> a, slope = gelu(np.array([-1.0, 0.0, 1.0]))
    >>> print(a.round(4), slope.round(4))
    [-0.1587  0.      0.8413] [-0.0833  0.5     1.0833]
    """
    x = z.astype(np.float64)
    Phi = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x.flat]).reshape(x.shape)
    phi = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return (x * Phi).astype(z.dtype), (Phi + x * phi).astype(z.dtype)


def silu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = z sigma(z), slope sigma(z) (1 + z (1 - sigma(z))), sigma being the logistic function.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Examples
    --------
    >>> a, slope = silu(np.array([-1.0, 0.0, 1.0]))
    >>> print(a.round(4), slope.round(4))
    [-0.2689  0.      0.7311] [0.0723 0.5    0.9277]
    """
    sigma = logistic(z)
    return z * sigma, sigma * (1 + z * (1 - sigma))


def tanh(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = tanh(z), slope 1 - a^2.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Examples
    --------
    >>> a, slope = tanh(np.array([-1.0, 0.0]))
    >>> print(a.round(4), slope.round(4))
    [-0.7616  0.    ] [0.42 1.  ]
    """
    a = np.tanh(z)
    return a, 1 - a * a


def sigmoid(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = 1 / (1 + exp(-z)), slope a (1 - a).

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Notes
    -----
    Without overflow, unlike the course's (`fastnn.reference.course.activations.sigmoid`).

    Examples
    --------
    >>> a, slope = sigmoid(np.array([-1000.0, 0.0]))
    >>> print(a, slope)
    [0.  0.5] [0.   0.25]
    """
    a = logistic(z)
    return a, a * (1 - a)


def softplus(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = log(1 + exp(z)), as max(z, 0) + log(1 + exp(-|z|)); slope sigma(z), the logistic function.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Examples
    --------
    >>> a, slope = softplus(np.array([0.0, 10.0]))
    >>> print(a.round(4), slope.round(4))
    [ 0.6931 10.    ] [0.5 1. ]
    """
    return soft_maximum(z), logistic(z)


def mish(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a = z t, slope t + z (1 - t^2) sigma(z), with t = tanh(log(1 + exp(z))) and the logistic function sigma.

    Parameters
    ----------
    z : numpy.ndarray
        Floats, any shape.

    Returns
    -------
    a, slope : numpy.ndarray
        As z.

    Notes
    -----
    Misra (2019).

    Examples
    --------
    >>> a, slope = mish(np.array([-1.0, 0.0, 1.0]))
    >>> print(a.round(4), slope.round(4))
    [-0.3034  0.      0.8651] [0.0592 0.6    1.049 ]
    """
    t = np.tanh(soft_maximum(z))
    return z * t, t + z * (1 - t * t) * logistic(z)


def logistic(z: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute 1 / (1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    a: NDArray[np.floating] = np.where(z >= 0, 1, e) / (1 + e)
    return a


def soft_maximum(z: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute log(1 + exp(z)) without overflow."""
    a: NDArray[np.floating] = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return a


ACTIVATIONS: dict[HiddenActivation, ArrayFunction] = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "mish": mish,
}


def hidden_activation(activation: Activation) -> ArrayFunction:
    """Return the function of an activation.

    Parameters
    ----------
    activation : str or callable
        A name in ``ACTIVATIONS``; or a function of a scalar z that returns f(z) and f'(z).

    Returns
    -------
    callable
        z -> (a, slope), on arrays.

    Examples
    --------
    >>> square = hidden_activation(lambda z: (z * z, 2 * z))
    >>> square(np.array([1.0, 3.0]))
    (array([1., 9.]), array([2., 6.]))
    """
    if isinstance(activation, str):
        return ACTIVATIONS[activation]
    return lambda z: apply_scalar(activation, z)
