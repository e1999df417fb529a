"""The regularization notebook, compiled: L2 and dropout on a three-layer network.

Names, signatures and results are those of `fastnn.reference.regularization`; what has no kernel work is the
reference's own.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.course import direct, propagation
from fastnn.course.first_run import numpy_is_done_first
from fastnn.course.model_run import GRADIENT_DESCENT, CourseTraining
from fastnn.course.propagation import forward_propagation, predict, predict_dec, relu, sigmoid
from fastnn.course.updates import update_parameters
from fastnn.reference import regularization as reference
from fastnn.reference.course import layers
from fastnn.reference.course.layers import Arrays, Cache
from fastnn.reference.course.recording import Report, regularization_record
from fastnn.reference.course.redefined import warn_of_redefined
from fastnn.reference.course.settings import RegularizationSettings
from fastnn.reference.regularization import (
    initialize_parameters,
    load_2D_dataset,
    load_dataset,
    load_planar_dataset,
    plot_decision_boundary,
)

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


@propagation.documented_as(reference.compute_cost)
def compute_cost(a3: ArrayLike, Y: ArrayLike) -> np.floating:  # noqa: D103
    found = direct.cost(a3, Y, skip_nan=True, mean=True)
    if found is not None:
        return found
    return propagation.mean_cross_entropy(*checks.outputs_and_labels("a3", a3, Y))


@propagation.documented_as(reference.compute_cost_with_regularization)
def compute_cost_with_regularization(  # noqa: D103
    A3: ArrayLike, Y: ArrayLike, parameters: Arrays, lambd: float
) -> np.floating:
    if direct.is_number(lambd) and 0.0 <= lambd < math.inf:
        found = direct.cost_with_weights(A3, Y, parameters, lambd)
        if found is not None:
            return found
    A3, Y = checks.outputs_and_labels("A3", A3, Y)
    checks.parameter_arrays(parameters)
    penalty = checks.l2_penalty(lambd) / (2 * Y.shape[1])
    cost: np.floating = propagation.mean_cross_entropy(A3, Y) + penalty * propagation.squared_weights(parameters)
    return cost


@propagation.documented_as(reference.backward_propagation)
def backward_propagation(X: ArrayLike, Y: ArrayLike, cache: Cache) -> Arrays:  # noqa: D103
    found = direct.backward(X, Y, cache)
    if found is not None:
        return found
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return propagation.backward(X, Y, cache)


@propagation.documented_as(reference.backward_propagation_with_regularization)
def backward_propagation_with_regularization(  # noqa: D103
    X: ArrayLike, Y: ArrayLike, cache: Cache, lambd: float
) -> Arrays:
    if direct.is_number(lambd) and 0.0 <= lambd < math.inf:
        found = direct.backward(X, Y, cache, lambd=lambd)
        if found is not None:
            return found
    X, Y = checks.backward_arguments(X, Y, cache, 4)
    return propagation.backward(X, Y, cache, lambd=checks.l2_penalty(lambd))


@propagation.documented_as(reference.forward_propagation_with_dropout)
def forward_propagation_with_dropout(  # noqa: D103
    X: ArrayLike, parameters: Arrays, keep_prob: float = 0.5
) -> tuple[np.ndarray, Cache]:
    if direct.is_number(keep_prob) and 0.0 < keep_prob <= 1.0:
        found = direct.forward(X, parameters, keep_prob)
        if found is not None:
            return found
    X = checks.examples("X", X)
    checks.network(parameters, X.shape[0])
    keep_prob = checks.keep_probability(keep_prob)
    np.random.seed(1)
    return propagation.forward(layers.input_for(X, parameters), parameters, keep_prob)


@propagation.documented_as(reference.backward_propagation_with_dropout)
def backward_propagation_with_dropout(  # noqa: D103
    X: ArrayLike, Y: ArrayLike, cache: Cache, keep_prob: float
) -> Arrays:
    if direct.is_number(keep_prob) and 0.0 < keep_prob <= 1.0:
        found = direct.backward(X, Y, cache, keep_prob=keep_prob)
        if found is not None:
            return found
    X, Y = checks.backward_arguments(X, Y, cache, 5)
    return propagation.backward(X, Y, cache, keep_prob=checks.keep_probability(keep_prob))


@propagation.documented_as(reference.model)
def model(  # noqa: D103
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
    X, Y = checks.training_data(X, Y, n_y=1)
    settings = RegularizationSettings(learning_rate, num_iterations, lambd, keep_prob)
    if checks.flag("warn_redefined", warn_redefined):
        warn_of_redefined(settings.functions())
    record = regularization_record() if print_cost else None
    waits = not numpy_is_done_first([X.shape[0], 20, 3, 1], X.shape[1], settings.num_iterations)
    parameters = (_train if waits else propagation.silent(reference._train))(X, Y, settings, record)
    if record is not None:
        record.draw(learning_rate)
    return parameters


def _train(X: np.ndarray, Y: np.ndarray, settings: RegularizationSettings, report: Report | None) -> Arrays:
    """Do what `model` does with checked arguments; the costs go to `report` every 1000 iterations."""
    lambd, keep_prob = settings.lambd, settings.keep_prob
    sizes = [X.shape[0], 20, 3, 1]
    parameters = initialize_parameters(sizes)
    masks: tuple[np.ndarray, ...] = ()
    if keep_prob < 1 and settings.num_iterations:
        # The course seeds every forward pass with 1, so that all iterations have the masks of the first.
        np.random.seed(1)
        masks = tuple(np.random.rand(n_l, X.shape[1]) < keep_prob for n_l in sizes[1:-1])
    training = CourseTraining(
        parameters, X, Y, GRADIENT_DESCENT, lambd=lambd, masks=masks, keep_prob=keep_prob, skip_nan=True
    )
    return training.run(settings.num_iterations, settings.learning_rate, report, 1000)
