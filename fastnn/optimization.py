"""The optimization notebook, compiled: gradient descent, momentum and Adam on mini-batches, with rate decay.

Names, signatures and results are those of `fastnn.reference.optimization`; what has no kernel work is the
reference's own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.course import direct, propagation
from fastnn.course.first_run import numpy_is_done_first
from fastnn.course.model_run import GRADIENT_DESCENT, CourseTraining
from fastnn.course.propagation import backward_propagation, forward_propagation, predict, predict_dec, relu, sigmoid
from fastnn.course.updates import (
    update_parameters_with_adam,
    update_parameters_with_gd,
    update_parameters_with_momentum,
)
from fastnn.optimizers import UpdateRule
from fastnn.reference import optimization as reference
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.recording import Report, optimization_record
from fastnn.reference.course.redefined import warn_of_redefined
from fastnn.reference.course.settings import Decay, OptimizationSettings, Update
from fastnn.reference.optimization import (
    initialize_adam,
    initialize_parameters,
    initialize_velocity,
    load_2D_dataset,
    load_dataset,
    load_params_and_grads,
    plot_decision_boundary,
    random_mini_batches,
    schedule_lr_decay,
    update_lr,
)

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

# The notebook's seed is 10, incremented before every epoch.
_FIRST_SEED = 11


@propagation.documented_as(reference.compute_cost)
def compute_cost(a3: ArrayLike, Y: ArrayLike) -> np.floating:  # noqa: D103
    found = direct.cost(a3, Y, skip_nan=False, mean=False)
    if found is not None:
        return found
    return propagation.total_cross_entropy(*checks.outputs_and_labels("a3", a3, Y), skip_nan=False)


@propagation.documented_as(reference.model)
def model(  # noqa: D103
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
    batch = min(settings.mini_batch_size, X.shape[1])
    steps = settings.num_epochs * -(-X.shape[1] // batch)
    waits = not numpy_is_done_first(settings.layers_dims, batch, steps, settings.optimizer)
    parameters = (_train if waits else propagation.silent(reference._train))(X, Y, settings, record)
    if record is not None:
        record.draw(settings.last_rate)
    return parameters


def _train(X: np.ndarray, Y: np.ndarray, settings: OptimizationSettings, report: Report | None) -> Arrays:
    """Do what `model` does with checked arguments; costs and rates go to `report` every 100 epochs."""
    # Not by `fastnn.optimizers`: the course takes any numbers.
    rule = {
        "gd": GRADIENT_DESCENT,
        "momentum": UpdateRule("averaged", "v", settings.beta),
        "adam": UpdateRule("adam", "vs", settings.beta1, settings.beta2, settings.epsilon),
    }[settings.optimizer]
    training = CourseTraining(
        initialize_parameters(settings.layers_dims), X, Y, rule, batch=settings.mini_batch_size, first_seed=_FIRST_SEED
    )
    next_rate = None if settings.decay is None else settings.next_rate
    parameters = training.run(
        settings.num_epochs, settings.learning_rate, report, 100, next_rate, settings.cost_of_last_batch
    )
    if settings.num_epochs:
        # Leave NumPy's stream where the last shuffle of the notebook leaves it.
        np.random.seed(_FIRST_SEED + settings.num_epochs - 1)
        np.random.permutation(X.shape[1])
    return parameters
