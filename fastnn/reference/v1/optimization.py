"""The optimization notebook of 2017: `model` reports the cost of each epoch's last mini-batch, a mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference import optimization
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.settings import OptimizationSettings, Update
from fastnn.reference.optimization import __all__ as __all__
from fastnn.reference.optimization import backward_propagation as backward_propagation
from fastnn.reference.optimization import forward_propagation as forward_propagation
from fastnn.reference.optimization import initialize_adam as initialize_adam
from fastnn.reference.optimization import initialize_parameters as initialize_parameters
from fastnn.reference.optimization import initialize_velocity as initialize_velocity
from fastnn.reference.optimization import load_2D_dataset as load_2D_dataset
from fastnn.reference.optimization import load_dataset as load_dataset
from fastnn.reference.optimization import load_params_and_grads as load_params_and_grads
from fastnn.reference.optimization import plot_decision_boundary as plot_decision_boundary
from fastnn.reference.optimization import predict as predict
from fastnn.reference.optimization import predict_dec as predict_dec
from fastnn.reference.optimization import random_mini_batches as random_mini_batches
from fastnn.reference.optimization import relu as relu
from fastnn.reference.optimization import schedule_lr_decay as schedule_lr_decay
from fastnn.reference.optimization import sigmoid as sigmoid
from fastnn.reference.optimization import update_lr as update_lr
from fastnn.reference.optimization import update_parameters_with_adam as update_parameters_with_adam
from fastnn.reference.optimization import update_parameters_with_gd as update_parameters_with_gd
from fastnn.reference.optimization import update_parameters_with_momentum as update_parameters_with_momentum


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
    A plain sum: one NaN makes the cost NaN. From 2018 on the function of this name returns the total,
    `fastnn.optimization.compute_cost`.

    Examples
    --------
    >>> print(compute_cost([[0.5, 0.5]], [[0, 1]]))
    0.6931471805599453
    """
    a3, Y = checks.outputs_and_labels("a3", a3, Y)
    cost: np.floating = 1.0 / Y.shape[1] * optimization.compute_cost(a3, Y)
    return cost


def model(
    X: ArrayLike,
    Y: ArrayLike,
    layers_dims: Sequence[int],
    optimizer: Update,
    learning_rate: float = 0.0007,
    mini_batch_size: int = 64,
    beta: float = 0.9,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    num_epochs: int = 10000,
    print_cost: bool = True,
    *,
    warn_redefined: bool = True,
) -> Arrays:
    """Train a network on shuffled mini-batches by gradient descent, momentum or Adam.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_y, m) or (m,)
        Labels, 0 or 1.
    layers_dims : sequence of int
        Sizes of the layers, from n_x to n_y.
    optimizer : {"gd", "momentum", "adam"}
        The update.
    learning_rate : float
        Size of a step.
    mini_batch_size : int
        Examples in a step: m for batch, 1 for stochastic gradient descent.
    beta : float
        Weight of the past in momentum.
    beta1, beta2, epsilon : float
        Settings of Adam.
    num_epochs : int
        Passes over the data; 0 returns the initial parameters.
    print_cost : bool
        Whether to print the mean cost of the last mini-batch every 1000 epochs, and draw the curve of
        every 100th.
    warn_redefined : bool
        Whether to warn where the caller's module has functions of its own under names that the notebook's
        model would call.

    Returns
    -------
    dict
        W1, b1, ..., WL, bL after the last epoch.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If shapes do not fit, X or Y is not finite, or a number is out of its range.

    Notes
    -----
    The parameters are those of `fastnn.optimization.model`, whose notes hold: only the costs that are
    printed and drawn differ.

    Examples
    --------
    >>> X, Y = np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[0, 0, 1, 1]])
    >>> parameters = model(X, Y, [1, 3, 1], "adam", num_epochs=2, print_cost=False)
    >>> parameters["W1"].shape
    (3, 1)
    """
    X, Y = checks.training_data(X, Y)
    settings = OptimizationSettings(
        checks.layers_for_data("layers_dims", layers_dims, X, Y), optimizer, learning_rate, mini_batch_size,
        beta, beta1, beta2, epsilon, num_epochs, cost_of_last_batch=True,
    )  # fmt: skip
    return optimization._run(X, Y, settings, print_cost, warn_redefined)
