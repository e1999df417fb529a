"""Trainers: what a fit promises whatever the engine computes, and what happens to bad arguments."""

import copy
import inspect
import math
import pickle
import signal
import sys

import numba
import numpy as np
import pytest

import fastnn
from fastnn import LBFGS, SGD, Adam, AdamW, AMSGrad, Momentum, RMSProp
from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.engine import slices
from fastnn.losses import LOSSES
from fastnn.reference import engine as numpy_engine
from fastnn.schedules import Constant, Cosine, InverseScaling, OneCycle, StepDecay

SIDES = (fastnn.reference, fastnn)


@pytest.fixture(autouse=True)
def _ctrl_c():
    # A shell starts processes in the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)

OPTIMIZERS = [
    SGD(0.05), SGD(0.05, 0.9), SGD(0.05, 0.9, nesterov=True), Momentum(0.05), RMSProp(), Adam(), AMSGrad(), AdamW(),
]  # fmt: skip
RATES = [
    Constant(0.01), StepDecay(0.01, 7), InverseScaling(0.01), Cosine(0.01, 40, 5), OneCycle(0.01, 40),
    lambda step: 0.01 / (1 + step),
]  # fmt: skip


def data(m=50, n_x=3, n_y=2, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_x, m)
    return X, np.sin(X[:n_y]) + 0.1 * random.randn(n_y, m)


def network(side, sizes=(3, 6, 2), output="linear", **options):
    return side.Network(list(sizes), "tanh", output, **{"seed": 0, **options})


def bits(trainer):
    state = trainer.state
    arrays = (trainer.network.vector, state.v, state.s, state.h, state.powers)
    return [array.tobytes() for array in arrays] + [state.step, state.epoch]


def together(*histories):
    return [[x for h in histories for x in getattr(h, name)] for name in ("loss", "validation_loss", "learning_rate")]


# Fits and what they may not depend on.


@side
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_two_fits_are_one(side, optimizer):
    X, Y = data()
    options = {"dropout": 0.2, "l2": 0.1, "clip_norm": 0.5, "seed": 3}
    once = side.Trainer(network(side), optimizer, **options)
    whole = once.fit(X, Y, epochs=10, batch_size=16, validation=(X, Y))
    twice = side.Trainer(network(side), optimizer, **options)
    parts = [twice.fit(X, Y, epochs=5, batch_size=16, validation=(X, Y)) for _ in range(2)]
    assert bits(twice) == bits(once)
    assert together(*parts) == together(whole)
    assert (once.state.step, once.state.epoch) == (40, 10)


@side
@pytest.mark.parametrize("rate", RATES, ids=lambda rate: type(rate).__name__)
def test_schedules_go_on_from_fit_to_fit(side, rate):
    X, Y = data()
    once, twice = (side.Trainer(network(side), Adam(rate), seed=1) for _ in range(2))
    whole = once.fit(X, Y, epochs=6, batch_size=8)
    parts = [twice.fit(X, Y, epochs=epochs, batch_size=8) for epochs in (1, 5)]
    assert bits(twice) == bits(once)
    assert together(*parts) == together(whole)
    assert whole.learning_rate == [rate(7 * epoch + 6) for epoch in range(6)]


@side
@pytest.mark.parametrize("batch_size", [1, 7, 50, None])
@pytest.mark.parametrize("weighted", [False, True])
def test_slices_callbacks_and_validation_change_no_bit(side, batch_size, weighted, monkeypatch):
    X, Y = data()
    weights = np.random.RandomState(1).rand(50) if weighted else None

    def run(**watching):
        trainer = side.Trainer(network(side), dropout=0.1, seed=5)
        history = trainer.fit(X, Y, epochs=7, batch_size=batch_size, sample_weight=weights, **watching)
        return bits(trainer), history.loss, history.learning_rate

    expected = run()
    assert run(callbacks=[lambda trainer, history: None]) == expected
    assert run(validation=(X, Y)) == expected
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(slices, "FIRST_SLICE", 0)
    assert run() == expected


