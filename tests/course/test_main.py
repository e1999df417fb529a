"""The main job: `python -m fastnn`, its command line, table and figures."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import published
import pytest
from main_cases import PUBLISHED, cut_short, table

import fastnn
from fastnn.__main__ import main
from fastnn.course.experiments import EXPERIMENTS

pytest.importorskip("sklearn")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")


@pytest.fixture
def short(monkeypatch, tmp_path):
    return cut_short(monkeypatch, tmp_path)


FIGURES = ("costs.png", "boundaries.png")

CORE_LIBRARIES = ("numpy", "numpy.libs", "numba", "llvmlite", "llvmlite.libs")


def command(*arguments):
    return [sys.executable, "-m", "fastnn", *map(str, arguments)]


def process(*arguments, cwd, **options):
    """Run the main job as a user does, in a folder without data sets."""
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=300, **options)


def png_size(file):
    """Decode a whole PNG, and return its size after seeing that it shows something."""
    from matplotlib.image import imread

    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = imread(file)
    assert np.ptp(pixels[..., :3]) > 0.5
    return pixels.shape[1], pixels.shape[0]


# The whole job


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Run all thirteen experiments once, on the real football data where it is at hand."""
    folder = tmp_path_factory.mktemp("whole")
    try:
        options = ["--data", published.football_file()]
    except pytest.skip.Exception:
        options = []
    return folder, options, process("--no-reference", *options, cwd=folder)


@pytest.mark.needs_jit
def test_whole_job_prints_the_published_accuracies(whole):
    _, options, done = whole
    assert done.returncode == 0, done.stderr
    rows = table(done.stdout)
    assert list(rows) == list(EXPERIMENTS)
    for name, (marked, (_, train, test, time, speed_up, part)) in rows.items():
        run = published.RUNS[PUBLISHED.get(name, name)]
        assert float(time.removesuffix(" ms")) > 0
        assert (speed_up, part) == ("-", "-")
        assert marked == (run.data == "football" and not options)
        if marked:
            continue
        assert train == f"{run.train_accuracy:.5f}"
        assert test == ("-" if run.test_accuracy is None else f"{run.test_accuracy:.5f}")
    assert ("* stand-in data: datasets/data.mat was not found" in done.stdout) == (not options)


@pytest.mark.needs_jit
def test_whole_job_prints_the_last_recorded_costs(whole):
    rows = table(whole[2].stdout)
    assert rows["zeros"][1][0] == "0.693147"
    assert rows["he"][1][0] == "0.073579"
    assert np.isfinite([float(cells[0]) for _, cells in rows.values()]).all()


@pytest.mark.needs_jit
def test_whole_job_keeps_table_and_bar_apart(whole):
    _, _, done = whole
    assert max(map(len, done.stdout.splitlines())) <= 110
    assert "%" not in done.stdout
    assert "\r" not in done.stdout
    assert "100% |" in done.stderr
    assert "final cost" not in done.stderr
    assert f"Numba {numba.__version__}" in done.stdout.splitlines()[0]
    assert "Warning" not in done.stderr


@pytest.mark.needs_jit
def test_whole_job_writes_figures_and_names_them(whole):
    folder, _, done = whole
    assert done.stdout.splitlines()[-1] == "figures in fastnn-results: costs.png, boundaries.png"
    assert sorted(file.name for file in (folder / "fastnn-results").iterdir()) == sorted(FIGURES)
    width, height = png_size(folder / "fastnn-results" / "costs.png")
    assert width > 3 * height  # four panels side by side
    assert min(png_size(folder / "fastnn-results" / "boundaries.png")) > 1000


