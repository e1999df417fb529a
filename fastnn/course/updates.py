"""Compiled twins of the updates: gradient descent, momentum and Adam, one kernel call a layer."""

import numpy as np

from fastnn import checks
from fastnn.course import direct
from fastnn.course.first_run import pays
from fastnn.course.propagation import documented_as, silent
from fastnn.engine.runtime import launch
from fastnn.kernels.course.functions import ADAM, GRADIENT_DESCENT, MOMENTUM
from fastnn.kernels.course.optimizers import adam_update, gd_update, momentum_update
from fastnn.reference.course import layers, optimizers, propagation
from fastnn.reference.course.layers import Arrays

_FLOATS = np.dtype(np.float64), np.dtype(np.float32)

# Serial time an element, rough.
GD_NS = 0.4
MOMENTUM_NS = 0.8
ADAM_NS = 2.5


def _ready(*arrays: np.ndarray) -> list[np.ndarray] | None:
    """Return a weight's arrays and a bias's, contiguous, if all are float64 or all float32.

    Other mixtures are NumPy's to promote, and so are other shapes than those that were checked, which a mapping of the
    user's own may give.
    """
    dtype, half = arrays[0].dtype, len(arrays) // 2
    if dtype not in _FLOATS:
        return None
    ready = []
    for place, array in enumerate(arrays):
        if array.dtype is not dtype and array.dtype != dtype:  # unpickled arrays have dtypes of their own
            return None
        if array.shape != arrays[half * (place >= half)].shape:
            return None
        ready.append(array if array.flags.c_contiguous else np.ascontiguousarray(array))
    return ready


def _size(parameters: Arrays) -> int:
    return sum(array.size for array in parameters.values())


def _gradient_step(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    if direct.is_number(learning_rate) and direct.update(GRADIENT_DESCENT, parameters, grads, (), float(learning_rate)):
        return parameters
    n_layers = checks.companions("grads", parameters, grads)
    learning_rate = checks.real_number("learning_rate", learning_rate)
    if not pays(gd_update, GD_NS * _size(parameters)):
        return silent(layers.gradient_step)(parameters, grads, learning_rate)
    updated = {}
    for w, b, dw, db in checks.layer_keys[2 * n_layers]:
        arrays = _ready(parameters[w], grads[dw], parameters[b], grads[db])
        if arrays is None:
            return layers.gradient_step(parameters, grads, learning_rate)
        W, dW, bias, dbias = arrays
        new_W, new_b = np.empty(W.shape, W.dtype), np.empty(bias.shape, W.dtype)
        launch(gd_update, GD_NS * W.size, W, dW, bias, dbias, learning_rate, new_W, new_b)
        updated[w], updated[b] = new_W, new_b
    parameters.update(updated)
    return parameters


@documented_as(propagation.update_parameters)
def update_parameters(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    return _gradient_step(parameters, grads, learning_rate)


@documented_as(optimizers.update_parameters_with_gd)
def update_parameters_with_gd(parameters: Arrays, grads: Arrays, learning_rate: float) -> Arrays:
    return _gradient_step(parameters, grads, learning_rate)


@documented_as(optimizers.update_parameters_with_momentum)
def update_parameters_with_momentum(
    parameters: Arrays, grads: Arrays, v: Arrays, beta: float, learning_rate: float
) -> tuple[Arrays, Arrays]:
    if (
        direct.is_number(beta)
        and direct.is_number(learning_rate)
        and direct.update(MOMENTUM, parameters, grads, (v,), float(learning_rate), float(beta))
    ):
        return parameters, v
    n_layers = checks.companions("grads", parameters, grads)
    checks.companions("v", parameters, v)
    beta = checks.real_number("beta", beta)
    learning_rate = checks.real_number("learning_rate", learning_rate)
    if not pays(momentum_update, MOMENTUM_NS * _size(parameters)):
        return silent(optimizers.momentum_step)(parameters, grads, v, beta, learning_rate)
    updated, velocities = {}, {}
    for w, b, dw, db in checks.layer_keys[2 * n_layers]:
        arrays = _ready(parameters[w], grads[dw], v[dw], parameters[b], grads[db], v[db])
        if arrays is None:
            return optimizers.momentum_step(parameters, grads, v, beta, learning_rate)
        W, dW, vW, bias, dbias, vb = arrays
        shape, dtype = W.shape, W.dtype
        new = np.empty(shape, dtype), np.empty(shape, dtype), np.empty(bias.shape, dtype), np.empty(bias.shape, dtype)
        launch(momentum_update, MOMENTUM_NS * W.size, W, dW, vW, bias, dbias, vb, beta, 1 - beta, learning_rate, *new)
        updated[w], velocities[dw], updated[b], velocities[db] = new
    parameters.update(updated)
    v.update(velocities)
    return parameters, v


@documented_as(optimizers.update_parameters_with_adam)
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
) -> tuple[Arrays, Arrays, Arrays]:
    # In one dict a moment, or the gradient, is replaced by the other moment while they are still needed.
    shared = v is s or v is grads
    if (
        not shared
        and type(t) is int
        and 0 < t < 2**53
        and direct.is_number(learning_rate)
        and direct.is_number(epsilon)
        and direct.is_number(beta1)
        and direct.is_number(beta2)
        and 0.0 <= beta1 < 1.0
        and 0.0 <= beta2 < 1.0
    ):
        rate, correction = learning_rate / (1 - beta1**t), 1 / (1 - beta2**t)
        if direct.update(ADAM, parameters, grads, (v, s), rate, float(beta1), float(beta2), float(epsilon), correction):
            return parameters, v, s
    n_layers = checks.companions("grads", parameters, grads)
    checks.companions("v", parameters, v)
    checks.companions("s", parameters, s)
    step = checks.real_number("t", t)
    learning_rate = checks.real_number("learning_rate", learning_rate)
    beta1 = checks.real_number("beta1", beta1)
    beta2 = checks.real_number("beta2", beta2)
    epsilon = checks.real_number("epsilon", epsilon)
    if shared or not pays(adam_update, ADAM_NS * _size(parameters)):
        return silent(optimizers.adam_step)(parameters, grads, v, s, step, learning_rate, beta1, beta2, epsilon)
    # NumPy's power, as in the reference: Python's raises for a zero to a negative power.
    left1, left2 = 1 - np.float64(beta1) ** step, 1 - np.float64(beta2) ** step
    settings = np.array([beta1, 1 - beta1, left1, beta2, 1 - beta2, left2, epsilon, learning_rate])
    updated, firsts, seconds = {}, {}, {}
    for w, b, dw, db in checks.layer_keys[2 * n_layers]:
        arrays = _ready(parameters[w], grads[dw], v[dw], s[dw], parameters[b], grads[db], v[db], s[db])
        if arrays is None:
            return optimizers.adam_step(parameters, grads, v, s, step, learning_rate, beta1, beta2, epsilon)
        W, dW, vW, sW, bias, dbias, vb, sb = arrays
        shapes = [W.shape] * 3 + [bias.shape] * 3
        new = [np.empty(shape, W.dtype) for shape in shapes]
        launch(adam_update, ADAM_NS * W.size, W, dW, vW, sW, bias, dbias, vb, sb, settings, *new)
        updated[w], firsts[dw], seconds[dw], updated[b], firsts[db], seconds[db] = new
    parameters.update(updated)
    v.update(firsts)
    s.update(seconds)
    return parameters, v, s
