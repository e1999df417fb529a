"""What all tests share: whether kernels are compiled, and how many examples hypothesis draws."""

import os

import numba
import pytest
from hypothesis import HealthCheck, settings

# Under NUMBA_DISABLE_JIT kernels are plain Python, hundreds of times slower: tests scale their sizes by this.
JIT = not numba.config.DISABLE_JIT

# No test opens a window, nor does a process that it starts.
os.environ["MPLBACKEND"] = "agg"

settings.register_profile("quick", max_examples=25, deadline=None, derandomize="CI" in os.environ)
settings.register_profile(
    "nojit", settings.get_profile("quick"), max_examples=5, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=100)
settings.load_profile(os.environ.get("FASTNN_HYPOTHESIS", "quick" if JIT else "nojit"))


def pytest_collection_modifyitems(items):
    if JIT:
        return
    skip = pytest.mark.skip(reason="NUMBA_DISABLE_JIT: needs machine code, for its speed or for what it is")
    for item in items:
        if item.get_closest_marker("needs_jit"):
            item.add_marker(skip)
