"""Ctrl-C: while code is loaded, in loops of steps, in long passes, in trainings within each other."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")

# Forks a child for each of the numbers given, in which Ctrl-C comes when so many modules have been asked for.
LOADING = """
import os, signal, sys, warnings
import fastnn

class Interrupting:
    def __init__(self, count):
        self.left = count
    def find_spec(self, name, path=None, target=None):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

def data():
    import numpy as np  # loaded by then, for nobody would hold Ctrl-C back here
    X = np.random.RandomState(0).randn(3, 50)
    return X, X[:1] > 0

def network():
    return fastnn.Network([3, 5, 1], "tanh", output="sigmoid", seed=1)

def predict():
    return network().predict(data()[0])

def step():
    trainer = fastnn.Trainer(network(), seed=1)
    trainer.step(*data())
    return trainer.network.vector

def model():
    from fastnn import optimization
    return optimization.model(*data(), [3, 4, 1], "adam", num_epochs=3, print_cost=False)["W1"]

def estimator():
    model = fastnn.MLPClassifier((5,), random_state=0, max_iter=3)
    X, Y = data()
    model.fit(X.T, Y[0])
    return model.predict_proba(X.T) if model.n_iter_ == 3 else None

def child(call, count):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")
    sys.meta_path.insert(0, Interrupting(count))
    result, interrupted = None, False
    while result is None:
        try:
            result = call()
        except KeyboardInterrupt:
            assert not interrupted
            interrupted = True
    assert (result == call()).all()
    return interrupted

call = globals()[sys.argv[1]]
for count in map(int, sys.argv[2:]):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 10 if child(call, count) else 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    print(count, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def run(code, *arguments, timeout=300, **environment):
    paths = [str(Path(fastnn.__file__).parents[1]), str(Path(__file__).parent)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=timeout
    )
    assert result.returncode == 0, result.stderr
    return result


def interrupted_loads(name, counts):
    result = run(LOADING, name, *counts)
    codes = [int(line.split()[1]) for line in result.stdout.splitlines()]
    assert set(codes) <= {0, 10}, f"{list(zip(counts, codes, strict=True))} {result.stderr}"
    assert 10 in codes, "no Ctrl-C came in time"


@pytest.mark.needs_jit
@pytest.mark.parametrize(("name", "counts"), [("predict", (40, 700, 1000)), ("step", (500, 1100))])
def test_an_interrupted_load_can_be_repeated(name, counts):
    interrupted_loads(name, counts)


@pytest.mark.needs_jit
@pytest.mark.slow
@pytest.mark.parametrize("name", ["predict", "step", "model", "estimator"])
def test_an_interrupted_load_can_be_repeated_wherever_it_was(name):
    interrupted_loads(name, range(10, 1200, 90))


@pytest.fixture(autouse=True)
def pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (interrupts._holds, interrupts._pending) == (0, False)
    signal.signal(signal.SIGINT, before)


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
        monkeypatch.setattr(engine, "BLOCK_NS", block_ns)
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
        monkeypatch.setattr(engine, "BLOCK_NS", 1.0)
        assert fitted() == expected


# Holds, within each other and beside handlers of others.


def test_ctrl_c_is_raised_at_the_end_of_the_outermost_hold():
    reached = []

    def hold():
        with interrupts.held():
            with interrupts.held():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")
        reached.append("beyond")

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert reached == ["inner", "outer"]


def test_an_error_within_a_hold_gives_way_to_ctrl_c():
    def fail():
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("inside")

    with pytest.raises(KeyboardInterrupt) as raised:
        fail()
    assert isinstance(raised.value.__context__, ValueError)


def test_a_hold_leaves_handlers_of_others_alone():
    seen = []
    mine = lambda number, frame: seen.append(number)  # noqa: E731
    signal.signal(signal.SIGINT, mine)
    try:
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            assert seen == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is mine
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with interrupts.held():
            signal.signal(signal.SIGINT, mine)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_handler_that_others_have_kept_is_python_s():
    net = fastnn.Network([2, 1], seed=0)
    trainer, X = fastnn.Trainer(net, seed=0), np.ones((2, 9))
    kept = []
    trainer.fit(X, X[:1], epochs=1, callbacks=[lambda *_: kept.append(signal.getsignal(signal.SIGINT))])
    signal.signal(signal.SIGINT, kept[0])
    try:
        with pytest.warns(UserWarning, match="interrupted after 1 of 3 epochs"):
            trainer.fit(X, X[:1], epochs=3, callbacks=[lambda *_: signal.raise_signal(signal.SIGINT)])
        assert trainer.fit(X, X[:1], epochs=3).epochs == 3
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_hold_of_another_thread_is_none():
    done = threading.Event()
    inside = threading.Event()

    def hold():
        with interrupts.held():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    done.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_that_another_thread_forks_can_be_interrupted():
    code = """
import os, signal, threading, time
from fastnn.interrupts import held
signal.signal(signal.SIGINT, signal.default_int_handler)
forked = threading.Event()

def fork():
    global code
    pid = os.fork()
    if pid == 0:
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.1)
        except KeyboardInterrupt:
            os._exit(0)
        os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

with held():
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
print(code)
"""
    assert run(code).stdout.strip() == "0"


def test_in_a_storm_of_signals_no_hold_and_no_handler_stay_behind():
    code = """
import _signal as signal  # whose functions raise when their work is done
import os, subprocess, sys, time
from fastnn import _interrupts

def hold():
    with interrupts.Interrupts() as training:
        training.hold()
        training.release()
        with interrupts.held(), interrupts.Interrupts() as inner:
            inner.hold()
            inner.release()

signal.signal(signal.SIGINT, signal.default_int_handler)
block, signals = signal.pthread_sigmask, {signal.SIGINT}
block(signal.SIG_BLOCK, signals)
pid = os.getpid()
send = f"import os\\nwhile os.getppid() == {pid}:\\n os.kill({pid}, 2)\\n for _ in range(500): pass"
sender = subprocess.Popen([sys.executable, "-c", send], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
raised, left = 0, []
end = time.monotonic() + 3
while time.monotonic() < end and not left:
    try:
        block(signal.SIG_UNBLOCK, signals)
        hold()
        block(signal.SIG_BLOCK, signals)
    except KeyboardInterrupt:
        raised += 1
        try:
            block(signal.SIG_BLOCK, signals)
        except KeyboardInterrupt:
            pass
    handler = signal.getsignal(signal.SIGINT)
    if interrupts._holds or interrupts._pending or handler is not signal.default_int_handler:
        left.append((interrupts._holds, interrupts._pending, handler))
sender.kill()
print(raised > 10, left)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert printed.stdout.strip() == "True []", printed.stdout + printed.stderr


COUNTING = """
import signal, threading, numba
from fastnn.engine.runtime import available_threads
signal.signal(signal.SIGALRM, signal.default_int_handler)
available_threads()
for k in range(4000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 + 1e-7 * (k % 200))
        for _ in range(30):
            available_threads()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
other = threading.Thread(target=numba.get_num_threads, daemon=True)
other.start()
other.join(10)
print("stuck" if other.is_alive() else "free")
"""


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that sends signals")
def test_ctrl_c_leaves_no_lock_of_numba_taken():
    assert run(COUNTING).stdout.strip() == "free"
