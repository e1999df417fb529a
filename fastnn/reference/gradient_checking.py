"""The gradient checking notebook: analytic gradients against two-sided differences."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course import layers, vectors
from fastnn.reference.course.activations import floating, relu, sigmoid
from fastnn.reference.course.layers import Arrays, Cache
from fastnn.reference.course.vectors import dictionary_to_vector, gradients_to_vector, vector_to_dictionary

__all__ = [
    "backward_propagation",
    "backward_propagation_n",
    "dictionary_to_vector",
    "forward_propagation",
    "forward_propagation_n",
    "gradient_check",
    "gradient_check_n",
    "gradients_to_vector",
    "relu",
    "sigmoid",
    "vector_to_dictionary",
]


def forward_propagation(x: float, theta: float) -> float:
    """Compute the cost of the one-parameter model, J = theta x.

    Parameters
    ----------
    x : float
        Input.
    theta : float
        Parameter.

    Returns
    -------
    float
        J; integers give an integer.

    Raises
    ------
    TypeError
        If an argument is not a real number.

    Examples
    --------
    >>> forward_propagation(2, 4)
    8
    """
    checks.real_number("x", x)
    checks.real_number("theta", theta)
    return theta * x


def backward_propagation(x: float, theta: float) -> float:
    """Compute the derivative of J = theta x, dJ/dtheta = x.

    Parameters
    ----------
    x : float
        Input.
    theta : float
        Parameter.

    Returns
    -------
    float
        x.

    Raises
    ------
    TypeError
        If an argument is not a real number.

    Examples
    --------
    >>> backward_propagation(2, 4)
    2
    """
    checks.real_number("x", x)
    checks.real_number("theta", theta)
    return x


def gradient_check(x: float, theta: float, epsilon: float = 1e-7) -> np.floating:
    """Compare `backward_propagation` with (J(theta + epsilon) - J(theta - epsilon)) / (2 epsilon).

    difference = |grad - gradapprox| / (|grad| + |gradapprox|)

    Parameters
    ----------
    x : float
        Input.
    theta : float
        Parameter.
    epsilon : float
        Distance to either side.

    Returns
    -------
    numpy.floating
        The difference. The verdict, correct below 1e-7, is printed.

    Raises
    ------
    TypeError
        If an argument is not a real number.
    ValueError
        If epsilon is zero or not finite.

    Notes
    -----
    x = 0 makes the difference 0 / 0 = NaN, with NumPy's warning, and the verdict "wrong".

    Examples
    --------
    >>> difference = gradient_check(2, 4)
    The gradient is correct!
    >>> print(f"{difference:.2e}")
    2.92e-10
    """
    difference = compare_slopes(x, theta, epsilon)
    print("The gradient is correct!" if difference < 1e-7 else "The gradient is wrong!")
    return difference


def compare_slopes(x: float, theta: float, epsilon: float) -> np.floating:
    """Check the arguments of `gradient_check`, and compare."""
    x, theta = checks.real_number("x", x), checks.real_number("theta", theta)
    epsilon = checks.difference_step(epsilon)
    J_plus = forward_propagation(x, theta + epsilon)
    J_minus = forward_propagation(x, theta - epsilon)
    gradapprox = (J_plus - J_minus) / (2 * epsilon)
    return relative_difference(backward_propagation(x, theta), gradapprox)


def forward_propagation_n(X: ArrayLike, Y: ArrayLike, parameters: Arrays) -> tuple[np.floating, Cache]:
    """Compute LINEAR -> RELU -> ... -> LINEAR -> SIGMOID and the mean cross-entropy.

    J = -1/m * sum of y log(a) + (1-y) log(1-a)

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_L, m) or (m,)
        Labels.
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    cost : numpy.floating
        The cost comes first.
    cache : tuple of numpy.ndarray
        (Z1, A1, W1, b1, ...): the Z and A are fresh, the W and b are the caller's.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit.

    Notes
    -----
    A plain sum: unlike in the regularization notebook, one NaN makes the cost NaN.

    Examples
    --------
    >>> parameters = {"W1": np.zeros((1, 2)), "b1": np.zeros((1, 1))}
    >>> cost, cache = forward_propagation_n(np.ones((2, 3)), [1, 1, 0], parameters)
    >>> print(cost.round(12))
    0.69314718056
    """
    X, Y = checks.labelled_examples(X, Y, parameters, "Y")
    return _forward_n(layers.input_for(X, parameters), Y, parameters)


def backward_propagation_n(X: ArrayLike, Y: ArrayLike, cache: Cache) -> Arrays:
    """Compute the gradients of `forward_propagation_n`, with the 1/m in dW and db only.

    dZ_L = A_L - Y, dW_l = 1/m dZ_l A_{l-1}^T, db_l = 1/m * sum of dZ_l over examples,
    dA_{l-1} = W_l^T dZ_l, dZ_{l-1} = dA_{l-1} * (A_{l-1} > 0).

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_L, m) or (m,)
        Labels.
    cache : tuple of numpy.ndarray
        What `forward_propagation_n` returned.

    Returns
    -------
    dict of numpy.ndarray
        For three layers dZ3, dW3, db3, dA2, dZ2, dW2, db2, dA1, dZ1, dW1, db1, in this order.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit.

    Notes
    -----
    The notebook hands it out with two mistakes to find, in dW2 and db1; here they are mended.

    Examples
    --------
    >>> parameters = {"W1": np.zeros((1, 1)), "b1": np.zeros((1, 1))}
    >>> cost, cache = forward_propagation_n([[1.0, 3.0]], [0, 1], parameters)
    >>> print(backward_propagation_n([[1.0, 3.0]], [0, 1], cache)["dW1"])
    [[-0.5]]
    """
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return layers.total_backward(X, Y, cache)


def gradient_check_n(
    parameters: Arrays, gradients: Arrays, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-7
) -> np.floating:
    """Compare gradients with two-sided differences of `forward_propagation_n`, parameter by parameter.

    gradapprox_i = (J(theta_i + epsilon) - J(theta_i - epsilon)) / (2 epsilon) and
    difference = ||grad - gradapprox|| / (||grad|| + ||gradapprox||)

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL, of any number and width of layers.
    gradients : dict
        dW1, db1, ..., dWL, dbL, from `backward_propagation_n`.
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_L, m) or (m,)
        Labels.
    epsilon : float
        Distance to either side.

    Returns
    -------
    numpy.floating
        The difference. The verdict is printed, in yellow above 2e-7 and in green otherwise.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit, or epsilon is zero or not finite.

    Notes
    -----
    Computed in float64 whatever the parameters are: epsilon would vanish in float32. A difference
    that is NaN counts as a mistake.

    Examples
    --------
    >>> import contextlib
    >>> parameters = {"W1": np.array([[0.5]]), "b1": np.zeros((1, 1))}
    >>> X, Y = np.array([[1.0, 3.0]]), np.array([[0, 1]])
    >>> cost, cache = forward_propagation_n(X, Y, parameters)
    >>> grads = backward_propagation_n(X, Y, cache)
    >>> with contextlib.redirect_stdout(None):
    ...     difference = gradient_check_n(parameters, grads, X, Y)
    >>> bool(difference < 2e-7)
    True
    """
    return verdict(compare_gradients(costs_around, parameters, gradients, X, Y, epsilon))


def compare_gradients(
    costs_around: Callable[..., tuple[np.ndarray, np.ndarray]],
    parameters: Arrays,
    gradients: Arrays,
    X: ArrayLike,
    Y: ArrayLike,
    epsilon: float,
) -> np.floating:
    """Check the arguments of `gradient_check_n`, and compare with the differences of `costs_around`."""
    X, Y = checks.labelled_examples(X, Y, parameters, "Y")
    n_layers = checks.companions("gradients", parameters, gradients)
    epsilon = checks.difference_step(epsilon)
    names = vectors.parameter_names(n_layers)
    shapes = {name: parameters[name].shape for name in names}
    theta = vectors.column([parameters[name] for name in names]).astype(np.float64)  # (n, 1)
    grad = vectors.column([gradients[f"d{name}"] for name in names])  # (n, 1)
    J_plus, J_minus = costs_around(theta, shapes, floating(X), Y, epsilon)  # (n, 1)
    gradapprox = (J_plus - J_minus) / (2 * epsilon)  # (n, 1)
    return relative_difference(grad, gradapprox)


def costs_around(
    theta: np.ndarray, shapes: dict[str, tuple[int, ...]], X: np.ndarray, Y: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the costs with each parameter in turn moved by +epsilon and by -epsilon."""
    J_plus, J_minus = np.zeros_like(theta), np.zeros_like(theta)  # (n, 1)
    for i in range(theta.shape[0]):
        theta_plus, theta_minus = theta.copy(), theta.copy()
        theta_plus[i] += epsilon
        theta_minus[i] -= epsilon
        J_plus[i], _ = _forward_n(X, Y, vectors.unrolled(theta_plus, shapes))
        J_minus[i], _ = _forward_n(X, Y, vectors.unrolled(theta_minus, shapes))
    return J_plus, J_minus


def relative_difference(grad: float | np.ndarray, gradapprox: float | np.ndarray) -> np.floating:
    """Compute |grad - gradapprox| / (|grad| + |gradapprox|) with Euclidean norms."""
    return np.linalg.norm(grad - gradapprox) / (np.linalg.norm(grad) + np.linalg.norm(gradapprox))


def verdict(difference: np.floating) -> np.floating:
    """Print what `gradient_check_n` says about a difference, and return it."""
    # Asked this way round, NaN is a mistake.
    if difference <= 2e-7:
        colour, text = "\033[92m", "Your backward propagation works perfectly fine!"
    else:
        colour, text = "\033[93m", "There is a mistake in the backward propagation!"
    print(f"{colour}{text} difference = {difference!s}\033[0m")
    return difference


def _forward_n(X: np.ndarray, Y: np.ndarray, parameters: Arrays) -> tuple[np.floating, Cache]:
    """Do what `forward_propagation_n` does with checked arguments."""
    A, cache = layers.forward(X, parameters)  # (n_L, m)
    return 1.0 / X.shape[1] * np.sum(layers.cross_entropy(A, Y)), cache
