"""The NumPy side against the published figures, against differences, and its side effects and traps."""

import importlib
import inspect
import subprocess
import sys
import threading

import numpy as np
import numpy.testing as npt
import published
import pytest

from fastnn.reference import gradient_checking, initialization, optimization, regularization
from fastnn.reference.course import figures
from fastnn.reference.course.settings import OptimizationSettings, RegularizationSettings

REFERENCE = published.REFERENCE

# The x10 run saturates, and says so through NumPy's own warnings.
saturating = pytest.mark.filterwarnings("ignore:(overflow|divide by zero|invalid value):RuntimeWarning")


@pytest.fixture(autouse=True)
def _no_windows():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    yield
    sys.modules["matplotlib.pyplot"].close("all") if "matplotlib.pyplot" in sys.modules else None


def draw_network(layers_dims, seed=0):
    """Draw parameters with biases that are not zero, so that every term counts."""
    rng = np.random.default_rng(seed)
    parameters = {}
    for layer in range(1, len(layers_dims)):
        n_out, n_in = layers_dims[layer], layers_dims[layer - 1]
        parameters[f"W{layer}"] = rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
        parameters[f"b{layer}"] = 0.1 + 0.3 * rng.standard_normal((n_out, 1))
    return parameters


def draw_data(n_x, n_y, m, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_x, m)), rng.integers(0, 2, (n_y, m))


def central_differences(cost, parameters, epsilon=1e-6):
    """Differentiate cost() by every parameter in place; independent of the package's own check."""
    grads = {}
    for name, array in parameters.items():
        grads[f"d{name}"] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + epsilon
            above = cost()
            array[index] = kept - epsilon
            below = cost()
            array[index] = kept
            grads[f"d{name}"][index] = (above - below) / (2 * epsilon)
    return grads


def stream_state():
    kind, keys, position, *_ = np.random.get_state()
    return kind, keys.tobytes(), position


def assert_costs(printed, run, up_to):
    expected = {i: figure for i, figure in run.costs.items() if i <= up_to}
    assert expected
    for i, (cost, tolerance) in expected.items():
        npt.assert_allclose(printed[i], cost, rtol=tolerance)


# Published runs.


@saturating
@pytest.mark.parametrize("name", [name for name, run in published.RUNS.items() if run.costs])
def test_published_costs_at_the_beginning(name, capsys):
    run = published.RUNS[name]
    if run.module == "optimization":
        published.train(REFERENCE, name, num_epochs=1)
    else:
        published.train(REFERENCE, name, num_iterations=1001)
    assert_costs(published.printed_costs(capsys.readouterr().out), run, up_to=1000)


@saturating
@pytest.mark.slow
@pytest.mark.parametrize("name", published.RUNS)
def test_published_run(name, capsys):
    run = published.RUNS[name]
    parameters = published.train(REFERENCE, name)
    printed = published.printed_costs(capsys.readouterr().out)
    if run.costs:
        assert_costs(printed, run, up_to=max(printed))
    train_accuracy, *test_accuracy = published.accuracies(REFERENCE, name, parameters)
    assert train_accuracy == pytest.approx(run.train_accuracy, abs=1e-12)
    assert test_accuracy == ([] if run.test_accuracy is None else [pytest.approx(run.test_accuracy)])


def test_published_gradient_check(capsys):
    difference = gradient_checking.gradient_check(2, 4)
    npt.assert_allclose(difference, 2.919335883291695e-10, rtol=1e-3)
    assert gradient_checking.forward_propagation(2, 4) == 8
    assert gradient_checking.backward_propagation(2, 4) == 2
    assert capsys.readouterr().out == "The gradient is correct!\n"


def gradient_check_case():
    """Draw the notebook's case: 47 parameters, three examples, labels of one dimension."""
    np.random.seed(1)
    X = np.random.randn(4, 3)
    shapes = ((5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1))
    parameters = {
        name: np.random.randn(*shape) for name, shape in zip(("W1", "b1", "W2", "b2", "W3", "b3"), shapes, strict=True)
    }
    return X, np.array([1, 1, 0]), parameters


