"""Forward and backward passes, updates and predictions that several notebooks share."""

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course import layers
from fastnn.reference.course.layers import Arrays, Cache


def forward_propagation(X: ArrayLike, parameters: Arrays) -> tuple[np.ndarray, Cache]:
    """Compute LINEAR -> RELU -> ... -> LINEAR -> SIGMOID for all examples.

    Z_l = W_l A_{l-1} + b_l, A_l = max(0, Z_l) for hidden layers, A_L = 1 / (1 + exp(-Z_L)).

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    a3 : numpy.ndarray, shape (n_L, m)
        Output of the last layer.
    cache : tuple of numpy.ndarray
        (z1, a1, W1, b1, z2, a2, W2, b2, ...): the z and a are fresh, the W and b are the caller's.

    Raises
    ------
    TypeError
        If X or a parameter does not hold real numbers.
    ValueError
        If a shape does not fit.

    Notes
    -----
    The notebooks of initialization, regularization and optimization share it.

    Examples
    --------
    >>> parameters = {"W1": np.array([[1.0, -1.0]]), "b1": np.zeros((1, 1))}
    >>> a, cache = forward_propagation([[1.0, 2.0], [1.0, 0.0]], parameters)
    >>> print(a)
    [[0.5        0.88079708]]
    >>> len(cache)
    4
    """
    X = checks.examples("X", X)
    checks.network(parameters, X.shape[0])
    return layers.forward(layers.input_for(X, parameters), parameters)


def backward_propagation(X: ArrayLike, Y: ArrayLike, cache: Cache) -> Arrays:
    """Compute the gradients of the mean cross-entropy, with the 1/m inside dz of the output layer.

    dz_L = (a_L - Y) / m, dW_l = dz_l a_{l-1}^T, db_l = sum of dz_l over examples,
    da_{l-1} = W_l^T dz_l, dz_{l-1} = da_{l-1} * (a_{l-1} > 0).

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_L, m) or (m,)
        Labels.
    cache : tuple of numpy.ndarray
        What `forward_propagation` returned.

    Returns
    -------
    dict of numpy.ndarray
        For three layers dz3, dW3, db3, da2, dz2, dW2, db2, da1, dz1, dW1, db1, in this order; every
        dz and da carries the 1/m too.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit.

    Notes
    -----
    The form of the initialization and optimization notebooks; that of regularization and gradient
    checking puts the 1/m into dW and db and leaves it out of dZ and dA.

    Examples
    --------
    >>> X, parameters = np.array([[1.0, 3.0]]), {"W1": np.zeros((1, 1)), "b1": np.zeros((1, 1))}
    >>> a, cache = forward_propagation(X, parameters)
    >>> grads = backward_propagation(X, [0, 1], cache)
    >>> list(grads)
    ['dz1', 'dW1', 'db1']
    >>> print(grads["dz1"], grads["dW1"])
    [[ 0.25 -0.25]] [[-0.5]]
    """
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return layers.mean_backward(X, Y, cache)


def update_parameters(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    """Take one step of gradient descent, W_l = W_l - learning_rate dW_l, and likewise b_l.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL. Its entries are rebound to new arrays; the old arrays stay as they are.
    grads : dict
        dW1, db1, ..., dWL, dbL, of the same shapes.
    learning_rate : float
        Size of the step.

    Returns
    -------
    dict
        ``parameters`` itself.

    Raises
    ------
    TypeError
        If an array does not hold real numbers, or learning_rate is not a real number.
    ValueError
        If a gradient is missing or its shape differs.

    Examples
    --------
    >>> parameters = {"W1": np.ones((1, 2)), "b1": np.zeros((1, 1))}
    >>> grads = {"dW1": np.array([[1.0, 2.0]]), "db1": np.array([[1.0]])}
    >>> print(update_parameters(parameters, grads, 0.5)["W1"])
    [[0.5 0. ]]
    """
    checks.companions("grads", parameters, grads)
    return layers.gradient_step(parameters, grads, checks.real_number("learning_rate", learning_rate))


def predict(X: ArrayLike, y: ArrayLike, parameters: Arrays) -> np.ndarray:
    """Classify examples and print the accuracy against their labels.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    y : array_like, shape (n_L, m) or (m,)
        Labels, 0 or 1.
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    numpy.ndarray, shape (n_L, m), int64
        1 where the network's output is above 0.5, strictly, else 0.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> parameters = {"W1": np.array([[1.0]]), "b1": np.zeros((1, 1))}
    >>> print(predict([[-1.0, 0.0, 1.0]], [0, 1, 1], parameters))
    Accuracy: 0.6666666666666666
    [[0 0 1]]
    """
    X, y = checks.labelled_examples(X, y, parameters)
    a, _ = layers.forward(layers.input_for(X, parameters), parameters)
    return layers.predictions(a, y)


def predict_dec(parameters: Arrays, X: ArrayLike) -> np.ndarray:
    """Classify examples, for `plot_decision_boundary`; note the order of the arguments.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL.
    X : array_like, shape (n_x, m)
        Examples in columns.

    Returns
    -------
    numpy.ndarray, shape (n_L, m), bool
        Whether the network's output is above 0.5, strictly.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> print(predict_dec({"W1": np.array([[1.0]]), "b1": np.zeros((1, 1))}, [[-1.0, 0.0, 1.0]]))
    [[False False  True]]
    """
    a, _ = forward_propagation(X, parameters)
    return layers.decide(a)
