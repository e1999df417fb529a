"""What all tests share: whether kernels are compiled, and how many examples hypothesis draws."""

import os
import signal
import sys

import numba
import pytest
from hypothesis import HealthCheck, settings

from fastnn import interrupts
from fastnn.course import first_run

pytest.register_assert_rewrite("course_twins", "engine_cases", "processes")

# Under NUMBA_DISABLE_JIT kernels are plain Python, hundreds of times slower: tests scale their sizes by this.
JIT = not numba.config.DISABLE_JIT

# The compiled side is compiled, whatever the cache has.
first_run.NUMPY_MEANWHILE = False

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


@pytest.fixture
def closed_figures():
    """No test leaves figures to the next; where there is no matplotlib, its tests are skipped."""
    pytest.importorskip("matplotlib")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def default_ctrl_c():
    """Python's own handler, also where a shell has started this process with SIGINT ignored; it must stay."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (interrupts._holds, interrupts._pending) == (0, False)
    signal.signal(signal.SIGINT, before)
