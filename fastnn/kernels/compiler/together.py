"""Kernels compiled by several processes at once: the beginnings of a first training, and `fastnn.warmup`.

Numba compiles one kernel at a time in a process. Here other processes put machine code into the cache, from which this
one loads it. They may fail in any way: what is missing in the end is compiled here.
"""

import contextlib
import importlib
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import deque
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from numba import config

from fastnn.interrupts import held
from fastnn.kernels.compiler.cache import writable_folder
from fastnn.kernels.compiler.host import JIT, LEVEL
from fastnn.kernels.compiler.notices import COMPILING, Progress, say
from fastnn.kernels.compiler.policy import Op

# CPU seconds that the longest of them took to compile, rough; the others take some half a second.
SECONDS = {
    "small_examples": 7.5, "examples": 3.5, "body": 3.3, "gather": 2.8, "permute": 1.5, "gradient_over_inputs": 1.8,
    "product": 1.5, "output_loss": 1.5, "update_parameters": 1.5, "bias_gradient": 1.2, "gather_sparse": 1.2,
    "sum_terms": 1.0,
}  # fmt: skip
OTHERS_SECONDS = 0.5

# Work that pays for a process, which takes a second to start.
WORTH_SECONDS = 2.0

# A process that takes so long for the last of its kernels has come to a halt, or this one is faster.
PATIENCE_SECONDS = 120.0


class Job(NamedTuple):
    """What is to be compiled: an op and the type of its numbers, or a kernel and the numba types of its arguments."""

    target: object
    types: object

    @property
    def seconds(self):
        """Rough time that it takes."""
        return SECONDS.get(self.name[1], OTHERS_SECONDS)

    @property
    def name(self):
        """Its module, and what it is called there."""
        function = self.target.function if isinstance(self.target, Op) else self.target.py_func
        return function.__module__, function.__name__

    def is_ready(self):
        """Whether it is loaded, or in the cache."""
        target, types = self
        if isinstance(target, Op):
            return target.is_ready(types)
        return types in target.overloads or target._cache.holds(types, target.targetctx)

    def compile(self):
        """Load or compile it."""
        target, types = self
        (target.compiled if isinstance(target, Op) else target.compile)(types)


def op_jobs(ops, dtype):
    """Return the jobs of compiling ops for that type of numbers."""
    return [Job(op, op.dtype_of(dtype)) for op in ops]


