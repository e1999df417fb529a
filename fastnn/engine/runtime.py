"""Threads: how many this process may use, and who uses them now."""

import contextlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel

from fastnn.interrupts import Interrupts, held
from fastnn.kernels.program import entries, teamwork

# Serial work in nanoseconds from which a parallel region gains something worth waking a thread for: entering and
# leaving one takes 1-3 us with omp and tbb, and 45-100 with workqueue.
PARALLEL_WORK_NS = 40_000.0
WORKQUEUE_WORK_NS = 400_000.0

# A parallel region that takes twice its serial time and this much more is taken to have found its cores busy, with
# another process or with the threads of a BLAS, which spin for some 20 ms after a product: an update of 0.05 ms that
# follows one was seen to take 8-15 ms.
LATE_NS = 2_000_000

# Whoever met taken cores runs serially for so long, and twice as long each time that this repeats itself.
BACK_OFF_SECONDS = 0.05
LONGEST_BACK_OFF_SECONDS = 1.0

# How a team's run came to its end.
ENDED, LEFT, ABORTED = "ended", "left", "aborted"

_lock = threading.Lock()
_held: dict[int, int] = {}  # cores in use, by the Python thread that took them
_claims: dict[int, int] = {}  # trainings under way, one within the other, by thread
_serial_until = 0.0
_failures = 0
_serial_only = False
_layer_is_loaded = False

# Time of teams since they were last judged, and what a thread beside the first lost of it.
_spent_ns = 0
_lost_ns = 0


def _control_groups(process: Path, controller: str = "cpu") -> Iterator[Path]:
    """Folders of the control groups, each within the next, that may limit a process's processors, or its memory."""
    paths = {}
    for line in (process / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        # Version 2 has one tree, of no name.
        paths.update(dict.fromkeys(controllers.split(","), path))
    for line in (process / "mountinfo").read_text().splitlines():
        mount, _, system = line.partition(" - ")
        kind, _, options = system.split(" ")[:3]
        if kind == "cgroup2":
            path = paths.get("", "/")
        elif kind == "cgroup" and controller in options.split(","):
            path = paths.get(controller, "/")
        else:
            continue
        root, point = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), field) for field in mount.split(" ")[3:5])
        # Within a container the mounted tree may begin at its own group, or the path may lead out of what is mounted.
        inner = os.path.relpath(path, root)
        top = Path(point)
        group = top if inner.startswith("..") else top / inner
        yield from (group, *(folder for folder in group.parents if folder.is_relative_to(top)))


def _cgroup_quota(process: Path = Path("/proc/self")) -> int:
    """Processors that a process's control groups grant, the strictest of them; a fraction counts as one."""
    granted = math.inf
    with contextlib.suppress(OSError, ValueError):
        for group in _control_groups(process):
            with contextlib.suppress(OSError, ValueError):
                quota, period = (group / "cpu.max").read_text().split()
                granted = min(granted, int(quota) / int(period))
            with contextlib.suppress(OSError, ValueError):
                microseconds = int((group / "cpu.cfs_quota_us").read_text())
                if microseconds > 0:
                    granted = min(granted, microseconds / int((group / "cpu.cfs_period_us").read_text()))
    return sys.maxsize if math.isinf(granted) else max(1, math.ceil(granted))


def _free_memory(process: Path = Path("/proc/self"), system: Path = Path("/proc/meminfo")) -> float:
    """Bytes that the system and a process's control groups can spare; infinite where nothing is known."""
    free = math.inf
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = system.read_text().splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    with contextlib.suppress(OSError, ValueError):
        for group in _control_groups(process, "memory"):
            for limit, used in (("max", "current"), ("limit_in_bytes", "usage_in_bytes")):
                with contextlib.suppress(OSError, ValueError):
                    room = int((group / f"memory.{limit}").read_text()) - int((group / f"memory.{used}").read_text())
                    # Copies of files, which it gives back.
                    words = (group / "memory.stat").read_text().split()
                    free = min(
                        free, room + int(dict(zip(words[::2], words[1::2], strict=True)).get("inactive_file", 0))
                    )
    return free


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_threads() -> int:
    """Threads that this process may keep busy: its affinity, its control group's quota and numba's mask.

    Returns
    -------
    int
        At least 1. Lower it for the calling thread with ``numba.set_num_threads``.

    Examples
    --------
    >>> from fastnn.engine.runtime import available_threads
    >>> available_threads() >= 1
    True
    """
    return max(1, min(cores(), QUOTA, _mask()))


