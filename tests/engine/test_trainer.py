"""Trainers: what fits and steps promise, whatever the engine computes."""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest
from trainer_cases import OPTIMIZERS, RATES, bits, data, network, side, together

import fastnn
from fastnn import LBFGS, SGD, Adam, AMSGrad
from fastnn.engine import slices
from fastnn.reference import engine as numpy_engine
from fastnn.schedules import Constant, OneCycle

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


X0, Y0 = data(m=4)


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