@side
def test_copied_and_pickled_trainers_go_on_alike(side):
    X, Y = data()
    trainer = side.Trainer(network(side), AMSGrad(OneCycle(0.01, 60)), dropout=[0.1, 0.3], seed=2)
    trainer.fit(X, Y, epochs=3, batch_size=16)
    twins = [copy.copy(trainer), copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))]
    trainer.fit(X, Y, epochs=3, batch_size=16)
    for twin in twins:
        assert type(twin) is type(trainer)
        assert repr(twin) == repr(trainer)
        assert twin.network is not trainer.network
        assert all(array.ctypes.data % 64 == 0 for array in (twin.state.v, twin.state.s, twin.state.h))
        assert twin.state.step == 12
        twin.fit(X, Y, epochs=3, batch_size=16)
        assert bits(twin) == bits(trainer)


@side
def test_seeds(side):
    X, Y = data()

    def trained(seed, **options):
        trainer = side.Trainer(network(side), seed=seed, **options)
        trainer.fit(X, Y, epochs=1, batch_size=8)
        return bits(trainer)

    assert trained(1) == trained(1)
    assert trained(2**64 - 1) != trained(1)
    assert trained(None) != trained(None)
    net = network(side)
    assert side.Trainer(net, seed=5).settings.seed == 5
    assert 0 <= side.Trainer(net).settings.seed < 2**64


@side
def test_full_batches_come_in_the_order_of_the_data(side):
    X, Y = data()
    first, second = (side.Trainer(network(side), dropout=0.5, seed=1) for _ in range(2))
    first.fit(X, Y, epochs=3, batch_size=None)
    second.fit(X, Y, epochs=3, batch_size=1000, shuffle=False)
    assert bits(first) == bits(second)


@side
def test_train_is_a_trainer_s_fit(side):
    X, Y = data()
    trainer = side.Trainer(network(side), SGD(0.1), l2=0.1, seed=1)
    expected = trainer.fit(X, Y, epochs=3, batch_size=16, validation=(X, Y))
    net = network(side)
    history = side.train(net, X, Y, epochs=3, batch_size=16, validation=(X, Y), optimizer=SGD(0.1), l2=0.1, seed=1)
    assert history == expected
    assert net.vector.tobytes() == trainer.network.vector.tobytes()


def test_both_sides_take_the_same_arguments():
    ours, reference = fastnn, fastnn.reference
    for name in ("Network", "Trainer", "train"):
        assert inspect.signature(getattr(ours, name)) == inspect.signature(getattr(reference, name))


# Steps.


@side
@pytest.mark.parametrize("rate", [0.01, *RATES], ids=lambda rate: type(rate).__name__)
def test_steps_are_a_fit_with_full_batches(side, rate):
    X, Y = data()
    weights = np.random.RandomState(1).rand(50)
    fitted, stepped = (side.Trainer(network(side), Adam(rate), dropout=0.3, seed=1) for _ in range(2))
    history = fitted.fit(X, Y, epochs=5, batch_size=None, sample_weight=weights)
    losses = [stepped.step(X, Y, weights) for _ in range(5)]
    assert losses == pytest.approx(history.loss, rel=1e-15)
    assert stepped.state.epoch == 0
    stepped.state.epoch = fitted.state.epoch
    assert bits(stepped) == bits(fitted)


@side
def test_a_step_without_weight_is_skipped(side):
    X, Y = data()
    trainer = side.Trainer(network(side), Adam())
    trainer.step(X, Y)
    before = bits(trainer)
    assert trainer.step(X, Y, np.zeros(50)) == 0
    assert bits(trainer)[:-2] == before[:-2]
    assert trainer.state.step == 2


