"""Every kernel, called as such: the same bits on any number of threads, and nothing touched beyond its arrays."""

import functools
import importlib
import pkgutil
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import JIT
from processes import environment
from strategies import KERNELS, TRAININGS, VARIANTS, Arguments, Canaries, Guarded, Plain

import fastnn.kernels
from fastnn.engine import runtime
from fastnn.kernels.course.objects import on_objects
from fastnn.kernels.program import entries, teamwork


@functools.cache
def kernel_modules():
    names = [module.name for module in pkgutil.walk_packages(fastnn.kernels.__path__, "fastnn.kernels.")]
    return [importlib.import_module(name) for name in names]


def kernel_named(name):
    for module in kernel_modules():
        if hasattr(module, name):
            return getattr(module, name)
    raise LookupError(name)


def entry_kernels():
    """Dispatchers of `fastnn.kernels` that Python may call, but for those that run the engine's body.

    `on_objects` is called by `test_direct`.
    """
    from numba.core.registry import CPUDispatcher

    return {
        name: value
        for module in kernel_modules()
        for name, value in vars(module).items()
        if isinstance(value, CPUDispatcher) and not value.targetoptions.get("no_cpython_wrapper")
        if value not in (*vars(entries).values(), on_objects)
    }


def run(name, variant, dtype, shape, n_threads, memory=None):
    """Call a kernel, and return what it returns and writes."""
    arguments = Arguments(memory or Plain(), dtype, *shape)
    given = KERNELS[name][variant](arguments)
    with np.errstate(all="ignore"):
        returned = kernel_named(name)(*given, n_threads)
    arguments.memory.check()
    return returned, [array.tobytes() for array in arguments.results], arguments.results


SHAPES = [(1, 1, 1), (3, 5, 17), (19, 18, 67), (7, 33, 131)] if JIT else [(1, 1, 1), (3, 5, 17)]

every_variant = pytest.mark.parametrize(("name", "variant", "dtype"), VARIANTS)


@pytest.mark.needs_jit
def test_every_kernel_is_called_here():
    assert set(entry_kernels()) == set(KERNELS)


@every_variant
def test_kernels_give_the_same_bits_on_any_number_of_threads(name, variant, dtype):
    for shape in SHAPES:
        returned, ref, results = run(name, variant, dtype, shape, 1)
        assert any((array != 5).any() for array in results), "no result was written"
        for n_threads in (1, 2, 3, 5):
            again, out, _ = run(name, variant, dtype, shape, n_threads)
            assert out == ref
            assert np.array_equal(again, returned) if returned is not None else again is None


def train(variant, shape, n_threads, memory=None):
    """Run the engine's body for a course `model`, and return what it writes.

    A team whose cores others have taken touches nothing or leaves; it is tried again, more and more seldom.
    """
    end, pause = time.monotonic() + 60, 0.001
    while True:
        arguments = Arguments(memory or Plain(), "float64", *shape)
        entry, table = TRAININGS[variant](arguments)
        if n_threads == 1:
            entries.serial(entry, table)
            break
        entries.parallel(entry, table, n_threads)
        if arguments.team[teamwork.STATE] == teamwork.GOING and not arguments.team[teamwork.LEAVING]:
            break
        assert time.monotonic() < end, f"{n_threads} threads did not come together within a minute"
        time.sleep(pause)
        pause = min(2 * pause, 0.5)
    arguments.memory.check()
    return [array.tobytes() for array in arguments.results]


TEAMS = sorted({1, 2, runtime.available_threads()} & set(range(1, runtime.available_threads() + 1))) if JIT else [1]

every_training = pytest.mark.parametrize("variant", TRAININGS)


@every_training
def test_training_gives_the_same_bits_on_any_number_of_threads(variant):
    for shape in [(2, 5, 7), (33, 40, 300)] if JIT else [(2, 5, 7)]:
        ref = train(variant, shape, 1)
        for n_threads in TEAMS:
            assert train(variant, shape, n_threads) == ref


