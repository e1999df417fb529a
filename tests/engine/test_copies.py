"""Copies, pickles and threads: objects that hold addresses go on in memory of their own, or say that they cannot."""

import copy
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Adam, AMSGrad, EarlyStopping, OneCycle

SIDES = (fastnn.reference, fastnn)
side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.randn(3, 37), RANDOM.randn(2, 37)
dA = RANDOM.randn(2, 37)


def by_joblib(objects, tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(objects, tmp_path / "objects")
    return joblib.load(tmp_path / "objects", mmap_mode="r")


def by_cloudpickle(objects, tmp_path):
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(objects))


def by_read_only_buffers(objects, tmp_path):
    buffers = []
    pickled = pickle.dumps(objects, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(pickled, buffers=[bytes(buffer) for buffer in buffers])


HOW = {
    "deepcopy": lambda objects, tmp_path: copy.deepcopy(objects),
    "protocol 0": lambda objects, tmp_path: pickle.loads(pickle.dumps(objects, protocol=0)),
    "protocol 5": lambda objects, tmp_path: pickle.loads(pickle.dumps(objects, protocol=5)),
    "read-only buffers": by_read_only_buffers,
    "joblib": by_joblib,
    "cloudpickle": by_cloudpickle,
}
how = pytest.mark.parametrize("how", HOW.values(), ids=HOW)


def gradients(net, cache, dA=dA):
    grads, dX = net.backward(dA, cache)
    return [array.tobytes() for array in (*grads.values(), dX)]


@side
@how
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize(
    ("sizes", "activation", "dtype"),
    [((3, 8, 2), "tanh", "float32"), ((3, 20, 17, 2), ["relu", "silu"], "float64"), ((3, 2), "relu", "float64")],
)
def test_a_cache_goes_with_the_copy_of_its_network(side, how, used, sizes, activation, dtype, tmp_path):
    net = side.Network(list(sizes), activation, "sigmoid", dtype=dtype, seed=0)
    cache = net.forward(X)[1]
    expected = gradients(net, net.forward(X)[1])
    if used:
        assert gradients(net, cache) == expected
    twin, twin_cache = how((net, cache), tmp_path)
    twin.backward(-5 * dA, twin_cache)
    assert gradients(net, cache) == expected
    # Nothing of the original is needed: what is freed may be given to others.
    del net, cache
    rubbish = [np.full(size, np.nan) for size in (100, 1000, 10_000)]
    assert [gradients(twin, twin_cache) for _ in range(2)] == [expected] * 2
    assert len(rubbish) == 3


@side
def test_one_example_and_shallow_copies_of_a_cache(side):
    net = side.Network([3, 8, 2], "tanh", seed=0)
    cache = net.forward(X[:, :1])[1]
    expected = gradients(net, net.forward(X[:, :1])[1], dA[:, :1])
    twin = copy.copy(cache)
    pair = pickle.loads(pickle.dumps((net, cache)))
    for owner, its in ((net, twin), (net, cache), pair):
        assert gradients(owner, its, dA[:, :1]) == expected


@side
def test_a_cache_that_was_copied_alone_says_what_to_do(side):
    net = side.Network([3, 2], seed=0)
    cache = copy.deepcopy(net.forward(X)[1])
    with pytest.raises(ValueError, match=r"copy.deepcopy\(\(network, cache\)\)"):
        net.backward(dA, cache)


def test_what_holds_addresses_is_not_copied():
    net = fastnn.Network([3, 2], seed=0)
    net.predict(X)
    engine = net._engine()
    for thing in (engine, *engine.workspaces.values()):
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="holds addresses of this process: copy or pickle the network"):
                way(thing)


@side
def test_threads_share_a_cache(side):
    net = side.Network([3, 64, 64, 2], "tanh", seed=0)
    many = np.tile(X, 8)
    derivatives = [np.tile(k * dA, 8) for k in range(1, 5)]
    cache = net.forward(many)[1]
    expected = [gradients(net, net.forward(many)[1], each) for each in derivatives]
    barrier = threading.Barrier(4)

    def work(k):
        barrier.wait()
        return [gradients(net, cache, derivatives[k]) for _ in range(25)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    assert [set(map(tuple, each)) == {tuple(its)} for each, its in zip(found, expected, strict=True)] == [True] * 4


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that sends signals")
def test_ctrl_c_in_a_pass_back_leaves_the_cache_whole():
    net = fastnn.Network([3, 64, 64, 2], "tanh", seed=0)
    many, derivative = np.tile(X, 8), np.tile(dA, 8)
    cache = net.forward(many)[1]
    expected = gradients(net, cache, derivative)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    try:
        for k in range(200):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + 4e-6 * k)
                for _ in range(20):
                    net.backward(-derivative, cache)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert gradients(net, cache, derivative) == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 20


class Agent(fastnn.reference.Network):
    """A network of the user's own, which knows more than ours."""


@how
def test_attributes_of_the_user_s_own_are_copied(how, tmp_path):
    agent = Agent([3, 2], seed=0)
    agent.discount = [0.9]
    twin = how(agent, tmp_path)
    assert twin.discount == [0.9]
    assert twin.vector.flags.owndata is False
    twin.vector[:] = 0
    assert agent.vector.any()


@side
@how
def test_trainers_go_on_alike_wherever_they_were(side, how, tmp_path):
    trainer = side.Trainer(side.Network([3, 6, 2], "tanh", seed=0), AMSGrad(OneCycle(0.01, 60)), dropout=0.2, seed=2)
    twins = []
    # In the midst of a fit too.
    trainer.fit(X, Y, epochs=2, batch_size=10, callbacks=[lambda owner, history: twins.append(how(owner, tmp_path))])
    trainer.step(X, Y)
    twins[1].step(X, Y)
    twins[0].fit(X, Y, epochs=1, batch_size=10)
    twins[0].step(X, Y)
    for twin in twins:
        assert twin.network.vector.tobytes() == trainer.network.vector.tobytes()
        assert twin.state.h.tobytes() == trainer.state.h.tobytes()
        assert twin.state.powers.tobytes() == trainer.state.powers.tobytes()


@side
def test_a_state_is_copied_with_its_arrays(side):
    trainer = side.Trainer(side.Network([3, 2], seed=0), Adam(), seed=0)
    trainer.step(X, Y)
    for way in (copy.copy, copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))):
        twin = way(trainer.state)
        assert repr(twin) == repr(trainer.state)
        assert not any(
            np.shares_memory(getattr(twin, name), getattr(trainer.state, name)) for name in ("v", "s", "powers")
        )


@how
def test_histories_and_callbacks_are_copied(how, tmp_path):
    stopping, copies = EarlyStopping(patience=2), []
    history = fastnn.reference.train(
        fastnn.reference.Network([3, 2], seed=0), X, Y, epochs=3, optimizer=SGD(0.01), seed=0,
        callbacks=[stopping, lambda owner, history: copies.append(how((stopping, history), tmp_path))],
    )  # fmt: skip
    twin, its_history = copies[-1]
    assert its_history == history
    assert twin.best_value_ == stopping.best_value_
