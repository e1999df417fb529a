"""Machine code of the engine: compiled once for all networks, packed, without references; and many threads in it."""

import contextlib
import re
import sys
import threading

import numba
import numpy as np
import numpy.testing as npt
import pytest
from engine_cases import OPTIMIZERS, PAIRS, Problem
from numba.core import event

import fastnn
from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.engine.engine import Engine
from fastnn.kernels import layout as at
from fastnn.kernels.course.ops import COURSE_OPS
from fastnn.kernels.program.ops import OPS, body

pytestmark = pytest.mark.needs_jit


@contextlib.contextmanager
def compiler_watched():
    """The list of the compiler's passes that run meanwhile."""
    passes = []

    class Listener(event.Listener):
        def on_start(self, happened):
            passes.append(happened.data)

        def on_end(self, happened):
            pass

    with event.install_listener("numba:run_pass", Listener()):
        yield passes


def test_the_watch_sees_compilers():
    with compiler_watched() as passes:
        numba.njit(lambda x: x + 1)(1)
    assert passes


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nothing_is_compiled_for_another_network(dtype):
    fastnn.warmup(dtype)
    with compiler_watched() as passes:
        for number, optimizer in enumerate(OPTIMIZERS):
            settings = {"l2": 0.1, "clip_norm": 1.0} if number % 2 else {"dropout": (0.1, 0.2), "label_smoothing": 0.1}
            hidden = tuple((HIDDEN_ACTIVATIONS * 2)[number : number + number % 4 + 1])
            output, loss = PAIRS[number % len(PAIRS)]
            sizes = (3 + 7 * number, *range(5, 5 + len(hidden)), 1 + number % 3)
            problem = Problem(sizes, 70, 11 + number, hidden, output, loss, dtype, optimizer, settings)
            problem.trained(Engine(*problem.model), (9,))
        for activation in HIDDEN_ACTIVATIONS:
            network = fastnn.Network([4, 6, 2], activation, dtype=dtype, seed=1)
            X, Y = np.ones((4, 9), np.int16), np.ones((2, 9), np.float32)
            fastnn.train(network, X, Y, epochs=2, batch_size=4)
            A, cache = network.forward(X)
            network.backward(A, cache)
            npt.assert_array_equal(network.predict_one(np.ones(4)), network.predict(X)[:, 0])
    assert not passes


def test_the_users_functions_alone_are_compiled_and_once():
    fastnn.warmup("float64")

    @numba.njit
    def cube(z):
        return z**3, 3 * z**2

    X, Y = np.ones((4, 9)), np.ones((2, 9))
    network = fastnn.Network([4, 6, 5, 2], cube, seed=1)
    trainer = fastnn.Trainer(network, seed=1)
    with compiler_watched() as passes:
        trainer.fit(X, Y, epochs=1)
    assert passes
    assert not any(name in str(data) for data in passes for name in ("gradient_by", "product", "examples", "update"))
    with compiler_watched() as passes:
        trainer.fit(X, Y, epochs=3, batch_size=2)
    assert not passes


def code_of(op):
    """The optimized LLVM code of an op, which a cache has too."""
    return str(op.compiled(np.dtype(np.float64))._library._get_module_for_linking())


def each(ops):
    return pytest.mark.parametrize("op", ops, ids=lambda op: op.function.__name__)


@each([*OPS.values(), body])
def test_no_op_allocates_or_counts_references(op):
    code = code_of(op)
    assert op.function.__name__ in code
    assert not set(re.findall(r"@NRT_\w+", code)) - {"@NRT_Free"}  # that one is of an error's message
    assert "inttoptr" not in code


@each(dict.fromkeys((*OPS.values(), *COURSE_OPS.values(), body)))
def test_no_op_has_inexact_arithmetic(op):
    code = code_of(op)
    assert not re.findall(r"= (?:tail call |call )?(?:f\w+ )?(?:fast|reassoc|contract|afn|arcp|nnan|ninf|nsz) .*", code)


def test_updates_are_packed():
    code = code_of(OPS[at.UPDATE])
    for operation in ("fdiv", "fmul", "fsub"):
        assert f"{operation} <8 x double>" in code
    assert "llvm.sqrt.v8f64" in code
    # 1 - beta1 and 1 - beta2 are all that is computed for a single number.
    assert len(re.findall(r" f(?:add|sub|mul|div) double", code)) == 2
    assert "llvm.sqrt.f64" not in code


@pytest.fixture
def hasty_interpreter():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(n, work):
    """Call work(0), ..., work(n - 1) at once; what they raise is raised here."""
    errors = []
    gate = threading.Barrier(n)

    def begin(k):
        gate.wait()
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.usefixtures("hasty_interpreter")
def test_threads_may_predict_with_one_network_at_once():
    network = fastnn.Network([20, 30, 3], output="softmax", seed=1)
    X = np.random.default_rng(0).standard_normal((20, 3000))
    expected = network.predict(X)
    fresh = fastnn.Network([20, 30, 3], output="softmax", seed=1)

    def work(k):
        rng = np.random.default_rng(k)
        for _ in range(150):
            # Of sizes for which more workspaces are made than an engine keeps; a few are worth a team.
            first = int(rng.integers(0, 2000))
            end = first + int(2 ** rng.uniform(0, 9.9))
            npt.assert_array_equal(fresh.predict(X[:, first:end]), expected[:, first:end])
            npt.assert_array_equal(fresh.predict_one(X[:, first].copy()), expected[:, first])

    in_threads(6, work)


@pytest.mark.usefixtures("hasty_interpreter")
def test_threads_may_train_networks_of_their_own_at_once():
    def trained(seed):
        problem = Problem((30, 40, 3), 200, 16, "relu", optimizer="adam", seed=seed)
        return problem.trained(Engine(*problem.model), (7,) * 12)[0]

    expected = [trained(seed) for seed in range(4)]
    in_threads(4, lambda k: [npt.assert_array_equal(trained(k), expected[k]) for _ in range(5)])
