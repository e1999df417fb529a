"""The regularization notebook: L2 and dropout, and training with either or neither."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course import layers
from fastnn.reference.course.activations import relu, sigmoid
from fastnn.reference.course.datasets import load_2D_dataset, load_planar_dataset
from fastnn.reference.course.datasets import load_cats as load_dataset
from fastnn.reference.course.dropout import backward_propagation_with_dropout, forward_propagation_with_dropout
from fastnn.reference.course.figures import plot_decision_boundary
from fastnn.reference.course.layers import Arrays, Cache
from fastnn.reference.course.propagation import forward_propagation, predict, predict_dec, update_parameters
from fastnn.reference.course.recording import Report, regularization_record
from fastnn.reference.course.redefined import warn_of_redefined
from fastnn.reference.course.settings import RegularizationSettings

__all__ = [
    "backward_propagation",
    "backward_propagation_with_dropout",
    "backward_propagation_with_regularization",
    "compute_cost",
    "compute_cost_with_regularization",
    "forward_propagation",
    "forward_propagation_with_dropout",
    "initialize_parameters",
    "load_2D_dataset",
    "load_dataset",
    "load_planar_dataset",
    "model",
    "plot_decision_boundary",
    "predict",
    "predict_dec",
    "relu",
    "sigmoid",
    "update_parameters",
]


def initialize_parameters(layer_dims: Sequence[int]) -> Arrays:
    """Draw weights W_l = randn(n_l, n_{l-1}) / sqrt(n_{l-1}), with b_l = 0.

    Parameters
    ----------
    layer_dims : sequence of int
        Sizes of the layers, the input's first.

    Returns
    -------
    dict
        W1, b1, ..., WL, bL.

    Raises
    ------
    TypeError
        If layer_dims is not a sequence of integers.
    ValueError
        If it has fewer than two entries, or one below 1.

    Notes
    -----
    NumPy's global stream is seeded with 3 first. Xavier's rule, as a division: the last bits differ
    from a product with sqrt(1 / n_{l-1}).

    Examples
    --------
    >>> print(initialize_parameters([4, 1])["W1"].round(3))
    [[ 0.894  0.218  0.048 -0.932]]
    """
    sizes = checks.layer_sizes("layer_dims", layer_dims)
    return layers.draw_parameters(sizes, lambda W, n_in: W / np.sqrt(n_in))


def compute_cost(a3: ArrayLike, Y: ArrayLike) -> np.floating:
    """Compute the mean cross-entropy, -1/m * sum of y log(a) + (1-y) log(1-a).

    Parameters
    ----------
    a3 : array_like, shape (n_y, m)
        Output of the last layer.
    Y : array_like, shape (n_y, m) or (m,)
        Labels.

    Returns
    -------
    numpy.floating
        The cost.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ.

    Notes
    -----
    NaN terms are left out, as in the course: a = 1 where y = 1 gives 0 * log(0) = NaN, which counts
    as 0. The optimization notebook's function of the same name returns the total and keeps NaN.

    Examples
    --------
    >>> print(compute_cost([[0.5, 0.5]], [[0, 1]]))
    0.6931471805599453
    """
    return layers.mean_cross_entropy(*checks.outputs_and_labels("a3", a3, Y))


def compute_cost_with_regularization(A3: ArrayLike, Y: ArrayLike, parameters: Arrays, lambd: float) -> np.floating:
    """Compute the mean cross-entropy plus lambd/(2m) * sum of all squared weights.

    Parameters
    ----------
    A3 : array_like, shape (n_y, m)
        Output of the last layer.
    Y : array_like, shape (n_y, m) or (m,)
        Labels.
    parameters : dict
        W1, b1, ..., WL, bL; the biases do not count.
    lambd : float
        Coefficient of the squared weights.

    Returns
    -------
    numpy.floating
        The cost.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ, a parameter is missing, or lambd is negative or not finite.

    Examples
    --------
    >>> parameters = {"W1": np.array([[1.0, 2.0]]), "b1": np.zeros((1, 1))}
    >>> print(compute_cost_with_regularization([[0.5, 0.5]], [[0, 1]], parameters, 0.4))
    1.1931471805599454
    """
    A3, Y = checks.outputs_and_labels("A3", A3, Y)
    checks.parameter_arrays(parameters)
    return _cost(A3, Y, parameters, checks.l2_penalty(lambd))


def backward_propagation(X: ArrayLike, Y: ArrayLike, cache: Cache) -> Arrays:
    """Compute the gradients of the mean cross-entropy, with the 1/m in dW and db only.

    dZ_L = A_L - Y, dW_l = 1/m dZ_l A_{l-1}^T, db_l = 1/m * sum of dZ_l over examples,
    dA_{l-1} = W_l^T dZ_l, dZ_{l-1} = dA_{l-1} * (A_{l-1} > 0).

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
        For three layers dZ3, dW3, db3, dA2, dZ2, dW2, db2, dA1, dZ1, dW1, db1, in this order.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit.

    Notes
    -----
    The initialization and optimization notebooks put the 1/m into dz of the output layer instead.

    Examples
    --------
    >>> X, parameters = np.array([[1.0, 3.0]]), {"W1": np.zeros((1, 1)), "b1": np.zeros((1, 1))}
    >>> a, cache = forward_propagation(X, parameters)
    >>> grads = backward_propagation(X, [0, 1], cache)
    >>> print(grads["dZ1"], grads["dW1"])
    [[ 0.5 -0.5]] [[-0.5]]
    """
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return layers.total_backward(X, Y, cache)


def backward_propagation_with_regularization(X: ArrayLike, Y: ArrayLike, cache: Cache, lambd: float) -> Arrays:
    """Compute the gradients of the cost with L2: those of `backward_propagation`, dW_l + lambd/m W_l.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_L, m) or (m,)
        Labels.
    cache : tuple of numpy.ndarray
        What `forward_propagation` returned.
    lambd : float
        Coefficient of the squared weights.

    Returns
    -------
    dict of numpy.ndarray
        The keys of `backward_propagation`, in the same order.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not fit, or lambd is negative or not finite.

    Examples
    --------
    >>> X, parameters = np.array([[1.0, 3.0]]), {"W1": np.full((1, 1), 2.0), "b1": np.full((1, 1), -4.0)}
    >>> a, cache = forward_propagation(X, parameters)
    >>> plain = backward_propagation(X, [0, 1], cache)
    >>> grads = backward_propagation_with_regularization(X, [0, 1], cache, 0.5)
    >>> print((grads["dW1"] - plain["dW1"]).round(12))
    [[0.5]]
    """
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return layers.total_backward(X, Y, cache, lambd=checks.l2_penalty(lambd))


def model(
    X: ArrayLike,
    Y: ArrayLike,
    learning_rate: float = 0.3,
    num_iterations: int = 30000,
    print_cost: bool = True,
    lambd: float = 0,
    keep_prob: float = 1,
    *,
    warn_redefined: bool = True,
) -> Arrays:
    """Train a network of layers [n_x, 20, 3, 1] by batch gradient descent, with L2 or dropout.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (1, m) or (m,)
        Labels, 0 or 1.
    learning_rate : float
        Size of a step.
    num_iterations : int
        Number of steps; 0 returns the initial parameters.
    print_cost : bool
        Whether to print the cost before the update every 10000 iterations, and draw the curve of
        every 1000th.
    lambd : float
        L2 coefficient; 0 means none.
    keep_prob : float
        Probability of keeping a hidden unit; 1 means no dropout.
    warn_redefined : bool
        Whether to warn where the caller's module has functions of its own under names that the notebook's
        model would call.

    Returns
    -------
    dict
        W1, b1, W2, b2, W3, b3 after the last step.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If shapes do not fit, X or Y is not finite, a number is out of its range, or L2 and dropout
        are asked for together.

    Notes
    -----
    NumPy's global stream is seeded with 3 for the weights, and with 1 at every step with dropout:
    all steps use the same masks.

    Examples
    --------
    >>> X, Y = np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[0, 0, 1, 1]])
    >>> parameters = model(X, Y, num_iterations=10, print_cost=False, lambd=0.1)
    >>> parameters["W1"].shape
    (20, 1)
    """
    X, Y = checks.training_data(X, Y, n_y=1)
    settings = RegularizationSettings(learning_rate, num_iterations, lambd, keep_prob)
    if checks.flag("warn_redefined", warn_redefined):
        warn_of_redefined(settings.functions())
    record = regularization_record() if print_cost else None
    parameters = _train(X, Y, settings, record)
    if record is not None:
        record.draw(learning_rate)
    return parameters


def _train(X: np.ndarray, Y: np.ndarray, settings: RegularizationSettings, report: Report | None) -> Arrays:
    """Do what `model` does with checked arguments; the costs go to `report` every 1000 iterations."""
    lambd, keep_prob = settings.lambd, settings.keep_prob
    parameters = initialize_parameters([X.shape[0], 20, 3, 1])
    for i in range(settings.num_iterations):
        if keep_prob < 1:
            np.random.seed(1)
            a3, cache = layers.forward(X, parameters, keep_prob)  # (1, m)
            cost = layers.mean_cross_entropy(a3, Y)
            grads = layers.total_backward(X, Y, cache, keep_prob=keep_prob)
        elif lambd != 0:
            a3, cache = layers.forward(X, parameters)
            cost = _cost(a3, Y, parameters, lambd)
            grads = layers.total_backward(X, Y, cache, lambd=lambd)
        else:
            a3, cache = layers.forward(X, parameters)
            cost = layers.mean_cross_entropy(a3, Y)
            grads = layers.total_backward(X, Y, cache)
        parameters = layers.gradient_step(parameters, grads, settings.learning_rate)
        if report is not None and i % 1000 == 0:
            report(i, cost, settings.learning_rate)
    return parameters


def _cost(A3: np.ndarray, Y: np.ndarray, parameters: Arrays, lambd: float) -> np.floating:
    """Do what `compute_cost_with_regularization` does with checked arguments."""
    m = Y.shape[1]
    squares = sum(np.sum(np.square(parameters[f"W{layer}"])) for layer in range(1, len(parameters) // 2 + 1))
    cost: np.floating = layers.mean_cross_entropy(A3, Y) + lambd / (2 * m) * squares
    return cost
