"""The command line: the course's experiments with a table and figures, and the switch of a notebook."""

import argparse
import contextlib
import importlib.util
import platform
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.course.datasets import Data
    from fastnn.course.experiments import Experiment, Outcome

PROGRAM = "python -m fastnn"
NEEDED = {"sklearn": "scikit-learn", "scipy": "scipy", "matplotlib": "matplotlib", "tqdm": "tqdm"}
WIDTH = 110

DESCRIPTION = """\
Train the course's thirteen experiments on compiled kernels, compare them with NumPy, and draw them.

Prints a table of final cost, accuracies, time and speed-up over the NumPy reference, which is timed in
the same run on a part of the iterations, and writes the cost curves and the decision boundaries as PNG.

"python -m fastnn notebook PATH" switches one of the course's notebooks to fastnn; "notebook --help" says more.
"""

EPILOG = """\
experiments:
{experiments}

examples:
  python -m fastnn
  python -m fastnn --experiment he,adam --experiment l2 --data course/datasets/data.mat --output figures

The regularization experiments use the course's football data set, which does not come with fastnn. Without
it they use a seeded stand-in of the same shape, and the table says so.
"""

NOTEBOOK_DESCRIPTION = """\
Say which of the course's notebooks this is and of which version, what to import in place of its helper
files, and which of its definitions to delete, for fastnn has them. Nothing of the notebook is run, and its
file is not changed.

The copy that --write makes has no outputs: those of the original are of the code that was replaced.
"""


class UserError(Exception):
    """Something that the user can put right; the message is the sentence to print."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the main job, or switch a notebook.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line after `python -m fastnn`; by default this process's.

    Returns
    -------
    int
        Exit code: 0; 1 if a library is missing; 2 for what the user can put right.

    Raises
    ------
    SystemExit
        From argparse, for --help (0) and bad usage (2).

    Examples
    --------
    >>> main(["--threads", "0"])
    2
    """
    try:
        words = sys.argv[1:] if arguments is None else [*arguments]
        # Not a sub-command of argparse, which would take the value of a misspelt option for one.
        if words[:1] == ["notebook"]:
            options = _notebook_parser().parse_args(words[1:])
            return _notebook(options.path, options.write)
        options = _parser().parse_args(words)
        missing = [name for module, name in NEEDED.items() if not _installed(module)]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            names = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
            _say(f"{PROGRAM} needs {names}, which {verb} not installed: pip install {' '.join(missing)}")
            return 1
        return _run(options)
    except UserError as error:
        _say(f"{PROGRAM}: error: {error}")
        return 2


