"""The course's formulas in NumPy against differences and known values, at any depth and at the ends of the range."""

import inspect

import numpy as np
import numpy.testing as npt
import pytest
from course_cases import central_differences, draw_data, draw_network, gradient_check_case

from fastnn.reference import gradient_checking, initialization, optimization, regularization

pytestmark = pytest.mark.usefixtures("closed_figures")
# The x10 run saturates, and says so through NumPy's own warnings.
saturating = pytest.mark.filterwarnings("ignore:(overflow|divide by zero|invalid value):RuntimeWarning")

# Formulas, at any depth.


DEPTHS = ([3, 1], [3, 4, 2], [2, 4, 3, 1], [4, 3, 5, 2, 1])


@pytest.mark.parametrize("layers_dims", DEPTHS)
def test_mean_backward_equals_differences(layers_dims):
    X, Y = draw_data(layers_dims[0], layers_dims[-1], 7)
    parameters = draw_network(layers_dims)

    def cost():
        return initialization.compute_loss(initialization.forward_propagation(X, parameters)[0], Y)

    ref = central_differences(cost, parameters)
    grads = initialization.backward_propagation(X, Y, initialization.forward_propagation(X, parameters)[1])
    for key in ref:
        npt.assert_allclose(grads[key], ref[key], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layers_dims", DEPTHS)
def test_backward_with_regularization_equals_differences(layers_dims):
    X, Y = draw_data(layers_dims[0], layers_dims[-1], 7)
    parameters = draw_network(layers_dims)

    def cost():
        A, _ = regularization.forward_propagation(X, parameters)
        return regularization.compute_cost_with_regularization(A, Y, parameters, 0.7)

    ref = central_differences(cost, parameters)
    _, cache = regularization.forward_propagation(X, parameters)
    grads = regularization.backward_propagation_with_regularization(X, Y, cache, 0.7)
    for key in ref:
        npt.assert_allclose(grads[key], ref[key], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layers_dims", DEPTHS)
def test_backward_with_dropout_equals_differences(layers_dims):
    X, Y = draw_data(layers_dims[0], layers_dims[-1], 7)
    parameters = draw_network(layers_dims)

    def cost():
        A, _ = regularization.forward_propagation_with_dropout(X, parameters, 0.6)
        return regularization.compute_cost(A, Y)

    ref = central_differences(cost, parameters)
    _, cache = regularization.forward_propagation_with_dropout(X, parameters, 0.6)
    grads = regularization.backward_propagation_with_dropout(X, Y, cache, 0.6)
    for key in ref:
        npt.assert_allclose(grads[key], ref[key], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layers_dims", DEPTHS)
def test_gradient_check_n_at_any_depth(layers_dims, capsys):
    X, Y = draw_data(layers_dims[0], layers_dims[-1], 5)
    parameters = draw_network(layers_dims)
    _, cache = gradient_checking.forward_propagation_n(X, Y, parameters)
    gradients = gradient_checking.backward_propagation_n(X, Y, cache)
    assert gradient_checking.gradient_check_n(parameters, gradients, X, Y) < 2e-7
    gradients["db1"] = gradients["db1"] + 0.01
    assert gradient_checking.gradient_check_n(parameters, gradients, X, Y) > 1e-4
    assert capsys.readouterr().out.count("difference = ") == 2


def test_gradient_check_n_in_float32_is_computed_in_float64(capsys):
    X, Y, parameters = gradient_check_case()
    single = {name: array.astype(np.float32) for name, array in parameters.items()}
    double = {name: array.astype(np.float64) for name, array in single.items()}
    _, cache = gradient_checking.forward_propagation_n(X, Y, double)
    gradients = gradient_checking.backward_propagation_n(X, Y, cache)
    assert gradient_checking.gradient_check_n(single, gradients, X, Y) < 2e-7
    assert "perfectly fine" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_difference_that_is_nan_is_a_mistake(capsys):
    X, Y = np.zeros((1, 2)), np.zeros((1, 2))
    parameters = {"W1": np.full((1, 1), np.nan), "b1": np.zeros((1, 1))}
    gradients = {"dW1": np.zeros((1, 1)), "db1": np.zeros((1, 1))}
    assert np.isnan(gradient_checking.gradient_check_n(parameters, gradients, X, Y))
    assert "There is a mistake" in capsys.readouterr().out
    assert np.isnan(gradient_checking.gradient_check(0, 1))
    assert capsys.readouterr().out == "The gradient is wrong!\n"


def test_keys_and_cache_layout():
    X, Y = draw_data(2, 1, 5)
    parameters = draw_network([2, 4, 3, 1])
    _, cache = initialization.forward_propagation(X, parameters)
    assert len(cache) == 12
    assert cache[2] is parameters["W1"]
    assert cache[11] is parameters["b3"]
    lower = ["dz3", "dW3", "db3", "da2", "dz2", "dW2", "db2", "da1", "dz1", "dW1", "db1"]
    upper = ["dZ3", "dW3", "db3", "dA2", "dZ2", "dW2", "db2", "dA1", "dZ1", "dW1", "db1"]
    mean = initialization.backward_propagation(X, Y, cache)
    total = regularization.backward_propagation(X, Y, cache)
    assert list(mean) == lower
    assert list(total) == upper
    for small, large in zip(lower, upper, strict=True):
        factor = 1 if small == large else 5
        npt.assert_allclose(factor * mean[small], total[large], rtol=1e-12, atol=1e-15)
    _, masked = regularization.forward_propagation_with_dropout(X, parameters, 0.5)
    assert [array.dtype for array in (masked[1], masked[6])] == [bool, bool]
    npt.assert_array_equal(masked[2], np.maximum(0, masked[0]) * masked[1] / 0.5)
    assert list(regularization.backward_propagation_with_dropout(X, Y, masked, 0.5)) == upper


def test_adam_by_hand():
    """Two steps on one number, epsilon outside the root."""
    parameters, grads = {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))}, {}
    v, s = optimization.initialize_adam(parameters)
    W, v_ref, s_ref = 1.0, 0.0, 0.0
    for t, g in ((1, 0.5), (2, -2.0)):
        grads = {"dW1": np.array([[g]]), "db1": np.array([[0.0]])}
        optimization.update_parameters_with_adam(parameters, grads, v, s, t, 0.1, 0.8, 0.95, 0.3)
        v_ref, s_ref = 0.8 * v_ref + 0.2 * g, 0.95 * s_ref + 0.05 * g * g
        W -= 0.1 * (v_ref / (1 - 0.8**t)) / ((s_ref / (1 - 0.95**t)) ** 0.5 + 0.3)
        npt.assert_allclose(parameters["W1"], W, rtol=1e-14)
    npt.assert_allclose([v["dW1"][0, 0], s["dW1"][0, 0]], [v_ref, s_ref], rtol=1e-14)
    assert inspect.signature(optimization.update_parameters_with_adam).parameters["learning_rate"].default == 0.01


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
def test_adam_at_step_zero_gives_what_numpy_gives():
    parameters = {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))}
    grads = {"dW1": np.ones((1, 1)), "db1": np.zeros((1, 1))}
    v, s = optimization.initialize_adam(parameters)
    optimization.update_parameters_with_adam(parameters, grads, v, s, 0)
    assert np.isnan(parameters["W1"]).all()  # inf / inf
    assert np.isnan(parameters["b1"]).all()  # 0 / 0


