"""Forward and backward passes with dropout, from the regularization notebook."""

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course import layers
from fastnn.reference.course.layers import Arrays, Cache


def forward_propagation_with_dropout(
    X: ArrayLike, parameters: Arrays, keep_prob: float = 0.5
) -> tuple[np.ndarray, Cache]:
    """Compute LINEAR -> RELU + DROPOUT -> ... -> LINEAR -> SIGMOID for all examples.

    A_l = max(0, Z_l) * D_l / keep_prob for hidden layers, with D_l = rand(n_l, m) < keep_prob.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    parameters : dict
        W1, b1, ..., WL, bL.
    keep_prob : float
        Probability of keeping a hidden unit.

    Returns
    -------
    A3 : numpy.ndarray, shape (n_L, m)
        Output of the last layer.
    cache : tuple of numpy.ndarray
        (Z1, D1, A1, W1, b1, ..., ZL, AL, WL, bL): D is bool, A is after mask and scaling, and the
        W and b are the caller's.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If a shape does not fit, or keep_prob is outside (0, 1].

    Notes
    -----
    NumPy's global stream is seeded with 1 at every call, so equal shapes always get equal masks.

    Examples
    --------
    >>> W, b = np.ones((1, 1)), np.zeros((1, 1))
    >>> parameters = {"W1": W, "b1": b, "W2": W, "b2": b}
    >>> A, (Z1, D1, A1, *_) = forward_propagation_with_dropout([[1.0, 2.0, 3.0]], parameters, 0.5)
    >>> print(D1, A1)
    [[ True False  True]] [[2. 0. 6.]]
    """
    X = checks.examples("X", X)
    checks.network(parameters, X.shape[0])
    keep_prob = checks.keep_probability(keep_prob)
    np.random.seed(1)
    return layers.forward(layers.input_for(X, parameters), parameters, keep_prob)


def backward_propagation_with_dropout(X: ArrayLike, Y: ArrayLike, cache: Cache, keep_prob: float) -> Arrays:
    """Compute the gradients through the masks of the forward pass.

    As `backward_propagation`, with dA_l = W_{l+1}^T dZ_{l+1} * D_l / keep_prob.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_L, m) or (m,)
        Labels.
    cache : tuple of numpy.ndarray
        What `forward_propagation_with_dropout` returned.
    keep_prob : float
        The probability used there.

    Returns
    -------
    dict of numpy.ndarray
        The keys of `backward_propagation`, in the same order; dA is after mask and scaling.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit, or keep_prob is outside (0, 1].

    Examples
    --------
    >>> W, b = np.ones((1, 1)), np.zeros((1, 1))
    >>> parameters = {"W1": W, "b1": b, "W2": W, "b2": b}
    >>> X = np.array([[1.0, 2.0, 3.0]])
    >>> A, cache = forward_propagation_with_dropout(X, parameters, 0.5)
    >>> grads = backward_propagation_with_dropout(X, [0, 0, 0], cache, 0.5)
    >>> print(grads["dA1"].round(3))
    [[1.762 0.    1.995]]
    """
    X, Y = checks.backward_arguments(X, Y, cache, 5)
    return layers.total_backward(X, Y, cache, keep_prob=checks.keep_probability(keep_prob))
