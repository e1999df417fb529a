"""Threads: every threading layer, several Python threads at once, forks, and the budget of cores."""

import importlib.util
import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest

from fastnn import optimization, runtime

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
from fastnn import optimization, runtime
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
    env = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARALLEL_ENTRY, layer],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    if result.stdout.strip() == "no tbb":
        pytest.skip("tbb cannot be loaded here" if importlib.util.find_spec("tbb") else "tbb is not installed")
    if runtime.available_threads() > 1:
        assert int(result.stdout.split()[1]) > 0, "no parallel region was entered"


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
        "from fastnn.runtime import available_threads; print(available_threads())"  # fmt: skip
    env = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_survives_after_openmp_has_run():
    code = """
import os, sys, warnings
import numba
numba.config.THREADING_LAYER = "omp"
import numpy as np
from fastnn import optimization, runtime
runtime.PARALLEL_WORK_NS = 0.0
Z = np.linspace(-9, 9, 1_000_003)
want = optimization.relu(Z)
assert numba.threading_layer() == "omp"
child = os.fork()
if child == 0:
    os._exit(0 if (optimization.relu(Z) == want).all() else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    env = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert result.stdout.strip() == "0", result.stderr


@pytest.mark.needs_jit
def test_large_training_in_two_threads_has_the_bits_of_a_lone_run():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((100, 700)), (rng.random((1, 700)) < 0.5) * 1.0
    arguments = (X, Y, [100, 60, 40, 1], "adam")

    def train():
        return optimization.model(*arguments, mini_batch_size=256, num_epochs=5, print_cost=False)

    alone = train()
    results = []
    threads = [threading.Thread(target=lambda: results.append(train())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert all(np.array_equal(alone[name], result[name]) for name in alone)
    assert len(results) == 2