QUOTA = _cgroup_quota()

# Most that a process takes which compiles kernels: 190 MB.
COMPILER_BYTES = 256 << 20


def compilers() -> int:
    """Processes that may compile at once, this one among them: for each a core, and memory."""
    free = _free_memory()
    threads = available_threads()
    return threads if math.isinf(free) else max(1, min(threads, 1 + int(free) // COMPILER_BYTES))


def _mask() -> int:
    """Threads that numba may use in the calling thread; the first call loads its threading layer."""
    global _layer_is_loaded
    if not _layer_is_loaded:
        with held():
            numba.get_num_threads()
            _layer_is_loaded = True
    # What `numba.get_num_threads` returns, without its lock: Ctrl-C while a thread takes that leaves it taken, and the
    # next thread that asks would wait for ever.
    return int(parallel._get_num_threads())


def _layer() -> str:
    """Name of numba's threading layer, which the first call chooses."""
    _mask()
    return str(numba.threading_layer())


def _take(wanted: int) -> int:
    """Take at most `wanted` cores of those that are free, and at least one."""
    me, free = threading.get_ident(), 1
    if wanted > 1 and not _serial_only and time.monotonic() >= _serial_until:
        free = available_threads()
    with _lock:
        if free > 1:
            # Two teams on the same cores would wait for each other at every barrier, and workqueue ends the process
            # when two threads enter it at once.
            others = {**dict.fromkeys(_claims, 1), **_held}
            others.pop(me, None)
            free -= sum(others.values())
            if max(others.values(), default=1) > 1 and _layer() == "workqueue":
                free = 1
        _held[me] = n = max(1, min(wanted, free))
    return n


def _give_back(failed: bool | None = None) -> None:
    """Return what the calling thread has taken; `failed` says whether its cores were free in fact, if that is known."""
    global _serial_until, _failures
    with _lock:
        _held.pop(threading.get_ident(), None)
        if failed:
            pause = min(BACK_OFF_SECONDS * 2.0**_failures, LONGEST_BACK_OFF_SECONDS)
            _serial_until = time.monotonic() + pause
            _failures = min(_failures + 1, 10)
        elif failed is not None:
            _failures = 0


@contextlib.contextmanager
def claimed_core() -> Iterator[None]:
    """Keep one core for the calling thread from slice to slice of a training, so that others do not count on it."""
    me = threading.get_ident()
    with _lock:
        _claims[me] = _claims.get(me, 0) + 1
    try:
        yield
    finally:
        with _lock:
            # A fork meanwhile has left the child without claims.
            left = _claims.pop(me, 1) - 1
            if left:
                _claims[me] = left


def _judge(n: int, spent_ns: int, lost_ns: int) -> bool | None:
    """Whether teams lost too much of their time lately; None until they have run long enough to tell.

    A run of a single short step ends before its team could break up.
    """
    global _spent_ns, _lost_ns
    with _lock:
        _spent_ns += spent_ns
        _lost_ns += lost_ns // (n - 1)
        if _spent_ns < teamwork.JUDGED_NS:
            return None
        failed = bool(teamwork.is_wasteful(_lost_ns, _spent_ns, 2))
        _spent_ns = _lost_ns = 0
    return failed


def run_team(entry: Any, table: Any, team: np.ndarray, n_wanted: int) -> tuple[int, str]:
    """Run a body of training on a team of threads that meet at barriers, or serially where no cores are free.

    Never waits for cores. The bits do not depend on what it does: the body is the same machine code either way.

    Parameters
    ----------
    entry : ndarray of uintp, or a tuple without JIT
        `simd.pointer_table`-like: its first element is the address of the body, an op that takes a table, the index of
        the thread and the number of threads. It begins with `teamwork.join`, returns at once where that gives False,
        ends every step with `teamwork.leave_together`, returns where that gives True, and keeps account itself of
        the steps that it has done.
    table : ndarray of uintp, or a tuple without JIT
        Addresses of what the body works on, `team` among them. The caller keeps all that alive.
    team : ndarray
        From `teamwork.new_team`.
    n_wanted : int
        Threads, at most.

    Returns
    -------
    n_threads : int
        Threads that the body ran on.
    how : {"ended", "left", "aborted"}
        Whether the body came to its end; or left after a step because its cores turned out to be taken, and wants to be
        called again; or has touched nothing, because its threads did not come together, and wants to be called again.
        Calls that follow the last two run serially for a while.
    """
    failed = None
    try:
        n = _take(1 if numba.config.DISABLE_JIT else n_wanted)
        if n == 1:
            entries.serial(entry, table)
            return 1, ENDED
        team[:] = 0
        mask = _mask()
        begin = time.perf_counter_ns()
        if n == mask:
            entries.parallel(entry, table, n)
        else:
            # Ctrl-C on the way out would leave the caller with the team's mask.
            with held():
                try:
                    numba.set_num_threads(n)
                    entries.parallel(entry, table, n)
                finally:
                    numba.set_num_threads(mask)
        if team[teamwork.STATE] != teamwork.GOING:
            failed = True
            return n, ABORTED
        if team[teamwork.LEAVING]:
            failed = True
            return n, LEFT
        failed = _judge(n, time.perf_counter_ns() - begin, int(team[teamwork.LOST]))
        return n, ENDED
    finally:
        _give_back(failed)


def _take_threads(work_ns: float) -> int:
    """Threads for one parallel kernel: 1 where others hold the cores, or where the layer takes too long to enter."""
    return _take(1 if work_ns < WORKQUEUE_WORK_NS and _layer() == "workqueue" else sys.maxsize)


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
    late = None
    try:
        n_threads = _take_threads(work_ns)
        begin = time.perf_counter_ns()
        result = kernel(*arguments, n_threads)
        if n_threads > 1:
            late = time.perf_counter_ns() - begin > 2 * work_ns * regions + LATE_NS
        return result
    finally:
        _give_back(late)


# Locks that threads may hold while another one forks: of numba's compiler, of its way to the threading layer, and of
# LLVM, in the order that numba takes them in. A child whose parent compiles at that moment would wait for ever.
_foreign_locks = (global_compiler_lock, parallel._backend_init_thread_lock, ffi.lib._lock)

# From before a fork until after it; guarded by the first of these locks.
_fork_hold: Interrupts | None = None


def _before_fork() -> None:
    global _fork_hold
    # Ctrl-C in here, or while the process is copied, would leave locks taken. It is lost all the same: Python prints
    # what hooks raise, and goes on.
    hold = held().__enter__()
    for lock in _foreign_locks:
        lock.__enter__()
    _fork_hold = hold


def _after_fork() -> None:
    global _fork_hold
    hold, _fork_hold = _fork_hold, None
    if hold is None:
        return
    for lock in reversed(_foreign_locks):
        lock.__exit__(None, None, None)
    hold.__exit__(None, None, None)


def _after_fork_in_child() -> None:
    global _lock, _serial_only
    # Shared by both processes, and counted by each: if another thread has it now, the child would take and never return
    # it. numba makes a new one.
    parallel._backend_init_process_lock = None
    _lock = threading.Lock()
    _held.clear()
    _claims.clear()
    # The layer's threads are not in the child. GNU OpenMP kills it where it enters a parallel region all the same, and
    # TBB may wait for them; workqueue starts new ones. Where none has been loaded, the child may start its own.
    with contextlib.suppress(ValueError):
        _serial_only = numba.threading_layer() != "workqueue"
    _after_fork()  # at the end, because a Ctrl-C that came meanwhile is raised there


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
