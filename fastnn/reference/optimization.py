"""The optimization notebook: gradient descent, momentum and Adam on mini-batches, with rate decay."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.reference.course import layers, optimizers
from fastnn.reference.course.activations import relu, sigmoid
from fastnn.reference.course.datasets import load_2D_dataset
from fastnn.reference.course.datasets import load_moons as load_dataset
from fastnn.reference.course.figures import plot_decision_boundary
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.optimizers import (
    initialize_adam,
    initialize_velocity,
    update_parameters_with_adam,
    update_parameters_with_gd,
    update_parameters_with_momentum,
)
from fastnn.reference.course.propagation import backward_propagation, forward_propagation, predict, predict_dec
from fastnn.reference.course.recording import Report, optimization_record
from fastnn.reference.course.redefined import warn_of_redefined
from fastnn.reference.course.schedules import schedule_lr_decay, update_lr
from fastnn.reference.course.settings import Decay, OptimizationSettings, Update

__all__ = [
    "backward_propagation",
    "compute_cost",
    "forward_propagation",
    "initialize_adam",
    "initialize_parameters",
    "initialize_velocity",
    "load_2D_dataset",
    "load_dataset",
    "load_params_and_grads",
    "model",
    "plot_decision_boundary",
    "predict",
    "predict_dec",
    "random_mini_batches",
    "relu",
    "schedule_lr_decay",
    "sigmoid",
    "update_lr",
    "update_parameters_with_adam",
    "update_parameters_with_gd",
    "update_parameters_with_momentum",
]


def load_params_and_grads(seed: int = 1) -> tuple[np.ndarray, ...]:
    """Draw the parameters and gradients that the notebook tries its updates on.

    Parameters
    ----------
    seed : int
        Seed of NumPy's global stream.

    Returns
    -------
    tuple of numpy.ndarray
        W1 (2, 3), b1 (2, 1), W2 (3, 3), b2 (3, 1), dW1, db1, dW2, db2; standard normal, drawn in
        this order. The two layers do not fit each other; the updates do not mind.

    Examples
    --------
    >>> W1, b1, W2, b2, dW1, db1, dW2, db2 = load_params_and_grads()
    >>> print(b1.round(3))
    [[ 1.745]
     [-0.761]]
    """
    np.random.seed(checks.legacy_seed(seed))
    return tuple(np.random.randn(*shape) for shape in ((2, 3), (2, 1), (3, 3), (3, 1)) * 2)


def initialize_parameters(layer_dims: Sequence[int]) -> Arrays:
    """Draw weights by He's rule: W_l = sqrt(2 / n_{l-1}) * randn(n_l, n_{l-1}), b_l = 0.

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
    NumPy's global stream is seeded with 3 first. The regularization notebook's function of the
    same name scales otherwise.

    Examples
    --------
    >>> print(initialize_parameters([2, 2])["W1"].round(3))
    [[ 1.789  0.437]
     [ 0.096 -1.863]]
    """
    return layers.draw_parameters(checks.layer_sizes("layer_dims", layer_dims), layers.he)


def compute_cost(a3: ArrayLike, Y: ArrayLike) -> np.floating:
    """Compute the total cross-entropy, -sum of y log(a) + (1-y) log(1-a), not divided by m.

    Parameters
    ----------
    a3 : array_like, shape (n_y, m)
        Output of the last layer.
    Y : array_like, shape (n_y, m) or (m,)
        Labels.

    Returns
    -------
    numpy.floating
        The total cost.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ.

    Notes
    -----
    `model` adds the totals of an epoch's mini-batches and divides by m. A plain sum: one NaN makes
    the cost NaN.

    Examples
    --------
    >>> print(compute_cost([[0.5, 0.5]], [[0, 1]]))
    1.3862943611198906
    """
    cost: np.floating = np.sum(layers.cross_entropy(*checks.outputs_and_labels("a3", a3, Y)))
    return cost


def random_mini_batches(
    X: ArrayLike, Y: ArrayLike, mini_batch_size: int = 64, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shuffle the examples and cut them into mini-batches.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
        Examples in columns.
    Y : array_like, shape (n_y, m) or (m,)
        Labels.
    mini_batch_size : int
        Examples in a mini-batch; the last one has what is left.
    seed : int
        Seed of NumPy's global stream.

    Returns
    -------
    list of (mini_batch_X, mini_batch_Y)
        Of shapes (n_x, size) and (n_y, size), of the dtypes of X and Y; slices of one shuffled copy.

    Raises
    ------
    TypeError
        If X or Y does not hold real numbers, or mini_batch_size is not an integer.
    ValueError
        If shapes do not fit, or mini_batch_size is below 1.

    Examples
    --------
    >>> batches = random_mini_batches(np.arange(5).reshape(1, 5), np.arange(5), 2, seed=0)
    >>> print(*(x for x, y in batches))
    [[2 0]] [[1 3]] [[4]]
    """
    X = checks.examples("X", X)
    Y = checks.labels("Y", Y, X.shape[1])
    mini_batch_size = checks.count("mini_batch_size", mini_batch_size, 1)
    return list(_shuffled(X, Y, mini_batch_size, checks.legacy_seed(seed)))


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
    decay: Decay | None = None,
    decay_rate: float = 1,
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
        Size of a step, at first.
    mini_batch_size : int
        Examples in a step: m for batch, 1 for stochastic gradient descent.
    beta : float
        Weight of the past in momentum.
    beta1, beta2, epsilon : float
        Settings of Adam.
    num_epochs : int
        Passes over the data; 0 returns the initial parameters.
    print_cost : bool
        Whether to print the epoch's mean cost every 1000 epochs (with a decay the learning rate
        too), and draw the curve of every 100th.
    decay : callable, optional
        Rule that gives the next epoch's rate: ``decay(learning_rate0, i, decay_rate)`` after epoch
        i. Epochs 0 and 1 both have the initial rate.
    decay_rate : float
        Passed on to decay.
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
    NumPy's global stream is seeded with 3 for the weights and with 11 + i for the shuffle of epoch
    i, so two threads that call at the same time disturb each other's numbers: give them a
    `fastnn.Network` each. The cost is the total over an epoch's mini-batches, each before its
    update, divided by m. The title of the curve has the last learning rate.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[0, 0, 1, 1]])
    >>> parameters = model(X, Y, [1, 3, 1], "adam", num_epochs=2, print_cost=False)
    >>> parameters["W1"].shape
    (3, 1)
    """
    X, Y = checks.training_data(X, Y)
    settings = OptimizationSettings(
        checks.layers_for_data("layers_dims", layers_dims, X, Y), optimizer, learning_rate, mini_batch_size,
        beta, beta1, beta2, epsilon, num_epochs, decay, decay_rate,
    )  # fmt: skip
    return _run(X, Y, settings, print_cost, warn_redefined)


def _run(
    X: np.ndarray, Y: np.ndarray, settings: OptimizationSettings, print_cost: bool, warn_redefined: bool
) -> Arrays:
    """Do what `model` does with checked data and settings."""
    if checks.flag("warn_redefined", warn_redefined):
        warn_of_redefined(settings.functions())
    record = optimization_record(settings.decay) if print_cost else None
    parameters = _train(X, Y, settings, record)
    if record is not None:
        record.draw(settings.last_rate)
    return parameters


def _train(X: np.ndarray, Y: np.ndarray, settings: OptimizationSettings, report: Report | None) -> Arrays:
    """Do what `model` does with checked arguments; costs and rates go to `report` every 100 epochs."""
    parameters = initialize_parameters(settings.layers_dims)
    v, s = initialize_adam(parameters)
    beta1, beta2, epsilon = settings.beta1, settings.beta2, settings.epsilon
    learning_rate, m, seed, t = settings.learning_rate, X.shape[1], 10, 0
    for i in range(settings.num_epochs):
        seed += 1
        total = 0.0
        for batch_X, batch_Y in _shuffled(X, Y, settings.mini_batch_size, seed):
            a, cache = layers.forward(batch_X, parameters)  # (n_y, size)
            cost = np.sum(layers.cross_entropy(a, batch_Y))
            total += cost
            grads = layers.mean_backward(batch_X, batch_Y, cache)
            if settings.optimizer == "gd":
                layers.gradient_step(parameters, grads, learning_rate)
            elif settings.optimizer == "momentum":
                optimizers.momentum_step(parameters, grads, v, settings.beta, learning_rate)
            else:
                t += 1
                optimizers.adam_step(parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon)
        learning_rate = settings.next_rate(i)
        if report is not None and i % 100 == 0:
            mean = 1.0 / batch_Y.shape[1] * cost if settings.cost_of_last_batch else total / m
            report(i, mean, learning_rate)
    return parameters


def _shuffled(
    X: np.ndarray, Y: np.ndarray, mini_batch_size: int, seed: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Do what `random_mini_batches` does with checked arguments, a mini-batch at a time."""
    np.random.seed(seed)
    m = X.shape[1]
    permutation = np.random.permutation(m)
    X, Y = X[:, permutation], Y[:, permutation]  # (n_x, m), (n_y, m)
    for start in range(0, m, mini_batch_size):
        yield X[:, start : start + mini_batch_size], Y[:, start : start + mini_batch_size]
