"""Compilation by several processes, what is said of it, and the list of everything that there is to compile."""

import importlib
import os
import pkgutil
import pty
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher
from processes import environment

import fastnn.kernels
from fastnn.kernels import everything
from fastnn.kernels.compiler.cache import KernelCache
from fastnn.kernels.compiler.policy import Op
from fastnn.kernels.compiler.together import _first_in

pytestmark = pytest.mark.needs_jit

# Ops that take a moment each, for which other processes start all the same.
SETUP = """
import subprocess, sys, threading
from fastnn.kernels.compiler import cache, together
from fastnn.kernels.program.ops import OPS, at

together.OTHERS_SECONDS = 3.0
OPS = [OPS[index] for index in (at.TRANSPOSE, at.SUM_SQUARES, at.REDUCE_GRADIENTS, at.PRODUCT_OF_ONE, at.SLOPE)]
jobs = together.op_jobs(OPS, "float64")

saved, started = [], []
save, Popen = cache.KernelCache.save_overload, subprocess.Popen

def note_save(self, sig, data):
    saved.append(self._py_func.__name__)
    save(self, sig, data)

def note_start(*arguments, **options):
    started.append(Popen(*arguments, **options))
    return started[-1]

cache.KernelCache.save_overload, subprocess.Popen = note_save, note_start

def is_alone():
    for thread in threading.enumerate():  # a timer that is cancelled needs a moment to end
        if thread is not threading.current_thread():
            thread.join(5)
    return threading.active_count() == 1
"""
REPORT = """
assert all(job.is_ready() for job in jobs) and all(process.returncode is not None for process in started)
assert is_alone()
print(len(started), len(saved))
"""
SAID = "fastnn: compiling for this machine, once\n"
MEANWHILE = "fastnn: compiling for this machine, once; NumPy computes meanwhile\n"


def start(cache, code, *arguments, **options):
    command = [sys.executable, "-c", SETUP + code, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, env=environment(NUMBA_CACHE_DIR=str(cache)), text=True, **options)


