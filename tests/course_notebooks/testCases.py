"""Inputs for the exercises of all four notebooks."""

import numpy as np


def _drawn(names, *shapes):
    np.random.seed(1)
    return dict(zip(names, (np.random.randn(*shape) for shape in shapes)))


def _two_layers():
    shapes = (2, 3), (2, 1), (3, 3), (3, 1)
    drawn = _drawn(("W1", "b1", "W2", "b2", "dW1", "db1", "dW2", "db2"), *shapes, *shapes)
    grads = {name: drawn.pop(name) for name in ("dW1", "db1", "dW2", "db2")}
    return drawn, grads


def _zeros(grads):
    return {name: np.zeros(array.shape) for name, array in grads.items()}


def update_parameters_with_gd_test_case():
    parameters, grads = _two_layers()
    return parameters, grads, 0.01


def random_mini_batches_test_case():
    np.random.seed(1)
    X = np.random.randn(12288, 148)
    return X, np.random.randn(1, 148) < 0.5, 64


def initialize_velocity_test_case():
    return _two_layers()[0]


initialize_adam_test_case = initialize_velocity_test_case


def update_parameters_with_momentum_test_case():
    parameters, grads = _two_layers()
    return parameters, grads, _zeros(grads)


def update_parameters_with_adam_test_case():
    parameters, grads = _two_layers()
    return parameters, grads, _zeros(grads), _zeros(grads)


def _three_layers():
    names = "X", "W1", "b1", "W2", "b2", "W3", "b3"
    drawn = _drawn(names, (3, 5), (2, 3), (2, 1), (3, 2), (3, 1), (1, 3), (1, 1))
    return drawn.pop("X"), drawn


_LABELS = np.array([[1, 0, 0, 1, 1]])


def compute_cost_with_regularization_test_case():
    return np.array([[0.35, 0.1, 0.2, 0.6, 0.85]]), _LABELS, _three_layers()[1]


def forward_propagation_with_dropout_test_case():
    return _three_layers()


def _cache(masked):
    X, parameters = _three_layers()
    A, parts = X, ()
    for layer in (1, 2, 3):
        W, b = parameters["W" + str(layer)], parameters["b" + str(layer)]
        Z = np.dot(W, A) + b
        mask = Z > -1  # which units, does not matter
        if layer == 3:
            A = 1 / (1 + np.exp(-Z))
        else:
            A = np.maximum(0, Z) * (mask / 0.8 if masked else 1)
        parts += (Z, mask, A, W, b) if masked and layer < 3 else (Z, A, W, b)
    return X, _LABELS, parts


def backward_propagation_with_regularization_test_case():
    return _cache(masked=False)


def backward_propagation_with_dropout_test_case():
    return _cache(masked=True)


def gradient_check_n_test_case():
    names = "X", "W1", "b1", "W2", "b2", "W3", "b3"
    drawn = _drawn(names, (4, 3), (5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1))
    return drawn.pop("X"), np.array([1, 1, 0]), drawn