def test_momentum_is_an_average():
    parameters = {"W1": np.zeros((1, 1)), "b1": np.zeros((1, 1))}
    grads = {"dW1": np.ones((1, 1)), "db1": np.ones((1, 1))}
    v = optimization.initialize_velocity(parameters)
    for _ in range(200):
        optimization.update_parameters_with_momentum(parameters, grads, v, 0.9, 0.1)
    npt.assert_allclose(v["dW1"], 1.0, rtol=1e-8)


def test_learning_rate_decays():
    assert optimization.update_lr(0.5, 2, 1) == 0.5 / 3
    assert optimization.schedule_lr_decay(0.5, 999, 0.3) == 0.5
    assert optimization.schedule_lr_decay(0.5, 1000, 0.3) == 0.5 / 1.3
    assert optimization.schedule_lr_decay(0.5, 100, 0.3, 100) == 0.5 / 1.3


def test_vector_conversions():
    _, _, parameters = gradient_check_case()
    theta, keys = gradient_checking.dictionary_to_vector(parameters)
    assert theta.shape == (47, 1)
    assert keys == ["W1"] * 20 + ["b1"] * 5 + ["W2"] * 15 + ["b2"] * 3 + ["W3"] * 3 + ["b3"]
    back = gradient_checking.vector_to_dictionary(theta)
    assert list(back) == list(parameters)
    for name, array in parameters.items():
        npt.assert_array_equal(back[name], array)
        assert np.shares_memory(back[name], theta)
    shuffled = {f"d{name}": parameters[name] for name in reversed(parameters)} | {"dZ3": np.ones((1, 3))}
    npt.assert_array_equal(gradient_checking.gradients_to_vector(shuffled), theta)


