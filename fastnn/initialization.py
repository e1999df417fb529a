"""The initialization notebook, compiled: zeros, random, He and Xavier initialization of a three-layer network.

Names, signatures and results are those of `fastnn.reference.initialization`; what has no kernel work is the
reference's own.
"""

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.course import direct, propagation
from fastnn.course.first_run import numpy_is_done_first
from fastnn.course.model_run import GRADIENT_DESCENT, CourseTraining
from fastnn.course.propagation import backward_propagation, forward_propagation, predict, predict_dec, relu, sigmoid
from fastnn.course.updates import update_parameters
from fastnn.reference import initialization as reference
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.recording import Report, initialization_record
from fastnn.reference.course.redefined import warn_of_redefined
from fastnn.reference.course.settings import Initialization, InitializationSettings
from fastnn.reference.initialization import (
    initialize_parameters_he,
    initialize_parameters_random,
    initialize_parameters_xavier,
    initialize_parameters_zeros,
    load_cat_dataset,
    load_dataset,
    plot_decision_boundary,
)

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


@propagation.documented_as(reference.compute_loss)
def compute_loss(a3: ArrayLike, Y: ArrayLike) -> np.floating:  # noqa: D103
    found = direct.cost(a3, Y, skip_nan=True, mean=True)
    if found is not None:
        return found
    return propagation.mean_cross_entropy(*checks.outputs_and_labels("a3", a3, Y))


@propagation.documented_as(reference.model)
def model(  # noqa: D103
    X: ArrayLike,
    Y: ArrayLike,
    learning_rate: float = 0.01,
    num_iterations: int = 15000,
    print_cost: bool = True,
    initialization: Initialization = "he",
    *,
    warn_redefined: bool = True,
) -> Arrays:
    X, Y = checks.training_data(X, Y, n_y=1)
    settings = InitializationSettings(learning_rate, num_iterations, initialization)
    if checks.flag("warn_redefined", warn_redefined):
        warn_of_redefined(settings.functions())
    record = initialization_record() if print_cost else None
    waits = not numpy_is_done_first([X.shape[0], 10, 5, 1], X.shape[1], settings.num_iterations)
    parameters = (_train if waits else propagation.silent(reference._train))(X, Y, settings, record)
    if record is not None:
        record.draw(learning_rate)
    return parameters


def _train(X: np.ndarray, Y: np.ndarray, settings: InitializationSettings, report: Report | None) -> Arrays:
    """Do what `model` does with checked arguments; the costs go to `report` every 1000 iterations."""
    parameters = reference.INITIALIZERS[settings.initialization]([X.shape[0], 10, 5, 1])
    training = CourseTraining(parameters, X, Y, GRADIENT_DESCENT, skip_nan=True)
    return training.run(settings.num_iterations, settings.learning_rate, report, 1000)
