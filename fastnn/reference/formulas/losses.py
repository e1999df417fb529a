"""Outputs and losses of the engine: what an example costs, and how that changes with the last layer's Z.

Examples are columns: Z, A and Y have shape (n_y, m). An example's loss is the sum over its outputs.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.losses import SMOOTHED, Loss, LossName, Output
from fastnn.reference.formulas.activations import logistic, soft_maximum
from fastnn.reference.formulas.scalar_functions import apply_scalar

Pair = tuple[NDArray[np.floating], NDArray[np.floating]]


def output(kind: Output, Z: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute the outputs of the last layer.

    Z itself (``"linear"``), 1 / (1 + exp(-Z)) (``"sigmoid"``), or exp(Z) divided by its sum over the outputs
    (``"softmax"``), where the largest Z of an example is subtracted first.

    Parameters
    ----------
    kind : str
        Name of the output.
    Z : numpy.ndarray, shape (n_y, m)
        Sums of the last layer.

    Returns
    -------
    numpy.ndarray, shape (n_y, m)
        Outputs.

    Examples
    --------
    >>> print(output("softmax", np.array([[0.0, 1000.0], [0.0, 0.0]])))
    [[0.5 1. ]
     [0.5 0. ]]
    """
    if kind == "sigmoid":
        return logistic(Z)
    A = Z.copy()
    if kind == "softmax":
        powers = np.exp(Z - Z.max(axis=0))
        A = powers / powers.sum(axis=0)
    return A


def output_delta(kind: Output, A: NDArray[np.floating], dA: NDArray[np.floating]) -> NDArray[np.floating]:
    """Carry the derivative of a loss with respect to the outputs back through the output's activation.

    dZ = dA (linear), dA A (1 - A) (sigmoid), or A (dA - sum over the outputs of A dA) (softmax).

    Parameters
    ----------
    kind : str
        Name of the output.
    A, dA : numpy.ndarray, shape (n_y, m)
        Outputs, and the derivative with respect to them.

    Returns
    -------
    numpy.ndarray, shape (n_y, m)
        The derivative with respect to Z.

    Examples
    --------
    >>> output_delta("sigmoid", np.array([[0.5]]), np.array([[2.0]]))
    array([[0.5]])
    """
    dZ = dA.copy()
    if kind == "sigmoid":
        dZ = dA * A * (1 - A)
    elif kind == "softmax":
        dZ = A * (dA - (A * dA).sum(axis=0))
    return dZ