def test_initial_scales_share_one_stream():
    dims = [3, 4, 1]
    np.random.seed(3)
    W1, W2 = np.random.randn(4, 3), np.random.randn(1, 4)
    for draw, scale1, scale2 in (
        (initialization.initialize_parameters_random, 10, 10),
        (initialization.initialize_parameters_he, np.sqrt(2 / 3), np.sqrt(2 / 4)),
        (initialization.initialize_parameters_xavier, np.sqrt(1 / 3), np.sqrt(1 / 4)),
        (regularization.initialize_parameters, 1 / np.sqrt(3), 1 / np.sqrt(4)),
        (optimization.initialize_parameters, np.sqrt(2 / 3), np.sqrt(2 / 4)),
    ):
        parameters = draw(dims)
        npt.assert_allclose(parameters["W1"], W1 * scale1, rtol=1e-15)
        npt.assert_allclose(parameters["W2"], W2 * scale2, rtol=1e-15)
        assert not parameters["b1"].any()
        assert parameters["b2"].shape == (1, 1)


# Numerical behaviour.


@saturating
def test_log_of_zero():
    right, wrong = np.array([[1.0, 0.5]]), np.array([[0.0, 0.5]])
    Y = np.array([[1, 1]])
    assert initialization.compute_loss(right, Y) == np.log(2) / 2  # 0 * log(0) is left out
    assert initialization.compute_loss(wrong, Y) == np.inf
    assert regularization.compute_cost(right, Y) == np.log(2) / 2
    assert np.isnan(optimization.compute_cost(right, Y))
    parameters = {"W1": np.array([[1000.0]]), "b1": np.zeros((1, 1))}
    assert np.isnan(gradient_checking.forward_propagation_n(np.ones((1, 2)), Y, parameters)[0])


def test_sigmoid_and_relu_at_the_ends():
    with pytest.warns(RuntimeWarning, match="overflow"):
        npt.assert_array_equal(initialization.sigmoid(np.array([-1000.0, 1000.0])), [0.0, 1.0])
    npt.assert_array_equal(initialization.relu(np.array([np.nan, -np.inf, np.inf, -1.0])), [np.nan, 0, np.inf, 0])


def test_nan_passes_through_everything_but_model():
    X, Y = draw_data(2, 1, 4)
    X[0, 0] = np.nan
    A, cache = initialization.forward_propagation(X, draw_network([2, 3, 1]))
    assert np.isnan(A[0, 0])
    assert np.isnan(initialization.backward_propagation(X, Y, cache)["dW2"]).all()
    assert len(optimization.random_mini_batches(X, Y)) == 1


def test_total_cost_is_not_divided():
    A, Y = np.full((1, 4), 0.5), np.ones((1, 4))
    npt.assert_allclose(optimization.compute_cost(A, Y), 4 * np.log(2), rtol=1e-15)
    npt.assert_allclose(regularization.compute_cost(A, Y), np.log(2), rtol=1e-15)