def test_published_gradient_check_n(capsys):
    X, Y, parameters = gradient_check_case()
    _, cache = gradient_checking.forward_propagation_n(X, Y, parameters)
    gradients = gradient_checking.backward_propagation_n(X, Y, cache)
    difference = gradient_checking.gradient_check_n(parameters, gradients, X, Y)
    npt.assert_allclose(difference, 1.189e-07, rtol=1e-3)
    assert capsys.readouterr().out == (
        f"\033[92mYour backward propagation works perfectly fine! difference = {difference}\033[0m\n"
    )

    gradients["dW2"] = 2 * gradients["dW2"]
    gradients["db1"] = 4 * gradients["db1"]
    difference = gradient_checking.gradient_check_n(parameters, gradients, X, Y)
    npt.assert_allclose(difference, 0.285093156, rtol=3e-9)
    assert capsys.readouterr().out == (
        f"\033[93mThere is a mistake in the backward propagation! difference = {difference}\033[0m\n"
    )


def test_published_mini_batches():
    np.random.seed(1)
    X = np.random.randn(12288, 148)
    Y = np.random.randn(1, 148) < 0.5
    batches = optimization.random_mini_batches(X, Y, 64)
    assert [(x.shape, y.shape) for x, y in batches] == [
        ((12288, 64), (1, 64)),
        ((12288, 64), (1, 64)),
        ((12288, 20), (1, 20)),
    ]
    assert batches[0][1].dtype == bool
    npt.assert_allclose(batches[0][0][0][0:3], [0.90085595, -0.7612069, 0.2344157], rtol=1e-7)


def test_published_update_with_gd():
    W1, b1, W2, b2, dW1, db1, dW2, db2 = optimization.load_params_and_grads()
    parameters = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    optimization.update_parameters_with_gd(parameters, grads, 0.01)
    npt.assert_allclose(
        parameters["W1"],
        [[1.63535156, -0.62320365, -0.53718766], [-1.07799357, 0.85639907, -2.29470142]],
        rtol=1e-7,
    )


def test_published_cost_with_regularization():
    np.random.seed(1)
    shapes = {"W1": (2, 3), "b1": (2, 1), "W2": (3, 2), "b2": (3, 1), "W3": (1, 3), "b3": (1, 1)}
    parameters = {name: np.random.randn(*shape) for name, shape in shapes.items()}
    A3 = np.array([[0.40682402, 0.01629284, 0.16722898, 0.10118111, 0.40682402]])
    cost = regularization.compute_cost_with_regularization(A3, [1, 1, 0, 1, 0], parameters, 0.1)
    npt.assert_allclose(cost, 1.78648594516, rtol=1e-10)


def test_published_forward_with_dropout():
    np.random.seed(1)
    X = np.random.randn(3, 5)
    shapes = {"W1": (2, 3), "b1": (2, 1), "W2": (3, 2), "b2": (3, 1), "W3": (1, 3), "b3": (1, 1)}
    parameters = {name: np.random.randn(*shape) for name, shape in shapes.items()}
    A3, cache = regularization.forward_propagation_with_dropout(X, parameters, 0.7)
    npt.assert_allclose(A3, [[0.36974721, 0.00305176, 0.04565099, 0.49683389, 0.36974721]], rtol=2e-6)
    assert len(cache) == 14


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


# Shared objects and state.


def test_functions_of_one_meaning_are_one_object():
    for name in (
        "sigmoid",
        "relu",
        "forward_propagation",
        "predict",
        "predict_dec",
        "plot_decision_boundary",
    ):
        first = getattr(initialization, name)
        assert getattr(regularization, name) is first
        assert getattr(optimization, name) is first
    assert gradient_checking.sigmoid is initialization.sigmoid
    assert optimization.backward_propagation is initialization.backward_propagation
    assert regularization.backward_propagation is not initialization.backward_propagation
    assert regularization.update_parameters is initialization.update_parameters


@pytest.mark.parametrize("module", published.COURSE_MODULES)
def test_all_names_every_public_function(module):
    module = published.course(REFERENCE, module)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert callable(getattr(module, name))
        assert inspect.getdoc(getattr(module, name))


