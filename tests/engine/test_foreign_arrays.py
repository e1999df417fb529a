"""Arrays from elsewhere, and read-only ones: training takes their numbers, or refuses, and never writes into them."""

import copy
import mmap

import numpy as np
import pytest

import fastnn
from fastnn import LBFGS, SGD, Adam, AMSGrad, Checkpoint, EarlyStopping, Momentum

SIDES = (fastnn.reference, fastnn)
side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)
names = pytest.mark.parametrize("name", ["v", "s", "h", "powers"])

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.randn(3, 37), RANDOM.randn(2, 37)


def trained(side, dtype="float64", **options):
    trainer = side.Trainer(side.Network([3, 6, 2], "tanh", dtype=dtype, seed=0), AMSGrad(), seed=1, **options)
    trainer.step(X, Y)
    return trainer


def bits(trainer):
    state = trainer.state
    arrays = (trainer.network.vector, state.v, state.s, state.h, state.powers)
    return [array.tobytes() for array in arrays] + [state.step, state.epoch]


def read_only(array):
    twin = array.copy()
    twin.flags.writeable = False
    return twin


def misaligned(array):
    room = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
    room[:] = array
    return room


def strided(array):
    room = np.full(3 * array.size, np.nan, array.dtype)[::-3]
    room[:] = array
    return room


def without_room(array):
    """At the very end of a page, behind which nothing may be read."""
    page = mmap.mmap(-1, mmap.PAGESIZE)
    placed = np.frombuffer(page, np.uint8)[-array.nbytes :].view(array.dtype)
    placed[:] = array
    return placed


class Own(np.ndarray):
    """A kind of array of the user's."""


FITTING = {
    "plain": np.copy,
    "read-only": read_only,
    "misaligned": misaligned,
    "strided": strided,
    "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "of bytes": lambda array: np.frombuffer(array.tobytes(), array.dtype),
    "at a page's end": without_room,
    "subclass": lambda array: array.copy().view(Own),
}


@side
@names
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FITTING.values(), ids=FITTING)
def test_moments_from_elsewhere_are_copied(side, name, dtype, form):
    trainer, twin = trained(side, dtype), trained(side, dtype)
    array = form(getattr(trainer.state, name))
    before = array.tobytes()
    getattr(trainer.state, name)[:] = 0.5
    setattr(trainer.state, name, array)
    for each in (trainer, twin):
        each.step(X, Y)
        each.fit(X, Y, epochs=2, batch_size=10)
    assert bits(trainer) == bits(twin)
    assert array.tobytes() == before


UNFIT = [
    lambda array: array[:-1],
    lambda array: array[:1],
    lambda array: array[:0],
    lambda array: np.append(array, 0).astype(array.dtype),
    lambda array: array.reshape(-1, 1),
    lambda array: array[0],
    lambda array: array.astype("float32" if array.dtype == np.float64 else "float64"),
    lambda array: array.astype(int),
    lambda array: array.astype(complex),
    lambda array: array.astype(object),
    lambda array: array.tolist(),
    lambda array: np.ma.masked_array(array, np.arange(array.size) == 0),
    lambda array: None,
    lambda array: 0.0,
]


@side
@names
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", UNFIT)
def test_what_does_not_fit_the_state_is_refused(side, name, dtype, form):
    trainer = trained(side, dtype)
    before = bits(trainer)
    with pytest.raises((TypeError, ValueError), match=rf"state\.{name} must (be an array|have shape)"):
        setattr(trainer.state, name, form(getattr(trainer.state, name)))
    assert bits(trainer) == before


@side
@pytest.mark.parametrize("counter", ["step", "epoch"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(-1, ValueError), (1.0, TypeError), ("1", TypeError), (None, TypeError), (True, TypeError), (2**60, ValueError)],
)
def test_counters_are_counts(side, counter, value, kind):
    trainer = trained(side)
    before = bits(trainer)
    with pytest.raises(kind, match=rf"state\.{counter} must be"):
        setattr(trainer.state, counter, value)
    setattr(trainer.state, counter, np.int8(7))
    assert type(getattr(trainer.state, counter)) is int
    setattr(trainer.state, counter, before[-2 if counter == "step" else -1])
    assert bits(trainer) == before


