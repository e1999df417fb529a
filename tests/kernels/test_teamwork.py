"""Teams of threads: always the bits of a lone run, never a hang, never an abort of the process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
from processes import environment

from fastnn.engine import runtime
from fastnn.kernels.compiler import policy, simd
from fastnn.kernels.program import teamwork

PROGRAM = Path(__file__).parents[1] / "programs" / "team_program.py"
LAYERS = ["omp", "tbb", "workqueue"]


def start(layer, scenario, *arguments, **settings):
    env = environment(**{"NUMBA_NUM_THREADS": "4", **settings})
    command = [sys.executable, "-W", "ignore", str(PROGRAM), layer, scenario, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report_of(process, timeout=100):
    """What the process printed last; a process that hangs is ended, and fails its test."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    if out == "no tbb\n":
        pytest.skip("tbb cannot be loaded here")
    return json.loads(out.splitlines()[-1])


def wait_until_it_trains(process):
    if process.stdout.readline() == "no tbb\n":
        process.communicate()
        pytest.skip("tbb cannot be loaded here")


@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_any_number_of_threads_has_the_bits_of_one(layer):
    report = report_of(start(layer, "thread_counts"))
    for n, result in report.items():
        assert result["same"], n
        # tbb has no more threads than cores, whatever it is asked for.
        possible = int(n) <= runtime.cores() or layer != "tbb"
        wanted = {f"ended {n}", f"left {n}"} if possible else {f"aborted {n}"}
        assert wanted & result["runs"].keys(), result["runs"]


@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_eight_python_threads_at_once(layer):
    report = report_of(start(layer, "eight_python_threads"))
    assert report["same"]
    assert report["results"] >= 8
    assert report["teams"] > 0, "no team has run"
    assert report["held"] == {}


@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_more_bodies_than_threads_abort_untouched(layer):
    report = report_of(start(layer, "too_many_bodies"))
    assert report["aborted"]
    assert report["steps"] == 0
    assert report["seconds"] < 10
    assert report["same"]


@pytest.mark.needs_jit
def test_a_layer_that_gives_one_thread_aborts_and_then_runs_serially():
    report = report_of(start("omp", "lone_worker", OMP_THREAD_LIMIT="1"))
    assert report["first"] == [2, runtime.ABORTED]
    assert report["untouched"]
    assert report["second"] == [1, runtime.ENDED]
    assert report["same"]


@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_under_foreign_load(layer):
    process = start(layer, "seconds_of_training", 1.5)
    wait_until_it_trains(process)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        report = report_of(process)
    finally:
        for other in busy:
            other.kill()
            other.wait()
    assert report["same"]
    assert report["runs"]


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no job control on this platform")
@pytest.mark.parametrize("layer", LAYERS)
def test_stopped_and_continued(layer):
    process = start(layer, "seconds_of_training", 1.5)
    wait_until_it_trains(process)
    for _ in range(12):
        time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        process.send_signal(signal.SIGCONT)
    report = report_of(process)
    assert report["same"]
    assert any(not name.endswith(" 1") for name in report["runs"]), report["runs"]


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_forked_child_trains_too(layer):
    assert report_of(start(layer, "forked")) == {"same": True, "child": 0}


@pytest.mark.slow
@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_ten_million_barriers(layer):
    report = report_of(start(layer, "ten_million_barriers"), timeout=300)
    assert report["same"]


# One thread and the words of a team: these run without the compiler too.


@numba.njit
def join(team, n):
    return teamwork.join(simd.pointer(team), n)


@numba.njit
def leave_together(team, n):
    return teamwork.leave_together(simd.pointer(team), n)


@numba.njit
def meet(team, n):
    teamwork.barrier(simd.pointer(team), n)


def test_fields_have_lines_of_their_own():
    team = teamwork.new_team()
    assert team.ctypes.data % 128 == 0
    fields = [getattr(teamwork, name) for name in ("STATE", "JOINED", "BEGAN", "MEETING", "LOST", "LEAVING")]
    assert {field * 8 % 128 for field in fields} == {0}
    assert len(set(fields)) == len(fields)
    assert max(fields) < team.size


def test_one_thread_needs_no_words():
    team = teamwork.new_team()
    assert join(team, 1)
    meet(team, 1)
    assert not leave_together(team, 1)
    assert not team.any()


def test_who_waits_in_vain_aborts_and_so_does_the_late():
    team = teamwork.new_team()
    begin = time.perf_counter_ns()
    assert not join(team, 2)
    assert time.perf_counter_ns() - begin >= teamwork.HANDSHAKE_NS
    assert team[teamwork.STATE] == teamwork.ABORTED
    begin = time.perf_counter_ns()
    assert not join(team, 2)
    assert team[teamwork.JOINED] == 2
    assert team[teamwork.STATE] == teamwork.ABORTED


def test_the_last_to_join_lets_the_team_go():
    team = teamwork.new_team()
    team[teamwork.JOINED] = 2
    assert join(team, 3)
    assert team[teamwork.STATE] == teamwork.GOING


@pytest.mark.parametrize("gate", [meet, leave_together])
def test_the_last_to_come_opens_the_barrier(gate):
    team = teamwork.new_team()
    for turn in range(1, 4):
        team[teamwork.MEETING] += 2
        gate(team, 3)
        assert team[teamwork.MEETING] == turn << 16


@pytest.mark.parametrize(
    ("lost_share", "spent_ns", "leaves"),
    [(0.9, 1.5 * teamwork.JUDGED_NS, True), (0.6, 1e9, False), (0.9, 0.7 * teamwork.JUDGED_NS, False)],
)
def test_a_team_leaves_when_its_cores_are_taken(lost_share, spent_ns, leaves):
    team = teamwork.new_team()
    team[teamwork.BEGAN] = time.monotonic_ns() - int(spent_ns)
    team[teamwork.LOST] = int(2 * lost_share * spent_ns)
    team[teamwork.MEETING] = 2
    assert leave_together(team, 3) == leaves


def test_shells_pass_the_thread_and_the_size_of_the_team():
    @policy.op
    def body(table: policy.Table, thread: int, n: int):
        counts = simd.pointer_at(table, 0, np.int64)
        counts[thread] = n

    from fastnn.kernels.program import entries

    counts = np.zeros(4, np.int64)
    table = simd.pointer_table([counts])
    address = body.address(np.float64)
    entry = (address,) if numba.config.DISABLE_JIT else np.array([address], np.uintp)
    entries.serial(entry, table)
    assert counts.tolist() == [1, 0, 0, 0]
    entries.parallel(entry, table, 3)
    assert counts.tolist() == [3, 3, 3, 0]
