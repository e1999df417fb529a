"""Ctrl-C in loops of steps, in long passes, in trainings within each other."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn
from fastnn.engine import engine as engine_module

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="sends SIGINT"),
    pytest.mark.usefixtures("default_ctrl_c"),
]


SEND = """
import os, signal, sys, time
for delay in sys.stdin:
    time.sleep(float(delay))
    os.kill(int(sys.argv[1]), signal.SIGINT)
"""


@pytest.fixture(scope="module")
def send():
    """Give a function that has SIGINT sent after so many seconds.

    By another process: a thread of this one could send it only where it gets the interpreter's lock.
    """
    command = [sys.executable, "-c", SEND, str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1) as sender:
        yield lambda delay: sender.stdin.write(f"{delay}\n")


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_threads", [None, 1])
def test_every_step_that_was_done_counts(send, n_threads):
    # By the absolute error, far from the target, every step adds 1 to the weight.
    network = fastnn.Network([1, 1], initializer="zeros")
    trainer = fastnn.Trainer(network, fastnn.SGD(1.0), loss="absolute_error", n_threads=n_threads)
    X, Y = np.array([[1.0]]), np.array([[1e9]])
    trainer.step(X, Y)
    wrong = []
    for delay in np.random.default_rng(0).uniform(2e-4, 8e-4, 800):
        try:
            send(delay)
            while True:
                trainer.step(X, Y)
        except KeyboardInterrupt:
            pass
        if trainer.state.step != network.vector[0]:
            wrong.append((trainer.state.step, network.vector[0]))
            trainer.state.step = int(network.vector[0])
    assert wrong == []


def test_a_step_of_the_reference_is_whole():
    network = fastnn.reference.Network([1, 1], initializer="zeros")
    trainer = fastnn.reference.Trainer(network, fastnn.SGD(1.0), loss=interrupting_loss)
    with pytest.raises(KeyboardInterrupt):
        trainer.step([[1.0]], [[7.0]])
    assert (trainer.state.step, *network.vector) == (1, 1.0, 1.0)


def interrupting_loss(a, y):
    if y == 7.0:
        signal.raise_signal(signal.SIGINT)
    return abs(a - y), np.sign(a - y)


@pytest.mark.parametrize("side", [fastnn, fastnn.reference], ids=["compiled", "reference"])
@pytest.mark.parametrize("outer_is_lbfgs", [False, True])
def test_a_training_within_a_callback_stops_the_outer_one_too(side, outer_is_lbfgs):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((2, 40)), rng.standard_normal((1, 40))
    histories = []

    def interrupt(trainer, history):
        if history.epochs == 3:
            signal.raise_signal(signal.SIGINT)

    def train_another(trainer, history):
        if history.epochs == 2:
            inner = side.Trainer(side.Network([2, 3, 1], seed=1), seed=1)
            histories.append(inner.fit(X, Y, epochs=5, callbacks=[interrupt]))

    def train_one_that_trains_another(trainer, history):
        if history.epochs == 2:
            inner = side.Trainer(side.Network([2, 3, 1], seed=1), seed=1)
            histories.append(inner.fit(X, Y, epochs=6, callbacks=[train_another]))

    optimizer = fastnn.LBFGS() if outer_is_lbfgs else fastnn.Adam()
    for callback in (train_another, train_one_that_trains_another):
        histories.clear()
        trainer = side.Trainer(side.Network([2, 3, 1], seed=1), optimizer, seed=1)
        with pytest.warns(UserWarning, match="interrupted") as warned:
            histories.append(trainer.fit(X, Y, epochs=7, batch_size=None, callbacks=[callback]))
        assert [history.epochs for history in histories] == [3, 2, 2][: len(histories)]
        assert all(history.stopped for history in histories)
        assert len([w for w in warned if "training was interrupted" in str(w.message)]) == len(histories)
        assert trainer.state.step == 2


def test_an_estimator_s_fit_stops_with_the_one_that_a_callback_started():
    pytest.importorskip("sklearn")
    X = np.random.default_rng(0).standard_normal((60, 2))
    y = X[:, 0] > 0

    def interrupt(estimator, history):
        signal.raise_signal(signal.SIGINT)

    def train_another(estimator, history):
        if history.epochs == 2:
            fastnn.MLPClassifier((3,), max_iter=4, callbacks=[interrupt]).fit(X, y)

    for solver in ("adam", "lbfgs"):
        estimator = fastnn.MLPClassifier((3,), solver=solver, max_iter=9, callbacks=[train_another])
        # As scikit-learn's, a fit by L-BFGS passes Ctrl-C on.
        ends = pytest.raises(KeyboardInterrupt) if solver == "lbfgs" else contextlib.nullcontext()
        with pytest.warns(UserWarning, match="Training interrupted by user"), ends:
            estimator.fit(X, y)
        assert (estimator.n_iter_, len(estimator.history_.loss)) == (2, 2)


def test_epochs_of_an_interrupted_estimator_count(send):
    pytest.importorskip("sklearn")
    X = np.random.default_rng(0).standard_normal((300, 4))
    estimator = fastnn.MLPRegressor(
        hidden_layer_sizes=(5,), max_iter=10**7, tol=0, n_iter_no_change=10**7, random_state=0
    )
    estimator.partial_fit(X, X[:, 0])
    send(0.7)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X, X[:, 0])
    steps = estimator._optimizer.state.step
    assert estimator.n_iter_ == len(estimator.loss_curve_) == estimator.history_.epochs == steps // 2
    assert len(estimator.history_.learning_rate) == len(estimator.history_.seconds) == estimator.n_iter_ > 0


def test_an_interrupted_validation_leaves_an_entry_for_every_epoch():
    pytest.importorskip("sklearn")
    X = np.random.default_rng(0).standard_normal((60, 2))

    class Interrupted(fastnn.MLPRegressor):
        calls = 0

        def _score_of(self, *arguments):
            self.calls += 1
            if self.calls == 3:
                signal.raise_signal(signal.SIGINT)
            return super()._score_of(*arguments)

    estimator = Interrupted(hidden_layer_sizes=(3,), early_stopping=True, max_iter=9, random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X, X[:, 0])
    assert len(estimator.validation_scores_) == len(estimator.loss_curve_) == estimator.n_iter_ == 3
    assert np.isnan(estimator.validation_scores_).tolist() == [False, False, True]


@pytest.mark.needs_jit
def test_ctrl_c_ends_a_long_prediction(send):
    # Half a minute of one core, from one example.
    X = np.broadcast_to(np.linspace(-1, 1, 64)[:, None], (64, 2_000_000))
    network = fastnn.Network([64, 700, 700, 1], seed=1)
    network.predict(X[:, :10])
    send(0.3)
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        network.predict(X)
    assert time.perf_counter() - begin < 6


@pytest.mark.needs_jit
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_of_a_long_pass_have_the_bits_of_one(monkeypatch, dtype, weighted):
    rng = np.random.default_rng(0)
    m = 3333
    X, Y = rng.standard_normal((7, m)).T.copy().T, rng.integers(0, 3, m)
    weights = rng.random(m) if weighted else None
    network = fastnn.Network([7, 9, 3], "tanh", output="softmax", dtype=dtype, seed=1)
    trainer = fastnn.Trainer(network, seed=1)
    engine = trainer._made_engine()

    def passes():
        return [
            network.predict(X).tobytes(), network.predict(X[::-1, :40]).tobytes(),
            engine.loss(network.vector, X, Y, weights),
            engine.loss_and_gradient(network.vector, X, Y, weights)[1].tobytes(),
            network.forward(X)[0].tobytes(),
        ]  # fmt: skip

    expected = passes()
    for block_ns in (1.0, 3e5):
        monkeypatch.setattr(engine_module, "BLOCK_NS", block_ns)
        assert passes() == expected
    if not weighted:
        sklearn = pytest.importorskip("sklearn.datasets")
        monkeypatch.undo()
        features, target = sklearn.make_classification(3000, 6, random_state=0)

        def fitted():
            estimator = fastnn.MLPClassifier((4,), early_stopping=True, max_iter=2, tol=0, random_state=0)
            with pytest.warns(UserWarning, match="Maximum iterations"):
                estimator.fit(features.astype(dtype), target)
            return estimator.validation_loss_curve_, estimator.predict_proba(features.astype(dtype)).tobytes()

        expected = fitted()
        monkeypatch.setattr(engine_module, "BLOCK_NS", 1.0)
        assert fitted() == expected