def test_importing_the_reference_loads_numpy_only():
    code = (
        "import sys, fastnn.reference as r; "
        "assert 'fastnn.reference.optimization' not in sys.modules; "
        "r.optimization; r.initialization; r.regularization; r.gradient_checking; "
        "print([n for n in ('numba', 'scipy', 'sklearn', 'matplotlib') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def snapshot(arrays):
    return {name: array.copy() for name, array in arrays.items()}


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_updates_rebind_entries_and_never_write_arrays(optimizer):
    parameters = draw_network([2, 3, 1])
    grads = {f"d{name}": array + 1 for name, array in parameters.items()}
    v, s = optimization.initialize_adam(parameters)
    arrays, kept = dict(parameters), snapshot(parameters)
    moments, kept_v = dict(v), snapshot(v)
    if optimizer == "gd":
        assert optimization.update_parameters_with_gd(parameters, grads, 0.1) is parameters
    elif optimizer == "momentum":
        out = optimization.update_parameters_with_momentum(parameters, grads, v, 0.9, 0.1)
        assert out[0] is parameters
        assert out[1] is v
    else:
        out = optimization.update_parameters_with_adam(parameters, grads, v, s, 1)
        assert out[0] is parameters
        assert out[1] is v
        assert out[2] is s
    for name in arrays:
        npt.assert_array_equal(arrays[name], kept[name])
        assert not np.shares_memory(parameters[name], arrays[name])
        assert not np.shares_memory(parameters[name], grads[f"d{name}"])
        assert (parameters[name] != arrays[name]).any()
        npt.assert_array_equal(moments[f"d{name}"], kept_v[f"d{name}"])
        if optimizer != "gd":
            assert not np.shares_memory(v[f"d{name}"], moments[f"d{name}"])


def test_every_call_returns_fresh_memory():
    X, Y = draw_data(2, 1, 6)
    Y = Y.astype(np.float64)
    parameters = draw_network([2, 3, 1])
    inputs = [X, Y, *parameters.values()]
    for array in inputs:
        array.flags.writeable = False
    A, cache = initialization.forward_propagation(X, parameters)
    A_dropped, masked = regularization.forward_propagation_with_dropout(X, parameters, 1)
    own = [array for array in (*cache, *masked) if not any(array is W for W in parameters.values())]
    batches = optimization.random_mini_batches(X, Y, 64)
    theta, _ = gradient_checking.dictionary_to_vector(parameters)
    one = {"W1": parameters["W1"], "b1": parameters["b1"]}
    fresh = [
        A, A_dropped, *own, theta, *batches[0],
        *initialization.backward_propagation(X, Y, cache).values(),
        *regularization.backward_propagation_with_regularization(X, Y, cache, 0.0).values(),
        *regularization.backward_propagation_with_dropout(X, Y, masked, 1).values(),
        *optimization.initialize_velocity(parameters).values(),
        initialization.sigmoid(X), initialization.relu(np.abs(X)), initialization.predict_dec(parameters, X),
        gradient_checking.dictionary_to_vector(one)[0],
        gradient_checking.gradients_to_vector({"dW1": X, "db1": Y}),
    ]  # fmt: skip
    for array in fresh:
        assert not any(np.shares_memory(array, given) for given in inputs)
    v, s = optimization.initialize_adam(parameters)
    assert not np.shares_memory(v["dW1"], s["dW1"])


def test_numpys_stream_is_advanced_as_the_notebooks_do():
    X, Y = draw_data(2, 1, 6)
    parameters = draw_network([2, 4, 3, 1])

    def after(seed, *draws):
        np.random.seed(seed)
        for draw in draws:
            draw()
        return stream_state()

    expected = after(1, lambda: np.random.rand(4, 6), lambda: np.random.rand(3, 6))
    regularization.forward_propagation_with_dropout(X, parameters, 0.5)
    assert stream_state() == expected
    expected = after(7, lambda: np.random.permutation(6))
    optimization.random_mini_batches(X, Y, 4, seed=7)
    assert stream_state() == expected
    weights = (lambda: np.random.randn(4, 2), lambda: np.random.randn(1, 4))
    expected = after(3, *weights)
    for draw in (
        initialization.initialize_parameters_random,
        initialization.initialize_parameters_he,
        initialization.initialize_parameters_xavier,
        regularization.initialize_parameters,
        optimization.initialize_parameters,
    ):
        np.random.seed(0)
        draw([2, 4, 1])
        assert stream_state() == expected
    expected = after(5)
    initialization.initialize_parameters_zeros([2, 4, 1])
    initialization.forward_propagation(X, parameters)
    optimization.initialize_adam(parameters)
    assert stream_state() == expected
    expected = after(12, lambda: np.random.permutation(6))
    optimization.model(X, Y, [2, 3, 1], "gd", num_epochs=2, print_cost=False)
    assert stream_state() == expected


def test_mini_batches_of_few_examples_and_several_rows():
    X, Y = draw_data(2, 3, 5)
    (batch_X, batch_Y), *rest = optimization.random_mini_batches(X, Y, 64, seed=4)
    np.random.seed(4)
    order = np.random.permutation(5)
    assert not rest
    npt.assert_array_equal(batch_X, X[:, order])
    npt.assert_array_equal(batch_Y, Y[:, order])
    sizes = [x.shape[1] for x, _ in optimization.random_mini_batches(X, Y[0], 2)]
    assert sizes == [2, 2, 1]


def test_one_dimensional_labels_are_one_row():
    X, Y = draw_data(2, 1, 6)
    parameters = draw_network([2, 3, 1])
    A, cache = initialization.forward_propagation(X, parameters)
    assert initialization.compute_loss(A, Y[0]) == initialization.compute_loss(A, Y)
    assert regularization.compute_cost(A, Y[0]) == regularization.compute_cost(A, Y)
    assert optimization.compute_cost(A, Y[0]) == optimization.compute_cost(A, Y)
    for backward in (initialization.backward_propagation, regularization.backward_propagation):
        npt.assert_equal(backward(X, Y[0], cache), backward(X, Y, cache))
    ref = initialization.model(X, Y, num_iterations=3, print_cost=False)
    npt.assert_equal(initialization.model(X, Y[0], num_iterations=3, print_cost=False), ref)


def test_predict_returns_int64_and_is_strict_at_one_half(capsys):
    parameters = {"W1": np.array([[1.0]]), "b1": np.zeros((1, 1))}
    X = np.array([[-1.0, 0.0, 1.0]])
    p = initialization.predict(X, [0, 0, 1], parameters)
    assert p.dtype == np.int64
    npt.assert_array_equal(p, [[0, 0, 1]])
    assert capsys.readouterr().out == "Accuracy: 1.0\n"
    npt.assert_array_equal(initialization.predict_dec(parameters, X), [[False, False, True]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.int8, np.uint8, bool, ">f8", ">i4"])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_any_layout_and_real_dtype(dtype, layout):
    parameters = draw_network([3, 4, 1])
    values = np.random.default_rng(5).integers(0, 2, (3, 8))
    X = np.array(values, dtype=dtype, order="F" if layout == "F" else "C")
    if layout == "strided":
        X = np.repeat(X, 2, axis=1)[:, ::2]
    A, cache = initialization.forward_propagation(X, parameters)
    ref_A, ref_cache = initialization.forward_propagation(values.astype(np.float64), parameters)
    assert A.dtype == np.float64
    npt.assert_allclose(A, ref_A, rtol=1e-14)
    Y = (values[:1] > 0).astype(dtype)
    grads = initialization.backward_propagation(X, Y, cache)
    ref = initialization.backward_propagation(values.astype(np.float64), values[:1], ref_cache)
    for key in ref:
        npt.assert_allclose(grads[key], ref[key], rtol=1e-12, atol=1e-15)


def test_integers_do_not_overflow_or_wrap():
    parameters = {"W1": np.full((1, 2), 100, dtype=np.int8), "b1": np.zeros((1, 1), dtype=np.int8)}
    _, (Z, *_) = initialization.forward_propagation(np.full((2, 1), 100, dtype=np.int8), parameters)
    assert Z == 20000
    npt.assert_allclose(initialization.sigmoid(np.uint8(3)), 1 / (1 + np.exp(-3.0)), rtol=1e-15)
    npt.assert_allclose(initialization.sigmoid(True), 1 / (1 + np.exp(-1.0)), rtol=1e-15)


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


# Training.


def test_decay_sees_the_epoch_that_ended_and_starts_from_the_initial_rate(capsys):
    X, Y = draw_data(2, 1, 6)
    seen = []

    def decay(learning_rate0, epoch, decay_rate):
        seen.append((learning_rate0, epoch, decay_rate))
        return optimization.update_lr(learning_rate0, epoch, decay_rate)

    rates = []

    def report(i, cost, learning_rate):
        rates.append((i, learning_rate))

    settings = OptimizationSettings([2, 3, 1], "gd", 0.5, 64, 0.9, 0.9, 0.999, 1e-8, 102, decay, 2.0)
    optimization._train(X, Y, settings, report)
    assert seen == [(0.5, i, 2.0) for i in range(102)]
    # Epoch 1 still has the initial rate: update_lr of epoch 0 is the rate itself.
    assert rates == [(0, 0.5), (100, 0.5 / 201)]
    optimization.model(X, Y, [2, 3, 1], "gd", learning_rate=0.5, num_epochs=1, decay=decay)
    assert capsys.readouterr().out.splitlines()[1] == "learning rate after epoch 0: 0.500000"


def test_printed_lines_and_recorded_points(capsys):
    X, Y = draw_data(2, 1, 6)
    initialization.model(X, Y, num_iterations=2001)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"Cost after iteration {i}" for i in (0, 1000, 2000)]
    points = []
    settings = RegularizationSettings(0.3, 2001, 0.0, 1.0)
    parameters = regularization._train(X, Y, settings, lambda i, cost: points.append((i, cost)))
    assert [i for i, _ in points] == [0, 1000, 2000]
    npt.assert_equal(regularization._train(X, Y, settings, None), parameters)
    regularization.model(X, Y, num_iterations=1001)
    assert capsys.readouterr().out == f"Cost after iteration 0: {points[0][1]}\n"
    optimization.model(X, Y, [2, 3, 1], "adam", num_epochs=1001)
    out = capsys.readouterr().out
    assert list(published.printed_costs(out)) == [0, 1000]
    assert all(len(line.split(".")[1]) == 6 for line in out.splitlines())
    optimization.model(X, Y, [2, 3, 1], "adam", num_epochs=1, print_cost=False)
    assert capsys.readouterr().out == ""


