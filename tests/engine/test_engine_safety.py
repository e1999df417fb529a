"""What the engine touches and keeps: nothing beyond its arrays, nothing that grows with the data or the steps."""

import contextlib
import gc
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace
from unittest import mock

import engine_cases
import numpy as np
import pytest
from engine_cases import Problem, everything, small_steps
from processes import environment
from strategies import Canaries

import fastnn
from fastnn.engine import engine, session, workspace
from fastnn.specs import state

pytestmark = pytest.mark.needs_jit

# (sizes, m, batch): panels of one example and of many, odd tails, layers of powers of two, chunks, fused updates.
SHAPES = [
    ((1, 1), 1, 1),
    ((3, 4, 2), 9, 4),
    ((16, 32, 1), 33, 17),
    ((17, 9, 33, 5), 70, 64),
    ((33, 31, 3), 40, 1),
    ((130, 128, 7), 100, 100),
]


class Memory:
    """Gives out zeros as `aligned_zeros` promises them, and `numpy.empty`, in memory of a kind; see strategies.py."""

    def __init__(self, kind):
        self.kind = kind

    def aligned_zeros(self, size, dtype):
        n_bytes = size * np.dtype(dtype).itemsize
        room = self.kind.empty(-(-n_bytes // 64) * 64 + 64, np.uint8, 0)
        return room[-room.ctypes.data % 64 :][:n_bytes].view(dtype)

    def empty(self, shape, dtype=float):
        return self.kind.empty(int(np.prod(shape)), np.dtype(dtype), 0).reshape(shape)

    def copy(self, array):
        if array.strides[0] < 0:
            return self.copy(array[::-1, ::-1])[::-1, ::-1]
        order = "C" if array.flags.c_contiguous else "F"
        placed = self.kind.empty(array.size, array.dtype, 0).reshape(array.shape, order=order)
        placed[...] = array
        return placed

    @contextlib.contextmanager
    def in_use(self):
        """Let the engine put everything there: parameters, moments, workspaces, results."""
        numpy = SimpleNamespace(**{**vars(np), "empty": self.empty})
        with contextlib.ExitStack() as stack:
            for module in (workspace, state, engine_cases):
                stack.enter_context(mock.patch.object(module, "aligned_zeros", self.aligned_zeros))
            for module in (engine, session):
                stack.enter_context(mock.patch.object(module, "np", numpy))
            yield


def problems(dtype):
    for sizes, m, batch in SHAPES:
        for data_dtype, order, labels in (
            (dtype, "F", True),
            (dtype, "C", False),
            ("u1", "F", True),
            ("f4", "C", False),
        ):
            for backwards in (False, True):
                problem = Problem(
                    sizes, m, batch, "tanh", "softmax", "cross_entropy", dtype, "amsgrad",
                    {"dropout": (0.2, 0.3), "l2": 0.1}, weighted=True, labels=labels,
                )  # fmt: skip
                problem.X = (8 * problem.X).astype(data_dtype, order)
                if backwards:
                    problem.X = problem.X[::-1, ::-1]
                problem.Y = problem.Y.astype("i2" if labels else data_dtype, order)
                yield problem


def run_in(kind, problem):
    """The problem's results with all arrays in one kind of memory."""
    memory = Memory(kind)
    arrays = problem.X, problem.Y, problem.weights
    X, Y, problem.weights = map(memory.copy, arrays)
    with memory.in_use():
        results = everything(problem, X, Y)
    _, _, problem.weights = arrays
    kind.check()
    return results


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nothing_around_the_arrays_is_written_or_shows(dtype):
    for problem in problems(dtype):
        expected = everything(problem, problem.X, problem.Y)
        with small_steps(chunk=1024, small_net=8192):
            assert run_in(Canaries(), problem) == expected, problem
        with small_steps():
            expected = everything(problem, problem.X, problem.Y)
            assert run_in(Canaries(), problem) == expected, problem


AGAINST_GUARDS = """
from strategies import Guarded
from test_engine_safety import *

for dtype in ("float64", "float32"):
    for problem in problems(dtype):
        for chunk in (32, 1024):
            with small_steps(chunk):
                expected = everything(problem, problem.X, problem.Y)
                for at_end in (True, False):
                    print(problem, chunk, "end" if at_end else "beginning", flush=True)
                    assert run_in(Guarded(at_end), problem) == expected
print("done")
"""


def in_subprocess(code, **settings):
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(**settings), capture_output=True, text=True, timeout=300
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_no_page_beyond_the_arrays_is_touched():
    result = in_subprocess(AGAINST_GUARDS)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"ended by {result.returncode} in {lines[-1:]}: {result.stderr}"
    assert lines[-1] == "done"


def peak_of(work):
    """The most bytes that Python and NumPy had allocated at a time during a call."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_memory_depends_on_the_chunk_and_not_on_the_data(tmp_path, dtype):
    # 16 MB in a file, 128 as float64.
    m = 160_000
    X = np.memmap(tmp_path / "X", np.uint8, "w+", shape=(100, m), order="F")
    X[:] = np.arange(m, dtype=np.uint8)
    Y = np.memmap(tmp_path / "Y", np.uint8, "w+", shape=(m,))
    network = fastnn.Network([100, 8, 3], output="softmax", dtype=dtype, seed=1)
    trainer = fastnn.Trainer(network, fastnn.SGD(1e-6), seed=1)
    outputs, order = 3 * m * network.dtype.itemsize, 4 * m
    most = 4_000_000
    assert peak_of(lambda: network.predict(X)) < outputs + most
    assert peak_of(lambda: trainer._made_engine().loss_and_gradient(network.vector, X, Y, None)) < most
    assert peak_of(lambda: trainer.step(X, Y)) < most
    assert peak_of(lambda: trainer.fit(X, Y, epochs=1, batch_size=None)) < most
    assert peak_of(lambda: trainer.fit(X, Y, epochs=1, batch_size=5000)) < order + most


def test_workspaces_for_sizes_of_old_do_not_pile_up():
    network = fastnn.Network([100, 60, 3], seed=1)
    trainer = fastnn.Trainer(network, seed=1)
    X, Y = np.ones((100, 400)), np.ones((3, 400))

    def work(sizes):
        for m in sizes:
            trainer.step(X[:, :m], Y[:, :m])

    work(range(300, 310))
    assert peak_of(lambda: work(range(310, 400))) < 15 * peak_of(lambda: work([310]))


NRT = """
import numpy as np
from numba.core.runtime import rtsys

import fastnn

X, Y = np.ones((20, 64)), np.ones((2, 64))
for settings in ({}, {"dropout": 0.5, "clip_norm": 0.1, "l2": 0.1}):
    network = fastnn.Network([20, 30, 2], seed=1)
    trainer = fastnn.Trainer(network, fastnn.Adam(), n_threads=1, seed=1, **settings)
    engine, state, theta = trainer._made_engine(), trainer._state, network.vector
    session = engine.session(theta, state, X, Y, None, 8, True)
    counts = []
    for steps in (1, 10, 10_000):
        before = rtsys.get_allocation_stats()
        session.advance(np.full(steps, 1e-3))
        after = rtsys.get_allocation_stats()
        counts.append(tuple(b - a for a, b in zip(before, after)))
    assert counts[0] == counts[1] == counts[2], counts
    alloc, free, mi_alloc, mi_free = counts[0]
    assert (alloc, mi_alloc) == (free, mi_free), counts
    for predict in (lambda: network.predict(X), lambda: network.predict_one(X[:, 0])):
        predict()
        before = rtsys.get_allocation_stats()
        for _ in range(100):
            predict()
        alloc, free, mi_alloc, mi_free = (b - a for a, b in zip(before, rtsys.get_allocation_stats()))
        assert (alloc, mi_alloc) == (free, mi_free)
"""


def test_steps_allocate_nothing():
    result = in_subprocess(NRT, NUMBA_NRT_STATS="1")
    assert result.returncode == 0, result.stderr
