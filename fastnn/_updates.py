"""Compiled twins of the updates: gradient descent, momentum and Adam, one kernel call a parameter."""

import numpy as np

from fastnn import validation
from fastnn._propagation import compiled_dtype, documented_as, ready
from fastnn.kernels.optimizers import adam_update, gd_update, momentum_update
from fastnn.reference import layers, propagation, updates
from fastnn.reference.layers import Arrays
from fastnn.runtime import launch

# Serial time an element, rough.
GD_NS = 0.4
MOMENTUM_NS = 0.8
ADAM_NS = 2.5


def _names(parameters: Arrays) -> list[str]:
    return [f"{letter}{layer}" for layer in range(1, len(parameters) // 2 + 1) for letter in "Wb"]


def _dtypes(parameters: Arrays, grads: Arrays, *moments: Arrays) -> list[np.dtype] | None:
    """Return the dtype of every parameter's update; None where NumPy's promotions need the reference."""
    dtypes = []
    for name in _names(parameters):
        kept = [moment[f"d{name}"] for moment in moments]
        dtype = compiled_dtype(parameters[name], grads[f"d{name}"], *kept)
        if dtype is None or any(array.dtype != dtype for array in kept):
            return None
        dtypes.append(dtype)
    return dtypes


def _gradient_step(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    validation.gradients(parameters, grads)
    learning_rate = validation.real_number("learning_rate", learning_rate)
    dtypes = _dtypes(parameters, grads)
    if dtypes is None:
        return layers.gradient_step(parameters, grads, learning_rate)
    for name, dtype in zip(_names(parameters), dtypes, strict=True):
        W = parameters[name]
        new_W = np.empty(W.shape, dtype)
        launch(gd_update, GD_NS * W.size, ready(W, dtype), ready(grads[f"d{name}"], dtype), learning_rate, new_W)
        parameters[name] = new_W
    return parameters


@documented_as(propagation.update_parameters)
def update_parameters(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    return _gradient_step(parameters, grads, learning_rate)


@documented_as(updates.update_parameters_with_gd)
def update_parameters_with_gd(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    return _gradient_step(parameters, grads, learning_rate)


@documented_as(updates.update_parameters_with_momentum)
def update_parameters_with_momentum(
    parameters: Arrays, grads: Arrays, v: Arrays, beta: float, learning_rate: float
) -> tuple[Arrays, Arrays]:
    validation.gradients(parameters, grads)
    validation.moments("v", parameters, v)
    beta = validation.real_number("beta", beta)
    learning_rate = validation.real_number("learning_rate", learning_rate)
    dtypes = _dtypes(parameters, grads, v)
    if dtypes is None:
        return updates.momentum_step(parameters, grads, v, beta, learning_rate)
    for name, dtype in zip(_names(parameters), dtypes, strict=True):
        key, W = f"d{name}", parameters[name]
        new_W, new_v = np.empty(W.shape, dtype), np.empty(W.shape, dtype)
        launch(
            momentum_update, MOMENTUM_NS * W.size, ready(W, dtype), ready(grads[key], dtype), ready(v[key], dtype),
            beta, 1 - beta, learning_rate, new_W, new_v,
        )  # fmt: skip
        parameters[name], v[key] = new_W, new_v
    return parameters, v


@documented_as(updates.update_parameters_with_adam)
def update_parameters_with_adam(
    parameters: Arrays,
    grads: Arrays,
    v: Arrays,
    s: Arrays,
    t: float,
    learning_rate: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Arrays, Arrays, Arrays]:
    validation.gradients(parameters, grads)
    validation.moments("v", parameters, v)
    validation.moments("s", parameters, s)
    t = validation.real_number("t", t)
    learning_rate = validation.real_number("learning_rate", learning_rate)
    beta1 = validation.real_number("beta1", beta1)
    beta2 = validation.real_number("beta2", beta2)
    epsilon = validation.real_number("epsilon", epsilon)
    dtypes = _dtypes(parameters, grads, v, s)
    if dtypes is None:
        return updates.adam_step(parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon)
    # NumPy's power, as in the reference: Python's raises for a zero to a negative power.
    left1, left2 = 1 - np.float64(beta1) ** t, 1 - np.float64(beta2) ** t
    settings = np.array([beta1, 1 - beta1, left1, beta2, 1 - beta2, left2, epsilon, learning_rate])
    for name, dtype in zip(_names(parameters), dtypes, strict=True):
        key, W = f"d{name}", parameters[name]
        new_W, new_v, new_s = np.empty(W.shape, dtype), np.empty(W.shape, dtype), np.empty(W.shape, dtype)
        launch(
            adam_update, ADAM_NS * W.size, ready(W, dtype), ready(grads[key], dtype), ready(v[key], dtype),
            ready(s[key], dtype), settings, new_W, new_v, new_s,
        )  # fmt: skip
        parameters[name], v[key], s[key] = new_W, new_v, new_s
    return parameters, v, s