def test_batch_and_stochastic_gradient_descent():
    X, Y = draw_data(2, 1, 6)
    ref = optimization.initialize_parameters([2, 3, 1])
    np.random.seed(11)
    order = np.random.permutation(6)
    for j in order:
        _, cache = optimization.forward_propagation(X[:, [j]], ref)
        grads = optimization.backward_propagation(X[:, [j]], Y[:, [j]], cache)
        optimization.update_parameters_with_gd(ref, grads, 0.1)
    out = optimization.model(X, Y, [2, 3, 1], "gd", 0.1, mini_batch_size=1, num_epochs=1, print_cost=False)
    npt.assert_equal(out, ref)
    ref = optimization.initialize_parameters([2, 3, 1])
    _, cache = optimization.forward_propagation(X[:, order], ref)
    grads = optimization.backward_propagation(X[:, order], Y[:, order], cache)
    optimization.update_parameters_with_gd(ref, grads, 0.1)
    out = optimization.model(X, Y, [2, 3, 1], "gd", 0.1, mini_batch_size=6, num_epochs=1, print_cost=False)
    npt.assert_equal(out, ref)


def test_no_iterations_train_nothing(capsys):
    X, Y = draw_data(2, 1, 6)
    npt.assert_equal(
        initialization.model(X, Y, num_iterations=0), initialization.initialize_parameters_he([2, 10, 5, 1])
    )
    npt.assert_equal(regularization.model(X, Y, num_iterations=0), regularization.initialize_parameters([2, 20, 3, 1]))
    npt.assert_equal(
        optimization.model(X, Y, [2, 5, 1], "adam", num_epochs=0),
        optimization.initialize_parameters([2, 5, 1]),
    )
    assert capsys.readouterr().out == ""


