"""The gradient checking notebook of 2021: checks that print nothing unless they are asked to."""

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference import gradient_checking
from fastnn.reference.course.layers import Arrays
from fastnn.reference.gradient_checking import __all__ as __all__
from fastnn.reference.gradient_checking import backward_propagation as backward_propagation
from fastnn.reference.gradient_checking import backward_propagation_n as backward_propagation_n
from fastnn.reference.gradient_checking import dictionary_to_vector as dictionary_to_vector
from fastnn.reference.gradient_checking import forward_propagation as forward_propagation
from fastnn.reference.gradient_checking import forward_propagation_n as forward_propagation_n
from fastnn.reference.gradient_checking import gradients_to_vector as gradients_to_vector
from fastnn.reference.gradient_checking import relu as relu
from fastnn.reference.gradient_checking import sigmoid as sigmoid
from fastnn.reference.gradient_checking import vector_to_dictionary as vector_to_dictionary


def gradient_check(x: float, theta: float, epsilon: float = 1e-7, print_msg: bool = False) -> np.floating:
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
    print_msg : bool
        Whether to print the verdict, in yellow above 2e-7 and in green otherwise.

    Returns
    -------
    numpy.floating
        The difference.

    Raises
    ------
    TypeError
        If x, theta or epsilon is not a real number, or print_msg not a bool.
    ValueError
        If epsilon is zero or not finite.

    Notes
    -----
    x = 0 makes the difference 0 / 0 = NaN, with NumPy's warning, which counts as a mistake.

    Examples
    --------
    >>> print(f"{gradient_check(2, 4):.2e}")
    2.92e-10
    """
    print_msg = checks.flag("print_msg", print_msg)
    difference = gradient_checking.compare_slopes(x, theta, epsilon)
    return gradient_checking.verdict(difference) if print_msg else difference


def gradient_check_n(
    parameters: Arrays, gradients: Arrays, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-7, print_msg: bool = False
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
    print_msg : bool
        Whether to print the verdict, in yellow above 2e-7 and in green otherwise.

    Returns
    -------
    numpy.floating
        The difference.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers, or print_msg is not a bool.
    ValueError
        If shapes do not fit, or epsilon is zero or not finite.

    Notes
    -----
    Computed in float64 whatever the parameters are: epsilon would vanish in float32. A difference
    that is NaN counts as a mistake.

    Examples
    --------
    >>> parameters = {"W1": np.array([[0.5]]), "b1": np.zeros((1, 1))}
    >>> X, Y = np.array([[1.0, 3.0]]), np.array([[0, 1]])
    >>> cost, cache = forward_propagation_n(X, Y, parameters)
    >>> bool(gradient_check_n(parameters, backward_propagation_n(X, Y, cache), X, Y) < 2e-7)
    True
    """
    print_msg = checks.flag("print_msg", print_msg)
    difference = gradient_checking.compare_gradients(
        gradient_checking.costs_around, parameters, gradients, X, Y, epsilon
    )
    return gradient_checking.verdict(difference) if print_msg else difference
