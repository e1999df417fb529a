"""The course's `model`s in NumPy: rates, printed lines, recorded points, batches."""

import numpy as np
import numpy.testing as npt
import published
import pytest
from course_cases import draw_data

from fastnn.reference import initialization, optimization, regularization
from fastnn.reference.course.settings import OptimizationSettings, RegularizationSettings

pytestmark = pytest.mark.usefixtures("closed_figures")


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
    parameters = regularization._train(X, Y, settings, lambda i, cost, rate: points.append((i, cost)))
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