@side
def test_weights_stand_for_repeated_examples(side):
    X, Y = data(m=5)
    weights = np.array([3, 1, 0, 2, 1])
    weighted, repeated = (side.Trainer(network(side), SGD(0.1), l2=0.1) for _ in range(2))
    for _ in range(3):
        loss = weighted.step(X, Y, weights)
        assert loss == pytest.approx(repeated.step(X.repeat(weights, axis=1), Y.repeat(weights, axis=1)), rel=1e-12)
    assert weighted.network.vector == pytest.approx(repeated.network.vector, rel=1e-10)


@side
def test_labels_are_one_hot_columns(side):
    X, _ = data()
    labels = np.random.RandomState(2).randint(0, 4, 50)
    expected = side.Trainer(network(side, (3, 5, 4), "softmax")).step(X, np.eye(4)[labels].T)
    for given in (labels, labels.tolist(), labels.astype(np.uint8), labels.astype(">i2"), labels.repeat(2)[::2]):
        assert side.Trainer(network(side, (3, 5, 4), "softmax")).step(X, given) == pytest.approx(expected, rel=1e-14)
    binary = labels > 1
    expected = side.Trainer(network(side, (3, 5, 1), "sigmoid")).step(X, binary.reshape(1, -1).astype(float))
    assert side.Trainer(network(side, (3, 5, 1), "sigmoid")).step(X, binary) == pytest.approx(expected, rel=1e-14)


@side
def test_losses_of_an_epoch_are_weighted_means(side):
    X, Y = data()
    weights = np.random.RandomState(3).rand(50)
    net = network(side)
    error = ((net.predict(X) - Y) ** 2).sum(axis=0) / 2
    squares = sum((net.parameters[name] ** 2).sum() for name in ("W1", "W2"))
    frozen = side.Trainer(net, SGD(0.0), l2=0.3, seed=1)
    history = frozen.fit(X, Y, epochs=2, batch_size=16, sample_weight=weights, validation=(X, Y, weights))
    mean = (weights * error).sum() / weights.sum()
    # Each of the 4 steps adds l2 / (2 S) times the squares, and counts with its S.
    assert history.loss == pytest.approx([mean + 4 * 0.3 / 2 * squares / weights.sum()] * 2, rel=1e-12)
    assert history.validation_loss == pytest.approx([mean] * 2, rel=1e-12)
    unweighted = frozen.fit(X, Y, epochs=1, batch_size=16, validation=(X, Y))
    assert unweighted.validation_loss == pytest.approx([error.mean()], rel=1e-12)


# Nothing is copied on the way to the engine.


class Spy(numpy_engine.Engine):
    seen = None

    def session(self, theta, state, X, Y, weights, batch_size, shuffle):
        Spy.seen = X, Y
        return super().session(theta, state, X, Y, weights, batch_size, shuffle)


class Spied(fastnn.reference.Trainer):
    @staticmethod
    def _engine_class():
        return Spy


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_data_reach_the_engine_uncopied(dtype):
    table = np.random.RandomState(0).randint(0, 2, (40, 6)).astype(dtype)
    X, Y = table[::2, :3].T, table[::2, :2:-2].T
    trainer = Spied(network(fastnn.reference))
    for call in (lambda: trainer.fit(X, Y, epochs=1), lambda: trainer.step(X, Y)):
        call()
        for given, seen in zip((X, Y), Spy.seen, strict=True):
            assert np.shares_memory(given, seen)
            assert seen.strides == given.strides
            assert seen.dtype == (np.uint8 if dtype == "?" else dtype)


def test_memory_mapped_data_are_read_in_place(tmp_path):
    file = np.memmap(tmp_path / "table", "float32", "w+", shape=(20, 5))
    Spied(network(fastnn.reference)).fit(file.T[:3], file.T[3:], epochs=1)
    assert all(np.shares_memory(file, seen) for seen in Spy.seen)


# Callbacks and Ctrl-C.


