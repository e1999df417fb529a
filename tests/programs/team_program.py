"""A process that runs teams: `python team_program.py LAYER SCENARIO` prints what came of it as JSON."""

import ctypes
import functools
import json
import os
import sys
import threading
import time

import numba
import numpy as np

UNITS = 24


def _choose(layer):
    if layer == "tbb":
        try:
            ctypes.CDLL(sys.prefix + "/lib/libtbb.so.12", mode=ctypes.RTLD_GLOBAL)
        except OSError:
            print("no tbb")
            sys.exit()
    numba.config.THREADING_LAYER = layer


_choose(sys.argv[1])

from fastnn.engine import runtime  # noqa: E402
from fastnn.kernels.compiler.policy import Op, Table  # noqa: E402
from fastnn.kernels.compiler.simd import pointer_at, pointer_table  # noqa: E402
from fastnn.kernels.program import entries, teamwork  # noqa: E402


@numba.njit(error_model="numpy")
def mix(a, b, c):
    return (1103515245 * (a ^ (b >> 3)) + 12345 * c + 1) & 0x7FFFFFFF


@functools.partial(Op, cached=False)
def body(table: Table, thread: int, n: int):
    team = pointer_at(table, 0, np.int64)
    progress = pointer_at(table, 1, np.int64)
    x = pointer_at(table, 2, np.int64)
    y = pointer_at(table, 3, np.int64)
    if not teamwork.join(team, n):
        return
    done, steps = progress[0], progress[1]
    low, high = UNITS * thread // n, UNITS * (thread + 1) // n
    while done < steps:
        for i in range(low, high):
            y[i] = mix(x[i], x[(i + 1) % UNITS], x[(i + UNITS // 2) % UNITS])
        teamwork.barrier(team, n)
        for i in range(low, high):
            x[i] = mix(y[i], y[(i + UNITS - 1) % UNITS], done)
        done += 1
        if thread == 0:
            progress[0] = done
        if teamwork.leave_together(team, n):
            return


class Training:
    """Steps of a computation in which every number depends on those of other threads."""

    def __init__(self, steps):
        self.team = teamwork.new_team()
        self.progress = np.array([0, steps])
        self.x, self.y = np.arange(UNITS), np.zeros(UNITS, np.int64)
        self.table = pointer_table([self.team, self.progress, self.x, self.y])
        self.entry = np.array([body.address(np.float64)], np.uintp)
        self.runs = {}

    def run(self, n_threads):
        """Call the team until all steps are done; `runs` counts how its runs ended."""
        while self.progress[0] < self.progress[1]:
            before = int(self.progress[0])
            n, how = runtime.run_team(self.entry, self.table, self.team, n_threads)
            if how == runtime.ABORTED:
                assert self.progress[0] == before, "an aborted team has moved on"
                n_threads = 1
            name = f"{how} {n}"
            self.runs[name] = self.runs.get(name, 0) + 1
        return self.x.tolist()


def same_bits(n_threads, steps=2000, expected=None):
    """Whether a team has the bits of a lone run; how its runs ended."""
    training = Training(steps)
    return training.run(n_threads) == (expected or Training(steps).run(1)), training.runs


def thread_counts():
    """Teams of 1 to 4, whatever the number of cores, until each has run as such, or has been refused often."""
    runtime.available_threads = numba.get_num_threads
    # Without back-off every call is a team's.
    runtime.BACK_OFF_SECONDS = 0.0
    report = {}
    for n in (1, 2, 3, 4):
        for _ in range(20):
            same, runs = same_bits(n, steps=500)
            if not same or f"ended {n}" in runs or f"left {n}" in runs:
                break
        report[n] = {"same": same, "runs": runs}
    return report


def eight_python_threads():
    """Eight Python threads train at once and want two cores each, of which four are said to be there."""
    runtime.available_threads = lambda: 4
    runtime.BACK_OFF_SECONDS = 0.001
    expected = Training(2000).run(1)
    results = []
    until = time.monotonic() + 2.0

    def work():
        while time.monotonic() < until:
            results.append(same_bits(2, expected=expected))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    teams = sum(count for _, runs in results for name, count in runs.items() if not name.endswith(" 1"))
    return {"same": all(same for same, _ in results), "results": len(results), "teams": teams, "held": runtime._held}


def too_many_bodies():
    """More bodies than threads: some wait for one that cannot begin before they return."""
    numba.set_num_threads(2)
    training = Training(10)
    begin = time.perf_counter()
    entries.parallel(training.entry, training.table, 3)
    return {
        "aborted": int(training.team[teamwork.STATE]) == teamwork.ABORTED,
        "steps": int(training.progress[0]),
        "seconds": time.perf_counter() - begin,
        "same": training.run(1) == Training(10).run(1),
    }


def lone_worker():
    """The layer gives fewer threads than it was asked for."""
    runtime.available_threads = lambda: 2
    training = Training(100)
    first = runtime.run_team(training.entry, training.table, training.team, 2)
    untouched = training.progress[0] == 0 and training.x.tolist() == list(range(UNITS))
    second = runtime.run_team(training.entry, training.table, training.team, 2)
    same = training.x.tolist() == Training(100).run(1)
    return {"first": first, "untouched": bool(untouched), "second": second, "same": same}


def seconds_of_training(seconds):
    """Two threads train for some time, in slices of a size as the engine's."""
    runtime.available_threads = lambda: 2
    expected = Training(50_000).run(1)
    print("started", flush=True)
    until = time.monotonic() + seconds
    same, runs = True, {}
    while time.monotonic() < until:
        equal, ended = same_bits(2, 50_000, expected)
        same &= equal
        for name, count in ended.items():
            runs[name] = runs.get(name, 0) + count
    return {"same": same, "runs": runs}


def forked():
    """A child trains after its parent's team has run."""
    runtime.available_threads = lambda: 2
    runtime.BACK_OFF_SECONDS = 0.0
    same, _ = same_bits(2)
    child = os.fork()
    if child == 0:
        os._exit(0 if same_bits(2)[0] else 3)
    return {"same": same, "child": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}


def ten_million_barriers():
    """A team of two meets 10^7 times."""
    runtime.available_threads = lambda: 2
    runtime.BACK_OFF_SECONDS = 0.0
    same, runs = same_bits(2, 5_000_000)
    return {"same": same, "runs": runs}


if __name__ == "__main__":
    scenario, *arguments = sys.argv[2:]
    report = globals()[scenario](*map(float, arguments))
    assert sys.argv[1] == "any" or numba.threading_layer() == sys.argv[1], numba.threading_layer()
    print(json.dumps(report))
