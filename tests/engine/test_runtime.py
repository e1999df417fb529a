"""Threads: every threading layer, several Python threads at once, and the budget of cores."""

import importlib.util
import os
import subprocess
import sys
import threading
import types

import numba
import numpy as np
import pytest
from processes import run_on_two_threads

import fastnn
from fastnn.engine import runtime
from fastnn.kernels.program import teamwork

PARALLEL_ENTRY = """
import ctypes, sys, threading
layer = sys.argv[1]
if layer == "tbb":
    try:
        ctypes.CDLL(sys.prefix + "/lib/libtbb.so.12", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        print("no tbb")
        sys.exit()
import numba
numba.config.THREADING_LAYER = layer
import numpy as np
from fastnn import optimization
from fastnn.engine import runtime
from fastnn.reference import optimization as reference

runtime.PARALLEL_WORK_NS = runtime.WORKQUEUE_WORK_NS = 0.0
regions = 0
taken = runtime._take_threads
def counting(work_ns):
    global regions
    n = taken(work_ns)
    regions += n > 1
    return n
runtime._take_threads = counting
Z = np.linspace(-9, 9, 200_003)
parameters = {"W1": np.ones((37, 51)), "b1": np.ones((37, 1)), "W2": np.ones((3, 37)), "b2": np.ones((3, 1))}
X = np.linspace(-1, 1, 51 * 333).reshape(51, 333)
want_relu, (want_a, _) = reference.relu(Z), reference.forward_propagation(X, parameters)
failures = []
def work():
    for _ in range(60):
        if not (optimization.relu(Z) == want_relu).all():
            failures.append("relu")
        if not np.allclose(optimization.forward_propagation(X, parameters)[0], want_a, rtol=1e-10):
            failures.append("forward")
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failures, failures
assert numba.threading_layer() == layer, numba.threading_layer()
print("regions", regions)
"""


@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_two_threads_calling_kernels_at_once_never_abort(layer):
    printed = run_on_two_threads(PARALLEL_ENTRY, layer)
    if printed == "no tbb":
        pytest.skip("tbb cannot be loaded here" if importlib.util.find_spec("tbb") else "tbb is not installed")
    if runtime.available_threads() > 1:
        assert int(printed.split()[1]) > 0, "no parallel region was entered"


def recorded(kernel_calls):
    def kernel(n_threads):
        kernel_calls.append(n_threads)
        return n_threads

    return kernel


def test_small_work_runs_serially():
    calls = []
    assert runtime.launch(recorded(calls), runtime.PARALLEL_WORK_NS - 1) == 1
    assert calls == [1]


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(runtime, "available_threads", lambda: 2)
    monkeypatch.setattr(runtime, "_serial_until", 0.0)
    monkeypatch.setattr(runtime, "_serial_only", False)
    monkeypatch.setattr(runtime, "_failures", 0)


LARGE = 1e9


def test_large_work_takes_the_threads_and_gives_them_back(two_threads):
    assert runtime.launch(recorded([]), LARGE) == 2
    assert runtime.launch(recorded([]), LARGE) == 2


def test_who_comes_second_runs_serially_and_does_not_wait(two_threads):
    inside, leave, seen = threading.Event(), threading.Event(), []

    def holder(n_threads):
        inside.set()
        leave.wait(10)
        return n_threads

    thread = threading.Thread(target=lambda: seen.append(runtime.launch(holder, LARGE)))
    thread.start()
    inside.wait(10)
    assert runtime.launch(recorded([]), LARGE) == 1
    leave.set()
    thread.join()
    assert seen == [2]
    assert runtime.launch(recorded([]), LARGE) == 2


def test_an_exception_gives_the_threads_back(two_threads):
    def failing(n_threads):
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        runtime.launch(failing, LARGE)
    assert runtime.launch(recorded([]), LARGE) == 2


def test_a_late_region_is_followed_by_serial_ones(two_threads, monkeypatch):
    import time

    def late(n_threads):
        time.sleep(0.01)
        return n_threads

    monkeypatch.setattr(runtime, "BACK_OFF_SECONDS", 0.2)
    assert runtime.launch(late, 500_000, regions=20) == 2
    assert runtime.launch(late, 500_000) == 2
    assert runtime.launch(recorded([]), LARGE) == 1
    time.sleep(0.25)
    assert runtime.launch(recorded([]), LARGE) == 2


# Teams, of which the entries into the body are replaced.


class Entries:
    """In the place of `kernels.program.entries`: records on how many threads a body would run."""

    def __init__(self):
        self.calls = []
        self.masks = []
        self.team = np.zeros(teamwork.new_team().size, np.int64)
        self.result = {teamwork.STATE: teamwork.GOING}
        self.during = None

    def serial(self, entry, table):
        self.calls.append(1)

    def parallel(self, entry, table, n):
        self.calls.append(n)
        self.masks.append(numba.get_num_threads())
        assert not self.team.any(), "the team was not reset"
        for field, value in self.result.items():
            self.team[field] = value
        if self.during is not None:
            self.during()

    def run(self, n_wanted=8):
        return runtime.run_team(None, None, self.team, n_wanted)