@side
def test_callbacks_see_every_epoch_and_may_stop(side):
    X, Y = data()
    seen = []

    def first(trainer, history):
        seen.append((trainer, history.epochs, len(history.validation_loss), trainer.state.epoch))
        return history.epochs == 3

    def second(trainer, history):
        seen.append("second")

    trainer = side.Trainer(network(side))
    history = trainer.fit(X, Y, epochs=9, batch_size=16, validation=(X, Y), callbacks=(first, second))
    assert seen == [entry for e in (1, 2, 3) for entry in ((trainer, e, e, e), "second")]
    assert (history.epochs, history.stopped, trainer.state.step) == (3, True, 12)
    assert not trainer.fit(X, Y, epochs=2, callbacks=[second]).stopped


@side
def test_a_callback_may_change_the_rate(side):
    X, Y = data()

    def halve(trainer, history):
        trainer.optimizer = Adam(trainer.optimizer.learning_rate / 2)

    trainer = side.Trainer(network(side), Adam(0.08))
    assert trainer.fit(X, Y, epochs=3, callbacks=[halve]).learning_rate == [0.08, 0.04, 0.02]
    scheduled = side.Trainer(network(side), Adam(lambda step: 0.08 / 2**step))
    scheduled.fit(X, Y, epochs=3, batch_size=None)
    trainer = side.Trainer(network(side), Adam(0.08))
    trainer.fit(X, Y, epochs=3, batch_size=None, callbacks=[halve])
    assert bits(trainer) == bits(scheduled)


@side
@pytest.mark.parametrize("rate", [0.01, *RATES], ids=lambda rate: type(rate).__name__)
def test_rates_are_told_and_set(side, rate):
    X, Y = data()
    trainer = side.Trainer(network(side), Adam(rate, beta1=0.8), seed=1)
    told = []
    note = lambda trainer, history: told.append(trainer.get_learning_rate())  # noqa: E731
    first = trainer.get_learning_rate()
    assert type(first) is float
    history = trainer.fit(X, Y, epochs=4, batch_size=None, callbacks=[note])
    assert [first, *told[:-1]] == history.learning_rate
    trainer.set_learning_rate(1)
    assert trainer.optimizer == Adam(1.0, beta1=0.8)
    assert trainer.get_learning_rate() == 1.0
    assert trainer.fit(X, Y, epochs=2, batch_size=16).learning_rate == [1.0, 1.0]


@pytest.mark.parametrize(
    ("optimizer", "rate", "kind", "message"),
    [
        (SGD(0.1), -1, ValueError, "rate must not be negative, got -1"),
        (SGD(0.1), math.nan, ValueError, "rate must be finite, got nan"),
        (SGD(0.1), Constant(0.1), TypeError, "rate must be a real number, got Constant"),
        (LBFGS(), 0.1, TypeError, "set_learning_rate needs an optimiser with a learning rate, got LBFGS$"),
    ],
)
def test_bad_rates_are_not_set(optimizer, rate, kind, message):
    trainer = fastnn.reference.Trainer(network(fastnn.reference), optimizer)
    with pytest.raises(kind, match=message):
        trainer.set_learning_rate(rate)
    assert trainer.optimizer == optimizer


def test_lbfgs_has_no_rate_to_tell():
    trainer = fastnn.reference.Trainer(network(fastnn.reference), LBFGS())
    with pytest.raises(TypeError, match=r"get_learning_rate needs an optimiser with a learning rate, got LBFGS$"):
        trainer.get_learning_rate()


def test_other_settings_stay():
    trainer = fastnn.reference.Trainer(network(fastnn.reference), Adam())
    for other in (SGD(0.1), Adam(beta1=0.8), "adam"):
        with pytest.raises(ValueError, match="optimizer may differ in its learning rate only from Adam"):
            trainer.optimizer = other
    with pytest.raises(AttributeError):
        trainer.settings = None