@side
def test_moments_are_not_shared(side):
    trainer, other = trained(side), trained(side)
    other.step(X, Y)
    kept = bits(other)
    trainer.state.v, trainer.state.s = other.state.v, other.state.v**2
    trainer.state.h = trainer.network.vector
    trainer.step(X, Y)
    assert bits(other) == kept
    assert not np.shares_memory(trainer.state.h, trainer.network.vector)


@side
def test_moments_that_a_callback_assigns_count_at_once(side):
    def run(write):
        trainer = side.Trainer(side.Network([3, 2], seed=0), Momentum(0.01), seed=1)
        trainer.fit(X, Y, epochs=3, batch_size=10, callbacks=[lambda owner, history: write(owner.state)])
        return bits(trainer)

    def assign(state):
        state.v = np.ones(8)

    assert run(assign) == run(lambda state: state.v.fill(1)) != run(lambda state: None)


@side
@pytest.mark.parametrize("frozen", ["vector", "v", "s", "h", "powers"])
def test_frozen_arrays_are_not_trained(side, frozen):
    for first in (False, True):
        trainer = trained(side)
        if not first:
            trainer.fit(X, Y, epochs=1)
        array = trainer.network.vector if frozen == "vector" else getattr(trainer.state, frozen)
        array.flags.writeable = False
        before = bits(trainer)
        name = "network.vector" if frozen == "vector" else f"state.{frozen}"
        for options in ({}, {"epochs": 1, "batch_size": None}):
            with pytest.raises(ValueError, match=f"{name} is read-only, and training would change it"):
                trainer.fit(X, Y, **options)
        if frozen == "vector":
            with pytest.raises(ValueError, match=f"{name} is read-only, and training would change it"):
                trainer.step(X, Y)
        assert bits(trainer) == before
        array.flags.writeable = True
        trainer.step(X, Y)
        assert bits(trainer) != before


@side
def test_frozen_networks_are_used_but_not_changed(side, tmp_path):
    net = side.Network([3, 6, 2], "tanh", seed=0)
    side.train(net, X, Y, epochs=1, callbacks=[Checkpoint(tmp_path / "net.npz")])
    twin = copy.deepcopy(net)
    net.vector.flags.writeable = False
    kept = net.vector.tobytes()
    assert net.predict(X).tobytes() == twin.predict(X).tobytes()
    assert net.predict_one(X[:, 0]).tobytes() == twin.predict_one(X[:, 0]).tobytes()
    A, cache = net.forward(X)
    assert net.backward(A, cache)[1].tobytes() == twin.backward(A, twin.forward(X)[1])[1].tobytes()
    assert fastnn.gradient_check(side.Trainer(net, seed=0), X, Y) < 1e-7
    with pytest.raises(ValueError, match=r"network\.vector is read-only"):
        side.train(net, X, Y, optimizer=LBFGS(), batch_size=None)
    with pytest.raises(ValueError, match="read-only"):
        Checkpoint.load(tmp_path / "net.npz", net)
    assert net.vector.tobytes() == kept
    assert copy.copy(net).vector.flags.writeable


@side
def test_a_network_that_is_frozen_in_a_fit_ends_it(side):
    trainer = side.Trainer(side.Network([3, 2], seed=0), SGD(0.01), seed=0)
    kept = []

    def freeze(owner, history):
        owner.network.vector.flags.writeable = False
        kept.append(bits(owner))

    with pytest.raises(ValueError, match=r"network\.vector is read-only"):
        trainer.fit(X, Y, epochs=3, callbacks=[freeze, EarlyStopping(restore_best=False)])
    assert kept == [bits(trainer)]


@side
@pytest.mark.parametrize("form", FITTING.values(), ids=FITTING)
def test_weights_of_examples_in_any_memory(side, form):
    weights = np.linspace(0.5, 2, 37)
    trainer, twin = (side.Trainer(side.Network([3, 2], seed=0), Adam(), seed=1) for _ in range(2))
    trainer.step(X, Y, form(weights))
    twin.step(X, Y, weights)
    assert bits(trainer) == bits(twin)
