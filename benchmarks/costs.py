"""What dropout, tanh, threads, threading layers, single calls and first runs cost: sections of `benchmarks.peers`."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import ceiling, common, course_models, nets, rivals, rows, startup, worker

LAYERS = ("omp", "tbb", "workqueue")

FIRST_TRAINING = """
import numpy as np, fastnn
X = np.random.default_rng(0).standard_normal((64, 1797))
net = fastnn.Network([64, 64, 10], output="softmax", seed=0)
fastnn.train(net, X, np.arange(1797) % 10, epochs=2, batch_size=64, optimizer=fastnn.Adam(1e-3))
"""


def _ratio(nets_by_name, rounds, seconds):
    """Median over rounds of how much longer a step of the second takes than one of the first; print both."""
    with worker.team([("fastnn", net) for net in nets_by_name.values()]) as workers:
        columns = {name: (each, "None") for name, each in zip(nets_by_name, workers, strict=True)}
        for each in workers:
            each.settle("None", seconds)
        measured = worker.in_turns(columns, rounds)
    first, second = measured.values()
    texts = [f"{name} {1e6 * statistics.median(times):.4g} us" for name, times in measured.items()]
    return statistics.median(b / a for a, b in zip(first, second, strict=True)), ", ".join(texts)


def dropout(rounds, seconds):
    """Dropout 0.2 over none, a step."""
    for net, limit in ((nets.WIDE, 0.12), (nets.DIGITS, 0.25)):
        ratio, text = _ratio({"without": net, "with": net.but(dropout=0.2)}, rounds, seconds)
        _judge(f"{net.name}: {100 * (ratio - 1):+.1f} % ({text})", ratio - 1 <= limit, f"at most {100 * limit:.0f} %")


def tanh(rounds, seconds):
    """Tanh over relu, a step."""
    ratio, text = _ratio({"relu": nets.WIDE, "tanh": nets.WIDE.but(hidden="tanh")}, rounds, seconds)
    _judge(f"{nets.WIDE.name}: {100 * (ratio - 1):+.1f} % ({text})", ratio <= 1.15, "at most 15 %")


def _judge(text, met, limit):
    print(f"  {text}: {limit}{'' if met else ', MISSED'}", flush=True)


def _tbb_folder():
    """Where a package of this environment keeps TBB; numba itself looks in the system's folders only."""
    folder = Path(sys.prefix) / "lib"
    return str(folder) if (folder / "libtbb.so.12").exists() else ""


def layers(rounds, seconds):
    """Threading layers side by side, all cores, us a step; they also have to give the same losses."""
    environments = {layer: {"NUMBA_THREADING_LAYER": layer} for layer in LAYERS}
    environments["tbb"]["LD_LIBRARY_PATH"] = _tbb_folder()
    load = [sys.executable, "-c", "import ctypes; ctypes.CDLL('libtbb.so.12')"]
    if subprocess.run(load, env={**os.environ, **environments["tbb"]}, capture_output=True).returncode:
        print("  tbb is left out: libtbb.so.12 cannot be loaded here")
        del environments["tbb"]
    setting = str(ceiling.cores())
    for net in (nets.DIGITS, nets.WIDE):
        with worker.team([("fastnn", net, environment) for environment in environments.values()]) as workers:
            losses = {tuple(each.check(setting, 3)) for each in workers}
            if len(losses) != 1:
                raise worker.Failure(f"{net.name}: the layers {list(environments)} have different losses: {losses}")
            for layer, each in zip(environments, workers, strict=True):
                each.settle(setting, seconds)
                if not each.version.endswith(layer):
                    raise worker.Failure(f"asked for {layer}, but this runs: {each.version}")
            columns = {layer: (each, setting) for layer, each in zip(environments, workers, strict=True)}
            measured = worker.in_turns(columns, rounds)
        medians = {layer: statistics.median(times) for layer, times in measured.items()}
        spread = max(medians.values()) / min(medians.values()) - 1
        texts = ", ".join(f"{layer} {1e6 * median:.4g}" for layer, median in medians.items())
        _judge(f"{net.name}: {texts}, {100 * spread:.1f} % apart", spread <= 0.10, "at most 10 %")


