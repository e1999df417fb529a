"""What the course's NumPy side shares, writes, returns and draws."""

import inspect
import subprocess
import sys

import numpy as np
import numpy.testing as npt
import published
import pytest
from course_cases import draw_data, draw_network, stream_state

from fastnn.reference import gradient_checking, initialization, optimization, regularization

pytestmark = pytest.mark.usefixtures("closed_figures")
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


@pytest.mark.parametrize("module", published.DOORS)
def test_all_names_every_public_function(module):
    module = published.course(published.REFERENCE, module)
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


def test_the_reference_lists_its_modules():
    package = sys.modules["fastnn.reference"]
    assert set(published.COURSE_MODULES) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'numba'"):
        _ = package.numba
