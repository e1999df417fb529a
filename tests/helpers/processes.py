"""Code that runs in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import fastnn

TESTS = Path(__file__).parents[1]
# Some processes import what a test file holds.
PATHS = (Path(fastnn.__file__).parents[1], TESTS, *(TESTS / name for name in ("helpers", "kernels", "engine")))


def environment(**more):
    """Return the environment for a process that imports fastnn and these helpers."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS)), **more}


def run(code, *arguments, timeout=300, **more):
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    result = subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=timeout)
    assert result.returncode == 0, f"{result.returncode}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


def run_on_two_threads(code, *arguments, **more):
    return run(code, *arguments, NUMBA_NUM_THREADS="2", **more)
