"""Checks of the exercises, as the notebooks of 2021 and later have them."""

import numpy as np
from testCases import *


def _passed(condition):
    assert condition, "Wrong values"
    print("\033[92mAll tests passed")


def initialize_parameters_zeros_test(target):
    _passed(not any(np.any(array) for array in target([3, 2, 1]).values()))


def initialize_parameters_random_test(target):
    _passed(abs(target([3, 2, 1])["W1"][0, 0] - 17.88628473) < 1e-6)


def initialize_parameters_he_test(target):
    _passed(abs(target([2, 4, 1])["W1"][0, 0] - 1.78862847) < 1e-6)


def compute_cost_with_regularization_test(target):
    _passed(target(*compute_cost_with_regularization_test_case(), 0.1) > 0)


def backward_propagation_with_regularization_test(target):
    X, Y, cache = backward_propagation_with_regularization_test_case()
    _passed(list(target(X, Y, cache, 0.7))[:3] == ["dZ3", "dW3", "db3"])


def forward_propagation_with_dropout_test(target):
    A3, cache = target(*forward_propagation_with_dropout_test_case(), keep_prob=0.7)
    _passed(A3.shape == (1, 5) and len(cache) == 14)


def backward_propagation_with_dropout_test(target):
    X, Y, cache = backward_propagation_with_dropout_test_case()
    _passed(target(X, Y, cache, 0.8)["dA1"].shape == (2, 5))


def forward_propagation_test(target):
    _passed(target(2, 4) == 8)


def backward_propagation_test(target):
    _passed(target(2, 4) == 2)


def update_parameters_with_gd_test(target):
    parameters, grads, rate = update_parameters_with_gd_test_case()
    expected = parameters["W1"] - rate * grads["dW1"]
    _passed(np.allclose(target(parameters, grads, rate)["W1"], expected))


def random_mini_batches_test(target):
    _passed([X.shape[1] for X, _ in target(*random_mini_batches_test_case())] == [64, 64, 20])


def initialize_velocity_test(target):
    _passed(list(target(initialize_velocity_test_case())) == ["dW1", "db1", "dW2", "db2"])


def update_parameters_with_momentum_test(target):
    parameters, grads, v = update_parameters_with_momentum_test_case()
    _passed(np.allclose(target(parameters, grads, v, 0.9, 0.01)[1]["dW1"], 0.1 * grads["dW1"]))


def initialize_adam_test(target):
    v, s = target(initialize_adam_test_case())
    _passed(v.keys() == s.keys())


def update_parameters_with_adam_test(target):
    parameters, grads, v, s = update_parameters_with_adam_test_case()
    *_, v, s, v_corrected, s_corrected = target(parameters, grads, v, s, 2)
    _passed(np.allclose(v_corrected["dW1"], v["dW1"] / (1 - 0.9**2)))


def update_lr_test(target):
    _passed(target(0.5, 2, 1) == 0.5 / 3)


def schedule_lr_decay_test(target):
    _passed(target(0.5, 100, 0.3, 100) == 0.5 / 1.3)