def threads_note(own):
    """What threads gain, and what n_threads=None loses against the best fixed setting: medians over the rounds."""
    fixed = [times for setting, times in own.items() if setting != "None"]
    gain = statistics.median(one / many for one, many in zip(fixed[0], fixed[-1], strict=True))
    loss = statistics.median(none / min(others) - 1 for none, *others in zip(own["None"], *fixed, strict=True))
    return f"{list(own)[-2]} threads {gain:.2f}x over 1; None {100 * loss:+.0f} % against the best fixed setting"


def threads(rounds, seconds):
    """All cores over one, and n_threads=None over the best fixed setting, a step; no rivals."""
    for row in rows.ROWS:
        with worker.team([("fastnn", row.net)]) as (ours,):
            for setting in ours.settings:
                ours.settle(setting, seconds)
            measured = worker.in_turns({setting: (ours, setting) for setting in ours.settings}, rounds)
        need = 1.85 if row.net.wide else 1.7 if row.net == nets.DIGITS else 0
        *fixed, _ = measured.values()
        gain = statistics.median(one / many for one, many in zip(fixed[0], fixed[-1], strict=True))
        texts = ", ".join(f"{s} {1e6 * statistics.median(times):.4g}" for s, times in measured.items())
        limit = f"at least {need}x" if need else "no need stated"
        _judge(f"{row.net.name}: {texts} us; {threads_note(measured)}", gain >= need, limit)


def calls(rounds, seconds):
    """`predict_one`, and `trainer.step` over the engine's own time for the same batches."""
    for setting in ("1", "None"):
        side = rivals.Fastnn(nets.DIGITS.but(m=28 * 64))
        trainer = side.trainer(setting)
        step = _call_seconds(trainer.step, side.X[:, :64].copy(), side.Y[:64], rounds=rounds)
        own = statistics.median(side.train(setting, 100)[0] / (100 * side.net.steps) for _ in range(rounds))
        text = f"n_threads={setting}: trainer.step {1e6 * step:.1f} us, a step within fit {1e6 * own:.1f}"
        _judge(text, step - own <= 10e-6, "at most 10 us between them")
    one = _call_seconds(trainer.network.predict_one, side.X[:, 0].copy(), rounds=rounds)
    _judge(f"predict_one {1e6 * one:.2f} us", one <= 3e-6, "at most 3 us")


def _call_seconds(function, *arguments, rounds):
    return common.seconds(lambda: function(*arguments), rounds=rounds)


def first(rounds, seconds):
    """Seconds of a whole process that trains [64, 64, 10] for two epochs, bytecode compiled."""
    startup.python(FIRST_TRAINING)  # leaves bytecode behind

    def process(folder):
        begin = time.perf_counter()
        startup.python(FIRST_TRAINING, NUMBA_CACHE_DIR=folder)
        return time.perf_counter() - begin

    with tempfile.TemporaryDirectory() as folder:
        cold = process(folder)
        warm = statistics.median(process(folder) for _ in range(min(5, rounds)))
    _judge(f"cold {cold:.1f}", cold <= 12, "at most 12, aim for 6")
    _judge(f"warm {warm:.2f}", warm <= 1.5, "at most 1.5")


def course(rounds, seconds):
    """The course's `model` runs: times over the NumPy reference."""
    for name, run in course_models.RUNS.items():
        suite = course_models.Models()
        suite.setup(name)
        ratio = suite.track_speedup_over_numpy(name)
        need = 15 if run.steps_an_epoch == 1 else 100 if name == "adam" else 60
        _judge(f"{name}: {ratio:.0f}x", ratio >= need, f"at least {need}x")


SECTIONS = {each.__name__: each for each in (dropout, tanh, threads, layers, calls, first, course)}