def test_training_writes_neither_data_nor_layer_sizes():
    X, Y = draw_data(2, 1, 6)
    kept_X, kept_Y, dims = X.copy(), Y.copy(), [2, 4, 1]
    X.flags.writeable = Y.flags.writeable = False
    optimization.model(X, Y, dims, "adam", num_epochs=2, print_cost=False)
    regularization.model(X, Y, num_iterations=2, keep_prob=0.5, print_cost=False)
    npt.assert_array_equal(X, kept_X)
    npt.assert_array_equal(Y, kept_Y)
    assert dims == [2, 4, 1]


# Data sets and figures.


def test_planar_data_set():
    X, Y = regularization.load_planar_dataset(0.0, 1)
    assert X.shape == (2, 50)
    assert Y.dtype == np.uint8
    npt.assert_array_equal(Y[0], [0] * 25 + [1] * 25)
    t = np.linspace(1, 4 * 3.1415, 25)
    npt.assert_allclose(X[:, 25:], 0.2 * t**2 * np.array([np.cos(t), np.sin(t)]), rtol=1e-14)
    np.random.seed(9)
    noise = np.random.randn(50)
    noisy, _ = regularization.load_planar_dataset(0.5, 9)
    # Where t is large the radius is positive, and so the distance from the origin.
    npt.assert_allclose(np.hypot(*noisy)[10:25] - np.hypot(*X)[10:25], 0.5 * noise[10:25], atol=1e-12)


