"""Whether NumPy trains first, while machine code is missing."""

import subprocess
import sys

import pytest
from processes import environment

pytestmark = pytest.mark.needs_jit


def output(cache, code):
    result = subprocess.run(
        [sys.executable, "-c", "from fastnn.course import first_run\n" + code],
        env=environment(NUMBA_CACHE_DIR=str(cache)), check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return result.stdout.split()


def test_without_a_cache_numpy_trains_as_long_as_compiling_takes():
    code = """
answers = [first_run.numpy_is_done_first([2, 10, 5, 1], 300, 15000) for _ in range(50)]
print(answers[0], answers[-1], answers == sorted(answers, reverse=True))
print(first_run.numpy_is_done_first([2, 10, 5, 1], 300, 10**9))
"""
    assert output("/proc/none", code) == ["True", "False", "True", "False"]


def test_others_that_never_compile_are_not_waited_for_without_end(tmp_path):
    code = """
import sys
sys.executable = "/usr/bin/env"  # an application that embeds Python
answers = [first_run.numpy_is_done_first([2, 10, 5, 1], 300, 15000) for _ in range(50)]
print(answers[0], answers[-1])
"""
    assert output(tmp_path, code) == ["True", "False"]


def test_several_threads_may_ask_first():
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    answers = pool.map(lambda _: first_run.numpy_is_done_first([2, 10, 5, 1], 300, 50), range(8))
print(*set(answers))
"""
    assert output("/proc/none", code) == ["True"]
