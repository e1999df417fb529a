"""The initialization notebook: zeros, large random, He and Xavier weights, and training from each."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course import layers
from fastnn.reference.course.activations import relu, sigmoid
from fastnn.reference.course.datasets import load_cats as load_cat_dataset
from fastnn.reference.course.datasets import load_circles as load_dataset
from fastnn.reference.course.figures import plot_decision_boundary
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.propagation import (
    backward_propagation,
    forward_propagation,
    predict,
    predict_dec,
    update_parameters,
)
from fastnn.reference.course.recording import Report, initialization_record
from fastnn.reference.course.redefined import warn_of_redefined
from fastnn.reference.course.settings import Initialization, InitializationSettings

__all__ = [
    "backward_propagation",
    "compute_loss",
    "forward_propagation",
    "initialize_parameters_he",
    "initialize_parameters_random",
    "initialize_parameters_xavier",
    "initialize_parameters_zeros",
    "load_cat_dataset",
    "load_dataset",
    "model",
    "plot_decision_boundary",
    "predict",
    "predict_dec",
    "relu",
    "sigmoid",
    "update_parameters",
]


def compute_loss(a3: ArrayLike, Y: ArrayLike) -> np.floating:
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
        The loss.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ.

    Notes
    -----
    NaN terms are left out, as in the course: a = 1 where y = 1 gives 0 * log(0) = NaN, which counts
    as 0, while a = 0 where y = 1 makes the loss infinite.

    Examples
    --------
    >>> print(compute_loss([[0.5, 0.5]], [[0, 1]]))
    0.6931471805599453
    """
    return layers.mean_cross_entropy(*checks.outputs_and_labels("a3", a3, Y))


def initialize_parameters_zeros(layers_dims: Sequence[int]) -> Arrays:
    """Make parameters that are all zero: W_l = 0, b_l = 0.

    Parameters
    ----------
    layers_dims : sequence of int
        Sizes of the layers, the input's first.

    Returns
    -------
    dict
        W1 of shape (layers_dims[1], layers_dims[0]), b1 of shape (layers_dims[1], 1), and so on.

    Raises
    ------
    TypeError
        If layers_dims is not a sequence of integers.
    ValueError
        If it has fewer than two entries, or one below 1.

    Examples
    --------
    >>> print(initialize_parameters_zeros([3, 2])["W1"])
    [[0. 0. 0.]
     [0. 0. 0.]]
    """
    sizes = checks.layer_sizes("layers_dims", layers_dims)
    parameters = {}
    for layer in range(1, len(sizes)):
        parameters[f"W{layer}"] = np.zeros((sizes[layer], sizes[layer - 1]))  # (n_l, n_{l-1})
        parameters[f"b{layer}"] = np.zeros((sizes[layer], 1))  # (n_l, 1)
    return parameters


def initialize_parameters_random(layers_dims: Sequence[int]) -> Arrays:
    """Draw weights ten times too large: W_l = 10 * randn(n_l, n_{l-1}), b_l = 0.

    Parameters
    ----------
    layers_dims : sequence of int
        Sizes of the layers, the input's first.

    Returns
    -------
    dict
        W1, b1, ..., WL, bL.

    Raises
    ------
    TypeError
        If layers_dims is not a sequence of integers.
    ValueError
        If it has fewer than two entries, or one below 1.

    Notes
    -----
    NumPy's global stream is seeded with 3 first.

    Examples
    --------
    >>> print(initialize_parameters_random([3, 2])["W1"].round(3))
    [[ 17.886   4.365   0.965]
     [-18.635  -2.774  -3.548]]
    """
    sizes = checks.layer_sizes("layers_dims", layers_dims)
    return layers.draw_parameters(sizes, lambda W, n_in: W * 10)