@side
def test_interrupt_in_a_callback(side):
    X, Y = data()

    def interrupt(trainer, history):
        if history.epochs == 2:
            signal.raise_signal(signal.SIGINT)

    trainer = side.Trainer(network(side), seed=1)
    with pytest.warns(UserWarning, match="training was interrupted after 2 of 5 epochs"):
        history = trainer.fit(X, Y, epochs=5, callbacks=[interrupt])
    assert (history.epochs, history.stopped) == (2, True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    uninterrupted = side.Trainer(network(side), seed=1)
    uninterrupted.fit(X, Y, epochs=2)
    assert bits(trainer) == bits(uninterrupted)


class Interrupting(numpy_engine.Engine):
    """Ctrl-C comes in the midst of each slice, before its steps are done."""

    def session(self, *arguments):
        session = super().session(*arguments)
        advance = session.advance

        def interrupted(rates):
            signal.raise_signal(signal.SIGINT)
            return advance(rates)

        session.advance = interrupted
        return session


class Interrupted(fastnn.reference.Trainer):
    @staticmethod
    def _engine_class():
        return Interrupting


def test_interrupt_in_a_slice_waits_for_its_end(monkeypatch):
    X, Y = data()
    monkeypatch.setattr(slices, "FIRST_SLICE", 6 * 16 * network(fastnn.reference).vector.size)
    trainer = Interrupted(network(fastnn.reference), seed=1)
    with pytest.warns(UserWarning, match="training was interrupted after 1 of 5 epochs"):
        history = trainer.fit(X, Y, epochs=5, batch_size=16)
    assert trainer.state.step == 6  # one slice: an epoch of 4 steps, and 2 of the next
    assert len(history.learning_rate) == history.epochs == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_user_s_is_left_alone():
    X, Y = data()
    seen = []
    kept = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        handler = signal.getsignal(signal.SIGINT)
        assert not Interrupted(network(fastnn.reference)).fit(X, Y, epochs=2, batch_size=None).stopped
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, kept)
    assert seen


# L-BFGS.


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


# Gradient check.

CHECKED = [
    *(("linear", loss, {}) for loss in LOSSES["linear"]),
    *(("sigmoid", loss, {}) for loss in LOSSES["sigmoid"]),
    ("softmax", None, {}),
    ("softmax", None, {"label_smoothing": 0.2, "l2": 0.5}),
    ("sigmoid", None, {"label_smoothing": 0.2, "dropout": [0.3, 0.5]}),
]


@side
@pytest.mark.parametrize(("output", "loss", "options"), CHECKED)
def test_gradients_are_right(side, output, loss, options):
    X, Y = data()
    weights = np.random.RandomState(1).rand(50)
    Y = Y if output == "linear" and loss != "poisson" else (Y > 0)
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