def squared_error(A: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute (a - y)^2 / 2.

    Parameters
    ----------
    A, Y : numpy.ndarray, shape (n_y, m)
        Outputs and targets.

    Returns
    -------
    loss, dA : numpy.ndarray, shape (n_y, m)
        Loss of every output, and its derivative a - y.

    Examples
    --------
    >>> squared_error(np.array([[3.0]]), np.array([[1.0]]))
    (array([[2.]]), array([[2.]]))
    """
    d = A - Y
    return d * d / 2, d


def absolute_error(A: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute abs(a - y).

    Parameters
    ----------
    A, Y : numpy.ndarray, shape (n_y, m)
        Outputs and targets.

    Returns
    -------
    loss, dA : numpy.ndarray, shape (n_y, m)
        Loss of every output, and its derivative sign(a - y), 0 where a = y.

    Examples
    --------
    >>> absolute_error(np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]))
    (array([[2., 0.]]), array([[1., 0.]]))
    """
    d = A - Y
    return np.abs(d), np.sign(d)


def huber(A: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute d^2 / 2 where abs(d) <= 1, else abs(d) - 1/2, with d = a - y.

    Parameters
    ----------
    A, Y : numpy.ndarray, shape (n_y, m)
        Outputs and targets.

    Returns
    -------
    loss, dA : numpy.ndarray, shape (n_y, m)
        Loss of every output, and its derivative: d, cut to [-1, 1].

    Examples
    --------
    >>> huber(np.array([[3.0, 1.5]]), np.array([[1.0, 1.0]]))
    (array([[1.5  , 0.125]]), array([[1. , 0.5]]))
    """
    d = A - Y
    size = np.abs(d)
    return np.where(size > 1, size - 0.5, d * d / 2), np.clip(d, -1, 1)


def poisson(A: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute exp(a) - y a: the Poisson distribution's -log(probability) without its term in y alone.

    Parameters
    ----------
    A : numpy.ndarray, shape (n_y, m)
        Outputs: logarithms of the rates.
    Y : numpy.ndarray, shape (n_y, m)
        Counts.

    Returns
    -------
    loss, dA : numpy.ndarray, shape (n_y, m)
        Loss of every output, and its derivative exp(a) - y.

    Examples
    --------
    >>> poisson(np.array([[0.0]]), np.array([[3.0]]))
    (array([[1.]]), array([[-2.]]))
    """
    rate = np.exp(A)
    return rate - Y * A, rate - Y


def binary_cross_entropy(Z: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute -y log(a) - (1 - y) log(1 - a) for a = sigma(z), as max(z, 0) - z y + log(1 + exp(-|z|)).

    Parameters
    ----------
    Z : numpy.ndarray, shape (n_y, m)
        Sums of the last layer.
    Y : numpy.ndarray, shape (n_y, m)
        Targets in [0, 1], independent of each other.

    Returns
    -------
    loss, dZ : numpy.ndarray, shape (n_y, m)
        Loss of every output, and its derivative sigma(z) - y.

    Examples
    --------
    >>> binary_cross_entropy(np.array([[-1000.0]]), np.array([[1.0]]))
    (array([[1000.]]), array([[-1.]]))
    """
    return soft_maximum(Z) - Z * Y, logistic(Z) - Y


def cross_entropy(Z: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute -(sum over the classes of y log(p)) for p = softmax(z), as sum(y) log(sum(exp(z))) - sum(y z).

    Parameters
    ----------
    Z : numpy.ndarray, shape (n_y, m)
        Sums of the last layer.
    Y : numpy.ndarray, shape (n_y, m)
        Targets; an example's usually sum to 1.

    Returns
    -------
    loss : numpy.ndarray, shape (m,)
        Loss of every example.
    dZ : numpy.ndarray, shape (n_y, m)
        Its derivative p sum(y) - y.

    Examples
    --------
    >>> loss, dZ = cross_entropy(np.array([[0.0], [0.0]]), np.array([[1.0], [0.0]]))
    >>> print(loss.round(4), dZ.T)
    [0.6931] [[-0.5  0.5]]
    """
    largest = Z.max(axis=0)
    log_sum = largest + np.log(np.exp(Z - largest).sum(axis=0))
    mass = Y.sum(axis=0)
    return mass * log_sum - (Y * Z).sum(axis=0), output("softmax", Z) * mass - Y


def smoothed_targets(loss: Loss, Y: NDArray[np.floating], smoothing: float) -> NDArray[np.floating]:
    """Take a fraction of every target and spread it over all classes.

    Parameters
    ----------
    loss : str or callable
        ``"cross_entropy"``: (1 - e) y + e / n_y; ``"binary_cross_entropy"``: (1 - e) y + e / 2. Others leave Y alone.
    Y : numpy.ndarray, shape (n_y, m)
        Targets.
    smoothing : float
        The fraction e.

    Returns
    -------
    numpy.ndarray, shape (n_y, m)
        Targets.

    Examples
    --------
    >>> print(smoothed_targets("cross_entropy", np.array([[1.0], [0.0]]), 0.1).T)
    [[0.95 0.05]]
    """
    if loss not in SMOOTHED:
        return Y
    return (1 - smoothing) * Y + smoothing / (len(Y) if loss == "cross_entropy" else 2)


OF_OUTPUTS: dict[LossName, Callable[[np.ndarray, np.ndarray], Pair]] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "poisson": poisson,
}


def loss_and_delta(loss: Loss, kind: Output, Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> Pair:
    """Compute any loss, and its derivative with respect to Z.

    Parameters
    ----------
    loss : str or callable
        A name; or a function of scalars a, y that returns the loss and its derivative with respect to a.
    kind : str
        Name of the output.
    Z, A, Y : numpy.ndarray, shape (n_y, m)
        Sums of the last layer, outputs, targets (smoothed already).

    Returns
    -------
    loss : numpy.ndarray, shape (m,)
        Loss of every example.
    dZ : numpy.ndarray, shape (n_y, m)
        Its derivative with respect to Z.

    Examples
    --------
    >>> Z, Y = np.array([[2.0], [0.0]]), np.array([[1.0], [1.0]])
    >>> loss, dZ = loss_and_delta("squared_error", "linear", Z, Z, Y)
    >>> print(loss, dZ.T)
    [1.] [[ 1. -1.]]
    """
    if loss == "cross_entropy":
        return cross_entropy(Z, Y)
    if loss == "binary_cross_entropy":
        losses, dZ = binary_cross_entropy(Z, Y)
    else:
        losses, dA = OF_OUTPUTS[loss](A, Y) if isinstance(loss, str) else apply_scalar(loss, A, Y)
        dZ = output_delta(kind, A, dA)
    return losses.sum(axis=0), dZ
