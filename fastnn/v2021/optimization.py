"""The optimization notebook of 2021, compiled; results are those of `fastnn.reference.v2021.optimization`."""

from collections.abc import Sequence

from numpy.typing import ArrayLike

from fastnn import optimization
from fastnn.course.propagation import documented_as, silent
from fastnn.optimization import __all__ as __all__
from fastnn.optimization import backward_propagation as backward_propagation
from fastnn.optimization import compute_cost as compute_cost
from fastnn.optimization import forward_propagation as forward_propagation
from fastnn.optimization import initialize_adam as initialize_adam
from fastnn.optimization import initialize_parameters as initialize_parameters
from fastnn.optimization import initialize_velocity as initialize_velocity
from fastnn.optimization import load_2D_dataset as load_2D_dataset
from fastnn.optimization import load_dataset as load_dataset
from fastnn.optimization import load_params_and_grads as load_params_and_grads
from fastnn.optimization import plot_decision_boundary as plot_decision_boundary
from fastnn.optimization import predict as predict
from fastnn.optimization import predict_dec as predict_dec
from fastnn.optimization import random_mini_batches as random_mini_batches
from fastnn.optimization import relu as relu
from fastnn.optimization import schedule_lr_decay as schedule_lr_decay
from fastnn.optimization import sigmoid as sigmoid
from fastnn.optimization import update_lr as update_lr
from fastnn.optimization import update_parameters_with_gd as update_parameters_with_gd
from fastnn.optimization import update_parameters_with_momentum as update_parameters_with_momentum
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.optimizers import corrected_moments
from fastnn.reference.course.settings import Decay, Update
from fastnn.reference.v2021 import optimization as reference


@documented_as(reference.update_parameters_with_adam)
def update_parameters_with_adam(  # noqa: D103
    parameters: Arrays,
    grads: Arrays,
    v: Arrays,
    s: Arrays,
    t: int,
    learning_rate: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Arrays, Arrays, Arrays, Arrays, Arrays]:
    parameters, v, s = optimization.update_parameters_with_adam(
        parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon
    )
    return parameters, v, s, *silent(corrected_moments)(parameters, v, s, t, beta1, beta2)


@documented_as(reference.model)
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
    num_epochs: int = 5000,
    print_cost: bool = True,
    decay: Decay | None = None,
    decay_rate: float = 1,
    *,
    warn_redefined: bool = True,
) -> Arrays:
    return optimization.model(
        X, Y, layers_dims, optimizer, learning_rate, mini_batch_size, beta, beta1, beta2, epsilon, num_epochs,
        print_cost, decay, decay_rate, warn_redefined=warn_redefined,
    )  # fmt: skip
