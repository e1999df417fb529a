"""The cache of machine code on disk: filled, reused, stale, damaged, shared and forbidden."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

pytestmark = pytest.mark.needs_jit

RUN = """
import numpy as np
from fastnn.initialization import relu
from fastnn.kernels.elementwise import activation_forward
assert relu(np.array([-1.0, 2.0])).tolist() == [0.0, 2.0]
stats = activation_forward.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def run(cache, code=RUN, package=None, **environment):
    root = str(Path(package or Path(fastnn.__file__).parent).parent)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": root, **environment}
    # Python looks for modules in the working directory first.
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def hits_and_misses(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return tuple(map(int, out.split()))


def test_the_second_process_loads_what_the_first_compiled(tmp_path):
    assert hits_and_misses(run(tmp_path)) == (0, 1)
    assert hits_and_misses(run(tmp_path)) == (1, 0)


def test_editing_a_callee_in_another_file_recompiles(tmp_path):
    package = tmp_path / "source" / "fastnn"
    shutil.copytree(Path(fastnn.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    assert hits_and_misses(run(cache, package=package)) == (0, 1)
    assert hits_and_misses(run(cache, package=package)) == (1, 0)
    with (package / "kernels" / "optimizers.py").open("a") as file:
        file.write("\n# an edit\n")
    assert hits_and_misses(run(cache, package=package)) == (0, 1)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_damaged_cache_costs_a_compilation_only(tmp_path, damage, suffix):
    hits_and_misses(run(tmp_path))
    for path in tmp_path.rglob(f"*{suffix}"):
        content = path.read_bytes()
        path.write_bytes(
            {"truncated": content[: len(content) // 2], "garbage": b"\x80garbage" * 50, "empty": b""}[damage]
        )
    assert hits_and_misses(run(tmp_path)) == (0, 1)


def test_two_processes_that_start_at_once(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert hits_and_misses(first) == (0, 1)
    assert sum(hits_and_misses(second)) == 1
    assert hits_and_misses(run(tmp_path)) == (1, 0)


def test_without_a_writable_place_it_runs_uncached(tmp_path):
    # The superuser may write everywhere, so numba is told that none of its places can be.
    code = "from numba.core import caching\ncaching.CacheImpl._locator_classes = []\n" + RUN
    environment = {"NUMBA_CACHE_DIR": ""}
    assert hits_and_misses(run("", code=code, **environment)) == (0, 1)


def test_what_takes_long_is_announced_once_on_stderr(tmp_path):
    code = """
import numpy as np
from fastnn import optimization
X, Y = np.ones((2, 8)), np.ones((1, 8))
optimization.model(X, Y, [2, 3, 1], "gd", num_epochs=2, print_cost=False)
"""
    _, err = run(tmp_path, code).communicate(timeout=120)
    assert err.startswith("fastnn: compiling ")
    _, err = run(tmp_path, code).communicate(timeout=120)
    assert err == ""
