"""Threads: every threading layer, several Python threads at once, forks, and the budget of cores."""

import importlib.util
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import numba
import numpy as np
import pytest

import fastnn
from fastnn.engine import runtime
from fastnn.kernels.program import teamwork

PARALLEL_ENTRY = """
import ctypes, sys, threading
layer = sys.argv[1]
if layer == "tbb":
    try:
        ctypes.CDLL(sys.prefix + "/lib/libtbb.so.12", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        print("no tbb")
        sys.exit()
import numba
numba.config.THREADING_LAYER = layer
import numpy as np
from fastnn import optimization, runtime
from fastnn.reference import optimization as reference

runtime.PARALLEL_WORK_NS = runtime.WORKQUEUE_WORK_NS = 0.0
regions = 0
taken = runtime._take_threads
def counting(work_ns):
    global regions
    n = taken(work_ns)
    regions += n > 1
    return n
runtime._take_threads = counting
Z = np.linspace(-9, 9, 200_003)
parameters = {"W1": np.ones((37, 51)), "b1": np.ones((37, 1)), "W2": np.ones((3, 37)), "b2": np.ones((3, 1))}
X = np.linspace(-1, 1, 51 * 333).reshape(51, 333)
want_relu, (want_a, _) = reference.relu(Z), reference.forward_propagation(X, parameters)
failures = []
def work():
    for _ in range(60):
        if not (optimization.relu(Z) == want_relu).all():
            failures.append("relu")
        if not np.allclose(optimization.forward_propagation(X, parameters)[0], want_a, rtol=1e-10):
            failures.append("forward")
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failures, failures
assert numba.threading_layer() == layer, numba.threading_layer()
print("regions", regions)
"""


@pytest.mark.needs_jit
@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_two_threads_calling_kernels_at_once_never_abort(layer):
    env = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARALLEL_ENTRY, layer],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    if result.stdout.strip() == "no tbb":
        pytest.skip("tbb cannot be loaded here" if importlib.util.find_spec("tbb") else "tbb is not installed")
    if runtime.available_threads() > 1:
        assert int(result.stdout.split()[1]) > 0, "no parallel region was entered"


def recorded(kernel_calls):
    def kernel(n_threads):
        kernel_calls.append(n_threads)
        return n_threads

    return kernel


def test_small_work_runs_serially():
    calls = []
    assert runtime.launch(recorded(calls), runtime.PARALLEL_WORK_NS - 1) == 1
    assert calls == [1]


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(runtime, "available_threads", lambda: 2)
    monkeypatch.setattr(runtime, "_serial_until", 0.0)
    monkeypatch.setattr(runtime, "_serial_only", False)
    monkeypatch.setattr(runtime, "_failures", 0)


LARGE = 1e9


def test_large_work_takes_the_threads_and_gives_them_back(two_threads):
    assert runtime.launch(recorded([]), LARGE) == 2
    assert runtime.launch(recorded([]), LARGE) == 2


def test_who_comes_second_runs_serially_and_does_not_wait(two_threads):
    inside, leave, seen = threading.Event(), threading.Event(), []

    def holder(n_threads):
        inside.set()
        leave.wait(10)
        return n_threads

    thread = threading.Thread(target=lambda: seen.append(runtime.launch(holder, LARGE)))
    thread.start()
    inside.wait(10)
    assert runtime.launch(recorded([]), LARGE) == 1
    leave.set()
    thread.join()
    assert seen == [2]
    assert runtime.launch(recorded([]), LARGE) == 2


def test_an_exception_gives_the_threads_back(two_threads):
    def failing(n_threads):
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        runtime.launch(failing, LARGE)
    assert runtime.launch(recorded([]), LARGE) == 2


def test_a_late_region_is_followed_by_serial_ones(two_threads, monkeypatch):
    import time

    def late(n_threads):
        time.sleep(0.01)
        return n_threads

    monkeypatch.setattr(runtime, "BACK_OFF_SECONDS", 0.2)
    assert runtime.launch(late, 500_000, regions=20) == 2
    assert runtime.launch(late, 500_000) == 2
    assert runtime.launch(recorded([]), LARGE) == 1
    time.sleep(0.25)
    assert runtime.launch(recorded([]), LARGE) == 2


