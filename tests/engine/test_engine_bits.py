"""The engine's bits: the same for any number of threads, layer, SIMD level, cache and cut of the steps, and known."""

import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
from engine_cases import small_steps
from engine_program import STEPS, cases, digest, digests
from processes import environment

from fastnn.engine.engine import Engine

pytestmark = pytest.mark.needs_jit

PROGRAM = Path(__file__).parents[1] / "programs" / "engine_program.py"
X86 = platform.machine() in ("x86_64", "AMD64")
DTYPES = ["float64", "float32"]
NAMES = list(cases("float64"))

# What `python tests/engine/test_engine_bits.py` prints. A change of them is a change of what users get from a seed:
# renew them together with a line in CHANGELOG.md, never because they fail on one machine alone.
GOLDEN = {
    "float64": {
        "relu": "744ce6fbd047cf07",
        "adam": "d3704f334143628e",
        "large": "e423307f4e591a29",
        "chunks": "bd82bd47588b6e2f",
        "l2": "5eef7b4f6e546a9c",
        "clip": "5cee8ea8a7ff1a9c",
        "dropout": "ab1f56876979d2b7",
        "one": "0cd74d8ce46f2c85",
        "narrow": "051dc4f1bb17ba1f",
        "leaky": "9dd381bb5b31c694",
    },
    "float32": {
        "relu": "757f4bce32200ff4",
        "adam": "5319aa50a3c0bada",
        "large": "ae904aaabd07bc13",
        "chunks": "0167caf75a2f6f12",
        "l2": "7e11b63f7ed60c3e",
        "clip": "a1cfd0ce837954d2",
        "dropout": "19f534c2f982e58f",
        "one": "e15d80c83686ece1",
        "narrow": "a68bd962b33cb070",
        "leaky": "371a1c124152c736",
    },
}


def start(layer, dtype, *n_threads, **settings):
    command = [sys.executable, "-W", "ignore", str(PROGRAM), layer, dtype, *map(str, n_threads)]
    return subprocess.run(command, env=environment(**settings), capture_output=True, text=True, timeout=300)


def report(layer, dtype, *n_threads, **settings):
    result = start(layer, dtype, *n_threads, **settings)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout.splitlines()[-1])
    if answer == "no tbb":
        pytest.skip("tbb cannot be loaded here")
    return answer


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_known_bits(name, dtype):
    assert digest(cases(dtype)[name]) == GOLDEN[dtype][name]


@pytest.mark.parametrize("layer", ["omp", "tbb", "workqueue"])
def test_any_number_of_threads_on_any_layer(layer):
    for n, result in report(layer, ",".join(DTYPES), 1, 2, 3, 4, NUMBA_NUM_THREADS="4").items():
        assert result["digests"] == GOLDEN, n
        assert int(n) in result["teams"]


# All of them run on any processor that has FMA. A Haswell has no AVX-512: LLVM splits the vectors of all kernels.
LEVELS = {
    "avx512": {"FASTNN_SIMD": "avx512"},
    "avx2": {"FASTNN_SIMD": "avx2", "NUMBA_CPU_NAME": "haswell"} if X86 else {"FASTNN_SIMD": "avx2"},
    "neon": {"FASTNN_SIMD": "neon"},
    "none": {"FASTNN_SIMD": "none"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_levels(name):
    (result,) = report("any", ",".join(DTYPES), 1, **LEVELS[name]).values()
    assert result["digests"] == GOLDEN


def test_levels_do_not_share_machine_code():
    from fastnn.kernels.compiler import host
    from fastnn.kernels.compiler.policy import KernelCache
    from fastnn.kernels.matmul import products

    cache = KernelCache(products.product.function)
    assert host.LEVEL in cache._index_key((), ())


@pytest.mark.slow
def test_cold_and_warm_caches(tmp_path):
    for _ in ("cold", "warm"):
        (result,) = report("any", ",".join(DTYPES), 1, NUMBA_CACHE_DIR=str(tmp_path)).values()
        assert result["digests"] == GOLDEN


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_steps_may_be_cut_anywhere(name, dtype):
    problem = cases(dtype)[name]
    assert digest(problem, pieces=(1, 2, STEPS - 10, 7)) == GOLDEN[dtype][name]


@pytest.mark.parametrize("name", NAMES)
def test_two_fits_are_one_twice_as_long(name):
    problem = cases("float64")[name]
    engine, rate = Engine(*problem.model), problem.model.optimizer.learning_rate
    steps = -(-problem.m // problem.batch)
    whole, halves = problem.theta.copy(), problem.theta.copy()
    states = [problem.model.state() for _ in range(2)]
    engine.session(whole, states[0], *problem.data, problem.batch, True).advance(np.full(4 * steps, rate))
    for _ in range(2):
        engine.session(halves, states[1], *problem.data, problem.batch, True).advance(np.full(2 * steps, rate))
    npt.assert_array_equal(halves, whole)
    assert states[0].epoch == states[1].epoch == 4


def as_large(problem, block_bytes=1 << 19):
    """The hash if the network goes layer by layer, however small it is."""
    with small_steps(chunk=1024, block_bytes=block_bytes, small_net=0):
        return digest(problem)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "clip"])
def test_fused_updates_have_the_bits_of_a_pass(name):
    problem = cases("float64")[name]
    fused = as_large(problem)
    # To clip, gradients have to be complete; this norm is never reached.
    problem.model = replace(problem.model, clip_norm=1e300)
    assert as_large(problem) == fused


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_panels_leave_no_trace(name):
    assert as_large(cases("float64")[name], block_bytes=1) == as_large(cases("float64")[name])


@pytest.mark.parametrize("name", NAMES)
def test_both_plans_agree(name):
    # Which of them a network goes by is decided by its size alone. They add in other orders, hence no bits here.
    problem, results = cases("float64")[name], []
    for small_net in (0, 1 << 40):
        with small_steps(chunk=1024, block_bytes=1 << 19, small_net=small_net):
            theta, state, costs, _ = problem.trained(Engine(*problem.model, 1), (STEPS,))
            results.append(np.concatenate([theta, state.v, state.s, costs]))
    npt.assert_allclose(*results, rtol=1e-9, atol=1e-12)


if __name__ == "__main__":
    print(json.dumps({dtype: digests(dtype) for dtype in DTYPES}, indent=4))