# What a process executes that is started to compile, as long as there is something on its stdin.
_PROGRAM = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from fastnn.kernels.compiler.together import work
work()
"""
_DONE = b"fastnn has compiled it\n"


def work():
    """Compile what comes in on stdin, and tell on stdout when it is in the cache."""
    with contextlib.suppress(EOFError):
        while True:
            (module, name), types = pickle.load(sys.stdin.buffer)
            with contextlib.suppress(Exception):  # which the other process will meet, too
                Job(getattr(importlib.import_module(module), name), types).compile()
            sys.stdout.buffer.write(_DONE)
            sys.stdout.buffer.flush()


class _Worker(threading.Thread):
    """A process that takes jobs from a queue, and the thread that gives it these."""

    def __init__(self, queue, progress):
        super().__init__(daemon=True)
        self._queue, self._progress = queue, progress
        self.job = None  # what it is at
        # In a session of its own, Ctrl-C on the terminal does not reach it. It ends with its stdin.
        self._process = subprocess.Popen(
            [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # As they are here, whatever has changed them.
            env={**os.environ, "NUMBA_CACHE_DIR": config.CACHE_DIR, "FASTNN_SIMD": LEVEL},
        )
        try:
            self.start()
        except BaseException:
            self._end_process()
            raise

    def _send(self, message):
        self._process.stdin.write(pickle.dumps(message))
        self._process.stdin.flush()

    def run(self):
        # It may end at any moment, and so does the queue.
        with contextlib.suppress(Exception):
            self._send(sys.path)
            while True:
                self.job = job = self._queue.popleft()
                self._send((job.name, job.types))
                answer = b" "
                while answer not in (b"", _DONE):
                    answer = self._process.stdout.readline()
                if not answer:
                    break
                self.job = None
                if self._progress is not None:
                    self._progress.step()
        self.job = None

    def end(self):
        """End the process, whatever it does, and its thread."""
        self._end_process()
        self.join(1.0)

    def _end_process(self):
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()


def _is_python():
    """Whether `sys.executable` is one: applications that embed Python, or hold it in one file, may name themselves."""
    return os.path.basename(sys.executable or "").lower().startswith("python") and not getattr(sys, "frozen", False)


@contextlib.contextmanager
def _first_in(folder):
    """Say whether this process is the only one that would start others for that folder.

    A pool of processes that all begin at once has enough of them.
    """
    with contextlib.ExitStack() as stack:
        first = fcntl is not None
        if first:
            try:
                file = stack.enter_context(open(os.path.join(folder, "compiling.lock"), "wb"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                first = False
        yield first


def _missing(jobs):
    """Return the jobs that are neither loaded nor in the cache, the largest first, so that none is left at the end."""
    missing = [job for job in dict.fromkeys(jobs) if not job.is_ready()] if JIT else []
    return sorted(missing, key=lambda job: -job.seconds)


def seconds_missing(jobs):
    """CPU seconds that it will take, roughly, to compile what is neither loaded nor in the cache."""
    return sum(job.seconds for job in _missing(jobs))


class _Background(threading.Thread):
    """Other processes that compile while this one goes on; a thread waits for them, and holds the folder's lock."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self._folder, self.queue, self.workers = folder, deque(), []
        self._prepared = threading.Event()

    def run(self):
        """Start processes for what is in the queue, and end them when it is empty."""
        with _first_in(self._folder) as first:
            try:
                with contextlib.suppress(OSError, RuntimeError, MemoryError):
                    for _ in range(self.processes if first else 0):
                        self.workers.append(_Worker(self.queue, None))
            finally:
                self._prepared.set()
            for worker in self.workers:
                worker.join()
                worker.end()

    def begin(self, jobs, processes):
        """Start."""
        self.processes = processes
        self.queue.extend(jobs)
        self.start()

    def help_with(self, jobs, progress):
        """Compile those of the jobs here that no process is at, and wait for the others."""
        self._prepared.wait(PATIENCE_SECONDS)
        for job in jobs:
            if any(worker.job == job for worker in self.workers):
                continue
            with contextlib.suppress(ValueError, IndexError):  # the queue may have lost it meanwhile, or another one
                self.queue.remove(job)
            job.compile()
            progress.step()
        patience = time.monotonic() + PATIENCE_SECONDS
        while any(worker.job in jobs for worker in self.workers) and time.monotonic() < patience:
            time.sleep(0.01)


_background: _Background | None = None


def _forget_background():
    global _background
    _background = None


if hasattr(os, "register_at_fork"):
    # Its thread is not in the child.
    os.register_at_fork(after_in_child=_forget_background)


def compile_meanwhile(jobs, processes):
    """Let other processes compile the jobs that are neither loaded nor in the cache; return at once.

    processes: returns how many processes there may be at most, this one among them; one is started in any case.
    """
    global _background
    if _background is not None and _background.is_alive():
        return
    missing = _missing(jobs)
    folder = writable_folder() if missing else None
    if folder is None or not _is_python():
        return
    say(f"{COMPILING}; NumPy computes meanwhile", "compiling")
    _background = _Background(folder)
    with contextlib.suppress(RuntimeError, MemoryError):  # no thread to be had
        _background.begin(missing, max(1, processes() - 1))


def compile_together(jobs, processes):
    """Compile the jobs that are neither loaded nor in the cache, in at most as many processes as `processes` returns.

    This one is the first. Others are started for more than a few seconds of work only; without a cache nothing is done.
    """
    missing = _missing(jobs)
    folder = writable_folder() if missing else None
    if folder is None:
        return
    seconds = sum(job.seconds for job in missing)
    with Progress(len(missing)) as progress:
        if _background is not None and _background.is_alive():
            _background.help_with(missing, progress)
        else:
            with _first_in(folder) as first:
                others = 0
                if first and seconds > WORTH_SECONDS and _is_python():
                    worth = math.ceil(seconds / max(missing[0].seconds, WORTH_SECONDS))
                    others = min(processes(), worth) - 1
                _share_out(missing, others, progress)
        for job in missing:
            job.compile()


def _share_out(jobs, others, progress):
    """Compile the jobs with that many other processes, which may leave some to be compiled."""
    queue, workers = deque(jobs), []
    try:
        # There may be no room for a process, or for its thread.
        with held(), contextlib.suppress(OSError, RuntimeError, MemoryError):
            for _ in range(others):
                workers.append(_Worker(queue, progress))
        with contextlib.suppress(IndexError):
            while True:
                queue.popleft().compile()
                progress.step()
        patience = time.monotonic() + PATIENCE_SECONDS
        for worker in workers:
            worker.join(max(0.0, patience - time.monotonic()))
    finally:
        with held():
            for worker in workers:
                worker.end()