# Teams, of which the shells are replaced.


class Shells:
    """In the place of `kernels.shells`: records on how many threads a body would run."""

    def __init__(self):
        self.calls = []
        self.masks = []
        self.team = np.zeros(teamwork.new_team().size, np.int64)
        self.result = {teamwork.STATE: teamwork.GOING}
        self.during = None

    def serial(self, entry, table):
        self.calls.append(1)

    def parallel(self, entry, table, n):
        self.calls.append(n)
        self.masks.append(numba.get_num_threads())
        assert not self.team.any(), "the team was not reset"
        for field, value in self.result.items():
            self.team[field] = value
        if self.during is not None:
            self.during()

    def run(self, n_wanted=8):
        return runtime.run_team(None, None, self.team, n_wanted)


class Clock:
    """In the place of `time`; moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def perf_counter_ns(self):
        return int(self.now * 1e9)


@pytest.fixture
def four_threads(two_threads, monkeypatch):
    monkeypatch.setattr(runtime, "available_threads", lambda: 4)
    monkeypatch.setattr(runtime.numba.config, "DISABLE_JIT", 0)
    masks = [7]
    fake = types.SimpleNamespace(
        config=numba.config,
        get_num_threads=lambda: masks[-1],
        set_num_threads=masks.append,
        threading_layer=lambda: "omp",
    )
    monkeypatch.setattr(runtime, "numba", fake)
    monkeypatch.setattr(runtime, "parallel", types.SimpleNamespace(_get_num_threads=fake.get_num_threads))
    monkeypatch.setattr(sys.modules[__name__], "numba", fake)
    monkeypatch.setattr(runtime, "_spent_ns", 0)
    monkeypatch.setattr(runtime, "_lost_ns", 0)
    return fake


@pytest.fixture
def shells(four_threads, monkeypatch):
    shells = Shells()
    monkeypatch.setattr(runtime, "shells", shells)
    return shells


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runtime, "time", clock)
    return clock


def test_a_team_gets_what_it_wants_up_to_what_there_is(shells):
    assert shells.run(3) == (3, runtime.ENDED)
    assert shells.run(8) == (4, runtime.ENDED)
    assert shells.run(1) == (1, runtime.ENDED)
    assert shells.calls == [3, 4, 1]


def test_the_mask_is_the_teams_and_then_the_callers_again(shells, four_threads):
    shells.run(3)
    assert shells.masks == [3]
    assert four_threads.get_num_threads() == 7

    def fail():
        raise RuntimeError("inside")

    shells.during = fail
    with pytest.raises(RuntimeError, match="inside"):
        shells.run(2)
    assert four_threads.get_num_threads() == 7
    assert runtime._held == {}


def in_another_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_a_training_keeps_its_core_between_slices(shells, four_threads):
    with runtime.claimed_core(), runtime.claimed_core():
        assert shells.run(4) == (4, runtime.ENDED)
        assert in_another_thread(lambda: shells.run(4)) == (3, runtime.ENDED)

        def with_a_third():
            with runtime.claimed_core():
                return in_another_thread(lambda: shells.run(4))

        assert in_another_thread(with_a_third) == (2, runtime.ENDED)
    assert in_another_thread(lambda: shells.run(4)) == (4, runtime.ENDED)
    assert runtime._claims == {}


@pytest.mark.parametrize(("layer", "second"), [("omp", 2), ("tbb", 2), ("workqueue", 1)])
def test_cores_that_are_left_serve_a_second_team(shells, four_threads, layer, second):
    four_threads.threading_layer = lambda: layer
    others = Shells()

    def run_others():
        shells.parallel = others.parallel
        return runtime.run_team(None, None, others.team, 4)

    results = []
    shells.during = lambda: results.append(in_another_thread(run_others))
    assert shells.run(2) == (2, runtime.ENDED)
    assert results == [(second, runtime.ENDED)]


def test_a_serial_run_holds_a_core(shells, monkeypatch):
    seen = []
    parallel = Shells()

    def serial(entry, table):
        seen.append(in_another_thread(lambda: runtime.run_team(None, None, parallel.team, 4)))

    monkeypatch.setattr(shells, "serial", serial)
    monkeypatch.setattr(shells, "parallel", parallel.parallel)
    shells.run(1)
    assert seen == [(3, runtime.ENDED)]


@pytest.mark.parametrize(
    ("result", "how"),
    [
        ({teamwork.STATE: teamwork.ABORTED}, runtime.ABORTED),
        ({teamwork.STATE: teamwork.GOING, teamwork.LEAVING: 1}, runtime.LEFT),
    ],
)
def test_after_a_failure_runs_are_serial_for_longer_and_longer(shells, clock, result, how):
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        shells.result = result
        assert shells.run(2) == (2, how)
        clock.now += 0.99 * pause
        assert shells.run(2) == (1, runtime.ENDED)
        clock.now += 0.02 * pause
    shells.result = {teamwork.STATE: teamwork.GOING}
    shells.during = lambda: setattr(clock, "now", clock.now + 0.02)
    assert shells.run(2) == (2, runtime.ENDED)
    shells.result, shells.during = result, None
    shells.run(2)
    clock.now += 0.051
    assert shells.run(2) == (2, how), "a run to the end does not bring back the short pause"


@pytest.mark.parametrize(("lost", "calls"), [(0.9, [3, 3, 3, 1]), (0.5, [3, 3, 3, 3])])
def test_short_runs_are_judged_together(shells, clock, lost, calls):
    # Four milliseconds each: none lasts until its team would break up.
    shells.result = {teamwork.STATE: teamwork.GOING, teamwork.LOST: int(lost * 2 * 4e6)}
    shells.during = lambda: setattr(clock, "now", clock.now + 0.004)
    for _ in range(4):
        assert shells.run(3)[1] == runtime.ENDED
    assert shells.calls == calls


def test_without_jit_teams_are_of_one(shells, monkeypatch):
    monkeypatch.setattr(runtime.numba.config, "DISABLE_JIT", 1)
    assert shells.run(4) == (1, runtime.ENDED)


@pytest.mark.needs_jit
def test_the_mask_of_numba_is_a_ceiling():
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert runtime.available_threads() == 1
    finally:
        numba.set_num_threads(before)


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this platform")
def test_affinity_is_a_ceiling():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " \
        "from fastnn.engine.runtime import available_threads; print(available_threads())"  # fmt: skip
    env = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"


LOAD_TBB = """
import ctypes, sys
if sys.argv[1] == "tbb":
    try:
        ctypes.CDLL(sys.prefix + "/lib/libtbb.so.12", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        print("no tbb")
        sys.exit()
"""

FORKS = """
import os, signal, threading
import numba
numba.config.THREADING_LAYER = sys.argv[1]
import numpy as np
import fastnn
from fastnn import runtime

X = np.random.default_rng(0).standard_normal((100, 700))

def train():
    net = fastnn.Network([100, 60, 40, 1], seed=0)
    fastnn.train(net, X, X[:1], epochs=2, batch_size=256, seed=0, n_threads=2)
    return net.vector

def train_on():
    while not done:
        train()

want, done = train(), False
assert numba.threading_layer() == sys.argv[1]
thread = threading.Thread(target=train_on)
thread.start()
codes = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if (train() == want).all() and runtime._serial_only == (sys.argv[1] != "workqueue") else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done = True
thread.join()
print(codes)
"""


def two_threads_in_a_process(code, *arguments, **environment):
    env = {**os.environ, "NUMBA_NUM_THREADS": "2", **environment}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{result.returncode}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_children_forked_while_another_thread_trains_train_too(layer):
    printed = two_threads_in_a_process(LOAD_TBB + FORKS, layer)
    if printed == "no tbb":
        pytest.skip("tbb cannot be loaded here")
    assert printed.splitlines()[-1] == str([0] * 8)  # behind what numba says of TBB


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_forked_while_another_thread_compiles_is_not_locked_out():
    code = """
import os, signal, threading, time
import numba, numpy as np
import fastnn
net = fastnn.Network([3, 5, 1], seed=1)
want, done = net.predict(np.ones((3, 9))), False

def compile_on():
    while not done:
        numba.njit(lambda x: x + 1)(1)

def ask_on():
    while not done:
        numba.get_num_threads()

threads = [threading.Thread(target=f) for f in (compile_on, ask_on)]
for thread in threads: thread.start()
time.sleep(0.5)
codes = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        f = numba.njit(lambda x: x + 2)
        again = fastnn.Network([3, 5, 1], seed=1).predict(np.ones((3, 9)))
        os._exit(0 if f(1) == 3 and (again == want).all() else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done = True
for thread in threads: thread.join()
print(codes)
"""
    assert two_threads_in_a_process(code) == str([0] * 6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_ctrl_c_while_a_fork_waits_leaves_no_lock_taken():
    code = """
import os, signal, sys, threading, time
import fastnn.engine.runtime as runtime
signal.signal(signal.SIGINT, signal.default_int_handler)
first, second, last = runtime._foreign_locks
inside, codes = threading.Event(), []

def take(lock, event, seconds):
    with lock:
        event.set()
        time.sleep(seconds)

sys.unraisablehook = lambda hook: codes.append(hook.exc_type.__name__)
for lock in (first, second, last):
    thread = threading.Thread(target=take, args=(lock, inside, 0.6))
    thread.start()
    inside.wait()
    inside.clear()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = runtime._lock
    child = os.fork()
    if child == 0:
        os._exit(0 if runtime._lock is not before else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    thread.join()
free = [threading.Event() for _ in range(3)]
for lock, event in zip((first, second, last), free):
    threading.Thread(target=take, args=(lock, event, 0), daemon=True).start()
print(codes, [event.wait(5) for event in free], flush=True)
os._exit(0)
"""
    assert two_threads_in_a_process(code) == str(["KeyboardInterrupt", 0] * 3) + " " + str([True] * 3)


# Threads with small stacks.

SMALL_STACKS = """
import sys, threading
import numpy as np
import fastnn

def train():
    for sizes in ([70, 64, 64, 3], [100, 200, 150, 3]):  # one by each plan, with copies of columns of weights
        X = np.random.default_rng(0).standard_normal((sizes[0], 700))
        net = fastnn.Network(sizes, "gelu", output="softmax", seed=0)
        trainer = fastnn.Trainer(net, dropout=0.2, clip_norm=1.0, n_threads=2, seed=0)
        trainer.fit(X, np.arange(700) % 3, epochs=2, batch_size=None)
        A, cache = net.forward(X)
        net.backward(A, cache)
    print("done")

if sys.argv[1] == "main":
    train()
else:
    threading.stack_size(int(sys.argv[1]) << 10)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
"""


@pytest.mark.needs_jit
@pytest.mark.parametrize("kilobytes", [64, 128])
def test_threads_of_a_team_need_little_stack(kilobytes):
    assert two_threads_in_a_process(SMALL_STACKS, "main", OMP_STACKSIZE=f"{kilobytes}k") == "done"


@pytest.mark.needs_jit
@pytest.mark.slow
def test_threads_of_python_compile_on_a_larger_stack(tmp_path):
    code = SMALL_STACKS.replace("([70, 64, 64, 3], [100, 200, 150, 3])", "([7, 6, 3],)")
    assert two_threads_in_a_process(code, 64, NUMBA_CACHE_DIR=str(tmp_path)) == "done"


@pytest.mark.needs_jit
def test_threads_of_python_need_little_stack():
    assert two_threads_in_a_process(SMALL_STACKS, 64) == "done"


# Control groups.


def control_groups(folder, groups, mounts, files):
    """Make a process's files and the trees that they name; a quota's file is written as its content says."""
    process = folder / "proc"
    process.mkdir()
    (process / "cgroup").write_text("".join(f"{line}\n" for line in groups))
    lines = ["23 1 0:21 / /proc rw,relatime shared:5 - proc proc rw"]
    for root, point, kind, options in mounts:
        (folder / point).mkdir(parents=True, exist_ok=True)
        escaped = str(folder / point).replace(" ", "\\040")
        lines.append(f"31 23 0:28 {root} {escaped} rw,relatime shared:9 - {kind} cgroup {options}")
    (process / "mountinfo").write_text("\n".join(lines) + "\n")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return process


V2 = [("/", "fs", "cgroup2", "rw")]
V1 = [("/", "fs/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"), ("/", "fs/memory", "cgroup", "rw,memory")]
HYBRID = [*V1, ("/", "fs/unified", "cgroup2", "rw")]


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "wanted"),
    [
        (["0::/"], V2, {}, sys.maxsize),
        (["0::/"], V2, {"fs/cpu.max": "max 100000"}, sys.maxsize),
        (["0::/a/b"], V2, {"fs/a/b/cpu.max": "60000 100000"}, 1),
        (["0::/a/b"], V2, {"fs/a/b/cpu.max": "max 100000", "fs/a/cpu.max": "250000 100000"}, 3),
        (["0::/a/b"], V2, {"fs/a/b/cpu.max": "400000 100000", "fs/a/cpu.max": "200000 100000"}, 2),
        (["0::/a"], V2, {"fs/a/b/cpu.max": "100000 100000"}, sys.maxsize),
        (["0::/a"], V2, {"fs/a/cpu.max": "nonsense"}, sys.maxsize),
        (["0::/../.."], V2, {"fs/cpu.max": "100000 50000"}, 2),
        (["0::/docker/x/y"], [("/docker/x", "fs", "cgroup2", "rw")], {"fs/y/cpu.max": "150000 100000"}, 2),
        (["0::/docker/x"], [("/docker/x", "fs", "cgroup2", "rw")], {"fs/cpu.max": "150000 100000"}, 2),
        (["0::/a"], [("/", "with space", "cgroup2", "rw")], {"with space/a/cpu.max": "100000 100000"}, 1),
        (
            ["3:cpu,cpuacct:/a/b", "2:memory:/c", "0::/"], HYBRID,
            {"fs/cpu,cpuacct/a/cpu.cfs_quota_us": "60000", "fs/cpu,cpuacct/a/cpu.cfs_period_us": "100000"}, 1,
        ),
        (
            ["3:cpu,cpuacct:/a/b", "0::/"], HYBRID,
            {
                "fs/cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1", "fs/cpu,cpuacct/a/b/cpu.cfs_period_us": "100000",
                "fs/cpu,cpuacct/cpu.cfs_quota_us": "310000", "fs/cpu,cpuacct/cpu.cfs_period_us": "100000",
            }, 4,
        ),
        (["2:memory:/a"], V1, {"fs/memory/a/cpu.cfs_quota_us": "1", "fs/memory/a/cpu.cfs_period_us": "1"}, sys.maxsize),
        ([], V1, {"fs/cpu,cpuacct/cpu.cfs_quota_us": "2", "fs/cpu,cpuacct/cpu.cfs_period_us": "1"}, 2),
    ],
)  # fmt: skip
def test_the_strictest_quota_of_all_groups_holds(tmp_path, groups, mounts, files, wanted):
    assert runtime._cgroup_quota(control_groups(tmp_path, groups, mounts, files)) == wanted


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert runtime._cgroup_quota(tmp_path) == sys.maxsize
    (tmp_path / "cgroup").write_text("nonsense")
    (tmp_path / "mountinfo").write_text("nonsense")
    assert runtime._cgroup_quota(tmp_path) == sys.maxsize


@pytest.fixture
def nested_group():
    """A control group two levels down, whose parent has 0.6 of a processor."""
    trees = [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup")]
    tree = next((tree for tree in trees if (tree / "cgroup.procs").exists()), None)
    if tree is None:
        pytest.skip("no control groups here")
    outer = tree / f"fastnn-{os.getpid()}"
    groups = [outer, outer / "inner"]
    try:
        for group in groups:
            group.mkdir()
        if (outer / "cpu.max").exists():
            (outer / "cpu.max").write_text("60000 100000")
        else:
            (outer / "cpu.cfs_period_us").write_text("100000")
            (outer / "cpu.cfs_quota_us").write_text("60000")
        yield groups[1]
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    finally:
        for group in reversed(groups):
            if group.exists():
                group.rmdir()


def test_a_quota_on_the_parent_of_a_real_group_is_seen(nested_group):
    code = f"""
import os
with open({str(nested_group / "cgroup.procs")!r}, "w") as processes:
    processes.write(str(os.getpid()))
from fastnn import runtime
print(runtime._cgroup_quota(), runtime.available_threads())
"""
    assert two_threads_in_a_process(code) == "1 1"


@pytest.mark.needs_jit
def test_large_training_in_two_threads_has_the_bits_of_a_lone_run():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((100, 700)), (rng.random((1, 700)) < 0.5) * 1.0

    # Not the course's `model`, whose first weights come from NumPy's one global stream, which threads share.
    def train():
        net = fastnn.Network([100, 60, 40, 1], output="sigmoid", seed=0)
        fastnn.train(net, X, Y, epochs=5, batch_size=256, seed=0)
        return net.vector

    alone = train()
    results = []
    threads = [threading.Thread(target=lambda: results.append(train())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, alone)
    assert len(results) == 2


# Settings.


def test_show_config_prints_what_it_returns(capsys):
    assert fastnn.show_config() is None
    printed = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: value.strip() for name, value in printed.items()} == fastnn.show_config("dicts")
    assert printed["NumPy"].strip() == np.__version__
    assert 1 <= int(printed["threads"]) <= os.cpu_count()
    with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', got 'json'"):
        fastnn.show_config("json")


def test_show_config_leaves_the_threading_layer_open():
    code = "import fastnn, numba; print(fastnn.show_config('dicts')['threading layer']); numba.threading_layer()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "not chosen yet\n"
    assert "Threading layer is not initialized" in result.stderr


# Warming up.

WARM = """
import numpy as np
from numba.core import event
import fastnn
from fastnn.kernels import policy
from fastnn.regularization import model as regularized
from fastnn.optimization import model

fastnn.warmup()

def look_up(self, sig, target_context):
    raise AssertionError(f"{self._py_func.__name__} was not warmed up for {sig}")

policy.KernelCache.load_overload = look_up
with event.install_recorder("numba:run_pass") as passes:
    fastnn.warmup()
    again = len(passes.buffer)
    X = np.random.RandomState(0).randn(2, 40)
    Y = (X[:1] > 0).astype(int)
    for dtype, output, activation in [("float32", "softmax", "relu"), ("float64", "sigmoid", "tanh")]:
        net = fastnn.Network([2, 70, 5, 2 if output == "softmax" else 1], activation, output, dtype=dtype)
        trainer = fastnn.Trainer(net, dropout=0.5, l2=0.1, clip_norm=1.0, n_threads=-1)
        trainer.fit(X, Y[0], epochs=3, batch_size=7, validation=(X, Y[0]))
        trainer.step(X, Y[0])
        net.predict(X)
        for example in (X[:, 0], X[:, 0].astype(dtype), np.broadcast_to(net.dtype.type(1), 2)):
            net.predict_one(example)
        A, cache = net.forward(X)
        net.backward(A, cache)
        assert fastnn.gradient_check(trainer, X, Y[0]) < 1e-2
    model(X, Y, [2, 5, 2, 1], "adam", mini_batch_size=7, num_epochs=3, print_cost=False)
    regularized(X, Y, num_iterations=3, keep_prob=0.8, print_cost=False)
print(again, len(passes.buffer))
"""


@pytest.mark.needs_jit
def test_warmup_leaves_nothing_to_compile():
    result = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=300)
    assert result.stdout == "0 0\n", result.stderr


def test_warmup_of_other_types():
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got 'float16'"):
        fastnn.warmup("float16")
