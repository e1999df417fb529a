"""The optimization notebook of 2021: Adam that returns its corrected moments, too, and `model` of 5000 epochs."""

from collections.abc import Sequence

from numpy.typing import ArrayLike

from fastnn.reference import optimization
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.optimizers import corrected_moments
from fastnn.reference.course.settings import Decay, Update
from fastnn.reference.optimization import __all__ as __all__
from fastnn.reference.optimization import backward_propagation as backward_propagation
from fastnn.reference.optimization import compute_cost as compute_cost
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
from fastnn.reference.optimization import update_parameters_with_gd as update_parameters_with_gd
from fastnn.reference.optimization import update_parameters_with_momentum as update_parameters_with_momentum


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
) -> tuple[Arrays, Arrays, Arrays, Arrays, Arrays]:
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
    v_corrected, s_corrected : dict
        v / (1 - beta1^t) and s / (1 - beta2^t) in new arrays, keys as in grads.

    Raises
    ------
    TypeError
        If an array does not hold real numbers, or t, a rate or epsilon is not a real number.
    ValueError
        If an entry is missing or its shape differs.

    Notes
    -----
    `fastnn.optimization.update_parameters_with_adam` is the same step and returns three dicts, as the
    notebook did before 2021.

    Examples
    --------
    >>> import numpy as np
    >>> parameters = {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))}
    >>> grads = {"dW1": np.array([[2.0]]), "db1": np.array([[-3.0]])}
    >>> v, s = initialize_adam(parameters)
    >>> parameters, v, s, v_corrected, s_corrected = update_parameters_with_adam(parameters, grads, v, s, 1)
    >>> print(v_corrected["dW1"].round(6), s_corrected["db1"].round(6))
    [[2.]] [[9.]]
    """
    parameters, v, s = optimization.update_parameters_with_adam(
        parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon
    )
    return parameters, v, s, *corrected_moments(parameters, v, s, t, beta1, beta2)


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


model.__doc__ = optimization.model.__doc__
