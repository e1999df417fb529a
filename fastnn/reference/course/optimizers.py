"""The updates of the optimization notebook: gradient descent, momentum, Adam."""

import numpy as np

from fastnn import checks
from fastnn.reference.course import layers
from fastnn.reference.course.activations import floating
from fastnn.reference.course.layers import Arrays


def update_parameters_with_gd(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
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
    >>> print(update_parameters_with_gd(parameters, grads, 0.5)["W1"])
    [[0.5 0. ]]
    """
    checks.companions("grads", parameters, grads)
    return layers.gradient_step(parameters, grads, checks.real_number("learning_rate", learning_rate))


def initialize_velocity(parameters: Arrays) -> Arrays:
    """Make the velocity of momentum: zero for every parameter.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    dict
        dW1, db1, ..., dWL, dbL: float64 zeros of the parameters' shapes.

    Raises
    ------
    TypeError
        If parameters is not a dict of arrays of real numbers.
    ValueError
        If a parameter is missing.

    Examples
    --------
    >>> print(initialize_velocity({"W1": np.ones((1, 2)), "b1": np.ones((1, 1))}))
    {'dW1': array([[0., 0.]]), 'db1': array([[0.]])}
    """
    n_layers = checks.parameter_arrays(parameters)
    names = [f"{letter}{layer}" for layer in range(1, n_layers + 1) for letter in "Wb"]
    return {f"d{name}": np.zeros(parameters[name].shape) for name in names}


def update_parameters_with_momentum(
    parameters: Arrays, grads: Arrays, v: Arrays, beta: float, learning_rate: float
) -> tuple[Arrays, Arrays]:
    """Take one step of momentum, v = beta v + (1 - beta) dW and W = W - learning_rate v; likewise b.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL. Entries are rebound to new arrays; the old arrays stay as they are.
    grads : dict
        dW1, db1, ..., dWL, dbL.
    v : dict
        Velocity, keys as in grads; rebound likewise.
    beta : float
        Weight of the past.
    learning_rate : float
        Size of the step.

    Returns
    -------
    parameters, v : dict
        The same two dicts.

    Raises
    ------
    TypeError
        If an array does not hold real numbers, or beta or learning_rate is not a real number.
    ValueError
        If an entry is missing or its shape differs.

    Notes
    -----
    The velocity is an average, as in the course: a steady gradient moves the parameters by
    learning_rate a step, where classical momentum moves them by learning_rate / (1 - beta).

    Examples
    --------
    >>> parameters = {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))}
    >>> grads = {"dW1": np.array([[2.0]]), "db1": np.array([[1.0]])}
    >>> from fastnn.optimization import initialize_velocity
    >>> v = initialize_velocity(parameters)
    >>> parameters, v = update_parameters_with_momentum(parameters, grads, v, 0.5, 0.1)
    >>> print(v["dW1"], parameters["W1"])
    [[1.]] [[0.9]]
    """
    checks.companions("grads", parameters, grads)
    checks.companions("v", parameters, v)
    beta = checks.real_number("beta", beta)
    return momentum_step(parameters, grads, v, beta, checks.real_number("learning_rate", learning_rate))


def initialize_adam(parameters: Arrays) -> tuple[Arrays, Arrays]:
    """Make the two moments of Adam: zero for every parameter.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    v, s : dict
        Moving averages of the gradient and of its square: dW1, db1, ..., dWL, dbL, float64 zeros.

    Raises
    ------
    TypeError
        If parameters is not a dict of arrays of real numbers.
    ValueError
        If a parameter is missing.

    Examples
    --------
    >>> v, s = initialize_adam({"W1": np.ones((1, 2)), "b1": np.ones((1, 1))})
    >>> print(s["dW1"])
    [[0. 0.]]
    """
    return initialize_velocity(parameters), initialize_velocity(parameters)


def update_parameters_with_adam(
    parameters: Arrays,
    grads: Arrays,
    v: Arrays,
    s: Arrays,
    t: int,
    learning_rate: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Arrays, Arrays, Arrays]:
    """Take one step of Adam.

    v = beta1 v + (1 - beta1) dW, s = beta2 s + (1 - beta2) dW^2,
    W = W - learning_rate * (v / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon); likewise b.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL. Entries are rebound to new arrays; the old arrays stay as they are.
    grads : dict
        dW1, db1, ..., dWL, dbL.
    v, s : dict
        First and second moment, keys as in grads; rebound likewise.
    t : int
        Number of this step, from 1.
    learning_rate : float
        Size of the step.
    beta1, beta2 : float
        Weights of the past in v and s.
    epsilon : float
        Added to the corrected root, outside it.

    Returns
    -------
    parameters, v, s : dict
        The same three dicts.

    Raises
    ------
    TypeError
        If an array does not hold real numbers, or t, a rate or epsilon is not a real number.
    ValueError
        If an entry is missing or its shape differs.

    Notes
    -----
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, Algorithm 1. The course's v
    and s are the paper's m and v. t = 0 divides by zero, and gives what NumPy gives.

    Examples
    --------
    >>> parameters = {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))}
    >>> grads = {"dW1": np.array([[2.0]]), "db1": np.array([[-3.0]])}
    >>> from fastnn.optimization import initialize_adam
    >>> v, s = initialize_adam(parameters)
    >>> parameters, v, s = update_parameters_with_adam(parameters, grads, v, s, 1, learning_rate=0.1)
    >>> print(parameters["W1"].round(6), parameters["b1"].round(6))
    [[0.9]] [[0.1]]
    """
    checks.companions("grads", parameters, grads)
    checks.companions("v", parameters, v)
    checks.companions("s", parameters, s)
    step = checks.real_number("t", t)
    learning_rate = checks.real_number("learning_rate", learning_rate)
    beta1 = checks.real_number("beta1", beta1)
    beta2 = checks.real_number("beta2", beta2)
    epsilon = checks.real_number("epsilon", epsilon)
    return adam_step(parameters, grads, v, s, step, learning_rate, beta1, beta2, epsilon)


def momentum_step(
    parameters: Arrays, grads: Arrays, v: Arrays, beta: float, learning_rate: float
) -> tuple[Arrays, Arrays]:
    """Do what `update_parameters_with_momentum` does with checked arguments."""
    for layer in range(1, len(parameters) // 2 + 1):
        for name in (f"W{layer}", f"b{layer}"):
            key = f"d{name}"
            v[key] = beta * v[key] + (1 - beta) * grads[key]
            parameters[name] = parameters[name] - learning_rate * v[key]
    return parameters, v


def adam_step(
    parameters: Arrays,
    grads: Arrays,
    v: Arrays,
    s: Arrays,
    t: float,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> tuple[Arrays, Arrays, Arrays]:
    """Do what `update_parameters_with_adam` does with checked arguments."""
    correction1, correction2 = _corrections(t, beta1, beta2)
    for layer in range(1, len(parameters) // 2 + 1):
        for name in (f"W{layer}", f"b{layer}"):
            key = f"d{name}"
            v[key] = beta1 * v[key] + (1 - beta1) * grads[key]
            s[key] = beta2 * s[key] + (1 - beta2) * floating(grads[key]) ** 2
            v_corrected, s_corrected = v[key] / correction1, s[key] / correction2
            step = learning_rate * v_corrected / (np.sqrt(s_corrected) + epsilon)
            parameters[name] = parameters[name] - step
    return parameters, v, s


def corrected_moments(
    parameters: Arrays, v: Arrays, s: Arrays, t: float, beta1: float, beta2: float
) -> tuple[Arrays, Arrays]:
    """Return the moments after step t without their bias to zero, in new arrays."""
    correction1, correction2 = _corrections(float(t), beta1, beta2)
    keys = [key for _, _, *gradients in checks.layer_keys[len(parameters)] for key in gradients]
    return {key: v[key] / correction1 for key in keys}, {key: s[key] / correction2 for key in keys}


def _corrections(t: float, beta1: float, beta2: float) -> tuple[float, float]:
    """Return 1 - beta1^t and 1 - beta2^t."""
    # NumPy's power: Python's raises for a zero to a negative power and makes complex numbers.
    return 1 - float(np.float64(beta1) ** t), 1 - float(np.float64(beta2) ** t)