def initialize_parameters_he(layers_dims: Sequence[int]) -> Arrays:
    """Draw weights scaled for ReLU layers: W_l = sqrt(2 / n_{l-1}) * randn(n_l, n_{l-1}), b_l = 0.

    Parameters
    ----------
    layers_dims : sequence of int
        Sizes of the layers, the input's first.

    Returns
    -------
    dict
        W1, b1, ..., WL, bL.

    Raises
    ------
    TypeError
        If layers_dims is not a sequence of integers.
    ValueError
        If it has fewer than two entries, or one below 1.

    Notes
    -----
    NumPy's global stream is seeded with 3 first. He et al., "Delving Deep into Rectifiers", 2015.

    Examples
    --------
    >>> print(initialize_parameters_he([2, 2])["W1"].round(3))
    [[ 1.789  0.437]
     [ 0.096 -1.863]]
    """
    return layers.draw_parameters(checks.layer_sizes("layers_dims", layers_dims), layers.he)


def initialize_parameters_xavier(layers_dims: Sequence[int]) -> Arrays:
    """Draw weights scaled by Xavier's rule: W_l = sqrt(1 / n_{l-1}) * randn(n_l, n_{l-1}), b_l = 0.

    Parameters
    ----------
    layers_dims : sequence of int
        Sizes of the layers, the input's first.

    Returns
    -------
    dict
        W1, b1, ..., WL, bL.

    Raises
    ------
    TypeError
        If layers_dims is not a sequence of integers.
    ValueError
        If it has fewer than two entries, or one below 1.

    Notes
    -----
    NumPy's global stream is seeded with 3 first. The variant that the course states beside He's,
    with the inputs of a layer only.

    Examples
    --------
    >>> print(initialize_parameters_xavier([4, 1])["W1"].round(3))
    [[ 0.894  0.218  0.048 -0.932]]
    """
    sizes = checks.layer_sizes("layers_dims", layers_dims)
    return layers.draw_parameters(sizes, lambda W, n_in: W * np.sqrt(1.0 / n_in))


INITIALIZERS: dict[Initialization, Callable[[Sequence[int]], Arrays]] = {
    "zeros": initialize_parameters_zeros,
    "random": initialize_parameters_random,
    "he": initialize_parameters_he,
    "xavier": initialize_parameters_xavier,
}


def model(
    X: ArrayLike,
    Y: ArrayLike,
    learning_rate: float = 0.01,
    num_iterations: int = 15000,
    print_cost: bool = True,
    initialization: Initialization = "he",
    *,
    warn_redefined: bool = True,
) -> Arrays:
    """Train a network of layers [n_x, 10, 5, 1] by batch gradient descent.

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
        Whether to print the cost before the update every 1000 iterations and draw its curve.
    initialization : {"he", "zeros", "random", "xavier"}
        How the parameters begin: by the function ``initialize_parameters_...`` of that name.
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
        If shapes do not fit, X or Y is not finite, or a number is out of its range.

    Notes
    -----
    NumPy's global stream is left as the initializer leaves it.

    Examples
    --------
    >>> X, Y = np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[0, 0, 1, 1]])
    >>> parameters = model(X, Y, num_iterations=10, initialization="zeros")
    Cost after iteration 0: 0.6931471805599453
    >>> parameters["W1"].shape
    (10, 1)
    """
    X, Y = checks.training_data(X, Y, n_y=1)
    settings = InitializationSettings(learning_rate, num_iterations, initialization)
    if checks.flag("warn_redefined", warn_redefined):
        warn_of_redefined(settings.functions())
    record = initialization_record() if print_cost else None
    parameters = _train(X, Y, settings, record)
    if record is not None:
        record.draw(learning_rate)
    return parameters


def _train(X: np.ndarray, Y: np.ndarray, settings: InitializationSettings, report: Report | None) -> Arrays:
    """Do what `model` does with checked arguments; the costs go to `report` every 1000 iterations."""
    parameters = INITIALIZERS[settings.initialization]([X.shape[0], 10, 5, 1])
    for i in range(settings.num_iterations):
        a3, cache = layers.forward(X, parameters)  # (1, m)
        cost = layers.mean_cross_entropy(a3, Y)
        grads = layers.mean_backward(X, Y, cache)
        parameters = layers.gradient_step(parameters, grads, settings.learning_rate)
        if report is not None and i % 1000 == 0:
            report(i, cost, settings.learning_rate)
    return parameters