class Clock:
    """In the place of `time`; moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def perf_counter_ns(self):
        return int(self.now * 1e9)


@pytest.fixture
def four_threads(two_threads, monkeypatch):
    monkeypatch.setattr(runtime, "available_threads", lambda: 4)
    monkeypatch.setattr(runtime.numba.config, "DISABLE_JIT", 0)
    masks = [7]
    fake = types.SimpleNamespace(
        config=numba.config,
        get_num_threads=lambda: masks[-1],
        set_num_threads=masks.append,
        threading_layer=lambda: "omp",
    )
    monkeypatch.setattr(runtime, "numba", fake)
    monkeypatch.setattr(runtime, "parallel", types.SimpleNamespace(_get_num_threads=fake.get_num_threads))
    monkeypatch.setattr(sys.modules[__name__], "numba", fake)
    monkeypatch.setattr(runtime, "_spent_ns", 0)
    monkeypatch.setattr(runtime, "_lost_ns", 0)
    return fake


@pytest.fixture
def entries(four_threads, monkeypatch):
    entries = Entries()
    monkeypatch.setattr(runtime, "entries", entries)
    return entries


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runtime, "time", clock)
    return clock


def test_a_team_gets_what_it_wants_up_to_what_there_is(entries):
    assert entries.run(3) == (3, runtime.ENDED)
    assert entries.run(8) == (4, runtime.ENDED)
    assert entries.run(1) == (1, runtime.ENDED)
    assert entries.calls == [3, 4, 1]


def test_the_mask_is_the_teams_and_then_the_callers_again(entries, four_threads):
    entries.run(3)
    assert entries.masks == [3]
    assert four_threads.get_num_threads() == 7

    def fail():
        raise RuntimeError("inside")

    entries.during = fail
    with pytest.raises(RuntimeError, match="inside"):
        entries.run(2)
    assert four_threads.get_num_threads() == 7
    assert runtime._held == {}


def in_another_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_a_training_keeps_its_core_between_slices(entries, four_threads):
    with runtime.claimed_core(), runtime.claimed_core():
        assert entries.run(4) == (4, runtime.ENDED)
        assert in_another_thread(lambda: entries.run(4)) == (3, runtime.ENDED)

        def with_a_third():
            with runtime.claimed_core():
                return in_another_thread(lambda: entries.run(4))

        assert in_another_thread(with_a_third) == (2, runtime.ENDED)
    assert in_another_thread(lambda: entries.run(4)) == (4, runtime.ENDED)
    assert runtime._claims == {}


@pytest.mark.parametrize(("layer", "second"), [("omp", 2), ("tbb", 2), ("workqueue", 1)])
def test_cores_that_are_left_serve_a_second_team(entries, four_threads, layer, second):
    four_threads.threading_layer = lambda: layer
    others = Entries()

    def run_others():
        entries.parallel = others.parallel
        return runtime.run_team(None, None, others.team, 4)

    results = []
    entries.during = lambda: results.append(in_another_thread(run_others))
    assert entries.run(2) == (2, runtime.ENDED)
    assert results == [(second, runtime.ENDED)]


def test_a_serial_run_holds_a_core(entries, monkeypatch):
    seen = []
    parallel = Entries()

    def serial(entry, table):
        seen.append(in_another_thread(lambda: runtime.run_team(None, None, parallel.team, 4)))

    monkeypatch.setattr(entries, "serial", serial)
    monkeypatch.setattr(entries, "parallel", parallel.parallel)
    entries.run(1)
    assert seen == [(3, runtime.ENDED)]


@pytest.mark.parametrize(
    ("result", "how"),
    [
        ({teamwork.STATE: teamwork.ABORTED}, runtime.ABORTED),
        ({teamwork.STATE: teamwork.GOING, teamwork.LEAVING: 1}, runtime.LEFT),
    ],
)
def test_after_a_failure_runs_are_serial_for_longer_and_longer(entries, clock, result, how):
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        entries.result = result
        assert entries.run(2) == (2, how)
        clock.now += 0.99 * pause
        assert entries.run(2) == (1, runtime.ENDED)
        clock.now += 0.02 * pause
    entries.result = {teamwork.STATE: teamwork.GOING}
    entries.during = lambda: setattr(clock, "now", clock.now + 0.02)
    assert entries.run(2) == (2, runtime.ENDED)
    entries.result, entries.during = result, None
    entries.run(2)
    clock.now += 0.051
    assert entries.run(2) == (2, how), "a run to the end does not bring back the short pause"


@pytest.mark.parametrize(("lost", "calls"), [(0.9, [3, 3, 3, 1]), (0.5, [3, 3, 3, 3])])
def test_short_runs_are_judged_together(entries, clock, lost, calls):
    # Four milliseconds each: none lasts until its team would break up.
    entries.result = {teamwork.STATE: teamwork.GOING, teamwork.LOST: int(lost * 2 * 4e6)}
    entries.during = lambda: setattr(clock, "now", clock.now + 0.004)
    for _ in range(4):
        assert entries.run(3)[1] == runtime.ENDED
    assert entries.calls == calls


def test_without_jit_teams_are_of_one(entries, monkeypatch):
    monkeypatch.setattr(runtime.numba.config, "DISABLE_JIT", 1)
    assert entries.run(4) == (1, runtime.ENDED)


@pytest.mark.needs_jit
def test_the_mask_of_numba_is_a_ceiling():
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert runtime.available_threads() == 1
    finally:
        numba.set_num_threads(before)


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this platform")
def test_affinity_is_a_ceiling():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " \
        "from fastnn.engine.runtime import available_threads; print(available_threads())"  # fmt: skip
    env = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"


@pytest.mark.needs_jit
def test_large_training_in_two_threads_has_the_bits_of_a_lone_run():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((100, 700)), (rng.random((1, 700)) < 0.5) * 1.0

    # Not the course's `model`, whose first weights come from NumPy's one global stream, which threads share.
    def train():
        net = fastnn.Network([100, 60, 40, 1], output="sigmoid", seed=0)
        fastnn.train(net, X, Y, epochs=5, batch_size=256, seed=0)
        return net.vector

    alone = train()
    results = []
    threads = [threading.Thread(target=lambda: results.append(train())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, alone)
    assert len(results) == 2