def output(cache, code, *arguments, said=SAID):
    process = start(cache, code, *arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err in ("", said)
    return [int(word) for word in out.split()]


# The others need a while to start, in which this one has to wait behind its first op.
WAIT = """
compile_op = together.Op.compiled

def compile_slowly(op, dtype):
    compiled = compile_op(op, dtype)
    while len(started) == 1 and started[0].returncode is None and not any(job.is_ready() for job in jobs[1:]):
        threading.Event().wait(0.05)
    return compiled

together.Op.compiled = compile_slowly
"""


def test_two_processes_share_the_work(tmp_path):
    started, saved = output(tmp_path, WAIT + "together.compile_together(jobs, lambda: 2)" + REPORT)
    assert started == 1
    assert 1 <= saved < 5
    # The second time there is nothing to do.
    assert output(tmp_path, "together.compile_together(jobs, lambda: 2)" + REPORT) == [0, 0]


def test_others_compile_meanwhile(tmp_path):
    code = """
import time
together.compile_meanwhile(jobs, lambda: 1)
begin = time.monotonic()
together.compile_meanwhile(jobs, lambda: 1)  # is under way
assert time.monotonic() - begin < 1
together._background.join(120)
"""
    assert output(tmp_path, code + REPORT, said=MEANWHILE) == [1, 0]


def test_who_cannot_wait_helps_those_who_compile_meanwhile(tmp_path):
    code = "together.compile_meanwhile(jobs, lambda: 3); together.compile_together(jobs, lambda: 3)"
    code += "\ntogether._background.join(120)" + REPORT
    started, saved = output(tmp_path, code, said=MEANWHILE)
    assert started == 2
    assert saved < 5


def test_a_fork_does_not_wait_for_those_who_compile_meanwhile(tmp_path):
    code = """
import os
together.compile_meanwhile(jobs, lambda: 1)
child = os.fork()
if not child:
    together.compile_together(jobs, lambda: 1)
    os._exit(0 if all(job.is_ready() for job in jobs) else 3)
assert os.waitpid(child, 0)[1] == 0
together._background.join(120)
"""
    assert output(tmp_path, code + REPORT, said=MEANWHILE)[0] == 1


# Each of these in turn, with an empty cache and ops that are not loaded; and how many processes it starts.
FAIL = """
import pathlib
import numba

together.PATIENCE_SECONDS = 0.5
CHANGES = [
    (sys, "executable", "/nonexistent/python", 0),
    (sys, "executable", None, 0),
    (sys, "executable", "/usr/bin/env", 0),  # an application that embeds Python
    (sys, "frozen", True, 0),
    (together, "_PROGRAM", "raise SystemExit", 2),
    (together, "_PROGRAM", "print('any answer'); print(1 / 0)", 2),
    (together, "_PROGRAM", "import time; time.sleep(1000)", 2),
]
for number, (place, name, value, processes) in enumerate(CHANGES):
    before = getattr(place, name, None)
    setattr(place, name, value)
    numba.config.CACHE_DIR = str(pathlib.Path(sys.argv[1], str(number)))
    jobs = [together.Job(together.Op(job.target.function), job.types) for job in jobs[-3:]]
    saved.clear(), started.clear()
    together.compile_together(jobs, lambda: 3)
    setattr(place, name, before)
    assert all(job.is_ready() for job in jobs), name
    assert len(saved) == 3, (name, saved)
    assert len(started) == processes, (name, started)
    assert all(process.returncode is not None for process in started), name
    assert is_alone(), name
print(len(CHANGES))
"""


def test_whatever_fails_there_is_compiled_here(tmp_path):
    assert output(tmp_path, FAIL, tmp_path) == [7]


def test_a_process_that_is_killed_costs_time_only(tmp_path):
    kill = """
compile_op = together.Op.compiled

def kill(op, dtype):
    started[0].kill()
    return compile_op(op, dtype)

together.Op.compiled = kill
"""
    assert output(tmp_path, kill + "together.compile_together(jobs, lambda: 2)" + REPORT) == [1, 5]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


HANG = """
def hang(op, dtype):
    print(started[0].pid, flush=True)
    threading.Event().wait(100)

together.Op.compiled = hang
together.compile_together(jobs, lambda: 2)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nobody_is_left_behind(tmp_path, number):
    process = start(tmp_path, HANG, start_new_session=True)
    pid = int(process.stdout.readline())
    assert is_running(pid)
    os.killpg(process.pid, number)  # as a terminal does at Ctrl-C
    _, err = process.communicate(timeout=60)
    assert err.count("Traceback") == (number == signal.SIGINT)
    limit = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_only_the_first_process_starts_others(tmp_path):
    with _first_in(tmp_path) as first:
        assert first
        with _first_in(tmp_path) as second:
            assert not second
    with _first_in(tmp_path) as first:
        assert first
    with _first_in(tmp_path / "missing") as first:
        assert not first


def test_on_a_terminal_one_line_counts(tmp_path):
    terminal, other_end = pty.openpty()
    at_once = "from fastnn.kernels.compiler import notices\nnotices.DELAY = 0.0\n"
    process = start(tmp_path, at_once + "together.compile_together(jobs, lambda: 1)" + REPORT, stderr=other_end)
    os.close(other_end)
    assert process.communicate(timeout=300)[0] == "0 5\n"
    said = os.read(terminal, 10000).decode()
    os.close(terminal)
    lines = re.split("\r(?!\n)", said)
    assert lines[0] == ""
    assert len(lines) > 2
    counts = [re.match(r"fastnn: compiling for this machine, once \((\d) of 5\) \.\.\.", line)[1] for line in lines[1:]]
    assert counts == sorted(counts)
    assert re.fullmatch(r".* \(5 of 5\) \.\.\. done in \d+ s\r\n", lines[-1])


# The list of everything.


def compiled_by(package):
    """Yield all ops, and kernels that Python calls, by the name that a module has for them."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            is_kernel = isinstance(value, Dispatcher) and isinstance(value._cache, KernelCache)
            if is_kernel or isinstance(value, Op):
                yield f"{module.name}.{name}", value


def test_everything_is_on_the_list():
    targets = {job.target for dtype in ("float32", "float64") for job in everything.jobs(dtype)}
    found = dict(compiled_by(fastnn.kernels))
    assert len(set(found.values())) > 30
    assert [name for name, value in found.items() if value not in targets] == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_on_the_list_is_found_by_its_name(dtype):
    jobs = everything.jobs(dtype)
    assert len(set(jobs)) == len(jobs)
    for job in jobs:
        module, name = job.name
        assert getattr(importlib.import_module(module), name) is job.target


def test_without_teams_there_is_no_code_for_them():
    names = [job.name[1] for job in everything.jobs(np.float64, teams=False)]
    assert "parallel" not in names
    assert "serial" in names
