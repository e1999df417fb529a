"""Threads: how many this process may use, and who uses them now."""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

# Serial work in nanoseconds from which a parallel region gains something worth waking a thread for: entering and
# leaving one takes 1-3 us with omp and tbb, and 45-100 with workqueue.
PARALLEL_WORK_NS = 40_000.0
WORKQUEUE_WORK_NS = 400_000.0

# A region that took twice its serial time and this much more met cores that were taken: by another process, or by the
# threads of a BLAS, which spin for some 20 ms after a product (a 0.05 ms update was seen to take 8-15 ms behind one).
LATE_NS = 2_000_000
BACK_OFF_SECONDS = 0.05

_lock = threading.Lock()
_busy = 0
_serial_until = 0.0
_serial_only = False


def _cgroup_quota() -> int:
    """Processors that the control group grants; a fraction counts as one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        pass
    try:
        quota = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        period = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
        if quota > 0:
            return math.ceil(quota / period)
    except (OSError, ValueError):
        pass
    return sys.maxsize


def available_threads() -> int:
    """Threads that this process may keep busy: its affinity, its control group's quota and numba's mask.

    Returns
    -------
    int
        At least 1. Lower it for the calling thread with ``numba.set_num_threads``.

    Examples
    --------
    >>> from fastnn.runtime import available_threads
    >>> available_threads() >= 1
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _QUOTA, numba.get_num_threads()))


_QUOTA = _cgroup_quota()


def _take_threads(work_ns: float) -> int:
    """Threads for one parallel kernel; 1, and nothing to give back, while others hold them."""
    global _busy
    if _serial_only:
        return 1
    if time.monotonic() < _serial_until:
        return 1
    wanted = available_threads()
    if wanted == 1 or (work_ns < WORKQUEUE_WORK_NS and numba.threading_layer() == "workqueue"):
        return 1
    with _lock:
        # One team at a time: workqueue aborts the process when two threads enter it at once, and under the other
        # layers two teams would wait for each other's cores.
        if _busy:
            return 1
        _busy = wanted
    return wanted


def _give_back(late: bool) -> None:
    global _busy, _serial_until
    with _lock:
        _busy = 0
        if late:
            _serial_until = time.monotonic() + BACK_OFF_SECONDS


def launch(kernel: Callable[..., Any], work_ns: float, *arguments: Any, regions: int = 1) -> Any:
    """Call a parallel kernel with the number of threads that its work is worth and that are free.

    Never waits: where another thread holds the cores, the kernel runs serially and gives the same bits. So it does for
    a while after a parallel run that came in late.

    Parameters
    ----------
    kernel : callable
        Takes `arguments` and then the number of threads.
    work_ns : float
        Rough serial time of a parallel region in nanoseconds.
    *arguments
        For the kernel.
    regions : int
        How many such regions the kernel enters, one after the other.

    Returns
    -------
    object
        What the kernel returns.
    """
    if work_ns < PARALLEL_WORK_NS:
        return kernel(*arguments, 1)
    n_threads = _take_threads(work_ns)
    if n_threads == 1:
        return kernel(*arguments, 1)
    begin = time.perf_counter_ns()
    try:
        return kernel(*arguments, n_threads)
    finally:
        _give_back(late=time.perf_counter_ns() - begin > 2 * work_ns * regions + LATE_NS)


def _after_fork_in_child() -> None:
    global _busy, _lock, _serial_only
    _lock = threading.Lock()
    _busy = 0
    try:
        layer = numba.threading_layer()
    except ValueError:  # no parallel region has run: the child may start its own threads
        return
    # GNU OpenMP kills a forked child that enters a parallel region.
    _serial_only = layer == "omp"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