def test_loaded_data_sets_equal_the_published_ones():
    X, Y, test_X, test_Y = initialization.load_dataset()
    npt.assert_array_equal(X, published.circles()[0])
    npt.assert_array_equal(Y, published.circles()[1])
    npt.assert_array_equal(test_X, published.circles(100, 2)[0])
    assert test_Y.shape == (1, 100)
    X, Y = optimization.load_dataset()
    npt.assert_array_equal(X, published.moons()[0])
    npt.assert_array_equal(Y, published.moons()[1])


def test_football_data_set(tmp_path, monkeypatch):
    file = published.football_file()
    for path in (file, str(file), file.parent):
        train_X, train_Y, test_X, test_Y = regularization.load_2D_dataset(path)
        assert (train_X.shape, train_Y.shape, test_X.shape, test_Y.shape) == (
            (2, 211),
            (1, 211),
            (2, 200),
            (1, 200),
        )
        assert train_Y.dtype == test_Y.dtype == np.uint8
        assert all(array.flags.c_contiguous for array in (train_X, train_Y, test_X, test_Y))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "data.mat").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    npt.assert_array_equal(optimization.load_2D_dataset()[0], train_X)


@pytest.mark.parametrize("side", ["fastnn", "fastnn.reference"])
def test_loaders_draw_if_they_are_asked_to(side, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    rng = np.random.default_rng(0)
    football = {"X": rng.random((9, 2)), "y": np.eye(9, 1), "Xval": rng.random((4, 2)), "yval": np.eye(4, 1)}
    pytest.importorskip("scipy.io").savemat(tmp_path / "data.mat", football)
    loaders = [
        ("initialization", "load_dataset", (), True),
        ("optimization", "load_dataset", (), True),
        ("optimization", "load_2D_dataset", (tmp_path,), True),
        ("regularization", "load_2D_dataset", (tmp_path,), True),
        ("regularization", "load_planar_dataset", (0.1, 3), False),
    ]
    for module, name, arguments, usual in loaders:
        load = getattr(importlib.import_module(f"{side}.{module}"), name)
        for options, drawn in (({"is_plot": False}, False), ({"is_plot": True}, True), ({}, usual)):
            pyplot.close("all")
            found = load(*arguments, **options)
            assert bool(pyplot.get_fignums()) is drawn, (name, options)
            if drawn:
                assert len(pyplot.gca().collections[0].get_offsets()) == found[0].shape[1]
            for array, same in zip(found, load(*arguments, is_plot=False), strict=True):
                npt.assert_array_equal(array, same)
        with pytest.raises(TypeError, match="is_plot must be True or False, got 'no'"):
            load(*arguments, is_plot="no")
    pyplot.close("all")


@pytest.mark.parametrize("path", [False, 3, ["data.mat"]])
def test_a_path_that_is_none(path):
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        regularization.load_2D_dataset(path)


def test_football_data_set_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"datasets.data\.mat.*path="):
        regularization.load_2D_dataset()
    (tmp_path / "data.mat").write_bytes(b"")
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "data.mat", {"X": np.ones((2, 2))})
    with pytest.raises(ValueError, match="lacks y, Xval, yval"):
        regularization.load_2D_dataset(tmp_path)


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("sklearn", lambda: initialization.load_dataset()),
        ("sklearn", lambda: optimization.load_dataset()),
        ("scipy", lambda: regularization.load_2D_dataset(published.football_file())),
    ],
)
def test_missing_library_is_named(library, call, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"load_\w+ needs sci[\w-]+, which is not installed"):
        call()