@pytest.mark.needs_jit
def test_reference_is_timed_in_the_same_run(tmp_path):
    done = process("--experiment", "adam-decay", "--threads", 1, "--output", tmp_path / "a b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ((_, cells),) = table(done.stdout).values()
    assert float(cells[4].removesuffix("x")) > 2
    assert re.fullmatch(r"1/\d+", cells[5])
    assert "up to 1 thread;" in done.stdout
    assert all((tmp_path / "a b" / name).is_file() for name in FIGURES)


@pytest.mark.needs_jit
def test_needs_neither_pyplot_nor_display(tmp_path):
    code = (
        "import sys; from fastnn.__main__ import main;"
        "code = main(['--experiment', 'gd-decay', '--no-reference']);"
        "sys.exit(code or 'matplotlib.pyplot' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, env={**environment, "MPLBACKEND": "tkagg"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.needs_jit
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("seen", ["compiling", "tim|train"])
def test_ctrl_c_ends_with_one_line(tmp_path, seen):
    with subprocess.Popen(
        command(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # A parent in the background of a shell ignores SIGINT, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as child:  # fmt: skip
        try:
            text = b""
            while not re.search(seen.encode(), text):
                chunk = os.read(child.stderr.fileno(), 4096)
                assert chunk, text
                text += chunk
            child.send_signal(signal.SIGINT)
            printed, rest = child.communicate(timeout=60)
        finally:
            child.kill()
    lines = (text + rest).decode().splitlines()
    assert child.returncode == 130
    assert printed == b""
    assert lines[-1] == "python -m fastnn: interrupted"
    assert not any("Traceback" in line or "KeyboardInterrupt" in line for line in lines)


# What the command line takes


def test_every_experiment_is_listed_in_help(tmp_path):
    done = process("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in (*EXPERIMENTS, "--experiment", "--data", "--output", "--no-reference", "--threads", "examples:"):
        assert re.search(rf"(?<![\w-]){word}(?![\w-])", done.stdout), word


BAD_USAGE = {
    "unknown experiment": (["--experiment", "sgd"], r"must be one or more of zeros, .*adam-decay, got sgd$"),
    "one unknown among several": (["--experiment", "he,sgd,l1"], r"got sgd, l1$"),
    "no experiment": (["--experiment", ","], r"must be one or more of zeros, .*, got ','$"),
    "unknown option": (["--epochs", "5"], r"unrecognized arguments: --epochs 5$"),
    "no threads": (["--threads", "0"], r"--threads must be in 1\.\.\d+, .*, got 0$"),
    "too many threads": (["--threads", "100000"], r"--threads must be in 1\.\.\d+, .*, got 100000$"),
    "threads are no number": (["--threads", "two"], r"invalid int value: 'two'$"),
    "no data file": (
        ["--data", "no/such.mat"],
        r"--data: no football data set at no/such\.mat; expected data\.mat or the folder that holds it$",
    ),
    "no data file, football or not": (["--data", "none", "--experiment", "he"], r"no football data set at none;"),
    "folder without data file": (["--data", "."], r"--data: no football data set at \.; expected"),
    "damaged data file": (["--data", "text"], r"--data: text cannot be read as a MATLAB file: "),
    "output is a file": (["--output", "text"], r"--output must be a folder .*, got text: File exists$"),
    "output below a file": (["--output", "text/x"], r"--output must be a folder .*, got text/x: Not a directory$"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_is_a_sentence(short, capsys, arguments, sentence):
    Path("text").write_text("no data")
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("python -m fastnn: error: ")
    assert re.search(sentence, printed.err.strip()), printed.err


def test_bad_usage_ends_the_process_without_traceback(tmp_path):
    done = process("--data", "no/such.mat", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "fastnn-results").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_output_is_a_sentence(short, tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert main(["--output", "closed"]) == 2
    assert "got closed: Permission denied" in capsys.readouterr().err


def test_names_may_be_repeated_and_come_in_the_course_order(short, capsys):
    assert main(["--experiment", "adam, he", "--experiment", "zeros", "--experiment", "he", "--no-reference"]) == 0
    assert list(table(capsys.readouterr().out)) == ["zeros", "he", "adam"]


def test_threads_limit_numba(short, capsys):
    before = numba.get_num_threads()
    try:
        assert main(["--threads", "1", "--experiment", "gd", "--no-reference"]) == 0
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
    assert "up to 1 thread;" in capsys.readouterr().out


def test_table_survives_figures_that_cannot_be_written(short, tmp_path, capsys):
    (tmp_path / "out" / "costs.png").mkdir(parents=True)
    assert main(["--experiment", "he", "--no-reference", "--output", "out"]) == 2
    printed = capsys.readouterr()
    assert list(table(printed.out)) == ["he"]
    assert "figures in" not in printed.out
    assert printed.err.endswith("error: the figures could not be written into out: Is a directory\n")


# Missing libraries


REFUSE = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Refuse())
sys.argv = ["fastnn"]
runpy.run_module("fastnn", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (["tqdm"], "needs tqdm, which is not installed: pip install tqdm"),
        (["sklearn"], "needs scikit-learn, which is not installed: pip install scikit-learn"),
        (
            ["matplotlib", "sklearn"],
            "needs scikit-learn and matplotlib, which are not installed: pip install scikit-learn matplotlib",
        ),
    ],
    ids=" ".join,
)
def test_missing_library_is_named(tmp_path, refused, sentence):
    code = REFUSE.format(refused=refused)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"python -m fastnn {sentence}\n")


def test_core_install_ends_in_one_sentence(tmp_path):
    core = tmp_path / "core"
    core.mkdir()
    (core / "fastnn").symlink_to(Path(fastnn.__file__).parent)
    site = Path(np.__file__).parents[1]
    for name in CORE_LIBRARIES:
        if (site / name).exists():
            (core / name).symlink_to(site / name)
    # -S leaves only the standard library and what this folder holds: the core install.
    environment = {**os.environ, "PYTHONPATH": str(core), "PYTHONNOUSERSITE": "1"}
    done = subprocess.run(
        [sys.executable, "-S", "-m", "fastnn"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "python -m fastnn needs scikit-learn, scipy, matplotlib and tqdm, which are not installed: "
        "pip install scikit-learn scipy matplotlib tqdm\n",
    )
