"""Full batches by L-BFGS: what it finds, and how it stops."""

import sys

import numpy as np
import pytest
from trainer_cases import data, network, side

import fastnn
from fastnn import LBFGS
from fastnn.reference import engine as numpy_engine

pytestmark = pytest.mark.usefixtures("default_ctrl_c")


@side
def test_lbfgs_finds_the_least_squares_solution(side):
    X, Y = data()
    net = network(side, (3, 2))
    trainer = side.Trainer(net, LBFGS(tolerance=1e-9))
    history = trainer.fit(X, Y, epochs=200, batch_size=None, validation=(X, Y))
    expected = np.linalg.lstsq(np.vstack([X, np.ones(50)]).T, Y.T, rcond=None)[0].T
    assert np.hstack([net.parameters["W1"], net.parameters["b1"]]) == pytest.approx(expected, abs=1e-6)
    assert history.stopped
    assert history.epochs == len(history.validation_loss) == trainer.state.step == trainer.state.epoch < 200
    assert history.learning_rate == []
    # The loss before an iteration is the validation loss after the one before it.
    assert history.loss[1:] == pytest.approx(history.validation_loss[:-1], rel=1e-12)


@side
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_lowers_any_cost(side, dtype):
    X, _ = data()
    Y = (X[0] * X[1] > 0).astype(int)
    weights = np.random.RandomState(1).rand(50)
    trainer = side.Trainer(network(side, (3, 6, 2), "softmax", dtype=dtype), LBFGS(5), l2=0.1, label_smoothing=0.1)
    history = trainer.fit(X, Y, epochs=20, batch_size=None, sample_weight=weights)
    assert (np.diff(history.loss) <= 0).all()
    assert history.loss[-1] < 0.8 * history.loss[0]


@side
def test_lbfgs_stops_for_callbacks_and_interrupts(side):
    X, Y = data()
    losses, vectors = [], []

    def note(trainer, history):
        losses.append(history.loss[-1])
        vectors.append(trainer.network.vector.tobytes())

    def stop(trainer, history):
        note(trainer, history)
        return history.epochs == 3

    def interrupt(trainer, history):
        note(trainer, history)
        if history.epochs == 3:
            raise KeyboardInterrupt

    trainer = side.Trainer(network(side), LBFGS())
    assert trainer.fit(X, Y, epochs=9, batch_size=None, callbacks=[stop]).stopped
    assert trainer.network.vector.tobytes() == vectors[-1]
    trainer = side.Trainer(network(side), LBFGS())
    with pytest.warns(UserWarning, match="training was interrupted after 3 of 9 epochs"):
        trainer.fit(X, Y, epochs=9, batch_size=None, callbacks=[interrupt])
    assert trainer.network.vector.tobytes() == vectors[-1]
    assert losses[:3] == losses[3:]
    assert vectors[:3] == vectors[3:]


def test_lbfgs_keeps_a_finished_iterate_when_a_trial_is_interrupted(monkeypatch):
    X, Y = data()
    trainer = fastnn.reference.Trainer(network(fastnn.reference), LBFGS())
    calls, vectors = [], [trainer.network.vector.tobytes()]
    evaluate = numpy_engine.Engine.loss_and_gradient

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(numpy_engine.Engine, "loss_and_gradient", interrupted)
    note = lambda trainer, history: vectors.append(trainer.network.vector.tobytes())  # noqa: E731
    with pytest.warns(UserWarning, match="training was interrupted"):
        trainer.fit(X, Y, epochs=9, batch_size=None, callbacks=[note])
    assert trainer.network.vector.tobytes() == vectors[-1]
    assert trainer.state.step == len(vectors) - 1


def test_lbfgs_without_scipy(monkeypatch):
    X, Y = data()
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match="LBFGS needs SciPy, which is not installed"):
        fastnn.reference.Trainer(network(fastnn.reference), LBFGS()).fit(X, Y, batch_size=None)


def test_lbfgs_needs_all_examples():
    X, Y = data()
    trainer = fastnn.reference.Trainer(network(fastnn.reference), LBFGS())
    with pytest.raises(ValueError, match=r"batch_size must be None with LBFGS, .*, got 16"):
        trainer.fit(X, Y, batch_size=16)
    with pytest.raises(TypeError, match="step needs an optimiser with a learning rate, got LBFGS: use fit"):
        trainer.step(X, Y)
    assert trainer.fit(X, Y, epochs=0, batch_size=None).epochs == 0