@every_training
def test_training_keeps_to_its_arrays(variant):
    for shape in [*SHAPES, (2, 2, 15), (4, 3, 9)]:
        for n_threads in TEAMS:
            assert train(variant, shape, n_threads, Canaries()) == train(variant, shape, 1)


@every_variant
def test_kernels_keep_to_their_arrays(name, variant, dtype):
    for shape in [*SHAPES, (2, 2, 15), (4, 3, 9)]:
        for n_threads in (1, 3):
            returned, ref, _ = run(name, variant, dtype, shape, n_threads)
            again, out, _ = run(name, variant, dtype, shape, n_threads, Canaries())
            assert out == ref
            assert again == returned


AGAINST_GUARDS = """
from test_memory import run_against_guards
run_against_guards()
"""


def run_against_guards():
    """Call every kernel on arrays that touch pages nobody may touch: a step outside ends the process."""
    for name, variant, dtype in VARIANTS:
        for shape in SHAPES:
            for at_end in (True, False):
                for n_threads in (1, 3):
                    print(name, variant, dtype, shape, "end" if at_end else "beginning", n_threads, flush=True)
                    assert (
                        run(name, variant, dtype, shape, n_threads, Guarded(at_end))[1]
                        == (run(name, variant, dtype, shape, n_threads)[1])
                    )
    for variant in TRAININGS:
        for shape in SHAPES:
            for at_end in (True, False):
                print("training", variant, shape, "end" if at_end else "beginning", flush=True)
                assert train(variant, shape, 1, Guarded(at_end)) == train(variant, shape, 1)
    print("done")


def in_subprocess(code, **settings):
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(**settings), capture_output=True, text=True, timeout=300
    )


@pytest.mark.needs_jit
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_kernels_touch_no_page_beyond_their_arrays():
    result = in_subprocess(AGAINST_GUARDS)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"ended by {result.returncode} in {lines[-1:]}: {result.stderr}"
    assert lines[-1] == "done"


@pytest.mark.needs_jit
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_the_guard_pages_end_a_process_that_touches_them():
    code = """
import ctypes
from strategies import Guarded
array = Guarded(True).empty(3, "f8", 0)
ctypes.c_double.from_address(array.ctypes.data + array.nbytes).value
"""
    assert in_subprocess(code).returncode < 0


PARALLEL_REGIONS = """
from strategies import DOUBLE_ONLY, KERNELS, Arguments, Plain
from test_memory import entry_kernels
for name, kernel in entry_kernels().items():
    if not kernel.targetoptions.get("parallel"):
        continue
    make = next(iter(KERNELS[name].values()))
    arguments = Arguments(Plain(), "float64", 3, 5, 17)
    kernel(*make(arguments), 2)
    assert not kernel.stats.cache_hits, "diagnostics are not kept in the cache"
    (signature,) = kernel.signatures
    print(name, kernel.get_metadata(signature)["parfor_diagnostics"].count_parfors())
"""


@pytest.mark.needs_jit
def test_every_parallel_kernel_has_a_parallel_region(tmp_path):
    # The regions are found before LLVM sees the code: what it makes of it need not be fast.
    result = in_subprocess(PARALLEL_REGIONS, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_OPT="0")
    assert result.returncode == 0, result.stderr
    regions = dict(line.split() for line in result.stdout.splitlines())
    assert set(regions) == set(KERNELS)
    assert all(int(count) >= 1 for count in regions.values()), regions


@pytest.mark.needs_jit
def test_only_the_ways_into_a_body_for_one_thread_have_none():
    kernels = {**entry_kernels(), "serial": entries.serial, "parallel": entries.parallel, "one": entries.one}
    assert {name for name, kernel in kernels.items() if not kernel.targetoptions.get("parallel")} == {"serial", "one"}