def _say(sentence: str) -> None:
    """Print one line on stderr."""
    print(sentence, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    from fastnn.course.experiments import EXPERIMENTS

    groups = groupby(EXPERIMENTS.values(), key=lambda experiment: experiment.group)
    listed = [f"  {group:<22} {' '.join(experiment.name for experiment in of_group)}" for group, of_group in groups]
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG.format(experiments="\n".join(listed)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--experiment", metavar="NAME", type=_names, action="extend",
        help="run only these: a name or several with commas, may be repeated; all by default",
    )  # fmt: skip
    add(
        "--data", metavar="PATH",
        help="the football data set: data.mat, or the folder that holds it (default: datasets/data.mat, if there)",
    )  # fmt: skip
    add(
        "--output", metavar="FOLDER", type=Path, default=Path("fastnn-results"),
        help="where the figures go; created if missing (default: ./fastnn-results)",
    )  # fmt: skip
    add("--no-reference", action="store_true", help="do not time NumPy: takes less time, and no speed-up in the table")
    add("--threads", metavar="N", type=int, help="use at most N threads (default: all that this process may use)")
    return parser


def _notebook_parser() -> argparse.ArgumentParser:
    """Return the parser of what follows `notebook`."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} notebook",
        description=NOTEBOOK_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, help="the notebook, an .ipynb file")
    parser.add_argument(
        "--write", action="store_true", help="make the switched copy, NAME.fastnn.ipynb, beside it; no file is replaced"
    )
    return parser


def _notebook(path: Path, write: bool) -> int:
    """Say what to change in a notebook; on request make the changed copy."""
    from fastnn.course.notebook_switch import plan_switch
    from fastnn.course.notebooks import read_notebook, write_copy

    try:
        switch = plan_switch(read_notebook(path))
    except ValueError as error:
        raise UserError(str(error)) from error
    print(switch.report(), flush=True)
    if not write:
        return 0
    if not switch.changes():
        raise UserError(f"there is nothing to change in {path}: no copy was written")
    copy = path.with_name(f"{path.stem}.fastnn.ipynb")
    try:
        write_copy(switch.notebook, switch.sources, copy)
    except ValueError as error:
        raise UserError(str(error)) from error
    except FileExistsError as error:
        raise UserError(f"{error}, and is not replaced: move it away, or delete it") from error
    except OSError as error:
        raise UserError(f"the copy could not be written: {error}") from error
    print(f"\nwritten, without outputs: {copy}", flush=True)
    return 0


def _names(text: str) -> list[str]:
    """Return the names of experiments in a comma-separated text."""
    from fastnn.course.experiments import EXPERIMENTS

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"must be one or more of {', '.join(EXPERIMENTS)}, got {', '.join(unknown) or repr(text)}"
        )
    return names


def _installed(module: str) -> bool:
    """Tell whether a library can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _run(options: argparse.Namespace) -> int:
    """Run the experiments that the options name, and print the table."""
    begin = time.perf_counter()
    import numba
    from tqdm import tqdm
    from tqdm.contrib import DummyTqdmFile

    from fastnn.course.experiments import EXPERIMENTS, run, warm_up
    from fastnn.engine.runtime import available_threads

    if options.threads is not None:
        available = available_threads()
        if not 1 <= options.threads <= available:
            raise UserError(
                f"--threads must be in 1..{available}, the threads that this process may use, got {options.threads}"
            )
        numba.set_num_threads(options.threads)
    chosen = [EXPERIMENTS[name] for name in EXPERIMENTS if name in (options.experiment or EXPERIMENTS)]
    data, stand_in = _data(chosen, options.data)
    _prepare(options.output)

    outcomes: list[Outcome] = []
    bar_format = "{percentage:3.0f}% |{bar:30}| {elapsed} {desc}"
    seconds_between = 0.1 if sys.stderr.isatty() else 2
    # What others write to stderr meanwhile (a long compilation says so) goes above the bar.
    with (
        tqdm(
            total=len(chosen) + 2, file=sys.stderr, bar_format=bar_format, mininterval=seconds_between, miniters=0
        ) as bar,
        contextlib.redirect_stderr(DummyTqdmFile(sys.stderr)),
    ):
        bar.set_description_str("compiling, or loading what was compiled before")
        compile_begin = time.perf_counter()
        for experiment in chosen:
            warm_up(experiment, data[experiment.data])
        compile_seconds = time.perf_counter() - compile_begin
        bar.update()
        for before, experiment in enumerate(chosen, start=1):

            def advance(stage: str, done: float, name: str = experiment.name, before: int = before) -> None:
                bar.set_description_str(f"{name}: {stage}", refresh=False)
                bar.update(before + done - bar.n)

            outcomes.append(run(experiment, data[experiment.data], not options.no_reference, advance))
        bar.set_description_str("drawing")
        failure, files = None, []
        try:
            files = _draw(outcomes, stand_in, options.output)
        except OSError as error:
            failure = f"the figures could not be written into {options.output}: {error.strerror or error}"
        bar.update(bar.total - bar.n)  # not by 1: fractions were added, and tqdm warns of a hair too much
        bar.set_description_str("done")
    print(_report(outcomes, stand_in, compile_seconds, time.perf_counter() - begin, files), flush=True)
    if failure is not None:
        raise UserError(failure)
    return 0


def _data(chosen: Sequence["Experiment"], path: str | None) -> tuple[dict[str, "Data"], bool]:
    """Return the data sets that the experiments need, and whether football is the stand-in."""
    from fastnn.course import datasets

    try:
        file = datasets.football_file(path)
        data, stand_in = {}, False
        for name in {experiment.data for experiment in chosen}:
            if name == "football":
                stand_in = file is None
                data[name] = datasets.football_stand_in() if file is None else datasets.football(file)
            else:
                data[name] = getattr(datasets, name)()
    except (OSError, ValueError) as error:
        raise UserError(f"--data: {error}" if path is not None else str(error)) from error
    return data, stand_in


def _prepare(folder: Path) -> None:
    """Make the output folder, and see that files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"--output must be a folder that can be written, got {folder}: {error.strerror or error}"
        ) from error


def _draw(outcomes: Sequence["Outcome"], stand_in: bool, folder: Path) -> list[Path]:
    """Write the figures, and return their files."""
    from fastnn.course import figures

    files = [folder / "costs.png", folder / "boundaries.png"]
    for file, draw in zip(files, (figures.cost_curves, figures.decision_boundaries), strict=True):
        draw(outcomes, stand_in).savefig(file)
    return files


def _report(
    outcomes: Sequence["Outcome"], stand_in: bool, compile_seconds: float, seconds: float, files: Sequence[Path]
) -> str:
    """Return the table, and what must be said about it."""
    row = "{:<32}{:>11}{:>12}{:>12}{:>12}{:>12}{:>16}".format
    lines = [
        *textwrap.wrap(_machine(), WIDTH),
        "",
        row("experiment", "final cost", "train acc.", "test acc.", "time", "speed-up", "NumPy timed on"),
    ]
    for _, group in groupby(outcomes, key=lambda outcome: outcome.experiment.group):
        rows = list(group)
        first = rows[0].experiment
        length = f"{first.iterations} {'epochs' if first.counts == 'num_epochs' else 'iterations'}"
        lines += ["", f"{first.group}: {first.data}, {length}"]
        marked = stand_in and first.data == "football"
        lines += [
            row(
                f"  {o.experiment.title}{' *' if marked else ''}",
                f"{o.curve.costs[-1]:.6f}",
                f"{o.train_accuracy:.5f}",
                "-" if o.test_accuracy is None else f"{o.test_accuracy:.5f}",
                f"{o.seconds * 1e3:.1f} ms",
                "-" if o.speed_up is None else f"{o.speed_up:.1f}x",
                "-" if o.reference_part is None else f"1/{o.reference_part}",
            )
            for o in rows
        ]
    notes = [
        "final cost: the last that the course's model records (every 1000 iterations, every 100 epochs).",
        "time: the whole training on the compiled side, already compiled, recording nothing.",
    ]
    if any(o.speed_up is not None for o in outcomes):
        notes.append(
            "speed-up: time per iteration of the NumPy reference over that of the compiled side, same data and "
            "settings, neither recording. NumPy was timed in this run on the stated part of the iterations; the sides "
            "took turns, twice, and the better time of each counts."
        )
    if stand_in:
        notes.append("* stand-in data: datasets/data.mat was not found; --data says where it is.")
    notes.append(f"compiling, or loading what was compiled before: {compile_seconds:.1f} s; whole run: {seconds:.1f} s")
    if files:
        notes.append(f"figures in {files[0].parent}: {', '.join(file.name for file in files)}")
    lines.append("")
    for note in notes:
        # A path stays in one piece.
        lines += textwrap.wrap(note, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _machine() -> str:
    """Return the versions and the machine that the table holds for."""
    import numba
    import numpy as np

    from fastnn.config import processor
    from fastnn.engine.runtime import available_threads
    from fastnn.version import installed_version

    threads = available_threads()
    return (
        f"fastnn {installed_version()}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"Numba {numba.__version__}, up to {threads} thread{'s' if threads > 1 else ''}; "
        f"{platform.system()} on {processor()}"
    )