def test_plots_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setattr(figures, "_available", lambda: False)
    X, Y = draw_data(2, 1, 4)
    initialization.model(X, Y, num_iterations=1)
    with pytest.raises(ImportError, match="plot_decision_boundary needs matplotlib"):
        initialization.plot_decision_boundary(lambda points: points[:, 0] > 0, X, Y)


def test_cost_curve_is_one_reused_figure(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 4)
    initialization.model(X, Y, num_iterations=1001)
    optimization.model(X, Y, [2, 2, 1], "gd", num_epochs=201)
    assert len(plt.get_fignums()) == 1
    axes = plt.gca()
    assert [len(line.get_xdata()) for line in axes.lines] == [3]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epochs (per 100)", "cost")
    assert axes.get_title() == "Learning rate = 0.0007"
    plt.close("all")
    initialization.model(X, Y, num_iterations=1, print_cost=False)
    assert plt.get_fignums() == []


def test_cost_curve_is_drawn_on_the_main_thread_only(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 4)
    trained = []
    thread = threading.Thread(target=lambda: trained.append(initialization.model(X, Y, num_iterations=1)))
    thread.start()
    thread.join()
    assert set(trained[0]) == {"W1", "b1", "W2", "b2", "W3", "b3"}
    assert plt.get_fignums() == []


def test_failing_plot_does_not_lose_the_parameters(monkeypatch, capsys):
    def fail(plt):
        raise OSError("no display")

    monkeypatch.setattr(figures, "_show", fail)
    X, Y = draw_data(2, 1, 4)
    with pytest.warns(RuntimeWarning, match="cost curve could not be drawn: no display"):
        parameters = initialization.model(X, Y, num_iterations=1)
    assert set(parameters) == {"W1", "b1", "W2", "b2", "W3", "b3"}


def test_decision_boundary_is_drawn_into_the_current_axes(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 30)
    parameters = initialization.model(X, Y, num_iterations=1)
    plt.title("mine")
    plt.gca().set_xlim([-1.5, 2.5])
    asked = []

    def decide(points):
        asked.append(points.shape)
        return initialization.predict_dec(parameters, points.T)

    initialization.plot_decision_boundary(decide, X, Y)
    axes = plt.gca()
    extents = np.ptp(X, axis=1) + 2
    assert asked == [(int(np.prod(np.ceil(extents / 0.01))), 2)]
    assert axes.get_title() == "mine"
    assert axes.get_xlim() == (-1.5, 2.5)
    assert not axes.lines
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x1", "x2")
    initialization.plot_decision_boundary(lambda points: np.zeros(len(points), bool), X, Y[0])


def test_grid_of_a_huge_range_is_coarser(monkeypatch):
    monkeypatch.setattr(figures, "_MAX_GRID_POINTS", 250_000)
    monkeypatch.setattr(figures, "_MAX_AXIS_POINTS", 500)
    x1, x2 = figures._grid(np.array([[0.0, 3.0], [0.0, 3.0]]))
    assert x1.shape == x2.shape == (500, 500)
    npt.assert_allclose(x1[0, 1] - x1[0, 0], 0.01)
    x1, x2 = figures._grid(np.array([[0.0, 6.0], [0.0, 0.5]]))
    assert x1.shape == (250, 800)  # longer than an axis limit, within the limit of points
    x1, x2 = figures._grid(np.array([[0.0, 1e9], [0.0, 1.0]]))
    assert x1.size <= 250_000
    assert x1[0, 0] == -1
    assert x1[0, -1] > 0.99e9
    npt.assert_allclose(x2[1, 0] - x2[0, 0], 0.01)


def test_a_backend_with_windows_is_shown_from_the_main_thread_only(monkeypatch, capsys):
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg")
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())))
    X, Y = draw_data(2, 1, 4)
    initialization.model(X, Y, num_iterations=1)
    assert shown == [1]
    plt.close("all")
    draw = lambda: initialization.plot_decision_boundary(lambda points: points[:, 0] > 0, X, Y)  # noqa: E731
    draw()
    assert shown == [1, 1]
    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert shown == [1, 1]


def test_the_reference_lists_its_modules():
    package = sys.modules["fastnn.reference"]
    assert set(published.COURSE_MODULES) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'numba'"):
        _ = package.numba
