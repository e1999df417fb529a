"""`gradient_check`: right gradients, the user's functions, and a wrong gradient that is seen."""

import math

import numba
import numpy as np
import pytest
from trainer_cases import bits, data, network, side

import fastnn
from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.losses import BOUNDED_TARGETS, LOSSES
from fastnn.reference import engine as numpy_engine

CHECKED = [
    *((output, loss, {}) for output, losses in LOSSES.items() for loss in losses),
    ("softmax", None, {"label_smoothing": 0.2, "l2": 0.5}),
    ("sigmoid", None, {"label_smoothing": 0.2, "dropout": [0.3, 0.5]}),
]


@side
@pytest.mark.parametrize(("output", "loss", "options"), CHECKED)
def test_gradients_are_right(side, output, loss, options):
    X, Y = data()
    weights = np.random.RandomState(1).rand(50)
    loss = LOSSES[output][0] if loss is None else loss
    Y = (Y > 0) if loss in BOUNDED_TARGETS else Y
    trainer = side.Trainer(network(side, output=output), loss=loss, **options)
    assert fastnn.gradient_check(trainer, X, Y, sample_weight=weights) < 1e-8


@side
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_activations_are_right(side, activation, dtype):
    X, Y = data(m=20)
    trainer = side.Trainer(side.Network([3, 6, 5, 2], activation, dtype=dtype, seed=1))
    assert fastnn.gradient_check(trainer, X, Y) < (1e-8 if dtype == "float64" else 1e-5)


@numba.njit
def sine(z):
    return math.sin(z), math.cos(z)


@numba.njit
def quartic(a, y):
    return (a - y) ** 4, 4 * (a - y) ** 3


@side
@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_functions_of_the_user_s(side, output):
    X, Y = data()
    net = side.Network([3, 6, 5, 2], [sine, "tanh"], output, seed=1)
    trainer = side.Trainer(net, loss=quartic)
    W1, b1, W2, b2, W3, b3 = net.parameters.values()
    A = W3 @ np.tanh(W2 @ np.sin(W1 @ X + b1) + b2) + b3
    if output == "sigmoid":
        A = 1 / (1 + np.exp(-A))
    assert net.predict(X) == pytest.approx(A, rel=1e-12)
    assert fastnn.gradient_check(trainer, X, Y) < 1e-8
    assert trainer.step(X, Y) == pytest.approx(((A - Y) ** 4).sum() / 50, rel=1e-12)
    assert "hidden_activation=['sine', 'tanh']" in repr(trainer)
    assert "loss='quartic'" in repr(trainer)


@pytest.mark.parametrize("sample", [1000, None, 10])
def test_a_wrong_gradient_is_seen(sample, monkeypatch):
    X, Y = data()
    trainer = fastnn.reference.Trainer(network(fastnn.reference))
    evaluate = numpy_engine.Engine.loss_and_gradient

    def wrong(*arguments):
        cost, gradient = evaluate(*arguments)
        return cost, gradient * 1.01

    assert fastnn.gradient_check(trainer, X, Y, sample=sample) < 1e-8
    monkeypatch.setattr(numpy_engine.Engine, "loss_and_gradient", wrong)
    assert fastnn.gradient_check(trainer, X, Y, sample=sample) == pytest.approx(0.01 / 2.01, rel=1e-3)


def test_a_check_changes_nothing_and_repeats():
    X, Y = data()
    trainer = fastnn.reference.Trainer(network(fastnn.reference), dropout=0.5, seed=1)
    trainer.fit(X, Y, epochs=1)
    before = bits(trainer)
    assert fastnn.gradient_check(trainer, X, Y, sample=7) == fastnn.gradient_check(trainer, X, Y, sample=7)
    assert bits(trainer) == before


def test_a_flat_cost_has_no_difference():
    trainer = fastnn.reference.Trainer(network(fastnn.reference, initializer="zeros"))
    X, _ = data()
    assert fastnn.gradient_check(trainer, X, np.zeros((2, 50))) == 0


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"epsilon": 0}, ValueError, "epsilon must be positive, got 0"),
        ({"sample": 0}, ValueError, "sample must be at least 1, got 0"),
        ({"trainer": 1}, TypeError, "trainer must be a Trainer, got int"),
        ({"Y": np.zeros((1, 50))}, ValueError, r"Y must have shape \(2, m\) with m = 50, got shape \(1, 50\)"),
    ],
)
def test_bad_checks(arguments, kind, message):
    X, Y = data()
    with pytest.raises(kind, match=message):
        fastnn.gradient_check(
            **{"trainer": fastnn.reference.Trainer(network(fastnn.reference)), "X": X, "Y": Y, **arguments}
        )