# Bad arguments.


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: SGD(), TypeError, "learning_rate"),
        (lambda: SGD("x"), TypeError, "learning_rate must be a real number, got 'x'"),
        (lambda: SGD(math.nan), ValueError, "learning_rate must be finite, got nan"),
        (lambda: SGD(-1), ValueError, "learning_rate must not be negative, got -1"),
        (lambda: SGD(0.1, momentum=1), ValueError, r"momentum must be in \[0, 1\), got 1"),
        (lambda: SGD(0.1, nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda: SGD(0.1, 0.9, nesterov=1), TypeError, "nesterov must be True or False, got 1"),
        (lambda: Momentum(0.1, beta=-0.1), ValueError, r"beta must be in \[0, 1\), got -0.1"),
        (lambda: RMSProp(rho=1.0), ValueError, r"rho must be in \[0, 1\), got 1.0"),
        (lambda: RMSProp(epsilon=0), ValueError, "epsilon must be positive, got 0"),
        (lambda: Adam(beta1=math.nan), ValueError, r"beta1 must be in \[0, 1\), got nan"),
        (lambda: Adam(beta2=1), ValueError, r"beta2 must be in \[0, 1\), got 1"),
        (lambda: AMSGrad(epsilon=-1), ValueError, "epsilon must be positive, got -1"),
        (lambda: AdamW(weight_decay=-1), ValueError, "weight_decay must not be negative, got -1"),
        (lambda: LBFGS(history_size=0), ValueError, "history_size must be at least 1, got 0"),
        (lambda: LBFGS(tolerance=math.inf), ValueError, "tolerance must be finite, got inf"),
    ],
)
def test_bad_optimizers(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_optimizers_are_values(optimizer):
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 1.0


@pytest.mark.parametrize(
    ("output", "options", "kind", "message"),
    [
        ("linear", {"optimizer": "adam"}, TypeError, r"optimizer must be one of fastnn's, .*, got 'adam'"),
        ("linear", {"optimizer": Adam}, TypeError, "optimizer must be one of fastnn's"),
        (
            "linear",
            {"loss": "mse"},
            ValueError,
            "loss of a linear output must be one of 'squared_error', .*, got 'mse'",
        ),
        ("linear", {"loss": "cross_entropy"}, ValueError, "loss of a linear output must be one of"),
        ("linear", {"loss": "binary_cross_entropy"}, ValueError, "loss of a linear output must be one of"),
        ("sigmoid", {"loss": "poisson"}, ValueError, "loss of a sigmoid output must be one of"),
        ("softmax", {"loss": "squared_error"}, ValueError, "loss of a softmax output must be one of 'cross_entropy'"),
        ("softmax", {"loss": lambda a, y: (a, a)}, ValueError, "must be 'cross_entropy', got a function"),
        ("linear", {"loss": lambda a, y: a - y}, TypeError, "loss must return two numbers, .*, got .*-0.5"),
        ("linear", {"loss": 3}, TypeError, "loss of a linear output must be one of .*, got 3"),
        ("linear", {"l2": -1}, ValueError, "l2 must not be negative, got -1"),
        ("linear", {"l2": math.inf}, ValueError, "l2 must be finite, got inf"),
        ("linear", {"weight_decay": "x"}, TypeError, "weight_decay must be a real number, got 'x'"),
        ("linear", {"weight_decay": 0.1, "optimizer": AdamW()}, ValueError, "weight_decay must be 0 with AdamW"),
        ("linear", {"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\), got 1.0"),
        ("linear", {"dropout": -0.1}, ValueError, r"dropout must be in \[0, 1\), got -0.1"),
        ("linear", {"dropout": [0.1]}, ValueError, r"dropout must be a number, or have 2 entries .*, got \[0.1\]"),
        ("linear", {"dropout": [0.1, 1]}, ValueError, r"dropout\[1\] must be in \[0, 1\), got 1"),
        ("linear", {"dropout": "much"}, TypeError, "dropout must be a real number, got 'much'"),
        ("linear", {"clip_norm": 0}, ValueError, "clip_norm must be positive, got 0"),
        ("linear", {"label_smoothing": 0.1}, ValueError, "label_smoothing needs the loss .*, got 'squared_error'"),
        ("softmax", {"label_smoothing": 1}, ValueError, r"label_smoothing must be in \[0, 1\), got 1"),
        ("linear", {"n_threads": 0}, ValueError, "n_threads must be None, -1 or at least 1, got 0"),
        ("linear", {"n_threads": -2}, ValueError, "n_threads must be at least -1, got -2"),
        ("linear", {"n_threads": 1.0}, TypeError, "n_threads must be an integer, got 1.0"),
        ("linear", {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ("linear", {"seed": 2**64}, ValueError, r"seed must be less than 2\*\*64"),
        ("linear", {"optimizer": LBFGS(), "dropout": 0.1}, ValueError, "dropout does not go with LBFGS"),
        ("linear", {"optimizer": LBFGS(), "clip_norm": 0.1}, ValueError, "clip_norm does not go with LBFGS"),
        ("linear", {"optimizer": LBFGS(), "weight_decay": 0.1}, ValueError, "weight_decay does not go with LBFGS"),
    ],
)
def test_bad_settings(output, options, kind, message):
    with pytest.raises(kind, match=message):
        fastnn.Trainer(network(fastnn, output=output), **options)


def test_bad_networks():
    with pytest.raises(TypeError, match="network must be a Network, got list"):
        fastnn.Trainer([3, 2])
    with pytest.raises(
        ValueError, match="dropout must be a sequence, for the input, in a network without hidden layers"
    ):
        fastnn.Trainer(network(fastnn, (3, 2)), dropout=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        fastnn.train(network(fastnn), *data(), depth=3)


X0, Y0 = data(m=4)
INTEGERS = [0, 1, 1, 0]

BAD_DATA = [
    ("linear", (X0[:2], Y0), {}, ValueError, r"X must have shape \(3, m\) .*, got shape \(2, 4\)"),
    ("linear", (X0.astype(complex), Y0), {}, TypeError, "X must hold real numbers .*, got dtype complex128"),
    ("linear", (X0.astype(object), Y0), {}, TypeError, "X must hold real numbers .*, got dtype object"),
    ("linear", (X0[:, :0], Y0[:, :0]), {}, ValueError, "X must not be empty"),
    ("linear", (X0, Y0[:, :3]), {}, ValueError, r"Y must have shape \(2, m\) with m = 4, got shape \(2, 3\)"),
    ("linear", (X0, Y0.T), {}, ValueError, r"Y must have shape \(2, m\) with m = 4, got shape \(4, 2\)"),
    ("linear", (X0, Y0[0]), {}, ValueError, r"Y must have shape \(2, m\) with m = 4, got shape \(4,\)"),
    ("linear", (X0, Y0.astype(str)), {}, TypeError, "Y must hold real numbers .*, got dtype <U"),
    ("softmax", (X0, [0, 1, 2, 0]), {}, ValueError, "Y must hold labels from 0 to 1, got 2"),
    ("softmax", (X0, [0, -1, 1, 0]), {}, ValueError, "Y must hold labels from 0 to 1, got -1"),
    ("softmax", (X0, [0.0, 1.0, 1.0, 0.0]), {}, TypeError, r"Y of shape \(m,\) must hold integer labels, got dtype"),
    (
        "softmax",
        (X0, [0, 1, 1]),
        {},
        ValueError,
        r"Y must have shape \(2, m\) or, for integer labels, \(m,\) with m = 4",
    ),
    ("linear", (X0, Y0), {"sample_weight": [1, 1, 1]}, ValueError, r"sample_weight must have shape \(4,\)"),
    ("linear", (X0, Y0), {"sample_weight": [1, 1, -1, 1]}, ValueError, "must be finite and not negative, got -1.0"),
    (
        "linear",
        (X0, Y0),
        {"sample_weight": [1, 1, math.nan, 1]},
        ValueError,
        "must be finite and not negative, got nan",
    ),
    (
        "linear",
        (X0, Y0),
        {"sample_weight": [1, 1, math.inf, 1]},
        ValueError,
        "must be finite and not negative, got inf",
    ),
    ("linear", (X0, Y0), {"sample_weight": [1, 1, "a", 1]}, TypeError, "sample_weight must hold real numbers"),
]


@pytest.mark.parametrize(("output", "arrays", "options", "kind", "message"), BAD_DATA)
def test_bad_data(output, arrays, options, kind, message):
    trainer = fastnn.reference.Trainer(network(fastnn.reference, output=output))
    before = bits(trainer)
    for method in (trainer.fit, trainer.step):
        with pytest.raises(kind, match=message):
            method(*arrays, **options)
    assert bits(trainer) == before


@pytest.mark.parametrize(
    ("output", "loss", "options", "kind", "message"),
    [
        ("linear", None, {"epochs": -1}, ValueError, "epochs must be at least 0, got -1"),
        ("linear", None, {"epochs": 1.0}, TypeError, "epochs must be an integer, got 1.0"),
        ("linear", None, {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ("linear", None, {"batch_size": "all"}, TypeError, "batch_size must be an integer, got 'all'"),
        ("linear", None, {"shuffle": "yes"}, TypeError, "shuffle must be True or False, got 'yes'"),
        ("linear", None, {"callbacks": print}, TypeError, "callbacks must be a sequence of functions, got"),
        ("linear", None, {"callbacks": [None]}, TypeError, r"callbacks\[0\] must be a function, got None"),
        ("linear", None, {"validation": X0}, TypeError, r"validation must be None, \(X, Y\) or \(X, Y, weights\)"),
        ("linear", None, {"validation": (X0[:2], Y0)}, ValueError, r"X of validation must have shape \(3, m\)"),
        ("linear", None, {"validation": (X0, Y0[:1])}, ValueError, r"Y of validation must have shape \(2, m\)"),
        ("linear", None, {"validation": (X0, Y0, [1])}, ValueError, "weights of validation must have shape"),
        ("linear", None, {"X": X0 * math.inf}, ValueError, r"X must be finite, got -?inf at index \(0, 0\)"),
        ("linear", None, {"Y": Y0 * math.nan}, ValueError, r"Y must be finite, got nan at index \(0, 0\)"),
        ("linear", None, {"sample_weight": np.zeros(4)}, ValueError, "sample_weight must not be zero for all examples"),
        ("linear", "poisson", {"Y": -abs(Y0)}, ValueError, "Y must not be negative with loss 'poisson', got -"),
        ("sigmoid", None, {"Y": [[-1, 1, 1, 1]] * 2}, ValueError, "Y must not be negative with loss 'binary_cross_ent"),
        ("sigmoid", None, {"Y": [[0, 1, 2, 1]] * 2}, ValueError, r"Y must be in \[0, 1\] with loss 'binary_.*, got 2"),
        ("softmax", None, {"Y": [[0, 1, -2, 1]] * 2}, ValueError, "Y must not be negative with loss 'cross_entropy'"),
    ],
)
def test_bad_fits(output, loss, options, kind, message):
    trainer = fastnn.reference.Trainer(network(fastnn.reference, output=output), loss=loss)
    before = bits(trainer)
    with pytest.raises(kind, match=message):
        trainer.fit(**{"X": X0, "Y": Y0, **options})
    assert bits(trainer) == before


def test_a_bad_rate_ends_the_fit():
    trainer = fastnn.reference.Trainer(network(fastnn.reference), SGD(lambda step: math.nan))
    with pytest.raises(ValueError, match=r"learning_rate\(0\) must be finite, got nan"):
        trainer.fit(X0, Y0)
    assert trainer.state.step == 0


def test_no_epochs_are_none():
    trainer = fastnn.reference.Trainer(network(fastnn.reference))
    history = trainer.fit(X0, Y0, epochs=0)
    assert (history.epochs, history.stopped, trainer.state.step) == (0, False, 0)


def test_repr_shows_what_differs_from_the_defaults():
    trainer = fastnn.Trainer(network(fastnn), SGD(0.1), dropout=0.5, clip_norm=1, seed=3)
    assert repr(trainer) == (
        f"Trainer({trainer.network!r}, SGD(learning_rate=0.1, momentum=0.0, nesterov=False), loss='squared_error', "
        "dropout=(0.0, 0.5), clip_norm=1.0, seed=3)"
    )


@pytest.mark.parametrize("weight", [1e308, 1e-310])
def test_weights_whose_sum_or_its_reciprocal_is_infinite_are_refused(weight):
    trainer = fastnn.Trainer(fastnn.Network([2, 1], seed=0), seed=0)
    with pytest.raises(ValueError, match="sample_weight must have a sum between"):
        trainer.fit(np.ones((2, 3)), np.ones(3), sample_weight=np.full(3, weight))


def test_labels_that_change_after_their_check_stay_within_bounds():
    y = np.arange(50) % 3
    history = fastnn.train(
        fastnn.Network([4, 3], output="softmax", seed=0), np.ones((4, 50)), y, epochs=2, seed=0,
        callbacks=[lambda trainer, history: y.fill(100_000_000)],
    )  # fmt: skip
    assert history.loss[1] == 0
