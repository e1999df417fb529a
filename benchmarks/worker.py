"""One side in a process of its own, so that the threads of one do not spin while another is measured."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

FOREIGN = ("OPENBLAS_", "GOTO_", "MKL_", "OMP_", "GOMP_", "KMP_", "XLA_", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")
CLEARED = "FASTNN_BENCHMARKS_CLEARED"
# Threads of a pool go on spinning for some 20 ms after their work.
REST_SECONDS = 0.1
# Cores that other processes may take.
QUIET = 0.05


class Failure(Exception):
    """A side that could not do its part."""


def run_clean(module):
    """Start the program again without the variables that slow one side or another, and record them."""
    names = [name for name in os.environ if name.startswith(FOREIGN) or name == "PYTHONDONTWRITEBYTECODE"]
    if names:
        cleared = " ".join(f"{name}={os.environ.pop(name)}" for name in sorted(names))
        os.environ[CLEARED] = cleared
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])
    return os.environ.get(CLEARED, "nothing")


def _answers(side):
    """Serve requests, each a dict, until the end; the first yield takes the first request."""
    epochs = {}
    checks = None
    request = yield {"version": side.version(), "settings": list(side.settings)}
    while True:
        setting = request["setting"]
        if request["do"] == "check":
            checks = checks or type(side)(side.net.for_checks())
            answer = {"losses": list(map(float, checks.train(setting, request["epochs"])[1]))}
        elif request["do"] == "settle":
            answer = {"step": _settle(side, setting, request["seconds"], epochs)}
        else:
            answer = {"step": _step_seconds(side, setting, epochs[setting])}
        request = yield answer | {"version": side.version()}


def _step_seconds(side, setting, epochs):
    seconds, _ = side.train(setting, epochs)
    return seconds / (epochs * side.net.steps)


def _settle(side, setting, seconds, epochs):
    """Choose how many epochs fill the time; return a step's seconds."""
    if setting not in epochs:
        side.train(setting, 1)  # compiles, wakes threads
    count = 1
    while True:
        step = _step_seconds(side, setting, count)
        lasts = step * side.net.steps * count
        if lasts > 0.7 * seconds:
            break
        epochs[setting] = count = max(count + 1, round(count * seconds / lasts))
    epochs[setting] = count
    return step


def main():
    """Answer requests on standard input, a line of JSON each; whatever a library prints goes to standard error."""
    from benchmarks import nets, rivals

    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    net = nets.Net(**{key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(sys.argv[2]).items()})
    try:
        side = rivals.SIDES[sys.argv[1]](net)
        answers = _answers(side)
        print(json.dumps(next(answers)), file=channel)
        for line in sys.stdin:
            print(json.dumps(answers.send(json.loads(line))), file=channel)
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}), file=channel)
    except Exception:
        print(json.dumps({"failure": traceback.format_exc()}), file=channel)


class Worker:
    """The other end: starts the process of one side and asks it."""

    def __init__(self, side, net, environment=None):
        self.side, self.net = side, net
        self._stack = contextlib.ExitStack()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._stack.enter_context(self._errors)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", side, json.dumps(dataclasses.asdict(net))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            cwd=Path(__file__).parents[1], env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self._process = self._stack.enter_context(process)
        answer = self._answer()
        self.missing = answer.get("missing")
        self.settings = answer.get("settings", [])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise Failure(f"{self.side} on {self.net.name} died:\n{self._errors.read()[-2000:]}")
        answer = json.loads(line)
        if "failure" in answer:
            raise Failure(f"{self.side} on {self.net.name} failed:\n{answer['failure']}")
        self.version = answer.get("version", f"{self.side}: no {answer.get('missing')} here")
        return answer

    def _ask(self, do, setting, **more):
        print(json.dumps({"do": do, "setting": setting, **more}), file=self._process.stdin, flush=True)
        return self._answer()

    def check(self, setting, epochs):
        """Losses of some epochs over few examples in order."""
        return self._ask("check", setting, epochs=epochs)["losses"]

    def settle(self, setting, seconds):
        """Let it choose how many epochs a measurement takes; return a step's seconds."""
        return self._ask("settle", setting, seconds=seconds)["step"]

    def measure(self, setting):
        """Seconds a step."""
        time.sleep(REST_SECONDS)
        return self._ask("measure", setting)["step"]

    def close(self):
        self._stack.close()

    def seconds_used(self):
        """Processor seconds that the process has used so far."""
        return _processor_seconds(f"/proc/{self._process.pid}/stat", slice(13, 15))


@contextlib.contextmanager
def team(members):
    """Start a worker for each (side, net) or (side, net, environment); they end with the block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Worker(*member)) for member in members]


def in_turns(columns, rounds):
    """Measure every (worker, setting) of a dict in each round; return {column: [seconds a step]}."""
    measured = {column: [] for column in columns}
    for _ in range(rounds):
        for column, (worker, setting) in columns.items():
            measured[column].append(worker.measure(setting))
    return measured


def _processor_seconds(path, fields):
    """Sum the fields of the first line of a file of Linux; 0 elsewhere."""
    try:
        line = Path(path).read_text().splitlines()[0]
    except OSError:
        return 0.0
    # A process's name, in brackets, may contain spaces.
    before, _, after = line.rpartition(")")
    texts = [*before.split(" ", 1), *after.split()] if before else line.split()
    return sum(map(int, texts[fields])) / os.sysconf("SC_CLK_TCK")


class Load:
    """What other processes take of the processor from now until it is printed."""

    def __init__(self, workers):
        self.workers = workers
        self.begin = time.perf_counter(), self._foreign()

    def _foreign(self):
        total = _processor_seconds("/proc/stat", slice(1, 4)) + _processor_seconds("/proc/stat", slice(6, 9))
        own = _processor_seconds("/proc/self/stat", slice(13, 15))
        return total - own - sum(worker.seconds_used() for worker in self.workers)

    def __str__(self):
        begin, foreign = self.begin
        busy = (self._foreign() - foreign) / (time.perf_counter() - begin)
        warning = " (NOT QUIET: do not quote)" if busy > QUIET else ""
        return f"others kept {max(0.0, busy):.2f} cores busy{warning}"


if __name__ == "__main__":
    main()
