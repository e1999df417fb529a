"""The course's NumPy side gives the published figures."""

import numpy as np
import numpy.testing as npt
import published
import pytest
from course_cases import gradient_check_case

from fastnn.reference import gradient_checking, optimization, regularization

pytestmark = pytest.mark.usefixtures("closed_figures")
# The x10 run saturates, and says so through NumPy's own warnings.
saturating = pytest.mark.filterwarnings("ignore:(overflow|divide by zero|invalid value):RuntimeWarning")


def assert_costs(printed, run, up_to):
    expected = {i: figure for i, figure in run.costs.items() if i <= up_to}
    assert expected
    for i, (cost, tolerance) in expected.items():
        npt.assert_allclose(printed[i], cost, rtol=tolerance)


@saturating
@pytest.mark.parametrize("name", [name for name, run in published.RUNS.items() if run.costs])
def test_published_costs_at_the_beginning(name, capsys):
    run = published.RUNS[name]
    if run.module == "optimization":
        published.train(published.REFERENCE, name, num_epochs=1)
    else:
        published.train(published.REFERENCE, name, num_iterations=1001)
    assert_costs(published.printed_costs(capsys.readouterr().out), run, up_to=1000)


@saturating
@pytest.mark.slow
@pytest.mark.parametrize("name", published.RUNS)
def test_published_run(name, capsys):
    run = published.RUNS[name]
    parameters = published.train(published.REFERENCE, name)
    printed = published.printed_costs(capsys.readouterr().out)
    if run.costs:
        assert_costs(printed, run, up_to=max(printed))
    train_accuracy, *test_accuracy = published.accuracies(published.REFERENCE, name, parameters)
    assert train_accuracy == pytest.approx(run.train_accuracy, abs=1e-12)
    assert test_accuracy == ([] if run.test_accuracy is None else [pytest.approx(run.test_accuracy)])


def test_published_gradient_check(capsys):
    difference = gradient_checking.gradient_check(2, 4)
    npt.assert_allclose(difference, 2.919335883291695e-10, rtol=1e-3)
    assert gradient_checking.forward_propagation(2, 4) == 8
    assert gradient_checking.backward_propagation(2, 4) == 2
    assert capsys.readouterr().out == "The gradient is correct!\n"


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
